"""Dependent quantisation: indices chosen along a trellis (SPEC.md, section 10).

The parities of the indices of a layer drive a machine of 32 states; each state quantises with
even multiples of half a step, or with odd ones and zero. So the points of a sequence are packed
more densely in space than those of a grid, at the same rate.

Source: H. Schwarz et al., "Quantization and entropy coding in the Versatile Video Coding (VVC)
standard", IEEE Trans. CSVT 31 (2021). The machine is the code of 32 states for one dimension
(parity checks 45 and 10, octal) of G. Ungerboeck, "Channel coding with multilevel/phase signals",
IEEE Trans. IT 28 (1982).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import Ints

STATES = 32
FOLLOWING = tuple(
    tuple((state >> 1) ^ (18 * (state & 1)) ^ (4 * parity) for parity in range(2))
    for state in range(STATES)
)
"""State after an even and after an odd index. Odd states have the odd points."""
SETS = 2


def _register() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the machine as a shift register: its state, and what is fed back, by what it holds.

    A bit comes in below and all move up: the parity of the index, and what is fed back. So the two
    places from which the register comes to another are half of all apart, and no sums need moving.
    """
    for taps in range(STATES):
        fed = [(taps & held).bit_count() & 1 for held in range(STATES)]
        states = {0: 0}
        for held in range(STATES):  # what goes before a number is below it
            for bit in range(2):
                after = FOLLOWING[states[held]][bit ^ fed[held]] if held in states else None
                if after is None or states.setdefault(2 * held % STATES + bit, after) != after:
                    break
        if sorted(states.values()) == list(range(STATES)) and all(
            states[2 * held % STATES + bit] == FOLLOWING[states[held]][bit ^ fed[held]]
            for held in range(STATES)
            for bit in range(2)
        ):
            return np.array([states[held] for held in range(STATES)]), np.array(fed)
    raise AssertionError("no shift register is this machine")


STATE, _FED = _register()
BRANCH = (2 * (STATE & 1) + _FED)[:, None] ^ np.arange(2)
"""2 set + parity of the branch by what the register held, and by the bit that came in."""


def points(indices: Ints, odd: NDArray[Any]) -> Ints:
    """Return what indices stand for, in half steps.

    Args:
        indices: signed.
        odd: 1 where the state was odd, else 0.
    """
    found: Ints = 2 * indices - np.sign(indices) * odd
    return found


def odd_before(state: int, indices: Sequence[int]) -> list[int]:
    """Return whether the state before each index is odd, from a state on."""
    found = []
    for index in indices:
        found.append(state & 1)
        state = FOLLOWING[state][index & 1]
    return found
