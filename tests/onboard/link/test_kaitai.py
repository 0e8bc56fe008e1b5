"""skybook.ksy: a parser made of it reads what our own readers do, field for field."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import onboard
from ground.scenes.procedural import procedural
from onboard.downlink.protect import protect
from onboard.image.tiles import MAX_SIDE
from onboard.link.end import EndOfScene
from onboard.link.facts import Facts
from onboard.link.header import SceneHeader
from onboard.link.mask import pack_mask, unpack_mask
from onboard.link.packet import PacketOptions, SpacePacket
from onboard.link.parts import Parts, ToldBound
from onboard.link.repair import Repair
from onboard.link.resync import Received, read_packets, read_segments
from onboard.link.segment import Kind, Segment
from tests.conftest import NAME, ROOT
from tests.onboard.link import kaitai

MODEL = bytes.fromhex("a1b2c3d4")
PAGE = (ROOT / "onboard/SPEC.md").read_text()
PACKETS = PacketOptions(256, apid=9, control=True, start_time=(2_151_014_437, 7), line_period=10**6)
SCENE = procedural(3, 100, 150)
IMAGE = SCENE.image[:4].astype(np.uint16)
IMAGE[:, 5:20, 70:150] = 0
IMAGE[:, 64:, 64:128] = 0
HEADER = replace(
    SceneHeader.of(IMAGE, tile=64),
    geotransform=(5e5, 10.0, 0.0, 5.1e6, 0.0, -10.0),
    crs="EPSG:32633",
    start_time=(2_151_014_437, 40_000),
    band_ids=("B02", "B03", "B04", "B08"),
    sensor="MSI",
    facts=Facts(((1e-4, -0.1),), ("reflectance",), (5, 4, 3, 0), (("", "BASELINE", "05.09"),)),
)
STREAMS: dict[str, Callable[[], bytes]] = {
    "bare": lambda: onboard.encode(IMAGE, nodata=0, header=HEADER, ratio=8.0),
    "small segments, dependent": lambda: onboard.encode(
        IMAGE,
        header=replace(SceneHeader.of(IMAGE, nodata=0), tile=64),
        ratio=6.0,
        trellis=True,
        segment_bytes=200,
        scene_id=9,
    ),
    "layers": lambda: onboard.encode(IMAGE[:2], one_layer=True, run=5, ratio=8.0),
    "CORSA": lambda: onboard.encode(IMAGE, NAME, nodata=0),
    "two parts": lambda: onboard.encode(IMAGE[:, :40, :70], max_error=9, max_error_first="sqrt:2"),
    "mosaic": lambda: onboard.encode(
        IMAGE, header=replace(SceneHeader.of(IMAGE), bayer="grbg"), ratio=8.0
    ),
    "quality of blocks": lambda: onboard.encode(
        IMAGE, nodata=0, psnr=60.0, quality_block=32, trellis=True
    ),
}
STATES = {
    "bare": {2, 128, 129},
    "small segments, dependent": {2, 4, 5},
    "layers": {128},
    "CORSA": {1},
    "two parts": {32},
    "mosaic": {128},
    "quality of blocks": {5, 39},
}
"""States of the tiles of each stream."""
PARTS = Parts(ToldBound(0, (8, 9, 10, 11)), ToldBound(256, (2,)))
WKT = 'GEOGCS["ä",' + 40 * "DATUM," + "]"
HEADERS = [
    SceneHeader("u8", 8, 1, 1, 0),
    SceneHeader("i8", 7, 3, 2, 1, tile=128),
    replace(HEADER, tile=None, nodata=65_535, run=0xABCDEF, parts=PARTS, bayer="bggr"),
    SceneHeader("i16", 16, 2, MAX_SIDE, MAX_SIDE, nodata=-3, crs=WKT, band_ids=("a,b", "ü")),
    SceneHeader("u16", 12, 200, 9, 9, profile=bytes(range(8)), facts=Facts(units=("",))),
    SceneHeader("u16", 12, 2, 9, 9, facts=Facts(((1.0, 2.0), (3.0, 4.0)), ("m", "Ω"), (1,))),
]
segments = st.builds(
    Segment,
    st.just(1),
    st.integers(0, 65_535),
    st.binary(min_size=4, max_size=4),
    st.integers(0, 2**32 - 1) | st.integers(0, 70_000),
    st.integers(1, 31),
    st.integers(0, 65_535) | st.just(0),
    st.none() | st.tuples(st.integers(1, 256), st.integers(1, 256)),
    st.binary(max_size=40),
)


def carried(told: Any, segment: Segment) -> None:
    """Hold what the body of a segment is described to carry against our readers of it."""
    content = told.body.content
    match segment.kind:
        case Kind.SCENE:
            assert content.minor == 0
            assert kaitai.header_of(content) == SceneHeader.unpack(segment.body)
        case Kind.TILE:
            state = bytes([content.state]) if segment.layer == 0 else b""
            assert state + content.coded == segment.body
        case Kind.MASK:
            pixels = 8 * (len(segment.body) - 1) if segment.body[0] else 128 * 128
            ours = unpack_mask(segment.body, 0, pixels)
            assert (kaitai.mask_of(content) == ours).all()
        case Kind.END:
            assert kaitai.end_of(content) == EndOfScene.unpack(segment.body)
        case Kind.REPAIR:
            assert kaitai.repair_of(told) == Repair.unpack(segment)


def read_whole(stream: bytes) -> list[Segment]:
    """Return the segments of a stream without damage, as our reader gives them."""
    found = list(read_segments(stream))
    assert b"".join(one.pack() for one in found if isinstance(one, Segment)) == stream
    return [one for one in found if isinstance(one, Segment)]


def read_alike(told: list[Any], ours: list[Segment]) -> None:
    """Hold segments as described against those that our reader gives."""
    assert [kaitai.segment_of(one) for one in told] == ours
    for one, segment in zip(told, ours, strict=True):
        carried(one, segment)


def packets_read_alike(stream: bytes) -> set[int]:
    """Hold packets as described against those that our reader gives; return kinds of segments."""
    told = kaitai.parse(stream)
    ours = [found for found in read_packets(stream) if isinstance(found, Received)]
    assert sum(found.stop - found.offset for found in ours) == len(stream)
    assert [kaitai.packet_of(one) for one in told] == [found.packet for found in ours]
    for one, found in zip(told, ours, strict=True):
        read_alike(one.data_field.ours.segments, list(found.segments))
    return {segment.kind for found in ours for segment in found.segments}


@pytest.mark.parametrize("name", STREAMS)
def test_streams(name: str) -> None:
    stream = STREAMS[name]()
    told = kaitai.parse(stream)
    read_alike(told, read_whole(stream))
    tiles = [one.body.content for one in told if one.kind == Kind.TILE and one.layer == 0]
    assert {int(tile.state) for tile in tiles} == STATES[name]


def test_packets() -> None:
    segments = onboard.encode(IMAGE, nodata=0, header=HEADER, packets=PACKETS)
    made = PACKETS.pack([segment.pack() for segment in read_whole(segments)], 64, 16_380)
    stream = b"".join(made)
    assert packets_read_alike(stream) == {0, 1, 2, 3}
    assert packets_read_alike(b"".join(protect(stream, 5, 2))) == {0, 1, 2, 3, 4}


@given(segments)
def test_any_place_of_a_segment(segment: Segment) -> None:
    (told,) = kaitai.parse(segment.pack())
    assert kaitai.segment_of(told) == segment


@pytest.mark.parametrize("header", HEADERS)
def test_headers(header: SceneHeader) -> None:
    segment = Segment(Kind.SCENE, 3, MODEL, 0, 0, 0, None, header.pack())
    read_alike(kaitai.parse(segment.pack()), [segment])


def test_unknown_kinds_and_extensions_are_passed_over() -> None:
    header = SceneHeader("u16", 16, 1, 5, 6)
    body = header.pack() + bytes.fromhex("7f 0002 abcd")
    known = Segment(Kind.SCENE, 3, MODEL, 0, 0, 0, None, body)
    unknown = Segment(9, 3, MODEL, 0, 0, 0, None, b"later")
    first, second = kaitai.parse(known.pack() + unknown.pack())
    (extension,) = first.body.content.extensions
    assert (int(extension.kind), extension.is_critical) == (127, False)
    assert extension.content == b"\xab\xcd"
    assert kaitai.segment_of(second) == unknown


@pytest.mark.parametrize(("period", "form"), [(3, 1), (5_000, 0), (50_000, 0)])
def test_masks(period: int, form: int) -> None:
    flat = np.arange(256 * 256) % period > period // 2
    pieces = pack_mask(flat.reshape(256, 256), 300)
    assert {body[0] for _, body in pieces} == {form}
    for first, body in pieces:
        segment = Segment(Kind.MASK, 1, MODEL, 5, 0, first, (256, 256), body)
        (told,) = kaitai.parse(segment.pack())
        assert told.body.content.form == form
        mask = unpack_mask(body, first, flat.size)
        assert (kaitai.mask_of(told.body.content)[: mask.size] == mask).all()


def test_packets_of_others_are_told_by_their_header() -> None:
    segment = Segment(Kind.TILE, 3, MODEL, 8, 1, 0, None, b"body")
    ours = SpacePacket(5, 16_383, (1, 2), segment.pack())
    idle = bytes.fromhex("07ff c000 0000 55")
    alike = bytes.fromhex("0805 c000 0009 01020304 0506 12345678")
    command = bytes.fromhex("1805 4001 0001 abcd")
    told = kaitai.parse(idle + alike + ours.pack() + command + segment.pack())
    assert [one.data_field.is_ours for one in told[:4]] == [False, False, True, False]
    assert [one.apid for one in told[:4]] == [2047, 5, 5, 5]
    assert [one.is_telecommand for one in told[:4]] == [False, False, False, True]
    assert [told[at].data_field.foreign for at in (0, 1, 3)] == [idle[6:], alike[6:], command[6:]]
    assert told[3].sequence_flags == told[3].sequence_count == 1
    assert kaitai.packet_of(told[2]) == ours
    assert kaitai.segment_of(told[4]) == segment


@pytest.mark.parametrize(
    "segment",
    [
        "534c 11 01 1234 0005 0003 010203 00000000",  # no sync mark
        "534b 21 01 1234 0005 0003 010203 00000000",  # a newer version
        "534b 11 41 1234 00000005 0003 010203 00000000",  # a tile that needs no four bytes
        "534b 11 21 1234 0005 0000 0003 010203 00000000",  # first is 0
        "534b 11 81 1234 0005 0004 0000 0101 00000000",  # no valid rows
        "534b 11 00 1234 0005 0001 03 00000000",  # an unknown state
        "534b 12 00 1234 0005 0002 02 00 00000000",  # an unknown form of a mask
        "534b 12 00 1234 0005 0005 00 80808001 00000000",  # a run of 4 bytes
        "534b 13 00 1234 0000 000c a1b2c3d4 00000000 00000001 00000000",  # no rows
        "534b 11 01 1234 0005 0003 010203 000000",  # cut short
        "534b 10 00 1234 0000 0011 a1b2c3d4 00 00 09 0001 00000001 00000001 00000000",  # 9 bits
    ],
)
def test_what_has_no_such_form_is_refused(segment: str) -> None:
    kaitai.parser()
    from kaitaistruct import KaitaiStructError

    with pytest.raises((KaitaiStructError, EOFError)):
        kaitai.parse(bytes.fromhex(segment))


def test_it_compiles_in_other_languages() -> None:
    assert all(files and all(files.values()) for files in kaitai.compiled().values())


def test_it_knows_every_extension_and_state_of_the_page() -> None:
    types = kaitai.description()["types"]
    table = PAGE.split("### Kind 0: scene header")[1].split("### Kind 3")[0]
    kinds = {int(number) for number in re.findall(r"^\| (\d+) \|", table, re.M)}
    assert kinds == set(types["extension"]["enums"]["kind"])
    told = PAGE.split("State: 0 all pixels valid")[1].split("Others are refused")[0]
    states = {int(number) for number in re.findall(r"(?<!section )\b\d+\b", told)}
    assert states | {0} == set(types["tile"]["enums"]["state"])


def test_it_refers_to_sections_that_exist() -> None:
    text = (ROOT / "onboard/skybook.ksy").read_text()
    named = set(re.findall(r"sections? (\d+)", text))
    assert named <= set(re.findall(r"^## (\d+)\.", PAGE, re.M))
