"""A folder of a recording, Zarrs and what must not be served."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

import ground
import onboard
from ground.api.source import Choice
from ground.chunks.cubes import compress
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.serve.library import Library
from ground.serve.requests import answer
from ground.serve.server import Server
from onboard.link.facts import Facts
from onboard.link.segment import Kind, unpack_segments

PLACE = (600000.0, 10.0, 0.0, 4500000.0, 0.0, -10.0)
SECRET = b"what is beside the folder"


@dataclass(frozen=True)
class Served:
    """A server that runs, its folder, and what `ground.decode` makes of the recording."""

    server: Server
    folder: Path
    whole: object


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`in/`: a recording with a lost tile, a Zarr in our codec; beside it a secret."""
    image = procedural(6, 300, 420).image.astype(np.uint16)
    image[:, :20] = 0
    names, facts = ("B02", "B03", "B04", "B08"), Facts(((1e-4, -0.1),))
    scene = Scene(image, 0, PLACE, "EPSG:32633", names, facts, None, (2_145_916_837, 0))
    header = replace(scene.header(), tile=64)
    stream = onboard.encode(image, header=header, ratio=20)
    lost = [s for s in unpack_segments(stream) if s.kind != Kind.TILE or s.tile != 12]
    beside = tmp_path_factory.mktemp("served")
    found = beside / "in"
    (found / "sub dir").mkdir(parents=True)
    (found / "sub dir" / "a.sky").write_bytes(b"".join(s.pack() for s in lost))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cube = ground.decode(stream, linear=True)
        compress(cube, {"y": 256, "x": 256}, max_error=2).to_zarr(found / "c.zarr", zarr_format=3)
    for name in ("secret.sky", "secret.txt"):
        (beside / name).write_bytes(SECRET)
    (found / "notes.txt").write_bytes(SECRET)
    (found / "damaged.sky").write_bytes(b"SK" + bytes(99))
    (found / "link.sky").symlink_to(beside / "secret.sky")
    (found / "linked").symlink_to(beside)
    return found


@pytest.fixture(scope="package")
def served(folder: Path) -> Iterator[Served]:
    """The folder, served."""
    library = Library.of(folder, Choice(linear=True), 64 << 20)
    whole = ground.decode((folder / "sub dir" / "a.sky").read_bytes(), linear=True)
    with Server(partial(answer, library), "127.0.0.1", 0) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Served(server, folder, whole)
        server.shutdown()
