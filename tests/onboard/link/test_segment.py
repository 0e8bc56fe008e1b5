"""Segments: the envelope byte by byte, and reading on after damage."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.errors import StreamError
from onboard.link.binding import Bindings, bindings_of
from onboard.link.crc import crc32c
from onboard.link.resync import Damage, read_segments
from onboard.link.segment import Head, Kind, Segment, overhead
from tests.growth import LINEAR, growth

MODEL = bytes.fromhex("a1b2c3d4")
OTHER = bytes.fromhex("01020304")
PLAIN = Segment(Kind.TILE, 0x1234, MODEL, 5, 1, 8, None, b"\x01\x02\x03")
EDGE = Segment(Kind.MASK, 1, MODEL, 0x01020304, 0, 9, (7, 120), b"\x00")
HEADER = Segment(Kind.SCENE, 0x1234, MODEL, 0, 0, 0, None, b"head")

segments = st.builds(
    Segment,
    st.integers(0, 5),
    st.integers(0, 65_535),
    st.binary(min_size=4, max_size=4),
    st.integers(0, 2**32 - 1) | st.integers(0, 70_000),
    st.integers(0, 15),
    st.integers(0, 65_535) | st.just(0),
    st.none() | st.tuples(st.integers(1, 256), st.integers(1, 256)),
    st.binary(max_size=40),
)


def checks(message: bytes, tag: bytes = bytes(4)) -> bytes:
    """Return a message with the check of a model."""
    return message + (crc32c(message) ^ int.from_bytes(tag, "big")).to_bytes(4, "big")


def intact(stream: bytes, models: set[bytes] | None = None) -> list[Segment]:
    return [s for s in read_segments(stream, models) if isinstance(s, Segment)]


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (PLAIN, "534b 11 21 1234 0005 0008 0003 010203"),
        (replace(PLAIN, first=0), "534b 11 01 1234 0005 0003 010203"),
        (EDGE, "534b 12 e0 0001 01020304 0009 0005 0007 0078 00"),
        (replace(EDGE, first=0), "534b 12 c0 0001 01020304 0005 0007 0078 00"),
        (replace(PLAIN, tile=65_535), "534b 11 21 1234 ffff 0008 0003 010203"),
        (replace(PLAIN, tile=65_536), "534b 11 61 1234 00010000 0008 0003 010203"),
        (HEADER, "534b 10 00 1234 0000 0008 a1b2c3d4 68656164"),
    ],
)
def test_byte_vectors(segment: Segment, message: str) -> None:
    bound = segment.kind in (Kind.TILE, Kind.MASK)
    expected = checks(bytes.fromhex(message), MODEL if bound else bytes(4))
    assert segment.pack() == expected
    if bound:
        edge = 4 if segment.edge else 0
        assert overhead(segment.tile, segment.first) + edge + len(segment.body) == len(expected)


def test_a_check_as_it_is_sent() -> None:
    assert PLAIN.pack()[-4:].hex() == "be8c1015"
    assert HEADER.pack()[-4:].hex() == "84b4df9a"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("534b 11 41 1234 0000ffff 0003 010203", "tile 65535 in four bytes"),
        ("534b 11 21 1234 0005 0000 0003 010203", "first is 0"),
        ("534b 21 01 1234 0005 0003 010203", "expected format 1, found 2"),
        ("534b 11 81 1234 0005 0003 010203", "edge fields cut short"),
        ("534b 13 00 1234 0000 0003 a1b2c3", "binding cut short"),
        ("534b 11 01 1234 0005 0004 010203", "1 bytes are missing"),
    ],
)
def test_what_no_sender_makes_is_refused(message: str, reason: str) -> None:
    packed = bytes.fromhex(message)
    with pytest.raises(StreamError, match=reason):
        Segment.unpack(checks(packed, MODEL if packed[2] == 0x11 else bytes(4)))


@given(segments)
def test_round_trip(segment: Segment) -> None:
    packed = segment.pack()
    assert Segment.unpack(packed) == (segment, len(packed))
    assert Head.read(packed).size == len(packed)


@given(st.lists(segments, max_size=6))
def test_streams(made: list[Segment]) -> None:
    stream = b"".join(s.pack() for s in made)
    assert list(read_segments(stream, {s.binding for s in made})) == made


def test_every_bit_flip_is_found_and_leaves_the_others() -> None:
    packed = [PLAIN.pack(), EDGE.pack(), PLAIN.pack(), HEADER.pack()]
    middle = range(8 * len(packed[0]), 8 * len(packed[0] + packed[1]))
    for bit in middle:
        stream = bytearray(b"".join(packed))
        stream[bit // 8] ^= 128 >> bit % 8
        found = list(read_segments(bytes(stream)))
        assert [s for s in found if isinstance(s, Segment)] == [PLAIN, PLAIN, HEADER]
        assert [(s.offset, s.length) for s in found if isinstance(s, Damage)] == [
            (len(packed[0]), len(packed[1]))
        ]


def test_truncation_at_every_byte() -> None:
    stream = PLAIN.pack() + EDGE.pack()
    for length in range(len(stream)):
        found = list(read_segments(stream[:length], {MODEL}))
        whole = [s for s in found if isinstance(s, Segment)]
        assert whole == ([PLAIN] if length >= len(PLAIN.pack()) else [])
        assert sum(s.length for s in found if isinstance(s, Damage)) == length - sum(
            len(s.pack()) for s in whole
        )


def test_rubbish_around_segments() -> None:
    rubbish = np.random.default_rng(0).bytes(3_000)
    stream = rubbish + PLAIN.pack() + b"SK" + EDGE.pack() + rubbish
    assert intact(stream, {MODEL}) == [PLAIN, EDGE]


def test_the_model_is_known_from_a_bundle_or_from_what_names_it_anywhere() -> None:
    packed = PLAIN.pack()
    assert intact(packed) == []
    assert intact(packed, {OTHER}) == []
    assert intact(packed, {OTHER, MODEL}) == [PLAIN]
    elsewhere = replace(HEADER, scene_id=9)
    for kind in (Kind.SCENE, Kind.END, Kind.REPAIR, 9):
        naming = replace(elsewhere, kind=kind)
        assert intact(packed + naming.pack()) == [PLAIN, naming]
        assert intact(naming.pack() + packed) == [naming, PLAIN]
    assert intact(packed + replace(elsewhere, binding=OTHER).pack())[0].kind == Kind.SCENE
    (damage,) = read_segments(packed, {OTHER})
    assert isinstance(damage, Damage)
    assert "a1b2c3d4" in damage.reason
    assert "01020304" in damage.reason


def test_two_segments_of_a_scene_without_header_tell_its_model() -> None:
    more = replace(PLAIN, tile=6)
    assert intact(PLAIN.pack() + more.pack()) == [PLAIN, more]
    assert intact(PLAIN.pack() + PLAIN.pack()) == []
    assert intact(PLAIN.pack() + replace(more, binding=OTHER).pack()) == []
    assert intact(PLAIN.pack() + replace(more, scene_id=1).pack()) == []


def test_the_same_damage_in_two_segments_is_no_model_where_a_header_names_one() -> None:
    pair = [PLAIN.pack(), replace(PLAIN, tile=6).pack()]
    wrong = [part[:-1] + bytes([part[-1] ^ 1]) for part in pair]
    assert [s.binding for s in intact(b"".join(wrong))] == [bytes.fromhex("a1b2c3d5")] * 2
    assert intact(b"".join(wrong) + HEADER.pack()) == [HEADER]


def test_models_are_heard_part_by_part_as_of_the_whole() -> None:
    parts = [PLAIN.pack(), replace(PLAIN, tile=6, binding=OTHER).pack(), EDGE.pack()]
    parts += [replace(PLAIN, tile=7).pack(), replace(HEADER, scene_id=2, binding=b"abcd").pack()]
    tags = Bindings()
    known = []
    for part in parts:
        tags.hear(part)
        known.append(tags.known)
    assert known == [set(), set(), set(), {MODEL}, {MODEL, b"abcd"}]
    assert bindings_of(b"".join(parts)) == bindings_of(*parts[::-1]) == known[-1]


def test_a_false_mark_in_damage_does_not_swallow_what_follows() -> None:
    false = bytes.fromhex("534b 11 01 1234 0005 0100")
    broken = bytearray(replace(PLAIN, body=bytes(20) + false + bytes(20)).pack())
    broken[-1] ^= 1
    after = [replace(PLAIN, tile=tile) for tile in range(40)]
    stream = bytes(broken) + b"".join(part.pack() for part in after) + HEADER.pack()
    assert intact(stream) == [*after, HEADER]


def test_a_stream_made_to_waste_time_is_given_up_and_what_came_before_is_kept() -> None:
    head = PLAIN.pack()[:8] + b"\0\1\xff\xff"
    found = list(read_segments(EDGE.pack() + head * 20_000, {MODEL}))
    assert found[0] == EDGE
    assert isinstance(found[-1], Damage)
    assert "false sync marks" in found[-1].reason or "CRC" in found[-1].reason
    assert len(found) == 2
    for kind in (b"\x10", b"\x11"):  # to be told models by, too
        named = head[:2] + kind + head[3:]
        assert bindings_of(EDGE.pack() + HEADER.pack() + named * 20_000) == {MODEL}

    def read(marks: int) -> None:
        list(read_segments(EDGE.pack() + head * marks, {MODEL}))
        bindings_of(EDGE.pack() + HEADER.pack() + named * marks)

    assert growth(read, 2_000) < LINEAR


def test_false_sync_marks_alone_are_harmless() -> None:
    assert all(isinstance(s, Damage) for s in read_segments(b"SK" * 50_000))
