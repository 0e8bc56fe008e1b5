"""The service, step by step: what is whole, what is late, what fails, what comes live."""

import json
import random
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio

import ground
from ground.station.intake import Intake
from ground.station.live import Address, Receivers
from ground.watch import making
from ground.watch.journal import Journal
from ground.watch.monitor import Monitor
from ground.watch.service import Plan, alone, monitored, spooling
from onboard.bundle import load
from onboard.downlink.protect import protect
from onboard.errors import InputError, UsageError
from onboard.link.binding import bind
from onboard.link.header import SceneHeader
from onboard.link.packet import SpacePacket
from onboard.link.segment import Kind, Segment, unpack_segments
from tests.ground.watch.conftest import Watched, stream

Segments = tuple[Segment, ...]


def packets(whole: bytes) -> list[bytes]:
    """A stream as packets, three segments each."""
    packed = [segment.pack() for segment in unpack_segments(whole)]
    groups = [b"".join(packed[start : start + 3]) for start in range(0, len(packed), 3)]
    return [SpacePacket(3, number, (0, 0), group).pack() for number, group in enumerate(groups)]


def test_a_whole_scene_is_published_at_once(watched: Watched, segments: Segments) -> None:
    whole = stream(segments, 7)
    assert watched.look() == []
    (watched.source / "a.sky").write_bytes(whole)
    (name,) = watched.look()
    assert name == f"scene-00007-{segments[0].binding.hex()}.tif"
    cube: Any = ground.decode(whole, linear=True)
    with rasterio.open(watched.output / name) as dataset:
        np.testing.assert_array_equal(dataset.read(), cube.image)
        assert dataset.tags(ns="SKYBOOK")["SKYBOOK_COMPLETE"] == "yes"
    item = pystac.Item.from_file(watched.output / name.replace(".tif", ".stac.json"))
    assert item.assets["image"].href == f"./{name}"
    assert sorted(p.suffix for p in watched.output.iterdir()) == [
        *("", ".json", ".tif", ".tif", ".xml")
    ]
    assert watched.counts == {
        **{"waiting": 0, "published": 1, "complete": 1, "failed": 0, "heard": 1}
    }


def test_a_part_is_made_when_it_is_quiet_and_redone_when_the_rest_comes_late(
    watched: Watched, segments: Segments
) -> None:
    sent = packets(stream(segments, 7))
    (watched.source / "a.pkt").write_bytes(b"".join(sent[:2] + sent[3:]))
    assert watched.look() == []
    watched.quieten()
    (name,) = watched.look()
    before = (watched.output / name).read_bytes()
    assert watched.counts["complete"] == 0
    watched.service._quiet = 1e5
    (watched.source / "again.pkt").write_bytes(sent[1])  # nothing new
    assert watched.look() == [name]
    assert (watched.output / name).read_bytes() == before
    (watched.source / "late.pkt").write_bytes(sent[2])
    assert watched.look() == [name]
    assert watched.counts["complete"] == 1
    cube: Any = ground.decode(stream(segments, 7), linear=True)
    with rasterio.open(watched.output / name) as dataset:
        np.testing.assert_array_equal(dataset.read(), cube.image)


def test_what_is_salvaged_stands_there_until_it_comes(watched: Watched, segments: Segments) -> None:
    parts = [segment.pack() for segment in segments]
    damaged = parts[3][:-7] + bytes([parts[3][-7] ^ 1]) + parts[3][-6:]
    (watched.source / "a.sky").write_bytes(b"".join([*parts[:3], damaged, *parts[4:]]))
    watched.quieten()
    (name,) = watched.look()
    image = watched.output / name
    mask = image.with_suffix(".mask.tif")
    cube: Any = ground.decode(b"".join(parts), linear=True)
    with rasterio.open(image) as found, rasterio.open(mask) as worth:
        np.testing.assert_array_equal(found.read(), cube.image)
        assert set(np.unique(worth.read(1))) == {0, 5}
    assert watched.counts["complete"] == 0
    (watched.source / "late.sky").write_bytes(parts[3])
    assert watched.look() == [name]
    assert watched.counts["complete"] == 1
    with rasterio.open(mask) as worth:
        assert not worth.read(1).any()


