"""Tile reception: what of one tile has arrived, piece by piece."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from onboard.codec.blocks import FIELD, has_field
from onboard.codec.bound import BOUNDED, TWO_PARTS
from onboard.codec.tile import (
    ALL_NODATA,
    ALL_VALID,
    DEPENDENT,
    EMPTY,
    FULL,
    SIGN_HIDING,
    SOME_NODATA,
    Side,
)
from onboard.errors import StreamError
from onboard.link.mask import unpack_mask
from onboard.link.segment import Kind, Segment

AnySide = TypeVar("AnySide", bound=Side)
AnySide_co = TypeVar("AnySide_co", bound=Side, covariant=True)


class FrontEnd(Protocol[AnySide_co]):
    """What the ground needs of a front end."""

    @property
    def side_bytes(self) -> int:
        """Most bytes of packed side information."""

    def side_length(self, packed: bytes) -> int:
        """Return the length of the side information that bytes begin with, if it is whole."""

    def unpack(self, packed: bytes, signed: bool) -> AnySide_co:
        """Unpack side information; `signed` says that samples are two's complement.

        Raises:
            StreamError: it makes no sense.
        """


@dataclass
class TileReception(ABC, Generic[AnySide]):
    """What has arrived of one tile; each family of codecs keeps its layers its own way.

    Attributes:
        rows: valid rows.
        cols: valid columns.
        front_end: front end that wrote the side information.
        signed: whether samples are two's complement.
        packed_side: layer 0, None until it has arrived.
        side: side information of the front end, unpacked.
        nodata: bool (rows, cols), where there are no data, as far as is known.
        mask_known: bool (rows, cols), where `nodata` has arrived.
    """

    STATES: ClassVar[tuple[int, ...]] = (ALL_VALID, SOME_NODATA, ALL_NODATA)
    """Tile states that a stream of the family may name."""

    rows: int
    cols: int
    front_end: FrontEnd[AnySide]
    signed: bool
    packed_side: bytes | None = field(default=None, init=False)
    side: AnySide | None = field(default=None, init=False)
    nodata: NDArray[np.bool_] = field(init=False)
    mask_known: NDArray[np.bool_] = field(init=False)

    def __post_init__(self) -> None:
        self.nodata = np.zeros((self.rows, self.cols), np.bool_)
        self.mask_known = np.zeros((self.rows, self.cols), np.bool_)

    @property
    def state(self) -> int | None:
        """Tile state without what says how it is coded, None until layer 0 has arrived."""
        if self.packed_side is None:
            return None
        told = self.packed_side[0]
        coding = DEPENDENT | FULL | EMPTY | BOUNDED | TWO_PARTS | SIGN_HIDING
        return told & ~(coding | FIELD if has_field(told) else coding)

    @property
    def lacks_mask(self) -> bool:
        """Whether it is known to have nodata of which it is not known where."""
        return self.state == SOME_NODATA and not bool(self.mask_known.all())

    def place(self, segment: Segment) -> None:
        """Place what a segment of kind TILE or MASK carries: all of it or nothing.

        Raises:
            StreamError: it makes no sense, or contradicts what has arrived.
        """
        if segment.kind == Kind.TILE:
            self.place_layers(segment)
        else:
            self.place_mask(segment)

    @abstractmethod
    def place_layers(self, segment: Segment) -> None:
        """Place the layers that a segment carries, all or none.

        Raises:
            StreamError: they make no sense, or contradict what has arrived.
        """

    def place_mask(self, segment: Segment) -> None:
        """Place the piece of the nodata mask that a segment carries.

        Raises:
            StreamError: it makes no sense, or contradicts what has arrived.
        """
        if self.state not in (None, SOME_NODATA):
            raise StreamError(f"tile {segment.tile}: a nodata mask, but its state is {self.state}")
        nodata = unpack_mask(segment.body, segment.first, self.rows * self.cols)
        place = slice(segment.first, segment.first + nodata.size)
        known, mask = self.mask_known.reshape(-1)[place], self.nodata.reshape(-1)[place]
        if (known & (mask != nodata)).any():
            raise StreamError(f"tile {segment.tile}: nodata masks contradict each other")
        known[:], mask[:] = True, nodata

    def _place_side(self, packed: bytes) -> None:
        """Place layer 0.

        Raises:
            StreamError: the state is none of the family's, or the side information makes no sense.
        """
        if packed[0] not in self.STATES:
            raise StreamError(f"tile state: expected one of {list(self.STATES)}, found {packed[0]}")
        if packed[0] != ALL_NODATA:
            length = self.front_end.side_length(packed[1:])
            self.side = self.front_end.unpack(packed[1 : 1 + length], self.signed)
        self.packed_side = packed
