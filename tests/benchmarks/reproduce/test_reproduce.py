"""Tables of papers: what is measured stands beside what was published."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.codecs.klt import scene_covariance
from benchmarks.codecs.kltjpeg2000 import KltJpeg2000
from benchmarks.codecs.skybook import BUNDLE, bundle_codecs
from benchmarks.codecs.tenbands import Together, smooth
from benchmarks.reproduce import corsaopeneo
from benchmarks.reproduce.command import measured
from benchmarks.reproduce.corsaopeneo import standin
from benchmarks.reproduce.report import text
from benchmarks.reproduce.table import Measured, Settings, Table
from benchmarks.reproduce.tables import TABLES
from ground.products.geotiff import write
from ground.scene import Scene
from ground.scenes.tenbands import BANDS, TenBands

TABLE = Table(
    "some-table",
    "a table",
    "a paper, table 1",
    {"psnr": "dB", "score": "share", "never": "not measured"},
    {"theirs": {"psnr": 55.8}},
    lambda settings: Measured(
        {"ours": {"psnr": 61.25, "score": None, "band": 3.0}}, "3 scenes", (4, 5), ("a note",)
    ),
    ("another sensor",),
)


def test_a_table_has_the_published_figures_beside_ours() -> None:
    document = measured(TABLE, Settings(None, quick=True))
    assert document["ours"]["psnr"] == 61.25
    assert document["published"] == {"theirs": {"psnr": 55.8}}
    lines = text(TABLE, document).splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in lines if line.startswith(("the", "our"))}
    assert rows == {"theirs": ["55.80", "-"], "ours": ["61.25", "-"]}
    shown = "\n".join(lines)
    for words in ("3 scenes, seeds 4, 5; quick settings; ", "note: a note", "another sensor"):
        assert words in shown
    assert "never" not in shown


def test_an_unknown_table_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["reproduce", "table-9"]) == 2
    assert f"expected one of {', '.join(TABLES)}, found 'table-9'" in capsys.readouterr().err


def test_corsa_with_ten_bands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = bundle_codecs(BUNDLE)[1]
    ways = {
        "skybook": Together(plain, smooth, 2),
        "jp2_klt": Together(KltJpeg2000(scene_covariance), smooth),
    }
    monkeypatch.setattr(corsaopeneo, "_codecs", lambda _bundles: ways)
    monkeypatch.setattr(corsaopeneo, "QUICK_SIDE", 72)
    target = tmp_path / "out.json"
    assert main(["reproduce", "corsa-openeo", "--quick", "--json", str(target)]) == 0
    table = json.loads(target.read_text())["corsa-openeo"]
    raw = standin(72).raw_bytes
    for name in ways:
        ours = table[name]
        assert ours["bytes"] <= int(raw / table["published"]["corsa"]["ratio"])
        assert ours["ratio"] == pytest.approx(raw / ours["bytes"])
        assert ours["psnr10k"] < ours["psnr_max"] + 1 < ours["psnr16"]
        assert min(ours[band] for band in BANDS) < ours["psnr16"]
    shown = capsys.readouterr().out
    assert "jp2_klt " in shown
    assert "procedural, 1 scenes of 1 places" in shown


def test_a_folder_without_ten_bands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "four.tif", Scene(standin(48).fine))
    assert main(["reproduce", "corsa-openeo", "--data", str(tmp_path)]) == 2
    assert "expected scenes of ten bands, found none" in capsys.readouterr().err


def test_figures_of_one_scene() -> None:
    """All samples count alike, whatever the size of their pixels."""
    scene = standin(48)
    off = TenBands(scene.fine + np.uint16(3), scene.coarse + np.uint16(6))
    found = corsaopeneo.figures(scene, off, 1_000)
    mean = (scene.fine.size * 9 + scene.coarse.size * 36) / (scene.fine.size + scene.coarse.size)
    assert found["rmse"] == pytest.approx(mean**0.5)
    assert found["psnr16"] == pytest.approx(20 * np.log10(65_535) - 10 * np.log10(mean))
    assert found["B08"] - found["B12"] == pytest.approx(20 * np.log10(2))
    assert corsaopeneo.figures(scene, scene, 1)["psnr16"] is None
