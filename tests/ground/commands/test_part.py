"""`decode --window` and `--overview`: parts of a scene at their place on Earth."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import onboard
from ground.__main__ import main
from ground.decode.lapped.overview import averaged
from ground.products import geotiff
from ground.scene import Scene
from ground.scenes.procedural import procedural

PLACE = (600000.0, 10.0, 0.0, 4500000.0, 0.0, -10.0)


@pytest.fixture(scope="module")
def scene() -> Scene:
    image = procedural(6, 200, 264).image[:4].astype(np.uint16)
    return Scene(image, None, PLACE, "EPSG:32633", ("B02", "B03", "B04", "B08"))


@pytest.fixture
def folder(tmp_path: Path, scene: Scene) -> Path:
    stream = onboard.encode(scene.image, header=scene.header(), ratio=10)
    (tmp_path / "a.sky").write_bytes(stream)
    geotiff.write(tmp_path / "original.tif", scene)
    return tmp_path


def decoded(folder: Path, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit code of `decode`, and what it says."""
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    given = [str(folder / "a.sky"), "-o", str(folder / "part.tif"), "--linear", *options]
    code = main(["decode", *given, "--json", str(result)])
    return code, json.loads(result.read_text()) if result.exists() else {}


def test_a_window_lies_where_it_was_cut(folder: Path) -> None:
    code, result = decoded(folder, "--window", "60,70,190,150", "--index")
    assert code == 0
    assert (folder / "a.sky.idx").exists()
    assert result["window"] == [60, 70, 190, 150]
    assert result["shape"] == [4, 80, 130]
    assert main(["decode", str(folder / "a.sky"), "-o", str(folder / "b.tif"), "--linear"]) == 0
    with rasterio.open(folder / "part.tif") as part, rasterio.open(folder / "b.tif") as whole:
        np.testing.assert_array_equal(part.read(), whole.read()[:, 70:150, 60:190])
        assert part.transform.to_gdal() == (600600.0, 10.0, 0.0, 4499300.0, 0.0, -10.0)
        assert part.crs == whole.crs
        assert part.descriptions == whole.descriptions
        assert part.tags(ns="SKYBOOK")["SKYBOOK_WINDOW"] == "60,70,190,150"


@pytest.mark.parametrize("step", [2, 16])
def test_an_overview_has_larger_pixels(folder: Path, step: int) -> None:
    code, result = decoded(folder, "--overview", str(step))
    assert code == 0
    assert result["shape"] == [4, -(-200 // step), -(-264 // step)]
    with rasterio.open(folder / "part.tif") as part:
        wanted = (600000.0, 10.0 * step, 0.0, 4500000.0, 0.0, -10.0 * step)
        assert part.transform.to_gdal() == wanted
        assert part.tags(ns="SKYBOOK")["SKYBOOK_OVERVIEW"] == f"1/{step}"
        assert part.tags(ns="SKYBOOK")["SKYBOOK_IMAGE"] == "linear"


@pytest.mark.parametrize("options", [("--window", "60,70,190,150"), ("--overview", "8")])
def test_the_same_part_of_the_original_is_compared(
    folder: Path, scene: Scene, options: tuple[str, str]
) -> None:
    code, result = decoded(folder, *options, "--original", str(folder / "original.tif"))
    assert code == 0
    with rasterio.open(folder / "part.tif") as part:
        found = part.read().astype(np.float64)
    wanted = scene.image[:, 70:150, 60:190]
    if "--overview" in options:
        wanted = np.rint(averaged(scene.image.astype(np.float32), 8))
    error = np.mean((found - wanted) ** 2)
    assert result["psnr16"] == pytest.approx(10 * np.log10(65535**2 / error), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--window", "0,0,300,10"), "X1 <= 264"),
        (("--window", "0,0,10"), "expected X0,Y0,X1,Y1"),
        (("--window", "5,5,5,9"), "0 <= X0 < X1"),
        (("--window", "0,0,9,9", "--width", "264"), "--width: expected neither"),
        (("--overview", "8", "--all-scenes"), "--all-scenes: expected neither"),
        (("--index",), "--index: expected --window or --overview"),
    ],
)
def test_what_is_no_part_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    code, _ = decoded(folder, *options)
    assert code == 2
    assert said in capsys.readouterr().err
    assert not (folder / "part.tif").exists()


def test_fast_is_linear(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["decode", str(folder / "a.sky"), "-o"]
    fast, linear = folder / "fast.tif", folder / "linear.tif"
    assert main([*given, str(fast), "--quality", "fast"]) == 0
    assert main([*given, str(linear), "--linear"]) == 0
    with rasterio.open(fast) as one, rasterio.open(linear) as other:
        np.testing.assert_array_equal(one.read(), other.read())
    assert main([*given, str(fast), "--linear", "--quality", "standard"]) == 2
    assert "expected no --quality standard" in capsys.readouterr().err


def test_best_is_another_image_of_the_same_mask(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["decode", str(folder / "a.sky"), "-o"]
    best, standard = folder / "best.tif", folder / "standard.tif"
    assert main([*given, str(best), "--quality", "best", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["quality"] == "best"
    assert main([*given, str(standard)]) == 0
    with rasterio.open(best) as one, rasterio.open(standard) as other:
        away = np.abs(one.read().astype(int) - other.read())
        assert 0 < away.mean() < away.max() < 100
        np.testing.assert_array_equal(one.read_masks(), other.read_masks())
    assert main([*given, str(best), "--quality", "best", "--overview", "2"]) == 2
    assert "--quality best: expected no --window" in capsys.readouterr().err
