"""Memory upsets of the running C encoder: bits that flip at any instant, and what came of them."""

import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenes import mosaic
from export.csource.write import write
from ground.decode.decoder import Decoder
from ground.decode.mask import Mask
from onboard import bundle as bundles
from onboard.codec.bound import MAX_BOUND
from onboard.encoder.options import DEFAULT_RATIO
from onboard.errors import EngineError, SkybookError, UsageError

SHAPE = (192, 256)
MACROS = ("-DSKYBOOK_STRIP_BYTES=65551", "-DSKYBOOK_STRIP_SEGMENTS=2048")
"""A build that uses all of its memory, so that flips do not fall where nothing ever is."""
GROSS_DB = 3.0
LEAST_DN = 1.0
METHOD = (
    f"The C encoder codes {SHAPE[0]} x {SHAPE[1]} pixels of the spyndex scene at ratio "
    f"{DEFAULT_RATIO}, in a process for each flip. An instant is the number of basic blocks of the "
    "encoder begun before (gcc or clang, -O2 -fsanitize-coverage=trace-pc), drawn evenly: a seed "
    "gives the same flips again. State: struct skybook_encoder, in a build as wide as the "
    "scene; the stack and registers are left out. Constants: all tables, which stay flipped, "
    "those of bounded tiles where there is a bound. "
    "same: no byte changed. reported: the encoder returned an error, and what it had written "
    "until then was right. crash, hang: loud. Any other stream is decoded: silent if a pixel of "
    f"mask 0 is more than {LEAST_DN:.0f} DN from the undisturbed decode, even if another step of "
    f"the same quality is all there is to it; of these, gross if a tile has {GROSS_DB:.0f} dB more "
    "error than undisturbed, against the scene; else marked: the decoder tells what is wrong. "
    "Within a bound, silent if a pixel of mask 0 is off by more than that"
)
PROGRAM = (
    "main.c",
    "bench.c",
    "beside.c",
    "command.c",
    "disk.c",
    "input.c",
    "profilefile.c",
    "qualityfile.c",
    "recorded.c",
    "report.c",
    "threads.c",
)
"""Sources of the command, which are no part of the library."""
_KINDS = {"state": "s", "constants": "t"}
_TILE = 64
_LEAST_ERROR = 1.0
"""DN squared, of a tile that has less: one within a bound may have none."""

Image = NDArray[np.uint16]


@dataclass(frozen=True)
class Flip:
    """What a flip came to.

    Attributes:
        region: part of the state, or table, that it hit.
        outcome: `same`, `reported`, `crash`, `hang`, `marked`, `silent` or `gross`.
    """

    region: str
    outcome: str


