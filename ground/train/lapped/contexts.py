"""Contexts of a bundle trained further, on the images of one camera, by classes of components."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import functional_call

from ground.train.lapped.fit import draw_codes, integer_contexts
from ground.train.lapped.model import ContextModel, laplace_bits
from onboard.codec.lapped.context import FREQUENCIES, STEP, ContextWeights
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.prepared import PreparedTiles

RATE = 0.005
_POSITIONS = 4_096
"""Of 8x8 pixels in a step of training, at least; whole tiles."""
_LOOK_EVERY = 20
"""Steps between looks at tiles that are not trained on."""
_LOOKS = 8
"""Draws of those tiles."""
_LEAST = 1 / 1024
"""What a weight that is 0 starts from, so that it can grow: it rounds to 0."""
_ALMOST_NOTHING = 1e-9
_NOTHING = -40.0
"""What a softplus makes nothing of."""
_DEAD, _ROUNDING = 0.64, 0.43


def fitted_contexts(
    model: LappedModel,
    training: Sequence[PreparedTiles],
    validation: Sequence[PreparedTiles],
    seed: int,
    steps: int,
    report: Callable[[int, int], None] = lambda _step, _of: None,
) -> ContextWeights:
    """Return the weights by class of a model, trained further on tiles.

    Those are kept that did best on the tiles for validation: with few tiles to train on, that may
    be the weights as they were.

    Args:
        model: model of scenes of the bands that the tiles have.
        training: tiles to train on.
        validation: tiles to stop by.
        seed: seed of the order of the tiles and of their steps.
        steps: steps of training.
        report: called after each step with its number and how many there are.
    """
    trained = started(model.weights)
    tied = TiedContexts(trained, model.bands)
    unseen = list(islice(_symbols(model, validation, seed + 1), _LOOKS))
    least, best = _bits(model.weights, model.bands, unseen), model.weights
    optimiser = torch.optim.Adam(trained.parameters(), lr=RATE)
    for step, symbols in enumerate(islice(_symbols(model, training, seed), steps), 1):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / (steps + 1))
        scale, mean = tied(symbols)
        loss = laplace_bits(symbols - mean, scale).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimiser.step()
        if step % _LOOK_EVERY == 0:
            found = integer_contexts(trained).by_class
            bits = _bits(found, model.bands, unseen)
            if bits < least:
                least, best = bits, found
        report(step, steps)
    return best


def _bits(by_class: ContextWeights, bands: int, unseen: Sequence[Tensor]) -> float:
    """Return the bits of symbols by weights as they are on board."""
    tied = TiedContexts(started(by_class, _ALMOST_NOTHING), bands)
    with torch.no_grad():
        found = [laplace_bits(s - mean, scale).mean() for s in unseen for scale, mean in [tied(s)]]
    return float(sum(found))


class TiedContexts:
    """The context model of so many bands, whose weights are those of classes."""

    def __init__(self, by_class: ContextModel, bands: int) -> None:
        self._by_class = by_class
        classes = by_class.bands
        of_band = torch.arange(bands).clamp(max=classes - 1)
        self._of_band = of_band
        self._of_channel = (of_band[:, None] * FREQUENCIES + torch.arange(FREQUENCIES)).reshape(-1)
        strange = (of_band[:, None] == of_band) & ~torch.eye(bands, dtype=torch.bool)
        self._strange = strange
        self._wide = ContextModel(bands, len(by_class.channels))
        channels = self._of_channel
        among = strange.repeat_interleave(FREQUENCIES, 0).repeat_interleave(FREQUENCIES, 1)
        self._wide.earlier = by_class.earlier[channels][:, channels] * ~among

    def __call__(self, symbols: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and predicted mean of each symbol, see `ContextModel.forward`."""
        found: tuple[Tensor, Tensor] = functional_call(self._wide, self._weights(), (symbols,))
        return found

    def _weights(self) -> dict[str, Tensor]:
        trained, bands, channels = self._by_class, self._of_band, self._of_channel
        from_bands = torch.cat([bands, bands + trained.bands])
        foreign = self._strange.repeat_interleave(FREQUENCIES, 0).repeat(1, 2)
        nothing = torch.tensor(_NOTHING)
        slope = trained.slope[channels][:, from_bands]
        cross = trained.dc_cross[:, bands][:, :, bands]
        return {
            "same": trained.same[channels][:, channels],
            "near": trained.near[channels][:, channels],
            "slope": torch.where(foreign, nothing, slope),
            "bias": trained.bias[channels],
            "dc_own": trained.dc_own[:, bands],
            "dc_cross": torch.where(self._strange, nothing, cross),
            "dc_bias": trained.dc_bias[:, bands],
        }


