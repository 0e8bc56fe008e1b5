"""Viterbi: the path through the trellis that costs least, of many lanes side by side.

Steps are taken two at a time, since so few lanes have little to do at each. What the register holds
after a pair of steps is counted by its *place*: by the bit that came in last, by the one before,
and by the 3 bits above. A *way* there comes from where 2 bits go out: it is one of 4 to a place.

Source: G. D. Forney, "The Viterbi algorithm", Proceedings of the IEEE 61 (1973).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import Ints
from onboard.codec.lapped.trellis import BRANCH, FED, HELD, STATE, STATES

FAR = 1 << 29
"""Cost of the states in which no path begins."""
_FEW_LANES = 48
"""Lanes up to which paths are traced back faster one by one than all together."""
_AT_ONCE = 1024
"""Pairs of steps times lanes whose ways are priced at once, so that they stay in a cache."""
_KEPT = STATES // 4
"""What the bits may be that stay in the register through a pair of steps."""
_FIRST, _SECOND, _LAST, _ONE, _REST = np.indices((2, 2, 2, 2, _KEPT))
"""Of each way: the bits that go out, those that come in, from the last on, and the rest."""
_FROM = STATES // 2 * _FIRST + _KEPT * _SECOND + _REST
_BETWEEN = 2 * _FROM % STATES + _ONE
_TO = 2 * _BETWEEN % STATES + _LAST
"""What the register holds before, between and after the steps of each way."""
_HELD = _TO[0, 0].reshape(-1)
"""What it holds, by place."""
_PLACE = np.argsort(_HELD)
_SOURCE = _PLACE[_FROM].reshape(-1)
_PRICES = (4 * BRANCH[_FROM, _ONE] + BRANCH[_BETWEEN, _LAST]).reshape(-1)
"""4 times the branch of the first step, and that of the second, of each way."""
_FIRST_TIE = np.where(FED[_FROM[0, :, 0]] ^ _ONE[0, :, 0], -1, 0).reshape(2, -1).astype(np.int32)
_SECOND_TIE = np.where(FED[_BETWEEN[0, 0]] ^ _LAST[0, 0], -1, 0).reshape(-1).astype(np.int32)
"""What a branch where 0 goes out must cost more than the other, less 1, to be left: of two that
cost the same the one of the even index is taken."""
_BITS = np.arange(8)[:, None]
_BACK = _PLACE[_FROM[(_BITS >> 1 + (_BITS & 1)) & 1, _BITS & 1, 0, 0, np.arange(STATES) % _KEPT]]
_BACK = _BACK.reshape(-1)
"""Place before a pair of steps: by 32 times the second bit that went out, 64 times the first if the
second is 0, 128 times the first if it is 1, plus the place after the pair."""


class Pairs(NamedTuple):
    """Costs of lanes laid out for `best_path`, two steps at a time.

    Attributes:
        costs: int32 (pairs, 2, 4, lanes), by 2 set + parity. A lane of an odd number of steps
            begins with the second of its first pair.
        lengths: pairs of each lane, most first.
    """

    costs: Ints
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, lengths: NDArray[np.int64]) -> "Pairs":
        """Return what is to be filled with the costs of lanes of so many steps, longest first."""
        pairs = (lengths + 1) // 2
        costs = np.zeros((int(pairs.max(initial=0)), 2, 4, len(lengths)), np.int32)
        costs[:1, 0, 1, np.flatnonzero(lengths % 2)] = FAR  # so that state 0 is where they begin
        return cls(costs, pairs)


def best_path(pairs: Pairs) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return states and parities (2 * pairs, lanes) of the paths that cost least.

    Those of a lane begin where its costs do; what is beside them means nothing.
    """
    costs, lengths = pairs
    total, *_, count = costs.shape
    out = np.zeros((total, STATES, count), np.uint8)
    active = np.searchsorted(-lengths, -np.arange(total + 1), side="left").tolist()
    sums = np.full((STATES, count), FAR, np.int32)
    sums[0] = 0
    ended = sums.copy()
    stop = 0
    while stop < total:
        first, many = stop, active[stop]
        stop = min(first + _AT_ONCE // many + 1, total)
        sums = np.ascontiguousarray(sums[:, :many])
        ways = _prices(costs[first:stop, :, :, :many])
        nearer = np.empty((stop - first, 2 * STATES * many), np.int32)
        _add_up(ways, nearer, sums, ended, active[first : stop + 1])
        out[first:stop, :, :many] = _decided(ways, nearer, many)
    last = _PLACE[HELD[ended[_PLACE[HELD]].argmin(axis=0)]]
    return _path(_HELD[_traced(out, last, lengths, active)])


def _prices(costs: Ints) -> Ints:
    """Return what each way costs, (pairs, ways * lanes)."""
    of_both = costs[:, 0, :, None] + costs[:, 1, None]
    size, *_, many = of_both.shape
    prices: Ints = of_both.reshape(size, -1, many).take(_PRICES, axis=1).reshape(size, -1)
    return prices


def _add_up(ways: Ints, nearer: Ints, sums: Ints, ended: Ints, active: list[int]) -> None:
    """Go through pairs of steps.

    Everything that is done for each is without gaps in memory: numpy takes twice as long else.

    Args:
        ways: (pairs, ways * lanes), what each costs; with the sum that it begins with afterwards.
        nearer: the better of the two that differ in the bit that goes out first; to be filled.
        sums: (places, lanes), of the best paths before; after.
        ended: the same of all lanes that have ended.
        active: lanes that have not ended before each pair, and after the last.
    """
    going = many = active[0]
    before, after = np.empty((len(_SOURCE), many), np.int32), sums.reshape(-1)
    flat, half = before.reshape(-1), ways.shape[1] // 2
    low, high = ways[:, :half], ways[:, half:]
    halves = nearer[:, : half // 2], nearer[:, half // 2 :]
    each = zip(ways, low, high, nearer, *halves, active[1:], strict=True)
    for way, zero, one, best, second_zero, second_one, left in each:
        sums.take(_SOURCE, 0, before, "clip")  # which is faster, and clips nothing
        np.add(way, flat, out=way)
        np.minimum(zero, one, out=best)
        np.minimum(second_zero, second_one, out=after)
        if left < going:
            ended[:, left:going] = sums[:, left:going]
            going = left


def _decided(ways: Ints, nearer: Ints, many: int) -> NDArray[np.uint8]:
    """Return 32 times what `_BACK` goes by, of each place.

    That is the bit that went out second, 2 times the first one if it was 0 and 4 times if it was 1.
    """
    size, width = len(ways), STATES // 2 * many
    ties = [np.repeat(tie, many, axis=-1) for tie in (_FIRST_TIE, _SECOND_TIE)]
    by_first = ways.reshape(size, 2, 2, 2, width)[:, :, :, 0]  # whatever bit comes in last
    first = by_first[:, 0] - by_first[:, 1] > ties[0]
    by_second = nearer.reshape(size, 2, -1)
    second = (by_second[:, 0] - by_second[:, 1] > ties[1]).reshape(size, 2, width)
    by_zero, by_one = first.view(np.uint8).swapaxes(0, 1)
    either = by_one + by_one
    either += by_zero
    either <<= 6
    found: NDArray[np.uint8] = second.view(np.uint8) << np.uint8(5)
    found += either[:, None]
    return found.reshape(size, STATES, many)


def _traced(
    out: NDArray[np.uint8],
    last: NDArray[np.int64],
    lengths: NDArray[np.int64],
    active: list[int],
) -> NDArray[np.uint8]:
    """Return the places (pairs + 1, lanes) before each pair of steps and at the ends of paths.

    Args:
        out: (pairs, places, lanes), bits that went out, as of `_decided`.
        last: place at the end of each lane.
        lengths: pairs of each lane, most first.
        active: lanes that have not ended before each pair.
    """
    total, _, count = out.shape
    places = np.zeros((total + 1, count), np.uint8)
    places[lengths, np.arange(count)] = last
    if count <= _FEW_LANES:
        for lane, length in enumerate(lengths.tolist()):
            traced = _traced_singly(out[:length, :, lane], int(last[lane]))
            places[: length + 1, lane] = np.frombuffer(traced, np.uint8)
        return places
    here, lanes = np.empty(0, np.int64), np.arange(count)
    for pair in range(total - 1, -1, -1):
        here = np.append(here, last[len(here) : active[pair]])  # those that end here
        here = _BACK.take(here + out[pair].take(here * count + lanes[: len(here)]))
        places[pair, : len(here)] = here
    return places


def _traced_singly(out: NDArray[np.uint8], last: int) -> bytearray:
    """Return the places before each pair of steps and at the end, of one lane."""
    bits, back = out.tobytes(), _BACK.tolist()
    places = bytearray([last]) * (len(out) + 1)
    for pair in range(len(out) - 1, -1, -1):
        last = back[last + bits[STATES * pair + last]]
        places[pair] = last
    return places


def _path(held: NDArray[np.intp]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return states and parities of all steps, from what the register holds between pairs."""
    before, after = held[:-1], held[1:]
    between = (2 * before % STATES) | (after >> 1 & 1)
    shape = 2 * len(before), held.shape[1]
    states = np.stack([_STATES_HELD[before], _STATES_HELD[between]], axis=1).reshape(shape)
    branches = _PARITY[2 * before + (between & 1)], _PARITY[2 * between + (after & 1)]
    return states, np.stack(branches, axis=1).reshape(shape)


_STATES_HELD = STATE.astype(np.uint8)
_PARITY = (BRANCH & 1).astype(np.uint8).reshape(-1)
"""Parity of an index, by twice what the register held, plus the bit that came in."""
