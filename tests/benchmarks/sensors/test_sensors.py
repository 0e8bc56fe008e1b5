"""Sensors: which scenes are measured, against whom, and what is made of the figures."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.sensors import measure as measuring
from benchmarks.sensors.bayer import demosaic, planes_of
from benchmarks.sensors.catalogue import CATALOGUE
from benchmarks.sensors.contents import CONTENTS, KEYS, Sample, content_of, for_rivals
from benchmarks.sensors.measure import MODES, measure, summarise
from benchmarks.sensors.report import sensors_table
from benchmarks.sensors.samples import samples
from benchmarks.sensors.standins import standins
from ground.products.geotiff import write
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.train.profile import trial
from onboard.errors import InputError
from tests.profiles import cube


def write_scene(path: Path, scene: Scene) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, scene)


def test_without_data_there_is_a_scene_of_every_content() -> None:
    made = standins(64)
    assert [sample.content for sample in made] == list(KEYS)
    peaks = {sample.content: sample.scene.peak for sample in made}
    assert (peaks["rgb8"], peaks["rgb11"], peaks["pan"], peaks["bands4"]) == (
        255,
        2047,
        2047,
        65535,
    )
    by_content = {sample.content: sample.scene.image for sample in made}
    noise, smooth = (
        np.abs(np.diff(by_content[key].astype(int), 3)).mean()
        for key in ("thermal_noisy", "thermal_smooth")
    )
    assert noise > 2 * smooth


def test_a_folder_of_ones_own_is_told_apart_by_its_folders_then_by_bands(tmp_path: Path) -> None:
    write_scene(tmp_path / "thermal_smooth" / "night.tif", procedural(1, 64, 64, 1))
    write_scene(tmp_path / "mine" / "day.tif", procedural(1, 64, 64, 1))
    write_scene(tmp_path / "six.tif", procedural(1, 64, 600, 6))
    write_scene(tmp_path / "two.tif", procedural(1, 64, 64, 2))
    left: list[str] = []
    found = {sample.name: sample for sample in samples(tmp_path, leave=left.append)}
    assert {name: sample.content for name, sample in found.items()} == {
        "thermal_smooth/night.tif": "thermal_smooth",
        "mine/day.tif": "pan",
        "six.tif": "bands6_7",
    }
    assert found["six.tif"].scene.image.shape == (6, 64, 512)
    assert left == ["two.tif: no content of 2 bands"]


def test_a_folder_with_files_of_the_catalogue_gives_those_and_tells_what_it_lacks(
    tmp_path: Path,
) -> None:
    entry = next(entry for entry in CATALOGUE if "ftw" in entry.name)
    rows, cols = entry.shape
    image = procedural(2, rows, cols, 4, nodata=False).image
    write_scene(tmp_path / entry.files[0], Scene(image))
    write_scene(tmp_path / "other.tif", Scene(image))
    left: list[str] = []
    (sample,) = samples(tmp_path, leave=left.append)
    assert (sample.name, sample.scene.image.dtype) == (entry.name, np.uint8)
    assert entry.white is not None
    levels = image[[2, 1, 0]] * (255 / entry.white)
    assert np.abs(sample.scene.image - np.clip(levels, 1, 255)).max() < 0.501
    assert len(left) == len(CATALOGUE) - 1


def test_a_part_outside_of_its_file_is_refused(tmp_path: Path) -> None:
    entry = CATALOGUE[0]
    for name in entry.files:
        write_scene(tmp_path / name, procedural(1, 64, 64, 1))
    with pytest.raises(InputError, match=r"expected \(448, 448\) pixels, found \(0, 0\)"):
        entry.read(tmp_path)


def test_content_by_bands_and_bits() -> None:
    byte = Scene(np.zeros((3, 8, 8), np.uint8))
    assert content_of(byte) == "rgb8"
    found = [content_of(Scene(np.zeros((n, 8, 8), np.uint16))) for n in (1, 2, 3, 4, 5, 9, 16, 17)]
    assert found == ["pan", "", "rgb11", "bands4", "bands6_7", "bands10_12", "bands10_12", "cube"]


def test_rivals_pay_neither_for_signs_nor_for_nodata() -> None:
    image = np.full((2, 4, 4), -5, np.int16)
    image[:, 0, 0] = -9999
    samples_, added = for_rivals(Scene(image, nodata=-9999))
    assert (samples_.dtype, added) == (np.uint16, 32_768)
    np.testing.assert_array_equal(samples_, 32_763)


def row(scene: str, place: str, rates: dict[str, float | None]) -> dict[str, Any]:
    figures = {"bd_rate_vs_jp2": -40.0} | {f"bd_rate_vs_{k}": v for k, v in rates.items()}
    return {"scene": scene, "place": place, "bits": 16, **dict.fromkeys(MODES, figures)}


def test_scenes_of_one_place_count_as_one_and_the_worst_is_named() -> None:
    (content,) = (content for content in CONTENTS if content.key == "bands4")
    rows = [row("a", "one", {"jp2_klt": -10.0}), row("b", "one", {"jp2_klt": -20.0})]
    rows += [row("c", "two", {"jp2_klt": -5.0}), row("d", "three", {"jp2_klt": None})]
    found = summarise(content, rows)
    assert (found["reference"], found["scenes"], found["places"]) == ("jp2_klt", 4, 3)
    assert found["plain"]["bd_rate"] == pytest.approx(-10)
    assert found["plain"]["worst"] == {"scene": "c", "bd_rate": -5}
    assert found["trellis"]["bd_rate_vs_jp2"] == pytest.approx(-40)


def test_eight_bits_are_measured_with_their_own_peak_and_come_back_nearly_exact() -> None:
    image = procedural(3, 64, 64, 3, nodata=False).image >> 4
    sample = Sample("rgb8", "x", "x", Scene(image.astype(np.uint8)))
    document = measure("skybook", [sample]) | {"left_out": ["gone"]}
    (measured,) = document["rows"]
    assert measured["rivals"].keys() == {"jp2", "jp2_scene_klt", "jp2_gradient_klt"}
    last = measured["plain"]["points"][-1]
    assert last["psnr16"] - last["psnr"] == pytest.approx(20 * np.log10(257))
    near = document["summary"]["rgb8"]["plain"]["psnr8_near"]
    assert near is None or near > 70
    assert document["summary"]["rgb8"]["trellis"]["bd_rate"] is not None
    text = sensors_table(document)
    assert "RGB, 8 bits" in text
    assert text.endswith("left out: gone")


def test_the_command_prints_and_writes_what_it_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_scene(tmp_path / "pan" / "a.tif", procedural(4, 128, 128, 1, nodata=False))
    target = tmp_path / "sensors.json"
    assert main(["sensors", "--data", str(tmp_path), "--quick", "--json", str(target)]) == 0
    assert "panchromatic" in capsys.readouterr().out
    summary = json.loads(target.read_text())["summary"]["pan"]
    assert summary["reference"] == "jp2"
    for mode in MODES:
        assert summary[mode]["bd_rate"] < 0
        assert summary[mode]["worst"]["scene"] == "pan/a.tif"


def test_a_mosaic_is_demosaiced_without_a_change_to_what_was_sensed() -> None:
    rgb = procedural(6, 64, 64, 3, nodata=False).image.astype(np.uint16)
    planes = planes_of(rgb)
    found = demosaic(planes, 65_535)
    np.testing.assert_array_equal(planes_of(found), planes)
    inner = (slice(None), slice(4, -4), slice(4, -4))
    truth = rgb[inner].astype(int)
    error, spread = np.abs(found[inner] - truth).mean(), truth.std()
    assert error < spread / 4
    flat = np.full((4, 8, 8), 1_000, np.uint16)
    np.testing.assert_array_equal(demosaic(flat, 65_535), 1_000)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_a_mosaic_is_measured_as_a_mosaic(tmp_path: Path, dtype: type) -> None:
    rgb = procedural(6, 128, 128, 3, nodata=False).image
    mosaic = Scene(planes_of(rgb).astype(dtype), bayer="rggb").joined().image
    write_scene(tmp_path / "bayer" / "a.tif", Scene(mosaic))
    (sample,) = samples(tmp_path)
    assert (sample.content, sample.scene.image.shape) == ("bayer", (4, 64, 64))
    np.testing.assert_array_equal(sample.original.image, mosaic)
    document = measure("skybook", [sample])
    (measured,) = document["rows"]
    for points in (*measured["rivals"].values(), measured["plain"]["points"]):
        assert points[-1]["bits"] == pytest.approx(2, rel=0.03)
        assert points[0]["psnr16"] < points[-1]["psnr16"]
        assert points[-1]["psnr16"] > 45
    assert document["summary"]["bayer"]["trellis"]["bd_rate"] is not None


def test_a_cube_is_measured_with_a_profile_of_other_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of others in its folder, or of the lines above those that are measured."""
    monkeypatch.setattr(trial, "BITS", (0.2, 0.8))
    monkeypatch.setattr(trial, "MOST_SIDE", 64)
    monkeypatch.setattr(measuring, "BITS", (0.4, 0.8))
    monkeypatch.setattr(measuring, "OUR_BITS", (0.1, 0.3, 0.8))
    one, other = (Scene(cube(20, 96, 64, seed)) for seed in (1, 2))
    write_scene(tmp_path / "one.tif", one)
    (alone,) = samples(tmp_path)
    np.testing.assert_array_equal(alone.scene.image, one.image[:, 64:])
    np.testing.assert_array_equal(alone.earlier[0].image, one.image[:, :64])
    write_scene(tmp_path / "other.tif", other)
    first, second = samples(tmp_path)
    np.testing.assert_array_equal(first.earlier[0].image, second.scene.image)
    np.testing.assert_array_equal(second.earlier[0].image, first.scene.image)
    with_profile = measure("skybook", [first])["rows"][0]
    without = measure("skybook", [replace(first, earlier=())])["rows"][0]
    assert (len(with_profile["profile"]), without["profile"]) == (16, None)
    last, plain = (row["plain"]["points"][-1] for row in (with_profile, without))
    assert last["psnr16"] > plain["psnr16"] + 2
