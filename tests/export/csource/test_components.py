"""The C encoder with a spectral profile: the same bytes as in Python, and what it refuses."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from onboard import bundle as bundles
from onboard.bundle.container import HEAD_BYTES
from onboard.bundle.profiles import pack_profile
from onboard.codec.profile import Profile
from onboard.encoder import Encoder, Options
from onboard.image.files import DTYPES
from onboard.link.header import SceneHeader
from tests import profiles
from tests.export.csource.test_csource import PROGRAM, STRICT
from tests.export.csource.test_cubes import MACROS, checked, encoded, plain, run

__all__ = ["checked", "plain"]
LACKING = ("--nodata", "0")


@pytest.fixture
def told(tmp_path: Path) -> Callable[[Profile], tuple[str, ...]]:
    """Return what writes a profile, and tells the program of it."""

    def write(profile: Profile) -> tuple[str, ...]:
        path = tmp_path / "camera.prof"
        path.write_bytes(pack_profile(profile, bytes(range(64))))  # whoever installs it checks that
        return "--profile", str(path), *LACKING

    return write


Told = Callable[[Profile], tuple[str, ...]]


def cube(bands: int, rows: int = 70, cols: int = 90, kind: str = "u16") -> NDArray[np.integer]:
    image = profiles.cube(bands, rows, cols).astype(np.int64)
    return (image >> 6 if kind == "u8" else image).astype(DTYPES[kind])


def expected(
    image: NDArray[np.integer], profile: Profile, options: Options, bits: int | None = None
) -> bytes:
    header = SceneHeader.of(image, nodata=0)
    header = replace(header, significant_bits=bits or header.significant_bits)
    encoder = Encoder(bundles.load("skybook"), "numpy", profile=profile)
    return b"".join(encoder.encode(image, header, replace(options, window="strip")))


def test_components_have_the_same_bytes(plain: Path, told: Told) -> None:
    image, profile = cube(17, 40, 70), profiles.drawn(17, 1)
    found = encoded(plain, image, "--ratio", "9", *told(profile))
    assert found == expected(image, profile, Options(ratio=9.0))


WAYS = {
    "plain": (("--ratio", "8"), Options(ratio=8.0)),
    "fine": (("--ratio", "1.5"), Options(ratio=1.5)),
    "trellis": (("--ratio", "25", "--trellis"), Options(ratio=25.0, trellis=True)),
    "one-layer": (("--ratio", "90", "--one-layer"), Options(ratio=90.0, one_layer=True)),
    "quality": (("--psnr", "71"), Options(psnr=71.0)),
    "bounded": (("--psnr", "80", "--ratio", "20"), Options(psnr=80.0, ratio=20.0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_every_way_has_the_same_bytes(checked: Path, told: Told, way: str) -> None:
    image, profile = cube(33), profiles.learnt(33)
    given, options = WAYS[way]
    assert encoded(checked, image, *given, *told(profile)) == expected(image, profile, options)


@pytest.mark.slow
def test_samples_of_other_types_have_the_same_bytes(checked: Path, told: Told) -> None:
    small, low = cube(20, 40, 70, "u8"), cube(20, 40, 70).astype(np.int64) - 9_000
    signed = np.where(cube(20, 40, 70) == 0, 0, low).astype(np.int16)
    for image, bits in ((small, 8), (signed, 16), (signed, 15)):
        profile = profiles.drawn(20, 2, middle=50)
        given = "--ratio", "6", "--significant-bits", str(bits)
        found = encoded(checked, image, *given, *told(profile))
        assert found == expected(image, profile, Options(ratio=6.0), bits)


@pytest.mark.slow
def test_components_of_hundreds_of_bands_have_the_same_bytes(checked: Path, told: Told) -> None:
    image, profile = cube(224, 20, 70), profiles.learnt(224)
    for layout in ("bil", "bip"):
        found = encoded(checked, image, "--ratio", "40", *told(profile), layout=layout)
        assert found == expected(image, profile, Options(ratio=40.0))


def steep() -> tuple[NDArray[np.uint16], Profile]:
    """Return a scene whose components have 20 bits, and latents more than 24, and its profile."""
    row, col = np.indices((64, 90))
    stripes = np.where((row // 8 + col // 8) % 2, 65_535, 1)
    image = np.broadcast_to(stripes, (40, 64, 90)).astype(np.uint16)
    matrix = np.linalg.qr(np.concatenate([np.ones((40, 1)), np.eye(40)[:, 1:]], axis=1))[0].T
    return image, Profile(np.zeros(40, np.int64), np.rint(matrix * (1 << 14)).astype(np.int64))


@pytest.mark.slow
def test_steep_scenes_have_the_same_bytes(checked: Path, told: Told) -> None:
    image, profile = steep()
    for ratio in (3.0, 200.0):
        found = encoded(checked, image, "--ratio", str(ratio), *told(profile))
        assert found == expected(image, profile, Options(ratio=ratio))


@pytest.mark.slow
def test_threads_and_a_resumed_run_make_the_same_bytes(
    checked: Path, told: Told, tmp_path: Path
) -> None:
    image, profile = cube(33, 140, 150), profiles.learnt(33)
    whole, part = tmp_path / "whole.pkt", tmp_path / "part.pkt"
    given = "--ratio", "20", *told(profile)
    assert run(checked, image, *given, "-o", str(whole)).returncode == 0
    assert run(checked, image, *given, "-o", str(part), "--threads", "3").returncode == 0
    assert part.read_bytes() == whole.read_bytes()
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert run(checked, image, *given, "-o", str(part), "--resume").returncode == 0
    assert part.read_bytes() == whole.read_bytes()


def signed_anew(packed: bytes) -> bytes:
    """Return the file of a profile with the hash of what it holds."""
    body = packed[HEAD_BYTES:]
    length = len(body).to_bytes(4, "big")
    return packed[:8] + length + hashlib.sha256(body).digest() + packed[44:HEAD_BYTES] + body


def changed(packed: bytes, place: int, byte: int) -> bytes:
    return packed[:place] + bytes([byte]) + packed[place + 1 :]


def of_bands(bands: int) -> bytes:
    """Return a file of so many bands, whatever their components are."""
    size = bands.to_bytes(2, "big") + bytes([14]) + bytes(4 * bands + 2 * bands * bands)
    return signed_anew(pack_profile(profiles.drawn(17, 1))[:HEAD_BYTES] + size)


DAMAGES: list[tuple[Callable[[bytes], bytes], int]] = [
    (lambda file: b"", 5),
    (lambda file: file[:107], 5),
    (lambda file: file[:-1], 5),
    (lambda file: file + b"?", 5),
    (lambda file: changed(file, 0, 0), 5),
    (lambda file: changed(file, 4, 2), 5),
    (lambda file: changed(file, 7, 1), 5),
    (lambda file: changed(file, 20, file[20] ^ 1), 5),
    (lambda file: changed(file, 400, file[400] ^ 1), 5),
    (lambda file: signed_anew(changed(file, HEAD_BYTES + 2, 13)), 5),
    (lambda file: signed_anew(changed(file, HEAD_BYTES + 1, 16)), 5),
    (lambda file: signed_anew(file[:-2]), 5),
    (lambda file: signed_anew(changed(file, HEAD_BYTES + 4, 1)), 5),
    (lambda file: signed_anew(changed(file, len(file) - 2, file[-2] ^ 0x40)), 5),
    (
        lambda file: signed_anew(
            changed(changed(file, HEAD_BYTES + 3, 0xFF), HEAD_BYTES + 4, 0xFF)
        ),
        5,
    ),
    (lambda file: of_bands(1_025), 5),
    (lambda file: pack_profile(profiles.drawn(17, 1, middle=-1)), 3),
    (lambda file: pack_profile(profiles.drawn(18, 1)), 3),
    (lambda file: pack_profile(profiles.drawn(225, 1)), 6),
]
"""What makes a profile file one that does not do, and the exit code."""


@pytest.mark.parametrize(("change", "code"), DAMAGES)
def test_profiles_that_do_not_do_are_refused(
    plain: Path, tmp_path: Path, change: Callable[[bytes], bytes], code: int
) -> None:
    path, output = tmp_path / "x.prof", tmp_path / "x.sky"
    path.write_bytes(change(pack_profile(profiles.drawn(17, 1, middle=0))))
    done = run(plain, cube(17, 9, 9), "--profile", str(path), "-o", str(output))
    assert done.returncode == code
    assert b"profile" in done.stderr
    assert not output.exists()


@pytest.mark.parametrize("more", [("--max-error", "1"), ("--region-max-error", "0,0,9,9", "1")])
def test_a_profile_goes_with_no_bound(plain: Path, told: Told, more: tuple[str, ...]) -> None:
    done = run(plain, cube(17, 9, 9), *told(profiles.drawn(17, 1)), *more)
    assert done.returncode == 2
    assert b"--profile" in done.stderr


def test_blocks_of_a_quality_go_with_none(plain: Path, told: Told) -> None:
    more = "--psnr", "70", "--quality-block", "16"
    assert run(plain, cube(17, 9, 9), *told(profiles.drawn(17, 1)), *more).returncode == 2


def test_of_slots_the_whole_one_in_use_is_taken(plain: Path, tmp_path: Path) -> None:
    image, made = cube(17, 20, 30), {name: profiles.drawn(17, n) for n, name in enumerate("ab")}
    streams = {name: expected(image, p, Options(ratio=9.0)) for name, p in made.items()}
    given = "--ratio", "9", *LACKING, "--profile", str(tmp_path)
    for name, profile in made.items():
        (tmp_path / f"{name}.prof").write_bytes(pack_profile(profile))
    for pointer, name in (("b\n", "b"), ("a\n", "a"), ("b", "b"), ("c\n", "a"), ("bb\n", "a")):
        (tmp_path / "active").write_text(pointer)
        assert encoded(plain, image, *given) == streams[name]
    (tmp_path / "active").unlink()
    assert encoded(plain, image, *given) == streams["a"]
    (tmp_path / "a.prof").write_bytes(b"SKYP")
    done = run(plain, image, *given)
    assert done.stdout == streams["b"]
    assert b"warning" in done.stderr
    (tmp_path / "b.prof").unlink()
    assert run(plain, image, *given).returncode == 5


def test_what_came_of_it_counts_in_dn(plain: Path, told: Told, tmp_path: Path) -> None:
    image, output = cube(70, 64, 70), str(tmp_path / "x.sky")
    given = *told(profiles.drawn(70, 1)), "--psnr", "60", "--json", "-o", output
    found = json.loads(run(plain, image, *given).stdout)
    assert abs(found["expected_psnr16_db"] - 60) < 3


CALLER = """
#include <stdio.h>
#include <string.h>
#include "skybook.h"
static struct skybook_encoder encoder;
static struct skybook_options options;
static struct skybook_profile profile;
static uint16_t line[17 * 70];
static uint8_t file[4096], bytes[1000000];
static struct skybook_buffer buffer = {bytes, sizeof(bytes), 0};

