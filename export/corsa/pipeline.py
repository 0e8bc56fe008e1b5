"""Pipeline of `export bundle`: checkpoint, calibration, bundle, decoder, verdict, model card."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from export.corsa.bundle import calibration_samples, make_bundle, make_decoder
from export.corsa.card import model_card
from export.corsa.quantise import quantise
from export.corsa.verify import Maps, Verdict, Verification
from export.files import write_files
from ground.decode.graphs.graph import open_float_session
from ground.scenes.folders import train_items
from ground.train.corsa.model import VqvaeFpn
from ground.train.corsa.recipe import Recipe
from ground.train.corsa.tiles import reader_of
from ground.train.corsa.train import load

LARGEST_HALF_COST_DB = 0.02


@dataclass(frozen=True)
class Exported:
    """What an export made.

    Attributes:
        name: name of the bundle.
        files: bundle, decoder, model card.
        half: decoder weights are stored as float16.
        verdict: on the validation scenes below the calibration folder.
    """

    name: str
    files: list[Path]
    half: bool
    verdict: Verdict


def export_checkpoint(checkpoint: Path, output: Path, calibration: Path) -> Exported:
    """Export a checkpoint of `ground train`.

    Args:
        checkpoint: `checkpoint.pt`.
        output: NAME.skyb; decoder and model card go beside it.
        calibration: folder of scenes; training places calibrate, validation places verify.
    """
    recipe, model = load(checkpoint)
    training, validation = train_items(calibration)
    encoder = quantise(model.encoder, calibration_samples(training, recipe))
    stages = _stages(recipe, checkpoint.parent)
    bundle = make_bundle(
        output.stem, recipe, model, encoder, {"recipes": [stage.name for stage, _ in stages]}
    )
    scenes = [reader_of(recipe)(item) for item in validation]
    verdicts, decoders = {}, {}
    for half in (False, True):
        decoders[half] = make_decoder(model, bundle, encoder, half)
        session = open_float_session(decoders[half], 1)
        verdicts[half] = Verification(bundle, session, _reference(model)).run(scenes)
    cost = verdicts[False].psnr16["ort"] - verdicts[True].psnr16["ort"]
    half = cost < LARGEST_HALF_COST_DB
    described = f"{len(training)} scenes of {len({item.place for item in training})} places"
    card = model_card(bundle, stages, described, verdicts[half], cost)
    files = write_files(output, bundle, decoders[half], card)
    return Exported(bundle.name, files, half, verdicts[half])


def _stages(recipe: Recipe, folder: Path) -> list[tuple[Recipe, Path]]:
    """Return recipe and folder of the runs that led to a checkpoint, the first one first."""
    earlier = Path(recipe.start_from)
    if not recipe.start_from or not earlier.exists():
        return [(recipe, folder)]
    return [*_stages(load(earlier)[0], earlier.parent), (recipe, folder)]


def _reference(
    model: VqvaeFpn,
) -> Callable[[NDArray[np.int8]], tuple[Maps, NDArray[np.float32]]]:
    """Return the trained network in fp32 as `Verification` takes it."""

    @torch.no_grad()
    def run(samples: NDArray[np.int8]) -> tuple[Maps, NDArray[np.float32]]:
        decoded, made = model(torch.from_numpy(samples[None]).float())
        maps = [quantized.indices[0].numpy().astype(np.uint16) for quantized in reversed(made)]
        return maps, decoded[0].numpy()

    return run
