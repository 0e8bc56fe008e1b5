"""The C encoder: the same bytes as the Python runtime, on any compiler, and clear exit codes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.faults.running import PROGRAM
from export.csource import build as cbuild
from export.csource import measure as cmeasure
from export.csource import verify as cverify
from export.csource import write as csource
from ground.decode.decoder import Decoder
from ground.decode.mask import Mask
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.tile import DEPENDENT
from onboard.commands.rawinput import swap_remark
from onboard.encoder import Encoder, Options
from onboard.encoder.outcome import Outcome
from onboard.errors import BundleError, InputError, LimitError
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions
from onboard.link.segment import Kind, Segment

_CPU = Path("/proc/cpuinfo")
_HAS_AVX2 = _CPU.exists() and "avx2" in _CPU.read_text().split()
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
BUILDS = {
    "gcc": ("gcc", "-O2"),
    "clang": ("clang", "-O2", *(("-mavx2",) if _HAS_AVX2 else ())),
    "native": ("gcc", "-O3", "-march=native"),
    "sanitize": (
        *("gcc", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
        *("-DSKYBOOK_STRIP_BYTES=160000", "-DSKYBOOK_STRIP_SEGMENTS=2000", "-DSKYBOOK_PLAIN_C"),
    ),
}
"""The last has little room for a strip, so that gaps are closed, and no vectors. The first has
those of gcc, clang's those of AVX2, the native one the widest of this machine."""
MOST_BANDS = 4
"""Of scenes that a build takes unless it is told otherwise."""
MEGABYTE = 1_000_000
Image = NDArray[np.uint16]


@pytest.fixture(scope="module")
def build(c_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return what compiles the encoder, each way once for all modules and workers."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # each worker has a folder in that of the run

    def make(name: str) -> Path:
        compiler, *flags = BUILDS[name]
        if shutil.which(compiler) is None:
            pytest.skip(f"{compiler} is not installed")
        program = shared / f"skybook-{name}"
        if not program.exists():
            own = c_sources / program.name
            sources = sorted(str(path) for path in c_sources.glob("*.c"))
            subprocess.run([compiler, *STRICT, *flags, "-o", own, *sources], check=True)
            own.replace(program)  # whole, whoever else makes it
        return program

    return make


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(bundles.load("skybook"))


def scene(seed: int, rows: int, cols: int) -> Image:
    """Return a procedural scene of any size, without nodata."""
    image = procedural(seed, max(rows, 32), max(cols, 32), nodata=False).image[:, :rows, :cols]
    return image.astype(np.uint16)


def noise(seed: int, rows: int, cols: int, bits: int = 16) -> Image:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1 << bits, (4, rows, cols)).astype(np.uint16)


def holes() -> Image:
    """Return a scene of 1 (with nodata 0): speckle, runs, whole tiles and one band alone 0."""
    image = np.maximum(scene(5, 150, 300), 1)
    gap = np.random.default_rng(5).random((150, 300)) < 0.3
    gap[:, :64] = False
    gap[10:40, 20:300] = True
    gap[:64, 64:128] = True
    gap[:64, 200:220] = False
    image[:, gap] = 0
    image[1, 100:110] = 0
    return image


