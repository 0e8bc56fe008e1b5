"""How the archive scales: the figures that the benchmark gives."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.archive.report import ground_text, plot_ground


@pytest.mark.slow
def test_figures_of_two_workers(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert main(["ground", "--scenes", "4", "--side", "128", "--json", str(path)]) == 0
    found = json.loads(path.read_text())["batch"]
    assert set(found["seconds"]) == {"1", "2"}
    assert found["efficiency_1"] == 1
    assert found["efficiency_2"] == pytest.approx(found["seconds"]["1"] / found["seconds"]["2"])
    assert 0 < found["peak_worker_bytes"] < 2 << 30


def test_text_and_plot(tmp_path: Path) -> None:
    batch = {"efficiency_1": 1.0, "efficiency_2": 1.9, "seconds": {"1": 19.0, "2": 10.0}}
    batch |= {"mpixel_per_s": {"1": 1.0, "2": 1.9}, "peak_worker_bytes": 300 << 20}
    found = {"machine": "a machine", "scenes": 24, "side": 1024, "batch": batch}
    assert "2 workers:     10.0 s,   1.90 Mpixel/s,  1.90 x one" in ground_text(found)
    plot_ground(found, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1_000
