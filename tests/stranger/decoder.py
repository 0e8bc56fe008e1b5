"""A decoder written from SPEC.md alone, with numpy and the standard library.

It reads streams of coder `rans`, bare or in packets, down to symbols and the linear image, and is
what proves that the page is complete: it imports nothing of the project. Numbers in brackets are
sections of the page. It is slow, and takes of contradicting segments the first.
"""

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np

POLYNOMIAL = 0x82F63B78
SCENE, TILE, MASK, END = range(4)
ALL_NODATA, DEPENDENT, FULL = 2, 4, 8
SIZES = ((40, 80, 2047), (63, 160, 4094))
"""Most that A, D and features of DC may be, of plain and of dependent tiles (in half steps)."""


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


class Bundle:
    """A model bundle of coder `rans` [7, 12]."""

    def __init__(self, file):
        assert file[:8] == b"SKYB\x01\0\0\0"
        length = int.from_bytes(file[8:12], "big")
        packed = file[108 : 108 + length]
        assert hashlib.sha256(packed).digest() == file[12:44]
        manifest = json.loads(packed)
        wire = manifest["wire"]
        canonical = json.dumps(wire, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        assert digest == manifest["model_hash"]
        self.tag = int(digest[:8], 16)
        parts, place = {}, 108 + length
        for part in manifest["parts"]:
            parts[part["name"]] = file[place : place + part["bytes"]]
            assert hashlib.sha256(parts[part["name"]]).hexdigest() == part["sha256"]
            place += part["bytes"]
        self.bands, self.tile = wire["bands"], wire["tile"]
        self.cuts, self.groups = wire["coder"]["cuts"], wire["coder"]["groups"]
        self.skip = wire["coder"]["skip"]
        self.layers = 3 + len(self.cuts) - 1
        self.golden = list(self._golden(parts["golden"]))
        self._read(parts["lapped"])

    def _read(self, part):
        """Take the part `lapped` apart [12]."""
        bands, groups = self.bands, len(self.groups)
        c = 64 * bands
        a, place = c - bands, 0
        for name, kind, *shape in (
            ("analysis", ">i1", 64, 16, 16),
            ("synthesis", ">i2", 64, 16, 16),
            ("mantissas", ">u2", 16),
            ("order", ">u2", c),
            ("same", ">u2", c, a),
            ("near", ">u2", c, a),
            ("slope", ">u2", 2 * bands, a),
            ("bias", ">u2", a),
            ("dc", ">u2", 2, 4 * bands, bands),
            ("dc_bias", ">u2", 3, bands),
            ("dead", ">u2", 64 * groups),
            ("rounding", ">u2", 64 * groups),
            ("codewords", ">u2", 192 * groups, 4),
            ("frequencies", ">u2", 192 * groups, 64),
            ("shifts", ">u1", 64),
        ):
            count = int(np.prod(shape))
            array = np.frombuffer(part, kind, count, place).reshape(shape).astype(np.int64)
            setattr(self, name, array)
            place += count * int(kind[2])
        assert place == len(part)
        self.starts = np.cumsum(self.frequencies, axis=1) - self.frequencies

    def _golden(self, part):
        """Yield step code, samples and body of each golden vector [7]."""
        place, samples = 2, self.bands * self.tile**2
        for _ in range(int.from_bytes(part[:2], "big")):
            length = int.from_bytes(part[place + 1 : place + 3], "big")
            tile = np.frombuffer(part, ">u2", samples, place + 3)
            stop = place + 3 + 2 * samples + length
            yield part[place], tile.reshape(self.bands, self.tile, -1), part[stop - length : stop]
            place = stop

    def channels(self, layer):
        """Which channels a layer has, in order [10]."""
        if layer <= 3:
            return slice(0, self.bands)
        return slice(self.cuts[layer - 4], self.cuts[layer - 3])


@dataclass
class Segment:
    """A segment [2]."""

    kind: int
    scene: int
    tile: int
    layer: int
    first: int
    edge: tuple | None
    body: bytes


def segments(received, tag):
    """Yield the intact segments of a model, wherever they lie [2, 14]."""
    place = received.find(b"SK")
    while place >= 0:
        found = _segment(received[place : place + 65_551], tag)
        if found:
            yield found[0]
        place = received.find(b"SK", place + (found[1] if found else 1))


def _segment(data, tag):
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
    if kind in (TILE, MASK):
        if told != tag:
            return None
    else:
        if told or body[:4] != tag.to_bytes(4, "big"):
            return None
        body = body[4:]
    edge = None
    if has_edge:
        edge = int.from_bytes(body[:2], "big"), int.from_bytes(body[2:4], "big")
        body = body[4:]
    scene = int.from_bytes(data[4:6], "big")
    return Segment(kind, scene, tile, layer, first, edge, body), stop + 4


class Lane:
    """A lane being read [11]."""

    def __init__(self, bundle, body):
        self.bundle, self.raw = bundle, None
        if body[:2] == b"\0\0":
            width, bits = body[2], int.from_bytes(body[3:], "big")
            count = 8 * (len(body) - 3)
            assert 8 <= width <= 16
            values = [
                bits >> count - width * (i + 1) & (1 << width) - 1 for i in range(count // width)
            ]
            self.raw = [v - (v >> width - 1 << width) for v in values]
        else:
            self.state = int.from_bytes(body[:4], "big")
            self.words = np.frombuffer(body[4:], ">u2").tolist()
        self.place = 0

    @property
    def ended(self):
        if self.raw is not None:
            return self.place == len(self.raw)
        return self.state == 1 << 16 and self.place == len(self.words)

    def _take(self, slot, start, frequency):
        self.state = frequency * (self.state >> 12) + slot - start
        if self.state < 1 << 16:
            self.state = self.state << 16 | self.words[self.place]
            self.place += 1

    def _bits(self, count):
        slot = self.state & 4095
        value = slot >> 12 - count
        self._take(slot, value << 12 - count, 1 << 12 - count)
        return value

    def residual(self, row):
        """Read the residual of a symbol of a row of tables."""
        if self.raw is not None:
            self.place += 1
            return self.raw[self.place - 1]
        starts, slot = self.bundle.starts[row], self.state & 4095
        symbol = int(np.searchsorted(starts + self.bundle.frequencies[row], slot, "right"))
        self._take(slot, int(starts[symbol]), int(self.bundle.frequencies[row, symbol]))
        value = symbol - 31
        if symbol == 63:
            value = (self._bits(8) << 8) + self._bits(8) - (1 << 15)
        shift = int(self.bundle.shifts[row % 64])
        return value << shift | self._bits(shift) if shift else value


@dataclass
class Tile:
    """What was read of a tile: arrays (rows, cols, channels), channels in order."""

    state: int
    code: int = 0
    angles: bytes = b""
    means: np.ndarray = None
    whole: int = 0
    symbol: np.ndarray = None
    residual: np.ndarray = None
    level: np.ndarray = None
    row: np.ndarray = None
    starts: dict = field(default_factory=dict)

    @property
    def dependent(self):
        return bool(self.state & DEPENDENT)

    @property
    def step(self):
        return 2.0 ** (self.code / 16 - 1)


def read_tile(bundle, bodies, rows, cols, signed=False):
    """Read a tile of so many valid rows and columns.

    Args:
        bodies: body of each tile segment, without edge, by its layer and `first`.
    """
    side, bands = bodies[0, 0], bundle.bands
    if side[0] == ALL_NODATA:
        return Tile(ALL_NODATA)
    angles = bands * (bands - 1) // 2
    lane = 2 + angles + 2 * bands
    means = np.frombuffer(side[2 + angles : lane], ">i2" if signed else ">u2").astype(np.int64)
    tile = Tile(side[0], side[1], side[2 : 2 + angles], means)
    lanes = {start: body for start, body in bodies.items() if start != (0, 0)}
    if side[lane:]:
        lanes[1, 0] = side[lane:]
    tile.starts = {}
    for (layer, first), body in lanes.items():
        position, state = divmod(first, 32) if tile.dependent else (first, 0)
        tile.starts[layer, position] = state, Lane(bundle, body)
    shape = -(-rows // 8), -(-cols // 8), 64 * bands
    tile.symbol, tile.residual, tile.level, tile.row = (np.zeros(shape, np.int64) for _ in range(4))
    _read_layers(bundle, tile)
    return tile


def _read_layers(bundle, tile):
    """Read layer after layer, until one is not whole [10, 11]."""
    lane = None
    for layer in range(1, bundle.layers + 1):
        places = _places(tile.symbol.shape[:2], layer)
        channels = bundle.channels(layer)
        h, prediction = _context(bundle, tile, layer, places)
        level = levels(h)
        if tile.state & FULL:
            level = np.maximum(level, bundle.skip + 1)
        group = max(g for g, first in enumerate(bundle.groups) if first <= layer)
        residual, odd, whole, lane = _read_layer(bundle, tile, layer, level, group, lane)
        value = 2 * residual - np.sign(residual) * odd if tile.dependent else residual
        here = *places, channels
        tile.symbol[here] = prediction + value
        tile.residual[here], tile.level[here] = residual, level
        sets = len(bundle.groups) + 2 * group + odd if tile.dependent else group
        tile.row[here] = 64 * sets + level
        if not whole:
            return
        tile.whole = layer


def _read_layer(bundle, tile, layer, level, group, lane):
    """Return residuals, odd states, whether all came, and the lane that goes on."""
    residual, odd = np.zeros_like(level), np.zeros_like(level)
    state, whole = 0, True
    for position in range(len(level)):
        if (layer, position) in tile.starts:
            state, lane = tile.starts[layer, position]
        for channel in np.flatnonzero(level[position] > bundle.skip).tolist():
            if lane is None or lane.ended:
                lane, whole = None, False
                break
            sets = len(bundle.groups) + 2 * group + (state & 1) if tile.dependent else group
            k = lane.residual(64 * sets + int(level[position, channel]))
            residual[position, channel] = k
            if tile.dependent:
                odd[position, channel] = state & 1
                state = state >> 1 ^ 18 * (state & 1) ^ 4 * (k & 1)
    return residual, odd, whole, lane


def _places(shape, layer):
    """Return rows and columns of the positions of a layer [10]."""
    row, col = (i.reshape(-1) for i in np.indices(shape))
    lattice = np.where(row % 2 != col % 2, 3, 1 + row % 2)
    here = lattice == layer if layer <= 3 else np.ones(len(row), bool)
    return row[here], col[here]


def levels(h):
    """[10]"""
    mantissa, exponent = np.frexp(np.maximum(h, 1))
    return np.clip(4 * (exponent - 1) + (8 * mantissa).astype(np.int64) - 4 - 8, 0, 63)


def _context(bundle, tile, layer, places):
    """Return sum and prediction of the symbols of a layer (positions, channels) [10]."""
    row, col = places
    most, unit = SIZES[tile.dependent], 2 if tile.dependent else 1
    bands = bundle.bands
    dc = tile.symbol[..., :bands]
    if layer == 1:
        return np.tile(bundle.dc_bias[0], (len(row), 1)), 0
    if layer <= 3:
        around = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
        if layer == 3:
            around = [(-1, 0), (0, -1), (0, 1), (1, 0)]
        a, b, c, d = (_mirrored(dc, row + down, col + right) for down, right in around)
        features = abs(a - d), abs(b - c), abs(a - b) + abs(c - d), abs(a - c) + abs(b - d)
        features = np.minimum(np.stack(features, -1), most[2]) / unit
        flat = features.reshape(len(row), 4 * bands)
        return bundle.dc_bias[layer - 1] + flat @ bundle.dc[layer - 2], (a + b + c + d + 2) >> 2
    channels = bundle.channels(layer)
    known, own = channels.start, slice(channels.start - bands, channels.stop - bands)
    size = np.minimum(abs(tile.symbol[..., :known]), most[0]) / unit
    wide = np.pad(size, ((1, 1), (1, 1), (0, 0)))
    near = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    edged = np.pad(dc, ((1, 1), (1, 1), (0, 0)), mode="edge")
    across = edged[1:-1, :-2] - edged[1:-1, 2:]
    down = edged[:-2, 1:-1] - edged[2:, 1:-1]
    slope = np.minimum(abs(np.concatenate([across, down], axis=2)), most[1]) / unit
    h = bundle.bias[own] + size @ bundle.same[:known, own] + near @ bundle.near[:known, own]
    return (h + slope @ bundle.slope[:, own]).reshape(len(row), -1), 0


def _mirrored(dc, row, col):
    """Return the DC at some positions; beyond the border row -1 is row 1, and so on."""
    rows, cols, _ = dc.shape
    wide = np.pad(dc, ((0, 1), (0, 1), (0, 0)))  # what a single row or column lacks is 0
    row = np.where(row < 0, 1, np.where(row == rows, rows - 2 if rows > 1 else 1, row))
    col = np.where(col < 0, 1, np.where(col == cols, cols - 2 if cols > 1 else 1, col))
    return wide[row, col]


def band_transform(angles, bands):
    """Return M of the angles, in 1/2^14 [9]."""
    cosine, sine = _turns()
    matrix = np.eye(bands, dtype=np.int64) << 14
    pairs = [(p, q) for p in range(bands) for q in range(p + 1, bands)]
    for (p, q), t in reversed(list(zip(pairs, angles, strict=True))):
        one, other = matrix[p].copy(), matrix[q].copy()
        matrix[p] = (cosine[t] * one - sine[t] * other + (1 << 13)) >> 14
        matrix[q] = (cosine[t] * other + sine[t] * one + (1 << 13)) >> 14
    return matrix


def _turns():
    c, s = 1 << 60, 0
    k, big_s = 1152834691737939372, 14148120384212745
    cosine, sine = {}, {}
    for t in range(129):
        rounded = (c + (1 << 45)) >> 46, (s + (1 << 45)) >> 46
        cosine[128 + t], sine[128 + t] = rounded
        cosine[128 - t], sine[128 - t] = rounded[0], -rounded[1]
        c, s = (c * k - s * big_s + (1 << 59)) >> 60, (s * k + c * big_s + (1 << 59)) >> 60
    return cosine, sine


def linear_tile(bundle, tile):
    """Return the linear image of a tile, float64 (bands, rows, cols), whole positions [12]."""
    if tile.whole == bundle.layers and tile.code <= 112:
        image = _rebuilt(bundle, tile, _steps(bundle, tile))
        return image + _rebuilt(bundle, tile, _excess(bundle, tile, image)) - _means(tile)
    return _rebuilt(bundle, tile, _steps(bundle, tile))


def _means(tile):
    return tile.means[:, None, None]


def _steps(bundle, tile):
    """Return what symbols stand for, in steps."""
    size = abs(tile.residual)
    word = np.take_along_axis(
        bundle.codewords[tile.row], np.clip(size - 1, 0, 3)[..., None], axis=3
    )[..., 0]
    value = np.where(size, word / 256 + np.maximum(size - 4, 0), 0) * np.sign(tile.residual)
    if not tile.dependent:
        return tile.symbol - tile.residual + value
    odd = (tile.row // 64 - len(bundle.groups)) & 1
    points = 2 * tile.residual - np.sign(tile.residual) * odd
    return (tile.symbol - points) / 2 + value


def _rebuilt(bundle, tile, steps):
    """Return an image of latents (rows, cols, channels) in steps, channels in order."""
    rows, cols, _ = steps.shape
    latents = np.zeros(steps.shape)
    latents[..., bundle.order] = steps * tile.step
    latents = latents.reshape(rows, cols, bundle.bands, 8, 8)
    parity = (-1.0) ** np.arange(8)
    wide = np.concatenate(
        [latents[:1] * parity[:, None], latents, latents[-1:] * parity[:, None]], axis=0
    )
    wide = np.concatenate([wide[:, :1] * parity, wide, wide[:, -1:] * parity], axis=1)
    wide = wide.reshape(rows + 2, cols + 2, bundle.bands, 64)
    planes = np.zeros((bundle.bands, 8 * rows + 24, 8 * cols + 24))
    for row in range(rows + 2):
        for col in range(cols + 2):
            laid = np.tensordot(wide[row, col], bundle.synthesis / 2.0**14, 1)
            planes[:, 8 * row : 8 * row + 16, 8 * col : 8 * col + 16] += laid
    planes = planes[:, 12 : 12 + 8 * rows, 12 : 12 + 8 * cols]
    turned = np.tensordot(band_transform(tile.angles, bundle.bands) / 2.0**14, planes, 1)
    return turned + _means(tile)


def _excess(bundle, tile, image):
    """Return how far latents of an image are outside of the cells of their symbols, in steps."""
    turn = band_transform(tile.angles, bundle.bands).T / 2.0**14
    planes = np.tensordot(turn, image - _means(tile), 1)
    wide = np.pad(planes, ((0, 0), (4, 4), (4, 4)), mode="symmetric")
    rows, cols, _ = tile.symbol.shape
    sums = np.zeros((rows, cols, bundle.bands, 64))
    filters = bundle.analysis.reshape(64, 256)
    for row in range(rows):
        for col in range(cols):
            window = wide[:, 8 * row : 8 * row + 16, 8 * col : 8 * col + 16]
            sums[row, col] = window.reshape(bundle.bands, 256) @ filters.T
    latents = sums.reshape(rows, cols, -1)[..., bundle.order]
    latents = latents * bundle.mantissas[0] / 2.0**20 / tile.step
    symbol = tile.symbol / (2 if tile.dependent else 1)
    half = np.full(symbol.shape, 0.1)
    if not tile.dependent:
        half = np.where(symbol == 0, np.maximum(bundle.dead[tile.row] / 64, 0.5), half)
    half[tile.level <= bundle.skip] = np.inf
    excess = symbol - latents
    return excess - np.clip(excess, -half, half)


@dataclass
class Scene:
    """A scene: header, tiles, and where there are no data [2]."""

    bands: int
    width: int
    height: int
    low: int
    high: int
    nodata_value: int | None
    tiles: dict
    nodata: np.ndarray


def read_scene(bundle, received, scene_id=0):
    """Read a whole scene, down to symbols."""
    found = [s for s in segments(received, bundle.tag) if s.scene == scene_id]
    header = next(s.body for s in found if s.kind == SCENE)
    bands, width, height = (
        int.from_bytes(header[first:stop], "big") for first, stop in ((3, 5), (5, 9), (9, 13))
    )
    if not height:
        height = int.from_bytes(next(s.body for s in found if s.kind == END)[:4], "big")
    signed, bits = header[1] == 2, header[2]
    low = -(1 << bits - 1) if signed else 0
    values = dict(_tlvs(header[13:]))
    value = int.from_bytes(values[1], "big", signed=True) if 1 in values else None
    nodata = np.zeros((height, width), bool)
    scene = Scene(bands, width, height, low, low + (1 << bits) - 1, value, {}, nodata)
    columns = -(-width // bundle.tile)
    for number in range(columns * -(-height // bundle.tile)):
        row, col = (bundle.tile * place for place in divmod(number, columns))
        here = nodata[row : row + bundle.tile, col : col + bundle.tile]
        own = [s for s in found if s.tile == number and s.kind in (TILE, MASK)]
        bodies = {(s.layer, s.first): s.body for s in own if s.kind == TILE}
        tile = read_tile(bundle, bodies, *here.shape, signed)
        scene.tiles[number] = row, col, tile
        flat = np.zeros(here.size, bool)
        for segment in own:
            if segment.kind == MASK:
                piece = _mask(segment.body)[: here.size - segment.first]
                flat[segment.first : segment.first + len(piece)] = piece
        here[:] = True if tile.state == ALL_NODATA else flat.reshape(here.shape)
    return scene


def _tlvs(data):
    """Yield type and value of each extension of a header [2]."""
    while data:
        length = int.from_bytes(data[1:3], "big")
        yield data[0] & 127, data[3 : 3 + length]
        data = data[3 + length :]


def _mask(body):
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


def linear_scene(bundle, scene):
    """Return the samples (bands, rows, cols) of a scene's linear image [14]."""
    image = np.zeros((scene.bands, scene.height, scene.width))
    for row, col, tile in scene.tiles.values():
        if tile.state != ALL_NODATA:
            here = image[:, row : row + bundle.tile, col : col + bundle.tile]
            here[:] = linear_tile(bundle, tile)[:, : here.shape[1], : here.shape[2]]
    samples = np.clip(np.rint(image), scene.low, scene.high).astype(np.int64)
    if scene.nodata_value is not None:
        away = -1 if scene.nodata_value == scene.high else 1
        samples[samples == scene.nodata_value] += away
    samples[:, scene.nodata] = scene.nodata_value or 0
    return samples


def by_place(bundle, scene, name):
    """Return an array of all tiles by component, frequency, row and column of positions."""
    found = np.zeros((scene.bands, 64, -(-scene.height // 8), -(-scene.width // 8)), np.int64)
    for row, col, tile in scene.tiles.values():
        values = getattr(tile, name)
        if values is not None:
            rows, cols, _ = values.shape
            planes = np.empty_like(values)
            planes[..., bundle.order] = values
            here = found[..., row // 8 : row // 8 + rows, col // 8 : col // 8 + cols]
            here[:] = planes.transpose(2, 0, 1).reshape(here.shape)
    return found
