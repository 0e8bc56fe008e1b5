"""Viterbi: the path through the trellis that costs least, of many lanes side by side.

Steps are taken two at a time, since so few lanes have little to do at each. What the register holds
after a pair of steps is counted by its *place*: by the bit that came in last, by the one before,
and by the 3 bits above. A *way* there comes from where 2 bits go out: it is one of 4 to a place.

A sum of costs has 8 bits below it, for the parities of the path's steps since their group of 8
began, the first one lowest. So the least of some sums tells how it came about. And of two that cost
the same the one whose last index is even is the less: no parity below that one counts as much.

Source: G. D. Forney, "The Viterbi algorithm", Proceedings of the IEEE 61 (1973).
"""

from array import array
from itertools import groupby, islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onboard.codec.lapped.context import Ints
from onboard.codec.lapped.trellis import BRANCH, FOLLOWING, SETS, STATE, STATES

_STEPS = 8
"""Of a group, whose parities fill a byte."""
_PAIRS = _STEPS // 2
_PARITIES = 1 << _STEPS
_AT_ONCE = 512
"""Groups times lanes that are priced at once, so that they stay in a cache."""
_MOST_GROUPS = 32
_FEW_LANES = 8
"""Lanes up to which paths are traced back faster one by one than all together."""
_FALSE_START = STATES.bit_length()
"""Dearest steps that a start in another state than 0 costs: more than lead from there to any."""
_DEAREST = (1 << 31 - _STEPS) // (_STEPS * _MOST_GROUPS + _FALSE_START + 2)
"""Cost of a step up to which sums have no more than 31 bits. Those of a lane differ by that of a
false start at most, and the least is taken off all of them again and again."""
_KEPT = STATES // 4
"""What the bits may be that stay in the register through a pair of steps."""
_FIRST, _SECOND, _LAST, _ONE, _REST = np.indices((2, 2, 2, 2, _KEPT))
"""Of each way: the bits that go out, those that come in, from the last on, and the rest."""
_FROM = STATES // 2 * _FIRST + _KEPT * _SECOND + _REST
_BETWEEN = 2 * _FROM % STATES + _ONE
_TO = 2 * _BETWEEN % STATES + _LAST
"""What the register holds before, between and after the steps of each way."""
_STATE_AT = STATE[_TO[0, 0]].reshape(-1)
"""State by place."""
_PLACE = np.argsort(_STATE_AT)
"""Place by state."""
_COMBINED = 4 * BRANCH[_FROM, _ONE] + BRANCH[_BETWEEN, _LAST]
"""4 times the branch of the first step, and that of the second, of each way."""
_TAKEN = np.concatenate([_PLACE[STATE[_FROM]].reshape(-1), STATES + _COMBINED.reshape(-1)])
"""Where each way comes from; then what it costs, if that of all combined branches follows."""
_PAIRED = np.indices((4, 4)).reshape(2, -1) + 4 * np.arange(2)[:, None]
"""Branches of both steps that are combined, of 4 of the first and then 4 of the second."""
_ROWS = STATES + 16
"""Rows of that: sums by place, and costs by combined branches."""
_ENDS = (_PARITIES * np.arange(STATES, dtype=np.uint16))[:, None]


def _backwards() -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    """Return the place before a group of steps, and its branches, a byte each.

    By 256 times the place after it, plus the parities. A branch is 32 times the parity, plus the
    state before.
    """
    before = np.argsort(FOLLOWING, axis=0)  # of each state, by the parity that leads there
    states, parities = np.repeat(_STATE_AT, _PARITIES), np.tile(np.arange(_PARITIES), STATES)
    branches = np.empty((len(states), _STEPS), np.uint8)
    for step in range(_STEPS - 1, -1, -1):
        parity = parities >> step & 1
        states = before[states, parity]
        branches[:, step] = STATES * parity + states
    return np.ascontiguousarray(_PLACE[states]), branches.view(np.uint64).reshape(-1)


_BACK, _BRANCHES = _backwards()


