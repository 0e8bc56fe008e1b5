"""Decode: what was received to a scene and its mask."""
