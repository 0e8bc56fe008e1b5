#!/usr/bin/env bash
# A cfdp-py receiver of class 2 that waits for lost segments does not acknowledge an end of file
# that is sent again. The sender repeats it because the first acknowledgement was lost, as happens
# on the links of satellites, gives up after a few, and cancels a file that was nearly there.
# skybook acknowledges each repeated end of file itself (ground/station/transaction.py).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -qq cfdp-py==0.7.0 spacepackets==0.32.0 fastcrc==0.3.6 || exit 2
cd "$work"
venv/bin/python -I - <<'PYTHON'
import sys
import zlib
from importlib.metadata import version

from cfdppy import mib
from cfdppy.filestore import NativeFilestore
from cfdppy.handler.dest import DestHandler
from cfdppy.user import CfdpUserBase
from spacepackets.cfdp import ChecksumType, PduConfig, TransmissionMode
from spacepackets.cfdp.pdu import EofPdu, FileDataPdu, MetadataParams, MetadataPdu, NakPdu
from spacepackets.cfdp.pdu.file_data import FileDataParams
from spacepackets.util import ByteFieldU16

CLASS_2, CRC_32 = TransmissionMode.ACKNOWLEDGED, ChecksumType.CRC_32
FILE = bytes(range(200))


def silent(base, *arguments):
    """Return an object of an abstract class whose methods do nothing."""
    methods = dict.fromkeys(base.__abstractmethods__, lambda *_: None)
    return type("Silent", (base,), methods)(*arguments)


def receiver():
    """Return a receiver, entity 2, that knows the sender, entity 1."""
    faults = silent(mib.DefaultFaultHandlerBase)
    local = mib.LocalEntityConfig(ByteFieldU16(2), mib.IndicationConfig(), faults)
    sender = mib.RemoteEntityConfig(ByteFieldU16(1), None, 1024, True, False, CLASS_2, CRC_32)
    user, timers = silent(CfdpUserBase, NativeFilestore()), silent(mib.CheckTimerProvider)
    return DestHandler(local, user, mib.RemoteEntityConfigTable([sender]), timers)


def pdus(number, name):
    """Return the PDUs of a file in four segments: metadata, 0, 50, 100, 150, end of file."""

    def config():
        ends = dict(source_entity_id=ByteFieldU16(1), dest_entity_id=ByteFieldU16(2))
        return PduConfig(**ends, transaction_seq_num=ByteFieldU16(number), trans_mode=CLASS_2)

    head = MetadataParams(True, CRC_32, len(FILE), name, name)
    segments = [FileDataParams(FILE[at : at + 50], at) for at in range(0, 200, 50)]
    data = [FileDataPdu(config(), segment) for segment in segments]
    end = EofPdu(config(), zlib.crc32(FILE).to_bytes(4, "big"), len(FILE))
    return [MetadataPdu(config(), head), *data, end]


def answers(handler, sent):
    """Return what a receiver answers: the names of PDUs, and the segments asked for."""
    said = []
    for pdu in sent:
        handler.state_machine(pdu)
        while (answer := handler.get_next_packet()) is not None:
            said.append(type(answer.pdu).__name__)
            if isinstance(answer.pdu, NakPdu):
                said += answer.pdu.segment_requests
    return said


print(f"cfdp-py {version('cfdp-py')}, spacepackets {version('spacepackets')}")
print("Done: a file without its segment 50..100, and the end of file three times.")
metadata, first, second, *rest = pdus(1, "image")
handler = receiver()
answers(handler, [metadata, first, *rest[:-1]])
said = [answers(handler, pdus(1, "image")[-1:]) for _ in range(3)]
for number, names in enumerate(said, 1):
    print(f"  end of file, time {number}: {names or 'nothing'}")
last = answers(handler, [second])
print(f"  the lost segment: {last}")
same = said == [["AckPdu", "NakPdu", (50, 100)], [], []] and last == ["FinishedPdu"]
print("Seen: only the first end of file is acknowledged.")
print("Expected: an ACK (EOF) for each (CCSDS 727.0-B, positive acknowledgement).")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
