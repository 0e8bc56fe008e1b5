"""Pictures of symbols, as SPEC.md alone tells them. Numbers in brackets are its sections."""

import numpy as np

from tests.stranger.stream import ALL_NODATA
from tests.stranger.symbols import EMPTY


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


def as_it_is(numbers):
    """Leave numbers of the linear image as they are."""
    return numbers


def settled(numbers):
    """Return numbers of the exact image as multiples of 1/64 DN, within their limits [12]."""
    return np.clip(np.rint(numbers * 64) / 64, -(2**22), 2**22)


def linear_tile(bundle, tile, settle=as_it_is):
    """Return the linear image of a tile, float64 (bands, rows, cols), whole positions [12].

    With `settled` it is the exact image.
    """
    image = unheld(bundle, tile, settle)
    if not is_held(bundle, tile):
        return image
    return image + _rebuilt(bundle, tile, _excess(bundle, tile, image, settle), 0, settle)


def is_held(bundle, tile):
    """Say whether a tile is held to its symbols [12]."""
    ac = abs(tile.symbol[..., bundle.bands :]) / (2 if tile.dependent else 1)
    return tile.whole == bundle.layers and (tile.code <= 112 or 2 * ac.sum() >= ac.size)


def unheld(bundle, tile, settle=as_it_is):
    """Return the linear image of a tile before it is held to its symbols."""
    return _rebuilt(bundle, tile, _steps(bundle, tile), _means(tile), settle)


def _step(tile, settle):
    """Return the step of a tile in DN, or of each of its symbols (rows, cols, channels)."""
    step = tile.step
    if tile.coarser is not None:
        step = np.full(tile.symbol.shape, tile.step)
        step[..., tile.bands :] *= 2.0 ** (tile.coarser[..., None] / 16)
    return step if settle is as_it_is else np.rint(step * 4096) / 4096


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


def _rebuilt(bundle, tile, steps, means, settle):
    """Return an image of latents (rows, cols, channels) in steps, channels in order."""
    rows, cols, _ = steps.shape
    latents = np.zeros(steps.shape)
    latents[..., bundle.order] = settle(steps * _step(tile, settle))
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
    planes = settle(planes[:, 12 : 12 + 8 * rows, 12 : 12 + 8 * cols])
    turned = np.tensordot(band_transform(tile.angles, bundle.bands) / 2.0**14, planes, 1)
    return settle(turned + means)


def _excess(bundle, tile, image, settle):
    """Return how far latents of an image are outside of the cells of their symbols, in steps."""
    turn = band_transform(tile.angles, bundle.bands).T / 2.0**14
    planes = settle(np.tensordot(turn, image - _means(tile), 1))
    wide = np.pad(planes, ((0, 0), (4, 4), (4, 4)), mode="symmetric")
    rows, cols, _ = tile.symbol.shape
    sums = np.zeros((rows, cols, bundle.bands, 64))
    filters = bundle.analysis.reshape(64, 256)
    for row in range(rows):
        for col in range(cols):
            window = wide[:, 8 * row : 8 * row + 16, 8 * col : 8 * col + 16]
            sums[row, col] = window.reshape(bundle.bands, 256) @ filters.T
    latents = sums.reshape(rows, cols, -1)[..., bundle.order]
    latents = latents * (bundle.mantissas[0] / 2.0**20 / _step(tile, settle))
    symbol = tile.symbol / (2 if tile.dependent else 1)
    half = np.full(symbol.shape, np.float64(np.float32(0.1)))
    if not tile.dependent:
        half = np.where(symbol == 0, np.maximum(bundle.dead[tile.row] / 64, 0.5), half)
    half[tile.level <= bundle.skip] = np.inf
    excess = symbol - latents
    return excess - np.clip(excess, -half, half)


