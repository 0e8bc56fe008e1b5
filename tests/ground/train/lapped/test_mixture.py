"""Tables fitted to what several cameras see: what is seen, and what comes of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ground.__main__ import main
from ground.decode.decoder import Decoder
from ground.products.geotiff import write
from ground.scene import Scene
from ground.scenes.folders import Item, find_scenes
from ground.scenes.procedural import procedural
from ground.train.lapped.mixture import TablesRecipe, sights, train
from ground.train.recipe import find_recipe
from onboard.bundle import load
from onboard.bundle.selftest import golden_agreement
from onboard.encoder import Encoder, Options
from onboard.errors import InputError

RECIPE = replace(
    TablesRecipe.read(find_recipe("skybook-tables")), tiles=6, rounds=2, many_bands_share=3.0
)


def scenes(folder: Path, *bands: int) -> Path:
    """Write scenes of so many bands, each of another place, and where they belong."""
    rows = ["path,place,split"]
    for number, count in enumerate(bands):
        image = procedural(number, 128, 256, count, nodata=False).image.astype(np.uint16)
        write(folder / f"p{number}.tif", Scene(image))
        rows.append(f"p{number}.tif,p{number},{'val' if number == 0 else 'train'}")
    (folder / "manifest.csv").write_text("\n".join(rows))
    return folder


def training(folder: Path) -> list[Item]:
    return [item for item in find_scenes(folder) if item.split == "train"]


def test_scenes_are_seen_as_several_cameras_see_them(tmp_path: Path) -> None:
    found = list(sights(RECIPE, training(scenes(tmp_path, 4, 4, 12, 5))))
    assert [(sight.bits, *sight.tiles.shape[1:]) for sight in found] == [
        (16, 4, 64, 64),
        (16, 4, 128, 128),
        (16, 3, 128, 128),
        (8, 3, 128, 128),
        (16, 1, 128, 128),
        (16, 12, 64, 64),
        (16, 10, 64, 64),
        (16, 6, 64, 64),
    ]
    assert len(found[0].tiles) == RECIPE.tiles
    assert found[3].tiles.max() <= 255
    assert all((sight.tiles != 0).any(axis=1).all() for sight in found)


def test_small_scenes_of_four_bands_are_seen_in_small_tiles_alone(tmp_path: Path) -> None:
    small = procedural(1, 64, 100, 4, nodata=False).image.astype(np.uint16)
    write(tmp_path / "a.tif", Scene(small))
    assert [s.tiles.shape for s in sights(RECIPE, find_scenes(tmp_path))] == [(1, 4, 64, 64)]


def test_nothing_to_see_is_refused(tmp_path: Path) -> None:
    empty = np.zeros((4, 64, 64), np.uint16)
    write(tmp_path / "a.tif", Scene(empty))
    with pytest.raises(InputError, match="no scene of 4 bands has a tile of 64 x 64"):
        list(sights(RECIPE, find_scenes(tmp_path)))


def test_a_fitted_bundle_takes_less_for_what_it_saw(tmp_path: Path) -> None:
    """Stripes of noise are unlike all that the shipped tables were fitted to."""
    rng = np.random.default_rng(1)
    stripes = 2_000 + 300 * rng.standard_normal((4, 1, 256)).cumsum(axis=2)
    image = np.rint(stripes.repeat(128, axis=1) % 20_000).astype(np.uint16)
    write(tmp_path / "a.tif", Scene(image))
    path = train(RECIPE, find_scenes(tmp_path), tmp_path / "out")
    old, new = load("skybook"), load(str(path))
    assert new.model_hash != old.model_hash
    agree, total, _ = golden_agreement(new.codec, "numpy")
    assert agree == total
    options = Options(rmse=20.0)
    lengths = [
        len(b"".join(Encoder(bundle).encode(image, options=options))) for bundle in (old, new)
    ]
    assert lengths[1] < 0.98 * lengths[0]
    stream = b"".join(Encoder(new).encode(image, options=options))
    assert Decoder(path).decode(stream).complete


def test_the_command_fits_and_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = scenes(tmp_path, 4, 4)
    recipe = tmp_path / "small.toml"
    text = find_recipe("skybook-tables").read_text()
    recipe.write_text(
        text.replace("tiles = 1500", "tiles = 4").replace("rounds = 12", "rounds = 1")
    )
    out = tmp_path / "out"
    assert main(["train", str(recipe), "--data", str(folder), "-o", str(out)]) == 0
    said = capsys.readouterr().out
    assert "4 tiles of 64 x 64 pixels: 4 bands of 16 bits" in said
    assert "round 1 of 1" in said
    assert load(str(out / "skybook.skyb")).name == "skybook"
    assert (out / "skybook.onnx").is_file()
    assert main(["train", str(recipe), "--data", str(folder), "--steps", "5"]) == 2
    assert "--steps: not of a fit of tables" in capsys.readouterr().err
