"""With threads, lines are read ahead and rows are written behind: what comes of it is the same."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.export.csource.test_csource import build, scene
from tests.export.csource.test_inputs import INPUTS

__all__ = ["build"]
ROWS, COLS = 200, 150
BSQ = ["--width", str(COLS), "--layout", "bsq"]
BIL = ["--width", str(COLS)]


@pytest.fixture
def planes() -> bytes:
    """Return a scene whose bands come one after the other."""
    return scene(71, ROWS, COLS).astype("<u2").tobytes()


@pytest.fixture
def lines() -> bytes:
    return scene(71, ROWS, COLS).transpose(1, 0, 2).astype("<u2").tobytes()


@pytest.fixture
def both(build: Callable[[str], Path], tmp_path: Path) -> Callable[..., tuple[int, bytes]]:
    """Return what encodes with one thread and with two, and tells what came of it, if it is one."""

    def encode(given: bytes, *asked: str, kept: bytes = b"") -> tuple[int, bytes]:
        source = tmp_path / "scene.raw"
        source.write_bytes(given)
        found = []
        for threads in ("1", "2"):
            target = tmp_path / f"{threads}.pkt"
            target.write_bytes(kept)
            line = [build("sanitize"), source, "-o", target, *asked, "--threads", threads]
            done = subprocess.run(line, capture_output=True, check=False)
            assert b"Sanitizer" not in done.stderr
            found.append((done.returncode, target.read_bytes()))
        assert found[0] == found[1]
        return found[1]

    return encode


def test_lines_of_a_file(both: Callable[..., tuple[int, bytes]], lines: bytes) -> None:
    code, stream = both(lines, *BIL)
    assert (code, len(stream) > 5_000) == (0, True)


def test_bands_one_after_the_other(
    both: Callable[..., tuple[int, bytes]], planes: bytes, lines: bytes
) -> None:
    assert both(planes, *BSQ) == both(lines, *BIL)


@pytest.mark.parametrize("name", ["u8", "mipi12, bil", "a mosaic"])
def test_samples_that_are_not_read_as_they_lie(
    name: str, both: Callable[..., tuple[int, bytes]]
) -> None:
    one = INPUTS[name]
    assert both(one.given, *one.arguments)[0] == 0


def test_more_lines_than_are_asked_for(
    both: Callable[..., tuple[int, bytes]], lines: bytes
) -> None:
    asked = [*BIL, "--lines", "70"]
    assert both(lines, *asked) == both(lines[: 70 * 8 * COLS], *asked)


def test_an_input_that_ends_within_a_line(
    both: Callable[..., tuple[int, bytes]], lines: bytes
) -> None:
    code, stream = both(lines[:-3], *BIL)
    assert (code, len(stream) > 5_000) == (3, True)


def test_a_row_of_tiles_that_cannot_be_coded(
    both: Callable[..., tuple[int, bytes]], lines: bytes
) -> None:
    image = np.frombuffer(lines, "<u2").copy().reshape(ROWS, 4, COLS)
    image[130] = 65_535
    code, stream = both(image.tobytes(), *BIL, "--significant-bits", "15")
    assert (code, len(stream) > 2_000) == (3, True)


def test_a_run_that_goes_on(both: Callable[..., tuple[int, bytes]], lines: bytes) -> None:
    _, stream = both(lines, *BIL)
    assert both(lines, *BIL, "--resume", kept=stream[:4_000]) == (0, stream)


def test_a_pipe(build: Callable[[str], Path], lines: bytes) -> None:
    line = [build("sanitize"), "-", "-o", "-", *BIL, "--threads"]
    one, two = (
        subprocess.run([*line, threads], input=lines, capture_output=True, check=True).stdout
        for threads in ("1", "2")
    )
    assert one == two


def test_an_output_that_cannot_be_written_is_told(
    build: Callable[[str], Path], lines: bytes, tmp_path: Path
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    source = tmp_path / "scene.raw"
    source.write_bytes(lines)
    line = [build("sanitize"), source, "-o", "/dev/full", *BIL, "--threads", "2"]
    assert subprocess.run(line, capture_output=True, check=False).returncode == 1
