"""Trellises: granular gains, paths, and scenes coded along them."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.ablation import trelliscoder
from benchmarks.ablation.measure import stream_of
from benchmarks.ablation.trellis import E8, Trellis, dependent, independent, lattice
from benchmarks.ablation.trelliscoder import TrellisCodedScene, fit_trellis
from benchmarks.ablation.variants import linear_decoder, prepare
from ground import metrics
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.bundle import Bundle, find, load
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.encoder import Encoder
from onboard.errors import LimitError
from tests.conftest import model_of

NAME = "skybook"
D4 = ((1, 1, 1, 1),)


@pytest.fixture(scope="module")
def full() -> Bundle:
    return load(NAME)


@pytest.fixture(scope="module")
def batches(full: Bundle) -> list[PreparedTiles]:
    images = [procedural(seed, 128, 128, nodata=False).image for seed in (1, 2)]
    tiles = [i.reshape(4, 2, 64, 2, 64).transpose(1, 3, 0, 2, 4) for i in images]
    return prepare(
        model_of(full), [t.reshape(4, 4, 64, 64) for t in tiles], lambda _: model_of(full).front_end
    )


@pytest.fixture(scope="module")
def tiles() -> Scene:
    return procedural(7, 64, 128, nodata=False)


@pytest.fixture(autouse=True)
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trelliscoder, "ROUNDS", 1)


def psnr(scene: Scene, decoded: NDArray[Any]) -> float:
    return metrics.psnr(scene.image, decoded, metrics.PEAK_16_BIT)


def costs_of(trellis: Trellis, values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Squared distances (steps, 2 * sets, sequences) to the points of each set and parity."""
    costs = []
    for offset in trellis.offsets:
        for parity in (0, 1):
            place = (values + offset) / trellis.spacing
            nearest = parity + 2 * np.rint((place - parity) / 2)
            costs.append(np.square(values - (trellis.spacing * nearest - offset)))
    return np.array(costs, np.float32).transpose(1, 0, 2)


@pytest.mark.parametrize(
    ("trellis", "scalar", "decibels"),
    [
        (independent(), 1, 0),
        (dependent(4), 4, 0.99),
        (dependent(8), 4, 1.09),
        (lattice(D4), 2 ** (2 / 4), 0.37),
        (lattice(E8), 2 ** (8 / 8), 0.65),
    ],
    ids=["independent", "dependent4", "dependent8", "D4", "E8"],
)
def test_granular_gains_are_those_of_the_literature(
    trellis: Trellis, scalar: float, decibels: float
) -> None:
    """Against a scalar quantizer with as many points, its squared spacing `scalar`."""
    values = np.random.default_rng(5).uniform(100, 108, (1600, 60))
    costs = costs_of(trellis, values)
    path = trellis.best_path(costs, np.full(60, 1600))
    kind = 2 * trellis.sets[path // 2] + path % 2
    error = np.take_along_axis(costs, kind[:, None], axis=1).mean()
    assert 10 * np.log10(scalar / 12 / error) == pytest.approx(decibels, abs=0.03)


@pytest.mark.parametrize("checks", [D4, E8], ids=["D4", "E8"])
def test_paths_of_a_lattice_meet_its_checks(checks: tuple[tuple[int, ...], ...]) -> None:
    trellis, size = lattice(checks), len(checks[0])
    values = np.random.default_rng(6).uniform(-3, 3, (5 * size + 2, 3))
    path = trellis.best_path(costs_of(trellis, values), np.array([5 * size + 2, 2 * size, 0]))
    parity = path % 2
    blocks = parity[: 5 * size].reshape(5, size, 3)
    assert not (np.einsum("cs,bsn->bcn", np.array(checks), blocks) % 2).any()
    assert blocks[..., 0].any()
    assert not path[2 * size :, 1].any()


def test_a_path_follows_the_state_machine() -> None:
    trellis = dependent(8)
    values = np.random.default_rng(7).uniform(-3, 3, (50, 4))
    path = trellis.best_path(costs_of(trellis, values), np.array([50, 50, 20, 1]))
    for sequence, length in enumerate((50, 50, 20, 1)):
        state = 0
        for branch in path[:length, sequence].tolist():
            assert branch // 2 == state
            state = trellis.following[state, branch % 2]


def test_estimated_bytes_are_nearly_those_of_a_stream(
    full: Bundle, batches: list[PreparedTiles], tiles: Scene
) -> None:
    coded = TrellisCodedScene(fit_trellis(model_of(full), independent(), 0.12, batches), 64, tiles)
    length, decoded = coded.at(4_000)
    stream = stream_of(Encoder(full), tiles, length)
    plain = linear_decoder(find(NAME), full).decode(stream)
    assert 0.8 * 4_000 < length <= 4_000
    assert psnr(tiles, decoded) == pytest.approx(psnr(tiles, plain.scene.image), abs=0.3)
    with pytest.raises(LimitError, match="found 90 bytes"):
        coded.at(90)


def test_dependent_quantisation_is_better_at_the_same_bytes(
    full: Bundle, batches: list[PreparedTiles], tiles: Scene
) -> None:
    quality = []
    for trellis, worth in ((independent(), 0.12), (dependent(4), 0.09)):
        coded = TrellisCodedScene(fit_trellis(model_of(full), trellis, worth, batches), 64, tiles)
        points = [coded.at(budget) for budget in (3_500, 4_500)]
        lengths = [np.log(length) for length, _ in points]
        quality.append(np.interp(np.log(4_000), lengths, [psnr(tiles, i) for _, i in points]))
    assert quality[1] > quality[0] + 0.1
