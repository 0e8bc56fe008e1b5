"""Bodies of segments: headers, ends, layers, nodata masks."""

import mmap
import random
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.codec.corsa.layers import LayerShape, read_pieces, split_layers
from onboard.errors import InputError, StreamError, UsageError
from onboard.link.crc import crc32c
from onboard.link.end import EndOfScene
from onboard.link.facts import Facts
from onboard.link.header import SceneHeader
from onboard.link.mask import pack_mask, unpack_mask
from onboard.link.resync import Damage, read_segments
from onboard.link.segment import Kind, Segment
from tests.growth import LINEAR, growth

BARE = bytes.fromhex("00 01 10 0004 0000012c 0000012c")
FULL = SceneHeader(
    "i16",
    12,
    2,
    70_000,
    9,
    nodata=-32_768,
    geotransform=(5e5, 10.0, 0.0, 5.1e6, 0.0, -10.0),
    crs="EPSG:32633",
    start_time=(2_000_000_000, 32_768),
    band_ids=("B02", "B08"),
    sensor="MSI",
)


def test_header_byte_vectors() -> None:
    assert SceneHeader("u16", 16, 4, 300, 300).pack() == BARE
    assert SceneHeader("u16", 16, 4, 300, 300, nodata=0).pack() == BARE + b"\1\0\4\0\0\0\0"
    assert FULL.pack().startswith(bytes.fromhex("00 02 0c 0002 00011170 00000009 01 0004 ffff8000"))
    assert FULL.pack().endswith(
        bytes.fromhex("05 0006 77359400 8000 06 0007") + b"B02,B08\7\0\3MSI"
    )


def test_fact_byte_vectors() -> None:
    names = SceneHeader("u16", 16, 4, 300, 300, band_ids=("B4, red", "B8"))
    assert names.pack() == BARE + b"\x10\0\x0bB4, red\0B8\0"
    facts = Facts(((1.0, -2.0),), ("K",), (3, 4, 5, 0))
    told = SceneHeader("u16", 16, 4, 300, 300, facts=facts)
    pair = bytes.fromhex("3ff0000000000000 c000000000000000")
    assert told.pack() == BARE + b"\x11\0\x10" + pair + b"\x12\0\2K\0\x13\0\4\3\4\5\0"
    tags = SceneHeader("u16", 16, 4, 300, 300, facts=Facts(tags=(("2", "a", "b"),))).pack()
    assert tags.startswith(BARE + b"\x14")
    assert zlib.decompress(tags[len(BARE) + 3 :]) == b"2\0a\0b\0"


def test_facts_round_trip() -> None:
    pairs = tuple((1e-4, -0.1 * band) for band in range(4))
    tags = (("", "DATE", "2026"), ("1", "wavelength", "492.4 nm"), ("IMAGERY", "é", ""))
    facts = Facts(pairs, ("a", "", "b", "c"), (3, 4, 5, 0), tags)
    header = SceneHeader("u16", 12, 4, 9, 9, band_ids=("a, b", "", "c", "d"), facts=facts)
    assert SceneHeader.unpack(header.pack()) == header


def test_header_round_trip() -> None:
    assert SceneHeader.unpack(FULL.pack()) == FULL
    wkt = 'LOCAL_CS["somewhere", UNIT["metre", 1]]' * 40
    header = SceneHeader("u8", 8, 1, 1, 0, crs=wkt)
    assert len(header.pack()) < 200
    assert SceneHeader.unpack(header.pack()) == header


