"""Reading lanes of rANS, many side by side, some symbols ahead (SPEC.md, section 11)."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped import trellis
from onboard.codec.rans import PRECISION, START, STATE_BYTES, TOTAL, WORD


class Reader:
    """Lanes being read, all together."""

    def __init__(self, lanes: Sequence[bytes]) -> None:
        """Open lanes; one that is too short for its state counts as damaged."""
        whole = [lane if len(lane) >= STATE_BYTES else bytes(STATE_BYTES) for lane in lanes]
        states = [int.from_bytes(lane[:STATE_BYTES], "big") for lane in whole]
        self._state = np.array(states, np.int64)
        counts = np.array([(len(lane) - STATE_BYTES) // 2 for lane in whole], np.int64)
        # A lane that reads on beyond its end gets the same zero again and again.
        self._stop = np.cumsum(counts + 1) - 1
        self._next = self._stop - counts
        body = b"".join(lane[STATE_BYTES : len(lane) - len(lane) % 2] + bytes(2) for lane in whole)
        self._words = np.frombuffer(body, ">u2").astype(np.int64)
        short = [len(lane) % 2 > 0 or len(lane) < STATE_BYTES for lane in lanes]
        self._odd = np.array(short, np.bool_)

    @cached_property
    def words(self) -> list[int]:
        """The words of all lanes, as plain numbers."""
        found: list[int] = self._words.tolist()
        return found

    def place(self, lane: int) -> tuple[int, int, int, bool]:
        """Return the state of a lane, the number of its next word and of the zero after its last.

        And whether it is one that can have no proper end.
        """
        place = int(self._state[lane]), int(self._next[lane]), int(self._stop[lane])
        return *place, bool(self._odd[lane])

    def move(self, lane: int, state: int, following: int) -> None:
        """Put a lane to another place."""
        self._state[lane], self._next[lane] = state, following

    def ended(self) -> NDArray[np.bool_]:
        """Say of each lane whether it stands where its writer began, all words read.

        A writer's state grows with every symbol, so no lane stands there before its last one.
        """
        found = (self._state == START) & (self._next == self._stop)
        return np.asarray(found & ~self._odd, np.bool_)

    def beyond(self) -> NDArray[np.bool_]:
        """Say of each lane whether it was read on beyond its last word."""
        return self._next > self._stop

    def raw(self, lanes: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
        """Take a number of 0..12 equally likely bits from some lanes."""
        state, following = self._state[lanes], self._next[lanes]
        rest = PRECISION - bits
        slots = state & (TOTAL - 1)
        state = (state >> PRECISION << rest) + (slots & ((1 << rest) - 1))
        low = state < START
        words = self._words.take(np.minimum(following, self._stop[lanes]))
        self._state[lanes] = np.where(low, state << WORD | words, state)
        self._next[lanes] = following + low
        return slots >> rest


HOLD = 2
"""Of a number: the state of the trellis waits for the next one, which has the low bits."""


class Machine:
    """What says of which of two tables a number is: states of lanes, for arrays.

    A state of 4096 or more is odd: then the number is of the other table. The one after it depends
    on the state, the hold of the number and its parity, as `pack_slots` has it.
    """

    def __init__(self, states: NDArray[np.int64]) -> None:
        """Make a machine of states, by their numbers."""
        self._states = states
        self._after = np.zeros(TOTAL + 4 * trellis.STATES, np.int64)

    def start(self, states: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return states by their numbers as they are here."""
        return self._states[states]

    def after(
        self, states: NDArray[np.int64], holds: NDArray[np.int64], parity: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the states after numbers."""
        return self._after.take(states + holds + parity)


class Steering(Machine):
    """The machine of `onboard.trellis`: a state is 4 times its number, and 4096 more if odd."""

    def __init__(self) -> None:
        states = np.arange(trellis.STATES)
        super().__init__((states & 1) * TOTAL + 4 * states)
        for parity in range(2):
            following = np.array(trellis.FOLLOWING)[:, parity]
            self._after[self._states + parity] = self._states[following]
            self._after[self._states + HOLD + parity] = self._states


class Seeking(Machine):
    """The machine of hidden signs: state 1, odd, is before the residual whose sign is hidden."""

    HOLDS = np.array([0, 8, 16])
    """Of the number before a symbol, by the mark of that, see `signs.Runs`."""

    def __init__(self) -> None:
        super().__init__(np.array([0, TOTAL + 4]))
        found, sought = self._states.tolist()
        self._after[sought] = sought
        for state in (found, sought):
            for parity in range(2):
                self._after[state + self.HOLDS[2] + parity] = sought


STEERING, SEEKING = Steering(), Seeking()
_PARITY = 32
"""Bit of a slot that has the parity of its number, above distance and frequency."""
_Steer = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
"""Holds of a step, and the states of the machine before and after it."""


def pack_slots(
    distance: NDArray[np.int64], frequency: NDArray[np.int64], parity: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    """Return slots as `Run` takes them; with parities, for lanes that are steered."""
    packed = distance | frequency << PRECISION
    return packed if parity is None else packed | parity << _PARITY


class Run:
    """Some lanes of a reader, side by side, read some symbols ahead.

    All is int64, what an index is, so that numpy converts nothing from call to call.
    """

    def __init__(
        self,
        reader: Reader,
        lanes: NDArray[np.int64],
        slots: NDArray[np.int64],
        rows: NDArray[np.int64],
        steering: tuple[Machine, NDArray[np.int64], NDArray[np.int64]] | None = None,
    ) -> None:
        """Read ahead; the reader does not move.

        Args:
            reader: reader of the lanes.
            lanes: numbers of the lanes, none of them twice.
            slots: for the 4096 slots of each table, the distance from the start of their symbol
                in the low 12 bits, its frequency above; see `pack_slots`.
            rows: (steps, lanes), first slot of the table at each step; becomes the slot that the
                lane stood on. Of lanes that are steered, the table of odd states comes next.
            steering: machine, state of each lane, and (steps, lanes) holds.
        """
        self._reader, self._lanes = reader, lanes
        shape = len(rows) + 1, len(lanes)
        self._states, self._nexts = np.empty(shape, np.int64), np.empty(shape, np.int64)
        self._states[0], self._nexts[0] = reader._state[lanes], reader._next[lanes]
        steers: Iterable[_Steer | None] = repeat(None)
        if steering is not None:
            machine, states, holds = steering
            self._steered = np.empty(shape, np.int64)
            self._steered[0] = states
            steers = zip(holds, self._steered, self._steered[1:], strict=False)
            self._step_through(slots, rows, steers, machine)
        else:
            self._step_through(slots, rows, steers, STEERING)

    def _step_through(
        self,
        slots: NDArray[np.int64],
        rows: NDArray[np.int64],
        steers: Iterable["_Steer | None"],
        machine: Machine,
    ) -> None:
        words, lanes, after = self._reader._words, len(self._lanes), machine._after
        # Whole arrays of constants: numpy takes twice the time for a scalar.
        mask, shift, start, word, is_odd, above, below = (
            np.full(lanes, value)
            for value in (TOTAL - 1, PRECISION, START, WORD, TOTAL, _PARITY, (1 << _PARITY) - 1)
        )
        found, higher, other, at = (np.empty(lanes, np.int64) for _ in range(4))
        stops = self._reader._stop[self._lanes]
        low = np.empty(lanes, np.bool_)
        for row, state, following, state_after, following_after, steer in zip(
            rows,
            self._states,
            self._nexts,
            self._states[1:],
            self._nexts[1:],
            steers,
            strict=False,
        ):
            np.bitwise_and(state, mask, other)
            np.add(row, other, row)
            if steer is not None:
                hold, here, there = steer
                np.bitwise_and(here, is_odd, other)
                np.add(row, other, row)
            slots.take(row, None, found, "clip")
            if steer is not None:
                np.right_shift(found, above, other)
                np.add(other, here, other)
                np.add(other, hold, other)
                after.take(other, None, there, "clip")
                np.bitwise_and(found, below, found)
            np.right_shift(state, shift, higher)
            np.right_shift(found, shift, other)
            np.multiply(higher, other, higher)
            np.bitwise_and(found, mask, other)
            np.add(higher, other, state_after)
            np.less(state_after, start, low)
            np.left_shift(state_after, word, higher)
            np.minimum(following, stops, out=at)
            words.take(at, None, other, "clip")
            np.bitwise_or(higher, other, higher)
            np.putmask(state_after, low, higher)
            np.add(following, low, following_after)

    @property
    def odd(self) -> NDArray[np.uint8]:
        """Whether the state of the machine was odd before each step (steps, lanes)."""
        return (self._steered[:-1] >> PRECISION).astype(np.uint8)

    def steered(self, steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the state of each lane's machine after so many of the steps."""
        found: NDArray[np.int64] = self._steered[steps, np.arange(len(steps))]
        return found

    def ended(self) -> NDArray[np.bool_] | None:
        """Say before which step (steps, lanes) which lane has ended, see `Reader.ended`.

        Returns:
            None if no lane has.
        """
        if self._states.min() > START:
            return None
        stop = np.where(self._reader._odd[self._lanes], -1, self._reader._stop[self._lanes])
        return np.asarray((self._states[:-1] == START) & (self._nexts[:-1] == stop), np.bool_)

    def leave(self, steps: NDArray[np.int64]) -> None:
        """Move the lanes of the reader, each by so many of the steps."""
        here = steps, np.arange(len(steps))
        self._reader._state[self._lanes] = self._states[here]
        self._reader._next[self._lanes] = self._nexts[here]
