"""Rebuilding tiles of the lapped codec."""
