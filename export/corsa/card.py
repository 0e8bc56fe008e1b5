"""Model card: what a bundle is, what made it, how good it is, where it fails."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from export.corsa.verify import Verdict
from ground.train.checkpoint import LOG
from ground.train.corsa.recipe import Recipe
from onboard.bundle import Bundle
from onboard.codec.corsa.codec import CorsaCodec

_BANDS = {
    4: "B02 B03 B04 B08 at 10 m",
    6: "B05 B06 B07 B8A B11 B12 at 20 m",
    10: "B02 B03 B04 B08 at 10 m, B05 B06 B07 B8A B11 B12 at 20 m with each pixel repeated 2x2",
}
_FIGURES = {False: "rd", True: "reproduce corsa-openeo --bundle NAME"}
"""Bands by their number; benchmark of quality by whether there are coarse ones."""
_TEXT = """\
# {name}

VQVAE-FPN of the CORSA paper for Sentinel-2. Model hash
`{model_hash}`.

- {levels} levels of {codewords} codewords ({quantizer}), coarse to fine; tiles of {tile} pixels.
- {bands};
  uint16 digital numbers (reflectance x 10000).

## What it does
- Payload of a {tile}x{tile} tile, coarse to fine: {payload} = {total} bytes (ratio {ratio:.2f}).
- Encoder: {macs} multiply-accumulates per pixel (all bands), int8.
- Not for: other sensors or band sets, radar, quantitative work without a check of its own. The rate
  is fixed, so a tile that holds both dark water and cloud loses most detail.

## How it was made
- Commands:
{commands}
- Training data: {training} (Sentinel-2 L1C and L2A), split by place; places
  of the test split were never read, nor was the scene of the `spyndex` package. From SEN12MS-CR,
  SSL4EO-S12, DSen2, TerraMind examples, BigEarthNet, Fields of the World, eo-learn and others,
  under the licences their repositories state (CC-BY, MIT, or none stated). Contains modified
  Copernicus Sentinel data; the weights hold no imagery.
- Machine: 2 CPU cores, fp32, no GPU.
- Recipes: `ground/recipes/`.

| recipe | step | training error, dB | validation PSNR16, dB | perplexity, fine to coarse |
|---|---|---|---|---|
{log}

## What int8 costs
Mean PSNR16 over {tiles} validation tiles (fp32: the trained network; ort, litert: the int8 bundle
and its decoder): {psnr}.
Indices that agree: {agreement}.
Decoder weights as float16 cost {half:.3f} dB. `python -m export verify {name} --data FOLDER`
compares the engines, against the int8 network with its activations unrounded.

PSNR against JPEG 2000 on the same scenes: `python -m benchmarks {figures}`.
"""


def training_log(folder: Path, name: str, lines: int = 8) -> str:
    """Return rows of a training log, evenly spread, as a Markdown table."""
    entries = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    chosen = entries[:: max(1, len(entries) // lines)]
    if entries and chosen[-1] != entries[-1]:
        chosen.append(entries[-1])
    rows = []
    for e in chosen:
        perplexity = ", ".join(str(p) for p in e["perplexity"])
        rows.append(
            f"| {name} | {e['step']} | {e['loss_db']:.2f} | {e['validation_psnr16']:.2f} "
            f"| {perplexity} |"
        )
    return "\n".join(rows)


def model_card(
    bundle: Bundle,
    stages: Sequence[tuple[Recipe, Path]],
    training: str,
    verdict: Verdict,
    half_cost_db: float,
) -> str:
    """Return the model card as Markdown.

    Args:
        bundle: bundle that the card is of.
        stages: recipe and folder of each training run that led to it, in order.
        training: what it was trained on, in words.
        verdict: what int8 costs.
        half_cost_db: what float16 decoder weights cost.
    """
    payload: Sequence[int] = bundle.codec.payload_bytes(bundle.tile, bundle.tile)
    levels = CorsaCodec.of(bundle.codec).levels
    coarse = bool(stages[-1][0].coarse_bands)
    commands = [
        f"  `python -m ground train {recipe.name} --codewords "
        f"{','.join(map(str, recipe.codewords))} --quantizer {recipe.quantizer} --data FOLDER`"
        for recipe, _ in stages
    ]
    return _TEXT.format(
        name=bundle.name,
        levels=bundle.codec.layers,
        codewords=" + ".join(str(level.codebook.size) for level in levels),
        quantizer=stages[-1][0].quantizer,
        bands=_BANDS.get(stages[-1][0].bands, f"{stages[-1][0].bands} bands"),
        figures=_FIGURES[coarse],
        tile=bundle.tile,
        model_hash=bundle.model_hash.hex(),
        payload=" + ".join(map(str, payload)),
        total=sum(payload),
        ratio=_raw_bytes(stages[-1][0]) / sum(payload),
        macs=bundle.macs_per_pixel,
        commands="\n".join(commands),
        training=training,
        log="\n".join(training_log(folder, recipe.name) for recipe, folder in stages),
        tiles=verdict.tiles,
        psnr=_join(verdict.psnr16, "{:.2f} dB"),
        agreement=_join(verdict.agreement, "{:.2f} %"),
        half=half_cost_db,
    )


def _raw_bytes(recipe: Recipe) -> int:
    """Return the bytes of a tile as it is sensed: coarse bands have a quarter of the pixels."""
    return 2 * (4 * recipe.bands - 3 * recipe.coarse_bands) * recipe.tile**2 // 4


def _join(figures: Mapping[str, float], form: str) -> str:
    return ", ".join(f"{name} {form.format(value)}" for name, value in figures.items())
