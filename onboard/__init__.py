"""The flight side of skybook: images in, packed codebook indices out, and the formats of both."""
