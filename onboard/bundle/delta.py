"""Delta: a new bundle as its differences from an old one (SPEC.md, section 16), both directions.

An update of tables or codebooks is a few KB: what did not change is not sent, and the golden
vectors of an entropy-coded bundle are coded again with the new tables, then checked by their hash.
"""

import hashlib
import json
import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from onboard.bundle.bundle import Bundle
from onboard.bundle.container import HEAD_BYTES, MAX_BUNDLE, canonical_json, part_table
from onboard.errors import BundleError

MAGIC = b"SKYD"
VERSION = 1
_OPENING = struct.Struct(">4sB3s32s")
_PIECE = struct.Struct(">BII")
_FIRST_PIECE = _OPENING.size + HEAD_BYTES
_SUM_BYTES = 32
_WINDOW = 32_768  # of deflate: no more of a dictionary is used


class Form(IntEnum):
    """How a piece of the new file is made."""

    SAME = 0
    DICTIONARY = 1
    DIFFERENCE = 2
    CODED_AGAIN = 3


@dataclass(frozen=True)
class Piece:
    """Manifest or part of the new file.

    Attributes:
        form: how it is made.
        length: its bytes in the new file.
        payload: what is sent of it.
    """

    form: Form
    length: int
    payload: bytes = b""

    def pack(self) -> bytes:
        """Return the bytes in the delta."""
        return _PIECE.pack(self.form, self.length, len(self.payload)) + self.payload

    @classmethod
    def unpack(cls, packed: bytes) -> "Piece":
        """Read the piece at the beginning.

        Raises:
            BundleError: cut short, or of no known form.
        """
        if len(packed) < _PIECE.size:
            raise BundleError(f"delta piece: expected {_PIECE.size} bytes, found {len(packed)}")
        form, length, size = _PIECE.unpack_from(packed)
        payload = packed[_PIECE.size : _PIECE.size + size]
        if len(payload) != size or form not in list(Form):
            raise BundleError(f"delta piece: form {form}, {len(payload)} of {size} bytes")
        return cls(Form(form), length, payload)


def make(old: Bundle, new: bytes) -> bytes:
    """Return the delta that makes a bundle file out of an old bundle.

    Args:
        old: what is on board.
        new: a bundle file, signed or not.

    Raises:
        BundleError: the new file is damaged.
    """
    made = Bundle.unpack(new)
    known, wanted = _before(old, list(made.parts)), _contents(made)
    pieces = [_shortest(before, after) for before, after in zip(known, wanted, strict=True)]
    if pieces[-1].form != Form.SAME and _gives_golden(wanted, old):
        pieces[-1] = Piece(Form.CODED_AGAIN, len(wanted[-1]))
    packed = _OPENING.pack(MAGIC, VERSION, bytes(3), _manifest_hash(old)) + new[:HEAD_BYTES]
    packed += b"".join(piece.pack() for piece in pieces)
    return packed + hashlib.sha256(packed).digest()


def apply(packed: bytes, old: Bundle) -> bytes:
    """Return the new bundle file, byte for byte. Its parts are for `Bundle.unpack` to check.

    Args:
        packed: a delta.
        old: the bundle that it was made for.

    Raises:
        BundleError: damaged, made for another bundle, or it does not give what it promises.
    """
    base, head = _opening(packed)
    if base != _manifest_hash(old):
        raise BundleError(
            f"delta: made for a bundle of manifest {base.hex()[:16]}, that of {old.name} is "
            f"{_manifest_hash(old).hex()[:16]}"
        )
    rest = packed[_FIRST_PIECE:-_SUM_BYTES]
    made: list[bytes] = []
    known = [canonical_json(old.manifest)]
    while len(made) < len(known):
        before = known[len(made)]
        piece = Piece.unpack(rest)
        rest = rest[_PIECE.size + len(piece.payload) :]
        if HEAD_BYTES + sum(map(len, made)) + piece.length > MAX_BUNDLE:
            raise BundleError(f"delta: expected to make at most {MAX_BUNDLE} bytes")
        made.append(_made(piece, before, made, old))
        if len(made[-1]) != piece.length:
            raise BundleError(f"delta: expected {piece.length} bytes, made {len(made[-1])}")
        if hashlib.sha256(made[0]).digest() != head[12:44]:
            raise BundleError("delta: SHA-256 of the new manifest does not match")
        if len(made) == 1:
            known = _before(old, _names(made[0]))
    if rest:
        raise BundleError(f"delta: {len(rest)} bytes after the last piece")
    return head + b"".join(made)


def new_head(packed: bytes) -> bytes:
    """Return the head of the bundle file that a delta makes, 108 bytes.

    Raises:
        BundleError: the delta is damaged.
    """
    return _opening(packed)[1]


