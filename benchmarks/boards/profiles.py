"""Hardware profiles: what is known of a board, each figure with its kind and source.

A profile is a TOML file; hw_profiles/README.md says what is in it. A figure that nobody published
is not there: readers must do without it, and say so.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from benchmarks.files import read_limited
from onboard.errors import InputError, UsageError

FOLDER = Path(__file__).resolve().parents[2] / "hw_profiles"
THIS_MACHINE = "this-machine"
KINDS = ("measured", "datasheet", "estimated")
MAX_FILE = 1 << 16
UNITS = {
    "core": ("count", 1.0),
    "Hz": ("frequency", 1.0),
    "MHz": ("frequency", 1e6),
    "GHz": ("frequency", 1e9),
    "KiB": ("bytes", 2.0**10),
    "MiB": ("bytes", 2.0**20),
    "GiB": ("bytes", 2.0**30),
    "MB/s": ("bandwidth", 1e6),
    "GB/s": ("bandwidth", 1e9),
    "mW": ("power", 1e-3),
    "W": ("power", 1.0),
    "GOPS": ("operations", 1e9),
    "TOPS": ("operations", 1e12),
    "GFLOPS": ("operations", 1e9),
    "TFLOPS": ("operations", 1e12),
    "MAC/cycle": ("MAC per cycle", 1.0),
    "GMAC/s": ("MAC rate", 1e9),
    "Gelement/s": ("element rate", 1e9),
    "us": ("time", 1e-6),
}
"""Dimension of each unit, and its size in the base unit of that dimension."""
FIGURES = {
    "cores": "count",
    "clock": "frequency",
    "ram": "bytes",
    "memory_bandwidth": "bandwidth",
    "idle_power": "power",
    "active_power": "power",
    "peak_power": "power",
    "int8_throughput": "operations",
    "fp16_throughput": "operations",
    "macs_per_cycle": "MAC per cycle",
    "gemm_rate": "MAC rate",
    "int8_mac_rate": "MAC rate",
    "element_rate": "element rate",
    "lookup_rate": "element rate",
    "call_overhead": "time",
}
"""Dimension of each figure that a profile can have."""
_LARGEST = 1e18
_TEXTS = ("name", "processor", "accelerator")
_FIGURE_KEYS = ("value", "unit", "kind", "source", "date")
_RUNTIME_KEYS = ("name", "kind", "source", "date")


@dataclass(frozen=True)
class Figure:
    """A figure and where it comes from.

    Attributes:
        value: finite number, more than 0.
        unit: one of `UNITS`.
        kind: one of `KINDS`.
        source: title and section of a document, or how it was measured or estimated.
        date: when it was measured, or the source read.
    """

    value: float
    unit: str
    kind: str
    source: str
    date: date

    @property
    def base(self) -> float:
        """Value in Hz, bytes, bytes/s, W, operations/s, MAC/s, elements/s or s."""
        return self.value * UNITS[self.unit][1]

    def __str__(self) -> str:
        return f"{self.value:.4g} {self.unit}"


@dataclass(frozen=True)
class Runtime:
    """An inference runtime that a board offers, and where that is said."""

    name: str
    kind: str
    source: str
    date: date


@dataclass(frozen=True)
class Profile:
    """A board.

    Attributes:
        key: name of the file, without suffix.
        name: name of the board.
        processor: name of the processor, with what its cores are.
        accelerator: GPU, VPU, NPU or FPGA beside them; empty if there is none.
        figures: figures that are known, by name, some of `FIGURES`.
        runtimes: runtimes available for its processor and system.
        python: whether Python and numpy run there.
    """

    key: str
    name: str
    processor: str
    accelerator: str
    figures: Mapping[str, Figure]
    runtimes: tuple[Runtime, ...]
    python: bool = True

    def base(self, figure: str) -> float | None:
        """Return a figure in its base unit; None if it is not known."""
        found = self.figures.get(figure)
        return None if found is None else found.base

    @property
    def power_range(self) -> tuple[float, float] | None:
        """Lowest and highest power at work in W; None if neither end is known."""
        known = [w for w in (self.base("active_power"), self.base("peak_power")) if w is not None]
        return (min(known), max(known)) if known else None


def load_profile(name: str | Path) -> Profile:
    """Read a profile; an argument with `/` or a suffix is a path, else a name in hw_profiles/.

    Raises:
        UsageError: there is no such profile; the message lists those there are.
        InputError: the file does not keep to the schema.
    """
    if isinstance(name, Path) or "/" in name or Path(name).suffix:
        return _read(Path(name))
    names = [path.stem for path in sorted(FOLDER.glob("*.toml"))]
    if name not in names:
        raise UsageError(f"profile {name!r}: not found; known: {', '.join(names) or 'none'}")
    return _read(FOLDER / f"{name}.toml")


def load_profiles(folder: Path = FOLDER) -> tuple[Profile, ...]:
    """Read all profiles of a folder, by file name.

    Raises:
        UsageError: there are none.
        InputError: one does not keep to the schema.
    """
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise UsageError(f"{folder}: expected profiles (*.toml), found none")
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Profile:
    packed = read_limited(path, MAX_FILE, "a profile", InputError)
    try:
        document = tomllib.loads(packed.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected TOML in UTF-8: {error}") from error
    return _profile(path, document)


def _profile(path: Path, document: Mapping[str, Any]) -> Profile:
    _check_keys(str(path), document, (*_TEXTS, "python", "runtimes", *FIGURES))
    texts = {key: _text(str(path), document, key) for key in _TEXTS if key != "accelerator"}
    accelerator = _text(str(path), document, "accelerator") if "accelerator" in document else ""
    figures = {
        key: _figure(f"{path}: {key}", document[key], dimension)
        for key, dimension in FIGURES.items()
        if key in document
    }
    listed = document.get("runtimes", [])
    if not isinstance(listed, list):
        raise InputError(f"{path}: runtimes: expected an array of tables, found {listed!r:.40}")
    runtimes = tuple(_runtime(f"{path}: runtimes[{n}]", entry) for n, entry in enumerate(listed))
    python = document.get("python", True)
    if not isinstance(python, bool):
        raise InputError(f"{path}: python: expected true or false, found {python!r:.40}")
    name, processor = texts["name"], texts["processor"]
    return Profile(path.stem, name, processor, accelerator, figures, runtimes, python)


def pack_profile(profile: Profile) -> str:
    """Return a profile as TOML, as `load_profile` reads it."""
    lines = [f"name = {_quoted(profile.name)}", f"processor = {_quoted(profile.processor)}"]
    if profile.accelerator:
        lines.append(f"accelerator = {_quoted(profile.accelerator)}")
    if not profile.python:
        lines.append("python = false")
    for key, figure in profile.figures.items():
        lines += ["", f"[{key}]", f"value = {figure.value!r}", f"unit = {_quoted(figure.unit)}"]
        lines += _packed_origin(figure)
    for runtime in profile.runtimes:
        lines += ["", "[[runtimes]]", f"name = {_quoted(runtime.name)}", *_packed_origin(runtime)]
    return "\n".join(lines) + "\n"


def _packed_origin(of: Figure | Runtime) -> list[str]:
    day = of.date.isoformat()
    return [f"kind = {_quoted(of.kind)}", f"source = {_quoted(of.source)}", f'date = "{day}"']


def _quoted(text: str) -> str:
    """Return a TOML basic string: JSON's escapes, and that of the one more character it bars."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _figure(where: str, table: Any, dimension: str) -> Figure:
    """Check one figure; `where` names file and key."""
    _check_table(where, table, _FIGURE_KEYS)
    value, unit = table["value"], _text(where, table, "unit")
    if type(value) not in (int, float) or not 0 < value <= _LARGEST:
        raise InputError(
            f"{where}: value: expected a finite number above 0, up to {_LARGEST:g}, "
            f"found {value!r:.40}"
        )
    units = [name for name, (of, _) in UNITS.items() if of == dimension]
    if unit not in units:
        raise InputError(f"{where}: unit: expected one of {', '.join(units)}, found {unit!r:.40}")
    if dimension == "count" and value != int(value):
        raise InputError(f"{where}: value: expected a whole number, found {value}")
    return Figure(float(value), unit, *_origin(where, table))


