"""Quality in C: the codes, fields and packets of the Python runtime."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.scenes.spyndex import spyndex_scene
from onboard.encoder import Encoder, Options
from onboard.encoder.outcome import Outcome
from onboard.encoder.quality import QualityMap
from onboard.link.header import SceneHeader
from tests.export.csource.test_csource import MOST_BANDS, build, encoder
from tests.export.csource.test_guard import FLIP, HEAD, parts, told

__all__ = ["build", "encoder", "parts"]
IMAGE = np.ascontiguousarray(spyndex_scene().image[:, 60:190, 40:250])
TILES = {1: 112, MOST_BANDS: 64}
"""By bands, the tiles that a usual build has room for, where others would be fitted larger."""


def gaps() -> NDArray[np.uint16]:
    """Return a scene of patterns, gaps of 0 and a ramp: tiles are full, or have nodata."""
    row, col = np.indices((100, 150))
    board = np.where(row < 70, 2_000 + 700 * ((row + col) % 2), 1_000 + 3 * row)
    image = np.stack([board, board // 2, board + col, board]).astype(np.uint16)
    image[:, 20:40, 30:90] = 0
    return image


def ran(
    program: Path, folder: Path, image: NDArray[np.uint16], *options: str
) -> subprocess.CompletedProcess[str]:
    """Run the program on lines of an image, to `folder`/c.sky."""
    (folder / "i.bil").write_bytes(image.transpose(1, 0, 2).astype("<u2").tobytes())
    made = [program, folder / "i.bil", "-o", folder / "c.sky", "--width", image.shape[2]]
    made += ["--bands", len(image), *options]
    words = [str(word) for word in made]
    return subprocess.run(words, check=False, capture_output=True, text=True)


def by_python(
    encoder: Encoder, image: NDArray[np.uint16], header: SceneHeader, **fields: Any
) -> tuple[bytes, Outcome]:
    told: list[Outcome] = []
    if len(image) in TILES and not header.bayer:
        header = replace(header, tile=TILES[len(image)])
    strips = encoder.strips(image, header, Options(window="strip", **fields), told.append)
    return b"".join(s for strip in strips for s in strip.segments), sum(told, Outcome())


CASES: dict[str, tuple[NDArray[np.uint16], tuple[str, ...], dict[str, Any]]] = {
    "rows": (IMAGE, ("--psnr", "66.25"), {"psnr": 66.25}),
    "rmse": (IMAGE, ("--rmse", "31.07"), {"rmse": 31.07}),
    "64": (IMAGE, ("--psnr", "66", "--quality-block", "64"), {"psnr": 66, "quality_block": 64}),
    "32": (IMAGE, ("--psnr", "72", "--quality-block", "32"), {"psnr": 72, "quality_block": 32}),
    "16": (IMAGE, ("--psnr", "66", "--quality-block", "16"), {"psnr": 66, "quality_block": 16}),
    "one band": (
        IMAGE[2:3],
        ("--psnr", "70", "--quality-block", "16"),
        {"psnr": 70, "quality_block": 16},
    ),
    "patterns": (
        gaps(),
        ("--psnr", "64", "--quality-block", "16", "--nodata", "0"),
        {"psnr": 64, "quality_block": 16},
    ),
    "little room": (
        IMAGE,
        ("--psnr", "62", "--quality-block", "16", "--segment-bytes", "114"),
        {"psnr": 62, "quality_block": 16, "segment_bytes": 114},
    ),
    "out of reach": (IMAGE[:, :64, :64], ("--psnr", "120"), {"psnr": 120}),
    "within a ratio": (
        IMAGE,
        ("--psnr", "72", "--quality-block", "32", "--ratio", "14"),
        {"psnr": 72, "quality_block": 32, "ratio": 14.0},
    ),
    "below a ratio": (IMAGE, ("--psnr", "60", "--ratio", "6"), {"psnr": 60, "ratio": 6.0}),
}


REFUSED: list[tuple[tuple[str, ...], int, str]] = [
    (("--psnr", "66", "--rmse", "3"), 2, "a PSNR or an RMSE"),
    (("--psnr", "201"), 2, "--psnr"),
    (("--rmse", "0"), 2, "--rmse"),
    (("--quality-block", "32"), 2, "options"),
    (("--psnr", "66", "--quality-block", "20"), 2, "options"),
    (("--psnr", "66", "--step-code", "90"), 2, "options"),
    (("--psnr", "66", "--max-error", "1"), 2, "options"),
    (("--psnr", "66", "--quality-block", "32", "--quality-map", "missing"), 2, "--quality-map"),
    (("--quality-block", "32", "--quality-map", "m.npy"), 3, "input"),
    (("--psnr", "66", "--quality-block", "64", "--quality-map", "m.npy"), 2, "--quality-map"),
]
"""Options, exit code, and a word that is said; `m.npy` is a map of 5 x 7 zeros."""


OPTIONS = """
static uint16_t map[4][5];
#define REFUSE(change) \\
    skybook_defaults(&options, WIDTH); options.quality = 6000; change; printf("%d ", begin());
#define MAPPED(change) REFUSE(options.quality_block = 16; options.quality_map = map[0]; \\
                              options.map_columns = 5; options.map_rows = 4; change)
