"""Signature of a bundle or profile: Ed25519 (RFC 8032) over its head, both directions.

(SPEC.md, section 7.) The head binds the manifest by SHA-256, and the manifest every part, so 44
bytes are signed. Keys are PEM files: PKCS #8 without a password, and SubjectPublicKeyInfo.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from onboard.bundle.container import HEAD_BYTES, MAGIC, PROFILE_MAGIC, SIGNATURE, UNSIGNED
from onboard.errors import BundleError, EngineError, UsageError


def make_keys() -> tuple[bytes, bytes]:
    """Return a new private key and its public key, as PEM.

    Raises:
        EngineError: `cryptography` is not installed.
    """
    serialization = _library("hazmat.primitives.serialization")
    key = _library("hazmat.primitives.asymmetric.ed25519").Ed25519PrivateKey.generate()
    private: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private, public


def read_key(path: Path) -> bytes:
    """Return the PEM of a key file.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: expected a key: {error.strerror}") from error


def sign(packed: bytes, private_key: bytes) -> bytes:
    """Return a bundle file with its signature.

    Args:
        packed: a bundle or profile file that was checked; a signature it has is replaced.
        private_key: PEM.

    Raises:
        EngineError: `cryptography` is not installed.
        UsageError: not an Ed25519 private key.
    """
    key = _key("private", private_key, password=None)
    signature: bytes = key.sign(packed[: SIGNATURE.start])
    return packed[: SIGNATURE.start] + signature + packed[SIGNATURE.stop :]


def verify(head: bytes, public_key: bytes) -> None:
    """Check who signed a bundle. What the head binds is for `Bundle.unpack` to check.

    Args:
        head: first 108 bytes of a bundle or profile file, or more.
        public_key: PEM.

    Raises:
        BundleError: not signed, or not by this key.
        EngineError: `cryptography` is not installed.
        UsageError: not an Ed25519 public key.
    """
    key = _key("public", public_key)
    if len(head) < HEAD_BYTES or head[:4] not in (MAGIC, PROFILE_MAGIC):
        raise BundleError(
            f"bundle: expected it to begin with {MAGIC!r} or {PROFILE_MAGIC!r}, found {head[:4]!r}"
        )
    if head[SIGNATURE] == UNSIGNED:
        raise BundleError("signature: expected one, since a public key is given; found none")
    try:
        key.verify(head[SIGNATURE], head[: SIGNATURE.start])
    except _library("exceptions").InvalidSignature as error:
        raise BundleError("signature: expected that of the given key, found another") from error


def _key(kind: str, pem: bytes, **options: None) -> Any:
    """Read a key of the given kind, 'private' or 'public'."""
    load = getattr(_library("hazmat.primitives.serialization"), f"load_pem_{kind}_key")
    ed25519 = _library("hazmat.primitives.asymmetric.ed25519")
    unsupported = _library("exceptions").UnsupportedAlgorithm
    try:
        key = load(pem, **options)
    except (ValueError, TypeError, unsupported) as error:
        raise UsageError(f"{kind} key: expected Ed25519 as PEM, no password: {error}") from error
    if not isinstance(key, getattr(ed25519, f"Ed25519{kind.title()}Key")):
        raise UsageError(f"{kind} key: expected Ed25519, found {type(key).__name__}")
    return key


def _library(module: str) -> Any:
    """Import a module of `cryptography`, the only place that does."""
    try:
        return import_module(f"cryptography.{module}")
    except ImportError as error:
        raise EngineError(
            "signatures: cryptography is not installed: pip install 'skybook[sign]'"
        ) from error
