"""Commands of `python -m ground`, one a file."""
