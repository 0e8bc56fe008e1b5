"""Figures 4 and 5 of the CORSA paper: two classes told apart from what the encoder makes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.reproduce.classification.samples import SIDE, Tiles, labelled
from benchmarks.reproduce.classification.streams import Streamed, open_flagship, streamed, times
from benchmarks.reproduce.patches import read_patches
from benchmarks.reproduce.table import Figures, Measured, Settings, Table
from onboard.errors import UsageError

RATIO = 20.0
SEED = 1
BANDS = 4


@dataclass(frozen=True)
class Effort:
    """How much is trained.

    Attributes:
        tiles: most tiles of each label of a task.
        rounds: how often features are tested, first with random weights.
        epochs: of reconstruction between, each of `steps`.
        head: steps of training of a head: the paper's 50 epochs of 100.
        whole: the same of a head and the encoder before it, end to end.
        dino: steps of pre-training.
        timed: tiles that times are measured on, a multiple of 8.
        depths: feature maps of each level of the backbone, finest first.
        codewords: of each level.
        patches: most that the backbone is trained on.
    """

    tiles: int
    rounds: int
    epochs: int
    steps: int
    head: int
    whole: int
    dino: int
    timed: int
    depths: tuple[int, ...]
    codewords: int
    patches: int


FULL = Effort(400, 5, 5, 100, 5000, 5000, 2000, 512, (128, 256), 1024, 2000)
QUICK = Effort(150, 3, 5, 25, 400, 60, 200, 128, (32, 64), 512, 300)


def effort_of(settings: Settings) -> Effort:
    """Return how much is trained with such settings."""
    return QUICK if settings.quick else FULL


def need_torch() -> None:
    """Refuse to go on without torch.

    Raises:
        UsageError: there is none.
    """
    try:
        import torch  # noqa: F401, PLC0415 (torch)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"classification needs torch: pip install 'skybook[train]' ({error})"
        ) from error


def _curves(
    settings: Settings,
    effort: Effort,
    tasks: Sequence[Tiles],
    streams: Sequence[Streamed],
    pretrained: bool,
) -> dict[str, dict[str, float | None]]:
    """Return accuracies of features of a frozen backbone against epochs of reconstruction."""
    import torch  # noqa: PLC0415 (torch)

    from benchmarks.reproduce.classification import backbone, dino  # noqa: PLC0415 (torch)
    from benchmarks.reproduce.classification.head import rightly  # noqa: PLC0415 (torch)
    from ground import metrics  # noqa: PLC0415

    patches = read_patches(settings.data, SIDE, effort.patches, 8)
    training = np.stack(patches.training)
    test = np.stack([patch for _, patch in patches.test])
    samples, held = (backbone.standardised(part, training) for part in (training, test))
    shape = backbone.architecture(BANDS, SIDE, effort.depths, effort.codewords)
    model = backbone.random_model(shape, SEED)
    if pretrained:
        settings.report(f"DINO, {effort.dino} steps")
        dino.pretrain(model, samples, effort.dino, SEED)
    found: dict[str, dict[str, float | None]] = defaultdict(dict)
    scale = training.astype(np.float64).std(axis=(0, 2, 3))[:, None, None]
    mean = training.astype(np.float64).mean(axis=(0, 2, 3))[:, None, None]
    for epochs in backbone.states(model, samples, effort.rounds, effort.epochs, effort.steps, SEED):
        back = backbone.decoded(model, held).numpy() * scale + mean
        ssim = np.mean([metrics.ssim(a, b) for a, b in zip(test, back.clip(0), strict=True)])
        for tiles, stream in zip(tasks, streams, strict=True):
            settings.report(f"{tiles.task}: {epochs} epochs")
            cut = tiles.cut(tiles.scenes)
            kinds = backbone.pooled_features(model, backbone.standardised(cut, cut))
            came = backbone.standardised(stream.pixels, cut)
            kinds["decoded"] = backbone.pooled_features(model, came)["latents"]
            for kind, inputs in kinds.items():
                row = found[f"{kind}/{epochs}"]
                told = tiles.labels, tiles.places, effort.head, SEED
                row[tiles.task] = float(rightly(inputs, *told).mean())
                row["ssim"] = float(ssim)
        torch.manual_seed(SEED)
    top = shape.levels
    bits = (shape.codewords[-1] - 1).bit_length() * (SIDE >> top) ** 2
    for name, row in found.items():
        if name.startswith("indices"):
            row["bytes"] = bits / 8
    return dict(found)


def _beside(
    settings: Settings, effort: Effort, tasks: Sequence[Tiles], streams: Sequence[Streamed]
) -> dict[str, dict[str, float | None]]:
    """Return accuracies from features of the flagship's streams, and end to end."""
    import torch  # noqa: PLC0415 (torch)

    from benchmarks.reproduce.classification import backbone  # noqa: PLC0415 (torch)
    from benchmarks.reproduce.classification.head import rightly  # noqa: PLC0415 (torch)

    shape = backbone.architecture(BANDS, SIDE, effort.depths, effort.codewords)
    ours: dict[str, float | None] = {"bytes": float(np.mean([s.bytes for s in streams]))}
    ends: dict[str, float | None] = {}
    for tiles, stream in zip(tasks, streams, strict=True):
        settings.report(f"{tiles.task}: end to end")
        told = tiles.labels, tiles.places
        ours[tiles.task] = float(rightly(stream.features, *told, effort.head, SEED).mean())
        right = rightly(
            tiles.cut(tiles.scenes).astype(np.float32),
            *told,
            effort.whole,
            SEED,
            lambda: backbone.Pooled(backbone.random_model(shape, SEED)),
        )
        ends[tiles.task] = float(right.mean())
    settings.report("times")
    wide = backbone.architecture(BANDS, SIDE, FULL.depths, FULL.codewords)
    network = backbone.Pooled(backbone.random_model(wide, SEED)).eval()

    def work(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint16]]") -> None:
        with torch.no_grad():
            for batch in torch.split(backbone.standardised(pixels, pixels[:8]), 8):
                network(batch)

    taken = times(tasks[0], RATIO, open_flagship(), work, effort.timed)
    ours["ms"], ours["gain"] = taken.features, taken.gain
    decoded = {"bytes": ours["bytes"], "ms": taken.decoding + taken.backbone}
    return {"end-to-end": ends, "skybook features": ours, "decoded": decoded}


