"""Quantizers of the CORSA pyramid at equal bytes, and what a discriminator does to it."""
