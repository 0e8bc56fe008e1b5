"""The tile coder in compiled code: engine `c`."""
