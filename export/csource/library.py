"""Library of a bundle for engine `c`: the C encoder's sources, compiled for this machine."""

import os
import shlex
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

from export.csource import write as csource
from onboard.bundle import Bundle
from onboard.codec.lapped.codec import LappedCodec
from onboard.engine.engines import library_path
from onboard.engine.library import processor, sources_digest
from onboard.errors import EngineError, UsageError

_LONGEST_BUILD = 600
"""Seconds."""
_FLAGS = ("-std=c99", "-O3", "-ffp-contract=off", "-fPIC", "-shared", "-fvisibility=hidden")
_TUNED = ("-march=native", "-mtune=generic")
_NATIVE = ("-march=native",)
"""What a compiler may have to do without. One that is older than the processor takes the tuning of
an earlier one, which costs more than none."""
_MACROS = {"MAX_WIDTH": 256, "MAX_BANDS": 16, "STRIP_BYTES": 1 << 21}
"""A tile at a time, of as many bands as there may be."""
_NOT_IN_IT = {
    *("main.c", "bench.c", "beside.c", "command.c", "disk.c", "input.c"),
    *("recorded.c", "report.c", "threads.c"),
    *("golden.c", "selftest.c", "crc.c", "board.c"),
}
"""What belongs to the program; the golden tiles, which a bundle has; what `checksum.c` includes."""


def build_library(bundle: Bundle) -> Path:
    """Compile the encoder of a bundle to where `onboard` looks for it; return the library.

    The compiler is `cc`, or what CC names; CFLAGS are added to its flags. It is told to build for
    this processor, where it can; a library of another one is not taken.

    Raises:
        BundleError: a bundle of fixed rate.
        EngineError: there is no compiler, or it fails.
        UsageError: the folder cannot be written.
    """
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        raise EngineError("engine c: expected a C compiler (cc, or what CC names)")
    path = library_path(LappedCodec.of(bundle.codec).library)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        csource.write(bundle, folder)
        for source in files("export").joinpath("engine").iterdir():
            if source.name.endswith((".c", ".h")):
                (folder / source.name).write_text(source.read_text())
        sources = sorted(file.name for file in folder.glob("*.c") if file.name not in _NOT_IN_IT)
        macros = [f"-DSKYBOOK_{macro}={value}" for macro, value in _MACROS.items()]
        macros.append(f'-DSKYBOOK_SOURCES="{sources_digest()}"')
        flags = [*_FLAGS, *shlex.split(os.environ.get("CFLAGS", "")), *macros]
        common = [*compiler, *flags, "-o", "library.so"]
        own = f'-DSKYBOOK_PROCESSOR="{processor()}"'
        _run_first(
            [
                [*common, *_TUNED, own, *sources, "-lm"],
                [*common, *_NATIVE, own, *sources, "-lm"],
                [*common, '-DSKYBOOK_PROCESSOR=""', *sources, "-lm"],
            ],
            folder,
        )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")  # a process that has the old one open keeps it
            shutil.copyfile(folder / "library.so", new)
            new.replace(path)
        except OSError as error:
            raise UsageError(
                f"{path.parent}: expected a folder to write to ($SKYBOOK_ENGINES names another): "
                f"{error.strerror}"
            ) from error
    return path


def _run_first(commands: list[list[str]], folder: Path) -> None:
    """Run the first of some commands that does not fail."""
    for command in commands[:-1]:
        try:
            return _run(command, folder)
        except EngineError:
            continue
    return _run(commands[-1], folder)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=_LONGEST_BUILD
    )
    if done.returncode:
        raise EngineError(f"engine c: {command[0]} fails: {done.stderr.strip()[-300:]}")
