"""Sending: scenes cut into packets and put together again, ours and JPEG 2000 in one file."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.codecs.codec import Coded
from benchmarks.codecs.klt import gradient_covariance, side_bytes
from benchmarks.codecs.kltjpeg2000 import KltJpeg2000
from benchmarks.link.channel import Arrival
from benchmarks.link.codestream import Codestream
from benchmarks.link.passes import packets_of
from ground.decode.decoder import Decoder
from ground.decode.wanted import Wanted
from ground.scene import Scene
from ground.station.restoration import restore
from onboard.downlink.protect import protect
from onboard.encoder import Encoder, Options
from onboard.encoder.options import DEFAULT_RATIO
from onboard.errors import InputError, StreamError, UsageError
from onboard.image.files import Image
from onboard.link.packet import PACKET_OVERHEAD, PacketOptions
from onboard.link.repair import MAX_GROUP

REPAIR_OVERHEAD = 64
"""Bytes by which a repair packet is longer than the longest it protects, and some to spare."""

JPEG2000_TILE = 128
"""Smaller tiles cost more without losses, larger ones lose more with them."""

_ONE_FILE = KltJpeg2000(gradient_covariance)
_RESILIENT = KltJpeg2000(gradient_covariance, JPEG2000_TILE)

Samples = NDArray[np.uint16]


@dataclass(frozen=True)
class Sending:
    """A scene in packets.

    Attributes:
        packets: bytes that each packet carries, its header included where the codec reads it.
        length: bytes on the link, packet headers and side information included.
        receive: function that makes an image (bands, rows, cols) of what arrived, None if that is
            nothing.
    """

    packets: list[bytes]
    length: int
    receive: Callable[[Arrival], Image | None]


Send = Callable[[Samples, int, int], Sending]
"""Sends a scene, given the bytes of a packet and the most bytes on the link."""


def send_ours(
    encoder: Encoder, decoder: Decoder, image: Samples, packet_bytes: int, budget: int
) -> Sending:
    """Send with the bundle; without a budget at the default ratio, or the bundle's fixed one."""
    options = Options(budget=budget or None, packets=PacketOptions(packet_bytes))
    if encoder.bundle.variable_rate and not budget:
        options = Options(ratio=DEFAULT_RATIO, packets=PacketOptions(packet_bytes))
    packets = packets_of(encoder, Scene(image), options)

    def receive(arrival: Arrival) -> Image | None:
        return _decoded(decoder, arrival.stream, image)

    return Sending(packets, sum(map(len, packets)), receive)


def with_repair(share: float) -> Callable[[Encoder, Decoder, Samples, int, int], Sending]:
    """Return our codec with repair packets for a share of its packets, within the same bytes.

    All packets are one group, as long as they are no more than a group may have.

    Raises:
        UsageError: a share of 0 or below, or above 1.
    """
    if not 0 < share <= 1:
        raise UsageError(f"repair: expected a share of more than 0, at most 1, found {share}")

    def send(
        encoder: Encoder, decoder: Decoder, image: Samples, packet_bytes: int, budget: int
    ) -> Sending:
        rows = max(1, round(budget * share / (1 + share) / packet_bytes))
        forming = PacketOptions(packet_bytes, control=True)
        left = budget - rows * (packet_bytes + REPAIR_OVERHEAD)
        plain = packets_of(encoder, Scene(image), Options(budget=left, packets=forming))
        packets = list(protect(b"".join(plain), min(len(plain), MAX_GROUP), rows))

        def receive(arrival: Arrival) -> Image | None:
            restored = restore(arrival.stream).packets
            return _decoded(decoder, arrival.stream + restored, image)

        return Sending(packets, sum(map(len, packets)), receive)

    return send


def _decoded(decoder: Decoder, recording: bytes, image: Samples) -> Image | None:
    """Decode a recording of a scene; rows of which nothing arrived continue those above."""
    try:
        found = decoder.decode(recording, Wanted(width=image.shape[2])).scene.image
    except StreamError:
        return None
    below = image.shape[1] - found.shape[1]
    return np.pad(found.astype(np.uint16), ((0, 0), (0, below), (0, 0)), mode="edge")


