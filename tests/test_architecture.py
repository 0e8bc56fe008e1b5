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
    "benchmarks/codecs/learned/initial.py",
    "benchmarks/codecs/learned/network.py",
    "benchmarks/codecs/learned/prior.py",
    "benchmarks/codecs/modulated/initial.py",
    "benchmarks/codecs/modulated/network.py",
    "benchmarks/codecs/modulated/training.py",
    "benchmarks/codecs/modulated/transforms.py",
    "benchmarks/reproduce/classification/backbone.py",
    "benchmarks/reproduce/classification/dino.py",
    "benchmarks/reproduce/classification/head.py",
    "benchmarks/reproduce/classificationtables.py",
    "benchmarks/reproduce/segmentation/joint.py",
    "benchmarks/reproduce/segmentation/jointstudy.py",
    "benchmarks/reproduce/segmentation/unet.py",
    "benchmarks/reproduce/vq/adversary.py",
    "benchmarks/reproduce/vq/critic.py",
    "benchmarks/reproduce/vq/scores.py",
    "benchmarks/reproduce/vq/study.py",
    "benchmarks/reproduce/vqtables.py",
    "ground/train/bounded/contexts.py",
    "ground/train/checkpoint.py",
    "ground/train/corsa/components.py",
    "ground/train/corsa/losses.py",
    "ground/train/corsa/model.py",
    "ground/train/corsa/quantizers/codewords.py",
    "ground/train/corsa/quantizers/composed.py",
    "ground/train/corsa/quantizers/quantizer.py",
    "ground/train/corsa/quantizers/scalar.py",
    "ground/train/corsa/quantizers/sphere.py",
    "ground/train/corsa/quantizers/vector.py",
    "ground/train/corsa/tiles.py",
    "ground/train/corsa/train.py",
    "ground/train/lapped/checkpoint.py",
    "ground/train/lapped/contexts.py",
    "ground/train/lapped/model.py",
    "ground/train/lapped/train.py",
    "ground/train/lapped/turned.py",
    "ground/train/refinement/checkpoint.py",
    "ground/train/refinement/train.py",
}


