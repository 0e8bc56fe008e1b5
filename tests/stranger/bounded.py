"""Bounded tiles, as SPEC.md alone tells them [20]."""

from dataclasses import dataclass
from math import isqrt

import numpy as np

from tests.stranger.symbols import Lane

CAUSAL = (
    *((-1, 0), (0, -1), (0, -2), (-1, -2), (-1, -1), (-1, 1), (-1, 2)),
    *((0, -3), (-2, -1), (-2, 0), (-2, 1), (-3, 0), (-2, -2), (-2, 2)),
)
AROUND = ((0, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (-1, 0), (1, -1), (1, 1))
QUARTERS = (256, 304, 362, 431)


class Part:
    """The part `bounded` of a bundle."""

    def __init__(self, part):
        place, self.offsets = 0, {}
        for name, kind, *shape in (
            ("coefficients", ">i2", 4, 25),
            ("spreads", ">u1", 4, 25),
            ("weights", ">u2", 4, 32),
            ("bias", ">u2", 4),
            ("frequencies", ">u2", 64, 122),
            ("golden", ">u4", 2),
        ):
            count = int(np.prod(shape))
            array = np.frombuffer(part, kind, count, place).reshape(shape).astype(np.int64)
            setattr(self, name, array)
            self.offsets[name] = place
            place += count * int(kind[2])
        assert place == len(part)
        self.starts = np.cumsum(self.frequencies, axis=1) - self.frequencies


class Reading(Lane):
    """The lanes of a tile, one after the other."""

    def __init__(self, part, lanes):
        self.lanes = lanes
        super().__init__(part, lanes.pop((0, 0)))

    def go_to(self, band, pixel):
        """Change to the lane that begins here, if one does."""
        if (band, pixel) in self.lanes:
            assert self.ended
            super().__init__(self.bundle, self.lanes.pop((band, pixel)))

    def number(self, bits):
        return self._bits(bits - 8) << 8 | self._bits(8) if bits > 8 else self._bits(bits)

    def counted(self):
        return self.number(self.number(5))

    def residual(self, row):
        starts, slot = self.bundle.starts[row], self.state & 4095
        symbol = int(np.searchsorted(starts + self.bundle.frequencies[row], slot, "right"))
        self._take(slot, int(starts[symbol]), int(self.bundle.frequencies[row, symbol]))
        if symbol == 121:
            return self.number(16) - 32768
        number = (symbol + 1) // 2
        size = number
        if number > 16:
            octave, part = divmod(number - 17, 4)
            size = ((4 + part) << octave + 2 | self._bits(octave + 2)) + 1
        return size if symbol % 2 else -size


@dataclass
class Tile:
    """A tile that is to be read when its mask is known."""

    part: object
    bodies: dict
    rows: int
    cols: int
    signed: bool


def tile_of(part):
    """Return what `read_scene` takes for reading tiles."""
    return lambda bundle, bodies, rows, cols, signed: Tile(part, bodies, rows, cols, signed)


def image(scene):
    """Return the samples of a scene of bounded tiles (bands, height, width); 0 for nodata."""
    found = np.zeros((scene.bands, scene.height, scene.width), np.int64)
    for row, col, tile in scene.tiles.values():
        if tile.bodies[0, 0][0] == 2:
            continue
        here = slice(row, row + tile.rows), slice(col, col + tile.cols)
        samples = _read(tile, scene.bands, scene.nodata[here])
        samples = np.clip(samples, scene.low, scene.high)
        found[:, *here] = np.where(scene.nodata[here], 0, samples)
    return found


def _read(tile, bands, nodata):
    assert tile.bodies[0, 0][0] in (16, 17)
    lanes = {(layer - 1, first): body for (layer, first), body in tile.bodies.items() if layer}
    if tile.bodies[0, 0][1:]:
        lanes[0, 0] = tile.bodies[0, 0][1:]
    reading = Reading(tile.part, lanes)
    done = []
    for band in range(bands):
        done.append(_read_band(reading, tile, band, done, nodata))
    assert reading.ended
    assert not reading.lanes
    return np.stack([samples for samples, *_ in done])


def _read_band(reading, tile, band, done, nodata):
    """Return samples, values and energies of a band; values and energies with the start."""
    part, role, near = reading.bundle, min(band, 3), done[::-1][:2]
    reading.go_to(band, 0)
    kind, least = reading.number(3), reading.number(16)
    least -= (least >> 15 << 16) if tile.signed else 0
    most = reading.counted()
    pixels = tile.rows * tile.cols
    values, energy = np.zeros(pixels + 1, np.int64), np.zeros(pixels + 1, np.int64)
    values[-1] = most >> 1
    if not most:
        assert kind == 0
        return np.full((tile.rows, tile.cols), least), values, energy
    bound = reading.counted() if kind <= 2 else 0
    back = _scale(reading, tile, kind, least, most)
    mode = reading.number(2)
    scales = [reading.number(5) for _ in near] if mode < 2 else []
    coefficients = part.coefficients[role, : 13 + 6 * len(near)].copy()
    if mode == 1:
        move = reading.number(3)
        for place in range(len(coefficients)):
            level = min(max(int(part.spreads[role, place]) + 4 * (move - 2), 0), 63)
            coefficients[place] += 4 * reading.residual(level)
    others = (
        [
            (v, np.minimum(e * (QUARTERS[s % 4] << s // 4 >> 4) >> 8, 4095))
            for (_, v, e), s in zip(near, scales, strict=bool(scales) or not near)
        ]
        if mode < 2
        else []
    )
    step = 2 * bound + 1
    for pixel in range(pixels):
        row, col = divmod(pixel, tile.cols)
        causal = [_causal(tile, row, col, *place) for place in CAUSAL]
        if nodata[row, col]:
            values[pixel] = values[pixel - 1 if col else pixel - tile.cols if row else pixels]
            continue
        if pixel:
            reading.go_to(band, pixel)
        if mode == 2:
            number = reading.number((most // step).bit_length())
            values[pixel] = min(step * number + bound, most)
            continue
        around = [
            min(max(row + down, 0), tile.rows - 1) * tile.cols
            + min(max(col + right, 0), tile.cols - 1)
            for down, right in AROUND
        ]
        base = values[causal[0]]
        total = coefficients[:13] @ (values[causal[1:]] - base)
        h = part.bias[role] + part.weights[role, :14] @ energy[causal]
        for number, (v, e) in enumerate(others):
            own = coefficients[13 + 6 * number : 19 + 6 * number]
            total += own @ (v[around[:6]] - v[causal[0]])
            h += part.weights[role, 14 + 9 * number : 23 + 9 * number] @ e[around]
        predicted = min(max(int(base) + (int(total) + 128 >> 8), 0), most)
        residual = reading.residual(_level(int(h)))
        value = (predicted + residual) % 65536 if not bound else predicted + step * residual
        values[pixel], energy[pixel] = min(max(value, 0), most), min(abs(residual), 4095)
    return back(values[:-1]).reshape(tile.rows, tile.cols), values, energy


def _causal(tile, row, col, down, right):
    start = tile.rows * tile.cols
    left = row * tile.cols + col - 1 if col else (row - 1) * tile.cols if row else start
    if down == 0:
        return row * tile.cols + max(col + right, 0) if col else left
    if row == 0:
        return left
    return max(row + down, 0) * tile.cols + min(max(col + right, 0), tile.cols - 1)


def _level(h):
    e = h.bit_length() - 1
    return 0 if h < 32 else min(4 * (e - 5) + (h >> e - 2 & 3), 63)


def _scale(reading, tile, kind, least, most):
    """Return what makes samples of values."""
    if kind == 0:
        return lambda y: least + y
    if kind == 1:
        step = reading.counted()
        return lambda y: least + step * y
    if kind == 2:
        nodata = reading.number(16)
        nodata -= (nodata >> 15 << 16) if tile.signed else 0
        return lambda y: least + y + (least + y >= nodata)
    if kind == 3:
        found, pattern = [], 0
        for stretch in range(reading.counted()):
            if not reading.number(1):
                pattern = reading.number(4)
            step, first = {0: (64, 64), 8: (2, 0), 9: (2, 1), 10: (1, 0)}.get(
                pattern, (4, pattern - 1) if pattern < 5 else (3, pattern - 5)
            )
            found += range(least + 64 * stretch + first, least + 64 * stretch + 64, step)
        assert len(found) == most + 1
        return lambda y: np.array(found)[y]
    assert kind == 4
    root, nodata = reading.counted(), None
    if reading.number(1):
        nodata = reading.number(16)
        nodata -= (nodata >> 15 << 16) if tile.signed else 0
    begins, centres = _cells(root, nodata)
    first = least if least < 0 else int(np.searchsorted(begins, least, "right")) - 1
    return lambda y: np.where(y + first < 0, y + first, centres[np.maximum(y + first, 0)])


def _cells(root, nodata):
    a, begins, centres = 0, [], []
    while a <= 65535:
        b = a + 2 * (isqrt(root * root * a) // 256)
        if b > a and nodata is not None and a <= nodata <= b:
            b = max(nodata - 1, a)
        b = min(b, 65535)
        begins.append(a)
        centres.append((a + b) // 2)
        a = b + 1
    return np.array(begins), np.array(centres)
