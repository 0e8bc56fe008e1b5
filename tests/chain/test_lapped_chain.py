"""The chain with a bundle of variable rate: budgets, errors, losses, engines."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ground import metrics
from ground.decode.decoder import Decoded, Decoder
from ground.decode.mask import Mask
from ground.decode.wanted import Wanted
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.encoder import Encoder, Options
from onboard.errors import BundleError, LimitError, StreamError, UsageError
from onboard.link.end import EndOfScene
from onboard.link.header import SceneHeader
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment
from tests.conftest import Run

LAPPED = "skybook"
FIRST_AC_LAYER = 4


@pytest.fixture(scope="module")
def lapped() -> Bundle:
    return bundles.load(LAPPED)


@pytest.fixture(scope="module")
def coder(lapped: Bundle) -> Encoder:
    return Encoder(lapped)


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(bundles.find(LAPPED))


@pytest.fixture(scope="module")
def crop() -> Scene:
    """Part of the real scene: 2 x 3 tiles, those at the lower and right border cut."""
    return cut(spyndex_scene(), 96, 180)


@pytest.fixture(scope="module")
def pieces(coder: Encoder, crop: Scene) -> list[Segment]:
    """Segments of `crop`, each short, so that a tile has several."""
    return segments(coded(coder, crop, Options(rmse=20.0, segment_bytes=400)))


@pytest.fixture(scope="module")
def whole(decoder: Decoder, pieces: list[Segment]) -> Decoded:
    """`crop` decoded from all of `pieces`."""
    return decoder.decode(joined(pieces))


@pytest.fixture(scope="module")
def small(coder: Encoder) -> list[Segment]:
    """Segments of a scene of one small tile."""
    scene = procedural(1, 24, 30, nodata=False)
    return segments(coded(coder, scene, Options(segment_bytes=128, rmse=30.0)))


def cut(scene: Scene, rows: int, cols: int) -> Scene:
    """Return the upper left corner of a scene, without its place on Earth."""
    return Scene(scene.image[:, :rows, :cols], None, None, None, ())


def coded(coder: Encoder, scene: Scene, options: Options | None = None) -> bytes:
    """Encode a scene in usual tiles, of which a small one has several."""
    header = replace(scene.header(), tile=coder.bundle.tile)
    return b"".join(coder.encode(scene.image, header, options))


def segments(stream: bytes) -> list[Segment]:
    found = list(read_segments(stream))
    assert all(isinstance(s, Segment) for s in found)
    return [s for s in found if isinstance(s, Segment)]


def joined(pieces: list[Segment]) -> bytes:
    return b"".join(piece.pack() for piece in pieces)


def is_tile(segment: Segment, tile: int) -> bool:
    return segment.kind == Kind.TILE and segment.tile == tile


def assert_truthful(part: Decoded, whole: Decoded) -> None:
    """Pixels that the mask calls complete must be those of a reception without loss."""
    assert part.mask.shape == whole.mask.shape
    same = part.mask == Mask.COMPLETE
    difference = part.scene.image[:, same].astype(int) - whole.scene.image[:, same]
    assert np.abs(difference).max(initial=0) <= 1


def test_real_scene_comes_back(coder: Encoder, decoder: Decoder) -> None:
    scene = spyndex_scene()
    stream = coded(coder, scene)
    assert 0.98 * scene.image.nbytes / 20.48 < len(stream) <= scene.image.nbytes / 20.48
    decoded = decoder.decode(stream)
    assert decoded.complete
    assert not decoded.mask.any()
    assert decoded.scene.image.dtype == np.uint16
    assert decoded.scene.crs == scene.crs
    assert metrics.psnr(scene.image, decoded.scene.image, 65_535) > 65


@pytest.mark.parametrize("budget", [3_000, 9_001, 30_000])
def test_a_budget_is_used_and_never_passed(coder: Encoder, crop: Scene, budget: int) -> None:
    stream = coded(coder, crop, Options(budget=budget))
    assert 0.98 * budget <= len(stream) <= budget


@pytest.mark.parametrize("nodata", [False, True])
def test_each_strip_keeps_to_its_share_of_the_budget(coder: Encoder, nodata: bool) -> None:
    scene = procedural(6, 224, 330, nodata=nodata)
    budget = int(scene.image.nbytes / 15)
    found = segments(coded(coder, scene, Options(budget=budget, window="strip")))
    assert 0.97 * budget <= len(joined(found)) <= budget
    columns = -(-330 // coder.bundle.tile)
    # What a strip leaves over the next one may have: never more than the share so far.
    for strips in range(1, 5):
        lines = min(coder.bundle.tile * strips, 224)
        taken = sum(len(s.pack()) for s in found if s.tile // columns < strips and s.kind == 1)
        assert taken <= budget * lines / 224


def test_more_budget_gives_a_better_picture(coder: Encoder, decoder: Decoder, crop: Scene) -> None:
    errors = []
    crop = cut(crop, 96, 120)
    for budget in (2_000, 6_000, 20_000):
        decoded = decoder.decode(coded(coder, crop, Options(budget=budget)))
        errors.append(metrics.rmse(crop.image, decoded.scene.image))
    assert errors[0] > 1.2 * errors[1] > 1.2 * 1.2 * errors[2]


def test_more_budget_than_any_step_needs(coder: Encoder, decoder: Decoder, crop: Scene) -> None:
    stream = coded(coder, cut(crop, 40, 70), Options(budget=10_000_000))
    decoded = decoder.decode(stream)
    assert decoded.complete
    assert metrics.rmse(crop.image[:, :40, :70], decoded.scene.image) < 3


@pytest.mark.parametrize("budget", [0, 1, 150, 300])
def test_a_budget_that_nothing_fits_into(coder: Encoder, crop: Scene, budget: int) -> None:
    with pytest.raises(LimitError, match="budget"):
        coded(coder, crop, Options(budget=budget))


def test_an_impossible_budget_in_the_command(run: Run, tmp_path: Path, crop: Scene) -> None:
    np.save(tmp_path / "a.npy", crop.image)
    command = ("onboard", "encode", "a.npy", "--bundle", LAPPED, "-o", "x.sky")
    done = run(*command, "--bytes", 200)
    assert done.returncode == 6, done.stderr
    assert not (tmp_path / "x.sky").exists()
    done = run(*command, "--bytes", 5_000)
    assert done.returncode == 0, done.stderr
    assert 4_900 <= (tmp_path / "x.sky").stat().st_size <= 5_000


def test_a_rate_that_makes_no_sense() -> None:
    for wrong in (
        {"rmse": 0.0},
        {"rmse": float("nan")},
        {"ratio": 9.0, "budget": 9},
        {"rmse": 9.0, "psnr": 60.0},
    ):
        with pytest.raises(UsageError):
            Options(**wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="window"):
        Options(window="orbit")


@pytest.mark.parametrize("rmse", [8.0, 25.0, 80.0])
def test_an_error_aimed_at_is_met(
    coder: Encoder, decoder: Decoder, crop: Scene, rmse: float
) -> None:
    decoded = decoder.decode(coded(coder, crop, Options(rmse=rmse)))
    assert metrics.rmse(crop.image, decoded.scene.image) == pytest.approx(rmse, rel=0.25)


def test_engines_and_threads_do_not_change_bytes(lapped: Bundle, coder: Encoder) -> None:
    scene = procedural(3, 70, 150)
    expected = coded(coder, scene)
    for engine, threads in (("numpy", 1), ("ort", 1), ("ort", 2), ("litert", 1), ("litert", 2)):
        encoder = Encoder(lapped, engine, threads)
        assert encoder.engine == engine
        assert coded(encoder, scene) == expected, (engine, threads)


def test_threads_do_not_change_pixels(whole: Decoded, pieces: list[Segment]) -> None:
    image = Decoder(bundles.find(LAPPED), 2).decode(joined(pieces)).scene.image
    assert np.array_equal(image, whole.scene.image)


def test_a_tile_hangs_on_its_own_pixels_alone(coder: Encoder, crop: Scene) -> None:
    tile = coder.bundle.tile
    options = Options(rmse=20.0)
    found = segments(coded(coder, crop, options))
    body = next(s.body for s in found if is_tile(s, 1))
    alone = Scene(crop.image[:, :tile, tile : 2 * tile], None, None, None, ())
    code = body[1]
    for rmse in np.geomspace(14, 28, 24):  # one step serves a scene: find that of the whole
        first = segments(coded(coder, alone, Options(rmse=float(rmse))))[1]
        if first.body[1] == code:
            assert first.body == body
            return
    pytest.fail("no step of the tile alone is that of the scene")


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (9, 8), (8, 65), (70, 131)])
def test_small_and_odd_images(coder: Encoder, decoder: Decoder, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(500, 700, (4, *shape)).astype(np.uint16)
    decoded = decoder.decode(b"".join(coder.encode(image, options=Options(rmse=20.0))))
    assert decoded.complete
    assert decoded.scene.image.shape == image.shape
    assert np.abs(decoded.scene.image.astype(int) - image).max() < 200


def test_nodata_is_kept(coder: Encoder, decoder: Decoder) -> None:
    scene = procedural(3, 140, 230)
    nodata = (scene.image == scene.nodata).all(axis=0)
    assert nodata.any()
    stream = coded(coder, scene)
    assert len(stream) <= scene.image.nbytes / 20.48
    decoded = decoder.decode(stream)
    assert decoded.complete
    assert decoded.scene.nodata == scene.nodata
    assert np.array_equal(decoded.mask == Mask.NODATA, nodata)
    assert np.array_equal((decoded.scene.image == scene.nodata).all(axis=0), nodata)
    assert not (decoded.scene.image[:, ~nodata] == scene.nodata).any()


@pytest.mark.parametrize(
    "options",
    [None, Options(rmse=20.0), Options(budget=2_000, window="strip")],
    ids=["default", "rmse", "strip"],
)
def test_all_nodata(coder: Encoder, decoder: Decoder, options: Options | None) -> None:
    image = np.zeros((4, 130, 100), np.uint16)
    stream = coded(coder, Scene(image, 0, None, None, ()), options)
    assert len(stream) < 500
    decoded = decoder.decode(stream)
    assert decoded.complete
    assert (decoded.mask == Mask.NODATA).all()
    assert not decoded.scene.image.any()


def test_a_strip_without_data(coder: Encoder, decoder: Decoder) -> None:
    image = procedural(4, 128, 100, nodata=False).image.copy()
    image[:, :64] = 0
    stream = coded(coder, Scene(image, 0, None, None, ()), Options(budget=8_000, window="strip"))
    decoded = decoder.decode(stream)
    assert decoded.complete
    assert np.array_equal(decoded.mask[:, 0] == Mask.NODATA, np.arange(128) < 64)


def test_samples_stay_in_their_range(coder: Encoder, decoder: Decoder) -> None:
    image = procedural(4, 72, 80, nodata=False).image.astype(np.int16) - 2_000
    decoded = decoder.decode(b"".join(coder.encode(image, options=Options(rmse=30.0))))
    assert decoded.scene.image.dtype == np.int16
    assert (decoded.scene.image < 0).any()
    assert metrics.rmse(image, decoded.scene.image) < 45
    small = (procedural(4, 72, 80, nodata=False).image // 64).astype(np.uint8)
    decoded = decoder.decode(b"".join(coder.encode(small, options=Options(rmse=2.0))))
    assert decoded.scene.image.dtype == np.uint8
    assert metrics.rmse(small, decoded.scene.image) < 3


def test_constant_and_extreme_images(coder: Encoder, decoder: Decoder) -> None:
    for value in (0, 65_535):
        image = np.full((4, 64, 72), value, np.uint16)
        decoded = decoder.decode(b"".join(coder.encode(image)))
        assert decoded.complete
        assert np.abs(decoded.scene.image.astype(int) - value).max() <= 16
    rng = np.random.default_rng(0)
    image = (65_535 * rng.integers(0, 2, (4, 40, 72))).astype(np.uint16)
    for options in (Options(rmse=30.0), Options(budget=10_000_000)):
        decoded = decoder.decode(b"".join(coder.encode(image, options=options)))
        assert decoded.complete
        assert metrics.rmse(image, decoded.scene.image) < 600


def test_decoded_samples_keep_to_the_significant_bits(coder: Encoder, decoder: Decoder) -> None:
    image = np.full((4, 64, 64), 4_095, np.uint16)
    image[:, ::3, ::2] = 0
    header = replace(SceneHeader.of(image), significant_bits=12)
    decoded = decoder.decode(b"".join(coder.encode(image, header)))
    assert decoded.scene.image.max() == 4_095


@pytest.mark.parametrize(
    "options",
    [
        Options(rmse=20.0, segment_bytes=128),
        Options(rmse=20.0, segment_bytes=65_551),
        Options(rmse=20.0, one_layer=True),
        Options(rmse=20.0, one_layer=True, segment_bytes=128),
        Options(rmse=20.0, window="scene", scene_id=7),
    ],
    ids=["short", "long", "one layer", "one layer, short", "scene id"],
)
def test_how_a_scene_is_cut_into_segments_does_not_change_pixels(
    coder: Encoder, decoder: Decoder, crop: Scene, whole: Decoded, options: Options
) -> None:
    header = replace(crop.header(), tile=coder.bundle.tile)
    found = list(coder.encode(crop.image, header, options))
    assert max(map(len, found)) <= options.segment_bytes
    decoded = decoder.decode(b"".join(found))
    assert decoded.complete
    assert np.array_equal(decoded.scene.image, whole.scene.image)
    assert {s.scene_id for s in segments(b"".join(found))} == {options.scene_id}


def test_layers_of_which_nothing_is_coded_have_no_segment(
    coder: Encoder, decoder: Decoder, crop: Scene
) -> None:
    stream = coded(coder, crop, Options(rmse=60.0, one_layer=True))
    layers: dict[int, set[int]] = {}
    for segment in segments(stream):
        if segment.kind == Kind.TILE:
            layers.setdefault(segment.tile, set()).add(segment.layer)
    assert min(map(len, layers.values())) < coder.bundle.codec.layers
    found = decoder.decode(stream)
    assert not found.mask.any()
    backwards = decoder.decode(joined(segments(stream)[::-1]))
    assert backwards.complete
    assert np.array_equal(backwards.scene.image, found.scene.image)
    assert np.array_equal(
        found.scene.image, decoder.decode(coded(coder, crop, Options(rmse=60.0))).scene.image
    )


def test_budget_of_short_segments(coder: Encoder, crop: Scene) -> None:
    for options in (
        Options(budget=9_000, segment_bytes=128),
        Options(budget=9_000, one_layer=True),
    ):
        found = list(coder.encode(crop.image, crop.header(), options))
        assert max(map(len, found)) <= options.segment_bytes
        assert 0.9 * 9_000 < sum(map(len, found)) <= 9_000


def test_scene_header_is_every_64th_segment_and_the_end_counts(coder: Encoder, crop: Scene) -> None:
    found = segments(coded(coder, crop, Options(rmse=20.0, segment_bytes=128)))
    headers = [number for number, s in enumerate(found) if s.kind == Kind.SCENE]
    assert headers == list(range(0, len(found) - 1, 64))
    assert len(headers) > 1
    run = SceneHeader.unpack(found[0].body).run
    rows = crop.image.shape[1]
    assert EndOfScene.unpack(found[-1].body) == EndOfScene(rows, len(found) - 1, run)


def test_losing_any_one_segment(decoder: Decoder, pieces: list[Segment], whole: Decoded) -> None:
    seen: set[tuple[int, ...]] = set()
    for number in range(0, len(pieces) - 1, 9):
        kept = [piece for i, piece in enumerate(pieces) if i != number]
        lost = pieces[number]
        part = decoder.decode(joined(kept), Wanted(width=whole.mask.shape[1]))
        assert_truthful(part, whole)
        assert not part.complete
        if lost.kind == Kind.TILE:
            tile = decoder.bundle.tile
            row, col = divmod(lost.tile, 3)
            marks = part.mask[row * tile, col * tile : (col + 1) * tile]
            assert np.isin(marks, (Mask.FINE_MISSING, Mask.CONCEALED)).all()
            seen.add(tuple(np.unique(marks).tolist()))
    assert seen


def test_losing_many_segments(decoder: Decoder, pieces: list[Segment], whole: Decoded) -> None:
    rng = np.random.default_rng(1)
    for share in (0.1, 0.5, 0.9):
        kept = [p for p in pieces[:-1] if rng.random() > share] + pieces[-1:]
        part = decoder.decode(joined(kept), Wanted(width=whole.mask.shape[1]))
        assert_truthful(part, whole)
        assert not part.complete
        assert part.mask.any()


def test_nothing_but_headers_arrived(decoder: Decoder, pieces: list[Segment]) -> None:
    decoded = decoder.decode(pieces[0].pack() + pieces[-1].pack())
    assert (decoded.mask == Mask.CONCEALED).all()
    assert not decoded.complete


def test_order_and_repetition_do_not_matter(
    decoder: Decoder, pieces: list[Segment], whole: Decoded
) -> None:
    order = np.random.default_rng(0).permutation(len(pieces))
    for changed in ([pieces[i] for i in order], pieces * 2):
        decoded = decoder.decode(joined(changed))
        assert decoded.complete
        assert np.array_equal(decoded.scene.image, whole.scene.image)


def test_stream_without_headers_decodes_when_width_is_given(
    decoder: Decoder, pieces: list[Segment], whole: Decoded
) -> None:
    bare = [piece for piece in pieces if piece.kind == Kind.TILE]
    decoded = decoder.decode(joined(bare), Wanted(width=whole.mask.shape[1]))
    assert not decoded.complete
    assert np.array_equal(decoded.scene.image, whole.scene.image)


def test_fine_layers_lost_are_told_apart_from_a_tile_lost(
    coder: Encoder, decoder: Decoder, crop: Scene, whole: Decoded
) -> None:
    found = segments(coded(coder, crop, Options(rmse=20.0, one_layer=True)))
    tile = decoder.bundle.tile
    original = crop.image[:, :tile, :tile]
    errors = []
    for least, flag in (
        (FIRST_AC_LAYER + 4, Mask.FINE_MISSING),
        (FIRST_AC_LAYER, Mask.FINE_MISSING),
        (1, Mask.CONCEALED),
        (0, Mask.CONCEALED),
    ):
        kept = [s for s in found if not (is_tile(s, 0) and s.layer >= least)]
        assert len(kept) < len(found)
        part = decoder.decode(joined(kept))
        assert set(np.unique(part.mask[:tile, :tile])) == {flag}
        assert_truthful(part, whole)
        errors.append(metrics.rmse(original, part.scene.image[:, :tile, :tile]))
    spread = original.astype(float).std()
    assert errors[0] < errors[1] < errors[2] < 1.2 * spread
    assert errors[1] < spread


def test_a_loss_reaches_no_farther_than_the_ring(
    coder: Encoder, decoder: Decoder, crop: Scene, whole: Decoded
) -> None:
    found = segments(coded(coder, crop, Options(rmse=20.0)))
    part = decoder.decode(joined([s for s in found if not is_tile(s, 0)]))
    tile, reach = decoder.bundle.tile, decoder.bundle.tile + part.halo
    assert (part.mask[:tile, :tile] == Mask.CONCEALED).all()
    assert not part.mask[:, reach:].any()
    assert (part.mask[:tile, tile:reach] == Mask.INFLUENCED).all()
    assert_truthful(part, whole)


def test_segments_that_contradict_each_other(decoder: Decoder, small: list[Segment]) -> None:
    whole = decoder.decode(joined(small))
    head, tile, end = small[0], small[1], small[-1]
    later = next(s for s in small if is_tile(s, 0) and s.layer > 0)
    other_code = tile.body[:1] + bytes([tile.body[1] ^ 8]) + tile.body[2:]
    contradictions = [
        replace(tile, body=other_code),
        replace(tile, body=b"\2"),
        replace(tile, body=b"\7" + tile.body[1:]),
        replace(tile, body=tile.body[:9]),
        replace(tile, body=b""),
        replace(tile, first=3),
        replace(tile, body=tile.body[:-1] + bytes([tile.body[-1] ^ 1])),
        replace(later, body=later.body[:-1] + bytes([later.body[-1] ^ 1])),
        replace(later, body=later.body[:-2]),
        replace(later, body=b""),
        replace(tile, edge=None),
        replace(tile, kind=Kind.MASK, layer=0, body=b"\0\5\5"),
        replace(head, body=SceneHeader("u16", 16, 4, 300, 100).pack()),
        replace(end, body=EndOfScene(999, 3).pack()),
        replace(later, first=60_000, body=b"later"),
    ]
    for number, wrong in enumerate(contradictions):
        decoded = decoder.decode(joined([*small, wrong]))
        assert not decoded.complete, number
        assert decoded.reception.counts["damaged"] == 1, number
        assert np.array_equal(decoded.scene.image, whole.scene.image), number
        assert np.array_equal(decoded.mask, whole.mask), number


def test_nothing_but_side_information_of_a_tile(decoder: Decoder, small: list[Segment]) -> None:
    side = 1 + decoder.bundle.codec.side_bytes
    alone = replace(small[1], body=small[1].body[:side])
    decoded = decoder.decode(joined([small[0], alone, small[-1]]))
    assert (decoded.mask == Mask.CONCEALED).all()
    assert not decoded.complete


def test_fine_steps_in_short_segments(coder: Encoder, decoder: Decoder) -> None:
    """Of noise, little more than the side information fits into the first segment."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 4_000, (4, 40, 40)).astype(np.uint16)
    found = list(coder.encode(image, options=Options(rmse=60.0, segment_bytes=128)))
    assert max(map(len, found)) <= 128
    assert decoder.decode(b"".join(found)).complete


