"""Tiles of a row coded at once: by the threads of the command, and by a crew of the library."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.export.csource.test_csource import CASES, Case, Image, build, noise, options, run
from tests.export.csource.test_guard import HEAD, parts, told

__all__ = ["build", "parts"]

SHARED = {
    **{
        name: CASES[name]
        for name in (
            *("one row of tiles, more than 16", "rows that settle apart", "budget", "nodata"),
            *("a row of noise in packets", "one layer in packets"),
        )
    },
    "noise everywhere": Case(noise(6, 128, 500), options(ratio=1.7)),
}


def beyond_its_bits() -> Image:
    """Return a scene whose last tiles alone have more than 12 bits."""
    image = np.full((4, 64, 512), 4_096, np.uint16)
    image[:, :, :300] = 7
    return image


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.parametrize("how", [[], ["--trellis"], ["--step-code", "150"]])
def test_threads_change_no_byte(name: str, how: list[str], build: Callable[[str], Path]) -> None:
    case = SHARED[name]
    asked = [*case.arguments, *how]
    if "--step-code" in how:
        asked = ["--width", str(case.image.shape[2]), *how]
    for compiler, threads in (("gcc", "3"), ("sanitize", "2")):
        program = build(compiler)
        alone = run(program, case.image, asked)
        assert run(program, case.image, [*asked, "--threads", threads]) == alone


@pytest.mark.parametrize("count", ["0", "65", "-1", "two"])
def test_a_number_of_threads_that_is_none_is_refused(
    count: str, build: Callable[[str], Path]
) -> None:
    command = [build("gcc"), "-", "-o", "-", "--width", "8", "--threads", count]
    done = subprocess.run(command, input=bytes(64), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"option --threads" in done.stderr


def test_an_error_of_a_thread_is_the_error(build: Callable[[str], Path]) -> None:
    lines = beyond_its_bits().transpose(1, 0, 2).tobytes()
    command = [build("gcc"), "-", "-o", "-", "--width", "512", "--significant-bits", "12"]
    for threads in ("1", "3"):
        asked = [*command, "--threads", threads]
        done = subprocess.run(asked, input=lines, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (3, b"")


CREW = """
static struct skybook_encoder members[3];

/* The last first, by each member in turn. */
static void backwards(void *user, void (*work)(void *, uint32_t, uint32_t), void *job,
                      uint32_t count)
{
    *(uint32_t *)user += count;
    while (count-- > 0) {
        work(job, count, count % 3);
    }
}

int main(void)
{
    uint32_t done = 0;
    const struct skybook_crew crew = {members, 3, backwards, &done};
    const struct skybook_crew wrong[3] = {
        {NULL, 3, backwards, NULL}, {members, 0, backwards, NULL}, {members, 3, NULL, NULL}};
    prepare();
    for (uint32_t i = 0; i < 3; i++) {
        begin();
        printf("%d ", skybook_share(&encoder, &wrong[i]));
    }
    printf("%d ", skybook_share(NULL, &crew));
    begin();
    printf("%d ", skybook_share(&encoder, NULL));
    printf("%d ", skybook_share(&encoder, &crew));
    printf("%d ", push(0, 128));
    printf("%d ", skybook_finish(&encoder));
    printf("%d ", skybook_share(&encoder, NULL));
    printf("%d ", buffer.used == first.used && memcmp(bytes, whole, first.used) == 0);
    printf("%d ", done >= 8); /* tiles of two rows: lines taken, analysed; lone ones need no crew */
    begin();
    skybook_share(&encoder, &crew);
    encoder.crew = NULL;
    printf("%d", push(0, 1)); /* a pointer that changed in memory */
    return 0;
}
"""


def test_neither_order_nor_member_decides_a_byte(parts: list[Path], tmp_path: Path) -> None:
    expected = ["200", "200", "200", "200", "0", "0", "0", "0", "200", "1", "1", "500"]
    assert told(parts, tmp_path, HEAD + CREW).split() == expected
