"""Commands of `python -m export`, one a file."""
