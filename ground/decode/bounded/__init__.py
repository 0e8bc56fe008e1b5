"""Rebuilding scenes of bounded tiles: what was read is final."""
