"""Commands of `python -m onboard`, one a file."""
