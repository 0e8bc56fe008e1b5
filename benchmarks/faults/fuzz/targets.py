"""The parsers that are fuzzed: what each is given, and what must hold of all that it accepts.

An input is read as it is, and once more with its checksums set right around what was changed, so
that the parsers behind them are reached. What is accepted must pack to the same bytes again.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.faults.fuzz.bounded import read_bounded, tile_segments
from benchmarks.faults.fuzz.bundles import (
    BANDS,
    PROFILE_BANDS,
    TILE,
    fixed_bundle,
    lapped_bundle,
    profile,
)
from benchmarks.faults.fuzz.seals import seal_bundle, seal_packets, seal_profile, seal_segments
from ground.decode.kinds import rebuilder_of
from ground.decode.lapped.lanes import LaneTile
from ground.decode.lapped.lanes import read_lanes as read_tiles
from ground.decode.lapped.rebuild import LappedRebuilder
from ground.decode.lapped.salvage import LaneSalvage
from ground.decode.reception import Reception
from ground.decode.sides import sides_of
from ground.decode.wanted import Wanted
from ground.station.salvage.damaged import read_salvaging
from ground.station.salvage.madeout import Salvage
from onboard.bundle import Bundle
from onboard.bundle.container import SIGNATURE
from onboard.bundle.profiles import pack_profile, unpack_profile
from onboard.codec import bitpack
from onboard.codec.corsa.codec import CorsaCodec
from onboard.codec.corsa.golden import pack_golden
from onboard.codec.corsa.layers import LayerShape, read_pieces
from onboard.codec.corsa.quantizer import quantise
from onboard.codec.lapped import part as lappedpart
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.read.lanes import Lane
from onboard.codec.lapped.read.layers import LayerReader
from onboard.codec.tile import DEPENDENT, EMPTY, FULL, SIGN_HIDING, Codec
from onboard.errors import SkybookError, StreamError
from onboard.link.binding import bindings_of, run_of
from onboard.link.header import SceneHeader
from onboard.link.resync import Damage, read_packets, read_segments
from onboard.link.segment import MAX_LAYERS, Segment

INDEX_HEAD = struct.Struct(">BHBB")
INDEX_SHAPE = struct.Struct(">HB")
_MAX_PIXELS = 1 << 12
_MIB = 1 << 20
_MINOR = slice(5, 6)
"""Of a version; a newer one is accepted, and not kept."""
_FAR = 64
"""DN: more than rounded components may be off by."""
_USED_LANE = bytes(range(1, 64))
_USED_LEVELS = 3


class BrokenPromiseError(Exception):
    """A parser accepted what does not pack to the same bytes."""


@dataclass(frozen=True)
class Parser:
    """A parser and what it may take.

    Attributes:
        read: function that reads an input whole, or raises an error of onboard.errors.
        seal: function that sets the checksums of an input right; None where there are none.
        most_bytes: bytes of the longest input.
        allocation: most memory that reading one input may take, bytes.
    """

    read: Callable[[bytes], None]
    seal: Callable[[bytes], bytes] | None
    most_bytes: int
    allocation: int

    def run(self, packed: bytes) -> bool:
        """Read an input; say whether it was accepted with its checksums set right.

        Any exception but those of onboard.errors is a defect of the parser.
        """
        if self.seal is not None:
            with suppress(SkybookError):
                self.read(packed)
            packed = self.seal(packed)
        try:
            self.read(packed)
        except SkybookError:
            return False
        return True


def read_file(stream: bytes) -> None:
    """Read a stream of bare segments as the ground does."""
    found = list(read_segments(stream))
    offset = 0
    for part in found:
        if isinstance(part, Damage):
            _expect(part.offset == offset, "damage begins where the segment before it ends")
            offset += part.length
        else:
            packed = part.pack()
            _expect(stream[offset : offset + len(packed)] == packed, "segment")
            offset += len(packed)
    _expect(offset == len(stream), "every byte is in a segment or damaged")
    _receive(found)


def read_recording(stream: bytes) -> None:
    """Read a recording of space packets as the ground does."""
    found: list[Segment | Damage] = []
    for part in read_packets(stream):
        if isinstance(part, Damage):
            found.append(part)
            continue
        found += part.segments
        packed = part.packet.pack() if part.packet else part.segments[0].pack()
        _expect(stream[part.offset : part.stop] == packed, "packet")
    read = read_salvaging(stream, bindings_of(stream))
    _receive([*found, *(part for part in read if isinstance(part, Salvage))])


def _receive(found: Sequence[Segment | Damage]) -> None:
    """Collect segments and read all tiles; anything damaged is a StreamError."""
    bundles = {bundle.tag: bundle for bundle in (fixed_bundle(), lapped_bundle())}
    binding = next((part.binding for part in found if isinstance(part, Segment)), b"")
    fits = (bundle for tag, bundle in bundles.items() if run_of(binding, tag) is not None)
    bundle = next(fits, fixed_bundle())
    reception = Reception.of(bundle, found, Wanted(max_pixels=_MAX_PIXELS))
    grid = reception.grid()
    bundle = reception.bundle
    sides_of(reception, grid, _front_end(bundle.codec))
    rebuilder = rebuilder_of(bundle)
    tiles = {index: rebuilder.tile(reception, grid, index) for index in range(grid.count)}
    if isinstance(bundle.codec, LappedCodec):
        lanes = {index: tile for index, tile in tiles.items() if isinstance(tile, LaneTile)}
        LaneSalvage(LayerReader(bundle.codec.model)).mended(reception, grid, lanes)
    _refuse_damage(reception)


def _front_end(codec: Codec) -> Any:
    """Return the front end of a codec, whose kind of side information differs by family."""
    if isinstance(codec, LappedCodec):
        return codec.model.front_end
    return CorsaCodec.of(codec).front_end


def _refuse_damage(reception: Reception) -> None:
    if reception.counts["damaged"]:
        raise StreamError(reception.problems[0])


def read_bundle(packed: bytes) -> None:
    """Read a bundle, then use what was accepted."""
    bundle = Bundle.unpack(packed)
    again = bytearray(bundle.pack())
    again[_MINOR] = packed[_MINOR]
    _expect(bytes(again) == packed, "bundle")
    codec = bundle.codec
    golden = _use_lapped(codec) if isinstance(codec, LappedCodec) else _use_corsa(codec)
    _expect(golden == bundle.parts["golden"], "golden vectors")


def _use_corsa(codec: Codec) -> bytes:
    """Quantise with the first levels; return the golden vectors packed again."""
    corsa = CorsaCodec.of(codec)
    used = corsa.levels[:_USED_LEVELS]
    dims = [level.codebook.codewords.shape[1] for level in used]
    quantise(used, [np.full((d, 1 << n, 1 << n), 77, np.int8) for n, d in enumerate(dims)])
    return pack_golden(corsa.golden, [level.width for level in corsa.levels])


def _use_lapped(codec: LappedCodec) -> bytes:
    """Read a lane; return the golden vectors packed again."""
    reader = LayerReader(codec.model)
    for state in (0, DEPENDENT, FULL, DEPENDENT | FULL, SIGN_HIDING, SIGN_HIDING | FULL):
        reader.read(1, 1, 1, [Lane(0, 1, 0, _USED_LANE)], state)
    return lappedpart.pack_golden(codec.golden)


def read_index_payload(packed: bytes) -> None:
    """Read the body of a tile segment of fixed-length indices.

    Before the body: layer u8, first u16, bytes of layer 0 u8, number of layers u8, and for each
    its positions u16 and index width u8, all forced into the ranges that a bundle may have.
    """
    if len(packed) < INDEX_HEAD.size:
        raise StreamError("index payload: cut short")
    layer, first, side_bytes, count = INDEX_HEAD.unpack_from(packed)
    count = 1 + count % 15
    start = INDEX_HEAD.size + count * INDEX_SHAPE.size
    if len(packed) < start:
        raise StreamError("index payload: layers cut short")
    shapes = [
        LayerShape(max(positions, 1), 1 + width % bitpack.MAX_WIDTH)
        for positions, width in INDEX_SHAPE.iter_unpack(packed[INDEX_HEAD.size : start])
    ]
    body = packed[start:]
    pieces = read_pieces(layer % MAX_LAYERS, first, body, shapes, max(side_bytes, 1))
    again = b"".join(
        bitpack.pack(p.indices, shapes[p.layer - 1].width) if p.layer else p.side for p in pieces
    )
    _expect(again == body, "pieces of layers")


def read_profile(packed: bytes) -> None:
    """Read a spectral profile, then use what was accepted."""
    found = unpack_profile(packed)
    again = bytearray(pack_profile(found, packed[SIGNATURE]))
    again[_MINOR] = packed[_MINOR]
    _expect(bytes(again) == packed, "profile")
    samples = np.full((1, found.bands, 1, 2), 65_535, np.uint16)
    back = found.samples(found.components(samples, 0)[0].astype(np.float32))
    _expect(bool(np.abs(back - 65_535).max() < _FAR), "samples of a profile")


def read_lanes(packed: bytes) -> None:
    """Read the segments of one tile of entropy-coded symbols as the ground does.

    The first byte is the size of the tile: valid rows less 1, and valid columns less 1, 4 bits
    each. Segments follow: layer u8, first u8, length u16, body.
    """
    _read_tile(packed, lapped_bundle(), SceneHeader("u16", 16, BANDS, 0, 0))


def read_components(packed: bytes) -> None:
    """Read the segments of one tile of a scene with a spectral profile, as `read_lanes` does."""
    bundle = lapped_bundle().for_scene(PROFILE_BANDS, 16, profile())
    header = SceneHeader("u16", 16, PROFILE_BANDS, 0, 0, profile=profile().digest)
    _read_tile(packed, bundle, header)


def _read_tile(packed: bytes, bundle: Bundle, header: SceneHeader) -> None:
    """Read the segments of the only tile of a scene of this header, whose size they tell."""
    if not packed:
        raise StreamError("lanes: no bytes")
    rows, cols = 1 + (packed[0] >> 4), 1 + (packed[0] & 15)
    model = LappedCodec.of(bundle.codec).model
    header = replace(header, width=cols, height=rows)
    reception = Reception(bundle, Wanted(scene_id=0, max_pixels=TILE * TILE), header)
    edge = None if rows == cols == TILE else (rows, cols)
    reception.add_all(tile_segments(packed, bundle.tag, edge))
    tile = LappedRebuilder(bundle).tile(reception, reception.grid(), 0)
    if not isinstance(tile, LaneTile):
        raise StreamError("lanes: of a tile within a bound, of which the bundle knows nothing")
    _refuse_damage(reception)
    if tile.coding & EMPTY:
        return
    found = read_tiles(LayerReader(model), [tile])
    if found.wrong or found.complete[0] < model.contexts.layers:
        raise StreamError(f"lanes: {found.complete[0]} layers are whole")


def _expect(promise: bool, what: str) -> None:
    if not promise:
        raise BrokenPromiseError(f"{what}: what was accepted does not pack to the same bytes")


PARSERS: Mapping[str, Parser] = {
    "file": Parser(read_file, seal_segments, 4_096, 8 * _MIB),
    "packet": Parser(read_recording, seal_packets, 4_096, 8 * _MIB),
    "bundle": Parser(read_bundle, seal_bundle, 4_096, 16 * _MIB),
    "index": Parser(read_index_payload, None, 1_024, 8 * _MIB),
    "entropy": Parser(read_lanes, None, 1_024, 8 * _MIB),
    "components": Parser(read_components, None, 1_024, 16 * _MIB),
    "profile": Parser(read_profile, seal_profile, 4_096, 8 * _MIB),
    "bounded": Parser(read_bounded, None, 1_024, 32 * _MIB),
}
"""By name, as in `--parser`."""