def test_newer_minor_and_unknown_extension_are_accepted() -> None:
    body = b"\x09" + BARE[1:] + b"\x50\0\2hi"
    assert SceneHeader.unpack(body) == SceneHeader("u16", 16, 4, 300, 300)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        BARE[:-1],
        b"\0\3" + BARE[2:],
        BARE[:2] + b"\0" + BARE[3:],
        BARE[:2] + b"\x11" + BARE[3:],
        BARE[:3] + b"\0\0" + BARE[5:],
        BARE[:5] + b"\0\0\0\0" + BARE[9:],
        BARE[:5] + b"\xff\0\0\0" + BARE[9:],
        BARE + b"\xd0\0\0",
        BARE + b"\1\0",
        BARE + b"\1\0\4\0",
        BARE + b"\1\0\1\0",
        BARE + b"\1\0\4\0\0\0\0\1\0\4\0\0\0\0",
        BARE + b"\2\0\x30" + struct.pack(">6d", 0, 1, 0, 0, 0, float("nan")),
        BARE + b"\6\0\1\xff",
        BARE + b"\4\0\2hi",
        BARE + b"\6\0\1a\x10\0\2b\0",
        BARE + b"\x10\0\1a",
        BARE + b"\x10\0\2\xff\0",
        BARE + b"\x11\0\1a",
        BARE + b"\x11\0\x10" + struct.pack(">2d", 1, float("nan")),
        BARE + b"\x11\0\x20" + bytes(32),
        BARE + b"\x12\0\4a\0b\0",
        BARE + b"\x13\0\1\1\x13\0\1\1",
        BARE + b"\x14\0\2hi",
        BARE + b"\x14\0\x0a" + zlib.compress(b"a\0"),
        BARE + b"\4\0\x0a" + zlib.compress(b"W") + b"!",
    ],
)
def test_malformed_headers(body: bytes) -> None:
    with pytest.raises(StreamError):
        SceneHeader.unpack(body)


def test_a_wkt_bomb_is_not_expanded() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    assert len(bomb) < 65_536
    for kind in (4, 20):
        with pytest.raises(StreamError, match="longer than"):
            SceneHeader.unpack(BARE + struct.pack(">BH", kind, len(bomb)) + bomb)


@pytest.mark.parametrize(
    "fields",
    [
        {"nodata": 2**31},
        {"geotransform": (0.0, 1.0)},
        {"geotransform": (0.0, 1.0, 0.0, 0.0, 0.0, float("inf"))},
        {"crs": "EPSG:none"},
        {"crs": "EPSG:032633"},
        {"band_ids": ("B02,B\0", "B04")},
        {"start_time": (-1, 0)},
        {"sensor": "x" * 70_000},
        {"facts": Facts(calibration=((1.0, float("inf")),))},
        {"facts": Facts(units=("a", "b", "c"))},
        {"facts": Facts(units=("a\0",))},
        {"facts": Facts(colours=(256,))},
        {"facts": Facts(tags=(("", "k", "v" * 70_000),))},
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, object]) -> None:
    with pytest.raises(InputError):
        SceneHeader("u16", 16, 4, 300, 300, **fields).pack()  # type: ignore[arg-type]


def test_end_of_scene() -> None:
    assert EndOfScene(300, 41).pack().hex() == "0000012c00000029"
    assert EndOfScene.unpack(EndOfScene(300, 41).pack()) == EndOfScene(300, 41)
    for height in (-1, 0, (1 << 24) + 1):
        with pytest.raises(InputError, match=f"found {height}"):
            EndOfScene(height, 1).pack()
    for body in (b"", bytes(7), bytes(8), bytes(9), b"\xff" * 8):
        with pytest.raises(StreamError):
            EndOfScene.unpack(body)


SIDE = b"\0SIDE"


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 16)), max_size=4),
    st.integers(24, 200),
    st.booleans(),
)
def test_layers_come_back_from_pieces(
    layers: list[tuple[int, int]], room: int, one_layer: bool
) -> None:
    rng = np.random.default_rng(0)
    levels = [
        (rng.integers(0, 1 << width, count).astype(np.uint16), width) for count, width in layers
    ]
    shapes = [LayerShape(count, width) for count, width in layers]
    found = [np.full(count, 99_999) for count, _ in layers]
    sides = []
    for layer, first, body in split_layers(SIDE, levels, room, one_layer):
        assert len(body) <= room
        pieces = read_pieces(layer, first, body, shapes, len(SIDE))
        assert not one_layer or len({piece.layer for piece in pieces}) == 1
        for piece in pieces:
            if piece.layer == 0:
                sides.append(piece.side)
            else:
                stop = piece.first + piece.indices.size
                found[piece.layer - 1][piece.first : stop] = piece.indices
    assert sides == [SIDE]
    for (indices, _), back in zip(levels, found, strict=True):
        assert np.array_equal(indices, back)


