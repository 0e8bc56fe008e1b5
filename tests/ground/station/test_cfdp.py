"""CFDP: a pass as a class 2 file delivery over a link that loses PDUs both ways."""

import random
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cfdppy.defs import CfdpState
from cfdppy.exceptions import InvalidPduDirection, NoRemoteEntityConfigFound, PduIgnoredForSource
from cfdppy.filestore import NativeFilestore
from cfdppy.handler.source import SourceHandler
from cfdppy.request import PutRequest
from cfdppy.user import CfdpUserBase
from spacepackets.cfdp import ChecksumType, ConditionCode, CrcFlag, PduConfig, TransmissionMode
from spacepackets.cfdp.pdu import (
    EofPdu,
    FileDataPdu,
    FinishedPdu,
    MetadataParams,
    MetadataPdu,
    NakPdu,
    PduFactory,
)
from spacepackets.cfdp.pdu.ack import AckPdu, TransactionStatus
from spacepackets.cfdp.pdu.file_data import FileDataParams
from spacepackets.cfdp.pdu.file_directive import DirectiveType
from spacepackets.seqcount import SeqCountProvider
from spacepackets.util import ByteFieldU16

from ground.decode.decoder import Decoder
from ground.scenes.procedural import procedural
from ground.station.cfdp import Entities, FileReceiver, receive_file
from ground.station.nak import Transaction, missing_ranges, pack_naks
from ground.station.recording import open_recording
from ground.station.transaction import NoCheckTimers
from ground.station.udp import listen
from onboard import bundle as bundles
from onboard.encoder import Encoder, Options
from onboard.link.packet import PacketOptions
from tests.conftest import Run

NAME = "skybook"
SPACECRAFT, STATION = 1, 2
REPEAT = 0.05
LONGEST = 60.0
"""Seconds after which a busy machine gives up."""


@pytest.fixture(scope="module")
def scene_and_pass() -> tuple[Any, bytes]:
    """A scene and its packets."""
    image = procedural(5, 192, 192, nodata=False).image
    segments = list(Encoder(bundles.load(NAME)).encode(image, options=Options(ratio=12.0)))
    return image, b"".join(PacketOptions(packet_bytes=512).pack(segments, 0, 0))


@dataclass
class Spacecraft(CfdpUserBase):  # type: ignore[misc]
    """The sending entity, on a socket that loses PDUs both ways."""

    file: Path
    station: tuple[str, int]
    loss: float
    rng: random.Random
    seconds: float
    vfs: NativeFilestore = field(default_factory=NativeFilestore)
    delivered: bool = False
    naks: int = 0

    def transaction_finished_indication(self, params: Any) -> None:
        self.delivered = params.finished_params.delivery_code == 0

    def nothing(self, *_: object) -> None:
        """Do nothing."""

    transaction_indication = eof_sent_indication = metadata_recv_indication = nothing
    file_segment_recv_indication = report_indication = suspended_indication = nothing
    resumed_indication = fault_indication = abandoned_indication = eof_recv_indication = nothing

    def send(self) -> None:
        """Deliver the file, or give up at the deadline."""
        entities = Entities(SPACECRAFT, STATION, REPEAT)
        handler = SourceHandler(
            entities.local_config(),
            self,
            entities.remote_configs(),
            NoCheckTimers(),
            SeqCountProvider(16),
        )
        request = PutRequest(
            ByteFieldU16(STATION), self.file, Path("../evil"), TransmissionMode.ACKNOWLEDGED, True
        )
        handler.put_request(request)
        deadline = time.monotonic() + self.seconds
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radio:
            radio.settimeout(0.001)
            while handler.state != CfdpState.IDLE and time.monotonic() < deadline:
                pdu = self.heard(radio)
                with suppress(PduIgnoredForSource, InvalidPduDirection, NoRemoteEntityConfigFound):
                    handler.state_machine(pdu)
                while (holder := handler.get_next_packet()) is not None:
                    self.transmit(radio, holder.pdu)
            self.acknowledge_late(radio)

    def heard(self, radio: socket.socket) -> Any:
        with suppress(TimeoutError):
            pdu = PduFactory.from_raw(radio.recv(65_535))
            self.naks += isinstance(pdu, NakPdu)
            return pdu if self.rng.random() >= self.loss else None
        return None

    def transmit(self, radio: socket.socket, pdu: Any) -> None:
        if self.rng.random() >= self.loss:
            radio.sendto(pdu.pack(), self.station)

    def acknowledge_late(self, radio: socket.socket) -> None:
        """Acknowledge a Finished that is repeated because its acknowledgement was lost."""
        stop = time.monotonic() + 4 * REPEAT
        while time.monotonic() < stop:
            pdu = self.heard(radio)
            if isinstance(pdu, FinishedPdu):
                config = pdu.pdu_header.pdu_conf
                code, status = pdu.condition_code, TransactionStatus.TERMINATED
                self.transmit(radio, AckPdu(config, DirectiveType.FINISHED_PDU, code, status))


