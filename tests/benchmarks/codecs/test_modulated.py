"""The modulated hyperprior: its streams are read alike everywhere, and it learns."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.codecs.codec import Coded
from benchmarks.codecs.modulated import numbers
from benchmarks.codecs.modulated.codec import ModulatedCodec
from benchmarks.codecs.modulated.command import trained
from benchmarks.codecs.modulated.convolution import (
    FLOW_BITS,
    MOST_WEIGHT,
    WEIGHT_BITS,
    Layer,
)
from benchmarks.codecs.modulated.frames import Frame
from benchmarks.codecs.modulated.lambdas import Lambdas, dequantise, latent_grid, quantise
from benchmarks.codecs.modulated.layout import LAMBDA_LEAST, LAMBDA_MOST, SCALES, Layout, Sensor
from benchmarks.codecs.modulated.model import Model
from benchmarks.codecs.modulated.quality import Regression, block_errors
from benchmarks.codecs.modulated.scales import HyperSynthesis
from benchmarks.codecs.modulated.tables import Tables, hyper_tables, latent_tables
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.errors import BundleError, LimitError, StreamError, UsageError

pytest.importorskip("torch")
SENSOR = Sensor("procedural", 500)
ROOT = Path(__file__).parents[3]


def image(bands: int, rows: int, cols: int, seed: int = 5) -> np.ndarray:
    return procedural(seed, rows, cols, bands, nodata=False).image.astype(np.uint16)


@pytest.fixture(scope="module")
def model() -> Model:
    """A narrow network that was trained for a moment."""
    frames = [Frame(SENSOR, "procedural", str(n), band) for n, band in enumerate(image(2, 96, 96))]
    return trained(frames, 5, Layout(64, 24), lambda _text: None)


@pytest.fixture(scope="module")
def codec(model: Model) -> ModulatedCodec:
    return model.codec(SENSOR.name)


TABLES = latent_tables()
NUMBERS = st.lists(
    st.tuples(st.integers(-70_000, 70_000), st.integers(0, SCALES - 1)), min_size=0, max_size=60
)


@settings(max_examples=60, deadline=None)
@given(NUMBERS)
def test_numbers_come_back(drawn: list[tuple[int, int]]) -> None:
    values, of = (np.array([pair[n] for pair in drawn], np.int64) for n in range(2))
    assert np.array_equal(numbers.unpack(numbers.pack(values, of, TABLES), of, TABLES), values)


def test_numbers_take_what_their_tables_say() -> None:
    """Gaussians of all scales take within 3 % of their entropy, over several lanes."""
    rng = np.random.default_rng(1)
    of = rng.integers(0, SCALES, 40_000)
    sigma = 0.11 * (256 / 0.11) ** (of / (SCALES - 1))
    values = np.rint(rng.normal(0, sigma)).astype(np.int64)
    packed = numbers.pack(values, of, TABLES)
    assert np.array_equal(numbers.unpack(packed, of, TABLES), values)
    wide = sigma > 1
    entropy = np.log2(sigma[wide] * np.sqrt(2 * np.pi * np.e)).sum()
    spent = numbers.bits(values[wide], of[wide], TABLES)
    assert 0.99 * entropy < spent < 1.03 * entropy
    assert 8 * len(packed) == pytest.approx(numbers.bits(values, of, TABLES), rel=0.002)


def test_damaged_numbers_are_told() -> None:
    rng = np.random.default_rng(2)
    of = rng.integers(0, SCALES, 50)
    packed = numbers.pack(rng.integers(-90, 90, 50), of, TABLES)
    for stop in range(len(packed)):
        with pytest.raises(StreamError):
            numbers.unpack(packed[:stop], of, TABLES)
    with pytest.raises(StreamError):
        numbers.unpack(packed + b"\0", of, TABLES)
    for bit in range(0, 8 * len(packed), 7):
        flipped = bytearray(packed)
        flipped[bit // 8] ^= 1 << bit % 8
        with_flip = bytes(flipped)
        try:
            numbers.unpack(with_flip, of, TABLES)
        except StreamError:
            continue  # what is not told is a flip in a number beyond its table, which has no check


def test_tables_of_another_sum_are_refused() -> None:
    with pytest.raises(BundleError, match="expected rows of 4096"):
        Tables(TABLES.frequencies * 2, TABLES.shifts)
    spread = hyper_tables(np.array([0.05, 1.0, 40.0]))
    assert (spread.reach == [2, 13, 60]).all()


def test_scales_are_whole_numbers_and_those_of_the_network() -> None:
    """The sums in 64-bit floats are those in whole numbers, and the tables those of torch."""
    import torch

    from benchmarks.codecs.modulated.network import ModulatedHyperprior

    torch.manual_seed(4)
    network = ModulatedHyperprior(Layout(8, 12))
    parts = [m for m in network.hyper_synthesis if not isinstance(m, torch.nn.ReLU)]
    with torch.no_grad():
        parts[-1].weight.mul_(30)
    synthesis = HyperSynthesis.of(
        [(m.weight.detach().numpy(), m.bias.detach().numpy()) for m in parts]
    )
    hyper = np.random.default_rng(3).integers(-9, 10, (8, 3, 2))
    found = synthesis.tables(hyper)
    with torch.no_grad():
        wanted = network.hyper_synthesis(torch.from_numpy(hyper[None].astype(np.float32)))[0]
    assert found.shape == (12, 12, 8)
    assert len(np.unique(found)) > 10
    assert np.abs(found - wanted.clamp(0, SCALES - 1).numpy()).max() < 0.55
    for layer in synthesis.layers:
        flow = np.random.default_rng(6).integers(0, 1 << 20, (8, 3, 2)).astype(np.float64)
        exact = torch.from_numpy(flow.astype(np.int64))[None]
        weights = torch.from_numpy(layer.weights)
        if layer.doubles:
            sums = torch.conv_transpose2d(exact, weights, None, 2, 2, 1)[0]
        else:
            sums = torch.conv2d(exact, weights, None, 1, 1)[0]
        assert np.array_equal(layer.sums(flow), sums.numpy() + layer.bias[:, None, None])


def test_weights_that_sums_could_not_hold_are_refused() -> None:
    weights = np.zeros((2, 2, 3, 3), np.int64)
    HyperSynthesis([Layer(weights + MOST_WEIGHT, np.zeros(2, np.int64))])
    with pytest.raises(BundleError, match="expected weights up to 32768"):
        HyperSynthesis([Layer(weights + MOST_WEIGHT + 1, np.zeros(2, np.int64))])
    assert WEIGHT_BITS + FLOW_BITS == 20


@pytest.mark.parametrize("side", [0, 64, 32, 16])
def test_what_is_read_is_what_was_sent(codec: ModulatedCodec, side: int) -> None:
    frames = image(2, 70, 100)
    count = (-(-70 // side), -(-100 // side)) if side else (1, 1)
    rng = np.random.default_rng(side)
    lambdas = Lambdas(side, rng.integers(0, 256, (2, *count)).astype(np.uint8))
    coded = codec.encode_at(frames, lambdas)
    found = codec.read(coded.parts[0], frames.shape)
    assert found.lambdas.side == side
    assert np.array_equal(found.lambdas.codes, lambdas.codes)
    assert found.means.tolist() == [round(frame.mean()) for frame in frames]
    shares = lambdas.shares(latent_grid((70, 100)))
    for latents, share, frame in zip(found.values, shares, codec.analyse(frames), strict=True):
        assert np.array_equal(latents, np.rint(frame * codec.transforms.mask(share)))
    assert np.array_equal(codec.decode(coded), codec.decoded_at(frames, lambdas))


_READ = """
import sys, json
import numpy as np
from benchmarks.codecs.modulated.codec import ModulatedCodec
from benchmarks.codecs.modulated.command import trained
from benchmarks.codecs.modulated.frames import Frame
from benchmarks.codecs.modulated.model import load
from pathlib import Path
model = load(Path(sys.argv[1]))
(sensor, _), = model.sensors.values()
codec = ModulatedCodec(None, model.hyper_synthesis, model.hyper_tables, model.latent_tables, sensor)
values = codec.read(Path(sys.argv[2]).read_bytes(), tuple(json.loads(sys.argv[3]))).values
assert "torch" not in sys.modules
sys.stdout.write(values.astype(">i4").tobytes().hex())
"""


def test_another_processor_reads_the_same(
    codec: ModulatedCodec, model: Model, tmp_path: Path
) -> None:
    """Another kernel of the BLAS and more threads change nothing, and torch is not needed."""
    frames = image(1, 130, 130)
    coded = codec.encode_at(frames, Lambdas.same(1, 200))
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


def test_budgets(codec: ModulatedCodec) -> None:
    scene = Scene(image(2, 96, 96))
    most = codec.encode_at(scene.image, Lambdas.same(2, 255)).length
    least = codec.encode_at(scene.image, Lambdas.same(2, 0)).length
    budget = (least + most) // 2
    assert 0.8 * budget < codec.encode(scene, budget).length <= budget
    assert codec.encode(scene, 10 * most).length == most
    with pytest.raises(LimitError, match="modulated hyperprior: expected"):
        codec.encode(scene, 20)
    passed = codec.one_pass(scene, scene.raw_bytes / budget)
    assert passed.encode().length <= budget


def test_damaged_streams_are_told(codec: ModulatedCodec) -> None:
    coded = codec.encode_at(image(1, 64, 64), Lambdas.same(1, 128))
    for stop in range(0, len(coded.parts[0]), 5):
        with pytest.raises(StreamError):
            codec.decode(Coded((coded.parts[0][:stop],), coded.shape))
    with pytest.raises(StreamError, match="found 5"):
        codec.decode(Coded((b"\5" + coded.parts[0][1:],), coded.shape))


def test_it_learns() -> None:
    """The hyperprior alone leaves images as they are; all together learn what is minimised."""
    import torch

    from benchmarks.codecs.modulated.training import Recipe, begun, draw, measure, train

    frames = [(SENSOR, list(image(1, 64, 64)))]
    recipe = Recipe((0, 0, 0), batch=1, crop=64)
    network = begun(frames, recipe, Layout(64, 24))
    batch = draw(frames, recipe, np.random.default_rng(1))
    found = []
    for steps in ((0, 0, 0), (5, 0, 0), (0, 20, 20)):
        train(network, frames, Recipe(steps, batch=1, crop=64))
        torch.manual_seed(1)
        found.append([figure.item() for figure in measure(network, *batch)])
    (bits, error, loss), (other, same, _), (_, _, less) = found
    assert (bits != other, error) == (True, same)
    assert less < 0.8 * loss


def test_lambda_for_a_target() -> None:
    """Equation 4 undoes equations 2 and 3, within the range that is trained."""
    regression = Regression(alpha=20.0, slope=0.02, offset=0.8)
    least = np.array([[[0.01, 0.02, 0.5]]])
    lambdas = np.array([[[10.0, 200.0, 400.0]]])
    for n in range(3):
        target = regression.error(least, lambdas)[0, 0, n]
        assert regression.lambdas(least, target)[0, 0, n] == pytest.approx(lambdas[0, 0, n])
    assert regression.lambdas(least, 0.005).tolist() == [[[LAMBDA_MOST] * 3]]
    assert regression.lambdas(least, 1e9).tolist() == [[[LAMBDA_LEAST] * 3]]
    codes = np.arange(256, dtype=np.uint8)
    assert np.abs(quantise(dequantise(codes) + 1e-9) - codes.astype(int)).max() == 0


def test_regression_is_found_again() -> None:
    told = Regression(alpha=12.0, slope=0.01, offset=1.5)
    masks = told.slope * dequantise(np.arange(256, dtype=np.uint8)) + told.offset
    codes = np.array([0, 90, 255], np.uint8)
    least = np.array([0.3, 0.02, 0.001])
    errors = told.error(least[:, None], dequantise(codes)[None])
    found = Regression.fit(masks, least, errors, codes)
    assert (found.alpha, found.slope, found.offset) == pytest.approx((12.0, 0.01, 1.5))


def test_blocks_of_a_target(codec: ModulatedCodec) -> None:
    """Blocks that are harder get a larger lambda."""
    frames = image(1, 128, 128)
    frames[:, :, :64] //= 4
    target = 1.5 * float(codec.least_errors(frames, 64).max())
    lambdas = codec.lambdas_for(frames, target, 64)
    assert lambdas.codes.shape == (1, 2, 2)
    assert (lambdas.codes[0, :, 1] >= lambdas.codes[0, :, 0]).all()
    bare = ModulatedCodec(
        codec.transforms, codec.hyper_synthesis, codec.hyper_tables, codec.latent_tables, SENSOR
    )
    with pytest.raises(UsageError, match="expected a regression"):
        bare.lambdas_for(frames, target)


def test_errors_of_blocks() -> None:
    original = np.zeros((1, 5, 4), np.uint16)
    decoded = original.copy()
    decoded[0, 4, 3] = 8
    assert block_errors(original, decoded, 2).tolist() == [[[0, 0], [0, 0], [0, 32]]]
    assert block_errors(original, decoded, 0).tolist() == [[[3.2]]]


def test_a_model_comes_back(model: Model, codec: ModulatedCodec) -> None:
    packed = model.pack()
    again = Model.unpack(packed)
    assert again.sensors == model.sensors
    frames = image(1, 64, 64)
    lambdas = Lambdas.same(1, 100)
    assert again.codec(SENSOR.name).encode_at(frames, lambdas) == codec.encode_at(frames, lambdas)
    with pytest.raises(UsageError, match="expected one of procedural, found 'other'"):
        again.codec("other")
    for damaged in (b"", packed[:1_000], packed[:-1], b"\0" * 500):
        with pytest.raises(BundleError):
            Model.unpack(damaged)
