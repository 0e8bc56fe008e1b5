"""CFDP: a pass as a class 2 file delivery over a link that loses PDUs both ways."""

import random
import socket
import threading
import time
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
from spacepackets.cfdp import TransmissionMode
from spacepackets.cfdp.pdu import FinishedPdu, NakPdu, PduFactory
from spacepackets.cfdp.pdu.ack import AckPdu, TransactionStatus
from spacepackets.cfdp.pdu.file_directive import DirectiveType
from spacepackets.seqcount import SeqCountProvider
from spacepackets.util import ByteFieldU16

from ground.decode.decoder import Decoder
from ground.scenes.procedural import procedural
from ground.station.cfdp import Entities, FileReceiver, NoCheckTimers, receive_file
from ground.station.nak import Transaction, missing_ranges, pack_naks
from ground.station.recording import open_recording
from ground.station.udp import listen
from onboard import bundle as bundles
from onboard.encoder import Encoder, Options
from onboard.link.packet import PacketOptions
from tests.conftest import Run

NAME = "skybook-s2"
SPACECRAFT, STATION = 1, 2
REPEAT = 0.05


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
    spacecraft = Spacecraft(sent, station.getsockname(), loss, random.Random(seed), 8.0)
    thread = threading.Thread(target=spacecraft.send)
    thread.start()
    whole = receive_file(station, received, Entities(STATION, SPACECRAFT, REPEAT), 8.0)
    thread.join(9.0)
    assert whole
    assert spacecraft.delivered
    assert received.read_bytes() == packets
    assert (spacecraft.naks > 0) == (loss > 0)
    assert not (tmp_path.parent / "evil").exists()
    if loss == 0.2:
        decoded = Decoder(bundles.find(NAME)).decode(open_recording(received))
        assert decoded.complete
        assert not decoded.mask.any()
        assert np.abs(decoded.scene.image.astype(int) - image).mean() < 100


def test_a_silent_spacecraft_is_given_up(station: socket.socket, tmp_path: Path) -> None:
    begun = time.monotonic()
    assert not receive_file(station, tmp_path / "x", Entities(STATION, SPACECRAFT, 0.05), 0.3)
    assert time.monotonic() - begun < 2
    assert not (tmp_path / "x").exists()


def test_whatever_is_no_pdu_is_passed_over(tmp_path: Path) -> None:
    receiver = FileReceiver(tmp_path / "x", Entities(STATION, SPACECRAFT))
    rng = random.Random(0)
    for length in range(200):
        assert receiver.take(rng.randbytes(length)) == []
    assert not receiver.closed


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