class _Lanes(NamedTuple):
    """Lanes of steps, those of most groups first.

    A lane ends with a group. So its first one may begin with steps that are idle.

    Attributes:
        order: number of each lane.
        idle: idle steps of each.
        begins: where the first step of each is, idle or not, as if all lanes were in a row.
        groups: groups of each.
        active: lanes that have not ended before each group, and after the last.
    """

    order: NDArray[np.int64]
    idle: NDArray[np.int64]
    begins: NDArray[np.int64]
    groups: NDArray[np.int64]
    active: list[int]

    @classmethod
    def of(cls, lengths: NDArray[np.int64]) -> "_Lanes":
        """Return lanes of so many steps."""
        order = np.argsort(-lengths, kind="stable")
        groups = -(-lengths[order] // _STEPS)
        idle = _STEPS * groups - lengths[order]
        begins = (np.cumsum(lengths) - lengths)[order] - idle
        stops = np.arange(groups.max(initial=0) + 1)
        active = np.searchsorted(-groups, -stops, side="left").tolist()
        return cls(order, idle, begins, groups, active)


def best_path(costs: Ints, lengths: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the branches of the paths that cost least, which begin in state 0.

    Args:
        costs: (4, steps of all lanes), by 2 set + parity, lane after lane; none below 0.
        lengths: steps of each lane.

    Returns:
        Of each step the state before it, and 32 more where its index is odd.
    """
    lanes = _Lanes.of(lengths)
    if not costs.size:
        return np.empty(0, np.uint8)
    keys, last = _forward(costs, lanes)
    return _branches(_traced(keys, last, lanes), lanes)


def _forward(costs: Ints, lanes: _Lanes) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Go through all groups.

    Returns:
        (groups, places * lanes), 256 times each place plus the parities of the best path there in
        the group; and the place at the end of each lane.
    """
    active, (count, total) = lanes.active, (len(lanes.order), len(lanes.active) - 1)
    false_start = _FALSE_START * int(costs.max()) + 1
    laid = _laid(costs, false_start)
    keys = np.empty((total, STATES, count), np.uint16)
    sums = np.full((STATES, count), false_start << _STEPS, laid.dtype)
    sums[_PLACE[0]] = 0
    ended = sums.copy()
    first = 0
    while first < total:
        many = active[first]
        stop = min(first + min(_AT_ONCE // many + 1, _MOST_GROUPS), total)
        pairs = _priced(laid, lanes, first, stop)
        np.subtract(sums[:, :many], sums[:, :many].min(axis=0), out=pairs[0, :STATES])
        reached = _add_up(pairs, ended, active[first : stop + 1])
        np.add(reached.astype(np.uint8), _ENDS, out=keys[first:stop, :, :many])
        sums, first = pairs[-1, :STATES], stop
    return keys.reshape(total, -1), _PLACE[ended[_PLACE].argmin(axis=0)]


def _laid(costs: Ints, false_start: int) -> NDArray[Any]:
    """Return costs above 8 bits, and those of an idle step, which stays in state 0."""
    kind = np.int32 if false_start <= _FALSE_START * _DEAREST else np.int64
    found = np.zeros((2 * SETS, costs.shape[1] + 1), kind)
    np.left_shift(costs, _STEPS, out=found[:, :-1], dtype=kind)
    found[1, -1] = false_start << _STEPS
    return found


def _priced(laid: NDArray[Any], lanes: _Lanes, first: int, stop: int) -> NDArray[Any]:
    """Return what some groups cost.

    Returns:
        (pairs + 1, rows, lanes): sums by place, which are to be filled in, and what two branches
        cost, with their parities below.
    """
    many, pairs = lanes.active[first], _PAIRS * (stop - first)
    begins, idle = lanes.begins[:many], laid.shape[1] - 1
    places = begins + np.arange(_STEPS * first, _STEPS * stop)[:, None]
    if first == 0:
        rising = places[:_STEPS]
        rising[rising < begins + lanes.idle[:many]] = idle
    # A lane that has ended goes on as the next one does; what is beyond all is clipped to the idle.
    of_steps = np.ascontiguousarray(laid.take(places, axis=1, mode="clip").swapaxes(0, 1))
    parities = (1 << np.arange(_STEPS))[:, None, None].astype(laid.dtype)
    of_steps.reshape(stop - first, _STEPS, 4, many)[:, :, 1::2] += parities
    of_steps = of_steps.reshape(pairs, 8, many)
    found = np.empty((pairs + 1, _ROWS, many), laid.dtype)
    one, other = (of_steps.take(branches, axis=1) for branches in _PAIRED)  # quicker than to add so
    np.add(one, other, out=found[:-1, STATES:])
    return found


def _add_up(pairs: NDArray[Any], ended: NDArray[Any], active: list[int]) -> NDArray[Any]:
    """Go through groups.

    Everything that is done for each pair is without gaps in memory: numpy takes twice as long else.

    Args:
        pairs: as of `_priced`; all sums are filled in.
        ended: (places, lanes), the sums of all lanes that have ended; those of more are filled in.
        active: lanes that have not ended before each group, and after the last.

    Returns:
        (groups, places, lanes), the sums at the end of each with parities.
    """
    going = many = active[0]
    width = STATES * many
    found = np.empty((len(active) - 1, STATES, many), pairs.dtype)
    ways, nearer = np.empty((8 * STATES, many), pairs.dtype), np.empty(2 * width, pairs.dtype)
    sums, prices = ways.reshape(2, -1)
    zero, one = sums.reshape(2, -1)
    second_zero, second_one = nearer.reshape(2, -1)
    of_pairs, begins = list(pairs[:-1]), list(pairs.reshape(len(pairs), -1)[1:, :width])
    outs, begins = begins.copy(), begins[_PAIRS - 1 :: _PAIRS]
    outs[_PAIRS - 1 :: _PAIRS] = found.reshape(len(found), -1)
    add, least, clear = np.add, np.minimum, np.bitwise_and
    each = zip(of_pairs, outs, strict=True)
    for begin, left in zip(begins, active[1:], strict=True):
        for before, out in islice(each, _PAIRS):
            before.take(_TAKEN, 0, ways, "clip")  # which is faster, and clips nothing
            add(sums, prices, sums)
            least(zero, one, out=nearer)
            least(second_zero, second_one, out=out)
        clear(out, -_PARITIES, begin)
        if left < going:
            ended[:, left:going] = begin.reshape(STATES, many)[:, left:going]
            going = left
    return found


def _traced(keys: NDArray[np.uint16], last: NDArray[np.int64], lanes: _Lanes) -> NDArray[np.uint16]:
    """Return the keys (groups, lanes) along the path of each lane, from its last place back."""
    count, stop = len(last), len(keys)
    path = np.zeros((stop, count), np.uint16)
    if count <= _FEW_LANES:
        for lane, groups in enumerate(lanes.groups.tolist()):
            path[:groups, lane] = _traced_singly(keys[:groups, lane::count], int(last[lane]))
        return path
    every = np.arange(count)
    places, back, add = last * count + every, _BACK * count, np.add
    for many, alike in groupby(reversed(lanes.active[:-1])):
        here, own, first = places[:many], every[:many], stop - len(list(alike))
        rows = reversed(list(keys[first:stop])), reversed(list(path[first:stop, :many]))
        for reached, key in zip(*rows, strict=True):
            reached.take(here, 0, key, "clip")
            back.take(key, 0, here, "clip")
            add(here, own, here)
        stop = first
    return path


def _traced_singly(keys: NDArray[np.uint16], place: int) -> NDArray[np.uint16]:
    """Return the keys along the path of one lane, of keys (groups, places)."""
    held, back = array("H", keys.tobytes()), _BACK.data
    path = array("H", [0]) * len(keys)
    for group in range(len(keys) - 1, -1, -1):
        path[group] = key = held[STATES * group + place]
        place = back[key]
    return np.frombuffer(path, np.uint16)


def _branches(path: NDArray[np.uint16], lanes: _Lanes) -> NDArray[np.uint8]:
    """Return the branches of all steps, lane after lane, from the keys along their paths."""
    found = _BRANCHES.take(path.T).view(np.uint8)
    parts: list[NDArray[np.uint8]] = [found[0]] * len(found)
    ends = _STEPS * lanes.groups
    each = zip(lanes.order.tolist(), found, lanes.idle.tolist(), ends.tolist(), strict=True)
    for lane, of_lane, first, stop in each:
        parts[lane] = of_lane[first:stop]
    return np.concatenate(parts)
