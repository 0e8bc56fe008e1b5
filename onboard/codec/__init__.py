"""Codec: tiles to bodies of segments. Knows no bundle file and no scene."""
