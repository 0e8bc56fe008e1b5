"""The integration examples: each is built and run as its page says."""

import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.encoder import Encoder, Options
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions
from tests.conftest import ROOT

EXAMPLES = ROOT / "examples"
UNIT = EXAMPLES / "payload" / "skybook-payload.service"
LONGEST = 120
Image = NDArray[np.uint16]


def scene(rows: int, cols: int) -> Image:
    return procedural(8, rows, cols, nodata=False).image.astype(np.uint16)


def lines_of(image: Image) -> bytes:
    """Return an image as a camera sends it, band after band of each line."""
    return image.transpose(1, 0, 2).astype("<u2").tobytes()


def packets_of(image: Image, scene_id: int = 0, tile: int | None = 64) -> bytes:
    """Return the packets of the Python runtime at the ratio of all examples, 20.48.

    Tiles are those that the C encoder has, unless there are others.
    """
    encoder = Encoder(bundles.load("skybook"))
    former = PacketOptions()
    options = Options(window="strip", scene_id=scene_id, packets=former)
    packets: list[bytes] = []
    for strip in encoder.strips(image, SceneHeader.of(image, tile=tile), options):
        packets += former.pack(strip.segments, strip.line, len(packets))
    return b"".join(packets)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return what makes an example, with other variables of the Makefile if given."""
    output = tmp_path_factory.mktemp("examples")

    def build(name: str, *variables: str) -> Path:
        for tool in ("make", "cc", "c++"):
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed")
        command = ["make", "-s", "-C", str(EXAMPLES), str(output / name), f"OUTPUT={output}"]
        done = subprocess.run(
            [*command, f"PYTHON={sys.executable}", "-W", "fprime/driver.cpp", *variables],
            capture_output=True,
            text=True,
            check=False,
            timeout=LONGEST,
        )
        assert done.returncode == 0, done.stderr
        return output / name

    return build


def test_line_source_passes_packets_on_while_lines_come(make: Callable[..., Path]) -> None:
    image = scene(140, 300)
    sent, expected = lines_of(image), packets_of(image)
    half = len(sent) // 2
    with subprocess.Popen(
        [make("line_source"), "300", "20.48"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(sent[:half])
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], LONGEST)
        assert ready
        early = os.read(process.stdout.fileno(), 1)
        memory = Path(f"/proc/{process.pid}/status").read_text()
        process.stdin.write(sent[half:])
        process.stdin.close()
        found = early + process.stdout.read()
    assert process.returncode == 0
    assert found == expected
    peak = next(line for line in memory.splitlines() if line.startswith("VmHWM:"))
    assert int(peak.split()[1]) < 8_000  # KiB, the C library included


@pytest.mark.parametrize(
    ("code", "arguments", "length"),
    [
        (2, [], 800),
        (2, ["2049", "20"], 800),
        (2, ["100", "much"], 800),
        (3, ["100", "1"], 0),
        (3, ["100", "1"], 801),
    ],
)
def test_line_source_says_what_is_wrong(
    code: int, arguments: list[str], length: int, make: Callable[..., Path]
) -> None:
    command = [str(make("line_source")), *arguments]
    done = subprocess.run(command, input=b"\1" * length, capture_output=True, check=False)
    assert done.returncode == code
    assert done.stderr


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_the_component_compiles_and_uses_its_ports(
    compiler: str, make: Callable[..., Path]
) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    image = scene(140, 300)
    done = subprocess.run(
        [make("fprime", f"CXX={compiler}"), "300"],
        input=image.transpose(1, 0, 2).tobytes(),
        capture_output=True,
        check=True,
    )
    expected = packets_of(image)
    assert done.stdout == expected
    told = done.stderr.decode().splitlines()
    assert told[0] == "event scene started, status 0"
    assert told[-4] == "telemetry lines 140"
    assert told[-2:] == [f"telemetry bytes {len(expected)}", "event scene ended, status 0"]
    assert told.count("telemetry lines 64") == 1  # a row of tiles was sent while lines came


@dataclass(frozen=True)
class Unit:
    """What of a systemd unit matters to the process.

    Attributes:
        settings: of section [Service]; of a key that comes twice, the last.
    """

    settings: dict[str, str]

    @classmethod
    def read(cls) -> "Unit":
        lines = UNIT.read_text().partition("[Service]")[2].partition("[Install]")[0].splitlines()
        pairs = (line.partition("=") for line in lines if line and line[0] not in "#[")
        return cls({key: value for key, _, value in pairs})

    def size(self, key: str) -> int:
        """Return a limit in bytes."""
        assert self.settings[key].endswith("M")
        return int(self.settings[key][:-1]) << 20

    def command(self, lines: Path, packets: Path) -> list[str]:
        """Return ExecStart with the settings of payload.env, but for paths, under its limits."""
        text = UNIT.with_name("payload.env").read_text()
        values = dict(line.split("=", 1) for line in text.splitlines() if line[0] != "#")
        values |= {"LINES": str(lines), "PACKETS": str(packets)}
        command = self.settings["ExecStart"]
        for name, value in values.items():
            command = command.replace(f"${{{name}}}", value)
        _, *arguments = command.split()
        return [*self.limits(), sys.executable, *arguments, "--json"]

    def limits(self) -> list[str]:
        """Return what runs a command under the limits, as far as this machine can."""
        scope = ["systemd-run", "--user", "--scope", "--quiet"]
        for key in ("MemoryMax", "MemorySwapMax", "CPUQuota", "TasksMax"):
            scope += ["-p", f"{key}={self.settings[key]}"]
        if shutil.which("systemd-run"):
            tried = subprocess.run([*scope, "true"], check=False, capture_output=True, timeout=30)
            if tried.returncode == 0:
                return scope
        if shutil.which("prlimit") is None:
            pytest.skip("neither a systemd user session nor prlimit is here")
        return ["prlimit", f"--as={self.size('LimitAS')}"]

    def start(self, lines: Path, packets: Path) -> subprocess.Popen[bytes]:
        """Start the process with the environment of the unit."""
        environment = dict(word.split("=") for word in self.settings["Environment"].split())
        return subprocess.Popen(
            self.command(lines, packets),
            cwd=packets.parent,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def feed(pipe: Path, sent: bytes) -> None:
    """Send lines from a thread of their own, since a pipe waits for its reader."""

    def write() -> None:
        with pipe.open("wb") as file:
            file.write(sent)

    Thread(target=write, daemon=True).start()


def test_the_payload_goes_on_after_a_kill_within_its_limits(tmp_path: Path) -> None:
    unit, image = Unit.read(), scene(288, 2048)
    sent = lines_of(image)
    pipe, packets = tmp_path / "lines", tmp_path / "scene.pkt"
    os.mkfifo(pipe)
    killed = unit.start(pipe, packets)
    with killed, pipe.open("wb") as camera:
        camera.write(sent[: len(sent) // 2])
        camera.flush()
        stop = time.monotonic() + LONGEST
        while not packets.exists() or packets.stat().st_size == 0:
            assert killed.poll() is None
            assert time.monotonic() < stop
            time.sleep(0.01)
        killed.kill()
    first = packets.read_bytes()
    expected = packets_of(image, scene_id=1, tile=None)
    assert first
    assert len(first) < len(expected)
    feed(pipe, sent)
    told, problems = unit.start(pipe, packets).communicate(timeout=LONGEST)
    assert packets.read_bytes() == expected, problems
    assert json.loads(told)["peak_rss_mb"] * 2**20 < unit.size("MemoryMax")


def test_the_payload_is_not_started_for_ever(tmp_path: Path) -> None:
    unit = Unit.read()
    final = [int(code) for code in unit.settings["RestartPreventExitStatus"].split()]
    pipe = tmp_path / "lines"
    os.mkfifo(pipe)
    lines = lines_of(scene(70, 2048))
    codes = []
    for sent, output in (
        (lines[:-1], "cut.pkt"),
        (lines, "cut.pkt"),  # its last row of tiles is of fewer lines
        (lines, "scene.pkt"),
        (None, "scene.pkt"),
    ):
        if sent is not None:
            feed(pipe, sent)
        process = unit.start(pipe, tmp_path / output)
        _, problems = process.communicate(timeout=LONGEST)
        codes.append(process.returncode)
    assert codes == [3, 4, 0, 2]
    assert {3, 4, 2} <= set(final)
    assert b"already ends" in problems


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/skybook/bin/python", sys.executable))
    command = ["systemd-analyze", "verify", str(copy)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 0
    assert UNIT.name not in done.stderr  # of unknown keys and values it only warns
