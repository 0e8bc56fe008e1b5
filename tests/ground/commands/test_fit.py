"""`ground fit` as a user runs it: a folder of images to a bundle, or a refusal."""

import json
from pathlib import Path

import numpy as np
import pytest

from ground.__main__ import main
from ground.decode.decoder import Decoder
from ground.products.geotiff import write
from ground.scene import Scene
from ground.train.lapped import trial
from onboard.bundle import load
from onboard.encoder import Encoder, Options
from tests.ground.train.lapped.test_refit import smooth


@pytest.fixture(autouse=True)
def _two_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try at two rates, to be quick."""
    monkeypatch.setattr(trial, "BITS", (0.7, 2.1))


def test_a_folder_of_images_becomes_a_bundle_with_its_decoder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, target = tmp_path / "images", tmp_path / "mine.skyb"
    folder.mkdir()
    for seed in (1, 2, 3):
        write(folder / f"{seed}.tif", smooth(seed))
    write(folder / "preview.tif", Scene(np.zeros((3, 64, 64), np.uint8)))
    write(folder / "1.mask.tif", Scene(np.zeros((1, 128, 256), np.uint8)))
    told = tmp_path / "told.json"
    assert main(["fit", str(folder), "-o", str(target), "--json", str(told)]) == 0
    out = capsys.readouterr().out
    assert "4 images, 3 of 1 band of 16 bits read; left out: 1 of 3 bands of 8 bits; 1 held" in out
    result = json.loads(told.read_text())
    assert result["written"]
    assert f"on the whole {result['change_percent']:+.2f} %" in out
    assert result["change_percent"] < 0
    bundle = load(str(target))
    assert (bundle.name, bundle.manifest["ground"]["images"]) == ("mine", 2)
    scene = smooth(4)
    stream = b"".join(Encoder(bundle).encode(scene.image, scene.header(), Options(budget=6_000)))
    decoded = Decoder(target).decode(stream)
    assert decoded.complete
    assert np.abs(decoded.scene.image.astype(int) - scene.image).max() < 100


def test_what_gains_nothing_is_not_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The image that is fitted to is noise, the one that is held back is smooth."""
    folder, target = tmp_path / "images", tmp_path / "mine.skyb"
    folder.mkdir()
    noise = np.random.default_rng(1).integers(0, 60_000, (1, 256, 512))
    write(folder / "a.tif", Scene(noise.astype(np.uint16)))
    write(folder / "b.tif", smooth(2))
    assert main(["fit", str(folder), "-o", str(target)]) == 5
    assert "not written, since nothing is gained" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none", "-o", "mine.skyb"], 3, "expected a folder of images, found none"),
        (["empty", "-o", "mine.skyb"], 3, "expected *.tif, or raw files with an ENVI *.hdr"),
        (["narrow", "-o", "mine.skyb"], 3, "one of at least 256 columns, found 200"),
        (["narrow", "-o", "mine.tif"], 2, "expected NAME.skyb"),
        (["narrow", "-o", "mine.skyb", "--bundle", "corsa-2level-1024"], 5, "lapped codec"),
    ],
)
def test_what_cannot_be_fitted_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("empty", "narrow"):
        (tmp_path / name).mkdir()
    write(tmp_path / "narrow" / "a.tif", smooth(1, 128, 200))
    assert main(["fit", *arguments]) == code
    assert message in capsys.readouterr().err
