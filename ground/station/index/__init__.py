"""Index of a recording: where each of its segments lies, so that a part is read alone."""
