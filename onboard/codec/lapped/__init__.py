"""Lapped codec: any rate from one bundle, integers only (SPEC.md, sections 9 to 13)."""
