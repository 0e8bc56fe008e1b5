"""Sensors: one bundle on cameras that it was not trained on, beside JPEG 2000."""
