"""Figure 7 of the modulated hyperprior: rate and distortion against JPEG 2000, and its costs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.codecs.codec import Codec, round_trip
from benchmarks.codecs.jpeg2000 import Jpeg2000
from benchmarks.codecs.modulated.codec import ModulatedCodec
from benchmarks.codecs.modulated.frames import Frame
from benchmarks.codecs.modulated.lambdas import Lambdas, dequantise
from benchmarks.codecs.modulated.model import WEIGHTS
from benchmarks.codecs.skybook import BUNDLE, bundle_codecs
from benchmarks.quality.bdrate import Point, bd_psnr, bd_rate
from benchmarks.quality.figures import mean_over_places
from benchmarks.reproduce.mcos.costs import RATIO, costs
from benchmarks.reproduce.mcos.frames import (
    DIFFERS,
    PAPER,
    image_of,
    measured_frames,
    models,
    words_of,
)
from benchmarks.reproduce.table import Figures, Measured, Settings, Table
from ground.metrics import PEAK_16_BIT
from ground.scene import Scene
from onboard.errors import LimitError
from onboard.image.files import Image

CODES = (0, 6, 20, 56, 128, 255)
"""Of lambda, at which frames are coded."""
JPEG2000 = "jp2"


def measure_frame(
    name: str, codec: ModulatedCodec, frame: Frame, image: Image, rivals: Mapping[str, Codec]
) -> dict[str, Any]:
    """Code a frame at each of `CODES`, and by rivals in as many bytes.

    Returns:
        `points`, by codec a list of bytes and PSNR (peak 65535), of rivals those they can reach;
        and `expected_less_reached_db`, of each code.
    """
    points: dict[str, list[Point]] = {rival: [] for rival in (name, *rivals)}
    expected: list[float] = []
    latents, least = codec.analyse(image), float(codec.least_errors(image).item())
    for code in CODES:
        coded = codec.encode_at(image, Lambdas.same(1, code), latents)
        reached = _psnr(image, codec.decode(coded))
        points[name].append((coded.length, reached))
        if codec.regression:
            unit = codec.sensor.scale**2
            lambdas = dequantise(np.array([code], np.uint8))
            error = codec.regression.error(np.array([least / unit]), lambdas).item() * unit
            expected.append(10 * math.log10(PEAK_16_BIT**2 / error) - reached)
        for rival, other in rivals.items():
            try:
                length, decoded = round_trip(other, Scene(image), coded.length)
            except LimitError:
                continue
            points[rival].append((length, _psnr(image, decoded)))
    told = {"sensor": frame.sensor.name, "place": frame.place, "frame": frame.name}
    return told | {"points": points, "samples": image.size, "expected_less_reached_db": expected}


def _psnr(original: Image, decoded: Image) -> float:
    error = float(np.square(original.astype(np.float64) - decoded).mean())
    return 10 * math.log10(PEAK_16_BIT**2 / error) if error else math.inf


def curve_figures(details: Sequence[Mapping[str, Any]], name: str) -> dict[str, Figures]:
    """Return what separates each codec from JPEG 2000, and ours from the flagship, over places."""
    found: dict[str, Figures] = {}
    for codec in dict.fromkeys(codec for detail in details for codec in detail["points"]):
        if codec == JPEG2000:
            continue
        rows: dict[str, float | None] = {}
        for other in {JPEG2000, BUNDLE} - {codec}:
            pairs = [(d["place"], d["points"][codec], d["points"][other]) for d in details]
            rows[f"bd_rate_vs_{other}"] = mean_over_places(
                (place, bd_rate(ours, theirs)) for place, ours, theirs in pairs
            )
            rows[f"bd_psnr_vs_{other}"] = mean_over_places(
                (place, bd_psnr(ours, theirs)) for place, ours, theirs in pairs
            )
        if codec == name:
            rows |= _rates(details, name)
        found[codec] = rows
    return found


def _rates(details: Sequence[Mapping[str, Any]], name: str) -> Figures:
    """Return between which bits a sample it was measured, and how its error was foreseen."""
    ends = {
        row: mean_over_places(
            (d["place"], 8 * d["points"][name][n][0] / d["samples"]) for d in details
        )
        for row, n in (("bits_least", 0), ("bits_most", -1))
    }
    misses = ((d["place"], miss) for d in details for miss in d["expected_less_reached_db"])
    return ends | {"expected_less_reached_db": mean_over_places(misses)}


def _measure(settings: Settings) -> Measured:
    left_out: list[str] = []
    frames = measured_frames(settings, left_out)
    rivals: dict[str, Codec] = {JPEG2000: Jpeg2000(), BUNDLE: bundle_codecs(BUNDLE)[0]}
    codecs: dict[str, Figures] = {}
    notes: list[str] = []
    details: list[dict[str, Any]] = []
    for name, model in models(settings).items():
        notes.append(f"weights of {name}: {model.origin}")
        for sensor in model.sensors:
            codec, rows = model.codec(sensor), []
            for frame in (frame for frame in frames if frame.sensor.name == sensor):
                settings.report(f"{name}: {frame.name}")
                rows.append(measure_frame(name, codec, frame, image_of(frame, settings), rivals))
            codecs |= {f"{n}/{sensor}": found for n, found in curve_figures(rows, name).items()}
            details += rows
    settings.report("costs")
    found = costs(max(frames, key=lambda frame: frame.samples.size), WEIGHTS)
    notes += [f"left out: {text}" for text in left_out]
    return Measured(found | codecs, words_of(frames, settings), notes=tuple(notes), details=details)


MCOS_FIG7 = Table(
    "mcos-fig7",
    "rate and distortion of the modulated hyperprior, JPEG 2000 and skybook, band by band",
    f"{PAPER}, figure 7, a plot: its curves lie above those of JPEG 2000 and CCSDS 122 on all "
    "data, and expected PSNR is less than 1 dB off that reached",
    {
        "bd_rate_vs_jp2": "percent more bytes than JPEG 2000 at equal PSNR, mean of places",
        "bd_psnr_vs_jp2": "dB more than JPEG 2000 in as many bytes",
        "bd_rate_vs_skybook": "percent more bytes than skybook (trellis) at equal PSNR",
        "bd_psnr_vs_skybook": "dB more than skybook in as many bytes",
        "bits_least": "bits a sample at the least lambda, where the curves begin",
        "bits_most": "bits a sample at the largest lambda, where they end",
        "expected_less_reached_db": "dB, mean over lambdas, of equations 2 and 3",
        "encoder_mac_pixel": "multiply-accumulates a sample",
        "decoder_mac_pixel": "likewise, of the decoder",
        "weights_bytes": "of the file that the encoder needs",
        "ram_mib": "peak of an encode of up to 512 x 512 samples over what was resident before",
        "encode_mpixel_s": f"million samples a second of processor time, ratio {RATIO:g}, settled",
        "decode_mpixel_s": "likewise, decoding",
    },
    {},
    _measure,
    (
        *DIFFERS,
        "JPEG 2000 is OpenJPEG told the bytes of each point, headers included; there is no CCSDS "
        "122 coder for Python to compare with",
    ),
)
