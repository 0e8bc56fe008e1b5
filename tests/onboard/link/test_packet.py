"""Space packets: exact bytes, other libraries, damage."""

import io

import ccsdspy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacepackets.ccsds import SpacePacket as OtherPacket
from spacepackets.ccsds import SpHeader
from spacepackets.ccsds.spacepacket import PacketType, SequenceFlags

from onboard.errors import StreamError, UsageError
from onboard.link.packet import SEQUENCES, PacketOptions, SpacePacket, crc16
from onboard.link.resync import Damage, Received, is_packets, read_packets
from onboard.link.segment import Kind, Segment

MODEL = b"\xa1\xb2\xc3\xd4"


def segment(tile: int, length: int = 40) -> bytes:
    """Return a tile segment with some body."""
    body = bytes(range(7, 7 + length))
    return Segment(Kind.TILE, 3, MODEL, tile, 1, 0, None, body).pack()


SEGMENTS = [segment(i) for i in range(9)]
OPTIONS = PacketOptions(packet_bytes=176, apid=77, start_time=(2_000_000_000, 0))
PACKETS = OPTIONS.pack(SEGMENTS, 0, 0)


def whole(stream: bytes) -> list[Received]:
    """Return what is no damage."""
    return [found for found in read_packets(stream, {MODEL}) if isinstance(found, Received)]


def tiles(stream: bytes) -> list[int]:
    """Return the tiles whose segments are found, in order."""
    return [part.tile for found in whole(stream) for part in found.segments]


def test_golden_bytes() -> None:
    body = bytes.fromhex("534b1100")
    packet = SpacePacket(0x2A5, 0x1234, (0x01020304, 0x0506), body)
    assert packet.pack().hex() == "0aa5d2340009" + "010203040506" + "534b1100"
    sealed = SpacePacket(0x2A5, 0x1234, (0x01020304, 0x0506), body, control=True).pack()
    assert (
        sealed.hex() == "0aa5d234000b" + "010203040506" + "534b1100" + f"{crc16(sealed[:-2]):04x}"
    )
    assert crc16(b"123456789") == 0x29B1


@pytest.mark.parametrize("control", [False, True])
def test_a_packet_comes_back(control: bool) -> None:
    packet = SpacePacket(5, 16_383, (1, 2), SEGMENTS[0] + SEGMENTS[1], control)
    packed = b"??" + packet.pack() + b"rest"
    assert SpacePacket.unpack(packed, 2) == (packet, len(packed) - 4)


def test_spacepackets_reads_ours_and_we_read_theirs() -> None:
    packed = SpacePacket(77, 16_000, (9, 8), SEGMENTS[0], control=True).pack()
    header = SpHeader.unpack(packed)
    assert (header.apid, header.seq_count, header.packet_len) == (77, 16_000, len(packed))
    assert header.seq_flags == SequenceFlags.UNSEGMENTED
    assert (header.packet_type, header.sec_header_flag) == (PacketType.TM, True)
    made = SpHeader.tm(77, 16_000, 6 + len(SEGMENTS[0]) - 1, True, SequenceFlags.UNSEGMENTED)
    theirs = OtherPacket(made, packed[6:12], SEGMENTS[0]).pack()
    ours = SpacePacket(77, 16_000, (9, 8), SEGMENTS[0])
    assert SpacePacket.unpack(bytes(theirs)) == (ours, len(theirs))
    assert bytes(theirs) == ours.pack()


def test_ccsdspy_reads_ours() -> None:
    made = [SpacePacket(77, i, (100 + i, i), segment(i)).pack() for i in range(5)]
    fields = [
        ccsdspy.PacketField(name="SECONDS", data_type="uint", bit_length=32),
        ccsdspy.PacketField(name="TICKS", data_type="uint", bit_length=16),
        ccsdspy.PacketArray(
            name="BODY", data_type="uint", bit_length=8, array_shape=len(segment(0))
        ),
    ]
    read = ccsdspy.FixedLength(fields).load(io.BytesIO(b"".join(made)), include_primary_header=True)
    assert list(read["CCSDS_APID"]) == [77] * 5
    assert list(read["CCSDS_SEQUENCE_COUNT"]) == list(range(5))
    assert list(read["SECONDS"]) == [100, 101, 102, 103, 104]
    assert [bytes(body.astype(np.uint8)) for body in read["BODY"]] == [segment(i) for i in range(5)]


