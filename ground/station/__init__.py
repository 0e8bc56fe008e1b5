"""Station: what comes from an antenna or a file transfer, kept and united."""
