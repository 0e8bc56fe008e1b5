"""Checkpoint of a lapped codec in training, written and read."""

from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import PickleError
from typing import Any

import torch

from ground.train.checkpoint import DAMAGED, write
from ground.train.lapped.model import LappedTransform, Refinement
from ground.train.lapped.recipe import LappedRecipe
from onboard.codec.lapped import part as lappedpart
from onboard.codec.lapped.frontends.adaptive import AdaptiveFrontEnd
from onboard.codec.lapped.model import LappedModel
from onboard.errors import InputError


@dataclass
class Trained:
    """What the stages made; None until then."""

    transform: LappedTransform
    coder: LappedModel | None = None
    refinement: Refinement | None = None
    polished: bool = False
    seamless: bool = False


def save(path: Path, recipe: LappedRecipe, made: Trained) -> None:
    """Write the checkpoint."""
    state: dict[str, Any] = {"recipe": asdict(recipe), "transform": made.transform.state_dict()}
    if made.coder is not None:
        state["part"] = lappedpart.pack(made.coder)
        state["coder"] = lappedpart.wire_entry(made.coder)
    if made.refinement is not None:
        state["refinement"] = made.refinement.state_dict()
        state["polished"], state["seamless"] = made.polished, made.seamless
    write(path, state)


def load(checkpoint: Path) -> tuple[LappedRecipe, Trained]:
    """Return the recipe and what was trained so far.

    Raises:
        InputError: the file is missing or not a checkpoint of ours.
    """
    try:
        state = torch.load(checkpoint, weights_only=True)
        recipe = LappedRecipe(**state["recipe"])
        made = Trained(LappedTransform())
        made.transform.load_state_dict(state["transform"])
        if "part" in state:
            made.coder = lappedpart.unpack(
                state["part"], state["coder"], AdaptiveFrontEnd(recipe.bands)
            )
        if "refinement" in state:
            made.refinement = Refinement(recipe.bands, recipe.depth, recipe.blocks)
            made.refinement.load_state_dict(state["refinement"])
            made.refinement.eval()
            made.polished, made.seamless = state["polished"], state["seamless"]
    except DAMAGED as error:
        raise InputError(
            f"{checkpoint}: expected a checkpoint of a lapped codec: {error}"
        ) from error
    return recipe, made


def is_lapped(checkpoint: Path) -> bool:
    """Say whether a file is a checkpoint of a lapped codec."""
    try:
        return "transform" in torch.load(checkpoint, weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, PickleError):
        return False
