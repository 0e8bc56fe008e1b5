"""A folder of passes that is looked at: a scene with losses, another, and the original of one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import ground
import onboard
from ground.api.source import Choice
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.serve.library import Library
from ground.serve.server import Server
from ground.viewer.requests import Viewer
from onboard.link.segment import Kind, unpack_segments

SECRET = b"what is beside the folder"
NAMES = ("B02", "B03", "B04", "B08")
LOST = 12
"""Tile of scene 7 of which nothing came: rows 64 to 127, columns 320 to 383."""


@dataclass(frozen=True)
class Looked:
    """A server that runs, what it looks at, and what `ground.decode` makes of scene 7."""

    server: Server
    viewer: Viewer
    folder: Path
    original: NDArray[np.uint16]
    whole: Any


@pytest.fixture(scope="package")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Looked]:
    """`pass.sky` with scenes 7 and 8, of which 7 has an original."""
    beside = tmp_path_factory.mktemp("looked")
    folder = beside / "in"
    folder.mkdir()
    image = procedural(6, 300, 420).image.astype(np.uint16)
    image[:, :20] = 0
    scene = Scene(image, 0, None, None, NAMES)
    header = replace(scene.header(), tile=64)
    stream = onboard.encode(image, header=header, ratio=20, scene_id=7)
    kept = [s for s in unpack_segments(stream) if s.kind != Kind.TILE or s.tile != LOST]
    lost = b"".join(segment.pack() for segment in kept)
    small = onboard.encode(image[:2, :90, :80], ratio=20, scene_id=8)
    (folder / "pass.sky").write_bytes(lost + small)
    (folder / "damaged.sky").write_bytes(b"SK" + bytes(99))
    (beside / "secret.sky").write_bytes(SECRET)
    (folder / "link.sky").symlink_to(beside / "secret.sky")
    viewer = Viewer.of(Library.of(folder, Choice(linear=True), 64 << 20), scene)
    whole = ground.decode(lost, linear=True)
    with Server(viewer.answer, "127.0.0.1", 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Looked(server, viewer, folder, image, whole)
        server.shutdown()
