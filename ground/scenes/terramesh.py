"""TerraMesh: samples of Sentinel-2 as zipped Zarrs, alone or in shards (tar).

`train/S2L2A/majortom_shard_000001.tar` holds `NAME.zarr.zip`, and each of these an array `bands`
(1, band, row, column) on the grid of 10 m: 13 bands of S2L1C, 12 of S2L2A (without B10), in the
order of their numbers. Other modalities (radar, height, land cover) are no scenes.

Source: page and `terramesh.py` of huggingface.co/datasets/ibm-esa-geospatial/TerraMesh.
"""

import re
import tarfile
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from ground.products.extra import library
from ground.scene import Scene
from onboard.errors import InputError, SkybookError

SUFFIX, SHARD = ".zarr.zip", ".tar"
_MODALITIES, _SPLITS = ("S2L1C", "S2L2A"), ("train", "val", "test")
_BANDS = (12, 13)
_MOST_PIXELS, _MOST_BYTES = 1 << 24, 1 << 28


def is_sample(path: Path) -> bool:
    """Say whether a path is that of a sample; of one in a shard it is `SHARD.tar/NAME.zarr.zip`."""
    return path.name.endswith(SUFFIX)


def find_samples(root: Path) -> Iterator[Path]:
    """Yield the samples below a folder that are in a folder of a modality of Sentinel-2.

    Raises:
        InputError: a shard cannot be read.
    """
    for path in sorted(root.rglob("*")):
        if path.parent.name in _MODALITIES and path.is_file():
            if is_sample(path):
                yield path
            elif path.suffix == SHARD:
                yield from (path / name for name in _members(path) if name.endswith(SUFFIX))


def place_and_split(path: Path) -> tuple[str, str]:
    """Return where a sample was taken, and of which split its folder is.

    That is the cell of MajorTOM's grid where its name has one, else each is a place of its own.
    """
    cell = re.search(r"\d+[UD]_\d+[LR]", path.name)
    split = [folder.name for folder in path.parents if folder.name in _SPLITS][:1]
    return cell.group() if cell else path.name.removesuffix(SUFFIX), "".join(split)


def read_sample(path: Path) -> Scene:
    """Read all bands of a sample, 12 or 13; what is below 0 becomes 0.

    Raises:
        InputError: it is missing, damaged or no sample of Sentinel-2.
        EngineError: zarr is not installed.
    """
    zarr = library("zarr")
    try:
        with tempfile.NamedTemporaryFile(suffix=SUFFIX) as copy:
            file = path
            if path.parent.suffix == SHARD:
                copy.write(_member(path))
                copy.flush()
                file = Path(copy.name)
            with zarr.storage.ZipStore(file, read_only=True) as store:
                bands = zarr.open_group(store, mode="r")["bands"]
                *others, count, rows, cols = bands.shape
                whole = set(others) <= {1} and bands.dtype.kind in "iu"
                if not whole or count not in _BANDS or rows * cols > _MOST_PIXELS:
                    raise InputError(
                        f"{path}: expected 12 or 13 bands of whole numbers, found {bands.dtype} "
                        f"{bands.shape}"
                    )
                image = np.asarray(bands[...]).reshape(count, rows, cols)
    except SkybookError:
        raise
    except Exception as error:  # zarr and zipfile have no error of their own
        raise InputError(f"{path}: expected a sample of TerraMesh: {error!r:.200}") from error
    return Scene(image.clip(0, 65_535).astype(np.uint16))


@lru_cache(maxsize=16)
def _members(shard: Path) -> dict[str, tuple[int, int]]:
    """Return where the files of a shard lie: first byte and length by name.

    Raises:
        InputError: it is no tar.
    """
    try:
        with tarfile.open(shard, "r:") as files:
            return {m.name.removeprefix("./"): (m.offset_data, m.size) for m in files if m.isfile()}
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{shard}: expected a shard of samples: {error}") from error


def _member(path: Path) -> bytes:
    first, length = _members(path.parent)[path.name]
    if length > _MOST_BYTES:
        raise InputError(f"{path}: expected at most {_MOST_BYTES} bytes, found {length}")
    with path.parent.open("rb") as shard:
        shard.seek(first)
        return shard.read(length)
