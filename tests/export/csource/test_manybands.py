"""The C encoder built for 16 bands: the same bytes as the Python runtime, nodata and edges too."""

import json
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


@pytest.mark.parametrize(("bands", "seed"), [(5, 4), (8, 25)])
def test_flat_bands_have_the_same_bytes(program: Path, bands: int, seed: int) -> None:
    scene = RandomScene.of(bands, seed)
    image = scene.image.copy()
    image[: bands - 2] = 500
    scene = replace(scene, image=image)
    command = [str(program), "-", "-o", "-", *scene.arguments]
    done = subprocess.run(command, input=scene.raw, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"".join(scene.packets(Encoder(bundles.load("skybook"))))


@pytest.mark.parametrize(("bands", "seed"), [(2, 11), (3, 13), (4, 9)])
def test_large_tiles_have_the_same_bytes(program: Path, bands: int, seed: int) -> None:
    scene = RandomScene.of(bands, seed, bands)
    assert scene.header.tile in range(72, 129, 8)
    encoder = Encoder(bundles.load("skybook"))
    for one in (scene, scene.along_trellis, scene.within_bound, scene.with_box):
        command = [str(program), "-", "-o", "-", *one.arguments]
        done = subprocess.run(command, input=one.raw, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout == b"".join(one.packets(encoder))


@pytest.mark.parametrize(
    ("bands", "more", "tile"),
    [
        (1, (), 160),
        (1, ("--psnr", "60", "--quality-block", "16"), 160),
        (1, ("--psnr", "60", "--quality-block", "64"), 192),
        (3, (), 80),
        (3, ("--max-error", "2"), 128),
        (4, (), 80),
        (4, ("--trellis",), 80),
        (5, (), 64),
        (4, ("--psnr", "60", "--quality-block", "32"), 96),
        (4, ("--region-max-error", "0,0,9,9", "900"), 64),
        (4, ("--max-error", "2"), 64),
    ],
)
def test_tiles_are_large_where_there_is_room(
    program: Path, bands: int, more: tuple[str, ...], tile: int
) -> None:
    scene = RandomScene.of(bands, 13)
    told = subprocess.run(
        [str(program), "-", "-o", "-", "--json", "--bands", str(bands), "--width", "160", *more],
        input=scene.raw[: bands * 160 * 2 * 70],
        capture_output=True,
        check=True,
    )
    assert json.loads(told.stderr)["tile"] == tile


@pytest.mark.slow
@pytest.mark.parametrize("bands", [1, 2, 3])
def test_it_builds_for_few_bands(c_sources: Path, bands: int) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    sources = sorted(str(path) for path in c_sources.glob("*.c"))
    for large in (1, bands):
        macros = [f"-DSKYBOOK_MAX_BANDS={bands}", f"-DSKYBOOK_LARGE_BANDS={large}"]
        build = ["gcc", *STRICT, "-O2", *macros, "-o", "/dev/null", *sources]
        subprocess.run(build, check=True)