@pytest.mark.parametrize(
    ("layer", "first", "body"),
    [
        (0, 0, b""),
        (0, 0, b"\0\0"),
        (0, 1, SIDE),
        (1, 20, b"\0"),
        (1, 0, b"\0"),
        (1, 0, bytes(11)),
        (1, 16, bytes(5) + b"\1"),
        (2, 3, b"\0"),
        (3, 0, b"\0"),
        (15, 0, b"\0"),
        (2, 0, bytes(3)),
    ],
)
def test_pieces_that_make_no_sense(layer: int, first: int, body: bytes) -> None:
    shapes = [LayerShape(20, 10), LayerShape(3, 5)]
    with pytest.raises(StreamError):
        read_pieces(layer, first, body, shapes, len(SIDE))


def test_mask_byte_vectors() -> None:
    assert pack_mask(np.array([[False, False, True, True]]), 99) == [(0, b"\1\x30")]
    long = np.zeros((1, 1_000), np.bool_)
    long[0, 300:] = True
    assert pack_mask(long, 99) == [(0, bytes.fromhex("00 ac02 bc05"))]
    assert pack_mask(~long, 99) == [(0, bytes.fromhex("00 00 ac02 bc05"))]


@given(
    st.integers(1, 40), st.integers(1, 40), st.integers(0, 4), st.integers(8, 90), st.integers(0, 9)
)
def test_masks_come_back(rows: int, cols: int, blur: int, room: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.repeat(rng.random(rows * cols) < 0.3, 1 + blur**3)[: rows * cols].reshape(rows, cols)
    found = np.ones(mask.size, np.int8) * 9
    for first, body in pack_mask(mask, room):
        assert len(body) <= room
        part = unpack_mask(body, first, mask.size)
        found[first : first + part.size] = part
    assert np.array_equal(found, mask.reshape(-1))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\2\0",
        b"\0\x80",
        b"\0\5\0",
        b"\0\x80\x80\x80\1",
        b"\0\x15",
        b"\1\0\0\1",
        b"\1" + bytes(9),
    ],
)
def test_malformed_masks(body: bytes) -> None:
    with pytest.raises(StreamError):
        unpack_mask(body, 0, 20)


def test_mask_beyond_the_tile() -> None:
    with pytest.raises(StreamError):
        unpack_mask(b"\1\0", 20, 20)


def test_longest_wkt() -> None:
    header = SceneHeader("u8", 8, 1, 1, 0, crs="x" * 65_536)
    assert SceneHeader.unpack(header.pack()) == header
    with pytest.raises(InputError, match="longer than 65536"):
        replace(header, crs="x" * 65_537).pack()


SHAPES = [LayerShape(20, 10), LayerShape(3, 5)]


def test_layers_byte_vector() -> None:
    first, second = np.arange(20, dtype=np.uint16), np.array([1, 2, 3], np.uint16)
    side = b"\0" + b"\xaa" * 7
    assert split_layers(side, [(first, 10), (second, 5)], 18) == [
        (0, 0, side + bytes.fromhex("0000 1008 0301 0050 1807")),
        (1, 8, bytes.fromhex("0200 9028 0b03 00d0 380f 0401 1048 13  0886")),
    ]


@pytest.mark.parametrize(("side", "room"), [(bytes(122), 102), (SIDE, 9)])
def test_room_that_is_too_small(side: bytes, room: int) -> None:
    with pytest.raises(UsageError, match=f"found {room}"):
        split_layers(side, [(np.zeros(90, np.uint16), 10)], room)


