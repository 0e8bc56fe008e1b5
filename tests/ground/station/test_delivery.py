"""How far a file came by CFDP: the process that receives it may end, and another goes on."""

import json
from pathlib import Path

import pytest
from spacepackets.cfdp import ConditionCode
from spacepackets.cfdp.pdu import AckPdu, EofPdu, FinishedPdu, NakPdu, PduFactory
from spacepackets.cfdp.pdu.ack import TransactionStatus
from spacepackets.cfdp.pdu.file_directive import DirectiveType
from spacepackets.cfdp.pdu.finished import DeliveryCode

from ground.station.cfdp import Entities, FileReceiver
from ground.station.delivery import journal_of
from onboard.errors import StreamError
from tests.conftest import Run
from tests.ground.station.test_cfdp import CONTENT, SPACECRAFT, STATION, Sender, received

OFTEN = Entities(STATION, SPACECRAFT, 1e-3)
"""What is kept often enough to be kept at once."""


def answers(receiver: FileReceiver, pdu: bytes | None) -> list[object]:
    return [PduFactory.from_raw(answer) for answer in receiver.take(pdu)]


def asked(found: list[object]) -> list[tuple[int, int]]:
    """Return what is asked for; a slow machine asks again."""
    naks = [pdu for pdu in found if isinstance(pdu, NakPdu)]
    return list(dict.fromkeys(one for nak in naks for one in nak.segment_requests))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.pkt"


def begun(file: Path, pdus: list[bytes]) -> None:
    """Let a process take some PDUs, and end."""
    receiver = FileReceiver(file, OFTEN)
    for pdu in pdus:
        receiver.take(pdu)
    receiver.save()


@pytest.mark.parametrize("cut", [1, 2, 5, 9, 11, 12])
def test_the_next_process_goes_on(file: Path, cut: int) -> None:
    pdus = Sender(CONTENT).all()
    begun(file, [pdu for i, pdu in enumerate(pdus[:cut]) if i != 3])
    assert journal_of(file).exists()
    receiver = FileReceiver(file, OFTEN)
    for pdu in pdus[cut:]:
        receiver.take(pdu)
    if cut > 3:
        assert not receiver.complete
        receiver.take(pdus[3])
    assert receiver.complete
    assert file.read_bytes() == CONTENT


def test_what_arrived_is_not_asked_for_again(file: Path) -> None:
    pdus = Sender(CONTENT).all()
    begun(file, [*pdus[:4], *pdus[5:8]])
    receiver = FileReceiver(file, OFTEN)
    assert asked(answers(receiver, pdus[-1])) == [(300, 400), (700, 1_000)]


def test_the_end_of_file_is_remembered_where_the_sender_is_silent(file: Path) -> None:
    pdus = Sender(CONTENT).all()
    begun(file, [*pdus[:4], *pdus[5:]])
    receiver = FileReceiver(file, OFTEN)
    assert asked(answers(receiver, None)) == [(300, 400)]
    assert not receiver.complete
    receiver.take(pdus[4])
    assert receiver.complete


def test_finished_is_said_again_by_the_next_process(file: Path) -> None:
    sender = Sender(CONTENT)
    begun(file, sender.all())
    receiver = FileReceiver(file, OFTEN)
    finished = [pdu for pdu in answers(receiver, None) if isinstance(pdu, FinishedPdu)]
    assert finished  # again and again, until it is acknowledged
    code, status = ConditionCode.NO_ERROR, TransactionStatus.ACTIVE
    receiver.take(bytes(AckPdu(sender.config(), DirectiveType.FINISHED_PDU, code, status).pack()))
    assert receiver.closed
    assert receiver.complete
    assert not journal_of(file).exists()


def test_another_transaction_does_not_take_the_place_of_one_that_is_kept(file: Path) -> None:
    begun(file, Sender(CONTENT).all()[:6])
    receiver = FileReceiver(file, OFTEN)
    for pdu in Sender(bytes(1_000), number=2).all():
        receiver.take(pdu)
    assert not receiver.complete
    assert {key.number for key in receiver.others} == {2}
    assert file.read_bytes() == CONTENT[:500]


def test_a_file_that_was_cut_short_or_removed_since(file: Path) -> None:
    pdus = Sender(CONTENT).all()
    begun(file, pdus[:-1])
    file.write_bytes(CONTENT[:250])
    assert asked(answers(FileReceiver(file, OFTEN), pdus[-1])) == [(250, 1_000)]
    file.unlink()
    assert received(file, pdus).complete
    assert file.read_bytes() == CONTENT


def test_a_damaged_or_foreign_journal_is_named(file: Path) -> None:
    begun(file, Sender(CONTENT).all()[:6])
    whole = json.loads(journal_of(file).read_text())
    cases = [
        "", "[]", "{", "[" * 100_000, json.dumps({**whole, "format": 2}),
        json.dumps({**whole, "metadata": "00"}), json.dumps({**whole, "gaps": [[-5, 3]]}),
        json.dumps({**whole, "reach": -1}), json.dumps({**whole, "peer": 3}),
    ]  # fmt: skip
    for text in cases:
        journal_of(file).write_text(text)
        with pytest.raises(StreamError, match=r"x\.pkt\.cfdp"):
            FileReceiver(file, OFTEN)
    journal_of(file).write_text(json.dumps(whole))
    with pytest.raises(StreamError, match="entity 1 to 3"):
        FileReceiver(file, Entities(3, SPACECRAFT))
    assert file.read_bytes() == CONTENT[:500]


def test_the_command_says_what_is_kept_and_leaves_it(run: Run, file: Path) -> None:
    begun(file, Sender(CONTENT).all()[:6])
    line = ("receive-file", "--port", 0, "-o", file.name, "--seconds", 0.3)
    done = run("ground", *line)
    assert done.returncode == 4, done.stderr
    assert "next pass" in done.stdout
    assert file.read_bytes() == CONTENT[:500]
    journal_of(file).write_text("{}")
    done = run("ground", *line)
    assert done.returncode == 4
    assert "x.pkt.cfdp: expected" in done.stderr
    assert file.read_bytes() == CONTENT[:500]


def test_what_comes_before_the_metadata_is_kept_and_they_are_asked_for_once(file: Path) -> None:
    pdus = Sender(CONTENT).all()
    receiver = FileReceiver(file, Entities(STATION, SPACECRAFT))
    early = [answer for pdu in pdus[1:-1] for answer in answers(receiver, pdu)]
    assert asked(early) == [(0, 0)]
    assert asked(answers(receiver, pdus[0])) == []
    receiver.take(pdus[-1])
    assert receiver.complete
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize("ended", [True, False])
def test_a_file_that_the_sender_cancels_is_over(file: Path, ended: bool) -> None:
    sender = Sender(CONTENT)
    pdus = sender.all()
    receiver = received(file, [*pdus[:4], *pdus[5 : None if ended else -1]])
    code, status = ConditionCode.CANCEL_REQUEST_RECEIVED, TransactionStatus.ACTIVE
    end = EofPdu(sender.config(), bytes(4), 1_000, condition_code=code)
    ack, finished = answers(receiver, bytes(end.pack()))
    assert isinstance(ack, AckPdu)
    assert isinstance(finished, FinishedPdu)
    assert finished.delivery_code == DeliveryCode.DATA_INCOMPLETE
    assert ack.condition_code_of_acked_pdu == finished.condition_code == code
    receiver.take(bytes(AckPdu(sender.config(), DirectiveType.FINISHED_PDU, code, status).pack()))
    assert receiver.closed
    assert not receiver.complete
    assert not journal_of(file).exists()
