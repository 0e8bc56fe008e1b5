"""Roofline: how fast a board that is not at hand would encode, from its profile and the work.

Encoding a pixel is so many multiply-accumulates of matrix products, whole-array operations on an
element, look-ups, library calls and bytes moved (`Workload`). A core does each at some rate, and
does one stage after the other, so times add up. Per pixel, on one core:

    t = macs / M  +  max(elements / E, bytes / B)  +  lookups / L  +  calls * c

With n cores, each on rows of tiles of its own, M, E and L are n times as high, c is n times as low,
and the bandwidth B is shared. All that is known is a low and a high end of each; the result runs
from all the slow ends to all the fast ones. The bytes of numpy run from samples and latents alone
to every whole-array operation; those of C, and of a board whose E was measured on arrays of the
codec's sizes, are the former. Of a board that was probed (`python -m benchmarks probe`) and numpy,
M, E, L, B and c are its measured rates. Else

    M = clock * MAC/cycle * efficiency,  E, L = clock * operations/cycle,  c = cycles / clock

with the efficiencies of `NUMPY` or `C`. Without a clock there is no estimate. Other figures that
are missing are named: without MAC/cycle a core has no SIMD; without bandwidth, memory is no limit.

Source: S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful visual performance model
for multicore architectures", CACM 52(4), 2009; adding stages up instead of taking the slowest is
ours, since they do not overlap.
"""

from dataclasses import dataclass, replace
from typing import Any

from benchmarks.boards.profiles import Profile
from benchmarks.boards.workload import Span, Workload

_NO_SIMD = Span(0.25, 1.0)
"""Multiply-accumulates a cycle of a core about whose SIMD nothing is known: two loads, a product
and a sum one after the other, or a pipelined multiply-accumulate."""
_PROBED = Span(0.7, 1.0)
"""What counts of a measured rate: other work on the machine may take some away."""
_BANDWIDTH = Span(0.4, 1.0)
"""What counts of a bandwidth that was not measured: from what a core that copies gets of a data
sheet's peak, to all of it. The Raspberry Pi 4 copies 5.5 GB/s of 12.8 GB/s."""
PARTS = ("multiply-accumulates", "whole arrays", "look-ups", "calls")
PROBED_RATES = ("gemm_rate", "element_rate", "lookup_rate", "call_overhead")


@dataclass(frozen=True)
class Implementation:
    """What an encoder makes of a core.

    Attributes:
        name: 'numpy' or 'c'.
        mac_efficiency: share of the peak multiply-accumulates.
        elements_per_cycle: element operations of whole arrays in a cycle, data in cache.
        lookups_per_cycle: look-ups in a cycle.
        call_cycles: cycles of one call of the library; 0 if there are none.
        whole_arrays: whether it is Python, and intermediate arrays may go out to memory.
    """

    name: str
    mac_efficiency: Span
    elements_per_cycle: Span
    lookups_per_cycle: Span
    call_cycles: Span
    whole_arrays: bool


NUMPY = Implementation(
    "numpy", Span(0.3, 0.7), Span(0.2, 1.0), Span(0.07, 0.3), Span(2e3, 8e3), True
)
"""Efficiencies from the probe of an AVX-512 server core at 2.3 to 3 GHz, not from encoding. GEMM of
the codec's narrow shapes (132 x 32, 256 x 64) ran at 33 to 61 GMAC/s, 0.35 to 0.65 of 96 GMAC/s;
int32 operations at 1.0 element a cycle, look-ups at 0.3, a call took 2,300 cycles. The low ends are
for in-order cores with a quarter of the load width and more cycles for each instruction."""
C = Implementation("c", Span(0.1, 0.6), Span(0.5, 3.0), Span(0.1, 0.5), Span(0, 0), False)
"""Portable C, from how such loops are built, not measured: filters folded and weights of 0 skipped
(`Workload.sparse_macs`), products as the compiler vectorises them, element operations fused into
few loops whose data stay in cache, look-ups of a load and a few instructions each."""
IMPLEMENTATIONS = {made.name: made for made in (NUMPY, C)}


@dataclass(frozen=True)
class Estimate:
    """Speeds of a board in Mpixel/s.

    Attributes:
        profile: key of the board's profile.
        implementation: name of the implementation.
        one_core: slowest and fastest speed of one core; None if it cannot be said.
        all_cores: slowest and fastest speed of all cores; None also without the number of cores.
        bound: the one of `PARTS`, or 'memory', that takes most of one core's time; empty without an
            estimate.
        missing: figures that the profile does not have and the estimate would need.
    """

    profile: str
    implementation: str
    one_core: Span | None
    all_cores: Span | None
    bound: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Rates:
    """Rates of one core per second, seconds of a call, bytes per second of all cores.

    Attributes:
        whole_arrays: whether every whole-array operation may go out to memory.
    """

    macs: Span
    elements: Span
    lookups: Span
    call: Span
    bandwidth: Span | None
    whole_arrays: bool
    missing: tuple[str, ...]


