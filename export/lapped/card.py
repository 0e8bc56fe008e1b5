"""Model card of a lapped codec."""

import json
from pathlib import Path

from ground.train.checkpoint import LOG
from ground.train.lapped.checkpoint import Trained
from ground.train.lapped.recipe import LappedRecipe
from onboard.bundle import Bundle

ENGINES = ("numpy", "ort", "litert")

_CARD = """\
# {name}

Lapped transform, adaptive band transform, context model, entropy coder and refinement network for
scenes of 1 to 16 bands; trained on Sentinel-2 B02 B03 B04 B08 at 10 m, uint16 digital numbers
(reflectance x 10000). Tiles of {tile} pixels. One bundle for every rate. Model hash `{model_hash}`.

## What it does
- Encoder: {macs} multiply-accumulates per pixel (all bands), of which {transform} for the
  transform and {contexts} for the context model; integers only, the same bytes on every engine.
- Flight bundle {flight} bytes, decoder {decoder} bytes.
- Scenes of 1 to 16 bands, of other sensors too: the band transform adapts; bands past the fourth
  have the weights of the fourth. The refinement network takes part where there are four.
- Scenes of 17 to 1,024 bands in groups, best with a spectral profile of the sensor (`ground
  profile`).
- At fine steps the ground holds the latents of each tile to the cells of their symbols, so quality
  goes on rising to near-lossless rates. Only a bound on the error makes it lossless (`--max-error
  0`), in bundles with a part `bounded`.
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


def model_card(
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
