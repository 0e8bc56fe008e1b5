"""Stages of an encode: how its time splits into front end, network, quantiser, entropy coder ...

The functions of the onboard chain are wrapped here while a stopwatch runs, and put back after. Time
in a function that another one calls counts for the inner one alone, so stages add up to the whole.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from onboard.codec import rans
from onboard.codec.corsa import codec as corsacodec
from onboard.codec.corsa import coder as corsa
from onboard.codec.corsa.frontend import AffineFrontEnd
from onboard.codec.lapped import codec as lappedcodec
from onboard.codec.lapped.coder import LappedTileCoder
from onboard.codec.lapped.compiled.coder import CompiledTileCoder
from onboard.codec.lapped.frontends.adaptive import AdaptiveFrontEnd
from onboard.encoder import encoder, windows
from onboard.link.packet import PacketOptions
from onboard.link.segment import Segment

REST = "rest"
STAGES: dict[str, tuple[tuple[Any, str], ...]] = {
    "front_end": (
        (AdaptiveFrontEnd, "analyse"),
        (AffineFrontEnd, "analyse"),
        (AffineFrontEnd, "normalise"),
    ),
    "network": ((LappedTileCoder, "prepare"), (CompiledTileCoder, "prepare")),
    "rate_search": (
        (LappedTileCoder, "guess"),
        (CompiledTileCoder, "guess"),
        (CompiledTileCoder, "guess_error"),
        (encoder, "within"),
    ),
    "quantise": (
        (LappedTileCoder, "symbols"),
        (CompiledTileCoder, "plan"),
        (corsa, "quantise"),
    ),
    "entropy": ((LappedTileCoder, "write"), (rans, "encode"), (corsa, "split_layers")),
    "pack": (
        (LappedTileCoder, "plan"),
        (Segment, "pack"),
        (PacketOptions, "pack"),
        (windows, "pack_mask"),
    ),
}
"""Where each stage happens; what a function calls of other stages counts there. `prepare` rounds
and orders what the network gives, `within` searches the rate, `plan` cuts symbols to segments.
Engine `c` analyses a tile in one call, and quantises and codes it in another. What no stage names
is `REST`: tiling, checks, sorting."""
ENGINES = ((corsacodec, "open_session"), (lappedcodec, "open_plane_session"))
LABELS = {
    "front_end": "front end: statistics, band transform, normalise",
    "network": "network or lapped transform",
    "rate_search": "rate search: sizes guessed and settled",
    "quantise": "quantise and contexts, at every step tried",
    "entropy": "entropy coder",
    "pack": "cut to segments, CRC, packets",
    REST: "rest: tiling, checks",
}


class Stopwatch:
    """Gives each stage the time between its calls and returns, less that of stages within."""

    def __init__(self) -> None:
        self._running = [REST]
        self._since = time.perf_counter()
        self._seconds = dict.fromkeys((*STAGES, REST), 0.0)

    def lap(self) -> dict[str, float]:
        """Return the seconds of each stage since the last lap."""
        self._charge()
        seconds = self._seconds
        self._seconds = dict.fromkeys(seconds, 0.0)
        return seconds

    def wrap(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time on this watch."""

        def timed(*arguments: Any, **named: Any) -> Any:
            self._charge()
            self._running.append(stage)
            try:
                return function(*arguments, **named)
            finally:
                self._charge()
                self._running.pop()

        return timed

    def _charge(self) -> None:
        now = time.perf_counter()
        self._seconds[self._running[-1]] += now - self._since
        self._since = now


@contextmanager
def watched_stages() -> Iterator[Stopwatch]:
    """Wrap the onboard chain; an encoder opened within has its engine on the watch, too."""
    watch = Stopwatch()
    with ExitStack() as stack:
        for stage, places in STAGES.items():
            for owner, name in places:
                timed = watch.wrap(stage, getattr(owner, name))
                stack.enter_context(patch.object(owner, name, timed))
        for owner, name in ENGINES:
            opened = _timed_engine(watch, getattr(owner, name))
            stack.enter_context(patch.object(owner, name, opened))
        yield watch


def _timed_engine(watch: Stopwatch, open_engine: Callable[..., Any]) -> Callable[..., Any]:
    """Return a way to open an engine whose runs are on the watch."""

    def opened(*arguments: Any, **named: Any) -> Any:
        session = open_engine(*arguments, **named)
        return _TimedSession(session.engine, watch.wrap("network", session.run))

    return opened


class _TimedSession:
    """A session whose `run` is on a watch."""

    def __init__(self, engine: str, run: Callable[..., Any]) -> None:
        self.engine, self.run = engine, run
