"""Faults: flipped bits and hostile input."""
