"""Frames of places that the modulated hyperprior was not trained on, and its networks."""

from pathlib import Path

import numpy as np

from benchmarks.codecs.modulated.frames import SENSORS, TEST, Frame, evenly, read_frames
from benchmarks.codecs.modulated.model import WEIGHTS, Model, load
from benchmarks.reproduce.table import Settings
from onboard.image.files import Image

MODULATED = "modulated"
FRAMES, SIDE = 60, 1_024
QUICK_FRAMES, QUICK_SIDE = 6, 256
"""Of each sensor as many frames at most, and their largest rows and columns."""
PAPER = (
    "S. Mijares i Verdu, M. Chabert, T. Oberlin, J. Serra-Sagrista, Fixed-quality compression of "
    "remote sensing images with neural networks, IEEE JSTARS 17 (2024)"
)
DIFFERS = (
    "the network is one for all sensors, of far fewer steps, and begins as a KLT of blocks; the "
    "paper has one for each data set, trained from weights drawn by chance",
    "frames are coded about their mean, which is sent (2 bytes)",
)


def measured_frames(settings: Settings, left_out: list[str]) -> list[Frame]:
    """Return the frames that are measured."""
    found = read_frames(settings.data, TEST, left_out.append)
    return evenly(found, QUICK_FRAMES if settings.quick else FRAMES)


def image_of(frame: Frame, settings: Settings) -> Image:
    """Return the part of a frame that is measured, (1, rows, cols)."""
    side = QUICK_SIDE if settings.quick else SIDE
    return np.ascontiguousarray(frame.samples[None, :side, :side])


def models(settings: Settings) -> dict[str, Model]:
    """Return networks by name: skybook's own, and weights (.npz) that are given as bundles."""
    given = [Path(name) for name in settings.bundles if name.endswith(WEIGHTS.suffix)]
    return {MODULATED: load(WEIGHTS)} | {path.stem: load(path) for path in given}


def words_of(frames: list[Frame], settings: Settings) -> str:
    """Return what is measured, in words."""
    counts = []
    for name in SENSORS:
        if of := [frame for frame in frames if frame.sensor.name == name]:
            counts.append(f"{len(of)} of {len({f.place for f in of})} places of {name}")
    return f"{'' if settings.data else 'procedural, '}frames: {', '.join(counts)}"
