"""Resources: speed, memory and size of every runtime."""
