"""Library: the C encoder of a bundle, built for this machine; the only door to compiled code.

`python -m export engine BUNDLE` builds it from the sources of the flight encoder, whose tables are
the bundle's. It is found by the model; where there is none, numpy does the same.
"""

import ctypes
import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from onboard.errors import (
    BundleError,
    EngineError,
    InputError,
    LimitError,
    SkybookError,
    UsageError,
)

INTERFACE = 10
"""Number of the interface of `export/engine/tiles.h`."""
SOURCES = ("export/c", "export/engine")
"""Folders that it is built from, where they are installed beside this package."""
_ROOT = Path(__file__).parents[2]
_ERRORS: dict[int, type[SkybookError]] = {
    200: UsageError,
    300: InputError,
    500: BundleError,
    600: LimitError,
}
_POINTER = ctypes.c_void_p
_PIECE = np.dtype([(name, np.uint32) for name in ("layer", "first", "start", "length")])
_TILE = 64
_PIECES, _BYTES = 1 << 14, 4 << 20
"""Room for what a call makes."""
_ALIGNED = 64
"""Bytes of the longest vectors of any processor."""
T = TypeVar("T")


@cache
def sources_digest() -> str:
    """Return 16 hexadecimal digits that tell the sources beside this package; empty without."""
    digest = hashlib.sha256()
    files = [path for name in SOURCES for path in sorted((_ROOT / name).glob("*.[ch]"))]
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16] if files else ""


@cache
def processor() -> str:
    """Return the names of what this processor can do, as Linux tells them; empty elsewhere."""
    try:
        with open("/proc/cpuinfo") as lines:
            words = next((line for line in lines if line.lower().startswith(("flags", "feat"))), "")
    except OSError:
        return ""
    return " ".join(sorted(words.partition(":")[2].split()))


class Tiles(ctypes.Structure):
    """`struct skybook_tiles`: what tiles of a batch have in common."""

    _fields_ = tuple(
        (name, ctypes.c_uint32)
        for name in (
            *("bands", "tile", "significant_bits", "is_signed", "is_mosaic", "rows", "cols"),
            *("has_nodata", "nodata", "trellis", "one_layer", "edge", "body", "hides"),
        )
    )


def tile_for(bands: int, rows: int, cols: int) -> int:
    """Return the least tile of those twice as large as others that so many are part of."""
    least = _TILE if bands > 1 else 2 * _TILE
    return next(side for side in (least, 2 * least, 4 * least) if max(rows, cols) <= side)


class Coded(NamedTuple):
    """What became of a tile: a plan of a tile coder, coded.

    Attributes:
        pieces: layer and place in it where each segment starts, and its length as it was planned.
        bodies: the same with its bytes.
    """

    pieces: list[tuple[int, int, int]]
    bodies: list[tuple[int, int, bytes]]


