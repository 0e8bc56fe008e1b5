"""Quantizers: whatever a codebook is made of, the nearest codeword is sent, and it follows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from export.corsa.bundle import quantised_levels
from ground.train.corsa.model import VqvaeFpn
from ground.train.corsa.quantizers.composed import ProductQuantizer, ResidualQuantizer, shares
from ground.train.corsa.quantizers.kinds import COMPOSED, FREE, KINDS
from ground.train.corsa.recipe import Recipe
from ground.train.recipe import find_recipe
from onboard.codec.corsa.quantizer import UNITS_PER_LATENT, quantise
from onboard.errors import UsageError
from tests.networks import TWO_LEVELS, network, tiles

DIMS, SIZE = 6, 64


def latents(seed: int, count: int = 4) -> torch.Tensor:
    """Latents (count, DIMS, 16, 16) of which some dimensions hold more than others, all mixed."""
    rng = np.random.default_rng(seed)
    mixed = np.linalg.qr(rng.normal(size=(DIMS, DIMS)))[0] * np.geomspace(8, 1, DIMS)[:, None]
    vectors = rng.laplace(size=(count, 16, 16, DIMS)) @ mixed
    return torch.from_numpy(vectors.transpose(0, 3, 1, 2)).float()


@pytest.fixture(params=list(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def error(quantizer: torch.nn.Module, given: torch.Tensor) -> float:
    return float((quantizer.eval()(given).codewords - given).square().mean())


def test_what_is_sent_is_the_nearest_codeword(kind: str) -> None:
    torch.manual_seed(0)
    given = latents(1)
    quantizer = KINDS[kind](SIZE, DIMS, 2)
    quantizer.start(given)
    table = quantizer.table()
    assert table.shape == (SIZE, DIMS)
    assert len(table.unique(dim=0)) == SIZE
    made = quantizer.eval()(given)
    vectors = given.permute(0, 2, 3, 1)
    least = torch.cdist(vectors.reshape(-1, DIMS).double(), table.double()).min(1).values.float()
    assert torch.allclose((vectors - table[made.indices]).norm(dim=3).flatten(), least, atol=1e-3)
    assert torch.equal(made.codewords, table[made.indices].permute(0, 3, 1, 2))
    # Most of what latents hold is kept, but for their length where only a direction is sent.
    assert error(quantizer, given) < (0.6 if kind == "sphere" else 0.3) * given.square().mean()


def test_free_codewords_are_best_and_directions_worst(kind: str) -> None:
    torch.manual_seed(0)
    given = latents(1, 16)
    found = {}
    for name in (FREE, kind, "sphere"):
        quantizer = KINDS[name](SIZE, DIMS, 2)
        quantizer.start(given)
        found[name] = error(quantizer, given)
    assert found[FREE] <= found[kind] <= found["sphere"]


def test_codewords_follow_what_chooses_them(kind: str) -> None:
    """Latents turn to others: books go after them, the grid of `scalar` stays where it is."""
    torch.manual_seed(0)
    quantizer = KINDS[kind](SIZE, DIMS, 2)
    quantizer.start(latents(1))
    for module in quantizer.modules():
        if hasattr(module, "decay"):
            module.decay = 0.7
    before, given = quantizer.table().clone(), latents(2)
    stale = error(quantizer, given)
    quantizer.train()
    for _ in range(30):
        quantizer(given)
    if kind == "scalar":
        assert torch.equal(quantizer.table(), before)
    else:
        assert error(quantizer, given) < 0.95 * stale
    assert 1 < quantizer.perplexity() <= SIZE


def test_parts_of_composed_codewords() -> None:
    torch.manual_seed(0)
    product, total = ProductQuantizer(32, DIMS, 2), ResidualQuantizer(32, DIMS, 2)
    for quantizer in (product, total):
        quantizer.start(latents(1))
    assert [book.size for book in product.books] == [8, 4]
    assert torch.allclose(product.axes @ product.axes.T, torch.eye(DIMS), atol=1e-5)
    first, second = (book.table() for book in product.books)
    wanted = torch.cat([first[5], second[3]]) @ product.axes
    assert torch.allclose(product.table()[5 * 4 + 3], wanted)
    first, second = (book.table() for book in total.books)
    assert torch.allclose(total.table()[5 * 4 + 3], first[5] + second[3])


def test_axes_are_dealt_so_that_books_have_as_much_to_say() -> None:
    torch.manual_seed(0)
    quantizer = ProductQuantizer(SIZE, DIMS, 2)
    given = latents(1, 16)
    quantizer.start(given)
    along = given.permute(0, 2, 3, 1).reshape(-1, DIMS) @ quantizer.axes.T
    power = along.square().mean(0).log2().reshape(2, -1).sum(1)
    assert abs(float(power[0] - power[1])) < 2


def test_directions_have_one_length_in_each_book() -> None:
    torch.manual_seed(0)
    quantizer = KINDS["sphere"](SIZE, DIMS, 2)
    quantizer.start(latents(1))
    lengths = quantizer.table().norm(dim=1)
    assert float(lengths.max() - lengths.min()) < 1e-4 * float(lengths.mean())
    given = latents(2)
    told = quantizer.eval()(given).indices
    assert torch.equal(quantizer(3 * given).indices, told)  # how far they reach is not sent


def test_shares() -> None:
    assert shares(10, 4) == [3, 3, 2, 2]
    assert shares(4, 4) == [1, 1, 1, 1]


def test_more_codewords_than_there_are_vectors(kind: str) -> None:
    torch.manual_seed(0)
    quantizer = KINDS[kind](1024, DIMS, 2)
    few = latents(1, 1)
    quantizer.start(few)
    assert error(quantizer, few) < few.square().mean()


def test_on_board_the_same_indices_are_chosen(kind: str) -> None:
    """Codewords in integers, levels in a closed loop: as the network was trained."""
    torch.manual_seed(0)
    model = network(replace(TWO_LEVELS, quantizer=kind))
    samples = torch.from_numpy(tiles(TWO_LEVELS, 6)).float() / 16
    with torch.no_grad():
        model.quantise(model.encoder(samples), start=range(2))
        found = model.encoder(samples)
        scales = [float(level.abs().max()) / 127 for level in found]
        whole = [torch.round(a / scale) for a, scale in zip(found, scales, strict=True)]
        parts = [a * scale for a, scale in zip(whole, scales, strict=True)]
        wanted = [made.indices.numpy() for made in model.quantise(parts)]
    levels = quantised_levels(model, scales[::-1])
    assert UNITS_PER_LATENT == 2
    for tile in range(len(samples)):
        maps = quantise(levels, [a[tile].numpy().astype(np.int8) for a in reversed(whole)])
        for chosen, level in zip(maps, reversed(wanted), strict=True):
            assert (chosen == level[tile]).mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quantizer": "lattice"}, "expected one of vq, product, residual, sphere, scalar"),
        ({"quantizer": "scalar", "codewords": (1000,)}, "expected a power of two for .* scalar"),
        ({"quantizer": "product", "books": 12}, "expected one for each .* 16 dims and 1024"),
        ({"quantizer": "residual", "codewords": (2,)}, "expected one for each .* and 2 codewords"),
    ],
)
def test_recipes_that_no_quantizer_has(changes: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Recipe.read(find_recipe("corsa-2level"), **changes)


def test_recipes_name_the_kind_or_leave_it_out(tmp_path: Path) -> None:
    text = find_recipe("corsa-2level").read_text()
    (tmp_path / "x.toml").write_text(text + '\nquantizer = "residual"\nbooks = 3\n')
    recipe = Recipe.read(tmp_path / "x.toml")
    assert (recipe.quantizer, recipe.books) == ("residual", 3)
    assert Recipe.read(find_recipe("corsa-2level")).quantizer == FREE
    for kind in COMPOSED:
        model = VqvaeFpn(replace(TWO_LEVELS, quantizer=kind))
        assert len(model.quantizer(0).books) == 2
