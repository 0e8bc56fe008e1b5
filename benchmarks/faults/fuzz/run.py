"""Fuzzing: every parser in a process of its own, guided by coverage (atheris, libFuzzer)."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.faults.fuzz.targets import PARSERS
from benchmarks.machine import machine
from benchmarks.resources.worker import ONE_THREAD
from onboard.errors import SkybookError, UsageError

CORPUS = Path(__file__).parents[3] / "tests" / "corpus"
_MIB = 1 << 20
_RELAY = 100_000
"""Executions of a process before the next one goes on from what it found."""
_STUCK = 70
"""Exit code of libFuzzer after its own time limit."""
_ENVIRONMENT = {**ONE_THREAD, "MALLOC_MMAP_THRESHOLD_": str(1 << 17)}
"""The threshold stays where it is, so that memory freed does not hide a large allocation."""
_CHILD = """\
import json, sys
from benchmarks.faults.fuzz.guard import fuzz_here
fuzz_here(*json.loads(sys.argv[1]))
"""


def fuzz(
    names: Sequence[str],
    corpus: Path,
    output: Path,
    executions: int | None,
    seconds: float | None,
    report: Callable[[str, int], None] = lambda _name, _executions: None,
) -> dict[str, Any]:
    """Fuzz parsers one after the other.

    Args:
        names: names of the parsers.
        corpus: folder of seeds, one folder in it for each parser.
        output: folder for what is found; a later run goes on from there.
        executions: inputs to run through each parser, None for no end.
        seconds: time for each parser, s; None for no end.
        report: function called every second with the parser and its executions.

    Raises:
        UsageError: no length, atheris is not installed, or a parser has no seeds.
        SkybookError: a parser could not be fuzzed at all.
    """
    if not (executions or seconds or 0) > 0:
        raise UsageError("fuzz: expected executions or minutes above 0")
    if find_spec("atheris") is None:
        raise UsageError("fuzz: expected atheris to be installed: pip install 'skybook[bench]'")
    for name in names:
        if not any((corpus / name).glob("*")):
            raise UsageError(f"{corpus / name}: expected files to begin with, found none")
    found = {name: _fuzz_one(name, corpus, output, executions, seconds, report) for name in names}
    columns = ("executions", "executions_per_s", "new_inputs", "slowest_ms", "allocation_mib")
    return {
        **{key: {name: found[name][key] for name in names} for key in columns},
        "crashes": sum(row["crashes"] for row in found.values()),
        "hangs": sum(row["hangs"] for row in found.values()),
        "machine": machine(),
    }


def _fuzz_one(
    name: str,
    corpus: Path,
    output: Path,
    executions: int | None,
    seconds: float | None,
    report: Callable[[str, int], None],
) -> dict[str, Any]:
    """Fuzz one parser, in processes one after the other: coverage guidance never frees memory."""
    folder = (output / name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    total: dict[str, Any] = dict.fromkeys(("executions", "crashes", "hangs", "seconds"), 0)
    total["slowest_ms"] = 0.0
    while (executions is None or total["executions"] < executions) and (
        seconds is None or total["seconds"] < seconds
    ):
        count = _RELAY if executions is None else min(_RELAY, executions - total["executions"])
        left = None if seconds is None else seconds - total["seconds"]
        state = _fuzz_child(
            [name, str((corpus / name).resolve()), str(folder), count, left],
            folder,
            partial(_report_after, report, name, total["executions"]),
        )
        for key in ("executions", "crashes", "hangs", "seconds"):
            total[key] += state[key]
        total["slowest_ms"] = max(total["slowest_ms"], state["slowest_ms"])
        if state["broken"]:
            break
    return {
        **total,
        "executions_per_s": total["executions"] / (total["seconds"] or 1),
        "new_inputs": sum(1 for _ in (folder / "corpus").iterdir()),
        "allocation_mib": PARSERS[name].allocation / _MIB,
    }


def _report_after(report: Callable[[str, int], None], name: str, before: int, done: int) -> None:
    report(name, before + done)


def _fuzz_child(
    arguments: Sequence[Any], folder: Path, report: Callable[[int], None]
) -> dict[str, Any]:
    """Fuzz in one process; one that ends otherwise than it should counts as crash or hang."""
    state: dict[str, Any] = {}
    with (
        (folder / "log.txt").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-c", _CHILD, json.dumps(arguments)],
            env=os.environ | _ENVIRONMENT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as child,
    ):
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("{"):  # libFuzzer prints too when it ends the process
                state = json.loads(line)
                report(state["executions"])
    if child.returncode and not state:
        last = ((folder / "log.txt").read_text().splitlines() or ["no message"])[-1]
        raise SkybookError(f"parser {arguments[0]}: {last}")
    if child.returncode:
        state["hangs" if child.returncode == _STUCK else "crashes"] += 1
    return {**state, "broken": child.returncode != 0}
