"""CFDP transfers over links that lose PDUs, and passes that end."""
