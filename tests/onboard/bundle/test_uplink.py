"""Uplink: keys and signatures, deltas, slots, power cuts."""

import hashlib
import logging
import subprocess
import sys
import tracemalloc
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.__main__ import main
from onboard import bundle as bundles
from onboard.bundle import Bundle, signature
from onboard.bundle import delta as bundledelta
from onboard.bundle import install as uplink
from onboard.bundle import slots as slotfiles
from onboard.bundle.delta import Form, Piece
from onboard.codec.lapped import part as lappedpart
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.model import LappedModel
from onboard.codec.lapped.part import GoldenTile, pack_golden
from onboard.errors import BundleError, EngineError, UsageError
from tests.conftest import ROOT, model_of

HEAD, FIRST_PIECE, SUM = 108, 40 + 108, 32

POWER_CUT = '''
"""Install again and again, each time with the power cut at another fsync or rename."""
import os, signal, sys
from pathlib import Path
from shutil import copytree
from onboard.bundle import install as uplink

update, start, cuts, forgetful = *map(Path, sys.argv[1:4]), sys.argv[4] == "True"
really_fsync, really_replace = os.fsync, os.replace

def install(folder, left):
    synced, unsynced, renamed = set(), [], []

    def step(path=None):
        nonlocal left
        left -= 1
        if left:
            return
        for lost in [*unsynced, *([path] if path else [])]:
            os.truncate(lost, os.path.getsize(lost) // 2)
        for path, before in reversed(renamed if forgetful else []):
            path.unlink() if before is None else path.write_bytes(before)
        os.kill(os.getpid(), signal.SIGKILL)

    def fsync(number):
        path = Path(os.readlink(f"/proc/self/fd/{number}"))
        step(None if path.is_dir() else path)
        really_fsync(number)
        synced.add(path)
        if path.is_dir():
            renamed.clear()

    def rename(source, target):
        step()
        renamed.append((target, target.read_bytes() if target.exists() else None))
        really_replace(source, target)
        if source not in synced:
            unsynced.append(target)

    os.fsync, os.replace = fsync, rename
    uplink.install(update, folder, engine="numpy")

for left in range(1, 100):
    copytree(start, cuts / str(left))
    child = os.fork()
    if child == 0:
        install(cuts / str(left), left)
        os._exit(0)
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        break
print(left - 1)
'''


@pytest.fixture(scope="module")
def shipped() -> Bundle:
    return bundles.load("skybook")


@pytest.fixture(scope="module")
def old(shipped: Bundle) -> Bundle:
    """The shipped bundle with one quick golden vector."""
    return remade(shipped, model_of(shipped), [LappedCodec.of(shipped.codec).golden[-2]])


@pytest.fixture(scope="module")
def new(old: Bundle) -> Bundle:
    """`old` with other thresholds of its quantizer: the same tile gives another body."""
    quantizer = replace(model_of(old).quantisation, dead=model_of(old).quantisation.dead + 1)
    return coded_again(old, replace(model_of(old), quantisation=quantizer))


@pytest.fixture(scope="module")
def keys() -> tuple[bytes, bytes]:
    return signature.make_keys()


@pytest.fixture(scope="module")
def delta(old: Bundle, new: Bundle, keys: tuple[bytes, bytes]) -> bytes:
    """From `old` to `new`, signed."""
    return bundledelta.make(old, signature.sign(new.pack(), keys[0]))


@pytest.fixture
def slots(tmp_path: Path, old: Bundle) -> Path:
    """A folder with `old` as the active one."""
    folder = tmp_path / "slots"
    uplink.install(written(tmp_path / "old.skyb", old.pack()), folder, engine="numpy")
    return folder


def remade(bundle: Bundle, coder: LappedModel, golden: list[GoldenTile]) -> Bundle:
    """Return a bundle with other tables and golden vectors."""
    part = lappedpart.pack(coder)
    wire = {**bundle.manifest["wire"], "lapped_sha256": hashlib.sha256(part).hexdigest()}
    parts = {**bundle.parts, "lapped": part, "golden": pack_golden(golden)}
    said = bundle.manifest
    return Bundle.assemble(bundle.name, wire, parts, said["encoder"], said["ground"])