def _opening(packed: bytes) -> tuple[bytes, bytes]:
    """Check a delta as a whole; return the hash of the old manifest and the new head."""
    if len(packed) < _FIRST_PIECE + _SUM_BYTES or packed[:4] != MAGIC:
        raise BundleError(f"delta: expected it to begin with {MAGIC!r}, found {packed[:4]!r}")
    if hashlib.sha256(packed[:-_SUM_BYTES]).digest() != packed[-_SUM_BYTES:]:
        raise BundleError("delta: SHA-256 does not match: damaged or cut short")
    _, version, reserved, base = _OPENING.unpack_from(packed)
    if version != VERSION or any(reserved):
        raise BundleError(
            f"delta: expected version {VERSION} and zeros, found {version}, {reserved!r}"
        )
    return base, packed[_OPENING.size : _FIRST_PIECE]


def _contents(bundle: Bundle) -> list[bytes]:
    """Return all that follows the head of a bundle file: manifest, parts, golden vectors last."""
    return [canonical_json(bundle.manifest), *bundle.parts.values()]


def _before(old: Bundle, parts: list[str]) -> list[bytes]:
    """Return what the old bundle has of each piece of the new one; nothing of a part it lacks."""
    return [canonical_json(old.manifest), *(old.parts.get(name, b"") for name in parts)]


def _names(manifest: bytes) -> list[str]:
    """Return the names of the parts that a manifest lists.

    Raises:
        BundleError: they are not those of a bundle.
    """
    try:
        document = json.loads(manifest)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"delta: the new manifest is not JSON: {error}") from error
    return [entry["name"] for entry in part_table(document)]


def _manifest_hash(bundle: Bundle) -> bytes:
    return hashlib.sha256(canonical_json(bundle.manifest)).digest()


def _shortest(before: bytes, after: bytes) -> Piece:
    """Return a piece in the form that is shortest, but for golden vectors coded again."""
    if before == after:
        return Piece(Form.SAME, len(after))
    near, far = zlib.compressobj(9, zdict=before[-_WINDOW:]), zlib.compressobj(9)
    difference = np.frombuffer(after, np.uint8) - _fitted(before, len(after))
    pieces = [
        Piece(Form.DICTIONARY, len(after), near.compress(after) + near.flush()),
        Piece(Form.DIFFERENCE, len(after), far.compress(difference.tobytes()) + far.flush()),
    ]
    return min(pieces, key=lambda piece: len(piece.payload))


def _made(piece: Piece, before: bytes, made: list[bytes], old: Bundle) -> bytes:
    """Return what a piece stands for, given the old one and the new ones before it."""
    if piece.form == Form.DICTIONARY:
        return _inflate(piece, before[-_WINDOW:])
    if piece.form == Form.DIFFERENCE:
        difference = np.frombuffer(_inflate(piece), np.uint8)
        return (difference + _fitted(before, len(difference))).tobytes()
    if piece.payload:
        raise BundleError(f"delta: form {piece.form.name} with {len(piece.payload)} bytes")
    return before if piece.form == Form.SAME else _golden_coded_again(made, old)


def _fitted(before: bytes, length: int) -> NDArray[np.uint8]:
    """Return the old bytes as an array of this length: cut, or continued with zeros."""
    return np.frombuffer(before[:length].ljust(length, b"\0"), np.uint8)


def _inflate(piece: Piece, dictionary: bytes = b"") -> bytes:
    """Return at most one byte more than the piece declares, so that a zlib bomb stays small."""
    stream = zlib.decompressobj(zdict=dictionary)
    try:
        content = stream.decompress(piece.payload, piece.length + 1)
    except zlib.error as error:
        raise BundleError(f"delta: {error}") from error
    if not stream.eof or stream.unused_data:
        raise BundleError(f"delta: expected a zlib stream of {piece.length} bytes")
    return content


def _gives_golden(wanted: list[bytes], old: Bundle) -> bool:
    """Say whether the last piece is the old golden tiles coded again."""
    try:
        return _golden_coded_again(wanted[:-1], old) == wanted[-1]
    except BundleError:
        return False


def _golden_coded_again(made: list[bytes], old: Bundle) -> bytes:
    """Return the old golden tiles, coded by numpy with the tables of the new bundle.

    Args:
        made: all pieces of the new file but the golden vectors.
        old: the bundle that has the tiles.

    Raises:
        BundleError: the pieces do not make a bundle of entropy-coded symbols.
    """
    *others, golden = _names(made[0]) if made else old.parts
    if len(made) != 1 + len(others):
        raise BundleError(f"delta: piece {len(made)} is not the golden vectors")
    parts = dict(zip(others, made[1:], strict=True)) | {golden: old.parts[golden]}
    try:
        document = json.loads(made[0])
        said = [document[key] for key in ("name", "wire", "encoder", "ground")]
        return Bundle.assemble(said[0], said[1], parts, said[2], said[3]).codec.golden_again()
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise BundleError(f"delta: golden vectors cannot be coded again: {error}") from error
