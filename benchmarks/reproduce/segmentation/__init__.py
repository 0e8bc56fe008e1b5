"""Segmentation of what codecs decode, by a network that was trained on originals."""
