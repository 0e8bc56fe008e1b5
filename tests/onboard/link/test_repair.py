"""Repair packets: exact bytes, losses, stations, further ones on request, limits."""

import hashlib
import random
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.decode.decoder import Decoder
from ground.scenes.procedural import procedural
from ground.station.restoration import restore
from onboard import bundle as bundles
from onboard.downlink.protect import MAX_PROTECTED_BYTES, extend, protect
from onboard.encoder import Encoder
from onboard.errors import LimitError, StreamError, UsageError
from onboard.link import repair
from onboard.link.packet import PacketOptions, SpacePacket, crc16
from onboard.link.repair import Repair
from onboard.link.resync import Received, read_packets
from onboard.link.segment import Kind, Segment
from tests.conftest import NAME
from tests.growth import LINEAR, growth

GOLDEN_PACKETS = [
    "0809c000001c000000010002534b1000000300000007a1b2c3d46162636988f07a8e42",
    "0809c001003f000000010002534b140000030000002aa1b2c3d41aaf25470001efb000000894"
    "1128774e558b19bc00003beca3cf52abefdc9a70aa7f4f3e6e979e03d6e6ee66",
]
GOLDEN_SHA256 = "819d08a8104fb71656a5098c02c4510c0d9f56963e6821a1e8e9a8f88d387b26"


MODEL = b"\xa1\xb2\xc3\xd4"


def plain(count: int, seed: int = 0, apid: int = 9, control: bool = False) -> list[bytes]:
    """Return packets of some random lengths, with the counts of a scheduler: out of order."""
    rng = random.Random(seed)
    options = PacketOptions(apid=apid, control=control, start_time=(1_000, 5))
    made = []
    for tile in range(count):
        body = rng.randbytes(rng.randrange(30, 90))
        segment = Segment(Kind.TILE, 3, MODEL, tile, 1, 0, None, body).pack()
        made += options.pack([segment], 0, rng.randrange(1 << 14))
    return made


def packets(stream: bytes) -> list[bytes]:
    """Return the whole packets of a recording."""
    return [
        stream[found.offset : found.stop]
        for found in read_packets(stream, {MODEL})
        if isinstance(found, Received) and found.packet is not None
    ]


def is_repair(packet: bytes) -> bool:
    return packet[14] & 15 == Kind.REPAIR  # after 12 bytes of header: byte 2 of the segment


def lose(stream: list[bytes], share: float, seed: int) -> list[bytes]:
    rng = random.Random(seed)
    return [packet for packet in stream if rng.random() >= share]


PLAIN = plain(50)
SENT = list(protect(b"".join(PLAIN), 20, 6))
SOURCE = [packet for packet in SENT if not is_repair(packet)]


def test_protected_packets_are_the_plain_ones_numbered_and_sealed() -> None:
    assert [is_repair(p) for p in SENT] == (
        ([False] * 20 + [True] * 6) * 2 + [False] * 10 + [True] * 6
    )
    read = [SpacePacket.unpack(packet)[0] for packet in SENT]
    assert [packet.sequence for packet in read] == list(range(68))
    assert all(packet.control and packet.apid == 9 for packet in read)
    before = [SpacePacket.unpack(packet)[0] for packet in PLAIN]
    after = [SpacePacket.unpack(packet)[0] for packet in SOURCE]
    assert [(p.segments, p.time) for p in before] == [(p.segments, p.time) for p in after]


def test_golden_bytes() -> None:
    segment = Segment(Kind.SCENE, 3, MODEL, 0, 0, 0, None, b"abc").pack()
    sent = list(protect(SpacePacket(9, 77, (1, 2), segment).pack(), 5, 1))
    assert [packet.hex() for packet in sent] == GOLDEN_PACKETS
    assert hashlib.sha256(b"".join(SENT)).hexdigest() == GOLDEN_SHA256
    assert Repair.unpack(Segment.unpack(sent[1], 12)[0]).pack(3, MODEL) in sent[1]


@pytest.mark.parametrize("control", [False, True])
def test_a_repair_packet_is_at_most_39_bytes_longer_than_the_longest(control: bool) -> None:
    source = plain(30, control=control)
    sent = list(protect(b"".join(source), 30, 2))
    assert max(map(len, sent)) <= max(map(len, source)) + 39 + 2 * (not control)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.floats(0, 0.5), st.booleans())
