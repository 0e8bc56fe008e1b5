"""CFDP: the receiving entity of a class 2 file delivery over UDP (CCSDS 727.0-B-5, by cfdp-py)."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cfdppy import exceptions as refusals
from cfdppy.defs import CfdpState
from cfdppy.filestore import NativeFilestore
from cfdppy.handler.dest import DestHandler
from cfdppy.mib import (
    CheckTimerProvider,
    DefaultFaultHandlerBase,
    IndicationConfig,
    LocalEntityConfig,
    RemoteEntityConfig,
    RemoteEntityConfigTable,
)
from cfdppy.user import CfdpUserBase
from spacepackets.cfdp import ChecksumType, ConditionCode, Direction, TransmissionMode
from spacepackets.cfdp.pdu import AckPdu, DirectiveType, EofPdu, MetadataPdu, NakPdu, PduFactory
from spacepackets.cfdp.pdu.ack import TransactionStatus
from spacepackets.cfdp.pdu.finished import DeliveryCode
from spacepackets.countdown import Countdown
from spacepackets.util import ByteFieldU16

from onboard.errors import UsageError

PDU_BYTES = 1_024
_MOST = 65_535
_NO_LIMIT = 1 << 30  # it is the caller's deadline that ends a transaction
_LINGER = 8
_REFUSED = (
    refusals.InvalidDestinationId,
    refusals.InvalidPduDirection,
    refusals.InvalidPduForDestHandler,
    refusals.NoRemoteEntityConfigFound,
    refusals.PduIgnoredForDest,
    ValueError,
)


@dataclass(frozen=True)
class Entities:
    """Who sends to whom, and how often what is not answered is sent again.

    Attributes:
        local: entity id of this side, u16.
        remote: entity id of the other side, u16.
        repeat: seconds after which NAK, end of file or Finished are sent again.
    """

    local: int
    remote: int
    repeat: float = 5.0

    def __post_init__(self) -> None:
        for name in ("local", "remote"):
            if not 0 <= (value := getattr(self, name)) <= 65_535:
                raise UsageError(f"{name} entity: expected 0..65535, found {value}")
        if not 0 < self.repeat < float("inf"):
            raise UsageError(f"repeat: expected more than 0 seconds, found {self.repeat}")

    def local_config(self) -> LocalEntityConfig:
        """Return this side as cfdp-py wants it."""
        indications = IndicationConfig(False, False, False, True, False, False)
        return LocalEntityConfig(ByteFieldU16(self.local), indications, _Faults())

    def remote_configs(self) -> RemoteEntityConfigTable:
        """Return the other side as cfdp-py wants it: class 2, CRC-32, a CRC on each PDU."""
        config = RemoteEntityConfig(
            entity_id=ByteFieldU16(self.remote),
            max_file_segment_len=None,
            max_packet_len=PDU_BYTES,
            closure_requested=True,
            crc_on_transmission=True,
            default_transmission_mode=TransmissionMode.ACKNOWLEDGED,
            crc_type=ChecksumType.CRC_32,
            positive_ack_timer_interval_seconds=self.repeat,
            positive_ack_timer_expiration_limit=_NO_LIMIT,
            nak_timer_interval_seconds=self.repeat,
            nak_timer_expiration_limit=_NO_LIMIT,
        )
        return RemoteEntityConfigTable([config])


class FileReceiver:
    """Receives one file, PDU by PDU.

    cfdp-py does not acknowledge an end of file twice, and forgets the checksum in one that
    overtakes the metadata; both are seen to here.
    """

    def __init__(self, file: Path, entities: Entities) -> None:
        """Receive into `file`, whatever name the sender gives."""
        self._user = _User(_OneFile(file))
        self._handler = DestHandler(
            entities.local_config(), self._user, entities.remote_configs(), NoCheckTimers()
        )
        # The list of lost segments is shared by all handlers of the process (cfdp-py 0.7).
        self._handler._params.acked_params.lost_seg_tracker.reset()
        self._named = self._ended = False

    @property
    def complete(self) -> bool:
        """Whether the whole file arrived and its checksum is right."""
        return any(
            finished.delivery_code == DeliveryCode.DATA_COMPLETE
            and finished.condition_code == ConditionCode.NO_ERROR
            for finished in self._user.finished
        )

    @property
    def closed(self) -> bool:
        """Whether the transaction ended, and the sender knows."""
        return bool(self._user.finished) and self._handler.state == CfdpState.IDLE

    @property
    def progress(self) -> int:
        """How far the file reaches, gaps included."""
        return int(self._handler.progress)

    def take(self, datagram: bytes | None) -> list[bytes]:
        """Take a PDU, or the passing of time, and return the PDUs to be sent back."""
        pdu = None if datagram is None else _parsed(datagram)
        if isinstance(pdu, EofPdu) and (not self._named or self._ended):
            return self._answer_end(pdu)
        try:
            self._handler.state_machine(pdu)
        except _REFUSED:
            return []  # not for us, or not now
        self._named |= isinstance(pdu, MetadataPdu)
        self._ended |= isinstance(pdu, EofPdu)
        answers = []
        while (holder := self._handler.get_next_packet()) is not None:
            answers.append(bytes(holder.pdu.pack()))
        return answers

    def _answer_end(self, end: EofPdu) -> list[bytes]:
        """Acknowledge a repeated end of file, or ask for the metadata that should precede it."""
        config = end.pdu_header.pdu_conf
        config.direction = Direction.TOWARDS_SENDER
        if not self._named:
            return [bytes(NakPdu(config, 0, 0, [(0, 0)]).pack())]
        status = TransactionStatus.ACTIVE
        return [bytes(AckPdu(config, DirectiveType.EOF_PDU, end.condition_code, status).pack())]


def receive_file(
    listener: socket.socket,
    file: Path,
    entities: Entities,
    seconds: float,
    report: Callable[[int], None] = lambda _bytes: None,
) -> bool:
    """Receive one file, asking for what is lost; return whether it is whole.

    Args:
        listener: bound UDP socket; a datagram is one PDU.
        file: path to write; if the file is not whole, it holds what arrived, zeros between.
        entities: entity ids of this side and of the sender.
        seconds: seconds after which to give up.
        report: function that is called with the bytes that the file reaches to.
    """
    receiver = FileReceiver(file, entities)
    deadline = time.monotonic() + seconds
    listener.settimeout(min(entities.repeat / 4, seconds))
    sender: Any = None
    closing = False
    while not receiver.closed and time.monotonic() < deadline:
        datagram = None
        with suppress(TimeoutError):
            datagram, sender = listener.recvfrom(_MOST)
        for answer in receiver.take(datagram):
            listener.sendto(answer, sender)
        report(receiver.progress)
        if receiver.complete and not closing:  # the sender may be gone without our knowing
            closing = True
            deadline = min(deadline, time.monotonic() + _LINGER * entities.repeat)
    return receiver.complete


def _parsed(datagram: bytes) -> Any:
    """Return a PDU; None if it is none, or damaged."""
    try:
        return PduFactory.from_raw(datagram)
    except Exception:  # whatever the parser stumbles over, it is no PDU
        return None


class NoCheckTimers(CheckTimerProvider):  # type: ignore[misc]
    """Class 2 uses none."""

    def provide_check_timer(self, *_: object) -> Countdown:
        """Return one that is over."""
        return Countdown.from_seconds(0.0)


def _nothing(*_: object) -> None:
    """Do nothing: only how a transaction ends counts, and that is in its Finished."""


class _Faults(DefaultFaultHandlerBase):  # type: ignore[misc]
    notice_of_suspension_cb = notice_of_cancellation_cb = abandoned_cb = ignore_cb = _nothing


@dataclass
class _User(CfdpUserBase):  # type: ignore[misc]
    vfs: NativeFilestore
    finished: list[Any] = field(default_factory=list)

    def transaction_finished_indication(self, params: Any) -> None:
        self.finished.append(params.finished_params)

    transaction_indication = eof_sent_indication = metadata_recv_indication = _nothing
    file_segment_recv_indication = report_indication = suspended_indication = _nothing
    resumed_indication = fault_indication = abandoned_indication = eof_recv_indication = _nothing


class _OneFile(NativeFilestore):  # type: ignore[misc]
    """A file store of one file, so that the sender cannot choose where to write."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def is_directory(self, path: Path) -> bool:
        return False

    def file_exists(self, path: Path) -> bool:
        return self.file.exists()

    def truncate_file(self, file: Path) -> None:
        self.file.write_bytes(b"")

    def create_file(self, file: Path) -> Any:
        return super().create_file(self.file)

    def write_data(self, file: Path, data: bytes, offset: int | None) -> None:
        super().write_data(self.file, data, offset)

    def calculate_checksum(
        self, checksum_type: ChecksumType, file_path: Path, size_to_verify: int, *rest: Any
    ) -> bytes:
        return bytes(super().calculate_checksum(checksum_type, self.file, size_to_verify, *rest))
