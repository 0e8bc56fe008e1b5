"""Worker: a fresh process that is kept and told to do one task after the other; both ends of it.

Runtimes are measured in processes of their own, so that the memory and start-up of one are not
those of another, and yet in turn. This file imports the standard library alone.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from onboard.errors import SkybookError

Tasks = Mapping[str, Callable[[], Any]]
"""What a worker can do, by name; results go through JSON."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "GDAL_NUM_THREADS"), "1"
)
_ROOT = Path(__file__).parents[2]
_SERVE = "import sys; from benchmarks.resources.worker import serve; serve(*sys.argv[1:])"


def cpus() -> list[int]:
    """Return the CPUs that this process may use; one nameless CPU where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [-1]


def pin(cpu: int) -> None:
    """Keep this process on one CPU, where the system can do that."""
    if hasattr(os, "sched_setaffinity") and cpu >= 0:
        os.sched_setaffinity(0, {cpu})


def serve(module: str, function: str, arguments: str) -> None:
    """Be a worker: say hello, then do the task named on each line of standard input.

    Args:
        module: name of a module of this package.
        function: name of a function that returns the hello, a dict, and the tasks; or a dict alone.
        arguments: arguments of the function, a JSON list.
    """
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever a library prints must not mix with answers
    found = getattr(import_module(f"benchmarks.{module}"), function)(*json.loads(arguments))
    hello, tasks = found if isinstance(found, tuple) else (found, {})
    print(json.dumps(hello), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(tasks[line.strip()]()), file=answers, flush=True)


def call(
    module: str, function: str, arguments: Sequence[Any], python: str = sys.executable
) -> dict[str, Any]:
    """Call a function of this package once, in a fresh process; return its result."""
    with Worker(module, function, arguments, python) as worker:
        return worker.hello


class Worker:
    """The parent's end of a worker.

    Attributes:
        hello: result that the worker gave when it was ready.
        ready_s: seconds from starting the process to that.
    """

    def __init__(
        self, module: str, function: str, arguments: Sequence[Any], python: str = sys.executable
    ) -> None:
        """Start a worker and wait until it is ready; for the arguments see `serve`.

        Raises:
            SkybookError: it ended instead, or `python` cannot be started.
        """
        self.name = " ".join([function, *map(str, arguments[:2])])
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the worker)
        begun = time.perf_counter()
        try:
            self._process = subprocess.Popen(
                [python, "-c", _SERVE, module, function, json.dumps(arguments)],
                env=os.environ | ONE_THREAD | {"PYTHONPATH": str(_ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        except OSError as error:
            raise SkybookError(f"{python}: expected a Python to run: {error.strerror}") from error
        self.hello: dict[str, Any] = self.answer()
        self.ready_s = time.perf_counter() - begun

    def ask(self, task: str) -> None:
        """Tell the worker to do a task."""
        assert self._process.stdin
        with suppress(BrokenPipeError):  # `answer` says why
            self._process.stdin.write(task + "\n")
            self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the result of the task asked for.

        Raises:
            SkybookError: the worker ended; the message is the last line that it wrote.
        """
        assert self._process.stdout
        line = self._process.stdout.readline()
        if line:
            return json.loads(line)
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        raise SkybookError(f"{self.name}: {(lines or ['no message'])[-1]}")

    def run(self, task: str) -> Any:
        """Do a task; return its result."""
        self.ask(task)
        return self.answer()

    def close(self) -> None:
        """End the worker."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
