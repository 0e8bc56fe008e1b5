"""Windows and overviews through an index: as without one, but for what is read."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ground
import onboard
from ground.api.source import Choice, Source
from ground.api.windows import Windows
from ground.scenes.procedural import procedural
from ground.station.index.kept import kept, path_of
from ground.station.index.records import Index
from ground.station.recording import open_recording
from onboard.errors import UsageError
from onboard.link.header import SceneHeader
from onboard.link.packet import SpacePacket
from onboard.link.segment import Kind, unpack_segments


@pytest.fixture(scope="module")
def stream() -> bytes:
    image = procedural(6, 320, 328).image[:4].astype(np.uint16)
    image[:, :20, :90] = 0
    header = SceneHeader.of(image, tile=64)
    return onboard.encode(image, header=header, nodata=0, ratio=10, scene_id=3)


@pytest.fixture(params=["whole", "damaged", "packets"])
def path(request: pytest.FixtureRequest, tmp_path: Path, stream: bytes) -> Path:
    found = tmp_path / "a.sky"
    if request.param == "damaged":
        segments = unpack_segments(stream)
        stream = b"".join(s.pack() for s in segments if s.kind != Kind.TILE or s.tile != 8)
        broken = bytearray(stream)
        broken[len(stream) // 2] ^= 1
        stream = bytes(broken)
    if request.param == "packets":
        stream = b"".join(packets(stream))
    found.write_bytes(stream)
    return found


def packets(stream: bytes) -> list[bytes]:
    """Two segments to a packet."""
    segments = [segment.pack() for segment in unpack_segments(stream)]
    pairs = [b"".join(segments[first : first + 2]) for first in range(0, len(segments), 2)]
    return [SpacePacket(5, n, (0, 0), pair).pack() for n, pair in enumerate(pairs)]


def opened(path: Path, keep_index: bool = False) -> Windows:
    windows = Windows.of(Source.open([path], Choice(linear=True), keep_index))
    assert windows is not None
    return windows


def looked_at(windows: Windows) -> list[NDArray[Any]]:
    """A window, and overviews."""
    found = [*windows.read(np.arange(60, 130), np.arange(90, 190))]
    for step in (2, 8, 16):
        found += windows.overview(step)[:2]
    return found


def test_what_is_read_through_an_index_is_the_same(path: Path) -> None:
    without = opened(path)
    assert not path_of(path).exists()
    opened(path, keep_index=True)
    assert path_of(path).exists()
    through = opened(path)
    assert through.source.bytes_read < 0.02 * without.source.bytes_read
    for found, wanted in zip(looked_at(through), looked_at(without), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert through.reception.counts["damaged"] == without.reception.counts["damaged"]


def test_parts_read_what_they_need(tmp_path: Path, stream: bytes) -> None:
    path = tmp_path / "a.sky"
    path.write_bytes(stream)
    opened(path, keep_index=True)
    window, overview = opened(path), opened(path)
    window.read(np.arange(64, 128), np.arange(64, 128))
    assert window.source.bytes_read < 0.15 * len(stream)
    overview.overview(16)
    assert overview.source.bytes_read < 0.1 * len(stream)


@pytest.mark.parametrize("options", [{"ratio": 1.5}, {"psnr": 70, "quality_block": 16}])
def test_long_beginnings_are_read_whole(tmp_path: Path, options: dict[str, Any]) -> None:
    x = np.arange(192)
    noise = np.random.default_rng(1).normal(0, 400, (4, 192, 192))
    image = (4000 + 1500 * np.sin(x / 30) + (x > 90) * noise).astype(np.uint16)
    path = tmp_path / "a.sky"
    path.write_bytes(onboard.encode(image, **options))
    without = opened(path)
    opened(path, keep_index=True)
    through = opened(path)
    assert (through.states & ~np.uint8(7)).any()  # floors, or a field of steps
    for found, wanted in zip(looked_at(through), looked_at(without), strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert not through.reception.counts["damaged"]
    linear, _ = without.read(np.arange(192), np.arange(192))
    away = through.overview(8).image - linear.reshape(4, 24, 8, 24, 8).mean(axis=(2, 4))
    assert np.sqrt(np.mean(away**2)) < 0.1 * image.std()


def test_a_stale_index_is_never_believed(tmp_path: Path, stream: bytes) -> None:
    path = tmp_path / "a.sky"
    path.write_bytes(stream)
    opened(path, keep_index=True)
    recording = open_recording(path)
    assert kept(path, recording, ()) is not None
    told = path.stat()
    segments = unpack_segments(stream)
    swapped = b"".join(s.pack() for s in (segments[0], *segments[2:], segments[1]))
    path.write_bytes(swapped)  # as long as before
    os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
    assert kept(path, open_recording(path), ()) is None
    opened(path)  # by reading it whole
    path.write_bytes(stream)  # what it was, at another time
    assert kept(path, open_recording(path), ()) is not None
    path.write_bytes(stream + stream[:100])
    assert kept(path, open_recording(path), ()) is None


def test_a_damaged_index_is_none(tmp_path: Path, stream: bytes) -> None:
    path = tmp_path / "a.sky"
    path.write_bytes(stream)
    opened(path, keep_index=True)
    recording, packed = open_recording(path), path_of(path).read_bytes()
    for place in range(0, len(packed), 97):
        broken = bytearray(packed)
        broken[place] ^= 16
        path_of(path).write_bytes(broken)
        assert kept(path, recording, ()) is None
    for length in (0, 3, 15, 40, len(packed) - 1):
        path_of(path).write_bytes(packed[:length])
        assert kept(path, recording, ()) is None
    opened(path, keep_index=True)
    assert path_of(path).read_bytes() == packed


def test_the_index_of_an_indexed_stream_is_its_own(stream: bytes) -> None:
    index = Index.build(stream)
    assert index is not None
    (encoding,) = index.heard
    found = index.of(encoding)
    assert set(found) == set(unpack_segments(stream))
    assert found.size == sum(segment.size for segment in set(unpack_segments(stream)))


def test_there_is_one_index_of_one_recording(tmp_path: Path, stream: bytes) -> None:
    paths = [tmp_path / "a.sky", tmp_path / "b.sky"]
    for path in paths:
        path.write_bytes(stream)
    with pytest.raises(UsageError, match="one recording"):
        Source.open(paths, Choice(), keep_index=True)


def test_an_overview_is_a_dataset(tmp_path: Path, stream: bytes) -> None:
    pytest.importorskip("xarray")
    path = tmp_path / "a.sky"
    path.write_bytes(stream)
    cube = ground.open(path, overview=8, index=True)
    assert cube.image.shape == (4, 40, 41)
    assert cube.attrs["skybook_overview"] == "1/8"
    assert path_of(path).exists()
    wanted = opened(path).overview(8)
    np.testing.assert_array_equal(cube.mask.values, wanted.mask)


def test_a_window_reads_the_tiles_within_reach_of_its_pixels_alone(
    tmp_path: Path, stream: bytes
) -> None:
    """The network sees 43 pixels around: of a pixel in the middle of a tile one or two of them."""
    path = tmp_path / "a.sky"
    image = procedural(6, 320, 328, nodata=False).image
    path.write_bytes(onboard.encode(image, header=SceneHeader.of(image, tile=64), ratio=10))
    whole = ground.open(path).load()
    for row, col, tiles in ((160, 160, 9), (172, 172, 4), (148, 172, 4), (0, 0, 1), (319, 160, 3)):
        windows = Windows.of(Source.open([path], Choice(), True))
        assert windows is not None
        before = windows.source.bytes_read
        image, mask = windows.read(np.arange(row, row + 1), np.arange(col, col + 1))
        np.testing.assert_array_equal(image[:, 0, 0], whole.image[:, row, col])
        assert mask[0, 0] == whole.mask[row, col]
        records = windows.source.segments.records
        down, across = (range(max(n - 43, 0) // 64, min(n + 43, 319) // 64 + 1) for n in (row, col))
        wanted = [6 * r + c for r in down for c in across]
        assert len(wanted) == tiles
        of_tiles = (records["kind"] == Kind.TILE) & np.isin(records["tile"], wanted)
        assert windows.source.bytes_read - before == records["size"][of_tiles].sum()
