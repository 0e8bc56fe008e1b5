"""Files that a user names, read within a limit."""

import json
from pathlib import Path
from typing import Any

from onboard.errors import InputError, LimitError, SkybookError, UsageError

MAX_RESULT = 1 << 26


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


def read_result(path: Path) -> dict[str, Any]:
    """Read a result that a command wrote with `--json FILE`.

    Raises:
        InputError: it is no such result, or too long.
        UsageError: it cannot be read.
    """
    packed = read_limited(path, MAX_RESULT, "a result of a benchmark", InputError)
    try:
        found = json.loads(packed)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON: {error}") from error
    if not isinstance(found, dict) or found.get("schema") != 1:
        raise InputError(f"{path}: expected a result of schema 1, found {str(found)[:60]!r}")
    return found
