"""Streaming: lines as they come to packets, cut off anywhere and gone on with."""

import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ground.decode.decoder import Decoder
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard.__main__ import main
from onboard.bundle import find, load
from onboard.encoder import Encoder, Options
from onboard.encoder.progress import Progress
from onboard.errors import InputError, LimitError, StreamError, UsageError
from onboard.image.lines import LineSource
from onboard.image.rawrows import RawRows
from onboard.link.binding import bind
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions, SpacePacket
from onboard.link.resync import Received, read_packets
from onboard.link.segment import Kind, Segment

WIDTH = 150
LINES = 300
SCENE = procedural(5, LINES, WIDTH).image
TIMED = ["--start-time", "2026-01-01T00:00:00", "--line-period", "0.0015"]
FORM = ["--layout", "bil", "--width", str(WIDTH), "--bundle", "skybook", "--ratio", "15"]
FORM += ["--tile", "64"]


def bil(image: np.ndarray[Any, Any]) -> bytes:
    """Return an image line by line."""
    return np.ascontiguousarray(image.transpose(1, 0, 2)).tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the scene, and `whole.pkt` streamed from it."""
    path = tmp_path_factory.mktemp("stream")
    (path / "scene.bil").write_bytes(bil(SCENE))
    output = ["-o", str(path / "whole.pkt"), "--priority-out", str(path / "whole.prio")]
    assert main(["stream", "--input", str(path / "scene.bil"), *FORM, *TIMED, *output]) == 0
    return path


def packets(stream: bytes) -> list[SpacePacket]:
    """Return the packets of a stream, all of which must be whole."""
    found = list(read_packets(stream))
    assert all(isinstance(f, Received) and f.packet for f in found)
    return [f.packet for f in found if isinstance(f, Received) and f.packet]


def test_a_streamed_scene_is_the_encoded_scene(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "encoded.pkt"
    scene = str(folder / "scene.bil")
    more = ["--bands", "4", "--rate-window", "strip", "-o", str(out)]
    assert main(["encode", scene, *FORM, *TIMED, *more]) == 0
    assert out.read_bytes() == (folder / "whole.pkt").read_bytes()


def test_packets_say_when_and_in_what_order(folder: Path) -> None:
    found = packets((folder / "whole.pkt").read_bytes())
    assert [p.sequence for p in found] == list(range(len(found)))
    start = 2_145_916_800  # 2026-01-01 in seconds since 1958
    assert found[0].time == (start, 0)
    seconds = [p.time[0] + p.time[1] / 65_536 - start for p in found]
    rows = {round(s / 0.0015) for s in seconds}
    assert rows == {0, 64, 128, 192, 256, LINES}
    assert seconds == sorted(seconds)


def test_the_ratio_is_kept_packets_included(folder: Path) -> None:
    length = (folder / "whole.pkt").stat().st_size
    assert 0.97 * SCENE.nbytes / 15 <= length <= SCENE.nbytes / 15


def test_one_byte_of_priority_a_tile(folder: Path) -> None:
    assert (folder / "whole.prio").stat().st_size == 3 * 5


@pytest.mark.parametrize("layout", ["bil", "bip", "bsq"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_layouts_of_a_pipe(layout: str, order: str) -> None:
    lines = SCENE[:, :130].astype("<u2" if order == "little" else ">u2")
    blocks = [lines[:, first : first + 50] for first in range(0, 130, 50)]
    axes = {"bil": (1, 0, 2), "bip": (1, 2, 0), "bsq": (0, 1, 2)}[layout]
    raw = b"".join(np.ascontiguousarray(b.transpose(axes)).tobytes() for b in blocks)
    source = LineSource(RawRows(layout, "u16", order, 4, WIDTH), 50 if layout == "bsq" else 0)
    strips = list(source.strips(io.BytesIO(raw), 64))
    assert [strip.shape[1] for strip in strips] == [64, 64, 2]
    assert np.array_equal(np.concatenate(strips, axis=1), SCENE[:, :130])
    assert np.array_equal(next(source.strips(io.BytesIO(raw), 64, skip=64)), SCENE[:, 64:128])


def test_a_pipe_that_gives_a_little_at_a_time() -> None:
    class Slow(io.BytesIO):
        def readinto(self, buffer: Any) -> int:
            return super().readinto(memoryview(buffer)[:1_001])

    source = LineSource(RawRows("bil", "u16", "little", 4, WIDTH))
    strips = list(source.strips(Slow(bil(SCENE)), 64))
    assert np.array_equal(np.concatenate(strips, axis=1), SCENE)


def test_lines_that_cannot_be_streamed() -> None:
    with pytest.raises(UsageError, match="blocks of lines"):
        LineSource(RawRows("bsq", "u16", "little", 4, WIDTH))
    with pytest.raises(UsageError, match="columns"):
        LineSource(RawRows("bil", "u16", "little", 4, 0))


def test_an_input_that_ends_within_a_line(tmp_path: Path, folder: Path) -> None:
    """The whole lines before are coded, then the error is told; no end makes them look complete."""
    cut = tmp_path / "cut.bil"
    cut.write_bytes(bil(SCENE)[: 100 * 8 * WIDTH + 77])
    output = tmp_path / "cut.pkt"
    assert main(["stream", "--input", str(cut), *FORM, *TIMED, "-o", str(output)]) == 3
    source = LineSource(RawRows("bil", "u16", "little", 4, WIDTH))
    with pytest.raises(InputError, match="77 bytes"):
        list(source.strips(io.BytesIO(cut.read_bytes()), 64))
    kinds = [s.kind for f in read_packets(output.read_bytes()) for s in f.segments]  # type: ignore[union-attr]
    assert kinds
    assert Kind.END not in kinds
    first = packets(output.read_bytes())[0]
    assert first == packets((folder / "whole.pkt").read_bytes())[0]


def go_on(folder: Path, output: Path, *options: str) -> int:
    """Resume the stream into `output`."""
    scene = str(folder / "scene.bil")
    return main(
        ["stream", "--input", scene, *FORM, *TIMED, "-o", str(output), "--resume", *options]
    )


@pytest.mark.parametrize("share", [0.0, 0.003, 0.2, 0.41, 0.66, 0.97, 0.9999])
def test_resuming_gives_the_whole_stream(folder: Path, tmp_path: Path, share: float) -> None:
    whole, clouds = (folder / "whole.pkt").read_bytes(), (folder / "whole.prio").read_bytes()
    output, priority = tmp_path / "cut.pkt", tmp_path / "cut.prio"
    output.write_bytes(whole[: int(share * len(whole))])
    priority.write_bytes(clouds[: int(share * 15) // 3 * 3 + 2])
    assert go_on(folder, output, "--priority-out", str(priority)) == 0
    assert output.read_bytes() == whole
    assert priority.read_bytes() == clouds


def test_resuming_after_every_packet(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "whole.pkt").read_bytes()
    stops = [f.stop for f in read_packets(whole)][:-1]  # type: ignore[union-attr]
    for stop in stops[1 :: len(stops) // 3]:
        output = tmp_path / "cut.pkt"
        output.write_bytes(whole[:stop])
        assert go_on(folder, output) == 0
        assert output.read_bytes() == whole


def test_resuming_goes_on_with_the_run_of_the_file(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "boot.pkt"
    scene = ["stream", "--input", str(folder / "scene.bil"), *FORM, *TIMED, "-o", str(output)]
    assert main([*scene, "--run", "7"]) == 0
    whole = output.read_bytes()
    assert bind(load("skybook").tag, 7) in whole
    for share in (0.0, 0.1, 0.7):
        output.write_bytes(whole[: int(share * len(whole))])
        assert go_on(folder, output, *(() if share else ("--run", "7"))) == 0
        assert output.read_bytes() == whole
    output.write_bytes(whole[:-9])
    assert go_on(folder, output, "--run", "8") == 2
    assert output.read_bytes() == whole[:-9]
    for run in ("0", "-1", "16777216"):
        assert main([*scene, "--run", run]) == 2


def test_an_input_that_begins_later(folder: Path, tmp_path: Path) -> None:
    """A buffer on board need only keep the lines that are not yet in the output."""
    whole = (folder / "whole.pkt").read_bytes()
    output = tmp_path / "cut.pkt"
    output.write_bytes(whole[: len(whole) * 3 // 5])
    late = tmp_path / "late.bil"
    late.write_bytes(bil(SCENE[:, 128:]))
    resumed = ["-o", str(output), "--resume", "--first-line"]
    assert main(["stream", "--input", str(late), *FORM, *TIMED, *resumed, "128"]) == 0
    assert output.read_bytes() == whole
    output.write_bytes(whole[: len(whole) // 5])
    assert main(["stream", "--input", str(late), *FORM, *TIMED, *resumed, "128"]) == 2
    assert output.read_bytes() == whole[: len(whole) // 5]


@pytest.mark.parametrize(
    "other", [["--ratio", "14"], ["--scene-id", "9"], ["--packet-bytes", "512"]]
)
def test_resuming_with_other_options_is_refused(
    folder: Path, tmp_path: Path, other: list[str]
) -> None:
    part = (folder / "whole.pkt").read_bytes()[:20_000]
    output = tmp_path / "cut.pkt"
    output.write_bytes(part)
    scene = ["--input", str(folder / "scene.bil")]
    assert main(["stream", *scene, *FORM, *TIMED, "-o", str(output), "--resume", *other]) == 4
    assert part.startswith(output.read_bytes())
    assert len(output.read_bytes()) > len(part) - 1_024


def test_resuming_what_is_damaged_or_ended_is_refused(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "whole.pkt"
    whole = bytearray((folder / "whole.pkt").read_bytes())
    output.write_bytes(whole)
    assert go_on(folder, output) == 2
    extended = whole[:700] + bytes([whole[700] ^ 1]) + whole[701:] + bytes(70_000)
    output.write_bytes(extended)
    assert go_on(folder, output) == 4
    assert output.read_bytes() == extended


def kill_and_resume(folder: Path, output: Path, share: float, seconds: float) -> None:
    """Kill a stream some time after it wrote a share of its bytes, then go on."""
    whole = (folder / "whole.pkt").read_bytes()
    scene = ["--input", str(folder / "scene.bil"), "--strips-at-once", "1"]
    command = [sys.executable, "-m", "onboard", "stream", *scene, *FORM, *TIMED, "-o", str(output)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            if output.exists() and output.stat().st_size >= share * len(whole):
                break
            time.sleep(0.001)
        time.sleep(seconds)
        process.kill()
    left = output.read_bytes()
    assert whole.startswith(left)
    if left != whole:
        assert go_on(folder, output) == 0
    assert output.read_bytes() == whole


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_killed_at_any_moment(folder: Path, tmp_path: Path, share: float) -> None:
    kill_and_resume(folder, tmp_path / "killed.pkt", share, 0.01)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_killed_a_hundred_times(folder: Path, tmp_path: Path, seed: int) -> None:
    share, seconds = np.random.default_rng(seed).uniform((0, 0), (0.9, 0.15))
    kill_and_resume(folder, tmp_path / "killed.pkt", share, seconds)


def test_bytes_need_the_number_of_lines(folder: Path, tmp_path: Path) -> None:
    form = ["--layout", "bil", "--width", str(WIDTH), "--bundle", "skybook"]
    scene, output = ["--input", str(folder / "scene.bil")], tmp_path / "out.pkt"
    budget = ["-o", str(output), "--bytes", "20000"]
    assert main(["stream", *scene, *form, *budget]) == 2
    assert main(["stream", *scene, *form, *budget, "--lines", str(LINES)]) == 0
    assert 19_000 <= output.stat().st_size <= 20_000
    assert main(["stream", *scene, *form, *budget, "--lines", "400"]) == 3
    assert main(["stream", *scene, *form, "-o", str(output), "--lines", "100"]) == 0


def test_json_tells_the_latency(folder: Path, tmp_path: Path) -> None:
    scene, out = ["--input", str(folder / "scene.bil")], ["-o", str(tmp_path / "x.pkt")]
    told = tmp_path / "x.json"
    assert main(["stream", *scene, *FORM, *out, "--json", str(told)]) == 0
    result = json.loads(told.read_text())
    assert result["lines"] == LINES
    assert 0 < result["latency_median_s"] <= result["latency_max_s"] < result["seconds"]
    assert result["bytes"] == (tmp_path / "x.pkt").stat().st_size


def test_how_many_strips_are_coded_together_changes_no_byte() -> None:
    encoder = Encoder(load("skybook"), "numpy")
    streams = [
        b"".join(encoder.encode(SCENE, options=Options(ratio=12, window="strip", strips_at_once=n)))
        for n in (1, 2, 5)
    ]
    assert streams[0] == streams[1] == streams[2]


@pytest.mark.parametrize("ratio", [6, 20, 45, 90])
def test_strips_with_gaps_hang_on_no_other(ratio: float) -> None:
    """Where a strip is coded a second time to fit, nothing of the others comes along."""
    image = SCENE.copy()
    image[:, 64:200, :64] = image[:, 130:192] = 0
    image[:, 205:250, 70:150] = 900
    header = SceneHeader.of(image, nodata=0, tile=64)
    encoder = Encoder(load("skybook"), "numpy")
    made = []
    for together in (1, 5):
        options = Options(ratio=ratio, window="strip", strips_at_once=together, segment_bytes=200)
        made.append(list(encoder.strips(image, header, options)))
    assert made[0] == made[1]
    tiles = [Segment.unpack(part)[0] for strip in made[1] for part in strip.segments]
    found = [s.tile for s in tiles if s.kind == Kind.TILE and s.layer == 0]
    assert found == list(range(15))


def test_one_layer_sends_each_row_layer_by_layer() -> None:
    encoder = Encoder(load("skybook"), "numpy")
    form = PacketOptions(packet_bytes=512)
    options = Options(one_layer=True, ratio=15, window="strip", packets=form)
    for strip in encoder.strips(SCENE, None, options):
        parts = [Segment.unpack(packed)[0] for packed in strip.segments]
        steps = [(part.layer, part.first) for part in parts if part.kind == Kind.TILE]
        assert steps == sorted(steps)


@pytest.mark.parametrize(("ratio", "size"), [(15, 400), (25, 520)])
def test_no_row_falls_to_the_coarsest_step_for_a_few_bytes(ratio: float, size: int) -> None:
    """Sizes go by whole steps of a tile: the search must not stand still just above its budget."""
    encoder = Encoder(load("skybook"), "numpy")
    image = spyndex_scene().image[:, :256]
    form = PacketOptions(packet_bytes=size)
    options = Options(one_layer=True, ratio=ratio, window="strip", packets=form)
    for strip in encoder.strips(image, SceneHeader.of(image, tile=64), options):
        spent = sum(map(len, form.pack(strip.segments, strip.line, 0)))
        assert strip.line == 256 or spent > 0.9 * image.nbytes / 4 / ratio


@pytest.mark.parametrize("size", [128, 256, 65_535])
@pytest.mark.parametrize("control", [False, True])
def test_packets_of_any_size_keep_the_ratio(size: int, control: bool) -> None:
    encoder = Encoder(load("skybook"), "numpy")
    form = PacketOptions(packet_bytes=size, control=control)
    options = Options(segment_bytes=65_551, ratio=12, window="strip", packets=form)
    made = [
        packet
        for strip in encoder.strips(SCENE, None, options)
        for packet in form.pack(strip.segments, strip.line, 0)
    ]
    assert max(map(len, made)) <= size
    assert 0.95 * SCENE.nbytes / 12 <= sum(map(len, made)) <= SCENE.nbytes / 12


def test_a_tile_whose_index_takes_four_bytes_has_two_bytes_less_room() -> None:
    encoder = Encoder(load("skybook"), "numpy")
    header = SceneHeader("u16", 16, 4, 64, 0)
    windows = [SCENE[:, :64, :64], SCENE[:, 64:128, :64]]

    def coded(limit: int, rows: int) -> list[list[Segment]]:
        options = Options(rmse=15, window="strip", segment_bytes=limit, run=1)
        strips = list(encoder.stream(windows, header, options, Progress(rows, 1)))
        assert max(len(packed) for strip in strips for packed in strip.segments) <= limit
        parts = [[Segment.unpack(packed)[0] for packed in s.segments] for s in strips[:2]]
        assert [{s.tile for s in row} for row in parts] == [{rows}, {rows + 1}]
        return parts

    narrow, wide = coded(300, 65_535)
    assert min(len(narrow), len(wide)) > 5
    assert [s.body for s in narrow] == [s.body for s in coded(300, 0)[0]]
    assert [s.body for s in wide] == [s.body for s in coded(298, 0)[1]]


def test_windows_that_do_not_fit() -> None:
    encoder = Encoder(load("skybook"), "numpy")
    header = SceneHeader("u16", 16, 4, WIDTH, 0)
    options = Options(ratio=12, window="strip")

    def streamed(*windows: Any) -> list[Any]:
        return list(encoder.stream(iter(windows), header, options))

    with pytest.raises(InputError, match="150 columns"):
        streamed(SCENE[:, :64, :100])
    with pytest.raises(UsageError, match="followed by another"):
        streamed(SCENE[:, :60], SCENE[:, 60:124])
    with pytest.raises(InputError, match="at least one line"):
        streamed()
    with pytest.raises(UsageError, match="height"):
        list(encoder.stream(iter([SCENE]), header, Options(budget=9_000, window="strip")))


def test_a_short_last_strip_takes_what_earlier_ones_left() -> None:
    encoder = Encoder(load("skybook"), "numpy")
    image = SCENE[:, :193]
    stream = b"".join(encoder.encode(image, options=Options(ratio=25, window="strip")))
    assert len(stream) <= image.nbytes / 25
    line = SCENE[:, :1]
    kept = b"".join(encoder.encode(line, options=Options(ratio=25, window="strip")))
    assert len(kept) > line.nbytes / 25  # a ratio that headers alone pass: written all the same
    with pytest.raises(LimitError, match="budget"):
        list(encoder.encode(line, options=Options(budget=line.nbytes // 25, window="strip")))


def test_a_strip_that_the_file_contradicts_is_not_written(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.bil"
    other.write_bytes(bil(procedural(6, LINES, WIDTH).image))
    output = tmp_path / "cut.pkt"
    output.write_bytes((folder / "whole.pkt").read_bytes()[:9_000])
    code = main(["stream", "--input", str(other), *FORM, *TIMED, "-o", str(output), "--resume"])
    assert code == StreamError.exit_code


@pytest.fixture(scope="module")
def lapped() -> Encoder:
    return Encoder(load("skybook"))


@pytest.mark.parametrize("together", [1, 8])
def test_a_row_of_noise_does_not_end_the_stream(lapped: Encoder, together: int) -> None:
    rng = np.random.default_rng(3)
    noisy = SCENE.copy()
    noisy[:, 64:128] = rng.integers(0, 65_536, noisy[:, 64:128].shape)
    options = Options(ratio=20, window="strip", strips_at_once=together)
    stream = b"".join(lapped.encode(noisy, options=options))
    assert Decoder(find("skybook")).decode(stream).complete


@pytest.mark.parametrize("together", [1, 8])
def test_rows_before_a_fault_are_written(lapped: Encoder, together: int) -> None:
    wrong = np.minimum(SCENE, 4_095)
    wrong[0, 130, 5] = 4_096
    header = SceneHeader("u16", 12, 4, WIDTH, 0, tile=64)
    options = Options(ratio=12, window="strip", strips_at_once=together)
    strips = lapped.strips(wrong, header, options)
    assert [next(strips).line for _ in range(2)] == [0, 64]
    with pytest.raises(InputError, match="12 significant bits"):
        next(strips)


def test_lines_before_a_broken_one_are_written(lapped: Encoder) -> None:
    whole = np.ascontiguousarray(SCENE.transpose(1, 0, 2)).tobytes()
    cut = io.BytesIO(whole[: 150 * WIDTH * 8 + 3])
    lines = LineSource(RawRows("bil", "u16", "little", 4, WIDTH)).strips(cut, 64)
    header = SceneHeader("u16", 16, 4, WIDTH, 0, tile=64)
    strips = lapped.stream(lines, header, Options(ratio=12, window="strip"))
    assert [next(strips).line for _ in range(3)] == [0, 64, 128]
    with pytest.raises(InputError, match="whole lines"):
        next(strips)


def test_names_scale_and_offset_of_raw_lines(folder: Path, tmp_path: Path) -> None:
    """They go into the scene header, and the offset that the header tells leaves the clouds."""
    shifted = np.where(SCENE > 0, SCENE + np.uint16(1_000), 0).astype("<u2")
    (tmp_path / "shifted.bil").write_bytes(bil(shifted))
    out, clouds = tmp_path / "out.pkt", tmp_path / "out.prio"
    words = ["--band-ids", "B02,B03,B04,B08", "--scale", "1e-4", "--offset", "-0.1"]
    output = ["--nodata", "0", "-o", str(out), "--priority-out", str(clouds)]
    arguments = ["stream", "--input", str(tmp_path / "shifted.bil"), *FORM, *TIMED, *output]
    assert main([*arguments, *words]) == 0
    told = clouds.read_bytes()
    first = packets(out.read_bytes())[0]
    (head, *_) = next(iter(read_packets(first.pack()))).segments  # type: ignore[union-attr]
    header = SceneHeader.unpack(head.body)
    assert header.band_ids == ("B02", "B03", "B04", "B08")
    assert header.facts.calibration == ((1e-4, -0.1),)
    assert main(arguments) == 0
    assert clouds.read_bytes() == told
    assert len(set(told)) > 1


@pytest.mark.parametrize(
    "words",
    [
        ["--band-ids", "B02,B03"],
        ["--scale", "1e-4"],
        ["--offset", "-0.1"],
        ["--scale", "0", "--offset", "0"],
        ["--scale", "nan", "--offset", "0"],
        ["--scale", "1", "--offset", "inf"],
    ],
)
def test_words_that_do_not_fit_raw_lines(folder: Path, tmp_path: Path, words: list[str]) -> None:
    output = ["-o", str(tmp_path / "x.pkt")]
    assert main(["stream", "--input", str(folder / "scene.bil"), *FORM, *output, *words]) == 2
