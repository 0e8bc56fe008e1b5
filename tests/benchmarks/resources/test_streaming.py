"""Memory and speed of an endless line source."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from onboard.errors import SkybookError


def test_memory_of_a_pass_stays_flat(tmp_path: Path) -> None:
    told, plot = tmp_path / "stream.json", tmp_path / "stream.png"
    form = ["--lines", "6144", "--width", "96", "--runs", "1"]
    assert main(["stream", *form, "--json", str(told), "--plot", str(plot)]) == 0
    found = json.loads(told.read_text())
    assert found["lines"] == 6_144
    assert found["ratio"] == pytest.approx(20.48, rel=0.02)
    lines, memory = zip(*found["rss_mb"], strict=True)
    assert lines[-1] == 6_144
    assert 0 < found["rss_level_mb"] <= max(memory) <= found["peak_rss_mb"] + 1
    # A leak of the samples alone would be 4.5 MiB.
    assert abs(found["rss_growth_mb"]) < 3
    assert found["latency_median_s"] > 0
    assert found["stream_over_scene"] > 0
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_pass_too_short_to_tell(tmp_path: Path) -> None:
    assert main(["stream", "--lines", "100"]) == SkybookError.exit_code
