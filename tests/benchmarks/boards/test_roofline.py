"""Roofline: what the estimate does when the board or the work changes, and how near it is here."""

import json
from dataclasses import replace
from datetime import date
from itertools import pairwise

import pytest

from benchmarks.__main__ import main
from benchmarks.boards.check import check
from benchmarks.boards.profiles import Figure, Profile, load_profile, load_profiles
from benchmarks.boards.roofline import NUMPY, PARTS, C, estimate, model_text, roofline_row
from benchmarks.boards.workload import Span, workload_of
from onboard import bundle as bundles
from onboard.errors import BundleError, UsageError
from tests.conftest import model_of

BOARD = {
    "cores": (4, "core"),
    "clock": (1000, "MHz"),
    "macs_per_cycle": (4, "MAC/cycle"),
    "memory_bandwidth": (2, "GB/s"),
}
PROBED = {
    "gemm_rate": (40, "GMAC/s"),
    "element_rate": (3, "Gelement/s"),
    "lookup_rate": (0.7, "Gelement/s"),
    "call_overhead": (1, "us"),
}
MADE = pytest.mark.parametrize("made", [NUMPY, C], ids=["numpy", "c"])


def board(*without: str, kind: str = "datasheet", **changed: tuple[float, str]) -> Profile:
    figures = {
        key: Figure(float(value), unit, kind, "a test", date(2026, 1, 1))
        for key, (value, unit) in (BOARD | changed).items()
        if key not in without
    }
    return Profile("board", "a board", "a core", "", figures, ())


@pytest.fixture(scope="module")
def work():
    return workload_of(bundles.load("skybook"))


def test_work_is_that_of_the_bundle(work):
    bundle = bundles.load("skybook")
    transform = bundle.bands * model_of(bundle).transform.macs_per_sample
    contexts = model_of(bundle).contexts.macs_per_position / 64
    assert work.name == "skybook"
    assert transform + contexts < work.macs.low < 1.1 * (transform + contexts)
    assert work.macs.high < transform + 2 * contexts
    assert transform / 4 < work.sparse_macs.low < work.macs.low / 2
    assert 0.2 < work.coded < 0.8
    for span in (work.macs, work.elements, work.lookups, work.calls, work.bytes):
        assert 0 < span.low <= span.high


def test_fixed_rate_bundles_are_refused():
    with pytest.raises(BundleError, match="corsa-2level-1024"):
        workload_of(bundles.load("corsa-2level-1024"))


@MADE
@pytest.mark.parametrize("figure", ["clock", "macs_per_cycle", "memory_bandwidth"])
def test_a_better_board_is_no_slower(work, made, figure):
    value, unit = BOARD[figure]
    speeds = [
        estimate(board(**{figure: (value * factor, unit)}), work, made) for factor in (0.1, 1, 10)
    ]
    for slower, faster in pairwise(speeds):
        for cores in ("one_core", "all_cores"):
            assert getattr(slower, cores).low <= getattr(faster, cores).low
            assert getattr(slower, cores).high <= getattr(faster, cores).high
    assert speeds[0].all_cores.high < speeds[-1].all_cores.high or figure == "memory_bandwidth"


@MADE
def test_more_cores_help_up_to_the_bandwidth(work, made):
    for bandwidth in (0.001, 2, 1000):
        found = estimate(board(memory_bandwidth=(bandwidth, "GB/s")), work, made)
        for end in ("low", "high"):
            one, every = getattr(found.one_core, end), getattr(found.all_cores, end)
            assert one * 0.999 <= every <= 4 * one * 1.001
            most = bandwidth * 1e9 / work.bytes.low / 1e6
            assert every <= most
    assert found.all_cores.low == pytest.approx(4 * found.one_core.low)


def test_a_core_without_bandwidth_is_bound_by_memory(work):
    assert estimate(board(memory_bandwidth=(10, "MB/s")), work).bound == "memory"
    assert estimate(board(memory_bandwidth=(900, "GB/s")), work).bound in PARTS


@MADE
@pytest.mark.parametrize("part", ["macs", "elements", "lookups"])
def test_more_work_takes_longer(work, made, part):
    part = "sparse_macs" if part == "macs" and made is C else part
    more = replace(work, **{part: getattr(work, part).times(3)})
    plain, loaded = (estimate(board(), load, made).one_core for load in (work, more))
    assert loaded.low <= plain.low  # the slow end may be bound by memory
    assert loaded.high < plain.high


@MADE
def test_what_is_missing_is_named(work, made):
    assert estimate(board(), work, made).missing == ()
    no_simd = estimate(board("macs_per_cycle"), work, made)
    assert no_simd.missing == ("macs_per_cycle",)
    assert no_simd.one_core.high < estimate(board(), work, made).one_core.high
    assert estimate(board("memory_bandwidth"), work, made).missing == ("memory_bandwidth",)
    no_cores = estimate(board("cores"), work, made)
    assert no_cores.missing == ("cores",)
    assert no_cores.all_cores is None
    assert no_cores.one_core == estimate(board(), work, made).one_core
    no_clock = estimate(board("clock"), work, made)
    assert no_clock.one_core is None
    assert no_clock.all_cores is None
    assert no_clock.missing == ("clock",)


