"""What pages and notebooks tell Python users to type, typed."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ground
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.encoder import Encoder, Options
from onboard.link.packet import PacketOptions
from tests.conftest import ROOT

pytest.importorskip("xarray")
pytest.importorskip("zarr")
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))


def blocks(page: Path) -> list[str]:
    """Return the Python of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what examples begin with, which one works in."""
    image = procedural(4, 150, 240).image.astype(np.uint16)
    np.save(tmp_path / "scene.npy", image)
    packets = PacketOptions(packet_bytes=1_100)
    encoder = Encoder(bundles.load("skybook"))
    segments = list(encoder.encode(image, options=Options(packets=packets, ratio=10)))
    (tmp_path / "pass.pkt").write_bytes(b"".join(packets.pack(segments[:-3], 0, 0)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_three_lines_of_the_readme_work(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = [block for block in blocks(ROOT / "README.md") if "import numpy, onboard" in block]
    own += [block for block in blocks(ROOT / "README.md") if "import ground" in block]
    assert [sum(line != "" for line in block.splitlines()) for block in own] == [3, 3]
    for block in own:
        exec(block, {})
    assert (here / "scene.sky").stat().st_size < (here / "scene.npy").stat().st_size / 19
    assert "xarray.DataArray" in capsys.readouterr().out
    assert "xarray.Dataset" in repr(ground.decode((here / "scene.sky").read_bytes()))


def test_the_codec_of_zarr_is_used_as_its_page_says(here: Path) -> None:
    import_module("tests.ground.chunks.entrypoints").register()
    (example,) = blocks(ROOT / "ground" / "chunks" / "README.md")
    names: dict[str, Any] = {}
    exec(example, names)
    wanted = np.arange(4 * 90 * 80).reshape(4, 90, 80)
    assert np.abs(names["array"][:].astype(int) - wanted).max() <= 2


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks_run_from_the_first_cell_to_the_last(
    here: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_module("tests.ground.chunks.entrypoints").register()
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = json.loads(path.read_text())
    assert notebook["nbformat"] == 4
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            exec("".join(cell["source"]), names)
