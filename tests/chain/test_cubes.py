"""Scenes of more bands than a tile takes: coded in groups of bands, with one step and one mask."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.decode.decoder import Decoded, Decoder
from ground.decode.dump import dump_scene
from ground.decode.inventory import take_inventory
from ground.decode.mask import Mask
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.codec.bound import Bound
from onboard.encoder import Encoder, Options
from onboard.encoder.boundedplace import BoundedBox
from onboard.errors import InputError, UsageError
from onboard.image.tiles import TileGrid
from onboard.link.binding import bindings_of
from onboard.link.foreign import read_ours
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment

NAME = "skybook"


@cache
def cube(bands: int, rows: int = 130, cols: int = 90) -> NDArray[np.uint16]:
    """Return a scene with a corner of nodata."""
    image = procedural(4, rows, cols, bands, nodata=False).image.astype(np.uint16)
    image[:, 50:, 70:] = 0
    return image


@cache
def segments(bands: int, options: Options) -> list[bytes]:
    image = cube(bands)
    return list(Encoder(bundles.load(NAME)).encode(image, SceneHeader.of(image, nodata=0), options))


def decoded(stream: bytes) -> Decoded:
    return Decoder(bundles.find(NAME)).decode(stream)


@pytest.mark.parametrize("bands", [17, 40])
@pytest.mark.parametrize("options", [Options(ratio=8.0), Options(ratio=8.0, window="strip")])
def test_a_cube_comes_back(bands: int, options: Options) -> None:
    image = cube(bands)
    stream = b"".join(segments(bands, options))
    assert len(stream) <= image.nbytes / 8
    found = decoded(stream)
    assert found.complete
    assert found.scene.image.shape == image.shape
    assert ((found.mask == Mask.NODATA) == (image == 0).all(axis=0)).all()
    error = found.scene.image.astype(np.int64) - image
    for band in range(bands):
        assert (error[band] ** 2).mean() < 0.05 * image[band].var()


def test_one_step_serves_all_groups() -> None:
    found = [
        segment.body[1]
        for segment in read_segments(b"".join(segments(20, Options(ratio=8.0))))
        if isinstance(segment, Segment) and segment.kind == Kind.TILE and segment.layer == 0
    ]
    assert max(found) - min(found) <= 2


def test_what_is_whole_of_a_cube_does_not_depend_on_what_is_lost() -> None:
    sent = segments(20, Options(ratio=8.0))
    whole = decoded(b"".join(sent))
    rng = np.random.default_rng(3)
    left = [sent[0], *(segment for segment in sent[1:] if rng.random() > 0.1)]
    found = decoded(b"".join(left))
    sure = found.mask == Mask.COMPLETE
    assert 0 < sure.sum() < sure.size
    assert (found.mask > Mask.INFLUENCED).any()
    assert np.array_equal(found.scene.image[:, sure], whole.scene.image[:, sure])
    missing = take_inventory(
        bundles.load(NAME), read_ours(b"".join(left), bindings_of(b"".join(left)))
    )
    assert missing.tiles == TileGrid(90, 130, 64, 2).count
    assert not missing.complete


def test_a_lost_group_is_carried_in_from_around_in_its_own_bands() -> None:
    sent = segments(20, Options(ratio=8.0))
    lost = TileGrid(90, 130, 64, 2).across  # the second group of the first tile
    left = [
        packed
        for packed, segment in zip(sent, read_segments(b"".join(sent)), strict=True)
        if not (isinstance(segment, Segment) and segment.kind == Kind.TILE and segment.tile == lost)
    ]
    found, image = decoded(b"".join(left)), cube(20)
    assert (found.mask[:64, :64] == Mask.CONCEALED).all()
    here = found.scene.image[:, :64, :64].astype(np.int64) - image[:, :64, :64]
    assert (here[:10] ** 2).mean() < 0.05 * image[:10, :64, :64].var()
    assert abs(here[10:].mean(axis=(1, 2))).max() < 0.5 * image[10:].mean()


def test_cubes_have_limits() -> None:
    bundle = bundles.load(NAME)
    with pytest.raises(InputError, match=r"expected 1\.\.1024, found 1025"):
        bundle.for_scene(1025, 16)
    stream = b"".join(segments(20, Options(ratio=8.0)))
    with pytest.raises(UsageError, match="dump: expected at most 16 bands, found 20"):
        dump_scene(bundle, read_ours(stream, bindings_of(stream)))


def bounded(bands: int, options: Options) -> list[bytes]:
    image = cube(bands, 60, 80)
    return list(Encoder(bundles.load(NAME)).encode(image, SceneHeader.of(image, nodata=0), options))


@pytest.mark.parametrize("bands", [17, 40])
def test_within_a_bound(bands: int) -> None:
    image = cube(bands, 60, 80)
    for text in ("0", ",".join(str(band % 5) for band in range(bands))):
        bound = Bound.parse(text)
        found = decoded(b"".join(bounded(bands, Options(max_error=bound))))
        assert found.complete
        assert ((found.scene.image == 0) == (image == 0)).all()
        assert (np.abs(found.scene.image.astype(int) - image) <= bound.at(image)).all()
    with pytest.raises(UsageError, match=f"one for each of {bands} bands"):
        bounded(bands, Options(max_error=Bound((1, 2))))


def test_a_lost_group_within_a_bound_is_told() -> None:
    image, sent = cube(20, 60, 80), bounded(20, Options(max_error=Bound((0,))))
    tiles = [s.tile if isinstance(s, Segment) else -1 for s in read_segments(b"".join(sent))]
    lost = len(tiles) - 1 - tiles[::-1].index(2)  # of the second group of the first tile
    found = decoded(b"".join(sent[:lost] + sent[lost + 1 :]))
    assert not found.complete
    whole = found.mask == Mask.COMPLETE
    assert 0 < whole.sum() < whole.size
    assert (found.scene.image == image)[:, whole].all()
    assert (found.scene.image == image)[:10].all()


def test_boxes_within_a_bound() -> None:
    image = cube(20, 60, 80)
    options = Options(ratio=6, regions=(BoundedBox((64, 0, 70, 9), Bound((1,))),))
    found = decoded(b"".join(bounded(20, options)))
    assert found.complete
    off = np.abs(found.scene.image.astype(int) - image)
    assert off[:, :, 64:].max() == 1
    assert off[:, :, :64].max() > 1
