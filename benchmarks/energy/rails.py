"""Rails: supplies of a board whose power a chip measures and Linux shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.boards.sysfs import SYSFS, read_integer, read_text

_INA3221_CHANNELS = (1, 2, 3)


@dataclass(frozen=True)
class Rail:
    """A supply rail.

    Attributes:
        chip: name of the chip that measures it.
        label: name of the rail; of its file where the board gives it no name.
        files: files whose integers multiplied, times `scale`, are its power in W.
        scale: W for a product of 1.
    """

    chip: str
    label: str
    files: tuple[Path, ...]
    scale: float

    @property
    def name(self) -> str:
        """Chip and label."""
        return f"{self.chip}/{self.label}"

    def watts(self) -> float:
        """Read the power now.

        Raises:
            EngineError: a file cannot be read.
        """
        power = self.scale
        for file in self.files:
            power *= read_integer(file)
        return power


def rails(root: Path = SYSFS) -> list[Rail]:
    """Return the rails that are connected; NC is NVIDIA's label of those that are not.

    Raises:
        EngineError: a name cannot be read.
    """
    found: list[Rail] = []
    for chip in sorted((root / "class/hwmon").glob("hwmon*")):
        found += _hwmon_rails(chip)
    for device in sorted((root / "bus/i2c/drivers/ina3221x").glob("*/iio:device*")):
        found += _jetpack4_rails(device)
    return [rail for rail in found if rail.label != "NC"]


def _hwmon_rails(chip: Path) -> Iterator[Rail]:
    """Yield the rails of a hwmon chip.

    Most give µW. An INA3221 gives mV and mA of three channels; its in4 to in7 and curr4 are shunt
    voltages and sums, no rails.

    Source: Linux, ABI sysfs-class-hwmon, hwmon/ina2xx.rst, hwmon/ina3221.rst, hwmon/pmbus.rst.
    """
    name = read_text(chip / "name")
    powers = sorted(chip.glob("power*_input"))
    for file in powers:
        channel = file.name.removesuffix("_input")
        yield Rail(name, _label(chip / f"{channel}_label", channel), (file,), 1e-6)
    if name != "ina3221" or powers:
        return
    for n in _INA3221_CHANNELS:
        files = (chip / f"in{n}_input", chip / f"curr{n}_input")
        if all(path.exists() for path in files):
            yield Rail(name, _label(chip / f"in{n}_label", f"in{n}"), files, 1e-6)


def _jetpack4_rails(device: Path) -> Iterator[Rail]:
    """Yield the rails of NVIDIA's own driver of the INA3221 in JetPack 4, which gives mW.

    Source: NVIDIA L4T 32 Driver Package Development Guide, software-based power consumption.
    """
    for path in sorted(device.glob("rail_name_*")):
        file = device / f"in_power{path.name.removeprefix('rail_name_')}_input"
        yield Rail("ina3221x", read_text(path), (file,), 1e-3)


def _label(path: Path, otherwise: str) -> str:
    return read_text(path) if path.exists() else otherwise
