"""Quantizers of the CORSA models: kinds of codebook, all of them flown as plain codewords."""
