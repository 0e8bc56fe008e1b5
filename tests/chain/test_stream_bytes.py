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
    "plain.sky": "438f58b4cfca8d73e49656d0ac4a34bc0e3a4e6f68f8883b4d94fee927c35dd6",
    "large.sky": "98aef35854ee59f70934455d5e07ffb1b44983af7d10afccaddee8b5b2cc5f12",
    "trellis.sky": "8b6f9ac92a9bbeb8c1b8eb97af9c8f0fb47e9d34326b08341d309126df6f0d08",
    "one-layer.sky": "9c0b1ec33bbf5b9a419bf7c04de72cc1d7d140c6ed6e4eace432331d6b46b31d",
    "packets.pkt": "a597817da7dcb42e929dc0f8c44111687a9886e4e26088ad82a3350bfaec404b",
}
"""SHA-256 of each stream with the run that is chosen for it."""

WITHOUT_RUN = {
    "plain.sky": "c2376f8cfaad6dc92c23c9e22a30fc5068a97b686496e7a31d159b8b37fa12ff",
    "large.sky": "98533bf716e9772889eb551aaa093646ebd7b8959eab7a99c4b0e3473a637e4d",
    "trellis.sky": "32e183d191590cf75c341da8bb585c33b7d4db4885a4c3dc9c3e098c2d215329",
    "one-layer.sky": "98ca4c28628c82a2e728f3ebbfed8cc41b254750adfc33dc36d508517bcf4e6f",
    "packets.pkt": "6d8575cc2ae4f8fef43214e851d7a71c679f4517ce56f9880a07ec8a7a9a7f65",
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


GROUPS = "d1eb23641f7a7a77b738b266bf8455064ffc23ecb01d2521387ddfcc689fc61e"
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
