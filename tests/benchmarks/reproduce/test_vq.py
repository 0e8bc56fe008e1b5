"""Quantizers at equal bytes, and discriminators: tiny networks, and what is said of them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.reproduce import vqtables
from benchmarks.reproduce.vq.adversary import Discriminator, adaptive, hinge, went_on
from benchmarks.reproduce.vq.critic import told_apart
from benchmarks.reproduce.vq.networks import recipe, trained
from benchmarks.reproduce.vq.scores import decoded, patch_bytes, quality, scores, usage
from benchmarks.reproduce.vq.setting import FULL, QUICK, WHERE, patches
from benchmarks.reproduce.vq.study import recipes
from ground.train.corsa.quantizers.kinds import KINDS
from ground.train.corsa.tiles import TileSet

LITTLE = replace(
    QUICK,
    side=16,
    training=8,
    test=2,
    start=8,
    steps=1,
    batch=2,
    depths=(4, 4),
    sizes=(16,),
    wide=(4, 8),
    dims=4,
    codewords=16,
    adversary=1,
    weights=(0.0, 0.5),
    critic=1,
)


def test_without_data_two_halves_of_one_scene() -> None:
    given = patches(None, replace(LITTLE, test=99, training=999))
    assert {place for place, _ in given.test} == {WHERE}
    assert given.training[0].shape == (4, 16, 16)
    seen = {patch.tobytes() for patch in given.training}
    assert not any(patch.tobytes() in seen for _, patch in given.test)


@pytest.mark.parametrize("effort", [QUICK, FULL])
def test_all_kinds_of_a_size_take_equal_bytes(effort: "vqtables.Effort") -> None:
    found = dict(recipes(effort))
    for size in effort.sizes:
        sizes = {patch_bytes(found[f"{kind}/{size}"]) for kind in KINDS}
        bits = size.bit_length() - 1
        assert sizes == {(32**2 + 16**2) * bits // 8}
    assert {f"sphere-dims/{dims}" for dims in effort.wide} <= found.keys()


def test_usage_counts_what_test_patches_chose() -> None:
    settings = recipe(LITTLE, "vq", 16, 4)
    given = patches(None, LITTLE)
    model = trained(settings, given, 8, lambda _text: None)
    fine = torch.tensor([3] * 6 + [5] * 6)
    found = usage(model, [fine, torch.arange(16)])
    assert found["used.fine"] == pytest.approx(2 / 12)
    assert found["perplexity.fine"] == pytest.approx(2)
    assert found["used.coarse"] == 1
    assert found["perplexity.coarse"] == pytest.approx(16)


def test_detail_tells_smooth_from_sharp() -> None:
    rng = np.random.default_rng(1)
    patch = rng.integers(100, 4_000, (4, 32, 32)).astype(np.uint16)
    smooth = (patch // 2 + np.roll(patch, 1, 2) // 2).astype(np.uint16)
    same, other = (quality([("p", patch)], [image]) for image in (patch, smooth))
    assert (same["detail"], same["angle"], same["histogram.B08"]) == (1, 0, 0)
    assert other["detail"] is not None
    assert other["detail"] < 0.8
    assert min(other[row] or 0 for row in ("angle", "ndvi", "histogram.B02")) > 0


def test_decoded_patches_are_those_of_the_network() -> None:
    """The mean of each band comes back, whatever an untrained network makes."""
    settings = recipe(LITTLE, "scalar", 16, 4)
    given = patches(None, LITTLE)
    model = trained(settings, given, 8, lambda _text: None)
    originals = np.stack([patch for _, patch in given.test])
    images, indices = decoded(model, settings, originals)
    assert images.shape == originals.shape
    assert [len(level) for level in indices] == [2 * 64, 2 * 16]
    assert np.abs(images.mean((2, 3)) - originals.mean((2, 3))).max() < 0.1 * originals.mean()
    assert scores(model, settings, given.test)["bytes"] == (64 + 16) * 4 / 8


def test_a_hinge_is_flat_where_it_is_sure() -> None:
    sure = torch.full((4, 1, 3, 3), 2.0)
    assert hinge(sure, -sure) == 0
    assert hinge(-sure, sure) == 3
    assert hinge(torch.zeros(1), torch.zeros(1)) == 1


def test_both_gradients_are_as_large_at_the_last_weights() -> None:
    last = torch.tensor([2.0, 1.0], requires_grad=True)
    weight = adaptive((3 * last).sum(), (0.5 * last).sum(), last)
    assert float(weight) == pytest.approx(6, rel=1e-3)
    assert not weight.requires_grad


def test_an_adversary_changes_what_is_learned_and_spares_the_start() -> None:
    settings = recipe(LITTLE, "vq", 16, 4)
    given = patches(None, LITTLE)
    start = trained(settings, given, 8, lambda _text: None)
    before = {key: value.clone() for key, value in start.state_dict().items()}
    tiles = TileSet.of(np.stack(given.training), settings)
    with_it, without, again = (
        went_on(start, settings, tiles, 3, weight, lambda _step: None) for weight in (0.8, 0, 0)
    )
    assert all(torch.equal(before[key], value) for key, value in start.state_dict().items())
    last = "decoder.up.weight"
    assert torch.equal(without.state_dict()[last], again.state_dict()[last])
    assert not torch.equal(with_it.state_dict()[last], without.state_dict()[last])
    assert not torch.equal(before[last], without.state_dict()[last])


def test_a_critic_tells_noise_and_nothing_from_nothing() -> None:
    torch.manual_seed(0)
    smooth = torch.randn(24, 2, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3)
    rough = smooth + torch.randn_like(smooth)
    parts = [(part[:16], part[16:]) for part in (smooth, rough)]
    training, test = zip(*parts, strict=True)
    assert told_apart(training, test, 40) > 0.9
    assert told_apart((parts[0][0],) * 2, (parts[0][1],) * 2, 5) == 0.5
    assert Discriminator(4)(torch.zeros(2, 4, 64, 64)).shape == (2, 1, 15, 15)


def test_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(vqtables, "QUICK", LITTLE)
    assert main(["reproduce", "vq-study", "discriminator", "--quick", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    study, adversary = document["vq-study"], document["discriminator"]
    for kind in KINDS:
        figures = study[f"{kind}/16"]
        assert figures["bytes"] == 40
        assert 0 < figures["used"]["fine"] <= 1
        assert 1 <= figures["perplexity"]["coarse"] <= 16
        assert set(figures["histogram"]) == {"B02", "B03", "B04", "B08"}
    assert "scalar-dims/8" not in study
    assert study["vq-dims/4"] == study["vq/16"]
    assert study["vq-dims/8"] != study["vq/16"]
    for name in ("before", "without", "weight 0.5"):
        assert 0 <= adversary[name]["told"] <= 1
        assert adversary[name]["psnr"] > 30
