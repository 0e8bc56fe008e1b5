"""Hardware profiles: what is shipped, what is refused, and the probe."""

import json
import math
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.__main__ import main
from benchmarks.boards.probe import measure_rates, power_files, probe
from benchmarks.boards.profiles import (
    FIGURES,
    FOLDER,
    KINDS,
    UNITS,
    Figure,
    Profile,
    Runtime,
    load_profile,
    load_profiles,
    pack_profile,
)
from onboard.errors import InputError, SkybookError, UsageError

SHIPPED = (
    "raspberry-pi-zero-2-w",
    "raspberry-pi-cm4",
    "jetson-nano",
    "jetson-xavier-nx",
    "jetson-orin-nano",
    "myriad-2",
    "myriad-x",
    "zynq-7020",
    "zcu104",
    "gr740",
    "samv71",
    "stm32n6",
    "stm32h7",
    "ops-sat-sepp",
    "xiphos-q7s",
    "xiphos-q8s",
    "unibap-ix5",
    "unibap-ix10",
)
GOOD = """\
name = "a board"
processor = "a core"

[clock]
value = 1.5
unit = "GHz"
kind = "datasheet"
source = "a document, section 1"
date = "2026-01-31"

[[runtimes]]
name = "onnxruntime"
kind = "measured"
source = "tried"
date = "2026-01-31"
"""


@pytest.fixture
def write(tmp_path: Path):
    def writer(text: str) -> Path:
        path = tmp_path / "board.toml"
        path.write_text(text)
        return path

    return writer


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_profiles_load_and_keep_to_the_schema(name):
    profile = load_profile(name)
    assert profile.key == name
    for figure in (*profile.figures.values(), *profile.runtimes):
        assert figure.kind in KINDS
        assert len(figure.source) > 10
        assert date(2020, 1, 1) < figure.date


def test_all_shipped_profiles_are_known_here_and_read_together():
    found = {profile.key for profile in load_profiles()} - {"this-machine"}
    assert found == set(SHIPPED)


def test_estimated_figures_say_how():
    for profile in load_profiles():
        for figure in profile.figures.values():
            assert figure.kind != "estimated" or len(figure.source) > 30


def test_profile_is_read(write):
    profile = load_profile(write(GOOD))
    assert profile.key == "board"
    assert profile.base("clock") == 1.5e9
    assert profile.base("ram") is None
    assert profile.power_range is None
    assert str(profile.figures["clock"]) == "1.5 GHz"
    assert profile.runtimes[0].name == "onnxruntime"
    assert profile.python


