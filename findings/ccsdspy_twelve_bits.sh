#!/usr/bin/env bash
# ccsdspy reads an array of 10-, 12- or 14-bit samples right where its length is fixed, but where
# the length varies ("expand", or counted by a field) it gives the bytes of the packet instead: more
# samples than there are, none of them right, and no error. Detectors have such samples, and packets
# of compressed or binned lines vary in length.
# skybook unpacks its own packets (onboard/link/packet.py); its tests give ccsdspy bytes alone.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq ccsdspy==2.0.1 numpy==2.4.6 || exit 2
cd "$work"
venv/bin/python -I - 2>remarks <<'PYTHON' || { cat remarks >&2; exit 1; }
import io
import struct
import sys

import ccsdspy
from ccsdspy import FixedLength, PacketArray, PacketField, VariableLength

SAMPLES = [1, 2, 1000, 1023, 5, 6, 7, 8]


def packet(bits, counted):
    """Return a space packet of big-endian samples, after their number where `counted`."""
    body = int("".join(f"{sample:0{bits}b}" for sample in SAMPLES), 2).to_bytes(bits, "big")
    body = bytes([len(SAMPLES)] * counted) + body
    return struct.pack(">HHH", 77, 0xC000, len(body) - 1) + body


def read(kind, bits):
    """Return the samples that ccsdspy finds, the array declared in one of three ways."""
    shape = {"fixed": len(SAMPLES), "expand": "expand", "counted": "N"}[kind]
    fields = [PacketArray(name="S", data_type="uint", bit_length=bits, array_shape=shape)]
    if kind == "counted":
        fields.insert(0, PacketField(name="N", data_type="uint", bit_length=8))
    reader = (FixedLength if kind == "fixed" else VariableLength)(fields)
    return [int(v) for v in reader.load(io.BytesIO(packet(bits, kind == "counted")))["S"][0]]


print(f"ccsdspy {ccsdspy.__version__}")
print(f"Done: a space packet of the samples {SAMPLES}, read with three declarations.")
same = True
for bits in (10, 12, 14, 16):
    for kind in ("fixed", "expand", "counted"):
        found = read(kind, bits)
        print(f"  {bits} bits, {kind:7}: {found}")
        body = list(packet(bits, False)[6:])
        same &= found == (SAMPLES if kind == "fixed" or bits == 16 else body)
print("Seen: arrays of varying length are read as bytes unless samples are whole bytes.")
print("Expected: the samples, as with a fixed length, or an error.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
