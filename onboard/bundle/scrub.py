"""Scrub: finds bits of the model that flipped in memory, before they are sent as an image."""

import sys
import zlib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from onboard.bundle.bundle import Bundle
from onboard.codec.tile import TileCoder
from onboard.errors import BundleError


class Scrub:
    """The checksums of a bundle in memory, taken when its golden vectors have passed.

    Covered are the bytes of the bundle's parts, every array made from them and the constant ones of
    our modules, by CRC-32; what an engine keeps for itself only by what it makes of a golden tile.
    """

    def __init__(self, bundle: Bundle, coder: TileCoder[Any, Any]) -> None:
        """Run the golden vectors, then take the checksums.

        Raises:
            BundleError: the golden vectors do not pass.
        """
        self._bundle = bundle
        self._coder = coder
        found = coder.golden()
        if not found.passed:
            raise BundleError(
                f"bundle {bundle.name} on {coder.engine}: golden vectors do not pass: "
                f"{sum(found.agree)} of {sum(found.total)} agree"
            )
        if bundle.bounded is not None and not bundle.bounded.check().passed:
            raise BundleError(f"bundle {bundle.name}: golden tiles of `bounded` do not pass")
        self._probe = coder.probe()
        self._sums = dict(self._regions())

    @property
    def covered_bytes(self) -> int:
        """Bytes that the checksums cover."""
        arrays = sum(int(array.nbytes) for _, array in arrays_in(self._model, "model"))
        return arrays + sum(map(len, self._bundle.parts.values()))

    @property
    def _model(self) -> tuple[Any, ...]:
        bounded = self._bundle.bounded
        return self._coder.memory, bounded and bounded.memory, _constants()

    def _regions(self) -> Iterator[tuple[str, int]]:
        """Yield the name and the checksum of each piece of memory."""
        for name, part in self._bundle.parts.items():
            yield f"part {name}", zlib.crc32(part)
        for name, array in arrays_in(self._model, "model"):
            yield name, zlib.crc32(np.ascontiguousarray(array).data)

    def check(self) -> None:
        """Compare.

        Raises:
            BundleError: something changed; the message says what.
        """
        for name, found in self._regions():
            if self._sums.get(name, found) != found:
                raise BundleError(f"bundle {self._bundle.name}: {name} changed in memory")
        if self._coder.probe() != self._probe:
            raise BundleError(
                f"bundle {self._bundle.name}: engine {self._coder.engine} no longer gives what "
                "it gave for a golden tile"
            )


def _constants() -> dict[str, dict[str, Any]]:
    """Return the arrays that our modules hold: cosines, the trellis, tables of checksums."""
    ours = [module for name, module in sys.modules.items() if name.startswith("onboard.")]
    return {
        module.__name__: {n: v for n, v in vars(module).items() if isinstance(v, np.ndarray)}
        for module in ours
    }


def arrays_in(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield each array of a value's fields, cached ones included, once, and a name for it."""
    seen: dict[int, Any] = {}  # kept, so that no other array gets the number of one
    for full_name, array in _walk(value, name):
        if id(array) not in seen:
            seen[id(array)] = array
            yield full_name, array


def _walk(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, (tuple, list)):
        for number, item in enumerate(value):
            yield from _walk(item, f"{name}[{number}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _walk(item, f"{name}.{key}")
    elif is_dataclass(value):
        known = {f.name: getattr(value, f.name) for f in fields(value)}
        for key, item in (known | vars(value)).items():
            yield from _walk(item, f"{name}.{key}")
