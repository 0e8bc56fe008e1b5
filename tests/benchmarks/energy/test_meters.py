"""Meters on recorded sysfs trees: RAPL, hwmon, battery."""

import errno
import time
from pathlib import Path

import pytest

from benchmarks.energy.meter import Energy, Meter, PowerTally
from benchmarks.energy.meters import battery_meter, find_meter, hwmon_meter, rapl_meter
from onboard.errors import EngineError

IDLE = 0.02
RANGE_UJ = 262143328850
LAPTOP = {
    "class/powercap/intel-rapl:0/name": "package-0",
    "class/powercap/intel-rapl:0/energy_uj": "124599532281",
    "class/powercap/intel-rapl:0/max_energy_range_uj": RANGE_UJ,
    "class/powercap/intel-rapl:0:0/name": "core",
    "class/powercap/intel-rapl:0:0/energy_uj": "23893449269",
    "class/powercap/intel-rapl:0:0/max_energy_range_uj": RANGE_UJ,
    "class/powercap/intel-rapl:0:1/name": "uncore",
    "class/powercap/intel-rapl:0:1/energy_uj": "1206390014",
    "class/powercap/intel-rapl:0:1/max_energy_range_uj": RANGE_UJ,
    "class/powercap/intel-rapl:0:2/name": "dram",
    "class/powercap/intel-rapl:0:2/energy_uj": "9331002312",
    "class/powercap/intel-rapl:0:2/max_energy_range_uj": 65712999613,
    "class/powercap/intel-rapl:1/name": "psys",
    "class/powercap/intel-rapl:1/energy_uj": "180422903911",
    "class/powercap/intel-rapl:1/max_energy_range_uj": RANGE_UJ,
    "class/powercap/intel-rapl-mmio:0/name": "package-0",
    "class/powercap/intel-rapl-mmio:0/energy_uj": "124599532281",
    "class/powercap/intel-rapl-mmio:0/max_energy_range_uj": RANGE_UJ,
    "class/powercap/intel-rapl/enabled": 1,
}
ORIN_NANO = {
    "class/hwmon/hwmon0/name": "tegra_fan",
    "class/hwmon/hwmon1/name": "ina3221",
    "class/hwmon/hwmon1/in1_label": "VDD_IN",
    "class/hwmon/hwmon1/in1_input": 4984,
    "class/hwmon/hwmon1/curr1_input": 960,
    "class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV",
    "class/hwmon/hwmon1/in2_input": 4976,
    "class/hwmon/hwmon1/curr2_input": 120,
    "class/hwmon/hwmon1/in3_label": "VDD_SOC",
    "class/hwmon/hwmon1/in3_input": 4976,
    "class/hwmon/hwmon1/curr3_input": 304,
    "class/hwmon/hwmon1/in4_input": 4800,
    "class/hwmon/hwmon1/in7_label": "sum of shunt voltages",
    "class/hwmon/hwmon1/in7_input": 6920,
    "class/hwmon/hwmon1/curr4_input": 1384,
}
AGX_ORIN = {
    "class/hwmon/hwmon3/name": "ina3221",
    "class/hwmon/hwmon3/in1_label": "VDD_GPU_SOC",
    "class/hwmon/hwmon3/in1_input": 12008,
    "class/hwmon/hwmon3/curr1_input": 280,
    "class/hwmon/hwmon3/in2_label": "VDD_CPU_CV",
    "class/hwmon/hwmon3/in2_input": 12008,
    "class/hwmon/hwmon3/curr2_input": 40,
    "class/hwmon/hwmon4/name": "ina3221",
    "class/hwmon/hwmon4/in1_label": "NC",
    "class/hwmon/hwmon4/in1_input": 0,
    "class/hwmon/hwmon4/curr1_input": 0,
}
JETPACK4 = {
    "bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_0": "POM_5V_IN",
    "bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power0_input": 1750,
    "bus/i2c/drivers/ina3221x/6-0040/iio:device0/rail_name_1": "POM_5V_GPU",
    "bus/i2c/drivers/ina3221x/6-0040/iio:device0/in_power1_input": 40,
}
ZYNQ = {
    "class/hwmon/hwmon0/name": "ina226_u76",
    "class/hwmon/hwmon0/power1_input": 1412500,
    "class/hwmon/hwmon1/name": "ina226_u77",
    "class/hwmon/hwmon1/power1_input": 312500,
    "class/hwmon/hwmon2/name": "irps5401",
    "class/hwmon/hwmon2/power1_label": "pin",
    "class/hwmon/hwmon2/power1_input": 9000000,
}
BATTERY = {
    "class/power_supply/AC/type": "Mains",
    "class/power_supply/AC/online": 0,
    "class/power_supply/BAT0/type": "Battery",
    "class/power_supply/BAT0/status": "Discharging",
    "class/power_supply/BAT0/current_now": -1250000,
    "class/power_supply/BAT0/voltage_now": 12000000,
    "class/power_supply/mouse/type": "Battery",
    "class/power_supply/mouse/scope": "Device",
    "class/power_supply/mouse/status": "Charging",
}


def plant(root: Path, files: dict[str, object]) -> Path:
    for name, value in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return root


def advance(root: Path, zone: str, energy: int) -> None:
    (root / f"class/powercap/{zone}/energy_uj").write_text(f"{energy}\n")


