"""The encoder of a lapped bundle as C99 source: tables written, built, compared with Python."""
