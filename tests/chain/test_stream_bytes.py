"""Streams of the demo scene keep their bytes, whatever is rebuilt inside."""

import hashlib
from pathlib import Path

import pytest

from tests.conftest import Run

STREAMS = {
    "plain.sky": ("9d833ef086aa8c6ddc6d8014f9976fee071a83f3ae72ff2fae9858ba1ec89e2a", ()),
    "trellis.sky": (
        "b2582ec41f6435ba69c820ba4aed0a16c09406337ca7895d67e259fabb2bd4cc",
        ("--trellis",),
    ),
    "one-layer.sky": (
        "eb0a9a2af56e6581d79b3a048d979391c84ead813f2d81d4f1a9c2f1273f370f",
        ("--one-layer",),
    ),
    "packets.pkt": (
        "764687505ab3e0b3dbe9befb80abfd220d1ce258ca9223795ec41c510bee54ce",
        ("--start-time", "2026-11-29T10:00:00", "--line-period", "0.0015"),
    ),
}
"""SHA-256 of each stream, and the options that it is encoded with."""


@pytest.mark.parametrize("name", STREAMS)
def test_demo_scene_has_the_same_bytes(run: Run, tmp_path: Path, name: str) -> None:
    digest, options = STREAMS[name]
    assert run("ground", "scene", "spyndex", "-o", "scene.tif").returncode == 0
    done = run("ground", "encode", "scene.tif", "--bundle", "skybook-s2", *options, "-o", name)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
