"""Segmentation of what codecs leave: samples, folds, a network that learns, scores that add up."""

import json
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from benchmarks.__main__ import main
from benchmarks.reproduce import segmentationtables
from benchmarks.reproduce.segmentation import unet
from benchmarks.reproduce.segmentation.scores import Counts, figures
from benchmarks.reproduce.segmentation.study import Effort, folds, study
from benchmarks.reproduce.segmentation.tasks import (
    CULTIVATED,
    UNKNOWN,
    Pair,
    Sample,
    Task,
    standin,
)
from ground.products.geotiff import no_georeference_warning, write
from ground.scene import Scene
from onboard.errors import LimitError, UsageError

LITTLE = Effort(steps=1, seeds=1, samples=4, side=96)


def put(root: Path, name: str, image: NDArray[np.generic]) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, Scene(image))


def test_samples_of_a_folder(tmp_path: Path) -> None:
    image = np.arange(3 * 6 * 8).reshape(3, 6, 8)
    put(tmp_path, "set/lake/images/a_2019.tif", image.astype(np.int16))
    put(tmp_path, "set/lake/images/a_2020.tif", (image - 5).astype(np.int16))
    put(tmp_path, "set/lake/images/b.tif", image.astype(np.uint16))
    put(tmp_path, "set/lake/images/c.tif", image.astype(np.uint16))
    classes = np.array([[0, 1, 2, 255]] * 3, np.uint8)[None]
    put(tmp_path, "set/lake/labels/a.tif", classes)
    put(tmp_path, "set/lake/labels/b.tif", classes.repeat(2, 1).repeat(2, 2))
    put(tmp_path, "set/lake/labels/c.tif", classes[:, :1])
    put(tmp_path, "set/lake/labels/d.tif", classes)
    (tmp_path / "manifest.csv").write_text("path,place\nset/lake/images/b.tif,Rome\n")
    left: list[str] = []
    found = Task("lakes", "lake", bands=(2, 0), positive=(2,)).samples(tmp_path, left.append)
    assert [(s.name, s.place) for s in found] == [("a_2020", "a_2020"), ("b", "Rome")]
    assert np.array_equal(found[0].image, (image[[2, 0]] - 5).clip(0))
    for sample in found:
        assert sample.image.dtype == np.uint16
        assert sample.mask.tolist() == [[0, 0, 0, 0, 1, 1, 255, 255]] * 6
    assert len(left) == 2
    assert "expected classes of (6, 8), found (1, 4)" in "".join(left)


def test_samples_of_pairs(tmp_path: Path) -> None:
    image = np.arange(2 * 4 * 4, dtype=np.uint16).reshape(2, 4, 4)
    for name in ("s2/train/x__L1C.tif", "s2/test/x__L2A.tif"):
        put(tmp_path, name, image)
    put(tmp_path, "cover.tif", np.array([[[4, 1], [1, 4]]], np.uint8).repeat(2, 1).repeat(2, 2))
    pairs = tuple(Pair(f"s2/*/x__{s}.tif", "cover.tif", "x", (1,), (4,)) for s in ("L1C", "L2A"))
    found = Task("crops", "crops", pairs=pairs, quartered=True).samples(tmp_path, print)
    assert len(found) == 8
    assert {sample.place for sample in found} == {"x 00", "x 01", "x 10", "x 11"}
    last = next(sample for sample in found if sample.name == "x__L2A 10")
    assert np.array_equal(last.image, image[1:, 2:, :2])
    assert (last.mask == 0).all()


def test_classes_in_the_last_band(tmp_path: Path) -> None:
    """As scene classifications come: what tells nothing of a pixel is neither clear nor cloudy."""
    scene = np.array([[[-5, 7, 7000, 9]], [[8, 3, 0, 10]]], np.int16)
    put(tmp_path, "days/one.tif", scene)
    pairs = (Pair("days/*.tif", "", "x", (0,), (8, 10), (0,)),)
    (found,) = Task("clouds", "clouds", pairs=pairs).samples(tmp_path, print)
    assert found.image.tolist() == [[[0, 7, 7000, 9]]]
    assert found.mask.tolist() == [[1, 0, UNKNOWN, 1]]


def test_samples_between_integers_are_rounded(tmp_path: Path) -> None:
    values = np.array([[[0.5, 1.5, -3.0, np.nan], [70_000.0, 2.4, 2.6, 9.0]]], np.float32)
    for name, image in (("images/a.tif", values), ("labels/a.tif", np.ones((1, 2, 4), np.uint8))):
        (tmp_path / "burns" / name).parent.mkdir(parents=True)
        bands, rows, cols = image.shape
        kind = {"driver": "GTiff", "count": bands, "height": rows, "width": cols}
        with (
            no_georeference_warning(),
            rasterio.open(tmp_path / "burns" / name, "w", dtype=image.dtype, **kind) as target,
        ):
            target.write(image)
    (found,) = Task("burnt", "burns").samples(tmp_path, print)
    assert found.image.dtype == np.uint16
    assert found.image.tolist() == [[[0, 2, 0, 0], [65_535, 2, 3, 9]]]


def test_folds_never_part_a_place() -> None:
    places = [f"p{number % 7}" for number in range(20)]
    parts = folds(places)
    assert len(parts) == 3
    assert set().union(*parts) == set(places)
    assert sum(map(len, parts)) == 7
    assert folds(places[::-1]) == parts
    with pytest.raises(UsageError, match="expected samples of two places"):
        folds(["one", "one"])


