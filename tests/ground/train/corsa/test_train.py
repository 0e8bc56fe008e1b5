"""Training: recipes, one seed one result, going on after a kill; then all the way to a bundle."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.reproduce.corsaopeneo import standin
from export.corsa.pipeline import export_checkpoint
from ground import metrics
from ground.decode.decoder import Decoder
from ground.products import geotiff
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.train.corsa.losses import structure_loss
from ground.train.corsa.model import VqvaeFpn
from ground.train.corsa.quantizers.codewords import kmeans
from ground.train.corsa.quantizers.vector import VectorQuantizer
from ground.train.corsa.recipe import Recipe
from ground.train.corsa.train import load, train
from ground.train.recipe import RECIPES, find_recipe
from onboard.bundle import load as load_bundle
from onboard.bundle.selftest import run_selftest
from onboard.encoder import Encoder
from onboard.errors import InputError, UsageError

TINY = {
    "tile": 24,
    "depths": (8, 16),
    "dims": (8, 8),
    "codewords": (16,),
    "residual_blocks": 1,
    "residual_depth": 4,
    "decoder_depth": 8,
    "decoder_blocks": 1,
    "stride": 24,
    "steps": 6,
    "batch": 2,
    "decoder_steps": 3,
    "validate_every": 2,
}


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return Recipe.read(find_recipe("corsa-2level"), **TINY)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of four places, no manifest: the split is drawn by place."""
    folder = tmp_path_factory.mktemp("scenes")
    for seed in range(4):
        scene = procedural(seed, 72, 96, nodata=seed == 0)
        geotiff.write(folder / f"place{seed}__a.tif", scene)
    return folder


