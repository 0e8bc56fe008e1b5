"""The codecs as this tree has them."""

from pathlib import Path

import pytest

pytest.importorskip("zarr")


@pytest.fixture(scope="session", autouse=True)
def registered() -> None:
    """Let zarr and numcodecs know the codecs."""
    from tests.ground.chunks.entrypoints import register

    register()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "a.zarr"
