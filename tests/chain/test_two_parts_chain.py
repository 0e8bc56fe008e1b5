"""Tiles in two parts, from the command line to the product: a coarse bound first, then the rest."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.decode.decoder import Decoded, Decoder
from ground.decode.dump import dump_scene
from ground.decode.inventory import ALL, take_inventory
from ground.decode.mask import Mask
from ground.decode.wanted import Wanted
from onboard import bundle as bundles
from onboard.codec.bound import Bound
from onboard.encoder import Encoder, Options
from onboard.errors import SkybookError, StreamError, UsageError
from onboard.link.header import SceneHeader
from onboard.link.parts import Parts, ToldBound, rest_layer
from onboard.link.resync import Received, read_packets, read_segments
from onboard.link.segment import Kind, Segment
from tests.conftest import Run
from tests.onboard.codec.bounded.tiles import smooth

NAME = "skybook"
FIRST, BOTH = Bound((8,)), Bound((0,))


@cache
def scene(bands: int, rows: int = 20, cols: int = 140) -> NDArray[np.uint16]:
    """Return a scene with nodata in places."""
    image = smooth((1, bands, rows, cols), 7)[0].astype(np.uint16)
    image[:, 5:9, 60:68] = 0
    image[:, :, 137:] = 0
    return image


@cache
def segments(bands: int) -> list[bytes]:
    image = scene(bands)
    options = Options(max_error=BOTH, max_error_first=FIRST, segment_bytes=600)
    return list(Encoder(bundles.load(NAME)).encode(image, header_of(image), options))


def header_of(image: NDArray[np.uint16]) -> SceneHeader:
    return replace(SceneHeader.of(image), nodata=0)


@cache
def decoder() -> Decoder:
    return Decoder(bundles.find(NAME))


def decoded(stream: bytes) -> Decoded:
    return decoder().decode(stream)


def unpacked(bands: int) -> list[Segment]:
    found = list(read_segments(b"".join(segments(bands))))
    return [segment for segment in found if isinstance(segment, Segment)]


def is_rest(segment: Segment, bands: int) -> bool:
    return segment.kind == Kind.TILE and segment.layer >= rest_layer(bands)


def first_parts(bands: int) -> list[bytes]:
    pairs = zip(segments(bands), unpacked(bands), strict=True)
    return [packed for packed, segment in pairs if not is_rest(segment, bands)]


def errors(found: Decoded, bands: int) -> NDArray[np.int64]:
    image = scene(bands)
    assert ((found.scene.image == 0) == (image == 0)).all()
    return np.abs(found.scene.image.astype(np.int64) - image)


@pytest.mark.parametrize("bands", [1, 4, 20])
def test_each_part_keeps_its_bound(bands: int) -> None:
    coarse = decoded(b"".join(first_parts(bands)))
    assert coarse.complete
    assert set(coarse.reached.values()) == {False}
    assert errors(coarse, bands).max() == 8
    whole = decoded(b"".join(segments(bands)))
    assert whole.complete
    assert whole.reached == dict.fromkeys(coarse.reached, True)
    assert errors(whole, bands).max() == 0
    assert whole.reception.header is not None
    assert whole.reception.header.parts == Parts(ToldBound(0, (8,)), ToldBound(0, (0,)))
    share = sum(map(len, first_parts(bands))) / sum(map(len, segments(bands)))
    assert 0.2 < share < 0.8


def test_a_rest_that_lost_a_segment_leaves_the_first_part() -> None:
    """Whatever is lost, no tile is said to be within a bound that it is not within."""
    coarse = decoded(b"".join(first_parts(4)))
    for lost, segment in list(enumerate(unpacked(4)))[1::2]:
        if segment.kind != Kind.TILE:
            continue
        found = decoded(b"".join(segments(4)[:lost] + segments(4)[lost + 1 :]))
        off = np.abs(found.scene.image.astype(np.int64) - scene(4))
        for index, whole in found.reached.items():
            here = np.s_[:, :, 64 * index : 64 * index + 64]
            arrived = found.mask[here[1:]] == Mask.COMPLETE
            assert off[here][:, arrived].max(initial=0) <= (0 if whole else 8)
            assert whole == (index != segment.tile)
        if is_rest(segment, 4):
            assert found.complete
            here = np.s_[:, :, 64 * segment.tile : 64 * segment.tile + 64]
            assert (found.scene.image[here] == coarse.scene.image[here]).all()
        else:
            assert not found.complete


def test_a_dump_tells_which_tiles_are_refined() -> None:
    stream = b"".join(segments(4))
    dump = dump_scene(bundles.load(NAME), read_segments(stream))
    assert dump.complete
    assert dump.arrays["refined"].all()
    dump = dump_scene(bundles.load(NAME), read_segments(b"".join(first_parts(4))))
    assert dump.complete
    assert not dump.arrays["refined"].any()


def test_what_is_asked_for_of_the_rest() -> None:
    bundle = bundles.load(NAME)

    def ask(packed: list[bytes], *rest: str) -> Any:
        return take_inventory(bundle, read_segments(b"".join(packed)), rest=rest)

    assert ask(first_parts(4)).complete
    assert not ask(first_parts(4), ALL).complete
    assert ask(segments(4), ALL).complete
    some = ask(first_parts(4), "70,0,71,1")
    assert [tile.tile for tile in some.incomplete] == [1]
    assert some.as_dict()["rest"] == {"layer": 5, "tiles": [[1, 1]], "arrived": 0}
    without = [s for s in first_parts(4) if s[2] & 15 != Kind.SCENE]
    with pytest.raises(StreamError, match="scene header"):
        take_inventory(bundle, read_segments(b"".join(without)), Wanted(width=140), [ALL])
    one = list(Encoder(bundle).encode(scene(4), header_of(scene(4)), Options(max_error=BOTH)))
    with pytest.raises(UsageError, match="in one part"):
        ask(one, ALL)
    assert ask(one).as_dict()["rest"] is None


def test_from_the_command_line(run: Run, tmp_path: Path) -> None:
    image = scene(4)
    image.transpose(1, 0, 2).tofile(tmp_path / "a.bil")
    raw = ("--layout", "bil", "--bands", 4, "--width", 140, "--bundle", NAME, "--nodata", 0)
    bounds = ("--max-error", 0, "--max-error-first", 8, "--packet-bytes", 700)
    command = ("onboard", "stream", "--input", "a.bil", *raw, *bounds, "-o", "a.pkt")
    done = run(*command, "--json", "a.json")
    assert done.returncode == 0, done.stderr
    assert "max error 8 DN first, then 0 DN" in done.stdout
    assert json.loads((tmp_path / "a.json").read_text())["max_error_first"] == "8"

    done = run("onboard", "schedule", "a.pkt", "--first-part", "-o", "first.pkt")
    assert done.returncode == 0, done.stderr
    sizes = [(tmp_path / name).stat().st_size for name in ("first.pkt", "a.pkt")]
    assert sizes[0] < 0.75 * sizes[1]
    kinds = parts_of(tmp_path / "first.pkt")
    assert kinds == {False}
    done = run("ground", "decode", "first.pkt", "-o", "first.tif", "--json", "first.json")
    assert done.returncode == 0, done.stderr
    assert "off by at most 8 DN in 3 of 3 tiles" in done.stdout
    assert "losses reach no other pixels" in done.stdout
    parts = json.loads((tmp_path / "first.json").read_text())["parts"]
    assert (parts["first"], parts["both"], parts["tiles_both"]) == ("8", "0", 0)

    assert run("ground", "missing", "first.pkt").returncode == 0
    done = run("ground", "missing", "first.pkt", "--rest", "0,0,70,9", "--json", "request.json")
    assert done.returncode == 4
    done = run("onboard", "schedule", "a.pkt", "--request", "request.json", "-o", "more.pkt")
    assert done.returncode == 0, done.stderr
    done = run("ground", "decode", "first.pkt", "more.pkt", "-o", "b.tif", "--json", "b.json")
    assert done.returncode == 0, done.stderr
    parts = json.loads((tmp_path / "b.json").read_text())["parts"]
    assert {0, 1}.isdisjoint(parts["first_alone"])
    assert parts["tiles_both"] >= 2
    done = run("ground", "missing", "first.pkt", "more.pkt", "--rest", "0,0,70,9")
    assert done.returncode == 0, done.stdout
    done = run("ground", "decode", "a.pkt", "-o", "c.tif")
    assert "off by at most 0 DN in all 3 tiles" in done.stdout


def parts_of(path: Path) -> set[bool]:
    """Return whether tile segments of packets are of the rest; those of a packet are alike."""
    found = set()
    for packet in read_packets(path.read_bytes()):
        assert isinstance(packet, Received)
        told = {is_rest(s, 4) for s in packet.segments if s.kind == Kind.TILE}
        assert len(told) <= 1
        found |= told
    return found


def test_the_rest_comes_after_all_first_parts(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", scene(4))
    bounds = ("--max-error", 1, "--max-error-first", 9, "--packet-bytes", 700)
    done = run("onboard", "encode", "a.npy", "--bundle", NAME, *bounds, "-o", "a.pkt")
    assert done.returncode == 0, done.stderr
    assert parts_of(tmp_path / "a.pkt") == {False, True}
    size = (tmp_path / "a.pkt").stat().st_size
    done = run("onboard", "schedule", "a.pkt", "--bytes", size, "-o", "b.pkt")
    assert done.returncode == 0, done.stderr
    told = [
        any(is_rest(segment, 4) for segment in packet.segments)
        for packet in read_packets((tmp_path / "b.pkt").read_bytes())
        if isinstance(packet, Received)
    ]
    assert told == sorted(told)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--max-error-first", "8"), "expected --max-error, too"),
        (("--max-error", "3", "--max-error-first", "2"), "no bound below that of both parts"),
        (("--max-error", "3", "--max-error-first", "4,5"), "one for each of 4 bands"),
        (("--max-error", "3", "--max-error-first", "x"), "found 'x'"),
    ],
)
def test_bounds_that_cannot_be(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    np.save(tmp_path / "a.npy", scene(4))
    done = run("onboard", "encode", "a.npy", "--bundle", NAME, "-o", "a.sky", *arguments)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_scene_in_one_part_has_no_first_part(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", scene(4))
    done = run("onboard", "encode", "a.npy", "--bundle", NAME, "--max-error", 0, "-o", "a.pkt")
    assert done.returncode == 0, done.stderr
    done = run("onboard", "schedule", "a.pkt", "--first-part", "-o", "b.pkt")
    assert done.returncode == 2
    assert "two parts" in done.stderr


@pytest.mark.parametrize(
    ("first", "both"), [("8,8,8,8", "0"), ("9,8,7,6", "1,1,1,1"), ("sqrt:2", "0,1,0,2")]
)
def test_bounds_of_bands(first: str, both: str) -> None:
    image = scene(4, 9, 40)
    bounds = Bound.parse(first), Bound.parse(both)
    options = Options(max_error=bounds[1], max_error_first=bounds[0])
    found = decoded(b"".join(Encoder(bundles.load(NAME)).encode(image, header_of(image), options)))
    assert found.reached == {0: True}
    off = np.abs(found.scene.image.astype(np.int64) - image)
    assert (off <= bounds[1].at(image)).all()


def test_an_interrupted_stream_goes_on(run: Run, tmp_path: Path) -> None:
    scene(4, 70, 90).transpose(1, 0, 2).tofile(tmp_path / "a.bil")
    form = ("--layout", "bil", "--bands", 4, "--width", 90, "--bundle", NAME, "--packet-bytes", 700)
    bounds = ("--max-error", 0, "--max-error-first", 8)
    command = ("onboard", "stream", "--input", "a.bil", *form, *bounds, "-o", "a.pkt")
    assert run(*command).returncode == 0
    whole = (tmp_path / "a.pkt").read_bytes()
    for share in (0.3, 0.7):  # within the first part of the first row, within its rest
        (tmp_path / "a.pkt").write_bytes(whole[: int(share * len(whole))])
        done = run(*command, "--resume")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "a.pkt").read_bytes() == whole


@pytest.mark.parametrize("bands", [(8,), (1, 2, 3, 4)])
def test_bounds_in_the_scene_header(bands: tuple[int, ...]) -> None:
    parts = Parts(ToldBound(0, bands), ToldBound(300, (0,)))
    header = SceneHeader("u16", 16, 4, 9, 9, parts=parts)
    assert SceneHeader.unpack(header.pack()).parts == parts
    packed = parts.pack()
    for stop in range(len(packed)):
        try:
            Parts.unpack(packed[:stop]).check_bands(4)
        except SkybookError:
            continue
        assert stop % 4 == 0
    with pytest.raises(StreamError, match="3 for 4 bands"):
        Parts(ToldBound(0, (1, 2, 3)), ToldBound(0, (1, 2, 3))).check_bands(4)
