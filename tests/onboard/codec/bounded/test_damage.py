"""What is lost or damaged of a bounded tile is told; all before it is right."""

from dataclasses import replace

import numpy as np
import pytest

from onboard.codec.bound import Bound
from onboard.codec.bounded.read.course import Lane
from tests.onboard.codec.bounded.tiles import coded, lanes_of, read, smooth

TILES = smooth((2, 3, 12, 14)).astype(np.uint16)
PIXELS = 12 * 14


def test_everything_before_a_lost_segment_is_right() -> None:
    for bound in (0, 3):
        bodies, valid = coded(TILES, Bound((bound,)), room=100)
        lanes = lanes_of(bodies)
        whole = read(TILES, valid, lanes)
        mine = [lane for lane in lanes if lane.tile == 0]
        for lost in mine:
            found = read(TILES, valid, [lane for lane in lanes if lane is not lost])
            assert not found.wrong
            first = lost.band * PIXELS + lost.pixel
            assert found.arrived.tolist() == [first, 3 * PIXELS]
            for tile, stop in enumerate(found.arrived.tolist()):
                right = whole.samples[tile].reshape(-1)[:stop]
                assert (found.samples[tile].reshape(-1)[:stop] == right).all()


def test_nothing_arrived() -> None:
    found = read(TILES, np.ones((2, PIXELS), np.bool_), [])
    assert found.arrived.tolist() == [0, 0]
    assert not found.known.any()


@pytest.mark.parametrize("bound", [0, 3])
def test_damaged_lanes_never_crash_and_those_cut_never_pass(bound: int) -> None:
    """What bits flipped the check of a segment tells; a lane may look whole all the same."""
    bodies, valid = coded(TILES, Bound((bound,)), room=130)
    lanes = lanes_of(bodies)
    generator = np.random.default_rng(bound)
    for turn in range(20):
        number = int(generator.integers(len(lanes)))
        lane = lanes[number]
        body = bytearray(lane.body)
        if turn % 2:
            body[int(generator.integers(len(body)))] ^= 1 << int(generator.integers(8))
        else:
            del body[int(generator.integers(len(body))) :]
        spoilt = list(lanes)
        spoilt[number] = replace(lane, body=bytes(body))
        found = read(TILES, valid, spoilt)
        assert turn % 2 or found.arrived[lane.tile] <= lane.band * PIXELS + lane.pixel
        assert found.arrived[1 - lane.tile] == 3 * PIXELS


def test_bytes_of_chance_never_crash() -> None:
    generator = np.random.default_rng(5)
    valid = generator.random((4, PIXELS)) < 0.9
    tiles = np.zeros((4, 3, 12, 14), np.uint16)
    for _ in range(12):
        lanes = [
            Lane(tile, int(band), int(pixel), generator.bytes(int(size)))
            for tile in range(4)
            for band, pixel, size in zip(
                (0, 0, 2), (0, 77, 0), generator.integers(0, 90, 3), strict=True
            )
        ]
        found = read(tiles, valid, lanes)
        assert (found.arrived <= 3 * PIXELS).all()
