"""Checksums set right around changed bytes, so that a fuzzer gets past them."""

import json
from contextlib import suppress
from functools import cache
from hashlib import sha256
from typing import Any

from benchmarks.faults.fuzz.bundles import fixed_bundle, lapped_bundle
from onboard.bundle.container import HEAD_BYTES, canonical_json
from onboard.errors import StreamError
from onboard.link.crc import crc32c
from onboard.link.packet import CONTROL_BYTES, PACKET_OVERHEAD, crc16
from onboard.link.segment import BOUND, SYNC, TAG_BYTES, Head

EDIT_BYTES = 4


def seal_segments(stream: bytes) -> bytes:
    """Set the CRC of every segment of a stream; tiles and masks have the binding named last."""
    tag = int.from_bytes(fixed_bundle().tag, "big")
    sealed = bytearray(stream)
    view = memoryview(sealed)
    offset = 0
    while (offset := sealed.find(SYNC, offset)) >= 0:
        try:
            head = Head.read(view, offset)
        except StreamError:
            offset += 1
            continue
        stop = offset + head.size
        bound = head.kind in BOUND
        if not bound and head.size >= head.length + TAG_BYTES + 4:
            named = offset + head.length
            tag = int.from_bytes(view[named : named + TAG_BYTES], "big")
        crc = crc32c(view[offset : stop - 4]) ^ (tag if bound else 0)
        view[stop - 4 : stop] = crc.to_bytes(4, "big")
        offset = stop
    return bytes(sealed)


def seal_packets(stream: bytes) -> bytes:
    """Set the CRC of every segment, and the error control of every packet that has one."""
    sealed = bytearray(seal_segments(stream))
    view = memoryview(sealed)
    offset = 0
    while offset + PACKET_OVERHEAD < len(sealed):
        stop = offset + 7 + int.from_bytes(view[offset + 4 : offset + 6], "big")
        after = _end_of_segments(view, offset + PACKET_OVERHEAD, stop)
        if after is not None:
            if after < stop:
                view[after:stop] = crc16(view[offset:after]).to_bytes(CONTROL_BYTES, "big")
            offset = stop
            continue
        mark = sealed.find(SYNC, offset + 1)
        if mark < 0:
            break
        offset = max(mark - PACKET_OVERHEAD, offset + 1)
    return bytes(sealed)


def _end_of_segments(view: memoryview, offset: int, stop: int) -> int | None:
    """Return where the segments of a packet end; None if there is no packet."""
    try:
        while stop - offset > CONTROL_BYTES:
            offset += Head.read(view, offset).size
    except StreamError:
        return None
    fits = stop <= len(view) and offset in (stop, stop - CONTROL_BYTES)
    return offset if fits else None


def sparse_bundle() -> bytes:
    """Return the lapped bundle without the bytes of its part `lapped`.

    They are 131 KB, more than a fuzzer changes well. In the input of a fuzzer the part is a list of
    edits of the one that `lapped_bundle` has: place u24, byte u8.
    """
    bundle = lapped_bundle()
    packed = bundle.pack()
    parts = packed[len(packed) - sum(map(len, bundle.parts.values())) :]
    manifest = json.loads(canonical_json(bundle.manifest))
    lapped = bundle.parts["lapped"]
    before = sum(len(bundle.parts[name]) for name in ("encoder.onnx", "encoder.tflite"))
    edit = before.to_bytes(3, "big") + lapped[:1]
    for entry in manifest["parts"]:
        if entry["name"] == "lapped":
            entry["bytes"] = EDIT_BYTES
    body = parts[:before] + edit + parts[before + len(lapped) :]
    return _with_head(packed[:HEAD_BYTES], canonical_json(manifest), body)


def seal_bundle(packed: bytes) -> bytes:
    """Carry out the edits of the part `lapped`; set all hashes, and the length of the manifest."""
    head, rest = packed[:HEAD_BYTES], packed[HEAD_BYTES:]
    length = min(int.from_bytes(head[8:12], "big"), len(rest))
    manifest, body = rest[:length], rest[length:]
    # A manifest that is not one, or has no such entries, is for the parser to refuse.
    with suppress(ValueError, TypeError, LookupError, AttributeError, RecursionError):
        manifest, body = _sealed_parts(json.loads(manifest), body)
    return _with_head(head, manifest, body)


def seal_profile(packed: bytes) -> bytes:
    """Set length and hash of a profile file."""
    return _with_head(packed[:HEAD_BYTES], packed[HEAD_BYTES:], b"")


def _with_head(head: bytes, manifest: bytes, body: bytes) -> bytes:
    sealed = head[:8] + len(manifest).to_bytes(4, "big") + sha256(manifest).digest()
    return sealed + head[44:] + manifest + body


def _sealed_parts(manifest: dict[str, Any], body: bytes) -> tuple[bytes, bytes]:
    wire, position, parts = manifest["wire"], 0, b""
    for entry in manifest["parts"]:
        part = body[position : position + entry["bytes"]]
        position += entry["bytes"]
        if entry["name"] == "lapped":
            part = _edited(part)
            entry["bytes"] = len(part)
            wire["lapped_sha256"] = sha256(part).hexdigest()
        if entry["name"] == "codebooks":
            _seal_levels(wire["levels"], part)
        entry["sha256"] = sha256(part).hexdigest()
        parts += part
    manifest["model_hash"] = sha256(canonical_json(wire)).hexdigest()
    return canonical_json(manifest), parts + body[position:]


@cache
def _base_part() -> bytes:
    return lapped_bundle().parts["lapped"]


def _edited(edits: bytes) -> bytes:
    """Return the part `lapped` with bytes changed; what is left of a last edit is appended."""
    part = bytearray(_base_part())
    whole = len(edits) - len(edits) % EDIT_BYTES
    for offset in range(0, whole, EDIT_BYTES):
        place = int.from_bytes(edits[offset : offset + 3], "big")
        part[place % len(part)] = edits[offset + 3]
    return bytes(part) + edits[whole:]


def _seal_levels(levels: list[dict[str, Any]], codebooks: bytes) -> None:
    position = dims_above = 0
    for level in levels:
        dims = level["dims"]
        length = 2 * level["codewords"] * dims + 8 * dims * dims_above
        level["sha256"] = sha256(codebooks[position : position + length]).hexdigest()
        position += length
        dims_above = dims
