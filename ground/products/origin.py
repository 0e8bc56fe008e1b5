"""Origin: what a product says of the encoding that it was decoded from."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ground.products.legend import LEGEND

DOMAIN = "SKYBOOK"
"""Of the tags of a GeoTIFF that tell it: those without a domain stay the original's."""
PREFIX = "SKYBOOK_"
"""Of the keys of these tags."""


@dataclass(frozen=True)
class Origin:
    """What a product was decoded from.

    Attributes:
        bundle: name of the model.
        model_hash: SHA-256 of what its streams depend on, 64 hexadecimal digits.
        scene_id: id of the scene.
        run: run of the encoding; 0 for none.
        received: bytes of its segments that arrived, heads and checks included.
        complete: whether all of it arrived; None where nobody looked.
        linear: whether no decoder network refined it.
        expected_psnr: expected PSNR in dB; None where nothing tells it.
        peak: peak of that PSNR.
        window: first column and row of the scene, and those after the last, that it is a part of.
        overview: pixels of the scene of a side of each of its pixels.
        layers: layers of tiles that it was made of, from the coarsest on; None for all.
    """

    bundle: str
    model_hash: str
    scene_id: int
    run: int
    received: int
    complete: bool | None
    linear: bool = False
    expected_psnr: float | None = None
    peak: int | None = None
    window: tuple[int, int, int, int] | None = None
    overview: int = 1
    layers: int | None = None

    def tags(self, mask: NDArray[np.uint8] | None) -> dict[str, str]:
        """Return key and text of each thing that is known, and the shares of the mask in percent.

        Args:
            mask: uint8 (rows, cols), values of `LEGEND`; None where nobody looked.
        """
        found = {
            "MODEL": self.bundle,
            "MODEL_HASH": self.model_hash,
            "SCENE_ID": str(self.scene_id),
            "RUN": str(self.run),
            "BYTES_RECEIVED": str(self.received),
            "IMAGE": "linear" if self.linear else "refined",
        }
        if self.complete is not None:
            found["COMPLETE"] = "yes" if self.complete else "no"
        if self.expected_psnr is not None:
            found["EXPECTED_PSNR_DB"] = f"{self.expected_psnr:.2f}"
            found["EXPECTED_PSNR_PEAK"] = str(self.peak)
        if self.window is not None:
            found["WINDOW"] = ",".join(map(str, self.window))
        if self.overview > 1:
            found["OVERVIEW"] = f"1/{self.overview}"
        if self.layers is not None:
            found["LAYERS"] = str(self.layers)
        if mask is not None:
            found |= shares(counts_of(mask))
        return {PREFIX + key: text for key, text in found.items()}


def counts_of(mask: NDArray[np.uint8]) -> Counter[int]:
    """Return how many pixels have each value of `LEGEND`."""
    return Counter({e.value: int(np.count_nonzero(mask == e.value)) for e in LEGEND})


def shares(counts: Mapping[int, int]) -> dict[str, str]:
    """Return key and text of the share of each value of a mask, in percent of all that have one."""
    pixels = sum(counts.values())
    return {
        f"PERCENT_{entry.name.upper()}": f"{100 * counts[entry.value] / pixels:.4g}"
        for entry in LEGEND
    }


def is_product(tags: Mapping[str, str]) -> bool:
    """Return whether the tags of a file say that it was decoded here."""
    return PREFIX + "MODEL_HASH" in tags