def test_symbols_that_make_no_sense(decoder: Decoder, small: list[Segment]) -> None:
    """A lane of noise in a segment whose CRC is right: a picture, and a word about it."""
    rng = np.random.default_rng(5)
    side = 1 + decoder.bundle.codec.side_bytes
    for number, segment in enumerate(small):
        if segment.kind != Kind.TILE:
            continue
        start = 0 if segment.layer else side
        noise = rng.bytes(len(segment.body) - start)
        broken = replace(segment, body=segment.body[:start] + noise)
        decoded = decoder.decode(joined([*small[:number], broken, *small[number + 1 :]]))
        assert decoded.scene.image.shape == (4, 24, 30)
        assert not decoded.complete
    for code in (0, 255):
        body = bytes([0, code]) + rng.bytes(side - 2 + 60)
        decoded = decoder.decode(joined([small[0], replace(small[1], body=body), small[-1]]))
        assert not decoded.complete


def test_truncation_at_every_byte(decoder: Decoder, small: list[Segment]) -> None:
    stream = joined(small)
    whole = decoder.decode(stream)
    seen = set()
    for length in range(len(stream)):
        kept = tuple(s for s in read_segments(stream[:length]) if isinstance(s, Segment))
        if kept in seen:
            continue  # decoding depends on the intact segments alone
        seen.add(kept)
        try:
            decoded = decoder.decode(stream[:length])
        except (StreamError, BundleError):
            continue
        assert not decoded.complete
        assert_truthful(decoded, whole)
    assert len(seen) == len(small)


