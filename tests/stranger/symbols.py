"""Symbols of coder `rans`, as SPEC.md alone tells them. Numbers in brackets are its sections."""

from dataclasses import dataclass, field

import numpy as np

from tests.stranger.profile import side as side_of_components
from tests.stranger.steps import FIELDS, in_own_steps, read_field
from tests.stranger.stream import ALL_NODATA

DEPENDENT, FULL, EMPTY, HIDES = 4, 8, 64, 128
SIZES = ((40, 80, 2047), (63, 160, 4094))
"""Most that A, D and features of DC may be, of plain and of dependent tiles (in half steps)."""


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

    def residual(self, row, sought=False):
        """Read the residual of a symbol of a row of tables; `sought`: a sign is hidden, not yet."""
        if self.raw is not None:
            self.place += 1
            return self.raw[self.place - 1]
        starts, frequencies = self.bundle.starts[row], self.bundle.frequencies[row]
        slot = self.state & 4095
        if sought and is_even(self.bundle, row):
            twice = np.where(np.arange(64) < 31, 2, np.where(np.arange(64) > 31, 0, 1))
            twice[63] = 1
            starts = np.where(np.arange(64) < 32, 2 * starts.astype(np.int64), starts)
            starts = np.where((np.arange(64) > 31) & (np.arange(64) < 63), starts[63], starts)
            frequencies = frequencies.astype(np.int64) * twice
        symbol = int(np.searchsorted(starts + frequencies, slot, "right"))
        self._take(slot, int(starts[symbol]), int(frequencies[symbol]))
        if sought and is_even(self.bundle, row) and symbol < 31:
            symbol = 62 - symbol
        value = symbol - 31
        if symbol == 63:
            value = (self._bits(8) << 8) + self._bits(8) - (1 << 15)
        shift = int(self.bundle.shifts[row % 64])
        return value << shift | self._bits(shift) if shift else value


