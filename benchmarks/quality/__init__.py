"""Quality: rate and distortion beside classical codecs."""
