"""Model bundle: one file with all that an encoder needs (SPEC.md, section 7), both directions."""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from onboard.bundle import slots
from onboard.bundle.container import (
    MAGIC,
    MAJOR,
    MINOR,
    SIGNATURE,
    UNSIGNED,
    canonical_json,
    part_table,
    read_file,
    read_manifest,
    sha256_hex,
)
from onboard.codec.bound import BoundedCodec
from onboard.codec.kinds import KINDS, read_bounded
from onboard.codec.profile import Profile
from onboard.codec.tile import Codec
from onboard.codec.tiling import USUAL, Tiling
from onboard.errors import BundleError, InputError
from onboard.link.header import SceneHeader
from onboard.link.segment import TAG_BYTES

MAX_TILE = 256
"""Rows and columns of a tile at most."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Names that a bundle may have."""
_FORMER_NAMES = {"skybook-s2": "skybook"}
"""Present names of bundles by those that they had."""


@dataclass(frozen=True)
class Bundle:
    """A checked model bundle; build one with `unpack`, `load` or `assemble`.

    Attributes:
        manifest: what the file says of itself.
        parts: bytes of the parts by name.
        codec: what its wire description and parts make.
        signature: 64 bytes, not checked here; zero if there is none.
        bounded: what codes tiles within a bound on their error; None where it has no such part.
        profile: spectral profile of the scenes that the codec is for; None without one.
    """

    manifest: Mapping[str, Any]
    parts: Mapping[str, bytes]
    codec: Codec
    signature: bytes = UNSIGNED
    bounded: BoundedCodec | None = None
    profile: Profile | None = None

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
            name: name of the model.
            wire: all that the meaning of a stream depends on.
            parts: bytes by name.
            encoder: `macs_per_pixel`, and for a variable rate `error_permille`.
            ground: how it was made, for information.
        """
        manifest = {
            "name": name,
            "model_hash": hashlib.sha256(canonical_json(wire)).hexdigest(),
            "parts": [
                {"name": part, "bytes": len(parts[part]), "sha256": sha256_hex(parts[part])}
                for part in KINDS[wire["coder"]["kind"]].all_parts
                if part in parts
            ],
            "wire": wire,
            "encoder": encoder,
            "ground": ground,
        }
        ordered = {
            name: parts[name] for name in KINDS[wire["coder"]["kind"]].all_parts if name in parts
        }
        return _checked(cast(Mapping[str, Any], json.loads(canonical_json(manifest))), ordered)

    def pack(self) -> bytes:
        """Return the bytes of the bundle file."""
        manifest = canonical_json(self.manifest)
        head = MAGIC + bytes([MAJOR, MINOR, 0, 0]) + len(manifest).to_bytes(4, "big")
        head += hashlib.sha256(manifest).digest() + self.signature
        return head + manifest + b"".join(self.parts.values())

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

    def for_scene(
        self,
        bands: int,
        significant_bits: int,
        profile: Profile | None = None,
        tile: int | None = None,
    ) -> "Bundle":
        """Return the bundle with its codec for scenes of so many bands and significant bits.

        Raises:
            InputError: it takes no so many bands, no such spectral profile or no such tiles.
        """
        codec = self.codec.for_scene(bands, significant_bits, profile, tile)
        return self if codec is self.codec else replace(self, codec=codec, profile=profile)

    def to_encode(
        self, header: SceneHeader, profile: Profile | None = None, tiling: Tiling = USUAL
    ) -> "Bundle":
        """Return the bundle as it encodes scenes of such a header.

        Args:
            header: header of the scene.
            profile: spectral profile that it is coded with.
            tiling: what tiles are good for it, where its header names none.

        Raises:
            InputError: as `for_scene`.
        """
        if header.bayer and header.tile not in (None, self.codec.tile):
            raise InputError(
                f"tile: expected {self.codec.tile} for a Bayer mosaic, found {header.tile}"
            )
        tile = header.tile
        if tile is None and not header.bayer:
            tile = self.codec.best_tile(header.bands, (header.height, header.width), tiling)
        return self.for_scene(header.bands, header.significant_bits, profile, tile)

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.manifest["name"])

    @property
    def bands(self) -> int:
        """Bands of a scene; where a bundle takes several numbers, at first those of its classes."""
        return self.codec.bands

    @property
    def tile(self) -> int:
        """Rows and columns of a tile, in pixels."""
        return self.codec.tile

    @property
    def model_hash(self) -> bytes:
        """SHA-256 of the wire description, 32 bytes."""
        return bytes.fromhex(self.manifest["model_hash"])

    @property
    def tag(self) -> bytes:
        """First bytes of the model hash, by which segments name their model."""
        return self.model_hash[:TAG_BYTES]

    @property
    def macs_per_pixel(self) -> int:
        """Multiply-accumulates per pixel (all bands) of the encoder graph."""
        return int(self.manifest["encoder"]["macs_per_pixel"])

    @property
    def kind(self) -> str:
        """Kind of coder that the wire description names, a key of `KINDS`."""
        return str(self.manifest["wire"]["coder"]["kind"])

    @property
    def variable_rate(self) -> bool:
        """Whether a stream can have any rate."""
        return self.codec.variable_rate


def known_paths() -> list[Path]:
    """Return the bundles at hand: the shipped ones, then those in the folders of $SKYBOOK_BUNDLES.

    Several may have one name: streams of each model, so those of a satellite that flies an older
    one, can be read.
    """
    folders = [Path(f) for f in os.environ.get("SKYBOOK_BUNDLES", "").split(os.pathsep) if f]
    folders.append(Path(__file__).parents[1] / "bundles")
    return [path for folder in reversed(folders) for path in sorted(folder.glob("*.skyb"))]


def known() -> dict[str, Path]:
    """Return the bundles that can be named: of one name that of the first folder."""
    return {path.stem: path for path in known_paths()}


def find(name: str) -> Path:
    """Return the path of a bundle: an argument with `/` or a suffix is one, else a known name.

    Raises:
        BundleError: there is no such bundle; the message lists those there are.
    """
    if "/" in name or Path(name).suffix:
        return Path(name)
    names = known()
    name = name if name in names else _FORMER_NAMES.get(name, name)
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
        if kind not in KINDS or not KINDS[kind].allows(tuple(parts)):
            raise BundleError(f"coder: expected one of {sorted(KINDS)}, found {kind!r:.40}")
        tile = wire["tile"]
        if type(tile) is not int or not 8 <= tile <= MAX_TILE:
            raise BundleError(f"tile: expected 8..{MAX_TILE} pixels, found {tile!r}")
        macs = manifest["encoder"]["macs_per_pixel"]
        if type(macs) is not int or macs < 0:
            raise BundleError(f"macs_per_pixel: expected 0 or more, found {macs!r:.40}")
        if not NAME.fullmatch(manifest["name"]):
            raise BundleError(
                f"bundle name: expected letters, digits, . _ -, found {manifest['name']!r:.80}"
            )
        codec = KINDS[kind].read(wire, manifest["encoder"], parts)
        return Bundle(manifest, parts, codec, bounded=read_bounded(wire, parts))
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, (BundleError, InputError)):
            raise
        raise BundleError(f"bundle manifest: missing or malformed entry: {error!r}") from error
