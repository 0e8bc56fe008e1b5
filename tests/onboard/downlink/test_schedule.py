"""Schedule: the order of packets, the budget, priority and region, damaged input."""

import json
import tracemalloc
from collections import defaultdict
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ground.decode.decoder import Decoded, Decoder
from ground.decode.mask import Mask
from ground.scenes.procedural import procedural
from onboard.__main__ import main
from onboard.bundle import find
from onboard.downlink.schedule import Index, Ranking, schedule
from onboard.errors import (
    BundleError,
    InputError,
    LimitError,
    SkybookError,
    StreamError,
    UsageError,
)
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions, SpacePacket, crc16
from onboard.link.resync import Received, read_packets, read_stream
from onboard.link.segment import Kind, Segment, unpack_segments

WIDTH, LINES = 330, 300
COLUMNS, TILES = 6, 30
SCENE = procedural(5, LINES, WIDTH).image[:4]
MODEL = b"\xa1\xb2\xc3\xd4"
HEADER = SceneHeader("u16", 16, 4, WIDTH, LINES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with streams of a scene: `small.pkt` in small packets, and `plain.pkt`."""
    path = tmp_path_factory.mktemp("schedule")
    (path / "scene.bil").write_bytes(np.ascontiguousarray(SCENE.transpose(1, 0, 2)).tobytes())
    form = ["--layout", "bil", "--width", str(WIDTH), "--bundle", "skybook", "--ratio", "15"]
    form += ["--tile", "64"]
    for name, options in (("small", ["--packet-bytes", "256", "--one-layer"]), ("plain", [])):
        output = ["-o", str(path / f"{name}.pkt"), "--priority-out", str(path / f"{name}.cloud")]
        assert main(["stream", "--input", str(path / "scene.bil"), *form, *options, *output]) == 0
    return path


def packets(stream: bytes) -> list[Received]:
    """Return the packets of a stream, all of which must be whole."""
    found = [found for found in read_packets(stream) if isinstance(found, Received)]
    assert sum(f.stop - f.offset for f in found) == len(stream)
    assert all(f.packet for f in found)
    return found


def scheduled(source: Path, budget: int, *options: object) -> bytes:
    """Return what `schedule` writes."""
    output = source.with_suffix(".out")
    command = ["schedule", source, "-o", output, "--bytes", budget, *options]
    assert main([str(word) for word in command]) == 0
    return output.read_bytes()


def decoded(stream: bytes) -> Decoded:
    return Decoder(find("skybook"), 1).decode_segments(list(read_stream(stream)))


def error(stream: bytes) -> float:
    """Return the mean squared error of what a stream decodes to."""
    image = decoded(stream).scene.image.astype(np.float64)
    assert image.shape == SCENE.shape
    return float(np.square(image - SCENE).mean())


def bytes_of_tiles(stream: bytes) -> dict[int, int]:
    found: dict[int, int] = defaultdict(int)
    for packet in packets(stream):
        for segment in packet.segments:
            if segment.kind == Kind.TILE:
                found[segment.tile] += len(segment.body)
    return found


@pytest.mark.parametrize("name", ["small", "plain"])
def test_a_large_budget_takes_every_packet_as_it_is(folder: Path, name: str) -> None:
    source = (folder / f"{name}.pkt").read_bytes()
    sent = scheduled(folder / f"{name}.pkt", len(source))
    before, after = ({s[f.offset : f.stop] for f in packets(s)} for s in (source, sent))
    assert after == before
    assert len(sent) == len(source)


@pytest.mark.parametrize("name", ["small", "plain"])
@pytest.mark.parametrize("share", [0.1, 0.2, 0.35, 0.5, 0.73, 0.9])
def test_the_budget_is_kept(folder: Path, name: str, share: float) -> None:
    source = folder / f"{name}.pkt"
    budget = int(share * source.stat().st_size)
    sent = scheduled(source, budget)
    longest = max(f.stop - f.offset for f in packets(source.read_bytes()))
    assert budget - max(0.02 * budget, longest - 1) <= len(sent) <= budget


def test_a_budget_of_many_packets_is_nearly_filled(folder: Path) -> None:
    source = folder / "small.pkt"
    for budget in range(20_000, source.stat().st_size, 3_333):
        assert 0.98 * budget <= len(scheduled(source, budget)) <= budget


def test_header_and_end_come_first(folder: Path) -> None:
    for name in ("small", "plain"):
        source = folder / f"{name}.pkt"
        sent = packets(scheduled(source, source.stat().st_size))
        kinds = [{segment.kind for segment in packet.segments} for packet in sent]
        assert Kind.SCENE in kinds[0]
        assert kinds[1] == {Kind.END}
        places = [number for number, kind in enumerate(kinds) if Kind.SCENE in kind]
        assert max(np.diff(places)) <= 65  # until there are no more of them
        assert len(places) == sum(
            any(s.kind == Kind.SCENE for s in found.segments)
            for found in packets(source.read_bytes())
        )


def test_the_most_urgent_of_a_packet_has_all_before_it(folder: Path) -> None:
    """Whatever is sent first of a tile can be decoded when it arrives."""
    for name in ("small", "plain"):
        source = folder / f"{name}.pkt"
        before: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for packet in packets(source.read_bytes()):
            for s in packet.segments:
                before[s.tile] += [(s.layer, s.first)] * (s.kind == Kind.TILE)
        sent: dict[int, set[tuple[int, int]]] = defaultdict(set)
        for packet in packets(scheduled(source, source.stat().st_size, "--priority", __file__)):
            useful = False
            for s in packet.segments:
                sent[s.tile] |= {(s.layer, s.first)} if s.kind == Kind.TILE else set()
                steps = [step for step in before[s.tile] if step <= (s.layer, s.first)]
                useful |= sent[s.tile].issuperset(steps)
            assert useful or any(s.kind in (Kind.SCENE, Kind.END) for s in packet.segments)


@pytest.mark.parametrize("name", ["small", "plain"])
def test_prefixes_decode_better_and_better(folder: Path, name: str) -> None:
    source = folder / f"{name}.pkt"
    sent = scheduled(source, source.stat().st_size)
    stops = [f.stop for f in packets(sent)]
    errors = [error(sent[:stop]) for stop in stops[1 :: len(stops) // 5]]
    assert all(later < earlier for earlier, later in pairwise(errors))
    whole = source.read_bytes()
    middle = len(whole) // 2
    acquired = max(f.stop for f in packets(whole) if f.stop <= middle)
    end = whole[packets(whole)[-1].offset :]
    assert error(sent[: max(s for s in stops if s <= middle)]) < error(whole[:acquired] + end) / 2


def test_half_of_it_shows_every_tile(folder: Path) -> None:
    source = folder / "small.pkt"
    shown = decoded(scheduled(source, source.stat().st_size // 2))
    assert not (shown.mask == Mask.CONCEALED).any()


def test_clouds_come_last(folder: Path, tmp_path: Path) -> None:
    source = folder / "small.pkt"
    clouds = tmp_path / "clouds"
    clouds.write_bytes(bytes([255] * 12))  # shorter than the tiles: the others are clear
    budget = source.stat().st_size // 2
    plain = bytes_of_tiles(scheduled(source, budget))
    ranked = bytes_of_tiles(scheduled(source, budget, "--priority", clouds))
    assert sum(ranked[tile] for tile in range(12)) < sum(plain[tile] for tile in range(12)) / 2
    assert sum(ranked[t] for t in range(12, TILES)) > sum(plain[t] for t in range(12, TILES))
    assert all(ranked[tile] for tile in range(TILES))


def test_streaming_leaves_the_priority_that_schedule_reads(folder: Path) -> None:
    clouds = folder / "small.cloud"
    assert clouds.stat().st_size == TILES
    scheduled(folder / "small.pkt", 20_000, "--priority", clouds)


def test_a_region_is_whole_before_the_rest(folder: Path) -> None:
    source = folder / "small.pkt"
    every = bytes_of_tiles(source.read_bytes())
    budget = source.stat().st_size // 3
    for box, tiles in (
        ("64,64,128,192", {7, 13}),
        ("329,299,330,300", {29}),
        ("63,0,65,9", {0, 1}),
    ):
        found = bytes_of_tiles(scheduled(source, budget, "--region", box))
        assert {tile: found[tile] for tile in tiles} == {tile: every[tile] for tile in tiles}
        assert sum(found.values()) < sum(every.values()) / 2
    both = scheduled(source, budget, "--region", "0,0,1,1", "--region", "329,0,330,1")
    found = bytes_of_tiles(both)
    assert (found[0], found[5]) == (every[0], every[5])


def test_memory_of_few_bytes_a_packet() -> None:
    count = 3_000
    one = [packet(Segment(Kind.TILE, 4, MODEL, n, 0, 0, None, b"\x02")) for n in range(count)]
    recording = b"".join(one)
    tracemalloc.start()
    index = Index.read(recording, Ranking())
    sent = sum(1 for _ in schedule(recording, index, len(recording)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sent == count
    assert peak <= 32 * count


@pytest.mark.parametrize("seed", range(8))
def test_noise_is_left_out(folder: Path, seed: int) -> None:
    """Whatever the damage, intact packets come out within the budget, or one of our errors."""
    rng = np.random.default_rng(seed)
    noisy = np.frombuffer((folder / "plain.pkt").read_bytes(), np.uint8).copy()
    flips = rng.integers(0, len(noisy), 4 << seed % 4)
    noisy[flips] ^= (1 << rng.integers(0, 8, len(flips))).astype(np.uint8)
    recording = noisy.tobytes()[: rng.integers(1, len(noisy))]
    with suppress(SkybookError):
        sent = list(schedule(recording, Index.read(recording, Ranking()), 30_000))
        assert sum(map(len, sent)) <= 30_000
        assert len(packets(b"".join(sent))) == len(sent)


def code(*words: object) -> int:
    return main([str(word) for word in ("schedule", *words)])


def test_damaged_places_are_left_out(folder: Path, tmp_path: Path) -> None:
    whole = bytearray((folder / "small.pkt").read_bytes())
    found = packets(bytes(whole))
    lost = [found[i] for i in (0, len(found) // 2)]
    for packet in lost:
        whole[packet.offset + 40] ^= 4
    del whole[-20:]
    source, output = tmp_path / "damaged.pkt", tmp_path / "out.pkt"
    source.write_bytes(whole)
    result = tmp_path / "result.json"
    told = code(source, "--bytes", len(whole), "-o", output, "--json", result)
    assert told == StreamError.exit_code
    kept = packets(output.read_bytes())
    assert len(kept) == len(found) - 3
    assert any(s.kind == Kind.SCENE for s in kept[0].segments)
    figures = json.loads(result.read_text())
    assert figures["damaged"] >= 3
    gone = sum(p.stop - p.offset for p in (*lost, found[-1])) - 20
    assert figures["damaged_bytes"] == gone
    assert figures["bytes"] == len(whole) - gone


def test_what_cannot_be_scheduled(folder: Path, tmp_path: Path) -> None:
    source, output = folder / "small.pkt", tmp_path / "out.pkt"
    assert code(source, "--bytes", 100, "-o", output) == LimitError.exit_code
    assert code(source, "--bytes", -5, "-o", output) == LimitError.exit_code
    assert not output.exists()
    assert code(source, "--bytes", 9_000, "-o", source) == UsageError.exit_code
    assert code(tmp_path / "none", "--bytes", 9_000, "-o", output) == InputError.exit_code
    assert code(folder, "--bytes", 9_000, "-o", output) == InputError.exit_code
    noise = tmp_path / "noise.pkt"
    noise.write_bytes(bytes(1_000))
    assert code(noise, "--bytes", 9_000, "-o", output) == StreamError.exit_code
    noise.write_bytes(b"SK" * 500)
    assert code(noise, "--bytes", 9_000, "-o", output) == InputError.exit_code
    far = ["--bytes", 9_000, "-o", output]
    assert code(source, *far, "--priority", folder) == InputError.exit_code
    other = ["--region", "0,0,9,9", "--bundle", "corsa-2level-1024"]
    assert code(source, *far, *other) == BundleError.exit_code
    protected = tmp_path / "protected.pkt"
    assert main(["protect", str(source), "-o", str(protected)]) == 0
    assert code(protected, *far) == UsageError.exit_code


def packet(segment: Segment) -> bytes:
    return SpacePacket(1, 0, (0, 0), segment.pack()).pack()


HEAD = packet(Segment(Kind.SCENE, 4, MODEL, 0, 0, 0, None, HEADER.pack()))


def test_headers_alone_in_their_packets_are_spread() -> None:
    tiles = [packet(Segment(Kind.TILE, 4, MODEL, n, 0, 0, None, b"\x02")) for n in range(300)]
    recording = b"".join([HEAD, HEAD, *tiles, HEAD, HEAD, HEAD])
    sent = list(schedule(recording, Index.read(recording, Ranking()), len(recording)))
    places = [number for number, one in enumerate(sent) if one == HEAD]
    assert places == [0, 65, 130, 195, 260]
    assert [one for one in sent if one != HEAD] == tiles


def test_a_packet_of_nothing_is_left_out() -> None:
    tile = packet(Segment(Kind.TILE, 4, MODEL, 0, 0, 0, None, b"\x02"))
    nothing = tile[:4] + b"\x00\x07" + tile[6:12]
    nothing += crc16(nothing).to_bytes(2, "big")
    index = Index.read(nothing + HEAD + tile, Ranking())
    assert (len(index.marks), index.damaged, index.damaged_bytes) == (2, 1, 14)


def test_one_scene_at_a_time() -> None:
    two = [packet(Segment(Kind.TILE, scene, MODEL, 0, 0, 0, None, b"\x02")) for scene in (4, 5)]
    with pytest.raises(UsageError, match="one scene"):
        Index.read(HEAD + b"".join(two), Ranking())


def test_masks_come_with_the_coarse_part() -> None:
    def of(tile: int) -> list[Segment]:
        steps = [(Kind.TILE, 0, 0), (Kind.TILE, 4, 0), (Kind.MASK, 0, 0), (Kind.MASK, 0, 900)]
        return [Segment(k, 4, MODEL, tile, layer, f, None, bytes(5)) for k, layer, f in steps]

    sent = [packet(segment) for tile in range(3) for segment in of(tile)]
    recording = b"".join(sent)
    index = Index.read(recording, Ranking())
    order = [unpack_segments(p[12:])[0] for p in schedule(recording, index, len(recording))]
    assert [s.layer for s in order] == [0] * 9 + [4] * 3
    assert [s.tile for s in order] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 0, 1, 2]


def test_a_gap_is_filled_without_what_depends_on_it() -> None:
    """Of the tile whose packet is too long nothing more is sent, of others what fits."""
    sizes = [(0, 0, 30), (1, 0, 30), (2, 0, 30), (0, 5, 400), (1, 6, 60), (0, 7, 20), (2, 8, 20)]
    options = PacketOptions(packet_bytes=1_000)
    segments = [
        Segment(Kind.TILE, 4, MODEL, tile, layer, 0, None, bytes(size)).pack()
        for tile, layer, size in sizes
    ]
    sent = [options.pack([segment], 0, number)[0] for number, segment in enumerate(segments)]
    recording = b"".join(sent)
    budget = sum(map(len, sent[:3])) + len(sent[4]) + len(sent[6])
    chosen = list(schedule(recording, Index.read(recording, Ranking()), budget))
    assert chosen == [*sent[:3], sent[4], sent[6]]
