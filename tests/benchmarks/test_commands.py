"""The command line of the benchmarks, as `make demo` installs it."""

import subprocess
import sys

import pytest

EXTRAS = (
    "cv2",
    "dask",
    "distributed",
    "kaitaistruct",
    "onnx",
    "prometheus_client",
    "pystac",
    "structlog",
    "torch",
    "xarray",
    "zarr",
    "zmq",
)
"""Packages that neither `bench` nor `ground` brings."""


@pytest.mark.parametrize("package", ["benchmarks", "ground"])
def test_commands_are_there_without_what_single_ones_need(package: str) -> None:
    code = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {EXTRAS}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        f"from {package}.__main__ import main\n"
        "main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "exit codes:" in done.stdout


def test_a_missing_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['xarray'] = None\n"
        "from benchmarks.__main__ import main\n"
        "sys.exit(main(['ground', '--only', 'window', '--quick']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "pip install 'skybook[products]'" in done.stderr
