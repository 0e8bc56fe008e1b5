"""The service as a process: killed while it works, it loses nothing and makes nothing twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import rasterio

from onboard.link.segment import Segment
from tests.conftest import ROOT
from tests.ground.watch.conftest import stream

Segments = tuple[Segment, ...]
LONGEST = 300
"""Seconds that anything may take."""
MOST_GROWTH = 24_000
"""KiB that the service may grow by in 700 scenes."""


@contextmanager
def service(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `ground watch`; it is killed at the end, if it still runs."""
    command = [sys.executable, "-m", "ground", "watch", str(folder / "in")]
    options = ["-o", str(folder / "out"), "--linear", "--port", "0", "--quiet", "100000"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([*command, *options], cwd=ROOT, stderr=log)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def products(folder: Path) -> list[str]:
    """Names of the items, which come last of all that is published of a scene."""
    return sorted(path.name for path in (folder / "out").glob("*.json"))


def events(folder: Path) -> list[dict[str, Any]]:
    """All that was logged; a line that a kill cut is left out."""
    found = []
    for line in (folder / "log").read_text().splitlines():
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def wait_for(folder: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Wait for so many products, as long as there are more and more."""
    there, until = 0, time.monotonic() + LONGEST
    while (found := len(products(folder))) < count:
        assert process.poll() is None, (folder / "log").read_text()[-2_000:]
        if found > there:
            there, until = found, time.monotonic() + LONGEST
        assert time.monotonic() < until
        time.sleep(0.02)


def deliver(folder: Path, scenes: range, segments: Segments) -> None:
    """Let recordings appear: some of several scenes, and one that is half written at first."""
    for first in range(scenes.start, scenes.stop, 4):
        some = range(first, min(first + 4, scenes.stop))
        content = b"".join(stream(segments, scene_id) for scene_id in some)
        path = folder / "in" / f"{first:05}.sky"
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
            file.flush()
            file.write(content[len(content) // 2 :])


def check(folder: Path, count: int) -> None:
    """Each scene has a product that can be read, all there is beside it, and nothing is left."""
    assert len(products(folder)) == count
    names = Counter(path.suffix for path in (folder / "out").iterdir())
    assert names == {"": 1, ".json": count, ".tif": 2 * count, ".xml": count}
    for scene_id in range(count):
        (path,) = (folder / "out").glob(f"scene-{scene_id:05}-????????.tif")
        with rasterio.open(path) as dataset:
            assert dataset.tags(ns="SKYBOOK")["SKYBOOK_COMPLETE"] == "yes"
            assert dataset.checksum(1)
    published = Counter(e["scene"] for e in events(folder) if e["event"] == "published")
    killed = sum(event["event"] == "started" for event in events(folder)) - 1
    assert sum(published.values()) <= count + killed  # what a kill cut short was made again
    assert events(folder)[-1]["event"] == "stopped"
    assert events(folder)[-1]["complete"] == events(folder)[-1]["heard"] == count
    assert not [event for event in events(folder) if event["event"] in ("failed", "refused")]


def test_20_scenes_survive_two_kills(tmp_path: Path, segments: Segments) -> None:
    (tmp_path / "in").mkdir()
    deliver(tmp_path, range(8), segments)
    with service(tmp_path) as process:
        wait_for(tmp_path, 3, process)
        process.kill()
    whole = stream(segments, 8)
    (tmp_path / "in" / "late.sky").write_bytes(whole[: len(whole) // 2])
    deliver(tmp_path, range(9, 20), segments)
    with service(tmp_path) as process:
        wait_for(tmp_path, 11, process)
        process.kill()
    (tmp_path / "in" / "late.sky").write_bytes(whole)
    with service(tmp_path) as process:
        wait_for(tmp_path, 20, process)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(LONGEST) == 0
    check(tmp_path, 20)


def resident(process: subprocess.Popen[bytes]) -> int:
    """Resident memory, KiB."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1])


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_1000_scenes_take_no_more_memory_than_300(tmp_path: Path, segments: Segments) -> None:
    (tmp_path / "in").mkdir()
    with service(tmp_path) as process:
        deliver(tmp_path, range(100), segments)
        wait_for(tmp_path, 60, process)
        process.kill()
    sizes = []
    with service(tmp_path) as process:
        for first in range(100, 1_000, 100):
            deliver(tmp_path, range(first, first + 100), segments)
            wait_for(tmp_path, first + 100, process)
            sizes.append(resident(process))
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(LONGEST) == 0
    print("resident KiB:", sizes)
    assert sizes[-1] - sizes[1] < MOST_GROWTH
    check(tmp_path, 1_000)
