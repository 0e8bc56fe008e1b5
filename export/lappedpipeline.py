"""Pipeline of `export bundle` for a lapped codec: checkpoint, bundle, decoder, model card."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export.bundle import write_files
from export.lappedbundle import make_lapped_bundle
from export.lappedgraph import refinement_onnx
from ground.decode.decoder import Decoder
from ground.scene import Scene
from ground.scenes.folders import read_item, train_items
from ground.train.lapped.checkpoint import LOG, Trained, load
from ground.train.lapped.recipe import LappedRecipe
from onboard.bundle import Bundle
from onboard.codec.kinds import open_tile_coder
from onboard.codec.lapped.coder import LappedCoder
from onboard.encoder import Encoder, Options
from onboard.errors import BundleError, InputError

ENGINES = ("numpy", "ort", "litert")
_RATIOS = (10.0, 20.48, 40.0)
_CARD = """\
# {name}

Lapped transform, adaptive band transform, context model, entropy coder and refinement network for
Sentinel-2 B02 B03 B04 B08 at 10 m, uint16 digital numbers (reflectance x 10000), tiles of {tile}
pixels. One bundle for every rate. Model hash `{model_hash}`.

## What it does
- Encoder: {macs} multiply-accumulates per pixel (all bands), of which {transform} for the
  transform and {contexts} for the context model; integers only, the same bytes on every engine.
- Flight bundle {flight} bytes, decoder {decoder} bytes.
- Other sensors with four bands work (the band transform adapts), less well.
- At fine steps the ground holds the latents of each tile to the cells of their symbols, so quality
  goes on rising to near-lossless rates; it is never quite lossless.
- Not for: quantitative work without a check of its own.

## How it was made
- Commands: `python -m ground train {recipe} --data FOLDER`, then
  `python -m export bundle runs/{recipe}/checkpoint.pt -o {name}.skyb --calibration FOLDER`
- Training data: {training} (Sentinel-2 L1C and L2A), split by place; places
  of the test split were never read, nor was the scene of the `spyndex` package. From SEN12MS-CR,
  SSL4EO-S12, DSen2, TerraMind examples, BigEarthNet, Fields of the World, eo-learn and others,
  under the licences their repositories state (CC-BY, MIT, or none stated). Contains modified
  Copernicus Sentinel data; the weights hold no imagery.
- Machine: 2 CPU cores, fp32, no GPU. Recipe: `ground/recipes/{recipe}.toml`.

| stage | steps | loss at the end |
|---|---|---|
{log}

## Checks at export
- Golden vectors byte for byte on {engines}.
- Validation scenes ({scenes}), PSNR16 (peak 65535): {psnr}.
- Squared error on the ground over that modelled on board: {permille} per mille.

Rate and distortion against JPEG 2000 on the same scenes: `python -m benchmarks rd --bundle {name}`.
"""


@dataclass(frozen=True)
class LappedExport:
    """What an export made.

    Attributes:
        name: of the bundle.
        files: bundle, decoder, model card.
        macs_per_pixel: of the encoder.
        psnr16: mean over validation scenes by compression ratio.
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
    if made.coder is None or made.refinement is None or not made.polished:
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
        agree, total, _ = open_tile_coder(bundle, engine, 1).golden()
        if agree != total:
            raise BundleError(f"engine {engine}: golden vectors differ from numpy's")
    described = f"{len(training)} scenes of {len({item.place for item in training})} places"
    card = _card(
        bundle, recipe, made, checkpoint.parent, described, len(scenes), psnr16, len(decoder)
    )
    files = write_files(output, bundle, decoder, card)
    return LappedExport(name, files, bundle.macs_per_pixel, psnr16)


def _bundle(name: str, recipe: LappedRecipe, coder: LappedCoder, permille: int) -> Bundle:
    return make_lapped_bundle(name, coder, recipe.tile, permille, {"recipes": [recipe.name]})


def _measure(
    path: Path, bundle: Bundle, coder: LappedCoder, scenes: Sequence[Scene]
) -> tuple[int, dict[str, float]]:
    """Return the true squared error over the modelled one, per mille, and PSNR16 by ratio."""
    encoder, decoder = Encoder(bundle), Decoder(path)
    shares, psnr16 = [], {}
    for ratio in _RATIOS:
        found = []
        for scene in scenes:
            image = scene.image
            budget = int(2 * image.size / ratio)
            stream = b"".join(encoder.encode(image, scene.header(), Options(budget=budget)))
            error = float(
                np.square(decoder.decode(stream).scene.image - image.astype(float)).mean()
            )
            found.append(20 * np.log10(65_535) - 10 * np.log10(error))
            # Asked for the error just made, the model as it is gives another: by that it is off.
            rmse = float(np.sqrt(error))
            aimed = b"".join(encoder.encode(image, scene.header(), Options(rmse=rmse)))
            back = decoder.decode(aimed).scene.image
            shares.append(float(np.square(back - image.astype(float)).mean()) / error)
        psnr16[f"{ratio:g}"] = float(np.mean(found))
    return round(1000 * float(np.exp(np.mean(np.log(shares))))), psnr16


def _card(
    bundle: Bundle,
    recipe: LappedRecipe,
    made: Trained,
    folder: Path,
    training: str,
    scenes: int,
    psnr16: dict[str, float],
    decoder_bytes: int,
) -> str:
    """Return the model card as Markdown."""
    assert made.coder is not None
    transform = made.coder.front_end.bands * made.coder.transform.macs_per_sample
    return _CARD.format(
        name=bundle.name,
        tile=bundle.tile,
        model_hash=bundle.model_hash.hex(),
        macs=bundle.macs_per_pixel,
        transform=transform,
        contexts=bundle.macs_per_pixel - transform,
        flight=len(bundle.pack()),
        decoder=decoder_bytes,
        recipe=recipe.name,
        training=training,
        log=_log_table(folder),
        engines=", ".join(ENGINES),
        scenes=scenes,
        psnr=", ".join(f"{value:.2f} dB at ratio {ratio}" for ratio, value in psnr16.items()),
        permille=bundle.manifest["encoder"]["error_permille"],
    )


def _log_table(folder: Path) -> str:
    """Return the last line of each stage of the training log as rows of a Markdown table."""
    last = {}
    for line in (folder / LOG).read_text().splitlines():
        entry = json.loads(line)
        last[entry["stage"]] = entry
    return "\n".join(f"| {e['stage']} | {e['step']} | {e['loss']} |" for e in last.values())
