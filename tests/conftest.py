"""Shared fixtures: a shipped bundle, small scenes, streams of them."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.csource import write as csource
from export.csource.library import build_library
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.bundle import Bundle
from onboard.codec.lapped.codec import LappedCodec
from onboard.codec.lapped.model import LappedModel
from onboard.encoder import Encoder
from tests.commands import LONGEST, ROOT, Commands

os.environ["PYTHONPATH"] = str(ROOT)
"""Processes that tests start load this tree, whatever is installed."""
os.environ["SKYBOOK_ENGINES"] = "no library is here"
"""Tests run on numpy, whatever is built, unless they say otherwise."""
SHARED = ROOT.parent / "shared" / "data"
"""Real imagery, where there is some beside the project."""
NAME = "corsa-2level-1024"


def model_of(bundle: Bundle) -> LappedModel:
    """The model of a lapped bundle."""
    return LappedCodec.of(bundle.codec).model


@contextmanager
def little_room(most: int) -> Iterator[None]:
    """Let no file grow beyond some bytes, as if the disk were full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture(scope="session")
def bundle() -> Bundle:
    """The shipped 2-level bundle."""
    return bundles.load(NAME)


@pytest.fixture(scope="session")
def encoder(bundle: Bundle) -> Encoder:
    """An encoder on onnxruntime."""
    return Encoder(bundle, "ort")


@pytest.fixture(scope="session")
def scene() -> Scene:
    """A procedural scene whose size is no multiple of the tile, with nodata."""
    return procedural(3, 150, 260)


@pytest.fixture(scope="session")
def image(scene: Scene) -> NDArray[np.uint16]:
    """The samples of `scene`."""
    return scene.image.astype(np.uint16)


@pytest.fixture(scope="module")
def c_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources of the encoder of `skybook` in C."""
    found = tmp_path_factory.mktemp("c")
    csource.write(bundles.load("skybook"), found)
    return found


@pytest.fixture(scope="session")
def engine_c(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the library of `skybook` for engine `c`."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler is installed: engine c is not built")
    found = tmp_path_factory.mktemp("engine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SKYBOOK_ENGINES", str(found))
        patch.setenv("CFLAGS", "-O0")
        build_library(bundles.load("skybook"))
    return found


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    """What runs commands without loading the packages for each."""
    server = Commands(tmp_path_factory.mktemp("commands"))
    yield server
    server.close()


@pytest.fixture
def run(commands: Commands, tmp_path: Path) -> Run:
    """Run `python -m ...` in an empty folder, as a user would; no traceback ever reaches them."""

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        done = commands.run(list(map(str, arguments)), tmp_path)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return command


@pytest.fixture
def run_fresh(tmp_path: Path) -> Run:
    """Run `python -m ...` likewise, in a process that starts from nothing."""

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    return command
