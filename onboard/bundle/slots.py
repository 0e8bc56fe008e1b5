"""Slots: a folder with two bundles, or spectral profiles, and a pointer to the active one.

(SPEC.md, section 17.)

Every file is replaced whole, so that after a power cut it is the old one or the new one.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from onboard.errors import BundleError, SkybookError

POINTER = "active"
BUNDLES = ".skyb"
_NAMES = ("a", "b")
_log = logging.getLogger(__name__)
Content = TypeVar("Content")


def by_turn(folder: Path, suffix: str = BUNDLES) -> list[Path]:
    """Return the paths of both slots, the active one first; without a readable pointer, `a`."""
    try:
        active = (folder / POINTER).read_bytes().decode("ascii", "replace").rstrip("\n")
    except OSError:  # none yet: there is nothing, or the first bundle before its pointer
        active = _NAMES[0]
    if active not in _NAMES:
        _log.warning("slots %s: expected a pointer to a or b, found %.20r", folder, active)
    return [folder / f"{name}{suffix}" for name in sorted(_NAMES, key=lambda name: name != active)]


def first_whole(
    folder: Path, read: Callable[[Path], Content], suffix: str = BUNDLES
) -> tuple[Path, Content]:
    """Return the slot in use and what is in it: the active one, or the other if that is damaged.

    What is wrong with the active one is logged as a warning. `suffix` is that of the slots' files.

    Raises:
        BundleError: neither can be read.
    """
    problems = []
    for slot in by_turn(folder, suffix):
        try:
            content = read(slot)
        except SkybookError as error:
            problems.append(f"{slot.name}: {error}")
            continue
        if problems:
            _log.warning("slots %s: using %s; %s", folder, slot.name, problems[0])
        return slot, content
    raise BundleError(
        f"slots {folder}: expected a whole {suffix} file, found none: {'; '.join(problems)}"
    )


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep others from changing the slots of a folder, if it is there.

    Raises:
        BundleError: somebody else is at it.
    """
    if not folder.is_dir():
        yield
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BundleError(f"slots {folder}: another install or rollback is at it") from error
        yield
    finally:
        os.close(number)


def switch(slot: Path) -> None:
    """Make a slot the active one."""
    write_whole(slot.parent / POINTER, f"{slot.stem}\n".encode())


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file: it holds either what it held or all of the new content, at any moment.

    Raises:
        BundleError: the file system does not give back what was written.
        OSError: it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if part.read_bytes() != content:
            raise BundleError(f"{part}: expected the {len(content)} bytes written, found others")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # a new name is safe only when its folder is
    finally:
        os.close(folder)
