"""Streams as datasets: opened lazily, or decoded at once from bytes."""

import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ground
import onboard
from ground.api.windows import Windows
from ground.products.extra import library
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.bundle import load
from onboard.bundle.profiles import pack_profile
from onboard.errors import BundleError, EngineError, InputError, LimitError, StreamError, UsageError
from onboard.link.end import told_run
from onboard.link.facts import Facts
from onboard.link.segment import Kind, Segment, unpack_segments
from tests import profiles as spectral
from tests.conftest import NAME

pytest.importorskip("xarray")
PLACE = (600000.0, 10.0, 0.0, 4500000.0, 0.0, -10.0)
SIDE = 64


def encoded(bands: int = 4, **options: Any) -> bytes:
    """A stream of 136 x 200 pixels with nodata and all that a dataset says."""
    image = procedural(6, 136, 200).image[:bands].astype(np.uint16)
    image[:, :20], image[:, 64:128, 128:192] = 0, 0
    names, facts = ("B02", "B03", "B04", "B08")[:bands], Facts(((1e-4, -0.1),))
    scene = Scene(image, 0, PLACE, "EPSG:32633", names, facts, None, (2_145_916_837, 0))
    usual = bands == 4 and "bundle" not in options
    header = replace(scene.header(), tile=SIDE if usual else None)
    return onboard.encode(image, header=header, **{"ratio": 10, **options})


def without(stream: bytes, *tiles: int) -> bytes:
    """The stream of which some tiles are lost."""
    segments = unpack_segments(stream)
    return b"".join(s.pack() for s in segments if s.kind != Kind.TILE or s.tile not in tiles)


@pytest.fixture(scope="module")
def stream() -> bytes:
    return encoded()


@pytest.fixture
def path(tmp_path: Path, stream: bytes) -> Path:
    found = tmp_path / "a.sky"
    found.write_bytes(without(stream, 10))
    return found


def test_a_dataset_says_what_the_stream_says(path: Path) -> None:
    cube = ground.open(path)
    whole = ground.decode(path.read_bytes())
    assert cube.image.dtype == np.uint16
    assert cube.sizes == {"band": 4, "y": 136, "x": 200}
    assert cube.band.values.tolist() == ["B02", "B03", "B04", "B08"]
    assert (float(cube.x[0]), float(cube.y[0])) == (600005.0, 4499995.0)
    assert cube.image.attrs["scale_factor"] == 1e-4
    assert cube.image.attrs["_FillValue"] == 0
    assert cube.mask.attrs["flag_meanings"].split()[3] == "concealed"
    assert cube.attrs["skybook_model_hash"] == load("skybook").model_hash.hex()
    distinct = set(unpack_segments(path.read_bytes()))
    assert cube.attrs["skybook_bytes_received"] == str(sum(s.size for s in distinct))
    assert "skybook_complete" not in cube.attrs  # nobody looked
    assert whole.attrs["skybook_complete"] == "no"
    assert float(whole.attrs["skybook_percent_concealed"]) > 1
    for name in cube.variables:
        assert str(cube[name].attrs) == str(whole[name].attrs)


@pytest.mark.parametrize("linear", [False, True])
def test_windows_are_parts_of_the_whole(path: Path, linear: bool) -> None:
    """Whatever is complete or without data is the same, and so is all of the mask."""
    whole = ground.decode(path.read_bytes(), linear=linear)
    cube = ground.open(path, linear=linear)
    for row, col in ((0, 0), (64, 70), (100, 192)):
        here = {"y": slice(row, row + SIDE), "x": slice(col, col + SIDE)}
        part, wanted = cube.isel(here).load(), whole.isel(here)
        np.testing.assert_array_equal(part.mask, wanted.mask)
        sure = np.isin(wanted.mask, (0, 4))
        np.testing.assert_array_equal(part.image.values[:, sure], wanted.image.values[:, sure])
    assert (whole.mask == 3).any()
    assert (whole.mask == 4).any()
    np.testing.assert_array_equal(cube.image, whole.image)


def test_only_tiles_that_are_looked_at_are_decoded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Sequence[int], Sequence[int]]] = []
    moved = Windows._moved

    def noted(self: Windows, down: range, across: range) -> list[Segment]:
        asked.append((down, across))
        return moved(self, down, across)

    monkeypatch.setattr(Windows, "_moved", noted)
    cube = ground.open(path, linear=True)
    assert not asked
    part = cube.isel(y=slice(70, 90), x=slice(70, 80))
    assert part.image.sum() > 0
    assert part.mask.max() < 3
    assert asked == [(range(1, 2), range(1, 2))]  # once for both


def test_any_index_of_numpy_reads_what_it_means(path: Path) -> None:
    image = ground.open(path, linear=True).image
    whole = ground.decode(path.read_bytes(), linear=True).image.values
    np.testing.assert_array_equal(image[::-1, 5, ::-7], whole[::-1, 5, ::-7])
    np.testing.assert_array_equal(image[2, 9:3:-2, [3, 1, 150]], whole[2, 9:3:-2, [3, 1, 150]].T)
    np.testing.assert_array_equal(image[1:3, -1], whole[1:3, -1])
    assert image[:, 5:5].values.shape == (4, 0, 200)
    assert image[0, 0, 0].values == 0


