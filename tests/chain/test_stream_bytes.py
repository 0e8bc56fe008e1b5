"""Streams of the demo scene keep their bytes, whatever is rebuilt inside."""

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from ground.products import geotiff
from ground.scene import fitted
from onboard.bundle import load
from onboard.commands.options import add_encode_options, cuc_time, encode_options
from onboard.downlink.recorder import Recorder
from onboard.encoder import Encoder
from onboard.link.segment import LEAST_OVERHEAD, TAG_BYTES
from tests.conftest import Run

STREAMS = {
    "plain.sky": (),
    "trellis.sky": ("--trellis",),
    "one-layer.sky": ("--one-layer",),
    "packets.pkt": ("--start-time", "2026-11-29T10:00:00", "--line-period", "0.0015"),
}
"""Options that each stream is encoded with."""

WITH_RUN = {
    "plain.sky": "b4a77b5c6f3ee976571a56ca2379713bb30e0e0a4d429e0bbd72f21d67507b4d",
    "trellis.sky": "54957d197736d44e39a5e62726b3f447a3cbeebe2ed1536aab307557589ec2e6",
    "one-layer.sky": "49a55cfbf70c2f294c8a457f7e13fbb84e45bea421555e758327bf0580a966e3",
    "packets.pkt": "5fa4a462e19e67a9ad8bea0629156986e280f50a19956f3916a4917f1dcc147c",
}
"""SHA-256 of each stream with the run that is chosen for it."""

WITHOUT_RUN = {
    "plain.sky": "87ea1f62c6a9b679469b1bd147404041ec8b146c61b49bb0a14d70807ab4500c",
    "trellis.sky": "c1c3faf2d27a7868a6465c59e3850079625f6734968b422dc23e82265508b028",
    "one-layer.sky": "1bd61141fde3565e77e25e02a27d839a6d83b48f8bbdb11b41434a0b695d0670",
    "packets.pkt": "5e29a273ce1b52f8be33e25d028ed82b73d5593f548c4143ab409a05c70d1508",
}
"""SHA-256 of each stream without one, as they were before there were runs."""


@pytest.mark.parametrize("name", STREAMS)
def test_demo_scene_has_the_same_bytes(run: Run, tmp_path: Path, name: str) -> None:
    assert run("ground", "scene", "spyndex", "-o", "scene.tif").returncode == 0
    arguments = ("scene.tif", "--bundle", "skybook", *STREAMS[name], "-o", name)
    done = run("ground", "encode", *arguments)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == WITH_RUN[name]
    stream = without_run(tmp_path / "scene.tif", name)
    assert hashlib.sha256(stream).hexdigest() == WITHOUT_RUN[name]


def without_run(path: Path, name: str) -> bytes:
    """Return what `ground encode` would write of a scene if its encoding had no run."""
    parser = argparse.ArgumentParser()
    add_encode_options(parser)
    arguments = parser.parse_args(["--bundle", "skybook", "-o", name, *STREAMS[name]])
    options = encode_options(arguments, arguments.rate_window, name.endswith(".pkt"))
    scene = geotiff.read(path)
    header = replace(scene.header(), start_time=cuc_time(arguments.start_time))
    header, _ = fitted(header, options.segment_limit - LEAST_OVERHEAD - TAG_BYTES)
    stream = path.with_name(f"without-run-{name}")
    with stream.open("wb") as file:
        recorder = Recorder(file, options.packets)
        strips = Encoder(load("skybook")).strips(scene.image, header, replace(options, run=0))
        for strip in strips:
            recorder.record(strip)
    return stream.read_bytes()