@pytest.fixture(scope="module")
def trained(recipe: Recipe, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    train(recipe, scenes, folder)
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load(folder / "checkpoint.pt")[1].state_dict()


@pytest.mark.parametrize("path", sorted(RECIPES.glob("corsa-*.toml")), ids=lambda p: p.stem)
def test_shipped_recipes(path: Path) -> None:
    recipe = Recipe.read(path)
    assert recipe.name == path.stem
    levels = int(path.stem[len("corsa-")])
    assert len(recipe.codewords) == levels
    assert recipe.depths == (128, 256, 512)[:levels]
    for codewords in (256, 512, 1024):
        assert Recipe.read(path, codewords=(codewords,)).codewords == (codewords,) * levels


def test_a_wrong_key_names_the_nearest(tmp_path: Path) -> None:
    text = find_recipe("corsa-2level").read_text()
    (tmp_path / "x.toml").write_text(text.replace("commitment", "comitment"))
    with pytest.raises(UsageError, match=r"'comitment'.*'commitment'"):
        Recipe.read(tmp_path / "x.toml")
    (tmp_path / "y.toml").write_text(text.replace("batch =", "# batch ="))
    with pytest.raises(UsageError, match="missing batch"):
        Recipe.read(tmp_path / "y.toml")
    with pytest.raises(UsageError):
        Recipe.read(tmp_path / "none.toml")


def test_one_seed_gives_one_result(
    recipe: Recipe, scenes: Path, trained: Path, tmp_path: Path
) -> None:
    train(recipe, scenes, tmp_path)
    first, second = weights(trained), weights(tmp_path)
    assert all(torch.equal(first[key], second[key]) for key in first)
    other = train(replace(recipe, seed=2), scenes, tmp_path / "other")
    assert not torch.equal(first["decoder.up.weight"], other.state_dict()["decoder.up.weight"])


def test_going_on_after_a_kill_gives_the_same_result(
    recipe: Recipe, scenes: Path, trained: Path, tmp_path: Path
) -> None:
    class Killed(Exception):
        pass

    def kill(step: int, _line: object) -> None:
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        train(recipe, scenes, tmp_path, report=kill)
    train(recipe, scenes, tmp_path)
    first, second = weights(trained), weights(tmp_path)
    assert all(torch.equal(first[key], second[key]) for key in first)
    logged = [json.loads(line)["step"] for line in (tmp_path / "log.jsonl").open()]
    assert logged == [2, 4, 6]


def test_a_checkpoint_of_another_recipe_is_left_alone(
    recipe: Recipe, scenes: Path, trained: Path
) -> None:
    before = (trained / "checkpoint.pt").read_bytes()
    with pytest.raises(UsageError, match="another recipe"):
        train(replace(recipe, batch=3), scenes, trained)
    assert (trained / "checkpoint.pt").read_bytes() == before


def test_not_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(InputError):
        load(tmp_path / "x.pt")


def test_checkpoints_of_before_there_were_kinds_are_read(trained: Path, tmp_path: Path) -> None:
    state = torch.load(trained / "checkpoint.pt", weights_only=True)
    for key in ("quantizer", "books"):
        del state["recipe"][key]
    torch.save(state, tmp_path / "old.pt")
    recipe, model = load(tmp_path / "old.pt")
    assert recipe.quantizer == "vq"
    table = model.quantizer(0).table()
    assert torch.equal(table, state["model"]["quantizers.0.codebook"])


def test_training_lowers_the_error(recipe: Recipe, scenes: Path, tmp_path: Path) -> None:
    longer = replace(recipe, steps=60, decoder_steps=60, decoder_rate=5e-3, validate_every=20)
    train(longer, scenes, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").open()]
    assert lines[-1]["validation_psnr16"] > lines[0]["validation_psnr16"] + 0.1


def test_encoder_waits_for_its_turn(recipe: Recipe, scenes: Path, tmp_path: Path) -> None:
    model = train(replace(recipe, steps=2, decoder_steps=2), scenes, tmp_path)
    assert not model.encoder.embeddings[0].weight.any()  # type: ignore[operator]
    longer = train(replace(recipe, steps=4, decoder_steps=2), scenes, tmp_path / "b")
    assert longer.encoder.embeddings[0].weight.any()  # type: ignore[operator]


def test_three_levels_start_from_two(
    recipe: Recipe, scenes: Path, trained: Path, tmp_path: Path
) -> None:
    start = str(trained / "checkpoint.pt")
    shape = {"depths": (8, 16, 8), "dims": (8, 8, 8), "codewords": (16, 16, 16)}
    three = replace(recipe, **shape, steps=1, start_from=start)  # type: ignore[arg-type]
    model = train(three, scenes, tmp_path)
    assert model.shape.levels == 3
    deep = model.state_dict()["encoder.blocks.0.down.weight"]
    assert torch.allclose(deep, weights(trained)["encoder.blocks.0.down.weight"], atol=1e-3)


def test_the_linear_path_starts_as_an_exact_block_transform() -> None:
    changes = TINY | {"depths": (8, 8, 8), "dims": (16, 16, 16)}
    recipe = Recipe.read(find_recipe("corsa-3level"), **changes)
    torch.manual_seed(0)
    model = VqvaeFpn(recipe.architecture).eval()
    samples = torch.randn(2, 4, 24, 24)
    finest, *coarser = model.encoder(samples)
    nothing = [torch.zeros_like(latents) for latents in coarser]
    offset = model.decoder([torch.zeros_like(finest), *nothing])
    assert torch.allclose(model.decoder([finest, *nothing]) - offset, samples, atol=1e-4)


def test_a_coarser_level_predicts_what_it_decodes_to() -> None:
    changes = TINY | {"depths": (8, 8), "dims": (16, 16)}
    model = VqvaeFpn(Recipe.read(find_recipe("corsa-2level"), **changes).architecture)
    smooth = torch.randn(1, 4, 6, 6).repeat_interleave(4, 2).repeat_interleave(4, 3)
    fine, coarse = model.encoder(smooth)
    assert torch.allclose(model.predictions[0](coarse), fine, atol=1e-4)


def test_a_last_stage_changes_the_decoder_alone(
    recipe: Recipe, scenes: Path, trained: Path, tmp_path: Path
) -> None:
    start = str(trained / "checkpoint.pt")
    last = replace(recipe, steps=2, decoder_steps=2, structure=100.0, start_from=start)
    after, before = train(last, scenes, tmp_path).state_dict(), weights(trained)
    changed = {key.split(".")[0] for key in after if not torch.equal(after[key], before[key])}
    assert changed == {"decoder"}


def test_structure_loss_is_that_part_of_ssim() -> None:
    rng = np.random.default_rng(0)
    first = rng.normal(0, 20, (1, 2, 40, 40)).astype(np.float32)
    second = first + rng.normal(0, 8, first.shape).astype(np.float32)
    step = 15.0
    loss = structure_loss(torch.tensor(first), torch.tensor(second), torch.tensor([step]))
    # Far from zero the luminance part of SSIM is one.
    expected = 1 - metrics.ssim(first[0] * step + 5e5, second[0] * step + 5e5)
    assert float(loss) == pytest.approx(expected, abs=1e-4)
    same = torch.tensor(first)
    assert float(structure_loss(same, same, torch.tensor([step]))) == pytest.approx(0, abs=1e-6)


def test_kmeans_finds_clusters() -> None:
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    vectors = centres.repeat(50, 1) + 0.1 * torch.randn(200, 2)
    found = kmeans(vectors, 8)
    assert torch.cdist(centres, found).min(1).values.max() < 0.5


def test_dead_codewords_are_restarted_and_usage_is_reported() -> None:
    torch.manual_seed(0)
    quantizer = VectorQuantizer(8, 2, decay=0.5)
    quantizer.codebook[:] = torch.tensor([1000.0, 1000.0])
    quantizer.codebook[0] = 0
    quantizer.sums.copy_(quantizer.codebook)
    quantizer.train()
    for _ in range(40):
        quantizer(torch.randn(1, 2, 16, 16))
    assert quantizer.perplexity() > 5
    assert quantizer.codebook.abs().max() < 10


def test_gradient_passes_only_what_the_codebook_keeps() -> None:
    """A codebook that varies in one of two dimensions passes the gradient of that one alone."""
    torch.manual_seed(0)
    quantizer = VectorQuantizer(64, 2).eval()
    quantizer.codebook.copy_(torch.stack([torch.linspace(-3, 3, 64), torch.zeros(64)], 1))
    latents = torch.randn(1, 2, 32, 32, requires_grad=True)
    quantizer(latents).codewords.sum().backward()
    assert latents.grad is not None
    gain = latents.grad.mean((0, 2, 3))
    assert gain[0] == pytest.approx(1, abs=0.05)
    assert gain[1] == pytest.approx(0, abs=0.05)


def test_export_of_a_tiny_model(
    trained: Path, scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = export_checkpoint(trained / "checkpoint.pt", tmp_path / "tiny.skyb", scenes)
    names = [path.name for path in made.files]
    assert names == ["tiny.skyb", "tiny.onnx", "tiny.MODEL_CARD.md"]
    assert made.verdict.tiles > 0
    assert made.verdict.agreement["ort-litert"] == 100
    bundle = load_bundle(str(tmp_path / "tiny.skyb"))
    for engine in ("ort", "litert"):
        assert run_selftest(bundle, engine)["agreement_percent"] == 100
    image = procedural(7, 50, 70, nodata=False).image
    stream = b"".join(Encoder(bundle, "litert").encode(image))
    decoder = Decoder(tmp_path / "tiny.skyb")
    assert decoder.decode(stream).scene.image.shape == image.shape
    assert np.isfinite(made.verdict.psnr16["fp32"])
    monkeypatch.setenv("SKYBOOK_BUNDLES", str(tmp_path))
    assert load_bundle("tiny").model_hash == bundle.model_hash


def test_train_command(scenes: Path, tmp_path: Path) -> None:
    text = find_recipe("corsa-1level").read_text()
    for key, value in (TINY | {"depths": [8], "dims": [8], "codewords": [16], "steps": 2}).items():
        lines = [f"{key} = {value}" if ln.startswith(f"{key} ") else ln for ln in text.split("\n")]
        text = "\n".join(lines)
    (tmp_path / "tiny.toml").write_text(text)
    command = [sys.executable, "-m", "ground", "train", "tiny.toml", "--data", str(scenes)]
    done = subprocess.run(
        [*command, "-o", "run"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "validation PSNR16" in done.stdout
    assert (tmp_path / "run" / "checkpoint.pt").exists()


@pytest.mark.parametrize("kind", ["product", "residual", "sphere", "scalar"])
def test_other_quantizers_fly_alike(kind: str, scenes: Path, tmp_path: Path) -> None:
    """What codewords are made of is forgotten at export: any encoder and decoder takes them."""
    entries = TINY | {"quantizer": kind, "steps": 4, "decoder_steps": 2}
    train(Recipe.read(find_recipe("corsa-2level"), **entries), scenes, tmp_path)
    made = export_checkpoint(tmp_path / "checkpoint.pt", tmp_path / f"{kind}.skyb", scenes)
    assert made.verdict.passed
    assert f"16 + 16 codewords ({kind})" in made.files[2].read_text()
    image = procedural(7, 50, 70, nodata=False).image
    stream = b"".join(Encoder(load_bundle(str(made.files[0]))).encode(image))
    decoded = Decoder(made.files[0]).decode(stream).scene.image
    assert metrics.rmse(image, decoded) < 0.8 * image.std(axis=(1, 2)).mean()


def test_bands_of_20_m(tmp_path: Path) -> None:
    """The six of them, from scenes that have them alone and from those on the grid of 10 m."""
    (tmp_path / "scenes").mkdir()
    for seed in range(3):
        scene = standin(60, seed)
        image = scene.on_fine_grid if seed else scene.coarse
        geotiff.write(tmp_path / "scenes" / f"place{seed}__a.tif", Scene(image))
        resampled = procedural(seed, 48, 48, 12, nodata=False)
        geotiff.write(tmp_path / "scenes" / f"place{seed}__b.tif", resampled)
    entries = TINY | {"steps": 2, "decoder_steps": 1}
    recipe = Recipe.read(find_recipe("corsa-2level-20m"), **entries)
    told: list[str] = []
    train(recipe, tmp_path / "scenes", tmp_path / "run", tell=told.append)
    assert any("of 24 x 24 pixels and 6 bands" in text for text in told)
    assert any("left out: 1 of 12 bands" in text for text in told)
    assert load(tmp_path / "run" / "checkpoint.pt")[1].shape.bands == 6


def test_ten_bands_of_two_resolutions(tmp_path: Path) -> None:
    """From scenes as products have them to a bundle whose levels have codebooks of their own."""
    (tmp_path / "scenes").mkdir()
    for seed in range(3):
        image = standin(48, seed).on_fine_grid
        geotiff.write(tmp_path / "scenes" / f"place{seed}__a.tif", Scene(image))
    entries = TINY | {"codewords": (32, 8), "steps": 2, "decoder_steps": 1}
    recipe = Recipe.read(find_recipe("corsa-2level-10band"), **entries)
    train(recipe, tmp_path / "scenes", tmp_path / "run")
    made = export_checkpoint(
        tmp_path / "run" / "checkpoint.pt", tmp_path / "ten.skyb", tmp_path / "scenes"
    )
    bundle = load_bundle(str(made.files[0]))
    assert list(bundle.codec.payload_bytes(24, 24)) == [14, 90]  # 3 bits of 6 x 6, 5 of 12 x 12
    card = made.files[2].read_text()
    assert "8 + 32 codewords (vq), coarse to fine" in card
    assert f"(ratio {24 * 24 * 88 / 8 / (14 + 90):.2f})" in card
    scene = Scene(standin(48, 7).on_fine_grid)
    stream = b"".join(Encoder(bundle).encode(scene.image, scene.header()))
    decoded = Decoder(made.files[0]).decode(stream).scene.image
    assert metrics.rmse(scene.image, decoded) < 0.8 * scene.image.std(axis=(1, 2)).mean()
