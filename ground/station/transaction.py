"""Transaction: one file delivery of class 2, received (CCSDS 727.0-B-5, by cfdp-py)."""

from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cfdppy import exceptions as refusals
from cfdppy.defs import CfdpState
from cfdppy.filestore import NativeFilestore
from cfdppy.mib import CheckTimerProvider, LocalEntityConfig, RemoteEntityConfigTable
from cfdppy.user import CfdpUserBase
from spacepackets.cfdp import ConditionCode, CrcFlag, Direction
from spacepackets.cfdp.pdu import (
    AckPdu,
    DirectiveType,
    EofPdu,
    FileDataPdu,
    MetadataPdu,
    NakPdu,
    PduFactory,
)
from spacepackets.cfdp.pdu.ack import TransactionStatus
from spacepackets.cfdp.pdu.finished import DeliveryCode
from spacepackets.countdown import Countdown

from ground.station.delivery import Delivery
from ground.station.handler import Handler, OneFile

_MOST_EARLY = 1_024
_REFUSED = (
    refusals.InvalidDestinationId,
    refusals.InvalidPduDirection,
    refusals.InvalidPduForDestHandler,
    refusals.NoRemoteEntityConfigFound,
    refusals.PduIgnoredForDest,
    ValueError,
)


class TransactionKey(NamedTuple):
    """What tells the PDUs of a transaction from those of others.

    Attributes:
        source: entity id of the sender.
        number: transaction sequence number.
        checked: whether PDUs end in a CRC; one whose flag was flipped is none of these.
    """

    source: int
    number: int
    checked: bool

    @classmethod
    def of(cls, pdu: Any) -> "TransactionKey":
        """Return the key of a PDU."""
        checked = pdu.pdu_header.crc_flag == CrcFlag.WITH_CRC
        return cls(pdu.source_entity_id.value, pdu.transaction_seq_num.value, checked)


