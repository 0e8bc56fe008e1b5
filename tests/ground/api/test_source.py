"""Sources: which bundle a stream is decoded with."""

import shutil
from pathlib import Path

import pytest

from ground.api.source import known_tags
from ground.decode.decoder import tag_of
from onboard import bundle as bundles
from onboard.errors import BundleError


def test_a_bundle_that_is_replaced_is_known_by_its_new_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though files that have not changed are not read again."""
    one, other = bundles.find("skybook"), bundles.find("corsa-2level-1024")
    own = tmp_path / "own.skyb"
    monkeypatch.setenv("SKYBOOK_BUNDLES", str(tmp_path))
    for source in (one, other, one):
        shutil.copy(source, own)
        assert tag_of(own) == bundles.load(str(source)).tag
    shipped = known_tags(None)
    own.write_bytes(b"damaged")
    for _ in range(2):
        with pytest.raises(BundleError):
            tag_of(own)
    assert known_tags(None) == shipped
    own.unlink()
    with pytest.raises(BundleError, match=r"own\.skyb"):
        tag_of(own)
