"""Training of the lapped codec: one seed one result, finished stages, refused recipes."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from export.lapped.pipeline import export_lapped
from ground.__main__ import main
from ground.decode.decoder import Decoder
from ground.products import geotiff
from ground.scenes.folders import Item
from ground.scenes.procedural import procedural
from ground.train.lapped.checkpoint import is_lapped, load
from ground.train.lapped.expect import expect
from ground.train.lapped.recipe import LappedRecipe
from ground.train.lapped.train import train
from ground.train.recipe import find_recipe
from onboard.bundle import load as load_bundle
from onboard.codec.lapped import part as lappedpart
from onboard.encoder import Encoder, Options
from onboard.errors import InputError, UsageError

SMALL = {
    "transform_steps": 2,
    "context_steps": 2,
    "fit_tiles": 8,
    "refinement_steps": 2,
    "polish_steps": 2,
    "seam_steps": 2,
    "draws": 1,
    "border_weight": 1.5,
    "depth": 8,
    "blocks": 1,
    "batch": 3,
}


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    folder = tmp_path_factory.mktemp("scenes")
    for seed in (1, 2):
        geotiff.write(folder / f"{seed}.tif", procedural(seed, 130, 140, nodata=False))
    return [Item(folder / f"{seed}.tif", str(seed), "train") for seed in (1, 2)]


def recipe(**changes: object) -> LappedRecipe:
    return LappedRecipe.read(find_recipe("skybook"), **{**SMALL, **changes})


def test_one_seed_gives_one_codec(items: list[Item], tmp_path: Path) -> None:
    seen: list[str] = []
    found = []
    for name in ("a", "b"):
        made = train(recipe(), items, tmp_path / name, lambda stage, *_: seen.append(stage))
        assert made.coder is not None
        assert made.refinement is not None
        found.append((lappedpart.pack(made.coder), made.refinement.head.weight.detach().numpy()))
    assert found[0][0] == found[1][0]
    np.testing.assert_array_equal(found[0][1], found[1][1])
    stages = ("transform", "contexts", "refinement", "polish", "seams")
    assert seen == [stage for stage in stages for _ in range(2)] * 2


def test_a_finished_training_is_not_repeated(items: list[Item], tmp_path: Path) -> None:
    first = train(recipe(), items, tmp_path)
    steps: list[int] = []
    again = train(recipe(), items, tmp_path, lambda _stage, step, *_: steps.append(step))
    assert not steps
    assert first.coder is not None
    assert again.coder is not None
    assert lappedpart.pack(first.coder) == lappedpart.pack(again.coder)
    assert is_lapped(tmp_path / "checkpoint.pt")
    assert load(tmp_path / "checkpoint.pt")[0] == recipe()
    with pytest.raises(UsageError, match="another recipe"):
        train(recipe(seed=2), items, tmp_path)


def test_export_of_a_small_codec(items: list[Item], tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(recipe(), items, run)
    made = export_lapped(run / "checkpoint.pt", tmp_path / "small.skyb", items[0].path.parent)
    names = ["small.skyb", "small.onnx", "small.MODEL_CARD.md"]
    assert [path.name for path in made.files] == names
    bundle = load_bundle(str(tmp_path / "small.skyb"))
    assert made.macs_per_pixel == bundle.macs_per_pixel
    assert bundle.model_hash.hex() in made.files[2].read_text()
    image = procedural(7, 70, 90, nodata=False).image
    stream = b"".join(Encoder(bundle).encode(image, None, Options(budget=4000)))
    decoded = Decoder(tmp_path / "small.skyb").decode(stream)
    assert decoded.complete
    # Barely trained, yet what it refines is the scene.
    assert np.abs(decoded.scene.image - image.astype(float)).mean() < image.std() / 4


def test_what_is_not_trained_to_the_end_is_not_exported(items: list[Item], tmp_path: Path) -> None:
    train(recipe(), items, tmp_path)
    path = tmp_path / "checkpoint.pt"
    state = torch.load(path, weights_only=True)
    torch.save(state | {"seamless": False}, path)
    with pytest.raises(InputError, match="finished training"):
        export_lapped(path, tmp_path / "small.skyb", items[0].path.parent)


def test_what_is_no_checkpoint_or_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"no checkpoint")
    assert not is_lapped(tmp_path / "x.pt")
    with pytest.raises(InputError, match="lapped codec"):
        load(tmp_path / "x.pt")
    with pytest.raises(UsageError, match="nearest is 'depth'"):
        recipe(deptth=3)


def test_what_to_expect_grows_with_the_steps(items: list[Item], tmp_path: Path) -> None:
    told: list[str] = []
    few, many = (
        expect(recipe(context_steps=steps, polish_steps=0, seam_steps=0), items, told.append)
        for steps in (3, 30_000)
    )
    assert list(few) == list(many) == ["transform", "contexts", "refinement"]
    assert all(seconds > 0 for seconds in few.values())
    assert many["contexts"] > 100 * few["contexts"]
    assert told[0] == told[1]
    assert "2 scenes" in told[0]


def test_the_command_says_what_to_expect(
    items: list[Item], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = find_recipe("skybook").read_text()
    for key, value in SMALL.items():
        text = re.sub(rf"^{key} = .*", f"{key} = {value}", text, flags=re.MULTILINE)
    (tmp_path / "small.toml").write_text(text)
    data, output = str(items[0].path.parent), str(tmp_path / "run")
    command = ["train", str(tmp_path / "small.toml"), "--data", data, "-o", output]
    assert main([*command, "--expect"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"about .* s \(transform .*, seams \d+ s\), \d+ MiB of memory", said)
    assert not (tmp_path / "run").exists()
    assert main(["train", "corsa-2level", "--data", data, "--expect"]) == 2
    assert "--expect: of lapped recipes alone" in capsys.readouterr().err


def test_without_a_recipe_the_bands_are_those_of_most_scenes(
    items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[LappedRecipe] = []
    monkeypatch.setattr(
        "ground.train.lapped.expect.expect", lambda recipe, *_: seen.append(recipe) or {}
    )
    monkeypatch.setattr("ground.train.lapped.train.train", lambda recipe, *_: seen.append(recipe))
    data = tmp_path / "data"
    data.mkdir()
    for number, bands in enumerate((3, 4, 3, 3, 3, 3)):
        scene = procedural(number, 130, 130, bands, nodata=False)
        geotiff.write(data / f"place{number}_x.tif", scene)
    assert main(["train", "--data", str(data), "-o", str(tmp_path / "cam")]) == 0
    assert [(one.name, one.bands, one.transform_steps) for one in seen] == [("cam", 3, 22_000)] * 2
    assert main(["train", "--data", str(data), "-o", str(tmp_path / "my cam")]) == 2
