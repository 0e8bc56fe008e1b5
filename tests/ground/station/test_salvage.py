"""Damaged segments: which of their bits were wrong, and when nothing is said of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ground.station.recording import read_pass
from ground.station.salvage import damaged
from ground.station.salvage.damaged import read_salvaging
from ground.station.salvage.madeout import AS_IT_CAME, Salvage
from ground.station.salvage.syndromes import WINDOW, syndromes_of
from onboard.link.binding import Encoding, allowance, bindings_of
from onboard.link.end import EndOfScene
from onboard.link.packet import PacketOptions
from onboard.link.resync import Damage
from onboard.link.segment import Kind, Segment, told_binding

BINDING = b"\x12\x34\x56\x78"
OTHER = b"\x12\x9a\xbc\xde"
RNG = np.random.default_rng(8)
BODIES = [RNG.bytes(60) for _ in range(6)]


def tile(number: int, binding: bytes = BINDING, body: bytes = b"") -> Segment:
    return Segment(Kind.TILE, 7, binding, number, 3, 40, None, body or BODIES[number])


def end(binding: bytes = BINDING) -> Segment:
    return Segment(Kind.END, 7, binding, 0, 0, 0, None, EndOfScene(64, 9, 0).pack())


def salvaged(recording: bytes) -> list[Salvage]:
    read = list(read_salvaging(recording, bindings_of(recording)))
    intact = [one for one in read if isinstance(one, Segment)]
    found = [one for one in read if isinstance(one, Salvage)]
    assert not any(one.segment in intact for one in found)
    return found


def flipped(packed: bytes, *bits: int) -> bytes:
    found = bytearray(packed)
    for bit in bits:
        found[bit >> 3] ^= 128 >> (bit & 7)
    return bytes(found)


def told(packed: bytes) -> int:
    """What wrong bits make of the binding."""
    return int.from_bytes(told_binding(packed), "big") ^ int.from_bytes(BINDING, "big")


@pytest.mark.parametrize("packets", [False, True])
def test_one_wrong_bit_is_put_right_wherever_it_is(packets: bool) -> None:
    segments = [tile(0), tile(1), tile(2), end()]
    parts = [segment.pack() for segment in segments]
    if packets:
        parts = PacketOptions(packet_bytes=128, control=True).pack(parts, 0, 0)
    whole = parts[1]
    head = len(whole) - 2 - len(segments[1].pack()) if packets else 0
    for bit in range(8 * head, 8 * (head + len(segments[1].pack()))):
        found = salvaged(b"".join([parts[0], flipped(whole, bit), *parts[2:]]))
        assert [(one.segment, one.wrong) for one in found] == [(segments[1], 1)], bit


def test_it_is_put_right_at_both_ends_of_a_recording_and_beside_others() -> None:
    parts = [tile(number).pack() for number in range(4)]
    last = flipped(parts[3], 200)
    recording = b"".join(
        [flipped(parts[0], 77), flipped(parts[1], 0), parts[2], last, end().pack()]
    )
    assert [one.segment for one in salvaged(recording)] == [tile(0), tile(1), tile(3)]
    assert [one.segment for one in salvaged(end().pack() + last)] == [tile(3)]


def test_few_wrong_bits_are_among_the_alternatives() -> None:
    packed, around = tile(1).pack(), (tile(0).pack(), tile(2).pack() + end().pack())
    for _ in range(40):
        bits = RNG.choice(8 * len(packed), 2, replace=False).tolist()
        found = salvaged(around[0] + flipped(packed, *bits) + around[1])
        if min(bits) >= 96:  # else its head does not say where it ends
            assert tile(1) in [one.segment for one in found if one.wrong == 2]
    for first in range(12, len(packed) - 4 - WINDOW):
        wrong = bytearray(packed)
        for byte, pattern in enumerate(RNG.integers(1, 256, WINDOW)):
            wrong[first + byte] ^= int(pattern)
        found = salvaged(around[0] + bytes(wrong) + around[1])
        assert tile(1) in [one.segment for one in found if one.wrong]


def test_two_wrong_bits_never_look_like_one() -> None:
    packed = tile(1).pack()
    syndromes = syndromes_of(len(packed))
    singles = set(syndromes.of_bits[-8 * len(packed) :].tolist())
    assert len(singles) == 8 * len(packed)
    assert not any(int(a) ^ int(b) in singles for a in singles for b in list(singles)[:40])
    assert syndromes.single(0) is None
    assert syndromes.single(told(flipped(packed, 3, 400))) is None


def spoilt(segment: Segment, first: int = 30, count: int = 20) -> bytes:
    """A segment of which so many bytes are anything."""
    packed = segment.pack()
    return (
        packed[:first]
        + bytes(b ^ 0x5A for b in packed[first : first + count])
        + packed[first + count :]
    )


def as_it_came(recording: bytes) -> list[Segment]:
    return [one.segment for one in salvaged(recording) if one.wrong == AS_IT_CAME]


def test_what_cannot_be_put_right_is_left_as_it_came() -> None:
    packed = spoilt(tile(1))
    came = replace(tile(1), body=packed[12:-4])
    assert as_it_came(tile(0).pack() + packed + tile(2).pack()) == [came]


@pytest.mark.parametrize(
    ("before", "behind"),
    [
        ([tile(0)], []),
        ([], [tile(2)]),
        ([tile(0)], [tile(2, OTHER), tile(3, OTHER), end(OTHER)]),
        ([replace(tile(0), scene_id=8)], [replace(tile(2), scene_id=8)]),
        ([replace(tile(0), tile=100)], [replace(tile(2), tile=120)]),
    ],
    ids=["nothing behind", "nothing before", "another run", "another scene", "far away"],
)
def test_nothing_is_taken_whose_head_does_not_agree(
    before: Sequence[Segment], behind: Sequence[Segment]
) -> None:
    named = [end(), end(OTHER)]  # so that all are known
    known = bindings_of(b"".join(one.pack() for one in named))
    recording = b"".join(
        [*(one.pack() for one in before), spoilt(tile(1)), *(one.pack() for one in behind)]
    )
    read = list(read_salvaging(recording, known))
    assert not [one for one in read if isinstance(one, Salvage) and not one.wrong]


@pytest.mark.parametrize("bits", [(150,), (150, 300, 450)])
def test_nothing_of_another_encoding_is_ever_taken_for_ours(bits: tuple[int, ...]) -> None:
    damaged_one = flipped(tile(1, OTHER).pack(), *bits)
    recording = tile(0).pack() + damaged_one + tile(2).pack() + end().pack()
    assert not [one for one in salvaged(recording) if one.wrong]
    found = salvaged(recording + end(OTHER).pack())
    assert tile(1) not in [one.segment for one in found]
    assert [one.segment for one in found if one.wrong == 1] == [tile(1, OTHER)] * (len(bits) == 1)
    assert not [one for one in found if one.wrong == AS_IT_CAME]


def test_a_lone_segment_of_another_run_is_no_damaged_one_of_ours() -> None:
    recording = tile(0).pack() + tile(1, OTHER).pack() + tile(2).pack() + end().pack()
    assert not salvaged(recording)


def test_salvage_goes_with_its_encoding_and_counts_as_nothing_received() -> None:
    recording = b"".join(
        [tile(0).pack(), flipped(tile(1).pack(), 90), tile(2).pack(), end().pack()]
    )
    received = read_pass([recording])
    encoding = Encoding(7, BINDING)
    assert tile(1) not in received.encodings[encoding]
    assert [one.segment for one in received.salvage[encoding]] == [tile(1)]
    found = received.of(encoding)
    assert sum(isinstance(one, Damage) and not isinstance(one, Salvage) for one in found) == 1
    other = read_pass([recording, recording])
    assert not any(isinstance(o, Damage) and not isinstance(o, Salvage) for o in other.of(encoding))
    assert any(isinstance(one, Salvage) for one in other.of(encoding))


def test_noise_takes_no_more_work_than_bytes_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def counting(packed: bytes) -> bytes:
        tried.append(len(packed))
        return told_binding(packed)

    monkeypatch.setattr(damaged, "told_binding", counting)
    noise = b"SK\x11\x23\x00\x07\x00\x01\x00\x28\x03\x00" * 1_500
    recording = tile(0).pack() + noise + tile(2).pack() + end().pack()
    assert not salvaged(recording)
    assert 0 < sum(tried) + 512 * len(tried) < allowance(recording) + 16_000
