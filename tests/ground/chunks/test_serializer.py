"""The serializer in Zarr arrays, by zarr, xarray and Dask, which know nothing of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.chunks.cubes import compress
from onboard.errors import StreamError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata is currently not part")
zarr = pytest.importorskip("zarr")
xarray = pytest.importorskip("xarray")
CODEC = {"name": "skybook", "configuration": {"max_error": 2}}
ROWS, COLS, SIDE = 50, 70, 32


def image(times: int = 1) -> NDArray[np.uint16]:
    """Samples (times, y, x) with nodata (0) at the left."""
    rows, cols = np.mgrid[:ROWS, :COLS]
    noise = np.random.default_rng(8).integers(0, 30, (times, ROWS, COLS))
    found = (500 + 3 * rows + 2 * cols + noise).astype(np.uint16)
    found[..., :5] = 0
    return found


def array(store: Path, serializer: Any = CODEC, **options: Any) -> Any:
    """An empty array (y, x), uint16, in chunks of which those at the border are cut."""
    wanted = {"shape": (ROWS, COLS), "chunks": (SIDE, SIDE), "dtype": "u2", "fill_value": 0}
    return zarr.create_array(
        store, serializer=serializer, compressors=None, zarr_format=3, **(wanted | options)
    )


def spoil(store: Path, kept: str) -> None:
    """Damage every chunk but one: whoever reads another learns of it."""
    for path in (path for path in (store / "c").rglob("*") if path.is_file()):
        if str(path.relative_to(store)) != kept:
            path.write_bytes(b"\xff" + path.read_bytes()[1:])


@pytest.mark.parametrize("options", [{}, {"shards": (2 * SIDE, 3 * SIDE)}, {"dtype": ">u2"}])
def test_arrays_come_back_within_the_bound(store: Path, options: dict[str, Any]) -> None:
    array(store, **options)[:] = image()[0]
    found = zarr.open_array(store, mode="r")[:].astype(int)
    assert 0 < np.abs(found - image()[0]).max() <= 2
    np.testing.assert_array_equal(found == 0, image()[0] == 0)


@pytest.mark.parametrize("shards", [None, (2 * SIDE, 3 * SIDE)])
def test_of_a_chunk_never_written_there_is_no_data(store: Path, shards: Any) -> None:
    array(store, shards=shards, fill_value=65_535)[:SIDE, :SIDE] = 900
    found = zarr.open_array(store, mode="r")[:]
    assert np.abs(found[:SIDE, :SIDE].astype(int) - 900).max() <= 2
    assert (found[SIDE:] == 65_535).all()
    assert (found[:, SIDE:] == 65_535).all()


def test_of_a_damaged_chunk_nothing_is_read_and_of_others_all(store: Path) -> None:
    array(store)[:] = image()[0]
    spoil(store, "c/0/1")
    opened = zarr.open_array(store, mode="r")
    assert np.abs(opened[:SIDE, SIDE : 2 * SIDE].astype(int) - image()[0, :SIDE, 32:64]).max() <= 2
    with pytest.raises(StreamError, match="segment"):
        opened[:]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"dtype": "f4"}, "u8, i8, u16 or i16, found float32"),
        ({"shape": (99,), "chunks": (9,)}, r"chunks \(..., y, x\)"),
        ({"shape": (1_025, 9, 9), "chunks": (1_025, 9, 9)}, "1 to 1024 bands"),
    ],
)
def test_what_is_no_image_is_refused_when_it_is_made(
    store: Path, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        array(store, **options)


def cube(times: int = 2) -> Any:
    """A dataset of two times, and flags beside the image."""
    axes = {"time": np.arange(times), "y": np.arange(ROWS) + 0.5, "x": np.arange(COLS) + 0.5}
    flags = {"flag_values": np.array([0, 3], np.uint8), "flag_meanings": "good lost"}
    return xarray.Dataset(
        {
            "red": (("time", "y", "x"), image(times), {}, {"_FillValue": 0}),
            "mask": (("y", "x"), np.full((ROWS, COLS), 3, np.uint8), flags),
            "angle": (("y", "x"), np.ones((ROWS, COLS), np.float32)),
        },
        axes,
    )


def written(store: Path, times: int = 2) -> Any:
    """Write a compressed cube, chunks of one time each; return the cube."""
    whole = cube(times)
    compress(whole, {"y": SIDE}, max_error=2).to_zarr(store, zarr_format=3)
    return whole


def opened(store: Path, **options: Any) -> Any:
    """Open with Dask and digital numbers as they are."""
    return xarray.open_zarr(store, mask_and_scale=False, **options)


def test_a_cube_says_what_it_lost_and_keeps_flags_and_floats(store: Path) -> None:
    whole = written(store)
    assert "compression" not in whole["red"].attrs
    found = opened(store)
    assert 0 < np.abs(found["red"].values.astype(int) - whole["red"]).max() <= 2
    assert found["red"].attrs["compression"] == "lossy: skybook, bundle skybook"
    assert found["red"].attrs["compression_max_error"] == 2
    np.testing.assert_array_equal(found["mask"], whole["mask"])
    np.testing.assert_array_equal(found["angle"], whole["angle"])
    assert "compression" not in found["mask"].attrs
    assert np.isnan(xarray.open_zarr(store)["red"].values[..., :5]).all()


def test_dask_reads_the_chunks_it_needs_and_no_others(store: Path) -> None:
    whole = written(store)
    spoil(store / "red", "c/1/1/0")
    lazy = opened(store, chunks={})["red"]
    assert lazy.chunks[0] == (1, 1)
    found = lazy[1, SIDE + 3 : SIDE + 9, 8:20].compute()
    wanted = whole["red"][1, SIDE + 3 : SIDE + 9, 8:20]
    assert np.abs(found.astype(int) - wanted).max() <= 2
    with pytest.raises(StreamError):
        lazy.mean().compute()


def test_writes_of_regions_and_appends_keep_the_codec(store: Path) -> None:
    written(store)
    later = cube().drop_vars(["mask", "angle", "y", "x"])
    later["red"][:] = 700
    later["red"].encoding.clear()  # they have that of the array
    later.isel(time=[0]).to_zarr(store, region={"time": slice(0, 1)})
    later.assign_coords(time=[2, 3]).to_zarr(store, append_dim="time")
    raw = zarr.open_array(store / "red", mode="r")
    assert raw.serializer.to_dict()["configuration"]["max_error"] == 2
    assert raw.shape == (4, ROWS, COLS)
    found = opened(store)["red"].values.astype(int)
    assert np.abs(found[[0, 2, 3]] - 700).max() <= 2
    assert np.abs(found[1] - image(2)[1]).max() <= 2


def test_what_is_copied_keeps_the_codec_and_what_is_reckoned_does_not(
    store: Path, tmp_path: Path
) -> None:
    written(store)
    opened(store).to_zarr(tmp_path / "copy.zarr", zarr_format=3)
    copied = zarr.open_array(tmp_path / "copy.zarr" / "red", mode="r")
    assert copied.serializer.to_dict()["name"] == "skybook"
    reckoned = (opened(store)[["red"]] + 1).astype("u2")
    reckoned.to_zarr(tmp_path / "sum.zarr", zarr_format=3)
    assert zarr.open_array(tmp_path / "sum.zarr" / "red").serializer.to_dict()["name"] == "bytes"
