"""Restoration: the packets of a recording that the erasure code brings back.

The sequence count of a plain packet tells its place in a group; the repair packets before and after
it in the recording tell which of all packets with that count is meant. What is restored is passed
on only if it checks like a received packet, so a packet put in a wrong place is found out.
"""

from bisect import bisect, bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from mmap import mmap
from typing import NamedTuple

import numpy as np

from onboard.link.binding import bindings_of
from onboard.link.erasure import decode
from onboard.link.packet import SEQUENCES, SpacePacket
from onboard.link.repair import (
    SYMBOL_SKIPS,
    Repair,
    is_whole,
    known_packet,
    packet_of,
    symbols_of,
)
from onboard.link.resync import Received, read_packets


class _Group(NamedTuple):
    """What is the same in all repair packets of a group."""

    series: int
    first: int
    size: int
    symbol_bytes: int


class _Place(NamedTuple):
    """Where a plain packet belongs."""

    series: int
    number: int


class _Places:
    """Plain packets by their places.

    Attributes:
        packets: packed packets by place.
    """

    def __init__(self, packets: dict[_Place, bytes]) -> None:
        self.packets = packets
        self._order = sorted(packets)

    def members(self, group: _Group) -> dict[int, bytes]:
        """Return the packets of a group that arrived, by their place in it."""
        begin = bisect_left(self._order, _Place(group.series, group.first))
        end = bisect_left(self._order, _Place(group.series, group.first + group.size))
        found = {
            place.number - group.first: self.packets[place] for place in self._order[begin:end]
        }
        longest = group.symbol_bytes + SYMBOL_SKIPS
        return {place: packed for place, packed in found.items() if len(packed) <= longest}


@dataclass
class _Heard:
    """What has arrived of an APID.

    Attributes:
        plain: offset, sequence count and packed packet, in the order of the recording.
        repairs: offset, series and number after the group's last packet, in the same order.
        groups: rows of each group.
    """

    plain: list[tuple[int, int, bytes]] = field(default_factory=list)
    repairs: list[tuple[int, int, int]] = field(default_factory=list)
    groups: dict[_Group, dict[int, bytes]] = field(default_factory=dict)

    def add(self, offset: int, known: SpacePacket | Repair) -> None:
        """Add what was received."""
        if isinstance(known, SpacePacket):
            self.plain.append((offset, known.sequence, known.pack()))
            return
        self.repairs.append((offset, known.series, known.first + known.size))
        group = _Group(known.series, known.first, known.size, len(known.symbol))
        self.groups.setdefault(group, {}).setdefault(known.row, known.symbol)

    def disjoint_groups(self) -> Iterator[tuple[_Group, dict[int, bytes]]]:
        """Yield groups and their rows. Groups that overlap others are no encoder's: left out."""
        series, reached = -1, 0
        for group in sorted(self.groups):
            if group.series != series or group.first >= reached:
                series, reached = group.series, group.first + group.size
                yield group, self.groups[group]

    def places(self) -> tuple[_Places, _Places]:
        """Return the plain packets by place: all, and those of whose place there is no doubt.

        The repair packets before and after a packet both tell its number; if they disagree, as
        where recordings join, it is in both places, in doubt. The first of different packets in
        one place is kept, one without doubt before others.
        """
        offsets = [offset for offset, _, _ in self.repairs]
        sure: dict[_Place, bytes] = {}
        doubtful: dict[_Place, bytes] = {}
        for offset, sequence, packed in self.plain:
            after = bisect(offsets, offset)
            near = self.repairs[max(0, after - 1) : after + 1]
            found = {_Place(series, _nearest(sequence, number)) for _, series, number in near}
            for place in found:
                (sure if len(found) == 1 else doubtful).setdefault(place, packed)
        return _Places(doubtful | sure), _Places(sure)


@dataclass(frozen=True)
class Restoration:
    """What `restore` found.

    Attributes:
        packets: the restored packets back to back, to be appended to the recording.
        packets_restored: number of those packets.
        groups_whole: number of groups of which every packet arrived.
        groups_restored: number of groups of which the rest was restored.
        lacking: groups beyond repair: APID, number of the first packet, further repair packets
            that would restore it.
    """

    packets: bytes
    packets_restored: int
    groups_whole: int
    groups_restored: int
    lacking: tuple[tuple[int, int, int], ...]


def restore(recording: bytes | mmap, bindings: Collection[bytes] = ()) -> Restoration:
    """Restore what plain and repair packets allow; a group without any repair packet is unknown.

    Args:
        recording: packets in any order that keeps a packet within 8,192 of its group, with gaps,
            duplicates and damage; also recordings of several stations or passes, one after another.
        bindings: those known besides the ones of which the recording tells.
    """
    heard: dict[int, _Heard] = {}
    bindings = bindings_of(recording).union(bindings)
    for found in read_packets(recording, bindings):
        known = known_packet(found)
        if known is not None and isinstance(found, Received) and found.packet is not None:
            heard.setdefault(found.packet.apid, _Heard()).add(found.offset, known)
    whole = restored = 0
    packets: list[bytes] = []
    lacking = []
    for apid, application in heard.items():
        everything, sure = application.places()
        for group, rows in application.disjoint_groups():
            arrived = everything.members(group)
            made = _restored(apid, group, rows, (everything, sure), bindings)
            if made is None:
                missing = group.size - len(arrived) - len(rows)
                lacking.append((apid, group.first, max(1, missing)))
                continue
            new = set(made) - set(arrived.values())
            packets += [packet for packet in made if packet in new]
            restored += len(new) > 0
            whole += not new
    return Restoration(b"".join(packets), len(packets), whole, restored, tuple(lacking))


def _nearest(sequence: int, number: int) -> int:
    """Return the number with this sequence count that is nearest to another number."""
    half = SEQUENCES // 2
    return number + (sequence - number + half) % SEQUENCES - half


def _restored(
    apid: int,
    group: _Group,
    rows: Mapping[int, bytes],
    choices: Sequence[_Places],
    bindings: Collection[bytes],
) -> list[bytes] | None:
    """Return the missing packets of a group by the first choice that gives whole ones.

    None if there is no such choice. A choice of which none is missing is not the last word while
    another, of fewer packets without doubt, may show that one is in a wrong place.
    """
    best: list[bytes] | None = None
    for places in choices:
        members = places.members(group)
        missing = group.size - len(members)
        if not missing:
            best = []
        if not 0 < missing <= len(rows):
            continue
        erased = [place for place in range(group.size) if place not in members]
        used = sorted(rows)[:missing]
        repair = np.stack([np.frombuffer(rows[row], ">u2") for row in used]).astype(np.uint16)
        symbols = symbols_of(members, group.size, repair.shape[1])
        solved = decode(symbols, erased, used, repair)
        packets = [
            packet_of(apid, group.first + place, symbol)
            for place, symbol in zip(erased, solved, strict=True)
        ]
        # A scene of which nothing was heard may name its model in these packets alone.
        known = bindings_of(b"".join(packets)).union(bindings)
        if all(is_whole(packet, known) for packet in packets):
            return packets
    return best
