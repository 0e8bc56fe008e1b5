"""Training of the CORSA models (VQVAE-FPN)."""
