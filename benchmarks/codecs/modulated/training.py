"""Training of learned codecs: rate + lambda x distortion, lambda drawn for each crop.

Three stages: the hyperprior alone learns to expect what a KLT of blocks makes, which takes few
products; then all is trained at a constant rate, and then at one that falls to nothing. Products of
convolutions are of bfloat16: what that rounds away is far less than the finest step.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.codecs.modulated.initial import begin
from benchmarks.codecs.modulated.layout import LAMBDA_LEAST, LAMBDA_MOST, Layout, Sensor
from benchmarks.codecs.modulated.network import Modulated, ModulatedHyperprior

Frame = NDArray[np.uint16]
Frames = Sequence[tuple[Sensor, Sequence[Frame]]]
"""Of each sensor its images, (rows, cols) or (bands, rows, cols) each."""
AnyModulated = TypeVar("AnyModulated", bound=Modulated)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        steps: of each stage.
        batch: crops a step.
        crop: side of a crop, pixels.
        rate: learning rate of the second stage.
        seed: of all that is drawn by chance.
    """

    steps: tuple[int, int, int]
    batch: int = 4
    crop: int = 128
    rate: float = 2e-4
    seed: int = 1

    @classmethod
    def of(cls, steps: int) -> "Recipe":
        """Return that of so many steps.

        A quarter, but at most 2,000, is of the prior alone; the last fifth gets ever slower.
        """
        alone, falling = min(steps // 4, _MOST_ALONE), steps // 5
        return cls((alone, steps - alone - falling, falling))


_MOST_ALONE = 2_000
_ALONE = 2.0
"""Share of the learning rate that the hyperprior has while it is trained alone."""
_WARM = 20
"""The learning rate rises over the first of so many parts of the second stage."""
_CLIP = 1.0
_TOLD = 100
"""Steps between reports."""


def begun(frames: Frames, recipe: Recipe, layout: Layout) -> ModulatedHyperprior:
    """Return a network to train: a KLT of blocks of frames, see `initial.py`."""
    torch.manual_seed(recipe.seed)
    network = ModulatedHyperprior(layout)
    begin(network, [(sensor.scale, image) for sensor, images in frames for image in images])
    return network


def train(
    network: AnyModulated,
    frames: Frames,
    recipe: Recipe,
    tell: Callable[[str], None] = lambda _text: None,
    checkpoint: Path | None = None,
) -> AnyModulated:
    """Train on crops of frames, turned and mirrored, each sensor as often.

    Args:
        network: from which to start.
        frames: of each sensor.
        recipe: how.
        tell: called with how far it is.
        checkpoint: file to go on from, where there is one, and to keep what is known in.
    """
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.rate, fused=True)
    first = _resume(checkpoint, network, optimiser) if checkpoint else 0
    torch.manual_seed(recipe.seed + first)
    rng = np.random.default_rng((recipe.seed, first))
    shown: list[tuple[float, float, float]] = []
    for step in range(first, sum(recipe.steps)):
        for group in optimiser.param_groups:
            group["lr"] = recipe.rate * _share_of_rate(step, recipe)
        images, lambdas = draw(frames, recipe, rng)
        with torch.autocast("cpu", torch.bfloat16):
            losses = measure(network, images, lambdas, alone=step < recipe.steps[0])
        optimiser.zero_grad()
        losses[2].backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimiser.step()
        shown.append((losses[0].item(), losses[1].item(), losses[2].item()))
        if len(shown) == _TOLD:
            bits, error, loss = np.mean(shown, axis=0)
            tell(f"step {step + 1}: {bits:.3f} bits a pixel, error {error:.4f}, loss {loss:.3f}")
            shown.clear()
            if checkpoint:
                _keep(checkpoint, network, optimiser, step + 1)
    return network.eval()


def measure(
    network: Modulated, images: Tensor, lambdas: Tensor, alone: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Return bits a pixel, squared error and what is minimised, equation 1, means of a batch.

    Where the hyperprior is trained alone, that is the bits, and the error is not looked at.
    """
    share = (lambdas - LAMBDA_LEAST) / (LAMBDA_MOST - LAMBDA_LEAST)
    if alone:
        with torch.no_grad():
            latents, mask = network.modulated(images, share)
        bits = (network.bits(latents, mask) / images[0].numel()).mean()
        return bits, torch.zeros(()), bits
    passed = network(images, share)
    bits = passed.bits / images[0].numel()
    errors = (passed.decoded.float() - images).square().mean(dim=(1, 2, 3))
    return bits.mean(), errors.mean(), (bits + lambdas * errors).mean()


def draw(frames: Frames, recipe: Recipe, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return crops, normalised (batch, bands, crop, crop), and lambdas, even in their log."""
    crops = []
    for _ in range(recipe.batch):
        sensor, images = frames[int(rng.integers(len(frames)))]
        sizes = np.array([image.size for image in images], np.float64)
        image = images[rng.choice(len(images), p=sizes / sizes.sum())]
        crop = _crop(image, recipe.crop, rng).astype(np.float32)
        mean = np.rint(image.mean((-2, -1), np.float32, keepdims=True))
        centred = (crop - mean) / np.float32(sensor.scale)
        crops.append(centred.reshape(-1, recipe.crop, recipe.crop))
    lambdas = LAMBDA_LEAST * (LAMBDA_MOST / LAMBDA_LEAST) ** rng.random(recipe.batch)
    return torch.from_numpy(np.stack(crops)), torch.from_numpy(lambdas.astype(np.float32))


def _crop(image: Frame, side: int, rng: np.random.Generator) -> Frame:
    """Return a random crop of (..., rows, cols); what a small image lacks is mirrored."""
    lack = [max(side - length, 0) for length in image.shape[-2:]]
    if any(lack):
        fill = [(0, 0)] * (image.ndim - 2) + [(0, n) for n in lack]
        image = np.pad(image, fill, "symmetric")
    row, col = (int(rng.integers(length - side + 1)) for length in image.shape[-2:])
    crop = image[..., row : row + side, col : col + side]
    crop = np.rot90(crop, int(rng.integers(4)), (-2, -1))
    return crop[..., ::-1] if rng.integers(2) else crop


def _share_of_rate(step: int, recipe: Recipe) -> float:
    """Return the share of the learning rate at a step."""
    alone, constant, falling = recipe.steps
    if step < alone:
        return _ALONE
    if step < alone + constant:
        return min((step - alone + 1) * _WARM / constant, 1.0)
    return float(0.5 + 0.5 * np.cos(np.pi * (step - alone - constant) / falling))


def _keep(path: Path, network: Modulated, optimiser: torch.optim.Optimizer, step: int) -> None:
    kept = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "step": step}
    beside = path.with_suffix(".part")
    torch.save(kept, beside)
    beside.replace(path)


def _resume(path: Path, network: Modulated, optimiser: torch.optim.Optimizer) -> int:
    """Load a checkpoint, if there is one; return the step to go on from."""
    if not path.is_file():
        return 0
    kept = torch.load(path, weights_only=True)
    network.load_state_dict(kept["network"])
    optimiser.load_state_dict(kept["optimiser"])
    step: int = kept["step"]
    return step
