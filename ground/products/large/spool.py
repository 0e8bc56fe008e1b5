"""Spool: coded blocks of a scene and its overviews, in a file until their places are known."""

from pathlib import Path
from threading import Lock
from typing import NamedTuple

from ground.products.large.block import crc32
from ground.products.large.pyramid import Place
from onboard.errors import UsageError


class _Kept(NamedTuple):
    """Where a block stands in the file, and its checksum."""

    first: int
    length: int
    check: int


class Spool:
    """Keeps blocks by their layer, such as `mask`, and place; any thread may put some."""

    def __init__(self, path: Path) -> None:
        """Make the file."""
        self._path, self._file = path, path.open("w+b")
        self._kept: dict[tuple[str, Place], _Kept] = {}
        self._lock = Lock()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def put(self, layer: str, place: Place, block: bytes) -> None:
        """Keep a block."""
        check = crc32(block)
        with self._lock:
            self._kept[layer, place] = _Kept(self._file.tell(), len(block), check)
            self._file.write(block)

    def read(self, layer: str, place: Place) -> bytes:
        """Return a block, once all are put.

        Raises:
            UsageError: it is not what was kept.
        """
        first, length, check = self._kept[layer, place]
        self._file.seek(first)
        block = self._file.read(length)
        if crc32(block) != check:
            raise UsageError(f"{self._path}: expected room for it, found it damaged once written")
        return block