def _runtime(where: str, table: Any) -> Runtime:
    _check_table(where, table, _RUNTIME_KEYS)
    return Runtime(_text(where, table, "name"), *_origin(where, table))


def _origin(where: str, table: Mapping[str, Any]) -> tuple[str, str, date]:
    """Return kind, source and date."""
    kind, day = _text(where, table, "kind"), _text(where, table, "date")
    if kind not in KINDS:
        raise InputError(f"{where}: kind: expected one of {', '.join(KINDS)}, found {kind!r:.40}")
    try:
        if len(day) != len("YYYY-MM-DD"):
            raise ValueError
        parsed = date.fromisoformat(day)
    except ValueError as error:
        raise InputError(f"{where}: date: expected YYYY-MM-DD, found {day!r:.40}") from error
    return kind, _text(where, table, "source"), parsed


def _check_table(where: str, table: Any, keys: Iterable[str]) -> None:
    """Refuse what is not a table of just these keys."""
    if not isinstance(table, dict):
        raise InputError(f"{where}: expected a table, found {table!r:.40}")
    _check_keys(where, table, keys)
    for key in keys:
        if key not in table:
            raise InputError(f"{where}: expected the key {key!r}, found {', '.join(table)}")


def _check_keys(where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    known = tuple(known)
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"; the nearest known is {near[0]!r}" if near else f": {', '.join(known)}"
            raise InputError(f"{where}: unknown key {key!r:.60}, expected a known one{hint}")


def _text(where: str, table: Mapping[str, Any], key: str) -> str:
    found = table.get(key)
    if not isinstance(found, str) or not found.strip():
        raise InputError(f"{where}: {key}: expected text, found {found!r:.40}")
    return found
