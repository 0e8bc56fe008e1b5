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
    "plain.sky": "1c209502e0842394d97e88f8567b00b7db92601bed598dca0c376317336336c2",
    "large.sky": "98eff1d0cc50b2e29805d3386fd5a49802086db8c577dea97d6a8d0ba0b08b61",
    "trellis.sky": "def36ebb1797e4ee430d9d96a877a2479c29641708bef860d23c7378e9204bfa",
    "one-layer.sky": "a84db409be757545ee6f7bd4a888b10fba36748995860b1677f9a70999856c8a",
    "packets.pkt": "eb64c22440e2d772e229c961b1c408580f6cadc986e5193861724ea5de828777",
}
"""SHA-256 of each stream with the run that is chosen for it."""

WITHOUT_RUN = {
    "plain.sky": "3f93105174309fa98295e4bbaf13b1cb02e75eb353f73dffc4432084e29ed79d",
    "large.sky": "24d564ba1dddb119879350450bb84962646b607027f86f7e0e464aa5648181ec",
    "trellis.sky": "267a488f9b360b29c3b4d52fee2bb637691df16efadd398714edb515538c9325",
    "one-layer.sky": "cda0e0ded1bb73526864d549e7a0e531c15b4c4cc59e61af9031df00a07b70d4",
    "packets.pkt": "5c7d60aee12157b8164a2de51a5ad73c0786cbe9df19cab45c52a17a39bd8b27",
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


GROUPS = "ac84c25e32a89d2cf7721fce4a331ed5dfce9e1d5f97d7f013e2006cf422f21c"
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
