"""A Bayer mosaic from the sensor's file to the mosaic, and to colours, on the ground."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ground import metrics
from ground.__main__ import main as ground
from ground.decode.decoder import Decoder
from ground.products import geotiff
from ground.products.demosaic import demosaic
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.__main__ import main as onboard
from onboard.bundle import find, load
from onboard.codec.lapped.frontends import alignment
from onboard.encoder import Encoder, Options
from onboard.errors import StreamError, UsageError
from onboard.image.bayer import PATTERNS, join, split
from onboard.link.header import SceneHeader

ROWS, COLS = 150, 132
"""Of the mosaic: tiles of 64, and of 11 rows and 2 columns of planes."""
COLOURS = procedural(5, ROWS, COLS, 3, nodata=False).image.astype(np.uint16) >> 2
TRANSFORM = (500_000.0, 5.0, 0.0, 5_000_000.0, 0.0, -5.0)


def mosaic_of(colours: NDArray[Any], pattern: str) -> NDArray[Any]:
    found = np.empty((1, *colours.shape[1:]), colours.dtype)
    for place, colour in enumerate(pattern):
        row, col = divmod(place, 2)
        found[0, row::2, col::2] = colours["rgb".index(colour), row::2, col::2]
    return found


MOSAIC = mosaic_of(COLOURS, "grbg")


def run(command: Any, *words: object) -> int:
    return int(command([str(word) for word in words]))


def sent(folder: Path, *options: object, bundle: str = "skybook") -> Path:
    np.save(folder / "m.npy", MOSAIC)
    form = ["--bundle", bundle, "--bayer", "grbg", "-o", folder / "m.sky", *options]
    assert run(onboard, "encode", folder / "m.npy", *form) == 0
    return folder / "m.sky"


def test_a_mosaic_comes_back_as_one_band(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = sent(tmp_path, "--rmse", 4, "--json", tmp_path / "e.json")
    said = capsys.readouterr().out
    assert f"1 bands x {ROWS} rows x {COLS} columns of u16 (Bayer grbg)" in said
    told = json.loads((tmp_path / "e.json").read_text())
    assert (told["bands"], told["rows"], told["columns"]) == (1, ROWS, COLS)
    assert told["bayer"] == "grbg"
    assert told["raw_bytes"] == 2 * ROWS * COLS
    geotiff.write(tmp_path / "o.tif", Scene(MOSAIC))
    form = ["-o", tmp_path / "d.tif", "--original", tmp_path / "o.tif"]
    assert run(ground, "decode", stream, *form, "--json", tmp_path / "d.json") == 0
    found = json.loads((tmp_path / "d.json").read_text())
    assert found["bayer"] == "grbg"
    assert found["complete"]
    assert found["ring"] == 0
    assert found["shape"] == [1, ROWS, COLS]
    assert found["psnr16"] == pytest.approx(told["expected_psnr16_db"], abs=1)
    mask = geotiff.read(tmp_path / "d.mask.tif").image
    assert mask.shape == (1, ROWS, COLS)


def test_lines_of_a_sensor_as_they_come(tmp_path: Path) -> None:
    raw = tmp_path / "m.raw"
    raw.write_bytes(b"head" + MOSAIC.tobytes())
    form = ["--layout", "bil", "--width", COLS, "--skip-bytes", 4, "--bundle", "skybook"]
    form += ["--bayer", "grbg", "--run", 9, "--line-period", 0.001]
    whole, part, again = (tmp_path / f"{name}.pkt" for name in ("whole", "part", "again"))
    assert run(onboard, "stream", "--input", raw, *form, "-o", whole) == 0
    np.save(tmp_path / "m.npy", MOSAIC)
    npy = [tmp_path / "m.npy", "--bundle", "skybook", "--bayer", "grbg", "--run", 9]
    npy += ["--line-period", 0.001, "--rate-window", "strip"]
    assert run(onboard, "encode", *npy, "-o", again) == 0
    assert again.read_bytes() == whole.read_bytes()
    short = tmp_path / "short.raw"
    short.write_bytes(raw.read_bytes()[: 4 + 2 * COLS * 129])
    assert run(onboard, "stream", "--input", short, *form, "-o", part) == 3  # an odd line
    assert run(onboard, "stream", "--input", raw, *form, "-o", part, "--resume") == 0
    assert part.read_bytes() == whole.read_bytes()


def test_a_geotiff_keeps_its_place(tmp_path: Path) -> None:
    made = Scene(MOSAIC, 0, TRANSFORM, "EPSG:32633")
    made.image[:, 7:50, 5:60] = 0
    geotiff.write(tmp_path / "o.tif", made)
    options = ["--bundle", "skybook", "--bayer", "grbg", "--rmse", 3, "-o", tmp_path / "o.sky"]
    assert run(ground, "encode", tmp_path / "o.tif", *options) == 0
    assert run(ground, "decode", tmp_path / "o.sky", "-o", tmp_path / "d.tif") == 0
    found = geotiff.read(tmp_path / "d.tif")
    assert found.transform == TRANSFORM
    assert (found.nodata, found.crs) == (0, "EPSG:32633")
    cells = np.zeros((ROWS, COLS), np.bool_)
    cells[8:50, 6:60] = True  # whole ones
    assert np.array_equal(found.image[0] == 0, cells)


def test_aligned_planes_take_fewer_bytes() -> None:
    encoder = Encoder(load("skybook"))
    planes = split(mosaic_of(procedural(1, 256, 256, 3, nodata=False).image, "rggb")) // 4
    planes = planes.astype(np.uint16)
    header = SceneHeader.of(planes)
    plain = b"".join(encoder.encode(planes, header, Options(rmse=6)))
    aligned = SceneHeader.of(planes, bayer="rggb")
    moved = b"".join(encoder.encode(planes, aligned, Options(rmse=6)))
    assert len(moved) < 0.97 * len(plain)


def test_the_largest_that_alignment_makes() -> None:
    """Samples that add up: eight octaves of shift, which the finest step must allow for."""
    signs = [np.where(alignment.matrix(64, bool(back))[30] > 0, 65_535, 0) for back in (0, 1)]
    planes = np.stack(
        [np.where(np.equal.outer(signs[r], signs[c]), 65_535, 0) for r in (0, 1) for c in (0, 1)]
    ).astype(np.uint16)
    encoder = Encoder(load("skybook"))
    prepared = encoder.coder.for_mosaic().prepare(
        planes[None], np.ones((1, 64, 64), np.bool_), (64, 64)
    )
    assert prepared.latents.shifts.tolist() == [8]
    header = SceneHeader.of(planes, bayer="rggb")
    stream = b"".join(encoder.encode(planes, header, Options(rmse=1)))
    found = Decoder(find("skybook")).decode(stream).scene.image
    assert metrics.rmse(found, join(planes)) < 100


def test_a_mosaic_without_loss(tmp_path: Path) -> None:
    stream = sent(tmp_path, "--max-error", 0)
    assert run(ground, "decode", stream, "-o", tmp_path / "d.tif") == 0
    assert np.array_equal(geotiff.read(tmp_path / "d.tif").image, MOSAIC)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_colours(pattern: str) -> None:
    pytest.importorskip("cv2")
    flat = np.broadcast_to(np.array([900, 300, 60])[:, None, None], (3, 12, 10))
    for kind in (np.uint16, np.int16):
        found = demosaic(mosaic_of(flat.astype(kind), pattern), pattern)
        assert found.dtype == kind
        assert np.array_equal(found, flat)
    tiny = demosaic(mosaic_of((flat[:, :2, :2] // 8).astype(np.int8) - 100, pattern), pattern)
    assert np.array_equal(tiny, flat[:, :2, :2] // 8 - 100)


def test_a_picture_in_colours(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("cv2")
    stream = sent(tmp_path, "--rmse", 2)
    output = ["-o", tmp_path / "d.tif", "--rgb", tmp_path / "rgb.tif"]
    assert run(ground, "decode", stream, *output) == 0
    assert "rgb.tif: red, green, blue, demosaiced by OpenCV" in capsys.readouterr().out
    rgb = geotiff.read(tmp_path / "rgb.tif")
    assert rgb.band_ids == ("red", "green", "blue")
    assert rgb.rgb == (0, 1, 2)
    direct = demosaic(MOSAIC, "grbg")
    assert metrics.rmse(rgb.image, direct) < 6


def test_what_cannot_be_a_mosaic(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "odd.npy", MOSAIC[:, 1:])
    form = ["--bayer", "rggb", "-o", tmp_path / "x.sky"]
    assert run(onboard, "encode", tmp_path / "odd.npy", "--bundle", "skybook", *form) == 3
    assert "rows and columns even, found (1, 149, 132)" in capsys.readouterr().err
    np.save(tmp_path / "m.npy", MOSAIC)
    corsa = ["--bundle", "corsa-2level-1024", "--engine", "ort", *form]
    assert run(onboard, "encode", tmp_path / "m.npy", *corsa) == 2
    assert "Bayer: expected a bundle of coder rans" in capsys.readouterr().err
    named = ["--bundle", "skybook", "--band-ids", "a", *form]
    assert run(onboard, "encode", tmp_path / "m.npy", *named) == 2
    raw = ["--input", tmp_path / "m.npy", "--layout", "bil", "--bundle", "skybook", *form]
    assert run(onboard, "stream", *raw, "--width", 131) == 2
    assert run(onboard, "stream", *raw, "--width", 132, "--lines", 3) == 2
    assert run(onboard, "stream", *raw, "--width", 132, "--bands", 4) == 2
    capsys.readouterr()
    sky = sent(tmp_path)
    with pytest.raises(UsageError, match="expected a Bayer mosaic"):
        _colours_of_none(tmp_path)
    assert sky.exists()


def _colours_of_none(folder: Path) -> None:
    from ground.commands.image import rgb_of

    image = COLOURS[[0, 1, 2, 2], :8, :8]
    stream = b"".join(Encoder(load("skybook")).encode(image))
    rgb_of(Decoder(find("skybook"), linear=True).decode(stream))


def test_a_header_of_a_mosaic_reads_back_or_is_refused() -> None:
    header = SceneHeader("u16", 12, 4, 8, 8, bayer="gbrg")
    body = header.pack()
    assert body.endswith(bytes([0x97, 0, 1, 3]))
    assert SceneHeader.unpack(body) == header
    for wrong in (body[:-1] + b"\4", body[:-2] + b"\2" + b"\0\0", body[:4] + b"\3" + body[5:]):
        with pytest.raises(StreamError):
            SceneHeader.unpack(wrong)