ARROWS: dict[str, str] = {
    "onboard.errors": "",
    "onboard.outputs": "errors",
    "onboard.image": "errors",
    "onboard.engine": "errors",
    "onboard.link": "errors image",
    "onboard.codec.bound": "errors codec.agreement codec.blocks codec.tile",
    "onboard.codec.profile": "errors",
    "onboard.codec.agreement": "",
    "onboard.codec.blocks": "",
    "onboard.codec.cuts": "",
    "onboard.codec.tiling": "",
    "onboard.codec.tile": (
        "errors codec.agreement codec.blocks codec.cuts codec.profile codec.tiling"
    ),
    "onboard.codec.rans": "",
    "onboard.codec.bitpack": "errors",
    "onboard.codec.corsa": (
        "errors image engine link codec.agreement codec.blocks codec.cuts codec.tile codec.profile "
        "codec.tiling codec.bitpack"
    ),
    "onboard.codec.lapped": (
        "errors image engine link codec.agreement codec.blocks codec.cuts codec.tile codec.profile "
        "codec.tiling codec.bitpack codec.rans"
    ),
    "onboard.codec.lapped.read": "errors codec.tile codec.rans codec.lapped",
    "onboard.codec.bounded": (
        "errors engine link codec.agreement codec.blocks codec.cuts codec.tile codec.bound "
        "codec.rans"
    ),
    "onboard.codec.bounded.read": "errors codec.bound codec.rans codec.bounded",
    "onboard.codec.kinds": "errors codec.bound codec.tile codec.corsa codec.lapped codec.bounded",
    "onboard.bundle": (
        "errors link codec.agreement codec.bound codec.profile codec.tile codec.tiling codec.kinds"
    ),
    "onboard.encoder": (
        "errors image link codec.blocks codec.bound codec.cuts codec.profile codec.tile "
        "codec.tiling bundle"
    ),
    "onboard.downlink": "errors image link bundle",
    "onboard.commands": (
        "errors outputs image engine link codec.bound codec.profile codec.tile bundle encoder "
        "downlink"
    ),
    "onboard.__main__": "commands",
    "ground.scene": "onboard",
    "ground.metrics": "onboard",
    "ground.extra": "onboard",
    "ground.station": "onboard extra",
    "ground.products": "onboard scene extra",
    "ground.decode": "onboard scene metrics station",
    "ground.chunks": "onboard decode",
    "ground.api": "onboard scene station products decode",
    "ground.serve": "onboard scene products api",
    "ground.viewer": "onboard metrics scene station products decode api serve",
    "ground.watch": "onboard scene station products decode api serve",
    "ground.batch": "onboard scene extra station products decode api",
    "ground.scenes": "onboard scene products",
    "ground.train": "onboard metrics scene scenes decode",
    "ground.commands": (
        "onboard metrics scene station products decode api serve viewer watch batch scenes train"
    ),
    "ground.__main__": "onboard commands",
    "export.files": "onboard",
    "export.csource": "onboard ground",
    "export.corsa": "onboard ground files",
    "export.lapped": "onboard ground files",
    "export.commands": "onboard ground csource corsa lapped",
    "export.__main__": "onboard commands",
    "benchmarks.files": "onboard",
    "benchmarks.machine": "onboard",
    "benchmarks.pages": "",
    "benchmarks.scenes": "onboard ground",
    "benchmarks.codecs": "onboard ground",
    "benchmarks.resources": "onboard ground export codecs scenes machine",
    "benchmarks.quality": "onboard ground codecs scenes",
    "benchmarks.bounded": "onboard ground codecs",
    "benchmarks.sensors": "onboard ground codecs machine quality",
    "benchmarks.parts": "onboard ground scenes machine",
    "benchmarks.reproduce": "onboard ground files pages codecs machine quality resources",
    "benchmarks.ablation": "onboard ground codecs scenes quality",
    "benchmarks.link": "onboard ground codecs scenes machine",
    "benchmarks.cfdp": "onboard ground",
    "benchmarks.archive": "onboard ground scenes machine",
    "benchmarks.faults": "onboard ground export codecs scenes machine resources",
    "benchmarks.boards": "onboard ground codecs scenes files resources",
    "benchmarks.boardreport": "onboard files codecs pages machine resources boards",
    "benchmarks.energy": "onboard ground codecs scenes files resources boards",
    "benchmarks.__main__": (
        "onboard codecs quality bounded sensors ablation reproduce parts link cfdp archive faults "
        "resources boards boardreport energy"
    ),
}
"""Wings that each wing may import, its own package's by their names there; so none imports upward.

`codec.lapped` and `codec.corsa` are siblings that never meet, and so are `encoder` and `downlink`.
A package's name stands for all of its wings.
"""
MOST_MODULES, MOST_LINES = 20, 300
"""Of a folder, and of a module."""


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


def module_of(path: Path) -> str:
    dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return dotted.removesuffix(".__init__")


MODULES = {module_of(path): path for path in modules(*PACKAGES)}


