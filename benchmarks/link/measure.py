"""Link: what lost packets and flipped bits cost, over many passes and beside JPEG 2000."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from benchmarks.link.channel import Channel
from benchmarks.link.passes import (
    BIT_ERRORS,
    LOSSES,
    PASSES_PER_STREAM,
    SEED,
    Pass,
    Sent,
    draw_sent,
    run_pass,
)
from benchmarks.link.salvage import Salvaged, add_up
from benchmarks.link.sending import Sending, senders
from benchmarks.machine import machine
from benchmarks.scenes import mosaic
from ground.decode.decoder import Decoder
from ground.metrics import PEAK_16_BIT, psnr
from onboard.bundle import find, load
from onboard.encoder import Encoder
from onboard.errors import BundleError, UsageError
from onboard.link.packet import DEFAULT_PACKET_BYTES

BANDS = 4

COMPARED_BURST = 3.0
COMPARED = (
    *(Channel(loss, COMPARED_BURST) for loss in LOSSES),
    *(Channel(0.0, bit_errors=rate) for rate in sorted(set(BIT_ERRORS) - {0.0})),
)
AREAS = ("wrong", "area", "lost", "masked", "ring", "reach", "stray", "received")
Report = Callable[[str], None]


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        passes: number of passes simulated, each with scenes and channel of its own.
        side: side of the scene of the comparison, pixels.
        compared: number of passes of each codec over each channel of the comparison.
    """

    passes: int
    side: int
    compared: int

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise UsageError(f"passes: expected 1 or more, found {self.passes}")


FULL = Scale(1_000, 512, 20)
QUICK = Scale(100, 256, 2)


def measure_link(name: str, scale: Scale, repair: float | None, report: Report) -> dict[str, Any]:
    """Return the documents of `simulate` and `compare` in one."""
    compared = compare(name, scale, repair, report)
    return simulate(name, range(scale.passes), report) | compared


def open_bundle(name: str) -> tuple[Encoder, Decoder]:
    """Return encoder and decoder of a bundle of the bands of the scenes.

    Raises:
        BundleError: no such bundle, or of other bands.
    """
    bundle = load(name)
    if bundle.bands != BANDS:
        raise BundleError(f"{bundle.name}: expected {BANDS} bands, found {bundle.bands}")
    return Encoder(bundle), Decoder(find(name))


def simulate(name: str, numbers: Iterable[int], report: Report) -> dict[str, Any]:
    """Run passes; each depends on its number alone.

    Returns:
        The document of `summarise`, with `bundle`, `ring` in pixels and `machine`.
    """
    encoder, decoder = open_bundle(name)
    passes: list[Pass] = []
    sent: tuple[int, Sent] | None = None
    for number in numbers:
        report(f"pass {number}")
        stream = number // PASSES_PER_STREAM
        if sent is None or sent[0] != stream:
            sent = stream, draw_sent(encoder, decoder, stream)
        passes.append(run_pass(decoder, sent[1], number))
    origin = {"bundle": encoder.bundle.name, "ring": decoder.network.halo, "seed": SEED}
    return {**origin, "machine": machine(), **summarise(passes)}


def summarise(passes: Sequence[Pass]) -> dict[str, Any]:
    """Add up passes.

    Returns:
        `passes`, `wrong_pixels_outside_mask`, the numbers of `wrong_passes`,
        `masked_over_lost_area`, `marked_over_lost_area` (the same without mask 1),
        `ring_over_lost_area` (what lies within the ring around lost tiles), `stray_pixels` (masked
        beyond the ring), `largest_psnr_change_received` in dB, `salvaged`, see `_salvaged`, and
        `losses`, a row per loss rate.
    """
    total = _sums(passes)
    lost = max(total["lost"], 1)
    changes = [abs(_change(one)) for one in passes if one.received]
    return {
        "passes": len(passes),
        "wrong_pixels_outside_mask": total["wrong"],
        "wrong_passes": [one.number for one in passes if one.wrong],
        "masked_over_lost_area": total["masked"] / lost,
        "marked_over_lost_area": (total["masked"] - total["ring"]) / lost,
        "ring_over_lost_area": (total["reach"] - total["lost"]) / lost,
        "stray_pixels": total["stray"],
        "largest_psnr_change_received": max(changes, default=0.0),
        "salvaged": _salvaged(add_up([one.salvaged for one in passes])),
        "losses": [
            _loss_row(loss, [one for one in passes if one.channel.loss == loss])
            for loss in sorted({one.channel.loss for one in passes})
        ],
    }


def _salvaged(found: Salvaged) -> dict[str, Any]:
    """Return area in pixels, PSNR with and without salvage there, tiles, and how many are worse."""
    values = BANDS * found.area
    return {
        "area": found.area,
        "psnr16": _psnr(found.error, values),
        "psnr16_without": _psnr(found.error_without, values),
        "tiles": found.tiles,
        "worse_tiles": found.worse,
    }