def test_rapl_counts_package_and_memory_but_no_part_twice(tmp_path: Path) -> None:
    root = plant(tmp_path, LAPTOP)

    def work() -> None:
        advance(root, "intel-rapl:0", 124599532281 + 5_000_000)
        advance(root, "intel-rapl:0:0", 23893449269 + 4_000_000)
        advance(root, "intel-rapl:0:2", 9331002312 + 250_000)
        advance(root, "intel-rapl:1", 180422903911 + 9_000_000)
        advance(root, "intel-rapl-mmio:0", 124599532281 + 5_000_000)

    energy = rapl_meter(root).measure(work, IDLE)
    assert energy.joules == pytest.approx(5.25)
    assert (energy.kind, energy.idle_watts) == ("measured", 0)
    assert "package-0" in energy.source
    assert "dram" in energy.source
    assert "psys" not in energy.source


def test_rapl_counter_that_begins_again(tmp_path: Path) -> None:
    files = LAPTOP | {"class/powercap/intel-rapl:0/energy_uj": RANGE_UJ - 1_000_000}
    root = plant(tmp_path, files)
    energy = rapl_meter(root).measure(lambda: advance(root, "intel-rapl:0", 500_000), IDLE)
    assert energy.joules == pytest.approx(1.5)


def test_rest_is_taken_off() -> None:
    energy = Energy(10.0, 2.0, 1.5, "measured", "a meter")
    assert energy.above_idle == 7


@pytest.mark.parametrize("text", ["", "12.5", "abc", "-4", str(RANGE_UJ + 1)])
def test_a_damaged_counter_is_named(tmp_path: Path, text: str) -> None:
    root = plant(tmp_path, LAPTOP | {"class/powercap/intel-rapl:0/energy_uj": text})
    with pytest.raises(EngineError, match="intel-rapl:0/energy_uj: expected"):
        rapl_meter(root)


def test_a_counter_without_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plant(tmp_path, LAPTOP)
    opened = Path.open

    def refuse(path: Path, *arguments: object, **options: object) -> object:
        if path.name == "energy_uj":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(EngineError, match=r"intel-rapl:0/energy_uj: .*Permission denied"):
        find_meter("rapl", root)
    meter, reasons = find_meter("auto", root)
    assert meter is None
    assert any("intel-rapl:0/energy_uj: " in reason for reason in reasons)


def test_a_reading_that_fails_during_the_work_is_told(tmp_path: Path) -> None:
    root = plant(tmp_path, BATTERY)
    meter = battery_meter(root)
    with pytest.raises(EngineError, match="BAT0/status: expected Discharging, found Charging"):
        meter.measure(lambda: plant(root, {"class/power_supply/BAT0/status": "Charging"}), IDLE)


@pytest.mark.parametrize(
    ("tree", "patterns", "watts", "named"),
    [
        (ORIN_NANO, [], 4.784640, "ina3221/VDD_IN"),
        (ORIN_NANO, ["VDD_SOC"], 1.512704, "ina3221/VDD_SOC"),
        (AGX_ORIN, ["VDD_*"], 3.842560, "ina3221/VDD_GPU_SOC, ina3221/VDD_CPU_CV"),
        (JETPACK4, [], 1.750, "ina3221x/POM_5V_IN"),
        (ZYNQ, ["ina226_*/*"], 1.725, "ina226_u76/power1, ina226_u77/power1"),
        (ZYNQ, ["pin"], 9.0, "irps5401/pin"),
    ],
)
def test_rails(
    tmp_path: Path, tree: dict[str, object], patterns: list[str], watts: float, named: str
) -> None:
    energy = hwmon_meter(plant(tmp_path, tree), patterns).measure(lambda: time.sleep(0.1), IDLE)
    assert energy.joules == pytest.approx(watts * energy.seconds)
    assert energy.idle_watts == pytest.approx(watts)
    assert energy.seconds >= 0.1
    assert f"({named})" in energy.source


@pytest.mark.parametrize(("tree", "patterns"), [(AGX_ORIN, []), (ZYNQ, []), (ORIN_NANO, ["GPU"])])
def test_rails_are_not_guessed(
    tmp_path: Path, tree: dict[str, object], patterns: list[str]
) -> None:
    with pytest.raises(EngineError, match=r"expected the rail .* found .*/") as error:
        hwmon_meter(plant(tmp_path, tree), patterns)
    assert "NC" not in str(error.value)
    assert "shunt" not in str(error.value)


def test_battery_power(tmp_path: Path) -> None:
    energy = battery_meter(plant(tmp_path, BATTERY)).measure(lambda: time.sleep(0.02), IDLE)
    assert energy.joules == pytest.approx(15 * energy.seconds)
    plant(tmp_path, {"class/power_supply/BAT0/power_now": 9500000})
    energy = battery_meter(tmp_path).measure(lambda: time.sleep(0.02), IDLE)
    assert energy.joules == pytest.approx(9.5 * energy.seconds)


@pytest.mark.parametrize("status", ["Charging", "Full", "Not charging", "Unknown"])
def test_a_battery_that_does_not_discharge_is_refused(tmp_path: Path, status: str) -> None:
    root = plant(tmp_path, BATTERY | {"class/power_supply/BAT0/status": status})
    with pytest.raises(EngineError, match=f"BAT0/status: expected Discharging, found {status}"):
        find_meter("battery", root)


def test_power_that_changes_is_integrated() -> None:
    begin = time.perf_counter()
    meter = Meter(
        "ramp", "", 0.01, 0, lambda: PowerTally(lambda: 100 * (time.perf_counter() - begin))
    )
    asleep: list[float] = []

    def work() -> None:
        asleep.append(time.perf_counter() - begin)
        time.sleep(0.3)
        asleep.append(time.perf_counter() - begin)

    energy = meter.measure(work, IDLE)
    middle = 100 * sum(asleep) / 2  # wherever a busy machine puts it
    assert energy.joules == pytest.approx(middle * energy.seconds, rel=0.2)
    assert energy.above_idle == pytest.approx(0, abs=0.3 * energy.joules)
