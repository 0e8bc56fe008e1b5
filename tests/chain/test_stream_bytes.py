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
    "plain.sky": "309ea1332099acae36a86f73b44098fba4783657e3aa9f999da9b6c1827db47f",
    "large.sky": "ae4ac3f47cdc7b8e4b86123a33ec4efad90fd97158bda507d8b0a511d0247d53",
    "trellis.sky": "52f740d67927b2483b29491d59dbecc81608e9ec88fc6a4644dd559f784453fe",
    "one-layer.sky": "5ead88549620417d21039d2e4f7275109bd79b0f7e340e2ee4652b3f56fdbc4d",
    "packets.pkt": "89ce04e038f5f29879f6f51368981fa36ec8f8eb9f6caf0b37e2f1cf794bd51f",
}
"""SHA-256 of each stream with the run that is chosen for it."""

WITHOUT_RUN = {
    "plain.sky": "5944b74e9251489ae1c7322a63d41f36021cfd3687a2f7789de8ec8ef1133279",
    "large.sky": "2d93c24eb91de77c2a618401bd38be6afb5afd175524d3fcc1dedc16efb86076",
    "trellis.sky": "460fc1696bfe157c32cbeeeec7323c468a87a13faee7aa22d3d5ec3ad09dc01d",
    "one-layer.sky": "abfe866beb9664e60edcc9850a750e6ed6adbd9ac41f2f55b41d3e338e5ca13f",
    "packets.pkt": "ccd0b93bf93a0abcf50bf1759633350b7e4f8609094e94efda57a8301cf0f459",
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


GROUPS = "6d34c376d3bb2d63636258391efeabb9c26d208b478940caad76b2442fce5a67"
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
