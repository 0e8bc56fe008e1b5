"""Energy: traces of external meters, estimates of boards, and the command."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.boards.profiles import Figure, Profile
from benchmarks.boards.roofline import Estimate
from benchmarks.boards.workload import Span
from benchmarks.energy import command as energycommand
from benchmarks.energy.marker import Marker
from benchmarks.energy.measure import OPENJPEG, estimated_costs, measured_cost
from benchmarks.energy.meter import Energy
from benchmarks.energy.report import energy_text
from benchmarks.energy.run import EnergyRun, Round, load_run, record_run, run_costs
from benchmarks.energy.trace import Trace, align, read_trace
from onboard.errors import EngineError, InputError, UsageError

MARKER = Marker(0.0, 17.0, ((2.0, 7.0), (9.0, 11.0), (12.0, 13.0), (14.0, 15.0)))


def make_trace(
    offset: float, step: float, noise: float = 0.3, marks: tuple[float, ...] = (0.0,)
) -> Trace:
    """Return 120 s of a meter with a clock of its own: 2 W, 1 W more for a marker, 1.3 for work."""
    rng = np.random.default_rng(7)
    count = int(120 / step)
    seconds = offset - 20 + step * (np.arange(count) + rng.uniform(-0.3, 0.3, count))
    run = seconds - offset
    watts = 2 + noise * rng.standard_normal(count)
    for mark in marks:
        for begin, end in MARKER.on:
            watts += (run >= mark + begin) & (run < mark + end)
    for begin in (20, 30, 40, 50):
        watts += 1.3 * ((run >= begin) & (run < begin + 5))
    return Trace(seconds, watts, "trace.csv")


@pytest.mark.parametrize("offset", [0.0, 3.217, 1763735643.4, -55.5])
@pytest.mark.parametrize("step", [0.005, 0.1, 0.4])
def test_the_marker_is_found_within_a_sample(offset: float, step: float) -> None:
    found = align(make_trace(offset, step), MARKER)
    assert abs(found.offset - offset) <= step
    assert found.correlation > 0.7


def test_a_marker_that_cannot_be_told_is_refused() -> None:
    with pytest.raises(InputError, match=r"correlation of at least 0.7, found 0"):
        align(make_trace(5.0, 0.1, noise=2.5), MARKER)
    with pytest.raises(InputError, match=r"correlation of at least 0.7"):
        align(make_trace(5.0, 0.1, marks=()), MARKER)
    with pytest.raises(InputError, match="expected the marker once"):
        align(make_trace(5.0, 0.1, marks=(0.0, 60.0), noise=0.01), MARKER)
    with pytest.raises(InputError, match=r"a sample at least every 0.5 s, found one every"):
        align(make_trace(5.0, 0.8), MARKER)
    with pytest.raises(InputError, match="expected the 17 s of the marker"):
        align(Trace(np.arange(10) / 10, np.ones(10), "trace.csv"), MARKER)
    with pytest.raises(InputError, match="correlation"):
        align(Trace(np.arange(1000) / 10, np.ones(1000), "trace.csv"), MARKER)


def test_a_trace_gives_the_energy_of_a_run() -> None:
    trace = make_trace(1000.0, 0.02, noise=0.05)
    rounds = tuple(
        Round("a", 10, (begin - 4, begin - 1.0), (begin, begin + 5.0), (begin + 6, begin + 9.0))
        for begin in (20.0, 30.0, 40.0)
    )
    (cost,) = run_costs(EnergyRun(0.5, MARKER, rounds), trace)
    assert cost.kind == "measured"
    assert cost.joules_per_mpixel == pytest.approx(3.3 * 5 / (10 * 0.5), rel=0.01)
    assert cost.above_idle == pytest.approx(1.3 * 5 / (10 * 0.5), rel=0.03)
    assert cost.idle_watts == pytest.approx(2, rel=0.01)
    assert float(cost.source.split(": ")[1].split(" s ")[0]) == pytest.approx(1000, abs=0.02)


def test_a_trace_with_a_hole_or_too_short_is_refused() -> None:
    whole = make_trace(0.0, 0.02)
    away = (whole.seconds < 22) | (whole.seconds > 24)
    with pytest.raises(InputError, match=r"found a hole of 2"):
        Trace(whole.seconds[away], whole.watts[away], "trace.csv").joules(20, 25)
    with pytest.raises(InputError, match="expected samples from 95"):
        whole.joules(95, 105)


def test_a_trace_is_read_whatever_else_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("\ufeffVolts, Time ,Watts\r\n5,0.5,2\r\n\r\n5,1.5,4e0\r\n", newline="")
    trace = read_trace(path)
    assert trace.joules(0.5, 1.5) == pytest.approx(3)
    assert trace.joules(1.0, 1.5) == pytest.approx(1.75)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected columns time and watts"),
        (b"seconds,power\n1,2\n2,3\n", "expected columns time and watts"),
        (b"time,watts\n1,2\n", "at least 2 samples, found 1"),
        (b"time,watts\n1,2\n2\n", "line 3: expected time and watts, found '2'"),
        (b"time,watts\n1,2\n2,x\n", "line 3"),
        (b"time,watts\n1,2\n2,nan\n", "line 3"),
        (b"time,watts\n1,2\ninf,2\n", "line 3"),
        (b"time,watts\n1,2\n2,1e300\n", "line 3"),
        (b"time,watts\n1,2\n1,2\n", "expected times that rise, found 1.0"),
        (b"time,watts\n2,2\n1,2\n", "expected times that rise"),
        (b"time,watts\n1,\xff\n2,2\n", "expected CSV in UTF-8"),
        (b'time,watts\n1,2\n2,"' + b"3" * 200_000 + b'"\n', "expected CSV in UTF-8"),
    ],
)
def test_a_damaged_trace_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_trace(path)


def test_a_run_is_recorded_and_read_back(tmp_path: Path) -> None:
    run = record_run("skybook", rounds=1, seconds=0.1, side=64, chip=0.02)
    path = tmp_path / "run.json"
    run.save(path)
    assert load_run(path) == run
    assert [one.codec for one in run.rounds] == ["skybook", OPENJPEG]
    ends = [run.marker.end]
    for one in run.rounds:
        assert one.passes >= 1
        assert one.work[1] - one.work[0] >= 0.1
        ends += [*one.before, *one.work, *one.after]
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    "change",
    [
        {"mpixel": "1"},
        {"mpixel": -1},
        {"mpixel": float("nan")},
        {"rounds": []},
        {"rounds": [{"codec": "a"}]},
        {"rounds": 7},
        {"marker": {"begin": 0, "end": 5, "on": [[1, 2]]}},
        {"marker": {"begin": 0, "end": 5, "on": [[3, 4], [1, 2]]}},
        {"marker": {"begin": 0, "end": 1e300, "on": [[1, 2], [3, 4]]}},
        {"marker": {"begin": 0, "end": 5, "on": [[1, 2, 3], [3, 4]]}},
    ],
)
def test_a_damaged_run_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "run.json"
    EnergyRun(1.0, MARKER, (Round("a", 1, (0.0, 1.0), (1.0, 2.0), (2.0, 3.0)),)).save(path)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match="expected a recorded run"):
        load_run(path)
    path.write_text("[" * 100_000)
    with pytest.raises(InputError, match="expected a recorded run"):
        load_run(path)
    with pytest.raises(UsageError, match=r"gone\.json"):
        load_run(tmp_path / "gone.json")


def board(name: str, **watts: float) -> Profile:
    figures = {
        key: Figure(value, "W", "datasheet", f"Sheet of {name}, table 3", date(2026, 1, 2))
        for key, value in watts.items()
    }
    return Profile(name, name, "a core", "", figures, ())


def speed(name: str, cores: Span | None) -> Estimate:
    return Estimate(name, "numpy", None, cores, "", () if cores else ("clock",))


def test_an_estimate_is_a_range_and_says_so() -> None:
    boards = [
        (board("Known", active_power=4.0, peak_power=6.0), speed("Known", Span(0.5, 2.0))),
        (board("Dark"), speed("Dark", Span(1, 2))),
        (board("Slow", active_power=1.0), speed("Slow", None)),
    ]
    costs, reasons = estimated_costs("ours", Span(0.25, 0.5), boards)
    assert [(cost.codec, cost.lowest, cost.highest) for cost in costs] == [
        ("ours", 2.0, 12.0),
        (OPENJPEG, 0.5, 6.0),
    ]
    assert all(cost.joules_per_mpixel is None for cost in costs)
    assert costs[0].as_figures()["mpixel_per_watt_hour_highest"] == 1800
    assert "power" in reasons["Dark"]
    assert "clock" in reasons["Slow"]
    text = energy_text(costs, reasons, [])
    rows = [line for line in text.splitlines() if line.startswith("Known")]
    assert len(rows) == 2
    for row in rows:
        assert "estimated" in row
        assert "measured" not in row
    assert "2 .. 12" in rows[0]
    assert "datasheet: Sheet of Known, table 3" in text


def test_a_meter_that_stands_still_gives_no_figure() -> None:
    with pytest.raises(EngineError, match="expected energy above 0"):
        measured_cost("ours", [(Energy(0.0, 1.0, 0.0, "measured", "a meter"), 3)], 1.0)


DRAW = """\
import os, sys, time
begin = time.perf_counter()
while True:
    with open(sys.argv[1] + ".new", "w") as file:
        file.write(f"{int(1e7 * (time.perf_counter() - begin))}\\n")
    os.replace(sys.argv[1] + ".new", sys.argv[1])
    time.sleep(0.002)
