"""Compressor `skybook` of Zarr v2, found by its entry point: the door to numcodecs."""

from typing import Any, Self

import numpy as np
from numcodecs.abc import Codec

from ground.chunks.chunk import decode_chunk, encode_chunk, header_of
from ground.chunks.quality import Quality
from onboard.errors import UsageError
from onboard.image.files import DTYPES


class Skybook(Codec):  # type: ignore[misc]
    """Numcodecs codec: a chunk (..., y, x) of 8 or 16 bits as a skybook stream.

    Zarr v2 tells a codec neither type nor fill value of its array: `dtype` and `nodata` do.
    """

    codec_id = "skybook"

    def __init__(self, dtype: str = "<u2", nodata: int | None = None, **configuration: Any) -> None:
        """Take type and fill value of the array, and what `Quality` has.

        Raises:
            UsageError: a key or value makes no sense.
        """
        self.dtype, self.nodata = np.dtype(dtype), nodata
        self.quality = Quality.of(configuration)

    def encode(self, buf: Any) -> bytes:
        """Return the stream of a chunk."""
        chunk = np.asarray(buf)
        if chunk.dtype != self.dtype:
            raise UsageError(f"codec skybook: expected dtype {self.dtype.str}, found {chunk.dtype}")
        if chunk.flags.f_contiguous and not chunk.flags.c_contiguous:
            raise UsageError("codec skybook: expected an array of order C, found one of order F")
        return encode_chunk(chunk, self.quality, self.nodata)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return the samples of a chunk, (bands, rows, cols), or fill `out` with them."""
        stream = memoryview(buf).cast("B").tobytes()
        header = header_of(stream)
        shape = header.bands, header.height, header.width
        kind = DTYPES[header.sample_type].newbyteorder(self.dtype.byteorder)
        found = decode_chunk(stream, shape, kind, self.quality)
        if out is None:
            return found
        target = np.asarray(out).view(self.dtype)
        np.copyto(target, found.reshape(target.shape))
        return out

    def get_config(self) -> dict[str, Any]:
        """Return the codec's metadata."""
        told = {"id": self.codec_id, "dtype": self.dtype.str, "nodata": self.nodata}
        return {**told, **self.quality.configuration()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Read the codec's metadata."""
        return cls(**config)
