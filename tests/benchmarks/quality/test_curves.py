"""Rate-distortion curves: Bjontegaard deltas, bundles of variable rate, plots."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.codecs import table
from benchmarks.codecs.codec import Coded
from benchmarks.codecs.table import BASELINES
from benchmarks.quality import curves, figures
from benchmarks.quality.bdrate import Point, bd_psnr, bd_rate
from benchmarks.quality.measure import rate_distortion
from benchmarks.quality.plots import write_plots
from benchmarks.quality.report import summary_table
from benchmarks.scenes import BenchmarkScene
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.errors import LimitError, SkybookError
from onboard.image.files import Image

CURVE: list[Point] = [(1000, 50.0), (2000, 55.0), (3000, 57.0), (8000, 63.0)]


@given(
    st.lists(st.tuples(st.floats(1, 1e7), st.floats(20, 100)), min_size=2, max_size=12),
)
def test_a_curve_does_not_differ_from_itself(points: list[Point]) -> None:
    assert bd_rate(points, points) in (None, 0)
    assert bd_psnr(points, points) in (None, 0)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.2])
def test_bd_rate_is_the_factor_between_parallel_curves(factor: float) -> None:
    fewer = [(factor * rate, psnr) for rate, psnr in CURVE]
    assert bd_rate(fewer, CURVE) == pytest.approx(100 * (factor - 1))
    assert bd_rate(CURVE, fewer) == pytest.approx(100 * (1 / factor - 1))


def test_bd_psnr_is_the_gain_between_parallel_curves() -> None:
    better = [(rate, psnr + 1.5) for rate, psnr in CURVE]
    assert bd_psnr(better, CURVE) == pytest.approx(1.5)
    assert bd_psnr(CURVE, better) == pytest.approx(-1.5)
    assert bd_rate(better, CURVE) < 0


def test_deltas_by_hand_on_partly_overlapping_curves() -> None:
    ours: list[Point] = [(2, 10.0), (8, 20.0)]  # log2 rate 1 to 3
    other: list[Point] = [(4, 10.0), (8, 20.0), (16, 30.0)]  # log2 rate 2, 3, 4
    # Over 10 to 20 dB the gap in log2 rate falls from -1 to 0: on the mean half an octave.
    assert bd_rate(ours, other) == pytest.approx(100 * (2**-0.5 - 1))
    # Over 4 to 8 bytes ours falls from 5 dB above to none.
    assert bd_psnr(ours, other) == pytest.approx(2.5)


def test_deltas_need_an_overlap() -> None:
    above = [(rate, psnr + 40) for rate, psnr in CURVE]
    assert bd_rate(above, CURVE) is None
    assert bd_psnr([(rate * 100, psnr) for rate, psnr in CURVE], CURVE) is None
    assert bd_rate([], CURVE) is None
    assert bd_rate(CURVE[:1], CURVE) is None


def test_points_that_bytes_made_no_better_do_not_count() -> None:
    odd = [*CURVE, (2500.0, 54.0), (2000.0, 53.0), (9000.0, math.inf)]
    assert bd_rate(odd, CURVE) == pytest.approx(0)


@dataclass(frozen=True)
class Cheaper(Coded):
    """What is said to have taken a tenth fewer bytes than it did."""

    @property
    def length(self) -> int:
        return round(0.9 * super().length)


@dataclass
class CheaperKlt:
    """JPEG 2000 after the gradient KLT, said to have taken a tenth fewer bytes than it did."""

    name: str = "cheaper"
    bands: int = 4
    variable_rate: bool = True
    least: int = 0
    asked: list[int | None] = field(default_factory=list)

    def tile_of(self, scene: Scene) -> int:
        return 64

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        assert budget is not None
        self.asked.append(budget)
        if budget < self.least:
            raise LimitError("too few bytes")
        coded = BASELINES["jp2_gradient_klt"].encode(scene, budget)
        return Cheaper(coded.parts, coded.shape)

    def decode(self, coded: Coded) -> Image:
        return BASELINES["jp2_gradient_klt"].decode(coded)


def scenes(_bands: int) -> list[BenchmarkScene]:
    return [
        BenchmarkScene(f"s{seed}", place, "summary", procedural(seed, 96, 128, nodata=False))
        for seed, place in ((1, "a"), (2, "a"), (3, "b"))
    ]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return rate_distortion(["cheaper"], scenes, open_codecs=lambda _name: [CheaperKlt()])


def test_variable_rate_is_measured_at_every_ratio(document: dict[str, Any]) -> None:
    raw = 4 * 96 * 128 * 2
    for row in document["rows"]:
        assert [point["ratio"] for point in row["points"]] == list(curves.RATIOS)
        for point in row["points"]:
            assert point["budget"] == math.floor(raw / point["ratio"])
            for name in BASELINES:
                assert point["codecs"][name]["bytes"] <= point["budget"]
            ours = point["codecs"]["cheaper"]
            assert len(ours["band_bias"]) == 4
            assert ours["bias"] == max(map(abs, ours["band_bias"]))
            assert 0 < ours["ndvi_error"] < 0.5
            assert ours["worst_tile_psnr16"] < ours["psnr16"]


def test_deltas_of_a_codec_that_takes_a_tenth_less(document: dict[str, Any]) -> None:
    for row in document["rows"]:
        assert row["bd_rate_vs_jp2_gradient_klt"] == pytest.approx(-10, abs=0.05)
        both = [row["bd_rate_vs_jp2_gradient_klt"], row["bd_rate_vs_jp2_scene_klt"]]
        assert row["bd_rate_vs_jp2_klt"] == max(both)
        assert row["bd_psnr_vs_jp2_klt"] > 0
    summary = document["summary"]["cheaper"]
    by_scene = {row["scene"]: row["bd_rate_vs_jp2_klt"] for row in document["rows"]}
    per_place = (by_scene["s1"] + by_scene["s2"]) / 2, by_scene["s3"]
    assert summary["bd_rate_vs_jp2_klt"] == pytest.approx(np.mean(per_place))
    worst = summary["worst_scene_bd_rate_vs_jp2_klt"]
    assert worst == {"scene": max(by_scene, key=by_scene.__getitem__), "bd_rate": worst["bd_rate"]}
    assert worst["bd_rate"] == max(by_scene.values())
    assert summary["psnr_gain_vs_jp2_at_cr20"] == pytest.approx(summary["psnr_gain_vs_jp2"])
    for name in BASELINES:
        assert {f"bd_rate_vs_{name}", f"bd_psnr_vs_{name}"} <= summary.keys()


def test_means_of_a_curve_are_taken_per_place_first(document: dict[str, Any]) -> None:
    point = document["summary"]["cheaper"]["points"][0]
    psnr = {row["scene"]: row["points"][0]["codecs"]["jp2"]["psnr16"] for row in document["rows"]}
    expected = ((psnr["s1"] + psnr["s2"]) / 2 + psnr["s3"]) / 2
    assert point["codecs"]["jp2"]["psnr16"] == pytest.approx(expected)
    assert point["scenes"] == 3
    assert point["codecs"]["jp2_klt"]["psnr16"] > point["codecs"]["jp2"]["psnr16"] - 1


def test_report_shows_curve_and_deltas(document: dict[str, Any]) -> None:
    text = summary_table(document)
    summary = document["summary"]["cheaper"]
    assert f"{summary['bd_rate_vs_jp2_klt']:+.1f} %" in text
    for point in summary["points"]:
        for name in ("cheaper", "jp2_klt"):
            assert f"{point['codecs'][name]['ndvi_error']:.5f}" in text
            assert f"{point['codecs'][name]['worst_tile_psnr16']:.2f}" in text
    assert summary["worst_scene_bd_rate_vs_jp2_klt"]["scene"] in text


def test_a_missing_baseline_is_said(
    document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(table.BASELINES, "htj2k", raising=False)
    text = summary_table(document | {"left_out": {"htj2k": "imagecodecs is not installed"}})
    assert "HTJ2K per band left out: imagecodecs is not installed" in text


def test_a_ratio_out_of_reach_is_left_out_and_said() -> None:
    codec = CheaperKlt(least=3000)
    done = rate_distortion(["x"], lambda _: scenes(4)[:1], open_codecs=lambda _name: [codec])
    row = done["rows"][0]
    assert [point["ratio"] for point in row["left_out"]] == [40]
    assert "s1 left out at ratio 40: too few bytes" in summary_table(done)


def test_more_bytes_than_the_budget_is_an_error() -> None:
    class Greedy(CheaperKlt):
        def encode(self, scene: Scene, budget: int | None = None) -> Coded:
            return Coded((bytes((budget or 0) + 1),), scene.image.shape)

        def decode(self, coded: Coded) -> Image:
            return np.zeros(coded.shape, np.uint16)

    with pytest.raises(SkybookError, match="expected at most"):
        rate_distortion(["x"], scenes, open_codecs=lambda _name: [Greedy()])


def test_baselines_are_coded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[bytes, int]] = []

    class Counted:
        def encode(self, scene: Scene, budget: int) -> Coded:
            asked.append((scene.image.tobytes(), budget))
            self.image = scene.image
            return Coded((bytes(budget),), scene.image.shape)

        def decode(self, coded: Coded) -> Image:
            return self.image + np.uint16(coded.length % 2 + 1)

    for name in BASELINES:
        monkeypatch.setitem(figures.BASELINES, name, Counted())
    rate_distortion(
        ["one", "two"],
        lambda _: scenes(4)[:2],
        open_codecs=lambda name: [CheaperKlt(name)],
    )
    ours = 2 * 2 * len(curves.RATIOS)  # what the codec itself asks of a baseline
    assert len(asked) == ours + 2 * len(curves.RATIOS) * len(BASELINES)


def test_plots(document: dict[str, Any], tmp_path: Any) -> None:
    written = write_plots(document, tmp_path / "plots")
    names = {path.name for path in written}
    assert names == {"s1.png", "s2.png", "s3.png", "mean-summary.png"}
    for path in written:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_spectral_truth_by_hand() -> None:
    a = np.full((4, 2, 2), 1000, np.uint16)
    a[3] = 3000  # NDVI 0.5
    a[2:, 0, 0] = 0  # NDVI undefined: does not count
    b = a.copy()
    b[2, 1, 1], b[3, 1, 1] = 2000, 2000  # NDVI 0
    found = figures.figures(a, b, 10)
    assert found["ndvi_error"] == pytest.approx(0.5 / 3)
    assert found["band_bias"] == pytest.approx([0, 0, 250, -250])
    assert found["bias"] == 250
    assert figures.figures(a[:3], b[:3], 10)["ndvi_error"] is None


def test_worst_tile_by_hand() -> None:
    a = np.full((2, 100, 150), 1000, np.uint16)
    b = a.copy()
    b[:, 99, 149] += 64  # in the tile of the south-eastern corner alone: MSE 64 * 64 / 64 / 64
    expected = 20 * math.log10(65535)
    assert figures.figures(a, b, 10)["worst_tile_psnr16"] == pytest.approx(expected)
    small = figures.figures(a[:, -20:, -20:], b[:, -20:, -20:], 10)
    assert small["worst_tile_psnr16"] == pytest.approx(small["psnr16"])
