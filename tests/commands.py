"""Commands of the packages, each in a process of its own that is forked from one that is warm.

Loading the packages takes several times as long as most commands do. A forked process has file
descriptors, folder, environment, exit code and memory of its own, as one that a user starts.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST = 120
"""Seconds that a command may take."""
PRELOADED = ("onboard.__main__", "ground.__main__", "ground.products.quicklook")
"""Not onnxruntime, which starts a thread that a forked process does not have."""


class Commands:
    """The parent's end."""

    def __init__(self, folder: Path) -> None:
        """Start the process that others are forked from; outputs pass through a folder."""
        self._streams = [folder / "stdout", folder / "stderr"]
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.commands"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run `python -m ...` in a folder; a command that hangs ends by SIGALRM."""
        assert self._server.stdin
        assert self._server.stdout
        for stream in self._streams:
            stream.write_bytes(b"")
        job = {
            "arguments": list(arguments),
            "folder": str(folder),
            "streams": list(map(str, self._streams)),
            "environment": dict(os.environ),
        }
        self._server.stdin.write(json.dumps(job) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        told = [stream.read_text() for stream in self._streams]
        return subprocess.CompletedProcess(list(arguments), code, *told)

    def close(self) -> None:
        """End the process."""
        self._server.communicate()


def serve() -> None:
    """Be the process that others are forked from: run what each line of standard input says."""
    for name in PRELOADED:
        import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            sys.exit(_command(**json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _command(
    arguments: list[str], folder: str, streams: list[str], environment: dict[str, str]
) -> int:
    """Run a command with outputs to files; return its exit code."""
    signal.alarm(LONGEST)
    for number, path in enumerate((os.devnull, *streams)):
        os.dup2(os.open(path, os.O_RDWR), number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    package, *rest = arguments
    code: int = import_module(f"{package}.__main__").main(rest)
    return code


if __name__ == "__main__":
    serve()
