"""Salvage: what damaged segments of a recording still say."""
