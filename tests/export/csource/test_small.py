"""The build for microcontrollers: the same bytes in bounded memory, here and on a Cortex-M7."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from export.csource import small
from export.csource.randomscene import RandomScene, bil
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.encoder import Encoder, Options
from onboard.errors import EngineError
from tests.export.csource.mcdc import Tools, read
from tests.export.csource.test_csource import STRICT, Case, Image, build, holes, noise, run
from tests.export.csource.test_mcdc import Runs

__all__ = ["build"]

BITS = 12
RATE = ["--significant-bits", str(BITS), "--scene-id", "3"]
ROOM = ("MAX_WIDTH=300", "STRIP_BYTES=90000", "STRIP_SEGMENTS=999")
"""Room for the strips of these scenes."""
WAYS = {
    "plain": [],
    "a trellis, layer by layer": ["--trellis", "--one-layer", "--nodata", "0"],
    "packets of a quality": ["--packets", "--psnr", "62", "--quality-block", "16"],
    "a step and its trellis": ["--step-code", "140", "--trellis"],
    "bytes": ["--bytes", "26000", "--lines", "150", "--nodata", "0"],
    "a mosaic": ["--bayer", "grbg", "--bands", "1"],
    "two bands": ["--bands", "2"],
}


def pictures() -> dict[str, Image]:
    """Return scenes of 12 bits: with holes, and with noise, whose every symbol is coded."""
    cut = (holes() >> 2).astype(np.uint16)
    cut[:, cut[0] > 0] = np.maximum(cut[:, cut[0] > 0], 1)
    rough = cut.copy()
    rough[:, 64:, 100:230] = noise(8, 86, 130, BITS)
    return {"holes": cut, "noise": rough}


@pytest.fixture(scope="module")
def program(c_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return what compiles the small build for this machine."""

    def compiled(*macros: str, flags: tuple[str, ...] = ("-O1",)) -> Path:
        if shutil.which("gcc") is None:
            pytest.skip("gcc is not installed")
        found = tmp_path_factory.mktemp("small") / "skybook"
        sources = sorted(str(path) for path in c_sources.glob("*.c"))
        defined = ["-DSKYBOOK_SMALL=1", *(f"-DSKYBOOK_{macro}" for macro in macros)]
        subprocess.run(["gcc", *STRICT, *flags, *defined, "-o", found, *sources], check=True)
        return found

    return compiled


@pytest.fixture(scope="module")
def usual(program: Callable[..., Path]) -> Path:
    """Return one with room for the strips of these scenes."""
    return program(*ROOM)


@pytest.fixture(scope="module")
def sanitized(program: Callable[..., Path]) -> Path:
    """Return the same with sanitizers."""
    checks = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    return program(*ROOM, flags=checks)


@pytest.fixture(scope="module")
def all_in_it(program: Callable[..., Path]) -> Path:
    """Return one with all that the usual build takes."""
    room = ("STRIP_BYTES=393216", "STRIP_SEGMENTS=10240", "PACKET_BYTES=16384")
    return program("SAMPLE_BITS=16", "LARGE_BANDS=1", "BOUNDED=1", *room)