def started(by_class: ContextWeights, least: float = _LEAST) -> ContextModel:
    """Return a model to train whose weights round to those of a bundle; 0 starts from `least`."""
    classes, order = by_class.classes, by_class.order
    trained = ContextModel(classes, len(by_class.cuts) - 1)
    trained.channels = [order[first:stop].tolist() for first, stop in pairwise(by_class.cuts)]
    rank = torch.zeros(len(order), dtype=torch.long)
    for number, members in enumerate(trained.channels, 1):
        rank[members] = number
    trained.earlier = (rank[None] < rank[:, None]).float()
    ac = order[classes:]
    with torch.no_grad():
        trained.same[np.ix_(ac, order)] = _before_softplus(by_class.same.T, least)
        trained.near[np.ix_(ac, order)] = _before_softplus(4.0 * by_class.near.T, least)
        trained.slope[ac] = _before_softplus(by_class.slope.T, least)
        trained.bias[ac] = _before_softplus(by_class.bias, least)
        trained.dc_bias[:] = _before_softplus(by_class.dc_bias, least)
        # (lattice, from, feature, to): of a component itself part counts as its own.
        dc = by_class.dc.reshape(2, classes, 4, classes).astype(np.float64)
        cross = dc.min(axis=2).transpose(0, 2, 1)
        same = np.arange(classes)
        cross[:, same, same] = np.floor(cross[:, same, same] / 2)
        own = dc[:, same, :, same].transpose(1, 0, 2) - cross[:, same, same][:, :, None]
        trained.dc_cross[:] = _before_softplus(cross, least)
        trained.dc_own[:] = _before_softplus(own, least)
    return trained


def _before_softplus(units: NDArray[np.generic], least: float) -> Tensor:
    """Return what softplus makes weights in 1/256 of, none of them below `least`."""
    weights = np.maximum(units.astype(np.float64) / 256, least)
    return torch.from_numpy(weights + np.log(-np.expm1(-weights))).float()


def _symbols(model: LappedModel, batches: Sequence[PreparedTiles], seed: int) -> Iterator[Tensor]:
    """Yield symbols (tiles, channels, rows, cols) of tiles drawn, at steps drawn, without end."""
    channels = np.argsort(model.contexts.order)
    _, rows, cols = batches[0].latents.shape
    most = max(1, _POSITIONS // (rows * cols))
    step = 0
    while True:
        rng = np.random.default_rng([seed, step])
        batch = batches[int(rng.integers(len(batches)))]
        batch = batch.take(rng.permutation(len(batch.means))[:most])
        codes = np.maximum(draw_codes(batch, rng), batch.finest(model))
        scaled = batch.latents.scaled(codes, model.transform.mantissas)[..., channels]
        latents = torch.from_numpy(scaled.transpose(0, 3, 1, 2).astype(np.float32) / STEP)
        symbols = dead_zone(latents)
        symbols[:, ::FREQUENCIES] = latents[:, ::FREQUENCIES].round()
        yield symbols
        step += 1


def dead_zone(latents: Tensor) -> Tensor:
    """Round latents, those near 0 to 0."""
    size = latents.abs()
    whole = torch.floor(size + _ROUNDING).clamp_min(1)
    return torch.sign(latents) * torch.where(size < _DEAD, torch.zeros_like(size), whole)
