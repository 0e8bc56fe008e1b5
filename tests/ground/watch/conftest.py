"""Small scenes, many of one that was encoded once, and a service that is told to look."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import onboard
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.watch.monitor import Monitor
from ground.watch.service import Plan, Service
from onboard.link.segment import Segment, unpack_segments

pytest.importorskip("structlog")
PLACE = (600000.0, 10.0, 0.0, 4500000.0, 0.0, -10.0)


@pytest.fixture(scope="package")
def segments() -> tuple[Segment, ...]:
    """A scene of 2 x 3 tiles."""
    image = procedural(6, 100, 150).image.astype(np.uint16)
    scene = Scene(image, None, PLACE, "EPSG:32633", start_time=(2_145_916_837, 0))
    return unpack_segments(onboard.encode(image, header=scene.header(), ratio=20))


def stream(segments: tuple[Segment, ...], scene_id: int) -> bytes:
    """The same scene under another id."""
    return b"".join(replace(segment, scene_id=scene_id).pack() for segment in segments)


class Watched:
    """A service over two folders, with a clock of its own."""

    def __init__(self, folder: Path, quiet: float = 1e5, suffix: str = ".tif") -> None:
        self.source, self.output = folder / "in", folder / "out"
        self.source.mkdir(exist_ok=True)
        plan = Plan([self.source], self.output, quiet, suffix, linear=True)
        self.service = Service(plan, Monitor())

    def look(self) -> list[str]:
        """Read what is new, make all that is due; return the products there are."""
        self.service.scan()
        while self.service.make():
            pass
        return sorted(path.name for path in self.output.glob("scene-?????-????????.[tnz]*"))

    def quieten(self) -> None:
        """Let the time pass after which a pass is over."""
        self.service._quiet = -1.0

    @property
    def counts(self) -> dict[str, int]:
        return self.service.journal.counts()


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)
