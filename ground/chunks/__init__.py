"""Chunks: images of a Zarr array as skybook streams, in Zarr v3 and v2 (README.md)."""
