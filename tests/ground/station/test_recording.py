"""Recordings of passes: several files, APIDs and scenes, merging, what is missing, the commands."""

import json
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.commands.receive import appended
from ground.decode.decoder import Decoded, Decoder
from ground.decode.inventory import take_inventory
from ground.decode.wanted import Wanted
from ground.products import geotiff
from ground.scenes.procedural import procedural
from ground.station.live import Address, Receivers
from ground.station.merge import merge
from ground.station.recording import Pass, open_recording, read_pass
from ground.station.sequence import SequenceCounts
from ground.station.tally import Tally
from ground.station.udp import listen
from onboard import bundle as bundles
from onboard.downlink.protect import protect
from onboard.encoder import Encoder, Options
from onboard.errors import InputError, StreamError, UsageError
from onboard.link.binding import run_of
from onboard.link.packet import SEQUENCES, PacketOptions, SpacePacket
from onboard.link.resync import Damage
from onboard.link.segment import Kind, Segment, unpack_segments
from tests.conftest import Run

NAME = "skybook"
SHAPE = (100, 150)


def coded(scene_id: int, apid: int, sequence: int = 0, bundle: str = NAME) -> list[bytes]:
    """Return the packets of a scene."""
    image = procedural(20 + scene_id, *SHAPE).image
    header = procedural(20 + scene_id, *SHAPE).header()
    header = replace(header, tile=64) if bundle == NAME else header
    rate: dict[str, Any] = {"ratio": 12.0} if bundle == NAME else {}
    options = Options(scene_id=scene_id, segment_bytes=240, **rate)
    segments = list(Encoder(bundles.load(bundle)).encode(image, header, options))
    return PacketOptions(packet_bytes=256, apid=apid).pack(segments, 0, sequence)


PACKETS = coded(7, 3, SEQUENCES - 5)


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(bundles.find(NAME))


@pytest.fixture(scope="module")
def whole(decoder: Decoder) -> Decoded:
    return decoder.decode(b"".join(PACKETS))


def heard(seed: int, loss: float, flips: int) -> bytes:
    """Return what a station heard of `PACKETS`."""
    rng = np.random.default_rng(seed)
    stream = bytearray(b"".join(packet for packet in PACKETS if rng.random() >= loss))
    for place in rng.integers(len(stream), size=flips):
        stream[place] ^= 1 << rng.integers(8)
    return bytes(stream)


def segments(recording: bytes) -> set[Segment]:
    return {s for parts in read_pass([recording]).encodings.values() for s in parts}


def of_scene(received: Pass, scene_id: int) -> list[Segment | Damage]:
    """Return what there is of the only encoding of a scene."""
    (encoding,) = received.wanted(scene_id, None, ())
    return received.of(encoding)


def test_sequence_counts_wrap_repeat_and_come_late() -> None:
    counts = SequenceCounts()
    for count in (16_380, 16_381, 16_383, 2, 1, 1, 16_381, 9):
        counts.add(count)
    assert counts.packets == 8
    assert counts.duplicates == 2
    assert counts.gaps == [(16_382, 1), (0, 1), (3, 6)]
    assert counts.lost == 8
    counts.add(16_382)
    counts.add(0)
    assert counts.gaps == [(3, 6)]
    ordered = SequenceCounts()
    for count in range(40_000):
        ordered.add(count % SEQUENCES)
    assert (ordered.lost, ordered.duplicates) == (0, 0)


def test_tally_of_a_recording() -> None:
    tally = Tally()
    tally.add(b"".join(PACKETS[:7] + PACKETS[9:]) + b"junk" + PACKETS[0])
    assert tally.as_dict()["apids"]["3"] == {
        "packets": len(PACKETS) - 1,
        "duplicates": 1,
        "lost": 2,
        "gaps": [(2, 2)],
    }
    assert tally.damaged_bytes == 4
    assert [encoding.scene_id for encoding in tally.encodings] == [7]


def test_a_tally_that_begins_amid_a_pass_waits_for_a_model() -> None:
    without = [p for p in PACKETS if all(s.kind == Kind.TILE for s in unpack_segments(p[12:]))]
    tally = Tally()
    tally.add(without[0])
    assert (tally.packets, tally.bytes) == (0, len(without[0]))
    tally.add(without[1])
    assert (tally.packets, tally.damaged_bytes) == (2, 0)
    lone = Tally()
    lone.add(without[0])
    lone.count()
    assert (lone.packets, lone.damaged_bytes) == (0, len(without[0]))


