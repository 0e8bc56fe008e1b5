"""Reading direction of the lapped codec: on the ground, never flown."""
