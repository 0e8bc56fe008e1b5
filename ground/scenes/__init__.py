"""Scenes to train on and to test with."""
