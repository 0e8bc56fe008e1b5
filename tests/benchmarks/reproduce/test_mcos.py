"""Table 2 of the paper on fixed quality: what is measured, beside what was published."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.reproduce.mcos import scenes as kinds
from benchmarks.reproduce.mcos import table2
from benchmarks.reproduce.mcos.accuracy import measured, seam


def test_blocks_are_measured_against_the_quality_asked_for() -> None:
    random = np.random.default_rng(1)
    image = random.integers(0, 4_000, (2, 64, 64)).astype(np.uint16)
    image[:, :16, :16] = 7
    found = measured(image, (image + 6).astype(np.uint16), 20 * np.log10(65_535 / 6) - 1, 16)
    assert found.away == pytest.approx(np.ones(16))
    assert found.within.tolist() == [False] + 15 * [True]
    assert (found.mean, found.deviation) == (pytest.approx(1), pytest.approx(0, abs=1e-9))


def test_a_seam_is_told() -> None:
    image = np.zeros((1, 64, 64), np.uint16)
    decoded = image + np.uint16(2)
    assert seam(image, decoded, 16) == 1
    decoded[:, 15::16] = 4
    assert seam(image, decoded, 16) > 1.5


def test_the_table_has_ours_beside_the_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "KINDS", kinds.KINDS[:1])
    monkeypatch.setattr(kinds, "QUICK_SIDE", 128)
    monkeypatch.setattr(table2, "CODERS", {"skybook": table2.CODERS["skybook-plain"]})
    out = tmp_path / "t.json"
    assert main(["reproduce", "mcos-table2", "--quick", "--json", str(out)]) == 0
    found = json.loads(out.read_text())["mcos-table2"]
    assert found["published"]["pleiades"]["block64"]["std_db"] == 2.77
    for side in (64, 32, 16):
        assert abs(found["skybook"][f"block{side}"]["mean_db"]) < 0.3
        assert found["skybook"][f"block{side}"]["std_db"] < 0.8
    assert abs(found["skybook"]["global"]["mean_db"]) < 0.3
