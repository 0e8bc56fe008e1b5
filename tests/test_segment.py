"""Segments: the envelope byte by byte, and reading on after damage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.errors import StreamError
from onboard.segment import Kind, Segment
from onboard.segmentstream import Damage, read_segments

MODEL = bytes.fromhex("a1b2c3d4")
PLAIN = Segment(Kind.TILE, 0x1234, MODEL, 5, 1, 8, None, b"\x01\x02\x03")
EDGE = Segment(Kind.MASK, 1, MODEL, 0x01020304, 0, 9, (7, 120), b"\x00")

segments = st.builds(
    Segment,
    st.integers(0, 3),
    st.integers(0, 65_535),
    st.binary(min_size=4, max_size=4),
    st.integers(0, 2**32 - 1),
    st.integers(0, 15),
    st.integers(0, 65_535),
    st.none() | st.tuples(st.integers(1, 256), st.integers(1, 256)),
    st.binary(max_size=40),
)


def test_byte_vectors() -> None:
    assert PLAIN.pack()[:-4].hex() == "534b11011234a1b2c3d40000000500080003010203"
    assert EDGE.pack()[:-4].hex() == "534b12800001a1b2c3d401020304000900050007007800"
    assert PLAIN.pack()[-4:].hex() == "6a168a33"


@given(segments)
def test_round_trip(segment: Segment) -> None:
    packed = segment.pack()
    assert Segment.unpack(packed) == (segment, len(packed))


@given(st.lists(segments, max_size=6))
def test_streams(made: list[Segment]) -> None:
    assert list(read_segments(b"".join(s.pack() for s in made))) == made


def test_every_bit_flip_is_found_and_leaves_the_others() -> None:
    packed = [PLAIN.pack(), EDGE.pack(), PLAIN.pack()]
    middle = range(8 * len(packed[0]), 8 * len(packed[0] + packed[1]))
    for bit in middle:
        stream = bytearray(b"".join(packed))
        stream[bit // 8] ^= 128 >> bit % 8
        found = list(read_segments(bytes(stream)))
        assert [s for s in found if isinstance(s, Segment)] == [PLAIN, PLAIN]
        assert [(s.offset, s.length) for s in found if isinstance(s, Damage)] == [
            (len(packed[0]), len(packed[1]))
        ]


def test_truncation_at_every_byte() -> None:
    stream = PLAIN.pack() + EDGE.pack()
    for length in range(len(stream)):
        found = list(read_segments(stream[:length]))
        whole = [s for s in found if isinstance(s, Segment)]
        assert whole == ([PLAIN] if length >= len(PLAIN.pack()) else [])
        assert sum(s.length for s in found if isinstance(s, Damage)) == length - sum(
            len(s.pack()) for s in whole
        )


def test_rubbish_around_segments() -> None:
    rubbish = np.random.default_rng(0).bytes(3_000)
    stream = rubbish + PLAIN.pack() + b"SK" + EDGE.pack() + rubbish
    assert [s for s in read_segments(stream) if isinstance(s, Segment)] == [PLAIN, EDGE]


def test_newer_major_version_is_refused() -> None:
    packed = bytearray(PLAIN.pack())
    packed[2] = 0x21
    with pytest.raises(StreamError, match="expected format 1, found 2"):
        Segment.unpack(bytes(packed))


def test_a_stream_made_to_waste_time_is_given_up_and_what_came_before_is_kept() -> None:
    head = PLAIN.pack()[:16] + b"\xff\xff"
    found = list(read_segments(EDGE.pack() + head * 20_000))
    assert found[0] == EDGE
    assert isinstance(found[-1], Damage)
    assert "false sync marks" in found[-1].reason or "CRC" in found[-1].reason
    assert len(found) == 2


def test_false_sync_marks_alone_are_harmless() -> None:
    assert all(isinstance(s, Damage) for s in read_segments(b"SK" * 50_000))
