"""Figures: every number that skybook claims is printed by a command of this package."""
