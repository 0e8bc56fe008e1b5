"""Recipes that cannot end in a bundle are refused before training; what is trained on is told."""

from pathlib import Path

import numpy as np
import pytest

from ground.__main__ import main
from ground.commands.train import _Pace
from ground.products import geotiff
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.train.bounded.recipe import BoundedRecipe
from ground.train.corsa.recipe import Recipe
from ground.train.lapped.mixture import TablesRecipe
from ground.train.lapped.recipe import LappedRecipe
from ground.train.recipe import find_recipe
from ground.train.refinement.recipe import RefinementRecipe
from onboard.errors import UsageError

SMALL = {"transform_steps": 2, "context_steps": 2, "fit_tiles": 8, "refinement_steps": 2} | {
    "polish_steps": 2,
    "seam_steps": 2,
    "draws": 1,
    "depth": 8,
    "blocks": 1,
    "batch": 3,
}


def edited(folder: Path, name: str, **changes: object) -> Path:
    """Return a recipe with other values, as text of TOML."""
    lines = find_recipe(name).read_text().splitlines()
    for key, value in changes.items():
        (place,) = (n for n, line in enumerate(lines) if line.startswith(f"{key} ="))
        lines[place] = f"{key} = {value}"
    (folder / "r.toml").write_text("\n".join(lines))
    return folder / "r.toml"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("bands", 1, "bands: expected 2..16, found 1"),
        ("bands", 224, "bands: expected 2..16, found 224"),
        ("bands", '"four"', "bands: expected a whole number, found 'four'"),
        ("bands", 4.5, "bands: expected a whole number, found 4.5"),
        ("tile", 20, "tile: expected a multiple of 8 that divides 128, found 20"),
        ("tile", 4, "tile: expected a multiple of 8 that divides 128, found 4"),
        ("layers", 40, "layers: expected 1.."),
        ("skip", 63, "skip: expected -1..62, found 63"),
        ("batch", 2, "batch: expected 3.."),
        ("transform_rate", "nan", "transform_rate: expected a number, found nan"),
        ("transform_rate", "true", "transform_rate: expected a number, found True"),
        ("loss_share", 2, "loss_share: expected 0..1, found 2"),
    ],
)
def test_a_lapped_recipe_out_of_limits(
    key: str, value: object, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(tmp_path, "skybook", **{key: value})
    assert main(["train", str(path), "--data", str(tmp_path), "-o", str(tmp_path / "run")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("bands", 0, "bands: expected 1..65535"),
        ("tile", 122, "tile: expected a multiple of 4 for 2 levels, found 122"),
        ("dims", "[16]", "depths, dims, codewords: expected 1 to 3 of each"),
        ("dims", "[16, 29]", "dims: expected 1..28, found 29"),
        ("depths", "128", "depths: expected a list of whole numbers, found 128"),
        ("codewords", "[65537]", "codewords: expected 1..65536"),
        ("codewords", "[16, 16, 16]", "depths, dims, codewords: expected 1 to 3 of each"),
        ("codewords", 1024, "codewords: expected a list of whole numbers, found 1024"),
        ("coarse_bands", 4, "coarse_bands: expected less than the 4 bands, found 4"),
        ("target_rms", 128, "target_rms: expected 1..127"),
    ],
)
def test_a_corsa_recipe_out_of_limits(key: str, value: object, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as found:
        Recipe.read(edited(tmp_path, "corsa-2level", **{key: value}))
    assert words in str(found.value)


def test_shipped_recipes_are_within_their_limits() -> None:
    for path in find_recipe("skybook").parent.glob("*.toml"):
        kinds = {
            "skybook": LappedRecipe,
            "skybook-bounded": BoundedRecipe,
            "skybook-refinement": RefinementRecipe,
            "skybook-tables": TablesRecipe,
        }
        kinds.get(path.stem, Recipe).read(path)


def test_options_of_the_other_kind_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "skybook", "--data", str(tmp_path), "--steps", "9"]) == 2
    assert (
        "--steps: not of a lapped codec; its steps are transform_steps" in capsys.readouterr().err
    )


def scenes(folder: Path, bands: dict[str, int]) -> Path:
    folder.mkdir()
    for seed, (name, count) in enumerate(bands.items()):
        scene = procedural(seed, 130, 140, nodata=False)
        image = np.concatenate([scene.image, scene.image])[:count]
        geotiff.write(folder / f"{name}.tif", Scene(image))
    return folder


def test_what_is_trained_on_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = scenes(tmp_path / "data", {"a_1": 3, "a_2": 3, "b_1": 3, "c_1": 3})
    path = edited(tmp_path, "skybook", bands=3, **SMALL)
    assert main(["train", str(path), "--data", str(data), "-o", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "4 scenes, split by place: train " in said
    assert "tiles of 128 x 128 pixels and 3 bands, of " in said
    assert "transform: step 2 of 2" in said


def test_a_wrong_band_count_is_told_with_what_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = scenes(tmp_path / "data", {"a_1": 3, "b_1": 3})
    path = edited(tmp_path, "skybook", **SMALL)
    assert main(["train", str(path), "--data", str(data), "-o", str(tmp_path / "run")]) == 3
    assert "at least one tile of 4 bands, found none in 1 scenes (1 of 3 bands)" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "run").exists()


def test_one_place_cannot_be_split(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = scenes(tmp_path / "data", {"a_1": 4, "a_2": 4})
    assert main(["train", "skybook", "--data", str(data), "-o", str(tmp_path / "run")]) == 3
    said = capsys.readouterr().err
    assert "expected scenes of a 'val' split, found none; 2 scenes, split by place" in said
    assert "2 are the least" in said


def test_the_time_to_go_follows_from_the_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    pace = _Pace()
    pace.begin(1)
    assert pace.is_due(1, 1_000)
    assert pace.left(1, 1_000) == ""
    now[0] += 20
    assert not pace.is_due(11, 1_000)
    assert pace.left(11, 1_000) == ", about 33 min to go"
    now[0] += 41
    assert pace.is_due(900, 1_000)
    assert pace.left(990, 1_000) == ", about 1 s to go"
    assert pace.is_due(1_000, 1_000)
    assert pace.left(1_000, 1_000) == ""
