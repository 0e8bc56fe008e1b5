"""Downlink: what is written, kept, chosen and protected before the radio."""
