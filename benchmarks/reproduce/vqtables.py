"""Quantizers of the CORSA pyramid at equal bytes; and with a discriminator, or without."""

from benchmarks.reproduce.table import Measured, Settings, Table
from benchmarks.reproduce.vq.setting import FULL, QUICK, SEED, Effort, patches
from onboard.errors import UsageError


def _need_torch(table: str) -> None:
    try:
        import torch  # noqa: F401, PLC0415 (torch)
    except ModuleNotFoundError as error:
        raise UsageError(f"{table} needs torch: pip install 'skybook[train]' ({error})") from error


def _effort(settings: Settings) -> Effort:
    return QUICK if settings.quick else FULL


def _study(settings: Settings) -> Measured:
    _need_torch("vq-study")
    from benchmarks.reproduce.vq.study import study  # noqa: PLC0415 (torch)

    effort = _effort(settings)
    given = patches(settings.data, effort)
    return Measured(study(effort, given, settings.report), given.words, (SEED,))


def _discriminator(settings: Settings) -> Measured:
    _need_torch("discriminator")
    from benchmarks.reproduce.vq.study import adversaries  # noqa: PLC0415 (torch)

    effort = _effort(settings)
    given = patches(settings.data, effort)
    return Measured(adversaries(effort, given, settings.report), given.words, (SEED,))


_HISTOGRAM = {
    "histogram.B02": "distance of the histograms of a patch (Wasserstein-1), DN",
    "histogram.B03": "the same, green",
    "histogram.B04": "the same, red",
    "histogram.B08": "the same, near infrared",
}
_ROWS = {
    "bytes": "of the packed indices of a patch of 64 x 64; of skybook all, headers included",
    "psnr": "dB, mean over places; peak 65535",
    "used.fine": "share of codewords that test patches chose, of all or of as many as there are "
    "positions, finest level",
    "used.coarse": "the same, coarse level",
    "perplexity.fine": "how many codewords equally often chosen they are worth",
    "perplexity.coarse": "the same, coarse level",
    "angle": "degrees between spectra, before and after",
    **_HISTOGRAM,
}
_POSTER = (
    "a poster on VQ-VAE as image tokenizer and codec for TerraMesh (MajorTOM-Core), after "
    "P. Esser, R. Rombach, B. Ommer, Taming transformers for high-resolution image synthesis, "
    "CVPR 2021, and J. Wang et al., Scaling image tokenizers with grouped spherical quantization, "
    "arXiv:2412.02632"
)
_DIFFERS = (
    "the poster trains on MajorTOM-Core; ours are patches of 64 x 64 of four bands, of other "
    "places than those trained on (a folder may hold TerraMesh, too)",
    "networks start from a block transform beside them, and gradients pass a quantizer by its "
    "linear gain: minutes of training stand for the hours that random weights take",
    "--quick: 150 steps of 8 patches, 32 and 64 feature maps; else 1,500 steps, 64 and 128 maps, "
    "hours",
)
VQ_STUDY = Table(
    "vq-study",
    "VQ, product, residual, grouped spherical and finite scalar quantizers at equal bytes",
    f"{_POSTER}; it prints no figures: larger codebooks reconstruct better, larger dimensions are "
    "underused and harder to train, decomposed quantizers help there",
    _ROWS,
    {},
    _study,
    (
        *_DIFFERS,
        "vq/1024 has 1,024 codewords a level and 16 dimensions, vq-dims/64 as many codewords and "
        "64 dimensions; product, residual and sphere (GSQ) have two books each, scalar (FSQ) 3 to "
        "5 axes, whatever the dimensions",
        "a block of the finest level holds 16 samples: further dimensions can only tell of what is "
        "around it",
        "sums of residual are sought jointly, not book by book; scalar is held within its grid, "
        "without a tanh",
        "sphere sends no length: a flat block costs as much as a town. It starts from latents that "
        "tell by their length, and still gains when training ends",
        "skybook codes each patch as a scene of its own",
    ),
)
DISCRIMINATOR = Table(
    "discriminator",
    "the same network after more steps with a discriminator of some weight beside it, or none",
    f"{_POSTER}; it prints no figures: a discriminator makes pictures of other kinds look better; "
    "of Earth observation the spectrum must match, and each pixel come close to the original",
    {
        "psnr": "dB, mean over places; peak 65535",
        "ssim": "structural similarity of digital numbers in a range of 10000",
        "angle": "degrees between spectra, before and after",
        "ndvi": "mean error of the NDVI",
        **_HISTOGRAM,
        "detail": "energy of differences between neighbours, over that of the original",
        "told": "share of patches that a network of its own tells from originals; 0.5 is chance",
    },
    {},
    _discriminator,
    (
        *_DIFFERS,
        "before: the network that all others go on from; without: as many steps more (400 with "
        "--quick, else 1,000)",
        "the perceptual loss of VQ-GAN is left out: it needs a network trained on ImageNet, which "
        "has three bands of 8 bits",
    ),
)
