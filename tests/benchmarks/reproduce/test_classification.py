"""Classification of tiles: labels that balance, heads that learn, encoders trained or not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.__main__ import main
from benchmarks.reproduce import classificationtables
from benchmarks.reproduce.classification import backbone, dino
from benchmarks.reproduce.classification.ahead import ahead
from benchmarks.reproduce.classification.head import rightly
from benchmarks.reproduce.classification.samples import (
    SIDE,
    Tiles,
    _balanced,
    _contrasted,
    labelled,
)
from benchmarks.reproduce.classification.streams import Streamed
from benchmarks.reproduce.classificationtables import Effort
from benchmarks.reproduce.segmentation.tasks import Sample
from onboard.errors import UsageError

LITTLE = Effort(
    tiles=2,
    rounds=2,
    epochs=1,
    steps=1,
    head=2,
    whole=1,
    dino=1,
    timed=8,
    depths=(8, 8),
    codewords=8,
    patches=4,
)
SHAPE = backbone.architecture(4, 32, (8, 8), 8)


def test_labels_balance() -> None:
    """Of two scenes of 2 x 2 tiles: three show it, one too little of it, three none."""
    samples = []
    for number in range(2):
        image = np.full((4, 2 * SIDE, 2 * SIDE + 5), number, np.uint16)
        samples.append(
            Sample(f"s{number}", f"p{number}", image, np.zeros(image.shape[1:], np.uint8))
        )
    samples[0].mask[:SIDE] = 1  # two tiles
    samples[0].mask[SIDE, 0] = 1  # one pixel: neither
    samples[1].mask[SIDE:, :SIDE] = 1
    samples[1].mask[:SIDE, SIDE:] = 255  # not known
    tiles = _balanced("x", samples, most=9)
    assert tiles.labels.tolist() == [False] * 3 + [True] * 3
    assert tiles.boxes.tolist() == [
        [0, 1, 1], [1, 0, 0], [1, 1, 1], [0, 0, 0], [0, 0, 1], [1, 1, 0],
    ]  # fmt: skip
    assert tiles.places[:3] == ["p0 1", "p1 0", "p1 1"]
    assert tiles.sites[:3] == ["p0", "p1", "p1"]
    assert tiles.mixed == 2
    assert tiles.cut(tiles.scenes)[1].tolist() == np.full((4, SIDE, SIDE), 1).tolist()
    assert len(_balanced("x", samples, most=1).labels) == 2


def test_of_each_site_as_many_show_more_as_less() -> None:
    """Of four tiles of a site the outermost pair first; of one with little between them, none."""
    shares = {"a": (0.5, 0.9, 0.1, 0.3), "b": (0.2, 0.2, 0.25, 0.2), "c": (0, 0.5, 0, 1)}
    samples = []
    for site, of_tiles in shares.items():
        mask = np.zeros((SIDE, 4 * SIDE), np.uint8)
        for number, share in enumerate(of_tiles):
            mask[: round(share * SIDE), number * SIDE : (number + 1) * SIDE] = 1
        samples.append(Sample(site, site, np.zeros((4, *mask.shape), np.uint16), mask))
    tiles = _contrasted("x", samples, most=9)
    # Of c nothing is told from nothing: 0 and 1, 0 and 0.5.
    assert tiles.boxes[:, 2].tolist() == [2, 3, 0, 2, 1, 0, 3, 1]
    assert tiles.labels.tolist() == [False] * 4 + [True] * 4
    assert tiles.sites == tiles.places == ["a", "a", "c", "c"] * 2
    assert tiles.mixed == 2
    few = _contrasted("x", samples, most=3)
    assert few.boxes[:, 2].tolist() == [2, 0, 1, 3]


def test_what_the_site_tells_is_no_gain() -> None:
    """Features that tell the label, beside encoders of tiles that are all alike."""
    labels = np.arange(12) % 2 == 1
    sites = [f"s{n // 4}" for n in range(12)]
    scene = np.zeros((4, SIDE, 12 * SIDE), np.uint16)
    boxes = np.array([(0, 0, n) for n in range(12)])
    tiles = Tiles("x", [scene], boxes, labels, sites, sites)
    features = np.float32(4) * labels[:, None] + np.zeros((12, 3), np.float32)
    shape = backbone.architecture(4, SIDE, (8, 8), 8)
    streams = Streamed(features, tiles.cut([scene]), 1.0)
    told = ahead(tiles, streams, shape, steps=8)
    assert told.ours == 1
    assert told.theirs == 0.5
    assert (told.low, told.high) == pytest.approx(
        (0.5, 0.5)
    )  # in whatever sites, of which each has as many of both


def test_without_data_one_task_is_drawn() -> None:
    (tiles,) = labelled(None, 4, print)
    assert tiles.task == "vegetation"
    assert tiles.labels.sum() == 4
    assert len(tiles.labels) == 8
    assert len(set(tiles.places)) > 1


def test_no_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected tiles of a task"):
        labelled(tmp_path, 4, lambda _text: None)


def test_a_head_learns_what_holds_elsewhere() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(48) % 2 == 1
    inputs = rng.normal(size=(48, 5)).astype(np.float32)
    places = [f"p{n // 4}" for n in range(48)]
    told = inputs + np.float32(4) * labels[:, None]
    told[::7, 2] = np.nan  # what did not arrive is the mean
    assert rightly(told, labels, places, steps=25, seed=1).mean() > 0.9
    # What only tells places apart is of no use for others.
    of_place = np.eye(12, dtype=np.float32)[np.arange(48) // 4]
    chance = rightly(of_place, np.arange(48) // 4 % 2 == 1, places, steps=10, seed=1)
    assert chance.mean() < 0.8


def test_a_random_encoder_has_no_linear_path() -> None:
    model, again = (backbone.random_model(SHAPE, 3) for _ in range(2))
    samples = torch.randn(6, 4, 32, 32)
    tops = [m.encoder(samples)[-1] for m in (model, again)]
    assert torch.equal(*tops)
    assert tops[0].std() > 0
    backbone.start_codebooks(model, samples)
    before = float((backbone.decoded(model, samples) - samples).square().mean())
    backbone.reconstruct(model, samples, 40, seed=1)
    after = float((backbone.decoded(model, samples) - samples).square().mean())
    assert after < before
    for layer in (*model.encoder.skips, *model.predictions, *model.decoder.linear):
        assert not any(bool(p.any()) for p in layer.parameters())
    found = backbone.pooled_features(model, samples)
    assert found["latents"].shape == found["quantised"].shape == (6, 16)
    assert found["indices"].shape == (6, 8)
    assert found["indices"].sum(axis=1) == pytest.approx(1)
    codebook = model.quantizer(1).table().numpy()
    assert found["quantised"] == pytest.approx(found["indices"] @ codebook, abs=1e-4)


def test_dino_teaches_the_encoder_alone() -> None:
    shape = backbone.architecture(4, SIDE, (8, 8), 8)
    model, before = (backbone.random_model(shape, 3) for _ in range(2))
    losses = dino.pretrain(model, torch.randn(8, 4, SIDE, SIDE), steps=3, seed=1)
    assert np.isfinite(losses).all()
    samples = torch.randn(2, 4, SIDE, SIDE)
    assert not torch.equal(model.encoder(samples)[-1], before.encoder(samples)[-1])
    for mine, other in zip(model.decoder.parameters(), before.decoder.parameters(), strict=True):
        assert torch.equal(mine, other)


@pytest.mark.parametrize(
    ("name", "some"),
    [
        ("corsa-fig4", {"end-to-end", "latents/0", "indices/1", "decoded/1", "skybook features"}),
        ("corsa-fig5", {"random/latents/0", "dino/quantised/1"}),
    ],
)
def test_tables(
    name: str,
    some: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(classificationtables, "QUICK", LITTLE)
    assert main(["reproduce", name, "--quick", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)[name]
    assert some <= document.keys()
    for codec in some:
        assert 0 <= document[codec]["vegetation"] <= 1
    if name == "corsa-fig4":
        ours = document["skybook features"]
        assert ours["bytes"] > 0
        assert ours["gain"] == pytest.approx(document["decoded"]["ms"] / ours["ms"])
    assert document["latents/0" if name == "corsa-fig4" else "dino/latents/0"]["ssim"] <= 1


def test_features_beside_random_encoders(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(classificationtables, "QUICK", LITTLE)
    assert main(["reproduce", "features", "--quick", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)["features"]
    for name in ("vegetation", "vegetation within sites"):
        row = document[name]
        assert (
            row["ahead_low"] - 1e-9 <= row["features"] - row["random"] <= row["ahead_high"] + 1e-9
        )
    assert row["tiles"] == 4
    assert row["mixed"] == row["sites"] == 2
