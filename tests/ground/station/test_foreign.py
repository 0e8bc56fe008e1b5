"""Foreign traffic in recordings: packets of other applications, idle packets, fill, KISS frames."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from ground.decode.decoder import Decoder
from ground.station.kiss import is_kiss, unframe
from ground.station.recording import open_recording, read_pass
from ground.station.tally import Tally
from onboard import bundle as bundles
from onboard.errors import InputError
from tests.conftest import Run
from tests.ground.station.test_recording import NAME, PACKETS

STREAM = b"".join(PACKETS)


def packet(identity: int, sequence: int, content: bytes) -> bytes:
    """Return a space packet of anybody."""
    head = identity.to_bytes(2, "big") + sequence.to_bytes(2, "big")
    return head + (len(content) - 1).to_bytes(2, "big") + content


IDLE = packet(0x07FF, 0xC000, b"\x55" * 37)
HOUSEKEEPING = packet(0x0842, 0xC001, bytes(range(64)))
BETWEEN = {
    "idle": IDLE,
    "idle and its fill": IDLE + b"\xaa" * 11,
    "housekeeping": HOUSEKEEPING,
    "housekeeping without a secondary header": packet(0x0042, 0xC001, bytes(range(64))),
    "a telecommand": packet(0x1842, 0xC000, b"PING"),
    "part of a segmented packet": packet(0x0842, 0x0007, bytes(range(200))),
    "APID 0": packet(0x0000, 0xC000, b"time" * 5),
    "one byte": packet(0x0842, 0xC000, b"!"),
    "fill 00": bytes(50),
    "fill 55": b"\x55" * 50,
    "fill AA": b"\xaa" * 3,
    "fill FF": b"\xff",
    "all": bytes(9) + HOUSEKEEPING + b"\x55" * 7 + packet(0x0003, 3, b"x") + bytes(4) + IDLE,
}


def tallied(recording: bytes) -> Tally:
    tally = Tally()
    tally.add(recording)
    return tally


@pytest.mark.parametrize("name", BETWEEN)
def test_other_traffic_is_no_damage(name: str) -> None:
    between = BETWEEN[name]
    recording = between + b"".join(part + between for part in PACKETS)
    tally = tallied(recording)
    assert tally.damaged_bytes == 0
    assert tally.foreign_bytes == len(between) * (len(PACKETS) + 1)
    assert tally.packets == len(PACKETS)
    received = read_pass([recording])
    assert received.damage == []
    assert received.encodings == read_pass([STREAM]).encodings


def test_what_is_damaged_among_other_traffic_is_damage_alone() -> None:
    broken = bytearray(PACKETS[5])
    broken[40] ^= 1
    unmarked = bytearray(PACKETS[6])
    unmarked[12:14] = b"??"
    recording = b"".join(
        (PACKETS[0], HOUSEKEEPING, broken, IDLE, HOUSEKEEPING, unmarked, HOUSEKEEPING, PACKETS[7])
    )
    tally = tallied(recording)
    intact = tallied(recording.replace(HOUSEKEEPING, b"").replace(IDLE, b""))
    assert tally.damaged_bytes == intact.damaged_bytes > 0
    assert tally.foreign_bytes == 3 * len(HOUSEKEEPING) + len(IDLE)


@pytest.mark.parametrize("cut", [3, 6, 30])
def test_a_packet_that_is_cut_short_is_damage(cut: int) -> None:
    assert tallied(STREAM + HOUSEKEEPING[:cut]).damaged_bytes == cut


def test_no_segment_is_lost_in_a_packet_of_a_damaged_header() -> None:
    for bit in range(16):
        damaged = bytearray(STREAM)
        damaged[len(PACKETS[0]) + bit // 8] ^= 128 >> bit % 8
        assert read_pass([bytes(damaged)]).encodings == read_pass([STREAM]).encodings


def test_a_whole_picture_among_other_traffic_ends_in_exit_code_0(run: Run, tmp_path: Path) -> None:
    (tmp_path / "all.pkt").write_bytes(b"".join(part + BETWEEN["all"] for part in PACKETS))
    for options in ((), ("--apid", 3)):
        done = run("ground", "decode", "all.pkt", "-o", "out.tif", *options)
        assert (done.returncode, done.stderr) == (0, "")
    done = run("ground", "missing", "all.pkt", "--json")
    assert done.returncode == 0, done.stderr
    (counts,) = json.loads(done.stdout)["recordings"]
    assert counts["damaged_bytes"] == 0
    assert counts["foreign_bytes"] == len(PACKETS) * len(BETWEEN["all"])
    assert "foreign: " in run("ground", "missing", "all.pkt").stdout


def kiss(parts: list[bytes], command: bytes = b"\0") -> bytes:
    """Return KISS frames."""
    escaped = (p.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") for p in parts)
    return b"".join(b"\xc0" + command + content + b"\xc0" for content in escaped)


def test_kiss_frames_hold_what_was_put_into_them() -> None:
    assert unframe(bytes.fromhex("c000 01dbdc02dbdd03dbdddc c0 c009 0102 c0 c000ffc0")) == (
        bytes.fromhex("01c002db03dbdcff")
    )
    rng = np.random.default_rng(1)
    parts = [bytes(rng.choice([0xC0, 0xDB, 0xDC, 0xDD, 0], 30).astype(np.uint8)) for _ in range(50)]
    assert is_kiss(kiss(parts))
    assert unframe(kiss(parts)) == b"".join(parts)
    assert not is_kiss(STREAM)
    assert not is_kiss(b"\xc0K")


def test_a_recording_in_kiss_frames_is_read_like_any_other(tmp_path: Path) -> None:
    timed = b"".join(kiss([bytes(8)], b"\x09") + kiss([part]) for part in PACKETS)
    for name, recording in {"plain": kiss(PACKETS), "timed": timed}.items():
        path = tmp_path / name
        path.write_bytes(recording)
        assert open_recording(path) == STREAM
        assert Decoder(bundles.find(NAME)).decode(open_recording(path)).complete


def test_what_else_stations_keep_is_named(tmp_path: Path) -> None:
    path = tmp_path / "pass.pkt"
    for content, name in ((gzip.compress(STREAM), "gzip"), (STREAM.hex(" ").encode(), "hex")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=name):
            open_recording(path)
