"""Model bundle: one file with all that an encoder needs (SPEC.md, section 7), both directions."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from onboard.bundle import slots
from onboard.bundle.container import (
    MAGIC,
    MAJOR,
    MINOR,
    PARTS,
    SIGNATURE,
    UNSIGNED,
    canonical_json,
    part_table,
    read_file,
    read_manifest,
    sha256_hex,
)
from onboard.codec import bitpack
from onboard.codec.corsa import frontend
from onboard.codec.corsa.quantizer import Level, read_levels
from onboard.codec.lapped import part as lappedpart
from onboard.codec.lapped.coder import LappedCoder
from onboard.codec.lapped.frontend import AdaptiveFrontEnd
from onboard.errors import BundleError, InputError
from onboard.image.tiles import positions


@dataclass(frozen=True)
class GoldenVector:
    """A tile, u16 (bands, tile, tile), and its index maps, coarse to fine."""

    samples: NDArray[np.uint16]
    indices: tuple[NDArray[np.uint16], ...]


@dataclass(frozen=True)
class GoldenBody:
    """A tile, u16 (bands, tile, tile), its step code, and all its layers as one body."""

    samples: NDArray[np.uint16]
    step_code: int
    body: bytes


@dataclass(frozen=True)
class Bundle:
    """A checked model bundle; build one with `unpack`, `load` or `assemble`.

    Attributes:
        manifest: what the file says of itself.
        parts: bytes by name.
        levels: of fixed-length indices; none where symbols are entropy coded.
        front_end: of the kind that the bundle names.
        codec: the lapped codec, where the bundle names one.
        signature: 64 bytes, not checked here; zero if there is none.
    """

    manifest: Mapping[str, Any]
    parts: Mapping[str, bytes]
    levels: tuple[Level, ...]
    front_end: frontend.AffineFrontEnd | AdaptiveFrontEnd
    codec: LappedCoder | None = None
    signature: bytes = UNSIGNED

    @classmethod
    def assemble(
        cls,
        name: str,
        wire: Mapping[str, Any],
        parts: Mapping[str, bytes],
        encoder: Mapping[str, int],
        ground: Mapping[str, Any],
    ) -> "Bundle":
        """Make a bundle from its wire description and the bytes of its parts.

        Args:
            name: of the model.
            wire: all that the meaning of a stream depends on.
            parts: bytes by name.
            encoder: `macs_per_pixel`, and for a variable rate `error_permille`.
            ground: for information.
        """
        manifest = {
            "name": name,
            "model_hash": hashlib.sha256(canonical_json(wire)).hexdigest(),
            "parts": [
                {"name": part, "bytes": len(parts[part]), "sha256": sha256_hex(parts[part])}
                for part in PARTS[wire["coder"]["kind"]]
            ],
            "wire": wire,
            "encoder": encoder,
            "ground": ground,
        }
        return _checked(cast(Mapping[str, Any], json.loads(canonical_json(manifest))), parts)

    def pack(self) -> bytes:
        """Return the bytes of the bundle file."""
        manifest = canonical_json(self.manifest)
        head = MAGIC + bytes([MAJOR, MINOR, 0, 0]) + len(manifest).to_bytes(4, "big")
        head += hashlib.sha256(manifest).digest() + self.signature
        return head + manifest + b"".join(self.parts[part] for part in PARTS[self.coder_kind])

    @classmethod
    def unpack(cls, packed: bytes) -> "Bundle":
        """Read and check a bundle: every hash, every size, every value that is used.

        Raises:
            BundleError: damaged, truncated, of a newer major version, or inconsistent.
        """
        manifest, body = read_manifest(packed)
        parts, position = {}, 0
        for entry in part_table(manifest):
            parts[entry["name"]] = body[position : position + entry["bytes"]]
            position += entry["bytes"]
            if sha256_hex(parts[entry["name"]]) != entry["sha256"]:
                raise BundleError(f"part {entry['name']}: SHA-256 does not match: damaged bundle")
        if position != len(body):
            raise BundleError(f"bundle parts: expected {position} bytes, found {len(body)}")
        return replace(_checked(manifest, parts), signature=packed[SIGNATURE])

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.manifest["name"])

    @property
    def bands(self) -> int:
        """Bands of an image."""
        return int(self.manifest["wire"]["bands"])

    @property
    def tile(self) -> int:
        """Rows and columns of a tile, in pixels."""
        return int(self.manifest["wire"]["tile"])

    @property
    def model_hash(self) -> bytes:
        """SHA-256 of the wire description, 32 bytes."""
        return bytes.fromhex(self.manifest["model_hash"])

    @property
    def macs_per_pixel(self) -> int:
        """Multiply-accumulates per pixel (all bands) of the encoder graph."""
        return int(self.manifest["encoder"]["macs_per_pixel"])

    @property
    def coder_kind(self) -> str:
        """Kind of coder, 'fixed' or 'rans'."""
        return str(self.manifest["wire"]["coder"]["kind"])

    @property
    def variable_rate(self) -> bool:
        """Whether a stream can have any rate."""
        return self.codec is not None

    @property
    def affine(self) -> frontend.AffineFrontEnd:
        """The affine front end.

        Raises:
            BundleError: the bundle has another one.
        """
        if not isinstance(self.front_end, frontend.AffineFrontEnd):
            raise BundleError(f"bundle {self.name}: its front end is not affine")
        return self.front_end

    @property
    def lapped(self) -> LappedCoder:
        """The lapped codec.

        Raises:
            BundleError: the bundle has another one.
        """
        if self.codec is None:
            raise BundleError(f"bundle {self.name}: not a lapped codec")
        return self.codec

    def payload_bytes(self, rows: int, cols: int) -> list[int]:
        """Return the bytes of packed indices by level, coarse to fine (CORSA paper, Eq. 1)."""
        return [
            bitpack.packed_bytes(prod(positions(rows, cols, level.reduction)), level.width)
            for level in self.levels
        ]

    @cached_property
    def golden(self) -> tuple[GoldenVector, ...]:
        """The golden vectors."""
        packed, size = self.parts["golden"], self.tile
        sample_bytes = 2 * self.bands * size * size
        maps = self.payload_bytes(size, size)
        each = sample_bytes + sum(maps)
        count = int.from_bytes(packed[:2], "big")
        if len(packed) != 2 + count * each:
            raise BundleError(
                f"golden vectors: expected {2 + count * each} bytes, found {len(packed)}"
            )
        return tuple(
            self._golden_vector(packed[2 + i * each : 2 + (i + 1) * each]) for i in range(count)
        )

    @cached_property
    def golden_bodies(self) -> tuple[GoldenBody, ...]:
        """The golden vectors of an entropy-coded bundle."""
        packed, position, found = self.parts["golden"], 2, []
        samples = self.bands * self.tile * self.tile
        for _ in range(int.from_bytes(packed[:2], "big")):
            length = int.from_bytes(packed[position + 1 : position + 3], "big")
            stop = position + 3 + 2 * samples + length
            if stop > len(packed):
                break
            tile = np.frombuffer(packed, ">u2", samples, position + 3).astype(np.uint16)
            shape = self.bands, self.tile, self.tile
            body = packed[stop - length : stop]
            if not body:
                raise BundleError("golden vectors: a tile without a body")
            found.append(GoldenBody(tile.reshape(shape), packed[position], body))
            position = stop
        if position != len(packed) or len(found) != int.from_bytes(packed[:2], "big"):
            raise BundleError(f"golden vectors: {len(packed)} bytes do not hold what they promise")
        return tuple(found)

    def _golden_vector(self, packed: bytes) -> GoldenVector:
        position = 2 * self.bands * self.tile * self.tile
        samples = np.frombuffer(packed[:position], ">u2").astype(np.uint16)
        maps = []
        for level, length in zip(
            self.levels, self.payload_bytes(self.tile, self.tile), strict=True
        ):
            side = self.tile // level.reduction
            piece = bitpack.unpack(packed[position : position + length], level.width, side * side)
            maps.append(piece.reshape(side, side))
            position += length
        return GoldenVector(samples.reshape(self.bands, self.tile, self.tile), tuple(maps))


def pack_golden(vectors: list[GoldenVector], widths: list[int]) -> bytes:
    """Return the part `golden`."""
    packed = len(vectors).to_bytes(2, "big")
    for vector in vectors:
        packed += vector.samples.astype(">u2").tobytes()
        for indices, width in zip(vector.indices, widths, strict=True):
            packed += bitpack.pack(indices, width)
    return packed


def pack_golden_bodies(vectors: list[GoldenBody]) -> bytes:
    """Return the part `golden` of an entropy-coded bundle."""
    packed = len(vectors).to_bytes(2, "big")
    for vector in vectors:
        packed += bytes([vector.step_code]) + len(vector.body).to_bytes(2, "big")
        packed += vector.samples.astype(">u2").tobytes() + vector.body
    return packed


def known() -> dict[str, Path]:
    """Return the bundles that can be named: those in $SKYBOOK_BUNDLES, then the shipped ones."""
    folders = [Path(f) for f in os.environ.get("SKYBOOK_BUNDLES", "").split(os.pathsep) if f]
    folders.append(Path(__file__).parents[1] / "bundles")
    paths = [path for folder in reversed(folders) for path in sorted(folder.glob("*.skyb"))]
    return {path.stem: path for path in paths}


def find(name: str) -> Path:
    """Return the path of a bundle: an argument with `/` or a suffix is one, else a known name.

    Raises:
        BundleError: there is no such bundle; the message lists those there are.
    """
    if "/" in name or Path(name).suffix:
        return Path(name)
    names = known()
    if name not in names:
        raise BundleError(
            f"bundle {name!r}: not found; known: {', '.join(sorted(names)) or 'none'}"
        )
    return names[name]


def load(name: str) -> Bundle:
    """Read the bundle of a name or path; of a folder of slots, that of the slot in use.

    Raises:
        BundleError: not found, unreadable or damaged.
    """
    path = find(name)
    return slots.first_whole(path, load_file)[1] if path.is_dir() else load_file(path)


def load_file(path: Path) -> Bundle:
    """Read a bundle file.

    Raises:
        BundleError: unreadable or damaged.
    """
    return Bundle.unpack(read_file(path))


def _checked(manifest: Mapping[str, Any], parts: Mapping[str, bytes]) -> Bundle:
    """Build the bundle, refusing a manifest whose values do not fit together."""
    try:
        wire = manifest["wire"]
        if hashlib.sha256(canonical_json(wire)).hexdigest() != manifest["model_hash"]:
            raise BundleError("model hash does not match the wire description")
        kind = wire["coder"]["kind"]
        if kind not in PARTS or tuple(parts) != PARTS[kind]:
            raise BundleError(f"coder: expected one of {sorted(PARTS)}, found {kind!r:.40}")
        bands, tile = wire["bands"], wire["tile"]
        if type(bands) is not int or not 1 <= bands <= 65_535:
            raise BundleError(f"bands: expected 1..65535, found {bands!r}")
        if type(tile) is not int or not 8 <= tile <= 256:
            raise BundleError(f"tile: expected 8..256 pixels, found {tile!r}")
        macs = manifest["encoder"]["macs_per_pixel"]
        if type(macs) is not int or macs < 0:
            raise BundleError(f"macs_per_pixel: expected 0 or more, found {macs!r:.40}")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", manifest["name"]):
            raise BundleError(
                f"bundle name: expected letters, digits, . _ -, found {manifest['name']!r:.80}"
            )
        if kind == "rans":
            share = manifest["encoder"]["error_permille"]
            if type(share) is not int or not 1 <= share <= 10_000:
                raise BundleError(f"error_permille: expected 1..10000, found {share!r:.40}")
            codec = _lapped(wire, parts["lapped"], tile)
            return Bundle(manifest, parts, (), codec.front_end, codec)
        if wire["coder"] != {"kind": "fixed"}:
            raise BundleError(f"coder: expected no more than its kind, found {wire['coder']!r:.80}")
        front_end = frontend.from_manifest(wire["front_end"], bands)
        levels = read_levels(wire["levels"], parts["codebooks"], tile)
        return Bundle(manifest, parts, levels, front_end)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, (BundleError, InputError)):
            raise
        raise BundleError(f"bundle manifest: missing or malformed entry: {error!r}") from error


def _lapped(wire: Mapping[str, Any], part: bytes, tile: int) -> LappedCoder:
    """Build the lapped codec of a bundle."""
    if wire["front_end"] != {"kind": "adaptive"} or tile % 8:
        raise BundleError(
            f"lapped codec: expected front end 'adaptive' and tiles of a multiple of 8, found "
            f"{wire['front_end']!r:.80} and {tile}"
        )
    if sha256_hex(part) != wire["lapped_sha256"]:
        raise BundleError("part lapped: SHA-256 does not match the wire description")
    return lappedpart.unpack(part, wire["coder"], wire["bands"])
