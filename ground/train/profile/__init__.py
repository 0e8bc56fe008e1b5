"""Spectral profiles: made of earlier images of a sensor, tried on others."""
