"""Hostile inputs to what the C encoder reads: libFuzzer and sanitizers find nothing."""

import re
import subprocess
from pathlib import Path

import pytest

from export.csource.build import make
from export.csource.write import write
from onboard import bundle as bundles
from tests.export.csource.mcdc import Tools

RUNS = {"scene": 1500, "command": 5000, "recorded": 3000, "map": 1000, "profile": 3000}


@pytest.fixture(scope="module")
def compiler() -> str:
    tools = Tools.find()
    if tools is None:
        pytest.skip("no clang of version 18 or newer is installed: nothing is fuzzed")
    return f"FUZZ_CC={tools.clang}"


@pytest.fixture(scope="module")
def sources(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    write(bundles.load("skybook"), folder)
    make(folder, "skybook-fuzz", compiler)
    return folder


@pytest.mark.parametrize("parser", RUNS)
def test_no_input_is_too_much(parser: str, sources: Path, compiler: str) -> None:
    inputs = [f"PARSERS={parser}", f"RUNS={RUNS[parser]}"]
    line = ["make", "-s", "-C", str(sources), "fuzz", compiler, *inputs]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert f"stat::number_of_executed_units: {RUNS[parser]}" in done.stderr
    kept = re.search(r"new_units_added: *(\d+)", done.stderr)
    assert kept is not None
    assert int(kept[1]) > 10


def test_an_input_that_breaks_a_promise_stops_it(sources: Path) -> None:
    """Of no parser: what it expects first does not hold."""
    line = [sources / "skybook-fuzz", "--parser=none", "-runs=1"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "broken: --parser" in done.stderr
