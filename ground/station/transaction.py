"""Transaction: one file delivery of class 2, received (CCSDS 727.0-B-5, by cfdp-py)."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cfdppy import exceptions as refusals
from cfdppy.defs import CfdpState
from cfdppy.filestore import NativeFilestore
from cfdppy.handler.dest import (
    CompletionDisposition,
    DestHandler,
    LostSegmentTracker,
    TransactionStep,
)
from cfdppy.mib import CheckTimerProvider, LocalEntityConfig, RemoteEntityConfigTable
from cfdppy.user import CfdpUserBase
from spacepackets.cfdp import ChecksumType, ConditionCode, CrcFlag, Direction
from spacepackets.cfdp.pdu import AckPdu, DirectiveType, EofPdu, FileDataPdu, MetadataPdu, NakPdu
from spacepackets.cfdp.pdu.ack import TransactionStatus
from spacepackets.cfdp.pdu.finished import DeliveryCode
from spacepackets.countdown import Countdown

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
    reaches the last bytes that came, shares the gaps of all handlers of a process, and begins anew
    with what comes after the end.
    """

    def __init__(
        self, local: LocalEntityConfig, remotes: RemoteEntityConfigTable, file: Path
    ) -> None:
        """Receive into `file`, once the metadata are there."""
        self._user = _User(_OneFile(file))
        self._handler = _Handler(local, self._user, remotes, NoCheckTimers())
        self._size = 0
        self.named = self._ended = False

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

    def take(self, pdu: Any) -> list[bytes]:
        """Take a PDU, or the passing of time (None), and return the PDUs to be sent back."""
        if isinstance(pdu, EofPdu) and (not self.named or self._ended):
            return self._answer_end(pdu)
        if self.closed or not self._fits(pdu):
            return []
        try:
            self._handler.state_machine(pdu)
        except _REFUSED:
            return []  # not for us, or not now
        if isinstance(pdu, MetadataPdu) and not self.named:
            self.named, self._size = True, pdu.file_size
        if isinstance(pdu, EofPdu):
            self._ended, self._size = True, pdu.file_size
        answers = []
        while (holder := self._handler.get_next_packet()) is not None:
            answers += _packed(holder.pdu)
        return answers

    def _fits(self, pdu: Any) -> bool:
        """Say whether a PDU is about a file, and about bytes that it has."""
        if isinstance(pdu, MetadataPdu):
            return pdu.dest_file_name is not None and pdu.source_file_name is not None
        if isinstance(pdu, FileDataPdu) and self._size:
            return bool(pdu.offset + len(pdu.file_data) <= self._size)
        return True

    def _answer_end(self, end: EofPdu) -> list[bytes]:
        """Acknowledge a repeated end of file, or ask for the metadata that should precede it."""
        config = end.pdu_header.pdu_conf
        config.direction = Direction.TOWARDS_SENDER
        if not self.named:
            return _packed(NakPdu(config, 0, 0, [(0, 0)]))
        status = TransactionStatus.ACTIVE
        return _packed(AckPdu(config, DirectiveType.EOF_PDU, end.condition_code, status))


def _packed(answer: Any) -> list[bytes]:
    """Return an answer; none to what was damaged so that it has none."""
    try:
        return [bytes(answer.pack())]
    except ValueError:
        return []


class _Gaps(LostSegmentTracker):  # type: ignore[misc]
    """What is missing of a file: any range may be taken out, whatever gaps it touches."""

    lost_segments: list[tuple[int, int]]

    def remove_lost_segment(self, segment_to_remove: tuple[int, int]) -> bool:
        first, stop = segment_to_remove
        kept = [
            part
            for start, end in self.lost_segments
            for part in ((start, min(end, first)), (max(start, stop), end))
            if part[0] < part[1]
        ]
        changed = kept != self.lost_segments
        self.lost_segments = kept
        return changed


class _Handler(DestHandler):  # type: ignore[misc]
    def _common_first_packet_handler(self, pdu: Any) -> Any:
        """Begin a transaction, with gaps of its own."""
        self._params.acked_params.lost_seg_tracker = _Gaps()
        return super()._common_first_packet_handler(pdu)

    def _lost_segment_handling(self, offset: int, data_len: int) -> None:
        """Note a new gap and ask for it, and what fills old ones, however far it reaches."""
        gaps, stop = self._params.acked_params, offset + data_len
        if offset > gaps.last_end_offset:
            gap = (gaps.last_end_offset, offset)
            gaps.lost_seg_tracker.add_lost_segment(gap)
            self._add_packet_to_be_sent(NakPdu(self._params.pdu_conf, 0, stop, [gap]))
        gaps.last_end_offset = max(gaps.last_end_offset, stop)
        filled = gaps.lost_seg_tracker.remove_lost_segment((offset, stop))
        if filled and gaps.deferred_lost_segment_detection_active:
            self._reset_nak_activity_parameters()

    def _eof_ack_pdu_done(self) -> None:
        """Go on after the end of file; without a gap the checksum decides, as behind the last."""
        super()._eof_ack_pdu_done()
        ended = self.states.step == TransactionStep.TRANSFER_COMPLETION
        if ended and self._params.completion_disposition == CompletionDisposition.COMPLETED:
            self._deferred_lost_segment_handling()


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
        """Return the checksum of the file, nothing for one of a kind that is not known."""
        try:
            return bytes(
                super().calculate_checksum(checksum_type, self.file, size_to_verify, *rest)
            )
        except refusals.ChecksumNotImplemented:
            return b""
