"""tflite-runtime in the environment that it needs: Python 3.11 and numpy 1, really installed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.resources.worker import Worker
from ground import metrics
from ground.decode.decoder import Decoder
from ground.scenes.procedural import procedural
from onboard.bundle import find, load
from onboard.encoder import Encoder
from tests.conftest import ROOT

SOURCES = ("onboard", "ground", "export", "benchmarks", "pyproject.toml", "README.md", "LICENSE")
INSTALL = 300
SHIPPED = sorted(path.stem for path in (ROOT / "onboard" / "bundles").glob("*.skyb"))


def _python() -> str:
    """Return a Python that tflite-runtime has a wheel for."""
    if sys.version_info[:2] == (3, 11):
        return sys.executable
    found = shutil.which("python3.11")
    if found is None:
        pytest.skip("tflite-runtime has no wheel for this Python, and there is no python3.11")
    return found


def _run(*command: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, without what this environment adds to Python's path."""
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
        timeout=INSTALL,
        check=False,
    )


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh virtual environment with `.[tflite]` installed from a copy."""
    folder = tmp_path_factory.mktemp("tflite")
    (folder / "skybook").mkdir()
    for source in SOURCES:  # building in the tree itself would leave files in it
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, folder / "skybook" / source)
    made = _run(_python(), "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    assert made.returncode == 0, made.stderr
    inside = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", inside)
    wheel = ("--no-deps", "--only-binary", ":all:", "--dest", folder, "tflite-runtime")
    had = _run(*pip, "download", *wheel, cwd=folder)
    if had.returncode:
        pytest.skip(f"the wheel of tflite-runtime cannot be had: {had.stderr.strip()[-200:]}")
    install = ("install", "--no-compile", "--find-links", folder, "./skybook[tflite]")
    done = _run(*pip, *install, cwd=folder)
    assert done.returncode == 0, done.stderr
    return inside


@pytest.fixture(scope="module")
def samples() -> NDArray[np.uint16]:
    """A procedural scene whose size is no multiple of a tile."""
    return procedural(5, 200, 330).image.astype(np.uint16)


def _here(name: str, engine: str, samples: NDArray[np.uint16]) -> bytes:
    return b"".join(Encoder(load(name), engine).encode(samples))


def _encode(python: Path, name: str, samples: NDArray[np.uint16], folder: Path) -> bytes:
    """Encode in the other environment, through a file."""
    np.save(folder / "scene.npy", samples)
    to = ("--bundle", name, "--engine", "tflite", "-o", "scene.sky")
    done = _run(python, "-m", "onboard", "encode", "scene.npy", *to, cwd=folder)
    assert done.returncode == 0, done.stderr
    return (folder / "scene.sky").read_bytes()


def test_environment_is_what_it_says(python: Path, tmp_path: Path) -> None:
    code = "import numpy, onboard, tflite_runtime; print(numpy.__version__, onboard.__file__)"
    said = _run(python, "-c", code, cwd=tmp_path)
    version, package = said.stdout.split()
    assert version.startswith("1.")
    assert str(python.parents[1]) in package


@pytest.mark.parametrize("name", SHIPPED)
def test_golden_vectors(python: Path, tmp_path: Path, name: str) -> None:
    selftest = ("selftest", name, "--engine", "tflite", "--json")
    done = _run(python, "-m", "onboard", *selftest, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["engine"] == "tflite"
    assert found["passed"]
    assert found["agreement_percent"] >= (100 if load(name).variable_rate else 90)


def test_flagship_has_the_same_bytes_in_every_runtime(
    python: Path, tmp_path: Path, samples: NDArray[np.uint16]
) -> None:
    stream = _encode(python, "skybook", samples, tmp_path)
    for engine in ("ort", "litert", "numpy"):
        assert stream == _here("skybook", engine, samples), engine


def test_benchmarks_measure_it_from_here(
    python: Path, tmp_path: Path, samples: NDArray[np.uint16]
) -> None:
    np.save(tmp_path / "scene.npy", samples)
    given = ["skybook", "tflite", str(tmp_path / "scene.npy"), 20.48, 2, -1]
    with Worker("resources.pythonrun", "open_runtime", given, str(python)) as worker:
        assert worker.hello["version"].startswith("tflite-runtime 2.")
        assert worker.hello["numpy"].startswith("1.")
        assert worker.run("encode") <= samples.nbytes / 20.48
        assert min(worker.run("tiles")) > 0
        assert worker.run("stages")["network"] > 0


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("corsa")])
def test_int8_network_picks_nearly_the_same_indices(
    python: Path, tmp_path: Path, name: str
) -> None:
    """int8 kernels may round differently; what was sent is read alike, and is as good."""
    samples = procedural(5, 200, 330, load(name).bands).image.astype(np.uint16)
    stream = _encode(python, name, samples, tmp_path)
    decoder = Decoder(find(name))
    quality = _psnr(decoder, stream, samples)
    for engine in ("ort", "litert"):
        other = _here(name, engine, samples)
        assert len(stream) == len(other)
        assert quality == pytest.approx(_psnr(decoder, other, samples), abs=0.1)


def _psnr(decoder: Decoder, stream: bytes, samples: NDArray[np.uint16]) -> float:
    decoded = decoder.decode(stream)
    assert decoded.complete
    return metrics.psnr(samples, decoded.scene.image, metrics.PEAK_16_BIT)
