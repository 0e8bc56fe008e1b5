"""Codecs that are measured, ours and the rivals, behind one interface."""