def test_a_lone_packet_is_read_by_what_other_recordings_or_the_run_tell(
    run: Run, tmp_path: Path, decoder: Decoder
) -> None:
    lone = next(p for p in PACKETS if [s.kind for s in unpack_segments(p[12:])] == [Kind.TILE])
    expected = set(unpack_segments(lone[12:]))
    assert expected <= set(of_scene(read_pass([lone, PACKETS[0]]), 7))
    (binding,) = {segment.binding for segment in expected}
    assert expected <= set(of_scene(read_pass([lone], bindings=[binding]), 7))
    assert read_pass([lone], bindings=[decoder.bundle.tag]).encodings == {}
    assert lone in merge([lone, PACKETS[0]]).recording
    number = run_of(binding, decoder.bundle.tag)
    received = decoder.decode(lone, Wanted(width=SHAPE[1], run=number, tile=64)).reception
    assert received.counts["used"] == len(expected)
    (tmp_path / "lone.pkt").write_bytes(lone)
    arguments = ("lone.pkt", "-o", "out.tif", "--width", SHAPE[1], "--tile", 64)
    assert run("ground", "decode", *arguments).returncode == 4
    assert not (tmp_path / "out.tif").exists()
    for options in ([], ["--bundle", NAME]):
        assert run("ground", "decode", *arguments, "--run", number, *options).returncode == 4
        assert (tmp_path / "out.tif").exists()


def test_several_recordings_are_one_pass(decoder: Decoder, whole: Decoded) -> None:
    one, other = b"".join(PACKETS[::2]), b"".join(PACKETS[1::2][::-1])
    for recordings in ([one, other], [other, one, one]):
        received = read_pass(recordings)
        (encoding,) = received.of_one_scene(None, None, ())
        decoded = decoder.decode_segments(received.of(encoding))
        assert decoded.complete
        assert np.array_equal(decoded.scene.image, whole.scene.image)
        assert np.array_equal(decoded.mask, whole.mask)


def test_interleaved_applications_and_scenes() -> None:
    others = coded(9, 4)
    mixed = [p for pair in zip(PACKETS, others, strict=False) for p in pair]
    mixed += PACKETS[len(others) :] + others[len(PACKETS) :]
    received = read_pass([b"".join(mixed)])
    assert [e.scene_id for e in received.wanted(None, None, ())] == [7, 9]
    with pytest.raises(UsageError, match="7, 9"):
        received.of_one_scene(None, None, ())
    with pytest.raises(StreamError, match="scene 5"):
        received.of_one_scene(5, None, ())
    assert set(of_scene(received, 9)) == segments(b"".join(others))
    alone = read_pass([b"".join(mixed)], apid=4)
    assert [encoding.scene_id for encoding in alone.encodings] == [9]


def test_a_filter_keeps_segments_of_damaged_packets_but_not_of_other_applications() -> None:
    twin = coded(7, 4)  # the same scene id under another APID
    broken = bytearray(PACKETS[3])
    broken[0] ^= 0x80
    mine = read_pass([bytes(PACKETS[0] + broken)], apid=3)
    assert set(of_scene(mine, 7)) >= segments(PACKETS[3])
    both = read_pass([PACKETS[0] + bytes(broken) + twin[0]], apid=3)
    assert {s for s in of_scene(both, 7) if isinstance(s, Segment)} == segments(PACKETS[0])


def test_repair_packets_are_used(decoder: Decoder, whole: Decoded) -> None:
    sent = list(protect(b"".join(PACKETS), 16, 6))
    rng = np.random.default_rng(2)
    kept = [p for p in sent if rng.random() >= 0.1]
    received = read_pass([b"".join(kept)])
    decoded = decoder.decode_segments(of_scene(received, 7))
    assert decoded.complete
    assert np.array_equal(decoded.scene.image, whole.scene.image)
    assert segments(merge([b"".join(kept)]).recording) == segments(b"".join(PACKETS))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert open_recording(tmp_path / "empty") == b""
    for wrong in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match="cannot be read"):
            open_recording(wrong)


def test_stations_that_complete_each_other(decoder: Decoder, whole: Decoded) -> None:
    stations = [heard(seed, 0.2, 12) for seed in range(5)]
    best = set().union(*map(segments, stations))
    assert all(segments(station) < best for station in stations)
    merged = merge(stations)
    assert segments(merged.recording) == best == segments(b"".join(PACKETS))
    assert not merged.contradictions
    assert merged.damaged_bytes > 0
    decoded = decoder.decode(merged.recording)
    assert decoded.complete
    assert np.array_equal(decoded.scene.image, whole.scene.image)
    again = merge([merged.recording, *stations[::-1]])
    assert segments(again.recording) == best