def linear_scene(scene, settle=as_it_is):
    """Return the linear image of a scene, float64 (bands, rows, cols), in parts of a DN [12]."""
    bundle = scene.bundle
    image = np.zeros((scene.bands, scene.height, scene.width))
    columns = -(-scene.width // bundle.tile)
    for number, (row, col, tile) in scene.tiles.items():
        if tile.state != ALL_NODATA and not tile.state & EMPTY:
            first = number // columns % bundle.band_groups * bundle.bands
            own = image[first : first + bundle.bands]
            here = own[:, row : row + bundle.tile, col : col + bundle.tile]
            found = linear_tile(bundle, tile, settle)
            if scene.is_mosaic:
                found = moved_back(found, tile)
            here[:] = found[: len(here), : here.shape[1], : here.shape[2]]
    return image


def quarter(side):
    """Return the matrix that moves a side by a quarter of a pixel, in 1/2^14 [9]."""
    place = np.arange(side)
    p = np.cos(np.pi * np.outer(place, place + 1 / 2) / side)
    p /= np.linalg.norm(p, axis=1, keepdims=True)
    q = []
    for k in range(side):
        own = np.cos(np.pi * k * (place + 3 / 4) / side)
        for before in q:
            own = own - before * (before @ own)
        q.append(own / np.linalg.norm(own))
    return np.floor(2**14 * np.array(q).T @ p + 1 / 2)


def moved_back(image, tile):
    """Return the planes of a mosaic at their own places [12]."""
    deviations = image - _means(tile)
    for plane in range(4):
        down, across = (quarter(side) / 2**14 for side in image.shape[1:])
        down = down if plane < 2 else down[::-1, ::-1]
        across = across if plane % 2 == 0 else across[::-1, ::-1]
        deviations[plane] = np.linalg.solve(down, deviations[plane])
        deviations[plane] = np.linalg.solve(across, deviations[plane].T).T
    return deviations + _means(tile)


def mosaic(planes):
    """Return the mosaic whose planes these are [9]."""
    _, height, width = planes.shape
    return planes.reshape(2, 2, height, width).transpose(2, 0, 3, 1).reshape(2 * height, -1)


def samples(scene, image):
    """Return the samples (bands, rows, cols) of an image [12, 21]."""
    image = image / 2.0**scene.bundle.fraction
    if scene.bundle.profile:
        image = scene.bundle.profile.samples(image)
    found = np.clip(np.rint(image), scene.low, scene.high).astype(np.int64)
    if scene.nodata_value is not None:
        away = -1 if scene.nodata_value == scene.high else 1
        found[found == scene.nodata_value] += away
    found[:, scene.nodata] = scene.nodata_value or 0
    return found


def graph_inputs(scene, ring):
    """Return image, step, known and border, the inputs of the decoder graph [7, 14]."""
    bundle = scene.bundle
    side, height, width = bundle.tile, scene.height, scene.width
    rows, cols = -(-height // 4), -(-width // 4)
    image = linear_scene(scene)
    step, known = np.zeros((2, 1, 1, rows, cols), np.float32)
    reach = side * -(-ring // side)
    for row, col, tile in scene.tiles.values():
        cells = np.s_[..., row // 4 : (row + side) // 4, col // 4 : (col + side) // 4]
        if tile.state == ALL_NODATA:
            around = [
                other
                for r, c, other in scene.tiles.values()
                if max(abs(r - row), abs(c - col)) <= reach and other.state != ALL_NODATA
            ]
            if around:
                means = np.mean([other.means for other in around], axis=0)
                image[:, row : row + side, col : col + side] = means[:, None, None]
                step[cells] = np.mean([other.step for other in around])
            known[cells] = 1
        else:
            each = tile.step * (2 ** (-3 / 16) if tile.dependent else 1)
            if tile.coarser is not None:
                each = each * (2.0 ** (tile.coarser / 16)).repeat(2, axis=0).repeat(2, axis=1)
                each = each[: step[cells].shape[-2], : step[cells].shape[-1]]
            step[cells] = each
            known[cells] = tile.whole / bundle.layers
    image = np.pad(image, ((0, 0), (0, 4 * rows - height), (0, 4 * cols - width)), mode="edge")
    border = np.zeros((1, 2, rows, cols), np.float32)
    for plane, cell in enumerate(np.indices((rows, cols)) % (side // 4)):
        border[0, plane] = (cell == 0).astype(int) - (cell == side // 4 - 1)
    return image[None].astype(np.float32), np.minimum(step, 2_000), known, border
