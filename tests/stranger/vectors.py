"""Test vectors: symbols and pictures of tiles, by checksum and in plain numbers.

    python -m tests.stranger.vectors > onboard/bundles/skybook.vectors.json

Tiles are coded by the project's encoder; symbols and pictures are what the decoder of this folder
makes of them, in 64-bit floats. SPEC.md, section 19, says what the entries mean.
"""

import json
import re

import numpy as np

from ground.scene import Scene
from onboard import bundle as bundles
from onboard.codec.tile import Chosen
from onboard.encoder import Encoder, Options
from onboard.link.mask import pack_mask
from onboard.link.packet import PacketOptions
from tests.stranger.bundle import Bundle
from tests.stranger.picture import is_held, linear_scene, linear_tile, samples, unheld
from tests.stranger.stream import crc32c, read_scene
from tests.stranger.symbols import places, read_tile

NAME = "skybook"
FILE = bundles.find(NAME).with_suffix(".vectors.json")
UNIT = 16
"""Of a DN, to which pictures are rounded."""


def tiles(bundle):
    """Yield name, samples, step code, kind of quantizer, nodata and room of tiles to code."""
    whole = [samples.astype(np.uint16) for _, samples, _ in bundle.golden]
    row, col = np.indices((64, 64))
    stripes = np.where((row + col) % 8 < 4, 900, 1500)[None].repeat(4, 0).astype(np.uint16)
    checks = np.where((row + col) % 2, 700, 1300)[None].repeat(4, 0).astype(np.uint16)
    noise = np.random.Generator(np.random.PCG64(1)).integers(0, 65_536, (4, 16, 16), np.uint16)
    holes = (row - 20) ** 2 + (col - 9) ** 2 < 90
    yield "cut by the border", whole[2][:, :37, :50], 100, "deadzone", None, 65_535
    yield "cut by the border, dependent", whole[3][:, :50, :9], 104, "trellis", None, 65_535
    yield "full", checks[:, :24, :40], 101, "deadzone", None, 65_535
    yield "full, dependent", stripes[:, :24, :40], 120, "trellis", None, 65_535
    yield "all signs", whole[0][:, :40, :48], 96, "all signs", None, 65_535
    yield "all signs, full", checks[:, :24, :40], 101, "all signs", None, 65_535
    yield "5 x 8 pixels", whole[0][:, :5, :8], 96, "deadzone", None, 65_535
    yield "raw lane", noise, 96, "deadzone", None, 65_535
    yield "nodata", whole[1][:, :40, :32], 112, "deadzone", holes[:40, :32], 65_535
    yield "all signs, nodata", whole[1][:, :40, :32], 112, "all signs", holes[:40, :32], 65_535
    yield "several segments", whole[1][:, :, :40], 136, "deadzone", None, 300
    yield "several segments, dependent", whole[1][:, :, :40], 136, "trellis", None, 300


def coded(coder, image, code, quantizer, nodata, room):
    """Return the bodies of a tile by layer and first."""
    _, rows, cols = image.shape
    fill = ((0, 0), (0, 64 - rows), (0, 64 - cols))
    present = np.ones((64, 64), bool)
    if nodata is not None:
        present[:rows, :cols] = ~nodata
    coder = coder.using(quantizer)
    prepared = coder.prepare(
        np.pad(image, fill, mode="symmetric")[None], present[None], (rows, cols)
    )
    steps = np.maximum(np.array([code]), coder.finest(prepared))
    (bodies,) = coder.write(coder.plan(Chosen(prepared, steps, [int(nodata is not None)], room)))
    return {(layer, first): body for layer, first, body in bodies}


def checksum(numbers):
    """Return the CRC-32C of whole numbers as i32, big-endian."""
    return f"{crc32c(np.ascontiguousarray(numbers, '>i4').tobytes()):08x}"


def margin(image):
    """Return how near any sample is to where rounding changes, DN."""
    scaled = image * UNIT
    return float(np.abs(scaled - np.floor(scaled) - 0.5).min()) / UNIT


