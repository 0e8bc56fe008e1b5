"""CFDP: the receiving entity of a class 2 file delivery over UDP (CCSDS 727.0-B-5, by cfdp-py)."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cfdppy.mib import (
    DefaultFaultHandlerBase,
    IndicationConfig,
    LocalEntityConfig,
    RemoteEntityConfig,
    RemoteEntityConfigTable,
)
from spacepackets.cfdp import ChecksumType, ConditionCode, TransmissionMode
from spacepackets.cfdp.pdu import EofPdu, MetadataPdu, PduFactory
from spacepackets.countdown import Countdown
from spacepackets.util import ByteFieldU16

from ground.station.delivery import Delivery, forget, journal_of
from ground.station.transaction import Transaction, TransactionKey, nothing
from onboard.errors import StreamError, UsageError

PDU_BYTES = 1_024
_MOST = 65_535
_MOST_KNOWN = 16
_NO_LIMIT = 1 << 30  # it is the caller's deadline that ends a transaction
_LINGER = 8
_SAVES = 5
"""Times that the state is kept in the time of a repetition: at most that much is sent in vain."""


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
    """Receives one file, PDU by PDU, and goes on where a process before this one ended.

    It is that of the first transaction whose metadata arrive. What comes of others before is kept
    apart, and dropped then; what comes of others later is passed over. How far it came is kept
    beside the file (`delivery`) until the transaction ended and the sender knows.

    Attributes:
        peer: address that answers go to, None until the sender was heard.
        others: transactions that were heard, too, and passed over.
    """

    def __init__(self, file: Path, entities: Entities) -> None:
        """Receive into `file`, whatever name the sender gives.

        Raises:
            StreamError: what is kept beside the file is damaged, or of other entities.
        """
        self._file = file
        self._entities = entities
        self._known: dict[TransactionKey, Transaction] = {}
        self._named: Transaction | None = None
        self._saving = Countdown.from_seconds(entities.repeat / _SAVES)
        self._saved: tuple[bool, ...] = ()
        self._due: list[bytes] = []
        self.peer: Any = None
        self.others: set[TransactionKey] = set()
        if (kept := Delivery.read(file)) is not None:
            self._resume(kept)

    def _resume(self, kept: Delivery) -> None:
        self.peer = kept.peer
        transaction = self._new()
        try:
            self._due = transaction.resume(kept)
            key = TransactionKey.of(PduFactory.from_raw(kept.metadata))
        except Exception as error:  # whatever the parser stumbles over, it is no PDU
            raise StreamError(
                f"{journal_of(self._file)}: expected how far {self._file.name} came from entity "
                f"{self._entities.remote} to {self._entities.local}, found {error}; without it "
                "the file is received anew"
            ) from error
        self._known, self._named = {key: transaction}, transaction

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

    @property
    def transaction(self) -> TransactionKey | None:
        """The transaction that is received; None before its metadata came."""
        return next(iter(self._known)) if self._named else None

    def take(self, datagram: bytes | None) -> list[bytes]:
        """Take a PDU, or the passing of time, and return the PDUs to be sent back."""
        answers, self._due = self._due, []
        if datagram is None:
            answers += [answer for known in self._known.values() for answer in known.take(None)]
        elif (pdu := _parsed(datagram)) is not None:
            answers += self._taken(pdu, datagram)
        self._keep_state()
        return answers

    def _taken(self, pdu: Any, datagram: bytes) -> list[bytes]:
        key = TransactionKey.of(pdu)
        transaction = self._transaction_of(key)
        if transaction is None:
            if len(self.others) < _MOST_KNOWN:
                self.others.add(key)
            return []
        answers = transaction.take(pdu, datagram)
        if transaction.named and self._named is None:
            self._named = transaction
            self._known = {key: transaction}
        return answers

    def _transaction_of(self, key: TransactionKey) -> Transaction | None:
        """Return a transaction, None for one that is not wanted."""
        if key not in self._known and self._named is None:
            if len(self._known) == _MOST_KNOWN:
                del self._known[next(iter(self._known))]  # without metadata it wrote nothing
            self._known[key] = self._new()
        return self._known.get(key)

    def _new(self) -> Transaction:
        local, remotes = self._entities.local_config(), self._entities.remote_configs()
        return Transaction(local, remotes, self._file, self._entities.repeat)

    def _keep_state(self) -> None:
        """Keep how far the file came: at once where a step was taken, else now and then."""
        if self._named is None:
            return
        step = (self._named.ended, self._named.complete, self._named.closed)
        if step != self._saved or self._saving.timed_out():
            self._saved = step
            self._saving.reset()
            self.save()

    def save(self) -> None:
        """Keep how far the file came; nothing of what is over."""
        if self.closed:
            forget(self._file)
        elif self._named is not None:
            replace(self._named.state, peer=self.peer).write(self._file)


def receive_file(
    listener: socket.socket,
    file: Path,
    entities: Entities,
    seconds: float,
    report: Callable[[int], None] = lambda _bytes: None,
) -> FileReceiver:
    """Receive one file, asking for what is lost, and return what received it.

    Args:
        listener: bound UDP socket; a datagram is one PDU.
        file: path to write; if the file is not whole, it holds what arrived, zeros between.
        entities: entity ids of this side and of the sender.
        seconds: seconds after which to give up.
        report: function that is called with the bytes that the file reaches to.

    Raises:
        StreamError: what is kept beside the file is damaged, or of other entities.
    """
    receiver = FileReceiver(file, entities)
    deadline = time.monotonic() + seconds
    listener.settimeout(min(entities.repeat / 4, seconds))
    closing = False
    while not receiver.closed and time.monotonic() < deadline:
        datagram = None
        with suppress(TimeoutError):
            datagram, receiver.peer = listener.recvfrom(_MOST)
        for answer in receiver.take(datagram):
            with suppress(OSError):  # an address from the pass before that is no more
                listener.sendto(answer, receiver.peer)
        report(receiver.progress)
        if receiver.complete and not closing:  # the sender may be gone without our knowing
            closing = True
            deadline = min(deadline, time.monotonic() + _LINGER * entities.repeat)
    receiver.save()
    return receiver


def _parsed(datagram: bytes) -> Any:
    """Return a PDU; None if it is none, or damaged."""
    try:
        pdu = PduFactory.from_raw(datagram)
        if isinstance(pdu, MetadataPdu):  # its names are read late, and may be no text
            _ = pdu.source_file_name, pdu.dest_file_name
        if isinstance(pdu, EofPdu):  # spacepackets 0.32 leaves the code of 4 bits in the upper half
            pdu.condition_code = ConditionCode(pdu.condition_code >> 4)
        return pdu
    except Exception:  # whatever the parser stumbles over, it is no PDU
        return None


class _Faults(DefaultFaultHandlerBase):  # type: ignore[misc]
    notice_of_suspension_cb = notice_of_cancellation_cb = abandoned_cb = ignore_cb = nothing
