"""Engines: the only door to inference engines, and what runs in them."""
