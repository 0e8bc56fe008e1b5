"""Viewer: what came down, on a page of the operator's own browser."""
