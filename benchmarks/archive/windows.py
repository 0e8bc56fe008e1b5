"""Windows and overviews through xarray: bytes that are read over what their tiles hold."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import xarray
import zarr
from zarr.storage import LocalStore, WrapperStore

import onboard
from benchmarks.scenes import mirrored
from ground.api.opened import cube_of_windows
from ground.api.source import Choice, Source
from ground.api.windows import Windows
from ground.chunks.cubes import compress
from ground.decode.lapped.overview import STEPS
from ground.scenes.spyndex import spyndex_scene
from ground.station.index.records import Indexed
from onboard.errors import UsageError
from onboard.link.segment import Kind

SIDE, QUICK_SIDE = 4_096, 1_100
RATIO = 20.48
WINDOWS = (1, 64, 300, 512, 1_000)
"""Rows and columns of the windows that are read."""
_CHUNK, _SHARD = 512, 1_024


def measure_windows(
    side: int, places: int, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """Read windows and overviews of a scene of a `.sky` and of Zarrs, through xarray.

    Args:
        side: rows and columns of the scene.
        places: windows of each size.
        folder: for the files.
        say: called with what is done.

    Returns:
        `sky_over_tiles`, `sky_linear_over_tiles`: bytes of segments that were read over those of
        the tiles that the windows' pixels depend on, of the worst size of a window;
        `overview_over_tiles`: over those of all tiles, of the worst step; `zarr_over_chunks`,
        `shards_over_chunks`: bytes that were got from the store over those of the chunks.
    """
    image = mirrored(spyndex_scene().image.astype(np.uint16), side)
    say("window: encoding")
    path = folder / "scene.sky"
    path.write_bytes(onboard.encode(image, ratio=RATIO, trellis=False))
    found: dict[str, Any] = {"side": side}
    for name, linear in (("sky", False), ("sky_linear", True)):
        shares = {}
        for size in WINDOWS:
            say(f"window: {name}, {size} x {size}")
            shares[str(size)] = _of_windows(path, linear, size, places)
        found[name] = shares
        found[f"{name}_over_tiles"] = max(shares.values())
    say("window: overviews")
    found["overview"] = {str(step): _of_overview(path, step) for step in STEPS}
    found["overview_over_tiles"] = max(found["overview"].values())
    for name, shards in (("zarr", None), ("shards", _SHARD)):
        say(f"window: {name}")
        found[f"{name}_over_chunks"] = _of_zarr(folder / f"{name}.zarr", image, shards, places)
    return found


def _places(side: int, size: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield first rows and columns of windows, all over a scene, whatever tiles are there."""
    chosen = np.random.default_rng(size)
    for _ in range(count):
        row, col = chosen.integers(0, max(side - size, 0) + 1, 2).tolist()
        yield row, col


def _opened(path: Path, linear: bool) -> Windows:
    windows = Windows.of(Source.open([path], Choice(linear=linear), keep_index=True))
    if windows is None:
        raise UsageError(f"{path}: expected a scene with a header")
    return windows


def _of_windows(path: Path, linear: bool, size: int, places: int) -> float:
    """Return bytes read over those of the tiles that the pixels of windows depend on."""
    read = held = 0
    side = _opened(path, linear).shape[1]
    for row, col in _places(side, min(size, side), places):
        windows = _opened(path, linear)
        before = windows.source.bytes_read
        cube = cube_of_windows([path], windows)
        part = cube.isel(y=slice(row, row + size), x=slice(col, col + size)).load()
        assert part.image.shape[1:] == (min(size, side), min(size, side))
        read += windows.source.bytes_read - before
        held += _held(windows, row, col, size)
    return read / held


def _held(windows: Windows, row: int, col: int, size: int) -> int:
    """Return the bytes of the tiles within reach of a window's pixels."""
    grid, halo = windows.grid, windows.source.decoder.network.halo
    down, across = (
        range(max(first - halo, 0) // grid.tile, -(-min(first + size + halo, most) // grid.tile))
        for first, most in ((row, grid.height), (col, grid.width))
    )
    wanted = {r * grid.columns + c for r in down for c in across}
    assert isinstance(windows.source.segments, Indexed)
    records = windows.source.segments.records
    of_tiles = records[np.isin(records["kind"], (Kind.TILE, Kind.MASK))]
    return int(of_tiles["size"][np.isin(of_tiles["tile"], list(wanted))].sum())


def _of_overview(path: Path, step: int) -> float:
    """Return bytes read over those of all tiles."""
    windows = _opened(path, True)
    before = windows.source.bytes_read
    windows.overview(step)
    return (windows.source.bytes_read - before) / windows.source.size


class _Counted(WrapperStore[LocalStore]):
    """A store that counts what is got of chunks."""

    got = 0

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        found = await super().get(key, prototype, byte_range)
        self._count(key, found)
        return found

    async def get_partial_values(self, prototype: Any, key_ranges: Any) -> Any:
        asked = list(key_ranges)
        found = await super().get_partial_values(prototype, asked)
        for (key, _), one in zip(asked, found, strict=True):
            self._count(key, one)
        return found

    def _count(self, key: str, found: Any) -> None:
        if found is not None and "/c/" in key:
            self.got += len(found)


def _of_zarr(path: Path, image: Any, shard: int | None, places: int) -> float:
    """Return bytes got over those of the chunks that windows meet."""
    cube = xarray.Dataset({"image": (("band", "y", "x"), image)})
    made = compress(cube, {"y": _CHUNK, "x": _CHUNK}, ratio=RATIO)
    if shard is not None:
        made.image.encoding["shards"] = (len(image), shard, shard)
    made.to_zarr(path, zarr_format=3, consolidated=False)
    lengths = _lengths(path, made, shard)
    got = held = 0
    for size in WINDOWS:
        for row, col in _places(image.shape[1], min(size, image.shape[1]), places):
            store = _Counted(LocalStore(path, read_only=True))
            opened = xarray.open_zarr(store, consolidated=False, chunks=None)
            opened.image.isel(y=slice(row, row + size), x=slice(col, col + size)).load()
            got += store.got
            down, across = (range(n // _CHUNK, -(-(n + size) // _CHUNK)) for n in (row, col))
            held += sum(lengths.get((r, c), 0) for r in down for c in across)
    return got / held


def _lengths(path: Path, made: Any, shard: int | None) -> dict[tuple[int, int], int]:
    """Return the bytes of each chunk, by its row and column of chunks."""
    if shard is None:
        folder = path / "image" / "c" / "0"
        return {
            (int(file.parent.name), int(file.name)): file.stat().st_size
            for file in folder.glob("*/*")
        }
    with _unsharded(path, made) as apart:
        return _lengths(apart, made, None)


@contextmanager
def _unsharded(path: Path, made: Any) -> Iterator[Path]:
    """Write the same chunks apart."""
    apart = path.with_suffix(".apart.zarr")
    del made.image.encoding["shards"]
    made.to_zarr(apart, zarr_format=3, consolidated=False)
    assert zarr.open_group(apart, mode="r")
    yield apart
