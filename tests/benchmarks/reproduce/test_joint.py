"""A codec and a network of segmentation: each alone, in turn, together."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.__main__ import main
from benchmarks.reproduce import jointtable
from benchmarks.reproduce.segmentation import joint, jointstudy, unet
from benchmarks.reproduce.segmentation.study import Effort
from benchmarks.reproduce.segmentation.tasks import standin

SAMPLES = standin(3, 40)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unet, "CROP", 32)
    monkeypatch.setattr(joint, "BATCH", 2)
    monkeypatch.setattr(jointtable, "QUICK", Effort(1, 1, samples=2, side=40))


def differs(first: nn.Module, second: nn.Module) -> bool:
    pairs = zip(first.parameters(), second.parameters(), strict=True)
    return any(not torch.equal(a, b) for a, b in pairs)


def test_the_loss_of_a_task_reaches_the_codec_together_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = joint.started(SAMPLES, 0)
    turned = joint.trained(pair, SAMPLES, 2, 0, joint.in_turn)
    assert not differs(turned.codec, pair.codec)
    assert differs(turned.network, pair.network)
    alone, both = (
        joint.trained(pair, SAMPLES, 2, 0, loss) for loss in (joint.apart, joint.together)
    )
    assert differs(both.codec, alone.codec)
    # without a weight of the task the codec learns what it learns alone
    monkeypatch.setattr(joint, "WEIGHT", 0.0)
    assert not differs(joint.trained(pair, SAMPLES, 2, 0, joint.together).codec, alone.codec)


def test_ways_have_the_codec_they_say() -> None:
    found = joint.ways(SAMPLES, 1, 0)
    assert list(found) == ["apart", "in-turn", "together"]
    assert not differs(found["in-turn"].codec, found["apart"].codec)
    assert differs(found["together"].codec, found["apart"].codec)


def test_a_decoded_image_is_near_and_of_its_shape() -> None:
    image = SAMPLES[0].image[:, :37, :30]
    decoded, bits = jointstudy.decode(joint.started(SAMPLES, 0).codec, image)
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint16
    assert np.square(decoded - image.astype(float)).mean() < 0.5 * image.var(axis=(1, 2)).mean()
    assert 0 < bits < 8 * image.size


def test_table(tmp_path: Path) -> None:
    results = []
    for name in ("a.json", "b.json"):
        assert main(["reproduce", "joint", "--quick", "--json", str(tmp_path / name)]) == 0
        results.append(json.loads((tmp_path / name).read_text())["joint"])
    ways = ("original", "apart", "in-turn", "together")
    first, again = ([found[way] for way in ways] for found in results)
    assert first == again
    assert "bpppb" not in first[0]
    for row in first[1:]:
        assert row["iou_lost"] == pytest.approx(first[0]["iou"] - row["iou"])
        assert row["gain"] == pytest.approx(row["iou"] - first[2]["iou"])
        assert row["gain_low"] <= row["gain_high"]
        assert 0 < row["bpppb"] < 16
        assert row["psnr"] > 40
    assert first[1]["bpppb"] == first[2]["bpppb"]


def test_a_folder_without_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "joint", "--data", str(tmp_path)]) == 2
    assert "found none" in capsys.readouterr().err
