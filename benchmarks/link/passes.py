"""Passes: scenes sent over a lossy channel, decoded, and held against the loss-free decode."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from benchmarks.link.channel import Arrival, Channel, Rng
from benchmarks.link.salvage import NO_SALVAGE, Salvaged, measure_salvaged
from ground.decode.decoder import Decoded, Decoder
from ground.decode.mask import Mask
from ground.decode.wanted import Wanted
from ground.metrics import PEAK_16_BIT, psnr
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard.encoder import Encoder, Options
from onboard.encoder.options import WINDOWS
from onboard.errors import LimitError, StreamError
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions, SpacePacket
from onboard.link.segment import Kind, Segment

SEED = 4
PASSES_PER_STREAM = 25
LOSSES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
BURSTS = (1.0, 3.0, 10.0)
BIT_ERRORS = (0.0, 0.0, 1e-6, 1e-5, 1e-4)
PACKET_BYTES = (128, 256, 1024)
RATIOS = (20.48, 40.96, 81.92)
TILES_OF_A_SIDE = (1, 4)
LEAST_EDGE = 16
"""Fewest valid rows or columns of a border tile: slivers do not fit the higher ratios."""
EDGE_SHARE = 1 / 3
"""How often a side is no multiple of the tile. Tiles of each shape are decoded apart: it costs."""
TOLERANCE = 1


@dataclass(frozen=True)
class Sent:
    """A scene as it was sent, and what arrives of it without any loss.

    Attributes:
        scene: original scene.
        options: options that it was encoded with.
        packets: packets of the whole scene.
        starts: (segments,) first byte of each segment in the joined packets.
        stops: (segments,) byte after the last of each segment.
        tiles: (segments,) tile of each segment, -1 for scene headers and the end.
        tell_height: (segments,) whether a segment tells the height of the scene.
        whole: scene decoded without loss.
        tile: side of a tile, pixels.
    """

    scene: Scene
    options: Options
    packets: list[bytes]
    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    tiles: NDArray[np.int64]
    tell_height: NDArray[np.bool_]
    whole: Decoded
    tile: int

    @cached_property
    def tile_map(self) -> NDArray[np.int64]:
        """Tile of every pixel, (rows, cols)."""
        rows, cols = (np.arange(side) // self.tile for side in self.whole.mask.shape)
        tiles: NDArray[np.int64] = rows[:, None] * (cols[-1] + 1) + cols
        return tiles

    def lost_pixels(self, arrival: Arrival) -> NDArray[np.bool_]:
        """Return the pixels of tiles of which a segment did not arrive as it was sent.

        Returns:
            (rows + 1, cols): the last row stands for all below the scene, which are lost if nothing
            that arrived tells the height.
        """
        intact = arrival.intact(self.starts, self.stops)
        gone = self.tiles[~intact]
        lost = np.zeros(int(self.tile_map[-1, -1]) + 1, np.bool_)
        lost[gone[gone >= 0]] = True
        below = np.full((1, self.tile_map.shape[1]), not (intact & self.tell_height).any())
        return np.concatenate([lost[self.tile_map], below])


@dataclass(frozen=True)
class Pass:
    """What came of one pass; areas in pixels.

    Attributes:
        number: number from which everything of this pass is drawn.
        channel: channel that it was sent over.
        packets: number of packets sent.
        arrived: number of packets that arrived, damaged or not.
        wrong: pixels of mask 0 that differ from the loss-free decode by more than 1 DN in a band,
            or of which one of the two says that there are no data.
        area: area of the scene.
        lost: area of tiles of which a segment did not arrive intact; pixels rightly known to be
            nodata do not count.
        masked: area of masks 1, 2, 3 and 5. Rows that the product does not have count as masked.
        ring: area of mask 1 alone.
        reach: lost area and what lies within the ring of the decoder around it.
        stray: masked pixels beyond `reach`.
        received: area of mask 0.
        error: squared error of the received area against the original, summed over bands.
        error_without_loss: squared error of the loss-free decode over the same area.
        salvaged: what came of damaged segments.
        psnr: PSNR of all pixels that have data, peak 65535, dB; pixels of which there is nothing,
            not even a concealment, are taken as the mean of the scene.
    """

    number: int
    channel: Channel
    packets: int
    arrived: int
    wrong: int
    area: int
    lost: int
    masked: int
    ring: int
    reach: int
    stray: int
    received: int
    error: float
    error_without_loss: float
    psnr: float
    salvaged: Salvaged = NO_SALVAGE


def send(encoder: Encoder, decoder: Decoder, scene: Scene, options: Options) -> Sent:
    """Encode a scene into packets, and decode them all."""
    packets = packets_of(encoder, scene, options)
    spans: list[tuple[int, int, int, bool]] = []
    offset = 0
    for packet in packets:
        segments = SpacePacket.unpack(packet)[0].segments
        at, head = 0, packet.index(segments)
        while at < len(segments):
            segment, stop = Segment.unpack(segments, at)
            tile = segment.tile if segment.kind in (Kind.TILE, Kind.MASK) else -1
            spans.append((offset + head + at, offset + head + stop, tile, _tells_height(segment)))
            at = stop
        offset += len(packet)
    whole = decoder.decode(b"".join(packets))
    starts, stops, tiles, tell = np.array(spans, np.int64).T
    header = options.as_sent(scene.header())
    tile = encoder.for_scene(header, options.tiling).bundle.tile
    return Sent(scene, options, packets, starts, stops, tiles, tell > 0, whole, tile)


def _tells_height(segment: Segment) -> bool:
    header = segment.kind == Kind.SCENE and SceneHeader.unpack(segment.body).height > 0
    return header or segment.kind == Kind.END


def packets_of(encoder: Encoder, scene: Scene, options: Options) -> list[bytes]:
    """Return the packets of a scene."""
    forming = options.packets or PacketOptions()
    packets: list[bytes] = []
    for strip in encoder.strips(scene.image, scene.header(), options):
        packets += forming.pack(strip.segments, strip.line, len(packets))
    return packets


def draw_sent(encoder: Encoder, decoder: Decoder, number: int) -> Sent:
    """Return a scene, cut and coded as the number draws it; one that no rate fits is drawn anew."""
    rng = np.random.default_rng([SEED, 0, number])
    while True:
        scene = _draw_scene(encoder.bundle.bands, encoder.bundle.tile, rng)
        try:
            return send(encoder, decoder, scene, _draw_options(encoder.bundle.variable_rate, rng))
        except LimitError:
            continue


def _draw_scene(bands: int, tile: int, rng: Rng) -> Scene:
    """Draw a procedural scene, with nodata or not, or a crop of the spyndex scene."""
    whole = rng.integers(*TILES_OF_A_SIDE, 2)
    edge = rng.integers(LEAST_EDGE, tile, 2) * (rng.random(2) < EDGE_SHARE)
    rows, cols = (int(side) for side in whole * tile + edge)
    kind = rng.integers(3)
    spyndex = spyndex_scene().image
    if kind or len(spyndex) != bands:
        scene = procedural(int(rng.integers(1 << 31)), rows, cols, bands, nodata=kind == 1)
        return Scene(scene.image, scene.nodata)  # a header with a georeference needs longer packets
    rows, cols = min(rows, spyndex.shape[1]), min(cols, spyndex.shape[2])
    row = int(rng.integers(spyndex.shape[1] - rows + 1))
    col = int(rng.integers(spyndex.shape[2] - cols + 1))
    crop = spyndex[:, row : row + rows, col : col + cols].astype(np.uint16)
    return Scene(np.ascontiguousarray(crop))


def _draw_options(variable_rate: bool, rng: Rng) -> Options:
    packets = PacketOptions(int(rng.choice(PACKET_BYTES)), control=bool(rng.integers(2)))
    return Options(
        one_layer=bool(rng.integers(2)),
        ratio=float(rng.choice(RATIOS)) if variable_rate else None,
        window=str(rng.choice(WINDOWS)),
        packets=packets,
    )


def draw_channel(rng: Rng) -> Channel:
    """Draw losses from 0 to 50 %, their bursts, and bit errors."""
    loss, burst, bits = (float(rng.choice(of)) for of in (LOSSES, BURSTS, BIT_ERRORS))
    return Channel(loss, burst, bits)


def run_pass(decoder: Decoder, sent: Sent, number: int) -> Pass:
    """Send the packets over the channel that the number of the pass draws, and measure."""
    rng = np.random.default_rng([SEED, 1, number])
    channel = draw_channel(rng)
    arrival = channel.transmit(sent.packets, rng)
    decoded = decode_arrival(decoder, sent, arrival)
    found = measure_pass(number, channel, sent, arrival, decoded)
    image, mask = _product(sent, decoded)
    if not (salvaged := mask == Mask.SALVAGED).any():
        return found
    without, _ = _product(sent, decode_arrival(decoder, sent, arrival, salvage=False))
    worth = measure_salvaged(sent.scene.image, image, without, salvaged, sent.tile_map)
    return replace(found, salvaged=worth)


def decode_arrival(
    decoder: Decoder, sent: Sent, arrival: Arrival, salvage: bool = True
) -> Decoded | None:
    """Decode what arrived, or return None if that is nothing. The receiver knows the width."""
    wanted = Wanted(width=sent.whole.mask.shape[1])
    try:
        return decoder.decode(arrival.stream, wanted, salvage=salvage)
    except StreamError:
        return None


def measure_pass(
    number: int, channel: Channel, sent: Sent, arrival: Arrival, decoded: Decoded | None
) -> Pass:
    """Hold a pass against the loss-free decode; see `Pass` for what the figures mean."""
    whole, original = sent.whole, sent.scene.image
    image, mask = _product(sent, decoded)
    empty = whole.mask == Mask.NODATA
    differs = (np.abs(image - whole.scene.image) > TOLERANCE).any(axis=0)
    told = mask == Mask.COMPLETE
    known_empty = (mask == Mask.NODATA) & empty
    gone = sent.lost_pixels(arrival)
    near = scipy.ndimage.maximum_filter(gone, 2 * whole.halo + 1, mode="constant")
    lost, reach = gone[:-1] & ~known_empty, near[:-1] & ~known_empty
    masked = ~told & (mask != Mask.NODATA)
    errors = [_squared(found - 1.0 * original, told) for found in (image, whole.scene.image)]
    return Pass(
        number=number,
        channel=channel,
        packets=len(sent.packets),
        arrived=int((~arrival.lost).sum()),
        wrong=int((told & (differs | empty)).sum() + ((mask == Mask.NODATA) & ~empty).sum()),
        area=mask.size,
        lost=int(lost.sum()),
        masked=int(masked.sum()),
        ring=int((mask == Mask.INFLUENCED).sum()),
        reach=int(reach.sum()),
        stray=int((masked & ~reach).sum()),
        received=int(told.sum()),
        error=errors[0],
        error_without_loss=errors[1],
        psnr=psnr(original, image, PEAK_16_BIT, None if not empty.any() else ~empty),
    )


def _squared(difference: NDArray[np.float64], where: NDArray[np.bool_]) -> float:
    """Return the sum of squares over all bands of some pixels."""
    return float((difference[:, where] ** 2).sum())


def _product(sent: Sent, decoded: Decoded | None) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return what a user has: rows that are not there are the scene's mean, masked.

    Returns:
        int64 (bands, rows, cols) and uint8 (rows, cols), of the size of the scene.
    """
    data = sent.whole.mask != Mask.NODATA
    means = np.rint(sent.scene.image[:, data].mean(axis=1)).astype(np.int64)
    image = np.broadcast_to(means[:, None, None], sent.scene.image.shape).copy()
    mask = np.full(image.shape[1:], Mask.CONCEALED, np.uint8)
    if decoded is not None:
        rows = min(decoded.mask.shape[0], len(mask))  # a guess of the tiles may make more of them
        image[:, :rows], mask[:rows] = decoded.scene.image[:, :rows], decoded.mask[:rows]
    return image, mask
