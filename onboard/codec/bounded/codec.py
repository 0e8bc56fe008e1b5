"""Bounded codec: what the part `bounded` of a bundle makes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from onboard.codec.agreement import Agreement
from onboard.codec.bound import Bound
from onboard.codec.bounded import golden, part
from onboard.codec.bounded.coder import BoundedTileCoder
from onboard.codec.bounded.model import BoundedModel
from onboard.codec.bounded.twoparts import TwoPartTileCoder
from onboard.engine.engines import library_name, library_path
from onboard.errors import BundleError, EngineError

if TYPE_CHECKING:
    from onboard.engine.library import Library


@dataclass(frozen=True)
class BoundedCodec:
    """A model with what it takes to run and to check it.

    Attributes:
        model: all integers of the codec.
        golden: CRC-32C of the bodies of each golden tile.
        library: what a library of compiled code is named by; empty where there is none.
        compiled: that library, if it is to be used, and threads.
    """

    model: BoundedModel
    golden: tuple[int, ...]
    library: str = ""
    compiled: "tuple[Library, int] | None" = None

    @classmethod
    def read(cls, packed: bytes, wire: Mapping[str, Any] | None = None) -> "BoundedCodec":
        """Read a part; of a bundle with such a wire description, if that is known.

        Raises:
            BundleError: its length or values are wrong.
        """
        model, found = part.unpack(packed)
        return cls(model, found, library_name(wire) if wire else "")

    @classmethod
    def of(cls, codec: object) -> "BoundedCodec":
        """Return a codec as this one, for what only this one has.

        Raises:
            BundleError: it is another, or none.
        """
        if not isinstance(codec, cls):
            raise BundleError("bundle: expected a part `bounded`, found none")
        return codec

    @property
    def memory(self) -> tuple[Any, ...]:
        """Everything whose arrays decide bytes."""
        return (self.model,)

    def open(
        self, bands: int, bound: Bound, nodata: int | None, first: Bound | None = None
    ) -> BoundedTileCoder:
        """Open a coder for a scene; with `first`, within that bound first, and the rest apart.

        Raises:
            UsageError: there is not one bound for each band.
        """
        if first is not None:
            return TwoPartTileCoder(self.model, bands, (first, bound), nodata)
        coder = BoundedTileCoder(self.model, bands, bound, nodata)
        if self.compiled is None:
            return coder
        from onboard.codec.bounded.compiled.coder import CompiledBoundedCoder  # noqa: PLC0415

        return CompiledBoundedCoder(coder, *self.compiled)

    def in_engine(self, engine: str | None, threads: int) -> "BoundedCodec":
        """Return the codec that takes compiled code, where there is any and no other is named."""
        path = library_path(self.library)
        if engine not in (None, "c") or not path.exists():
            return self
        from onboard.engine.library import open_library  # noqa: PLC0415

        try:
            return replace(self, compiled=(open_library(path), threads))
        except EngineError:
            return self

    def engine_of(self, first: Bound | None) -> str:
        """Return the name of the engine that codes tiles, with a first bound or without."""
        return "numpy" if self.compiled is None or first is not None else "c"

    def check(self) -> Agreement:
        """Code the golden tiles; what agrees are whole tiles, and all must."""
        found = golden.checksums(lambda bound: self.open(golden.BANDS, bound, None))
        agree = sum(a == b for a, b in zip(found, self.golden, strict=True))
        return Agreement([agree], [len(found)], 1.0)
