"""Quick run of a command of this package in a process of its own, for what it prints as JSON."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.files import read_result
from benchmarks.machine import last_line, run
from onboard.errors import SkybookError

LIMIT = 1_800


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
