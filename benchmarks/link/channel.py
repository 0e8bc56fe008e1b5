"""Channel: packets lost in bursts (Gilbert-Elliott), single bits flipped in those that arrive."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onboard.errors import UsageError

Rng = np.random.Generator


@dataclass(frozen=True)
class Arrival:
    """What a channel made of packets.

    Attributes:
        joined: uint8, all packets back to back as they would arrive, bits flipped.
        touched: bool (bytes,), whether a bit of it was flipped.
        lost: bool (packets,), whether it is lost.
        lengths: int64 (packets,), bytes of each packet.
    """

    joined: NDArray[np.uint8]
    touched: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    lengths: NDArray[np.int64]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Bytes of packets that did not arrive, (bytes,)."""
        return np.repeat(self.lost, self.lengths)

    @property
    def stream(self) -> bytes:
        """What arrived, back to back, as a receiver records it."""
        return self.joined[~self.missing].tobytes()

    def intact(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say which spans of bytes arrived as they were sent."""
        before = np.concatenate([[0], np.cumsum(self.missing | self.touched)])
        whole: NDArray[np.bool_] = before[stops] == before[starts]
        return whole


@dataclass(frozen=True)
class Channel:
    """A two-state channel: all packets are lost in the bad state, none in the good one.

    Source: Gilbert, "Capacity of a burst-noise channel", 1960; Elliott, 1963, with loss
    probabilities 0 and 1.

    Attributes:
        loss: mean share of packets lost, 0..0.5.
        burst: mean packets of a burst of losses, 1 or more.
        bit_errors: probability that a bit of a packet that arrives is flipped, 0..0.5.
    """

    loss: float
    burst: float = 1.0
    bit_errors: float = 0.0

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("loss", self.loss, 0.0, 0.5),
            ("burst", self.burst, 1.0, 1e6),
            ("bit errors", self.bit_errors, 0.0, 0.5),
        ):
            if not least <= value <= most:
                raise UsageError(f"channel {name}: expected {least}..{most}, found {value}")

    def losses(self, count: int, rng: Rng) -> NDArray[np.bool_]:
        """Return which of `count` packets are lost, beginning anywhere in a pass."""
        if not self.loss:
            return np.zeros(count, np.bool_)
        leave_bad = 1 / self.burst
        leave_good = leave_bad * self.loss / (1 - self.loss)
        bad = bool(rng.random() < self.loss)
        # Runs of either state last at least one packet, so `count` of them are enough.
        leave = [leave_bad, leave_good] if bad else [leave_good, leave_bad]
        runs = rng.geometric(leave, (count, 2))
        states = np.tile([bad, not bad], count)
        return np.repeat(states, np.minimum(runs.reshape(-1), count))[:count]

    def transmit(self, packets: Sequence[bytes], rng: Rng) -> Arrival:
        """Send packets."""
        joined = np.frombuffer(b"".join(packets), np.uint8).copy()
        lost = self.losses(len(packets), rng)
        flips = rng.binomial(8 * joined.size, self.bit_errors)
        bits = rng.choice(8 * joined.size, flips, replace=False)
        np.bitwise_xor.at(joined, bits >> 3, (128 >> (bits & 7)).astype(np.uint8))
        touched = np.zeros(joined.size, np.bool_)
        touched[bits >> 3] = True
        return Arrival(joined, touched, lost, np.array([len(packet) for packet in packets]))