def _measure(settings: Settings, figure: int) -> Measured:
    need_torch()
    effort = effort_of(settings)
    left: list[str] = []
    tasks = labelled(settings.data, effort.tiles, left.append)
    decoder = open_flagship()
    streams = []
    for tiles in tasks:
        settings.report(f"{tiles.task}: streams")
        streams.append(streamed(tiles, RATIO, decoder))
    codecs: dict[str, Figures] = {}
    if figure == 4:
        codecs |= _beside(settings, effort, tasks, streams)
        codecs |= _curves(settings, effort, tasks, streams, pretrained=False)
    else:
        for name, pretrained in (("random", False), ("dino", True)):
            found = _curves(settings, effort, tasks, streams, pretrained)
            codecs |= {f"{name}/{key}": row for key, row in found.items() if "decoded" not in key}
    words = "; ".join(
        f"{t.task}: {len(t.labels)} tiles of {len(set(t.places))} places" for t in tasks
    )
    notes = tuple(f"left out: {text}" for text in left[:5])
    return Measured(codecs, words if settings.data else f"procedural, {words}", (SEED,), notes)


_ROWS = {
    "water": "accuracy, water in more than a tenth of a tile, or none (Landsat-8)",
    "cultivated": "accuracy, cultivated land or none",
    "trees": "accuracy, trees or none",
    "built": "accuracy, built land or none",
    "vegetation": "accuracy, more or less green vegetation than in half of the tiles (procedural)",
    "ssim": "SSIM of reconstructions of four bands, patches of other places",
    "bytes": "of a decision: of a tile of 64 x 64, headers included; of CORSA the top index map",
    "ms": "CPU milliseconds of a tile, from stream to features (a backbone of 128 and 256 maps)",
    "gain": "times faster than to decode, and the backbone",
}
SOURCE = (
    "B. Beusen, X. Ivashkovych, T. Van Achteren, Image compression using vector-quantized "
    "auto-encoders with semantically meaningful feature extraction, section 3.2"
)
_DIFFERS = (
    "the paper prints curves and no numbers: it finds latents better than what is quantised, and "
    "both worse the longer the encoder was trained to reconstruct",
    "tasks are stand-ins from masks at hand, some hundred tiles of 64 x 64; the paper's are of "
    "BigEarthNet labels (forest kinds, sea, urban fabric, waterbodies), 120 x 120",
    "accuracy is of three folds of places; the paper's has no folds",
    "latents/5: what the head sees, after epochs of reconstruction; 0 is a frozen random encoder",
    "--quick: up to 300 tiles a task, heads of 400 steps, end to end 60, DINO 200, a backbone of "
    "32 and 64 maps, 25 steps for an epoch",
)

CORSA_FIG4 = Table(
    "corsa-fig4",
    "classes of tiles from latents, codewords and indices of CORSA, and from skybook's symbols",
    SOURCE + ", figure 4",
    _ROWS,
    {},
    lambda settings: _measure(settings, 4),
    (
        *_DIFFERS,
        "decoded/5: latents of the same encoder from what skybook leaves at a ratio of 20; skybook "
        "features are of that stream, without decoding, under the same head",
    ),
)
CORSA_FIG5 = Table(
    "corsa-fig5",
    "the same with and without DINO pre-training of the encoder",
    SOURCE + ", figure 5, which finds no gain",
    _ROWS,
    {},
    lambda settings: _measure(settings, 5),
    _DIFFERS,
)