def is_even(bundle, row):
    """[10]"""
    of = bundle.frequencies[row]
    return not bundle.shifts[row % 64] and (of[:31] == of[32:63][::-1]).all()


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
    floors: list = field(default_factory=list)
    full: bool = False
    coarser: np.ndarray = None

    @property
    def dependent(self):
        return bool(self.state & DEPENDENT)

    @property
    def bands(self):
        return self.symbol.shape[2] // 64

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
    if side[0] & EMPTY:
        assert len(side) == 1
        assert bundle.profile
        return Tile(side[0])
    angles = bands * (bands - 1) // 2
    lane = 2 + angles + 2 * bands
    if bundle.profile:
        turns, means, lane = side_of_components(side, bands)
    else:
        turns = side[2 : 2 + angles]
        means = np.frombuffer(side[2 + angles : lane], ">i2" if signed else ">u2")
    tile = Tile(side[0], side[1], turns, means.astype(np.int64))
    tile.full = bool(tile.state & FULL)
    if tile.state in FIELDS:
        told = read_field(side[lane:], -(-rows // 8), -(-cols // 8))
        tile.coarser, tile.full, length = told
        lane += length
    if tile.full:
        count = side[lane]
        floors = np.frombuffer(side, ">u2", count, lane + 1).tolist()
        tile.floors = [divmod(floor, 64) for floor in floors]
        lane += 1 + 2 * count
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
        positions, channels = places(tile.symbol.shape[:2], layer), bundle.channels(layer)
        h, prediction = _context(bundle, tile, layer, positions)
        level = levels(h)
        if tile.full:
            level = np.maximum(level, bundle.skip + 1)
            for channel, floor in tile.floors:
                if channels.start <= channel < channels.stop:
                    of_channel = level[:, channel - channels.start]
                    np.maximum(of_channel, floor, out=of_channel)
        group = max(g for g, first in enumerate(bundle.groups) if first <= layer)
        residual, odd, whole, lane = _read_layer(bundle, tile, layer, level, group, lane)
        value = 2 * residual - np.sign(residual) * odd if tile.dependent else residual
        here = *positions, channels
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
        if tile.state & HIDES and layer > 3:
            lane = _read_runs(bundle, level[position], 64 * group, residual[position], lane)
            whole = whole and lane is not None
            continue
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


def _read_runs(bundle, level, first_row, residual, lane):
    """Read the residuals of a position, one sign of each run hidden [10]; the lane, if all came."""
    for begin in range(0, len(level), 24):
        run = slice(begin, begin + 24)
        coded = [begin + c for c in np.flatnonzero(level[run] > bundle.skip).tolist()]
        sought, hidden = sum(level[c] >= 17 for c in coded) >= 5, None
        for channel in coded:
            if lane is None or lane.ended:
                residual[run] = 0
                return None
            row = first_row + int(level[channel])
            k = residual[channel] = lane.residual(row, sought)
            symbol = 31 - abs(int(k))
            single = 0 <= symbol < 31 and bundle.frequencies[row, symbol] > 0
            if sought and single and is_even(bundle, row):
                sought, hidden = False, channel
        if hidden is not None:
            size = abs(residual[hidden])
            residual[hidden] = -size if abs(residual[run]).sum() % 2 else size
    return lane


def places(shape, layer):
    """Return rows and columns of the positions of a layer [10]."""
    row, col = (i.reshape(-1) for i in np.indices(shape))
    lattice = np.where(row % 2 != col % 2, 3, 1 + row % 2)
    here = lattice == layer if layer <= 3 else np.ones(len(row), bool)
    return row[here], col[here]


def levels(h):
    """[10]"""
    mantissa, exponent = np.frexp(np.maximum(h, 1))
    return np.clip(4 * (exponent - 1) + (8 * mantissa).astype(np.int64) - 4 - 8, 0, 63)


def _context(bundle, tile, layer, positions):
    """Return sum and prediction of the symbols of a layer (positions, channels) [10]."""
    row, col = positions
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
    size = abs(tile.symbol[..., :known])
    size[..., :bands] = in_own_steps(tile, size[..., :bands])
    size = np.minimum(size, most[0]) / unit
    wide = np.pad(size, ((1, 1), (1, 1), (0, 0)))
    near = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]
    edged = np.pad(dc, ((1, 1), (1, 1), (0, 0)), mode="edge")
    across = edged[1:-1, :-2] - edged[1:-1, 2:]
    down = edged[:-2, 1:-1] - edged[2:, 1:-1]
    slope = in_own_steps(tile, abs(np.concatenate([across, down], axis=2)))
    slope = np.minimum(slope, most[1]) / unit
    h = bundle.bias[own] + size @ bundle.same[:known, own] + near @ bundle.near[:known, own]
    return (h + slope @ bundle.slope[:, own]).reshape(len(row), -1), 0


def _mirrored(dc, row, col):
    """Return the DC at some positions; beyond the border row -1 is row 1, and so on."""
    rows, cols, _ = dc.shape
    wide = np.pad(dc, ((0, 1), (0, 1), (0, 0)))  # what a single row or column lacks is 0
    row = np.where(row < 0, 1, np.where(row == rows, rows - 2 if rows > 1 else 1, row))
    col = np.where(col < 0, 1, np.where(col == cols, cols - 2 if cols > 1 else 1, col))
    return wide[row, col]


def by_place(scene, name):
    """Return an array of all tiles by component, frequency, row and column of positions."""
    found = np.zeros((scene.bands, 64, -(-scene.height // 8), -(-scene.width // 8)), np.int64)
    for row, col, tile in scene.tiles.values():
        values = getattr(tile, name)
        if values is not None:
            rows, cols, _ = values.shape
            planes = np.empty_like(values)
            planes[..., scene.bundle.order] = values
            here = found[..., row // 8 : row // 8 + rows, col // 8 : col // 8 + cols]
            here[:] = planes.transpose(2, 0, 1).reshape(here.shape)
    return found
