"""Build what `export c` wrote, with make and a C compiler."""

import os
import shutil
import subprocess
from pathlib import Path

from onboard.errors import EngineError, InputError

_LONGEST_BUILD = 600
"""Seconds."""


def build(folder: Path) -> None:
    """Build the portable and the native program.

    Raises:
        InputError: the folder holds no C encoder.
        EngineError: there is no make or compiler, or it fails.
    """
    if not (folder / "tables.h").is_file():
        raise InputError(f"{folder}: expected C sources that `export c` wrote")
    make(folder, "all", "native")


def make(folder: Path, *targets: str) -> str:
    """Make targets; return what is printed.

    Raises:
        EngineError: there is no make or compiler, or it fails.
    """
    if shutil.which("make") is None or shutil.which(os.environ.get("CC", "cc")) is None:
        raise EngineError("C encoder: expected make and a C compiler (cc, or what CC names)")
    command = ["make", "-s", "-C", str(folder), *targets]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_LONGEST_BUILD
    )
    if done.returncode:
        raise EngineError(f"C encoder: make {' '.join(targets)}: {done.stderr.strip()[-300:]}")
    return done.stdout
