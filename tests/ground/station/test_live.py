"""Live sources: UDP and ZeroMQ, several stations as one, a bounded queue, a clean end."""

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ground.station.frames import SYNC, FrameForm
from ground.station.intake import Intake, split
from ground.station.live import Address, Receivers
from ground.station.pdu import content_of
from ground.station.udp import listen
from onboard.errors import UsageError
from tests.conftest import ROOT
from tests.ground.station.test_frames import frames_of, packet, packets

zmq = pytest.importorskip("zmq")
TM = FrameForm("tm", 64, crc=True)


def pdu(frame: bytes, meta: bytes = b"\x06") -> bytes:
    """What GNU Radio's ZMQ PUB message sink sends of a frame, by the page on PMTs."""
    return b"\x07" + meta + b"\x0a\x00" + struct.pack(">IB", len(frame), 1) + b"\x00" + frame


def symbol(text: str) -> bytes:
    return b"\x02" + struct.pack(">H", len(text)) + text.encode()


def test_addresses_are_told_from_paths() -> None:
    assert Address.parse("pass.cadu") is None
    assert Address.parse("c:/pass.cadu") is None
    assert Address.parse("udp://0.0.0.0:4560") == ("udp", "0.0.0.0", 4560)
    assert str(Address.parse("zmq://[::1]:5555")) == "zmq://[::1]:5555"
    for wrong in ("tcp://a:1", "udp://a", "udp://a:65536", "zmq://:1", "udp://a b:1"):
        with pytest.raises(UsageError, match="expected udp://"):
            Address.parse(wrong)


def test_frames_are_taken_out_of_what_gnu_radio_publishes() -> None:
    frame = bytes(range(200))
    meta = b"\x09\x07" + symbol("transmitter") + symbol("9k6") + b"\x06"
    number = b"\x07\x07" + symbol("snr") + b"\x04" + bytes(8) + b"\x06"
    for given in (b"\x06", meta, number):
        assert content_of(pdu(frame, given)) == frame
    for other in (frame, b"", b"\x07", pdu(frame)[:-1], b"\x07" * 5_000, pdu(frame) + b"x"):
        assert content_of(other) == other
    for place in range(len(pdu(frame, meta))):
        damaged = bytearray(pdu(frame, meta))
        damaged[place] ^= 0xFF
        assert len(content_of(bytes(damaged))) <= len(damaged)


def test_messages_are_cut_to_packets_or_kept_as_they_are() -> None:
    three = packets(3)
    idle = packet(0, 20, 0x7FF)
    assert list(split(b"".join(three) + idle)) == three
    assert list(split(b"noise of some length")) == [b"noise of some length"]
    assert list(split(three[0][:-1])) == [three[0][:-1]]
    assert list(split(b"")) == []


@pytest.mark.parametrize("marked", [False, True])
def test_what_one_station_lost_another_has(marked: bool) -> None:
    content = packets(60, seed=3)
    frames = frames_of(content, TM)
    sent = [SYNC + frame if marked else frame for frame in frames]
    intake = Intake.of(["a", "b"], TM)
    written = b""
    for number, frame in enumerate(sent):
        if number % 7 != 3:
            written += intake.take(0, frame)
        if number % 5 != 1:
            written += intake.take(1, frame)
    heard = set(split(written))
    assert len(heard) == len(list(split(written)))  # each once
    lost_by_one = {p for p in content if p not in heard}
    assert len(lost_by_one) < 30
    told = [station.as_dict() for station in intake.stations]
    assert [t["lost_frames"] > 0 for t in told] == [True, True]
    assert sum(t["new"] for t in told) == len(heard) > max(t["packets"] for t in told)


def test_what_does_not_fit_the_queue_is_counted() -> None:
    with Receivers([Address("udp", "127.0.0.1", 0)], most_waiting=5_000) as receivers:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radio:
            for _ in range(20):
                radio.sendto(bytes(1_000), ("127.0.0.1", receivers.addresses[0].port))
                time.sleep(0.001)
        until = time.monotonic() + 20
        while receivers.dropped[0] < 15 and time.monotonic() < until:
            time.sleep(0.01)
        assert receivers.waiting == 5_000
        taken = list(receivers.messages(lambda: True, None))
    assert len(taken) == 5
    assert receivers.dropped[0] == 15


def test_a_zmq_publisher_is_heard() -> None:
    content = packets(40, seed=9)
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        port = publisher.bind_to_random_port("tcp://127.0.0.1")
        intake, heard = Intake.of(["zmq"], TM), b""
        with Receivers([Address("zmq", "127.0.0.1", port)]) as receivers:
            until = time.monotonic() + 30
            while len(list(split(heard))) < 40 and time.monotonic() < until:
                for frame in frames_of(content, TM):  # who listens from when on is not known
                    publisher.send(pdu(frame))
                while (message := receivers.take(0.1)) is not None:
                    heard += intake.take(message.station, message.content)
    assert sorted(split(heard)) == sorted(content)


def free_port() -> int:
    with listen("127.0.0.1", 0) as listener:
        return int(listener.getsockname()[1])


def sent_until(port: int, frames: list[bytes], path: Path, enough: int) -> None:
    """Send again and again until all is written: when the station listens is not known."""
    until = time.monotonic() + 60
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radio:
        while time.monotonic() < until:
            for frame in frames:
                radio.sendto(frame, ("127.0.0.1", port))
            if path.exists() and path.stat().st_size >= enough:
                return
            time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_what_came(tmp_path: Path, number: int) -> None:
    content, port = packets(30, seed=5), free_port()
    path = tmp_path / "live.pkt"
    path.write_bytes(content[0])  # it is appended to
    live = ["--frames", "tm", "--frame-bytes", "64", "--crc", "-o", str(path), "--json"]
    command = [sys.executable, "-m", "ground", "ingest", f"udp://127.0.0.1:{port}", *live]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    enough = len(content[0]) + len(b"".join(content))
    sent_until(port, frames_of(content, TM), path, enough)
    os.kill(process.pid, number)
    told: dict[str, Any] = json.loads(process.communicate(timeout=30)[0])
    assert process.returncode in (0, 4)  # frames may be lost before and between
    before, *heard = split(path.read_bytes())
    assert before == content[0]
    assert sorted(heard) == sorted(content)  # it may have begun to listen in between
    assert told["source"] == f"udp://127.0.0.1:{port}"
    assert told["new"] == len(content) <= told["packets"]
    assert told["dropped"] == 0
