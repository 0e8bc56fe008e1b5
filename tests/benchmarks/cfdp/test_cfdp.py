"""CFDP with cfdp-py as the sender: each transfer ends, with the file right."""

from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.cfdp.measure import measure_cfdp
from benchmarks.cfdp.transfer import Plan
from ground.station.transaction import Transaction

FEW, MANY = range(40), 1_000


def test_transfers_over_lossy_links_and_ending_passes_end() -> None:
    found = measure_cfdp(FEW)
    assert found["transfers"] == len(FEW)
    assert found["stalled"] == found["wrong"] == found["undelivered"] == []
    assert found["several_naks"] > 0
    assert found["ended_processes"] > len(FEW) // 5
    assert list(found["losses"]) == ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]


def test_a_receiver_that_never_finishes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.cfdp.transfer.LONGEST_MS", 10_000)
    monkeypatch.setattr(Transaction, "closed", False)
    assert measure_cfdp([0])["stalled"] == [0]


def test_plans_follow_from_their_seeds() -> None:
    assert Plan.of(5) == Plan.of(5) != Plan.of(11)


@pytest.mark.slow
def test_a_thousand_transfers_end(tmp_path: Path) -> None:
    assert main(["cfdp", "--transfers", str(MANY), "--json", str(tmp_path / "x.json")]) == 0
