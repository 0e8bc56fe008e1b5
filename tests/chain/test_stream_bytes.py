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
    "plain.sky": "9cd7104b42f294d3e5f8d17d6ed2da9860bf0a8cef43f24d4450d0f0f7b15eeb",
    "large.sky": "909fdc7842bc9c835627bf26d51cf3b264ca6db968d8b5972e69b6331b66421a",
    "trellis.sky": "def36ebb1797e4ee430d9d96a877a2479c29641708bef860d23c7378e9204bfa",
    "one-layer.sky": "ce314c5a3538af5d82d13931e7be8269539812267755dbd3c86e31ae9aa10067",
    "packets.pkt": "8d1a3a8f94a0e7092703548dc05f9bc85e292df1b09443a8200aa33d730f8480",
}
"""SHA-256 of each stream with the run that is chosen for it."""

WITHOUT_RUN = {
    "plain.sky": "0d42025087a143cb5d21f908991edb87874b49e3f9d9d8a16dfeca4f54350abe",
    "large.sky": "d9c4977cb991f88c6f983db234c3f8a0ac1f21ddd3c6998a9ca39f2a8efe0d11",
    "trellis.sky": "267a488f9b360b29c3b4d52fee2bb637691df16efadd398714edb515538c9325",
    "one-layer.sky": "0eac7cb3c3e00ef3c69f7e3b7c02ebef83d1a1ed74ca99bad37ceeac4234d796",
    "packets.pkt": "de85d63d5d8b1b0d288e9e1f3d8b565e1d709b3b94d02a9d99b826c9f4cf207f",
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


GROUPS = "45999048b0bce2f080113744081dfefc7e0c68f267df792cc55d5f9e14a0f42a"
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