def _sums(passes: Sequence[Pass]) -> dict[str, int]:
    return {name: sum(getattr(one, name) for one in passes) for name in AREAS}


def _loss_row(loss: float, passes: Sequence[Pass]) -> dict[str, Any]:
    """Return the figures of all passes of one loss rate."""
    total = _sums(passes)
    values = BANDS * total["received"]
    return {
        "loss": loss,
        "passes": len(passes),
        "packets_arrived": sum(p.arrived for p in passes) / sum(p.packets for p in passes),
        "wrong_pixels": total["wrong"],
        "lost_area": total["lost"] / total["area"],
        "masked_area": total["masked"] / total["area"],
        "ring_area": total["ring"] / total["area"],
        "psnr16_received": _psnr(sum(p.error for p in passes), values),
        "psnr16_received_without_loss": _psnr(sum(p.error_without_loss for p in passes), values),
        "psnr16_median": median(p.psnr for p in passes),
    }


def _change(one: Pass) -> float:
    """Return by how many dB losses elsewhere change the received area."""
    values = BANDS * one.received
    found, expected = _psnr(one.error, values), _psnr(one.error_without_loss, values)
    return 0.0 if found is None or expected is None else found - expected


def _psnr(error: float, values: int) -> float | None:
    """Return the PSNR in dB, peak 65535, of a squared error; None of nothing or no error."""
    if not values or not error:
        return None
    return 10 * math.log10(PEAK_16_BIT**2 * values / error)


def describe_pass(name: str, number: int) -> dict[str, Any]:
    """Run one pass; return what it drew and all its figures.

    Raises:
        UsageError: a negative number.
    """
    if number < 0:
        raise UsageError(f"pass: expected 0 or more, found {number}")
    encoder, decoder = open_bundle(name)
    sent = draw_sent(encoder, decoder, number // PASSES_PER_STREAM)
    drawn = {"shape": list(sent.scene.image.shape), "options": asdict(sent.options)}
    return drawn | asdict(run_pass(decoder, sent, number))


def compare(name: str, scale: Scale, repair: float | None, report: Report) -> dict[str, Any]:
    """Send one scene with every codec at the same bytes over the same channels.

    Args:
        name: name or path of the bundle.
        scale: how much is measured.
        repair: share of repair packets of a further codec, ours with the erasure code.
        report: function called with what comes next.

    Returns:
        `compared`: a row per channel and codec, see `_compared_row`; `compared_shape`,
        `compared_passes`, `packet_bytes`, and `bytes` on the link of each codec.
    """
    image = mosaic(scale.side, scale.side)
    encoder, decoder = open_bundle(name)
    sendings: dict[str, Sending] = {}
    budget = 0
    for codec, send in senders(encoder, decoder, repair).items():
        report(f"{codec}: encoding")
        sendings[codec] = send(image, DEFAULT_PACKET_BYTES, budget)
        budget = budget or sendings[codec].length
    rows = []
    for number, channel in enumerate(COMPARED):
        for codec, sending in sendings.items():
            report(f"{codec}: {channel.loss:.0%} lost, {channel.bit_errors:g} bit errors")
            found = [_one_psnr(sending, channel, image, [number, i]) for i in range(scale.compared)]
            rows.append(_compared_row(codec, channel, found, image))
    return {
        "compared_shape": list(image.shape),
        "compared_passes": scale.compared,
        "packet_bytes": DEFAULT_PACKET_BYTES,
        "repair": repair,
        "bytes": {codec: sending.length for codec, sending in sendings.items()},
        "compared": rows,
    }


def _one_psnr(sending: Sending, channel: Channel, image: Any, draw: list[int]) -> float | None:
    """Return the PSNR of what arrives, None if that is nothing."""
    rng = np.random.default_rng([SEED, 2, *draw])
    found = sending.receive(channel.transmit(sending.packets, rng))
    return None if found is None else psnr(image, found, PEAK_16_BIT)


def _compared_row(
    codec: str, channel: Channel, found: Sequence[float | None], image: Any
) -> dict[str, Any]:
    """Return median and 10th percentile; where nothing decodes a pass counts as the scene's mean.

    That favours codecs that often fail: a receiver does not know the mean.
    """
    mean = np.broadcast_to(np.rint(image.mean(axis=(1, 2), keepdims=True)), image.shape)
    nothing = psnr(image, mean, PEAK_16_BIT)
    values = [nothing if value is None else value for value in found]
    return {
        "codec": codec,
        "loss": channel.loss,
        "bit_errors": channel.bit_errors,
        "psnr16_median": median(values),
        "psnr16_tenth": float(np.percentile(values, 10)),
        "decoded": sum(value is not None for value in found) / len(found),
    }
