"""The C command goes on after a reset, and calls nothing complete that broke off."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ground.decode.decoder import Decoder
from onboard import bundle as bundles
from onboard.bundle.bundle import Bundle
from onboard.downlink.recorder import Recorded
from onboard.encoder import Encoder, Options
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions
from tests.export.csource.test_csource import build, scene

__all__ = ["build"]
ROWS, COLS = 210, 150
PACKETS = PacketOptions(300, 3, True)


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return bundles.load("skybook")


@pytest.fixture
def lines(tmp_path: Path) -> Path:
    path = tmp_path / "scene.bil"
    path.write_bytes(scene(31, ROWS, COLS).transpose(1, 0, 2).astype("<u2").tobytes())
    return path


def command(program: Path, source: Path, target: Path, *more: str) -> int:
    arguments = [program, source, "-o", target, "--width", str(COLS), "--apid", "3", *more]
    arguments += ["--packet-bytes", "300", "--packet-control"]
    return subprocess.run(arguments, check=False, capture_output=True).returncode


@pytest.mark.parametrize("rate", [[], ["--bytes", "9000", "--lines", str(ROWS)], ["--trellis"]])
def test_a_stream_cut_anywhere_goes_on_as_if_it_were_not(
    rate: list[str], build: Callable[[str], Path], lines: Path, tmp_path: Path
) -> None:
    program, whole, part = build("sanitize"), tmp_path / "whole.pkt", tmp_path / "part.pkt"
    assert command(program, lines, whole, *rate) == 0
    stream = whole.read_bytes()
    for length in np.linspace(0, len(stream) - 44, 5, dtype=int).tolist():
        part.write_bytes(stream[:length])
        assert command(program, lines, part, "--resume", *rate) == 0
        assert part.read_bytes() == stream


@pytest.mark.parametrize(
    "other",
    [
        ["--tile", "64"],
        ["--tile", "128"],
        ["--bands", "2"],
        ["--width", str(COLS - 1)],
        ["--dtype", "i16"],
    ],
)
def test_it_does_not_go_on_in_other_tiles_or_samples(
    other: list[str], build: Callable[[str], Path], lines: Path, tmp_path: Path
) -> None:
    """They would number tiles of the scene otherwise: what came before would be lost."""
    program, whole, part = build("sanitize"), tmp_path / "whole.pkt", tmp_path / "part.pkt"
    bands = ["--bands", "1"] if other[0] == "--tile" else []
    assert command(program, lines, whole, "--lines", "140", *bands) == 0
    stream = whole.read_bytes()
    part.write_bytes(stream[: len(stream) // 2])
    assert command(program, lines, part, "--resume", *bands, *other) == 2
    assert part.read_bytes() == stream[: len(stream) // 2]
    assert command(program, lines, part, "--resume", "--lines", "140", *bands) == 0
    assert part.read_bytes() == stream


def test_it_goes_on_where_python_does(
    bundle: Bundle, build: Callable[[str], Path], lines: Path, tmp_path: Path
) -> None:
    """Of a file that either wrote, whatever it was cut to, both do the same row of tiles anew."""
    image = scene(31, ROWS, COLS)
    options = Options(window="strip", ratio=20.48, packets=PACKETS)
    packets: list[bytes] = []
    for strip in Encoder(bundle).strips(image, SceneHeader.of(image, tile=64), options):
        packets += PACKETS.pack(strip.segments, strip.line, len(packets))
    for count in range(0, len(packets), 5):
        part = tmp_path / "part.pkt"
        part.write_bytes(b"".join(packets[:count]))
        recorded = Recorded.read(part, -(-COLS // 64))
        assert command(build("sanitize"), lines, part, "--resume") == 0
        assert part.read_bytes() == b"".join(packets)
        part.write_bytes(b"".join(packets[: recorded.packets]))
        assert part.stat().st_size == recorded.before


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda stream: stream, 2),
        (lambda stream: b"something else that is no packet, but long enough for one", 0),
        (lambda stream: stream[:80] + b"?" + stream[81:-44], 0),
        (lambda stream: stream[:12] + b"?" + stream[13:-44], 2),
    ],
    ids=["the end is there", "no packets", "a segment damaged within", "no segment"],
)
def test_what_cannot_be_gone_on_with_is_refused(
    change: Any, code: int, build: Callable[[str], Path], lines: Path, tmp_path: Path
) -> None:
    part = tmp_path / "part.pkt"
    assert command(build("sanitize"), lines, part) == 0
    held = change(part.read_bytes())
    part.write_bytes(held)
    assert command(build("sanitize"), lines, part, "--resume") == code
    if code:
        assert part.read_bytes() == held


def test_only_a_file_of_packets_is_gone_on_with(
    build: Callable[[str], Path], lines: Path, tmp_path: Path
) -> None:
    assert command(build("sanitize"), lines, tmp_path / "none.pkt", "--resume") == 2
    assert command(build("sanitize"), lines, tmp_path / "bare.sky", "--resume") == 2
    assert command(build("sanitize"), lines, Path("-"), "--packets", "--resume") == 2


@pytest.mark.parametrize(
    ("length", "more"),
    [(2 * 4 * COLS * 100 + 7, []), (2 * 4 * COLS * 100, ["--lines", str(ROWS)])],
    ids=["within a line", "before the lines that were told"],
)
def test_an_input_that_breaks_off_is_not_called_complete(
    length: int, more: list[str], build: Callable[[str], Path], lines: Path, tmp_path: Path
) -> None:
    lines.write_bytes(lines.read_bytes()[:length])
    output = tmp_path / "out.pkt"
    assert command(build("sanitize"), lines, output, *more) == 3
    decoded = Decoder(bundles.find("skybook")).decode(output.read_bytes())
    assert not decoded.complete
    assert decoded.scene.image.shape[1] >= 100
    shown = decoded.scene.image[:, :100].astype(int)
    assert np.abs(shown - scene(31, ROWS, COLS)[:, :100]).mean() < 100


def test_an_interrupted_input_goes_on_with_the_whole_of_it(
    build: Callable[[str], Path], lines: Path, tmp_path: Path
) -> None:
    whole, part, output = tmp_path / "whole.pkt", tmp_path / "part.bil", tmp_path / "part.pkt"
    part.write_bytes(lines.read_bytes()[: 2 * 4 * COLS * 100 + 7])
    assert command(build("sanitize"), lines, whole) == 0
    assert command(build("sanitize"), part, output) == 3
    assert command(build("sanitize"), lines, output, "--resume") == 0
    assert output.read_bytes() == whole.read_bytes()