def test_dask_and_other_processes_read_the_same(path: Path) -> None:
    pytest.importorskip("dask")
    cube = ground.open(path, linear=True)
    sure, whole = np.isin(cube.mask, (0, 4)), cube.image.values
    chunked = cube.chunk(y=SIDE, x=2 * SIDE)
    assert chunked.image.chunks[1:] == ((64, 64, 8), (128, 72))
    np.testing.assert_array_equal(chunked.image.compute().values[:, sure], whole[:, sure])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cube)).image, whole)


def test_what_stands_in_for_a_loss_is_near_what_is_around(path: Path) -> None:
    here = {"y": slice(128, 136), "x": slice(128, 192)}
    part = ground.open(path, linear=True).isel(here)
    whole = ground.decode(path.read_bytes(), linear=True).isel(here)
    assert (part.mask == 3).all()
    off = part.image.astype(int) - whole.image
    assert float(abs(off).mean()) < float(whole.image.std())


def test_a_mosaic_has_its_own_pixels(tmp_path: Path) -> None:
    mosaic = Scene(procedural(3, 140, 200).image[:1].astype(np.uint16), 0, PLACE, "EPSG:32633")
    planes = mosaic.split("rggb")
    path = tmp_path / "a.sky"
    path.write_bytes(onboard.encode(planes.image, header=planes.header(), ratio=8))
    cube, whole = ground.open(path), ground.decode(path.read_bytes())
    assert cube.sizes == {"band": 1, "y": 140, "x": 200}
    np.testing.assert_array_equal(cube.image[:, 50:131, 7:140], whole.image[:, 50:131, 7:140])
    assert cube.image.attrs == whole.image.attrs
    np.testing.assert_array_equal(cube.x, whole.x)


@pytest.mark.parametrize(
    ("options", "bands"), [({"max_error": 2}, 2), ({"bundle": NAME, "ratio": None}, 4)]
)
def test_bounds_and_other_families_have_windows_too(
    tmp_path: Path, options: dict[str, Any], bands: int
) -> None:
    path = tmp_path / "a.sky"
    path.write_bytes(encoded(bands, **{"ratio": None, **options}))
    here = {"y": slice(60, 100), "x": slice(90, 100)}
    part, whole = ground.open(path).isel(here), ground.decode(path.read_bytes()).isel(here)
    np.testing.assert_array_equal(part.image, whole.image)
    np.testing.assert_array_equal(part.mask, whole.mask)


def test_without_the_size_of_the_scene_all_is_decoded_at_once(tmp_path: Path) -> None:
    segments = unpack_segments(encoded(window="strip"))
    path = tmp_path / "a.sky"
    path.write_bytes(b"".join(s.pack() for s in segments if s.kind != Kind.END))
    cube = ground.open(path, linear=True)
    assert cube.attrs["skybook_complete"] == "no"
    assert (cube.image.shape, cube.image.dtype) == ((4, 136, 200), np.uint16)


def test_of_several_scenes_one_has_to_be_chosen(tmp_path: Path, stream: bytes) -> None:
    both = stream + encoded(scene_id=5, ratio=20)
    with pytest.raises(UsageError, match="0, 5"):
        ground.decode(both)
    assert ground.decode(both, scene_id=5, linear=True).attrs["skybook_scene_id"] == "5"
    with pytest.raises(StreamError, match="no segment of scene 6"):
        ground.decode(both, scene_id=6)


def test_of_two_encodings_the_better_one_is_opened(tmp_path: Path, stream: bytes) -> None:
    both = without(encoded(ratio=20), 2, 3) + stream
    (run,) = runs_of(stream)
    assert ground.decode(both, linear=True).attrs["skybook_run"] == str(run)
    (other,) = runs_of(both) - {run}
    assert ground.decode(both, linear=True, run=other).attrs["skybook_run"] == str(other)


def runs_of(stream: bytes) -> set[int]:
    return {run for s in unpack_segments(stream) if (run := told_run(s)) is not None}


def test_bad_input_is_refused_by_name(tmp_path: Path, stream: bytes, path: Path) -> None:
    with pytest.raises(InputError, match="no-such"):
        ground.open(tmp_path / "no-such.sky")
    with pytest.raises(StreamError, match="no intact segment"):
        ground.decode(b"nothing of ours")
    with pytest.raises(UsageError, match="found none"):
        ground.open()
    for opened in (
        lambda: ground.open(path, max_pixels=99),
        lambda: ground.decode(stream, max_pixels=99),
    ):
        with pytest.raises(LimitError, match="99"):
            opened()
    with pytest.raises(EngineError, match=r"skybook\[products\]"):
        library("no_such_library")


def test_a_cube_is_opened_with_its_profile(tmp_path: Path) -> None:
    image, profile = spectral.cube(20, 136, 90), tmp_path / "camera.prof"
    profile.write_bytes(pack_profile(spectral.learnt(20)))
    stream = onboard.encode(image, nodata=0, ratio=40, profile=profile)
    (tmp_path / "a.sky").write_bytes(stream)
    cube = ground.open(tmp_path / "a.sky", profile=profile)
    whole = ground.decode(stream, profile=profile)
    assert whole.attrs["skybook_complete"] == "yes"
    np.testing.assert_array_equal(cube.image[:, 60:70, :30], whole.image[:, 60:70, :30])
    with pytest.raises(BundleError, match="profile: expected"):
        ground.decode(stream)
