"""Writes of all and of parts of chunks: arrays come to what they do with zarr's own codec."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onboard.errors import StreamError

zarr = pytest.importorskip("zarr")
SHAPE, FILL = (3, 21, 35), 7
LOSSLESS = {"name": "skybook", "configuration": {"max_error": 0}}


def samples(*shape: int) -> NDArray[np.uint16]:
    """Samples of which none has the fill value."""
    return np.random.default_rng(3).integers(8, 60_000, shape).astype(np.uint16)


def array(store: Path, serializer: Any = LOSSLESS, **options: Any) -> Any:
    """An array of chunks of which those at the border are cut."""
    usual = {"shape": SHAPE, "chunks": (3, 16, 16), "dtype": "u2", "fill_value": FILL}
    return zarr.create_array(store, serializer=serializer, compressors=None, **(usual | options))


def strewn(array: Any) -> None:
    array.vindex[[0, 1, 2], [1, 17, 20], [2, 3, 34]] = samples(3)


def masked(array: Any) -> None:
    chosen = np.arange(np.prod(SHAPE)).reshape(SHAPE) % 7 == 0
    array.set_mask_selection(chosen, samples(int(chosen.sum())))


def row_of_columns(array: Any) -> None:
    array.oindex[:, 7, [4, 20, 34]] = samples(3, 3)


WRITES: dict[str, Callable[[Any], None]] = {
    "all": lambda array: array.__setitem__(..., samples(*SHAPE)),
    "one sample": lambda array: array.__setitem__((0, 0, 0), 9),
    "one band": lambda array: array.__setitem__((1, slice(3, 20), slice(7, 30)), samples(17, 23)),
    "one row": lambda array: array.__setitem__((slice(None), 5), samples(3, 35)),
    "steps": lambda array: array.__setitem__(
        (slice(None), slice(0, 21, 5), slice(2, 35, 7)), samples(3, 5, 5)
    ),
    "a chunk of one value": lambda array: array.__setitem__((..., slice(16), slice(16)), 900),
    "rows of all columns": lambda array: array.oindex.__setitem__(
        ([0, 2], slice(None), [1, 3, 33]), samples(2, 21, 3)
    ),
    "a row of columns": row_of_columns,
    "strewn samples": strewn,
    "a mask": masked,
}
IN_SHARDS = [*WRITES][:6]
"""zarr's shards take no other selections."""


@pytest.mark.parametrize("before", [False, True], ids=["empty", "written"])
@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, WRITES),
        ({"chunks": (1, 16, 16)}, WRITES),
        ({"chunks": SHAPE, "dtype": ">u2"}, WRITES),
        ({"shards": (3, 32, 48)}, IN_SHARDS),
    ],
    ids=["cubes", "bands", "whole", "shards"],
)
def test_whatever_is_written_is_there(
    tmp_path: Path, before: bool, options: dict[str, Any], names: list[str]
) -> None:
    for name in names:
        ours = array(tmp_path / f"{name}-a", **options)
        plain = array(tmp_path / f"{name}-b", "auto", **options)
        for one in (ours, plain):
            if before:
                one[:] = samples(*SHAPE)[:, ::-1]
            WRITES[name](one)
        np.testing.assert_array_equal(ours[:], plain[:], name)
        assert ours.nchunks_initialized == plain.nchunks_initialized, name


@pytest.mark.parametrize("shards", [None, (3, 32, 48)])
def test_of_empty_chunks_nothing_is_kept_unless_told(tmp_path: Path, shards: Any) -> None:
    for name, told in (("left out", False), ("kept", True)):
        store = tmp_path / name
        one = array(store, shards=shards, config={"write_empty_chunks": told})
        one[:] = samples(*SHAPE)
        one[:] = FILL
        files = [path for path in (store / "c").rglob("*") if path.is_file()]
        assert len(files) == (told and (1 if shards else 6))
        assert (one[:] == FILL).all()


def test_a_damaged_chunk_is_written_whole_and_never_in_part(tmp_path: Path) -> None:
    one = array(tmp_path / "a")
    one[:] = samples(*SHAPE)
    (tmp_path / "a" / "c" / "0" / "0" / "0").write_bytes(b"no stream")
    with pytest.raises(StreamError):
        one[:, :9, :9] = 900
    one[:, :16, :16] = 900
    assert (one[:, :16, :16] == 900).all()
