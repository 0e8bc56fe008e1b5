"""Training of a decoder network on streams: what it is shown, where it begins, how it goes on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ground.__main__ import main
from ground.decode.decoder import Decoder, find_decoder
from ground.decode.graphs.graph import open_float_session
from ground.decode.lapped.synthesis import tile_borders
from ground.products import geotiff
from ground.scene import Scene
from ground.scenes.folders import Item
from ground.scenes.procedural import procedural
from ground.train.lapped.turned import turned, turned_borders
from ground.train.recipe import find_recipe
from ground.train.refinement.checkpoint import load_training, network_of
from ground.train.refinement.recipe import RefinementRecipe
from ground.train.refinement.streams import Coding, Streams, read_scenes
from ground.train.refinement.train import train
from onboard.bundle import find, load
from onboard.encoder import Encoder, Options
from onboard.errors import BundleError, InputError, UsageError
from onboard.link.header import SceneHeader

SMALL = {"steps": 3, "batch": 2, "crop": 64, "pool": 2, "validate_every": 2}


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    folder = tmp_path_factory.mktemp("scenes")
    for seed in (1, 2):
        geotiff.write(folder / f"{seed}.tif", procedural(seed, 60, 70, nodata=False))
    return [Item(folder / f"{seed}.tif", str(seed), "train") for seed in (1, 2)]


def recipe(**changes: object) -> RefinementRecipe:
    return RefinementRecipe.read(find_recipe("skybook-refinement"), **{**SMALL, **changes})


def test_the_network_is_shown_what_the_decoder_gives_it() -> None:
    scene = procedural(3, 150, 170, nodata=False)
    streams, rng = Streams("skybook"), np.random.default_rng(1)
    shown = streams.shown(scene, Coding(20.0, trellis=False), rng)
    options = Options(ratio=20.0)
    header = SceneHeader.of(scene.image, tile=64)
    stream = b"".join(Encoder(load("skybook")).encode(scene.image, header, options))
    decoder = Decoder(find("skybook"))
    session = open_float_session(find_decoder(load("skybook"), find("skybook")).read_bytes())
    refined = session.run([part[None] for part in shown.maps])[0, :, :150, :170]
    decoded = decoder.decode(stream).scene.image.astype(np.float32)
    assert np.abs(refined.clip(0) - decoded).max() < 0.6  # rounding, and how sums are
    linear = Decoder(find("skybook"), linear=True).decode(stream).scene.image.astype(np.float32)
    assert np.abs(shown.maps[0][:, :150, :170].clip(0) - linear).max() < 0.6
    np.testing.assert_array_equal(shown.original[:, :150, :170], scene.image)
    np.testing.assert_array_equal(shown.maps[3], tile_borders(16, 0, (38, 43)))
    assert (shown.maps[2] == 1).all()
    weighted = np.square(shown.maps[0] - shown.original) * shown.counts
    assert shown.error == pytest.approx(weighted.mean())


def test_larger_tiles_lost_segments_and_nodata() -> None:
    scene = procedural(4, 128, 256, nodata=False)
    image = scene.image.copy()
    image[:, :16, :32] = 0
    scene = replace(scene, image=image, nodata=0)
    streams, rng = Streams("skybook", border_weight=3.0), np.random.default_rng(1)
    usual, fitted = (
        streams.shown(scene, Coding(10.0, trellis=False, fitted=fitted), rng)
        for fitted in (False, True)
    )
    np.testing.assert_array_equal(usual.maps[3], tile_borders(16, 0, (32, 64)))
    np.testing.assert_array_equal(fitted.maps[3], tile_borders(32, 0, (32, 64)))
    assert set(np.unique(usual.counts)) == {0, 1, 3}
    assert (usual.counts[0, :16, :32] == 0).all()
    assert (usual.counts[0, 20:40, 60:68] == 3).all()
    lost = streams.shown(scene, Coding(10.0, trellis=False, lost=0.3), rng)
    known = lost.maps[2]
    assert known.min() < 1
    assert known.max() == 1
    assert lost.counts[0, ::4, ::4][known[0] < 1].max() < 0.2


def test_a_crop_is_the_same_place_of_all_maps() -> None:
    streams, rng = Streams("skybook"), np.random.default_rng(1)
    shown = streams.shown(procedural(3, 128, 192, nodata=False), Coding(10.0, trellis=False), rng)
    for _ in range(5):
        image, step, known, border, original, counts = shown.crop(64, rng)
        assert image.shape == original.shape == (4, 64, 64)
        assert counts.shape == (1, 64, 64)
        assert step.shape == known.shape == (1, 16, 16)
        rows, cols = np.nonzero(shown.original[0] == original[0, 0, 0])
        match = [
            (row, col)
            for row, col in zip(rows, cols, strict=True)
            if np.array_equal(shown.original[:, row : row + 64, col : col + 64], original)
        ]
        ((row, col),) = match
        np.testing.assert_array_equal(shown.maps[0][:, row : row + 64, col : col + 64], image)
        cells = shown.maps[3][:, row // 4 : row // 4 + 16, col // 4 : col // 4 + 16]
        np.testing.assert_array_equal(cells, border)


@pytest.mark.parametrize("turn", range(8))
def test_borders_turn_with_the_image(turn: int) -> None:
    border = torch.from_numpy(tile_borders(16, 0, (32, 32)))[None]
    # Two whole tiles on each side look the same however they are turned.
    torch.testing.assert_close(turned_borders(border, turn), border)
    part = torch.from_numpy(tile_borders(16, 0, (20, 24)))[None]
    moved = turned_borders(part, turn)
    assert moved.shape == turned(part, turn).shape
    torch.testing.assert_close(moved.abs().sum(1), turned(part.abs().sum(1), turn))


def test_it_begins_with_the_decoder_of_the_bundle() -> None:
    network = network_of("skybook").eval()
    graph = find_decoder(load("skybook"), find("skybook")).read_bytes()
    shown = Streams("skybook").shown(
        procedural(5, 64, 96, nodata=False), Coding(20.0, trellis=False), np.random.default_rng(1)
    )
    maps = [part[None] for part in shown.maps]
    with torch.no_grad():
        ours = network(*map(torch.from_numpy, maps)).numpy()
    np.testing.assert_allclose(ours, open_float_session(graph).run(maps), atol=0.02)
    assert np.abs(ours - maps[0]).max() > 1
    with pytest.raises(BundleError, match="expected a refinement network"):
        network_of("corsa-2level-1024")


def test_one_seed_gives_one_network_interrupted_or_not(items: list[Item], tmp_path: Path) -> None:
    told: list[str] = []
    whole = train(recipe(), items, items[:1], tmp_path / "whole", tell=told.append)

    class Stop(Exception):
        pass

    def stop(step: int, _of: int, _loss: float) -> None:
        if step == 3:
            raise Stop

    with pytest.raises(Stop):
        train(recipe(), items, items[:1], tmp_path / "parts", stop)
    assert load_training(tmp_path / "parts" / "checkpoint.pt")[1].step == 2
    parts = train(recipe(), items, items[:1], tmp_path / "parts")
    begun = network_of("skybook").state_dict()
    for name, weights in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], weights, rtol=1e-5, atol=1e-7)
        assert not torch.equal(weights, begun[name])
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").open()]
    assert [line["step"] for line in lines] == [0, 2, 3]
    kinds = ("plain", "trellis", "other_bands")
    assert all(0.5 < line[kind] < 1.5 for line in lines for kind in kinds)
    assert len(told) == 2 + len(lines)
    steps: list[int] = []
    train(recipe(), items, items[:1], tmp_path / "whole", lambda step, *_: steps.append(step))
    assert not steps  # it is finished
    with pytest.raises(UsageError, match="another recipe"):
        train(recipe(seed=2), items, items[:1], tmp_path / "whole")


def test_scenes_that_the_network_is_not_for_are_left_out(items: list[Item], tmp_path: Path) -> None:
    three = Scene(procedural(1, 64, 64, nodata=False).image[:3])
    geotiff.write(tmp_path / "three.tif", three)
    eight = Scene((procedural(1, 64, 64, nodata=False).image >> 6).astype(np.uint8))
    geotiff.write(tmp_path / "eight.tif", eight)
    others = [Item(tmp_path / f"{name}.tif", name, "train") for name in ("three", "eight")]
    told: list[str] = []
    found = read_scenes([*items, *others], "skybook", 64, told.append)
    assert [scene.image.shape for scene in found] == [(4, 64, 70)] * 2
    assert told == ["2 scenes; left out: 2 of other bands or samples"]
    with pytest.raises(InputError, match="expected scenes of 4 bands of u16"):
        read_scenes(others, "skybook", 64, told.append)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crop": 130}, "crop: expected a multiple of 4, found 130"),
        ({"crop": 32}, "crop: expected 64..512, found 32"),
        ({"least_ratio": 60.0}, "least_ratio: expected at most most_ratio, 50.0, found 60.0"),
        ({"trellis_share": 1.5}, "trellis_share: expected 0..1, found 1.5"),
        ({"other_bands_share": -0.1}, "other_bands_share: expected 0..1, found -0.1"),
        ({"half": 1}, "half: expected true or false, found 1"),
    ],
)
def test_a_recipe_out_of_limits(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        recipe(**changes)


def test_from_the_command_to_a_decoder(
    items: list[Item], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from export.__main__ import main as export

    text = find_recipe("skybook-refinement").read_text().splitlines()
    edited = [
        f"{key} = {SMALL[key]}" if (key := line.split(" ")[0]) in SMALL else line for line in text
    ]
    (tmp_path / "small.toml").write_text("\n".join(edited))
    data, run = items[0].path.parent, tmp_path / "run"
    (tmp_path / "scenes").mkdir()
    for number, name in enumerate(("a_1", "b_1", "c_1")):
        content = items[number % 2].path.read_bytes()
        (tmp_path / "scenes" / f"{name}.tif").write_bytes(content)
    data = tmp_path / "scenes"
    command = ["train", str(tmp_path / "small.toml"), "--data", str(data), "-o", str(run)]
    assert main(command) == 0
    assert "step 3: error that stays in validation scenes: plain 0." in capsys.readouterr().out
    assert main([*command, "--codewords", "64"]) == 2
    assert "--codewords: not of a decoder network" in capsys.readouterr().err
    (tmp_path / "skybook.skyb").write_bytes(find("skybook").read_bytes())
    output = tmp_path / "skybook.onnx"
    checkpoint = str(run / "checkpoint.pt")
    assert export(["decoder", "skybook", checkpoint, "-o", str(output)]) == 0
    image = procedural(7, 70, 90, nodata=False).image
    stream = b"".join(Encoder(load("skybook")).encode(image, None, Options(ratio=20.0)))
    ours, theirs = (
        Decoder(path).decode(stream).scene.image.astype(float)
        for path in (tmp_path / "skybook.skyb", find("skybook"))
    )
    assert not np.array_equal(ours, theirs)
    assert np.abs(ours - theirs).mean() < 2
    assert export(["decoder", "skybook", str(output), "-o", str(tmp_path / "x.onnx")]) != 0
    assert "expected a checkpoint of a refinement" in capsys.readouterr().err
    state = torch.load(checkpoint, weights_only=True)
    torch.save(state | {"step": 2}, checkpoint)
    assert export(["decoder", "skybook", checkpoint, "-o", str(output)]) != 0
    assert "found step 2 of 3" in capsys.readouterr().err
