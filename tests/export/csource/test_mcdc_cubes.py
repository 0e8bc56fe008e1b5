"""MC/DC of what only a build for cubes has: groups of bands and spectral profiles."""

from pathlib import Path

import numpy as np
import pytest

from onboard.bundle.profiles import pack_profile
from tests import profiles
from tests.export.csource import test_components as components
from tests.export.csource import test_cubes as cubes
from tests.export.csource.mcdc import Tools, read
from tests.export.csource.test_mcdc import LEAST_PERCENT, Runs

FILES = ("cube.c", "profile.c", "profilefile.c", "components.c", "sha256.c")


def exercise(runs: Runs, folder: Path) -> Path:
    """Run the command on all that the tests have for cubes; return it."""
    program = runs.build("cubes", *cubes.MACROS)
    small = cubes.cube(33, 80, 150)
    source, slots = folder / "x.raw", folder / "slots"
    slots.mkdir()

    def run(image: np.ndarray, *told: str) -> None:
        source.write_bytes(image.transpose(1, 0, 2).tobytes())
        form = ["--bands", str(len(image)), "--width", str(image.shape[2])]
        runs.run(program, [str(source), "-o", "-", *form, *told])

    for told, _ in cubes.WAYS.values():
        run(small, *told, "--nodata", "90")
        run(small, *told)
    gap = components.cube(33)
    gap[:, :, 64:] = 0
    path = folder / "gap.prof"
    path.write_bytes(pack_profile(profiles.drawn(33, 1)))
    run(gap, "--nodata", "0", "--profile", str(path))
    for bands in (17, 20, 33, 70):
        path = folder / f"{bands}.prof"
        path.write_bytes(pack_profile(profiles.drawn(bands, 1)))
        for told, _ in components.WAYS.values():
            run(components.cube(bands), *told, "--nodata", "0", "--profile", str(path))
            run(components.cube(bands, 40, 40), *told, "--profile", str(path))
    path.write_bytes(pack_profile(profiles.learnt(70)))
    for told, _ in components.WAYS.values():
        run(components.cube(70), *told, "--nodata", "0", "--profile", str(path))
    steep, matched = components.steep()
    path.write_bytes(pack_profile(matched))
    for ratio in ("3", "200"):
        run(steep, "--ratio", ratio, "--profile", str(path))
    image = components.cube(17, 9, 9)
    few = profiles.drawn(17, 1, middle=0)
    for change, _ in components.DAMAGES:
        path.write_bytes(change(pack_profile(few)))
        run(image, "--profile", str(path))
    path.write_bytes(pack_profile(profiles.drawn(17, 1)))
    run(image, "--profile", str(path), "--significant-bits", "9")
    path.write_bytes(bytes(1 << 24))
    run(image, "--profile", str(path))
    run(image, "--profile", str(folder / "none"))
    run(image, "--profile", "x" * 5_000)
    for pointer in ("a\n", "b\n", "b", "\n", None):
        for held in ("a", "b", "ab", ""):
            for name in "ab":
                (slots / f"{name}.prof").unlink(missing_ok=True)
            for name in held:
                (slots / f"{name}.prof").write_bytes(pack_profile(few))
            (slots / "active").unlink(missing_ok=True)
            if pointer is not None:
                (slots / "active").write_text(pointer)
            run(image, "--profile", str(slots))
            (slots / "a.prof").write_bytes(b"SKYP")
            run(image, "--profile", str(slots))
    return program


@pytest.mark.slow
def test_conditions_of_cubes_decide_alone(c_sources: Path, tmp_path: Path) -> None:
    tools = Tools.find()
    if tools is None:
        pytest.skip("clang-18 or newer with llvm-profdata and llvm-cov is not installed")
    runs = Runs(tools, c_sources, tmp_path)
    program = exercise(runs, tmp_path)
    found = read(tools, tmp_path, program, [path for path in runs.profiles if path.exists()], FILES)
    print(f"\n{found.count} conditions, {found.percent:.1f} % decide alone")
    for line in (*found.missing, *found.idle):
        print(line)
    assert not found.idle
    assert found.percent >= LEAST_PERCENT
