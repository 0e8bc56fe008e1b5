"""Spacecraft: the sending entity of a class 2 file delivery, by cfdp-py as it is."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from cfdppy import exceptions as refusals
from cfdppy.defs import CfdpState
from cfdppy.filestore import NativeFilestore
from cfdppy.handler.source import SourceHandler
from cfdppy.request import PutRequest
from cfdppy.user import CfdpUserBase
from spacepackets.cfdp import TransmissionMode
from spacepackets.cfdp.pdu import AckPdu, FinishedPdu, PduFactory
from spacepackets.cfdp.pdu.ack import TransactionStatus
from spacepackets.cfdp.pdu.file_directive import DirectiveType
from spacepackets.seqcount import SeqCountProvider
from spacepackets.util import ByteFieldU16

from ground.station.cfdp import Entities
from ground.station.transaction import NoCheckTimers, nothing

_REFUSED = (
    refusals.InvalidDestinationId,
    refusals.InvalidPduDirection,
    refusals.InvalidTransactionSeqNum,
    refusals.NoRemoteEntityConfigFound,
    refusals.PduIgnoredForSource,
)


class Spacecraft(CfdpUserBase):  # type: ignore[misc]
    """Sends one file, PDU by PDU.

    Attributes:
        delivered: whether the receiver said that it has the whole file.
    """

    def __init__(self, file: Path, entities: Entities, segment_bytes: int) -> None:
        """Send `file` in segments of so many bytes."""
        super().__init__(NativeFilestore())
        remotes = entities.remote_configs()
        remotes.get_cfg(ByteFieldU16(entities.remote)).max_file_segment_len = segment_bytes
        local, numbers = entities.local_config(), SeqCountProvider(16)
        self._handler = SourceHandler(local, self, remotes, NoCheckTimers(), numbers)
        acknowledged = TransmissionMode.ACKNOWLEDGED
        there = ByteFieldU16(entities.remote)
        self._handler.put_request(PutRequest(there, file, Path("file"), acknowledged, True))
        self.delivered = False

    @property
    def done(self) -> bool:
        """Whether it has nothing more to send of itself."""
        return bool(self._handler.state == CfdpState.IDLE)

    def take(self, datagram: bytes | None) -> list[bytes]:
        """Take a PDU, or the passing of time, and return the PDUs to be sent."""
        pdu = None if datagram is None else PduFactory.from_raw(datagram)
        if self.done:
            return _acknowledged(pdu) if isinstance(pdu, FinishedPdu) else []
        with suppress(*_REFUSED):
            self._handler.state_machine(pdu)
        sent = []
        while (holder := self._handler.get_next_packet()) is not None:
            sent.append(bytes(holder.pdu.pack()))
        return sent

    def transaction_finished_indication(self, params: Any) -> None:
        """Note how it ended."""
        self.delivered = params.finished_params.delivery_code == 0

    transaction_indication = eof_sent_indication = metadata_recv_indication = nothing
    file_segment_recv_indication = report_indication = suspended_indication = nothing
    resumed_indication = fault_indication = abandoned_indication = eof_recv_indication = nothing


def _acknowledged(finished: FinishedPdu) -> list[bytes]:
    """Acknowledge a Finished that comes again after the end, as the entity of a handler must."""
    config, code = finished.pdu_header.pdu_conf, finished.condition_code
    ack = AckPdu(config, DirectiveType.FINISHED_PDU, code, TransactionStatus.TERMINATED)
    return [bytes(ack.pack())]