class Judge:
    """Tells what a stream shows from what it should."""

    def __init__(self, bundle: str, image: Image, reference: bytes, bound: int | None) -> None:
        """Decode the undisturbed stream."""
        self._bound = bound
        self._decoder = Decoder(bundles.find(bundle))
        self._image = image.astype(np.float64)
        self._wanted = self._decoder.decode(reference).scene.image.astype(np.float64)
        self._usual = np.maximum(self._errors(self._wanted), _LEAST_ERROR)

    def outcome(self, stream: bytes) -> str:
        """Return `marked`, `silent` or `gross`."""
        try:
            found = self._decoder.decode(stream)
        except SkybookError:
            return "marked"
        shown = found.scene.image.astype(np.float64)
        rows = min(shown.shape[1], self._wanted.shape[1])
        if shown.shape[0] != self._wanted.shape[0] or shown.shape[2] != self._wanted.shape[2]:
            return "gross" if (found.mask == Mask.COMPLETE).any() else "marked"
        trusted = self._wanted.copy()
        good = found.mask[:rows] == Mask.COMPLETE
        trusted[:, :rows][:, good] = shown[:, :rows][:, good]
        wanted, most = (
            (self._wanted, LEAST_DN) if self._bound is None else (self._image, self._bound)
        )
        if np.abs(trusted - wanted).max() <= most:
            return "marked"
        worst = (self._errors(trusted) / self._usual).max()
        return "gross" if worst > 10 ** (GROSS_DB / 10) else "silent"

    def _errors(self, shown: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the squared error of each tile."""
        error = (shown - self._image) ** 2
        bands, rows, cols = error.shape
        tiles = error.reshape(bands, rows // _TILE, _TILE, cols // _TILE, _TILE)
        return np.asarray(tiles.mean(axis=(0, 2, 4)), np.float64)


def measure_running(
    bundle: str,
    flips: int,
    seed: int,
    trellis: bool,
    report: Callable[[str], None],
    shape: tuple[int, int] = SHAPE,
    bound: int | None = None,
) -> dict[str, Any]:
    """Flip bits of the running C encoder; see `METHOD`.

    Args:
        bundle: name or path of a bundle of the lapped codec.
        flips: number of bits to flip in its state, and in its constants.
        seed: seed of places and instants.
        trellis: whether indices are chosen along a trellis.
        report: function called with what is being done.
        shape: rows and columns of the scene, multiples of a tile.
        bound: DN that samples may be off by at most, in place of a ratio.

    Returns:
        `silent_gross_percent` and `silent_percent`, those with gross ones, of flips in the state;
        `constants_silent_percent` of flips in the tables; and `state` and `constants`: counts by
        outcome, and those by region.

    Raises:
        UsageError: fewer than one flip, or a bound that there is not, or is not along a trellis.
        EngineError: there is no C compiler, or it cannot build the encoder.
    """
    if flips < 1:
        raise UsageError(f"--flips: expected 1 or more, found {flips}")
    if bound is not None and (trellis or not 0 <= bound <= MAX_BOUND):
        raise UsageError(f"--max-error: expected 0..{MAX_BOUND} and no --trellis, found {bound}")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        report("building")
        image = mosaic(*shape)
        harness = Harness(Path(name), bundle, image, trellis, bound)
        blocks, *sizes = map(int, harness.run("")[0].split())
        judge = Judge(bundle, image, harness.stream("reference"), bound)
        rng = np.random.default_rng(seed)
        for (kind, letter), size in zip(_KINDS.items(), sizes, strict=True):
            report(f"{kind}: {flips} flips")
            told = harness.run(_drawn(letter, flips, size, blocks, rng))[1:]
            report(f"{kind}: judging")
            found[kind] = _counts(list(_flips(told, harness, judge)), size)
    silent = {kind: found[kind]["silent"] + found[kind]["gross"] for kind in _KINDS}
    return {
        "bundle": bundles.load(bundle).name,
        "flips": flips,
        "seed": seed,
        "trellis": trellis,
        "max_error": bound,
        "shape": shape,
        "basic_blocks": blocks,
        "silent_gross_percent": 100 * found["state"]["gross"] / flips,
        "silent_percent": 100 * silent["state"] / flips,
        "constants_silent_percent": 100 * silent["constants"] / flips,
        **found,
        "method": METHOD,
    }


def _drawn(letter: str, flips: int, size: int, blocks: int, rng: np.random.Generator) -> str:
    """Draw flips of a kind: places in so many bytes, instants of so many blocks."""
    places, bits = rng.integers(size, size=flips), rng.integers(8, size=flips)
    instants = rng.integers(blocks, size=flips)
    drawn = zip(places, bits, instants, strict=True)
    return "\n".join(f"{letter} {place} {bit} {instant}" for place, bit, instant in drawn)


class Harness:
    """The encoder in a folder, built such that its basic blocks are counted: see upset.c."""

    def __init__(
        self, folder: Path, bundle: str, image: Image, trellis: bool, bound: int | None
    ) -> None:
        """Build it.

        Raises:
            EngineError: there is no C compiler, or it fails.
        """
        self._folder = folder
        _, rows, cols = image.shape
        image.transpose(1, 0, 2).astype("<u2").tofile(folder / "image.bil")
        sources = [path for path in write(bundles.load(bundle), folder) if path.suffix == ".c"]
        harness = folder / "upset.c"
        harness.write_text(files("benchmarks").joinpath("faults", "upset.c").read_text())
        macros = (f"-DSKYBOOK_MAX_WIDTH={cols}", *MACROS)
        parts = [
            _compile(source, macros, "-fsanitize-coverage=trace-pc")
            for source in sources
            if source.name not in PROGRAM
        ]
        _cc([*parts, _compile(harness, macros), "-o", folder / "upset"])
        self._command = [str(folder / "upset"), str(folder / "image.bil"), str(cols), str(rows)]
        self._command += [str(DEFAULT_RATIO), str(int(trellis))]
        self._command += [str(-1 if bound is None else bound), str(folder)]

    def run(self, flips: str) -> list[str]:
        """Return the lines that it prints of flips."""
        done = subprocess.run(
            self._command, input=flips, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise EngineError(f"upsets --c: the harness ended with exit code {done.returncode}")
        return done.stdout.splitlines()

    def stream(self, name: str) -> bytes:
        """Return the stream of a flip by its number, or of the `reference`."""
        return (self._folder / f"{name}.pkt").read_bytes()


def _compile(source: Path, macros: Sequence[str], *more: str) -> Path:
    part = source.with_suffix(".o")
    _cc(["-std=c99", "-O2", *macros, *more, "-c", source, "-o", part])
    return part


def _cc(arguments: Sequence[str | Path]) -> None:
    if shutil.which("cc") is None:
        raise EngineError("upsets --c: expected a C compiler (cc)")
    done = subprocess.run(["cc", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise EngineError(f"upsets --c: {done.stderr.strip()[-300:]}")


def _flips(lines: list[str], harness: Harness, judge: Judge) -> Iterator[Flip]:
    known: dict[bytes, str] = {}
    for number, line in enumerate(lines):
        region, outcome, *_ = line.split()
        if outcome == "error":
            outcome = "reported"
        elif outcome == "differs":
            stream = harness.stream(str(number))
            if stream not in known:
                known[stream] = judge.outcome(stream)
            outcome = known[stream]
        yield Flip(region, outcome)


def _counts(flips: list[Flip], size: int) -> dict[str, Any]:
    names = ("same", "reported", "marked", "silent", "gross", "crash", "hang")
    total = Counter(flip.outcome for flip in flips)
    regions: dict[str, Counter[str]] = {}
    for flip in flips:
        regions.setdefault(flip.region, Counter())[flip.outcome] += 1
    return {
        "bytes": size,
        **{name: total[name] for name in names},
        "by_region": {region: dict(counts) for region, counts in sorted(regions.items())},
    }
