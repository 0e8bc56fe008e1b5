#!/usr/bin/env bash
# spacepackets reads the condition code of an end-of-file PDU 16 times too large: what is in the
# upper four bits stays there. 0, no error, is right by luck; a cancelled file, 15, is read as 240.
# A cfdp-py receiver cannot put that into its acknowledgement, so it raises where a sender that gave
# a file up tells it so, and the sender tells it again.
# skybook shifts the code itself (ground/station/cfdp.py).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq spacepackets==0.32.0 fastcrc==0.3.6 || exit 2
cd "$work"
venv/bin/python -I - <<'PYTHON'
import sys
from importlib.metadata import version

from spacepackets.cfdp import ConditionCode, PduConfig, TransmissionMode
from spacepackets.cfdp.pdu import AckPdu, DirectiveType, EofPdu
from spacepackets.cfdp.pdu.ack import TransactionStatus
from spacepackets.util import ByteFieldU16

CODES = {
    ConditionCode.NO_ERROR: 0,
    ConditionCode.POSITIVE_ACK_LIMIT_REACHED: 16,
    ConditionCode.CANCEL_REQUEST_RECEIVED: 240,
}


def config():
    """Return what the PDUs of a transaction begin with."""
    ends = dict(source_entity_id=ByteFieldU16(1), dest_entity_id=ByteFieldU16(2))
    number = ByteFieldU16(1)
    return PduConfig(**ends, transaction_seq_num=number, trans_mode=TransmissionMode.ACKNOWLEDGED)


print(f"spacepackets {version('spacepackets')}")
print("Done: an end-of-file PDU packed, unpacked, and its condition code acknowledged.")
same = True
for code, expected in CODES.items():
    raw = EofPdu(config(), bytes(4), 100, condition_code=code).pack()
    found = EofPdu.unpack(raw).condition_code
    kind, status = DirectiveType.EOF_PDU, TransactionStatus.ACTIVE
    try:
        AckPdu(config(), kind, found, status).pack()
        answer = "acknowledged"
    except ValueError as error:
        answer = f"ValueError: {error}"
    print(f"  {code.name}, {int(code)}: byte {raw[11]:#04x}, read as {int(found)}; {answer}")
    same &= raw[11] == int(code) << 4 and int(found) == expected
    same &= (answer == "acknowledged") == (expected == 0)
print("Seen: the code is not shifted down by four bits, and what is read cannot be packed.")
print("Expected: the code that was packed (CCSDS 727.0-B, end-of-file PDU).")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