@pytest.fixture
def station() -> Iterator[socket.socket]:
    with listen("127.0.0.1", 0) as listener:
        yield listener


@pytest.mark.parametrize(("loss", "seed"), [(0.0, 0), (0.2, 1), (0.2, 2), (0.5, 3)])
def test_a_pass_arrives_whole_over_a_lossy_link(
    station: socket.socket,
    tmp_path: Path,
    scene_and_pass: tuple[Any, bytes],
    loss: float,
    seed: int,
) -> None:
    image, packets = scene_and_pass
    sent, received = tmp_path / "sent.pkt", tmp_path / "received.pkt"
    sent.write_bytes(packets)
    spacecraft = Spacecraft(sent, station.getsockname(), loss, random.Random(seed), LONGEST)
    thread = threading.Thread(target=spacecraft.send)
    thread.start()
    receiver = receive_file(station, received, Entities(STATION, SPACECRAFT, REPEAT), LONGEST)
    thread.join(LONGEST)
    assert receiver.complete
    assert spacecraft.delivered
    assert received.read_bytes() == packets
    assert spacecraft.naks > 0 or loss == 0
    assert not (tmp_path.parent / "evil").exists()
    if loss == 0.2:
        decoded = Decoder(bundles.find(NAME)).decode(open_recording(received))
        assert decoded.complete
        assert not decoded.mask.any()
        assert np.abs(decoded.scene.image.astype(int) - image).mean() < 100


def test_a_silent_spacecraft_is_given_up(station: socket.socket, tmp_path: Path) -> None:
    begun = time.monotonic()
    entities = Entities(STATION, SPACECRAFT, 0.05)
    assert not receive_file(station, tmp_path / "x", entities, 0.3).complete
    assert time.monotonic() - begun >= 0.3
    assert not (tmp_path / "x").exists()


def test_whatever_is_no_pdu_is_passed_over(tmp_path: Path) -> None:
    receiver = FileReceiver(tmp_path / "x", Entities(STATION, SPACECRAFT))
    rng = random.Random(0)
    for length in range(200):
        assert receiver.take(rng.randbytes(length)) == []
    assert not receiver.closed


@dataclass
class Sender:
    """Makes the PDUs of a file by hand."""

    content: bytes
    number: int = 1
    checked: bool = True

    def config(self) -> PduConfig:
        return PduConfig(
            source_entity_id=ByteFieldU16(SPACECRAFT),
            dest_entity_id=ByteFieldU16(STATION),
            transaction_seq_num=ByteFieldU16(self.number),
            trans_mode=TransmissionMode.ACKNOWLEDGED,
            crc_flag=CrcFlag.WITH_CRC if self.checked else CrcFlag.NO_CRC,
        )

    def metadata(self) -> bytes:
        params = MetadataParams(False, ChecksumType.CRC_32, len(self.content), "a.pkt", "b.pkt")
        return bytes(MetadataPdu(self.config(), params).pack())

    def part(self, first: int, stop: int) -> bytes:
        params = FileDataParams(file_data=self.content[first:stop], offset=first)
        return bytes(FileDataPdu(self.config(), params).pack())

    def end(self, content: bytes | None = None) -> bytes:
        content = self.content if content is None else content
        checksum = zlib.crc32(content).to_bytes(4, "big")
        return bytes(EofPdu(self.config(), checksum, len(content)).pack())

    def all(self, size: int = 100) -> list[bytes]:
        starts = range(0, len(self.content), size)
        return [self.metadata(), *(self.part(i, i + size) for i in starts), self.end()]


CONTENT = random.Random(0).randbytes(1_000)


def received(path: Path, pdus: list[bytes]) -> FileReceiver:
    """Return a receiver that took some PDUs."""
    receiver = FileReceiver(path, Entities(STATION, SPACECRAFT))
    for pdu in pdus:
        receiver.take(pdu)
    return receiver


