#!/usr/bin/env bash
# ccsdspy names the packets lost in a recording ("Missing packets found [7, 8].") until the 14-bit
# sequence count rolls over. Then it names none, and says the same of a whole recording as of one
# with gaps: that counts are out of order. At imagery rates the count rolls over within minutes.
# skybook counts gaps modulo 16384 (ground/station/sequence.py).
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
from ccsdspy import utils


def remarks(counts):
    """Return what ccsdspy remarks on a recording of packets with these sequence counts."""
    packets = (struct.pack(">HHHI", 77, 0xC000 | count, 3, count) for count in counts)
    return [record.getMessage() for record in utils.validate(io.BytesIO(b"".join(packets)))]


CASES = {
    "whole": [5, 6, 7, 8, 9, 10],
    "7 and 8 lost": [5, 6, 9, 10],
    "whole, rolls over": [16381, 16382, 16383, 0, 1, 2],
    "16383 and 0 lost": [16381, 16382, 1, 2],
    "0 and 1 lost, rolls over": [16382, 16383, 2, 3],
}
print(f"ccsdspy {ccsdspy.__version__}")
print("Done: recordings of packets in the order of sending, checked by ccsdspy.utils.validate.")
found = {name: remarks(counts) for name, counts in CASES.items()}
for name, said in found.items():
    print(f"  {name:24}: {' '.join(said) or 'nothing'}")
whole, lost, *rolled = found.values()
same = not whole and lost == ["Missing packets found [7, 8]."]
same &= all(said == ["Sequence count are out of order."] for said in rolled)
print("Seen: after a roll-over losses are not named, and a whole recording is doubted like one.")
print("Expected: counts that are compared modulo 16384, as the standard has them (CCSDS 133.0-B).")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
