"""CORSA codec: an int8 network and codebooks at a fixed rate (SPEC.md, sections 3 to 7)."""
