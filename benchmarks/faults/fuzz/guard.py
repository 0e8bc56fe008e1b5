"""Guard: runs a parser on one input after the other, within limits, and keeps what breaks them.

This file imports nothing of ours at its top: what is fuzzed is instrumented as it is imported.
"""

import json
import os
import resource
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from time import monotonic, process_time
from types import FrameType

HANG_SECONDS = 1.0
_STUCK_SECONDS = 10
"""After which libFuzzer ends the process, for what Python cannot interrupt."""
_INSTRUMENTED = ["onboard", "ground"]
_STATM = "/proc/self/statm"


class HangError(Exception):
    """An input took more than `HANG_SECONDS` of processor time."""


@dataclass
class Guard:
    """Runs a parser; neither crash nor hang ends it.

    Attributes:
        run: parser that is run.
        allocation: most bytes of memory that one input may take.
        folder: folder where inputs that break a limit are kept, each with its traceback.
        executions: inputs run so far.
        crashes: number of places that raised anything but an error of onboard.errors.
        hangs: number of places at which time ran out.
        slowest_ms: longest time that an input took, in processor time.
    """

    run: Callable[[bytes], object]
    allocation: int
    folder: Path
    executions: int = 0
    crashes: int = 0
    hangs: int = 0
    slowest_ms: float = 0.0
    _places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        signal.signal(signal.SIGPROF, _expired)
        self._statm = os.open(_STATM, os.O_RDONLY)
        self._usual = resource.getrlimit(resource.RLIMIT_AS)

    def __call__(self, packed: bytes) -> None:
        """Run the parser on one input."""
        started = process_time()
        try:
            self._run_limited(packed)
        except HangError as error:
            self.hangs += self._keep("hang", packed, error)
        except Exception as error:
            self.crashes += self._keep("crash", packed, error)
        self.executions += 1
        self.slowest_ms = max(self.slowest_ms, 1e3 * (process_time() - started))

    def _run_limited(self, packed: bytes) -> None:
        pages = int(os.pread(self._statm, 64, 0).split()[0])
        most = pages * resource.getpagesize() + self.allocation
        resource.setrlimit(resource.RLIMIT_AS, (most, self._usual[1]))
        signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
        try:
            self.run(packed)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, self._usual)
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _keep(self, kind: str, packed: bytes, error: Exception) -> bool:
        """Keep an input, unless one that failed at the same place has been; say whether it was."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{type(error).__name__} {frame.filename}:{frame.lineno}"
        if place in self._places:
            return False
        self._places.add(place)
        name = f"{kind}-{sha256(packed).hexdigest()[:12]}"
        (self.folder / name).write_bytes(packed)
        (self.folder / f"{name}.txt").write_text("".join(traceback.format_exception(error)))
        return True


def _expired(_signal: int, _frame: FrameType | None) -> None:
    raise HangError(f"more than {HANG_SECONDS} s")


@dataclass
class Campaign:
    """A guarded parser until a number of executions or seconds is reached.

    Attributes:
        guard: guard of the parser.
        executions: number of inputs to run, None for no end.
        seconds: time to run for, s; None for no end.
    """

    guard: Guard
    executions: int | None
    seconds: float | None

    def __post_init__(self) -> None:
        self._started = self._reported = monotonic()
        self._report(0)

    def __call__(self, packed: bytes) -> None:
        """Run the parser on one input, report every second, and end the process at the end.

        A fuzzer has no other end: nothing after it runs.
        """
        self.guard(packed)
        now = monotonic()
        elapsed = now - self._started
        ended = self.executions is not None and self.guard.executions >= self.executions
        ended |= self.seconds is not None and elapsed >= self.seconds
        if ended or now - self._reported >= 1:
            self._reported = now
            self._report(elapsed)
        if ended:
            os._exit(0)

    def _report(self, elapsed: float) -> None:
        keys = ("executions", "crashes", "hangs", "slowest_ms")
        state = {key: getattr(self.guard, key) for key in keys}
        print(json.dumps(state | {"seconds": elapsed}), flush=True)


def fuzz_here(
    name: str, seeds: str, folder: str, executions: int | None, seconds: float | None
) -> None:
    """Fuzz a parser in this process, which ends with it. Reports are lines of JSON on stdout.

    Args:
        name: name of the parser.
        seeds: folder of inputs to begin with.
        folder: folder of inputs that break it and, in its `corpus`, of those that reached more.
        executions: number of inputs to run, None for no end.
        seconds: time to run for, s; None for no end.
    """
    atheris = import_module("atheris")
    with atheris.instrument_imports(include=_INSTRUMENTED):
        parser = import_module("benchmarks.faults.fuzz.targets").PARSERS[name]
    for seed in sorted(Path(seeds).iterdir()):
        parser.run(seed.read_bytes())  # what is made once does not count against the first input
    found = Path(folder, "corpus")
    found.mkdir(parents=True, exist_ok=True)
    options = {
        "max_len": parser.most_bytes,
        "timeout": _STUCK_SECONDS,
        "artifact_prefix": f"{folder}/",
    }
    arguments = [f"-{key}={value}" for key, value in options.items()]
    guard = Guard(parser.run, parser.allocation, Path(folder))
    campaign = Campaign(guard, executions, seconds)
    atheris.Setup(["fuzz", *arguments, str(found), seeds], campaign)
    atheris.Fuzz()