def test_power_range_takes_what_is_known(write):
    power = '[{}]\nvalue = {}\nunit = "W"\nkind = "measured"\nsource = "s"\ndate = "2026-01-01"\n'
    one = GOOD + power.format("peak_power", 40)
    assert load_profile(write(one)).power_range == (40, 40)
    assert load_profile(write(one + power.format("active_power", 4))).power_range == (4, 40)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[clock]", "[clok]", ("unknown key 'clok'", "'clock'")),
        ("unit =", "units =", ("clock", "unknown key 'units'", "'unit'")),
        ('"GHz"', '"W"', ("clock: unit", "GHz", "'W'")),
        ('"GHz"', '"furlong"', ("clock: unit", "'furlong'")),
        ('kind = "datasheet"', 'kind = "guess"', ("clock: kind", "estimated", "'guess'")),
        ('date = "2026-01-31"\n\n', 'date = "2026-02-30"\n\n', ("clock: date", "2026-02-30")),
        ('date = "2026-01-31"\n\n', 'date = "31.1.2026"\n\n', ("clock: date", "YYYY-MM-DD")),
        ('date = "2026-01-31"\n\n', "date = 2026-01-31\n\n", ("clock: date", "text")),
        ("value = 1.5", "value = 0", ("clock: value", "above 0", "found 0")),
        ("value = 1.5", "value = -3", ("clock: value", "found -3")),
        ("value = 1.5", "value = inf", ("clock: value", "finite", "found inf")),
        ("value = 1.5", "value = nan", ("clock: value", "found nan")),
        ("value = 1.5", "value = true", ("clock: value", "found True")),
        ("value = 1.5", 'value = "1.5"', ("clock: value", "found '1.5'")),
        ("value = 1.5", "value = 1" + "0" * 400, ("clock: value", "finite")),
        ('source = "a document, section 1"', 'source = " "', ("clock: source", "text")),
        ('source = "a document, section 1"\n', "", ("clock", "expected the key 'source'")),
        ('name = "a board"\n', "", ("name", "expected text")),
        ('name = "a board"', "name = 3", ("name", "found 3")),
        ('name = "a board"', 'name = "a board"\npython = 1', ("python", "true or false")),
        ("[[runtimes]]", "[runtimes]", ("runtimes", "array of tables")),
        ('source = "tried"', 'version = "1"', ("runtimes[0]", "unknown key 'version'")),
        ("[clock]", "[clock", ("TOML",)),
    ],
)
def test_malformed_profiles_are_refused_by_file_and_key(write, old, new, words):
    assert old in GOOD
    path = write(GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_profile(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_half_a_core_is_refused(write):
    half = GOOD.replace("[clock]", "[cores]").replace('"GHz"', '"core"')
    with pytest.raises(InputError, match=r"whole number, found 1\.5"):
        load_profile(write(half))


def test_figure_that_is_no_table_is_refused(write):
    with pytest.raises(InputError, match="ram: expected a table, found 4"):
        load_profile(write("ram = 4\n" + GOOD))


def test_files_that_are_none(tmp_path):
    with pytest.raises(UsageError, match=r"known: .*raspberry-pi-cm4"):
        load_profile("raspberry-pi-9")
    with pytest.raises(UsageError, match="No such file"):
        load_profile(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="found none"):
        load_profiles(tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="UTF-8"):
        load_profile(binary)
    long = tmp_path / "long.toml"
    long.write_bytes(b"#" * (1 << 17))
    with pytest.raises(InputError, match="at most 65536 bytes"):
        load_profile(long)


def test_damaged_profiles_end_in_no_other_error(tmp_path):
    packed = (FOLDER / "jetson-nano.toml").read_bytes()
    path = tmp_path / "damaged.toml"
    refused = 0
    for place in range(0, len(packed), 7):
        flipped = bytes([packed[place] ^ 4])
        for damaged in (packed[:place], packed[:place] + flipped + packed[place + 1 :]):
            path.write_bytes(damaged)
            try:
                load_profile(path)
            except SkybookError:
                refused += 1
    assert refused > 100


@given(
    name=st.text(min_size=1, max_size=20).filter(lambda text: bool(text.strip())),
    source=st.text(min_size=1, max_size=40).filter(lambda text: bool(text.strip())),
    value=st.floats(1e-9, 1e15),
    key=st.sampled_from([key for key in FIGURES if key != "cores"]),
    kind=st.sampled_from(KINDS),
    python=st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, name, source, value, key, kind, python):
    unit = next(unit for unit, (of, _) in UNITS.items() if of == FIGURES[key])
    origin = (kind, source, date(2026, 2, 28))
    figures = {key: Figure(value, unit, *origin)}
    written = Profile("x", name, "core", name, figures, (Runtime(name, *origin),), python)
    path = tmp_path_factory.mktemp("packed") / "x.toml"
    path.write_text(pack_profile(written), encoding="utf-8", newline="\n")
    assert load_profile(path) == written


def _tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_probe_reads_the_system_it_is_given(tmp_path, monkeypatch):
    rates = dict.fromkeys(
        ("memory_bandwidth", "gemm_rate", "int8_mac_rate", "element_rate", "lookup_rate"), 2e9
    )
    monkeypatch.setattr("benchmarks.boards.probe._rates", lambda: rates | {"call_overhead": 1e-6})
    root = _tree(
        tmp_path,
        {
            "proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd evtstrm\nModel\t\t: A Board\n",
            "proc/meminfo": "MemTotal:         440000 kB\nMemFree: 1 kB\n",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "1000000\n",
            "sys/class/hwmon/hwmon0/power1_input": "1000000\n",
        },
    )
    found = probe(root)
    assert found.processor == "A Board"
    assert found.base("clock") == 1e9
    assert found.base("ram") == pytest.approx(440_000 * 1024, rel=1e-3)
    assert found.figures["macs_per_cycle"].value == 4
    assert found.figures["macs_per_cycle"].kind == "estimated"
    assert found.figures["gemm_rate"].kind == "measured"
    assert found.base("gemm_rate") == 2e9
    assert found.base("call_overhead") == pytest.approx(1e-6)
    assert power_files(root) == ["sys/class/hwmon/hwmon0/power1_input"]


def test_probe_leaves_out_what_the_system_does_not_tell(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.boards.probe._rates", measure_rates)
    root = _tree(
        tmp_path,
        {
            "proc/cpuinfo": "cpu MHz : unknown\n",
            "proc/meminfo": "MemTotal: \n",
            "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "<unknown>\n",
        },
    )
    found = probe(root)
    assert {"clock", "ram", "macs_per_cycle"}.isdisjoint(found.figures)
    assert found.processor == "unknown"
    assert power_files(root) == []


def test_rates_are_those_of_a_computer():
    rates = measure_rates()
    assert all(0 < rate < math.inf for rate in rates.values())
    assert rates["gemm_rate"] > rates["lookup_rate"] / 10
    assert 1e-8 < rates["call_overhead"] < 1e-3


def test_probe_command_writes_a_profile_that_loads(tmp_path, capsys):
    path = tmp_path / "this-machine.toml"
    assert main(["probe", "-o", str(path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    found = load_profile(path)
    assert result["cores.value"] == found.figures["cores"].value
    assert "numpy" in result["runtimes"]
    assert {"gemm_rate", "element_rate", "lookup_rate", "call_overhead"} <= set(found.figures)


def test_probe_command_says_where_it_cannot_write(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("benchmarks.boards.command.probe", lambda: load_profile("gr740"))
    assert main(["probe", "-o", str(tmp_path / "none" / "x.toml")]) == 2
    assert "expected a place to write to" in capsys.readouterr().err