"""


@pytest.fixture
def ten_watts(tmp_path: Path) -> Iterator[Path]:
    """Yield a tree whose package counter another process lets rise by 10 W."""
    zone = tmp_path / "sys/class/powercap/intel-rapl:0"
    zone.mkdir(parents=True)
    counter = zone / "energy_uj"
    for name, text in (("name", "package-0"), ("max_energy_range_uj", "262143328850")):
        (zone / name).write_text(f"{text}\n")
    counter.write_text("0\n")
    with subprocess.Popen([sys.executable, "-c", DRAW, str(counter)]) as draw:
        while counter.read_text() == "0\n":
            time.sleep(0.01)
        yield tmp_path / "sys"
        draw.kill()


def test_the_command_measures(
    tmp_path: Path, ten_watts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energycommand, "SIDE", 64)
    out = tmp_path / "energy.json"
    options = ["--meter", "rapl", "--sysfs", str(ten_watts), "--seconds", "0.4", "--quick"]
    assert main(["energy", *options, "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["kind"] == "measured"
    assert [figure["codec"] for figure in found["figures"]] == ["skybook", OPENJPEG]
    for figure in found["figures"]:
        assert figure["kind"] == "measured"
        assert "powercap" in figure["source"]
        assert 1 < figure["idle_watts"] < 100  # 10, as far as a busy machine keeps time
        assert figure["joules_per_mpixel"] * figure["mpixel_per_watt_hour"] == pytest.approx(3600)
        assert figure["above_idle"] < figure["joules_per_mpixel"]


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--meter", "csv"], 2, "--record"),
        (["--trace", "trace.csv"], 2, "--run"),
        (["--meter", "rapl", "--profile", "a"], 2, "--profile"),
        (["--meter", "rapl", "--sysfs", "nowhere"], 7, "nowhere/class/powercap: expected RAPL"),
        (["--meter", "hwmon", "--sysfs", "nowhere"], 7, "no rails"),
        (["--meter", "battery", "--sysfs", "nowhere"], 7, "expected a battery"),
    ],
)
def test_the_command_refuses(
    capsys: pytest.CaptureFixture[str], options: list[str], code: int, message: str
) -> None:
    assert main(["energy", *options]) == code
    assert message in capsys.readouterr().err
