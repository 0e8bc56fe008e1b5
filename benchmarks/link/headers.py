"""Headers: what part of the bytes on the link is packet and segment headers."""

from typing import Any

from benchmarks.link.measure import open_bundle
from benchmarks.link.passes import packets_of
from benchmarks.machine import machine
from benchmarks.scenes import mosaic
from ground.scene import Scene
from onboard.encoder import Encoder, Options
from onboard.encoder.options import DEFAULT_RATIO
from onboard.link.packet import CONTROL_BYTES, PACKET_OVERHEAD, PacketOptions, SpacePacket
from onboard.link.segment import Kind, unpack_segments

SIDE = 1024
TIME_BYTES = 6
TARGETS = {1024: 0.06, 256: 0.15, 128: 0.30}
"""Most that headers may take, time code included, by the bytes of a packet."""


def measure_headers(name: str, side: int = SIDE) -> dict[str, Any]:
    """Encode a mosaic for each packet size, and add up what its packets are made of.

    Returns:
        `headers`: a row per packet size, see `header_share`; `shape`, `bundle`, `machine`.
    """
    encoder, _ = open_bundle(name)
    scene = Scene(mosaic(side, side))
    rows = []
    for packet_bytes, target in TARGETS.items():
        share = header_share(_packets(encoder, scene, packet_bytes))
        ratio = scene.raw_bytes / share["bytes"]
        rows.append({"packet_bytes": packet_bytes, "target": target, "ratio": ratio, **share})
    shape = list(scene.image.shape)
    return {"bundle": encoder.bundle.name, "shape": shape, "machine": machine(), "headers": rows}


def _packets(encoder: Encoder, scene: Scene, packet_bytes: int) -> list[bytes]:
    ratio = DEFAULT_RATIO if encoder.bundle.variable_rate else None
    return packets_of(encoder, scene, Options(ratio=ratio, packets=PacketOptions(packet_bytes)))


def header_share(packets: list[bytes]) -> dict[str, Any]:
    """Return what headers take of packets.

    Headers are those of packets, time code and error control included, those of segments with
    their CRC and edge fields, and all of scene and end segments. Side information, nodata masks
    and the coder's state are payload.

    Returns:
        `bytes`, `packets`, `segments`, `header_share`, and `header_share_without_time`: the share
        if packets had no time code.
    """
    headers = segments = 0
    for packed in packets:
        packet, _ = SpacePacket.unpack(packed)
        headers += PACKET_OVERHEAD + CONTROL_BYTES * packet.control
        headers += len(packet.segments)
        for segment in unpack_segments(packet.segments):
            payload = segment.kind in (Kind.TILE, Kind.MASK)
            headers -= len(segment.body) if payload else 0
            segments += 1
    total, time = sum(map(len, packets)), TIME_BYTES * len(packets)
    return {
        "bytes": total,
        "packets": len(packets),
        "segments": segments,
        "header_share": headers / total,
        "header_share_without_time": (headers - time) / (total - time),
    }
