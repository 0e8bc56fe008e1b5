"""The entry points of this tree as an installed package has them, for processes of tests."""

import tomllib
from pathlib import Path

import numcodecs.registry
from zarr.registry import register_codec

from ground.chunks.numcodec import Skybook
from ground.chunks.serializer import NAME, SkybookCodec
from tests.conftest import ROOT


def register() -> None:
    """Let zarr and numcodecs of this process know the codecs, whatever is installed."""
    register_codec(NAME, SkybookCodec)
    numcodecs.registry.register_codec(Skybook)


def install(folder: Path) -> Path:
    """Write what zarr and numcodecs look for into a folder to be put on PYTHONPATH."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = folder / f"skybook-{project['version']}.dist-info"
    found.mkdir(parents=True)
    lines = []
    for group, names in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {place}" for name, place in names.items()), ""]
    (found / "entry_points.txt").write_text("\n".join(lines))
    words = f"Metadata-Version: 2.1\nName: skybook\nVersion: {project['version']}\n"
    (found / "METADATA").write_text(words)
    return folder
