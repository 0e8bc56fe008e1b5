"""Images: raw files, lines as they come, tiles."""
