"""Line source: strips of an image whose end is not known, from a pipe, a file or shared memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase, RawIOBase
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.errors import InputError, SkybookError, UsageError
from onboard.image.files import DTYPES, Image
from onboard.image.rawrows import RawRows
from onboard.image.tiles import MAX_SIDE

_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class LineSource:
    """A stream of lines.

    Attributes:
        rows: how its samples lie; of layout 'bsq' they come in blocks of lines, in each band by
            band.
        block: number of lines in a block of 'bsq'; 0 otherwise.
    """

    rows: RawRows
    block: int = 0

    def __post_init__(self) -> None:
        if (self.rows.layout == "bsq") != bool(self.block) or not 0 <= self.block <= MAX_SIDE:
            raise UsageError(
                "lines: layout bsq (and no other) comes in blocks of lines; say of how many: the "
                "bands of a whole scene one after the other cannot be streamed"
            )

    def strips(
        self, stream: BufferedIOBase | RawIOBase, height: int, skip: int = 0
    ) -> Iterator[Image]:
        """Yield strips (bands, height, width) until the stream ends; the last may be shorter.

        No more than a strip (and a block of 'bsq') is held.

        Args:
            stream: stream to read from where it is; it is never sought.
            height: number of lines in a strip.
            skip: number of lines to leave out first.

        Raises:
            InputError: the stream ends within a line; all whole lines were yielded before.
        """
        held: Image = np.empty((self.rows.bands, 0, self.rows.width), DTYPES[self.rows.dtype])
        failed: InputError | None = None
        try:
            self._pass_over(stream)
            for block in self._blocks(stream, self.block or height):
                lines = block[:, skip:]
                skip -= min(skip, block.shape[1])
                held = np.concatenate([held, lines], axis=1) if held.shape[1] else lines
                while held.shape[1] >= height:
                    yield held[:, :height]
                    held = held[:, height:]
        except InputError as error:
            failed = error
        if held.shape[1]:
            yield held
        if failed:
            raise failed

    def _pass_over(self, stream: BufferedIOBase | RawIOBase) -> None:
        """Read what stands before the first row."""
        left = self.rows.skip_bytes
        while left:
            got = len(_read_up_to(stream, min(left, _AT_ONCE)))
            left -= got
            if not got:
                raise InputError(
                    f"lines: expected {self.rows.skip_bytes} bytes before the first, found "
                    f"{self.rows.skip_bytes - left}"
                )

    def _blocks(self, stream: BufferedIOBase | RawIOBase, height: int) -> Iterator[Image]:
        """Yield blocks of lines (bands, height, width) as they come; the last may be shorter."""
        line = self.rows.whole_line_bytes
        before = 0
        while True:
            raw = _read_up_to(stream, height * line)
            whole = len(raw) // line
            if self.rows.layout == "bsq" and len(raw) % line:
                whole = 0  # which band the rest belongs to is not known
            if whole:
                try:
                    yield self.rows.image(np.frombuffer(raw, np.uint8, whole * line))
                except InputError as error:
                    raise InputError(f"lines from {before} on: {error}") from error
            if left := len(raw) - whole * line:
                raise InputError(
                    f"lines: expected whole lines of {line} bytes, found {left} bytes after the "
                    "last"
                )
            if whole < height:
                return
            before += whole


def _read_up_to(stream: BufferedIOBase | RawIOBase, count: int) -> bytearray:
    """Read `count` bytes, fewer only where the stream ends; a pipe gives them piece by piece."""
    raw = bytearray(count)
    view = memoryview(raw)
    done = 0
    while done < count:
        got = stream.readinto(view[done:])
        if not got:
            break
        done += got
    view.release()
    del raw[done:]
    return raw


def in_batches(source: Iterator[NDArray[Any]], together: int) -> Iterator[list[NDArray[Any]]]:
    """Yield the windows of a source, so many together; its error after all that came before."""
    more = True
    while more:
        batch: list[NDArray[Any]] = []
        failed: SkybookError | None = None
        try:
            batch.extend(islice(source, together))
        except SkybookError as error:
            failed = error
        more = len(batch) == together
        if batch:
            yield batch
        if failed:
            raise failed
