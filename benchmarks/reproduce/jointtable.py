"""Table of a codec and a network of segmentation that are trained together, or each alone."""

from dataclasses import replace

from benchmarks.reproduce.segmentation import study
from benchmarks.reproduce.segmentation.tasks import BARK_BEETLE, standin
from benchmarks.reproduce.table import Measured, Settings, Table
from onboard.errors import UsageError

FULL, QUICK = study.FULL, replace(study.QUICK, steps=100)
_STANDINS, _STANDIN_SIDE = 6, 128


def _measure(settings: Settings) -> Measured:
    try:
        from benchmarks.reproduce.segmentation import jointstudy  # noqa: PLC0415 (torch)
    except ModuleNotFoundError as error:
        raise UsageError(f"joint needs torch: pip install 'skybook[train]' ({error})") from error

    left_out: list[str] = []
    name, samples = "procedural", standin(_STANDINS, _STANDIN_SIDE)
    if settings.data is not None:
        name, samples = BARK_BEETLE.name, BARK_BEETLE.samples(settings.data, left_out.append)
    if not samples:
        raise UsageError(f"{settings.data}: expected samples of bark beetles, found none")
    effort = QUICK if settings.quick else FULL
    codecs = jointstudy.study(samples, effort, settings.report)
    words = f"{name}: {min(len(samples), effort.samples)} of {len(samples)} samples"
    notes = tuple(f"left out: {text}" for text in left_out)
    return Measured(codecs, words, tuple(range(effort.seeds)), notes)


JOINT = Table(
    "joint",
    "codec and segmentation network optimised together, or each alone",
    "C. Molliere and others, Learned image compression for earth observation: implications for "
    "downstream segmentation tasks, arXiv:2512.01788: joint optimisation does not improve on "
    "standalone optimisation; its figures are of other tasks and networks",
    {
        "accuracy": "share of the pixels that are taken for what they are",
        "iou": "pixels found rightly over those found or to be found",
        "iou_lost": "IoU on originals, of the network trained on originals alone, less that",
        "iou_lost_low": "and between which it lies in 95 of 100 draws of as many places, low",
        "iou_lost_high": "and high",
        "gain": "IoU less that in turn",
        "gain_low": "and between which it lies in 95 of 100 draws of as many places, low",
        "gain_high": "and high",
        "bpppb": "bits a pixel and band by the likelihoods of the codec, no stream is made; mean "
        "over places",
        "psnr": "dB, mean over places; peak 65535",
    },
    {},
    _measure,
    (
        "apart: the codec minimises rate and distortion, the network sees originals; in-turn: that "
        "codec, and a network that goes on on what it leaves; together: both minimise rate, "
        "distortion and cross-entropy, whose gradient passes rounding as if it were not there",
        "all start from copies of the same two networks, trained apart, and have as many steps "
        "again; each has the same crops",
        "a codec of 16 and 32 maps, 96 latents and a factorised prior, which starts from a KLT; a "
        "U-Net of three scales (16, 32, 64 maps); both trained for each of three folds of places, "
        "and scored on the others; minutes of training stand for hours",
        "--quick: 100 steps of 8 crops of 64 x 64, then 100 again, one seed; else 600 and 600, "
        "three seeds, an hour of a core",
        "ways are held against each other at one lambda, not at equal bytes: see bpppb; intervals "
        "are of draws of places, not of seeds",
    ),
)
