"""Transfer: one file over a link of lost PDUs and passes that end, in simulated time."""

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from spacepackets.cfdp.pdu.file_directive import DirectiveType

from benchmarks.cfdp.spacecraft import Spacecraft
from ground.station.cfdp import Entities, FileReceiver

SPACECRAFT, STATION = 1, 2
TICK_MS = 10
REPEAT_MS = 500
LONGEST_MS = 20 * 60_000
"""Contact after which a transfer that goes on counts as one that stalls."""

_MOST_SILENCE_MS = 5_400_000
LOSSES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
_DIRECTIVE_AT = 10  # behind the fixed part, two entity ids and a number of 16 bits each
_FILE_DATA = 0x10
_SILENCED = (
    DirectiveType.METADATA_PDU,
    DirectiveType.EOF_PDU,
    DirectiveType.ACK_PDU,
    DirectiveType.FINISHED_PDU,
    DirectiveType.NAK_PDU,
)


@dataclass(frozen=True)
class Plan:
    """What a transfer is put through; it follows from its seed.

    Attributes:
        seed: number of the transfer.
        loss: part of the PDUs that is lost, each way.
        size: bytes of the file.
        segment_bytes: most bytes of a file data PDU.
        delay_ms: time that a PDU takes.
        pass_ms: mean contact until a pass ends; None for one pass without an end.
        killed: whether the receiving process ends with each pass, without a warning.
        silenced: how many of the first PDUs of a kind are lost, whatever the loss.
    """

    seed: int
    loss: float
    size: int
    segment_bytes: int
    delay_ms: int
    pass_ms: int | None
    killed: bool
    silenced: dict[DirectiveType, int]

    @classmethod
    def of(cls, seed: int) -> "Plan":
        """Return the plan of a seed: each loss in turn, one file in ten of very many segments."""
        rng = random.Random(seed)
        many = seed % 10 == 9
        segments = rng.randint(400, 800) if many else rng.choice([0, 1, 2, 5, 20, 60, 120])
        delay = rng.choice([10, 50, 300])
        size = rng.choice([32, 64]) if many else rng.choice([64, 250, 900])
        return cls(
            seed=seed,
            loss=LOSSES[seed % len(LOSSES)],
            size=max(0, segments * size - rng.randrange(size)),
            segment_bytes=size,
            delay_ms=delay,
            pass_ms=None if rng.random() < 0.3 else 4 * delay + rng.choice([300, 1_000, 5_000]),
            killed=rng.random() < 0.6,
            silenced={
                kind: segments
                if many and kind == DirectiveType.NAK_PDU
                else rng.choice([0, 0, 1, 3])
                for kind in _SILENCED
            },
        )


@dataclass(frozen=True)
class Outcome:
    """What became of a transfer.

    Attributes:
        ended: whether both sides know, within the longest contact.
        right: whether the file is the one sent; one that is not, reported complete, is wrong.
        claimed: whether a side says that it is complete.
        passes: how many it took.
        contact_s: seconds of contact.
        overhead: bytes of file data sent per byte of the file.
        most_naks: most NAK PDUs that the receiver sent at once.
    """

    ended: bool
    right: bool
    claimed: bool
    passes: int
    contact_s: float
    overhead: float
    most_naks: int


@dataclass
class _Link:
    """One direction: a queue of PDUs in flight."""

    plan: Plan
    rng: random.Random
    now: Callable[[], int]
    flying: deque[tuple[int, bytes]] = field(default_factory=deque)
    sent: Counter[DirectiveType | None] = field(default_factory=Counter)
    data_bytes: int = 0

    def send(self, pdus: list[bytes]) -> None:
        """Send PDUs; some are lost."""
        for pdu in pdus:
            kind = _kind(pdu)
            self.data_bytes += len(pdu) * (kind is None)
            silenced = kind is not None and self.sent[kind] < self.plan.silenced.get(kind, 0)
            self.sent[kind] += 1
            if not silenced and self.rng.random() >= self.plan.loss:
                self.flying.append((self.now() + self.plan.delay_ms, pdu))

    def arrived(self) -> Iterator[bytes]:
        """Yield what is there by now."""
        while self.flying and self.flying[0][0] <= self.now():
            yield self.flying.popleft()[1]


