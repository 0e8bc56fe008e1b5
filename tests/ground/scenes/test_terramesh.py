"""TerraMesh and MajorTOM-Core: small files in their layout are scenes like any other."""

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import zarr

from ground.products.geotiff import write
from ground.scene import Scene
from ground.scenes.folders import find_scenes, read_item, read_tiles, train_items
from ground.scenes.tenbands import BANDS, TenBands, read_ten_bands
from ground.scenes.terramesh import read_sample
from onboard.errors import InputError

CELL = "433D_629L"


def sample(path: Path, bands: int, dtype: str = "int16", side: int = 8) -> np.ndarray:
    """Write a sample, bands of 20 m repeated; return its image."""
    rng = np.random.default_rng(bands)
    image = rng.integers(-5, 4_000, (bands, side // 2, side // 2)).repeat(2, 1).repeat(2, 2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zarr.storage.ZipStore(path, mode="w") as store:
        group = zarr.open_group(store, mode="w", zarr_format=2)
        array = group.create_array("bands", shape=(1, *image.shape), dtype=dtype, chunks="auto")
        array[...] = image[None]
        group.create_array("center_lat", shape=(1,), dtype="float64")[...] = 50.0
    return image


@pytest.fixture
def terramesh(tmp_path: Path) -> Path:
    """Two shards of MajorTOM and one sample alone; a shard of another modality."""
    root, loose = tmp_path / "TerraMesh", tmp_path / "loose"
    for split, modality, bands in (("train", "S2L2A", 12), ("val", "S2L1C", 13)):
        (root / split / modality).mkdir(parents=True)
        with tarfile.open(root / split / modality / "majortom_shard_000001.tar", "w") as shard:
            for number in range(2):
                name = f"{split}_{CELL}_{number}.zarr.zip"
                sample(loose / name, bands)
                shard.add(loose / name, name)
    sample(root / "train" / "S2L2A" / "ssl4eos12_7.zarr.zip", 12)
    sample(root / "train" / "S1RTC" / "ssl4eos12_7.zarr.zip", 2)
    return root


def test_samples_are_scenes_of_the_split_of_their_folder(terramesh: Path) -> None:
    items = find_scenes(terramesh)
    assert [(item.place, item.split) for item in items] == [
        (CELL, "train"), (CELL, "train"), ("ssl4eos12_7", "train"), (CELL, "val"), (CELL, "val"),
    ]  # fmt: skip
    training, validation = train_items(terramesh)
    assert (len(training), len(validation)) == (3, 2)
    assert read_tiles(items, 8, 8).shape == (5, 4, 8, 8)


@pytest.mark.parametrize("bands", [12, 13])
def test_bands_are_those_of_their_numbers(tmp_path: Path, bands: int) -> None:
    path = tmp_path / "val" / "S2L2A" / "x.zarr.zip"
    image = sample(path, bands)
    (item,) = find_scenes(tmp_path)
    four = read_item(item)
    assert four.band_ids == ("B02", "B03", "B04", "B08")
    assert np.array_equal(four.image, image[[1, 2, 3, 7]].clip(0))
    ten = read_ten_bands(item)
    assert ten.band_ids == BANDS
    assert np.array_equal(TenBands.of(ten).coarse[-1], image[-1].clip(0)[::2, ::2])


def test_what_is_no_sample_is_refused(tmp_path: Path, terramesh: Path) -> None:
    folder = tmp_path / "val" / "S2L2A"
    sample(folder / "few.zarr.zip", 3)
    sample(folder / "real.zarr.zip", 12, "float32")
    (folder / "none.zarr.zip").write_bytes(b"no zip at all")
    with zipfile.ZipFile(folder / "empty.zarr.zip", "w") as empty:
        empty.writestr(".zgroup", '{"zarr_format": 2}')
    for item in find_scenes(folder):
        with pytest.raises(InputError, match=item.path.name):
            read_item(item)
    shard = next(terramesh.rglob("*.tar"))
    whole = read_sample(shard / f"train_{CELL}_0.zarr.zip").image
    assert whole.shape == (12, 8, 8)
    with pytest.raises(InputError, match=r"other\.zarr\.zip"):
        read_sample(shard / "other.zarr.zip")
    (folder / "bad.tar").write_bytes(b"\1" * 1024)
    with pytest.raises(InputError, match=r"bad\.tar"):
        find_scenes(folder)


def test_a_sample_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "S2L2A" / "x.zarr.zip"
    sample(path, 12)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError):
            read_sample(path)
    assert zipfile.is_zipfile(io.BytesIO(whole))


def test_a_product_of_majortom_core_is_one_scene(tmp_path: Path) -> None:
    """Folders of row, cell and product, a file for each band; cloud mask and thumbnail beside."""
    folder = tmp_path / "L2A" / "433D" / CELL / "S2A_MSIL2A_20200101T000000_N0500_R001_T21HXY"
    folder.mkdir(parents=True)
    for number, band in enumerate(BANDS):
        side = 8 if number < 4 else 4
        write(folder / f"{band}.tif", Scene(np.full((1, side, side), number, np.uint16)))
    write(folder / "cloud_mask.tif", Scene(np.zeros((1, 8, 8), np.uint8)))
    (item,) = find_scenes(tmp_path)
    assert item.place == CELL
    assert read_item(item).image[:, 0, 0].tolist() == [0, 1, 2, 3]
    assert read_ten_bands(item).image[:, 0, 0].tolist() == list(range(10))
