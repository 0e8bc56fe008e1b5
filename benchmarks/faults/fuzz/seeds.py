"""Seeds of the fuzzer: a few small inputs for each parser, from procedural scenes.

Those in tests/corpus were written by
`python -c "from benchmarks.faults.fuzz.seeds import write_seeds; write_seeds('tests/corpus')"`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.faults.fuzz.bounded import LANE_HEAD
from benchmarks.faults.fuzz.bundles import (
    BANDS,
    LEVEL_WIDTHS,
    PROFILE_BANDS,
    TILE,
    fixed_bundle,
    index_maps,
    lapped_bundle,
    profile,
)
from benchmarks.faults.fuzz.seals import sparse_bundle
from benchmarks.faults.fuzz.targets import INDEX_HEAD, INDEX_SHAPE
from ground.scenes.procedural import procedural
from onboard.bundle import load
from onboard.bundle.profiles import pack_profile
from onboard.codec.bound import Bound
from onboard.codec.bounded.codec import BoundedCodec
from onboard.codec.corsa.frontend import AffineSide
from onboard.codec.corsa.layers import split_layers
from onboard.codec.tile import ALL_VALID, SOME_NODATA, Chosen
from onboard.encoder import Encoder, Options
from onboard.image.tiles import TileGrid
from onboard.link.end import EndOfScene
from onboard.link.header import SceneHeader
from onboard.link.mask import pack_mask
from onboard.link.packet import PacketOptions
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment

_SEED = 5
_IDLE_PACKET = bytes.fromhex("07ff c000 0003 00000000")
_ROOM = 150
"""Bytes of a body of a bounded tile, so few that it has several."""
_WKT = 'LOCAL_CS["a field",UNIT["metre",1]]'


def write_seeds(folder: str) -> None:
    """Write the seeds of each parser into a folder of its name."""
    for parser, files in seeds().items():
        place = Path(folder) / parser
        place.mkdir(parents=True, exist_ok=True)
        for name, packed in files.items():
            (place / name).write_bytes(packed)


def seeds() -> dict[str, dict[str, bytes]]:
    """Return the seeds of each parser by file name."""
    return {
        "file": {
            "lapped.sky": _lapped_stream(20, 24, Options(rmse=12.0, one_layer=True)),
            "trellis.sky": _lapped_stream(20, 17, Options(rmse=20.0, trellis=True)),
            "fixed.sky": _fixed_stream(20, 24),
            "header.sky": _header_stream(),
        },
        "packet": {
            "control.pkt": _recording(PacketOptions(256, 3, True, (2_000_000_000, 5), 1_600_000)),
            "idle.pkt": _recording(PacketOptions(128)) + _IDLE_PACKET,
        },
        "bundle": {"fixed.skyb": fixed_bundle().pack(), "lapped.skyb": sparse_bundle()},
        "index": {
            "whole.bin": _index_payloads(1_000)[0],
            **{f"piece{n}.bin": p for n, p in enumerate(_index_payloads(17)[:6:2])},
        },
        "entropy": {
            "tile.bin": _lanes(_image(16, 16, False), Options(rmse=12.0)),
            "layers.bin": _lanes(_image(9, 13, False), Options(rmse=12.0, one_layer=True)),
            "one.bin": _lanes(_image(3, 5, False), Options(rmse=12.0)),
            "ramps.bin": _lanes(_ramps(16, 16), Options(rmse=1.0)),
            "raw.bin": _lanes(_noise(16, 16), Options(rmse=0.1)),
            "trellis.bin": _lanes(_image(16, 16, False), Options(rmse=12.0, trellis=True)),
            "trellis_raw.bin": _lanes(_noise(9, 16), Options(rmse=0.1, trellis=True)),
        },
        "components": {
            "tile.bin": _components(9, 12, Options(rmse=30.0)),
            "empty.bin": _components(16, 16, Options(rmse=4_000.0)),
            "layers.bin": _components(5, 7, Options(rmse=30.0, trellis=True, one_layer=True)),
        },
        "profile": {
            "least.prof": pack_profile(profile()),
            "signed.prof": pack_profile(profile(20, 1), bytes(range(64))),
        },
        "bounded": {
            "exact.bin": _bounded(_image(7, 6, False), "0", False),
            "bound.bin": _bounded(_image(6, 8, False), "3", True),
            "root.bin": _bounded(_image(5, 5, False), "sqrt:0.5", False),
            "noise.bin": _bounded(_noise(8, 8), "0", True),
            "steps.bin": _bounded(_image(6, 6, False) * 4, "1", False),
            "two_parts.bin": _bounded(_image(7, 6, False), "0", False, "8"),
            "two_roots.bin": _bounded(_image(5, 6, False), "sqrt:0.3", True, "sqrt:2"),
            "flat_rest.bin": _bounded(_noise(5, 5), "1", False, "3000"),
        },
    }


def _image(rows: int, cols: int, nodata: bool) -> NDArray[np.uint16]:
    return procedural(_SEED, rows, cols, BANDS, nodata).image.astype(np.uint16)


def _noise(rows: int, cols: int) -> NDArray[np.uint16]:
    """Return what is shorter as raw lanes."""
    return np.random.default_rng(_SEED).integers(0, 65_536, (BANDS, rows, cols), np.uint16)


def _ramps(rows: int, cols: int) -> NDArray[np.uint16]:
    """Return what has so little detail that its tile is not full."""
    row, col = np.mgrid[:rows, :cols]
    return np.stack([1_000 + 3 * col, 900 + 3 * row]).astype(np.uint16)


def _lapped_stream(rows: int, cols: int, options: Options) -> bytes:
    image = _image(rows, cols, True)
    header = SceneHeader.of(image, nodata=0, crs="EPSG:32633")
    return b"".join(Encoder(lapped_bundle()).encode(image, header, options))


def _fixed_stream(rows: int, cols: int) -> bytes:
    """Return segments of indices that no network made: the samples, cut to codewords."""
    image = _image(rows, cols, True)
    model, grid = fixed_bundle().tag, TileGrid(cols, rows, TILE)
    head = SceneHeader.of(image, nodata=0)
    packed = [Segment(Kind.SCENE, 0, model, 0, 0, 0, None, head.pack()).pack()]
    for index in range(grid.count):
        row, col, high, wide = grid.box(index)
        tile = image[:, row : row + high, col : col + wide]
        edge = None if high == wide == TILE else (high, wide)
        maps = index_maps(tile, high, wide)
        nodata = (tile == 0).all(axis=0)
        state = SOME_NODATA if nodata.any() else ALL_VALID
        side = bytes([state]) + AffineSide((500, 600), 9).pack()
        pieces = split_layers(side, list(zip(maps, LEVEL_WIDTHS, strict=True)), 24)
        packed += [Segment(Kind.TILE, 0, model, index, *p[:2], edge, p[2]).pack() for p in pieces]
        for first, body in pack_mask(nodata, 64) if state else ():
            packed.append(Segment(Kind.MASK, 0, model, index, 0, first, edge, body).pack())
    end = EndOfScene(rows, len(packed)).pack()
    return b"".join([*packed, Segment(Kind.END, 0, model, 0, 0, 0, None, end).pack()])


def _header_stream() -> bytes:
    """Return a header with every extension, a segment of an unknown kind, and a tile."""
    model = fixed_bundle().tag
    place = (5e5, 10.0, 0.0, 5e6, 0.0, -10.0)
    header = SceneHeader("i16", 12, BANDS, 9, 0, -1, place, _WKT, (7, 8), ("B02", "B8A"), "sky")
    parts = (
        Segment(Kind.SCENE, 0, model, 0, 0, 0, None, header.pack()),
        Segment(9, 0, model, 0, 0, 0, None, b"later"),
        Segment(Kind.TILE, 0, model, 0, 0, 0, (16, 9), b"\2"),
        Segment(Kind.END, 0, model, 0, 0, 0, None, EndOfScene(16, 3).pack()),
    )
    return b"".join(part.pack() for part in parts)


def _recording(packets: PacketOptions) -> bytes:
    image = _image(18, 20, False)
    options = Options(rmse=40.0, packets=packets)
    found: list[bytes] = []
    for strip in Encoder(lapped_bundle()).strips(image, SceneHeader.of(image), options):
        found += packets.pack(strip.segments, strip.line, len(found))
    return b"".join(found)


def _index_payloads(room: int) -> list[bytes]:
    """Return the bodies of one tile, each with the shapes of the layers before it."""
    maps = index_maps(_image(TILE, TILE, False), TILE, TILE)
    side = bytes([ALL_VALID]) + AffineSide((500, 600), 9).pack()
    shapes = b"".join(
        INDEX_SHAPE.pack(indices.size, width - 1)
        for indices, width in zip(maps, LEVEL_WIDTHS, strict=True)
    )
    return [
        INDEX_HEAD.pack(layer, first, len(side), len(maps) - 1) + shapes + body
        for layer, first, body in split_layers(
            side, list(zip(maps, LEVEL_WIDTHS, strict=True)), room
        )
    ]


def _components(rows: int, cols: int, options: Options) -> bytes:
    """Return the segments of one tile as `read_components` takes them."""
    image = procedural(_SEED, rows, cols, PROFILE_BANDS, False).image.astype(np.uint16)
    return _first_tile(Encoder(lapped_bundle(), profile=profile()), image, options)


def _lanes(image: NDArray[np.uint16], options: Options) -> bytes:
    """Return the segments of one tile as `read_lanes` takes them."""
    return _first_tile(Encoder(lapped_bundle()), image, options)


def _first_tile(encoder: Encoder, image: NDArray[np.uint16], options: Options) -> bytes:
    _, rows, cols = image.shape
    stream = b"".join(encoder.encode(image, SceneHeader.of(image), options))
    packed = bytes([(rows - 1) << 4 | (cols - 1)])
    for segment in read_segments(stream):
        if isinstance(segment, Segment) and segment.kind == Kind.TILE and not segment.tile:
            packed += LANE_HEAD.pack(segment.layer, segment.first, len(segment.body))
            packed += segment.body
    return packed


def _bounded(image: NDArray[np.uint16], bound: str, empty: bool, first: str | None = None) -> bytes:
    """Return the segments of one bounded tile as `read_bounded` takes them."""
    bands, rows, cols = image.shape
    present = ~np.eye(rows, cols, dtype=np.bool_) if empty else np.ones((rows, cols), np.bool_)
    bounds = Bound.parse(bound), None, Bound.parse(first) if first else None
    coder = BoundedCodec.of(load("skybook").bounded).open(bands, *bounds)
    prepared = coder.prepare(image[None], present[None], (rows, cols))
    chosen = Chosen(prepared, coder.finest(prepared), [ALL_VALID], _ROOM)
    packed = bytes([(rows - 1) << 4 | (cols - 1), bands - 1 | 8 * empty | 16 * bool(first)])
    for layer, place, body in coder.write(coder.plan(chosen, False))[0]:
        lane, band, pixel = (body if layer else body[1:]), max(layer - 1, 0), place
        if band == bands:  # of the rest, all bands of which have one layer
            further, pixel = divmod(place, rows * cols)
            band += further
        packed += LANE_HEAD.pack(band, pixel, len(lane)) + lane
    return packed