def test_what_can_be_restored_is(seed: int, share: float, shuffled: bool) -> None:
    received = lose(SENT, share, seed)
    if shuffled:
        random.Random(seed).shuffle(received)
    received += received[:: 1 + seed % 5]
    found = restore(b"".join(received))
    expected, whole, short = [], 0, []
    for first, size in ((0, 20), (26, 20), (52, 10)):
        group, rows = SENT[first : first + size], SENT[first + size : first + size + 6]
        missing = [packet for packet in group if packet not in received]
        heard = sum(packet in received for packet in rows)
        if heard == 0:
            continue
        whole += not missing
        if len(missing) <= heard:
            expected += missing
        else:
            short.append((9, first, len(missing) - heard))
    assert sorted(packets(found.packets)) == sorted(expected)
    assert found.packets_restored == len(expected)
    assert found.groups_whole == whole
    assert sorted(found.lacking) == short


def test_a_damaged_packet_is_an_erasure() -> None:
    for place in range(0, len(SENT[3]), 3):
        damaged = bytearray(SENT[3])
        damaged[place] ^= 4
        stream = b"".join([*SENT[:3], bytes(damaged), *SENT[4:]])
        assert packets(restore(stream).packets) == [SENT[3]], place


def test_a_packet_without_error_control_is_an_erasure() -> None:
    unsealed = replace(SpacePacket.unpack(SENT[3])[0], control=False, time=(0, 0)).pack()
    stream = b"".join([*SENT[:3], unsealed, *SENT[4:]])
    assert packets(restore(stream).packets) == [SENT[3]]


def test_further_repair_packets_on_request() -> None:
    sent = b"".join(SENT)
    received = SENT[:10] + SENT[20:30] + SENT[40:]
    short = restore(b"".join(received))
    assert (short.lacking, short.groups_whole) == (((9, 0, 4), (9, 26, 4)), 1)
    more = list(extend(sent, range(6, 10), {26}))
    assert len(more) == 4
    assert all(map(is_repair, more))
    better = restore(b"".join(received + more))
    assert (better.lacking, packets(better.packets)) == (((9, 0, 4),), SENT[30:40])
    everything = restore(b"".join(received + list(extend(sent, range(65_000, 65_004)))))
    assert packets(everything.packets) == SENT[10:20] + SENT[30:40]
    assert everything.groups_restored == 2


def test_stations_together_restore_what_none_does_alone() -> None:
    heard = [lose(SENT, 0.45, seed) for seed in (5, 6)]
    alone = [len(restore(b"".join(station)).lacking) for station in heard]
    united = b"".join(heard[0] + heard[1])
    assert min(alone) > 0
    assert not restore(united).lacking
    assert set(SOURCE) <= set(packets(united + restore(united).packets))


def test_counts_that_wrap_in_recordings_of_two_stations() -> None:
    """One lost a long stretch and stops within the last group, whose counts are those of the sixth;
    the other begins where it takes these for packets of the sixth group.
    """
    sent = list(protect(b"".join(plain(15_000, 2)), 100, 14))
    groups = [sent[begin : begin + 114] for begin in range(0, len(sent), 114)]
    first = [packet for group in groups[:9] + groups[145:149] for packet in group]
    second = [packet for group in groups[27:45] for packet in group]
    heard = lose(first, 0.04, 7) + groups[149][:64] + lose(second, 0.04, 8)
    assert sent.index(groups[149][0]) > 1 << 14
    found = restore(b"".join(heard))
    assert not found.lacking
    assert found.groups_whole + found.groups_restored == 9 + 4 + 18
    expected = {packet for packet in first + second if not is_repair(packet)} - set(heard)
    assert set(packets(found.packets)) == expected


def test_passes_and_instruments_are_kept_apart() -> None:
    other_pass = list(protect(b"".join(plain(50, 1)), 20, 6))
    instrument = list(protect(b"".join(plain(50, 2, apid=10)), 20, 6))
    received = lose(SENT, 0.1, 1) + lose(other_pass, 0.1, 2)
    real = {packet for packet in SENT + other_pass + instrument if not is_repair(packet)}
    between = lose(instrument, 0.1, 3)
    mixed = [packet for pair in zip_longest(received, between, fillvalue=b"") for packet in pair]
    found = restore(b"".join(mixed))
    assert not found.lacking
    assert found.groups_whole + found.groups_restored == 9
    assert set(packets(found.packets)) == real - set(received) - set(between)