def coded_again(bundle: Bundle, coder: LappedModel) -> Bundle:
    """Return a bundle with other tables, and its golden tiles coded with them."""
    tiles = LappedCodec.of(bundle.codec).golden
    opened = LappedCodec(coder, bundle.tile).open_planes()
    vectors = opened.coded_anew(tiles)
    return remade(bundle, coder, vectors)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def sealed(content: bytes) -> bytes:
    """Return a delta with a new checksum at its end."""
    return content + hashlib.sha256(content).digest()


def active(folder: Path) -> bytes:
    """Return the active bundle as a command that is told `--bundle FOLDER/` gets it."""
    return bundles.load(f"{folder}/").pack()


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def test_signature_is_over_the_first_44_bytes(new: Bundle, keys: tuple[bytes, bytes]) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    packed = new.pack()
    signed = signature.sign(packed, keys[0])
    assert signed[:44] + bytes(64) + signed[HEAD:] == packed
    public = load_pem_public_key(keys[1])
    assert isinstance(public, Ed25519PublicKey)
    public.verify(signed[44:HEAD], packed[:44])
    signature.verify(signed, keys[1])
    again = Bundle.unpack(signed)
    assert again.pack() == signed
    assert again.model_hash == new.model_hash
    assert signature.sign(signed, keys[0]) == signed