def send_jpeg2000(image: Samples, packet_bytes: int, budget: int) -> Sending:
    """Send one JPEG 2000 file after the gradient KLT, whose basis and means always arrive.

    Sequence counts tell the receiver which packets are missing: their bytes are zero, so that all
    others keep their place.
    """
    coded = _coded_for_packets(_ONE_FILE, image, packet_bytes, budget)

    def receive(arrival: Arrival) -> Image | None:
        filled = np.where(arrival.missing, np.uint8(0), arrival.joined)
        try:
            return _ONE_FILE.decode(_with_stream(coded, filled.tobytes()))
        except InputError:
            return None

    return _cut(coded, packet_bytes, receive)


def send_resilient_jpeg2000(image: Samples, packet_bytes: int, budget: int) -> Sending:
    """Send JPEG 2000 with its means against losses, to a receiver that makes the best of them.

    Tiles with SOP and EPH markers, after the gradient KLT. The ground knows the main header, where
    tile-parts begin, basis and means; packets with bit errors count as lost. What is not whole of
    the codestream's packets is replaced by empty ones, so that OpenJPEG reads all others.
    """
    coded = _coded_for_packets(_RESILIENT, image, packet_bytes, budget)
    codestream = Codestream.parse(coded.parts[1])

    def receive(arrival: Arrival) -> Image | None:
        stops = np.cumsum(arrival.lengths)
        whole = np.repeat(arrival.intact(stops - arrival.lengths, stops), arrival.lengths)
        return _RESILIENT.decode(_with_stream(coded, codestream.without(~whole)))

    return _cut(coded, packet_bytes, receive)


def _coded_for_packets(codec: KltJpeg2000, image: Samples, packet_bytes: int, budget: int) -> Coded:
    """Code so that side information, and packets with the codestream, take at most a budget."""
    side = side_bytes(len(image))
    return codec.encode(Scene(image), side + payload_bytes(budget - side, packet_bytes))


def _with_stream(coded: Coded, stream: bytes) -> Coded:
    """Return what was coded with another codestream behind the side information."""
    return replace(coded, parts=(coded.parts[0], stream))


def _cut(coded: Coded, packet_bytes: int, receive: Callable[[Arrival], Image | None]) -> Sending:
    """Return a sending of the codestream in packets; the side information travels apart."""
    stream, room = coded.parts[1], packet_bytes - PACKET_OVERHEAD
    packets = [stream[first : first + room] for first in range(0, len(stream), room)]
    return Sending(packets, coded.length + PACKET_OVERHEAD * len(packets), receive)


def payload_bytes(budget: int, packet_bytes: int) -> int:
    """Return what packets of at most `budget` bytes in all can carry."""
    full, rest = divmod(budget, packet_bytes)
    return full * (packet_bytes - PACKET_OVERHEAD) + max(rest - PACKET_OVERHEAD, 0)


REPAIRED = "skybook_repair"
LABELS = {
    "skybook": "skybook",
    REPAIRED: "skybook with repair packets",
    "jp2_one_file": "JPEG 2000, one file",
    "jp2_resilient": "JPEG 2000, tiles, SOP, EPH",
}


def senders(encoder: Encoder, decoder: Decoder, repair: float | None) -> dict[str, Send]:
    """Return what sends a scene, by codec; the first sets the bytes for all others.

    Args:
        encoder: encoder of our bundle.
        decoder: decoder of our bundle.
        repair: share of repair packets of a further codec, ours with the erasure code; None
            for no such codec.

    Raises:
        UsageError: a share of repair packets out of range.
    """
    found: dict[str, Send] = {
        "skybook": partial(send_ours, encoder, decoder),
        "jp2_one_file": send_jpeg2000,
        "jp2_resilient": send_resilient_jpeg2000,
    }
    if repair is not None:
        found[REPAIRED] = partial(with_repair(repair), encoder, decoder)
    return found