@pytest.mark.parametrize("checked", [True, False])
def test_a_file_sent_without_loss_is_complete(tmp_path: Path, checked: bool) -> None:
    pdus = Sender(CONTENT, checked=checked).all()
    for order in (pdus, pdus[1:5] + pdus[:1] + pdus[5:] + pdus[1:5]):
        assert received(tmp_path / "x", order).complete
        assert (tmp_path / "x").read_bytes() == CONTENT
        (tmp_path / "x").unlink()


def test_a_flipped_bit_in_pdus_without_a_crc_is_not_complete(tmp_path: Path) -> None:
    pdus = Sender(CONTENT, checked=False).all()
    for bit in range(0, 8 * len(pdus[4]), 7):
        damaged = bytearray(pdus[4])
        damaged[bit // 8] ^= 128 >> bit % 8
        receiver = received(tmp_path / "x", [*pdus[:4], bytes(damaged), *pdus[5:]])
        if receiver.complete:
            assert (tmp_path / "x").read_bytes() == CONTENT


def test_an_end_of_other_content_is_not_complete(tmp_path: Path) -> None:
    sender = Sender(CONTENT)
    other = CONTENT[:-1] + b"?"
    finished = []
    receiver = received(tmp_path / "x", sender.all()[:-1])
    for answer in receiver.take(sender.end(other)):
        finished += [pdu for pdu in [PduFactory.from_raw(answer)] if isinstance(pdu, FinishedPdu)]
    assert not receiver.complete
    assert [pdu.condition_code for pdu in finished] == [ConditionCode.FILE_CHECKSUM_FAILURE]


def test_damage_that_no_crc_tells_ends_nothing(tmp_path: Path) -> None:
    """Names that are no text, condition codes that are none, ranges beyond 32 bits."""
    pdus = Sender(CONTENT, checked=False).all()
    for victim in (0, 4, 11):
        for bit in range(8 * min(len(pdus[victim]), 40)):
            damaged = bytearray(pdus[victim])
            damaged[bit // 8] ^= 128 >> bit % 8
            for order in ([*pdus[:victim], bytes(damaged)], [bytes(damaged), *pdus]):
                receiver = received(tmp_path / "x", order)
                receiver.take(None)
                assert not receiver.complete or (tmp_path / "x").read_bytes() == CONTENT


def test_an_empty_file_is_complete(tmp_path: Path) -> None:
    assert received(tmp_path / "x", Sender(b"").all()).complete
    assert (tmp_path / "x").read_bytes() == b""


@pytest.mark.parametrize("place", [0, 1, 5, 11])
def test_late_pdus_of_the_transaction_before_change_nothing(tmp_path: Path, place: int) -> None:
    before = Sender(bytes(1_000), number=1)
    pdus = Sender(CONTENT, number=2).all()
    for late in (before.part(300, 400), before.end(), before.part(900, 1_000)):
        order = [*pdus[:place], late, *pdus[place:]]
        assert received(tmp_path / "x", order).complete
        assert (tmp_path / "x").read_bytes() == CONTENT


def test_a_pdu_behind_the_end_of_the_file_is_left_out(tmp_path: Path) -> None:
    pdus = Sender(CONTENT).all()
    beyond = Sender(CONTENT + bytes(100)).part(950, 1_050)
    assert received(tmp_path / "x", [*pdus[:5], beyond, *pdus[5:]]).complete
    assert (tmp_path / "x").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [64, 130, 350, 1_000])
def test_a_gap_repeated_in_other_segment_sizes_is_filled(tmp_path: Path, size: int) -> None:
    sender = Sender(CONTENT)
    pdus = sender.all()
    receiver = received(tmp_path / "x", [*pdus[:2], *pdus[4:7], *pdus[8:]])
    assert not receiver.complete
    for first in range(0, 1_000, size):
        receiver.take(sender.part(first, first + size))
    assert receiver.complete
    assert (tmp_path / "x").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [64, 130, 350, 1_000])
def test_a_gap_filled_before_the_end_of_file_is_not_asked_for_again(
    tmp_path: Path, size: int
) -> None:
    sender = Sender(CONTENT)
    pdus = sender.all()
    receiver = received(tmp_path / "x", [*pdus[:9], pdus[10]])
    for first in range(0, 1_000, size):
        receiver.take(sender.part(first, first + size))
    answers = [PduFactory.from_raw(answer) for answer in receiver.take(sender.end())]
    assert receiver.complete
    assert not [answer for answer in answers if isinstance(answer, NakPdu)]
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_only_the_right_file_is_ever_complete(tmp_path: Path) -> None:
    """Lost, repeated, reordered and damaged PDUs, and those of a transaction before."""
    for seed in range(150):
        rng, path = random.Random(seed), tmp_path / str(seed)
        sender = Sender(CONTENT, number=2, checked=seed % 2 == 0)
        before = Sender(bytes(1_000), checked=rng.random() < 0.5).all()
        flow = [pdu for pdu in sender.all() * 2 if rng.random() < 0.6] + rng.sample(before[1:], 3)
        rng.shuffle(flow)
        damaged = bytearray(flow[0])
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        receiver = FileReceiver(path, Entities(STATION, SPACECRAFT))
        for pdu in [*flow[1:6], bytes(damaged), *flow[6:]] if seed % 3 else flow:
            receiver.take(pdu)
            assert not receiver.complete or path.read_bytes() == CONTENT
        if seed % 3 == 0:
            for pdu in sender.all(rng.choice([64, 130, 350])):
                receiver.take(pdu)
            assert receiver.complete
            assert path.read_bytes() == CONTENT


