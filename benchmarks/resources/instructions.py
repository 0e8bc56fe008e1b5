"""Instructions that a program takes: exact, however busy the machine is."""

import re
import shutil
from collections.abc import Sequence
from functools import cache

from benchmarks.machine import run

_LIMIT = 600
_PERF = ("perf", "stat", "-x", ",", "-e", "instructions:u")
_CALLGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")


@cache
def counter() -> tuple[str, ...]:
    """Return the command that counts, before the program's: perf, else callgrind; () for none."""
    for command in (_PERF, _CALLGRIND):
        if shutil.which(command[0]) and _count([*command, "true"]):
            return command
    return ()


def count_instructions(line: Sequence[str]) -> int | None:
    """Return how many instructions a program takes as a user; None where nothing counts them."""
    return _count([*counter(), *line]) if counter() else None


def _count(line: list[str]) -> int | None:
    done = run(line, _LIMIT)
    told = done.stderr.decode(errors="replace")
    found = re.search(r"^(\d+),.*instructions|Collected : (\d+)", told, re.MULTILINE)
    return int(found[1] or found[2]) if done.returncode == 0 and found else None