def extremes() -> Image:
    """Return a scene of 0, but for a tile of blocks of 0 and 4,095: all bits go to that one."""
    row, col = np.indices((64, 64))
    image = np.zeros((4, 64, 1024), np.uint16)
    image[:, :, :64] = np.where((row // 8 + col // 8) % 2, 4_095, 0)
    return image


def blocks() -> Image:
    """Return black and white blocks of 4 x 4 pixels: many latents take more than 16 bits."""
    few = np.random.default_rng(3).integers(0, 2, (4, 17, 40), np.uint16)
    return few.repeat(4, axis=1).repeat(4, axis=2) * np.uint16(65_535)


def with_noise() -> Image:
    """Return a scene whose second row of tiles is noise, which no coarse ratio has room for."""
    image = scene(18, 200, 200)
    image[:, 64:128] = noise(4, 64, 200)
    return image


def patterns(gap: bool = False) -> Image:
    """Return a scene of tiles that have no detail but a pattern of a few pixels each, or none.

    Args:
        gap: whether some pixels are 0 in all bands.
    """
    row, col = np.indices((72, 328))
    kinds = [(row + col) % 2, (row + col) // 4 % 2, col % 2, row // 3 % 2, 0 * row, row // 32 % 2]
    signs = np.choose(col // 64, [2 * kind - 1 for kind in kinds])
    image = np.stack([2_000 + signs * amplitude for amplitude in (100, 200, 300, 90)])
    if gap:
        image[:, 20:30, 50:150] = 0
    return image.astype(np.uint16)


@dataclass(frozen=True)
class Case:
    image: Image
    options: Options = field(default_factory=lambda: Options(window="strip"))
    nodata: int | None = None
    bits: int = 16
    start: tuple[int, int] | None = None

    @property
    def arguments(self) -> list[str]:
        """Options of the C command."""
        options, packets = self.options, self.options.packets
        found = ["--width", str(self.image.shape[2]), "--segment-bytes", str(options.segment_bytes)]
        found += ["--scene-id", str(options.scene_id), "--significant-bits", str(self.bits)]
        found += ["--one-layer"] if options.one_layer else []
        found += ["--trellis"] if options.trellis else []
        if options.ratio is not None:
            found += ["--ratio", repr(options.ratio)]
        if options.budget is not None:
            found += ["--bytes", str(options.budget), "--lines", str(self.image.shape[1])]
        if options.run is not None:
            found += ["--run", str(options.run)]
        if self.nodata is not None:
            found += ["--nodata", str(self.nodata)]
        if self.start is not None:
            found += ["--start-time", f"{self.start[0]}.{self.start[1]}"]
        if packets:
            found += ["--packets", "--packet-bytes", str(packets.packet_bytes)]
            found += ["--apid", str(packets.apid), "--line-period", str(packets.line_period)]
            found += ["--packet-control"] if packets.control else []
        return found

    @property
    def header(self) -> SceneHeader:
        """Its scene header, of tiles that a usual build has room for."""
        found = SceneHeader.of(self.image, nodata=self.nodata, start_time=self.start)
        tile = 64 if found.bands > 1 else None
        return replace(found, significant_bits=self.bits, tile=tile)

    @property
    def along_trellis(self) -> "Case":
        """The same with indices chosen along a trellis."""
        return replace(self, options=replace(self.options, trellis=True))

    def expected(self, encoder: Encoder) -> bytes:
        """Return the stream of the Python runtime."""
        packets = self.options.packets
        parts: list[bytes] = []
        for strip in encoder.strips(self.image, self.header, self.options):
            parts += (
                packets.pack(strip.segments, strip.line, len(parts)) if packets else strip.segments
            )
        return b"".join(parts)


def options(**fields: Any) -> Options:
    return Options(window="strip", **fields)


SMALL_PACKETS = PacketOptions(128, 7, True, (700_000_000, 40_000), 1_500_000)
CASES = {
    "default": Case(scene(1, 150, 300)),
    "one row of tiles, more than 16": Case(scene(2, 64, 1500)),
    "rows that settle apart": Case(scene(3, 200, 1300), options(ratio=8.0)),
    "as wide as can be": Case(scene(4, 20, 2048)),
    "one pixel": Case(scene(5, 1, 1), options(ratio=0.05)),
    "one pixel wide": Case(scene(6, 70, 1), options(ratio=1.5)),
    "a few lines": Case(scene(7, 5, 130)),
    "one line": Case(scene(8, 1, 200), options(ratio=3.0)),
    "fine": Case(scene(9, 70, 130), options(ratio=3.0)),
    "coarse": Case(scene(10, 128, 256), options(ratio=100.0)),
    "budget": Case(scene(11, 150, 130), options(budget=9_000)),
    "budget, whole tiles": Case(scene(11, 128, 130), options(budget=9_000, scene_id=65_535)),
    "12 bits": Case(noise(1, 70, 130, 12), options(ratio=5.0), bits=12),
    "full range": Case(noise(2, 70, 200), options(ratio=2.5)),
    "black and white": Case(noise(3, 64, 64, 1) * np.uint16(65_535), options(ratio=2.0)),
    "a tile of extremes": Case(extremes()),
    "blocks of 4 x 4 pixels": Case(blocks(), options(ratio=4.0)),
    "a row of noise": Case(with_noise(), options(ratio=20.0)),
    "a row of noise in packets": Case(
        with_noise(), options(ratio=100.0, packets=PacketOptions(200))
    ),
    "a ratio that no row keeps": Case(scene(19, 150, 200), options(ratio=1e6)),
    "flat": Case(np.full((4, 100, 1200), 777, np.uint16)),
    "nodata": Case(holes(), options(ratio=10.0), nodata=0),
    "all nodata": Case(np.zeros((4, 70, 300), np.uint16), nodata=0),
    "nodata, short segments": Case(holes(), options(ratio=9.0, segment_bytes=128), nodata=0),
    "short segments": Case(scene(12, 100, 200), options(segment_bytes=114)),
    "long segments": Case(scene(12, 100, 200), options(ratio=4.0, segment_bytes=65_551)),
    "noise in short packets": Case(
        np.random.default_rng(4).integers(0, 65_536, (4, 70, 70)).astype(np.uint16),
        options(ratio=1.6, packets=PacketOptions(128)),
    ),
    "noise, most lanes raw": Case(noise(20, 40, 70), options(ratio=1.0, segment_bytes=500)),
    "one layer": Case(scene(13, 100, 200), options(ratio=8.0, one_layer=True)),
    "one layer, nodata": Case(holes(), options(ratio=9.0, one_layer=True), nodata=0),
    "packets": Case(scene(14, 150, 300), options(packets=PacketOptions())),
    "small packets": Case(
        scene(15, 150, 300), options(ratio=12.0, packets=SMALL_PACKETS), start=(700_000_000, 40_000)
    ),
    "a run that is given": Case(scene(15, 70, 90), options(run=16_777_215)),
    "small packets, one step for many tiles": Case(
        scene(23, 64, 1300), options(ratio=12.0, packets=PacketOptions(128))
    ),
    "one layer, one step for many tiles": Case(
        scene(24, 50, 1200), options(ratio=10.0, one_layer=True, packets=PacketOptions(200))
    ),
    "patterns": Case(patterns(), options(ratio=10.0)),
    "coarse patterns": Case(patterns(), options(ratio=150.0)),
    "patterns in one layer": Case(patterns(True), options(ratio=5.0, one_layer=True), nodata=0),
    "a pattern everywhere": Case(np.tile(patterns()[:, :64, 64:128], (1, 2, 3)), options(ratio=10)),
    "a lone tile": Case(scene(1, 64, 64), options(ratio=9.0)),
    "a coarse lone tile": Case(scene(1, 64, 64), options(ratio=15.0)),
    "a lone tile that takes more than planned": Case(
        noise(923, 51, 36, 12), options(ratio=7.67, segment_bytes=114)
    ),
    "a lone corner": Case(scene(21, 72, 72), options(ratio=8.0)),
    "lone pixels": Case(scene(22, 65, 129), options(ratio=4.0, segment_bytes=114)),
    "one layer in packets": Case(
        holes(), options(ratio=9.0, one_layer=True, packets=PacketOptions()), nodata=0
    ),
}

SLOW = (
    *("coarse patterns", "patterns in one layer", "a pattern everywhere"),
    *("a row of noise in packets", "noise in short packets", "small packets", "packets"),
    *("one layer in packets", "a run that is given", "12 bits", "full range"),
)
"""Cases that take long along a trellis, or whose options have nothing to do with it."""


def run(program: Path, image: Image, arguments: list[str]) -> bytes:
    """Return what the C encoder makes of an image."""
    lines = image.transpose(1, 0, 2).astype("<u2").tobytes()
    command = [program, "-", "-o", "-", *arguments]
    return subprocess.run(command, input=lines, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("name", "trellis"),
    [
        *(pytest.param(name, False, id=f"{name}-plain") for name in CASES),
        *(
            pytest.param(
                name, True, id=f"{name}-trellis", marks=[pytest.mark.slow] if name in SLOW else []
            )
            for name in CASES
        ),
    ],
)
def test_the_bytes_are_those_of_python(
    name: str, trellis: bool, build: Callable[[str], Path], encoder: Encoder
) -> None:
    case = CASES[name].along_trellis if trellis else CASES[name]
    expected = case.expected(encoder)
    for compiler in BUILDS:
        assert run(build(compiler), case.image, case.arguments) == expected


@pytest.mark.parametrize(
    "name", ["one row of tiles, more than 16", "holes", "noise", "flat", "fine"]
)
@pytest.mark.parametrize("trellis", [False, True])
def test_what_came_of_the_rate_is_what_python_says(
    name: str, trellis: bool, build: Callable[[str], Path], encoder: Encoder
) -> None:
    case = {
        "holes": CASES["nodata"],
        "noise": Case(noise(2, 70, 200), options(ratio=30.0)),
        "fine": Case(scene(9, 70, 130), options(ratio=0.3)),
    }.get(name) or CASES[name]
    case = case.along_trellis if trellis else case
    told: list[Outcome] = []
    list(encoder.strips(case.image, case.header, case.options, told.append))
    outcome = reduce(add, told)
    lines = case.image.transpose(1, 0, 2).astype("<u2").tobytes()
    command = [build("gcc"), "-", "-o", "-", "--json", *case.arguments]
    done = subprocess.run(command, input=lines, capture_output=True, check=True)
    *warnings, report = done.stderr.decode().splitlines()
    found = json.loads(report)
    assert found["bytes"] == len(done.stdout)
    assert found["step_codes"] == list(outcome.steps or ())
    assert found["steps_dn"] == pytest.approx(outcome.steps_dn, rel=1e-5)
    assert found["expected_rmse_dn"] == pytest.approx(outcome.rmse, rel=1e-5)
    assert found["expected_psnr16_db"] == pytest.approx(outcome.psnr16, abs=1e-4)
    counts = (found["windows"], found["windows_missed"], found["windows_eased"])
    assert counts == (outcome.windows, outcome.missed, outcome.eased)
    assert found["met"] == (outcome.missed == 0)
    assert len(warnings) == (name in ("noise", "fine", "flat"))


def test_packets_of_random_scenes(build: Callable[[str], Path], encoder: Encoder) -> None:
    rng = np.random.default_rng(6)
    for seed in range(12):
        rows, cols = (int(side) for side in rng.integers(20, 200, 2))
        packets = PacketOptions(int(rng.integers(128, 2_000)), control=bool(seed % 2))
        ratio = float(rng.uniform(4, 30)) * min(1, rows * cols / 20_000)
        chosen = options(ratio=ratio / (1 + seed % 3), packets=packets, one_layer=seed % 3 == 2)
        case = Case(scene(seed, rows, cols), chosen)
        if seed % 4 == 1:
            case = case.along_trellis
        assert run(build("gcc"), case.image, case.arguments) == case.expected(encoder)


@pytest.mark.parametrize("trellis", [False, True], ids=["plain", "trellis"])
@pytest.mark.parametrize(
    "name",
    [
        "a tile of extremes",
        "a row of noise",
        "noise, most lanes raw",
        "patterns",
        "coarse patterns",
    ],
)
def test_extremes_are_decoded(name: str, trellis: bool, build: Callable[[str], Path]) -> None:
    case = CASES[name].along_trellis if trellis else CASES[name]
    stream = run(build("gcc"), case.image, case.arguments)
    decoded = Decoder(bundles.find("skybook")).decode(stream)
    assert decoded.complete
    assert (decoded.mask == Mask.COMPLETE).all()


@pytest.mark.parametrize("trellis", [[], ["--trellis"]], ids=["plain", "trellis"])
def test_a_step_too_fine_is_a_limit(build: Callable[[str], Path], trellis: list[str]) -> None:
    """The step is an octave finer than what rate control may choose: a residual does not fit."""
    lines = extremes().transpose(1, 0, 2).astype("<u2").tobytes()
    command = [build("sanitize"), "-", "-o", "-", "--width", "1024", "--step-code", "0", *trellis]
    done = subprocess.run(command, input=lines, capture_output=True, check=False)
    assert done.returncode == LimitError.exit_code


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("how", [[], ["--one-layer"], ["--trellis"], ["--trellis", "--one-layer"]])
def test_a_step_too_fine_never_shows_something_else(
    build: Callable[[str], Path], seed: int, how: list[str]
) -> None:
    blocks = np.random.default_rng(seed).integers(0, 2, (4, 8, 8)) * 65_535
    image = np.kron(blocks, np.ones((8, 8))).astype(np.uint16)
    command = [build("sanitize"), "-", "-o", "-", "--width", "64", "--step-code", "0", *how]
    lines = image.transpose(1, 0, 2).astype("<u2").tobytes()
    done = subprocess.run(command, input=lines, capture_output=True, check=False)
    assert done.returncode in (0, LimitError.exit_code)
    if not done.returncode:
        decoded = Decoder(bundles.find("skybook")).decode(done.stdout)
        assert decoded.complete
        assert np.abs(decoded.scene.image.astype(int) - image).max() < 200


def test_golden_vectors(build: Callable[[str], Path]) -> None:
    for vector in LappedCodec.of(bundles.load("skybook").codec).golden:
        bands, width, fraction = vector.form
        if bands > MOST_BANDS:
            continue
        arguments = ["--width", str(width), "--segment-bytes", "65551", "--bands", str(bands)]
        arguments += ["--step-code", str(vector.step), "--significant-bits", str(16 - fraction)]
        arguments += ["--trellis"] if vector.body[0] & DEPENDENT else []
        stream = run(build("gcc"), vector.samples, arguments)
        _, after = Segment.unpack(stream)
        tile, _ = Segment.unpack(stream, after)
        assert (tile.kind, tile.body) == (Kind.TILE, vector.body)


def test_layouts_and_byte_orders(build: Callable[[str], Path], tmp_path: Path) -> None:
    image = scene(16, 70, 90)
    expected = run(build("gcc"), image, ["--width", "90"])
    for layout, axes in {"bil": (1, 0, 2), "bip": (1, 2, 0), "bsq": (0, 1, 2)}.items():
        for order, sample in {"little": "<u2", "big": ">u2"}.items():
            raw, out = tmp_path / "raw", tmp_path / "out.sky"
            raw.write_bytes(image.transpose(axes).astype(sample).tobytes())
            command = [build("gcc"), raw, "-o", out, "--width", "90", "--layout", layout]
            subprocess.run([*command, "--byte-order", order], check=True)
            assert out.read_bytes() == expected


@pytest.mark.parametrize(
    ("code", "arguments", "length"),
    [
        (2, ["--width", "8", "--unknown", "1"], 64),
        (2, [], 64),
        (2, ["--width", "8", "--ratio", "0"], 64),
        (2, ["--width", "8", "--ratio", "nan"], 64),
        (2, ["--width", "8", "--segment-bytes", "113"], 64),
        (2, ["--width", "8", "--packets", "--packet-bytes", "127"], 64),
        (2, ["--width", "8", "--bytes", "1000"], 64),
        (2, ["--width", "99999999999999999999"], 64),
        (2, ["--width", "8", "--run", "0"], 64),
        (2, ["--width", "8", "--run", "16777216"], 64),
        (2, ["--width", "8", "--ratio", "4", "--step-code", "9"], 64),
        (2, ["--width", "8", "--bytes", "9000", "--lines", "1", "--ratio", "4"], 64),
        (3, ["--width", "8"], 0),
        (3, ["--width", "8"], 65),
        (3, ["--width", "8", "--significant-bits", "7"], 64),
        (3, ["--width", "8", "--bytes", "1000", "--lines", "3"], 64),
        (3, ["--width", "8", "--layout", "bsq"], 63),
        (6, ["--width", "2049"], 64),
        (6, ["--width", "8", "--bytes", "1", "--lines", "1"], 64),
    ],
)
def test_bad_input_has_the_exit_codes_of_the_project(
    code: int, arguments: list[str], length: int, build: Callable[[str], Path]
) -> None:
    command = [build("sanitize"), "-", "-o", "-", *arguments]
    done = subprocess.run(command, input=b"\xff" * length, capture_output=True, check=False)
    assert done.returncode == code
    assert done.stderr


def test_a_missing_input_is_bad_input(build: Callable[[str], Path], tmp_path: Path) -> None:
    command = [build("gcc"), tmp_path / "none", "-o", tmp_path / "out.sky", "--width", "8"]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 3


def test_the_command_keeps_its_input_and_tells_of_a_full_disk(
    build: Callable[[str], Path], tmp_path: Path
) -> None:
    program = build("sanitize")
    raw, output = tmp_path / "raw", tmp_path / "out.sky"

    def code(source: Path, target: Path, *more: str) -> int:
        command = [program, source, "-o", target, "--width", "8", *more]
        return subprocess.run(command, check=False, capture_output=True).returncode

    raw.write_bytes(bytes(640))
    same, link = tmp_path / "same", tmp_path / "link"
    same.hardlink_to(raw)
    link.symlink_to(raw)
    for spelling in (raw, tmp_path / "." / "raw", same, link, f"{tmp_path}/../{tmp_path.name}/raw"):
        assert code(raw, Path(spelling)) == 2
        assert raw.read_bytes() == bytes(640)
    with raw.open("rb") as source:
        command = [program, "-", "-o", raw, "--width", "8"]
        assert subprocess.run(command, stdin=source, check=False).returncode == 2
    assert raw.read_bytes() == bytes(640)
    output.write_bytes(b"kept")
    assert code(tmp_path, output) == 3  # a folder opens, but cannot be read
    (tmp_path / "empty").touch()
    assert code(tmp_path / "empty", output) == 3
    assert code(raw, output, "--segment-bytes", "113") == 2
    assert output.read_bytes() == b"kept"
    assert code(raw, output, "--layout", "bsq") == 0
    raw.write_bytes(bytes(639))
    assert code(raw, output) == 3
    assert code(raw, output, "--layout", "bsq") == 3
    if Path("/dev/full").exists():
        raw.write_bytes(bytes(640))
        assert code(raw, Path("/dev/full")) == 1


def test_room_for_protection_is_that_of_python(build: Callable[[str], Path]) -> None:
    image, packets = scene(25, 70, 130), ["--width", "130", "--packets", "--ratio", "6"]
    for control, room in (([], 42), (["--packet-control"], 40)):
        for most in (300, 301):
            less = str(most - most % 2 - room)
            expected = run(build("gcc"), image, [*packets, *control, "--packet-bytes", less])
            form = [*packets, *control, "--packet-bytes", str(most), "--protect-room"]
            assert run(build("gcc"), image, form) == expected
    short = [build("gcc"), "-", "-o", "-", *packets, "--packet-bytes", "169", "--protect-room"]
    assert subprocess.run(short, input=b"", capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize("layout", ["bil", "bip", "bsq"])
@pytest.mark.parametrize("shape", [(4, 70, 300), (4, 9, 20), (1, 200, 70)], ids=str)
def test_swapped_bytes_are_told_as_python_does(
    layout: str, shape: tuple[int, int, int], build: Callable[[str], Path], tmp_path: Path
) -> None:
    bands, rows, cols = shape
    image, raw = scene(26, rows, cols)[:bands], tmp_path / "x.raw"
    order = {"bil": (1, 0, 2), "bip": (1, 2, 0), "bsq": (0, 1, 2)}[layout]
    raw.write_bytes(image.transpose(order).astype(">u2").tobytes())
    command = [build("sanitize"), raw, "-o", tmp_path / "x.sky", "--layout", layout]
    command += ["--width", str(cols), "--bands", str(bands), "--ratio", "4"]
    command += ["--tile", "128" if bands == 1 else "64"]
    (words,) = swap_remark(image[:, : 64 if bands > 1 else 128].byteswap())
    told = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert told.splitlines()[0] == f"warning: {raw}: {words.replace('raw files: ', '')}"
    command += ["--byte-order", "big"]
    assert not subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_samples_whose_low_bytes_are_alike_are_not_swapped(build: Callable[[str], Path]) -> None:
    command = [build("sanitize"), "-", "-o", "-", "--width", "64", "--ratio", "2", "--json"]
    for image in (scene(26, 64, 64) >> 2 << 8, noise(5, 64, 64)):
        lines = image.transpose(1, 0, 2).astype("<u2").tobytes()
        done = subprocess.run(command, input=lines, capture_output=True, check=True)
        assert b"swapped" not in done.stderr


def test_help_is_no_error(build: Callable[[str], Path]) -> None:
    done = subprocess.run([build("gcc"), "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("usage: skybook")
    assert not done.stderr


CARELESS = """
#include <stdio.h>
#include "skybook.h"
static struct skybook_encoder fresh, unended, encoder;
static uint16_t samples[2][SKYBOOK_MAX_BANDS * 8];
static uint8_t bytes[100000];
int main(void) {
    struct skybook_buffer buffer = {bytes, sizeof(bytes), 0};
    struct skybook_options options;
    skybook_defaults(&options, 8);
    options.height = 1;
    printf("%d", skybook_push(&fresh, samples[0], 1, 8, 0, 1));
    printf(" %d", skybook_finish(&unended));
    printf(" %d", skybook_init_sized(&encoder, sizeof encoder - 8, &options, skybook_to_buffer,
                                     &buffer));
    encoder.options = options;
    printf(" %d", skybook_init(&encoder, &encoder.options, skybook_to_buffer, &buffer));
    printf(" %d", skybook_push(&encoder, samples[0], 2, 8, 8 * SKYBOOK_MAX_BANDS, 1));
    printf(" %lu", (unsigned long)encoder.lines);
    printf(" %d", skybook_finish(&encoder));
    printf(" %d", skybook_init(&encoder, &encoder.options, skybook_to_buffer, &buffer));
    printf(" %d", skybook_push(&encoder, samples[0], 1, 8, 0, 1));
    printf(" %d", skybook_finish(&encoder));
    options.run = 0x1000000;
    printf(" %d", skybook_init(&encoder, &options, skybook_to_buffer, &buffer));
    return 0;
}
"""


def test_careless_calls_are_told(c_sources: Path, tmp_path: Path) -> None:
    source, program = tmp_path / "careless.c", tmp_path / "careless"
    source.write_text(CARELESS)
    parts = [str(path) for path in c_sources.glob("*.c") if path.name not in PROGRAM]
    checks = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    command = ["gcc", *STRICT, *checks, f"-I{c_sources}", "-o", program, source, *parts]
    subprocess.run(command, check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout == "200 200 200 0 300 1 300 0 0 0 200"


CALLER = """
#include <stdio.h>
#include <string.h>
#include "skybook.h"
static struct skybook_encoder encoder;
static uint16_t samples[SKYBOOK_MAX_BANDS][70][90];
static uint8_t bytes[SIZE];
int main(void) {
    struct skybook_buffer buffer = {bytes, sizeof(bytes), 0};
    struct skybook_options options;
    enum skybook_status status;
    if (fread(samples, 1, sizeof(samples), stdin) != sizeof(samples)) return 9;
    memset(&encoder, 0xA5, sizeof(encoder)); /* what was there is of no matter */
    skybook_defaults(&options, 90);
    status = skybook_init(&encoder, &options, skybook_to_buffer, &buffer);
    if (status == SKYBOOK_OK)
        status = skybook_push(&encoder, samples[0][0], 70, 70 * 90, 90, 1);
    if (status == SKYBOOK_OK) status = skybook_finish(&encoder);
    fwrite(bytes, 1, buffer.used, stdout);
    return (int)status / 100;
}
"""


@pytest.mark.parametrize(("size", "code"), [(100_000, 0), (1_000, 1)])
def test_a_caller_pushes_lines_and_gets_bytes(
    size: int, code: int, c_sources: Path, tmp_path: Path, build: Callable[[str], Path]
) -> None:
    image = scene(17, 70, 90)
    source, program = tmp_path / "caller.c", tmp_path / "caller"
    source.write_text(CALLER)
    expected = run(build("gcc"), image, ["--width", "90"])
    parts = [str(path) for path in c_sources.glob("*.c") if path.name not in PROGRAM]
    command = ["gcc", *STRICT, f"-DSIZE={size}", f"-I{c_sources}", "-o", program, source, *parts]
    subprocess.run(command, check=True)
    done = subprocess.run([program], input=image.tobytes(), capture_output=True, check=False)
    assert done.returncode == code
    assert done.stdout == expected if code == 0 else len(done.stdout) <= size


def test_it_fits_a_small_computer(build: Callable[[str], Path]) -> None:
    lines = subprocess.run(["size", build("gcc")], capture_output=True, text=True, check=True)
    text, constants, static = (int(word) for word in lines.stdout.splitlines()[1].split()[:3])
    assert text + constants <= 2 * MEGABYTE
    assert static <= 2 * MEGABYTE


def test_it_takes_no_memory_and_no_library(c_sources: Path, tmp_path: Path) -> None:
    allowed = {"memcpy", "memmove", "memset", "_GLOBAL_OFFSET_TABLE_"}
    for source in c_sources.glob("*.c"):
        if source.name not in PROGRAM:
            built = tmp_path / "part.o"
            subprocess.run(["gcc", *STRICT, "-O2", "-c", "-o", built, source], check=True)
            names = subprocess.run(["nm", "-u", built], capture_output=True, text=True, check=True)
            needed = {line.split()[-1] for line in names.stdout.splitlines()}
            assert {name for name in needed if not name.startswith("skybook_")} <= allowed


def test_bundles_of_fixed_rate_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="expected a bundle of the lapped codec"):
        csource.write(bundles.load("corsa-2level-1024"), tmp_path)


def test_the_command_needs_no_torch_and_no_onnx(tmp_path: Path) -> None:
    script = (
        "import sys\nfor name in ('torch', 'onnx', 'flatbuffers'): sys.modules[name] = None\n"
        "from export.__main__ import main\n"
        f"sys.exit(main(['c', 'skybook', '-o', {str(tmp_path)!r}]))"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    assert (tmp_path / "tables.c").exists()
    assert (tmp_path / "Makefile").exists()


def test_verification_tells_the_same_from_another(
    build: Callable[[str], Path], tmp_path: Path
) -> None:
    bundle = bundles.load("skybook")
    program = tmp_path / "skybook"
    shutil.copy(build("gcc"), program)
    good = cverify.compare(bundle, tmp_path, MOST_BANDS, scenes=4)
    assert good.passed
    assert good.packets > 50
    program.write_text("#!/bin/sh\ncat\n")
    bad = cverify.compare(bundle, tmp_path, MOST_BANDS, scenes=4)
    assert bad.mismatching_packets >= bad.packets == good.packets
    assert bad.mismatching_golden == bad.golden
    assert not bad.passed


def test_the_makefile_builds_and_measures(tmp_path: Path) -> None:
    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("make or a C compiler is not installed")
    bundle = bundles.load("skybook")
    with pytest.raises(InputError, match="expected C sources"):
        cbuild.build(tmp_path)
    csource.write(bundle, tmp_path)
    cbuild.build(tmp_path)
    taken = cmeasure.footprint(tmp_path)
    assert taken.code_bytes <= 2 * MEGABYTE
    assert taken.static_bytes <= 2 * MEGABYTE
    assert 0 < taken.largest_frame_bytes <= taken.stack_bound_bytes <= 65_536
    timed = cmeasure.speed(bundle, tmp_path, runs=1, side=256)
    for figure, rate in {
        "speed_over_openjpeg": timed.native_mpixel_per_s,
        "portable_over_openjpeg": timed.portable_mpixel_per_s,
        "speed_over_openjpeg_trellis": timed.mpixel_per_s_trellis,
    }.items():
        assert getattr(timed, figure) == pytest.approx(rate / timed.openjpeg_mpixel_per_s)
    assert timed.spread == 1
    narrow = ["make", "-s", "-C", str(tmp_path), "CFLAGS=-O0", "MACROS=-DSKYBOOK_MAX_WIDTH=64"]
    subprocess.run([*narrow, "all", "sanitize"], check=True)
    for program in ("skybook", "skybook-sanitize"):
        command = [tmp_path / program, "-", "-o", "-", "--width", "65"]
        done = subprocess.run(command, input=bytes(520), capture_output=True, check=False)
        assert done.returncode == LimitError.exit_code
