"""Benchmarks: fair baselines, means over places, the demo."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.codecs.codec import round_trip
from benchmarks.codecs.table import BASELINES
from benchmarks.quality.demo import default_names
from benchmarks.quality.figures import figures
from benchmarks.quality.measure import summarise
from ground import metrics
from ground.products import geotiff
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from tests.conftest import NAME, Run


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("budget", [2_000, 6_000])
def test_baselines_keep_the_budget(name: str, budget: int) -> None:
    image = procedural(2, 120, 130, nodata=False).image.astype(np.uint16)
    spent, decoded = round_trip(BASELINES[name], Scene(image), budget)
    assert 0.9 * budget < spent <= budget
    assert decoded.shape == image.shape
    assert metrics.psnr(image, decoded, 65_535) > 40


def test_klt_pays_where_bands_are_alike() -> None:
    rng = np.random.default_rng(0)
    shared = rng.normal(2_000, 300, (1, 128, 128))
    image = np.clip(shared * np.array([1, 2, 3, 4])[:, None, None] / 2, 0, 9_999).astype(np.uint16)
    names = ("jp2", "jp2_scene_klt", "jp2_gradient_klt")
    decoded = {name: round_trip(BASELINES[name], Scene(image), 16_000)[1] for name in names}
    quality = {name: metrics.psnr(image, found, 65_535) for name, found in decoded.items()}
    for name in names[1:]:
        assert quality[name] > quality["jp2"] + 3


def test_means_are_taken_per_place_first() -> None:
    image = procedural(2, 32, 32, nodata=False).image.astype(np.int64)
    rows = []
    for place, error in (("a", 1), ("a", 1), ("a", 1), ("b", 3)):
        codec = figures(image, image + error, 100)
        rows.append({"place": place, "codecs": {"x": codec} | dict.fromkeys(BASELINES, codec)})
    summary = summarise(rows, "x")
    assert summary["rmse"] == pytest.approx(2)
    assert (summary["places"], summary["scenes"]) == (2, 4)
    assert summary["psnr_gain_vs_jp2"] == 0


def test_rd_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for seed, size in ((1, 240), (2, 120)):
        scene = procedural(seed, size, size, nodata=False)
        geotiff.write(tmp_path / "data" / f"place{seed}__x.tif", scene)
    done = run("benchmarks", "rd", "--data", "data", "--bundle", NAME, "--json", "rd.json")
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "rd.json").read_text())
    assert document["schema"] == 1
    for group in ("summary", "patches", "spyndex"):
        assert document[group][NAME]["scenes"] == 1
        assert document[group][NAME]["jp2"]["bytes"] <= document[group][NAME]["bytes"]
        assert f"{document[group][NAME]['psnr16']:.2f}" in done.stdout
    assert len(document["rows"]) == 3


def test_without_a_name_bundles_for_the_scene_are_taken() -> None:
    names = default_names()
    assert {NAME, "skybook"} <= set(names)
    assert {bundles.load(name).bands for name in names} == {4}


def test_demo(run: Run, tmp_path: Path) -> None:
    done = run("benchmarks", "demo", "--output", "demo", "--bundle", NAME, "--json", "demo.json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "demo" / f"{NAME}.png").read_bytes().startswith(b"\x89PNG")
    shown = json.loads((tmp_path / "demo.json").read_text())["codecs"]
    stream = tmp_path / "demo" / f"{NAME}.sky"
    assert shown[NAME]["bytes"] == stream.stat().st_size
    for name in BASELINES:
        assert shown[name]["bytes"] <= shown[NAME]["bytes"]
        assert f"{shown[name]['psnr16']:.2f}" in done.stdout
    for column in ("PSNR16", "SSIM", "ratio", "bytes"):
        assert column in done.stdout
