"""NAK: asking for what a file lacks that came by CFDP (CCSDS 727.0-B-5, section 5.2.6)."""

from collections.abc import Collection
from dataclasses import dataclass

from spacepackets.cfdp import CrcFlag, LargeFileFlag, PduConfig, TransmissionMode
from spacepackets.cfdp.pdu.nak import NakPdu, get_max_seg_reqs_for_max_packet_size_and_pdu_cfg
from spacepackets.util import ByteFieldU16

from ground.station.recording import Bytes
from onboard.errors import UsageError
from onboard.link.binding import bindings_of
from onboard.link.resync import Damage, is_packets, read_packets, read_segments

PDU_BYTES = 1_024
_NORMAL_FILE = (1 << 32) - 1


@dataclass(frozen=True)
class Transaction:
    """A file delivery of class 2.

    Attributes:
        source: entity id of the sender, u16.
        destination: entity id of the receiver, u16.
        number: transaction sequence number, u16.
    """

    source: int
    destination: int
    number: int

    def __post_init__(self) -> None:
        for name in ("source", "destination", "number"):
            if not 0 <= (value := getattr(self, name)) <= 65_535:
                raise UsageError(f"transaction {name}: expected 0..65535, found {value}")


def missing_ranges(
    file: Bytes, size: int, bindings: Collection[bytes] = ()
) -> list[tuple[int, int]]:
    """Return what of a file is no intact packet or segment: offsets from and to (excluded).

    The file must be the copy that CFDP makes: each byte at its offset, and whatever (zeros, most
    often) where nothing arrived. A recording of packets as they came has no such offsets.

    Args:
        file: file as far as it arrived.
        size: bytes of the file sent, as its metadata or end-of-file PDU tells.
        bindings: those known besides the ones of which the file tells.

    Raises:
        UsageError: more arrived than was sent.
    """
    if len(file) > size:
        raise UsageError(f"file bytes: expected at least {len(file)}, what arrived, found {size}")
    known = bindings_of(file).union(bindings)
    found = read_packets(file, known) if is_packets(file) else read_segments(file, known)
    ranges = [(d.offset, d.offset + d.length) for d in found if isinstance(d, Damage)]
    if len(file) < size:
        ranges.append((len(file), size))
    return ranges


def pack_naks(ranges: list[tuple[int, int]], size: int, transaction: Transaction) -> list[bytes]:
    """Return the NAK PDUs that ask for ranges of a file, each with its CRC.

    Args:
        ranges: ranges of the file, first byte and end, in rising order.
        size: bytes of the file.
        transaction: transaction that sends the file.
    """
    most = get_max_seg_reqs_for_max_packet_size_and_pdu_cfg(PDU_BYTES, _config(size, transaction))
    naks = []
    scope = 0
    for first in range(0, len(ranges), most):
        part = ranges[first : first + most]
        stop = part[-1][1] if first + most < len(ranges) else size
        naks.append(bytes(NakPdu(_config(size, transaction), scope, stop, part).pack()))
        scope = stop
    return naks


def _config(size: int, transaction: Transaction) -> PduConfig:
    return PduConfig(
        source_entity_id=ByteFieldU16(transaction.source),
        dest_entity_id=ByteFieldU16(transaction.destination),
        transaction_seq_num=ByteFieldU16(transaction.number),
        trans_mode=TransmissionMode.ACKNOWLEDGED,
        crc_flag=CrcFlag.WITH_CRC,
        file_flag=LargeFileFlag.LARGE if size > _NORMAL_FILE else LargeFileFlag.NORMAL,
    )