def test_what_a_key_refuses(new: Bundle, keys: tuple[bytes, bytes]) -> None:
    signed = signature.sign(new.pack(), keys[0])
    with pytest.raises(BundleError, match="found none"):
        signature.verify(new.pack(), keys[1])
    with pytest.raises(BundleError, match="found another"):
        signature.verify(signed, signature.make_keys()[1])
    for bit in [8 * 4, 8 * 5, *range(8 * 8, 8 * HEAD, 5)]:
        broken = bytearray(signed[:HEAD])
        broken[bit // 8] ^= 128 >> bit % 8
        with pytest.raises(BundleError):
            signature.verify(bytes(broken), keys[1])
    for length in range(HEAD):
        with pytest.raises(BundleError):
            signature.verify(signed[:length], keys[1])


def test_keys_that_are_none(new: Bundle, keys: tuple[bytes, bytes]) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    other = ec.generate_private_key(ec.SECP256R1())
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = other.private_bytes(serialization.Encoding.PEM, form, none)
    for wrong in (b"", b"not a key", keys[1], pem):
        with pytest.raises(UsageError, match="private key: expected Ed25519"):
            signature.sign(new.pack(), wrong)
    for wrong in (b"", keys[0]):
        with pytest.raises(UsageError, match="public key: expected Ed25519"):
            signature.verify(new.pack(), wrong)


def test_without_the_library(
    slots: Path, tmp_path: Path, old: Bundle, new: Bundle, keys: tuple[bytes, bytes]
) -> None:
    """Keys need it, and say so; whatever has no key does without."""
    update = written(tmp_path / "new.skyb", new.pack())
    code = (
        "import sys; sys.modules['cryptography'] = None\n"
        "from pathlib import Path; from onboard.bundle import install as uplink\n"
        "from onboard.errors import *\n"
        "update, folder, key = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3].encode()\n"
        "try:\n    uplink.install(update, folder, key)\n"
        "except EngineError as error:\n    print(error)\n"
        "uplink.install(update, folder, engine='numpy')"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, update, slots, keys[1].decode()],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    assert "skybook[sign]" in said
    assert active(slots) == new.pack()


def test_delta_gives_the_new_file_byte_for_byte(
    old: Bundle, new: Bundle, delta: bytes, keys: tuple[bytes, bytes]
) -> None:
    signed = signature.sign(new.pack(), keys[0])
    assert bundledelta.apply(delta, old) == signed
    assert bundledelta.new_head(delta) == signed[:HEAD]
    assert 500 * len(delta) < len(signed)


def test_delta_of_a_table_update_is_small(shipped: Bundle) -> None:
    """All 768 tables of the shipped bundle made anew; its golden vectors alone would be 31 KB."""
    frequencies = model_of(shipped).tables.frequencies.astype(np.int64)
    rows = np.arange(len(frequencies))
    spare = np.maximum(frequencies - 1, 0) // 8
    frequencies -= spare
    frequencies[rows, frequencies.argmax(axis=1)] += spare.sum(axis=1)
    tables = replace(model_of(shipped).tables, frequencies=frequencies.astype(np.uint16))
    changed = coded_again(shipped, replace(model_of(shipped), tables=tables))
    assert changed.parts["golden"] != shipped.parts["golden"]
    packed = bundledelta.make(shipped, changed.pack())
    assert len(packed) < 16_384
    assert bundledelta.apply(packed, shipped) == changed.pack()


def test_delta_of_anything_else(old: Bundle, bundle: Bundle, shipped: Bundle) -> None:
    """Another kind, parts of another length, nothing new: longer or shorter, never wrong."""
    assert len(bundledelta.make(old, old.pack())) == FIRST_PIECE + (1 + len(old.parts)) * 9 + SUM
    for before, after in [(old, bundle), (bundle, old), (old, shipped), (shipped, old)]:
        packed = bundledelta.make(before, after.pack())
        assert bundledelta.apply(packed, before) == after.pack()
        assert len(packed) < len(after.pack())


def test_delta_for_another_bundle(new: Bundle, shipped: Bundle, delta: bytes) -> None:
    for other in (new, shipped):
        with pytest.raises(BundleError, match="made for a bundle of manifest"):
            bundledelta.apply(delta, other)


def test_delta_cut_at_every_byte_and_every_bit_flipped(old: Bundle, delta: bytes) -> None:
    for length in range(len(delta)):
        with pytest.raises(BundleError):
            bundledelta.apply(delta[:length], old)
    for bit in range(8 * len(delta)):
        broken = bytearray(delta)
        broken[bit // 8] ^= 128 >> bit % 8
        with pytest.raises(BundleError):
            bundledelta.apply(bytes(broken), old)


def test_delta_that_was_made_wrong(old: Bundle, keys: tuple[bytes, bytes]) -> None:
    """With a right checksum: refused for its signature, by the delta, or by the bundle.

    Or else it gives the right file: zeros may be copied from any distance in a zlib stream.
    """
    quantizer = replace(
        model_of(old).quantisation, codewords=model_of(old).quantisation.codewords + 1
    )
    changed = remade(
        old, replace(model_of(old), quantisation=quantizer), list(LappedCodec.of(old.codec).golden)
    )
    signed = signature.sign(changed.pack(), keys[0])
    content = bundledelta.make(old, signed)[:-SUM]

    def accepted(content: bytes) -> bytes | None:
        try:
            signature.verify(bundledelta.new_head(sealed(content)), keys[1])
            return Bundle.unpack(bundledelta.apply(sealed(content), old)).pack()
        except BundleError:
            return None

    assert accepted(content) == signed
    assert accepted(content + b"\0") is None
    for length in [*range(FIRST_PIECE - 1, FIRST_PIECE + 20), *range(0, len(content), 7)]:
        assert accepted(content[:length]) is None
    for bit in range(0, 8 * len(content), 13):
        broken = bytearray(content)
        broken[bit // 8] ^= 128 >> bit % 8
        found = accepted(bytes(broken))
        assert found is None or (found == signed and bit > 8 * FIRST_PIECE)


def test_delta_that_claims_much(old: Bundle, delta: bytes) -> None:
    opening = delta[:FIRST_PIECE]
    bomb = zlib.compress(bytes(100_000_000), 9)
    claims = [
        Piece(Form.DIFFERENCE, 100, bomb),
        Piece(Form.DICTIONARY, 100, bomb),
        Piece(Form.DIFFERENCE, 0, bomb),
        Piece(Form.DIFFERENCE, 0xFFFF_FFFF, bomb),
        Piece(Form.DIFFERENCE, 1 << 28, bomb),
        Piece(Form.DIFFERENCE, 1 << 27, zlib.compress(b"little")),
        Piece(Form.SAME, 0xFFFF_FFFF),
        Piece(Form.CODED_AGAIN, 880),
        Piece(Form.SAME, 880, b"more"),
    ]
    for claim in claims:
        tracemalloc.start()
        with pytest.raises(BundleError):
            bundledelta.apply(sealed(opening + claim.pack()), old)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3_000_000, claim.form
    with pytest.raises(BundleError, match="form 4"):
        bundledelta.apply(sealed(opening + b"\4" + bytes(8)), old)


def test_install_and_roll_back(
    slots: Path, tmp_path: Path, old: Bundle, new: Bundle, delta: bytes, keys: tuple[bytes, bytes]
) -> None:
    assert active(slots) == old.pack()
    update = written(tmp_path / "update.skyd", delta)
    done = uplink.install(update, slots, keys[1], "numpy")
    assert (done.changed, done.signature_checked, done.name) == (True, True, "skybook")
    assert active(slots) == signature.sign(new.pack(), keys[0])
    assert sorted(path.name for path in slots.iterdir()) == ["a.skyb", "active", "b.skyb"]
    assert uplink.rollback(slots, "numpy").model_hash == old.model_hash.hex()
    assert active(slots) == old.pack()
    assert uplink.rollback(slots, "numpy").model_hash == new.model_hash.hex()


def test_an_update_sent_twice_keeps_the_one_before(
    slots: Path, tmp_path: Path, old: Bundle, delta: bytes
) -> None:
    update = written(tmp_path / "update.skyd", delta)
    assert uplink.install(update, slots, engine="numpy").changed
    assert not uplink.install(update, slots, engine="numpy").changed
    uplink.rollback(slots, "numpy")
    assert active(slots) == old.pack()


def test_updates_that_are_refused_change_nothing(
    slots: Path, tmp_path: Path, old: Bundle, new: Bundle, delta: bytes, keys: tuple[bytes, bytes]
) -> None:
    before = {path.name: path.read_bytes() for path in slots.iterdir()}
    (vector,) = LappedCodec.of(new.codec).golden
    failing = remade(new, model_of(new), [replace(vector, body=vector.body[:-1] + b"\0")])
    failing_delta = bundledelta.make(old, failing.pack())
    forged = bytearray(delta)
    forged[50] ^= 1
    for content, key, expected in [
        (new.pack(), keys[1], "found none"),
        (signature.sign(new.pack(), signature.make_keys()[0]), keys[1], "found another"),
        (sealed(bytes(forged[:-SUM])), keys[1], "found another"),
        (failing.pack(), None, "self test failed: 0.000 %"),
        (signature.sign(failing.pack(), keys[0]), keys[1], "self test failed"),
        (failing_delta, None, "self test failed"),
        (new.pack()[:-1], None, "part golden"),
        (b"", None, "begin with"),
    ]:
        with pytest.raises(BundleError, match=expected):
            uplink.install(written(tmp_path / "u", content), slots, key, "numpy")
        assert {path.name: path.read_bytes() for path in slots.iterdir()} == before
    with pytest.raises(EngineError):
        uplink.install(written(tmp_path / "u", delta), slots, engine="tflite")
    with pytest.raises(BundleError, match=r"b\.skyb: cannot be read"):
        uplink.rollback(slots, "numpy")
    assert {path.name: path.read_bytes() for path in slots.iterdir()} == before


def test_two_installs_at_once_are_told_apart(tmp_path: Path, shipped: Bundle) -> None:
    update, folder = tmp_path / "update.skyb", tmp_path / "slots"
    update.write_bytes(shipped.pack())
    uplink.install(update, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with slotfiles.alone(folder):
        for change in (lambda: uplink.install(update, folder), lambda: uplink.rollback(folder)):
            with pytest.raises(BundleError, match="another install or rollback is at it"):
                change()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not uplink.install(update, folder).changed


def test_first_install(tmp_path: Path, old: Bundle, delta: bytes) -> None:
    with pytest.raises(BundleError, match="found none"):
        bundles.load(f"{tmp_path}/")
    with pytest.raises(BundleError, match="a delta needs a whole bundle"):
        uplink.install(written(tmp_path / "u.skyd", delta), tmp_path / "slots")
    update = written(tmp_path / "old.skyb", old.pack())
    with pytest.raises(UsageError, match="a folder for slots"):
        uplink.install(update, tmp_path / "no" / "slots", engine="numpy")
    assert uplink.install(update, tmp_path / "slots", engine="numpy").slot.endswith("a.skyb")


def test_a_damaged_slot_is_left_for_the_other(
    slots: Path,
    tmp_path: Path,
    old: Bundle,
    new: Bundle,
    delta: bytes,
    caplog: pytest.LogCaptureFixture,
) -> None:
    update = written(tmp_path / "update.skyd", delta)
    uplink.install(update, slots, engine="numpy")
    assert not caplog.records
    damage(slots / "b.skyb")
    with caplog.at_level(logging.WARNING):
        assert active(slots) == old.pack()
    assert "using a.skyb; b.skyb: part" in caplog.text
    # The whole one is kept while the damaged one is replaced.
    uplink.install(update, slots, engine="numpy")
    assert (slots / "a.skyb").read_bytes() == old.pack()
    assert Bundle.unpack((slots / "b.skyb").read_bytes()).model_hash == new.model_hash
    damage(slots / "a.skyb")
    damage(slots / "b.skyb")
    with pytest.raises(BundleError, match=r"found none: b\.skyb: part .*; a\.skyb: part "):
        active(slots)
    uplink.install(tmp_path / "old.skyb", slots, engine="numpy")
    assert active(slots) == old.pack()


def test_a_damaged_pointer(
    slots: Path, tmp_path: Path, old: Bundle, caplog: pytest.LogCaptureFixture
) -> None:
    (slots / "active").write_bytes(b"\xff\0")
    assert active(slots) == old.pack()
    assert "expected a pointer to a or b" in caplog.text
    assert not uplink.install(tmp_path / "old.skyb", slots).changed
    caplog.clear()
    assert active(slots) == old.pack()
    assert not caplog.records


@pytest.mark.parametrize(
    ("state", "forgetful"),
    [("whole", False), ("whole", True), ("damaged", True), ("empty", True)],
)
def test_power_cut_at_every_step(
    state: str, forgetful: bool, slots: Path, tmp_path: Path, old: Bundle, new: Bundle
) -> None:
    """The old bundle or the new one is active and whole, and the next install works.

    A forgetful disk also loses new names that the folder's fsync did not confirm.
    """
    update = written(tmp_path / "new.skyb", new.pack())
    known = {"old": old.pack(), "new": new.pack()}
    older = remade(old, model_of(old), list(LappedCodec.of(old.codec).golden) * 2)
    written(slots / "b.skyb", older.pack())
    if state == "damaged":
        written(slots / "b.skyb", old.pack())
        damage(slots / "a.skyb")
    elif state == "empty":
        for path in slots.iterdir():
            path.unlink()
        del known["old"]
    cuts = tmp_path / "cuts"
    command = [sys.executable, "-c", POWER_CUT, *map(str, (update, slots, cuts, forgetful))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    steps = int(done.stdout)
    assert steps == (9 if state == "damaged" else 6)
    seen = []
    for step in range(1, steps + 1):
        try:
            seen += [name for name, packed in known.items() if packed == active(cuts / str(step))]
        except BundleError:
            assert state == "empty"
            seen.append("nothing")
    assert len(seen) == steps
    first = "nothing" if state == "empty" else "old"
    assert seen == sorted(seen, key=[first, "new"].index)
    assert (seen[0], active(cuts / str(steps + 1))) == (first, new.pack())
    for step in (1, steps):
        uplink.install(update, cuts / str(step), engine="numpy")
        assert active(cuts / str(step)) == new.pack()
        assert not (cuts / str(step) / "active.part").exists()


def test_commands(
    tmp_path: Path,
    shipped: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["keygen", "-o", "flight.pem"]) == 0
    assert Path("flight.pem").stat().st_mode & 0o077 == 0
    kept = Path("flight.pem").read_bytes()
    assert main(["keygen", "-o", "flight.pem"]) == 2
    assert Path("flight.pem").read_bytes() == kept
    assert main(["sign", "skybook", "--key", "flight.pem", "-o", "signed.skyb"]) == 0
    assert main(["delta", "skybook", "signed.skyb", "-o", "update.skyd"]) == 0
    update = Path("update.skyd").read_bytes()
    assert f"update.skyd: {len(update)} bytes" in capsys.readouterr().out
    signed = bundledelta.apply(update, shipped)
    assert signed == Path("signed.skyb").read_bytes()
    signature.verify(signed, Path("flight.pub.pem").read_bytes())
    assert main(["sign", "skybook", "--key", "none.pem", "-o", "x.skyb"]) == 2
    assert main(["sign", "flight.pem", "--key", "flight.pem", "-o", "x.skyb"]) == 5
    assert main(["delta", "skybook", "flight.pem", "-o", "x.skyd"]) == 5
    assert not Path("x.skyb").exists()
