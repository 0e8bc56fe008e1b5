"""Arrows between packages point one way; the flight side needs next to nothing."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("onboard", "ground", "export", "benchmarks")
FLIGHT = {"numpy", "bitarray", "onboard", "rich"}
ENGINES = {"onnxruntime", "ai_edge_litert", "tflite_runtime"}
TORCH = {
    "ground/train/corsa/losses.py",
    "ground/train/corsa/model.py",
    "ground/train/corsa/quantizer.py",
    "ground/train/corsa/train.py",
    "ground/train/lapped/checkpoint.py",
    "ground/train/lapped/model.py",
    "ground/train/lapped/train.py",
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


def modules(*packages: str) -> list[Path]:
    """Return the modules of packages, those of sub-packages included."""
    return sorted(path for package in packages for path in (ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", modules("onboard"), ids=name_of)
def test_onboard_imports_only_what_flies(path: Path) -> None:
    foreign = imports(path) - FLIGHT - set(sys.stdlib_module_names)
    if name_of(path) == "onboard/engine/engines.py":
        foreign -= ENGINES
    assert not foreign


@pytest.mark.parametrize("path", modules("ground", "benchmarks"), ids=name_of)
def test_torch_only_where_models_are_trained(path: Path) -> None:
    assert ("torch" in imports(path)) == (name_of(path) in TORCH)
    if name_of(path).startswith("ground/"):
        assert not imports(path) & {"export", "benchmarks"}


def test_rasterio_has_one_door() -> None:
    doors = [name_of(path) for path in modules(*PACKAGES) if "rasterio" in imports(path)]
    assert doors == ["ground/products/geotiff.py"]


@pytest.mark.parametrize("package", ["ground", "benchmarks", "onboard"])
def test_commands_start_without_torch(package: str) -> None:
    code = f"import sys, {package}.__main__; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is shipped, built where no earlier build left anything."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = tmp_path_factory.mktemp("tree")
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps"]
    subprocess.run([*pip, "-w", folder, tree], check=True, timeout=300)
    (found,) = folder.glob("skybook-*.whl")
    return found


def test_wheel_holds_every_module(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {name_of(path) for path in modules(*PACKAGES)} <= held
    for folder, suffix in (("onboard", "skyb"), ("ground", "onnx"), ("ground", "toml")):
        files = {name_of(path) for path in (ROOT / folder).rglob(f"*.{suffix}")}
        assert files
        assert files <= held


def test_flight_environment_runs_onboard(wheel: Path, tmp_path: Path) -> None:
    """In a clean environment with the base and `ort` alone every module imports, and it encodes."""
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, f"{wheel}[ort]"], check=True, timeout=300)
    installed = subprocess.run(
        [python, "-m", "pip", "list", "--format=freeze"], check=True, capture_output=True, text=True
    ).stdout.lower()
    for absent in ("torch", "rasterio", "scipy", "litert"):
        assert absent not in installed
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    every_module = (
        "import importlib, pkgutil, onboard;"
        "names = [m.name for m in pkgutil.walk_packages(onboard.__path__, 'onboard.')];"
        "[importlib.import_module(name) for name in names];"
        f"assert len(names) >= {len(modules('onboard')) - 1}, names"
    )
    code = (
        "import numpy as np; from onboard.bundle import load; from onboard.encoder import Encoder;"
        "image = np.full((4, 130, 125), 900, np.uint16);"
        "print(len(b''.join(Encoder(load('corsa-2level-1024')).encode(image))))"
    )
    selftests = [["-m", "onboard", "selftest", n] for n in ("corsa-2level-1024", "skybook-s2")]
    for command in (["-c", every_module], ["-c", code], *selftests):
        subprocess.run([python, *command], check=True, cwd=tmp_path, env=environment, timeout=120)
