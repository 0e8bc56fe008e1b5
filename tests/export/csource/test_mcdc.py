"""MC/DC of the C encoder: 95 % of conditions decide alone in some test, each other is justified."""

import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.csource.arrays import Table
from export.csource.randomscene import bil
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.tile import DEPENDENT
from tests.export.csource import test_bounded as within
from tests.export.csource import test_quality as quality
from tests.export.csource.mcdc import COVERAGE, JUSTIFIED, Tools, read
from tests.export.csource.test_csource import CASES, Case, extremes, holes, noise, options, scene
from tests.export.csource.test_edges import (
    EDGES,
    END,
    RESUMED,
    SMALL,
    commands,
    costs_times,
    crowded,
    lines,
    no_latents,
    resumed,
    variant,
)
from tests.export.csource.test_guard import (
    BOUND_FLIPS,
    BOUND_REFUSALS,
    COUNTS,
    FLIP,
    FLIPS,
    HEAD,
    MISUSE,
    REFUSALS,
)
from tests.export.csource.test_inputs import INPUTS, beyond_its_end, packed
from tests.export.csource.test_inputs import commands as more_commands
from tests.export.csource.test_threads import CREW, SHARED, beyond_its_bits

LEAST_PERCENT = 95
MOST_BANDS = 4
NARROW = ("-DSKYBOOK_MAX_WIDTH=128",)


@dataclass
class Runs:
    """Programs built for coverage, and the profiles of what they ran.

    Attributes:
        tools: compiler.
        sources: folder of the encoder.
        folder: for programs and profiles.
        profiles: files of them.
    """

    tools: Tools
    sources: Path
    folder: Path
    profiles: list[Path] = field(default_factory=list)

    def build(
        self,
        name: str,
        *macros: str,
        caller: str = "",
        tables: str = "",
        golden: str = "",
        folder: Path | None = None,
    ) -> Path:
        """Build the command, or a caller of the library; with sources of its own, or a folder."""
        program = self.folder / name
        folder = folder or self.sources
        left_out = ("main.c",) if caller else ()
        sources = [path for path in folder.glob("*.c") if path.name not in left_out]
        for text, stem in ((caller, "caller"), (tables, "tables"), (golden, "golden")):
            if text:
                own = self.folder / f"{name}-{stem}.c"
                own.write_text(text)
                sources = [path for path in sources if path.stem != stem] + [own]
        command = [self.tools.clang, "-std=c99", "-O1", *COVERAGE, *macros, f"-I{folder}"]
        subprocess.run([*command, "-o", program, *sources], check=True)
        return program

    def run(self, program: Path, arguments: list[str], given: bytes = b"") -> None:
        """Run a program, whatever its exit code."""
        command = [str(program), *arguments]
        environment = self.environment()
        subprocess.run(command, input=given, capture_output=True, check=False, env=environment)

    def environment(self) -> dict[str, str]:
        """Return what makes the next program leave its profile."""
        self.profiles.append(self.folder / f"{len(self.profiles)}.profraw")
        return {**os.environ, "LLVM_PROFILE_FILE": str(self.profiles[-1])}

    def run_all(self, program: Path, cases: Iterable[Case]) -> None:
        """Encode scenes."""
        for case in cases:
            self.run(program, ["-", "-o", "-", *case.arguments], lines(case.image))


def golden() -> Iterator[tuple[list[str], bytes]]:
    """Yield the arguments and lines of the golden tiles."""
    for tile in LappedCodec.of(bundles.load("skybook").codec).golden:
        bands, width, fraction = tile.form
        if bands > MOST_BANDS:
            continue
        arguments = [
            "--width",
            str(width),
            "--segment-bytes",
            "65551",
            "--step-code",
            str(tile.step),
        ]
        arguments += ["--bands", str(bands), "--significant-bits", str(16 - fraction)]
        arguments += ["--trellis"] if tile.body[0] & DEPENDENT else []
        yield arguments, lines(tile.samples)


