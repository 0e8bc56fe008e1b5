"""What the modulated hyperprior and the flagship take to code a frame: work, memory, time."""

import tempfile
from pathlib import Path
from time import process_time

import numpy as np

from benchmarks.codecs.codec import Codec
from benchmarks.codecs.modulated.frames import Frame
from benchmarks.codecs.modulated.layout import decoder_macs, encoder_macs
from benchmarks.codecs.modulated.model import load
from benchmarks.codecs.skybook import BUNDLE, BundleCodec
from benchmarks.reproduce.mcos.frames import MODULATED
from benchmarks.reproduce.table import Figures
from benchmarks.resources.procfs import RESIDENT, memory_mb
from benchmarks.resources.worker import call
from ground.scene import Scene
from onboard import bundle as bundles
from onboard.commands.commandline import peak_rss_mb

SIDE, RATIO = 512, 16.0


def measure_memory(weights: str, sensor: str, image: str, ratio: float) -> dict[str, float]:
    """Encode a frame in this process, which must have done nothing before.

    Returns:
        `rss_over_loaded_mb`: the peak of resident memory over that with network and image loaded,
        MiB.
    """
    codec = load(Path(weights)).codec(sensor)
    scene = Scene(np.load(image))
    loaded = memory_mb(RESIDENT) or peak_rss_mb()
    codec.encode(scene, int(scene.raw_bytes / ratio))
    return {"rss_over_loaded_mb": peak_rss_mb() - loaded}


def costs(frame: Frame, weights: Path) -> dict[str, Figures]:
    """Return what the network and the flagship take to code a frame, at one rate."""
    image = np.ascontiguousarray(frame.samples[None, :SIDE, :SIDE])
    model, bundle = load(weights), bundles.load(BUNDLE)
    scene = Scene(image)
    budget = int(scene.raw_bytes / RATIO)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "frame.npy")
        np.save(path, image)
        told = [str(weights), frame.sensor.name, path, RATIO]
        ours = call("reproduce.mcos.costs", "measure_memory", told)
        theirs = call("resources.memory", "measure_memory", [BUNDLE, path, budget])
    codec = model.codec(frame.sensor.name)
    return {
        MODULATED: {
            "encoder_mac_pixel": encoder_macs(model.layout),
            "decoder_mac_pixel": decoder_macs(model.layout),
            "weights_bytes": weights.stat().st_size,
            "ram_mib": ours["rss_over_loaded_mb"],
            **_speeds(codec, scene),
        },
        BUNDLE: {
            "encoder_mac_pixel": bundle.macs_per_pixel / bundle.bands,
            "weights_bytes": bundles.find(BUNDLE).stat().st_size,
            "ram_mib": theirs["rss_over_loaded_mb"],
            **_speeds(BundleCodec.open(BUNDLE), scene),
        },
    }


def _speeds(codec: Codec, scene: Scene) -> dict[str, float]:
    """Return millions of samples a second of processor time, the rate being settled."""
    one = codec.one_pass(scene, RATIO)
    begun = process_time()
    coded = one.encode()
    between = process_time()
    codec.decode(coded)
    ended = process_time()
    count = scene.image.size / 1e6
    return {
        "encode_mpixel_s": count / (between - begun),
        "decode_mpixel_s": count / (ended - between),
    }
