"""Files that a user names, read within a limit."""

from pathlib import Path

from onboard.errors import LimitError, SkybookError, UsageError


def read_limited(
    path: Path, most: int, expected: str, too_long: type[SkybookError] = LimitError
) -> bytes:
    """Read a file whole.

    Args:
        path: path of the file.
        most: most bytes that it may have.
        expected: what the file should be, for the message.
        too_long: class of the error where it has more.

    Raises:
        UsageError: it cannot be read.
        LimitError: it is too long; or the class that was given.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(most + 1)
    except OSError as error:
        raise UsageError(f"{path}: expected {expected}: {error.strerror}") from error
    if len(packed) > most:
        raise too_long(f"{path}: expected at most {most} bytes")
    return packed
