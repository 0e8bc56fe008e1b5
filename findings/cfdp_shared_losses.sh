#!/usr/bin/env bash
# All cfdp-py receivers of a process share one list of lost segments: it is a default value that is
# made once. A receiver whose file is whole asks for what another one lacks, and does not finish.
# A ground station that receives several images at once, or one after another that was cut off at
# the end of a pass, asks for segments without need.
# skybook gives each transaction a list of its own (ground/station/transaction.py).
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
from pathlib import Path

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
print("Done: two receivers in one process; the first lacks 50..100, the second gets all.")
alone = answers(receiver(), pdus(1, "alone"))
print(f"  a whole file, before any loss: {alone}")
metadata, first, _, third, *_ = pdus(2, "first")
lacking = answers(receiver(), [metadata, first, third])
print(f"  the receiver that lacks 50..100: {lacking}")
whole = answers(receiver(), pdus(3, "second"))
print(f"  a new receiver, a whole file: {whole}; file right: {Path('second').read_bytes() == FILE}")
same = alone == ["AckPdu", "FinishedPdu"] and lacking == ["NakPdu", (50, 100)]
same &= whole == ["AckPdu", "NakPdu", (50, 100)] and Path("second").read_bytes() == FILE
print("Seen: the second receiver asks for what only the first lacks, and does not finish.")
print("Expected: Finished at once, since each receiver has a transaction of its own.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
