"""What decoding needs: no GDAL, no torch, and no family of codecs knows another."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DECODE = "ground/decode"
FAMILIES = ("corsa", "lapped")
NEEDED = (
    "onboard",
    "ground.decode",
    "ground.scene",
    "ground.metrics",
    "ground.station.index",
    "ground.station.salvage",
    "numpy",
    "scipy",
)


def imported(path: Path) -> set[str]:
    """Return the full names of the modules that a module imports from."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, *packages: str) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_decoding_loads_neither_gdal_nor_torch() -> None:
    code = (
        "import sys, ground.decode.decoder;"
        "loaded = {name.split('.')[0] for name in sys.modules};"
        "assert not loaded & {'rasterio', 'osgeo', 'torch'}, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize("path", modules(DECODE), ids=name_of)
def test_decoding_needs_little(path: Path) -> None:
    foreign = {n for n in imported(path) if n.split(".")[0] not in sys.stdlib_module_names}
    assert not {name for name in foreign if not within(name, *NEEDED)}


@pytest.mark.parametrize("path", modules(DECODE), ids=name_of)
def test_only_the_table_knows_every_family(path: Path) -> None:
    known = {
        family
        for family in FAMILIES
        for name in imported(path)
        if within(name, f"ground.decode.{family}", f"onboard.codec.{family}")
    }
    parts = path.relative_to(ROOT / DECODE).parts
    allowed = set(FAMILIES) if parts == ("kinds.py",) else {parts[0]}
    assert known <= allowed


@pytest.mark.parametrize("path", modules("ground/station"), ids=name_of)
def test_a_station_does_not_decode(path: Path) -> None:
    assert not {name for name in imported(path) if within(name, "ground.decode")}