int main(void)
{
    REFUSE((void)0)
    REFUSE(options.ratio = 0)
    MAPPED((void)0)
    MAPPED(options.quality = 0)
    REFUSE(options.quality = 20001)
    REFUSE(options.ratio = 1e301)
    REFUSE(memset(&options.ratio, 0xFF, sizeof(options.ratio))) /* no number */
    REFUSE(options.quality_block = 8)
    REFUSE(options.quality = 0; options.quality_block = 16)
    REFUSE(options.step_code = 9)
    REFUSE(options.max_error.count = 1)
    MAPPED(options.quality_block = 0)
    MAPPED(options.map_columns = 4)
    MAPPED(options.map_rows = (1u << 24) + 1)
    return 0;
}
"""
MAP_FLIPS = """
static uint16_t map[8][5] = {{6000, 7000}, {0, 5000}};
int main(void)
{
    prepare();
    first.used = 0;
    options.quality = 6000;
    options.quality_block = 16;
    options.quality_map = map[0];
    options.map_columns = 5;
    options.map_rows = 8;
    skybook_init(&encoder, &options, skybook_to_buffer, &first);
    push(0, 64);
    first_row = first.used;
    flip(map, sizeof(map), 3);
    flip(&encoder.options.quality, 16, 1);
    printf("%u missed of %u", (unsigned)(tried - found), (unsigned)tried);
    return 0;
}
"""


def test_what_a_caller_may_not_ask_for_is_refused(parts: list[Path], tmp_path: Path) -> None:
    found = told(parts, tmp_path, HEAD + OPTIONS).split()
    assert found == [*["0"] * 4, *["200"] * 10]


def test_a_map_that_changes_in_memory_is_noticed(parts: list[Path], tmp_path: Path) -> None:
    assert told(parts, tmp_path, HEAD + FLIP + MAP_FLIPS).startswith("0 missed")


@pytest.mark.parametrize("trellis", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_c_makes_the_same_bytes(
    build: Callable[[str], Path], encoder: Encoder, tmp_path: Path, case: str, trellis: bool
) -> None:
    image, options, fields = CASES[case]
    header = SceneHeader.of(image)
    header = replace(header, nodata=0) if "--nodata" in options else header
    wanted, told = by_python(encoder, image, header, trellis=trellis, **fields)
    more = ("--trellis",) if trellis else ()
    done = ran(build("sanitize"), tmp_path, image, *options, "--json", *more)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "c.sky").read_bytes() == wanted
    found = json.loads(done.stdout)
    assert tuple(found["step_codes"]) == told.steps
    assert found["expected_psnr16_db"] == pytest.approx(told.psnr16, abs=0.01)
    assert (found["windows_missed"], found["windows_eased"]) == (told.missed, told.eased)


def test_c_takes_a_map(build: Callable[[str], Path], encoder: Encoder, tmp_path: Path) -> None:
    qualities = np.zeros((5, 7), np.uint16)
    qualities[1, 1:4], qualities[4, 6] = 7_500, 65_535
    fields = {"psnr": 62, "quality_block": 32, "quality_map": QualityMap(qualities, 32)}
    wanted, _ = by_python(encoder, IMAGE, SceneHeader.of(IMAGE), **fields)
    np.save(tmp_path / "m.npy", qualities.astype("<u2"))
    qualities.astype("<u2").tofile(tmp_path / "m.raw")
    options = ("--psnr", "62", "--quality-block", "32", "--quality-map")
    for name in ("m.npy", "m.raw"):
        done = ran(build("gcc"), tmp_path, IMAGE, *options, str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "c.sky").read_bytes() == wanted


def test_a_map_cuts_squares_of_one_band(
    build: Callable[[str], Path], encoder: Encoder, tmp_path: Path
) -> None:
    """Blocks of a square have one code only where the map asks the same of them."""
    image, qualities = IMAGE[2:3], np.zeros((9, 14), np.uint16)
    qualities[1:4, 3:6], qualities[6, 9] = 7_500, 7_000
    fields: dict[str, Any] = {
        "psnr": 66,
        "quality_block": 16,
        "quality_map": QualityMap(qualities, 16),
    }
    np.save(tmp_path / "m.npy", qualities.astype("<u2"))
    for trellis in (False, True):
        asked = Options(window="strip", trellis=trellis, **fields)
        header = replace(SceneHeader.of(image), tile=128)  # the usual one: boxes may have a bound
        wanted = b"".join(
            s for strip in encoder.strips(image, header, asked) for s in strip.segments
        )
        more = ("--trellis",) if trellis else ()
        options = ("--psnr", "66", "--quality-block", "16", "--quality-map")
        done = ran(build("gcc"), tmp_path, image, *options, str(tmp_path / "m.npy"), *more)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "c.sky").read_bytes() == wanted


def test_threads_make_the_same_bytes(build: Callable[[str], Path], tmp_path: Path) -> None:
    made = []
    for threads in ("1", "3"):
        for more in ((), ("--quality-block", "16")):
            done = ran(build("gcc"), tmp_path, IMAGE, "--psnr", "66", "--threads", threads, *more)
            assert done.returncode == 0, done.stderr
            made.append((tmp_path / "c.sky").read_bytes())
    assert made[:2] == made[2:]


@pytest.mark.parametrize(("options", "code", "said"), REFUSED)
def test_what_does_not_fit_together_is_refused(
    build: Callable[[str], Path],
    tmp_path: Path,
    options: tuple[str, ...],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("m.npy", np.zeros((5, 7), "<u2"))
    done = ran(build("gcc"), tmp_path, IMAGE, *options)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