def told(program: Path, image: Image, arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    width = ["--width", str(image.shape[2])]
    command = [str(program), "-", "-o", "-", *width, *RATE, *arguments]
    return subprocess.run(command, input=bil(image), capture_output=True, check=False)


@pytest.mark.parametrize("way", WAYS)
def test_bytes_are_those_of_the_usual_build(
    way: str, usual: Path, build: Callable[[str], Path]
) -> None:
    image = pictures()["noise"]
    here, there = (told(one, image, WAYS[way]) for one in (usual, build("gcc")))
    assert here.returncode == there.returncode == 0, here.stderr
    assert here.stdout == there.stdout
    assert here.stderr == there.stderr  # steps and the error to expect
    assert len(here.stdout) > 2_000


@pytest.mark.slow
@pytest.mark.parametrize("picture", ["holes", "noise"])
@pytest.mark.parametrize("way", WAYS)
def test_sanitizers_find_nothing(
    picture: str, way: str, sanitized: Path, build: Callable[[str], Path]
) -> None:
    image = pictures()[picture]
    here, there = (told(one, image, WAYS[way]) for one in (sanitized, build("gcc")))
    assert (here.returncode, here.stderr) == (0, there.stderr)
    assert here.stdout == there.stdout


def test_bytes_are_those_of_python(usual: Path) -> None:
    image = pictures()["noise"][:, 40:110, 60:190]
    case = Case(image, Options(window="strip", trellis=True), bits=BITS)
    expected = case.expected(Encoder(bundles.load("skybook")))
    assert run(usual, case.image, case.arguments) == expected


def test_golden_tiles_of_up_to_12_bits_pass(usual: Path) -> None:
    done = subprocess.run([usual, "selftest"], capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found["passed_golden_tiles"] == found["golden_tiles"] == 1  # of three bands


BEYOND: list[tuple[list[str], int, bytes]] = [
    (["--significant-bits", "13"], 70, b"bits"),
    (["--nodata", "65535"], 70, b"nodata"),
    (["--bands", "1"], 70, b"one band"),
    (["--bands", "1", "--tile", "64"], 70, b"one band"),
    (["--packets", "--packet-bytes", "4000"], 70, b"packets"),
    (["--segment-bytes", "4000"], 70, b"packets"),
    ([], 301, b"columns"),
]


@pytest.mark.parametrize(
    ("arguments", "width", "text"),
    BEYOND,
    ids=["bits", "nodata", "one band", "one band in small tiles", "packets", "segments", "columns"],
)
def test_what_it_has_no_room_for_is_a_limit(
    usual: Path, arguments: list[str], width: int, text: bytes
) -> None:
    done = told(usual, noise(1, 9, width, BITS), arguments)
    assert (done.returncode, done.stdout) == (6, b"")
    assert text in done.stderr


def test_samples_beyond_12_bits_are_bad_input(usual: Path) -> None:
    image = noise(1, 70, 70, BITS)
    image[2, 66, 69] = 1 << BITS
    done = told(usual, image, [])
    assert done.returncode == 3
    assert b"significant" in done.stderr


@pytest.mark.slow
def test_what_is_left_out_is_a_limit_and_golden_tiles_pass(
    program: Callable[..., Path], all_in_it: Path
) -> None:
    image = pictures()["holes"]
    least = program("TRELLIS=0", "QUALITY=0", "STRIP_BYTES=90000")
    for way in (["--trellis"], ["--psnr", "60"], ["--max-error", "0"]):
        assert told(least, image, way).returncode in (2, 6)
    assert told(least, image, []).stdout == told(all_in_it, image, []).stdout
    done = subprocess.run([all_in_it, "selftest"], capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert found["passed_golden_tiles"] == found["golden_tiles"] == 8  # all of up to four bands


def test_a_packet_waits_for_the_rest_of_a_strip_that_is_sent_in_parts(
    program: Callable[..., Path], build: Callable[[str], Path]
) -> None:
    """Tiles within a bound have no room for all their bytes: some go before others are made."""
    small = program("BOUNDED=1", "MAX_WIDTH=300", "STRIP_BYTES=40000")
    image, line = noise(5, 80, 300, BITS), ["--max-error", "0", "--packets"]
    here, there = told(small, image, line), told(build("gcc"), image, line)
    assert here.returncode == 0
    assert here.stdout == there.stdout


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 12))
def test_random_scenes_within_bounds_have_the_same_bytes(
    seed: int, all_in_it: Path, build: Callable[[str], Path]
) -> None:
    scene = RandomScene.of(1 + seed % 4, seed)
    for one in (scene, scene.along_trellis, scene.within_bound, scene.with_box):
        line = ["-", "-o", "-", *one.arguments]
        here, there = (
            subprocess.run([path, *line], input=one.raw, capture_output=True, check=False)
            for path in (all_in_it, build("gcc"))
        )
        assert (here.returncode, here.stdout) == (there.returncode, there.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("bands", [1, 2, 3, 7])
def test_it_builds_for_few_bands(program: Callable[..., Path], bands: int) -> None:
    for bounded in (0, 1):
        macros = (f"MAX_BANDS={bands}", f"BOUNDED={bounded}", "MAX_WIDTH=200")
        assert program(*macros, f"LARGE_BANDS={bands == 1:d}").exists()


FILES = ("lines.c", "latents.c")
FUNCTIONS = ("is_beyond", "skybook_cost", "entry_of", "take_line", "status_of")
"""What is another in this build."""
UNREACHED = {
    "options->bands > SKYBOOK_LARGE_BANDS",
    "tile > SKYBOOK_SIDE",
    "(options->width + tile - 1) / tile * tile > SKYBOOK_PITCH",
}
"""No bands have large tiles here: these are refused before for being large."""


@pytest.mark.slow
def test_its_own_conditions_decide_alone(c_sources: Path, tmp_path: Path) -> None:
    tools = Tools.find()
    if tools is None:
        pytest.skip("clang-18 or newer with llvm-profdata and llvm-cov is not installed")
    runs = Runs(tools, c_sources, tmp_path)
    own = runs.build("own", "-DSKYBOOK_SMALL=1", *(f"-DSKYBOOK_{macro}" for macro in ROOM))
    asked = [*WAYS.values(), *(arguments for arguments, _, _ in BEYOND)]
    for image in (*pictures().values(), noise(1, 9, 301, BITS)):
        width = ["--width", str(image.shape[2])]
        for arguments in asked:
            runs.run(own, ["-", "-o", "-", *width, *RATE, *arguments], bil(image))
    found = read(tools, tmp_path, own, [path for path in runs.profiles if path.exists()])
    missing = [one for one in found.missing if one.file in FILES or one.function in FUNCTIONS]
    assert {one.text for one in missing} <= UNREACHED


@pytest.fixture(scope="module")
def board(c_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return what builds the image of a microcontroller."""

    def built(width: int, ram: int, *macros: str) -> Path:
        for tool in (small.COMPILER, small.EMULATOR, "make"):
            if shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed")
        folder = tmp_path_factory.mktemp("board")
        for name in ("*.c", "*.h", "*.ld", "Makefile"):
            for source in c_sources.glob(name):
                shutil.copy(source, folder)
        return small.build_image(folder, width, ram, macros)

    return cache(built)


def test_it_runs_on_a_cortex_m7_in_400_kb(board: Callable[..., Path]) -> None:
    image = board(512, 400_000)
    samples = (procedural(11, 32, 512, nodata=False).image >> 2).astype(np.uint16)
    for trellis in (False, True):
        stream, taken = small.run_image(image, samples, (f"trellis={trellis:d}",))
        case = Case(samples, Options(window="strip", trellis=trellis), bits=BITS)
        expected = case.expected(Encoder(bundles.load("skybook")))
        assert sha256(stream).digest() == sha256(expected).digest()
        assert taken.encoder_bytes < taken.ram_bytes <= 400_000
        assert taken.flash_bytes <= 512_000
        assert 0 < taken.stack_bytes < 8_192 - 1_024  # of those there are
        assert 1_000 < taken.instructions_per_pixel < 100_000


def test_the_core_needs_no_heap_and_no_files(board: Callable[..., Path]) -> None:
    image = board(512, 400_000)
    objects = list((image.parent / "build" / "board").glob("*.o"))
    names = subprocess.run(
        ["arm-none-eabi-nm", "-u", *(path for path in objects if path.name != "board.o")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    wanted = set(re.findall(r" U (\S+)", names))
    assert {name for name in wanted if not name.startswith(("skybook_", "__aeabi_"))} <= {
        *("memcpy", "memmove", "memset")
    }


@pytest.mark.slow
def test_1024_columns_take_640_kb_and_too_many_are_refused(board: Callable[..., Path]) -> None:
    samples = (procedural(5, 70, 1000, nodata=False).image >> 2).astype(np.uint16)
    stream, taken = small.run_image(board(1024, 640_000), samples)
    case = Case(samples, Options(window="strip"), bits=BITS)
    assert stream == case.expected(Encoder(bundles.load("skybook")))
    assert taken.ram_bytes <= 640_000
    with pytest.raises(EngineError, match="RAM"):
        board(1024, 600_000)
