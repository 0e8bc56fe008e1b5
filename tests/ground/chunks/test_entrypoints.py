"""Codecs that nobody imports: processes that know zarr alone find them by their entry points."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.ground.chunks.entrypoints import install

SCRIPT = Path(__file__).with_name("roundtrip.py")
NEEDED = ("numpy", "bitarray", "scipy")
"""What the codec itself is made with."""


def roundtrip(python: Path | str, folder: Path, **environment: str) -> list[str]:
    """Return the version of zarr, and the checksums of what a process read that wrote arrays."""
    path = os.pathsep.join([str(ROOT), str(install(folder / "installed"))])
    (folder / "work").mkdir()
    done = subprocess.run(
        [python, SCRIPT],
        cwd=folder / "work",
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("READ ")[1].split()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What this environment reads."""
    return roundtrip(sys.executable, tmp_path_factory.mktemp("here"))


def test_arrays_are_written_and_read_without_an_import(here: list[str]) -> None:
    assert len(here) == 5


@pytest.mark.slow
def test_a_lesser_processor_reads_the_same(here: list[str], tmp_path: Path) -> None:
    lesser = {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"}
    assert roundtrip(sys.executable, tmp_path, **lesser) == here


def python_from(oldest: tuple[int, int]) -> str | None:
    """Return a Python of this version or a newer one on the path, if there is one."""
    for minor in range(oldest[1], 30):
        found = shutil.which(f"python{oldest[0]}.{minor}")
        if found and subprocess.run([found, "-V"], check=False).returncode == 0:
            return found
    return None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("version", "oldest"), [("==3.1.0", (3, 11)), ("==3.3.*", (3, 12)), (">=3.4", (3, 12))]
)
def test_every_zarr_reads_the_same(
    here: list[str], tmp_path: Path, version: str, oldest: tuple[int, int]
) -> None:
    python = python_from(oldest)
    if python is None:
        pytest.skip(f"zarr{version} needs Python {oldest[0]}.{oldest[1]} or later")
    subprocess.run([python, "-m", "venv", tmp_path / "venv"], check=True)
    own = tmp_path / "venv" / "bin" / "python"
    pip = [own, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, f"zarr{version}", *NEEDED], check=True, timeout=300)
    found = roundtrip(own, tmp_path)
    assert found[0].startswith(version.strip("=>*"))
    assert found[1:] == here[1:]