@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_other_products_are_redone_as_well(tmp_path: Path, segments: Segments, suffix: str) -> None:
    import xarray

    watched = Watched(tmp_path, suffix=suffix)
    sent = packets(stream(segments, 7))
    (watched.source / "a.pkt").write_bytes(b"".join(sent[:2] + sent[3:]))
    watched.quieten()
    watched.look()
    (watched.source / "late.pkt").write_bytes(sent[2])
    (name,) = watched.look()
    assert watched.counts["complete"] == 1
    if suffix == ".zarr":
        cube = xarray.open_zarr(watched.output / name, group="0", mask_and_scale=False)
    else:
        cube = xarray.open_dataset(watched.output / name, mask_and_scale=False)
    whole: Any = ground.decode(stream(segments, 7), linear=True)
    np.testing.assert_array_equal(cube.image, whole.image)
    assert not list(watched.output.glob(".making*"))


def test_a_product_is_not_replaced_by_less(watched: Watched, segments: Segments) -> None:
    sent = packets(stream(segments, 7))
    (watched.source / "a.pkt").write_bytes(b"".join(sent[:2] + sent[3:]))
    watched.quieten()
    (name,) = watched.look()
    before = (watched.output / name).read_bytes()
    (watched.source / "a.pkt").unlink()
    (watched.source / "late.pkt").write_bytes(sent[0] + sent[2])  # it could be decoded
    assert watched.look() == [name]
    assert (watched.output / name).read_bytes() == before
    assert watched.counts["failed"] == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_recording_may_grow_byte_by_byte(
    watched: Watched, segments: Segments, packed: bool
) -> None:
    """Wherever it is cut, whatever is lost of its beginning, and when it begins anew."""
    chosen = random.Random(3)
    whole = stream(segments, 5) + stream(segments, 6)
    parts = packets(whole)[2:] if packed else unpack_segments(whole)[2:]
    content = b"".join(part if isinstance(part, bytes) else part.pack() for part in parts)
    path, stop = watched.source / "a.pkt", 0
    while stop < len(content):
        stop = min(stop + chosen.randint(1, 400), len(content))
        path.write_bytes(content[:stop])
        watched.service.scan()
    heard = {scene.encoding.scene_id: scene for scene in watched.service.journal.scenes()}
    wanted = [segment for part in parts for segment in _segments(part)]
    for scene_id, scene in heard.items():
        own = [s for s in wanted if s.scene_id == scene_id and s.kind == Kind.TILE]
        assert scene.segments == len(own)
    assert len(watched.look()) == 1  # 5 has lost its beginning
    path.write_bytes(stream(segments, 8))
    assert len(watched.look()) == 2
    assert len(watched.service.journal.scenes()) == 3


def _segments(part: Any) -> tuple[Segment, ...]:
    return (
        unpack_segments(SpacePacket.unpack(part)[0].segments)
        if isinstance(part, bytes)
        else (part,)
    )


def test_repair_packets_make_scenes_whole_that_share_a_group(
    watched: Watched, segments: Segments
) -> None:
    """Also where they come when both were made of what there was, and name one of them alone."""
    sent = packets(stream(segments, 7) + stream(segments, 8))
    half = len(sent) // 2
    protected = list(protect(b"".join(sent), len(sent), 2))
    lost = protected[:1] + protected[2 : half + 1] + protected[half + 2 : len(sent)]
    path = watched.source / "a.pkt"
    path.write_bytes(b"".join(lost))
    watched.quieten()
    assert len(watched.look()) == 2
    assert watched.counts["complete"] == 0
    path.write_bytes(b"".join(lost + protected[len(sent) :]))
    watched.look()
    assert watched.counts["complete"] == 2


def test_what_came_before_its_model_was_known_is_read_again(
    watched: Watched, segments: Segments
) -> None:
    """Of a scene whose header comes late, behind packets that are known."""
    tag = load("skybook").tag
    head, *tiles = (replace(s, scene_id=5, binding=bind(tag, 77)) for s in segments)
    head = replace(head, body=replace(SceneHeader.unpack(head.body), run=77).pack())
    path = watched.source / "a.sky"
    content = stream(segments, 6) + tiles[0].pack() + stream(segments, 7)
    path.write_bytes(content)
    watched.service.scan()
    assert [scene.encoding.scene_id for scene in watched.service.journal.scenes()] == [6, 7]
    path.write_bytes(content + b"".join(segment.pack() for segment in (head, *tiles[1:])))
    assert len(watched.look()) == 3
    assert watched.counts["complete"] == 3


