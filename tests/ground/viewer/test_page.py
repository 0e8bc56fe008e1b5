"""The page in a browser: clicked, typed at, and read, on a desktop and on a phone."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import Browser
from tests.conftest import ROOT
from tests.ground.viewer.conftest import Looked

PAGE = (ROOT / "ground" / "viewer" / "page.html").read_text()
DRAWN = "document.body.dataset.waiting === '0' && document.querySelector('#match table')"
SEVEN = '[data-scene^="pass.sky|7"]'


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture
def page(browser: Browser, looked: Looked) -> Browser:
    """Scene 7 on a desktop."""
    browser.screen(1280, 800)
    browser.open(looked.server.url)
    browser.wait(f"document.querySelector('{SEVEN}') && state.view")
    browser.wait(DRAWN)
    return browser


def seen(page: Browser, path: Path) -> np.ndarray:
    """The middle of the sheet, as it is to be seen."""
    page.wait(DRAWN)
    page.shot(path)
    left, top, width, height = (round(v) for v in page.box("#canvas"))
    colours = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return colours[top + height // 3 : top + height // 2, left + 20 : left + width - 20]


def test_page_needs_no_network() -> None:
    assert not re.search(r"https?://(?!www.w3.org)|<script src|@import|url\(", PAGE)
    assert "default-src 'none'" in PAGE


def test_scenes_come_and_a_click_opens_one(page: Browser, looked: Looked) -> None:
    assert page.tell("document.querySelectorAll('#scenes button').length") == 3
    assert "34 of 35 tiles" in page.text(SEVEN)
    page.click('[data-scene^="pass.sky|8"]')
    page.wait("$('title').textContent.includes('scene 8 ')")
    assert page.tell("document.querySelector('[data-layer=error]').disabled")
    late = looked.folder / "late.sky"
    try:
        late.write_bytes((looked.folder / "pass.sky").read_bytes())
        page.wait("document.querySelectorAll('#scenes button').length === 5")
        assert page.tell("document.activeElement.dataset.scene").startswith("pass.sky|8")
    finally:
        late.unlink()
    page.press("n")
    page.wait("!$('title').textContent.includes('scene 8 ')")


def test_a_click_shows_the_spectrum_and_arrows_go_on(page: Browser, looked: Looked) -> None:
    left, top, width, height = page.box("#canvas")
    page.drag((left + width / 2, top + height / 2))
    page.wait("document.querySelector('#spectrum table')")
    row, col = map(int, re.findall(r"\d+", page.text("#where"))[:2])
    assert abs(row - 150) <= 1
    assert abs(col - 210) <= 1
    expected = looked.whole.image.values[:, row, col]
    cells = "[...document.querySelectorAll('#spectrum td:nth-child(2)')].map(c => +c.textContent)"
    assert page.tell(cells) == expected.tolist()
    page.press("ArrowDown", shift=True)
    page.wait(
        f"document.getElementById('where').textContent.startsWith('row {row + 1}, col {col}')"
    )


def test_keys_and_clicks_change_what_is_seen(page: Browser, tmp_path: Path) -> None:
    looks = {"image": seen(page, tmp_path / "image.png")}
    for key, name in ((3, "error"), (4, "mask"), (5, "bits")):
        page.press(str(key))
        page.wait(f"document.querySelector('[data-layer={name}]').ariaPressed === 'true'")
        looks[name] = seen(page, tmp_path / f"{name}.png")
    assert "3 concealed" not in page.text("#legend")
    page.click("[data-layer=mask]")
    assert "3 concealed" in page.text("#legend")
    page.click("[data-layer=image]")
    page.click("#presets button:nth-child(2)")
    assert page.tell("state.bands") == [3, 2, 1]
    looks["infrared"] = seen(page, tmp_path / "infrared.png")
    kinds = list(looks.values())
    for number, look in enumerate(kinds):
        for earlier in kinds[:number]:
            assert np.abs(look - earlier).mean() > 5


def test_the_swipe_is_dragged(page: Browser, tmp_path: Path) -> None:
    page.press("4")
    mask = seen(page, tmp_path / "mask.png")
    page.click("#swipe")
    page.wait("!$('left').hidden")
    left, top, width, height = page.box("#canvas")
    middle = top + height / 2
    page.drag((left + width / 2, middle), (left + width * 0.6, middle), (left + width / 4, middle))
    assert page.tell("state.at") == pytest.approx(0.25, abs=0.01)
    both = seen(page, tmp_path / "both.png")
    off = np.abs(both - mask).max(axis=2).mean(axis=0)
    edge = int(width / 4) - 20
    assert off[: edge - 20].mean() > 20
    assert off[edge + 20 :].mean() < 1


def test_what_is_asked_for_is_waited_for_before_its_frame(page: Browser) -> None:
    assert page.tell("(choose('mask'), document.body.dataset.waiting)") == "frame"
    page.wait(DRAWN)


def test_histograms_and_match_are_told(page: Browser) -> None:
    assert page.tell("document.querySelectorAll('#histogram polyline').length") == 2
    assert re.search(r"RMSE [\d.]+ DN · PSNR [\d.]+ dB", page.text("#match"))
    assert page.tell("document.querySelectorAll('#match tr').length") == 5


def test_rate_and_symbols_are_told(page: Browser) -> None:
    page.wait("document.querySelector('#rate table') && document.querySelector('#codes table')")
    cells = "[...document.querySelectorAll('#rate td:nth-child(3)')]"
    cells += ".map(c => parseFloat(c.textContent))"
    own, half, same, twice = page.tell(cells)
    assert 20 < half < same < twice
    assert own > 20
    assert page.tell("document.querySelectorAll('#rate circle').length") == 4
    assert page.text("#coded") == "Symbols"
    assert page.tell("document.querySelectorAll('#codes tr').length") == 5
    assert "all 35 tiles" in page.text("#codes")
    page.click('[data-scene^="pass.sky|8"]')
    page.wait("document.querySelector('#rate').textContent.includes('expected 2 x 90 x 80')")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off_light_and_dark(
    page: Browser, scheme: str, width: int, tmp_path: Path
) -> None:
    page.screen(width, 800, scheme, phone=width < 500)
    page.wait(f"{DRAWN} && document.querySelector('#rate table')")
    widest = "Math.max(...[...document.querySelectorAll('body *')].map(e => "
    widest += "e.getBoundingClientRect().right))"
    assert page.tell(widest) <= width
    page.shot(tmp_path / "shot.png")
    head = np.asarray(Image.open(tmp_path / "shot.png").convert("L"))[4]
    assert (head.mean() < 60) == (scheme == "dark")
    page.screen(1280, 800)
