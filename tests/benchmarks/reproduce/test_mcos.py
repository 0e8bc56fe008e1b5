"""Table 2 of the paper on fixed quality: what is measured, beside what was published."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.reproduce.mcos import scenes as kinds
from benchmarks.reproduce.mcos import table2
from benchmarks.reproduce.mcos.accuracy import measured, seam
from benchmarks.reproduce.mcos.bound import Ladder, ladders_of, least_percent
from ground.scenes.procedural import procedural
from onboard.bundle import load
from onboard.encoder import Encoder, Options


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


def test_blocks_of_one_quality_cost_what_unequal_slopes_do() -> None:
    """Of two blocks the error halves for a bit of the one, for three bits of the other."""
    error = 2.0 ** np.arange(8)
    shape = 8, 1, 1, 2
    errors = np.stack([error, 16 * error], axis=1).reshape(shape)
    bits = np.stack([100 - np.arange(8), 200 - 3 * np.arange(8)], axis=1).reshape(shape)
    found = Ladder(bits.astype(float), errors, np.full((1, 1, 2), 16.0))
    assert found.at_goals() == pytest.approx((96 + 200, 16 + 16))
    # With one step: errors of 17 and 34 at the first two codes, 300 and 296 bits.
    alike = np.exp(np.interp(np.log(32), np.log([17, 34]), np.log([300, 296])))
    assert alike < 296.5
    assert least_percent([found]) == pytest.approx(100 * (296 / alike - 1))
    assert least_percent([found, found]) == pytest.approx(least_percent([found]))
    between = replace(found, goals=np.full((1, 1, 2), 24.0))  # half way, but for the logarithm
    assert between.at_goals()[0] == pytest.approx(296 - 4 * np.log2(1.5))
    flat = replace(found, goals=np.full((1, 1, 2), 1e9))  # no step makes as large an error
    assert flat.at_goals() == pytest.approx((93 + 179, 128 + 2048))
    whole = Ladder(
        bits.reshape(8, 1, 1, 2).repeat(2, 2), errors.repeat(2, 2), found.goals.repeat(2, 1)
    )
    assert whole.of_blocks(2).bits[0].tolist() == [[[600.0]]]


def test_code_lengths_of_blocks_are_those_of_the_stream() -> None:
    """At a step for all, so that what blocks take adds up to the bytes less their envelopes."""
    scene = procedural(3, 128, 128, nodata=False)
    (ladder,) = ladders_of(Encoder(load("skybook"), "numpy"), scene, Options(), 60.0)
    assert ladder.bits.shape[1:] == (4, 4, 4)
    assert (np.diff(ladder.bits.sum(axis=(1, 2, 3))) < 0).all()
    assert (np.diff(ladder.errors.sum(axis=(1, 2, 3))) > 0).all()
    stream = b"".join(
        Encoder(load("skybook"), "numpy").encode(scene.image, options=Options(psnr=60))
    )
    at = np.abs(np.log(ladder.errors.sum(axis=(1, 2, 3)) / ladder.goals.sum())).argmin()
    assert ladder.bits[at].sum() / 8 == pytest.approx(len(stream), rel=0.1)


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
        assert 0 < found["skybook"][f"block{side}"]["least_percent"] < 10
    assert abs(found["skybook"]["global"]["mean_db"]) < 0.3
