"""Frame files in a watched folder: products of them without a separate ingest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

import ground
from ground.station.frames import FrameForm
from ground.watch.framefiles import Frames
from ground.watch.monitor import Monitor
from ground.watch.service import Plan, Service
from onboard.link.segment import Segment
from tests.ground.station.test_foreign import kiss
from tests.ground.station.test_frames import cadus, frames_of
from tests.ground.watch.conftest import Watched, stream
from tests.ground.watch.test_service import packets

TM = FrameForm("tm", 220, crc=True)
AOS = FrameForm("aos", 220, crc=True)


class Framed(Watched):
    """A service that is told what frames are like."""

    def __init__(self, folder: Path, frames: Frames | None) -> None:
        super().__init__(folder)
        plan = Plan([self.source], self.output, 1e5, linear=True, frames=frames)
        self.service = Service(plan, Monitor())


def image_of(path: Path) -> Any:
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("form", [TM, AOS])
@pytest.mark.parametrize("kind", ["cadu", "back to back", "kiss"])
def test_frames_become_products(
    tmp_path: Path, segments: tuple[Segment, ...], form: FrameForm, kind: str
) -> None:
    watched, whole = Framed(tmp_path, Frames(form)), stream(segments, 7)
    frames = frames_of(packets(whole), form)
    (watched.source / "deep").mkdir()
    if kind == "kiss":
        (watched.source / "a.kiss").write_bytes(kiss(frames))
    else:
        content = cadus(frames) if kind == "cadu" else b"".join(frames)
        (watched.source / "deep" / f"a.{form.kind}").write_bytes(content)
    (name,) = watched.look()
    np.testing.assert_array_equal(
        image_of(watched.output / name), ground.decode(whole, linear=True).image
    )
    assert watched.counts["complete"] == 1


def test_frames_that_come_late_make_a_better_product(
    tmp_path: Path, segments: tuple[Segment, ...]
) -> None:
    watched = Framed(tmp_path, Frames(TM))
    content = cadus(frames_of(packets(stream(segments, 7)), TM))
    path = watched.source / "a.cadu"
    path.write_bytes(content[: len(content) // 2])
    watched.look()
    watched.quieten()
    (name,) = watched.look()
    assert watched.counts["complete"] == 0
    path.write_bytes(content)
    assert watched.look() == [name]
    assert watched.counts["complete"] == 1


def test_what_was_read_is_not_read_again(
    tmp_path: Path, segments: tuple[Segment, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    watched = Framed(tmp_path, Frames(TM))
    path = watched.source / "a.cadu"
    path.write_bytes(cadus(frames_of(packets(stream(segments, 7)), TM)))
    (name,) = watched.look()
    (recording,) = (watched.output / ".watch" / "frames").glob("*.pkt")
    stamp = recording.stat().st_mtime_ns, (watched.output / name).stat().st_mtime_ns
    watched.service.journal.close()
    again = Framed(tmp_path, Frames(TM))  # as after a kill
    assert again.look() == [name]
    assert (recording.stat().st_mtime_ns, (watched.output / name).stat().st_mtime_ns) == stamp
    again.service.journal.close()
    other = Framed(tmp_path, Frames(TM, channel=2))  # told otherwise, it is read anew
    assert other.look() == [name]
    assert "no whole packet" in capsys.readouterr().out


def test_channels_and_spacecraft_are_chosen(tmp_path: Path, segments: tuple[Segment, ...]) -> None:
    watched = Framed(tmp_path, Frames(TM, spacecraft=0x2A, channel=2))
    both = [
        *frames_of(packets(stream(segments, 7)), TM),
        *frames_of(packets(stream(segments, 8)), TM, virtual=2),
        *frames_of(packets(stream(segments, 9)), TM, spacecraft=7, virtual=2),
    ]
    (watched.source / "a.tm").write_bytes(cadus(both))
    (name,) = watched.look()
    assert name.startswith("scene-00008-")


def test_a_file_that_grows_is_read_when_much_is_new_or_it_rests(
    tmp_path: Path, segments: tuple[Segment, ...]
) -> None:
    watched = Framed(tmp_path, Frames(TM))
    content = cadus(frames_of(packets(stream(segments, 7)), TM))
    path, read = watched.source / "a.cadu", watched.service._frames.read
    part = len(content) // 2
    path.write_bytes(content[:part])
    assert read(path) is not None
    path.write_bytes(content[: part + part // 10])
    assert read(path) is None  # a tenth more, and it may still grow
    assert read(path) is not None  # it rests
    assert read(path) is None
    path.write_bytes(content)
    counts = read(path)
    assert counts is not None
    assert counts["packets"] == len(packets(stream(segments, 7)))


def test_what_cannot_be_read_is_told_once(
    tmp_path: Path, segments: tuple[Segment, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    content = cadus(frames_of(packets(stream(segments, 7)), TM))
    for number, (frames, words) in enumerate(
        ((None, "--frames tm or aos"), (Frames(FrameForm("tm", 300, crc=True)), "no whole packet"))
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        watched = Framed(folder, frames)
        (watched.source / "a.cadu").write_bytes(content)
        assert watched.look() == watched.look() == []
        said = capsys.readouterr().out
        assert said.count("refused") == 1
        assert words in said
        watched.service.journal.close()
