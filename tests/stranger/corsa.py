"""A reader of streams of coder `fixed`, written from SPEC.md alone. Numbers in brackets are its."""

import numpy as np

from tests.stranger.bundle import unpack
from tests.stranger.stream import ALL_NODATA

C = 1048576, 881744, 741455, 623487


class Bundle:
    """A model bundle of coder `fixed` [7]."""

    def __init__(self, file):
        self.tag, wire, parts = unpack(file)
        self.bands, self.tile, self.levels = wire["bands"], wire["tile"], wire["levels"]
        self.fraction, self.band_groups, self.profile = 0, 1, None
        self.codewords, place, above = [], 0, None
        for level in self.levels:
            count, dims = level["codewords"], level["dims"]
            words = np.frombuffer(parts["codebooks"], ">i2", count * dims, place)
            self.codewords.append(words.reshape(count, dims).astype(np.float32))
            place += 2 * count * dims + (8 * dims * above if above else 0)
            above = dims
        assert place == len(parts["codebooks"])

    def scene(self, _bands, _bits):
        """Return itself."""
        return self


def read_tile(bundle, bodies, rows, cols, _signed):
    """Return state, side information and index maps of a tile; -1 is what did not arrive."""
    shapes = [(-(-rows // v["reduction"]), -(-cols // v["reduction"])) for v in bundle.levels]
    maps = [np.full(shape, -1) for shape in shapes]
    side = bodies[0, 0][: 1 if bodies[0, 0][0] == ALL_NODATA else 2 + 2 * bundle.bands]
    for (start, begin), body in bodies.items():
        layer, first, left = start, begin, body
        if layer == 0:
            layer, left = 1, body[len(side) :]
        while left:
            width, flat = bundle.levels[layer - 1]["width"], maps[layer - 1].reshape(-1)
            count = min(8 * len(left) // width, flat.size - first)
            length = -(-count * width // 8)
            bits = np.unpackbits(np.frombuffer(left[:length], np.uint8))[: count * width]
            indices = bits.reshape(count, width) @ (1 << np.arange(width)[::-1])
            flat[first : first + count] = indices
            layer, first, left = layer + 1, 0, left[length:]
    return side[0], side[1:], maps


def graph_inputs(bundle, maps):
    """Return the inputs of the decoder graph for a tile [7]."""
    found = []
    for level, codewords, indices in zip(bundle.levels, bundle.codewords, maps, strict=True):
        words = np.where(indices[..., None] < 0, 0, codewords[indices])
        side = bundle.tile // level["reduction"]
        fill = [(0, side - indices.shape[0]), (0, side - indices.shape[1]), (0, 0)]
        whole = np.pad(words, fill, mode="symmetric")
        found.append(np.ascontiguousarray(whole.transpose(2, 0, 1)[None], np.float32))
    return found


def image(bundle, scene, run):
    """Return the image of a scene; `run` runs the decoder graph [5]."""
    found = np.zeros((scene.bands, scene.height, scene.width))
    for row, col, (state, side, maps) in scene.tiles.values():
        if state != ALL_NODATA:
            here = found[:, row : row + bundle.tile, col : col + bundle.tile]
            y = run(graph_inputs(bundle, maps))[0, :, : here.shape[1], : here.shape[2]]
            means = np.frombuffer(side[1:], ">u2").astype(np.int64)[:, None, None]
            here[:] = means + y * 2.0**20 / (C[side[0] & 3] >> (side[0] >> 2))
    return found
