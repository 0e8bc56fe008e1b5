"""The C encoder built for 16 bands: the same bytes as the Python runtime, nodata and edges too."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from export.csource.randomscene import RandomScene
from onboard import bundle as bundles
from onboard.encoder import Encoder
from tests.export.csource.test_csource import STRICT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def program(c_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    found = tmp_path_factory.mktemp("many") / "skybook"
    checks = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    sources = sorted(str(path) for path in c_sources.glob("*.c"))
    build = ["gcc", *STRICT, *checks, "-DSKYBOOK_MAX_BANDS=16", "-o", str(found), *sources]
    subprocess.run(build, check=True)
    return found


@pytest.mark.parametrize(("bands", "seed"), [(7, 22), (8, 25), (11, 34), (16, 44)])
def test_scenes_have_the_same_bytes(program: Path, bands: int, seed: int) -> None:
    scene = RandomScene.of(bands, seed)
    image = scene.image.copy()
    image[:, 5:30, 8:41] = 0
    scene = replace(scene, image=image, header=replace(scene.header, nodata=0))
    command = [str(program), "-", "-o", "-", *scene.arguments, "--nodata", "0"]
    done = subprocess.run(command, input=scene.raw, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = b"".join(scene.packets(Encoder(bundles.load("skybook"))))
    assert done.stdout == expected
