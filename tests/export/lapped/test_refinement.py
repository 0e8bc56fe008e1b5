"""The ONNX file of the refinement network against the torch module."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from export.lapped.graph import refinement_onnx
from ground.decode.decoder import DECODERS
from ground.decode.graphs.graph import open_float_session
from ground.decode.graphs.onnxfile import OnnxFile
from ground.decode.lapped.synthesis import tile_borders
from ground.scenes.procedural import procedural
from ground.train.lapped.model import Refinement

HASH = "ab" * 32


@functools.cache
def network() -> Refinement:
    """Return a network none of whose layers is zero."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = Refinement(bands=4, depth=16, blocks=2).eval()
        nn.init.normal_(made.tail.weight, std=0.05)
        assert made.tail.bias is not None
        nn.init.normal_(made.tail.bias, std=0.05)
    return made


@functools.cache
def packed() -> bytes:
    return refinement_onnx(network(), HASH)


def inputs(rows: int, cols: int, step: float) -> tuple[Tensor, ...]:
    """Return a noisy scene, with another step in each half, and a tenth of its cells not known."""
    rng = np.random.default_rng(5)
    image = procedural(5, rows, cols, nodata=False).image.astype(np.float32)
    image += rng.normal(0, step, image.shape).astype(np.float32)
    cells = rows // 4, cols // 4
    steps = np.full(cells, step, np.float32)
    steps[:, : cells[1] // 2] *= 2
    known = (rng.random(cells) > 0.1).astype(np.float32)
    planes = image, steps[None], known[None], tile_borders(16, 0, cells)
    return tuple(torch.from_numpy(plane[None]) for plane in planes)


@pytest.mark.parametrize(("rows", "cols"), [(88, 100), (64, 132), (4, 20)])
@pytest.mark.parametrize("step", [3.0, 40.0, 900.0])
@torch.no_grad()
def test_the_file_refines_as_the_network_does(rows: int, cols: int, step: float) -> None:
    taken = inputs(rows, cols, step)
    image, expected = taken[0].numpy(), network()(*taken).numpy()
    found = open_float_session(packed()).run([plane.numpy() for plane in taken])
    assert np.abs(expected - image).mean() > 0.02 * step
    np.testing.assert_allclose(found, expected, atol=2e-3 + 1e-4 * step)


@torch.no_grad()
def test_what_is_out_of_reach_changes_nothing() -> None:
    near, far = (list(inputs(160, 160, 40.0)) for _ in range(2))
    reach = network().halo
    far[0] = far[0].clone()
    far[0][..., 80 + reach + 1 :] += 500
    ours, theirs = (network()(*taken)[..., :81] for taken in (near, far))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    far[0][..., 80:100] += 500
    assert not torch.equal(network()(*far)[..., :81], ours)


def test_one_and_two_threads_give_the_same_pixels() -> None:
    taken = [plane.numpy() for plane in inputs(128, 128, 20.0)]
    one, two = (open_float_session(packed(), threads).run(taken) for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_a_network_of_the_usual_size_is_of_the_form_that_compiled_code_knows() -> None:
    made = OnnxFile.read(refinement_onnx(Refinement(bands=4, depth=64, blocks=4), HASH))
    known = OnnxFile.read((DECODERS / "skybook.onnx").read_bytes())
    assert made.nodes == known.nodes
    assert made.weights.keys() == known.weights.keys()


def test_the_file_names_its_model_and_reach_and_nothing_of_this_machine() -> None:
    assert open_float_session(packed()).metadata == {"model_hash": HASH, "radius": "27"}
    assert b".py" not in packed()
    assert refinement_onnx(network(), HASH) == packed()
