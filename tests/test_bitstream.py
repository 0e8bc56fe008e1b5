"""Bodies of segments: headers, ends, layers, nodata masks."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.bitstream import (
    EndOfScene,
    LayerShape,
    SceneHeader,
    read_pieces,
    split_layers,
)
from onboard.errors import InputError, StreamError
from onboard.nodatamask import pack_mask, unpack_mask

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
    ],
)
def test_malformed_headers(body: bytes) -> None:
    with pytest.raises(StreamError):
        SceneHeader.unpack(body)


def test_a_wkt_bomb_is_not_expanded() -> None:
    bomb = zlib.compress(bytes(50_000_000), 9)
    assert len(bomb) < 65_536
    with pytest.raises(StreamError, match="longer than"):
        SceneHeader.unpack(BARE + struct.pack(">BH", 4, len(bomb)) + bomb)


@pytest.mark.parametrize(
    "fields",
    [
        {"nodata": 2**31},
        {"geotransform": (0.0, 1.0)},
        {"geotransform": (0.0, 1.0, 0.0, 0.0, 0.0, float("inf"))},
        {"crs": "EPSG:none"},
        {"start_time": (-1, 0)},
        {"sensor": "x" * 70_000},
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, object]) -> None:
    with pytest.raises((InputError, StreamError)):
        SceneHeader("u16", 16, 4, 300, 300, **fields).pack()  # type: ignore[arg-type]


def test_end_of_scene() -> None:
    assert EndOfScene(300, 41).pack().hex() == "0000012c00000029"
    assert EndOfScene.unpack(EndOfScene(300, 41).pack()) == EndOfScene(300, 41)
    for body in (b"", bytes(7), bytes(8), bytes(9), b"\xff" * 8):
        with pytest.raises(StreamError):
            EndOfScene.unpack(body)


SIDE = b"\0SIDE"


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 16)), max_size=4),
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