def test_a_tile_of_nodata_is_one_byte() -> None:
    (piece,) = read_pieces(0, 0, b"\2", SHAPES, len(SIDE))
    assert (piece.layer, piece.side) == (0, b"\2")


@pytest.mark.parametrize("body", [b"\0", b"\1", b"\2SIDE", b"\2SIDE" + bytes(25), b"\2\0"])
def test_length_that_does_not_fit_the_tile_state(body: bytes) -> None:
    with pytest.raises(StreamError, match="layer 0"):
        read_pieces(0, 0, body, SHAPES, len(SIDE))


MODEL = bytes.fromhex("a1b2c3d4")
STREAM = [
    Segment(Kind.SCENE, 7, MODEL, 0, 0, 0, None, BARE),
    Segment(Kind.TILE, 7, MODEL, 3, 0, 0, (9, 5), SIDE),
    Segment(Kind.MASK, 7, MODEL, 3, 0, 0, (9, 5), b"\1\x30"),
    Segment(Kind.END, 7, MODEL, 0, 0, 0, None, EndOfScene(300, 3).pack()),
]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": 16},
        {"scene_id": 65_536},
        {"binding": b"abc"},
        {"tile": 1 << 32},
        {"layer": 32},
        {"first": -1},
        {"edge": (0, 5)},
        {"edge": (5, 257)},
        {"body": bytes(65_536)},
        {"body": bytes(65_532), "edge": (1, 1)},
    ],
)
def test_segment_fields_that_do_not_fit(change: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="expected"):
        replace(STREAM[1], **change).pack()  # type: ignore[arg-type]


@pytest.mark.parametrize("edge", [(0, 5), (5, 0), (257, 5), (65_535, 65_535)])
def test_edge_fields_out_of_range_are_damage(edge: tuple[int, int]) -> None:
    packed = STREAM[1].pack()[:-4]
    message = packed[:10] + struct.pack(">HH", *edge) + packed[14:]
    check = crc32c(message) ^ int.from_bytes(MODEL, "big")
    stream = message + check.to_bytes(4, "big") + STREAM[3].pack()
    damage, end = read_segments(stream)
    assert isinstance(damage, Damage)
    assert (damage.offset, damage.length) == (0, len(message) + 4)
    assert "1..256 pixels" in damage.reason
    assert end == STREAM[3]


def test_each_bit_flip_spares_the_other_segments() -> None:
    parts = [segment.pack() for segment in STREAM]
    whole = b"".join(parts)
    owners = [number for number, part in enumerate(parts) for _ in part]
    for bit in range(8 * len(whole)):
        stream = bytearray(whole)
        stream[bit // 8] ^= 128 >> bit % 8
        found = list(read_segments(bytes(stream)))
        hit = owners[bit // 8]
        assert [s for s in found if isinstance(s, Segment)] == STREAM[:hit] + STREAM[hit + 1 :]
        assert [s.length for s in found if isinstance(s, Damage)] == [len(parts[hit])]


def test_any_order() -> None:
    order = random.Random(0).sample(STREAM, len(STREAM))
    assert list(read_segments(b"".join(s.pack() for s in order))) == order


def test_memoryview_and_mapped_file(tmp_path: Path) -> None:
    stream = b"junk" + b"".join(s.pack() for s in STREAM)
    (tmp_path / "stream.sky").write_bytes(stream)
    expected = list(read_segments(stream))
    assert expected[1:] == STREAM
    assert list(read_segments(memoryview(stream))) == expected
    with (
        (tmp_path / "stream.sky").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        assert list(read_segments(mapped)) == expected


def test_hostile_streams_end_soon() -> None:
    assert all(isinstance(s, Damage) for s in read_segments(b"SK" * 100_000))
    assert growth(lambda marks: list(read_segments(b"SK" * marks)), 5_000) < LINEAR
