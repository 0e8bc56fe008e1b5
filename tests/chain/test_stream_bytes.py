"""Streams of the demo scene keep their bytes, whatever is rebuilt inside."""

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ground.products import geotiff
from ground.scene import fitted
from onboard.bundle import load
from onboard.commands.options import add_encode_options, cuc_time, encode_options
from onboard.downlink.recorder import Recorder
from onboard.encoder import Encoder, Options
from onboard.link.segment import LEAST_OVERHEAD, TAG_BYTES
from tests.conftest import Run

STREAMS = {
    "plain.sky": ("--tile", "64"),
    "large.sky": (),
    "trellis.sky": ("--trellis", "--tile", "128"),
    "one-layer.sky": ("--tile", "64", "--one-layer"),
    "packets.pkt": ("--tile=64", "--start-time=2026-11-29T10:00:00", "--line-period=0.0015"),
}
"""Options that each stream is encoded with."""

WITH_RUN = {
    "plain.sky": "6c9c730eccf84941c3f539295c78f22ca9dd094a7a00ca872f8547baa33f054e",
    "large.sky": "e8114ffa398d73a8f40f4a75047c068de06d3aea4d7ed478e7ab4769b9c01240",
    "trellis.sky": "def36ebb1797e4ee430d9d96a877a2479c29641708bef860d23c7378e9204bfa",
    "one-layer.sky": "95c572b5f3867de19463be1ee383b1239a8ea7779cf468e469b0c08e906c3673",
    "packets.pkt": "d08c1c425d7891a3b1227919b5e5229ee6094c581ea3a6276a78c6df4f01211f",
}
"""SHA-256 of each stream with the run that is chosen for it."""

WITHOUT_RUN = {
    "plain.sky": "0a3938aa310e7e446e0ba6ac4b5a3dc06fbed259a39b7ee9f917196b8ec41a72",
    "large.sky": "0f4d6fd88f81ba94d5d55c07c0d6efeb637c9b16948a4ba3ca4891dbf814e769",
    "trellis.sky": "267a488f9b360b29c3b4d52fee2bb637691df16efadd398714edb515538c9325",
    "one-layer.sky": "e2a45b45b664584d1e48a1e70ce57303773e0db763ab31f6e6cf7d4c21d3eb45",
    "packets.pkt": "e1cc6ac882c529b4099e472be603357a6501d23ee79b3d144a9a1e506345ff12",
}
"""SHA-256 of each stream without one; but in large tiles, as they were before there were runs."""


@pytest.mark.parametrize("name", STREAMS)
def test_demo_scene_has_the_same_bytes(run: Run, tmp_path: Path, name: str) -> None:
    assert run("ground", "scene", "spyndex", "-o", "scene.tif").returncode == 0
    arguments = ("scene.tif", "--bundle", "skybook", *STREAMS[name], "-o", name)
    done = run("ground", "encode", *arguments)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == WITH_RUN[name]
    stream = without_run(tmp_path / "scene.tif", name)
    assert hashlib.sha256(stream).hexdigest() == WITHOUT_RUN[name]


GROUPS = "986044224623e43191bdc95f33178bbda3538bc2f1c206c2fa7a031cf3d89bfc"
"""SHA-256 of the segments of a scene of 20 bands."""


def test_bands_in_groups_have_the_same_bytes() -> None:
    band, row, col = np.indices((20, 100, 150))
    image = (1_000 + 60 * band + (row * (band + 3) >> 2) + (row * col >> 5) % 90).astype(np.uint16)
    segments = Encoder(load("skybook")).encode(image, options=Options(budget=20_000, run=0))
    assert hashlib.sha256(b"".join(segments)).hexdigest() == GROUPS


def without_run(path: Path, name: str) -> bytes:
    """Return what `ground encode` would write of a scene if its encoding had no run."""
    parser = argparse.ArgumentParser()
    add_encode_options(parser)
    arguments = parser.parse_args(["--bundle", "skybook", "-o", name, *STREAMS[name]])
    scene = geotiff.read(path)
    header = replace(scene.header(), start_time=cuc_time(arguments.start_time), tile=arguments.tile)
    options = encode_options(arguments, arguments.rate_window, name.endswith(".pkt"), header)
    header, _ = fitted(header, options.segment_limit - LEAST_OVERHEAD - TAG_BYTES)
    stream = path.with_name(f"without-run-{name}")
    with stream.open("wb") as file:
        recorder = Recorder(file, options.packets)
        strips = Encoder(load("skybook")).strips(scene.image, header, replace(options, run=0))
        for strip in strips:
            recorder.record(strip)
    return stream.read_bytes()