def test_merged_packets_are_whole_and_in_the_order_of_the_encoder() -> None:
    shuffled = [PACKETS[i] for i in np.random.default_rng(0).permutation(len(PACKETS))]
    assert merge([b"".join(shuffled), b"".join(PACKETS)]).recording == b"".join(PACKETS)
    broken = bytearray(PACKETS[5])
    broken[0] ^= 0x80
    merged = merge([b"".join(PACKETS[:5]) + broken + b"".join(PACKETS[6:])]).recording
    made, _ = SpacePacket.unpack(merged, len(b"".join(PACKETS[:5])))
    assert made.pack() == PACKETS[5]


def test_most_stations_are_believed() -> None:
    packet = SpacePacket.unpack(PACKETS[4])[0]
    segment, _ = Segment.unpack(packet.segments)
    lie = Segment(**{**segment.__dict__, "body": segment.body[:-1] + b"?"})
    false = SpacePacket(3, packet.sequence, packet.time, lie.pack()).pack()
    for stations, believed in (
        ([false, PACKETS[4], PACKETS[4]], segment),
        ([false, PACKETS[4]], lie),
        ([PACKETS[4] * 3, false, false], lie),
    ):
        merged = merge([*stations, b"".join(PACKETS[:4])])
        assert believed in segments(merged.recording)
        assert ({segment, lie} - {believed}).isdisjoint(segments(merged.recording))
        place = (7, segment.binding, segment.tile, Kind.TILE, segment.layer, segment.first)
        assert merged.contradictions == [place]


def test_merging_bare_segments_and_nothing() -> None:
    bare = b"".join(SpacePacket.unpack(p)[0].segments for p in PACKETS)
    assert segments(merge([bare, bare]).recording) == segments(bare)
    assert merge([b"", b"noise"]).segments == 0


def test_what_is_missing_is_what_was_lost() -> None:
    rng = np.random.default_rng(8)
    kept = [p for p in PACKETS if rng.random() >= 0.3]
    everything, have = segments(b"".join(PACKETS)), segments(b"".join(kept))
    request = take_inventory(bundles.load(NAME), have, Wanted(width=SHAPE[1])).as_dict()
    assert not request["complete"]
    wanted = set()
    incomplete = {tile["tile"]: tile for tile in request["incomplete_tiles"]}
    for segment in everything:
        tile = incomplete.get(segment.tile)
        absent = any(first <= segment.tile <= last for first, last in request["absent_tiles"])
        starts = tile["have"] if tile else []
        if segment.kind == Kind.TILE and (absent or tile):
            wanted |= set() if [segment.layer, segment.first] in starts else {segment}
        elif segment.kind == Kind.MASK and (absent or (tile and tile["have_masks"] is not None)):
            known = tile["have_masks"] if tile else []
            wanted |= set() if segment.first in known else {segment}
    lost = {s for s in everything - have if s.kind in (Kind.TILE, Kind.MASK)}
    assert wanted == lost
    assert request["segments_missing"] in (None, len(lost))
    full = take_inventory(bundles.load(NAME), everything)
    assert full.complete
    assert full.segments == 0


@pytest.mark.parametrize("bundle", [NAME, "corsa-2level-1024"])
def test_what_is_missing_of_each_kind_of_bundle(bundle: str) -> None:
    everything = segments(b"".join(coded(7, 3, bundle=bundle)))
    assert take_inventory(bundles.load(bundle), everything).complete
    part = {s for s in everything if s.kind == Kind.SCENE or (s.tile == 1 and s.layer == 0)}
    found = take_inventory(bundles.load(bundle), part)
    assert found.absent[0] == (0, 0)
    assert [tile.tile for tile in found.incomplete] == [1]
    assert 1 <= found.incomplete[0].layers < found.layers
    assert found.incomplete[0].have == ((0, 0),)
    assert (found.header, found.end, found.segments) == (True, False, None)