class Library:
    """Functions of a library; many threads may call them at once, without the interpreter's lock.

    Arrays that are passed must be C-contiguous and of the types that `tiles.h` names.
    """

    def __init__(self, path: Path) -> None:
        """Load a library.

        Raises:
            EngineError: it cannot be loaded, or is not of these sources.
        """
        again = "build it again with: python -m export engine BUNDLE"
        try:
            self._functions = ctypes.CDLL(str(path))
            found = int(self._functions.skybook_tiles_interface())
            told = self._functions.skybook_tiles_sources, self._functions.skybook_tiles_processor
        except (OSError, AttributeError) as error:
            raise EngineError(f"engine c: {path}: cannot be loaded: {error}; {again}") from error
        for function in told:
            function.restype = ctypes.c_char_p
        sources, needed = (function().decode() for function in told)
        if found != INTERFACE or sources_digest() not in ("", sources):
            raise EngineError(f"engine c: {path}: built from other sources; {again}")
        if not set(needed.split()) <= set(processor().split()):
            raise EngineError(f"engine c: {path}: built for another processor; {again}")
        for name in ("room", "record", "refine_room"):
            self._function(name).restype = ctypes.c_size_t
        self._function("record").argtypes = [ctypes.c_uint32, ctypes.c_uint32]
        self._crc = self._function("crc32c")
        self._crc.restype = ctypes.c_uint32
        self._crc.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint32]
        self._rooms: list[NDArray[np.uint8]] = []

    def _function(self, name: str) -> Any:
        return getattr(self._functions, f"skybook_tiles_{name}")

    def record_bytes(self, bands: int, tile: int) -> int:
        """Return the bytes of the record of a tile of so many rows and columns."""
        return int(self._function("record")(bands, tile))

    def is_whole(self) -> bool:
        """Return whether the model's tables are as they were built."""
        return bool(self._function("whole")())

    def crc32c(self, message: bytes | bytearray | memoryview, start: int) -> int:
        """Return the CRC-32C of a message, as `onboard.link.crc` has it."""
        whole = message if isinstance(message, bytes) else bytes(message)
        return int(self._crc(whole, len(whole), start))

    def crc32c_of_each(self, messages: Sequence[bytes | bytearray | memoryview]) -> list[int]:
        """Return the CRC-32C of each message."""
        lengths = np.fromiter(map(len, messages), np.uint32, len(messages))
        found = np.empty(len(messages), np.uint32)
        self.run("crcs", np.frombuffer(b"".join(messages), np.uint8), lengths, len(messages), found)
        return found.tolist()

    @contextmanager
    def _room(self) -> Iterator[NDArray[np.uint8]]:
        """Lend a room to work in, as many as there are threads at work."""
        try:
            room = self._rooms.pop()
        except IndexError:
            room = np.zeros(int(self._function("room")()), np.uint8)
        try:
            yield room
        finally:
            self._rooms.append(room)

    def call(self, name: str, tiles: Tiles, *arguments: Any) -> None:
        """Call a function that does something with tiles.

        Args:
            name: of the function, without what all begin with.
            tiles: what they have in common.
            arguments: arrays, whose memory is passed, structures or None; integers of 32 bits;
                numpy's own of 64.

        Raises:
            SkybookError: the one whose number it returns.
        """
        with self._room() as room:
            status = self._function(name)(
                _POINTER(room.ctypes.data), ctypes.byref(tiles), *map(_passed, arguments)
            )
        if status:
            raise _ERRORS.get(status, EngineError)(f"engine c: {name}: status {status}")

    def run(self, name: str, *arguments: Any) -> None:
        """Call a function that needs no room and cannot fail; arguments as of `call`."""
        self._function(name)(*map(_passed, arguments))

    def size(self, name: str, *numbers: int) -> int:
        """Return what a function says of the size of something."""
        return int(self._function(name)(*map(ctypes.c_uint32, numbers)))

    def code(self, name: str, tiles: Tiles, count: int, *arguments: Any) -> Iterator[Coded]:
        """Call a function that codes tiles, as often as it takes; yield what becomes of each.

        Args:
            name: as of `call`.
            tiles: what they have in common.
            count: tiles.
            arguments: as of `call`; the first of an array is of the first tile, and so on, but for
                that of an argument which is a tuple.
        """
        pieces, out = np.empty(_PIECES, _PIECE), np.empty(_BYTES, np.uint8)
        first, done = 0, np.zeros(1, np.uint32)
        while first < count:
            made = np.empty((count - first, 2), np.uint32)
            some = (
                argument[0] if isinstance(argument, tuple) else argument[first:]
                for argument in arguments
            )
            room = pieces, np.uint64(_PIECES), out, np.uint64(_BYTES), done
            self.call(name, tiles, *some, count - first, made, *room)
            yield from _coded(made[: done[0]], pieces, out)
            first += int(done[0])


def aligned(shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
    """Return an array, of whatever numbers, at a place in memory that suits a library's vectors."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    room = np.empty(size + _ALIGNED, np.uint8)
    first = -room.ctypes.data % _ALIGNED
    return room[first : first + size].view(kind).reshape(shape)


def _coded(
    made: NDArray[np.uint32], pieces: NDArray[Any], out: NDArray[np.uint8]
) -> Iterator[Coded]:
    """Yield tiles from what a call wrote."""
    rows = pieces[: int(made.sum())].tolist()
    ends = [start + length for _, _, start, length in rows]
    coded = out[: max(ends, default=0)].tobytes()
    at = 0
    for planned, bodies in made.tolist():
        lengths = [(layer, first, length) for layer, first, _, length in rows[at : at + planned]]
        at += planned
        found = [
            (layer, first, coded[start : start + length])
            for layer, first, start, length in rows[at : at + bodies]
        ]
        at += bodies
        yield Coded(lengths, found)


def in_threads(work: Callable[[slice], T], count: int, threads: int) -> list[T]:
    """Do work with parts of some tiles, as many at once as there are threads."""
    parts = min(threads, count)
    ends = [count * part // parts for part in range(parts + 1)]
    slices = [slice(*pair) for pair in pairwise(ends)]
    return [work(slices[0])] if parts == 1 else list(_pool(threads).map(work, slices))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def _passed(argument: Any) -> Any:
    """Return an argument as ctypes takes it."""
    if argument is None or isinstance(argument, ctypes.Structure):
        return None if argument is None else ctypes.byref(argument)
    if isinstance(argument, np.ndarray):
        return _POINTER(argument.ctypes.data)
    kind = ctypes.c_size_t if isinstance(argument, np.uint64) else ctypes.c_uint32
    return kind(int(argument))


@cache
def _opened(path: Path, _written: int) -> Library:
    return Library(path)


def open_library(path: Path) -> Library:
    """Return a library, loaded once for all who ask for it.

    Raises:
        EngineError: it cannot be loaded, or is not of these sources.
    """
    try:
        return _opened(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise EngineError(
            f"engine c: not built for this model (no {path}); python -m export engine BUNDLE "
            "builds it with a C compiler"
        ) from error
