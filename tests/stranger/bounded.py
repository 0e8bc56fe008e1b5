"""Bounded tiles, as SPEC.md alone tells them [20]."""

from dataclasses import dataclass, replace
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
    assert tile.bodies[0, 0][0] in (16, 17, 32, 33)
    lanes = {(n - 1, first): body for (n, first), body in tile.bodies.items() if 0 < n <= bands}
    if tile.bodies[0, 0][1:]:
        lanes[0, 0] = tile.bodies[0, 0][1:]
    reading = Reading(tile.part, lanes)
    done = []
    for band in range(bands):
        done.append(_read_band(reading, tile, band, done, nodata))
    assert reading.ended
    assert not reading.lanes
    rest = {place: body for place, body in tile.bodies.items() if place[0] > bands}
    if rest:
        done = _read_rest(tile, bands, done, rest, nodata)
    return np.stack([band.samples for band in done])


def _read_band(reading, tile, band, done, nodata):
    part, role, near = reading.bundle, min(band, 3), done[::-1][:2]
    reading.go_to(band, 0)
    scale = _read_scale(reading, tile)
    most, bound = scale.most, scale.bound
    pixels = tile.rows * tile.cols
    values, energy = np.zeros(pixels + 1, np.int64), np.zeros(pixels + 1, np.int64)
    values[-1] = most >> 1
    static = part.coefficients[role, : 13 + 6 * len(near)].copy()
    if not most:
        return Band(scale, values, energy, static, tile)
    mode = reading.number(2)
    scales = [reading.number(5) for _ in near] if mode < 2 else []
    coefficients = static
    if mode == 1:
        move = reading.number(3)
        for place in range(len(coefficients)):
            level = min(max(int(part.spreads[role, place]) + 4 * (move - 2), 0), 63)
            coefficients[place] += 4 * reading.residual(level)
    others = _scaled(near, scales) if mode < 2 else []
    step = 2 * bound + 1
    for pixel in range(pixels):
        row, col = divmod(pixel, tile.cols)
        if nodata[row, col]:
            values[pixel] = _left(values, row, col, tile)
            continue
        if pixel:
            reading.go_to(band, pixel)
        if mode == 2:
            number = reading.number((most // step).bit_length())
            values[pixel] = min(step * number + bound, most)
            continue
        predicted, h = _look(part, role, coefficients, values, energy, others, most, pixel, tile)
        residual = reading.residual(_level(h))
        value = (predicted + residual) % 65536 if not bound else predicted + step * residual
        values[pixel], energy[pixel] = min(max(value, 0), most), min(abs(residual), 4095)
    return Band(scale, values, energy, coefficients, tile)


def _left(values, row, col, tile):
    """Return what a nodata pixel has for a value."""
    pixel = row * tile.cols + col
    return values[pixel - 1 if col else pixel - tile.cols if row else tile.rows * tile.cols]


def _scaled(near, scales):
    """Return values and energies of references, these scaled."""
    return [
        (band.values, np.minimum(band.energy * (QUARTERS[s % 4] << s // 4 >> 4) >> 8, 4095))
        for band, s in zip(near, scales, strict=True)
    ]


def _look(part, role, coefficients, values, energy, others, most, pixel, tile):
    """Return prediction and h of a pixel."""
    row, col = divmod(pixel, tile.cols)
    causal = [_causal(tile, row, col, *place) for place in CAUSAL]
    around = [
        min(max(row + down, 0), tile.rows - 1) * tile.cols + min(max(col + right, 0), tile.cols - 1)
        for down, right in AROUND
    ]
    base = values[causal[0]]
    total = coefficients[:13] @ (values[causal[1:]] - base)
    h = part.bias[role] + part.weights[role, :14] @ energy[causal]
    for number, (v, e) in enumerate(others):
        own = coefficients[13 + 6 * number : 19 + 6 * number]
        total += own @ (v[around[:6]] - v[causal[0]])
        h += part.weights[role, 14 + 9 * number : 23 + 9 * number] @ e[around]
    return min(max(int(base) + (int(total) + 128 >> 8), 0), most), int(h)


def _read_rest(tile, bands, first, bodies, nodata):
    """Return the bands with what the rest of a tile adds."""
    pixels, lanes = tile.rows * tile.cols, {}
    for (layer, place), body in bodies.items():
        number, pixel = divmod(place, pixels)
        lanes[4 * (layer - bands - 1) + number, pixel] = body
    reading, done = Reading(tile.part, lanes), []
    for band in range(bands):
        reading.go_to(band, 0)
        done.append(_read_band_of_rest(reading, tile, band, first[band], done, nodata))
    assert reading.ended
    assert not reading.lanes
    return done


def _read_band_of_rest(reading, tile, band, first, done, nodata):
    part, role, near = reading.bundle, min(band, 3), done[::-1][:2]
    if reading.number(1):
        assert first.scale.kind <= 2
        bound = reading.counted() if first.scale.most else 0
        scale = replace(first.scale, bound=bound)
    else:
        scale = _read_scale(reading, tile)
    most, pixels = scale.most, tile.rows * tile.cols
    if not most:
        values, energy = np.zeros(pixels + 1, np.int64), np.zeros(pixels + 1, np.int64)
        return Band(scale, values, energy, first.coefficients, tile)
    mode = reading.number(1)
    others = _scaled(near, [reading.number(5) if mode else 16 for _ in near])
    values, energy = np.zeros(pixels + 1, np.int64), np.zeros(pixels + 1, np.int64)
    values[-1] = most >> 1
    samples = scale.back(np.arange(most + 1))
    for pixel in range(pixels):
        row, col = divmod(pixel, tile.cols)
        if nodata[row, col]:
            values[pixel] = _left(values, row, col, tile)
            continue
        if pixel:
            reading.go_to(band, pixel)
        p, h = _look(part, role, first.coefficients, values, energy, others, most, pixel, tile)
        a, b = first.scale.span(int(first.values[pixel]))
        if scale.kind == 4:
            low, high = scale.cell_of(a), scale.cell_of(b)
        else:
            low = int(np.searchsorted(samples, a))
            high = int(np.searchsorted(samples, b, "right")) - 1
        low, high = max(low, 0), min(high, most)
        assert low <= high
        t = 2 * scale.bound + 1
        n = -(-(high - low + 1) // t)
        place = _read_place(reading, part, _level(h), p, low, high, t, n, mode) if n > 1 else 0
        values[pixel] = min(low + t * place + scale.bound, high)
        energy[pixel] = min(abs(int(values[pixel]) - p), 4095)
    return Band(scale, values, energy, first.coefficients, tile)


def _read_place(reading, part, level, p, low, high, t, n, mode):
    k = 0
    while -(-n // (1 << k)) > 64:
        k += 1
    groups = -(-n // (1 << k))

    def weight(v):
        if not mode:
            return 1
        r = v - p
        if not -32768 <= r <= 32767:
            return 0
        symbol, m = _symbol(r)
        return (int(part.frequencies[level, symbol]) << 7 >> m) + 1

    sums = [0]
    for group in range(groups):
        first = low + t * (group << k)
        stop = min(low + t * (group + 1 << k), high + 1)
        sums.append(sums[-1] + sum(weight(v) for v in range(first, stop)))
    starts = [g + s * (4096 - groups) // max(sums[-1], 1) for g, s in enumerate(sums)]
    starts[-1] = 4096
    slot = reading.state & 4095
    group = max(g for g in range(groups) if starts[g] <= slot)
    reading._take(slot, starts[group], starts[group + 1] - starts[group])
    return group << k | (reading._bits(k) if k else 0)


def _symbol(r):
    """Return the symbol of a residual, and the bits after it."""
    number, bits = abs(r), 0
    if number > 16:
        u = number - 1
        e = u.bit_length() - 1
        number, bits = 17 + 4 * (e - 4) + (u >> e - 2 & 3), e - 2
    return (2 * number - 1 if r > 0 else 2 * number), bits


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


@dataclass(frozen=True)
class Scale:
    """A scale: what samples its values are, and by how much they are off."""

    kind: int
    most: int
    bound: int
    back: object
    cells: tuple = ()
    first: int = 0

    def span(self, v):
        """Return the first and the last sample that a pixel of a value may have."""
        if not self.most:
            return -65535, 65535
        if self.kind == 4:
            number = v + self.first
            return (number, number) if number < 0 else tuple(int(c[number]) for c in self.cells)
        low, high = max(v - self.bound, 0), min(v + self.bound, self.most)
        return tuple(int(n) for n in self.back(np.array([low, high])))

    def cell_of(self, sample):
        """Return the value of a sample."""
        number = int(np.searchsorted(self.cells[0], sample, "right")) - 1
        return (sample if sample < 0 else number) - self.first


class Band:
    """A band that was read; values and energies with the start."""

    def __init__(self, scale, values, energy, coefficients, tile):
        self.scale, self.values, self.energy = scale, values, energy
        self.coefficients = coefficients
        self.samples = scale.back(values[:-1]).reshape(tile.rows, tile.cols)


def _read_scale(reading, tile):
    kind, least = reading.number(3), reading.number(16)
    least -= (least >> 15 << 16) if tile.signed else 0
    most = reading.counted()
    if not most:
        assert kind == 0
        return Scale(0, 0, 0, lambda y: least + y)
    bound = reading.counted() if kind <= 2 else 0
    if kind == 0:
        return Scale(kind, most, bound, lambda y: least + y)
    if kind == 1:
        step = reading.counted()
        return Scale(kind, most, bound, lambda y: least + step * y)
    if kind == 2:
        nodata = reading.number(16)
        nodata -= (nodata >> 15 << 16) if tile.signed else 0
        return Scale(kind, most, bound, lambda y: least + y + (least + y >= nodata))
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
        return Scale(kind, most, 0, lambda y: np.array(found)[y])
    assert kind == 4
    root, nodata = reading.counted(), None
    if reading.number(1):
        nodata = reading.number(16)
        nodata -= (nodata >> 15 << 16) if tile.signed else 0
    begins, centres, ends = _cells(root, nodata)
    first = least if least < 0 else int(np.searchsorted(begins, least, "right")) - 1

    def back(y):
        return np.where(y + first < 0, y + first, centres[np.maximum(y + first, 0)])

    return Scale(kind, most, 0, back, (begins, ends), first)


def _cells(root, nodata):
    a, begins, centres, ends = 0, [], [], []
    while a <= 65535:
        b = a + 2 * (isqrt(root * root * a) // 256)
        if b > a and nodata is not None and a <= nodata <= b:
            b = max(nodata - 1, a)
        b = min(b, 65535)
        begins.append(a)
        centres.append((a + b) // 2)
        ends.append(b)
        a = b + 1
    return np.array(begins), np.array(centres), np.array(ends)
