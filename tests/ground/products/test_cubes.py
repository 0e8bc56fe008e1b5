"""Products as cubes: NetCDF and GeoZarr, opened as their users do and checked by validators."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio

from ground.products import geozarr, netcdf
from ground.products.kinds import product_of
from ground.products.overview import halved
from ground.scene import Scene
from onboard.link.facts import Facts
from tests.ground.products.test_decoded import ORIGIN, product

xarray = pytest.importorskip("xarray")
zarr = pytest.importorskip("zarr")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both kinds of the same scene."""
    found = tmp_path_factory.mktemp("cubes")
    for name in ("a.nc", "a.zarr"):
        assert product_of(found / name).write(found / name, *product(), ORIGIN) == []
    return found


def opened(path: Path, **options: object) -> object:
    if path.suffix == ".nc":
        return xarray.open_dataset(path, engine="h5netcdf", **options)
    return xarray.open_zarr(path, group="0", **options)


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_xarray_finds_samples_names_place_and_time(folder: Path, name: str) -> None:
    scene, mask = product()
    with opened(folder / name, mask_and_scale=False) as cube:
        np.testing.assert_array_equal(cube["image"], scene.image)
        np.testing.assert_array_equal(cube["mask"], mask)
        assert cube["image"].dtype == np.uint16
        assert cube["band"].values.tolist() == ["B03", "B04"]
        assert cube["image"].attrs["scale_factor"] == 1e-4
        assert cube["image"].attrs["_FillValue"] == 0
        assert cube["mask"].attrs["flag_meanings"].split()[3] == "concealed"
        assert (cube["x"].values[0], cube["y"].values[0]) == (500005.0, 5099995.0)
        assert cube["spatial_ref"].attrs["grid_mapping_name"] == "transverse_mercator"
        assert cube.attrs["skybook_model_hash"] == "ab" * 32
        assert cube.attrs["SENSOR"] == "mine"
        assert ["2", "WAVELENGTH", "665"] in json.loads(cube.attrs["tags_of_bands_and_domains"])
    with opened(folder / name) as cube:
        assert cube["time"].values == np.datetime64("2026-01-01")


@pytest.mark.parametrize("name", ["a.nc", "a.zarr"])
def test_read_as_cf_means_it_is_reflectance_and_nodata_is_nan(folder: Path, name: str) -> None:
    scene, mask = product()
    with opened(folder / name) as cube:
        values = cube["image"].values
    np.testing.assert_array_equal(np.isnan(values[0]), mask == 4)
    lost = mask == 3  # lost is not nodata
    np.testing.assert_allclose(values[:, lost], scene.image[:, lost] * 1e-4 - 0.1)


def test_gdal_reads_the_netcdf_file(folder: Path) -> None:
    scene, _ = product()
    with rasterio.open(f"netcdf:{folder / 'a.nc'}:image") as dataset:
        np.testing.assert_array_equal(dataset.read(), scene.image)
        assert dataset.crs.to_epsg() == 32633
        assert tuple(dataset.transform.to_gdal()) == scene.transform
        assert (dataset.nodata, dataset.scales[0], dataset.offsets[0]) == (0, 1e-4, -0.1)


def test_zarr_metadata_follow_the_conventions(folder: Path) -> None:
    conventions = pytest.importorskip("zarr_cm")

    def told(group: str) -> dict[str, object]:
        return json.loads((folder / "a.zarr" / group / "zarr.json").read_text())

    conventions.multiscales.validate_group_metadata(told(""))
    for group in ("", "0", "1", "2"):
        conventions.spatial.validate_group_metadata(told(group))
        conventions.proj.validate_group_metadata(told(group))
    layout = told("")["attributes"]["multiscales"]["layout"]
    assert [level["asset"] for level in layout] == ["0", "1", "2"]
    assert told("1")["attributes"]["spatial:transform"] == [20, 0, 500000, 0, -20, 5100000]
    assert told("1")["attributes"]["spatial:shape"] == [300, 260]


def test_of_a_missing_chunk_the_mask_says_so(folder: Path, tmp_path: Path) -> None:
    scene, mask = product()
    geozarr.write_product(tmp_path / "b.zarr", scene, np.zeros_like(mask), ORIGIN)
    chunks = sorted((tmp_path / "b.zarr" / "0" / "mask" / "c").rglob("0"))
    assert len([path for path in chunks if path.is_file()]) == 2  # written, though all 0
    (tmp_path / "b.zarr" / "0" / "mask" / "c" / "1" / "0").unlink()
    back = zarr.open_array(tmp_path / "b.zarr" / "0" / "mask")[:]
    assert (back[512:, :512] == 255).all()
    assert not back[:512].any()


def test_overviews_are_means_of_measurements_alone() -> None:
    image = np.array([[[10, 20, 0, 0, 7], [30, 99, 0, 50, 7]]], np.int16)
    mask = np.array([[0, 2, 4, 4, 4], [1, 3, 4, 3, 4]], np.uint8)
    coarse, worth = halved(image, mask, -5)
    assert coarse.tolist() == [[[20, 50, -5]]]
    assert worth.tolist() == [[2, 3, 4]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_overviews_of_what_is_all_measured_are_means_half_to_even(dtype: type) -> None:
    limits = np.iinfo(dtype)
    chosen = np.random.default_rng(3)
    image = chosen.integers(limits.min, limits.max + 1, (2, 1_101, 33)).astype(dtype)
    mask = chosen.integers(0, 3, image.shape[1:]).astype(np.uint8)
    coarse, worth = halved(image, mask, None)
    even = np.pad(image, ((0, 0), (0, 1), (0, 1)), "edge").astype(float)
    quarters = [even[:, row::2, col::2] for row in range(2) for col in range(2)]
    np.testing.assert_array_equal(coarse, np.rint(np.mean(quarters, axis=0)))
    codes = np.pad(mask, ((0, 1), (0, 1)), "edge")
    most = np.max([codes[row::2, col::2] for row in range(2) for col in range(2)], axis=0)
    np.testing.assert_array_equal(worth, most)


def test_bands_with_scales_of_their_own_keep_them(tmp_path: Path) -> None:
    facts = Facts(calibration=((1.0, 0.0), (0.5, -2.0)), units=("K", "m"))
    scene = Scene(np.ones((2, 9, 7), np.int16), facts=facts)
    netcdf.write_product(tmp_path / "a.nc", scene, np.zeros((9, 7), np.uint8))
    with opened(tmp_path / "a.nc") as cube:
        assert cube["image"].dtype == np.int16
        assert cube["band_scale"].values.tolist() == [1.0, 0.5]
        assert cube["band_offset"].values.tolist() == [0.0, -2.0]
        assert cube["band_units"].values.tolist() == ["K", "m"]
        assert cube["band"].values.tolist() == ["1", "2"]


def test_a_rotated_scene_has_a_transform_and_no_axes(tmp_path: Path) -> None:
    scene = replace(product()[0], transform=(0.0, 3.0, 4.0, 0.0, 4.0, -3.0))
    geozarr.write_product(tmp_path / "a.zarr", scene, product()[1])
    with opened(tmp_path / "a.zarr") as cube:
        assert "x" not in cube.coords
        assert cube.attrs["spatial:transform"] == [3.0, 4.0, 0.0, 4.0, -3.0, 0.0]
