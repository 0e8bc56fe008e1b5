"""Arrows between packages point one way; the flight side needs next to nothing."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLIGHT = {"numpy", "bitarray", "onboard", "rich"}
ENGINES = {"onnxruntime", "ai_edge_litert", "tflite_runtime"}
TORCH = {
    "ground/quantizer.py",
    "ground/model.py",
    "ground/lapped.py",
    "ground/lappedtrain.py",
    "ground/losses.py",
    "ground/train.py",
}


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    """Return the top packages that a module imports."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).glob("*.py"))


@pytest.mark.parametrize("path", modules("onboard"), ids=lambda p: p.name)
def test_onboard_imports_only_what_flies(path: Path) -> None:
    foreign = imports(path) - FLIGHT - set(sys.stdlib_module_names)
    if path.name == "session.py":
        foreign -= ENGINES
    assert not foreign


@pytest.mark.parametrize(
    "path", modules("ground") + modules("benchmarks"), ids=lambda p: f"{p.parent.name}/{p.name}"
)
def test_torch_only_where_models_are_trained(path: Path) -> None:
    name = f"{path.parent.name}/{path.name}"
    assert ("torch" in imports(path)) == (name in TORCH)
    if path.parent.name == "ground":
        assert not imports(path) & {"export", "benchmarks"}


def test_rasterio_has_one_door() -> None:
    doors = [
        f"{path.parent.name}/{path.name}"
        for package in ("onboard", "ground", "export", "benchmarks")
        for path in modules(package)
        if "rasterio" in imports(path)
    ]
    assert doors == ["ground/geotiff.py"]


@pytest.mark.parametrize("package", ["ground", "benchmarks", "onboard"])
def test_commands_start_without_torch(package: str) -> None:
    code = f"import sys, {package}.__main__; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_flight_environment_runs_onboard(tmp_path: Path) -> None:
    """A clean environment with the base and `ort` alone encodes and tests itself."""
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, f"{ROOT}[ort]"], check=True, timeout=300)
    installed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    ).stdout.lower()
    for absent in ("torch", "rasterio", "scipy", "litert"):
        assert absent not in installed
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    code = (
        "import numpy as np; from onboard.bundle import load; from onboard.encoder import Encoder;"
        "image = np.full((4, 130, 125), 900, np.uint16);"
        "print(len(b''.join(Encoder(load('corsa-2level-1024')).encode(image))))"
    )
    selftests = [["-m", "onboard", "selftest", n] for n in ("corsa-2level-1024", "skybook-s2")]
    for command in (["-c", code], *selftests):
        subprocess.run([python, *command], check=True, cwd=tmp_path, env=environment, timeout=120)
