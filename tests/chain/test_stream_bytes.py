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
    "plain.sky": "d9c88d37496cf27a3da980a675f8bf0bc677a5f5c568bb0b982e21b48c6fab30",
    "trellis.sky": "3297183cb6c177f6925afbc0d4104b60f0c784f3c6c54926d3863ca9b7356baf",
    "one-layer.sky": "0146ed743af71e7a1505a3f3bf45987d1865b4eb0003b857f1c74fdc26302caa",
    "packets.pkt": "d3a9df1ad3b6c92958e2b6f8eee296bf9145af8f34fc78a0e301bbbfd9872c9f",
}
"""SHA-256 of each stream with the run that is chosen for it."""

WITHOUT_RUN = {
    "plain.sky": "9d833ef086aa8c6ddc6d8014f9976fee071a83f3ae72ff2fae9858ba1ec89e2a",
    "trellis.sky": "b2582ec41f6435ba69c820ba4aed0a16c09406337ca7895d67e259fabb2bd4cc",
    "one-layer.sky": "42ec9f89d591cf3ec9479eac3c837b873f932bbca77fd87b3d5b69447a224f7e",
    "packets.pkt": "764687505ab3e0b3dbe9befb80abfd220d1ce258ca9223795ec41c510bee54ce",
}
"""SHA-256 of each stream without one, as they were before there were runs."""


@pytest.mark.parametrize("name", STREAMS)
def test_demo_scene_has_the_same_bytes(run: Run, tmp_path: Path, name: str) -> None:
    assert run("ground", "scene", "spyndex", "-o", "scene.tif").returncode == 0
    arguments = ("scene.tif", "--bundle", "skybook-s2", *STREAMS[name], "-o", name)
    done = run("ground", "encode", *arguments)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == WITH_RUN[name]
    stream = without_run(tmp_path / "scene.tif", name)
    assert hashlib.sha256(stream).hexdigest() == WITHOUT_RUN[name]


def without_run(path: Path, name: str) -> bytes:
    """Return what `ground encode` would write of a scene if its encoding had no run."""
    parser = argparse.ArgumentParser()
    add_encode_options(parser)
    arguments = parser.parse_args(["--bundle", "skybook-s2", "-o", name, *STREAMS[name]])
    options = encode_options(arguments, arguments.rate_window, name.endswith(".pkt"))
    scene = geotiff.read(path)
    header = replace(scene.header(), start_time=cuc_time(arguments.start_time))
    header, _ = fitted(header, options.segment_limit - LEAST_OVERHEAD - TAG_BYTES)
    stream = path.with_name(f"without-run-{name}")
    with stream.open("wb") as file:
        recorder = Recorder(file, options.packets)
        strips = Encoder(load("skybook-s2")).strips(scene.image, header, replace(options, run=0))
        for strip in strips:
            recorder.record(strip)
    return stream.read_bytes()
