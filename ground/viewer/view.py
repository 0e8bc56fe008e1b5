"""View: a picture as it is looked at: its layers, the spectrum of a pixel, bits of tiles."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ground.api.source import Source
from ground.api.windows import Window, Windows
from ground.products.cube import band_names
from ground.products.legend import LEGEND, NODATA, hidden
from ground.scene import Scene
from ground.serve.pyramid import SIDE, Cache, Pyramid
from ground.viewer.codes import codes
from ground.viewer.layers import RAMP
from ground.viewer.match import match
from ground.viewer.original import error_of, original_of
from ground.viewer.rate import compared, rate
from onboard.errors import InputError, UsageError

CUTS = ("0", "0.5", "2", "5")
"""Percent of samples that are shown as black, and as white."""
_MOST_MATCHED = 1 << 18
_SHOWN_ERROR = 99.5


@dataclass(frozen=True)
class View:
    """A picture and what it is compared with.

    Attributes:
        pyramid: tiles of the picture.
        cache: where tiles are kept.
        original: what was encoded, None where that is not known.
        source: function that opens the encoding again, None of what is no recording.
    """

    pyramid: Pyramid
    cache: Cache
    original: Scene | None
    source: Callable[[], Source] | None

    @cached_property
    def compared(self) -> dict[str, Pyramid]:
        """Tiles of the original and of the error, by name; none without an original."""
        if self.original is None or self.unlike:
            return {}
        meant = original_of(self.original, self.pyramid.picture)
        off = error_of(self.pyramid, meant)
        return {"original": Pyramid(meant, self.cache), "error": Pyramid(off, self.cache)}

    @cached_property
    def unlike(self) -> str | None:
        """Why the original is not that of this picture."""
        if self.original is None:
            return None
        try:
            original_of(self.original, self.pyramid.picture)
        except InputError as error:
            return str(error)
        return None

    def layer(self, name: str) -> Pyramid:
        """Return the tiles of a layer: `image`, `mask`, `original` or `error`.

        Raises:
            UsageError: there is none.
        """
        if name in ("image", "mask"):
            return self.pyramid
        if name not in self.compared:
            raise UsageError(f"{name}: {self.unlike or 'expected an original (--original)'}")
        return self.compared[name]

    @cached_property
    def samples(self) -> tuple[NDArray[Any], NDArray[Any] | None]:
        """Samples (bands, pixels) of a few tiles, and of the original at the same pixels."""
        images, originals = [], []
        for col, row in self.pyramid.spread:
            image, mask = self.pyramid.tile(self.pyramid.last, col, row)
            there, meant = ~hidden(mask), self._of_original(col, row)
            if meant is not None:
                there &= meant[1] != NODATA
                originals.append(meant[0][:, there])
            images.append(image[:, there])
        found, *more = (np.concatenate(part, axis=1) for part in (images, originals) if part)
        step = -(-found.shape[1] // _MOST_MATCHED) or 1
        return found[:, ::step], more[0][:, ::step] if more else None

    def _of_original(self, col: int, row: int) -> Window | None:
        """Return a tile of the original at the last zoom; None without one."""
        meant = self.compared.get("original")
        return None if meant is None else meant.tile(meant.last, col, row)

    @cached_property
    def limits(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Samples of each band shown as black and as white, by cut."""
        image, _ = self.samples
        if not image.size:
            return {cut: (np.zeros(len(image)), np.ones(len(image))) for cut in CUTS}
        cuts = [float(cut) for cut in CUTS]
        found = np.percentile(image, [*cuts, *(100 - cut for cut in cuts)], axis=1)
        return {cut: (found[i], found[i + len(CUTS)]) for i, cut in enumerate(CUTS)}

    @cached_property
    def match(self) -> dict[str, Any]:
        """Histograms, and how they match the original's, of some pixels, see `match`."""
        image, original = self.samples
        scene = self.pyramid.picture.scene
        if not image.size:
            return {"pixels": 0, "bands": []}
        return match(image, original, band_names(scene), scene.peak)

    @cached_property
    def _windows(self) -> Windows | None:
        """What arrived, sorted to tiles; None of what is no recording, or of unknown size."""
        return None if self.source is None else Windows.of(self.source())

    @cached_property
    def _sizes(self) -> NDArray[np.float64]:
        """Bytes that arrived of each tile, of all groups of bands, (rows, across)."""
        assert self._windows is not None
        grid, arrived = self._windows.grid, self._windows.reception.arrived
        sizes = np.array([sum(s.size for s in arrived(n)) for n in range(grid.count)], np.float64)
        return np.asarray(sizes.reshape(grid.rows, grid.groups, grid.across).sum(axis=1))

    @cached_property
    def bits(self) -> dict[str, Any]:
        """Bits a pixel and band that arrived of each tile, row by row; `tile` None if unknown."""
        windows = self._windows
        if windows is None:
            return {"tile": None, "bits": []}
        side = windows.cell * windows.grid.tile
        bands, rows, cols = windows.shape
        height, width = (np.minimum(side, n - np.arange(0, n, side)) for n in (rows, cols))
        share = 8 * self._sizes / (height[:, None] * width * bands)
        return {
            "tile": side,
            "across": windows.grid.across,
            "bits": np.round(share, 4).ravel().tolist(),
        }

    @cached_property
    def codes(self) -> dict[str, Any]:
        """How codewords or symbols are used, see `ground.viewer.codes`."""
        if self._windows is None:
            return {"kind": "unknown", "rows": []}
        return codes(self._windows)

    @cached_property
    def rate(self) -> dict[str, Any]:
        """Rate and distortion beside JPEG 2000, see `ground.viewer.rate`; or `problem`."""
        meant, windows = self.compared.get("original"), self._windows
        if meant is None or windows is None:
            return {"problem": self.unlike or "expected an original (--original)"}
        down, across = compared(windows)
        side = windows.cell * windows.grid.tile
        inside = tuple(slice(part.start // side, -(-part.stop // side)) for part in (down, across))
        here = slice(down.start, down.stop), slice(across.start, across.stop)
        ours = self.pyramid.window(self.pyramid.last, *here)
        original, _ = meant.picture.read(*here)
        size, peak = int(self._sizes[inside].sum()), self.pyramid.picture.scene.peak
        try:
            found = rate(ours, original, size, peak)
        except UsageError as error:
            return {"problem": str(error)}
        return found | {"whole": found["shape"][1:] == list(windows.shape[1:])}

    def pixel(self, row: int, col: int) -> dict[str, Any]:
        """Return the samples of a pixel, those of the original, and what they are worth.

        Raises:
            UsageError: there is no such pixel.
        """
        _, rows, cols = self.pyramid.picture.shape
        if not (0 <= row < rows and 0 <= col < cols):
            raise UsageError(
                f"pixel: expected row 0..{rows - 1} and col 0..{cols - 1}, found {row} and {col}"
            )
        at = row % SIDE, col % SIDE
        image, mask = self.pyramid.tile(self.pyramid.last, col // SIDE, row // SIDE)
        meant = self._of_original(col // SIDE, row // SIDE)
        return {
            "row": row,
            "col": col,
            "mask": int(mask[at]),
            "image": image[:, *at].tolist(),
            "original": None if meant is None else meant[0][:, *at].tolist(),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return what the page needs to know."""
        picture = self.pyramid.picture
        image, original = self.samples
        most = None
        if original is not None and image.size:
            off = np.abs(image.astype(np.int32) - original)
            most = max(1.0, float(np.percentile(off, _SHOWN_ERROR)))
        return {
            "shape": list(picture.shape),
            "dtype": picture.scene.image.dtype.name,
            "bands": list(band_names(picture.scene)),
            "rgb": list(picture.scene.rgb),
            "crs": picture.scene.crs,
            "nodata": picture.scene.nodata,
            "last": self.pyramid.last,
            "side": SIDE,
            "cuts": list(CUTS),
            "legend": [entry._asdict() for entry in LEGEND],
            "ramp": RAMP.astype(int).tolist(),
            "origin": dict(picture.origin),
            "original": bool(self.compared),
            "unlike": self.unlike,
            "most_error": most,
        }