def test_one_that_fails_is_told_and_passed_over(
    watched: Watched, segments: Segments, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tuple(replace(s, binding=bytes(4)) for s in segments)
    (watched.source / "a.sky").write_bytes(stream(other, 4))
    (watched.source / "b.sky").write_bytes(b"\x1f\x8b\x08 compressed")
    (watched.source / "c.sky").write_bytes(stream(segments, 6))
    (watched.source / "notes.txt").write_bytes(b"none of ours")
    watched.quieten()
    assert len(watched.look()) == 1
    assert watched.counts["failed"] == 1
    told = capsys.readouterr().out
    assert "gzip" in told
    assert "known bundle" in told
    watched.look()
    assert "gzip" not in capsys.readouterr().out  # said once


def test_what_there_is_no_room_for_waits(
    watched: Watched, segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    (watched.source / "a.sky").write_bytes(stream(segments, 7))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(making, "_publish", full)
        turns = iter([False, False, True])
        watched.service.run(lambda _seconds: next(turns))
        assert watched.service.monitor.reply("/health", "").status == 503
        assert watched.counts["waiting"] == 1
    assert len(watched.look()) == 1
    assert watched.counts["failed"] == 0
    turns = iter([False, True])
    watched.service.run(lambda _seconds: next(turns))
    assert watched.service.monitor.reply("/health", "").status == 200


def test_what_failed_is_tried_again_by_the_next_service(
    tmp_path: Path, segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    (watched.source / "a.sky").write_bytes(stream(segments, 7))
    with monkeypatch.context() as patch:
        patch.setattr(watched.service._maker, "models", {})
        assert watched.look() == []
    assert watched.counts["failed"] == 1
    watched.service.journal.close()
    assert len(Watched(tmp_path).look()) == 1


def test_a_scene_that_ends_the_service_is_left_alone(
    watched: Watched, segments: Segments, monkeypatch: pytest.MonkeyPatch
) -> None:
    (watched.source / "a.sky").write_bytes(stream(segments, 7))
    watched.service.scan()

    def killed(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(watched.service._maker, "make", killed)
    for _ in range(3):
        with pytest.raises(SystemExit):
            watched.service.make()
    assert watched.service.make()
    assert watched.counts["failed"] == 1
    assert not watched.service.make()


def test_scenes_come_live(tmp_path: Path, segments: Segments) -> None:
    """From two stations, each of which loses what the other has."""
    watched = Watched(tmp_path)
    plan = Plan([], watched.output)
    sent = packets(stream(segments, 9))
    addresses = [Address("udp", "127.0.0.1", 0)] * 2
    monitor = watched.service.monitor
    with Receivers(addresses) as receivers:
        intake = Intake.of(map(str, receivers.addresses), None)
        with spooling(plan, receivers, intake, monitor):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radio:
                for number, packet in enumerate(sent):
                    for station, address in enumerate(receivers.addresses):
                        if number % 3 != station:
                            radio.sendto(packet, ("127.0.0.1", address.port))
            until = time.monotonic() + 60
            while not watched.look() and time.monotonic() < until:
                time.sleep(0.05)
            text = monitor.reply("/metrics", "").body.decode()
    assert len(watched.look()) == 1
    assert watched.counts["complete"] == 1
    assert 'skybook_products_total{complete="yes"} 1.0' in text
    assert text.count("skybook_messages_dropped{") == 2


def test_health_is_told_on_loopback(tmp_path: Path) -> None:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    monitor = Monitor()
    with monitored(monitor, "127.0.0.1", 0) as url:
        assert json.loads(urlopen(f"{url}/health").read())["problems"] == []
        assert b"process_resident_memory_bytes" in urlopen(f"{url}/metrics").read()
        for path, status in (("", 404), ("../etc/passwd", 404), ("metrics?x", 404)):
            with pytest.raises(HTTPError) as refused:
                urlopen(f"{url}/{path}")
            assert refused.value.code == status
        monitor.problem = "no room"
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{url}/health")
        assert refused.value.code == 503


def test_places_that_make_no_sense_are_refused(tmp_path: Path, segments: Segments) -> None:
    with pytest.raises(InputError, match="folder of recordings"):
        Watched(tmp_path).service.__class__(Plan([tmp_path / "none"], tmp_path), Monitor())
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="place to write"), alone(Plan([], tmp_path / "file")):
        pass
    (tmp_path / "j").write_bytes(b"something else than a journal, and long enough")
    with pytest.raises(InputError, match="journal"):
        Journal(tmp_path / "j")
