"""Tables of the paper on fixed-quality compression of remote sensing images."""
