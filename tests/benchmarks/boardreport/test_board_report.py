"""The HTML report: whole, escaped, sortable, and readable in a browser."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.__main__ import main
from benchmarks.boardreport.report import Results, html_report
from benchmarks.boards.profiles import load_profiles
from benchmarks.boards.roofline import estimate
from benchmarks.boards.workload import Span, workload_of
from benchmarks.energy.measure import estimated_costs
from benchmarks.pages.bars import Range, range_bars, share_bars
from benchmarks.pages.charts import lines_svg
from benchmarks.pages.page import KINDS, Cell, Table, plain
from benchmarks.quality.measure import rate_distortion
from benchmarks.scenes import BenchmarkScene
from ground.scenes.spyndex import spyndex_scene
from onboard.bundle import load
from onboard.errors import InputError
from tests.measured import FLAGSHIP, resources

TABLES = ("boards", "energy", f"runtimes-{FLAGSHIP}", f"codecs-{FLAGSHIP}", "rd", "figures")
DESKTOP, PHONE = 1280, 390


def _energy() -> dict[str, Any]:
    workload = workload_of(load(FLAGSHIP))
    boards = [(profile, estimate(profile, workload)) for profile in load_profiles()]
    costs, reasons = estimated_costs(FLAGSHIP, Span(1.1, 1.3), boards)
    figures = [cost.as_figures() for cost in costs]
    return {"figures": figures, "notes": ["no meter"], "without_estimate": reasons}


def _rd() -> dict[str, Any]:
    scene = spyndex_scene()
    small = replace(scene, image=scene.image[:, :64, :64])
    item = BenchmarkScene("spyndex", "spyndex", "spyndex", small)
    return rate_distortion([FLAGSHIP], lambda _bands: [item])


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return resources(FLAGSHIP, tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def html(measured: dict[str, Any]) -> str:
    results = Results([measured], _rd(), _energy(), [], {"probe": "no <machine>"})
    return html_report(results, load_profiles(), FLAGSHIP)


def _rows(html: str, table: str) -> list[list[str]]:
    """Return the cells of a table as they stand in the document, tags and all."""
    body = (
        html.split(f'<table id="{table}">')[1].split("<tbody>")[1].split("</tbody>", maxsplit=1)[0]
    )
    return [re.findall(r"<td.*?</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", body)]


def test_page_needs_no_network(html: str) -> None:
    assert not re.search(r"<(link|img|iframe|script src|object)|url\(|@import|(src|href)=", html)
    assert "default-src 'none'" in html
    assert 'name="viewport"' in html
    assert "@media print" in html


def test_every_row_says_kind_and_source(html: str) -> None:
    tables = re.findall(r'<table id="([^"]+)">', html)
    assert set(TABLES) <= set(tables)
    for table in tables:
        rows = _rows(html, table)
        assert rows, table
        for row in rows:
            assert any(f"kind {kind}" in "".join(row) for kind in KINDS) or ">-<" in "".join(row)
            assert len(re.sub(r"<.*?>", "", row[-1])) > 3, row


def test_measured_rows_stand_beside_estimates(html: str, measured: dict[str, Any]) -> None:
    boards = _rows(html, "boards")
    here = [row for row in boards if "this machine" in row[0]]
    runtimes = [r for r in measured["runtimes"].values() if "reason" not in r]
    assert len(here) == len(runtimes) > 1
    assert all("kind measured" in "".join(row) for row in here)
    names = {re.sub("<.*?>", "", row[0]) for row in boards}
    assert {profile.name.replace("'", "&#x27;") for profile in load_profiles()} <= names


def test_text_is_escaped(html: str) -> None:
    assert "no &lt;machine&gt;" in html
    hostile = "<script>alert(1)</script>"
    shown = Table("t", hostile, [hostile], [[Cell(hostile)]]).html()
    shown += range_bars(hostile, hostile, [Range(hostile * 3, 1, 2, hostile, True, hostile)])
    shown += share_bars(hostile, {hostile: {hostile: 1.0}})
    shown += lines_svg(hostile, hostile, hostile, {hostile: [(1, 2), (2, 3)]})
    assert "<script" not in shown
    profile = replace(load_profiles()[0], name=hostile)
    page = html_report(Results(), [profile], FLAGSHIP)
    assert page.count("<script") == 1
    assert "&lt;script&gt;alert(1)" in page


def test_every_bar_and_every_cell_says_what_it_is(html: str) -> None:
    """On a narrow screen heads of columns are not above, and colours alone tell nothing."""
    bars = re.findall(r'<div class="bar">(.*?)</div>', html)
    assert len(bars) > 30
    for bar in bars:
        label, value = (re.search(rf'class="{c}">(.*?)</span>', bar) for c in ("label", "value"))
        assert label
        assert value
        if "axis" not in bar:
            assert re.sub("<.*?>", "", label[1]).strip()
            assert value[1] or "parts" in bar
    twins = [bar for bar in bars if "NVIDIA Jetson Nano " in bar]
    assert len({re.sub("<.*?>", "", bar) for bar in twins}) == len(twins) > 1
    cells = re.findall(r"<td.*?>", html)
    assert cells
    assert all('data-head="' in cell for cell in cells)


def test_without_results_the_page_says_so() -> None:
    page = html_report(Results(missing={"rd": "exit code 7"}), load_profiles(), "corsa-2level-1024")
    assert "rd: not measured: exit code 7" in page
    assert "No estimates" in page


def test_damaged_results_are_refused(tmp_path: Path, measured: dict[str, Any]) -> None:
    broken = dict(measured)
    del broken["codecs"]
    with pytest.raises(InputError, match=r"benchmarks resources.*found KeyError: 'codecs'"):
        html_report(Results([broken]), load_profiles(), FLAGSHIP)
    out = tmp_path / "report.html"
    for text in ("{", "[1]", '{"schema": 2}'):
        wrong = tmp_path / "wrong.json"
        wrong.write_text(text)
        assert main(["board-report", "-o", str(out), "--resources", str(wrong)]) == 3
    assert main(["board-report", "-o", str(out), "--resources", str(tmp_path / "none.json")]) == 2
    assert not out.exists()


def test_numbers_are_plain() -> None:
    assert [plain(v) for v in (0.01234, 1.5, 99.94, 6000.4)] == ["0.0123", "1.5", "99.9", "6,000"]


def _chromium(page: Path, fragment: str, width: int, *options: str) -> str:
    """Open a page without a window; return its document after its scripts ran."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if browser is None:
        pytest.skip("no chromium is installed: the page is not opened")
    line = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    line += [f"--window-size={width},1400", f"--user-data-dir={page.parent / 'browser'}"]
    done = subprocess.run(
        [*line, *options, f"{page.as_uri()}{fragment}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def page(tmp_path: Path, html: str) -> Path:
    path = tmp_path / "report.html"
    path.write_text(html)
    return path


@pytest.mark.parametrize("down", [False, True])
def test_a_link_opens_the_page_sorted(page: Path, down: bool) -> None:
    column = 3
    dom = _chromium(page, f"#sort=boards,{column}{',down' if down else ''}", DESKTOP, "--dump-dom")
    cells = [row[column] for row in _rows(dom, "boards")]
    values = [float(found[1]) for c in cells if (found := re.search(r'data-value="([^"]+)"', c))]
    assert len(values) > 10
    assert values == sorted(values, reverse=down)
    known = ["data-value" in cell for cell in cells]
    assert known == sorted(known, reverse=True)  # what is not known comes last
    assert f'aria-sort="{"descending" if down else "ascending"}"' in dom


def test_a_click_sorts_and_a_second_turns_it_round(page: Path, html: str) -> None:
    click = "document.querySelector('#figures th').click();"
    for clicks, turned in ((1, False), (2, True)):
        page.write_text(html.replace("</body>", f"<script>{click * clicks}</script></body>"))
        dom = _chromium(page, "", DESKTOP, "--dump-dom")
        names = [re.sub("<.*?>", "", row[0]).casefold() for row in _rows(dom, "figures")]
        assert names == sorted(names, reverse=turned)


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_nothing_is_wider_than_the_screen(page: Path, html: str, width: int) -> None:
    tell = "document.title=[innerWidth,document.documentElement.scrollWidth].join()"
    page.write_text(html.replace("</body>", f"<script>{tell}</script></body>"))
    dom = _chromium(page, "", width, "--dump-dom")
    found = re.search(r"<title>(\d+),(\d+)</title>", dom)
    assert found
    assert int(found[2]) <= int(found[1])


def test_on_a_phone_nothing_has_to_be_scrolled_sideways(page: Path, html: str) -> None:
    right = "Math.max(...[...document.querySelectorAll('body *')].map(e=>"
    right += "e.getBoundingClientRect().right))"
    tell = f"document.title=[innerWidth,Math.ceil({right})].join()"
    page.write_text(html.replace("</body>", f"<script>{tell}</script></body>"))
    found = re.search(r"<title>(\d+),(\d+)</title>", _chromium(page, "", PHONE, "--dump-dom"))
    assert found
    assert int(found[2]) <= int(found[1])


@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_screenshot_shows_text_and_charts(page: Path, tmp_path: Path, width: int) -> None:
    shot = tmp_path / "shot.png"
    _chromium(page, "", width, f"--screenshot={shot}")
    with Image.open(shot) as image:
        pixels = np.asarray(image.convert("RGB"))
    assert pixels.shape == (1400, width, 3)
    assert (pixels < 100).all(axis=2).mean() > 0.005  # ink
    coloured = (pixels.max(axis=2).astype(int) - pixels.min(axis=2)) > 80
    assert coloured.mean() > 0.001
