"""Upsets of the running C encoder: the same flips again, every one counted."""

import shutil

import pytest

from benchmarks.faults.report import running_text
from benchmarks.faults.running import measure_running
from onboard.errors import UsageError


def test_every_flip_is_counted() -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    seen: list[str] = []
    found = measure_running("skybook", 30, 3, False, seen.append, (64, 64))
    for kind in ("state", "constants"):
        counts = found[kind]
        names = ("same", "reported", "marked", "silent", "gross", "crash", "hang")
        assert sum(counts[name] for name in names) == 30
        assert counts["hang"] == 0
    assert found["state"]["same"] > 10
    assert found["constants"]["reported"] > 20
    assert found["constants_silent_percent"] == 0
    assert found["silent_gross_percent"] <= found["silent_percent"] <= 5
    assert "gross" in running_text(found)
    assert seen[0] == "building"


def test_flips_within_a_bound_are_counted() -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    found = measure_running("skybook", 30, 5, False, lambda _: None, (64, 64), 2)
    hit = found["constants"]["by_region"]
    assert any(name.startswith("bounded_") for name in hit)
    assert found["constants"]["reported"] > 20
    assert found["constants_silent_percent"] == 0
    assert found["silent_gross_percent"] <= found["silent_percent"] <= 5
    assert "within 2 DN" in running_text(found)


@pytest.mark.slow
def test_flips_come_to_the_same_again() -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed")
    first, again = (
        measure_running("skybook", 60, 4, True, lambda _: None, (64, 64)) for _ in range(2)
    )
    assert first == again


def test_no_flips_are_refused() -> None:
    with pytest.raises(UsageError, match="expected 1 or more"):
        measure_running("skybook", 0, 1, False, lambda _: None)


def test_bounds_that_are_none_are_refused() -> None:
    for trellis, bound in ((True, 2), (False, -1), (False, 32768)):
        with pytest.raises(UsageError, match="expected 0"):
            measure_running("skybook", 1, 1, trellis, lambda _: None, bound=bound)
