"""Profile files: a head like that of a bundle, signed, and slots of their own."""

import json
import logging
from pathlib import Path

import pytest

from onboard import bundle as bundles
from onboard.bundle import install as uplink
from onboard.bundle import signature
from onboard.bundle.profiles import load_profile, pack_profile, profile_of, unpack_profile
from onboard.codec.profile import Profile
from onboard.errors import BundleError
from tests.conftest import Run
from tests.profiles import drawn

HEAD = 108


def written(path: Path, profile: Profile) -> Path:
    path.write_bytes(pack_profile(profile))
    return path


def test_bytes_of_the_head() -> None:
    profile = drawn(20, 1)
    packed = pack_profile(profile, bytes(range(64)))
    assert packed[:8] == b"SKYP\1\0\0\0"
    assert int.from_bytes(packed[8:12], "big") == len(packed) - HEAD
    assert packed[12:44] == profile.sha256
    assert packed[44:HEAD] == bytes(range(64))
    assert unpack_profile(packed).sha256 == profile.sha256


def test_cut_at_every_byte_and_every_bit_flipped() -> None:
    """Whatever is not the file is refused, but for minor version and signature."""
    packed = pack_profile(drawn(17, 1))
    for stop in range(len(packed)):
        with pytest.raises(BundleError):
            unpack_profile(packed[:stop])
    for bit in range(8 * len(packed)):
        if bit // 8 == 5 or 44 <= bit // 8 < HEAD:
            continue
        wrong = bytearray(packed)
        wrong[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BundleError):
            unpack_profile(bytes(wrong))
    with pytest.raises(BundleError, match="expected it to begin with b'SKYP'"):
        unpack_profile(b"SKYB" + packed[4:])
    with pytest.raises(BundleError, match="expected major 1, found 2"):
        unpack_profile(packed[:4] + b"\2" + packed[5:])


def test_slots(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As of bundles: the old one stays whole, and comes back where the new one is damaged."""
    old, new = drawn(20, 1), drawn(20, 2)
    folder = tmp_path / "profiles"
    first = uplink.install(written(tmp_path / "old.prof", old), folder)
    assert (first.changed, first.name, first.engine) == (True, "profile of 20 bands", None)
    assert load_profile(folder).sha256 == old.sha256
    again = uplink.install(tmp_path / "old.prof", folder)
    assert (again.changed, again.slot) == (False, first.slot)
    second = uplink.install(written(tmp_path / "new.prof", new), folder)
    assert second.slot != first.slot
    assert load_profile(folder).sha256 == new.sha256
    assert uplink.rollback(folder).model_hash == old.sha256.hex()
    assert load_profile(folder).sha256 == old.sha256
    uplink.rollback(folder)
    Path(second.slot).write_bytes(pack_profile(new)[:-1])
    with caplog.at_level(logging.WARNING):
        assert load_profile(folder).sha256 == old.sha256
    assert "expected 883 bytes after the head, found 882" in caplog.text


def test_a_damaged_profile_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "profiles"
    uplink.install(written(tmp_path / "old.prof", drawn(20, 1)), folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    wrong = bytearray(pack_profile(drawn(20, 2)))
    wrong[500] ^= 1
    (tmp_path / "wrong.prof").write_bytes(wrong)
    with pytest.raises(BundleError, match="damaged profile"):
        uplink.install(tmp_path / "wrong.prof", folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_signatures(tmp_path: Path) -> None:
    private, public = signature.make_keys()
    packed = pack_profile(drawn(20, 1))
    unsigned = tmp_path / "unsigned.prof"
    unsigned.write_bytes(packed)
    with pytest.raises(BundleError, match="signature: expected one"):
        uplink.install(unsigned, tmp_path / "profiles", public)
    signed = tmp_path / "signed.prof"
    signed.write_bytes(signature.sign(packed, private))
    assert uplink.install(signed, tmp_path / "profiles", public).signature_checked
    with pytest.raises(BundleError, match="signature"):
        uplink.install(signed, tmp_path / "others", signature.make_keys()[1])
    assert not (tmp_path / "others" / "a.prof").exists()


def test_a_folder_holds_files_of_one_kind(tmp_path: Path) -> None:
    folder = tmp_path / "profiles"
    profile = written(tmp_path / "a.prof", drawn(20, 1))
    uplink.install(profile, folder)
    with pytest.raises(BundleError, match=r"hold \.prof files"):
        uplink.install(bundles.find("skybook"), folder)
    models = tmp_path / "models"
    models.mkdir()
    (models / "b.skyb").write_bytes(b"SKYB")
    with pytest.raises(BundleError, match=r"hold \.skyb files"):
        uplink.install(profile, models)


def test_a_known_one_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = drawn(20, 1), drawn(20, 2)
    written(tmp_path / "other.prof", other)
    (tmp_path / "damaged.prof").write_bytes(b"SKYP")
    monkeypatch.setenv("SKYBOOK_BUNDLES", str(tmp_path))
    assert profile_of(None, one) is None
    assert profile_of(one.digest, one) is one
    found = profile_of(other.digest, one)
    assert found is not None
    assert found.sha256 == other.sha256
    with pytest.raises(BundleError, match=f"expected {one.digest.hex()}, which the scene header"):
        profile_of(one.digest)


def test_commands(tmp_path: Path, run: Run) -> None:
    """What an operator does: sign on the ground, install on board, take it back."""
    written(tmp_path / "camera.prof", drawn(20, 1))
    done = run("export", "keygen", "-o", "k.pem")
    assert done.returncode == 0, done.stderr
    done = run("export", "sign", "camera.prof", "--key", "k.pem", "-o", "signed.prof")
    assert done.returncode == 0, done.stderr
    shown = run("onboard", "info", "signed.prof", "--json")
    assert json.loads(shown.stdout)["sha256"] == drawn(20, 1).sha256.hex()
    form = ("onboard", "install", "signed.prof", "--slots", "profiles", "--public-key", "k.pub.pem")
    done = run(*form)
    assert "profile of 20 bands is active; its matrix checks; signature checked" in done.stdout
    refused = run("onboard", "rollback", "--slots", "profiles")
    assert refused.returncode == 5
    assert "b.prof" in refused.stderr