def test_a_scene_decodes_as_if_nothing_were_lost(encoder: Encoder) -> None:
    scene = procedural(5, 300, 260)
    segments = list(encoder.encode(scene.image, scene.header()))
    sent = list(protect(b"".join(PacketOptions().pack(segments, 0, 0)), 30, 8))
    received = lose(sent, 0.1, 4)
    found = restore(b"".join(received))
    assert found.packets_restored > 0
    decoder = Decoder(bundles.find(NAME))
    decoded = decoder.decode(b"".join(received) + found.packets)
    assert decoded.complete
    whole = decoder.decode(b"".join(segments))
    assert np.array_equal(decoded.scene.image, whole.scene.image)
    assert not decoder.decode(b"".join(received)).complete


def test_a_packet_in_a_wrong_place_never_makes_a_false_one() -> None:
    """Other packets with the right counts and intact CRCs take the places of lost ones."""
    foreign = list(protect(b"".join(plain(50, 3)), 20, 6))
    stream = SENT[:4] + foreign[4:6] + SENT[6:10] + SENT[11:26]
    found = restore(b"".join(stream))
    assert found.packets == b""
    assert found.lacking == ((9, 0, 1),)


@pytest.mark.parametrize(
    "wrong", [{"size": 0}, {"size": 4_097}, {"rows": 0}, {"size": 4_000, "rows": 4_192}]
)
def test_arguments_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="protect: expected groups"):
        next(protect(PLAIN[0], **{"size": 10, "rows": 2, **wrong}))


def test_what_cannot_be_protected() -> None:
    with pytest.raises(UsageError, match="protected already"):
        list(protect(b"".join(SENT), 20, 6))
    with pytest.raises(UsageError, match="one APID, found 9 and 10"):
        list(protect(PLAIN[1] + plain(1, apid=10)[0], 20, 6))
    for stream in (b"", PLAIN[0][12:], bytes(100)):
        with pytest.raises(StreamError, match="expected space packets"):
            list(protect(stream, 20, 6))


def long_packet(length: int, count: int) -> bytes:
    body = bytes(length - 12 - 18 - 2)
    segment = Segment(Kind.SCENE, 3, MODEL, 0, 0, 0, None, body).pack()
    return SpacePacket(9, count, (0, 0), segment, control=True).pack()


def test_declared_limits() -> None:
    longest = list(protect(long_packet(MAX_PROTECTED_BYTES, 0), 1, 1))
    assert [len(p) for p in longest] == [65_496, 65_530]
    assert restore(longest[1]).packets == longest[0]
    with pytest.raises(LimitError, match="limit is 65496"):
        list(protect(long_packet(MAX_PROTECTED_BYTES + 1, 0), 1, 1))
    many = b"".join(long_packet(60_000, i) for i in range(300))
    with pytest.raises(LimitError, match="group of 280 packets"):
        list(protect(many, 300, 1))


def test_extending_what_has_no_repair_packets_is_bounded() -> None:
    endless = b"".join(plain(repair.MAX_GROUP + 1, control=True))
    with pytest.raises(LimitError, match="group of 4097 packets"):
        list(extend(endless, range(6, 8)))


def test_what_is_no_whole_packet_is_passed_on() -> None:
    damaged = bytearray(PLAIN[1])
    damaged[-2] ^= 1
    stream = PLAIN[0] + bytes(damaged) + PLAIN[2] + PLAIN[3][:40]
    sent = b"".join(protect(stream, 20, 1))
    assert bytes(damaged) in sent
    assert PLAIN[3][:40] in sent
    assert len(packets(sent)) == 3


def test_extending_what_is_damaged_or_not_there() -> None:
    with pytest.raises(StreamError, match="group 0: expected its 20 packets"):
        list(extend(b"".join(SENT[:5] + SENT[6:]), range(6, 8)))
    with pytest.raises(StreamError, match=r"expected groups \[27\]"):
        list(extend(b"".join(SENT), range(6, 8), {27}))
    with pytest.raises(StreamError, match="expected a group with a repair packet"):
        list(extend(b"".join(PLAIN), range(6, 8)))
    with pytest.raises(UsageError, match="expected rows"):
        list(extend(b"".join(SENT), range(0)))
    with pytest.raises(UsageError, match="expected rows"):
        list(extend(b"".join(SENT), range(65_500, 65_520)))


