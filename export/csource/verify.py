"""Verify the C encoder: its packets against those of the Python runtime."""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from export.csource.randomscene import RandomScene, bil
from onboard.bundle import Bundle
from onboard.bundle.profiles import pack_profile
from onboard.codec.lapped.codec import MOST_BITS, LappedCodec
from onboard.codec.lapped.part import GoldenTile
from onboard.codec.profile import LEAST_BANDS
from onboard.codec.tile import DEPENDENT
from onboard.encoder import Encoder
from onboard.errors import LimitError, StreamError, UsageError
from onboard.link.packet import SpacePacket
from onboard.link.segment import MAX_SEGMENT_BYTES, Segment

SCENES = 100
CUBES = (24, 48, 224)
"""Bands of cubes, in turn, where the C encoder takes so many."""
_EVERY_CUBE = 5
_DEPTH = 14
"""Bits that samples of procedural scenes fit."""
_LONGEST_RUN = 120
_USUAL = 64
"""Rows and columns of golden tiles of several bands, at most."""


@dataclass(frozen=True)
class Comparison:
    """What of the C encoder differs from the Python runtime.

    Attributes:
        scenes: random ones of all sample types, and Bayer mosaics, encoded by both, plain, along a
            trellis, and, if the bundle can, within a bound and with a box that is; those that
            Python refuses come on top.
        packets: packets that the Python runtime made of them.
        mismatching_packets: packets that C did not make, made otherwise, or made beyond them; a
            scene that Python refuses counts as one where the C encoder has another exit code.
        golden: golden vectors of the bundle.
        mismatching_golden: golden vectors that the C encoder codes otherwise.
        packets_by_bands: packets of scenes of so many bands.
        packets_by_content: packets of scenes of a sample type or of mosaics (`bayer`), and of all
            scenes encoded in one way: `plain`, `trellis`, `bounded`, `box`; cubes: `profile`, too.
    """

    scenes: int
    packets: int
    mismatching_packets: int
    golden: int
    mismatching_golden: int
    packets_by_bands: dict[int, int]
    packets_by_content: dict[str, int]

    @property
    def passed(self) -> bool:
        """Whether all bytes are the same."""
        return not self.mismatching_packets and not self.mismatching_golden


def compare(
    bundle: Bundle, folder: Path, most: int, large: int = 1, cube: int = 0, scenes: int = SCENES
) -> Comparison:
    """Encode random scenes and the golden vectors with the C encoder and with Python.

    Args:
        bundle: bundle that the sources were made of.
        folder: folder of the C encoder, built.
        most: bands that it takes at most.
        large: bands that it gives the larger tiles at most.
        cube: bands of cubes that it takes at most; one scene in so many as of `CUBES` is one.
        scenes: how many.
    """
    encoder = Encoder(bundle)
    by_bands: Counter[int] = Counter()
    by_content: Counter[str] = Counter()
    wrong = seed = encoded = 0
    while encoded < scenes:
        seed += 1
        cubes = [bands for bands in CUBES if bands <= cube and seed % _EVERY_CUBE == 0]
        bands = cubes[seed // _EVERY_CUBE % len(cubes)] if cubes else 1 + (seed + 2) % most
        scene = RandomScene.of(bands, seed, large)
        encoded_all = True
        for way, one in _ways(scene, bundle.bounded is not None).items():
            packets, different = _compare(encoder, folder / "skybook", one)
            encoded_all = encoded_all and packets > 0
            wrong += different
            by_bands[len(scene.image)] += packets
            by_content.update({scene.content: packets, way: packets})
        encoded += encoded_all
    vectors = [v for v in LappedCodec.of(bundle.codec).golden if v.form[0] <= most]
    differ = sum(_golden_body(folder, vector) != vector.body for vector in vectors)
    total = by_bands.total()
    return Comparison(scenes, total, wrong, len(vectors), differ, dict(by_bands), dict(by_content))


def _ways(scene: RandomScene, bounded: bool) -> dict[str, RandomScene]:
    """Return a scene in all ways to encode it."""
    ways = {"plain": scene, "trellis": scene.along_trellis}
    if bounded:
        ways |= {"bounded": scene.within_bound, "box": scene.with_box}
    if len(scene.image) >= LEAST_BANDS:
        ways["profile"] = scene.with_profile
    return ways


def most_bands(folder: Path) -> tuple[int, int, int]:
    """Return the bands that a C encoder takes at most, gives larger tiles, and takes in cubes."""
    command = [str(folder / "skybook"), "selftest"]
    told = subprocess.run(command, capture_output=True, check=False, timeout=_LONGEST_RUN)
    found = json.loads(told.stdout)
    return int(found["most_bands"]), int(found["large_bands"]), int(found["cube_bands"])


def _compare(encoder: Encoder, program: Path, scene: RandomScene) -> tuple[int, int]:
    """Return the packets that Python makes, 0 if it refuses, and how many differ."""
    arguments = scene.arguments
    if scene.profile is not None:
        path = program.with_name("verify.prof")
        path.write_bytes(pack_profile(scene.profile))
        arguments += ["--profile", str(path)]
    done = _run(program, scene.raw, arguments)
    try:
        expected = scene.packets(encoder)
    except (LimitError, UsageError) as error:  # a budget that the coarsest step passes
        return 0, done.returncode != error.exit_code
    pairs = zip_longest(expected, _split(done.stdout))
    return len(expected), sum(one != other for one, other in pairs)


def _run(program: Path, raw: bytes, arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Encode lines; of what the program could not finish, the output is what it wrote."""
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
    arguments += ["--tile", str(_USUAL)] if bands > 1 else []
    arguments += ["--bands", str(bands), "--significant-bits", str(MOST_BITS - fraction)]
    arguments += ["--step-code", str(vector.step)]
    arguments += ["--trellis"] if vector.body[0] & DEPENDENT else []
    stream = _run(folder / "skybook", bil(vector.samples), arguments).stdout
    try:
        _, after = Segment.unpack(stream)
        return Segment.unpack(stream, after)[0].body
    except StreamError:
        return b""
