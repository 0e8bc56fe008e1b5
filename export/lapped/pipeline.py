"""Pipeline of `export bundle` for a lapped codec: checkpoint, bundle, decoder, model card."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.files import write_files
from export.lapped.bundle import make_lapped_bundle
from export.lapped.card import ENGINES, model_card
from export.lapped.graph import refinement_onnx
from ground import metrics
from ground.decode.decoder import Decoder
from ground.scene import Scene
from ground.scenes.folders import read_item, train_items
from ground.train.lapped.checkpoint import load
from ground.train.lapped.recipe import LappedRecipe
from onboard.bundle import Bundle
from onboard.bundle.selftest import golden_agreement
from onboard.codec.lapped.model import LappedModel
from onboard.encoder import Encoder, Options
from onboard.errors import BundleError, InputError

_RATIOS = (10.0, 20.48, 40.0)


@dataclass(frozen=True)
class LappedExport:
    """What an export made.

    Attributes:
        name: name of the bundle.
        files: bundle, decoder, model card.
        macs_per_pixel: multiply-accumulates per pixel of the encoder.
        psnr16: PSNR16, mean over validation scenes by compression ratio.
    """

    name: str
    files: list[Path]
    macs_per_pixel: int
    psnr16: dict[str, float]


def export_lapped(checkpoint: Path, output: Path, calibration: Path) -> LappedExport:
    """Export a checkpoint of a lapped codec.

    Args:
        checkpoint: `checkpoint.pt`.
        output: NAME.skyb; decoder and model card go beside it.
        calibration: folder of scenes; validation places calibrate the error model.

    Raises:
        InputError: the training has not finished.
        BundleError: an engine gives other bytes than numpy.
    """
    recipe, made = load(checkpoint)
    if made.coder is None or made.refinement is None or not made.seamless:
        raise InputError(f"{checkpoint}: expected a finished training; go on with `ground train`")
    training, validation = train_items(calibration)
    scenes = [read_item(item) for item in validation]
    name = output.stem
    first = _bundle(name, recipe, made.coder, 1000)
    decoder = refinement_onnx(made.refinement, first.model_hash.hex())
    write_files(output, first, decoder, "")
    permille, psnr16 = _measure(output, first, made.coder, scenes)
    bundle = _bundle(name, recipe, made.coder, permille)
    for engine in ENGINES:
        agree, total, _ = golden_agreement(bundle.codec, engine)
        if agree != total:
            raise BundleError(f"engine {engine}: golden vectors differ from numpy's")
    described = f"{len(training)} scenes of {len({item.place for item in training})} places"
    card = model_card(
        bundle, recipe, made, checkpoint.parent, described, len(scenes), psnr16, len(decoder)
    )
    files = write_files(output, bundle, decoder, card)
    return LappedExport(name, files, bundle.macs_per_pixel, psnr16)


def _bundle(name: str, recipe: LappedRecipe, coder: LappedModel, permille: int) -> Bundle:
    return make_lapped_bundle(name, coder, recipe.tile, permille, {"recipes": [recipe.name]})


def _measure(
    path: Path, bundle: Bundle, coder: LappedModel, scenes: Sequence[Scene]
) -> tuple[int, dict[str, float]]:
    """Return the true squared error over the modelled one, per mille, and PSNR16 by ratio."""
    encoder, decoder = Encoder(bundle), Decoder(path)
    shares, psnr16 = [], {}
    for ratio in _RATIOS:
        found = []
        for scene in scenes:
            image = scene.image
            budget = int(scene.raw_bytes / ratio)
            stream = b"".join(encoder.encode(image, scene.header(), Options(budget=budget)))
            decoded = decoder.decode(stream).scene.image
            found.append(metrics.psnr(image, decoded, metrics.PEAK_16_BIT))
            # Asked for the error just made, the model as it is gives another: by that it is off.
            rmse = metrics.rmse(image, decoded)
            aimed = b"".join(encoder.encode(image, scene.header(), Options(rmse=rmse)))
            back = decoder.decode(aimed).scene.image
            shares.append((metrics.rmse(image, back) / rmse) ** 2)
        psnr16[f"{ratio:g}"] = float(np.mean(found))
    return round(1000 * float(np.exp(np.mean(np.log(shares))))), psnr16