def test_scores_of_all_pixels() -> None:
    mask = np.array([[1, 1, 0, 0, 255]], np.uint8)
    right, half = (np.array([row], np.bool_) for row in ([1, 1, 0, 0, 1], [1, 0, 1, 0, 0]))
    counts = {
        "original": [Counts.of(mask, right), Counts.of(mask, right)],
        "lossy": [Counts.of(mask, right), Counts.of(mask, half)],
        "same": [Counts.of(mask, right), Counts.of(mask, right)],
    }
    found = figures(counts, ["a", "b"], "original")
    assert found["original"]["iou"] == found["original"]["accuracy"] == 1
    lossy = found["lossy"]
    assert (lossy["accuracy"], lossy["precision"], lossy["recall"]) == (0.75, 0.75, 0.75)
    assert lossy["iou"] == pytest.approx(3 / 5)
    assert lossy["iou_lost"] == pytest.approx(2 / 5)
    assert lossy["iou_lost_low"] == 0
    assert lossy["iou_lost_high"] == pytest.approx(2 / 3)
    assert found["same"]["iou_lost_low"] == found["same"]["iou_lost_high"] == 0


def test_what_a_codec_did_not_code_counts_for_neither() -> None:
    mask = np.array([[1, 1, 0, 0]], np.uint8)
    right, half = (np.array([row], np.bool_) for row in ([1, 1, 0, 0], [1, 0, 0, 0]))
    counts = {
        "original": [Counts.of(mask, half), Counts.of(mask, right)],
        "some": [None, Counts.of(mask, right)],
        "worse": [None, Counts.of(mask, half)],
    }
    found = figures(counts, ["a", "b"], "original")
    assert found["original"]["iou"] == 3 / 4
    assert found["some"]["iou"] == 1
    assert found["some"]["iou_lost"] == found["some"]["iou_lost_low"] == 0
    assert found["worse"]["iou_lost"] == found["worse"]["iou_lost_high"] == 1 / 2


def test_the_network_learns_and_says_the_same_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unet, "CROP", 32)
    monkeypatch.setattr(unet, "BATCH", 4)
    samples = standin(3, 72)
    image, mask = samples[2].image[:, :70, :61], samples[2].mask[:70, :61]
    networks = [unet.train(samples[:2], steps, seed=1) for steps in (1, 1, 40)]
    first, again, taught = (unet.predict(network, image) for network in networks)
    assert np.array_equal(first, again)
    assert taught.shape == mask.shape
    wrong, share = float((taught != (mask == 1)).mean()), float((mask == 1).mean())
    assert wrong < 0.8 * min(share, 1 - share)


def test_a_study_tells_what_a_codec_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a network that finds what was to be found, by chance."""
    seen: list[set[str]] = []

    def find(network: set[str], image: NDArray[np.uint16]) -> NDArray[np.bool_]:
        red, infrared = image[2].astype(float), image[3].astype(float)
        return infrared - red > 0.5 * (infrared + red)

    def learn(samples: list[Sample], steps: int, seed: int) -> set[str]:
        seen.append({sample.place for sample in samples})
        return seen[-1]

    monkeypatch.setattr(unet, "train", learn)
    monkeypatch.setattr(unet, "predict", find)

    def mean(image: NDArray[np.uint16]) -> NDArray[np.uint16]:
        return np.broadcast_to(image.mean(axis=(1, 2), keepdims=True), image.shape).astype("u2")

    def never(image: NDArray[np.uint16]) -> NDArray[np.uint16]:
        raise LimitError("too few")

    samples = standin(4, 96)

    def all_but_one(image: NDArray[np.uint16]) -> NDArray[np.uint16]:
        return never(image) if np.array_equal(image, samples[1].image) else image

    left: list[str] = []
    ways = {"exact": lambda image: image, "mean": mean, "never": never, "most": all_but_one}
    found = study(samples, ways, LITTLE, lambda _: None, left.append)
    assert set(found) == {"original", "exact", "mean", "most"}
    assert found["original"]["iou"] == 1
    assert [len(places) for places in seen] == [2, 3, 3]
    assert found["exact"] == found["original"]
    assert found["mean"]["iou_lost"] > 0.1
    assert left == ["never: 4 of 4 images: too few", "most: 1 of 4 images: too few"]
    assert [row["left_out"] for row in found.values()] == [0, 0, 0, 1]
    assert found["most"]["iou_lost"] == 0


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("corsa-table2", ("corsa-3level-256", "corsa-3level-1024", "skybook/19.5", "jp2_klt/19.5")),
        ("segmentation", ("vegetation/corsa-2level-1024", "vegetation/skybook/20")),
    ],
)
def test_tables(
    table: str, names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmentationtables, "QUICK", Effort(1, 1, samples=2, side=64))
    monkeypatch.setattr(segmentationtables, "QUICK_TRAINING", 1)
    monkeypatch.setattr(segmentationtables, "RATIOS", (20.0,))
    target = tmp_path / "out.json"
    assert main(["reproduce", table, "--quick", "--json", str(target)]) == 0
    found = json.loads(target.read_text())[table]
    original = next(row for name, row in found.items() if name.endswith("original"))
    for name in names:
        assert found[name]["iou_lost"] == pytest.approx(original["iou"] - found[name]["iou"])
    assert found["seeds"] == [0]


def test_a_folder_without_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for table in ("corsa-table2", "segmentation"):
        assert main(["reproduce", table, "--data", str(tmp_path)]) == 2
        assert "found none" in capsys.readouterr().err


def test_a_part_of_a_sample() -> None:
    (sample,) = standin(1, 40)
    part = sample.within(24)
    assert part.image.shape == (4, 24, 24)
    assert part.mask.shape == (24, 24)
    assert CULTIVATED.samples(Path("nowhere"), print) == []
    assert isinstance(part, Sample)
