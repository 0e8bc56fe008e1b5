"""Training the decoder network of a lapped bundle on streams of its own encoder."""