class Transaction:
    """Receives the file of one transaction, PDU by PDU.

    Where cfdp-py 0.7 falls short is made good: it does not acknowledge an end of file twice,
    forgets the checksum in one that overtakes the metadata, does not compare the checksum where no
    gap is left at the end of file, refuses what fills a gap and more, or passes it over if it
    reaches the last bytes that came, drops what comes before the metadata and asks for all of it
    with each PDU, waits for a file that is cancelled behind its end, shares the gaps of all
    handlers of a process, and begins anew with what comes after the end.
    """

    def __init__(
        self,
        local: LocalEntityConfig,
        remotes: RemoteEntityConfigTable,
        file: Path,
        repeat: float = 5.0,
    ) -> None:
        """Receive into `file`, once the metadata are there; ask for them every `repeat` seconds."""
        self._store = OneFile(file)
        self._user = _User(self._store)
        self._handler = Handler(local, self._user, remotes, NoCheckTimers())
        self._early: list[FileDataPdu] = []
        self._asking = Countdown.from_seconds(repeat)
        self._asking.time_out()
        self._metadata = self._end = b""
        self._size = 0

    @property
    def named(self) -> bool:
        """Whether the metadata came."""
        return bool(self._metadata)

    @property
    def ended(self) -> bool:
        """Whether the end of file came, behind the metadata."""
        return bool(self._end)

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

    @property
    def state(self) -> Delivery:
        """What a process that comes after this one needs to go on; of one that is named."""
        return Delivery(self._metadata, self._end, self._handler.gaps, self.progress)

    def resume(self, kept: Delivery) -> list[bytes]:
        """Go on where another process ended, with the file as it left it.

        Returns:
            The PDUs to be sent: to ask for what lacks, or to say that nothing does.

        Raises:
            ValueError: what was kept is of no such transaction.
        """
        self._store.kept = True
        self.take(PduFactory.from_raw(kept.metadata), kept.metadata)
        self._store.kept = False
        if not self.named:
            raise ValueError("the metadata of a file for another entity, or of none")
        self._handler.go_on(kept.gaps, kept.reach)
        return self.take(PduFactory.from_raw(kept.end), kept.end) if kept.end else []

    def take(self, pdu: Any, datagram: bytes = b"") -> list[bytes]:
        """Take a PDU, or the passing of time (None), and return the PDUs to be sent back.

        Args:
            pdu: PDU of this transaction, or None.
            datagram: its bytes.
        """
        if isinstance(pdu, EofPdu) and (not self.named or self.ended):
            return self._answer_end(pdu)
        if self.closed or not self._fits(pdu):
            return []
        if isinstance(pdu, FileDataPdu) and not self.named:
            return self._keep(pdu)
        answers = self._handed(pdu)
        if answers is None:
            return []  # not for us, or not now
        if isinstance(pdu, MetadataPdu) and not self.named:
            self._metadata, self._size = datagram, pdu.file_size
            early, self._early = self._early, []
            for part in early:
                answers += self.take(part)
        if isinstance(pdu, EofPdu):
            self._end, self._size = datagram, pdu.file_size
        return answers

    def _handed(self, pdu: Any) -> list[bytes] | None:
        """Hand a PDU over, and return the answers; None if it is refused."""
        try:
            self._handler.state_machine(pdu)
        except _REFUSED:
            return None
        answers = []
        while (holder := self._handler.get_next_packet()) is not None:
            answers += _packed(holder.pdu)
        return answers

    def _keep(self, part: FileDataPdu) -> list[bytes]:
        """Keep what comes before the metadata, and ask for them now and then."""
        if len(self._early) < _MOST_EARLY:
            self._early.append(part)
        return self._ask_metadata(part) if self._asking.timed_out() else []

    def _ask_metadata(self, pdu: Any) -> list[bytes]:
        config = copy(pdu.pdu_header.pdu_conf)
        config.direction = Direction.TOWARDS_SENDER
        self._asking.reset()
        return _packed(NakPdu(config, 0, 0, [(0, 0)]))

    def _fits(self, pdu: Any) -> bool:
        """Say whether a PDU is about a file, and about bytes that it has."""
        if isinstance(pdu, MetadataPdu):
            return pdu.dest_file_name is not None and pdu.source_file_name is not None
        if isinstance(pdu, FileDataPdu) and self._size:
            return bool(pdu.offset + len(pdu.file_data) <= self._size)
        return True

    def _answer_end(self, end: EofPdu) -> list[bytes]:
        """Acknowledge a repeated end of file, or ask for the metadata that should precede it."""
        if not self.named:
            return self._ask_metadata(end)
        config = end.pdu_header.pdu_conf
        config.direction = Direction.TOWARDS_SENDER
        ack = _packed(
            AckPdu(config, DirectiveType.EOF_PDU, end.condition_code, TransactionStatus.ACTIVE)
        )
        if end.condition_code != ConditionCode.NO_ERROR and not self._user.finished:
            self._handler.cancel()
            return ack + (self._handed(None) or [])
        return ack


def _packed(answer: Any) -> list[bytes]:
    """Return an answer; none to what was damaged so that it has none."""
    try:
        return [bytes(answer.pack())]
    except ValueError:
        return []


class NoCheckTimers(CheckTimerProvider):  # type: ignore[misc]
    """Class 2 uses none."""

    def provide_check_timer(self, *_: object) -> Countdown:
        """Return one that is over."""
        return Countdown.from_seconds(0.0)


def nothing(*_: object) -> None:
    """Do nothing: only how a transaction ends counts, and that is in its Finished."""


@dataclass
class _User(CfdpUserBase):  # type: ignore[misc]
    vfs: NativeFilestore
    finished: list[Any] = field(default_factory=list)

    def transaction_finished_indication(self, params: Any) -> None:
        self.finished.append(params.finished_params)

    transaction_indication = eof_sent_indication = metadata_recv_indication = nothing
    file_segment_recv_indication = report_indication = suspended_indication = nothing
    resumed_indication = fault_indication = abandoned_indication = eof_recv_indication = nothing