def test_no_python_no_numpy(work):
    chip = load_profile("stm32h7")
    assert estimate(chip, work, NUMPY).missing == ("Python",)
    assert estimate(chip, work, NUMPY).one_core is None
    assert estimate(chip, work, C).one_core is not None


def test_probed_rates_replace_assumed_ones(work):
    probed = estimate(board(**PROBED, kind="measured"), work)
    assert probed == estimate(board("clock", "macs_per_cycle", **PROBED, kind="measured"), work)
    assert probed.one_core.high / probed.one_core.low < 2
    twice = {
        key: (value * (0.5 if unit == "us" else 2), unit) for key, (value, unit) in PROBED.items()
    }
    faster = estimate(board(memory_bandwidth=(1000, "GB/s"), **twice, kind="measured"), work)
    slower = estimate(board(memory_bandwidth=(1000, "GB/s"), **PROBED, kind="measured"), work)
    assert faster.one_core.middle == pytest.approx(2 * slower.one_core.middle)
    part = estimate(board(gemm_rate=PROBED["gemm_rate"], kind="measured"), work)
    assert part == estimate(board(kind="measured"), work)


def test_every_board_has_an_estimate_or_a_reason(work):
    for profile in load_profiles():
        for made in (NUMPY, C):
            found = estimate(profile, work, made)
            if found.one_core is None:
                assert found.missing
            else:
                assert 0 < found.one_core.low < found.one_core.high < 20
            row = roofline_row(found)
            assert row["profile"] == profile.key
            assert json.loads(json.dumps(row)) == row


def test_a_small_board_is_slower_than_a_large_one(work):
    names = ("samv71", "stm32h7", "raspberry-pi-zero-2-w", "raspberry-pi-cm4", "jetson-orin-nano")
    speeds = [estimate(load_profile(name), work, C).all_cores.middle for name in names]
    assert speeds == sorted(speeds)


def test_check_compares(work):
    here = board(**PROBED, kind="measured")
    middle = estimate(here, work).one_core.middle
    near, far = (check(here, work, {"numpy": middle * factor})[0] for factor in (0.9, 0.45))
    assert near["within"]
    assert near["ratio"] == pytest.approx(1 / 0.9)
    assert not far["within"]
    assert [row["implementation"] for row in check(here, work, {"numpy": 1.0, "c": 4.0})] == [
        "numpy",
        "c",
    ]


@pytest.mark.parametrize("measured", [{"rust": 1.0}, {"c": 0.0}, {"c": float("nan")}])
def test_check_refuses_what_is_no_speed(work, measured):
    with pytest.raises(UsageError, match=next(iter(measured))):
        check(board(), work, measured)


def test_check_needs_a_clock(work):
    with pytest.raises(UsageError, match="clock"):
        check(board("clock"), work, {"c": 1.0})


def test_command_states_model_work_estimates_and_check(monkeypatch, capsys, tmp_path):
    here = board(**PROBED, kind="measured")
    monkeypatch.setattr("benchmarks.boards.command.probe", lambda: here)
    monkeypatch.setattr("benchmarks.boards.command.measure_numpy", lambda _bundle: 1.5)
    out = tmp_path / "roofline.json"
    arguments = ["roofline", "--profile", "gr740", "--profile", "unibap-ix5", "--json", str(out)]
    code = main(arguments)
    text, result = capsys.readouterr().out, json.loads(out.read_text())
    assert code == (0 if result["checks"][0]["within"] else 1)
    for line in model_text().splitlines():
        assert line in text
    assert [row["profile"] for row in result["estimates"]] == ["gr740"] * 2 + ["unibap-ix5"] * 2
    assert result["checks"][0]["measured"] == 1.5
    assert result["macs_per_pixel_low"] > 1_900
    assert "missing: cores, clock" in text
    assert "unibap-ix5: cores, clock, ram" in text


def test_command_ends_with_1_when_the_estimate_is_far_off(monkeypatch, capsys):
    here = board(**PROBED, kind="measured")
    monkeypatch.setattr("benchmarks.boards.command.probe", lambda: here)
    monkeypatch.setattr("benchmarks.boards.command.measure_numpy", lambda _bundle: 1000.0)
    assert main(["roofline", "--profile", "gr740"]) == 1
    assert "NOT within 2 x" in capsys.readouterr().out


def test_command_refuses_what_does_not_fit(capsys):
    assert main(["roofline", "--profile", "none-such"]) == 2
    assert main(["roofline", "--no-check", "--measured", "c=1"]) == 2
    with pytest.raises(SystemExit):
        main(["roofline", "--measured", "c=fast"])
    assert "expected NAME=MPIXEL" in capsys.readouterr().err


@pytest.mark.slow  # a busy machine may miss it
def test_this_machine_is_within_a_factor_of_two(capsys):
    """The real thing: probe, encode, compare."""
    code = main(["roofline", "--profile", "gr740", "--json"])
    (row,) = json.loads(capsys.readouterr().out)["checks"]
    assert row["implementation"] == "numpy"
    assert 0.5 <= row["ratio"] <= 2, row
    assert code == 0


def test_span_middle():
    assert Span(1, 4).middle == 2
