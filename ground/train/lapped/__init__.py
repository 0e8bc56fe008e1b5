"""Training of the lapped codec."""
