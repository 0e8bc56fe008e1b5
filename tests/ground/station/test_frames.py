"""Transfer frames to packets: what arrived in a row comes back, whatever is lost around it."""

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

import onboard
from ground.scenes.procedural import procedural
from ground.station.frames import SYNC, Channel, FrameForm, Packets
from onboard.errors import UsageError
from onboard.link.packet import PacketOptions, crc16
from onboard.link.segment import unpack_segments
from tests.conftest import Run

TM = FrameForm("tm", 64, crc=True)
AOS = FrameForm("aos", 70, crc=True, ocf=True, insert=3)
FIRST = 1000


def packet(number: int, length: int, apid: int = 100) -> bytes:
    """A space packet of `length` bytes, with numbered data."""
    head = apid.to_bytes(2, "big") + (0xC000 | number % 0x4000).to_bytes(2, "big")
    content = bytes((number + place) % 256 for place in range(length - 6))
    return head + (length - 7).to_bytes(2, "big") + content


def packets(count: int, seed: int = 1, most: int = 150) -> list[bytes]:
    """Packets of 7 to `most` bytes: many lie in one frame, some span several."""
    lengths = random.Random(seed).choices(range(7, most), k=count)
    return [packet(number, length) for number, length in enumerate(lengths)]


def frames_of(
    content: Sequence[bytes], form: FrameForm, spacecraft: int = 0x2A, virtual: int = 1
) -> list[bytes]:
    """Frames of packets, the last one filled up with an idle packet; by the standards' pages."""
    tm = form.kind == "tm"
    room = form.bytes - (6 if tm else 8 + form.insert) - 2 * form.crc - 4 * form.ocf
    stream = b"".join(content)
    fill = -len(stream) % room
    stream += packet(0, fill if fill >= 7 else fill + room, 0x7FF) if fill else b""
    starts = [0]
    while starts[-1] < len(stream):
        starts.append(
            starts[-1] + 7 + int.from_bytes(stream[starts[-1] + 4 : starts[-1] + 6], "big")
        )
    made = []
    for number in range(len(stream) // room):
        begin = number * room
        first = next((s - begin for s in starts if begin <= s < begin + room), 0x7FF)
        count = FIRST + number
        if tm:
            head = (spacecraft << 4 | virtual << 1 | form.ocf).to_bytes(2, "big")
            head += bytes([count % 256, count % 256]) + (0x1800 | first).to_bytes(2, "big")
        else:
            head = (0x4000 | spacecraft << 6 | virtual).to_bytes(2, "big")
            head += count.to_bytes(3, "big") + b"\0" + bytes(form.insert) + first.to_bytes(2, "big")
        frame = head + stream[begin : begin + room] + bytes(4 * form.ocf)
        made.append(frame + (crc16(frame).to_bytes(2, "big") if form.crc else b""))
    return made


def cadus(frames: Sequence[bytes]) -> bytes:
    return b"".join(SYNC + frame for frame in frames)


@pytest.mark.parametrize("form", [TM, AOS, FrameForm("tm", 300), FrameForm("aos", 900)])
def test_packets_that_span_frames_come_back_in_order(form: FrameForm) -> None:
    sent = packets(60)
    for recording in (cadus(frames_of(sent, form)), b"".join(frames_of(sent, form))):
        reader = Packets(form)
        assert list(reader.read(recording)) == sent
        assert reader.counts["lost"] == reader.counts["cut"] == reader.counts["damaged"] == 0
        assert reader.packets == {Channel(0x2A, 1): 60}


@pytest.mark.parametrize("form", [TM, AOS])
def test_of_lost_frames_only_their_own_packets_are_missing(form: FrameForm) -> None:
    sent, frames = packets(80), frames_of(packets(80), form)
    for lost in ({5}, {10, 11, 12}, {0}, {3, 20, 21}):
        kept = [frame for number, frame in enumerate(frames) if number not in lost]
        reader = Packets(form)
        found = list(reader.read(cadus(kept)))
        room = len(b"".join(sent)) / len(frames)
        touched = sum(-(-150 // int(room)) + int(room) // 7 + 2 for _ in lost)
        assert [p for p in sent if p in found] == found  # in order, none made up
        assert len(found) >= len(sent) - touched
        assert reader.counts["lost"] == len(lost - {0})
        untouched = cadus(kept[max(lost) + 3 :])
        assert set(Packets(form).read(untouched)) <= set(found)


def test_channels_and_spacecraft_are_kept_apart() -> None:
    one, other, third = packets(30, 2), packets(30, 3), packets(30, 4)
    rows = [
        frames_of(one, TM),
        frames_of(other, TM, virtual=2),
        frames_of(third, TM, spacecraft=7),
    ]
    mixed = cadus(
        [row[number] for number in range(max(map(len, rows))) for row in rows if number < len(row)]
    )
    reader = Packets(TM)
    found = list(reader.read(mixed))
    assert sorted(found) == sorted(one + other + third)
    assert reader.counts["lost"] == 0
    assert reader.packets.keys() == {Channel(0x2A, 1), Channel(0x2A, 2), Channel(7, 1)}
    assert list(Packets(TM, 0x2A, 2).read(mixed)) == other
    assert list(Packets(TM, 7).read(mixed)) == third


def test_sync_is_found_again_after_noise_and_slips() -> None:
    sent, frames = packets(60), frames_of(packets(60), TM)
    noise = random.Random(5).randbytes(500)
    recording = noise + cadus(frames[:9]) + noise[:33] + SYNC + noise[:7] + cadus(frames[9:])
    reader = Packets(TM)
    assert list(reader.read(recording)) == sent
    assert reader.counts["between"] == 500 + 33 + 4 + 7
    slipped = cadus(frames[:9])[:-5] + cadus(frames[9:])
    found = list(Packets(TM).read(slipped))
    assert found == [p for p in sent if p in found]
    assert len(found) > 50


def test_damaged_repeated_and_idle_frames_do_no_harm() -> None:
    sent, frames = packets(40), frames_of(packets(40), AOS)
    idle = bytearray(frames[0])
    idle[1] |= 63
    idle[-2:] = crc16(bytes(idle[:-2])).to_bytes(2, "big")
    wrong = bytearray(frames[6])
    wrong[30] ^= 4
    mixed = [*frames[:3], bytes(idle), *frames[2:6], bytes(wrong), *frames[6:]]
    reader = Packets(AOS)
    assert list(reader.read(cadus(mixed))) == sent
    assert reader.counts["idle"] == reader.counts["repeated"] == reader.counts["damaged"] == 1


def test_frames_of_idle_data_alone_lose_nothing_of_their_channel() -> None:
    sent, frames = packets(40), frames_of(packets(40), TM)
    idle = bytearray(frames[5])
    idle[4:6] = (0x1FFE).to_bytes(2, "big")  # only idle data
    late = [bytearray(frame) for frame in frames[5:]]
    for frame in late:
        frame[3] = (frame[3] + 1) % 256
    for frame in (idle, *late):
        frame[-2:] = crc16(bytes(frame[:-2])).to_bytes(2, "big")
    reader = Packets(TM)
    assert list(reader.read(cadus([*frames[:5], bytes(idle), *map(bytes, late)]))) == sent
    assert reader.counts["idle"] == 1
    assert reader.counts["lost"] == reader.counts["cut"] == 0


def test_randomised_frames_are_read_as_the_standard_has_them() -> None:
    form = FrameForm("tm", 300, crc=True, randomised=True)
    bits, state = [], [1] * 8
    for _ in range(8 * 300):
        bits.append(state[0])
        state = [*state[1:], state[0] ^ state[3] ^ state[5] ^ state[7]]
    noise = np.packbits(bits)
    assert noise[:8].tobytes().hex() == "ff480ec09a0d70bc"  # 131.0-B, annex
    sent = packets(40)
    frames = [bytes(np.frombuffer(frame, np.uint8) ^ noise) for frame in frames_of(sent, form)]
    assert list(Packets(form).read(cadus(frames))) == sent


@pytest.mark.parametrize("form", [TM, AOS, FrameForm("tm", 20), FrameForm("aos", 16)])
def test_nothing_is_made_of_noise_and_nothing_breaks(form: FrameForm) -> None:
    source = random.Random(9)
    good = cadus(frames_of(packets(30), TM))
    for length in range(200):
        list(Packets(form).read(source.randbytes(length)))
        list(Packets(form).read(good[:length]))
        spoilt = bytearray(good)
        for _ in range(20):
            spoilt[source.randrange(len(spoilt))] ^= 1 << source.randrange(8)
        list(Packets(form).read(bytes(spoilt)))


@pytest.mark.parametrize(
    "wrong", [("usl", 64), ("tm", 5), ("tm", 99_999), ("aos", 64, False, False, False, 60)]
)
def test_forms_that_make_no_sense_are_refused(wrong: tuple[object, ...]) -> None:
    with pytest.raises(UsageError, match="expected"):
        FrameForm(*wrong)


def test_a_pass_is_ingested_and_decoded(run: Run, tmp_path: Path) -> None:
    image = procedural(3, 64, 130).image.astype(np.uint16)
    form = PacketOptions(packet_bytes=500)
    segments = [s.pack() for s in unpack_segments(onboard.encode(image, segment_bytes=480))]
    sent = form.pack(segments, 0, 0)
    frames = frames_of(sent, FrameForm("tm", 223, crc=True))
    (tmp_path / "pass.cadu").write_bytes(cadus(frames))
    command = ("ground", "ingest", "pass.cadu", "--frames", "tm", "--frame-bytes", 223, "--crc")
    done = run(*command, "-o", "pass.pkt", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["channels"] == [{"spacecraft": 42, "virtual": 1, "packets": len(sent)}]
    assert (tmp_path / "pass.pkt").read_bytes() == b"".join(sent)
    assert run("ground", "decode", "pass.pkt", "-o", "a.tif", "--linear").returncode == 0
    (tmp_path / "gap.cadu").write_bytes(cadus([*frames[:4], *frames[6:]]))
    done = run("ground", "ingest", "gap.cadu", *command[3:], "-o", "gap.pkt")
    assert done.returncode == 4
    assert "2 lost" in done.stdout
    done = run("ground", "ingest", "a.tif", *command[3:], "-o", "none.pkt")
    assert done.returncode == 4
    assert "no whole packet" in done.stderr
    assert not (tmp_path / "none.pkt").exists()