def test_packets_are_filled_but_never_beyond_their_limit() -> None:
    assert [len(p) for p in PACKETS] == [12 + 3 * 54] * 3
    assert [SpacePacket.unpack(p)[0].sequence for p in PACKETS] == [0, 1, 2]
    exact = PacketOptions(packet_bytes=12 + 3 * 54 + 2, control=True)
    assert exact.group([54] * 4) == [3, 1]
    assert PacketOptions(packet_bytes=12 + 3 * 54 + 1, control=True).group([54] * 4) == [2, 2]


def test_sequence_counts_wrap() -> None:
    made = OPTIONS.pack(SEGMENTS, 0, SEQUENCES - 1)
    assert [SpacePacket.unpack(p)[0].sequence for p in made] == [SEQUENCES - 1, 0, 1]


def test_time_is_start_and_lines() -> None:
    options = PacketOptions(start_time=(10, 65_535), line_period=1_500_000)
    assert options.time(0) == (10, 65_535)
    assert options.time(1) == (11, 65_535 + 98 - 65_536)  # 1.5 ms are 98.3 of 1/65536 s
    assert options.time(2_000_000) == (3_010, 65_535)
    assert PacketOptions(start_time=(2**32 - 1, 0), line_period=10**9).time(2) == (1, 0)


@pytest.mark.parametrize(
    "wrong",
    [{"packet_bytes": 127}, {"packet_bytes": 65_536}, {"apid": 2_047}, {"line_period": -1}],
)
def test_options_out_of_range(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="expected"):
        PacketOptions(**wrong)


def test_fields_out_of_range() -> None:
    with pytest.raises(UsageError, match="sequence count"):
        SpacePacket(1, SEQUENCES, (0, 0), SEGMENTS[0]).pack()
    with pytest.raises(UsageError, match="bytes"):
        SpacePacket(1, 0, (0, 0), bytes(65_535)).pack()


def test_every_truncation_keeps_what_is_whole() -> None:
    stream = b"".join(PACKETS[:2])
    for length in range(len(stream)):
        # Twelve bytes of header, then segments of 54: those that are whole are kept.
        first = max(0, min(length - 12, 162)) // 54
        second = max(0, length - 174 - 12) // 54
        assert tiles(stream[:length]) == list(range(first + second)), length


@pytest.mark.parametrize("control", [False, True])
def test_every_bit_flip_costs_one_segment_at_most(control: bool) -> None:
    options = PacketOptions(packet_bytes=180, control=control)
    stream = b"".join(options.pack(SEGMENTS, 0, 0))
    for bit in range(8 * len(stream)):
        damaged = bytearray(stream)
        damaged[bit // 8] ^= 128 >> bit % 8
        found = tiles(bytes(damaged))
        assert len(found) >= len(SEGMENTS) - 1, bit
        assert set(found) <= set(range(9)), bit


def test_error_control_finds_a_damaged_header() -> None:
    options = PacketOptions(packet_bytes=180, control=True)
    stream = bytearray(b"".join(options.pack(SEGMENTS, 0, 0)))
    stream[8] ^= 1  # in the time code
    found = whole(bytes(stream))
    assert tiles(bytes(stream)) == list(range(9))
    assert [f.packet is None for f in found] == [True, True, True, False, False]


def test_junk_idle_packets_and_other_streams_between() -> None:
    idle = bytes.fromhex("07ffc0000003") + bytes(4)
    stream = PACKETS[0] + idle + PACKETS[1] + b"\x00\x08SK" + PACKETS[2] + idle
    assert tiles(stream) == list(range(9))
    damage = [found for found in read_packets(stream) if isinstance(found, Damage)]
    assert [(d.offset, d.length) for d in damage] == [(2 * 174 + 10, 4)]
    assert is_packets(PACKETS[0])
    assert not is_packets(SEGMENTS[0])
    assert not is_packets(b"")


def test_a_stream_made_to_waste_time_is_given_up() -> None:
    head = Segment(Kind.TILE, 3, b"abcd", 0, 1, 0, None, bytes(60_000)).pack()[:18]
    stream = head * 12_000
    last = list(read_packets(stream + bytes(70_000)))[-1]
    assert isinstance(last, Damage)
    assert "too many false sync marks" in last.reason


@given(st.binary(max_size=400), st.integers(0, 10))
def test_any_bytes_are_read(noise: bytes, place: int) -> None:
    stream = noise[: len(noise) // 2] + PACKETS[place % 3] + noise[len(noise) // 2 :]
    covered = sum(
        found.length if isinstance(found, Damage) else found.stop - found.offset
        for found in read_packets(stream)
    )
    assert covered <= len(stream)
    with pytest.raises(StreamError):
        SpacePacket.unpack(noise + b"\xff", len(noise))
