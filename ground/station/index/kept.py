"""Kept: the index of a recording in a file beside it, `RECORDING.idx`.

It is believed if the recording has the length and the times of modification and of change that it
had, or else the length and the CRC. One of which a byte is wrong is none.

    "SKYINDEX" | version u32 | length of the facts u32 | facts (JSON) | records | CRC-32 u32
"""

import json
import zlib
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ground.station.heard import Heard
from ground.station.index.records import RECORD, Index
from ground.station.recording import Bytes
from onboard.errors import InputError
from onboard.link.binding import Encoding
from onboard.link.resync import Damage
from onboard.outputs import open_whole

SUFFIX = ".idx"
_MAGIC = b"SKYINDEX" + (1).to_bytes(4, "little")
_NUMBER = 4
_ROOM = 1 << 20
"""Bytes that facts may take beyond what the recording explains."""


def path_of(recording: Path) -> Path:
    """Return where the index of a recording is kept."""
    return recording.with_name(recording.name + SUFFIX)


def keep(path: Path, index: Index) -> Path:
    """Write the index of a recording beside it; return where.

    Raises:
        InputError: the recording is gone, or grew while it was read.
    """
    facts = _facts(path)
    if facts["size"] != len(index.recording):
        raise InputError(f"{path}: expected {len(index.recording)} bytes, found {facts['size']}")
    heard = [
        (encoding.scene_id, encoding.binding.hex(), asdict(own) | {"apids": sorted(own.apids)})
        for encoding, own in index.heard.items()
    ]
    told = {
        "file": facts | {"crc": zlib.crc32(index.recording)},
        "bindings": sorted(binding.hex() for binding in index.bindings),
        "heard": heard,
        "damage": [(damage.offset, damage.length, damage.reason) for damage in index.damage],
    }
    packed = json.dumps(told).encode()
    whole = _MAGIC + len(packed).to_bytes(_NUMBER, "little") + packed + index.records.tobytes()
    with open_whole(path_of(path)) as file:
        file.write(whole + zlib.crc32(whole).to_bytes(_NUMBER, "little"))
    return path_of(path)


def _facts(path: Path) -> dict[str, int]:
    try:
        told = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    return {"size": told.st_size, "modified": told.st_mtime_ns, "changed": told.st_ctime_ns}


def kept(path: Path, recording: Bytes, bindings: Collection[bytes]) -> Index | None:
    """Return the index that is kept of a recording; None if there is none to be believed.

    Args:
        path: the recording.
        recording: its bytes.
        bindings: those that must have been known when it was made, unless all was intact.
    """
    facts = _facts(path)
    try:
        if path_of(path).stat().st_size > _ROOM + RECORD.itemsize * facts["size"]:
            return None
        found = _unpacked(path_of(path).read_bytes(), recording, facts)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if found is None or (found.damage and not found.bindings.issuperset(bindings)):
        return None
    return found


def _unpacked(packed: bytes, recording: Bytes, facts: dict[str, int]) -> Index | None:
    """Read an index; None if it is another file's."""
    whole, check = packed[:-_NUMBER], packed[-_NUMBER:]
    if not whole.startswith(_MAGIC) or zlib.crc32(whole) != int.from_bytes(check, "little"):
        return None
    first = len(_MAGIC) + _NUMBER
    stop = first + int.from_bytes(whole[len(_MAGIC) : first], "little")
    told: dict[str, Any] = json.loads(whole[first:stop])
    crc = told["file"].pop("crc")
    is_same = told["file"] == facts
    if told["file"]["size"] != len(recording):
        return None
    if not is_same and zlib.crc32(recording) != crc:
        return None
    records = np.frombuffer(whole[stop:], RECORD)
    stops = records["offset"] + records["size"]
    if len(records) and (int(stops.max()) > len(recording) or int(stops.min()) < 0):
        return None
    heard = {}
    for scene_id, binding, own in told["heard"]:
        times = {n: None if own[n] is None else tuple(own[n]) for n in ("start_time", "first_time")}
        heard[Encoding(scene_id, bytes.fromhex(binding))] = Heard(
            **own | times | {"apids": set(own["apids"])}
        )
    bindings = frozenset(map(bytes.fromhex, told["bindings"]))
    return Index(recording, bindings, heard, records, [Damage(*one) for one in told["damage"]])
