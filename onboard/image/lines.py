"""Line source: strips of an image whose end is not known, from a pipe, a file or shared memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase, RawIOBase

import numpy as np

from onboard.errors import InputError, UsageError
from onboard.image.files import DTYPES, LAYOUTS, Image
from onboard.image.tiles import MAX_SIDE

_AXES = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (2, 0, 1)}
"""Where bands, rows and columns are in a block of lines."""


@dataclass(frozen=True)
class LineSource:
    """A stream of lines.

    Attributes:
        layout: order of the samples, 'bil' (line by line, in each band by band), 'bip' (pixel by
            pixel), or 'bsq' (in blocks of `block` lines, in each band by band).
        dtype: sample type, 'u8', 'u16' or 'i16'.
        byte_order: order of the bytes of a sample, 'little' or 'big'.
        bands: number of bands.
        width: number of columns.
        block: number of lines in a block of 'bsq'; 0 otherwise.
    """

    layout: str
    dtype: str
    byte_order: str
    bands: int
    width: int
    block: int = 0

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS or self.dtype not in DTYPES:
            raise UsageError(f"lines: unknown layout or type {self.layout} {self.dtype}")
        if self.byte_order not in ("little", "big"):
            raise UsageError(f"lines: unknown byte order {self.byte_order}")
        if not (1 <= self.bands <= 65_535 and 1 <= self.width <= MAX_SIDE):
            raise UsageError(
                f"lines: expected 1..65535 bands and 1..{MAX_SIDE} columns, found {self.bands} "
                f"and {self.width}"
            )
        if (self.layout == "bsq") != bool(self.block) or not 0 <= self.block <= MAX_SIDE:
            raise UsageError(
                "lines: layout bsq (and no other) comes in blocks of lines; say of how many: the "
                "bands of a whole scene one after the other cannot be streamed"
            )

    @property
    def line_bytes(self) -> int:
        """Bytes of a line, all bands."""
        return self.bands * self.width * DTYPES[self.dtype].itemsize

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
        held: Image = np.empty((self.bands, 0, self.width), DTYPES[self.dtype])
        failed: InputError | None = None
        try:
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

    def _blocks(self, stream: BufferedIOBase | RawIOBase, height: int) -> Iterator[Image]:
        """Yield blocks of lines (bands, height, width) as they come; the last may be shorter."""
        sample = DTYPES[self.dtype].newbyteorder("<" if self.byte_order == "little" else ">")
        while True:
            packed = _read_up_to(stream, height * self.line_bytes)
            whole = len(packed) // self.line_bytes
            if self.layout == "bsq" and len(packed) % self.line_bytes:
                whole = 0  # which band the rest belongs to is not known
            if whole:
                sizes = {0: self.bands, 1: whole, 2: self.width}
                order = _AXES[self.layout]
                shape = [0, 0, 0]
                for axis, place in enumerate(order):
                    shape[place] = sizes[axis]
                flat = np.frombuffer(packed, sample, whole * self.bands * self.width)
                yield flat.reshape(shape).transpose(order)
            if left := len(packed) - whole * self.line_bytes:
                raise InputError(
                    f"lines: expected whole lines of {self.line_bytes} bytes, found {left} bytes "
                    "after the last"
                )
            if whole < height:
                return


def _read_up_to(stream: BufferedIOBase | RawIOBase, count: int) -> bytearray:
    """Read `count` bytes, fewer only where the stream ends; a pipe gives them piece by piece."""
    packed = bytearray(count)
    view = memoryview(packed)
    done = 0
    while done < count:
        got = stream.readinto(view[done:])
        if not got:
            break
        done += got
    view.release()
    del packed[done:]
    return packed
