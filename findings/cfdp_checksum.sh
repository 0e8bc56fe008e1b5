#!/usr/bin/env bash
# cfdp-py's receiver of class 2 compares the file's checksum only where something had to be sent
# again. Where all arrived in order it answers "data complete, no error" whatever the end of file
# says. It also writes file data of another transaction into the file. Either way a damaged image is
# acknowledged, and the spacecraft may delete the only good copy. `ground receive-file` compares the
# checksum itself and keeps transactions apart (ground/station/transaction.py).
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
from spacepackets.cfdp import ChecksumType, CrcFlag, PduConfig, TransmissionMode
from spacepackets.cfdp.pdu import EofPdu, FileDataPdu, FinishedPdu, MetadataParams, MetadataPdu
from spacepackets.cfdp.pdu.file_data import FileDataParams
from spacepackets.util import ByteFieldU16

CLASS_2, CRC_32 = TransmissionMode.ACKNOWLEDGED, ChecksumType.CRC_32
FILE = bytes(range(200))
DAMAGED = FILE[:150] + b"\0" + FILE[151:]


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


def config(number):
    """Return what is common to the PDUs of a transaction, each with a CRC."""
    ends = dict(source_entity_id=ByteFieldU16(1), dest_entity_id=ByteFieldU16(2))
    serial = dict(transaction_seq_num=ByteFieldU16(number), crc_flag=CrcFlag.WITH_CRC)
    return PduConfig(**ends, **serial, trans_mode=CLASS_2)


def delivered(content, late=None, foreign=None):
    """Send a file in four segments; return the receiver's last word and the file it keeps.

    One segment may arrive after the end of file, and one belong to another transaction.
    """
    segments = {at: FileDataParams(content[at : at + 50], at) for at in range(0, 200, 50)}
    data = {at: FileDataPdu(config(7 if at == foreign else 1), segments[at]) for at in segments}
    head = MetadataParams(True, CRC_32, len(FILE), "image", "image")
    pdus = [MetadataPdu(config(1), head), *(data[at] for at in data if at != late)]
    pdus.append(EofPdu(config(1), zlib.crc32(FILE).to_bytes(4, "big"), len(FILE)))
    handler, said = receiver(), []
    for pdu in [*pdus, data.get(late)]:
        handler.state_machine(pdu)
        while (answer := handler.get_next_packet()) is not None:
            said.append(answer.pdu)
    last = next(pdu for pdu in said if isinstance(pdu, FinishedPdu))
    return last.condition_code.name, Path("image").read_bytes()


print(f"cfdp-py {version('cfdp-py')}, spacepackets {version('spacepackets')}")
print("Done: a file of 200 bytes sent by CFDP class 2 with CRC-32, the right one at the end.")
same = True
for name, content, options, expected in (
    ("right file", FILE, {}, "NO_ERROR"),
    ("a byte differs, one segment sent again", DAMAGED, {"late": 50}, "FILE_CHECKSUM_FAILURE"),
    ("a byte differs, all in order", DAMAGED, {}, "NO_ERROR"),
    ("a segment of another transaction", DAMAGED, {"foreign": 150}, "NO_ERROR"),
):
    code, kept = delivered(content, **options)
    print(f"  {name}: {code}, and the file is {'right' if kept == FILE else 'wrong'}")
    same &= code == expected and kept == content
print("Seen: a file that does not match its checksum is reported as complete and good.")
print("Expected: a checksum failure (CCSDS 727.0-B), and other transactions' PDUs left alone.")
print("As described." if same else "CHANGED: this is no longer so.")
sys.exit(0 if same else 1)
PYTHON
