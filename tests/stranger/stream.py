"""Segments, masks and scenes, as SPEC.md alone tells them. Numbers in brackets are its sections.

Of contradicting segments all are taken.
"""

from dataclasses import dataclass

import numpy as np

POLYNOMIAL = 0x82F63B78
SCENE, TILE, MASK, END = range(4)
ALL_NODATA = 2


def crc32c(data):
    """[2]"""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRCS[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _crcs():
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ POLYNOMIAL * (value & 1)
        yield value


CRCS = list(_crcs())


@dataclass
class Segment:
    """A segment [2]."""

    kind: int
    binding: int
    scene: int
    tile: int
    layer: int
    first: int
    edge: tuple | None
    body: bytes

    @property
    def run(self):
        """Run that a scene header or an end tells."""
        if self.kind == SCENE:
            return int.from_bytes(dict(tlvs(self.body[13:])).get(21, b""), "big")
        return int.from_bytes(self.body[8:], "big")


def segments(received, bindings):
    """Yield the intact segments, wherever they lie: tiles and masks of known bindings [2, 14]."""
    place = received.find(b"SK")
    while place >= 0:
        found = _segment(received[place : place + 65_551], bindings)
        if found:
            yield found[0]
        place = received.find(b"SK", place + (found[1] if found else 1))


def _segment(data, bindings):
    """Return the segment at the beginning of some bytes, and its length; None if there is none."""
    if len(data) < 14 or data[2] >> 4 != 1:
        return None
    kind, layer = data[2] & 15, data[3] & 31
    wide, has_first, has_edge = data[3] >> 6 & 1, data[3] >> 5 & 1, data[3] >> 7
    place = 6
    numbers = []
    for size in (4 if wide else 2, 2 * has_first, 2):
        numbers.append(int.from_bytes(data[place : place + size], "big"))
        place += size
    tile, first, length = numbers
    stop = place + length
    if len(data) < stop + 4:
        return None
    told = crc32c(data[:stop]) ^ int.from_bytes(data[stop : stop + 4], "big")
    body = data[place:stop]
    if kind not in (TILE, MASK):
        if told:
            return None
        told, body = int.from_bytes(body[:4], "big"), body[4:]
    elif told not in bindings:
        return None
    edge = None
    if has_edge:
        edge = int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")
        body = body[4:]
    scene = int.from_bytes(data[4:6], "big")
    return Segment(kind, told, scene, tile, layer, first, edge, body), stop + 4


@dataclass
class Scene:
    """A scene: the bundle for such, header, tiles, and where there are no data [2]."""

    bundle: object
    bands: int
    width: int
    height: int
    low: int
    high: int
    nodata_value: int | None
    tiles: dict
    nodata: np.ndarray
    is_mosaic: bool = False


def read_scene(bundle, received, read_tile, scene_id=0, profile=None):
    """Read a whole scene, the first encoding of the bundle, tile by tile."""
    told = (s for s in segments(received, ()) if s.kind == SCENE and s.scene == scene_id)
    binding = next(s.binding for s in told if s.binding ^ s.run == bundle.tag)
    found = [
        s for s in segments(received, {binding}) if s.scene == scene_id and s.binding == binding
    ]
    header = next(s.body for s in found if s.kind == SCENE)
    bands, width, height = (
        int.from_bytes(header[first:stop], "big") for first, stop in ((3, 5), (5, 9), (9, 13))
    )
    if not height:
        height = int.from_bytes(next(s.body for s in found if s.kind == END)[:4], "big")
    signed, bits = header[1] in (2, 3), header[2]
    low = -(1 << bits - 1) if signed else 0
    values = dict(tlvs(header[13:]))
    value = int.from_bytes(values[1], "big", signed=True) if 1 in values else None
    nodata = np.zeros((height, width), bool)
    if 22 in values:
        assert values[22] == profile.name
        bundle = bundle.scene(bands, bits, profile)
    else:
        bundle = bundle.scene(bands, bits)
    if 27 in values:
        bundle.tile = 8 * values[27][0]
    scene = Scene(bundle, bands, width, height, low, low + (1 << bits) - 1, value, {}, nodata)
    scene.is_mosaic = 23 in values
    columns = -(-width // bundle.tile)
    for number in range(bundle.band_groups * columns * -(-height // bundle.tile)):
        down, right = divmod(number, bundle.band_groups * columns)
        row, col = bundle.tile * down, bundle.tile * (right % columns)
        here = nodata[row : row + bundle.tile, col : col + bundle.tile]
        own = [s for s in found if s.tile == number and s.kind in (TILE, MASK)]
        bodies = {(s.layer, s.first): s.body for s in own if s.kind == TILE}
        tile = read_tile(bundle, bodies, *here.shape, signed)
        scene.tiles[number] = row, col, tile
        if right >= columns:
            continue  # the first tells the nodata
        flat = np.zeros(here.size, bool)
        for segment in own:
            if segment.kind == MASK:
                piece = mask(segment.body)[: here.size - segment.first]
                flat[segment.first : segment.first + len(piece)] = piece
        here[:] = bodies[0, 0][0] == ALL_NODATA or flat.reshape(here.shape)
    return scene


def tlvs(data):
    """Yield type and value of each extension of a header [2]."""
    while data:
        length = int.from_bytes(data[1:3], "big")
        yield data[0] & 127, data[3 : 3 + length]
        data = data[3 + length :]


def mask(body):
    """Return the pixels that a nodata mask tells [2]."""
    if body[0] == 1:
        return np.unpackbits(np.frombuffer(body[1:], np.uint8)).astype(bool)
    runs, run, shift = [], 0, 0
    for byte in body[1:]:
        run |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            runs.append(run)
            run = shift = 0
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)
