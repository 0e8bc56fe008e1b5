#!/usr/bin/env bash
# TmTransferFrame.unpack of spacepackets takes the length of a frame, checks the CRC over that
# length, and then cuts the fields from the end of the buffer: given a recording of several frames
# it returns, as good, a frame whose data field holds all that follows. It also refuses frames of
# 2,048 bytes, which its own message allows. Image packets are cut from such data fields.
# skybook has no transfer frames: it finds packets and segments in whatever the station recorded.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq spacepackets==0.32.0 fastcrc==0.3.6 || exit 2
cd "$work"
venv/bin/python -I - <<'PYTHON'
import binascii
import struct
import sys
from importlib.metadata import version

from spacepackets.ccsds.tm_frame import TmTransferFrame


def frame(number, length):
    """Return a TM transfer frame (CCSDS 132.0-B) with an error control field, filled with number.

    Version 0, spacecraft 42, virtual channel 1, no operational control field.
    """
    head = struct.pack(">HBBH", 42 << 4 | 1 << 1, number, number, 3 << 11)
    body = head + bytes([number]) * (length - len(head) - 2)
    return body + struct.pack(">H", binascii.crc_hqx(body, 0xFFFF))


print(f"spacepackets {version('spacepackets')}")
print("Done: frames of 64 bytes, with CRC, unpacked with length=64.")
recording = frame(1, 64) + frame(2, 64)
exact = TmTransferFrame.unpack(recording[:64], 64, True)
loose = TmTransferFrame.unpack(recording, 64, True)
for name, found in (("a slice of 64 bytes", exact), ("two frames in a row", loose)):
    field, code = found.data_field, found.frame_error_control.hex()
    print(f"  {name}: data field of {len(field)} bytes, ending in {field[-1]}, CRC {code}")
same = exact.data_field == b"\1" * 56 and exact.frame_error_control == recording[62:64]
same &= loose.data_field == recording[6:-2] and loose.frame_error_control == recording[-2:]
print("Done: frames of 2,047 and 2,048 bytes unpacked.")
TmTransferFrame.unpack(frame(1, 2047), 2047, True)
try:
    TmTransferFrame.unpack(frame(1, 2048), 2048, True)
    same = False
except ValueError as error:
    print(f"  2,048 bytes: {error}")
print("Seen: the length is used for the CRC alone; the greatest frame that is allowed is refused.")
print("Expected: the first frame's 56 bytes whatever follows it, or an error; 2,048 accepted.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
