"""Profile files: a spectral profile up to the satellite and in use there (SPEC.md, section 21)."""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from onboard.bundle import slots
from onboard.bundle.container import HEAD_BYTES, PROFILE_MAGIC, UNSIGNED, read_file
from onboard.codec.profile import Profile
from onboard.errors import BundleError, SkybookError

SUFFIX = ".prof"
_MAJOR, _MINOR = 1, 0
_LENGTH, _SHA256 = slice(8, 12), slice(12, 44)


def pack_profile(profile: Profile, signature: bytes = UNSIGNED) -> bytes:
    """Return the bytes of a profile file."""
    body = profile.pack()
    head = PROFILE_MAGIC + bytes([_MAJOR, _MINOR, 0, 0]) + len(body).to_bytes(4, "big")
    return head + profile.sha256 + signature + body


def unpack_profile(packed: bytes) -> Profile:
    """Read and check a profile file. The signature is for `signature.verify` to check.

    Raises:
        BundleError: damaged, truncated, of a newer major version, or no orthonormal matrix.
    """
    if len(packed) < HEAD_BYTES or packed[:4] != PROFILE_MAGIC:
        raise BundleError(
            f"profile: expected it to begin with {PROFILE_MAGIC!r}, found {packed[:4]!r}"
        )
    if packed[4] != _MAJOR:
        raise BundleError(f"profile version: expected major {_MAJOR}, found {packed[4]}")
    body = packed[HEAD_BYTES:]
    length = int.from_bytes(packed[_LENGTH], "big")
    if packed[6:8] != b"\0\0" or len(body) != length:
        raise BundleError(f"profile: expected {length} bytes after the head, found {len(body)}")
    if hashlib.sha256(body).digest() != packed[_SHA256]:
        raise BundleError("profile: SHA-256 does not match: damaged profile")
    return Profile.unpack(body)


def load_profile_file(path: Path) -> Profile:
    """Read a profile file.

    Raises:
        BundleError: unreadable or damaged; the message names it.
    """
    packed = read_file(path)
    try:
        return unpack_profile(packed)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


def load_profile(path: Path) -> Profile:
    """Read a profile file; of a folder of slots, that of the slot in use.

    Raises:
        BundleError: not found, unreadable or damaged.
    """
    if path.is_dir():
        return slots.first_whole(path, load_profile_file, SUFFIX)[1]
    return load_profile_file(path)


def known_profiles() -> list[Path]:
    """Return the profile files in the folders of $SKYBOOK_BUNDLES."""
    folders = [Path(f) for f in os.environ.get("SKYBOOK_BUNDLES", "").split(os.pathsep) if f]
    return [path for folder in folders for path in sorted(folder.glob(f"*{SUFFIX}"))]


def profile_of(digest: bytes | None, given: Profile | None = None) -> Profile | None:
    """Return the profile that a scene header names: the given one, or a known one.

    Args:
        digest: what the header tells; None if it names no profile.
        given: profile to look at first.

    Raises:
        BundleError: it is not at hand.
    """
    if digest is None:
        return None
    if given is not None and given.digest == digest:
        return given
    for path in known_profiles():
        with suppress(SkybookError):
            if (found := load_profile_file(path)).digest == digest:
                return found
    if given is not None:
        raise BundleError(f"profile: expected {digest.hex()}, found {given.digest.hex()}")
    raise BundleError(
        f"profile: expected {digest.hex()}, which the scene header names: give it by --profile, or "
        f"put it in a folder of SKYBOOK_BUNDLES"
    )
