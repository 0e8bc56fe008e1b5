"""Meters of a machine: RAPL counters, hwmon rails, a battery.

Every meter reads below a root, normally `/sys`. What a meter covers differs (a processor, a module,
a whole machine with its screen): its `source` says what was added up.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from benchmarks.boards.sysfs import SYSFS, read_integer, read_text
from benchmarks.energy.meter import Meter, PowerTally
from benchmarks.energy.rails import Rail, rails
from onboard.errors import EngineError

INPUT_RAILS = ("VDD_IN", "POM_5V_IN")
"""Rails that feed a whole module. Source: NVIDIA Jetson Linux Developer Guide, power monitors."""


@dataclass(frozen=True)
class _Counter:
    """An energy counter and the value after which it begins again at zero, both in µJ."""

    path: Path
    highest: int

    def read(self) -> int:
        found = read_integer(self.path)
        if not 0 <= found <= self.highest:
            raise EngineError(f"{self.path}: expected 0..{self.highest}, found {found}")
        return found


class _CounterTally:
    """Adds the differences of counters; read often enough that none wraps twice."""

    def __init__(self, counters: Sequence[_Counter]) -> None:
        self.joules = self.seconds = 0.0
        self._counters = counters
        self._last, self._time = [counter.read() for counter in counters], time.perf_counter()

    def add(self) -> None:
        found, now = [counter.read() for counter in self._counters], time.perf_counter()
        for counter, value, last in zip(self._counters, found, self._last, strict=True):
            self.joules += 1e-6 * (value - last + (counter.highest if value < last else 0))
        self.seconds += now - self._time
        self._last, self._time = found, now


def rapl_meter(root: Path = SYSFS) -> Meter:
    """Return the meter of the processor packages and their memory.

    Package zones count, and zones named dram, which lie below a package but are not in its figure.
    Zones core and uncore are part of a package; psys is the machine, packages included;
    intel-rapl-mmio repeats package 0: none of these counts.

    Source: Linux, power/powercap.rst; Intel SDM, volume 3, RAPL domains.

    Raises:
        EngineError: there are no zones, or they cannot be read.
    """
    counters, names = [], []
    for zone in sorted((root / "class/powercap").glob("intel-rapl:*")):
        name = read_text(zone / "name")
        if name.startswith("package") or name == "dram":
            highest = read_integer(zone / "max_energy_range_uj")
            counters.append(_Counter(zone / "energy_uj", highest))
            names.append(f"{zone.name} {name}")
    if not counters:
        raise EngineError(f"{root}/class/powercap: expected RAPL package zones, found none")
    for counter in counters:
        counter.read()
    source = f"powercap counters ({', '.join(names)}): not the whole board"
    return Meter("rapl", source, 1.0, 2.0, lambda: _CounterTally(counters))


def hwmon_meter(root: Path = SYSFS, patterns: Sequence[str] = ()) -> Meter:
    """Return the meter of some rails.

    Args:
        root: root of sysfs.
        patterns: patterns of labels or of `chip/label`, shell style; rails that fit are added up.
            Without any, the rail that feeds the whole module: no other sum is safe from counting
            a rail twice.

    Raises:
        EngineError: no such rails, or they cannot be read.
    """
    there = rails(root)
    chosen = [
        rail
        for rail in there
        if any(fnmatchcase(rail.name, p) or fnmatchcase(rail.label, p) for p in patterns)
        or (not patterns and rail.label in INPUT_RAILS)
    ]
    if not chosen:
        wanted = ", ".join(patterns or INPUT_RAILS)
        names = ", ".join(rail.name for rail in there) or "no rails"
        raise EngineError(
            f"{root}/class/hwmon: expected the rail {wanted}, or others named, found {names}"
        )
    for rail in chosen:
        rail.watts()
    source = f"hwmon ({', '.join(rail.name for rail in chosen)})"
    return Meter("hwmon", source, 0.05, 5.0, lambda: PowerTally(lambda: _sum(chosen)))


def _sum(chosen: Iterable[Rail]) -> float:
    return sum(rail.watts() for rail in chosen)


def battery_meter(root: Path = SYSFS) -> Meter:
    """Return the meter of the batteries that feed the machine; only while nothing charges them.

    Source: Linux, ABI sysfs-class-power.

    Raises:
        EngineError: there is no battery, none discharges, or one cannot be read.
    """
    supplies = [
        supply
        for supply in sorted((root / "class/power_supply").glob("*"))
        if read_text(supply / "type") == "Battery"
        and not ((supply / "scope").exists() and read_text(supply / "scope") == "Device")
    ]
    if not supplies:
        raise EngineError(f"{root}/class/power_supply: expected a battery, found none")
    _battery_watts(supplies)
    names = ", ".join(supply.name for supply in supplies)
    source = f"battery ({names}): the whole machine"
    # Fuel gauges average over seconds, some over half a minute.
    return Meter("battery", source, 0.5, 60.0, lambda: PowerTally(lambda: _battery_watts(supplies)))


def _battery_watts(supplies: Iterable[Path]) -> float:
    """Return the power drawn; the status is read each time, as somebody may plug a charger in."""
    watts, states = 0.0, []
    for supply in supplies:
        states.append(read_text(supply / "status"))
        if states[-1] == "Charging":
            raise EngineError(f"{supply}/status: expected Discharging, found Charging")
        if states[-1] == "Discharging":
            watts += _discharge(supply)
    if "Discharging" not in states:
        where = ", ".join(f"{supply}/status" for supply in supplies)
        raise EngineError(f"{where}: expected Discharging, found {', '.join(states)}")
    return watts


def _discharge(supply: Path) -> float:
    """Return W; drivers do not agree on the sign of a current that leaves a battery."""
    if (supply / "power_now").exists():
        return abs(1e-6 * read_integer(supply / "power_now"))
    return abs(1e-12 * read_integer(supply / "current_now") * read_integer(supply / "voltage_now"))


def find_meter(
    name: str, root: Path = SYSFS, patterns: Sequence[str] = ()
) -> tuple[Meter | None, list[str]]:
    """Return a meter; of `auto` the first that works, or None and why none does.

    Args:
        name: `auto`, `hwmon`, `rapl` or `battery`.
        root: root of sysfs.
        patterns: patterns of rails, for hwmon.

    Raises:
        EngineError: the meter that was asked for by its name does not work.
    """
    makers: dict[str, Callable[[], Meter]] = {
        "hwmon": lambda: hwmon_meter(root, patterns),
        "rapl": lambda: rapl_meter(root),
        "battery": lambda: battery_meter(root),
    }
    if name != "auto":
        return makers[name](), []
    reasons = []
    for make in makers.values():
        try:
            return make(), []
        except EngineError as error:
            reasons.append(str(error))
    return None, reasons