def test_a_flipped_bit_costs_one_segment(decoder: Decoder, small: list[Segment]) -> None:
    stream = joined(small)
    whole = decoder.decode(stream)
    seen = set()
    for bit in range(0, 8 * len(stream), 7):
        broken = bytearray(stream)
        broken[bit // 8] ^= 128 >> bit % 8
        kept = tuple(s for s in read_segments(bytes(broken)) if isinstance(s, Segment))
        assert len(kept) == len(small) - 1
        if kept in seen:
            continue
        seen.add(kept)
        decoded = decoder.decode(bytes(broken), Wanted(width=30))
        assert not decoded.complete
        if decoded.mask.shape == whole.mask.shape:
            assert_truthful(decoded, whole)
    assert len(seen) == len(small)


@pytest.mark.parametrize("engine", ["numpy", "ort", "litert"])
def test_selftest_passes_on_every_engine(lapped: Bundle, engine: str) -> None:
    from onboard.bundle.selftest import run_selftest

    report = run_selftest(lapped, engine)
    assert report["passed"]
    assert report["engine"] == engine
    assert report["agreement_percent"] == 100


def test_wrong_input(coder: Encoder) -> None:
    from onboard.errors import InputError

    wrong: list[NDArray[np.generic]] = [np.zeros((1025, 8, 8), np.uint16), np.zeros((4, 8, 8))]
    for image in wrong:
        with pytest.raises(InputError):
            list(coder.encode(image))


@pytest.mark.parametrize("ratio", [6, 20.48])
@pytest.mark.parametrize("window", ["scene", "strip"])
def test_every_tile_comes_back_in_its_place(ratio: float, window: str) -> None:
    image = np.ascontiguousarray(spyndex_scene().image[:, :192, :300])
    stream = b"".join(
        Encoder(bundles.load(LAPPED)).encode(image, None, Options(ratio=ratio, window=window))
    )
    decoded = Decoder(bundles.find(LAPPED)).decode(stream).scene.image
    error = (decoded.astype(np.float64) - image) ** 2
    for first in range(0, 192, 64):
        for left in range(0, 300, 64):
            part = np.s_[:, first : first + 64, left : left + 64]
            assert error[part].mean() < 0.1 * image[part].var()


@pytest.mark.parametrize("top", [4_095, 65_535])
@pytest.mark.parametrize("ratio", [1, 20.48])
def test_a_tile_of_extremes_among_flat_ones(top: int, ratio: float) -> None:
    """All the bits go to one tile, at its finest step: its residuals must still fit."""
    row, col = np.indices((64, 64))
    image = np.zeros((4, 64, 512), np.uint16)
    image[:, :, :64] = np.where((row // 8 + col // 8) % 2, top, 0)
    stream = b"".join(Encoder(bundles.load(LAPPED)).encode(image, None, Options(ratio=ratio)))
    decoded = Decoder(bundles.find(LAPPED)).decode(stream)
    assert decoded.complete
    worst = np.abs(decoded.scene.image.astype(int) - image).max()
    assert worst < top / 35  # 108 of 4095 with the shipped bundle


def test_quality_rises_to_near_lossless_rates() -> None:
    image = np.ascontiguousarray(spyndex_scene().image[:, :128, :128])
    encoder, decoder = Encoder(bundles.load(LAPPED)), Decoder(bundles.find(LAPPED))
    found = []
    for ratio in (6, 4, 3, 2):
        stream = b"".join(encoder.encode(image, None, Options(ratio=ratio)))
        found.append(metrics.psnr(image, decoder.decode(stream).scene.image, 65_535))
    assert np.diff(found).min() > 2
    assert found[-1] > 95


@pytest.mark.parametrize("trellis", [False, True], ids=["plain", "trellis"])
@pytest.mark.parametrize("ratio", [20.48, 40.0])
def test_there_are_no_seams(coder: Encoder, decoder: Decoder, ratio: float, trellis: bool) -> None:
    image = spyndex_scene().image
    options = Options(budget=int(2 * image.size / ratio), trellis=trellis)
    decoded = decoder.decode(b"".join(coder.encode(image, None, options)))
    tile = coder.for_scene(SceneHeader.of(image), options.tiling).bundle.tile
    assert metrics.seam_ratio(image, decoded.scene.image, tile) <= 1.1
