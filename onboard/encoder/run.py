"""Run: the number that tells an encoding from others of its scene id (SPEC.md, section 13)."""

import struct
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from onboard.codec.bound import Bound
from onboard.encoder.boundedplace import BoundedArea, BoundedBox, BoundedPlace
from onboard.encoder.options import Options
from onboard.errors import UsageError
from onboard.link.binding import MAX_RUN, NO_RUN, bind
from onboard.link.crc import crc32c
from onboard.link.framing import Framing
from onboard.link.header import SceneHeader
from onboard.link.parts import Parts, ToldBound, rest_layer
from onboard.link.segment import CRC_BYTES, Kind, Segment

_ONE_LAYER, _TRELLIS, _SCENE_WINDOW, _PACKETS, _CONTROL = 1, 2, 4, 8, 16
_FIXED_RATE, _RATIO, _BUDGET, _QUALITY, _STEP, _BOUND = range(6)
_CODING = struct.Struct(">BIB")
_BLOCKS = struct.Struct(">3I")
_BOX = struct.Struct(">4I")
_NO_SIDE = (1 << 32) - 1
_PACKET_FORM = struct.Struct(">IHIHQ")
_AT_ONCE = 1 << 16


def frame(
    tag: bytes, header: SceneHeader, options: Options, lines: NDArray[Any] | None = None
) -> Framing:
    """Return what all segments of an encoding share.

    Args:
        tag: tag of the model.
        header: header of the scene.
        options: options of the encoder, the rate filled in.
        lines: first row of tiles of the scene, by which a run is chosen that the options leave
            open; without it, only lengths are right.

    Raises:
        UsageError: the scene header is longer than a segment may be.
    """
    run = MAX_RUN if options.run is None else options.run
    if options.run is None and lines is not None:
        run = choose_run(tag, header, options, lines)
    head = _scene_segment(tag, header, options, run)
    if len(head) > options.segment_limit:
        raise UsageError(
            f"scene header: takes {len(head)} bytes, segments may have {options.segment_limit}"
        )
    shape = options.segment_limit, options.one_layer, options.packets
    rest = rest_layer(header.bands) if header.parts else None
    return Framing(options.scene_id, tag, run, head, *shape, rest)


def told_parts(header: SceneHeader, options: Options) -> SceneHeader:
    """Return the header with the bounds of tiles in two parts, if they are.

    Raises:
        UsageError: there is not one bound for each band.
    """
    first, both = options.max_error_first, options.max_error
    if first is None or both is None:
        return header
    first.of_bands(header.bands), both.of_bands(header.bands)
    told = (ToldBound.of(bound.root, bound.bands) for bound in (first, both))
    return replace(header, parts=Parts(*told))


def _scene_segment(tag: bytes, header: SceneHeader, options: Options, run: int) -> bytes:
    body = replace(header, run=run).pack()
    return Segment(Kind.SCENE, options.scene_id, bind(tag, run), 0, 0, 0, None, body).pack()


def choose_run(tag: bytes, header: SceneHeader, options: Options, lines: NDArray[Any]) -> int:
    """Return the run of an encoding: the same for the same command on the same input.

    Args:
        tag: tag of the model.
        header: header of the scene.
        options: options of the encoder, the rate filled in.
        lines: first row of tiles of the scene, (bands, rows, width).

    Returns:
        1..2^24 - 1.
    """
    scene = _scene_segment(tag, header, options, NO_RUN)
    crc = crc32c(scene[:-CRC_BYTES] + _packed(options))
    for band in lines:
        samples = memoryview(band.astype(band.dtype.newbyteorder(">")).tobytes())
        for first in range(0, len(samples), _AT_ONCE):
            crc = crc32c(samples[first : first + _AT_ONCE], crc)
    return (crc ^ crc >> 24) & MAX_RUN or 1


def _packed(options: Options) -> bytes:
    """Return the options that shape a stream, in bytes."""
    packets = options.packets
    flags = (
        _ONE_LAYER * options.one_layer
        | _TRELLIS * options.trellis
        | _SCENE_WINDOW * (options.window == "scene")
        | _PACKETS * (packets is not None)
        | _CONTROL * (packets is not None and packets.control)
    )
    kind, rate = _rate(options)
    packed = _CODING.pack(flags, options.segment_limit, kind) + rate
    if options.quality is not None and (options.limited or options.quality.block):
        told = options.quality
        packed += _BLOCKS.pack(told.usual, told.block, told.map.crc if told.map else 0)
    for place in options.regions:
        packed += _place(place) + _bound(place.bound)
    if packets is not None:
        form = (packets.packet_bytes, packets.apid, *packets.start_time, packets.line_period)
        packed += _PACKET_FORM.pack(*form)
    return packed


def _rate(options: Options) -> tuple[int, bytes]:
    """Return kind and value of the rate asked for."""
    if options.ratio is not None:
        return _RATIO, struct.pack(">d", options.ratio)
    if options.budget is not None:
        return _BUDGET, struct.pack(">Q", options.budget)
    if options.quality is not None:
        return _QUALITY, struct.pack(">Q", options.quality.usual)
    if options.max_error is not None:
        return _BOUND, _bound(options.max_error)
    return _FIXED_RATE, bytes(8)


def _place(place: BoundedPlace) -> bytes:
    """Return the sides of a box, or what tells the edges of polygons, in 16 bytes."""
    if isinstance(place, BoundedBox):
        return _BOX.pack(*place.box)
    if not isinstance(place, BoundedArea):
        return b""  # the map tells it
    corners = b"".join(edges[:, :2].astype(">f8").tobytes() for edges in place.polygons)
    return _BOX.pack(_NO_SIDE, _NO_SIDE, len(corners), crc32c(corners))


def _bound(bound: Bound) -> bytes:
    """Return a bound on the error in 8 bytes."""
    each = b"".join(most.to_bytes(2, "big") for most in bound.bands)
    return struct.pack(">II", bound.root, crc32c(each))
