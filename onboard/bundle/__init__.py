"""Model bundle: one file with all that an encoder needs, up to the satellite and in use there."""

from onboard.bundle.bundle import Bundle, find, known, known_paths, load, load_file
from onboard.bundle.container import read_file

__all__ = ["Bundle", "find", "known", "known_paths", "load", "load_file", "read_file"]
