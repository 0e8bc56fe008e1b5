"""Verify the C encoder: packets against the Python runtime, size, and speed against OpenJPEG."""

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import numpy as np
from numpy.typing import NDArray

from ground.products.geotiff import jpeg2000_encode
from ground.scenes.procedural import procedural
from onboard.bundle import Bundle
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.part import GoldenTile
from onboard.codec.tile import DEPENDENT
from onboard.encoder import Encoder, Options
from onboard.encoder.options import DEFAULT_RATIO
from onboard.errors import EngineError, InputError, LimitError, StreamError, UsageError
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions, SpacePacket
from onboard.link.segment import MAX_SEGMENT_BYTES, Segment

SCENES = 100
_MOSAIC = 1024
_RUNS = 5
_LONGEST_BUILD = 600
_LONGEST_RUN = 120

Image = NDArray[np.uint16]


@dataclass(frozen=True)
class Comparison:
    """What of the C encoder differs from the Python runtime.

    Attributes:
        scenes: random ones, encoded by both, plain and along a trellis; those that Python refuses
            come on top.
        packets: packets that the Python runtime made of them.
        mismatching_packets: packets that C did not make, made otherwise, or made beyond them; a
            scene that Python refuses counts as one where the C encoder has another exit code.
        golden: golden vectors of the bundle.
        mismatching_golden: golden vectors that the C encoder codes otherwise.
    """

    scenes: int
    packets: int
    mismatching_packets: int
    golden: int
    mismatching_golden: int

    @property
    def passed(self) -> bool:
        """Whether all bytes are the same."""
        return not self.mismatching_packets and not self.mismatching_golden


@dataclass(frozen=True)
class Footprint:
    """What the portable build takes.

    Attributes:
        code_bytes: instructions and constants.
        static_bytes: memory that is written, the command's own buffers included.
        largest_frame_bytes: stack of the function that takes the most.
        stack_bound_bytes: stack of all functions together; nothing recurses, so no path takes more.
    """

    code_bytes: int
    static_bytes: int
    largest_frame_bytes: int
    stack_bound_bytes: int


@dataclass(frozen=True)
class Speed:
    """Seconds of processor per megapixel (all bands) turned round, medians of interleaved runs.

    Attributes:
        native_mpixel_per_s: C, -O3 -march=native, reading and writing files included.
        portable_mpixel_per_s: C, -O2.
        mpixel_per_s_trellis: the native build, along a trellis.
        openjpeg_mpixel_per_s: OpenJPEG in memory, bands independent.
        speed_over_openjpeg: speed of the native build over that of OpenJPEG.
        portable_over_openjpeg: speed of the portable build over that of OpenJPEG.
        speed_over_openjpeg_trellis: that speed along a trellis.
        spread: largest over smallest time of the native build.
    """

    native_mpixel_per_s: float
    portable_mpixel_per_s: float
    mpixel_per_s_trellis: float
    openjpeg_mpixel_per_s: float
    speed_over_openjpeg: float
    portable_over_openjpeg: float
    speed_over_openjpeg_trellis: float
    spread: float


def build(folder: Path) -> None:
    """Build the portable and the native program.

    Raises:
        InputError: the folder holds no C encoder.
        EngineError: there is no make or compiler, or it fails.
    """
    if not (folder / "tables.h").is_file():
        raise InputError(f"{folder}: expected C sources that `export c` wrote")
    _make(folder, "all", "native")


def _make(folder: Path, *targets: str) -> str:
    if shutil.which("make") is None or shutil.which(os.environ.get("CC", "cc")) is None:
        raise EngineError("C encoder: expected make and a C compiler (cc, or what CC names)")
    command = ["make", "-s", "-C", str(folder), *targets]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_LONGEST_BUILD
    )
    if done.returncode:
        raise EngineError(f"C encoder: make {' '.join(targets)}: {done.stderr.strip()[-300:]}")
    return done.stdout


def compare(bundle: Bundle, folder: Path, scenes: int = SCENES) -> Comparison:
    """Encode random scenes and the golden vectors with the C encoder and with Python.

    Args:
        bundle: bundle that the sources were made of.
        folder: folder of the C encoder, built.
        scenes: how many.
    """
    encoder = Encoder(bundle)
    total = wrong = seed = encoded = 0
    while encoded < scenes:
        seed += 1
        image, plain = _random_scene(bundle, seed)
        counts = [
            _compare(encoder, folder / "skybook", image, options)
            for options in (plain, replace(plain, trellis=True))
        ]
        encoded += all(packets for packets, _ in counts)
        total += sum(packets for packets, _ in counts)
        wrong += sum(different for _, different in counts)
    vectors = LappedCodec.of(bundle.codec).golden
    differ = sum(_golden_body(folder, vector) != vector.body for vector in vectors)
    return Comparison(scenes, total, wrong, len(vectors), differ)


def _compare(encoder: Encoder, program: Path, image: Image, options: Options) -> tuple[int, int]:
    """Return the packets that Python makes, 0 if it refuses, and how many differ."""
    done = _run(program, image, _arguments(image, options))
    try:
        expected = _packets(encoder, image, options)
    except (LimitError, UsageError) as error:  # a budget that the coarsest step passes
        return 0, done.returncode != error.exit_code
    pairs = zip_longest(expected, _split(done.stdout))
    return len(expected), sum(one != other for one, other in pairs)


