"""Packets that are protected later fit the frames of the link."""

from pathlib import Path

import numpy as np
import pytest

from ground.scenes.procedural import procedural
from onboard.__main__ import main
from onboard.link.packet import SpacePacket

LINES, WIDTH = 70, 140
SCENE = procedural(12, LINES, WIDTH, nodata=False).image


def encode(folder: Path, *options: object) -> int:
    np.save(folder / "i.npy", SCENE)
    made = ["encode", folder / "i.npy", "--bundle", "skybook", "-o", folder / "p.pkt", *options]
    return main([str(word) for word in (*made, "--ratio", 6)])


def protect(folder: Path, *options: object) -> int:
    made = ["protect", folder / "p.pkt", "-o", folder / "sent.pkt", "--group", 20, "--repair", 3]
    return main([str(word) for word in (*made, *options)])


def lengths(path: Path) -> list[int]:
    stream, found, at = path.read_bytes(), [], 0
    while at < len(stream):
        _, stop = SpacePacket.unpack(stream, at)
        found.append(stop - at)
        at = stop
    return found


@pytest.mark.parametrize("control", [[], ["--packet-control"]])
@pytest.mark.parametrize("most", [170, 171, 256, 1025])
def test_protected_packets_keep_within_packet_bytes(
    tmp_path: Path, most: int, control: list[str]
) -> None:
    assert encode(tmp_path, "--packet-bytes", most, "--protect-room", *control) == 0
    assert protect(tmp_path, "--packet-bytes", most) == 0
    assert most - most // 64 - 8 <= max(lengths(tmp_path / "sent.pkt")) <= most


def test_packets_without_room_are_refused_and_nothing_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert encode(tmp_path, "--packet-bytes", 200) == 0
    assert protect(tmp_path, "--packet-bytes", 200) == 6
    assert "--protect-room" in capsys.readouterr().err
    assert not (tmp_path / "sent.pkt").exists()
    assert protect(tmp_path) == 0
    longest = max(lengths(tmp_path / "sent.pkt"))
    assert 200 < longest <= 242
    assert f"longest packet {longest} bytes (up to 42 more than before)" in capsys.readouterr().out


def test_room_for_protection_needs_longer_packets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert encode(tmp_path, "--packet-bytes", 169, "--protect-room") == 2
    assert "expected 171 or more" in capsys.readouterr().err
    assert encode(tmp_path, "--packet-bytes", 170, "--protect-room") == 0
