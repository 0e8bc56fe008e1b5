"""What is held of large scenes: tiles coded before all are chosen for, the same bytes as after."""

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.codec.bound import Bound
from onboard.encoder import Encoder, Options, encoder, windows
from onboard.encoder.planned import Planned
from onboard.errors import InputError
from onboard.link.header import SceneHeader

OPTIONS = {
    "ratio": Options(ratio=12.0),
    "trellis": Options(ratio=12.0, trellis=True),
    "quality": Options(psnr=60.0),
    "bound": Options(max_error=Bound.parse("4")),
}


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint16]:
    """Tiles of 64, some of them narrow."""
    return procedural(2, 2 * 64 + 12, 4 * 64 + 7).image.astype(np.uint16)


@pytest.mark.parametrize("kind", OPTIONS)
def test_bytes_do_not_depend_on_what_is_held(
    image: NDArray[np.uint16], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    coder = Encoder(bundles.load("skybook"), "numpy")
    held = list(coder.encode(image, None, OPTIONS[kind]))
    monkeypatch.setattr(windows, "HELD", 4)
    monkeypatch.setattr(encoder, "HELD", 7)
    assert list(coder.encode(image, None, OPTIONS[kind])) == held


def test_symbols_of_many_tiles_are_not_kept(
    image: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[bool] = []
    write = windows.RateWindows.write

    def watched(self: windows.RateWindows, planned: Sequence[Planned]) -> windows.Segments:
        kept.extend(tile.plan is not None for tile in planned)
        return write(self, planned)

    monkeypatch.setattr(windows, "HELD", 4)
    monkeypatch.setattr(windows.RateWindows, "write", watched)
    header = SceneHeader.of(image, tile=64)
    list(Encoder(bundles.load("skybook"), "numpy").encode(image, header, OPTIONS["ratio"]))
    assert len(kept) >= 12
    assert sum(kept) < 12


def test_of_samples_out_of_range_nothing_is_coded(
    image: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far down they are, and though what is above them is coded by itself; nodata may."""
    monkeypatch.setattr(encoder, "HELD", 4)
    image = image >> 6
    image[:, -1, 0] = 2_000
    header = replace(SceneHeader.of(image, nodata=2_000), significant_bits=10)
    coder = Encoder(bundles.load("skybook"), "numpy")
    assert len(list(coder.encode(image, header, OPTIONS["bound"]))) > 12
    image[1, -1, 0] = 1_024
    with pytest.raises(InputError, match="significant bits"):
        next(coder.encode(image, header, OPTIONS["bound"]))


def test_little_is_held_of_a_scene_within_a_bound(
    image: NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times the lines take no more memory."""
    monkeypatch.setattr(encoder, "HELD", 4)
    monkeypatch.setattr("onboard.encoder.batches._TILES_AT_ONCE", 4)
    coder = Encoder(bundles.load("skybook"), "numpy")
    peaks = []
    for scene in (image, np.tile(image, (1, 4, 1))):
        written = sum(map(len, coder.encode(scene, None, OPTIONS["bound"])))
        tracemalloc.start()
        assert sum(map(len, coder.encode(scene, None, OPTIONS["bound"]))) == written
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]
