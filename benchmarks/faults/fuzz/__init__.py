"""Fuzzing of every parser, guided by coverage."""