def send(port: int, datagrams: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as radio:
        for number, datagram in enumerate(datagrams):
            radio.sendto(datagram, ("127.0.0.1", port))
            if number % 8 == 0:
                time.sleep(0.002)


def test_datagrams_are_appended_as_they_come(tmp_path: Path) -> None:
    datagrams = [b"".join(PACKETS[:3]), *PACKETS[3:], PACKETS[0], b"noise"]
    path = tmp_path / "pass.pkt"
    path.write_bytes(b"before")
    tally = Tally()
    address = Address("udp", "127.0.0.1", 0)
    with Receivers([address]) as receivers, appended(path) as recording:
        port = receivers.addresses[0].port
        sender = threading.Thread(target=send, args=(port, datagrams))
        sender.start()
        for message in receivers.messages(lambda: False, 2.0):
            recording.write(message.content)
            tally.add(message.content)
        sender.join()
    assert path.read_bytes() == b"before" + b"".join(datagrams)
    assert tally.packets == len(PACKETS) + 1
    assert tally.apids[3].duplicates == 1
    assert tally.apids[3].lost == 0
    assert tally.damaged_bytes == 5


def test_an_address_that_cannot_be_listened_at() -> None:
    for host, port in (("127.0.0.1", 70_000), ("no.such.host.invalid", 5_000)):
        with pytest.raises(UsageError, match="listen"):
            listen(host, port)


def free_port() -> int:
    with listen("127.0.0.1", 0) as listener:
        return int(listener.getsockname()[1])


def test_a_pass_from_the_radio_to_the_picture(run: Run, tmp_path: Path, whole: Decoded) -> None:
    port, stop = free_port(), threading.Event()

    live, enough = tmp_path / "live.pkt", sum(map(len, PACKETS[:-3]))

    def beacon() -> None:
        """Send again and again until all is heard: when the station listens is not known."""
        until = time.monotonic() + 60
        while time.monotonic() < until and not stop.wait(0.2):
            if live.exists() and live.stat().st_size >= enough:
                return
            send(port, PACKETS[:-3])

    sender = threading.Thread(target=beacon)
    sender.start()
    arguments = ("--port", port, "-o", "live.pkt", "--idle", 3, "--json")
    done = run("ground", "receive", *arguments)
    stop.set()
    sender.join(5)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    counts = json.loads(done.stdout)
    assert counts["packets"] >= len(PACKETS) - 3
    assert counts["bytes"] == (tmp_path / "live.pkt").stat().st_size

    (tmp_path / "late.pkt").write_bytes(b"".join(PACKETS[-3:]))
    done = run("ground", "missing", "live.pkt", "--json")
    assert done.returncode == 4
    assert not json.loads(done.stdout)["complete"]
    done = run("ground", "merge", "live.pkt", "late.pkt", "-o", "all.pkt")
    assert done.returncode == 0, done.stderr
    assert run("ground", "missing", "all.pkt").returncode == 0
    done = run("ground", "decode", "live.pkt", "late.pkt", "-o", "out.tif")
    assert done.returncode == 0, done.stderr
    assert is_alike(read(tmp_path / "out.tif"), whole)


def read(path: Path) -> NDArray[Any]:
    return geotiff.read(path).image


def is_alike(image: NDArray[Any], decoded: Decoded) -> bool:
    """Return whether another process decoded the same: its threads may round another way."""
    return bool((np.abs(image.astype(int) - decoded.scene.image) <= 1).all())


def test_commands_of_several_scenes(run: Run, tmp_path: Path, whole: Decoded) -> None:
    (tmp_path / "a.pkt").write_bytes(b"".join(PACKETS))
    (tmp_path / "b.pkt").write_bytes(b"".join(coded(9, 4)))
    both = ("a.pkt", "b.pkt")
    done = run("ground", "decode", *both, "-o", "out.tif")
    assert done.returncode == 2
    assert "7, 9" in done.stderr
    done = run("ground", "decode", *both, "--all-scenes", "-o", "out.tif", "--json")
    assert done.returncode == 0, done.stderr
    assert [scene["scene"] for scene in json.loads(done.stdout)["scenes"]] == [7, 9]
    assert (tmp_path / "out-9.mask.tif").exists()
    assert is_alike(read(tmp_path / "out-7.tif"), whole)


def test_an_input_is_never_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.pkt").write_bytes(b"".join(PACKETS))
    for command in (
        ("merge", "a.pkt", "-o", "a.pkt"),
        ("missing", "a.pkt", "--nak", "a.pkt"),
        ("decode", "a.pkt", "-o", "x.tif", "--json", "a.pkt"),
    ):
        assert run("ground", *command).returncode == 2
    assert (tmp_path / "a.pkt").read_bytes() == b"".join(PACKETS)
