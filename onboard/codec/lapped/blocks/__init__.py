"""Blocks of a tile: steps of their own, and what their errors will be (SPEC.md, section 22)."""