int main(void)
{
    skybook_read_profile(&profile, file, fread(file, 1, sizeof(file), stdin));
    skybook_defaults(&options, 70);
    options.bands = 17;
    options.profile = &profile;
    printf("%d ", skybook_init(&encoder, &options, skybook_to_buffer, &buffer));
    for (int row = 0; row < 128; row++) {
        for (int i = 0; i < 17 * 70; i++) {
            line[i] = (uint16_t)(900 + i % 70 * (row % 9) + i / 70);
        }
        if (row == 64) {
            printf("%d ", buffer.used > 0);
        }
        if (row == 100) {
            profile.matrix[3][5] ^= 1;
            buffer.used = 0;
        }
        skybook_push(&encoder, line, 1, 70, 0, 1);
    }
    printf("%d %d", skybook_finish(&encoder), (int)buffer.used);
    return 0;
}
"""


def test_a_profile_that_changes_in_memory_is_found(c_sources: Path, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    (tmp_path / "caller.c").write_text(CALLER)
    sources = [path for path in c_sources.glob("*.c") if path.name not in PROGRAM]
    build = ["gcc", *STRICT, "-O0", *MACROS, f"-I{c_sources}", "-o", tmp_path / "caller"]
    subprocess.run([*build, tmp_path / "caller.c", *sources], check=True)
    file = pack_profile(profiles.drawn(17, 1))
    done = subprocess.run([tmp_path / "caller"], input=file, capture_output=True, check=True)
    assert done.stdout == b"0 1 500 0"
