"""Quick run of a command of this package in a process of its own, for what it prints as JSON."""

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import last_line, run
from onboard.errors import InputError, SkybookError

LIMIT = 1_800
MAX_FILE = 1 << 26


def run_quickly(command: str, options: Sequence[str]) -> dict[str, Any]:
    """Run `python -m benchmarks COMMAND ... --json FILE`; return the result.

    Raises:
        SkybookError: it fails, or takes more than `LIMIT` seconds.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result.json"
        line = [sys.executable, "-m", "benchmarks", command, *options, "--json", str(path)]
        done = run(line, LIMIT, command)
        if done.returncode:
            last = last_line(done.stderr)
            raise SkybookError(f"{command}: exit code {done.returncode}: {last}")
        return read_result(path)


def read_result(path: Path) -> dict[str, Any]:
    """Read a result that a command wrote with `--json FILE`.

    Raises:
        InputError: it cannot be read, or is no such result.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(MAX_FILE + 1)
        if len(packed) > MAX_FILE:
            raise InputError(f"{path}: expected at most {MAX_FILE} bytes")
        found = json.loads(packed)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON: {error}") from error
    if not isinstance(found, dict) or found.get("schema") != 1:
        raise InputError(f"{path}: expected a result of schema 1, found {str(found)[:60]!r}")
    return found
