"""The compressor of Zarr v2, and numcodecs alone."""

from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr

from ground.chunks.numcodec import Skybook
from onboard.errors import StreamError, UsageError
from tests.ground.chunks.test_chunk import samples


def test_configuration_comes_back() -> None:
    codec = numcodecs.get_codec({"id": "skybook", "max_error": 3, "nodata": 0})
    assert codec == numcodecs.get_codec(codec.get_config())
    assert codec.get_config().items() >= {"dtype": "<u2", "nodata": 0, "max_error": 3}.items()
    with pytest.raises(UsageError, match="'quality'"):
        numcodecs.get_codec({"id": "skybook", "quality": 3})


@pytest.mark.parametrize("dtype", ["u1", ">i2"])
def test_arrays_of_version_2_keep_the_bound(store: Path, dtype: str) -> None:
    image = samples(2, 30, 40).astype(dtype)
    codec = Skybook(dtype, 0, max_error=2)
    wanted = {"chunks": (2, 20, 32), "dtype": dtype, "fill_value": 0, "zarr_format": 2}
    array = zarr.create_array(store, shape=image.shape, compressors=codec, **wanted)
    array[:] = image
    found = zarr.open_array(store, mode="r")[:]
    assert 0 < np.abs(found.astype(int) - image.astype(int)).max() <= 2


def test_it_fills_an_array_that_is_given() -> None:
    image = samples(2, 2, 20, 30)
    codec = Skybook(max_error=2)
    stream = codec.encode(image)
    out = np.zeros_like(image)
    assert codec.decode(stream, out) is out
    assert np.abs(out.astype(int) - image).max() <= 2
    np.testing.assert_array_equal(codec.decode(stream).reshape(out.shape), out)


def test_what_would_come_back_scrambled_or_as_another_type_is_refused() -> None:
    codec = Skybook(max_error=2)
    with pytest.raises(UsageError, match="order F"):
        codec.encode(np.asfortranarray(samples(20, 30)))
    with pytest.raises(UsageError, match="expected dtype <u2, found >u2"):
        codec.encode(samples(20, 30).astype(">u2"))
    with pytest.raises(StreamError):
        codec.decode(b"nothing of ours")
