"""Container of a model bundle: head, manifest, part table, hashes (SPEC.md, section 7)."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onboard.codec.kinds import KINDS
from onboard.errors import BundleError, reading

MAGIC = b"SKYB"
PROFILE_MAGIC = b"SKYP"
"""Of a profile file, whose head is like that of a bundle."""
MAJOR, MINOR = 1, 0
MAX_MANIFEST = 1 << 20
MAX_BUNDLE = 1 << 28
HEAD_BYTES = 108
SIGNATURE = slice(44, HEAD_BYTES)
"""Where a signature is in the head; all zero in a bundle without one."""
UNSIGNED = bytes(64)


def canonical_json(document: Any) -> bytes:
    """Return JSON as UTF-8 with sorted keys and no white space."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def read_file(path: Path) -> bytes:
    """Return the bytes of a file that is no longer than a bundle may be.

    Raises:
        BundleError: unreadable or longer.
    """
    with reading(path, BundleError):
        if path.stat().st_size > MAX_BUNDLE:
            raise BundleError(f"{path}: expected at most {MAX_BUNDLE} bytes")
        return path.read_bytes()


def sha256_hex(part: bytes) -> str:
    return hashlib.sha256(part).hexdigest()


def read_manifest(packed: bytes) -> tuple[dict[str, Any], bytes]:
    """Check the head and the manifest's hash; return the manifest and the bytes after it."""
    if len(packed) < HEAD_BYTES or packed[:4] != MAGIC:
        raise BundleError(f"bundle: expected it to begin with {MAGIC!r}, found {packed[:4]!r}")
    if packed[4] != MAJOR:
        raise BundleError(f"bundle version: expected major {MAJOR}, found {packed[4]}")
    length = int.from_bytes(packed[8:12], "big")
    if packed[6:8] != b"\0\0" or length > MAX_MANIFEST:
        raise BundleError("bundle head: reserved bytes are not zero or the manifest is too long")
    manifest = packed[HEAD_BYTES : HEAD_BYTES + length]
    if len(manifest) != length or hashlib.sha256(manifest).digest() != packed[12:44]:
        raise BundleError("bundle manifest: SHA-256 does not match: damaged bundle")
    try:
        document = json.loads(manifest)
        canonical = canonical_json(document) == manifest
    except (ValueError, RecursionError) as error:
        raise BundleError(f"bundle manifest: not JSON: {error}") from error
    if not isinstance(document, dict) or not canonical:
        raise BundleError("bundle manifest: expected one canonical JSON object")
    return document, packed[HEAD_BYTES + length :]


def part_table(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the part table, checked."""
    try:
        entries = [{key: e[key] for key in ("name", "bytes", "sha256")} for e in manifest["parts"]]
    except (KeyError, TypeError) as error:
        raise BundleError(f"bundle manifest: part table: {error!r}") from error
    found = [e["name"] for e in entries]
    if not any(kind.allows(tuple(found)) for kind in KINDS.values()):
        wanted = [kind.all_parts for kind in KINDS.values()]
        raise BundleError(f"bundle parts: expected one of {wanted}, found {found!r:.200}")
    for entry in entries:
        if type(entry["bytes"]) is not int or not 0 <= entry["bytes"] <= MAX_BUNDLE:
            raise BundleError(f"part {entry['name']}: malformed length {entry['bytes']!r:.40}")
    return entries
