"""Export of the lapped codec."""
