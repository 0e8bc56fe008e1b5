"""PDU: what GNU Radio publishes around a frame, a pair of metadata and a vector of bytes.

Source: GNU Radio, "Polymorphic Types (PMTs)", serialised form; tags are bytes, numbers big-endian.
"""

import struct

_SYMBOL, _NULL, _PAIR, _VECTOR, _DICTIONARY, _UNIFORM, _TUPLE = 2, 6, 7, 8, 9, 10, 12
_SIZES = {0: 0, 1: 0, 3: 4, 4: 8, 5: 16, _NULL: 0, 11: 8, 13: 8}
"""Bytes behind the tags of true, false, numbers and null."""
_BYTES = 0
"""Subtype of a uniform vector of u8; its elements' sizes are those of `_ELEMENTS`."""
_ELEMENTS = (1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 8, 16)
_DEEPEST = 64


def content_of(message: bytes) -> bytes:
    """Return the bytes in a PDU; what is none comes back as it is."""
    try:
        if message[0] != _PAIR:
            return message
        start = _after(message, 1, 0)
        tag, kind, length, padding = struct.unpack_from(">BBIB", message, start)
    except (IndexError, struct.error, RecursionError):
        return message
    first = start + 7 + padding
    is_whole = first + length == len(message)
    return message[first:] if (tag, kind) == (_UNIFORM, _BYTES) and is_whole else message


def _after(message: bytes, start: int, depth: int) -> int:
    """Return where what begins at a place ends.

    Raises:
        IndexError, struct.error: nowhere.
    """
    tag = message[start]
    start += 1
    if depth > _DEEPEST:
        raise IndexError
    if tag in _SIZES:
        return start + _SIZES[tag]
    if tag == _SYMBOL:
        return start + 2 + int(struct.unpack_from(">H", message, start)[0])
    if tag in (_PAIR, _DICTIONARY):
        # The rest of a list is no deeper than its beginning.
        while tag in (_PAIR, _DICTIONARY):
            start = _after(message, start, depth + 1)
            tag = message[start]
            start += 1
        return _after(message, start - 1, depth + 1)
    if tag in (_VECTOR, _TUPLE):
        (count,) = struct.unpack_from(">I", message, start)
        start += 4
        for _ in range(min(count, len(message))):
            start = _after(message, start, depth + 1)
        return start
    if tag == _UNIFORM:
        kind, count, padding = struct.unpack_from(">BIB", message, start)
        return start + 6 + int(padding) + int(count) * _ELEMENTS[kind & 0x7F]
    raise IndexError(tag)