def _random_scene(bundle: Bundle, seed: int) -> tuple[Image, Options]:
    """Return a scene and how to encode it; every fourth in layers, every fifth within bytes."""
    rng = np.random.default_rng(seed)
    rows, cols = (int(side) for side in rng.integers(40, 200, 2))
    image = procedural(seed, rows, cols, bundle.bands, nodata=False).image.astype(np.uint16)
    one_layer, in_bytes = seed % 4 == 0, seed % 5 == 0
    ratio = float(rng.uniform(3, 12)) / (4 if one_layer else 1)
    budget = int(image.nbytes / ratio * rng.uniform(0.02, 1)) if in_bytes else None
    return image, Options(
        scene_id=seed,
        one_layer=one_layer,
        ratio=None if in_bytes else ratio,
        budget=budget,
        window="strip",
        packets=PacketOptions(int(rng.integers(128, 600)), control=seed % 2 == 0),
        run=int(rng.integers(1, 1 << 24)) if seed % 3 == 0 else None,
    )


def _packets(encoder: Encoder, image: Image, options: Options) -> list[bytes]:
    """Return the packets that the Python runtime makes."""
    packets: list[bytes] = []
    former = options.packets or PacketOptions()
    for strip in encoder.strips(image, SceneHeader.of(image), options):
        packets += former.pack(strip.segments, strip.line, len(packets))
    return packets


def _arguments(image: Image, options: Options) -> list[str]:
    packets = options.packets or PacketOptions()
    found = ["--width", str(image.shape[2]), "--scene-id", str(options.scene_id)]
    within = ["--bytes", str(options.budget), "--lines", str(image.shape[1])]
    found += ["--ratio", repr(options.ratio)] if options.budget is None else within
    found += [] if options.run is None else ["--run", str(options.run)]
    found += ["--packets", "--packet-bytes", str(packets.packet_bytes)]
    found += ["--packet-control"] if packets.control else []
    found += ["--trellis"] if options.trellis else []
    return found + (["--one-layer"] if options.one_layer else [])


def _run(program: Path, image: Image, arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Encode an image; of what the program could not finish, the output is what it wrote."""
    raw = image.transpose(1, 0, 2).astype("<u2").tobytes()
    line = [str(program), "-", "-o", "-", *arguments]
    return subprocess.run(line, input=raw, capture_output=True, check=False, timeout=_LONGEST_RUN)


def _split(stream: bytes) -> Iterator[bytes]:
    """Yield packets; what is none comes last."""
    offset = 0
    while offset < len(stream):
        try:
            _, stop = SpacePacket.unpack(stream, offset)
        except StreamError:
            stop = len(stream)
        yield stream[offset:stop]
        offset = stop


def _golden_body(folder: Path, vector: GoldenTile) -> bytes:
    """Return the body of the only tile segment, empty if there is none."""
    width = vector.samples.shape[2]
    arguments = ["--width", str(width), "--segment-bytes", str(MAX_SEGMENT_BYTES)]
    arguments += ["--step-code", str(vector.step)]
    arguments += ["--trellis"] if vector.body[0] & DEPENDENT else []
    stream = _run(folder / "skybook", vector.samples, arguments).stdout
    try:
        _, after = Segment.unpack(stream)
        return Segment.unpack(stream, after)[0].body
    except StreamError:
        return b""


def footprint(folder: Path) -> Footprint:
    """Measure the portable build.

    Raises:
        EngineError: the compiler does not tell (`size`, -fstack-usage of gcc).
    """
    frames = [int(n) for n in re.findall(r"\t(\d+)\t", _make(folder, "stack"))]
    sizes = re.findall(r"^\s*(\d+)\s+(\d+)\s+(\d+)\s", _make(folder, "size"), re.MULTILINE)
    if not frames or not sizes:
        raise EngineError("C encoder: expected sizes from `make stack size`, found none")
    text, constants, static = (int(word) for word in sizes[0])
    return Footprint(text + constants, static, max(frames), sum(frames))


def speed(bundle: Bundle, folder: Path, runs: int = _RUNS, side: int = _MOSAIC) -> Speed:
    """Time the C encoder and OpenJPEG at ratio 20.48 on one processor, in turn.

    Args:
        bundle: bundle that the sources were made of.
        folder: folder of the C encoder, built.
        runs: runs of each.
        side: rows and columns of the image.
    """
    scene = procedural(1, side, side, bundle.bands, nodata=False)
    image = scene.image.astype(np.uint16)
    programs = (("skybook-native",), ("skybook",), ("skybook-native", "--trellis"))
    times: list[list[float]] = [[] for _ in (*programs, "openjpeg")]
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        with tempfile.TemporaryDirectory() as name:
            raw = Path(name) / "mosaic.bil"
            raw.write_bytes(image.transpose(1, 0, 2).astype("<u2").tobytes())
            for _ in range(runs):
                for (program, *arguments), found in zip(programs, times, strict=False):
                    found.append(_timed(folder / program, raw, ["--width", str(side), *arguments]))
                begun = time.process_time()
                jpeg2000_encode(image, DEFAULT_RATIO)
                times[-1].append(time.process_time() - begun)
    finally:
        os.sched_setaffinity(0, before)
    rates = [image[0].size / 1e6 / statistics.median(found) for found in times]
    spread = max(times[0]) / min(times[0])
    native, portable, along, openjpeg = rates
    over = native / openjpeg, portable / openjpeg, along / openjpeg
    return Speed(native, portable, along, openjpeg, *over, spread)


def _timed(program: Path, raw: Path, arguments: list[str]) -> float:
    """Return the seconds of processor that a run takes, its start included."""
    before = getrusage(RUSAGE_CHILDREN)
    command = [str(program), str(raw), "-o", str(raw.with_suffix(".sky")), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, timeout=_LONGEST_RUN)
    if done.returncode:
        raise EngineError(f"C encoder: {done.stderr.decode(errors='replace').strip()[-300:]}")
    after = getrusage(RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
