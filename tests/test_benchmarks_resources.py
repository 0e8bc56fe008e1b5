"""Speed and memory of the onboard chain."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.resources import SPEEDS, measure_resources, resources_text
from benchmarks.scenes import mosaic
from benchmarks.speed import time_interleaved
from ground.scenes import spyndex_scene
from onboard import bundle as bundles
from onboard.session import ENGINES

from .conftest import NAME


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return measure_resources(NAME, runs=1, side=128, strip=(128, 256))


def test_speed_has_every_figure(found: dict[str, Any]) -> None:
    for task in SPEEDS:
        assert found[f"{task}_mpixel_per_s"] > 0
    ratio = found["encode_mpixel_per_s"] / found["openjpeg_mpixel_per_s"]
    assert found["encode_speed_over_openjpeg"] == pytest.approx(ratio)
    assert found["raw_bytes"] == 4 * 128 * 128 * 2


def test_every_engine_has_a_speed_or_a_reason(found: dict[str, Any]) -> None:
    assert list(found["engines"]) == list(ENGINES)
    assert found["engines"]["ort"]["mpixel_per_s"] > 0
    assert "cannot run int8 networks" in found["engines"]["numpy"]["reason"]


def test_size_and_memory(found: dict[str, Any]) -> None:
    assert found["bundle_bytes"] == bundles.find(NAME).stat().st_size
    assert found["encoder_mac_per_pixel"] == bundles.load(NAME).macs_per_pixel
    assert 0 <= found["rss_over_loaded_mb"] < found["peak_rss_mb"] < 1000
    assert found["encode_state_bytes"] is None


def test_text_states_scene_raw_size_and_machine(found: dict[str, Any]) -> None:
    text = resources_text(found)
    for shown in ("spyndex", "4 x 128 x 128", "131072 bytes raw", found["machine"], "ratio 20.48"):
        assert shown in text
    assert f"encode over OpenJPEG: {found['encode_speed_over_openjpeg']:.2f}" in text


def test_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: dict[str, Any]) -> None:
    asked = []
    monkeypatch.setattr(
        "benchmarks.__main__.measure_resources", lambda *given: asked.append(given) or found
    )
    out = tmp_path / "resources.json"
    assert main(["resources", "--bundle", NAME, "--quick", "--json", str(out)]) == 0
    assert asked == [(NAME, 3)]
    document = json.loads(out.read_text())
    assert document["schema"] == 1
    assert document["encode_speed_over_openjpeg"] == found["encode_speed_over_openjpeg"]


def test_unknown_bundle_ends_with_its_exit_code() -> None:
    assert main(["resources", "--bundle", "nosuch"]) == 5


def test_mosaic_mirrors_the_scene() -> None:
    image, scene = mosaic(700, 310), spyndex_scene().image
    assert image.shape == (4, 700, 310)
    np.testing.assert_array_equal(image[:, :300, :300], scene)
    np.testing.assert_array_equal(image[:, 300:600, :300], scene[:, ::-1])
    np.testing.assert_array_equal(mosaic(100, 50), scene[:, :100, :50])


def test_timing_takes_turns_and_the_median() -> None:
    turns: list[str] = []

    def task(name: str, naps: list[float]) -> Any:
        def run() -> None:
            turns.append(name)
            time.sleep(naps.pop())

        return run

    slow_once = [0.01, 0.2, 0.01, 0.3]  # last first: the unmeasured run, then three
    speeds = time_interleaved({"a": task("a", slow_once), "b": task("b", [0.0] * 4)}, 3, 1.0)
    assert turns == ["a", "b"] * 4
    assert 50 < speeds["a"]["mpixel_per_s"] <= 100
    assert speeds["a"]["lowest"] <= 5
    assert speeds["a"]["highest"] >= speeds["a"]["mpixel_per_s"]
