"""The C encoder on other processors, emulated: the same bytes as the Python runtime."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from export.csource import verify as cverify
from onboard import bundle as bundles
from onboard.encoder import Encoder
from tests.export.csource.test_csource import CASES, STRICT, run

COMPILE = 120
CHOSEN = ("one pixel wide", "as wide as can be", "full range", "one layer in packets")
"""Between them: borders, the largest samples and sums, masks, nodata tiles, layers, packets."""
ALONG = "along a trellis: "


@dataclass(frozen=True)
class Target:
    """A processor that is not at hand.

    Attributes:
        compiler: of Debian.
        libc: Debian package of its static C library.
        emulator: of qemu-user.
    """

    compiler: str
    libc: str
    emulator: str


TARGETS = {
    "aarch64": Target("aarch64-linux-gnu-gcc", "libc6-dev-arm64-cross", "qemu-aarch64"),
    "armhf": Target("arm-linux-gnueabihf-gcc", "libc6-dev-armhf-cross", "qemu-arm"),
    "riscv64": Target("riscv64-linux-gnu-gcc", "libc6-dev-riscv64-cross", "qemu-riscv64"),
    "s390x": Target("s390x-linux-gnu-gcc", "libc6-dev-s390x-cross", "qemu-s390x"),
}
"""The last is big-endian, as LEON and older PowerPC computers are."""


@pytest.fixture(scope="module")
def build(c_sources: Path) -> Callable[[str], Path]:
    """Return what makes a folder with a `skybook` that runs emulated, once for each processor."""

    def make(name: str) -> Path:
        target, folder = TARGETS[name], c_sources / name
        if not folder.exists():
            _need(target, c_sources)
            folder.mkdir()
            _compile(target, folder / "foreign", sorted(c_sources.glob("*.c")))
            program = folder / "skybook"
            program.write_text(f'#!/bin/sh\nexec {target.emulator} {folder / "foreign"} "$@"\n')
            program.chmod(0o755)
        return folder

    return make


def _need(target: Target, folder: Path) -> None:
    """Skip the test, with a word on what is not installed."""
    for tool in (target.compiler, target.emulator):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    probe = folder / "probe.txt"
    probe.write_text("#include <stdio.h>\nint main(void) { return puts(__FILE__) < 0; }\n")
    command = [target.compiler, "-static", "-x", "c", "-o", str(folder / "probe"), str(probe)]
    if subprocess.run(command, check=False, capture_output=True, timeout=COMPILE).returncode:
        pytest.skip(f"{target.compiler} finds no static C library: {target.libc} is not installed")


def _compile(target: Target, program: Path, sources: list[Path]) -> None:
    warnings = ("-Wshadow", "-Wconversion")
    command = [target.compiler, *STRICT, *warnings, "-O2", "-static", "-o", str(program)]
    command += map(str, sources)
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=COMPILE)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def expected() -> dict[str, bytes]:
    """The streams of the Python runtime."""
    encoder = Encoder(bundles.load("skybook"))
    found = {name: CASES[name].expected(encoder) for name in CHOSEN}
    found |= {ALONG + name: CASES[name].along_trellis.expected(encoder) for name in CHOSEN}
    return found


@pytest.mark.parametrize("target", TARGETS)
def test_the_bytes_are_those_of_python(
    target: str, build: Callable[[str], Path], expected: dict[str, bytes]
) -> None:
    program = build(target) / "skybook"
    for name in CHOSEN:
        plain, along = CASES[name], CASES[name].along_trellis
        assert run(program, plain.image, plain.arguments) == expected[name], name
        assert run(program, along.image, along.arguments) == expected[ALONG + name], name


@pytest.mark.parametrize("target", TARGETS)
def test_packets_and_golden_tiles(target: str, build: Callable[[str], Path]) -> None:
    found = cverify.compare(bundles.load("skybook"), build(target), 4, scenes=2)
    assert found.passed
    assert found.packets > 50
    assert found.golden > 0
