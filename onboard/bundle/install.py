"""Uplink: a new bundle or profile becomes the active one, or nothing changes (SPEC.md, 17)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from onboard.bundle import bundle as bundles
from onboard.bundle import delta as bundledelta
from onboard.bundle import signature, slots
from onboard.bundle.bundle import Bundle
from onboard.bundle.container import HEAD_BYTES, PROFILE_MAGIC, read_file
from onboard.bundle.profiles import SUFFIX, load_profile_file, unpack_profile
from onboard.bundle.selftest import run_selftest
from onboard.codec.profile import Profile
from onboard.errors import BundleError, UsageError

Content = TypeVar("Content")


@dataclass(frozen=True)
class Active:
    """The bundle that is active now.

    Attributes:
        slot: file of the slot.
        name: name of the bundle; of a profile its bands.
        model_hash: 64 hex digits; of a profile its hash.
        changed: False if it was in use before; then the other slot keeps what it has.
        signature_checked: whether a public key was given.
        engine: engine that ran the self test; None if there was no need, as of profiles.
    """

    slot: str
    name: str
    model_hash: str
    changed: bool
    signature_checked: bool
    engine: str | None


def install(
    update: Path, folder: Path, public_key: bytes | None = None, engine: str | None = None
) -> Active:
    """Make a bundle or profile active. Any error leaves the one that was active as it is.

    Nothing is written before signature, hashes and self test passed: a slot never holds a bundle
    that did not, and a power cut leaves the old or the new one active.

    Args:
        update: a bundle (.skyb), a delta (.skyd) from the one in use, or a profile (.prof).
        folder: folder of the slots; made if it is not there.
        public_key: PEM; without it a signature is not checked.
        engine: for the self test; None takes the first that is installed.

    Raises:
        BundleError: damaged, not signed by that key, made for another bundle, failed, or another
            install is under way.
        EngineError: the engine is not installed, or `cryptography` is not.
        UsageError: the key is none, or the folder cannot be made.
    """
    with slots.alone(folder):
        return _install(update, folder, public_key, engine)


def _install(update: Path, folder: Path, public_key: bytes | None, engine: str | None) -> Active:
    packed = read_file(update)
    if packed[:4] == PROFILE_MAGIC:
        return _install_profile(packed, folder, public_key)
    _refuse_mixed(folder, slots.BUNDLES)
    delta = packed[:4] == bundledelta.MAGIC
    head = bundledelta.new_head(packed) if delta else packed[:HEAD_BYTES]
    if public_key is not None:
        signature.verify(head, public_key)  # before anything else of the update is read
    used = _in_use(folder, bundles.load_file, slots.BUNDLES)
    checked = public_key is not None
    if used is not None and read_file(used[0])[:HEAD_BYTES] == head:
        slots.switch(used[0])  # it may have been in use without being the active one
        return _active(used[0], used[1], False, checked, None)
    if delta:
        if used is None:
            raise BundleError(f"slots {folder}: a delta needs a whole bundle there, found none")
        packed = bundledelta.apply(packed, used[1])
    bundle = Bundle.unpack(packed)
    engine = _passing_engine(bundle, engine)
    slot = _store(packed, folder, used[0] if used else None)
    return _active(slot, bundle, True, checked, engine)


def _install_profile(packed: bytes, folder: Path, public_key: bytes | None) -> Active:
    if public_key is not None:
        signature.verify(packed[:HEAD_BYTES], public_key)
    _refuse_mixed(folder, SUFFIX)
    used = _in_use(folder, load_profile_file, SUFFIX)
    profile = unpack_profile(packed)
    slot = used[0] if used else None
    changed = slot is None or read_file(slot)[:HEAD_BYTES] != packed[:HEAD_BYTES]
    if changed:
        slot = _store(packed, folder, slot, SUFFIX)
    elif slot is not None:
        slots.switch(slot)
    return _active_profile(slot or folder, profile, changed, public_key is not None)


def _refuse_mixed(folder: Path, suffix: str) -> None:
    """Refuse a folder whose slots hold files of the other kind."""
    other = slots.BUNDLES if suffix == SUFFIX else SUFFIX
    if any(slot.exists() for slot in slots.by_turn(folder, other)):
        raise BundleError(f"slots {folder}: hold {other} files, expected a folder for {suffix}")


def rollback(folder: Path, engine: str | None = None) -> Active:
    """Make the bundle in the other slot active, after its self test, or the profile there.

    Raises:
        BundleError: the other slot is empty, damaged, or fails the self test; or an install is
            under way.
        EngineError: the engine is not installed.
    """
    with slots.alone(folder):
        slot = slots.by_turn(folder, SUFFIX)[1]
        if any(other.exists() for other in slots.by_turn(folder, SUFFIX)):
            profile = load_profile_file(slot)
            slots.switch(slot)
            return _active_profile(slot, profile, True, False)
        slot = slots.by_turn(folder)[1]
        bundle = bundles.load_file(slot)
        engine = _passing_engine(bundle, engine)
        slots.switch(slot)
    return _active(slot, bundle, True, False, engine)


def _in_use(
    folder: Path, read: Callable[[Path], Content], suffix: str
) -> tuple[Path, Content] | None:
    """Return slot and content in use; None if there is none that is whole."""
    try:
        return slots.first_whole(folder, read, suffix)
    except BundleError:
        return None


def _passing_engine(bundle: Bundle, engine: str | None) -> str:
    """Run the self test; return the engine."""
    report = run_selftest(bundle, engine)
    if not report["passed"]:
        raise BundleError(
            f"bundle {bundle.name} on {report['engine']}: self test failed: "
            f"{report['agreement_percent']:.3f} % of indices agree; nothing was changed"
        )
    return str(report["engine"])


def _store(packed: bytes, folder: Path, used: Path | None, suffix: str = slots.BUNDLES) -> Path:
    """Write a file into the slot that is not in use, then make it the active one."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: expected a folder for slots: {error.strerror}") from error
    active, free = slots.by_turn(folder, suffix)
    if used != active:  # it is damaged, or there is none
        free = active
        if used is not None:
            slots.switch(used)
    slots.write_whole(free, packed)
    slots.switch(free)
    return free


def _active(slot: Path, bundle: Bundle, changed: bool, checked: bool, engine: str | None) -> Active:
    return Active(str(slot), bundle.name, bundle.model_hash.hex(), changed, checked, engine)


def _active_profile(slot: Path, profile: Profile, changed: bool, checked: bool) -> Active:
    name = f"profile of {profile.bands} bands"
    return Active(str(slot), name, profile.sha256.hex(), changed, checked, None)
