"""The codecs as this tree has them, whatever is installed."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def registered() -> None:
    """Let zarr and numcodecs of this process know the codecs without an entry point."""
    pytest.importorskip("zarr")
    import numcodecs.registry
    from zarr.registry import register_codec

    from ground.chunks.numcodec import Skybook
    from ground.chunks.serializer import NAME, SkybookCodec

    register_codec(NAME, SkybookCodec)
    numcodecs.registry.register_codec(Skybook)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "a.zarr"
