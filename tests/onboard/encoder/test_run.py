"""Runs: what an encoding is told from others by, and when it is the same."""

import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ground.scenes.procedural import procedural
from onboard.bundle import load
from onboard.encoder import Encoder, Options
from onboard.encoder.run import choose_run, frame
from onboard.errors import UsageError
from onboard.link.binding import MAX_RUN, bind
from onboard.link.crc import crc32c
from onboard.link.end import EndOfScene
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment

TAG = bytes.fromhex("a1b2c3d4")
LINES = np.arange(4 * 2 * 3, dtype=np.uint16).reshape(4, 2, 3) * 1_000
HEADER = SceneHeader.of(LINES)
PACKETS = PacketOptions(256, 5, True, (700_000_000, 40_000), 1_500_000)
OPTIONS = Options(scene_id=7, segment_bytes=200, ratio=12.0, window="strip", packets=PACKETS)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(load("skybook"), "numpy")


def folded(message: bytes) -> int:
    crc = crc32c(message)
    return (crc ^ crc >> 24) & 0xFFFFFF


def runs_of(stream: bytes) -> set[int]:
    """Return the runs that headers and ends of a stream tell."""
    parts = [part for part in read_segments(stream) if isinstance(part, Segment)]
    heads = {SceneHeader.unpack(p.body).run for p in parts if p.kind == Kind.SCENE}
    return heads | {EndOfScene.unpack(p.body).run for p in parts if p.kind == Kind.END}


def test_a_run_is_the_crc_of_what_the_spec_names() -> None:
    scene = bytes.fromhex("534b 10 00 0007 0000 0011 a1b2c3d4") + HEADER.pack()
    samples = LINES.astype(">u2").tobytes()
    rate = struct.pack(">Bd", 1, 12.0)
    form = bytes.fromhex("00000100 0005 29b92700 9c40 000000000016e360")
    expected = folded(scene + bytes.fromhex("18 000000c8") + rate + form + samples)
    assert choose_run(TAG, HEADER, OPTIONS, LINES) == expected
    bare = replace(OPTIONS, ratio=None, rmse=None, budget=90_000, packets=None, trellis=True)
    rate = struct.pack(">BQ", 2, 90_000)
    expected = folded(scene + bytes.fromhex("02 000000c8") + rate + samples)
    assert choose_run(TAG, HEADER, bare, LINES) == expected


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_samples_count_as_they_are_whatever_their_byte_order(dtype: Any) -> None:
    lines = (LINES % 251).astype(dtype)
    header = SceneHeader.of(lines)
    found = choose_run(TAG, header, OPTIONS, lines)
    swapped = lines.astype(lines.dtype.newbyteorder(">"))
    assert choose_run(TAG, header, OPTIONS, swapped) == found
    assert choose_run(TAG, header, OPTIONS, lines[:, ::-1]) != found


@pytest.mark.parametrize(
    "change",
    [
        {"scene_id": 8},
        {"segment_bytes": 201},
        {"one_layer": True},
        {"ratio": 12.5},
        {"ratio": None, "rmse": 12.0},
        {"ratio": None, "budget": 12},
        {"window": "scene"},
        {"packets": None},
        {"packets": replace(PACKETS, packet_bytes=257)},
        {"packets": replace(PACKETS, apid=6)},
        {"packets": replace(PACKETS, control=False)},
        {"packets": replace(PACKETS, start_time=(700_000_000, 40_001))},
        {"packets": replace(PACKETS, line_period=1)},
        {"trellis": True},
    ],
)
def test_whatever_shapes_a_stream_changes_the_run(change: dict[str, Any]) -> None:
    options = replace(OPTIONS, **change)
    assert choose_run(TAG, HEADER, options, LINES) != choose_run(TAG, HEADER, OPTIONS, LINES)


def test_what_does_not_shape_a_stream_leaves_the_run() -> None:
    run = choose_run(TAG, HEADER, OPTIONS, LINES)
    assert choose_run(TAG, HEADER, replace(OPTIONS, strips_at_once=3), LINES) == run
    assert choose_run(TAG, replace(HEADER, run=5), OPTIONS, LINES) == run
    assert choose_run(TAG, replace(HEADER, start_time=(1, 0)), OPTIONS, LINES) != run


def test_a_stream_has_one_run_however_it_was_made(encoder: Encoder) -> None:
    image = procedural(5, 150, 90).image
    options = Options(ratio=12.0, window="strip")
    whole = b"".join(encoder.encode(image, options=options))
    assert whole == b"".join(encoder.encode(image, options=options))
    (run,) = runs_of(whole)
    assert 0 < run <= MAX_RUN
    bindings = {s.binding for s in read_segments(whole) if isinstance(s, Segment)}
    assert bindings == {bind(encoder.bundle.tag, run)}
    header = SceneHeader("u16", 16, 4, 90, 0)
    tile = encoder.for_scene(header, options.tiling).bundle.tile
    windows = (image[:, line : line + tile] for line in range(0, 150, tile))
    strips = encoder.stream(windows, header, options)
    assert b"".join(part for strip in strips for part in strip.segments) == whole
    later = image.copy()
    later[:, tile:] += 1  # below the first row of tiles: the same run, as SPEC says
    assert runs_of(b"".join(encoder.encode(later, options=options))) == {run}
    later[:, 3, 4] += 1
    assert runs_of(b"".join(encoder.encode(later, options=options))) != {run}


def test_a_run_can_be_given_and_none_is_as_before(encoder: Encoder) -> None:
    image = procedural(5, 70, 90).image
    given = b"".join(encoder.encode(image, options=Options(ratio=12.0, run=77)))
    assert runs_of(given) == {77}
    none = b"".join(encoder.encode(image, options=Options(ratio=12.0, run=0)))
    assert runs_of(none) == {0}
    bindings = {s.binding for s in read_segments(none) if isinstance(s, Segment)}
    assert bindings == {encoder.bundle.tag}


@pytest.mark.parametrize("run", [-1, MAX_RUN + 1])
def test_a_run_out_of_range_is_refused(run: int) -> None:
    with pytest.raises(UsageError, match=f"run: expected 1..{MAX_RUN}, found {run}"):
        Options(run=run)


def test_all_segments_are_as_long_whatever_the_run() -> None:
    """So the budget may be shared out before the run is known."""
    lengths = {len(frame(TAG, HEADER, replace(OPTIONS, run=run)).head) for run in (1, MAX_RUN)}
    assert lengths == {len(frame(TAG, HEADER, OPTIONS).head)}
