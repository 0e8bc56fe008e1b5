"""The machine that figures are from."""

import os
import platform
from pathlib import Path

import numpy as np


def machine() -> str:
    """Return the processor, its number of CPUs, and the versions of Python and numpy."""
    found = Path("/proc/cpuinfo")
    lines = found.read_text().splitlines() if found.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.processor() or platform.machine()
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    return f"{model}, 1 of {os.cpu_count()} CPUs, {platform.system()}, {versions}"
