"""Energy of an encode, measured or estimated."""