def test_two_receivers_of_one_process_share_nothing(tmp_path: Path) -> None:
    pdus = Sender(CONTENT).all()
    gappy = received(tmp_path / "gappy", [*pdus[:4], *pdus[5:]])
    whole = received(tmp_path / "whole", pdus)
    assert whole.complete
    assert not gappy.complete
    gappy.take(pdus[4])
    assert gappy.complete


def test_what_comes_after_the_end_is_passed_over(tmp_path: Path) -> None:
    sender = Sender(CONTENT)
    receiver = received(tmp_path / "x", sender.all())
    code, status = ConditionCode.NO_ERROR, TransactionStatus.ACTIVE
    receiver.take(bytes(AckPdu(sender.config(), DirectiveType.FINISHED_PDU, code, status).pack()))
    assert receiver.closed
    assert receiver.take(Sender(bytes(1_000)).part(0, 100)) == []
    assert receiver.closed
    assert (tmp_path / "x").read_bytes() == CONTENT


def test_naks_ask_for_what_the_file_lacks(scene_and_pass: tuple[Any, bytes]) -> None:
    _, packets = scene_and_pass
    rng = np.random.default_rng(4)
    holed = bytearray(packets[:-700])
    for first in rng.integers(0, len(holed) - 900, 12):
        holed[first : first + 900] = bytes(900)
    ranges = missing_ranges(bytes(holed), len(packets))
    naks = pack_naks(ranges, len(packets), Transaction(SPACECRAFT, STATION, 7))
    requests = []
    for raw in naks:
        assert len(raw) <= 1_024
        nak = NakPdu.unpack(raw)
        assert nak.source_entity_id.value == SPACECRAFT
        assert nak.transaction_seq_num.value == 7
        requests += nak.segment_requests
    assert requests == ranges
    assert NakPdu.unpack(naks[-1]).end_of_scope == len(packets)
    asked = sum(stop - first for first, stop in requests)
    assert 0 < asked < 0.8 * len(packets)
    holed += bytes(700)
    for first, stop in requests:
        holed[first:stop] = packets[first:stop]
    assert bytes(holed) == packets
    assert missing_ranges(packets, len(packets)) == []


def test_many_ranges_take_several_naks() -> None:
    ranges = [(10 * i, 10 * i + 5) for i in range(1_000)]
    naks = [NakPdu.unpack(raw) for raw in pack_naks(ranges, 20_000, Transaction(1, 2, 3))]
    assert len(naks) > 1
    assert [request for nak in naks for request in nak.segment_requests] == ranges
    scopes = [(nak.start_of_scope, nak.end_of_scope) for nak in naks]
    assert scopes[0][0] == 0
    assert scopes[-1][1] == 20_000
    assert all(a[1] == b[0] for a, b in pairwise(scopes))


def test_commands(run: Run, tmp_path: Path, scene_and_pass: tuple[Any, bytes]) -> None:
    done = run("ground", "receive-file", "--port", 0, "-o", "x.pkt", "--seconds", 0.3)
    assert done.returncode == 4, done.stderr
    _, packets = scene_and_pass
    (tmp_path / "part.pkt").write_bytes(packets[:900] + bytes(600) + packets[1_500:2_000])
    request = ("missing", "part.pkt", "--nak", "x.nak", "--transaction", 5, 6, 7)
    done = run("ground", *request, "--file-bytes", len(packets))
    assert done.returncode == 4, done.stderr
    nak = NakPdu.unpack((tmp_path / "x.nak").read_bytes())
    assert (nak.source_entity_id.value, nak.dest_entity_id.value) == (5, 6)
    assert nak.segment_requests[-1][1] == len(packets)
    assert run("ground", *request, "--file-bytes", 1_999).returncode == 2
