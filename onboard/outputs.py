"""Outputs: files that are written without harm to inputs, to each other, or on a full disk."""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from onboard.errors import UsageError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refuse_overwriting(
    outputs: Mapping[str, Path | str | None], inputs: Iterable[Path | str | None]
) -> None:
    """Refuse an output that is an input, by whatever name or link, or another output.

    Nor may it be a folder that holds an input.

    Inputs are mapped, and would be lost.

    Args:
        outputs: files to write, by the options that name them; None and "-" are no files.
        inputs: files to read, which need not exist; None is no file, "-" is stdin.

    Raises:
        UsageError: naming the option, the output and what it is already.
    """
    taken: dict[Path | tuple[int, int], str] = {}
    inputs = list(inputs)
    for path in inputs:
        if path is not None and (found := _file_of(path)):
            taken[found] = f"the input {path}"
    for option, output in outputs.items():
        if output is None or str(output) == "-":
            continue
        place = _file_of(output) or Path(output).resolve()
        if place in taken:
            raise UsageError(
                f"{option} {output}: is {taken[place]}, expected another place to write to"
            )
        if isinstance(place, Path) and place.is_dir():
            for path in inputs:
                if path is not None and Path(path).resolve().is_relative_to(place):
                    raise UsageError(
                        f"{option} {output}: holds the input {path}, expected another place"
                    )
        if not (isinstance(place, Path) and place.exists()):  # a device loses nothing
            taken[place] = f"the output of {option}"


def _file_of(path: Path | str) -> tuple[int, int] | None:
    """Return device and inode of a regular file, "-" for stdin; None if there is none."""
    try:
        found = os.fstat(0) if str(path) == "-" else os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


@contextmanager
def open_output(path: Path) -> Iterator[BinaryIO]:
    """Open a file that grows under its own name: what was written stays.

    Raises:
        UsageError: it cannot be created, or there is no more room for it.
    """
    file = _create(path)
    with telling_room(path), file:
        yield file


@contextmanager
def open_whole(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is of no use unless it is whole: it is removed where writing fails.

    Raises:
        UsageError: it cannot be created, or there is not enough room for it.
    """
    file = _create(path)
    with telling_room(path), removed_unless_whole(path), file:
        yield file


def _create(path: Path) -> BinaryIO:
    try:
        return path.open("wb")
    except OSError as error:
        raise UsageError(f"{path}: expected a place to write to: {error.strerror}") from error


@contextmanager
def telling_room(path: Path | str) -> Iterator[None]:
    """Name the file for which there is no more room.

    Raises:
        UsageError: disk, quota or limit of a file's size is used up.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise UsageError(f"{path}: expected a place to write to: {error.strerror}") from error


@contextmanager
def removed_unless_whole(path: Path) -> Iterator[None]:
    """Remove a file, unless it is a device, if anything fails."""
    try:
        yield
    except BaseException:
        if path.is_file():
            path.resolve().unlink(missing_ok=True)
        raise
