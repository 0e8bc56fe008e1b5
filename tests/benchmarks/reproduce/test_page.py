"""The page of tables: what was published beside what was measured, and plots of both."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.pages.bars import Range, size_bars, ticks
from benchmarks.reproduce.command import measured
from benchmarks.reproduce.page import html_page
from benchmarks.reproduce.table import Measured, Settings, Table

_POINTS = {"ours": [(100, 40.0), (200, 45.0)], "theirs": [(110, 39.0), (190, 43.0)]}
TABLE = Table(
    "some-table",
    "a <b>table</b>",
    "a paper, table 1",
    {"psnr": "dB", "away.mean": "dB more than was asked"},
    {"theirs": {"psnr": 55.8}},
    lambda _settings: Measured(
        {
            "ours": {"psnr": 61.25, "away.mean": -0.25},
            "other": {"away.mean": 0.5},
            "book/256": {"psnr": 50.0},
            "book/1024": {"psnr": 52.0},
        },
        "3 scenes",
        notes=("a note",),
        details=[{"sensor": "pan", "frame": "first", "samples": 800, "points": _POINTS}],
    ),
    ("another sensor",),
)


def _page(table: Table) -> str:
    found = measured(table, Settings(None, quick=True))
    return html_page([table], {table.name: found, "machine": "a board"})


def test_figures_stand_beside_those_published() -> None:
    page = _page(TABLE)
    for words in ("a note", "another sensor", "quick settings", "a paper, table 1", "3 scenes"):
        assert words in page
    assert "A &lt;b&gt;table&lt;/b&gt;." in page
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in page.split("<tr>")]
    assert [row[:3] for row in rows if row] == [
        ["theirs", "55.8", "-"],
        ["ours", "61.2", "-0.25"],
        ["other", "-", "0.5"],
        ["book/256", "50", "-"],
        ["book/1024", "52", "-"],
    ]


def test_numbered_codecs_are_a_curve_and_others_bars() -> None:
    page = _page(TABLE)
    labels = re.findall(r'<span class="label">(\S+)', page)
    assert labels[:2] == ["theirs", "ours"]
    assert "book/256" not in labels
    curves = re.findall(r'<svg viewBox="0 0 720[^>]*aria-label="([^"]*)"', page)
    assert curves == ["pan", "some-table, psnr"]
    assert page.count("<polyline") == 3
    assert "psnr by the number" not in _page(replace(TABLE, rows={"away.mean": "dB"}))


def test_bars_may_be_below_zero() -> None:
    rows = [Range(name, x, x, "here", True, "") for name, x in (("low", -0.3), ("high", 0.5))]
    bars = re.findall(r'<i style="left:([\d.]+)%;width:([\d.]+)%', size_bars("t", "dB", rows))
    (left, width), (start, length) = ((float(a), float(b)) for a, b in bars)
    assert left + width == pytest.approx(start, abs=0.02)
    assert width / length == pytest.approx(3 / 5, abs=0.01)


@pytest.mark.parametrize(
    ("values", "marks"),
    [
        ([0, 3], [0, 1, 2, 3]),
        ([-0.3, 0.5], [-0.4, -0.2, 0, 0.2, 0.4, 0.6]),
        ([256, 256], [255.999999, 256]),
    ],
)
def test_ticks_enclose_the_values(values: list[float], marks: list[float]) -> None:
    assert ticks(values) == pytest.approx(marks)


def test_an_earlier_run_is_shown_without_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.reproduce.command.TABLES", {TABLE.name: TABLE})
    first, page = tmp_path / "first.json", tmp_path / "page.html"
    assert main(["reproduce", "--json", str(first)]) == 0
    kept = json.loads(first.read_text())
    kept[TABLE.name]["ours"]["psnr"] = 77.0
    first.write_text(json.dumps(kept))
    assert main(["reproduce", "--measured", str(first), "--page", str(page)]) == 0
    assert "77" in capsys.readouterr().out.split()
    assert ">77</td>" in page.read_text()
    assert main(["reproduce", "--measured", str(first), "--page", str(first)]) == 2
    assert main(["reproduce", "--measured", str(page)]) == 3
