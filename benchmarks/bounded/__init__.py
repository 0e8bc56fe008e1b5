"""Benchmark of bounded tiles: bytes at each bound on the error, beside codecs that keep it."""
