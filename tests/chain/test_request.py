"""What did not arrive is asked for, sent again, and completes the scene."""

import json
from pathlib import Path

import numpy as np
import pytest

from ground.__main__ import main as ground
from ground.scenes.procedural import procedural
from onboard.__main__ import main as onboard
from onboard.downlink.request import Request
from onboard.errors import InputError
from onboard.link.resync import Received, read_packets
from onboard.link.segment import Kind

LINES, WIDTH = 200, 150
SCENE = procedural(11, LINES, WIDTH).image


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a pass in small packets; nodata 0 is in it."""
    path = tmp_path_factory.mktemp("request")
    SCENE.transpose(1, 0, 2).astype("<u2").tofile(path / "scene.bil")
    form = ["--layout", "bil", "--width", str(WIDTH), "--bundle", "skybook", "--nodata", "0"]
    form += ["--packet-bytes", "200", "--ratio", "8", "--scene-id", "9"]
    assert (
        onboard(["stream", "--input", str(path / "scene.bil"), *form, "-o", str(path / "p.pkt")])
        == 0
    )
    return path


def packets(path: Path) -> list[Received]:
    return [found for found in read_packets(path.read_bytes()) if isinstance(found, Received)]


def receive(folder: Path, lost: set[int]) -> list[bytes]:
    """Write what arrives without some packets; return all packets."""
    stream = (folder / "p.pkt").read_bytes()
    every = [stream[found.offset : found.stop] for found in packets(folder / "p.pkt")]
    heard = (packet for number, packet in enumerate(every) if number not in lost)
    (folder / "heard.pkt").write_bytes(b"".join(heard))
    return every


def ask(folder: Path) -> int:
    request = ["missing", str(folder / "heard.pkt"), "--json", str(folder / "request.json")]
    return ground([*request, "--bundle", "skybook", "--width", str(WIDTH)])


def send_again(folder: Path, *options: object) -> int:
    made = ["schedule", folder / "p.pkt", "--request", folder / "request.json"]
    return onboard([str(word) for word in (*made, "-o", folder / "again.pkt", *options)])


@pytest.mark.parametrize("seed", range(4))
def test_what_is_asked_for_is_what_was_lost(folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = len(packets(folder / "p.pkt"))
    lost = set(np.flatnonzero(rng.random(count) < (0.05, 0.3, 0.7, 0.97)[seed]).tolist())
    lost |= {0} if seed == 2 else {count - 1} if seed == 1 else set()
    every = receive(folder, lost)
    assert ask(folder) == 4
    assert send_again(folder) == 0
    again = {found.offset for found in packets(folder / "again.pkt")}
    resent = (folder / "again.pkt").read_bytes()
    sent = {number for number in lost if every[number] in resent}
    not_sent = [packets(folder / "p.pkt")[number] for number in lost - sent]
    assert all(s.kind == Kind.SCENE for found in not_sent for s in found.segments)
    assert len(again) == len(sent)
    decode = ["decode", folder / "heard.pkt", folder / "again.pkt", "-o", folder / "x.tif"]
    assert ground([str(word) for word in decode]) == 0
    (folder / "heard.pkt").write_bytes((folder / "heard.pkt").read_bytes() + resent)
    assert ask(folder) == 0


def test_a_pass_that_lost_its_end_gets_all_rows(folder: Path) -> None:
    """Header and end are lost, so nobody below knows how many rows there are."""
    found = packets(folder / "p.pkt")
    framed = {n for n, p in enumerate(found) if any(s.kind in (0, 3) for s in p.segments)}
    lost = framed | set(range(len(found) // 2, len(found)))
    receive(folder, lost)
    assert ask(folder) == 4
    assert send_again(folder) == 0
    decode = ["decode", folder / "heard.pkt", folder / "again.pkt", "-o", folder / "x.tif"]
    assert ground([str(word) for word in decode]) == 0


def test_a_budget_holds_for_what_is_sent_again(folder: Path) -> None:
    receive(folder, set(range(10, 60)))
    assert ask(folder) == 4
    assert send_again(folder, "--bytes", 3_000, "--json", folder / "r.json") == 0
    found = json.loads((folder / "r.json").read_text())
    assert (folder / "again.pkt").stat().st_size == found["bytes"] <= 3_000
    assert found["packets"] < found["asked_packets"] == 50 < found["input_packets"]


def test_nothing_is_sent_again_of_a_whole_scene(folder: Path) -> None:
    receive(folder, set())
    assert ask(folder) == 0
    assert send_again(folder) == 0
    assert (folder / "again.pkt").read_bytes() == b""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b'{"scenes": 4}',
        b'{"scenes": [{"scene": 9}]}',
        b'{"scenes": [{"scene": 9, "header": 1}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_no_request_is_bad_input(folder: Path, text: bytes) -> None:
    (folder / "request.json").write_bytes(text)
    assert send_again(folder) == 3


def test_a_request_of_another_scene_or_with_wrong_numbers(tmp_path: Path) -> None:
    scene = {"scene": 3, "header": True, "end": True, "height_known": True, "tiles": 9}
    scene |= {"absent_tiles": [[1, 2], [5, 5]], "incomplete_tiles": []}

    def read(number: int, **fields: object) -> Request:
        (tmp_path / "r.json").write_text(json.dumps({"scenes": [scene | fields]}))
        return Request.read(tmp_path / "r.json", number)

    assert read(3).absent == ((1, 2), (5, 5))
    with pytest.raises(InputError, match="expected a request of scene 4, found scene 3"):
        read(4)
    assert read(3, run=77).absent == ((1, 2), (5, 5))
    wrong = {"absent_tiles": ([[2, 1]], [[1, 5], [4, 6]], [[1]], [[-1, 4]], [[0.5, 4]], [["1", 2]])}
    wrong |= {"tiles": ("9", -1, None), "end": (0, None), "incomplete_tiles": ([{"tile": 1}], [4])}
    for key, values in wrong.items():
        for value in values:
            with pytest.raises(InputError, match="expected the JSON"):
                read(3, **{key: value}, **({"height_known": False} if key == "tiles" else {}))


def test_a_request_is_of_one_run(folder: Path) -> None:
    """Two encodings have one scene id; what is missing of the other is not sent of this one."""
    receive(folder, {5, 6, 7})
    assert ask(folder) == 4
    request = json.loads((folder / "request.json").read_text())
    (own,) = request["scenes"]
    assert own["run"] > 0
    other = own | {"run": own["run"] ^ 1, "absent_tiles": [[0, own["tiles"] - 1]]}
    request["scenes"] = [other, own]
    (folder / "request.json").write_text(json.dumps(request))
    assert send_again(folder) == 0
    assert len(packets(folder / "again.pkt")) == 3
    request["scenes"] = [other]
    (folder / "request.json").write_text(json.dumps(request))
    assert send_again(folder) == 3


def test_a_request_is_never_written_over(folder: Path) -> None:
    receive(folder, {5})
    assert ask(folder) == 4
    assert send_again(folder, "-o", folder / "request.json") == 2
    assert onboard(["schedule", str(folder / "p.pkt"), "-o", str(folder / "o.pkt")]) == 2