def picture(image):
    """Return the checksum of a picture, and some of its samples."""
    _, rows, cols = image.shape
    shown = image[:, [0, rows // 2, rows - 1]][:, :, [0, cols // 2, cols - 1]]
    return {
        "crc": checksum(np.floor(image * UNIT + 0.5).astype(np.int64)),
        "samples": [round(float(sample), 3) for sample in shown.reshape(-1)],
    }


def vector(bundle, bodies, rows, cols):
    """Return what a decoder should make of the bodies of a tile."""
    tile = read_tile(bundle, bodies, rows, cols)
    layers = []
    for layer in range(1, bundle.layers + 1):
        here = *places(tile.symbol.shape[:2], layer), bundle.channels(layer)
        level = tile.level[here]
        numbers = [level.size, int((level > bundle.skip).sum())]
        arrays = (level, tile.residual[here], tile.symbol[here])
        layers.append(numbers + [checksum(array) for array in arrays])
    held = linear_tile(bundle, tile) if is_held(bundle, tile) else None
    linear = unheld(bundle, tile)
    return {
        "state": tile.state,
        "step_code": tile.code,
        "angles": list(tile.angles),
        "means": tile.means.tolist(),
        "floors": [list(floor) for floor in tile.floors],
        "layers": layers,
        "linear": picture(linear),
        "held": None if held is None else picture(held),
    }


def stream():
    """Return a scene of 9 x 10 pixels in packets."""
    row, col = np.indices((9, 10))
    image = np.stack([1000 + 40 * row, 900 + 30 * col, 1200 - 7 * row * col, 800 + row])
    image[:, 2:4, 3:9] = 0
    scene = Scene(image.astype(np.uint16), nodata=0)
    options = Options(scene_id=7, rmse=4.0)
    segments = Encoder(bundles.load(NAME)).encode(scene.image, scene.header(), options)
    return b"".join(PacketOptions(packet_bytes=512).pack(list(segments), 0, 0))


def scene_samples(bundle, received):
    """Return the samples of the linear image of a scene, as lists."""
    scene = read_scene(bundle, received, read_tile, 7)
    return samples(scene, linear_scene(scene)).tolist()


def vectors():
    """Return all vectors of the bundle."""
    bundle = Bundle(bundles.find(NAME).read_bytes())
    coder = bundles.load(NAME).codec.open("numpy")
    found = []
    for number, (fraction, image, body) in enumerate(bundle.golden):
        bands, rows, _ = image.shape
        entry = {"name": f"golden vector {number}", "bands": bands, "bits": 16 - fraction}
        entry |= {"rows": rows, "cols": rows, "bodies": None}
        own = bundle.scene(bands, 16 - fraction)
        found.append(entry | vector(own, {(0, 0): body}, rows, rows))
    for name, image, code, quantizer, nodata, room in tiles(bundle):
        _, rows, cols = image.shape
        bodies = coded(coder, image, code, quantizer, nodata, room)
        entry = {"name": name, "bands": 4, "bits": 16, "rows": rows, "cols": cols}
        entry["bodies"] = [[*start, body.hex()] for start, body in bodies.items()]
        if nodata is not None:
            entry["mask"] = pack_mask(nodata, 65_535)[0][1].hex()
            entry["nodata"] = int(nodata.sum())
        found.append(entry | vector(bundle, bodies, rows, cols))
    received = stream()
    scene = {"packets": received.hex(), "samples": scene_samples(bundle, received)}
    return {"bundle": NAME, "tag": f"{bundle.tag:08x}", "tiles": found, "scene": scene}


def text(found):
    """Return vectors as JSON, lists of plain values on one line."""
    inner = re.compile(r"\[\s+([^\[\]{}]*?)\s+\]")
    return inner.sub(lambda m: f"[{' '.join(m[1].split())}]", json.dumps(found, indent=1)) + "\n"


if __name__ == "__main__":
    print(text(vectors()), end="")
