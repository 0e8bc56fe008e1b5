"""Rivals: the codecs that a team would use instead, and our decoder, in a worker of their own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.htj2k import htj2k_decode, htj2k_encode, htj2k_step
from benchmarks.codecs.klt import KLT_BYTES_PER_BAND, gradient_covariance, rotate
from benchmarks.codecs.lossless import LOSSLESS, Lossless
from benchmarks.resources.timing import RATIO, budget_of, encode
from benchmarks.resources.worker import Tasks, pin
from ground import metrics
from ground.decode.decoder import Decoder
from ground.products.geotiff import jpeg2000_decode, jpeg2000_encode
from onboard.bundle import find, load
from onboard.encoder import Encoder

Image = NDArray[np.uint16]
LABELS = {
    "openjpeg": "JPEG 2000 per band (OpenJPEG)",
    "klt_openjpeg": "gradient KLT + JPEG 2000",
    "htj2k": "HTJ2K per band (OpenJPH)",
    "jpegls": "JPEG-LS (CharLS)",
    "ccsds121": "CCSDS 121.0 (libaec)",
}


@dataclass(frozen=True)
class Rival:
    """One codec on one image.

    Attributes:
        setting: what it was told.
        encode: one whole encode, in one pass.
        decode: what the ground gets of that.
        length: bytes of it.
    """

    setting: str
    encode: Callable[[], Any]
    decode: Callable[[Any], NDArray[Any]]
    length: Callable[[Any], int]


def open_rivals(name: str, path: str, cpu: int) -> tuple[dict[str, Any], Tasks]:
    """Code an image once with every codec.

    Args:
        name: of our bundle, whose stream `decode` decodes.
        path: of an .npy file (bands, rows, cols) uint16.
        cpu: to stay on.

    Returns:
        Hello: `codecs`, figures of each and of ours, or the `reason` why it is left out. A task for
        each codec, `decode` and, of a bundle of variable rate, `decode_trellis`.
    """
    pin(cpu)
    image: Image = np.load(path)
    rivals = _rivals(image)
    figures = {rival: _figures(image, codec) for rival, codec in rivals.items()}
    encoder = Encoder(load(name))
    stream = encode(encoder, image, budget_of(image, encoder.bundle.variable_rate))
    decoder = Decoder(find(name), threads=1)
    decoded = decoder.decode(stream).scene.image
    rate = "a byte budget" if encoder.bundle.variable_rate else "fixed"
    ours = {"setting": f"rate: {rate}"} | _quality(image, decoded, len(stream))
    left_out = {
        rival: {"reason": "imagecodecs is not installed; pip install 'skybook[bench]'"}
        for rival in LABELS
        if rival not in rivals
    }
    tasks: dict[str, Callable[[], Any]] = {
        rival: partial(_silently, codec.encode) for rival, codec in rivals.items()
    }
    tasks["decode"] = partial(_silently, partial(decoder.decode, stream))
    if encoder.bundle.variable_rate:
        along = encode(encoder, image, budget_of(image, True), trellis=True)
        tasks["decode_trellis"] = partial(_silently, partial(decoder.decode, along))
    return {"engine": encoder.engine, "codecs": {name: ours} | figures | left_out}, tasks


def _silently(work: Callable[[], object]) -> None:
    """Do work whose result is not wanted."""
    work()


def klt_jpeg2000(image: Image) -> bytes:
    """Return OpenJPEG's codestream after the gradient KLT, in one pass at `RATIO`."""
    return jpeg2000_encode(rotate(image, gradient_covariance(image)).image, RATIO)


def _rivals(image: Image) -> Mapping[str, Rival]:
    """Return the codecs that can run here, ready to code an image."""
    bands = len(image)
    rotated = rotate(image, gradient_covariance(image))
    side = KLT_BYTES_PER_BAND * bands * (bands + 1)
    lossy = f"9/7 wavelet, ratio {RATIO}"
    rivals = {
        "openjpeg": Rival(lossy, partial(jpeg2000_encode, image, RATIO), jpeg2000_decode, len),
        "klt_openjpeg": Rival(
            f"{lossy}, KLT included",
            partial(klt_jpeg2000, image),
            lambda stream: rotated.back(jpeg2000_decode(stream)),
            lambda stream: len(stream) + side,
        ),
    }
    if find_spec("imagecodecs") is None:
        return rivals
    step = htj2k_step(image, int(2 * image.size / RATIO))
    rivals["htj2k"] = Rival(
        f"9/7 wavelet, step {step:.3g} that gives ratio {RATIO}, its search not timed",
        partial(htj2k_encode, image, step),
        lambda stream: htj2k_decode(stream, image.shape),
        len,
    )
    return rivals | {rival: _lossless(image, codec) for rival, codec in LOSSLESS.items()}


def _lossless(image: Image, codec: Lossless) -> Rival:
    return Rival(
        codec.setting,
        partial(codec.encode, image),
        lambda bands: codec.decode(bands, image.shape),
        lambda bands: sum(map(len, bands)),
    )


def _figures(image: Image, codec: Rival) -> dict[str, Any]:
    coded = codec.encode()
    decoded = codec.decode(coded)
    return {"setting": codec.setting} | _quality(image, decoded, codec.length(coded))


def _quality(image: Image, decoded: NDArray[Any], length: int) -> dict[str, Any]:
    """Return bytes, ratio, and PSNR with peak 65535; no PSNR where not a sample differs."""
    lossless = bool(np.array_equal(image, decoded))
    psnr = None if lossless else float(metrics.psnr(image, decoded, metrics.PEAK_16_BIT))
    ratio = 2 * image.size / length
    return {"bytes": length, "ratio": ratio, "lossless": lossless, "psnr16": psnr}
