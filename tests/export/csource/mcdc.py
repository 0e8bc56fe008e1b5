"""MC/DC of the C encoder: every condition of every decision decides it alone, or says why not.

Clang's masking MC/DC. `make mcdc` prints what is missing; unreached.txt justifies it line by line.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COVERAGE = ("-fprofile-instr-generate", "-fcoverage-mapping", "-fcoverage-mcdc")
VERSIONS = range(30, 17, -1)
"""Of clang: 18 has been the first with -fcoverage-mcdc."""
JUSTIFIED = Path(__file__).with_name("unreached.txt")
LEFT_OUT = ("bench.c", "golden.c", "tables.c")
"""Not flown, or without code."""

Place = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True)
class Tools:
    """Compiler and readers of its profiles, all of one version."""

    clang: str
    profdata: str
    cov: str

    @classmethod
    def find(cls) -> "Tools | None":
        """Return the newest ones that are installed, None if there are none."""
        for version in VERSIONS:
            names = [f"{name}-{version}" for name in ("clang", "llvm-profdata", "llvm-cov")]
            if all(shutil.which(name) for name in names):
                return cls(*names)
        return None


@dataclass(frozen=True, order=True)
class Condition:
    """A condition of a decision.

    Attributes:
        file: of the source.
        function: that it stands in.
        text: of the condition, as it stands in the source, white space made one blank.
    """

    file: str
    function: str
    text: str

    def __str__(self) -> str:
        return f"{self.file} {self.function}: {self.text}"


@dataclass(frozen=True)
class Result:
    """What was found.

    Attributes:
        count: conditions of decisions with several.
        missing: those that did not decide alone, one for each place.
        idle: functions that never ran, after their file.
    """

    count: int
    missing: tuple[Condition, ...]
    idle: tuple[str, ...]

    @property
    def percent(self) -> float:
        """Conditions that decided alone."""
        return 100 * (1 - len(self.missing) / self.count)


def read(
    tools: Tools, folder: Path, program: Path, profiles: list[Path], files: Sequence[str] = ()
) -> Result:
    """Return what profiles of programs of the same sources come to.

    Args:
        tools: that the program was built with.
        folder: for files in between.
        program: one of the programs.
        profiles: raw ones, of any of them.
        files: sources that count; all where none is named.
    """
    listed, merged = folder / "profiles.txt", folder / "merged.profdata"
    listed.write_text("\n".join(map(str, profiles)))
    merge = [tools.profdata, "merge", "-sparse", f"--input-files={listed}", "-o", str(merged)]
    subprocess.run(merge, check=True)
    command = [tools.cov, "export", str(program), f"-instr-profile={merged}"]
    exported = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    functions = [
        function
        for function in json.loads(exported)["data"][0]["functions"]
        if Path(function["filenames"][0]).name not in LEFT_OUT
        and Path(function["filenames"][0]).suffix == ".c"  # each file has its own of a header's
        and (not files or Path(function["filenames"][0]).name in files)
    ]
    found = [pair for function in functions for pair in _conditions(function)]
    missing = sorted(condition for condition, alone in found if not alone)
    idle = sorted(f["name"].replace(":", " ") for f in functions if not f["count"])
    return Result(len(found), tuple(missing), tuple(idle))


def _conditions(function: dict[str, Any]) -> Iterator[tuple[Condition, bool]]:
    """Yield the conditions of a function's decisions, and whether each decided alone."""
    for first_line, first, last_line, last, file, _, alone in function["mcdc_records"]:
        path = Path(function["filenames"][file])
        lines = path.read_text().splitlines()
        start, stop = (first_line, first), (last_line, last)
        regions = [((b[0], b[1]), (b[2], b[3])) for b in function["branches"] if b[6] == file]
        inside = sorted({place for place in regions if start <= place[0] and place[1] <= stop})
        places = [place for place in inside if not _holds_another(place, inside)]
        for number, decided in enumerate(alone):
            if len(places) == len(alone):
                text = _text(lines, *places[number])
            else:  # a macro hides some
                text = f"condition {number + 1} of {_text(lines, start, stop)}"
            yield Condition(path.name, function["name"].split(":")[-1], text), decided


def _holds_another(place: Place, places: list[Place]) -> bool:
    start, stop = place
    return any(start <= one and other <= stop and (one, other) != place for one, other in places)


def _text(lines: list[str], start: tuple[int, int], stop: tuple[int, int]) -> str:
    """Return what stands between two places, line and column from 1 on."""
    taken = lines[start[0] - 1 : stop[0]]
    taken[-1] = taken[-1][: stop[1] - 1]
    taken[0] = taken[0][start[1] - 1 :]
    return re.sub(r"\s+", " ", " ".join(taken)).strip()
