"""Quantizers of the lapped codec, one a file, behind one contract and in one table."""
