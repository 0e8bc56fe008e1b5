"""The machine that figures are from, and programs run on it."""

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from onboard.errors import SkybookError


def machine() -> str:
    """Return the processor, its number of CPUs, and the versions of Python and numpy."""
    found = Path("/proc/cpuinfo")
    lines = found.read_text().splitlines() if found.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    return f"{model}, 1 of {os.cpu_count()} CPUs, {platform.system()}, {versions}"


def run(line: Sequence[str], limit: float, name: str = "") -> "subprocess.CompletedProcess[bytes]":
    """Run a program to its end, whatever its exit code, and keep what it writes.

    Args:
        line: program and arguments.
        limit: most seconds that it may take.
        name: name of the program in the message; empty takes the first word of the line.

    Raises:
        SkybookError: it takes longer.
    """
    try:
        return subprocess.run(line, capture_output=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired as error:
        raise SkybookError(f"{name or line[0]}: expected to end within {limit} s") from error


def last_line(written: bytes) -> str:
    """Return the last line that a program wrote, where most say why they ended."""
    return (written.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
