"""Commands on recordings that hold two encodings of one scene id."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.__main__ import main
from ground.decode.decoder import Decoded, Decoder
from ground.products import geotiff
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.__main__ import main as onboard
from onboard.encoder import Encoder, Options
from onboard.link.binding import bind
from onboard.link.end import EndOfScene
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions, SpacePacket
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment

NAME = "skybook"
SHAPE = (130, 100)
FIRST, SECOND = 101, 202


def coded(seed: int, run: int, apid: int, day: int, ratio: float = 12.0) -> list[list[bytes]]:
    """Return the packets of each row of tiles of a scene, and of the end."""
    image = procedural(seed, *SHAPE).image
    start = (2_000_000_000 + 86_400 * day, 0)
    form = PacketOptions(256, apid, start_time=start, line_period=1_000_000)
    header = SceneHeader.of(image, start_time=start, tile=64)
    options = Options(ratio=ratio, packets=form, run=run)
    rows: list[list[bytes]] = []
    for strip in Encoder(bundles.load(NAME)).strips(image, header, options):
        rows.append(form.pack(strip.segments, strip.line, sum(map(len, rows))))
    return rows


def joined(rows: list[list[bytes]]) -> bytes:
    return b"".join(packet for row in rows for packet in row)


@pytest.fixture(scope="module")
def first() -> list[list[bytes]]:
    return coded(30, FIRST, 5, 0)


@pytest.fixture(scope="module")
def second() -> list[list[bytes]]:
    return coded(31, SECOND, 6, 1, ratio=8.0)


@pytest.fixture(scope="module")
def alone(first: list[list[bytes]], second: list[list[bytes]]) -> dict[int, Decoded]:
    decoder = Decoder(bundles.find(NAME))
    return {FIRST: decoder.decode(joined(first)), SECOND: decoder.decode(joined(second))}


def product(path: Path) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    mask = geotiff.read(path.with_suffix(".mask.tif")).image[0].astype(np.uint8)
    return geotiff.read(path).image, mask


def test_the_better_encoding_is_decoded_and_the_other_named(
    first: list[list[bytes]],
    second: list[list[bytes]],
    alone: dict[int, Decoded],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / "both.pkt", tmp_path / "out.tif"
    for recording, best, other in (
        (joined(first) + joined(second), SECOND, FIRST),  # both whole: more bytes
        (joined(second) + joined(first), SECOND, FIRST),
        (joined(first) + joined(second[:1] + second[2:]), FIRST, SECOND),  # more pixels
    ):
        path.write_bytes(recording)
        assert main(["decode", str(path), "-o", str(out), "--json"]) == 4
        said = capsys.readouterr()
        image, mask = product(out)
        assert np.array_equal(image, alone[best].scene.image)
        assert not mask.any()
        apid, day = (5, "2021-05-18") if other == FIRST else (6, "2021-05-19")
        for words in (f"run {other}", f"APID {apid}", day, f"--run {other} decodes it"):
            assert words in said.err
        result = json.loads(said.out)
        assert (result["scene"], result["run"]) == (0, best)
        assert [left["run"] for left in result["left_out"]] == [other]
        assert result["left_out"][0]["apids"] == [apid]


def test_rows_of_two_pictures_do_not_make_one(
    first: list[list[bytes]],
    second: list[list[bytes]],
    alone: dict[int, Decoded],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / "cut.pkt", tmp_path / "out.tif"
    path.write_bytes(joined(first[:1] + second[1:]))
    assert main(["decode", str(path), "-o", str(out)]) == 4
    image, mask = product(out)
    whole = alone[FIRST].scene.image
    assert (mask == 0).any()
    told = np.abs(image.astype(int) - whole[:, : mask.shape[0]])[:, mask == 0]
    assert told.max() <= 1
    assert f"run {SECOND}" in capsys.readouterr().err
    assert main(["missing", str(path)]) == 4
    lines = capsys.readouterr().out.splitlines()
    assert f"run {FIRST}" in lines[0]
    assert "absent" in lines[0]
    assert f"run {SECOND}" in lines[1]


def test_a_run_can_be_chosen(
    first: list[list[bytes]],
    second: list[list[bytes]],
    alone: dict[int, Decoded],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / "both.pkt", tmp_path / "out.tif"
    path.write_bytes(joined(first) + joined(second))
    for run in (FIRST, SECOND):
        assert main(["decode", str(path), "-o", str(out), "--run", str(run)]) == 0
        assert np.array_equal(product(out)[0], alone[run].scene.image)
        assert main(["missing", str(path), "--run", str(run)]) == 0
    assert main(["decode", str(path), "-o", str(out), "--apid", "5"]) == 0
    assert main(["missing", str(path)]) == 0  # both are whole
    capsys.readouterr()
    assert main(["decode", str(path), "-o", str(out), "--run", "7"]) == 4
    said = capsys.readouterr().err
    assert f"run {FIRST}, APID 5" in said
    assert f"run {SECOND}, APID 6" in said
    for run in ("-1", "16777216"):
        assert main(["decode", str(path), "-o", str(out), "--run", run]) == 2


def test_each_encoding_of_all_scenes_has_a_file(
    first: list[list[bytes]],
    second: list[list[bytes]],
    alone: dict[int, Decoded],
    tmp_path: Path,
) -> None:
    path, out = tmp_path / "both.pkt", tmp_path / "out.tif"
    path.write_bytes(joined(first) + joined(second))
    assert main(["decode", str(path), "-o", str(out), "--all-scenes"]) == 4
    for run, decoded in alone.items():
        image, mask = product(tmp_path / f"out-0-{run}.tif")
        assert np.array_equal(image, decoded.scene.image)
        assert not mask.any()


def test_of_many_encodings_some_are_named(
    first: list[list[bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "many.pkt"
    parts = [coded(40 + number, 301 + number, 5, number)[:1] for number in range(7)]
    path.write_bytes(joined(first) + b"".join(map(joined, parts)))
    assert main(["decode", str(path), "-o", str(tmp_path / "out.tif"), "--json"]) == 4
    said = capsys.readouterr()
    assert said.err.count("another encoding is left out") == 5
    assert "2 more encodings are left out" in said.err
    result = json.loads(said.out)
    assert result["run"] == FIRST
    assert sorted(left["run"] for left in result["left_out"]) == list(range(301, 308))


def test_a_header_alone_is_named_and_costs_no_exit_code(
    first: list[list[bytes]],
    second: list[list[bytes]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (head, *_) = read_segments(SpacePacket.unpack(second[0][0])[0].segments)
    assert isinstance(head, Segment)
    path = tmp_path / "head.pkt"
    path.write_bytes(SpacePacket(6, 0, (0, 0), head.pack()).pack() + joined(first))
    assert main(["decode", str(path), "-o", str(tmp_path / "out.tif")]) == 0
    said = capsys.readouterr().err
    assert said.startswith("warning")
    assert f"run {SECOND}" in said


def test_the_same_encoding_twice_is_no_other_encoding(
    first: list[list[bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "twice.pkt"
    path.write_bytes(joined(first) * 2)
    assert main(["decode", str(path), "-o", str(tmp_path / "out.tif")]) == 0
    assert not capsys.readouterr().err


def test_merge_keeps_both_and_says_so(
    first: list[list[bytes]],
    second: list[list[bytes]],
    alone: dict[int, Decoded],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parts = [tmp_path / name for name in ("a.pkt", "b.pkt", "c.pkt")]
    parts[0].write_bytes(joined(first)[:-200])
    parts[1].write_bytes(joined(second)[300:])
    parts[2].write_bytes(joined(first[1:]) + joined(second[:1]))
    out, image = tmp_path / "m.pkt", tmp_path / "m.tif"
    assert main(["merge", *map(str, parts), "-o", str(out), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["contradictions"] == []
    assert [(e["run"], e["apids"]) for e in result["encodings"]] == [(FIRST, [5]), (SECOND, [6])]
    for run, decoded in alone.items():
        assert main(["decode", str(out), "-o", str(image), "--run", str(run)]) == 0
        assert np.array_equal(product(image)[0], decoded.scene.image)
    capsys.readouterr()
    main(["merge", *map(str, parts), "-o", str(out)])
    said = capsys.readouterr().out
    assert "2 encodings, kept apart: scene 0, run 101, APID 5, start 2021-05-18" in said


def test_schedule_takes_one_encoding_at_a_time(
    first: list[list[bytes]],
    second: list[list[bytes]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "both.pkt"
    path.write_bytes(joined(first) + joined(second))
    arguments = ["schedule", str(path), "--bytes", "9000", "-o", str(tmp_path / "out.pkt")]
    assert onboard(arguments) == 2
    assert "one encoding" in capsys.readouterr().err


def test_what_is_left_without_a_header_beside_another_is_read_with_its_run(
    first: list[list[bytes]],
    second: list[list[bytes]],
    alone: dict[int, Decoded],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, out = tmp_path / "rest.pkt", tmp_path / "out.tif"
    path.write_bytes(joined(first[:1]) + joined(second[1:-1]))  # no header, no end of the second
    assert main(["decode", str(path), "-o", str(out)]) == 4
    said = capsys.readouterr().err
    assert f"another encoding is left out: scene 0, run {SECOND}, APID 6" in said
    told = product(out)[1] == 0
    assert told[:20].any()
    assert not told[64:].any()
    chosen = ["--run", str(SECOND), "--width", str(SHAPE[1])]
    assert main(["decode", str(path), "-o", str(out), *chosen]) == 4
    image, mask = product(out)
    assert (mask == 0).any()
    assert np.array_equal(image[:, mask == 0], alone[SECOND].scene.image[:, mask == 0])


def test_pixels_do_not_depend_on_the_run(
    first: list[list[bytes]], alone: dict[int, Decoded]
) -> None:
    """So streams made before there were runs are read as ever."""
    tag = bundles.load(NAME).tag
    bare = b"".join(SpacePacket.unpack(p)[0].segments for row in first for p in row)
    old = b"".join(rebound(s, tag, 0).pack() for s in read_segments(bare) if isinstance(s, Segment))
    decoded = Decoder(bundles.find(NAME)).decode(old)
    assert decoded.complete
    assert np.array_equal(decoded.scene.image, alone[FIRST].scene.image)


def rebound(segment: Segment, tag: bytes, run: int) -> Segment:
    """Return a segment as it is in an encoding of another run."""
    body = segment.body
    if segment.kind == Kind.SCENE:
        header = SceneHeader.unpack(body)
        body = SceneHeader(**{**header.__dict__, "run": run}).pack()
    if segment.kind == Kind.END:
        end = EndOfScene.unpack(body)
        body = EndOfScene(end.height, end.segments, run).pack()
    return Segment(**{**segment.__dict__, "body": body, "binding": bind(tag, run)})
