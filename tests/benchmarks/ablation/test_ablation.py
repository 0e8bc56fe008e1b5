"""Ablation: variants of the flagship codec, vector quantizers, and the tables of both."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.ablation import families, trelliscoder, vectorquantizers
from benchmarks.ablation import measure as ablation
from benchmarks.ablation import training as training_scenes
from benchmarks.ablation import variants as changes
from benchmarks.ablation.measure import compare_fixed, run_ablation, stream_of
from benchmarks.ablation.report import ablation_text
from benchmarks.ablation.variants import Tiles, Variant, keep_context, linear_decoder, mean_levels
from benchmarks.ablation.vectorcoded import VectorCodedScene, training_vectors
from benchmarks.ablation.vectorquantizers import (
    Book,
    groups,
    nearest_shape,
    train_book,
    train_sphere,
)
from benchmarks.codecs.codec import Coded
from benchmarks.scenes import BenchmarkScene
from ground import metrics
from ground.decode.decoder import Decoder
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.bundle import Bundle, find, load
from onboard.codec.lapped.contextstate import levels
from onboard.codec.lapped.frontends.adaptive import AdaptiveFrontEnd
from onboard.codec.lapped.prepared import PreparedTiles
from onboard.codec.lapped.quantizers.deadzone import DeadZone
from onboard.codec.lapped.quantizers.quantizer import Pending
from onboard.codec.lapped.scan import Scanner
from onboard.encoder import Encoder
from onboard.errors import InputError, LimitError, StreamError, UsageError
from tests.conftest import model_of

NAME = "skybook"


@pytest.fixture(scope="module")
def full() -> Bundle:
    return load(NAME)


@pytest.fixture(scope="module")
def training() -> list[Tiles]:
    images = [procedural(seed, 128, 128, nodata=False).image for seed in (1, 2)]
    return [
        np.stack([i[:, r : r + 64, c : c + 64] for r in (0, 64) for c in (0, 64)]) for i in images
    ]


@pytest.fixture(scope="module")
def batches(full: Bundle, training: Sequence[Tiles]) -> list[PreparedTiles]:
    return changes.prepare(model_of(full), training, lambda _: model_of(full).front_end)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return procedural(7, 100, 136, nodata=False)


@pytest.fixture
def tiles(scene: Scene) -> Scene:
    return replace(scene, image=scene.image[:, :64, :128])


def psnr(scene: Scene, decoded: NDArray[Any]) -> float:
    return metrics.psnr(scene.image, decoded, metrics.PEAK_16_BIT)


def test_without_the_network_the_same_stream_decodes_nearly_as_well(
    full: Bundle, scene: Scene
) -> None:
    stream = stream_of(Encoder(full), scene, 6_000)
    plain = linear_decoder(find(NAME), full).decode(stream)
    refined = Decoder(find(NAME)).decode(stream)
    assert plain.complete
    assert plain.scene.image.shape == scene.image.shape
    assert not np.array_equal(plain.scene.image, refined.scene.image)
    assert abs(psnr(scene, plain.scene.image) - psnr(scene, refined.scene.image)) < 2


def test_one_transform_for_one_tile_is_that_tiles_own(training: Sequence[Tiles]) -> None:
    tile = training[0][:1]
    own = AdaptiveFrontEnd(4).analyse(tile, np.ones((1, 64, 64), np.bool_))
    shared = changes.scene_band_transform(tile)
    found = shared.analyse(tile, np.ones((1, 64, 64), np.bool_))
    assert isinstance(shared, changes.FixedBands)
    assert shared.angles == tuple(own.angles[0].tolist())
    assert np.array_equal(found.planes, own.planes)
    assert found.angles.size == 0


def test_fixed_bands_scale_bright_planes_down_as_the_adaptive_ones(
    training: Sequence[Tiles],
) -> None:
    tile = (training[0][:1] * np.uint16(5)).astype(np.uint16)
    present = np.ones((1, 64, 64), np.bool_)
    own = AdaptiveFrontEnd(4).analyse(tile, present)
    found = changes.scene_band_transform(tile).analyse(tile, present)
    assert found.shifts.tolist() == own.shifts.tolist()
    assert found.shifts[0] > 0
    assert np.array_equal(found.planes, own.planes)


def test_streams_without_angles_are_read_back(full: Bundle, scene: Scene) -> None:
    quality = {}
    for front_end in (changes.no_band_transform, changes.scene_band_transform):
        bundle = Variant("", model_of(full), front_end).bundle(full, model_of(full), scene.image)
        decoded = linear_decoder(find(NAME), bundle).decode(
            stream_of(Encoder(bundle), scene, 9_000)
        )
        assert decoded.complete
        quality[front_end] = psnr(scene, decoded.scene.image)
    none, shared = quality.values()
    assert shared > none + 0.5


def test_no_compiled_code_codes_or_reads_a_variant(full: Bundle, scene: Scene) -> None:
    """It has the tables of the codec as shipped."""
    variant = Variant("as shipped", model_of(full))
    bundle = variant.bundle(full, variant.coder, scene.image)
    assert bundle.codec.compiled() is None
    assert Encoder(bundle).engine != "c"


def test_side_information_of_another_length_is_refused() -> None:
    front_end = changes.FixedBands(4, angles=(128,) * 6)
    assert front_end.unpack(bytes([7, *range(8)]), False).angles == (128,) * 6
    with pytest.raises(StreamError, match="expected 9 bytes, found 15"):
        front_end.unpack(bytes(15), False)


def test_without_contexts_a_channel_has_one_level(
    full: Bundle, batches: list[PreparedTiles]
) -> None:
    fine, coarse = (changes.without_contexts(model_of(full), batches, octave) for octave in (4, 8))
    codes = np.full(len(batches[0].means), 100)
    for layer in list(Scanner(fine, DeadZone.of(fine)).scan(batches[0].latents, codes))[3:]:
        level = levels(layer.sums)
        assert (level == level[:1, :1]).all()
        assert layer.pending.coded.size == level.size
    means = [mean_levels(coder, batches).mean() for coder in (fine, coarse)]
    assert means[0] > means[1] + 4


def test_tables_are_those_of_the_octave_of_the_budget(
    full: Bundle, batches: list[PreparedTiles], scene: Scene
) -> None:
    static = tuple(replace(model_of(full)) for _ in changes.OCTAVES)
    variant = Variant("", model_of(full), by_octave=static)
    near = [variant.coders(scene.image, budget) for budget in (40_000, 9_000, 2_000)]
    place = [[one is coder for one in static].index(True) for coder, _ in near]
    assert place[0] < place[1] < place[2]


@pytest.mark.parametrize("kept", ["same", "near"])
def test_one_context_alone_keeps_the_mean_level(
    full: Bundle, batches: list[PreparedTiles], kept: str
) -> None:
    coder = keep_context(model_of(full), batches, kept)
    weights = {name: getattr(coder.weights, name).any() for name in ("same", "near", "slope")}
    assert weights == {name: name == kept for name in weights}
    away = mean_levels(coder, batches) - mean_levels(model_of(full), batches)
    assert abs(float(away.mean())) < 1.5


def test_plain_rounding_goes_to_the_nearest_step(full: Bundle) -> None:
    quantizer = DeadZone(changes.plain_rounding(model_of(full).tables, -1))
    away = np.array([-97, -33, -31, 0, 31, 33, 95, 97], np.int32)
    places, each = np.arange(8), np.ones(8, np.int64)
    borders = np.arange(8, dtype=np.int32) % 3
    pending = Pending(4, (1, 8, 1), places, each, away, np.full(8, 20), borders)
    assert quantizer.choose(pending).indices.tolist() == [-2, -1, 0, 0, 0, 1, 1, 2]
    assert changes.at_centres(model_of(full)).quantisation.codewords[5].tolist() == [
        256,
        512,
        768,
        1024,
    ]


def test_training_takes_a_folder_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_scenes, "PROCEDURAL_SCENES", 1)
    found = training_scenes.training_tiles(None, 4, 64)
    assert [tiles.shape[1:] for tiles in found] == [(4, 64, 64)] * 2
    with pytest.raises(InputError, match="none"):
        training_scenes.training_tiles(None, 7, 64)
    with pytest.raises(InputError, match="expected at least one"):
        training_scenes.training_tiles(tmp_path, 4, 64)


def vectors(count: int = 600, channels: int = 24) -> NDArray[np.float32]:
    rng = np.random.default_rng(3)
    scale = 2.0 ** -np.arange(channels)
    return (rng.laplace(size=(count, channels)) * scale).astype(np.float32)


def test_groups_share_the_bits_and_leave_weak_channels_out() -> None:
    found = groups(vectors(), 16, 2)
    chosen = np.concatenate(found)
    assert len(found) == 2
    assert len(set(chosen.tolist())) == len(chosen) < 24
    assert 0 in found[0]
    assert set(range(12, 24)).isdisjoint(chosen.tolist())


def test_a_trained_book_is_near_and_the_nearest_word_is_the_nearest() -> None:
    seen = vectors()
    book = train_book(np.array([0, 1]), seen)
    pair = seen[:, :2]
    by_hand = np.square(pair[:, None] - book.words[None]).sum(axis=2).argmin(axis=1)
    assert np.array_equal(book.nearest(pair), by_hand)
    untrained = Book(book.channels, pair[:256])
    lost, before = (np.square(pair - b.words[b.nearest(pair)]).sum() for b in (book, untrained))
    assert lost < before
    assert not book.quantised(seen)[:, 2:].any()


def test_gain_and_shape_are_trained_apart() -> None:
    seen = vectors()
    book = train_sphere(np.array([0, 1, 2]), seen)
    assert np.allclose(np.linalg.norm(book.shapes, axis=1), 1, atol=1e-5)
    assert (np.diff(book.gains) >= 0).all()
    three = seen[:, :3]
    shape, along = nearest_shape(book.shapes, three)
    assert np.allclose(along, np.einsum("ij,ij->i", book.shapes[shape], three), atol=1e-5)
    assert np.square(three - book.quantised(seen)[:, :3]).mean() < 0.05 * np.square(three).mean()


@pytest.fixture
def one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trelliscoder, "ROUNDS", 1)


@pytest.fixture
def few_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectorquantizers, "SIZES", (3, 8))
    monkeypatch.setattr(vectorquantizers, "_ROUNDS", 2)


@pytest.mark.usefixtures("few_sizes")
@pytest.mark.parametrize("family", ["product_books", "residual_books", "sphere_books"])
def test_more_bytes_make_vector_coded_scenes_better(
    full: Bundle, batches: list[PreparedTiles], scene: Scene, family: str
) -> None:
    seen = training_vectors(model_of(full), batches)
    books = getattr(vectorquantizers, family)(seen)
    assert [sum(book.bits for book in of_size) for of_size in books] in ([24, 64], [24, 60])
    coded = VectorCodedScene(model_of(full), 64, books, scene)
    quality = []
    for budget in (800, 1_500, 3_000):
        length, decoded = coded.at(budget)
        assert 0.6 * min(budget, 2_400) < length <= budget
        assert decoded.shape == scene.image.shape
        quality.append(psnr(scene, decoded))
    assert quality[0] < quality[1] < quality[2]
    with pytest.raises(LimitError, match="found 100"):
        coded.at(100)


@dataclass
class Rival:
    """Takes 1,000 bytes for an error of `error` DN."""

    error: int

    def encode(self, scene: Scene, budget: int | None = None) -> Coded:
        assert budget is None
        self.image = scene.image
        return Coded((bytes(1_000),), scene.image.shape)

    def decode(self, _coded: Coded) -> NDArray[Any]:
        return self.image + self.error


@pytest.mark.parametrize(("error", "percent"), [(20, 50), (10, 100), (5, 200)])
def test_bytes_at_equal_quality_by_hand(error: int, percent: float) -> None:
    """Ours: 10 DN of error at 1,000 bytes, and half the error at twice the bytes."""
    image = np.full((4, 16, 16), 20_000, np.uint16)
    item = BenchmarkScene("s", "p", "summary", Scene(image))
    row = compare_fixed("rival", lambda n: (n, image + 10_000 / n), item, Rival(error))
    assert row["bytes_at_equal_psnr16"] == pytest.approx(percent, rel=0.01)
    assert row["our_psnr16"] == pytest.approx(20 * np.log10(65_535 / 10))


def test_a_quality_that_is_out_of_reach_has_no_bytes() -> None:
    image = np.full((4, 16, 16), 20_000, np.uint16)
    item = BenchmarkScene("s", "p", "summary", Scene(image))
    row = compare_fixed("rival", lambda n: (n, image + 50), item, Rival(5))
    assert row["bytes_at_equal_psnr16"] is None


@pytest.mark.usefixtures("few_sizes", "one_round")
def test_the_table_ranks_what_is_left_out(
    monkeypatch: pytest.MonkeyPatch, training: list[Tiles], tiles: Scene
) -> None:
    monkeypatch.setattr(families, "TRELLISES", families.TRELLISES[:2])
    monkeypatch.setattr(ablation, "training_tiles", lambda *_: training)
    monkeypatch.setattr(ablation, "RATIOS", (6, 10, 20.48))
    monkeypatch.setattr(changes, "OCTAVES", range(5, 10))
    monkeypatch.setattr(ablation, "fixed_rivals", lambda _: ["corsa-2level-1024"])
    items = [BenchmarkScene("one", "here", "patches", tiles)]
    found = run_ablation(NAME, lambda _: iter(items), None)
    rates = {name: by_group["patches"] for name, by_group in found["bd_rate"].items()}
    assert rates["full"] == 0
    assert rates["contexts_none"] > rates["contexts_same"] > 0
    assert rates["bands_none"] > 5
    assert rates["rounding"] > rates["dead_zone"] > 0
    assert rates["independent"] > rates["dependent_4"]
    assert found["fixed"]["corsa-2level-1024"]["patches"]["our_psnr16"] > 50
    text = ablation_text(found)
    assert "no AC contexts" in text
    assert "corsa-2level-1024" in text
    assert all(len(line) <= 100 for line in text.splitlines())


def test_a_bundle_of_one_rate_has_no_parts_to_measure() -> None:
    with pytest.raises(UsageError, match="variable rate"):
        run_ablation("corsa-2level-1024", lambda _: iter(()), None)