def imported_modules(path: Path) -> set[str]:
    """Return the modules of ours that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & MODULES.keys()) or {node.module}
    return found & MODULES.keys()


def wing_of(module: str) -> str:
    """Return the wing that a module is of: the longest that it begins with, else its package."""
    parts = module.split(".")
    names = [".".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return next((name for name in names if name in ARROWS), parts[0])


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_downward(module: str) -> None:
    own = wing_of(module)
    if own not in ARROWS:
        return  # the first words of a package
    package = own.split(".")[0]
    allowed = {own}
    for name in ARROWS[own].split():
        allowed.add(name if name in PACKAGES else f"{package}.{name}")
    found = {wing_of(imported) for imported in imported_modules(MODULES[module])}
    refused = {wing for wing in found if not {wing, wing.split(".")[0]} & allowed}
    assert not refused


def test_no_module_imports_itself_round_a_circle() -> None:
    below = {module: imported_modules(path) for module, path in MODULES.items()}
    left = dict(below)
    while leaves := {module for module in left if not left[module] & left.keys() - {module}}:
        left = {module: arrows for module, arrows in left.items() if module not in leaves}
    assert not left


def test_every_wing_is_in_the_table() -> None:
    wings = {
        module
        for module in MODULES
        if module.count(".") == 1 and module not in {"onboard.codec", *ARROWS}
    }
    assert not wings
    assert ARROWS.keys() <= MODULES.keys()


def test_rooms_are_small() -> None:
    for folder in {path.parent for path in MODULES.values()}:
        assert len(list(folder.glob("*.py"))) <= MOST_MODULES, folder
    for path in MODULES.values():
        assert len(path.read_text().splitlines()) <= MOST_LINES, path


def test_flight_core_is_what_a_stream_loads(tmp_path: Path) -> None:
    """The list in ARCHITECTURE.md against what `onboard stream` loads, its commands aside."""
    core = (ROOT / "ARCHITECTURE.md").read_text().split("## Flight core")[1].split("```")[1]
    (tmp_path / "lines.bil").write_bytes(bytes(4 * 64 * 70 * 2))
    code = (
        "import sys; from onboard.commands.commandline import command_parser, run_command;"
        "from onboard.commands.stream import add_stream_command;"
        "parser, commands = command_parser('onboard', ''); add_stream_command(commands);"
        "assert run_command(parser, ['stream', '--input', 'lines.bil', '--layout', 'bil',"
        "'--width', '70', '--bundle', 'skybook', '--engine', 'numpy', '-o', 'out.pkt']) == 0;"
        "print('LOADED', *sorted(m for m in sys.modules if m.startswith('onboard.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    loaded = done.stdout.split("LOADED")[1].split()
    files = {name_of(MODULES[m]) for m in loaded if MODULES[m].name != "__init__.py"}
    assert {f for f in files if not f.startswith("onboard/commands/")} == set(core.split())
    assert not any("/read/" in file for file in core.split())


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


def test_rasterio_has_two_doors() -> None:
    doors = [name_of(path) for path in modules(*PACKAGES) if "rasterio" in imports(path)]
    assert doors == ["ground/products/geotiff.py", "ground/products/jpeg2000.py"]


def test_libraries_of_cubes_are_loaded_where_they_are_used() -> None:
    code = (
        "import sys, ground.__main__, ground.products.kinds;"
        "loaded = {name.split('.')[0] for name in sys.modules};"
        "assert not loaded & {'xarray', 'pandas', 'zarr', 'dask', 'h5py', 'pyproj'}, loaded"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


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
    files = (
        ("onboard", "skyb"),
        ("onboard", "ksy"),
        ("ground", "onnx"),
        ("ground", "toml"),
        ("ground", "html"),
    )
    for folder, suffix in files:
        found = {name_of(path) for path in (ROOT / folder).rglob(f"*.{suffix}")}
        assert found
        assert found <= held


def test_flight_environment_runs_onboard(wheel: Path, tmp_path: Path) -> None:
    """In a clean environment with the base and `ort` alone every module imports, and it encodes."""
    python = tmp_path / "venv" / "bin" / "python"
    # pip takes what stands in this tree for installed if it is on the path.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    venv = [sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"]
    subprocess.run(venv, check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    subprocess.run(
        [*pip, "install", "-q", f"{wheel}[ort]"], check=True, env=environment, timeout=300
    )
    installed = subprocess.run(
        [*pip, "list", "--format=freeze"],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    ).stdout.lower()
    for absent in ("torch", "rasterio", "scipy", "litert"):
        assert absent not in installed
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
    selftests = [["-m", "onboard", "selftest", n] for n in ("corsa-2level-1024", "skybook")]
    for command in (["-c", every_module], ["-c", code], *selftests):
        subprocess.run([python, *command], check=True, cwd=tmp_path, env=environment, timeout=120)
