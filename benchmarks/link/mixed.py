"""Mixed: recordings that hold several encodings of one scene id, and whether pixels are mixed."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.link.channel import Arrival, Rng
from benchmarks.link.passes import SEED, TOLERANCE, Sent, draw_channel, send
from benchmarks.machine import machine
from ground.decode.choice import best_first
from ground.decode.decoder import Decoded, Decoder
from ground.decode.mask import Mask
from ground.scenes.procedural import procedural
from ground.station.merge import merge
from ground.station.recording import read_pass
from ground.station.salvage.madeout import Salvage
from onboard.bundle import find
from onboard.downlink.protect import protect
from onboard.encoder import Encoder, Options
from onboard.encoder.options import WINDOWS
from onboard.link.binding import NO_RUN, Encoding
from onboard.link.packet import PacketOptions, SpacePacket
from onboard.link.segment import Segment, unpack_segments

POOL = 32
"""Encodings that recordings are mixed of, all of scene id 0."""
_OF_A_SCENE = 4
"""Encodings of the pool that are of one scene."""
_SIDES = (30, 140)
_PACKET_BYTES = (128, 256, 512, 1_024)
_RATIOS = (8.0, 12.0, 20.48)
_FORMS = ("one after another", "interleaved", "cut")
_GROUP, _REPAIR = 20, 4
_SAME = 0.25
"""Share of the bits that may be wrong in a segment as it came: of two segments half differ."""


@dataclass(frozen=True)
class Mixed:
    """What came of one recording.

    Attributes:
        number: number from which everything of it is drawn.
        encodings: encodings that were sent.
        found: encodings of which something was found.
        complete: pixels of mask 0 of the product; None where nothing could be decoded.
        wrong: of these, pixels that differ by more than 1 DN in a band from the loss-free decode of
            the encoding that was chosen, or that have no data in it.
        differing: pixels of mask 0 that differ at all from a decode of what arrived of the chosen
            encoding alone.
        salvaged: segments of which something was salvaged.
        strange: of these, segments that the chosen encoding has none like.
    """

    number: int
    encodings: int
    found: int
    complete: int | None
    wrong: int
    differing: int
    salvaged: int = 0
    strange: int = 0


@dataclass
class Pool:
    """Encodings to mix, made when they are first asked for.

    Attributes:
        encoder: encoder that makes them.
        decoder: decoder of their loss-free pictures.
        size: how many there are.
        run: run of all of them; None gives each its own.
    """

    encoder: Encoder
    decoder: Decoder
    size: int = POOL
    run: int | None = None
    _made: dict[int, Sent] = field(default_factory=dict)

    def take(self, number: int) -> Sent:
        """Return an encoding."""
        if number not in self._made:
            self._made[number] = self._make(number)
        return self._made[number]

    def _make(self, number: int) -> Sent:
        of_scene = np.random.default_rng([SEED, 3, number // _OF_A_SCENE])
        rows, cols = map(int, of_scene.integers(*_SIDES, 2))
        scene = procedural(int(of_scene.integers(1 << 31)), rows, cols, self.encoder.bundle.bands)
        scene = replace(scene, crs=None, transform=None)  # else headers need longer packets
        variable = self.encoder.bundle.variable_rate
        rng = np.random.default_rng([SEED, 4, number])
        form = PacketOptions(
            int(rng.choice(_PACKET_BYTES)), int(rng.integers(1, 3)), bool(rng.integers(2))
        )
        options = Options(
            one_layer=bool(rng.integers(2)),
            ratio=float(rng.choice(_RATIOS)) if variable else None,
            window=str(rng.choice(WINDOWS)),
            packets=form,
            trellis=variable and bool(rng.integers(2)),
            # One as before there were runs: two of them could not be told apart.
            run=NO_RUN if number == self.size - 1 else self.run,
        )
        return send(self.encoder, self.decoder, scene, options)


def simulate_mixed(
    pool: Pool, numbers: Iterable[int], report: Callable[[str], None]
) -> dict[str, Any]:
    """Mix, receive and decode recordings; each depends on its number alone.

    Returns:
        `recordings`, `encodings` sent in all and `encodings_found`, `recordings_decoded`,
        `complete_pixels` (mask 0), `wrong_pixels` and `differing_pixels` of these, `salvaged`
        segments and `strange_segments` of these (see `Mixed`),
        the numbers of `wrong_recordings`, `bundle`, `seed` and `machine`.
    """
    found = []
    for number in numbers:
        report(f"recording {number}")
        found.append(run_mixed(pool, number))
    return {
        "bundle": pool.encoder.bundle.name,
        "seed": SEED,
        "machine": machine(),
        "recordings": len(found),
        "encodings": sum(one.encodings for one in found),
        "encodings_found": sum(one.found for one in found),
        "recordings_decoded": sum(one.complete is not None for one in found),
        "complete_pixels": sum(one.complete or 0 for one in found),
        "wrong_pixels": sum(one.wrong for one in found),
        "differing_pixels": sum(one.differing for one in found),
        "salvaged": sum(one.salvaged for one in found),
        "strange_segments": sum(one.strange for one in found),
        "wrong_recordings": [
            one.number for one in found if one.wrong or one.differing or one.strange
        ],
    }


def run_mixed(pool: Pool, number: int) -> Mixed:
    """Mix, receive and decode one recording."""
    rng = np.random.default_rng([SEED, 5, number])
    count = int(rng.integers(2, 5))
    chosen = rng.choice(pool.size, min(count, pool.size), replace=False)
    sent = [pool.take(int(member)) for member in chosen]
    recordings = _mix([_arrived(one, rng) for one in sent], rng)
    if rng.random() < 0.2:
        recordings = [merge(recordings, {pool.encoder.bundle.tag}).recording]
    received = read_pass(recordings, bindings={pool.encoder.bundle.tag})
    bundle = find(pool.encoder.bundle.name)
    encodings = list(received.encodings)
    parts = {encoding: received.of(encoding) for encoding in encodings}
    ranked = best_first(parts, lambda _: bundle)
    if not ranked or ranked[0].inventory is None:
        return Mixed(number, len(sent), len(encodings), None, 0, 0)
    best = ranked[0].encoding
    decoded = pool.decoder.decode_segments(received.of(best))
    alone = pool.decoder.decode_segments(list(received.encodings[best]))
    chosen_one = next(one for one in sent if _encoding(one) == best)
    used, whole = decoded.reception.salvage.used.values(), chosen_one.whole
    told = decoded.mask == Mask.COMPLETE
    return Mixed(
        number,
        len(sent),
        len(encodings),
        int(told.sum()),
        int((told & _wrong(decoded, whole, TOLERANCE)).sum()),
        int((told & _wrong(decoded, alone, 0)).sum()),
        len(used),
        _strange(used, chosen_one),
    )


def _strange(used: Iterable[Salvage], sent: Sent) -> int:
    """Return how many salvaged segments are of no segment that was sent.

    What was put right must be what was sent, what is there in part most of its bits.
    """
    there = {
        (one.kind, one.tile, one.layer, one.first): one
        for packet in sent.packets
        for one in unpack_segments(SpacePacket.unpack(packet)[0].segments)
    }
    count = 0
    for salvage in used:
        found = salvage.segment
        own = there.get((found.kind, found.tile, found.layer, found.first))
        if own is None or len(own.body) != len(found.body):
            count += 1
        elif salvage.wrong:
            count += own != found
        else:
            bits = int.from_bytes(own.body, "big") ^ int.from_bytes(found.body, "big")
            count += bits.bit_count() > _SAME * 8 * len(own.body)
    return count


def _encoding(sent: Sent) -> Encoding:
    return Encoding.of(Segment.unpack(sent.packets[0], 12)[0])


def _arrived(sent: Sent, rng: Rng) -> list[bytes]:
    """Return the packets of an encoding as they arrive, damaged or not, with repair or without."""
    packets = sent.packets
    if rng.random() < 0.3:
        packets = _split(b"".join(protect(b"".join(packets), _GROUP, _REPAIR)))
    arrival = draw_channel(rng).transmit(packets, rng)
    return _packets(arrival)


def _packets(arrival: Arrival) -> list[bytes]:
    stops = np.cumsum(arrival.lengths)
    spans = zip(stops - arrival.lengths, stops, arrival.lost, strict=True)
    return [arrival.joined[first:stop].tobytes() for first, stop, lost in spans if not lost]


def _split(recording: bytes) -> list[bytes]:
    """Cut whole packets that stand back to back."""
    packets, at = [], 0
    while at < len(recording):
        stop = at + 7 + int.from_bytes(recording[at + 4 : at + 6], "big")
        packets.append(recording[at:stop])
        at = stop
    return packets


def _mix(parts: list[list[bytes]], rng: Rng) -> list[bytes]:
    """Return one or two recordings of all parts."""
    form = str(rng.choice(_FORMS))
    if form == "cut":  # the end of a pass and the beginning of another
        cuts = [int(rng.integers(len(part) + 1)) for part in parts]
        ends = enumerate(zip(parts, cuts, strict=True))
        parts = [part[cut:] if i % 2 else part[:cut] for i, (part, cut) in ends]
    if form == "interleaved":
        order = rng.permutation(np.repeat(np.arange(len(parts)), [len(part) for part in parts]))
        sources = [iter(part) for part in parts]
        packets = [next(sources[part]) for part in order]
    else:
        packets = list(chain.from_iterable(parts))
    if rng.random() < 0.3:
        cut = int(rng.integers(len(packets) + 1))
        return [b"".join(packets[:cut]), b"".join(packets[cut:])]
    return [b"".join(packets)]


def _wrong(decoded: Decoded, whole: Decoded, tolerance: int) -> NDArray[np.bool_]:
    """Return where a picture is another than one that it should be, (rows, cols)."""
    found, expected = decoded.scene.image, whole.scene.image
    if found.shape != expected.shape:
        rows = min(found.shape[1], expected.shape[1])
        wrong = np.ones(decoded.mask.shape, np.bool_)
        if found.shape[2] == expected.shape[2]:
            wrong[:rows] = _differs(found[:, :rows], expected[:, :rows], tolerance)
        return wrong
    return _differs(found, expected, tolerance)


def _differs(found: Any, expected: Any, tolerance: int) -> NDArray[np.bool_]:
    differs: NDArray[np.bool_] = (np.abs(found.astype(int) - expected) > tolerance).any(axis=0)
    return differs
