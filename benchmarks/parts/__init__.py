"""What a window and overviews of a large scene take, through an index."""
