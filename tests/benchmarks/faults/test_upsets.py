"""Memory upsets: every flipped bit is counted."""

from benchmarks.faults.report import upsets_text
from benchmarks.faults.upsets import measure_upsets


def test_upsets_are_counted() -> None:
    seen: list[str] = []
    found = measure_upsets("skybook", 12, 3, seen.append)
    assert found["found_in_memory"] == found["flips"] == 12
    for engine in ("ort", "litert"):
        assert sum(found["engines"][engine].values()) == 12
        assert found["engines"][engine]["found"] > 6
    assert seen == ["memory", "ort", "litert", "tflite"]
    assert "checksums found 12" in upsets_text(found)
