"""Rivals: the codecs that a team would use instead, and our decoder, in a worker of their own."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.codecs.codec import Codec, OnePass
from benchmarks.codecs.skybook import BundleCodec
from benchmarks.codecs.table import TIMED, TIMED_LEFT_OUT
from benchmarks.resources.timing import RATIO
from benchmarks.resources.worker import Tasks, pin
from ground import metrics
from ground.decode.decoder import Decoder
from ground.scene import Scene
from onboard.bundle import find


def open_rivals(name: str, path: str, cpu: int) -> tuple[dict[str, Any], Tasks]:
    """Code an image once with every codec.

    Args:
        name: name of our bundle, whose stream `decode` decodes.
        path: path of an .npy file (bands, rows, cols) uint16.
        cpu: CPU to stay on.

    Returns:
        Hello: `codecs`, figures of each and of ours, or the `reason` why it is left out. A task for
        each codec, `decode` and, of a bundle of variable rate, `decode_trellis`, `decode_fast` and
        `decode_best`.
    """
    pin(cpu)
    scene = Scene(np.load(path))
    passes = {rival: codec.one_pass(scene, RATIO) for rival, codec in TIMED.items()}
    figures = {rival: _figures(scene, TIMED[rival], one) for rival, one in passes.items()}
    ours = BundleCodec.open(name)
    decoders = {"decode": ours}
    if ours.variable_rate:
        bundle_path = find(name)
        decoders["decode_trellis"] = replace(ours, trellis=True)
        decoders["decode_fast"] = replace(ours, decoder=Decoder(bundle_path, linear=True))
        decoders["decode_best"] = replace(ours, decoder=Decoder(bundle_path, best=True))
    left_out = {rival: {"reason": reason} for rival, reason in TIMED_LEFT_OUT.items()}
    own = {name: _figures(scene, ours, ours.one_pass(scene, RATIO))}
    tasks: dict[str, Callable[[], Any]] = {
        rival: partial(_silently, one.encode) for rival, one in passes.items()
    }
    for task, codec in decoders.items():
        coded = codec.one_pass(scene, RATIO).encode()
        tasks[task] = partial(_silently, partial(codec.decode, coded))
    return {"engine": ours.encoder.engine, "codecs": own | figures | left_out}, tasks


def _silently(work: Callable[[], object]) -> None:
    """Do work whose result is not wanted."""
    work()


def _figures(scene: Scene, codec: Codec, one: OnePass) -> dict[str, Any]:
    """Return setting, bytes, ratio, and PSNR with peak 65535, or None where no sample differs."""
    coded = one.encode()
    decoded = codec.decode(coded)
    lossless = bool(np.array_equal(scene.image, decoded))
    psnr = None if lossless else metrics.psnr(scene.image, decoded, metrics.PEAK_16_BIT)
    return {
        "setting": one.setting,
        "bytes": coded.length,
        "ratio": scene.raw_bytes / coded.length,
        "lossless": lossless,
        "psnr16": psnr,
    }
