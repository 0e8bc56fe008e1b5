"""Products: what a decoded scene is written as."""
