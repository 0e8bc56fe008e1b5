"""Handler: the receiving state machine of cfdp-py 0.7, mended, and the file that it writes."""

from pathlib import Path
from typing import Any

from cfdppy import exceptions as refusals
from cfdppy.filestore import NativeFilestore
from cfdppy.handler.dest import (
    CompletionDisposition,
    DestHandler,
    LostSegmentTracker,
    TransactionStep,
)
from spacepackets.cfdp import ChecksumType
from spacepackets.cfdp.pdu import NakPdu
from spacepackets.cfdp.pdu.finished import DeliveryCode


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


class Handler(DestHandler):  # type: ignore[misc]
    """The state machine of cfdp-py, with gaps of its own that anything fills."""

    @property
    def gaps(self) -> list[tuple[int, int]]:
        """What lacks before the end of what came."""
        return list(self._params.acked_params.lost_seg_tracker.lost_segments)

    def go_on(self, gaps: list[tuple[int, int]], reach: int) -> None:
        """Set how far the file came."""
        state = self._params.acked_params
        state.lost_seg_tracker.lost_segments = list(gaps)
        self._params.fp.progress = state.last_end_offset = reach

    def cancel(self) -> None:
        """End the transaction, as the sender wants it, with what came."""
        self._params.finished_params.delivery_code = DeliveryCode.DATA_INCOMPLETE
        self.cancel_request(self._params.transaction_id)

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


class OneFile(NativeFilestore):  # type: ignore[misc]
    """A file store of one file, so that the sender cannot choose where to write.

    Attributes:
        kept: whether what the file holds is part of the transaction already.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.kept = False

    def is_directory(self, path: Path) -> bool:
        return False

    def file_exists(self, path: Path) -> bool:
        return self.file.exists()

    def truncate_file(self, file: Path) -> None:
        if not self.kept:
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
