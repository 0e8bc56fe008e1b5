"""Pages: short enough, their links lead somewhere, and the commands they name exist."""

import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest

from tests.conftest import ROOT

FOLDERS = (
    "onboard",
    "ground",
    "export",
    "benchmarks",
    "docs",
    "examples",
    "findings",
    "hw_profiles",
    "tests",
)
PAGES = sorted({*ROOT.glob("*.md"), *(p for f in FOLDERS for p in (ROOT / f).rglob("*.md"))})
WIDE = "onboard/SPEC.md"
"""The page whose lines may pass 120 columns; model cards may, too."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(
    r"python -m[ \n](onboard|ground|export|benchmarks)[ \n]([a-z][a-z0-9-]*)([^`|&;#)\n]*)"
)
OPTION = re.compile(r"(?<!\S)--?[a-z][a-z-]*")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def commands(text: str) -> Iterator[tuple[str, str, set[str]]]:
    """Yield package, command and options of each command that a page names."""
    for package, command, rest in COMMAND.findall(re.sub(r"\\\n\s*", "", text)):
        yield package, command, set(OPTION.findall(rest))


@cache
def help_of(package: str, *command: str) -> str:
    """Return what `--help` prints."""
    main = import_module(f"{package}.__main__").main
    with redirect_stdout(StringIO()) as printed, pytest.raises(SystemExit):
        main([*command, "--help"])
    return printed.getvalue()


def anchors(page: Path) -> set[str]:
    """Return the anchors that the headings of a page have."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_readme_is_a_page() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_are_short(page: Path) -> None:
    if name_of(page) == WIDE or page.name.endswith("MODEL_CARD.md"):
        return
    long = [n for n, line in enumerate(page.read_text().splitlines(), 1) if len(line) > 120]
    assert not long


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), link
        assert not anchor or anchor in anchors(found), link


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist_with_their_options(page: Path) -> None:
    for package, command, options in commands(page.read_text()):
        listed = re.findall(r"^    ([a-z][a-z0-9-]*)", help_of(package), re.M)
        assert command in listed, f"{package} {command}"
        known = set(OPTION.findall(re.sub(r"[\[\],|]", " ", help_of(package, command))))
        assert options <= known, f"{package} {command}: {options - known}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_imports_in_examples_work(page: Path) -> None:
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S):
        for line in re.findall(r"^(?:from|import) .*$", block, re.M):
            exec(line, {})


def test_plain_words() -> None:
    assert not [name_of(page) for page in PAGES if re.search(r"\bhangs? on\b", page.read_text())]
