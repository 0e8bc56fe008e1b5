"""Serializer `skybook` of Zarr v3, found by its entry point: the door to zarr."""

import asyncio
from dataclasses import dataclass
from typing import Any, Self

from zarr.abc.codec import ArrayBytesCodec

from ground.chunks.chunk import decode_chunk, encode_chunk
from ground.chunks.quality import Quality, check_shape
from onboard.errors import UsageError

NAME = "skybook"


@dataclass(frozen=True, init=False)
class SkybookCodec(ArrayBytesCodec):
    """Array-to-bytes codec: a chunk (..., y, x) of 8 or 16 bits as a skybook stream."""

    is_fixed_size = False
    quality: Quality

    def __init__(self, **configuration: Any) -> None:
        """Take what `Quality` has: one of `max_error`, `rmse`, `psnr`, `ratio` or `bytes`; a
        `bundle`, `model_hash`, `trellis`.

        Raises:
            UsageError: a key or value makes no sense.
            BundleError: the bundle is not known, and no hash is given.
        """
        object.__setattr__(self, "quality", Quality.of(configuration))

    @classmethod
    def from_dict(cls, data: Any) -> Self:
        """Read the codec's metadata."""
        if data.get("name") != NAME:
            raise UsageError(f"codec: expected {NAME}, found {data.get('name')!r}")
        return cls(**data.get("configuration", {}))

    def to_dict(self) -> dict[str, Any]:
        """Return the codec's metadata."""
        return {"name": NAME, "configuration": self.quality.configuration()}

    def validate(self, *, shape: Any, dtype: Any, chunk_grid: Any) -> None:
        """Refuse an array whose chunks this codec cannot take."""
        chunk = getattr(chunk_grid, "chunk_shape", shape)
        check_shape(tuple(chunk), dtype.to_native_dtype())

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        """Refuse: how long a stream gets depends on what is in it."""
        raise NotImplementedError

    def _encode_sync(self, chunk_data: Any, chunk_spec: Any) -> Any:
        fill = None if chunk_spec.fill_value is None else int(chunk_spec.fill_value)
        stream = encode_chunk(chunk_data.as_numpy_array(), self.quality, fill)
        return chunk_spec.prototype.buffer.from_bytes(stream)

    def _decode_sync(self, chunk_data: Any, chunk_spec: Any) -> Any:
        dtype = chunk_spec.dtype.to_native_dtype()
        found = decode_chunk(chunk_data.to_bytes(), chunk_spec.shape, dtype, self.quality)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(found)

    async def _encode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._encode_sync, chunk_data, chunk_spec)

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        return await asyncio.to_thread(self._decode_sync, chunk_data, chunk_spec)
