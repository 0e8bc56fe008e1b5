"""Serializer `skybook` of Zarr v3, found by its entry point: the door to zarr."""

import asyncio
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from zarr.abc.codec import ArrayBytesCodec, ArrayBytesCodecPartialEncodeMixin

from ground.chunks.chunk import decode_chunk, encode_chunk
from ground.chunks.part import is_all, is_whole, put, whole
from ground.chunks.quality import Quality, check_shape
from onboard.errors import UsageError

NAME = "skybook"


@dataclass(frozen=True, init=False)
class SkybookCodec(ArrayBytesCodec, ArrayBytesCodecPartialEncodeMixin):
    """Array-to-bytes codec: a chunk (..., y, x) of 8 or 16 bits as a skybook stream.

    It says that it writes parts of chunks only so that zarr leaves it to look whether a chunk is
    empty: zarr does so in the thread that all its calls share, and for unsigned samples with
    numpy's search for NaN, in an eighth of the time of a write (`findings/zarr_empty_chunks.sh`).
    """

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

    async def _encode_partial_single(
        self, byte_setter: Any, chunk_array: Any, selection: Any, chunk_spec: Any
    ) -> None:
        all_of_it, stored = is_whole(selection, chunk_spec.shape), None
        if not all_of_it:
            stored = await byte_setter.get(prototype=chunk_spec.prototype)
        told = chunk_array, None if all_of_it else selection, chunk_spec, stored
        stream = await asyncio.to_thread(self._encode_part, *told)
        if stream is None:
            await byte_setter.delete()
        else:
            await byte_setter.set(stream)

    def _encode_part(
        self, part: Any, selection: Any, chunk_spec: Any, stored: Any | None
    ) -> Any | None:
        """Return the stream of a chunk, of which all (no selection) or part is written.

        None if it is to be left out.
        """
        samples, shape, fill = part.as_numpy_array(), chunk_spec.shape, chunk_spec.fill_value
        if selection is None:
            chunk = whole(samples, shape)
        else:
            chunk = self._before(stored, chunk_spec)
            put(samples, selection, chunk)
        if not chunk_spec.config.write_empty_chunks and is_all(chunk, fill):
            return None
        return self._encode_sync(chunk_spec.prototype.nd_buffer.from_numpy_array(chunk), chunk_spec)

    def _before(self, stored: Any | None, chunk_spec: Any) -> Any:
        """Return what a chunk has before part of it is written."""
        if stored is not None:
            return self._decode_sync(stored, chunk_spec).as_numpy_array()
        dtype = chunk_spec.dtype.to_native_dtype()
        return np.full(chunk_spec.shape, chunk_spec.fill_value or 0, dtype)
