"""Weights of a decoder network: of a bundle's decoder, and in a checkpoint of its training."""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ground.decode.decoder import find_decoder
from ground.decode.graphs.onnxfile import OnnxFile
from ground.train.checkpoint import DAMAGED, write
from ground.train.lapped.model import Refinement
from ground.train.refinement.recipe import RefinementRecipe
from onboard.bundle import find, load
from onboard.errors import BundleError, InputError


@dataclass
class Training:
    """How far a training is.

    Attributes:
        network: network that is trained.
        optimiser: state of the optimiser, empty at the beginning.
        step: steps taken.
    """

    network: Refinement
    optimiser: dict[str, object]
    step: int


def network_of(bundle: str) -> Refinement:
    """Return the network of a bundle's decoder.

    Raises:
        BundleError: there is no decoder, or it is no refinement network.
    """
    path = find_decoder(load(bundle), find(bundle))
    weights = OnnxFile.read(path.read_bytes()).weights
    try:
        network = _shaped({name: part.shape for name, part in weights.items()})
        state = {name: torch.from_numpy(part.copy()) for name, part in weights.items()}
        network.load_state_dict(state)
    except (KeyError, IndexError, RuntimeError) as error:
        raise BundleError(f"{path.name}: expected a refinement network: {error}") from error
    return network


def _shaped(shapes: dict[str, tuple[int, ...]]) -> Refinement:
    """Return a network whose weights have such shapes."""
    blocks = {name.split(".")[1] for name in shapes if name.startswith("blocks.")}
    return Refinement(shapes["tail.bias"][0], shapes["head.bias"][0], len(blocks))


def save_training(path: Path, recipe: RefinementRecipe, training: Training) -> None:
    """Write the checkpoint."""
    state = {
        "recipe": asdict(recipe),
        "trained": training.network.state_dict(),
        "optimiser": training.optimiser,
        "step": training.step,
    }
    write(path, state)


def load_training(path: Path) -> tuple[RefinementRecipe, Training]:
    """Return the recipe of a checkpoint, and how far its training is.

    Raises:
        InputError: the file is missing or not a checkpoint of ours.
    """
    try:
        state = torch.load(path, weights_only=True)
        weights = state["trained"]
        network = _shaped({name: tuple(part.shape) for name, part in weights.items()})
        network.load_state_dict(weights)
        recipe = RefinementRecipe(**state["recipe"])
        return recipe, Training(network, state["optimiser"], state["step"])
    except DAMAGED as error:
        raise InputError(f"{path}: expected a checkpoint of a refinement: {error}") from error
