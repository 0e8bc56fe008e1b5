"""The refinement network in compiled code: what onnxruntime makes of the same graph."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.decode.decoder import DECODERS, Decoder
from ground.decode.graphs import graph as graphs
from ground.decode.graphs.compiled import ALIGNED_CELLS, CompiledGraph
from ground.decode.graphs.graph import FloatSession, open_float_session
from ground.decode.lapped.canvas import Canvas
from ground.decode.lapped.refinement import refine
from ground.decode.rebuilder import Network
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.codec.lapped.codec import LappedCodec
from onboard.encoder import Encoder, Options
from onboard.engine.library import Library
from onboard.errors import BundleError, EngineError
from onboard.image.tiles import TileGrid

CELL = 4
MODEL = (DECODERS / "skybook.onnx").read_bytes()
Real = NDArray[np.float32]


@pytest.fixture(scope="module")
def library(engine_c: Path) -> Library:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKYBOOK_ENGINES", str(engine_c))
        found = LappedCodec.of(bundles.load("skybook").codec).compiled(needed=True)
    assert found
    if not found.size("refines"):
        pytest.skip("vectors of this processor are too short")
    return found


@pytest.fixture
def compiled(library: Library) -> CompiledGraph:
    found = CompiledGraph.of(MODEL, library)
    assert found
    return found


@pytest.fixture(scope="module")
def session() -> FloatSession:
    return open_float_session(MODEL)


def maps(rows: int, cols: int, seed: int = 1) -> list[Real]:
    """Image, step, known and border of so many cells, all of them at random."""
    rng = np.random.default_rng(seed)
    image = procedural(seed, CELL * rows, CELL * cols, nodata=False).image + rng.normal(0, 30)
    step = np.exp(rng.uniform(-1, 7, (1, 1, rows, cols)))
    known = rng.uniform(0, 1, step.shape)
    border = rng.integers(-1, 2, (1, 2, rows, cols))
    return [part.astype(np.float32) for part in (image[None], step, known, border)]


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (2, 1), (1, 7), (3, 5), (13, 60), (16, 25)])
def test_numbers_are_those_of_onnxruntime(
    compiled: CompiledGraph, session: FloatSession, rows: int, cols: int
) -> None:
    given = maps(rows, cols)
    found, expected = compiled.run(given), session.run(given)
    step = given[1].repeat(CELL, 2).repeat(CELL, 3)
    assert np.abs((expected - given[0]) / step).max() > 0.05
    assert np.abs((found - expected) / (step + np.abs(expected) * 1e-3)).max() < 5e-4


def test_a_cell_is_the_same_in_each_part(compiled: CompiledGraph) -> None:
    given, halo = maps(40, 64), 12
    whole = compiled.run(given)
    for row, col in ((0, 8), (6, 2), (10, 24)):
        assert row % ALIGNED_CELLS == col % ALIGNED_CELLS == 0
        image = given[0][:, :, CELL * row :, CELL * col :]
        part = compiled.run([image, *(cells[:, :, row:, col:] for cells in given[1:])])
        top, left = (CELL * halo if first else 0 for first in (row, col))
        inner = whole[:, :, CELL * row + top :, CELL * col + left :]
        assert np.array_equal(part[:, :, top:, left:], inner)


@pytest.mark.parametrize("turned", [np.s_[..., ::-1, :], np.s_[..., ::-1]])
def test_mirrored_maps_are_those_of_another_order(compiled: CompiledGraph, turned: Any) -> None:
    given = [part[turned] for part in maps(6, 10)]
    assert np.array_equal(compiled.run(given), compiled.run([part.copy() for part in given]))
    swapped = [part.swapaxes(2, 3) for part in given]
    assert np.array_equal(compiled.run(swapped), compiled.run([part.copy() for part in swapped]))


def test_what_was_made_before_does_not_matter(compiled: CompiledGraph) -> None:
    small, large = maps(5, 9), maps(12, 31)
    first, second = compiled.run(small), compiled.run(large)
    assert np.array_equal(compiled.run(small), first)
    assert np.array_equal(compiled.run(large), second)


def test_pixels_do_not_depend_on_threads(compiled: CompiledGraph) -> None:
    image = procedural(4, 64, 1_300, nodata=False).image
    canvas = Canvas.blank(TileGrid(1_300, 64, 64), range(1), len(image))
    canvas.image[:] = image
    canvas.step[:], canvas.known[:] = 50, 1
    found = [np.empty_like(canvas.image) for _ in range(2)]
    for threads, refined in enumerate(found, 1):

        def put(rows: slice, cols: slice, part: Real, refined: Real = refined) -> None:
            refined[:, rows, cols] = part

        with ThreadPoolExecutor(threads) as pool:
            refine(canvas, range(64), pool, Network(compiled, 43, threads), put)
    assert np.array_equal(*found)


def test_graphs_of_another_form_are_left_to_onnxruntime(library: Library) -> None:
    pool = b"/AveragePool_output_0"
    assert pool in MODEL
    assert CompiledGraph.of(MODEL.replace(pool, pool[:-1] + b"1"), library) is None
    assert CompiledGraph.of((DECODERS / "corsa-2level-1024.onnx").read_bytes(), library) is None
    for length in (0, 1, 1_000, len(MODEL) // 2, len(MODEL) - 1):
        assert CompiledGraph.of(MODEL[:length], library) is None


def test_other_maps_are_refused(compiled: CompiledGraph) -> None:
    given = maps(4, 6)
    for wrong in (given[:3], [given[0][:, :2], *given[1:]], [given[0], *maps(4, 7)[1:]]):
        with pytest.raises(BundleError, match="expected maps"):
            compiled.run(wrong)


def test_decoding_needs_no_onnxruntime_then(
    library: Library, engine_c: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYBOOK_ENGINES", "no library is here")
    image = procedural(6, 70, 140).image
    stream = b"".join(Encoder(bundles.load("skybook")).encode(image, None, Options(ratio=8.0)))
    expected = Decoder(bundles.find("skybook")).decode(stream).scene.image.astype(int)

    def missing(_engine: str) -> None:
        raise EngineError("not installed")

    monkeypatch.setattr(graphs, "import_engine", missing)
    with pytest.raises(EngineError):
        Decoder(bundles.find("skybook"))
    monkeypatch.setenv("SKYBOOK_ENGINES", str(engine_c))
    found = Decoder(bundles.find("skybook")).decode(stream).scene.image.astype(int)
    assert np.abs(found - expected).max() <= 1
    assert np.count_nonzero(found != expected) < found.size / 1_000