def too_fine() -> Iterator[tuple[list[str], bytes]]:
    """Yield scenes that a step which is named is too fine for, or nearly."""
    for how in ([], ["--one-layer"], ["--trellis"], ["--trellis", "--one-layer"]):
        for seed in range(2):
            blocks = np.random.default_rng(seed).integers(0, 2, (4, 8, 8)) * 65_535
            image = np.kron(blocks, np.ones((8, 8))).astype(np.uint16)
            yield ["--width", "64", "--step-code", "0", *how], lines(image)
        for image in (extremes(), 4_095 - extremes()):
            yield ["--width", "1024", "--step-code", "0", *how], lines(image)


def spots() -> bytes:
    """Return a flat tile with blocks that stand out, each at another place."""
    image = np.full((4, 192, 64), 500)
    for number in range(3):
        row, col = 64 * number + 8 * (2 + number % 2), 8 * (2 + number // 2)
        image[:, row : row + 8, col : col + 8] += 900
    return lines(image.astype(np.uint16))


def random_cases() -> Iterator[Case]:
    """Yield scenes of many sizes and contents at many rates."""
    rng = np.random.default_rng(8)
    for seed in range(60):
        rows, cols = (int(side) for side in rng.integers(1, (90, 400)))
        image = scene(seed, rows, cols)
        if seed % 3 == 0:
            image[:, :, cols // 2 :] = noise(seed, rows, cols - cols // 2, int(rng.integers(1, 17)))
        if seed % 4 == 0:
            chosen = options(budget=int(rng.integers(200, image.nbytes // 2 + 201)))
        else:
            chosen = options(ratio=float(10 ** rng.uniform(0, 2.5)))
        limit = int(rng.choice([114, 150, 300, 1000, 5000, 65_551]))
        yield Case(image, replace(chosen, segment_bytes=limit, one_layer=seed % 5 < 2))


def few_signs(table: Table) -> Any:
    """Let residuals of one size alone have signs of their own."""
    return table.values & 1 << 2 if table.name == "own" else table.values


def exercise_command(runs: Runs, folder: Path) -> Path:
    """Run the command on all that the tests have for it; return it."""
    program, small = runs.build("plain"), runs.build("small", *SMALL)
    cases = [*CASES.values(), *crowded(), *random_cases()]
    runs.run_all(program, [*cases, *(case.along_trellis for case in cases)])
    runs.run_all(small, cases)
    for arguments, given in (*golden(), *too_fine()):
        runs.run(program, ["-", "-o", "-", *arguments], given)
    for code in range(64, 200, 16):
        runs.run(program, ["-", "-o", "-", "--width", "64", "--step-code", str(code)], spots())
    with_gaps = ["--width", "300", "--step-code", "60", "--nodata", "0"]
    runs.run(program, ["-", "-o", "-", *with_gaps], lines(holes()))
    crowd = runs.build("crowded", SMALL[0])
    runs.run_all(crowd, crowded())
    runs.run_all(runs.build("settled", "-DSKYBOOK_STRIP_BYTES=78000"), crowded())
    named = ["-", "-o", "-", "--width", "900", "--step-code", "64"]
    runs.run(crowd, named, lines(noise(9, 64, 900)))
    short = [
        replace(case, options=replace(case.options, segment_bytes=114)) for case in random_cases()
    ]
    long = [
        replace(case, options=replace(case.options, segment_bytes=65_551))
        for case in (CASES["default"], CASES["fine"], CASES["budget"])
    ]
    for segments in (40, 100, 200):
        tiny = runs.build(f"tiny{segments}", SMALL[0], f"-DSKYBOOK_STRIP_SEGMENTS={segments}")
        runs.run_all(tiny, short)
    for factor, own in {0.2: long, 0.9: cases[-60:], 3.0: short, 60.0: short}.items():
        variant(folder / f"costs{factor}", costs_times(factor))
        other = runs.build(f"other{factor}", folder=folder / f"costs{factor}")
        runs.run_all(other, own)
        for case in (*within.CASES.values(), replace(within.CASES["off by 2"], **within.SHORT)):
            runs.run(other, ["-", "-o", "-", *case.arguments], case.given)
        for arguments, given in too_fine():
            more = ["--segment-bytes", "114"]
            runs.run(other, ["-", "-o", "-", *arguments, *more], given)
    variant(folder / "signs", few_signs)
    hiding = runs.build("hiding", folder=folder / "signs")
    runs.run_all(hiding, [*CASES.values(), *random_cases()])
    exercise_inputs(runs, program, folder)
    exercise_bounds(runs, program)
    exercise_bands(runs, program)
    exercise_quality(runs, program, folder)
    exercise_maps(runs, program, folder)
    exercise_threads(runs, program, small)
    exercise_beside(runs, program, folder)
    variant(folder / "bounds", no_latents)
    bounded = runs.build("bounded", folder=folder / "bounds")
    wide = runs.build("wide", "-DSKYBOOK_NARROW=0")
    runs.run(wide, ["-", "-o", "-", *INPUTS["a mosaic"].arguments], INPUTS["a mosaic"].given)
    for one in (bounded, wide):
        runs.run(one, ["-", "-o", "-", "--width", "70"], lines(noise(5, 64, 70)))
        runs.run(one, ["-", "-o", "-", "--width", "70"], bytes(64 * 8 * 70))
    for _, command, given in commands(folder):
        runs.run(program, command, given)
    golden_text = (runs.sources / "golden.c").read_text().replace("= {", "= {1 +", 2)
    runs.run(runs.build("golden", golden=golden_text), ["selftest"])
    runs.run(runs.build("narrow", "-DSKYBOOK_MAX_WIDTH=32"), ["selftest"])
    for command in (["selftest"], ["bench"], ["bench", "--quick"]):
        runs.run(program, command)
    asked = ["--psnr", "60"]
    for number, masked in enumerate(
        (
            [],
            ["--one-layer", "--nodata", "0"],
            ["--max-error", "2"],
            asked,
            [*asked, "--ratio", "9"],
        )
    ):
        whole, given = folder / "whole.pkt", lines(holes()[:, :140, :150])
        runs.run(program, ["-", "-o", str(whole), *RESUMED, *masked], given)
        folder = folder / f"masked{number}"
        folder.mkdir()
        for _, command, own in resumed(folder, whole.read_bytes(), given):
            runs.run(program, [*command, *masked], own)
    one_band = ["-", "-o", str(folder / "one.pkt"), *RESUMED, "--bands", "1"]
    runs.run(program, one_band, given)
    os.truncate(folder / "one.pkt", (folder / "one.pkt").stat().st_size - END)
    runs.run(program, [*one_band, "--resume", "--tile", "64"], given)
    (folder / "x.bil").write_bytes(bytes(6400))
    told = ["x.bil", "--width", "8", "-o"]
    with open("/dev/full", "wb") as full:
        for command in (["--help"], [*told, "x.sky"], [*told, "x.sky", "--json"]):
            line = [program, *command]
            subprocess.run(line, stdout=full, check=False, env=runs.environment(), cwd=folder)
    return program


def exercise_threads(runs: Runs, program: Path, small: Path) -> None:
    """Run the command on scenes whose tiles are coded at once."""
    tiny = runs.build("few", "-DSKYBOOK_STRIP_SEGMENTS=40")
    for one in (program, small, tiny):
        for case in SHARED.values():
            runs.run(one, ["-", "-o", "-", *case.arguments, "--threads", "3"], lines(case.image))
    told = ["-", "-o", "-", "--width", "512", "--threads", "2", "--significant-bits", "12"]
    for more in ([], ["--step-code", "70"]):
        runs.run(program, [*told, *more], lines(beyond_its_bits()))
    runs.run(program, ["-", "-o", "-", "--width", "8", "--threads", "65"])
    wait_for_lines(runs, program)


def wait_for_lines(runs: Runs, program: Path) -> None:
    """Run the command on lines that come so late that its threads have gone to sleep."""
    command = [str(program), "-", "-o", "-", "--width", "128", "--threads", "2"]
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    given = lines(noise(5, 64, 128))
    with subprocess.Popen(command, **pipe, env=runs.environment()) as process:
        assert process.stdin
        process.stdin.write(given[: len(given) // 3])  # its threads start with the first byte
        process.stdin.flush()
        tasks, stop = Path(f"/proc/{process.pid}/task"), time.monotonic() + 60
        asleep = 0  # looks in a row: a thread may sleep for a moment before
        while asleep < 5 and time.monotonic() < stop:
            time.sleep(0.01)
            stats = [(task / "stat").read_text() for task in tasks.iterdir()]
            states = [stat.rpartition(") ")[2][0] for stat in stats]
            asleep = asleep + 1 if states == ["S", "S", "S"] else 0
        process.communicate(given[len(given) // 3 :])


def exercise_beside(runs: Runs, program: Path, folder: Path) -> None:
    """Run the command on files, of which lines are read ahead, and where rows cannot be written."""
    source = folder / "beside.raw"
    source.write_bytes(lines(scene(71, 200, 150)))
    told = ["--width", "150", "--threads", "2"]
    for more in ([], ["--lines", "100"], ["--lines", "300"]):
        runs.run(program, [str(source), "-o", str(folder / "beside.sky"), *told, *more])
    for asked in (told, told[:2]):
        runs.run(program, [str(source), "-o", "/dev/full", *asked])


def exercise_bands(runs: Runs, program: Path) -> None:
    """Run the command on scenes of other numbers of bands than four."""
    many = runs.build("many", *within.MANY)
    crowd = np.concatenate([noise(seed, 64, 64) for seed in range(4)])
    runs.run(many, ["-", "-o", "-", *within.Case(crowd).arguments], bil(crowd))
    runs.run(many, ["selftest"])
    for bands in (1, 2, 6, 16):
        image = procedural(bands, 90, 150, bands).image.astype(np.uint16)
        short = ["--segment-bytes", "160"]
        for how in ([], ["--trellis"], short, ["--max-error", "2", *short]):
            told = ["--width", "150", "--bands", str(bands), "--significant-bits", "14", *how]
            runs.run(many, ["-", "-o", "-", *told], lines(image))
    for wrong in ("0", "9", "17"):
        runs.run(program, ["-", "-o", "-", "--width", "8", "--bands", wrong])
    for bands, tile in ((1, 64), (1, 128), (3, 64), (3, 96), (4, 64), (4, 128), (6, 128), (3, 300)):
        told = ["--width", "130", "--bands", str(bands), "--tile", str(tile)]
        image = procedural(bands, 130, 130, bands).image
        for one in (program, many):
            runs.run(one, ["-", "-o", "-", *told], lines(image))
    exercise_tiles(runs, program, many)
    mosaic = ["--width", "64", "--bayer", "rggb", "--tile", "128"]
    runs.run(many, ["-", "-o", "-", *mosaic], bytes(64 * 64 * 2))
    for one in (program, many):
        runs.run(one, ["-", "-o", "-", *mosaic[:-2], "--trellis"], bytes(64 * 64 * 2))
    runs.run(program, ["-", "-o", "-", "--width", "8", "--segment-bytes", "1"])


def exercise_tiles(runs: Runs, program: Path, many: Path) -> None:
    """Run the command with tiles of all sizes, and on scenes that they are fitted to."""
    bound, blocks = ["--max-error", "2"], ["--psnr", "60", "--quality-block", "16"]
    asked: list[tuple[int, int, list[str]]] = [
        *((1, side, []) for side in (56, 72, 100, 200, 256, 264)),
        *((3, side, []) for side in (56, 72, 100, 136)),
        *((4, side, ["--trellis"]) for side in (72, 136)),
        *((bands, side, bound) for bands in (1, 3) for side in (64, 72, 128)),
        *((3, side, blocks) for side in (64, 72, 96)),
    ]
    for bands, side, more in asked:
        told = ["--width", "130", "--bands", str(bands), "--tile", str(side), *more]
        image = procedural(bands, 130, 130, bands).image
        for one in (program, many):
            runs.run(one, ["-", "-o", "-", *told], lines(image))
    for bands, rows, cols in (
        (1, 200, 2040),
        (1, 90, 300),
        (1, 300, 90),
        (3, 200, 90),
        (2, 20, 30),
    ):
        image = procedural(bands, rows, cols, bands).image
        told = ["--width", str(cols), "--bands", str(bands)]
        for more in ([], ["--lines", str(rows)], bound, blocks, ["--trellis", *blocks]):
            for one in (program, many):
                runs.run(one, ["-", "-o", "-", *told, *more], lines(image))
    for more in (["--trellis"], ["--region-max-error", "0,0,9,9", "5"]):
        for bands in (1, 4):
            told = ["--width", "150", "--bands", str(bands), *more]
            for one in (program, many):
                runs.run(one, ["-", "-o", "-", *told], lines(procedural(4, 90, 150, bands).image))
    for width, side in (("16777216", "0"), ("2040", "104"), ("2040", "0")):
        told = ["--width", width, "--bands", "1", *(["--tile", side] if side != "0" else [])]
        runs.run(program, ["-", "-o", "-", *told])


def exercise_quality(runs: Runs, program: Path, folder: Path) -> None:
    """Run the command on all that the tests have for the quality of blocks."""
    begin = ["-", "-o", "-", "--json"]

    def run(one: Path, image: NDArray[Any], *told: str) -> None:
        form = ["--width", str(image.shape[2]), "--bands", str(len(image))]
        runs.run(one, [*begin, *form, *told], lines(image))

    for image, told, _ in quality.CASES.values():
        for how in ((), ("--trellis",), ("--one-layer",)):
            run(program, image, *told, *how)
    many = folder / "many"
    for side in ("64", "32", "16"):
        asked = ["--quality-block", side]
        few = procedural(4, 90, 150, 4).image
        run(program, few, "--psnr", "64", "--significant-bits", "14", *asked)
        for bands in (1, 2, 3, 4, 8):
            image = procedural(bands, 90, 150, bands).image
            run(many, image, "--psnr", "64", "--significant-bits", "14", *asked)
            run(many, image, "--rmse", "40", "--segment-bytes", "114", *asked)
        for psnr in ("20", "45", "58", "80", "110"):
            run(program, quality.gaps(), "--psnr", psnr, "--nodata", "0", *asked)
            run(program, noise(3, 70, 200), "--psnr", psnr, "--trellis", *asked)
        run(program, holes()[:, :140], "--psnr", "60", "--nodata", "0", "--ratio", "30", *asked)
        rows = ["--lines", str(quality.IMAGE.shape[1])]
        for budget in ("900", "9000", "90000"):
            run(program, quality.IMAGE, "--psnr", "75", "--bytes", budget, *rows, *asked)
        mosaic = INPUTS["a mosaic"]
        runs.run(program, [*begin, *mosaic.arguments, "--psnr", "60", *asked], mosaic.given)
    flat = np.zeros((4, 8, 8), np.uint16)
    run(program, flat, "--psnr", "9", "--psnr", "8")
    run(program, flat, "--psnr", "9", "--nodata", "0")
    run(program, flat, "--psnr", "9", "--quality-block", "8")
    for text in ("", "x", "-1", "1e9", "nan", "30x", "0", "0.001", "65535.9", "200"):
        for option in ("--psnr", "--rmse"):
            run(program, flat, option, text)


def exercise_maps(runs: Runs, program: Path, folder: Path) -> None:
    """Run the command on maps of qualities, most of them damaged."""

    def run(*told: str) -> None:
        form = ["--width", str(quality.IMAGE.shape[2]), "--bands", str(len(quality.IMAGE))]
        runs.run(program, ["-", "-o", "-", *form, *told], lines(quality.IMAGE))

    for side in (16, 32, 64):
        rows, columns = (-(-length // side) for length in quality.IMAGE.shape[1:])
        qualities = np.zeros((rows, columns), "<u2")
        qualities[0, 1:4], qualities[-1, -1], qualities[1, 1] = 7_500, 65_535, 3_000
        path = folder / f"m{side}"
        np.save(path.with_suffix(".npy"), qualities)
        path.with_suffix(".raw").write_bytes(qualities.tobytes())
        path.with_suffix(".odd").write_bytes(qualities.tobytes()[:-1])
        path.with_suffix(".few").write_bytes(qualities.tobytes()[:-2])
        path.with_suffix(".short").write_bytes(qualities[:-1].tobytes())
        path.with_suffix(".none").write_bytes(b"")
        path.with_suffix(".cut").write_bytes(path.with_suffix(".npy").read_bytes()[:40])
        np.save(folder / f"m{side}.bits.npy", qualities.astype(np.uint8))
        np.save(folder / f"m{side}.wide.npy", np.zeros((rows, columns + 1), "<u2"))
        np.save(folder / f"m{side}.fortran.npy", np.asfortranarray(qualities))
        np.save(folder / f"m{side}.flat.npy", qualities.ravel())
        (folder / f"m{side}.long").write_bytes(bytes(2 * (1 << 15) + 2))
        head = path.with_suffix(".npy").read_bytes()
        (folder / f"m{side}.v2.npy").write_bytes(head[:6] + b"\2" + head[7:])
        (folder / f"m{side}.far.npy").write_bytes(head[:9] + b"\x09" + head[10:])
        for name, shape in {"x": b"(x,", "odd": b"(5a,", "all": b"(99999999,", "0": b"(0,"}.items():
            text = head.replace(b"(%d," % rows, shape)
            (folder / f"m{side}.{name}.npy").write_bytes(text)
        for name in sorted(folder.glob(f"m{side}.*")):
            for more in (("--psnr", "60"), (), ("--rmse", "9", "--ratio", "9")):
                asked = ["--quality-block", str(side), "--quality-map", str(name), *more]
                run(*asked)
        run("--psnr", "60", "--quality-map", str(path))
        asked = ["--quality-block", str(side), "--quality-map", str(path.with_suffix(".raw"))]
        one = ["--width", str(quality.IMAGE.shape[2]), "--bands", "1", "--psnr", "66", *asked]
        runs.run(program, ["-", "-o", "-", *one], lines(quality.IMAGE[2:3]))
        run(*asked, "--step-code", "60")
        run(*asked, "--max-error", "1")
    far = np.zeros((4, 8), "<u2")
    far[0, 0] = 12_500
    (folder / "far.raw").write_bytes(far.tobytes())
    image = procedural(5, 128, 256, nodata=False).image.astype(np.uint16)
    asked = ["--psnr", "50", "--quality-block", "32", "--quality-map", str(folder / "far.raw")]
    runs.run(program, ["-", "-o", "-", "--width", "256", *asked], lines(image))
    np.save(folder / "m.npy", np.zeros((5, 7), "<u2"))
    for told, _, _ in quality.REFUSED:
        own = [str(folder / word) if word == "m.npy" else word for word in told]
        run(*own)


def exercise_bounds(runs: Runs, program: Path) -> None:
    """Run the command on all that the tests have for tiles within a bound."""
    for case in within.CASES.values():
        runs.run(program, ["-", "-o", "-", *case.arguments, "--json"], case.given)
    box = ["--region-max-error", "0,0,1,1", "0"]
    more = ["--none", "1", "2"], ["--max-error", "1,2", *box], [*box, "--segment-bytes", "1"]
    for arguments in (*within.BAD, *more):
        runs.run(program, ["-", "-o", "-", "--width", "8", *arguments], bytes(64))
    tight = runs.build("tight", "-DSKYBOOK_STRIP_BYTES=65600")  # has no room for a second mask
    ragged = holes()[:, :64, :128] * (noise(3, 64, 128)[:1] % 2)
    told = ["--width", "128", "--nodata", "0", "--region-max-error", "64,0,128,64", "0"]
    runs.run(tight, ["-", "-o", "-", *told, "--segment-bytes", "65551"], lines(ragged))
    wide = within.CASES["a row that takes more than there is room for"]
    runs.run(program, ["-", "-o", "-", *wide.arguments, "--one-layer"], wide.given)
    few = within.Case(within.CASES["lossless"].image, more=("--significant-bits", "7"))
    runs.run(program, ["-", "-o", "-", *few.arguments], few.given)


def exercise_inputs(runs: Runs, program: Path, folder: Path) -> None:
    """Run the command on all that the tests have for what it reads."""
    for one in INPUTS.values():
        runs.run(program, ["-", "-o", "-", *one.arguments, "--json"], one.given)
    for _, told, given in more_commands():
        runs.run(program, ["-", "-o", "-", "--width", "8", *told], given)
    runs.run(program, beyond_its_end(folder))
    one = packed("le12", "bsq", 20)
    (folder / "packed.raw").write_bytes(one.given)
    runs.run(program, [str(folder / "packed.raw"), "-o", "-", *one.arguments])


def exercise_library(runs: Runs) -> None:
    """Run callers of the library."""
    variable = "#define const\n" + (runs.sources / "tables.c").read_text()
    callers = {"misuse": MISUSE, "refusals": REFUSALS, "counts": COUNTS, "crew": CREW, **EDGES}
    callers |= {"bounds refused": BOUND_REFUSALS, "quality refused": quality.OPTIONS}
    for name, text in callers.items():
        runs.run(runs.build(name, *NARROW, caller=HEAD + text), [])
    flipped = {"flips": FLIPS, "flips within": BOUND_FLIPS, "flips of a map": quality.MAP_FLIPS}
    for name, flips in flipped.items():
        runs.run(runs.build(name, *NARROW, caller=HEAD + FLIP + flips, tables=variable), [])


@pytest.mark.slow
def test_conditions_decide_alone_or_are_justified(c_sources: Path, tmp_path: Path) -> None:
    tools = Tools.find()
    if tools is None:
        pytest.skip("clang-18 or newer with llvm-profdata and llvm-cov is not installed")
    runs = Runs(tools, c_sources, tmp_path)
    program = exercise_command(runs, tmp_path)
    exercise_library(runs)
    found = read(tools, tmp_path, program, [path for path in runs.profiles if path.exists()])
    print(f"\n{found.count} conditions, {found.percent:.1f} % decide alone")
    lines_found = {*map(str, found.missing), *(f"{name}: never runs" for name in found.idle)}
    for line in sorted(lines_found):
        print(line)
    assert found.percent >= LEAST_PERCENT
    justified = justifications()
    assert not lines_found - justified, "a condition that nothing justifies"
    assert not justified - lines_found, "a justification that nothing needs"


def justifications() -> set[str]:
    """Read what needs no test; each line has its reason after ` -- `."""
    found = set()
    for line in JUSTIFIED.read_text().splitlines():
        if line and not line.startswith("#"):
            what, reason = line.split(" -- ")
            assert len(reason) > 20, line
            found.add(what)
    return found