@contextmanager
def _simulated() -> Iterator[list[int]]:
    """Let the timers of cfdp-py run by a clock of ours, in ms."""
    clock = [0]
    with patch("spacepackets.countdown.time_ms", lambda: clock[0]):
        yield clock


def transfer(plan: Plan, folder: Path) -> Outcome:
    """Send a file by a plan.

    Args:
        plan: what the link does to it.
        folder: folder for the file sent and the one received.
    """
    rng = random.Random(~plan.seed)
    content = rng.randbytes(plan.size)
    (folder / "sent").write_bytes(content)
    with _simulated() as clock:
        contact = _Contact(plan, folder, rng, clock)
        while not contact.ended and contact.lasted_ms < LONGEST_MS:
            contact.tick()
    received = folder / "received"
    return Outcome(
        ended=contact.ended,
        right=received.exists() and received.read_bytes() == content,
        claimed=contact.spacecraft.delivered or contact.receiver.complete,
        passes=contact.passes,
        contact_s=contact.lasted_ms / 1_000,
        overhead=contact.down.data_bytes / max(plan.size, 1),
        most_naks=contact.most_naks,
    )


class _Contact:
    """Both ends of a transfer and the link between them.

    Attributes:
        ended: whether both sides know how the transfer ended.
        passes: passes begun.
        lasted_ms: contact until now.
        most_naks: most NAK PDUs that the receiver sent at once.
    """

    def __init__(self, plan: Plan, folder: Path, rng: random.Random, clock: list[int]) -> None:
        """Begin the first pass."""
        self._plan, self._folder, self._rng, self._clock = plan, folder, rng, clock
        there = Entities(SPACECRAFT, STATION, REPEAT_MS / 1_000)
        self.spacecraft = Spacecraft(folder / "sent", there, plan.segment_bytes)
        self.receiver = self._received()
        self.down, self._up = (_Link(plan, rng, lambda: clock[0]) for _ in range(2))
        self.passes, self.lasted_ms, self.most_naks = 1, 0, 0
        self._rest = self._pass()

    @property
    def ended(self) -> bool:
        """Whether both sides know how the transfer ended."""
        return self.spacecraft.done and self.receiver.closed

    def tick(self) -> None:
        """Let some time pass, and the pass end where its time is over."""
        self.down.send(self.spacecraft.take(None))
        for pdu in self.down.arrived():
            self._answer(self.receiver.take(pdu))
        self._answer(self.receiver.take(None))
        for pdu in self._up.arrived():
            self.down.send(self.spacecraft.take(pdu))
        self._clock[0] += TICK_MS
        self.lasted_ms += TICK_MS
        self._rest -= TICK_MS
        if self._rest <= 0:
            self._next_pass()

    def _answer(self, pdus: list[bytes]) -> None:
        naks = sum(_kind(pdu) == DirectiveType.NAK_PDU for pdu in pdus)
        self.most_naks = max(self.most_naks, naks)
        self._up.send(pdus)

    def _next_pass(self) -> None:
        self.down.flying.clear()
        self._up.flying.clear()
        self._clock[0] += self._rng.randint(1_000, _MOST_SILENCE_MS)
        if self._plan.killed and not self.receiver.closed:
            self.receiver = self._received()
        self.passes += 1
        self._rest = self._pass()

    def _received(self) -> FileReceiver:
        return FileReceiver(
            self._folder / "received", Entities(STATION, SPACECRAFT, REPEAT_MS / 1_000)
        )

    def _pass(self) -> float:
        """Return how long the next contact lasts."""
        mean = self._plan.pass_ms
        return float("inf") if mean is None else self._rng.expovariate(1 / mean)


def _kind(pdu: bytes) -> DirectiveType | None:
    """Return what a PDU tells; None of one that holds file data."""
    return None if pdu[0] & _FILE_DATA else DirectiveType(pdu[_DIRECTIVE_AT])
