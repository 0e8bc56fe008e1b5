"""Overviews: coarse layers alone, near the mean of what the whole stream gives."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import onboard
from ground.api.source import Choice, Source
from ground.api.windows import Overviewed, Windows
from ground.decode.lapped.overview import averaged
from ground.decode.lapped.synthesis import synthesise
from ground.decode.mask import Mask
from ground.scene import Scene
from onboard.bundle import load
from onboard.errors import UsageError
from onboard.link.header import SceneHeader
from onboard.link.segment import Kind, Segment, unpack_segments
from tests.conftest import model_of

STEPS = (2, 4, 8, 16)


def opened(stream: bytes, linear: bool = True) -> Windows:
    windows = Windows.of(Source.of([stream], Choice(linear=linear)))
    assert windows is not None
    return windows


def whole(windows: Windows) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    _, rows, cols = windows.shape
    return windows.read(np.arange(rows), np.arange(cols))


def smooth(bands: int, rows: int, cols: int) -> NDArray[np.uint16]:
    """Waves of several lengths, of which each band has its own share."""
    y, x = np.mgrid[:rows, :cols]
    waves = [np.sin(x / 19 + y / 41), np.cos(y / 13), np.sin((x - y) / 29), np.cos(x / 7)]
    mixed = [sum((k + 1 + b) % 5 * wave for k, wave in enumerate(waves)) for b in range(bands)]
    return np.asarray(3000 + 200 * np.stack(mixed)).astype(np.uint16)


def error(found: Overviewed, image: NDArray[Any], step: int) -> float:
    whole = tuple(slice(side // step) for side in image.shape[1:])  # pixels of step x step
    away = (found.image - averaged(image.astype(np.float32), step))[:, *whole]
    return float(np.sqrt(np.mean(away**2)))


@pytest.mark.parametrize("step", [2, 4])
def test_averaged_filters_give_the_average(step: int) -> None:
    transform = model_of(load("skybook")).transform
    latents = np.random.default_rng(1).normal(0, 50, (2, 3, 5, 64)).astype(np.float32)
    fine = synthesise(transform, latents)
    np.testing.assert_allclose(
        synthesise(transform, latents, step), averaged(fine, step), atol=1e-3
    )


@pytest.mark.parametrize("bands", [1, 4, 6])
def test_an_overview_is_near_the_mean_of_the_image(bands: int) -> None:
    image = smooth(bands, 200, 264)
    windows = opened(onboard.encode(image, ratio=8))
    linear, _ = whole(windows)
    for step in STEPS:
        found = windows.overview(step)
        assert found.image.shape == (bands, -(-200 // step), -(-264 // step))
        assert found.layers is not None
        assert not found.mask.any()
        most = 0.3 if found.layers == 1 else 0.03
        assert error(found, linear, step) < most * image.std()


def test_the_coarsest_takes_all_dc_where_that_is_cheap() -> None:
    image = smooth(4, 256, 256)
    cheap, dear = (onboard.encode(image, ratio=ratio) for ratio in (2, 40))
    assert [opened(stream).overview(16).layers for stream in (cheap, dear)] == [3, 1]
    assert opened(dear).overview(8).layers == 3


@pytest.mark.parametrize(
    ("tile", "options"), [(64, {"trellis": True}), (128, {}), (64, {"one_layer": True})]
)
def test_streams_of_every_form_have_overviews(tile: int, options: dict[str, Any]) -> None:
    image = smooth(4, 128, 192)
    header = replace(SceneHeader.of(image), tile=tile)
    windows = opened(onboard.encode(image, header=header, ratio=10, **options))
    assert windows.grid.tile == tile
    linear, _ = whole(windows)
    for step in (4, 8):
        assert error(windows.overview(step), linear, step) < 0.03 * image.std()


def lost(stream: bytes, gone: Sequence[tuple[int, int]]) -> bytes:
    """A stream without some segments of tiles, by tile and least layer."""
    segments = unpack_segments(stream)

    def is_gone(one: Segment) -> bool:
        return one.kind == Kind.TILE and any(
            one.tile == tile and one.layer >= layer for tile, layer in gone
        )

    return b"".join(s.pack() for s in segments if not is_gone(s))


@pytest.mark.parametrize("step", STEPS)
def test_what_is_lost_is_told_and_filled_in(step: int) -> None:
    image = smooth(4, 192, 192)
    header = SceneHeader.of(image, tile=64)
    stream = onboard.encode(image, header=header, ratio=8, one_layer=True)
    tile = 64 // step
    gone = opened(lost(stream, [(4, 0)])).overview(step)
    here = np.zeros(gone.mask.shape, np.bool_)
    here[tile : 2 * tile, tile : 2 * tile] = True
    assert (gone.mask[here] == Mask.CONCEALED).all()
    assert not gone.mask[~here].any()
    assert abs(float(gone.image[:, here].mean()) - float(image.mean())) < 2 * image.std()
    base = opened(lost(stream, [(4, 2)])).overview(step)
    if base.layers != 1:
        assert (base.mask[here] == Mask.CONCEALED).all()
    fine = opened(lost(stream, [(4, 4)])).overview(step)
    wanted = Mask.COMPLETE if step >= 8 else Mask.FINE_MISSING
    assert (fine.mask[here] == wanted).all()
    assert not fine.mask[~here].any()


def test_nodata_counts_for_nothing() -> None:
    image = smooth(4, 192, 192)
    image[:, :70, :100] = 0
    windows = opened(onboard.encode(image, ratio=8, nodata=0))
    for step in STEPS:
        found = windows.overview(step)
        empty = found.mask == Mask.NODATA
        full = averaged((image[0] == 0).astype(np.float32)[None], step)[0] == 1
        np.testing.assert_array_equal(empty, full)
        assert not found.image[:, empty].any()
        assert found.image[:, ~empty].min() > 1000


def test_bounded_tiles_are_decoded_whole_and_averaged() -> None:
    image = smooth(2, 152, 132)
    windows = opened(onboard.encode(image, max_error=0))
    assert not windows.is_layered
    found = windows.overview(4)
    assert found.layers is None
    assert error(found, image, 4) < 1


def test_there_is_no_overview_of_a_mosaic_nor_at_other_sizes() -> None:
    planes = Scene(smooth(1, 128, 128)).split("rggb")
    windows = opened(onboard.encode(planes.image, header=planes.header(), ratio=8))
    with pytest.raises(UsageError, match="mosaic"):
        windows.overview(8)
    with pytest.raises(UsageError, match="expected one of"):
        opened(onboard.encode(smooth(1, 64, 64), ratio=8)).overview(3)
