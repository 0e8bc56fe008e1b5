"""Sources: which bundle a stream is decoded with."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from ground.api.source import known_tags
from ground.decode.decoder import Decoder, find_decoder
from ground.station.model import find_bundle, tag_of
from onboard import bundle as bundles
from onboard.encoder import Encoder
from onboard.errors import BundleError
from onboard.link.segment import unpack_segments


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


def test_a_bundle_with_the_name_of_a_shipped_one_does_not_hide_its_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A station reads what a satellite with an older model of that name sends, and the others."""
    shipped, other = bundles.find("skybook"), bundles.find("corsa-2level-1024")
    stream = b"".join(
        Encoder(bundles.load(str(shipped)), "numpy").encode(np.zeros((4, 8, 8), np.uint16))
    )
    shutil.copy(other, own := tmp_path / "skybook.skyb")
    monkeypatch.setenv("SKYBOOK_BUNDLES", str(tmp_path))
    assert bundles.find("skybook") == own
    assert known_tags(None) >= {tag_of(shipped), tag_of(own)}
    assert find_bundle(unpack_segments(stream)) == shipped
    shutil.copy(find_decoder(bundles.load(str(shipped)), shipped), own.with_suffix(".onnx"))
    with pytest.raises(BundleError, match=r"expected model .*beside it as skybook\.onnx, or .*lin"):
        Decoder(own)
