"""CFDP: the receiving entity of a class 2 file delivery over UDP (CCSDS 727.0-B-5, by cfdp-py)."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cfdppy.mib import (
    DefaultFaultHandlerBase,
    IndicationConfig,
    LocalEntityConfig,
    RemoteEntityConfig,
    RemoteEntityConfigTable,
)
from spacepackets.cfdp import ChecksumType, TransmissionMode
from spacepackets.cfdp.pdu import MetadataPdu, PduFactory
from spacepackets.util import ByteFieldU16

from ground.station.transaction import Transaction, TransactionKey, nothing
from onboard.errors import UsageError

PDU_BYTES = 1_024
_MOST = 65_535
_MOST_KNOWN = 16
_NO_LIMIT = 1 << 30  # it is the caller's deadline that ends a transaction
_LINGER = 8


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

    It is that of the first transaction whose metadata arrive. What comes of others before is kept
    apart, and dropped then; what comes of others later is passed over.
    """

    def __init__(self, file: Path, entities: Entities) -> None:
        """Receive into `file`, whatever name the sender gives."""
        self._file = file
        self._entities = entities
        self._known: dict[TransactionKey, Transaction] = {}
        self._named: Transaction | None = None

    @property
    def complete(self) -> bool:
        """Whether the whole file arrived and its checksum is right."""
        return self._named is not None and self._named.complete

    @property
    def closed(self) -> bool:
        """Whether the transaction ended, and the sender knows."""
        return self._named is not None and self._named.closed

    @property
    def progress(self) -> int:
        """How far the file reaches, gaps included."""
        return self._named.progress if self._named else 0

    def take(self, datagram: bytes | None) -> list[bytes]:
        """Take a PDU, or the passing of time, and return the PDUs to be sent back."""
        if datagram is None:
            return [answer for known in self._known.values() for answer in known.take(None)]
        pdu = _parsed(datagram)
        transaction = None if pdu is None else self._transaction_of(pdu)
        if transaction is None:
            return []
        answers = transaction.take(pdu)
        if transaction.named and self._named is None:
            self._named = transaction
            self._known = {TransactionKey.of(pdu): transaction}
        return answers

    def _transaction_of(self, pdu: Any) -> Transaction | None:
        """Return the transaction of a PDU, None for one that is not wanted."""
        key = TransactionKey.of(pdu)
        if key not in self._known and self._named is None:
            if len(self._known) == _MOST_KNOWN:
                del self._known[next(iter(self._known))]  # without metadata it wrote nothing
            local, remotes = self._entities.local_config(), self._entities.remote_configs()
            self._known[key] = Transaction(local, remotes, self._file)
        return self._known.get(key)


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
        pdu = PduFactory.from_raw(datagram)
        if isinstance(pdu, MetadataPdu):  # its names are read late, and may be no text
            _ = pdu.source_file_name, pdu.dest_file_name
        return pdu
    except Exception:  # whatever the parser stumbles over, it is no PDU
        return None


class _Faults(DefaultFaultHandlerBase):  # type: ignore[misc]
    notice_of_suspension_cb = notice_of_cancellation_cb = abandoned_cb = ignore_cb = nothing
