"""What a sample costs in scenes of 1 to 16 bands."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.resources import bybands
from benchmarks.resources.bybands import COUNTS, MODES, by_bands_text, measure_by_bands, scene_of
from benchmarks.resources.instructions import counter
from benchmarks.scenes import mosaic
from onboard.errors import EngineError
from tests.measured import FLAGSHIP


def refuse(*_given: Any) -> None:
    raise EngineError("C encoder: expected cc to build it, found none")


def test_bands_are_those_of_the_mosaic_and_these_again_elsewhere() -> None:
    four, scene = mosaic(96, 96), scene_of(16, 96)
    assert np.array_equal(scene[:4], four)
    assert all(np.array_equal(scene_of(bands, 96), scene[:bands]) for bands in COUNTS)
    for band in scene[4:]:
        same = np.sort(band, axis=None) == np.sort(four.reshape(4, -1), axis=1)
        assert same.all(axis=1).any()
    assert len(np.unique(scene.reshape(16, -1), axis=0)) == 16


def test_costs_are_set_beside_those_of_four_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bybands, "sources", refuse)
    found = measure_by_bands(FLAGSHIP, 1, side=64, counts=(1, 4, 5))
    assert list(found["costs"]) == ["numpy_ns"]
    for mode in MODES:
        costs, over = found["costs"]["numpy_ns"][mode], found["over_four"]["numpy_ns"][mode]
        assert all(cost > 0 for cost in costs.values())
        assert over == {bands: cost / costs[4] for bands, cost in costs.items()}
        assert found["most_over_four"]["numpy_ns"][mode] == max(over[4], over[5])
    assert "found none" in found["reason"]
    assert "found none" in by_bands_text(found)
    assert json.loads(json.dumps(found))["over_four"]["numpy_ns"]["plain"]["4"] == 1


@pytest.mark.slow
def test_c_encoder_is_measured_by_bands(tmp_path: Path) -> None:
    if shutil.which("cc") is None or shutil.which("make") is None:
        pytest.skip("no C compiler is installed: the C encoder is not measured")
    found = measure_by_bands(FLAGSHIP, 1, side=128, counted_side=64, counts=(3, 4, 16))
    for mode in MODES:
        assert all(cost > 0 for cost in found["costs"]["c_ns"][mode].values())
    if not counter():
        pytest.skip("neither perf nor valgrind counts instructions here")
    counted = found["costs"]["c_instructions"]
    assert all(count > 50 for mode in MODES for count in counted[mode].values())


def test_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    costs = {"numpy_ns": {mode: {4: 70.0, 16: 84.0} for mode in MODES}}
    found = {
        **{"bundle": FLAGSHIP, "ratio": 20.48, "side": 64, "counted_side": 64, "machine": "one"},
        **{"costs": costs, "over_four": {"numpy_ns": {mode: {4: 1.0, 16: 1.2} for mode in MODES}}},
    }
    monkeypatch.setattr(
        "benchmarks.resources.command.measure_by_bands", lambda *given: asked.append(given) or found
    )
    out = tmp_path / "bands.json"
    line = ["resources", "--bundle", FLAGSHIP, "--by-bands", "--quick", "--json", str(out)]
    assert main(line) == 0
    assert asked[0][:2] == (FLAGSHIP, 3)
    assert json.loads(out.read_text())["over_four"]["numpy_ns"]["plain"]["16"] == 1.2
