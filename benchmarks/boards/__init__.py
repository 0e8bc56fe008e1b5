"""Boards: profiles, probe and roofline."""
