"""The C encoder built for cubes: bands in groups have the same bytes as in Python."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from export.csource.randomscene import RandomScene
from onboard import bundle as bundles
from onboard.codec.bound import Bound
from onboard.encoder import Encoder, Options
from onboard.errors import LimitError
from onboard.image.files import DTYPES
from onboard.link.header import SceneHeader
from tests.export.csource.test_csource import STRICT
from tests.export.csource.test_inputs import AXES

MACROS = ("-DSKYBOOK_CUBE_BANDS=224", "-DSKYBOOK_MAX_WIDTH=192", "-DSKYBOOK_STRIP_BYTES=4000000")
CHECKS = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def compiled(c_sources: Path, program: Path, *flags: str) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    sources = sorted(str(path) for path in c_sources.glob("*.c"))
    subprocess.run(["gcc", *STRICT, *flags, "-o", str(program), *sources], check=True)
    return program


@pytest.fixture(scope="module")
def plain(c_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(c_sources, tmp_path_factory.mktemp("cubes") / "skybook", "-O0", *MACROS)


@pytest.fixture(scope="module")
def checked(c_sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("checked") / "skybook"
    return compiled(c_sources, program, *CHECKS, *MACROS)


def cube(bands: int, rows: int, cols: int, kind: str = "u16") -> NDArray[np.integer]:
    """Return a scene of which each group of bands lacks other pixels, some all, and a tile all."""
    band, row, col = np.indices((bands, rows, cols))
    image = 100 + 11 * band % 90 + (row * (band % 7 + 3) >> 3) + (row * col >> 5) % 90
    image[: bands // 2, 5:20, 9:30] = image[bands // 2 :, 15:35, 9:20] = 90
    image[:, :, :3] = image[:, 40:, :64] = 90
    image[:, :64, 64:128] = 90 if cols > 128 else image[:, :64, 64:128]
    return (image - (200 if kind[0] == "i" else 0)).astype(DTYPES[kind])


def run(
    program: Path, image: NDArray[np.integer], *told: str, layout: str = "bil"
) -> subprocess.CompletedProcess[bytes]:
    """Encode a scene; the stream goes to stdout unless told otherwise."""
    bands, _, cols = image.shape
    lines = image.transpose(AXES[layout]).astype(image.dtype.newbyteorder("<")).tobytes()
    path = program.with_name(f"{layout}.raw")
    path.write_bytes(lines)
    command = [str(program), str(path), "--bands", str(bands), "--width", str(cols)]
    command += ["--layout", layout, "--dtype", SceneHeader.of(image).sample_type, *told]
    command += [] if "-o" in told else ["-o", "-"]
    return subprocess.run(command, capture_output=True, check=False)


def encoded(program: Path, image: NDArray[np.integer], *told: str, layout: str = "bil") -> bytes:
    """Return the segments of a scene."""
    done = run(program, image, *told, layout=layout)
    assert done.returncode == 0, done.stderr
    return done.stdout


def expected(image: NDArray[np.integer], options: Options) -> bytes:
    lacking = int(image[0, 0, 0])
    segments = Encoder(bundles.load("skybook")).encode(
        image, SceneHeader.of(image, nodata=lacking), replace(options, window="strip")
    )
    return b"".join(segments)


@pytest.mark.parametrize("layout", ["bil", "bip", "bsq"])
def test_groups_have_the_same_bytes_in_any_order(plain: Path, layout: str) -> None:
    image = cube(17, 50, 70)
    found = encoded(plain, image, "--ratio", "9", "--nodata", "90", layout=layout)
    assert found == expected(image, Options(ratio=9.0))


WAYS = {
    "trellis": (("--ratio", "6", "--trellis"), Options(ratio=6.0, trellis=True)),
    "one-layer": (("--ratio", "4", "--one-layer"), Options(ratio=4.0, one_layer=True)),
    "quality": (("--psnr", "75"), Options(psnr=75.0)),
    "blocks": (
        ("--psnr", "78", "--quality-block", "16", "--ratio", "2"),
        Options(psnr=78.0, quality_block=16, ratio=2.0),
    ),
    "bound": (("--max-error", "1"), Options(max_error=Bound((1,)))),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["u8", "i16"])
@pytest.mark.parametrize("way", WAYS)
def test_groups_have_the_same_bytes(checked: Path, way: str, kind: str) -> None:
    image = cube(33, 80, 150, kind)
    told, options = WAYS[way]
    lacking = ("--nodata", str(int(image[0, 0, 0])))
    assert encoded(checked, image, *told, *lacking) == expected(image, options)


@pytest.mark.slow
def test_each_band_may_have_a_bound(checked: Path) -> None:
    image = cube(35, 40, 70)
    bounds = Bound(tuple(band % 5 for band in range(35)))
    found = encoded(checked, image, "--max-error", str(bounds), "--nodata", "90")
    assert found == expected(image, Options(max_error=bounds))


@pytest.mark.slow
@pytest.mark.parametrize(("bands", "seed"), [(17, 22), (33, 24), (224, 25)])
def test_scenes_have_the_same_bytes(checked: Path, bands: int, seed: int) -> None:
    scene = RandomScene.of(bands, seed)
    for one in (scene, scene.along_trellis, scene.within_bound, scene.with_box):
        done = subprocess.run(
            [str(checked), "-", "-o", "-", *one.arguments],
            input=one.raw,
            capture_output=True,
            check=False,
        )
        code = 0
        try:
            found = b"".join(one.packets(Encoder(bundles.load("skybook"))))
        except LimitError as error:
            found, code = b"", error.exit_code
        assert done.returncode == code
        assert code or done.stdout == found


def test_a_build_for_fewer_bands_says_what_to_build(plain: Path) -> None:
    done = subprocess.run(
        [str(plain), "-", "-o", "-", "--bands", "225", "--width", "9"],
        input=bytes(225 * 18),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 2
    assert b"SKYBOOK_CUBE_BANDS" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("bands", "side"), [(1, 192), (2, 128), (3, 104)])
def test_few_bands_in_large_tiles_may_lack_pixels(checked: Path, bands: int, side: int) -> None:
    image = cube(bands, 140, 190)
    found = encoded(checked, image, "--tile", str(side), "--nodata", "90", "--ratio", "5")
    header = SceneHeader.of(image, nodata=90, tile=side)
    options = Options(ratio=5.0, window="strip")
    assert found == b"".join(Encoder(bundles.load("skybook")).encode(image, header, options))
