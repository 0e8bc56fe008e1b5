"""Tables of segmentation: table 2 of the CORSA paper, and the tasks of others at equal bytes."""

from dataclasses import replace
from importlib.util import find_spec

from benchmarks.reproduce.corsatable1 import QUICK_TRAINING, SEED, SHIPPED, SIDE
from benchmarks.reproduce.patches import read_patches
from benchmarks.reproduce.patchmodel import PatchModel
from benchmarks.reproduce.segmentation.study import FULL, QUICK, Effort, study
from benchmarks.reproduce.segmentation.tasks import CULTIVATED, TASKS, Sample, Task, standin
from benchmarks.reproduce.segmentation.ways import ORIGINAL, Way, learned_at, ways_at
from benchmarks.reproduce.table import Figures, Measured, Settings, Table
from onboard.errors import UsageError

RATIOS = (20.0, 40.0, 80.0)
TABLE2_RATIO = 19.5
"""That of the larger model of the paper's table."""
_STANDINS, _STANDIN_SIDE = 6, 128


def _effort(settings: Settings) -> Effort:
    return QUICK if settings.quick else FULL


def _samples(settings: Settings, task: Task, left_out: list[str]) -> list[Sample]:
    if settings.data is None:
        return standin(_STANDINS, _STANDIN_SIDE)
    return task.samples(settings.data, left_out.append)


def _words(samples: list[Sample], task: Task, drawn: bool) -> str:
    places = len({sample.place for sample in samples})
    name = "procedural" if drawn else task.name
    return f"{name}: {len(samples)} samples of {places} places"


def _measure_table2(settings: Settings) -> Measured:
    left_out: list[str] = []
    samples = _samples(settings, CULTIVATED, left_out)
    if not samples:
        raise UsageError(f"{settings.data}: expected samples of cultivated land, found none")
    large = PatchModel.open(SHIPPED[1])
    training = read_patches(settings.data, SIDE, QUICK_TRAINING, 1).training
    small = large.refitted(large.name.replace("1024", "256"), 256, training, SEED)
    ways: dict[str, Way] = {small.name: small.through, large.name: large.through}
    effort = _effort(settings)
    codecs = study(
        samples,
        ways | ways_at([TABLE2_RATIO]),
        effort,
        settings.report,
        left_out.append,
    )
    notes = [
        f"{small.name}: networks of {large.name}, codebooks refitted to {len(training)} patches",
        *(f"left out: {text}" for text in left_out),
    ]
    words = _words(samples, CULTIVATED, settings.data is None)
    return Measured(codecs, words, tuple(range(effort.seeds)), tuple(notes))


def _measure_tasks(settings: Settings) -> Measured:
    left_out: list[str] = []
    codecs: dict[str, Figures] = {}
    words = []
    corsa = PatchModel.open(SHIPPED[0])
    shared = ways_at(RATIOS)
    of_four: dict[str, Way] = {corsa.name: corsa.through}
    if find_spec("torch"):  # of which whoever lacks it is told where networks are trained
        of_four |= learned_at(RATIOS)
    # without data one procedural task stands in for all
    tasks = TASKS if settings.data else (replace(CULTIVATED, name="vegetation"),)
    for task in tasks:
        samples = _samples(settings, task, left_out)
        if not samples:
            left_out.append(f"{task.name}: no samples")
            continue
        words.append(_words(samples, task, settings.data is None))
        ways = (of_four if task.four else {}) | shared
        found = study(
            samples,
            ways,
            _effort(settings),
            lambda text, name=task.name: settings.report(f"{name}: {text}"),  # type: ignore[misc]
            lambda text, name=task.name: left_out.append(f"{name}: {text}"),  # type: ignore[misc]
        )
        codecs |= {f"{task.name}/{codec}": row for codec, row in found.items()}
    if not codecs:
        raise UsageError(f"{settings.data}: expected samples of a task, found none")
    notes = tuple(f"left out: {text}" for text in left_out)
    return Measured(codecs, "; ".join(words), tuple(range(_effort(settings).seeds)), notes)


_ROWS = {
    "accuracy": "share of the pixels that are taken for what they are",
    "precision": "share of the pixels found that are right",
    "recall": "share of the pixels to be found that are",
    "iou": "pixels found rightly over those found or to be found",
    "iou_lost": "IoU on originals less that, of all pixels together, of the images coded alone",
    "iou_lost_low": "and between which it lies in 95 of 100 draws of as many places, low",
    "iou_lost_high": "and high",
    "left_out": "images that are not among all these, as they cannot be coded in so few bytes",
}
_NETWORK = (
    "a U-Net of three scales (16, 32, 64 maps), trained on originals for each of three folds of "
    "places, and scored on the others"
)

_SEEN = "images of some places are among those that the codecs were trained on, without masks"

CORSA_TABLE2 = Table(
    "corsa-table2",
    "cultivated land found in what CORSA leaves of an image",
    "B. Beusen, X. Ivashkovych, T. Van Achteren, Image compression using vector-quantized "
    "auto-encoders with semantically meaningful feature extraction, table 2",
    _ROWS,
    {
        ORIGINAL: {"accuracy": 0.942, "precision": 0.898, "recall": 0.898},
        "corsa-3level-256": {"accuracy": 0.936, "precision": 0.890, "recall": 0.882},
        "corsa-3level-1024": {"accuracy": 0.936, "precision": 0.890, "recall": 0.884},
    },
    _measure_table2,
    (
        _NETWORK + "; the paper has the network of a team of the AI4EO challenge (Pix2Pix)",
        "masks are of 10 or 20 m from one image of four bands; the paper's of 2.5 m from a time "
        "series of ten bands of one region of Slovenia",
        "fields of one scene in Austria and land cover of five places in the world; a fold is of "
        "quarters of these, as the paper's network knew the region too",
        _SEEN,
    ),
)

SEGMENTATION = Table(
    "segmentation",
    "tasks of segmentation on what codecs leave of an image, at equal bytes",
    "C. Molliere and others, Learned image compression for earth observation: implications for "
    "downstream segmentation tasks, arXiv:2512.01788, which has other tasks and codecs",
    _ROWS,
    {},
    _measure_tasks,
    (
        _NETWORK,
        "clouds are what scene classifications call so, of one place on nine days, whose quarters "
        "part; burnt land is of two bands of 20 m, brought to another grid and rounded; water and "
        "damage by bark beetles stand in for buildings, of which there are no masks here",
        "skybook/20 is skybook at a ratio of 20, all headers counted; CORSA's ratio is its own "
        "(20.48) where tiles are whole, and it knows four bands alone, as does mixture, a learned "
        "codec with the likelihood of the paper's",
        _SEEN,
    ),
)
