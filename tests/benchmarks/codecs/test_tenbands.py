"""Ten bands of two resolutions through codecs of one: within the budget, and back."""

from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.codecs.codec import Coded, OnePass
from benchmarks.codecs.klt import scene_covariance
from benchmarks.codecs.kltjpeg2000 import KltJpeg2000
from benchmarks.codecs.skybook import BUNDLE, bundle_codecs
from benchmarks.codecs.tenbands import (
    BestShares,
    Better,
    OneStep,
    Together,
    repeated,
    smooth,
    squared_error,
)
from benchmarks.reproduce.corsaopeneo import standin
from ground.scene import Scene
from ground.scenes.tenbands import TenBands
from onboard.errors import LimitError
from onboard.image.files import Image

SCENE = standin(64)
KLT = KltJpeg2000(scene_covariance)


@dataclass(frozen=True)
class Exact:
    """A codec that loses nothing, or a constant."""

    off: int = 0
    variable_rate = False

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        return Coded((scene.image.tobytes(),), scene.image.shape)

    def decode(self, coded: Coded) -> Image:
        samples = np.frombuffer(coded.parts[0], np.uint16).reshape(coded.shape)
        return samples + np.uint16(self.off)

    def one_pass(self, scene: Scene, ratio: float) -> OnePass:
        raise NotImplementedError


def test_bands_of_20_m_are_spread_so_that_their_means_stay() -> None:
    wide = smooth(SCENE.coarse)
    cells = wide.reshape(6, 32, 2, 32, 2)
    assert cells.mean(axis=(2, 4)) == pytest.approx(SCENE.coarse)
    steps = [np.abs(np.diff(image, axis=2)).max() for image in (wide, repeated(SCENE.coarse))]
    assert steps[0] < steps[1]


@pytest.mark.parametrize("weight", [1, 2])
def test_together_gives_back_what_was_sensed(weight: int) -> None:
    way = Together(Exact(), repeated, weight)
    back = way.decode(way.encode(SCENE, 0))
    assert np.array_equal(back.fine, SCENE.fine)
    assert np.abs(back.coarse.astype(int) - SCENE.coarse).max() <= weight - 1


def test_the_better_way_is_taken_and_told() -> None:
    way = Better((Together(Exact(7), repeated), Together(Exact(3), repeated)))
    streams = way.encode(SCENE, 10**6)
    assert streams[0].parts == (b"\x01",)
    assert squared_error(SCENE, way.decode(streams)) == 9 * (SCENE.fine.size + SCENE.coarse.size)


def test_two_scenes_of_ours_share_one_step_and_one_budget() -> None:
    codec = bundle_codecs(BUNDLE)[1]
    budget = SCENE.raw_bytes // 12
    way = OneStep(codec)
    streams = way.encode(SCENE, budget)
    assert 0.9 * budget < sum(coded.length for coded in streams) <= budget
    back = way.decode(streams)
    fine, coarse = (
        float(np.square(a.astype(float) - b).mean())
        for a, b in ((SCENE.fine, back.fine), (SCENE.coarse, back.coarse))
    )
    assert 0.25 < fine / coarse < 4


def test_shares_of_a_rival_are_about_the_best() -> None:
    """The error has small steps, so that the least is found to a few percent."""
    budget = SCENE.raw_bytes // 8
    way = BestShares(KLT)
    streams = way.encode(SCENE, budget)
    assert sum(coded.length for coded in streams) <= budget
    error = squared_error(SCENE, way.decode(streams))
    for share in (0.45, 0.6, 0.75):
        fine = KLT.encode(Scene(SCENE.fine), int(budget * share))
        coarse = KLT.encode(Scene(SCENE.coarse), budget - fine.length)
        images = (KLT.decode(coded).astype(np.uint16) for coded in (fine, coarse))
        assert error <= 1.1 * squared_error(SCENE, TenBands(*images))


def test_too_few_bytes() -> None:
    with pytest.raises(LimitError, match="no share"):
        BestShares(KLT).encode(SCENE, 150)
    with pytest.raises(LimitError, match="no way"):
        Better((BestShares(KLT),)).encode(SCENE, 150)
