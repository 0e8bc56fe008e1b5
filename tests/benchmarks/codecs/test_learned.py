"""Learned codecs: their streams are read alike everywhere, cost what is expected, and learn."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from benchmarks.__main__ import main
from benchmarks.codecs.codec import Coded, round_trip
from benchmarks.codecs.jpeg2000 import Jpeg2000
from benchmarks.codecs.learned import command
from benchmarks.codecs.learned.codec import LearnedCodec
from benchmarks.codecs.learned.command import trained
from benchmarks.codecs.learned.layout import Layout
from benchmarks.codecs.learned.mixture import REACHES, TOTAL_BITS, Mixture, MixtureTables
from benchmarks.codecs.learned.model import MIXTURE, LearnedModel, load
from benchmarks.codecs.learned.rangecoder import MOST, Reader, Writer, of_mixture
from benchmarks.codecs.learned.recipes import RECIPES, Recipe
from benchmarks.codecs.modulated.layout import SCALES, SIGMA_LEAST, SIGMA_STEP
from benchmarks.quality import curves
from benchmarks.quality.measure import codecs_of, rate_distortion
from benchmarks.reproduce.segmentation.ways import learned_at
from benchmarks.scenes import BenchmarkScene
from ground import metrics
from ground.products.geotiff import write
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard.errors import BundleError, InputError, LimitError, StreamError, UsageError

pytest.importorskip("torch")
pytest.importorskip("constriction")
ROOT = Path(__file__).parents[3]
TABLES = MixtureTables.made()


def image(bands: int, rows: int, cols: int, seed: int = 5) -> np.ndarray:
    return procedural(seed, rows, cols, bands, nodata=False).image.astype(np.uint16)


def narrow(name: str) -> Recipe:
    """The recipe of a name with fewer maps and latents."""
    recipe = RECIPES[name]
    layout = recipe.layout
    groups = (24,) if len(layout.groups) == 1 else (4, 4, 16)
    hyper, hidden = (8, 16) if layout.hyper else (0, 0)
    small = replace(layout, maps=(16, 16), latents=24, groups=groups, hyper=hyper, hidden=hidden)
    return replace(recipe, layout=small)


@pytest.fixture(scope="module", params=list(RECIPES))
def model(request: pytest.FixtureRequest) -> LearnedModel:
    """A narrow network of each recipe that was trained for a moment."""
    recipe = narrow(request.param)
    images = [image(recipe.layout.bands, 96, 96)]
    return trained(request.param, recipe, images, 4, lambda _text: None)


@pytest.fixture(scope="module")
def codec(model: LearnedModel) -> LearnedCodec:
    return model.codec()


def drawn(count: int, seed: int = 1) -> tuple[Mixture, np.ndarray, float]:
    """Mixtures, values drawn from them, and the bits that these take by the formula."""
    rng = np.random.default_rng(seed)
    shape = 3, count
    means, scales = rng.integers(-3_000, 3_000, shape), rng.integers(0, SCALES, shape)
    means[:, ::4] //= 50
    scales[:, ::4] //= 4
    mixture = Mixture(TABLES, rng.integers(-800, 800, shape), means, scales)
    logits = mixture.logits / 256
    weights = np.exp(logits - logits.max(axis=0))
    weights /= weights.sum(axis=0)
    means, sigma = mixture.means / 256, SIGMA_LEAST * np.exp(SIGMA_STEP * mixture.scales)
    which = (rng.random(count) > np.cumsum(weights, axis=0)).sum(axis=0).clip(0, 2)
    of = which, np.arange(count)
    values = np.rint(means[of] + sigma[of] * rng.normal(size=count)).astype(np.int64)
    upper, lower = ((values + half - means) / sigma for half in (0.5, -0.5))
    chances = (weights * (ndtr(upper) - ndtr(lower))).sum(axis=0)
    return mixture, values, float(-np.log2(chances.clip(1e-9)).sum())


def test_values_take_what_their_mixtures_say() -> None:
    mixture, values, bits = drawn(6_000)
    writer = Writer()
    writer.write(values, of_mixture(mixture))
    packed = writer.done()
    reader = Reader(packed)
    assert np.array_equal(reader.read(len(values), of_mixture(mixture)), values)
    reader.end()
    assert 8 * len(packed) == pytest.approx(bits, rel=0.01)
    assert mixture.bits(values) == pytest.approx(bits, rel=0.02)
    assert set(mixture.reaches) == set(REACHES)
    for reach in REACHES:
        found = mixture.frequencies(np.arange(50), reach)
        assert (found.sum(axis=1) == 1 << TOTAL_BITS).all()
        assert found.min() >= 1


def test_values_far_from_what_was_expected_come_back() -> None:
    mixture = drawn(8)[0]
    values = np.array([-MOST, MOST - 1, 0, 70_000, -70_000, 999, -999, 1])
    writer = Writer()
    writer.write(values, of_mixture(mixture))
    assert np.array_equal(Reader(writer.done()).read(8, of_mixture(mixture)), values)


def test_bytes_of_known_numbers() -> None:
    """Neither tables nor the range coder may change what a stream says."""
    mixture = drawn(30, seed=3)[0]
    writer = Writer()
    writer.write(mixture.middles + np.arange(30) % 7 - 3, of_mixture(mixture))
    assert writer.done().hex() == GOLDEN


GOLDEN = "fffeca882503688e0398b4a1d0e0c31819354202d700ffe790b8e580"


def test_whole_numbers_are_those_of_the_network() -> None:
    """What a turn expects is what torch makes of the same latents, to a rounding."""
    import torch

    from benchmarks.codecs.learned.export import export
    from benchmarks.codecs.learned.initial import begun
    from benchmarks.codecs.learned.prior import Conditional, seen

    recipe = narrow("elic-12")
    network = begun(recipe.layout, 1, 500, [image(12, 64, 64)])
    prior = network.prior
    assert isinstance(prior, Conditional)
    with torch.no_grad():
        for group in prior.groups:
            group.last.weight.normal_(0, 0.3)
    whole = export(network, "x", recipe.sensor, "").prior
    rng = np.random.default_rng(2)
    hyper, values = rng.integers(-5, 6, (8, 2, 1)), rng.integers(-9, 10, (24, 8, 4))
    with torch.no_grad():
        told = prior.hyper_synthesis(torch.from_numpy(hyper[None]).float()).clamp(0, SCALES - 1)
        known = seen(torch.from_numpy(values[None]).float())
        expected = [group(told / 16, known) for group in prior.groups]
    turns = list(whole.turns(0, hyper, values))
    assert len(turns) == 6
    for number, (where, mixture) in enumerate(turns):
        of, chosen = where
        logits, means, above = (part[0].numpy() for part in expected[number // 2])
        scales = (told[0, of].numpy() + above).clip(0, SCALES - 1)
        assert np.abs(means).max() > 0.5
        for found, wanted, unit in (
            (mixture.logits, logits, 256),
            (mixture.means, means, 256),
            (mixture.scales, scales, 1),
        ):
            flat = wanted[..., chosen].reshape(found.shape)
            assert np.abs(found / unit - flat).max() < 0.1 + 0.5 * (unit == 1)


def test_what_is_read_is_what_was_sent(codec: LearnedCodec) -> None:
    frames = image(codec.bands, 70, 100)
    sizes = []
    for code in (0, 90, 255):
        coded = codec.encode_at(frames, code)
        found = codec.read(coded.parts[0], frames.shape)
        mask = codec.transforms.mask(np.full((1, 1), code / 255))
        assert found.code == code
        assert found.means.tolist() == [round(band.mean()) for band in frames]
        assert np.array_equal(found.values, np.rint(codec.analyse(frames) * mask))
        sizes.append(coded.length)
    assert sizes[0] < 0.7 * sizes[1] < 0.7 * sizes[2]
    decoded = codec.decode(coded)
    assert decoded.shape == frames.shape
    error = np.square(decoded - frames.astype(float)).mean()
    assert error < 0.2 * frames.var(axis=(1, 2)).mean()


_READ = """
import sys, json
from pathlib import Path
from benchmarks.codecs.learned.codec import LearnedCodec
from benchmarks.codecs.learned.model import load
model = load(Path(sys.argv[1]))
codec = LearnedCodec(model.name, model.layout, None, model.prior, model.sensor)
values = codec.read(Path(sys.argv[2]).read_bytes(), tuple(json.loads(sys.argv[3]))).values
assert "torch" not in sys.modules
sys.stdout.write(values.astype(">i4").tobytes().hex())
"""


def test_another_processor_reads_the_same(
    codec: LearnedCodec, model: LearnedModel, tmp_path: Path
) -> None:
    """Another kernel of the BLAS and more threads change nothing, and torch is not needed."""
    frames = image(codec.bands, 64, 96)
    coded = codec.encode_at(frames, 200)
    (tmp_path / "weights.npz").write_bytes(model.pack())
    (tmp_path / "stream").write_bytes(coded.parts[0])
    other = {"OPENBLAS_CORETYPE": "Nehalem", "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    names = [str(tmp_path / "weights.npz"), str(tmp_path / "stream"), json.dumps(frames.shape)]
    done = subprocess.run(
        [sys.executable, "-c", _READ, *names],
        env=os.environ | other,
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    values = codec.read(coded.parts[0], frames.shape).values
    assert np.abs(values).max() > 3
    assert done.stdout == values.astype(">i4").tobytes().hex()


def test_budgets(codec: LearnedCodec) -> None:
    scene = Scene(image(codec.bands, 64, 64))
    most = codec.encode_at(scene.image, 255).length
    least = codec.encode_at(scene.image, 0).length
    budget = (least + most) // 2
    assert 0.8 * budget < codec.encode(scene, budget).length <= budget
    assert codec.encode(scene, 10 * most).length == most
    with pytest.raises(LimitError, match=f"{codec.name}: expected"):
        codec.encode(scene, 20)
    passed = codec.one_pass(scene, scene.raw_bytes / budget)
    assert passed.encode().length <= budget


def test_damaged_streams_are_told(codec: LearnedCodec) -> None:
    coded = codec.encode_at(image(codec.bands, 64, 64), 128)
    stream, shape = coded.parts[0], coded.shape
    for stop in range(0, len(stream), len(stream) // 20):
        with pytest.raises(StreamError):
            codec.decode(Coded((stream[:stop],), shape))
    with pytest.raises(StreamError):
        codec.decode(Coded((stream + b"\0",), shape))
    for place in range(40, len(stream), len(stream) // 3):
        flipped = bytearray(stream)
        flipped[place] ^= 0x40
        try:
            found = codec.decode(Coded((bytes(flipped),), shape))
        except StreamError:
            continue
        assert found.shape == shape  # a range coder has no check of its own


def test_it_learns() -> None:
    """The prior alone leaves images as they are; all together learn what is minimised."""
    import torch

    from benchmarks.codecs.learned.initial import begun
    from benchmarks.codecs.modulated.training import Recipe as Schedule
    from benchmarks.codecs.modulated.training import draw, measure, train

    recipe = narrow("mixture")
    images = [image(4, 64, 64)]
    frames = [(recipe.sensor, images)]
    network = begun(recipe.layout, 1, recipe.sensor.scale, images)
    batch = draw(frames, Schedule((0, 0, 0), batch=2, crop=64), np.random.default_rng(1))
    assert batch[0].shape == (2, 4, 64, 64)
    found = []
    for steps in ((0, 0, 0), (60, 0, 0), (0, 10, 10)):
        train(network, frames, Schedule(steps, batch=1, crop=64, rate=2e-3))
        torch.manual_seed(1)
        with torch.no_grad():
            found.append([figure.item() for figure in measure(network, *batch)])
    (bits, error, loss), (fewer, same, _), (_, _, less) = found
    assert fewer < 0.98 * bits
    assert same == error
    assert less < 0.8 * loss


def test_untrained_is_a_klt_of_blocks() -> None:
    """With as many latents as a block has samples, nothing is lost but by rounding."""
    from benchmarks.codecs.learned.initial import begun

    frames = image(4, 64, 64)
    layout = replace(narrow("mixture").layout, maps=(16, 64), latents=256, groups=(256,))
    network = begun(layout, 1, 500, [frames])
    from benchmarks.codecs.modulated.transforms import Transforms

    transforms = Transforms(network, layout.multiple)
    samples = (frames - frames.mean(axis=(1, 2), keepdims=True)).astype(np.float32) / 500
    latents = transforms.analyse(samples)
    energy = np.square(latents).sum(axis=(1, 2))
    assert energy.sum() == pytest.approx(np.square(samples).sum(), rel=1e-3)
    assert energy[:64].sum() > 0.9 * energy.sum()
    assert transforms.synthesise(latents, (64, 64)) == pytest.approx(samples, abs=0.02)


def test_a_model_comes_back(model: LearnedModel, codec: LearnedCodec) -> None:
    packed = model.pack()
    again = LearnedModel.unpack(packed)
    assert (again.layout, again.sensor, again.origin) == (model.layout, model.sensor, model.origin)
    frames = image(codec.bands, 64, 64)
    assert again.codec().encode_at(frames, 100) == codec.encode_at(frames, 100)
    for damaged in (b"", packed[:1_000], packed[:-1], b"\0" * 500):
        with pytest.raises(BundleError):
            LearnedModel.unpack(damaged)


def test_layouts_of_the_recipes() -> None:
    for recipe in RECIPES.values():
        layout: Layout = recipe.layout
        assert sum(layout.groups) == layout.latents
        assert layout.slices[-1].stop == layout.latents


def test_the_shipped_network() -> None:
    """On a real scene it does better than JPEG 2000 of each band alone, in no more bytes."""
    scene = Scene(np.ascontiguousarray(spyndex_scene().image[:, :128, :128]).astype(np.uint16))
    budget = int(scene.raw_bytes / 20.48)
    psnrs = []
    for rival in (*codecs_of(MIXTURE), Jpeg2000()):
        length, decoded = round_trip(rival, scene, budget)
        assert 0.95 * budget < length <= budget
        psnrs.append(metrics.psnr(scene.image, decoded, metrics.PEAK_16_BIT))
    assert psnrs[0] > psnrs[1] + 0.5
    ways = learned_at((20.0, 80.0))
    assert list(ways) == ["mixture/20", "mixture/80"]
    assert ways["mixture/20"](scene.image).shape == scene.image.shape
    with pytest.raises(LimitError):
        ways["mixture/80"](np.random.default_rng(1).integers(0, 9_000, (4, 32, 32), np.uint16))


def test_weights_are_measured_beside_the_flagship(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`learned` makes weights of scenes of a folder, and `rd` takes them as --bundle."""
    monkeypatch.setitem(command.RECIPES, "mixture", narrow("mixture"))
    monkeypatch.setattr(curves, "RATIOS", (12.8, 20.48))
    write(tmp_path / "a.tif", Scene(image(4, 64, 96)))
    weights = tmp_path / "tiny.npz"
    told = ["learned", "--steps", "0", "-o", str(weights)]
    for folder in ([], ["--data", str(tmp_path)]):
        assert main([*told, *folder]) == 0
    (codec,) = codecs_of(str(weights))
    assert (codec.name, codec.bands, codec.variable_rate) == ("mixture", 4, True)
    scene = BenchmarkScene("s", "a", "summary", Scene(image(4, 96, 96)))
    document = rate_distortion([str(weights)], lambda _bands: [scene])
    row = document["summary"]["mixture"]
    assert [point["ratio"] for point in row["points"]] == [12.8, 20.48]
    assert row["bytes"] <= 4 * 96 * 96 * 2 / 20.48
    assert row["seam_ratio"] is None
    assert main([*told, *folder, "--recipe", "elic-12"]) == InputError.exit_code
    assert "expected train scenes of sentinel2-12" in capsys.readouterr().err
    assert main([*told, "--steps", "-1"]) == 2
    with pytest.raises(UsageError, match="expected a trained model"):
        load(tmp_path / "none.npz")
