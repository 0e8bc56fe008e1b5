"""Rebuilding of CORSA."""
