"""Opened: a scene as a lazy xarray dataset, and one of bytes that is decoded at once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xarray import Dataset, Variable
from xarray.backends import BackendArray
from xarray.core import indexing

from ground.api.source import Choice, Source
from ground.api.windows import Windows
from ground.products.cube import IMAGE, MASK, cube_of, origin_attributes
from ground.station.kiss import is_kiss, unframe
from onboard.errors import InputError, StreamError, UsageError
from onboard.image.tiles import DEFAULT_MAX_PIXELS

Buffer = bytes | bytearray | memoryview


class _Lazy(BackendArray):
    """One of the arrays of a scene, decoded where it is looked at."""

    def __init__(self, scene: "_Scene", part: int) -> None:
        self._scene, self._part = scene, part
        windows = scene.windows
        self.shape: tuple[int, ...] = windows.shape if part == 0 else windows.shape[1:]
        self.dtype = windows.dtype if part == 0 else np.dtype(np.uint8)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
        return indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, self._read
        )

    def _read(self, key: tuple[int | slice, ...]) -> NDArray[Any]:
        """Return what a key of whole numbers and slices asks for."""
        rows, cols = (
            np.atleast_1d(np.arange(size)[at])
            for size, at in zip(self.shape[-2:], key[-2:], strict=True)
        )
        found = self._scene.windows.read(rows, cols)[self._part]
        inner = tuple(0 if isinstance(at, int | np.integer) else slice(None) for at in key[-2:])
        asked: NDArray[Any] = found[(*key[:-2], *inner)]
        return asked


class _Scene:
    """Windows of recordings, which another process opens anew."""

    def __init__(self, paths: Sequence[Path], choice: Choice, windows: Windows) -> None:
        self._told, self.windows = (paths, choice), windows

    def __reduce__(self) -> tuple[Callable[..., "_Scene"], tuple[Sequence[Path], Choice]]:
        return _reopened, self._told


def _reopened(paths: Sequence[Path], choice: Choice) -> _Scene:
    """Open in another process what was opened in this one.

    Raises:
        InputError: the recordings are others now.
    """
    windows = Windows.of(Source.open(paths, choice))
    if windows is None:
        raise InputError(f"{paths[0]}: expected the recording that was opened, found another")
    return _Scene(paths, choice, windows)


def open_recordings(
    *paths: str | Path,
    scene_id: int | None = None,
    run: int | None = None,
    bundle: str | None = None,
    linear: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    profile: str | Path | None = None,
    overview: int | None = None,
    index: bool = False,
) -> Dataset:
    """Open a scene of recordings of a pass, packets or bare segments, as a lazy dataset.

    Tiles are decoded where `image` or `mask` is looked at, with those around that their pixels
    depend on; `chunk(y=1024, x=1024)` makes Dask arrays of them. Samples are digital numbers as
    they came down; scale, offset and nodata value are attributes. `mask` says what each pixel is
    worth (`flag_meanings`): lost is not nodata. A recording without the size of the scene is
    decoded at once.

    Args:
        paths: all that was received of the pass, in any order.
        scene_id: scene wanted, if there are several.
        run: encoding wanted of the scene; None takes the one of which most arrived.
        bundle: name or path of the bundle; None takes the known one that the stream names.
        linear: leave the image as the bundle alone gives it, without the decoder graph.
        max_pixels: most pixels (rows x columns) that a scene may have.
        profile: spectral profile (.prof) of the scene; None takes the known one that it names.
        overview: 2, 4, 8 or 16: all of it at that part of its size, decoded at once, from the
            coarse layers alone.
        index: keep an index beside the one recording, `RECORDING.idx`, by which it is opened
            sooner the next time; one that is there and fits is used anyway.

    Raises:
        InputError: a file cannot be read.
        UsageError: there are several scenes, and none was chosen; or there is no such overview, or
            no index of such recordings.
        StreamError: nothing can be used.
        BundleError: the bundle, or the spectral profile, is not known, or damaged.
        LimitError: the scene is larger than `max_pixels`.
    """
    if not paths:
        raise UsageError("open: expected a recording, found none")
    choice = Choice(scene_id, run, bundle, linear, max_pixels, profile)
    files = [Path(path).absolute() for path in paths]
    source = Source.open(files, choice, index)
    windows = Windows.of(source)
    if overview is not None:
        return _overview(source, windows, overview)
    return _decoded(source) if windows is None else cube_of_windows(files, windows)


def cube_of_windows(paths: Sequence[Path], windows: Windows) -> Dataset:
    """Return the lazy dataset of a scene of recordings that are open."""
    source = windows.source
    scene = _Scene(paths, source.choice, windows)
    unread = np.broadcast_to(np.uint8(0), windows.shape[1:])
    cube: Dataset = cube_of(windows.unread(), unread)
    cube.attrs |= origin_attributes(source.origin(windows.header.run), None)
    for part, name in enumerate((IMAGE, MASK)):
        array = indexing.LazilyIndexedArray(_Lazy(scene, part))
        cube[name] = Variable(cube[name].dims, array, cube[name].attrs)
    return cube


def _overview(source: Source, windows: Windows | None, step: int) -> Dataset:
    """Decode an overview.

    Raises:
        StreamError: the size of the scene did not arrive.
        UsageError: there is no such overview.
    """
    if windows is None:
        raise StreamError("overview: expected a scene header and its height, which did not arrive")
    found = windows.overview(step)
    origin = replace(
        source.origin(windows.header.run),
        overview=step,
        layers=found.layers,
        linear=source.choice.linear or found.layers is not None,
    )
    cube: Dataset = cube_of(windows.unread().part(found.image, step=step), found.mask, origin)
    return cube


def decode_stream(
    stream: Buffer,
    scene_id: int | None = None,
    run: int | None = None,
    bundle: str | None = None,
    linear: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    profile: str | Path | None = None,
) -> Dataset:
    """Decode a scene of bytes, packets or bare segments, to a dataset as `open_recordings` gives.

    All of it is decoded at once; attributes also tell whether all of it arrived, and how much of it
    is what the mask says (`skybook_complete`, `skybook_percent_concealed` and so on).

    Args:
        stream: all that was received.
        scene_id, run, bundle, linear, max_pixels, profile: as of `open_recordings`.

    Raises:
        as `open_recordings`.
    """
    received = bytes(stream)
    received = unframe(received) if is_kiss(received) else received
    choice = Choice(scene_id, run, bundle, linear, max_pixels, profile)
    return _decoded(Source.of([received], choice))


def _decoded(source: Source) -> Dataset:
    """Decode all of a scene."""
    decoded = source.decode()
    origin = source.origin(decoded.reception.run, decoded)
    cube: Dataset = cube_of(decoded.scene, decoded.mask, origin)
    return cube