@pytest.mark.parametrize(
    ("body", "first", "layer"),
    [
        (b"", 0, 0),
        (bytes(6), 0, 0),
        (bytes(4) + b"\0\1a", 0, 0),
        (bytes(4) + b"\0\0ab", 0, 0),
        (bytes(4) + b"\x10\1ab", 0, 0),
        (bytes(4) + b"\0\2ab", 65_534, 0),
        (bytes(4) + b"\0\1ab", 0, 1),
        (bytes(4) + b"\x10\0" + bytes(4_098), 0, 0),
    ],
)
def test_repair_segments_that_no_encoder_makes(body: bytes, first: int, layer: int) -> None:
    segment = Segment(Kind.REPAIR, 3, MODEL, 0, layer, first, None, body)
    with pytest.raises(StreamError, match="repair segment"):
        Repair.unpack(segment)
    packet = SpacePacket(9, 0, (0, 0), segment.pack(), control=True).pack()
    assert restore(packet).lacking == ()


@pytest.mark.parametrize("apart", [1, 4_096])
def test_groups_made_to_waste_time(apart: int) -> None:
    """Four thousand groups of 4,096 packets, disjoint or all the same but for one packet."""
    segments = [Repair(5, apart * i, 4_096, 0, b"ab").pack(3, b"abcd") for i in range(4_000)]
    stream = [SpacePacket(9, 0, (0, 0), s, control=True).pack() for s in segments]
    found = restore(b"".join(SOURCE + stream))
    assert found.packets == b""
    assert len(found.lacking) == (4_000 if apart > 1 else 1)
    assert growth(lambda count: restore(b"".join(SOURCE + stream[:count])), 250) < LINEAR


def test_packets_of_the_idle_apid_are_no_symbols() -> None:
    idle = bytearray(SENT[0])
    idle[:2] = b"\x0f\xff"
    idle[-2:] = crc16(bytes(idle[:-2])).to_bytes(2, "big")
    stream = bytes(idle) + SENT[2][12:] + b"".join(SENT[1:])
    assert packets(restore(stream).packets) == [SENT[0]]
    assert bytes(idle) in b"".join(protect(bytes(idle) + PLAIN[0][12:] + PLAIN[1], 5, 1))


@given(st.binary(max_size=300), st.integers(0, 67))
def test_any_bytes_are_read(noise: bytes, place: int) -> None:
    found = restore(noise + b"".join(SENT[:place]) + noise + b"".join(SENT[place + 1 :]))
    assert set(packets(found.packets)) <= {SENT[place]}


def scene(number: int, model: bytes, tiles: int) -> list[bytes]:
    """Return the segments of a scene, header first."""
    rng = random.Random(number)
    head = Segment(Kind.SCENE, number, model, 0, 0, 0, None, b"header").pack()
    bodies = (rng.randbytes(rng.randrange(30, 90)) for _ in range(tiles))
    return [head] + [
        Segment(Kind.TILE, number, model, tile, 1, 0, None, body).pack()
        for tile, body in enumerate(bodies)
    ]


def test_a_scene_of_another_model_that_was_lost_whole_is_restored() -> None:
    """Nothing else that arrived names its model."""
    other = b"\x01\x02\x03\x04"
    segments = [*scene(2, MODEL, 12), *scene(1, other, 5), *scene(3, MODEL, 6)]
    source = [SpacePacket(5, n, (0, 0), s).pack() for n, s in enumerate(segments)]
    sent = list(protect(b"".join(source), len(source), 8))
    lost = range(13, 19)
    found = restore(b"".join(packet for n, packet in enumerate(sent) if n not in lost))
    assert found.packets_restored == len(lost)
    assert found.packets == b"".join(sent[n] for n in lost)


def test_one_packet_that_is_sent_again_is_protected() -> None:
    """It has one tile segment: nothing else tells of its model."""
    sent = list(protect(PLAIN[7], 5, 2))
    assert len(sent) == 3
    assert restore(b"".join(sent[1:]), {MODEL}).packets == sent[0]
