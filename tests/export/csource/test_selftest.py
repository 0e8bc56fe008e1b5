"""`skybook selftest` and `skybook bench`: JSON from a board that has no Python."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.boardreport.report import Results, html_report
from onboard import bundle as bundles
from onboard.codec.bounded import golden
from onboard.codec.lapped.codec import LappedCodec
from tests.export.csource.test_csource import STRICT, build

__all__ = ["build"]


def told(*command: Any) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("how", ["gcc", "clang", "native", "sanitize"])
def test_golden_tiles_pass(how: str, build: Callable[[str], Path]) -> None:
    bundle = bundles.load("skybook")
    code, found = told(build(how), "selftest")
    assert (code, found["passed"], found["bundle"]) == (0, True, bundle.name)
    assert found["passed_golden_tiles"] == found["golden_tiles"]
    bands = [tile.form[0] for tile in LappedCodec.of(bundle.codec).golden]
    bands += [golden.BANDS] * len(golden.BOUNDS)
    assert found["golden_tiles"] == sum(own <= found["most_bands"] for own in bands)
    assert bytes.fromhex(found["tag"]) == bundle.tag


def test_a_golden_tile_that_differs_is_told(c_sources: Path, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    text = (c_sources / "golden.c").read_text()
    (tmp_path / "golden.c").write_text(re.sub(r"(body_1\[\d+\] = \{)", r"\g<1>1^", text, count=1))
    sources = [path for path in c_sources.glob("*.c") if path.name != "golden.c"]
    command = ["gcc", *STRICT, "-O1", f"-I{c_sources}", "-o", tmp_path / "skybook"]
    subprocess.run([*command, *sources, tmp_path / "golden.c"], check=True)
    code, found = told(tmp_path / "skybook", "selftest")
    assert (code, found["passed"]) == (5, False)
    assert found["passed_golden_tiles"] == found["golden_tiles"] - 1


def test_what_bench_prints_is_a_board_of_the_report(
    build: Callable[[str], Path], tmp_path: Path
) -> None:
    code, found = told(build("gcc"), "bench", "--quick")
    assert (code, found["schema"], found["passed"]) == (0, 1, True)
    for how in ("plain", "trellis", "lossless"):
        assert 0 < found[how]["lowest"] <= found[how]["mpixel_per_s"] <= found[how]["highest"]
        assert found[how]["bytes"] > 10_000
    assert found["cycles"] is None or found["plain"]["cycles_per_pixel"] > 0
    assert found["peak_stack_bytes"] is None or 2_000 < found["peak_stack_bytes"] < 65_536
    found["host"] = "engineering <model>"
    page = html_report(Results(boards=[found]), [], "skybook")
    assert "engineering &lt;model&gt;" in page
    assert "skybook, C99 trellis" in page


def test_a_board_whose_golden_tiles_differ_is_refused(
    build: Callable[[str], Path], tmp_path: Path
) -> None:
    code, found = told(build("gcc"), "selftest")
    assert code == 0
    path = tmp_path / "board.json"
    path.write_text(json.dumps(found))
    assert main(["board-report", "--board", str(path), "-o", str(tmp_path / "report.html")]) == 3
