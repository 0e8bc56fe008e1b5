"""Sysfs: files of one short line each, in which the Linux kernel shows its devices."""

from pathlib import Path

from onboard.errors import EngineError

SYSFS = Path("/sys")
_MAX_TEXT = 256


def read_text(path: Path) -> str:
    """Read a line of sysfs.

    Raises:
        EngineError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_MAX_TEXT).decode("ascii", "replace").strip()
    except OSError as error:
        raise EngineError(f"{path}: expected a file to read: {error.strerror}") from error


def read_integer(path: Path) -> int:
    """Read an integer of sysfs.

    Raises:
        EngineError: it cannot be read, or holds something else.
    """
    found = read_text(path)
    try:
        return int(found)
    except ValueError as error:
        raise EngineError(f"{path}: expected an integer, found {found!r:.40}") from error
