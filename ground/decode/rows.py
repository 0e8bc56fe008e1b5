"""Rows: a scene whose rows are taken while it is decoded, so that its image is never held whole."""

import mmap
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, Queue
from threading import Semaphore, Thread
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ground.scene import Scene
from onboard.image.tiles import TileGrid

T = TypeVar("T")
STEP = 256
"""Rows are given in multiples of it, but for the last ones."""
_AT_ONCE = 1024
_WAITING = 1
"""Parts that may wait while one is taken and the next is decoded."""
_SECONDS = 0.1
_PRIVATE: dict[str, int] = (
    {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MADV_DONTNEED") else {}
)
"""How memory is asked for that goes back; where no system call does that, it stays."""


class Rows(NamedTuple):
    """Some rows of a scene that are final.

    Attributes:
        rows: from the first to before the last.
        image: (bands, rows, cols).
        mask: uint8 (rows, cols).
        let_go: function that gives their memory back: they are zeros then.
    """

    rows: slice
    image: NDArray[Any]
    mask: NDArray[np.uint8]
    let_go: Callable[[], None]


@dataclass(frozen=True)
class Memory:
    """Memory of an image, all zeros, that takes none until it is written, rows of which go back."""

    image: NDArray[Any]
    _map: mmap.mmap

    @classmethod
    def of(cls, shape: tuple[int, int, int], dtype: "np.dtype[Any]") -> "Memory":
        """Return memory for (bands, rows, cols)."""
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        room = mmap.mmap(-1, size, **_PRIVATE)
        return cls(np.frombuffer(room, dtype).reshape(shape), room)

    def let_go(self, rows: slice) -> None:
        """Give the memory of some rows back, but for pages that others share."""
        if not _PRIVATE:
            return
        plane, line, page = self.image[0].nbytes, self.image[0, 0].nbytes, mmap.PAGESIZE
        for band in range(len(self.image)):
            start, stop = (band * plane + row * line for row in (rows.start, rows.stop))
            first, last = -(-start // page) * page, stop // page * page
            if last > first:
                self._map.madvise(mmap.MADV_DONTNEED, first, last - first)


Give = Callable[[Scene | Rows], None]
"""Takes a scene whose image is not there yet, then its rows from the first to the last."""


@dataclass
class Giving:
    """Gives rows of a product as they become final.

    Attributes:
        grid: tiles of the product.
        memory: that of its image.
        give: takes them.
        report: called with the tiles done and their number, too.
    """

    grid: TileGrid
    memory: Memory
    give: Give
    report: Callable[[int, int], None]
    _of: tuple[NDArray[Any], NDArray[np.uint8]] | None = None
    _done: int = 0

    def begin(self, scene: Scene, mask: NDArray[np.uint8]) -> None:
        """Give the scene that is being rebuilt."""
        self._of = scene.image, mask
        self.give(scene)

    def told(self, tiles: int, of: int) -> None:
        """Give what so many tiles make final."""
        rows = tiles // self.grid.columns * self.grid.tile
        if rows < self.grid.height:
            self._upto(rows // STEP * STEP)
        self.report(tiles, of)

    def end(self, scene: Scene, mask: NDArray[np.uint8]) -> None:
        """Give what is left; all of it, if nothing was given before."""
        if self._of is None:
            self.begin(scene, mask)
        self._upto(len(mask))

    def _upto(self, stop: int) -> None:
        assert self._of is not None
        image, mask = self._of
        while self._done < stop:
            rows = slice(self._done, min(self._done + _AT_ONCE, stop))
            self._done = rows.stop
            let_go = partial(self.memory.let_go, rows) if image is self.memory.image else _keep
            self.give(Rows(rows, image[:, rows], mask[rows], let_go))


def _keep() -> None:
    """Give nothing back."""


class _EndedError(Exception):
    """Nobody takes the rows any more."""


@dataclass(frozen=True)
class _End(Generic[T]):
    """All rows were given; `result` is what came of it."""

    result: T


class Decoding(Generic[T]):
    """A scene that is decoded in the background, while rows of it are taken.

    Attributes:
        scene: what is said of it, with an image that is not there.
    """

    def __init__(self, decode: Callable[[Give], T], ahead: bool = True) -> None:
        """Begin.

        Args:
            decode: function that gives a scene and its rows.
            ahead: whether to decode, as far as memory should go, while what was given is worked on,
                or only while the next is waited for, so that there is work for one processor.

        Raises:
            as `decode`.
        """
        self._decode, self._ahead, self._ended = decode, ahead, False
        self._asked = Semaphore(0)
        self._given: Queue[Scene | Rows | _End[T] | BaseException] = Queue(_WAITING)
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        first = self._given.get()
        if isinstance(first, BaseException):
            raise first
        assert isinstance(first, Scene)
        self.scene = first
        self._end: _End[T] | None = None

    @property
    def decoded(self) -> T:
        """What `decode` returned, once all rows are taken; its image is not there."""
        assert self._end is not None
        return self._end.result

    def _run(self) -> None:
        try:
            self._given.put(_End(self._decode(self._give)))
        except _EndedError:
            return
        except BaseException as error:  # it is raised where rows are taken
            self._given.put(error)

    def _give(self, what: Scene | Rows) -> None:
        self._given.put(what)
        if not self._ahead:
            self._asked.acquire()
        if self._ended:
            raise _EndedError

    def __iter__(self) -> Iterator[tuple[slice, slice, NDArray[Any], NDArray[np.uint8]]]:
        """Yield rows and columns, image and mask, good until the next are asked for."""
        try:
            while isinstance(found := self._next(), Rows):
                yield found.rows, slice(0, found.mask.shape[1]), found.image, found.mask
                found.let_go()
            if isinstance(found, BaseException):
                raise found
            assert isinstance(found, _End)
            self._end = found
        finally:
            self._ended = True
            self._asked.release()
            while self._thread.is_alive():
                with suppress(Empty):
                    self._given.get(timeout=_SECONDS)

    def _next(self) -> Scene | Rows | _End[T] | BaseException:
        self._asked.release()
        return self._given.get()
