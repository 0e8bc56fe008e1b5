"""Verify the C encoder: its packets against those of the Python runtime."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ground.scenes.procedural import procedural
from onboard.bundle import Bundle
from onboard.codec.lapped.codec import MOST_BITS, LappedCodec
from onboard.codec.lapped.part import GoldenTile
from onboard.codec.tile import DEPENDENT
from onboard.encoder import Encoder, Options
from onboard.errors import LimitError, StreamError, UsageError
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions, SpacePacket
from onboard.link.segment import MAX_SEGMENT_BYTES, Segment

SCENES = 100
_DEPTH = 14
"""Bits that samples of procedural scenes fit."""
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
        packets_by_bands: packets of scenes of so many bands.
    """

    scenes: int
    packets: int
    mismatching_packets: int
    golden: int
    mismatching_golden: int
    packets_by_bands: dict[int, int]

    @property
    def passed(self) -> bool:
        """Whether all bytes are the same."""
        return not self.mismatching_packets and not self.mismatching_golden


def compare(bundle: Bundle, folder: Path, most: int, scenes: int = SCENES) -> Comparison:
    """Encode random scenes and the golden vectors with the C encoder and with Python.

    Args:
        bundle: bundle that the sources were made of.
        folder: folder of the C encoder, built.
        most: bands that it takes at most.
        scenes: how many.
    """
    encoder = Encoder(bundle)
    total, wrong = dict.fromkeys(range(1, most + 1), 0), 0
    seed = encoded = 0
    while encoded < scenes:
        seed += 1
        bands = 1 + (seed + 2) % most
        image, header, plain = _random_scene(bands, seed)
        counts = [
            _compare(encoder, folder / "skybook", image, header, options)
            for options in (plain, replace(plain, trellis=True))
        ]
        encoded += all(packets for packets, _ in counts)
        total[bands] += sum(packets for packets, _ in counts)
        wrong += sum(different for _, different in counts)
    vectors = [v for v in LappedCodec.of(bundle.codec).golden if v.form[0] <= most]
    differ = sum(_golden_body(folder, vector) != vector.body for vector in vectors)
    return Comparison(scenes, sum(total.values()), wrong, len(vectors), differ, total)


def most_bands(folder: Path) -> int:
    """Return how many bands a scene may have at most that the C encoder of a folder takes."""
    command = [str(folder / "skybook"), "selftest"]
    told = subprocess.run(command, capture_output=True, check=False, timeout=_LONGEST_RUN)
    return int(json.loads(told.stdout)["most_bands"])


def _compare(
    encoder: Encoder, program: Path, image: Image, header: SceneHeader, options: Options
) -> tuple[int, int]:
    """Return the packets that Python makes, 0 if it refuses, and how many differ."""
    done = _run(program, image, _arguments(header, options))
    try:
        expected = _packets(encoder, image, header, options)
    except (LimitError, UsageError) as error:  # a budget that the coarsest step passes
        return 0, done.returncode != error.exit_code
    pairs = zip_longest(expected, _split(done.stdout))
    return len(expected), sum(one != other for one, other in pairs)


def _random_scene(bands: int, seed: int) -> tuple[Image, SceneHeader, Options]:
    """Return a scene and how to encode it; every fourth in layers, every fifth within bytes.

    Most have 16 significant bits, every third 12, every seventh 8.
    """
    rng = np.random.default_rng(seed)
    rows, cols = (int(side) for side in rng.integers(40, 200, 2))
    bits = 8 if seed % 7 == 0 else 12 if seed % 3 == 0 else 16
    drawn = procedural(seed, rows, cols, bands, nodata=False).image
    image = (np.minimum(drawn, (1 << _DEPTH) - 1) >> max(_DEPTH - bits, 0)).astype(np.uint16)
    header = replace(SceneHeader.of(image), significant_bits=bits)
    one_layer, in_bytes = seed % 4 == 0, seed % 5 == 0
    ratio = float(rng.uniform(3, 12)) / (4 if one_layer else 1)
    budget = int(image.nbytes / ratio * rng.uniform(0.02, 1)) if in_bytes else None
    return (
        image,
        header,
        Options(
            scene_id=seed,
            one_layer=one_layer,
            ratio=None if in_bytes else ratio,
            budget=budget,
            window="strip",
            packets=PacketOptions(int(rng.integers(128, 600)), control=seed % 2 == 0),
            run=int(rng.integers(1, 1 << 24)) if seed % 3 == 0 else None,
        ),
    )


def _packets(encoder: Encoder, image: Image, header: SceneHeader, options: Options) -> list[bytes]:
    """Return the packets that the Python runtime makes."""
    packets: list[bytes] = []
    former = options.packets or PacketOptions()
    for strip in encoder.strips(image, header, options):
        packets += former.pack(strip.segments, strip.line, len(packets))
    return packets


def _arguments(header: SceneHeader, options: Options) -> list[str]:
    packets = options.packets or PacketOptions()
    found = ["--width", str(header.width), "--scene-id", str(options.scene_id)]
    found += ["--bands", str(header.bands), "--significant-bits", str(header.significant_bits)]
    within = ["--bytes", str(options.budget), "--lines", str(header.height)]
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
    bands, width, fraction = vector.form
    arguments = ["--width", str(width), "--segment-bytes", str(MAX_SEGMENT_BYTES)]
    arguments += ["--bands", str(bands), "--significant-bits", str(MOST_BITS - fraction)]
    arguments += ["--step-code", str(vector.step)]
    arguments += ["--trellis"] if vector.body[0] & DEPENDENT else []
    stream = _run(folder / "skybook", vector.samples, arguments).stdout
    try:
        _, after = Segment.unpack(stream)
        return Segment.unpack(stream, after)[0].body
    except StreamError:
        return b""
