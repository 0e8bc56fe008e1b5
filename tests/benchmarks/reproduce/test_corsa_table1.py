"""Table 1 of the CORSA paper: models on patches, sizes as published, codebooks of other sizes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.reproduce import corsatable1
from benchmarks.reproduce.corsatable1 import CORSA_TABLE1, PowerScale
from benchmarks.reproduce.patches import read_patches
from benchmarks.reproduce.patchmodel import PatchModel
from ground.decode.decoder import Decoder
from ground.products.geotiff import write
from ground.scene import Scene
from onboard import bundle as bundles
from onboard.codec.corsa.codebook import Codebook
from onboard.encoder import Encoder
from onboard.errors import InputError

NAME = "corsa-2level-1024"


@pytest.fixture(scope="module")
def model() -> PatchModel:
    return PatchModel.open(NAME)


@pytest.fixture(scope="module")
def patches() -> list[np.ndarray]:
    return [patch for _, patch in read_patches(None, 120, 1, 3).test]


def test_a_patch_is_what_a_stream_decodes_to(model: PatchModel, patches: list[np.ndarray]) -> None:
    scene = Scene(patches[0])
    stream = b"".join(Encoder(bundles.load(NAME)).encode(scene.image, scene.header()))
    decoded = Decoder(bundles.find(NAME)).decode(stream).scene.image
    assert np.array_equal(model.round_trip(patches[0]), decoded)


@pytest.mark.parametrize("name", corsatable1.SHIPPED)
def test_sizes_are_the_published_ones(name: str) -> None:
    published = CORSA_TABLE1.published[
        "S2-128-256" + ("-512" if "3level" in name else "") + " 1024"
    ]
    sizes = PatchModel.open(name).level_bytes
    assert [published[f"bytes{level}"] for level in range(len(sizes))] == list(sizes)


def test_refitted_codebooks(model: PatchModel, patches: list[np.ndarray]) -> None:
    """Fewer codewords that fit do better than as many of those there were."""
    fitted = model.refitted("fewer", 64, patches[1:], seed=1)
    assert fitted.level_bytes == (3600 * 6 // 8, 900 * 6 // 8)
    cut = tuple(
        replace(level, codebook=Codebook(level.codebook.codewords[::16])) for level in model.levels
    )
    errors = [
        float(np.square(each.round_trip(patches[0]).astype(float) - patches[0]).mean())
        for each in (model, fitted, replace(model, levels=cut))
    ]
    assert errors[0] < errors[1] < 0.7 * errors[2]


def test_the_normalisation_of_the_paper() -> None:
    """Samples that are normal already are only standardised."""
    rng = np.random.default_rng(2)
    bands = rng.normal(5_000, 200, (6, 2, 64, 64))
    bands[:, 1] = np.exp(bands[:, 1] / 1_000)
    scale = PowerScale(bands.astype(np.uint16))
    patch = bands[0].astype(np.uint16)
    assert scale.error(patch, patch) == 0
    off = patch.copy()
    off[0] += 50
    assert scale.error(patch, off) == pytest.approx((50 / 200) ** 2 / 2, rel=0.1)


def test_patches_are_of_test_places_alone(tmp_path: Path) -> None:
    lines = ["path,place,split"]
    for number, split in enumerate(("train", "val", "test")):
        image = np.full((4, 40, 70), number, np.uint16)
        write(tmp_path / f"{split}.tif", Scene(image))
        lines.append(f"{split}.tif,place {number},{split}")
    write(tmp_path / "other.tif", Scene(np.zeros((3, 40, 70), np.uint16)))
    (tmp_path / "manifest.csv").write_text("\n".join([*lines, "other.tif,place 3,test"]))
    found = read_patches(tmp_path, 32, training=9, test=9)
    assert [(place, int(patch.max())) for place, patch in found.test] == [("place 2", 2)] * 2
    assert [int(patch.max()) for patch in found.training] == [0, 0]
    assert len(read_patches(tmp_path, 32, training=9, test=1).test) == 1
    with pytest.raises(InputError, match="expected train scenes of four bands and 41 pixels"):
        read_patches(tmp_path, 41, training=1, test=1)


def test_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {
        "SHIPPED": (NAME,),
        "SIZES": (32, 1024),
        "QUICK_TEST": 1,
        "QUICK_TRAINING": 1,
    }.items():
        monkeypatch.setattr(corsatable1, name, value)
    target = tmp_path / "out.json"
    assert main(["reproduce", "corsa-table1", "--quick", "--json", str(target)]) == 0
    table = json.loads(target.read_text())["corsa-table1"]
    few, many = table["corsa-2level-32"], table[NAME]
    assert few["ratio"] == pytest.approx(115_200 / (2250 + 563))
    assert many["ratio"] == pytest.approx(20.48)
    for row in ("psnr", "ssim", "skybook_psnr", "jp2_psnr", "jp2_klt_psnr"):
        assert few[row] < many[row]
    assert many["mse"] < few["mse"]
    assert many["psnr"] < many["skybook_psnr"]
    assert "corsa-2level-32: networks of 1024 codewords" in capsys.readouterr().out