def estimate(
    profile: Profile, workload: Workload, implementation: Implementation = NUMPY
) -> Estimate:
    """Estimate the speed of a board; see the module for the model."""
    if implementation.whole_arrays and not profile.python:
        return Estimate(profile.key, implementation.name, None, None, "", ("Python",))
    rates = _rates(profile, implementation)
    missing = () if "cores" in profile.figures else ("cores",)
    if rates is None:
        return Estimate(
            profile.key, implementation.name, None, None, "", (*missing, *_clock_rates(profile))
        )
    if not implementation.whole_arrays:
        workload = replace(workload, macs=workload.sparse_macs)
    cores = profile.base("cores")
    one = _seconds(workload, rates, 1)
    return Estimate(
        profile=profile.key,
        implementation=implementation.name,
        one_core=_speed(one),
        all_cores=_speed(_seconds(workload, rates, cores)) if cores else None,
        bound=max(one, key=lambda part: one[part].low + one[part].high),
        missing=(*missing, *rates.missing),
    )


def _clock_rates(profile: Profile) -> tuple[str, ...]:
    return tuple(f for f in ("clock", "macs_per_cycle") if f not in profile.figures)


def _rates(profile: Profile, made: Implementation) -> _Rates | None:
    """Return the rates of one core; None without a clock."""
    bandwidth = profile.base("memory_bandwidth")
    missing = () if bandwidth else ("memory_bandwidth",)
    measured = bandwidth and profile.figures["memory_bandwidth"].kind == "measured"
    bytes_ = (_PROBED if measured else _BANDWIDTH).times(bandwidth) if bandwidth else None
    if made is NUMPY and all(rate in profile.figures for rate in PROBED_RATES):
        gemm, element, lookup, call = (profile.figures[rate].base for rate in PROBED_RATES)
        macs, elements, lookups = (_PROBED.times(rate) for rate in (gemm, element, lookup))
        return _Rates(macs, elements, lookups, Span(call, call), bytes_, False, missing)
    clock = profile.base("clock")
    if clock is None:
        return None
    per_cycle = profile.base("macs_per_cycle")
    macs = made.mac_efficiency.times(per_cycle) if per_cycle else _NO_SIMD
    return _Rates(
        macs.times(clock),
        made.elements_per_cycle.times(clock),
        made.lookups_per_cycle.times(clock),
        made.call_cycles.times(1 / clock),
        bytes_,
        made.whole_arrays,
        missing if per_cycle else ("macs_per_cycle", *missing),
    )


def _seconds(work: Workload, rates: _Rates, cores: float) -> dict[str, Span]:
    """Return fastest and slowest seconds per pixel of each part."""
    arrays = _time(work.elements, rates.elements, cores)
    memory = Span(0, 0)
    if rates.bandwidth:
        most = work.bytes.high if rates.whole_arrays else work.bytes.low
        memory = _time(Span(work.bytes.low, most), rates.bandwidth, 1)
    calls = Span(work.calls.low * rates.call.low, work.calls.high * rates.call.high)
    macs, whole, lookups, of_calls = PARTS
    return {
        macs: _time(work.macs, rates.macs, cores),
        whole if arrays.high >= memory.high else "memory": Span(
            max(arrays.low, memory.low), max(arrays.high, memory.high)
        ),
        lookups: _time(work.lookups, rates.lookups, cores),
        of_calls: calls.times(1 / cores),
    }


def _time(work: Span, rate: Span, cores: float) -> Span:
    """Return the seconds that work takes at a rate of each core."""
    return Span(work.low / rate.high / cores, work.high / rate.low / cores)


def _speed(seconds: dict[str, Span]) -> Span:
    """Return Mpixel/s, slowest and fastest."""
    fast, slow = (sum(getattr(part, end) for part in seconds.values()) for end in ("low", "high"))
    return Span(1e-6 / slow, 1e-6 / fast)


def model_text() -> str:
    """Return the model and its efficiencies for people."""
    lines = [(__doc__ or "").strip(), ""]
    for made in IMPLEMENTATIONS.values():
        spans = (made.mac_efficiency, made.elements_per_cycle, made.lookups_per_cycle)
        macs, elements, lookups = (f"{span.low:g}..{span.high:g}" for span in spans)
        lines.append(
            f"{made.name}: {macs} of the peak MAC/cycle; {elements} element operations or "
            f"{lookups} look-ups a cycle; {made.call_cycles.low:g}..{made.call_cycles.high:g} "
            "cycles a call"
        )
    return "\n".join(
        [
            *lines,
            f"measured rates count {_PROBED.low:g}..{_PROBED.high:g}, a bandwidth from a data "
            f"sheet {_BANDWIDTH.low:g}..{_BANDWIDTH.high:g}",
        ]
    )


def roofline_row(found: Estimate) -> dict[str, Any]:
    """Return an estimate as plain values, flat."""
    spans = {"one_core": found.one_core, "all_cores": found.all_cores}
    return {
        "profile": found.profile,
        "implementation": found.implementation,
        **{f"{name}_low": span.low if span else None for name, span in spans.items()},
        **{f"{name}_high": span.high if span else None for name, span in spans.items()},
        "bound": found.bound,
        "missing": list(found.missing),
    }
