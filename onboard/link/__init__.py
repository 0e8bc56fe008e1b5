"""Link: all that crosses the space link, both directions in one file each."""
