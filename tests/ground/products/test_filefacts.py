"""What a GeoTIFF says of its samples: read, carried, and named where it is left behind."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp
from rasterio.rpc import RPC
from rasterio.transform import Affine

from ground.products.geotiff import read, write
from ground.scene import Scene, fitted
from onboard.link.facts import MOST_TAG_BYTES, Facts
from onboard.link.header import SceneHeader

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
IMAGE = np.arange(4 * 20 * 30, dtype=np.uint16).reshape(4, 20, 30)
PLACE = Affine(10, 0, 500000, 0, -10, 5100000)
RPC_TERMS = {f"{a}_{b}_coeff": [1.0] + [0.0] * 19 for a in ("line", "samp") for b in ("num", "den")}


def geotiff(folder: Path, image: np.ndarray = IMAGE, **profile: Any) -> Path:
    path = folder / "in.tif"
    bands, rows, cols = image.shape
    size = {"count": bands, "height": rows, "width": cols, "dtype": image.dtype.name}
    with rasterio.open(path, "w", driver="GTiff", **size, **profile) as dataset:
        dataset.write(image)
    return path


def back(folder: Path, scene: Scene) -> Scene:
    """What a reader finds of what a scene header carried."""
    header = SceneHeader.unpack(scene.header().pack())
    write(folder / "out.tif", Scene(scene.image, facts=header.facts, band_ids=header.band_ids))
    return read(folder / "out.tif")


@pytest.mark.parametrize("offsets", [(-0.1,) * 4, (-0.1, 0.0, 0.5, 2.0)])
def test_scale_offset_and_unit_come_back(tmp_path: Path, offsets: tuple[float, ...]) -> None:
    path = geotiff(tmp_path)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-4,) * 4, offsets
        dataset.units = ("reflectance", "reflectance", "", "K")
    back(tmp_path, read(path))
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.scales == (1e-4,) * 4
        assert dataset.offsets == offsets
        assert dataset.units[:2] == ("reflectance",) * 2
        assert dataset.units[3] == "K"


def test_tags_of_file_bands_and_domains_come_back(tmp_path: Path) -> None:
    path = geotiff(tmp_path, crs="EPSG:32633", transform=PLACE)
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(TIFFTAG_DATETIME="2026:05:01 10:00:00", PROCESSING_BASELINE="05.09")
        dataset.update_tags(3, BOA_ADD_OFFSET="-1000")
        dataset.update_tags(ns="IMAGERY", ACQUISITIONDATETIME="2026-05-01 10:00:00")
    scene = read(path)
    assert scene.remarks == ()
    assert back(tmp_path, scene).facts == scene.facts
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.tags(3) == {"BOA_ADD_OFFSET": "-1000"}
        assert dataset.tags()["TIFFTAG_DATETIME"] == "2026:05:01 10:00:00"
        assert dataset.tags(ns="IMAGERY") == {"ACQUISITIONDATETIME": "2026-05-01 10:00:00"}


def test_colours_come_back_and_alpha_is_never_made_up(tmp_path: Path) -> None:
    path = geotiff(tmp_path, IMAGE.astype(np.uint8), photometric="RGB")
    with rasterio.open(path, "r+") as dataset:
        dataset.colorinterp = [
            ColorInterp.red,
            ColorInterp.green,
            ColorInterp.blue,
            ColorInterp.undefined,
        ]
        wanted = dataset.colorinterp
    scene = read(path)
    assert len(scene.image) == 4
    assert back(tmp_path, scene).facts.colours == (3, 4, 5, 0)
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.colorinterp == wanted
    write(tmp_path / "x.tif", Scene(IMAGE, facts=Facts(colours=(6, 200, 2, 3))))
    with rasterio.open(tmp_path / "x.tif") as dataset:
        assert [int(colour) for colour in dataset.colorinterp] == [0, 0, 0, 3]


def test_bits_in_use_come_back(tmp_path: Path) -> None:
    scene = read(geotiff(tmp_path, nbits=12))
    assert scene.significant_bits == 12
    assert scene.header().significant_bits == 12
    write(tmp_path / "out.tif", scene)
    again = read(tmp_path / "out.tif")
    assert again.significant_bits == 12
    np.testing.assert_array_equal(again.image, IMAGE)
    write(tmp_path / "out.tif", Scene(IMAGE, 65_535, significant_bits=12))
    assert read(tmp_path / "out.tif").nodata == 65_535


def test_the_time_of_line_0_is_a_tag(tmp_path: Path) -> None:
    write(tmp_path / "out.tif", Scene(IMAGE, start_time=(2_145_916_800, 32_768)))
    with rasterio.open(tmp_path / "out.tif") as dataset:
        assert dataset.tags()["START_TIME_TAI"] == "2026-01-01T00:00:00.500000"


def test_control_points_rpc_colour_tables_and_statistics_are_named(tmp_path: Path) -> None:
    points = [GroundControlPoint(0, 0, 1, 2), GroundControlPoint(9, 9, 3, 4)]
    path = geotiff(tmp_path, IMAGE[:1].astype(np.uint8), photometric="PALETTE")
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = (points, rasterio.crs.CRS.from_epsg(4326))
        dataset.write_colormap(1, {0: (1, 2, 3, 255), 1: (9, 9, 9, 255)})
        dataset.update_tags(1, STATISTICS_MEAN="5")
    assert read(path).remarks == ("2 ground control points", "colour table", "statistics")
    path = geotiff(tmp_path)
    with rasterio.open(path, "r+") as dataset:
        dataset.rpcs = RPC(
            height_off=0, height_scale=1, lat_off=0, lat_scale=1, line_off=0, line_scale=1,
            long_off=0, long_scale=1, samp_off=0, samp_scale=1, **RPC_TERMS,
        )  # fmt: skip
    assert read(path).remarks == ("RPC",)


def test_tags_that_a_header_has_no_room_for_are_named() -> None:
    long = np.random.default_rng(0).bytes(400).hex()
    tags = (("", "LONG", long), ("", "SHORT", "1"), ("1", "BAND", "x"))
    facts = Facts(((1e-4, 0.0),), ("K",), (3, 4, 5, 0), tags)
    header = SceneHeader.of(IMAGE, facts=facts)
    kept, left = fitted(header, 900)
    assert kept.facts.tags == tags[1:]
    assert left == ["1 tags (LONG)"]
    assert len(kept.pack()) < MOST_TAG_BYTES
    kept, left = fitted(header, len(SceneHeader.of(IMAGE).pack()) + 20)
    assert kept.facts == Facts(((1e-4, 0.0),))
    assert left == ["units", "colour interpretation", "3 tags (LONG, SHORT, BAND)"]
    assert fitted(header, 0)[0] == SceneHeader.of(IMAGE)


def test_a_scene_that_says_nothing_adds_nothing(tmp_path: Path) -> None:
    scene = read(geotiff(tmp_path, crs="EPSG:32633", transform=PLACE))
    assert (scene.facts, scene.significant_bits, scene.remarks) == (Facts(), None, ())


@pytest.mark.parametrize(
    "tag",
    [
        ("9", "k", "v"),
        ("IMAGE_STRUCTURE", "NBITS", "3"),
        ("xml:XMP", "k", "v"),
        ("", "k", "\x01<"),
        ("²", "k", "v"),
        ("", "ns", "v"),
        ("1", "bidx", "v"),
        ("", "", ""),
    ],
)
def test_odd_tags_of_a_stream_spoil_no_product(tmp_path: Path, tag: tuple[str, str, str]) -> None:
    write(tmp_path / "out.tif", Scene(IMAGE, facts=Facts(tags=(tag,))))
    np.testing.assert_array_equal(read(tmp_path / "out.tif").image, IMAGE)
