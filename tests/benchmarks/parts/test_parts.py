"""`benchmarks parts`: what a window and overviews take."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.parts.measure import FULL, Scale, measure, text_of
from benchmarks.scenes import mirrored
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard.errors import UsageError


def test_a_scene_is_mirrored() -> None:
    image = np.arange(6).reshape(1, 2, 3)
    found = mirrored(image, 5)
    assert found.shape == (1, 5, 5)
    assert found[0, 0].tolist() == [0, 1, 2, 2, 1]
    assert found[0, :, 0].tolist() == [0, 3, 3, 0, 0]
    assert mirrored(image, 2).tolist() == [[[0, 1], [3, 4]]]


def test_parts_of_a_small_scene_are_measured(tmp_path: Path) -> None:
    scene = Scene(procedural(3, 100, 100).image[:2].astype(np.uint16))
    found = measure(scene, Scale(512, 1), tmp_path)
    assert found["bytes"] == (tmp_path / "scene.sky").stat().st_size
    decode = found["decode"]
    coarse, fine = decode["overview16"], decode["overview2"]
    assert coarse["bytes_share"] < fine["bytes_share"] <= 1
    assert coarse["layers"] < fine["layers"]
    for step in (2, 4, 8):
        assert decode[f"overview{step}"]["rmse_dn"] < 0.1 * found["deviation_dn"]
    assert "overview16" in text_of(found)
    with pytest.raises(UsageError, match="512 or more"):
        measure(scene, Scale(100, 1), tmp_path)


@pytest.mark.slow
def test_a_granule_is_looked_at_through_a_twentieth_of_its_bytes(tmp_path: Path) -> None:
    decode = measure(spyndex_scene(), Scale(FULL.side, 1), tmp_path)["decode"]
    assert decode["overview16"]["bytes_share"] <= 0.05
    assert decode["window"]["bytes_share"] < 0.01
