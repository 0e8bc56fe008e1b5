"""Codec: what every codec that is measured offers, ours and the rivals alike.

A codec codes a scene and decodes it again. `encode` returns all the bytes that a receiver needs,
headers and side information included, so that its length is the length that counts; `decode` makes
the image of these bytes alone. A codec of variable rate takes a budget: it spends as many of these
bytes as it can and never one more, or raises LimitError. A codec of fixed rate, and a lossless one,
takes none. An encode may search for its rate; `one_pass` searches beforehand and returns what is
left, for whoever measures time. What a codec needs beyond skybook is imported where it is called:
the table of rivals names it, and says why a codec is left out where it is not installed.

To add a codec, write `benchmarks/codecs/NAME.py`, and its row in `benchmarks/codecs/table.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ground.scene import Scene
from onboard.encoder.options import DEFAULT_RATIO
from onboard.errors import UsageError
from onboard.image.files import Image


@dataclass(frozen=True)
class Coded:
    """A scene as a codec coded it.

    Attributes:
        parts: bytes that are sent, in as many parts as the codec tells apart.
        shape: bands, rows and columns of the image, which a receiver knows.
    """

    parts: tuple[bytes, ...]
    shape: tuple[int, ...]

    @property
    def length(self) -> int:
        """Bytes of all parts."""
        return sum(map(len, self.parts))


@dataclass(frozen=True)
class OnePass:
    """An encode of one scene whose rate is settled.

    Attributes:
        setting: what the codec is told, in words.
        encode: function that codes the scene once, without a search.
    """

    setting: str
    encode: Callable[[], Coded]


class Codec(Protocol):
    """What is measured."""

    @property
    def variable_rate(self) -> bool:
        """Whether a budget can be given."""

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        """Code a scene.

        Args:
            scene: scene to code; rivals take its samples as uint16.
            budget: most bytes; None takes the codec's own rate, ratio 20.48 where it is variable.

        Raises:
            LimitError: the codec cannot do with so few bytes.
            UsageError: a budget for a codec whose rate is not variable.
        """

    def decode(self, coded: Coded) -> Image:
        """Return the image (bands, rows, cols) of what `encode` made.

        Raises:
            SkybookError: the bytes are damaged beyond what the codec can read.
        """

    def one_pass(self, scene: Scene, ratio: float) -> OnePass:
        """Settle the rate at about a compression ratio, raw bytes over bytes, if it is variable."""


class NamedCodec(Codec, Protocol):
    """One that is measured under a name of its own, beside rivals at the same bytes."""

    @property
    def name(self) -> str:
        """Name in results."""

    @property
    def bands(self) -> int:
        """Bands of the scenes that it takes."""

    def tile_of(self, scene: Scene) -> int:
        """Return rows and columns of what is coded apart, at whose borders there may be seams."""


def round_trip(codec: Codec, scene: Scene, budget: int | None = None) -> tuple[int, Image]:
    """Code a scene and decode it; return the bytes and the image. See `Codec.encode`."""
    coded = codec.encode(scene, budget)
    return coded.length, codec.decode(coded)


def samples_of(scene: Scene) -> NDArray[np.uint16]:
    """Return the image of a scene for codecs that take uint16 alone."""
    return scene.image.astype(np.uint16, copy=False)


def ratio_of_samples(scene: Scene, ratio: float) -> float:
    """Return the ratio of the bytes of `samples_of` that is that of the scene's raw bytes."""
    return ratio * samples_of(scene).nbytes / scene.raw_bytes


def budget_of(scene: Scene, budget: int | None) -> int:
    """Return the most bytes that a rival of variable rate may take."""
    return int(scene.raw_bytes / DEFAULT_RATIO) if budget is None else budget


def refuse_budget(name: str, budget: int | None) -> None:
    """Refuse a budget on behalf of a codec whose rate is not variable.

    Raises:
        UsageError: there is a budget.
    """
    if budget is not None:
        raise UsageError(f"{name}: expected no budget, found {budget} bytes")
