"""The build for microcontrollers: an image of a bare Cortex-M7, run under an emulator."""

import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.csource.build import make
from export.csource.randomscene import bil
from onboard.errors import EngineError

COMPILER, EMULATOR = "arm-none-eabi-gcc", "qemu-system-arm"
_MACHINE = ("-M", "mps2-an500", "-nographic", "-monitor", "none", "-serial", "none")
_COUNTED = ("-icount", "shift=0")
"""A nanosecond of its clock an instruction."""
_LONGEST_RUN = 600
"""Seconds."""


@dataclass(frozen=True)
class Footprint:
    """What a run of the image takes.

    Attributes:
        flash_bytes: code and constants.
        ram_bytes: static memory, a line of samples and room for a stack, all that is linked.
        encoder_bytes: of the encoder in it.
        stack_bytes: of the stack, that were in use.
        instructions_per_pixel: of all bands.
    """

    flash_bytes: int
    ram_bytes: int
    encoder_bytes: int
    stack_bytes: int
    instructions_per_pixel: int


def build_image(folder: Path, width: int, ram: int, macros: tuple[str, ...] = ()) -> Path:
    """Build the image for scenes of so many columns.

    Args:
        folder: folder that `export c` wrote.
        width: columns, at most.
        ram: bytes of RAM that it may take, its stack included.
        macros: others (small.h), as NAME=VALUE.

    Raises:
        EngineError: there is no make or compiler, or the image takes more.
    """
    if shutil.which(COMPILER) is None:
        raise EngineError(f"small build: expected {COMPILER}, a compiler for microcontrollers")
    defined = " ".join(f"-D{macro}" for macro in (f"SKYBOOK_MAX_WIDTH={width}", *macros))
    make(folder, "small", f"MACROS={defined}", f"BOARD_RAM={ram}")
    return folder / "skybook-small.elf"


def run_image(
    image: Path, samples: NDArray[Any], options: tuple[str, ...] = ()
) -> tuple[bytes, Footprint]:
    """Encode samples of 12 bits under the emulator.

    Args:
        image: what `build_image` made.
        samples: (bands, rows, cols).
        options: others (board.c), as NAME=NUMBER.

    Returns:
        The stream, and what it took.

    Raises:
        EngineError: there is no emulator, or the encoder returns an error.
    """
    if shutil.which(EMULATOR) is None:
        raise EngineError(f"small build: expected {EMULATOR}, which runs the image")
    bands, _, width = samples.shape
    with tempfile.TemporaryDirectory() as name:
        lines, stream = Path(name, "lines"), Path(name, "stream")
        lines.write_bytes(bil(samples.astype(np.uint16)))
        words = [str(lines), str(stream), f"width={width}", f"bands={bands}", "bits=12", *options]
        told = ",".join(["enable=on", "target=native", *(f"arg={word}" for word in words)])
        command = [
            EMULATOR,
            *_MACHINE,
            *_COUNTED,
            "-semihosting-config",
            told,
            "-kernel",
            str(image),
        ]
        done = subprocess.run(
            command, input="", capture_output=True, text=True, check=False, timeout=_LONGEST_RUN
        )
        found = re.search(r"\{.*\}", done.stderr + done.stdout)
        if done.returncode or found is None:
            raise EngineError(
                f"small build: {EMULATOR}: {(done.stderr + done.stdout).strip()[-200:]}"
            )
        taken = json.loads(found[0])
        fields = Footprint.__dataclass_fields__
        return stream.read_bytes(), Footprint(**{field: taken[field] for field in fields})
