"""Bindings and runs: what ties a segment to its model and its encoding, byte by byte."""

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.errors import InputError, StreamError
from onboard.link.binding import MAX_RUN, Encoding, bind, bindings_of, run_of
from onboard.link.end import EndOfScene, told_run
from onboard.link.header import RUN_BYTES, SceneHeader
from onboard.link.resync import Damage, read_segments
from onboard.link.segment import Kind, Segment

TAG = bytes.fromhex("a1b2c3d4")
BARE = SceneHeader("u16", 16, 4, 130, 100)
NAMED = replace(BARE, run=0x123456)


def tile(number: int, run: int, scene_id: int = 7) -> Segment:
    return Segment(Kind.TILE, scene_id, bind(TAG, run), number, 1, 8, None, b"body")


def header(run: int, scene_id: int = 7) -> Segment:
    body = replace(BARE, run=run).pack()
    return Segment(Kind.SCENE, scene_id, bind(TAG, run), 0, 0, 0, None, body)


def joined(*segments: Segment) -> bytes:
    return b"".join(segment.pack() for segment in segments)


def test_a_binding_is_tag_and_run() -> None:
    assert bind(TAG, 0x123456).hex() == "a1a0f782"
    assert bind(TAG, 0) == TAG
    assert run_of(bytes.fromhex("a1a0f782"), TAG) == 0x123456
    assert run_of(bytes.fromhex("a0a0f782"), TAG) is None


@given(st.integers(0, MAX_RUN), st.binary(min_size=4, max_size=4))
def test_a_run_comes_back(run: int, tag: bytes) -> None:
    binding = bind(tag, run)
    assert run_of(binding, tag) == run
    assert bind(binding, run) == tag


def test_header_and_end_tell_the_run() -> None:
    assert NAMED.pack() == BARE.pack() + bytes.fromhex("95 0004 00123456")
    assert len(NAMED.pack()) == len(BARE.pack()) + RUN_BYTES
    assert SceneHeader.unpack(NAMED.pack()) == NAMED
    end = EndOfScene(100, 9, 0x123456)
    assert end.pack().hex() == "00000064 00000009 00123456".replace(" ", "")
    assert EndOfScene.unpack(end.pack()) == end
    assert EndOfScene.unpack(end.pack()[:8]) == EndOfScene(100, 9)


@pytest.mark.parametrize("run", [0, MAX_RUN + 1, 0xFFFF_FFFF])
def test_a_run_out_of_range_is_refused(run: int) -> None:
    field = struct.pack(">BHI", 0x95, 4, run)
    with pytest.raises(StreamError, match="run: expected 1"):
        SceneHeader.unpack(BARE.pack() + field)
    with pytest.raises(StreamError, match="run: expected 1"):
        EndOfScene.unpack(struct.pack(">III", 100, 9, run))
    if run:
        with pytest.raises((InputError, StreamError), match="run"):
            replace(BARE, run=run).pack()


@pytest.mark.parametrize("length", [0, 7, 9, 11, 13])
def test_an_end_has_eight_or_twelve_bytes(length: int) -> None:
    with pytest.raises(StreamError, match="8 bytes or 4 more"):
        EndOfScene.unpack(EndOfScene(100, 9, 5).pack().ljust(13, b"\0")[:length])


def test_a_run_is_told_by_header_and_end_alone() -> None:
    end = Segment(Kind.END, 7, bind(TAG, 5), 0, 0, 0, None, EndOfScene(9, 9, 5).pack())
    assert (told_run(header(5)), told_run(end), told_run(header(0))) == (5, 5, 0)
    assert told_run(tile(1, 5)) is None
    assert told_run(replace(end, body=b"?")) is None


def test_tiles_of_each_run_that_is_named_are_intact_and_of_no_other() -> None:
    stream = joined(tile(1, 5), header(5), tile(2, 6), header(6), tile(3, 9))
    *found, damage = read_segments(stream)
    assert found == [tile(1, 5), header(5), tile(2, 6), header(6)]
    assert isinstance(damage, Damage)
    assert bind(TAG, 9).hex() in damage.reason
    kept = [Encoding.of(s) for s in found if isinstance(s, Segment)]
    assert kept == [(7, bind(TAG, 5))] * 2 + [(7, bind(TAG, 6))] * 2


def test_a_binding_that_is_known_makes_lone_segments_intact() -> None:
    lone = tile(3, 9).pack()
    assert isinstance(next(read_segments(lone, {TAG})), Damage)
    assert list(read_segments(lone, {TAG, bind(TAG, 9)})) == [tile(3, 9)]


def test_four_of_an_encoding_are_known_beside_another_and_three_are_not() -> None:
    four = [tile(number, 9) for number in range(4)]
    assert list(read_segments(joined(header(5), *four))) == [header(5), *four]
    assert bindings_of(joined(*four, header(5))) == {bind(TAG, 5), bind(TAG, 9)}
    for three in (four[:3], [*four[:3], four[0]]):
        found, damage = read_segments(joined(header(5), *three))
        assert found == header(5)
        assert isinstance(damage, Damage)


def test_scenes_without_headers_tell_each_of_their_runs() -> None:
    stream = joined(tile(1, 5), tile(1, 6), tile(2, 5), tile(2, 6), tile(1, 8, scene_id=8))
    assert bindings_of(stream) == {bind(TAG, 5), bind(TAG, 6)}
