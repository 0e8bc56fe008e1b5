"""What the command writes is put on the disk behind the coding: all of it, or the command fails."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.export.csource.test_csource import STRICT

SOURCES = Path(__file__).parents[3] / "export" / "c"
CALLER = """
#define _POSIX_C_SOURCE 200809L
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "disk.h"

int told(int file);
static int calls, answer;
static long length;

int told(int file) /* in place of fsync */
{
    struct stat found;
    length = fstat(file, &found) == 0 ? (long)found.st_size : -1;
    __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    return answer;
}

int main(int count, char **arguments)
{
    FILE *file = fopen(arguments[1], "wb");
    bool good = file != NULL;
    answer = count > 2 && strcmp(arguments[2], "fails") == 0 ? -1 : 0;
    for (int row = 0; row < 50 && good; row++) {
        good = fputs("a row", file) >= 0 && skybook_begin_sync(file);
    }
    const struct timespec moment = {0, 1000000};
    const bool waits = count > 2 && strcmp(arguments[2], "waits") == 0;
    while (waits && __atomic_load_n(&calls, __ATOMIC_SEQ_CST) == 0) {
        nanosleep(&moment, NULL);
    }
    const bool all = skybook_sync(file);
    printf("%d %d %d %ld", good & all, all, calls > 0, length);
    return calls > 51;
}
"""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a program that writes 50 rows, and asks for each to be put on the disk."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    folder = tmp_path_factory.mktemp("disk")
    (folder / "caller.c").write_text(CALLER)
    flags = [*STRICT, "-pthread", "-fsanitize=address,undefined", f"-I{SOURCES}", "-Dfsync=told"]
    given = [folder / "caller.c", SOURCES / "disk.c"]
    subprocess.run(["gcc", *flags, "-o", folder / "caller", *given], check=True)
    return folder / "caller"


def told(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_all_that_was_written_is_on_the_disk_at_the_end(caller: Path, tmp_path: Path) -> None:
    assert told(caller, tmp_path / "stream") == "1 1 1 250"


def test_what_was_written_is_put_there_before_the_end(caller: Path, tmp_path: Path) -> None:
    assert told(caller, tmp_path / "stream", "waits") == "1 1 1 250"


def test_a_disk_that_fails_is_told(caller: Path, tmp_path: Path) -> None:
    good, all_there, asked, _ = told(caller, tmp_path / "stream", "fails").split()
    assert (good, all_there, asked) == ("0", "0", "1")


def test_what_is_no_file_is_not_waited_for(caller: Path) -> None:
    assert told(caller, "/dev/null") == "1 1 0 0"
