"""What the encoder tells of a rate: steps and expected error, and whether it was in reach."""

from functools import reduce
from operator import add
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.codec.blocks import UNIT
from onboard.codec.lapped.quantizers.kinds import PLAIN
from onboard.encoder import Encoder, Options
from onboard.encoder.batches import Batches
from onboard.encoder.outcome import Outcome
from onboard.errors import LimitError
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions

SCENE = procedural(31, 320, 330, nodata=False).image.astype(np.uint16)
NOISE = np.random.default_rng(0).integers(0, 65_536, (4, 128, 128)).astype(np.uint16)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(bundles.load("skybook"))


def encoded(
    encoder: Encoder, image: NDArray[Any], **fields: Any
) -> tuple[int, Outcome, list[Outcome]]:
    """Return the bytes of segments, and what became of the rate, in all and one by one."""
    told: list[Outcome] = []
    strips = list(encoder.strips(image, None, Options(**fields), told.append))
    return sum(len(s) for strip in strips for s in strip.segments), reduce(add, told), told


@pytest.mark.parametrize("quantizer", [PLAIN, "trellis"])
def test_the_guess_of_the_error_is_near_the_error(encoder: Encoder, quantizer: str) -> None:
    coder = encoder.coder if quantizer == PLAIN else encoder.coder.using(quantizer)
    places = (
        (SCENE[:, :128, :128], 1.2),
        (SCENE[:, :30, :64], 1.75),
        (NOISE[:, :64, :64] >> 4, 1.75),
    )
    for image, decibels in places:
        analysed = Batches.analyse(coder, [image], SceneHeader.of(image), 64, 0)
        for code in (30, 75, 110, 140, 160):
            for batch in analysed.batches:
                steps = np.maximum(code, coder.finest(batch.prepared))
                exact = coder.error(batch.prepared, steps, 64).sum() / UNIT
                guessed = int(coder.guess_error(batch.prepared, steps).sum())
                assert abs(10 * np.log10(guessed / exact)) < decibels


@pytest.mark.parametrize("fields", [{"ratio": 12.0}, {"rmse": 25.0}, {"budget": 50_000}])
@pytest.mark.parametrize("window", ["scene", "strip"])
def test_steps_and_error_are_told(encoder: Encoder, fields: dict[str, Any], window: str) -> None:
    _, outcome, told = encoded(encoder, SCENE, window=window, **fields)
    assert outcome.steps is not None
    assert outcome.rmse is not None
    assert 100 < outcome.steps[0] <= outcome.steps[1] < 150
    assert outcome.samples == SCENE.size
    assert outcome.windows == (3 if window == "strip" else 1) >= len(told)
    assert (outcome.missed, outcome.eased) == (0, 0)
    if "rmse" in fields:
        assert outcome.rmse == pytest.approx(25, rel=0.01)


@pytest.mark.parametrize("window", ["scene", "strip"])
def test_a_ratio_out_of_reach_is_written_and_told(encoder: Encoder, window: str) -> None:
    taken, outcome, _ = encoded(encoder, NOISE, ratio=20.48, window=window)
    assert outcome.steps == (255, 255)
    assert outcome.missed == outcome.windows
    assert taken > NOISE.nbytes / 20.48


def test_bytes_out_of_reach_are_refused_with_what_lacks(encoder: Encoder) -> None:
    with pytest.raises(LimitError, match=r"budget: \d+ bytes too few: .* tiles take \d+") as found:
        encoded(encoder, NOISE, budget=10)
    lacking = int(str(found.value).split()[1])
    assert encoded(encoder, NOISE, budget=10 + lacking)[0] == 10 + lacking
    with pytest.raises(LimitError, match="budget: 1 bytes too few"):
        encoded(encoder, NOISE, budget=9 + lacking)


def test_more_than_was_asked_for_is_told(encoder: Encoder) -> None:
    image = NOISE[:, :64, :64] >> 8
    for window in ("scene", "strip"):
        _, outcome, _ = encoded(encoder, image, ratio=0.5, window=window)
        assert (outcome.missed, outcome.eased) == (0, 1)
        _, outcome, _ = encoded(encoder, image, rmse=60_000.0, window=window)
        assert outcome.steps == (255, 255)
        assert (outcome.missed, outcome.eased) == (0, 1)
        _, outcome, _ = encoded(encoder, image, rmse=0.001, window=window)
        assert (outcome.missed, outcome.eased) == (1, 0)


def test_a_scene_without_data_has_no_error(encoder: Encoder) -> None:
    told: list[Outcome] = []
    image = np.zeros((4, 64, 64), np.uint16)
    list(encoder.strips(image, SceneHeader.of(image, nodata=0), Options(), told.append))
    assert told == [Outcome()]
    assert told[0].psnr16 is None


def test_a_fixed_rate_has_no_steps() -> None:
    fixed = Encoder(bundles.load("corsa-2level-1024"))
    _, outcome, _ = encoded(fixed, SCENE[:, :64, :64])
    assert outcome == Outcome()


@pytest.mark.parametrize(
    "fields",
    [
        {"packets": PacketOptions(128)},
        {"segment_bytes": 114},
        {"packets": PacketOptions(128), "one_layer": True},
    ],
)
def test_one_step_serves_a_scene_in_small_packets(encoder: Encoder, fields: dict[str, Any]) -> None:
    _, outcome, _ = encoded(encoder, SCENE, ratio=12.0, **fields)
    assert outcome.steps is not None
    assert outcome.steps[1] - outcome.steps[0] <= 3
