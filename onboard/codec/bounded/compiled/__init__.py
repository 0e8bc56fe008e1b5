"""The tile coder within a bound in compiled code: engine `c`."""
