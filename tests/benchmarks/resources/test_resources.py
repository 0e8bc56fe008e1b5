"""Speed and memory of the onboard chain."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.codecs.table import TIMED_LABELS
from benchmarks.resources import timing
from benchmarks.resources.instructions import counter
from benchmarks.resources.measure import QUICK, SPEEDS
from benchmarks.resources.report import resources_text
from benchmarks.resources.runtimes import RUNTIMES, percentile
from benchmarks.resources.stages import STAGES
from benchmarks.resources.timing import seconds_interleaved, speeds_of
from benchmarks.resources.worker import Worker
from benchmarks.scenes import mosaic
from ground.scenes.spyndex import spyndex_scene
from onboard import bundle as bundles
from onboard.errors import SkybookError
from tests.conftest import NAME
from tests.measured import FLAGSHIP, resources


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return resources(NAME, tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def flagship(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return resources(FLAGSHIP, tmp_path_factory.getbasetemp())


def test_speed_has_every_figure(found: dict[str, Any]) -> None:
    for task in SPEEDS:
        assert found[f"{task}_mpixel_per_s"] > 0
    ratio = found["encode_mpixel_per_s"] / found["openjpeg_mpixel_per_s"]
    assert found["encode_speed_over_openjpeg"] == pytest.approx(ratio)
    assert found["raw_bytes"] == 4 * 192 * 192 * 2


def test_every_engine_has_a_speed_or_a_reason(found: dict[str, Any]) -> None:
    assert list(found["engines"]) == list(RUNTIMES)
    assert found["engines"]["ort"]["mpixel_per_s"] > 0
    assert "cannot run int8 networks" in found["engines"]["numpy"]["reason"]


def test_size_and_memory(found: dict[str, Any]) -> None:
    assert found["bundle_bytes"] == bundles.find(NAME).stat().st_size
    assert found["encoder_mac_per_pixel"] == bundles.load(NAME).macs_per_pixel
    assert 0 <= found["rss_over_loaded_mb"] < found["peak_rss_mb"] < 1000
    assert found["encode_state_bytes"] is None


@pytest.mark.parametrize("engine", ["ort", "litert", "numpy"])
def test_runtime_has_every_figure(flagship: dict[str, Any], engine: str) -> None:
    runtime = flagship["runtimes"][engine]
    assert runtime["msample_per_s"] == pytest.approx(4 * runtime["mpixel_per_s"])
    assert runtime["all_cores"]["processes"] >= 1
    assert runtime["all_cores"]["mpixel_per_s"] > 0
    assert 0 < runtime["tile_ms"]["median"] <= runtime["tile_ms"]["p99"]
    parts = runtime["start_up_parts_s"]
    assert sum(parts.values()) == pytest.approx(runtime["start_up_s"]["median"], rel=0.01)
    assert 5 < runtime["idle_rss_mb"] < runtime["peak_rss_mb"]
    assert runtime["peak_over_idle_mb"] < runtime["peak_rss_mb"]
    assert runtime["arena_bytes"] is None
    assert "arena" in runtime["arena_reason"]


def test_c_encoder_is_built_and_measured(flagship: dict[str, Any], found: dict[str, Any]) -> None:
    if shutil.which("cc") is None or shutil.which("make") is None:
        assert "to build it, found none" in flagship["runtimes"]["c"]["reason"]
        pytest.skip("no C compiler is installed: the C encoder is not measured")
    program = flagship["runtimes"]["c"]
    assert program["speed_over_openjpeg"]["median"] > 0
    assert program["arena_bytes"] > 64 * 2048 * 4 * 2  # the samples of a strip
    assert program["peak_rss_mb"] < flagship["runtimes"]["numpy"]["peak_rss_mb"]
    assert program["all_cores"]["mpixel_per_s"] > 0
    assert "expected a bundle of the lapped codec" in found["runtimes"]["c"]["reason"]


def test_c_encoder_is_set_beside_htj2k_and_an_older_version(
    flagship: dict[str, Any], found: dict[str, Any]
) -> None:
    if "reason" in flagship["runtimes"]["c"]:
        pytest.skip("no C compiler is installed: the C encoder is not measured")
    assert flagship["c"]["speed_over_htj2k"] > 0
    assert flagship["c"]["speed_over_previous"] > 0
    assert flagship["c_trellis"]["speed_over_previous"] > 0
    assert (found["c"], found["c_trellis"]) == ({}, {})


def test_instructions_are_counted_where_that_can_be(
    flagship: dict[str, Any], found: dict[str, Any]
) -> None:
    if "reason" in flagship["runtimes"]["c"]:
        pytest.skip("no C compiler is installed: the C encoder is not measured")
    if not counter():
        assert "instructions_per_pixel" not in flagship["c"]
        pytest.skip("neither perf nor callgrind counts instructions here")
    for key in ("instructions_per_pixel", "previous_instructions"):
        assert 100 < flagship["c"][key] < flagship["c_trellis"][key]


def test_decoder_is_measured_by_grade_and_beside_an_older_version(
    flagship: dict[str, Any], found: dict[str, Any]
) -> None:
    decode = flagship["decode"]
    assert list(decode) == ["fast", "standard", "best"]
    assert decode["standard"]["mpixel_per_s"] == pytest.approx(flagship["decode_mpixel_per_s"])
    assert decode["best"]["mpixel_per_s"] > 0
    if "reason" not in flagship["runtimes"]["c"]:
        assert all(decode[grade]["speed_over_previous"] > 0 for grade in ("fast", "standard"))
    assert list(found["decode"]) == ["standard"]


def test_a_folder_that_is_no_checkout_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["resources", "--bundle", FLAGSHIP, "--against", str(tmp_path)]
    assert main(asked) == 2
    assert "expected a checkout of skybook with export, found none" in capsys.readouterr().err


def test_weights_and_tables_are_those_of_the_bundle(flagship: dict[str, Any]) -> None:
    parts = bundles.load("skybook").parts
    runtimes = flagship["runtimes"]
    assert runtimes["ort"]["weight_bytes"] == len(parts["encoder.onnx"])
    assert runtimes["litert"]["weight_bytes"] == len(parts["encoder.tflite"])
    assert runtimes["numpy"]["weight_bytes"] == 0
    assert {runtimes[e]["table_bytes"] for e in ("ort", "litert")} == {len(parts["lapped"])}


def test_stages_add_up_and_none_is_empty(flagship: dict[str, Any], found: dict[str, Any]) -> None:
    for engine in ("ort", "litert", "numpy"):
        stages = flagship["runtimes"][engine]["stages"]
        assert sum(stage["share"] for stage in stages.values()) == pytest.approx(1)
        assert all(stages[name]["seconds"] > 0 for name in STAGES)
    fixed = found["runtimes"]["ort"]["stages"]
    assert fixed["rate_search"]["seconds"] == 0
    assert all(fixed[name]["seconds"] > 0 for name in STAGES if name != "rate_search")


def test_rivals_have_ratio_and_quality(flagship: dict[str, Any]) -> None:
    codecs = flagship["codecs"]
    assert list(codecs) == ["skybook", *TIMED_LABELS]
    for name in ("skybook", "openjpeg", "klt_openjpeg", "htj2k"):
        assert codecs[name]["ratio"] == pytest.approx(20.48, rel=0.02)
        assert 55 < codecs[name]["psnr16"] < 80
        assert not codecs[name]["lossless"]
    for name in ("jpegls", "ccsds121"):
        assert codecs[name]["lossless"]
        assert codecs[name]["psnr16"] is None
        assert 1.5 < codecs[name]["ratio"] < 4
    for codec in codecs.values():
        assert codec["mpixel_per_s"] > 0
        over = codec["speed_over_openjpeg"]
        assert over["lowest"] <= over["median"] <= over["highest"]
    assert codecs["openjpeg"]["speed_over_openjpeg"]["median"] == 1


def test_every_figure_says_its_kind_and_source(found: dict[str, Any]) -> None:
    assert found["kind"] == "measured"
    assert found["source"] == f"python -m benchmarks resources --bundle {NAME}"


def test_text_shows_runtimes_stages_and_rivals(flagship: dict[str, Any]) -> None:
    text = resources_text(flagship)
    for shown in ("encode, numpy", "tile alone", "rate search", "CCSDS 121.0", "lossless"):
        assert shown in text
    assert "engine tflite needs numpy < 2" in text


def test_percentile_is_one_of_the_values() -> None:
    values = list(range(1, 101))
    assert percentile(values, 99) == 99
    assert percentile(values[:3], 99) == 3
    assert percentile([7.0], 99) == 7


def test_worker_that_ends_says_why() -> None:
    with pytest.raises(SkybookError, match=r"open_runtime nosuch.*bundle 'nosuch': not found"):
        Worker("resources.pythonrun", "open_runtime", ["nosuch", "numpy", "x.npy", 20.48, 1, -1])
    with pytest.raises(SkybookError, match="expected a Python to run"):
        Worker("resources.pythonrun", "open_runtime", [], python="/nowhere/python")


def test_text_states_scene_raw_size_and_machine(found: dict[str, Any]) -> None:
    text = resources_text(found)
    for shown in ("spyndex", "4 x 192 x 192", "294912 bytes raw", found["machine"], "ratio 20.48"):
        assert shown in text
    assert f"encode over OpenJPEG: {found['encode_speed_over_openjpeg']:.2f}" in text


def test_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: dict[str, Any]) -> None:
    asked = []
    monkeypatch.setattr(
        "benchmarks.resources.command.measure_resources",
        lambda *given, **_named: asked.append(given) or found,
    )
    out = tmp_path / "resources.json"
    assert main(["resources", "--bundle", NAME, "--quick", "--json", str(out)]) == 0
    assert asked == [(NAME, QUICK)]
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


def test_timing_takes_turns_and_the_median(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[str] = []
    clock = [0.0]
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])

    def task(name: str, naps: list[float]) -> Any:
        def run() -> None:
            turns.append(name)
            clock[0] += naps.pop()

        return run

    slow_once = [0.01, 0.2, 0.01, 0.3]  # last first: the unmeasured run, then three
    seconds = seconds_interleaved({"a": task("a", slow_once), "b": task("b", [0.0] * 4)}, 3)
    speeds = speeds_of(seconds["a"], 1.0)
    assert turns == ["a", "b"] * 4
    assert speeds["mpixel_per_s"] == pytest.approx(100)
    assert speeds["lowest"] == pytest.approx(5)
    assert speeds["highest"] == pytest.approx(100)
