"""GeoTIFF in and out, and JPEG 2000 in memory."""

import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import netcdf_file

from ground.metrics import psnr
from ground.products.decoded import write_mask
from ground.products.geotiff import read, write
from ground.products.jpeg2000 import jpeg2000_at_bytes, jpeg2000_decode, jpeg2000_encode
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard.errors import InputError, LimitError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
TRANSFORM = (500000.0, 10.0, 0.0, 5100000.0, 0.0, -10.0)
LOCAL_WKT = (
    'PROJCS["mine",GEOGCS["x",DATUM["y",SPHEROID["z",6378137,298.2]],PRIMEM["Greenwich",0],'
    'UNIT["degree",0.0174532925199433]],PROJECTION["Transverse_Mercator"],'
    'PARAMETER["central_meridian",15],PARAMETER["scale_factor",0.9996],'
    'PARAMETER["false_easting",500000],UNIT["metre",1]]'
)


def samples(dtype: type, shape: tuple[int, ...] = (3, 20, 33)) -> np.ndarray:
    limits = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_everything_written_is_read_back(tmp_path, dtype):
    nodata = -5 if dtype is np.int16 else 7
    scene = Scene(samples(dtype), nodata, TRANSFORM, "EPSG:32633", ("B02", "B03", "B04"))
    write(tmp_path / "a.tif", scene)
    back = read(tmp_path / "a.tif")
    np.testing.assert_array_equal(back.image, scene.image)
    assert back.image.dtype == dtype
    assert (back.nodata, back.transform, back.crs, back.band_ids) == (
        nodata,
        TRANSFORM,
        "EPSG:32633",
        ("B02", "B03", "B04"),
    )


def test_a_bare_image_stays_bare_and_nothing_is_warned_of(tmp_path, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write(tmp_path / "a.tif", Scene(samples(np.uint16)))
        back = read(tmp_path / "a.tif")
    assert (back.nodata, back.transform, back.crs, back.band_ids) == (None, None, None, ())
    assert capfd.readouterr().err == ""


def test_a_reference_system_without_code_keeps_its_wkt(tmp_path):
    write(tmp_path / "a.tif", Scene(samples(np.uint8), None, TRANSFORM, LOCAL_WKT))
    crs = read(tmp_path / "a.tif").crs
    assert crs is not None
    assert crs.startswith("PROJCS[")
    assert "central_meridian" in crs


def test_four_bands_of_8_bits_are_not_taken_for_colour_and_alpha(tmp_path):
    image = samples(np.uint8, (4, 16, 16))
    write(tmp_path / "a.tif", Scene(image))
    np.testing.assert_array_equal(read(tmp_path / "a.tif").image, image)
    with rasterio.open(tmp_path / "a.tif") as dataset:
        assert dataset.profile["tiled"]
        assert dataset.profile["compress"] == "deflate"
        assert "alpha" not in [colour.name for colour in dataset.colorinterp]


def test_mask_has_one_band_and_the_georeference_of_its_scene(tmp_path):
    scene = Scene(samples(np.uint16), 0, TRANSFORM, "EPSG:32633")
    mask = np.full((20, 33), 3, np.uint8)
    write_mask(tmp_path / "a.mask.tif", mask, scene)
    back = read(tmp_path / "a.mask.tif")
    np.testing.assert_array_equal(back.image, mask[None])
    assert (back.transform, back.crs, back.nodata) == (TRANSFORM, "EPSG:32633", None)
    with pytest.raises(InputError, match=r"expected uint8 \(20, 33\), found uint8 \(20, 32\)"):
        write_mask(tmp_path / "b.tif", mask[:, :-1], scene)


def test_nodata_is_a_pixel_that_has_it_in_every_band():
    image = np.array([[[0, 0, 1]], [[0, 2, 0]]], np.uint16)
    assert Scene(image, 0).valid.tolist() == [[False, True, True]]
    assert Scene(image).valid.all()


@pytest.mark.parametrize("content", [b"", b"no raster at all" * 20, None])
def test_missing_or_foreign_files_are_input_errors(tmp_path, content, capfd):
    path = tmp_path / "a.tif"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif: expected"):
        read(path)
    assert capfd.readouterr().err == ""


def test_every_truncation_is_an_input_error(tmp_path):
    whole, cut = tmp_path / "a.tif", tmp_path / "b.tif"
    write(whole, Scene(samples(np.uint16, (1, 8, 8)), 0, TRANSFORM, "EPSG:32633"))
    content = whole.read_bytes()
    repeated = 4  # the last bytes stand there twice
    for length in range(0, len(content) - repeated, 7):
        cut.write_bytes(content[:length])
        with pytest.raises(InputError):
            read(cut)


def test_a_float_raster_is_refused_with_its_dtype_and_number_of_nan(tmp_path):
    image = np.ones((2, 8, 8), np.float32)
    image[0, :3, 0] = np.nan
    profile = {"driver": "GTiff", "count": 2, "height": 8, "width": 8, "dtype": "float32"}
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as dataset:
        dataset.write(image)
    with pytest.raises(InputError, match="found float32 with 3 NaN"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["uint32", "int32", "complex64"])
def test_other_dtypes_are_refused(tmp_path, dtype):
    profile = {"driver": "GTiff", "count": 1, "height": 8, "width": 8, "dtype": dtype}
    with rasterio.open(tmp_path / "a.tif", "w", **profile) as dataset:
        dataset.write(np.ones((1, 8, 8), dtype))
    with pytest.raises(InputError, match=f"found {dtype}"):
        read(tmp_path / "a.tif")


def virtual(folder: Path, *nodata: str) -> Path:
    """Write a virtual raster with a nodata value per band, which no GeoTIFF can hold."""
    bands = "".join(
        f'<VRTRasterBand dataType="UInt16" band="{i}"><NoDataValue>{value}</NoDataValue>'
        "</VRTRasterBand>"
        for i, value in enumerate(nodata, 1)
    )
    path = folder / "a.vrt"
    path.write_text(f'<VRTDataset rasterXSize="9" rasterYSize="5">{bands}</VRTDataset>')
    return path


@pytest.mark.parametrize("value", ["-9999", "65536", "1e300", "nan", "0.5"])
def test_nodata_that_the_dtype_cannot_hold_is_none(tmp_path, value):
    scene = read(virtual(tmp_path, value, value))
    assert scene.nodata is None
    assert scene.remarks == (("nodata 0.5",) if value == "0.5" else ())


def test_a_nodata_value_per_band_is_refused(tmp_path):
    assert read(virtual(tmp_path, "3", "3")).nodata == 3
    with pytest.raises(InputError, match=r"one nodata value for all bands, found 0\.0, 1\.0"):
        read(virtual(tmp_path, "0", "1"))


def test_a_container_of_several_rasters_has_no_bands_of_its_own(tmp_path):
    with netcdf_file(tmp_path / "a.nc", "w") as container:
        container.createDimension("y", 4)
        container.createDimension("x", 5)
        for name in ("red", "green"):
            container.createVariable(name, "i2", ("y", "x"))[:] = 1
    with pytest.raises(InputError, match="at least one band, found 0"):
        read(tmp_path / "a.nc")


def test_too_many_pixels_are_refused(tmp_path):
    assert read(virtual(tmp_path, "0"), max_pixels=45).image.shape == (1, 5, 9)
    with pytest.raises(LimitError, match="at most 44 pixels, found 5 x 9"):
        read(virtual(tmp_path, "0"), max_pixels=44)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodata": 70000}, "nodata"),
        ({"nodata": -1}, "nodata"),
        ({"band_ids": ("B02",)}, "band ids"),
        ({"transform": (1.0, 2.0)}, "transform"),
        ({"crs": "nowhere"}, "CRS"),
        ({"image": np.zeros((3, 4), np.uint16)}, "scene"),
        ({"image": np.zeros((1, 4, 4), np.float64)}, "dtype"),
    ],
)
def test_what_a_geotiff_cannot_hold_is_not_written(tmp_path, change, message):
    entries = {"image": samples(np.uint16)} | change
    with pytest.raises(InputError, match=message):
        write(tmp_path / "a.tif", Scene(**entries))


def test_a_folder_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="expected a place to write to"):
        write(tmp_path / "none" / "a.tif", Scene(samples(np.uint8)))


@pytest.mark.skipif(find_spec("spyndex") is None, reason="spyndex is not installed")
@pytest.mark.parametrize("ratio", [10, 12.8, 20, 25.6, 40])
def test_jpeg2000_on_the_real_scene_gives_the_known_figures(ratio):
    known = {10: 69.32, 12.8: 67.28, 20: 63.98, 25.6: 62.47, 40: 60.11}
    image = spyndex_scene().image
    stream = jpeg2000_encode(image, ratio)
    assert len(stream) == pytest.approx(image.nbytes / ratio, rel=0.005)
    assert psnr(image, jpeg2000_decode(stream), 65535) == pytest.approx(known[ratio], abs=0.02)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 5), st.integers(1, 70), st.integers(1, 70), st.floats(1, 30))
def test_jpeg2000_takes_every_size(bands, rows, cols, ratio):
    image = procedural(1, rows, cols, bands, nodata=False).image
    decoded = jpeg2000_decode(jpeg2000_encode(image, ratio))
    assert decoded.shape == image.shape
    assert decoded.dtype == np.uint16


def test_jpeg2000_without_a_limit_is_nearly_lossless_over_the_whole_range():
    image = samples(np.uint16, (2, 64, 64))
    decoded = jpeg2000_decode(jpeg2000_encode(image, 1))
    assert np.abs(decoded.astype(int) - image).max() <= 3


@pytest.mark.parametrize("ratio", [5, 12.8, 20.48, 33])
def test_jpeg2000_at_bytes_fills_the_budget_and_never_exceeds_it(ratio):
    image = procedural(2, 160, 160).image
    budget = int(image.nbytes / ratio)
    found = len(jpeg2000_at_bytes(image, budget))
    others = (len(jpeg2000_encode(image, ratio / part)) for part in np.linspace(0.97, 1.03, 21))
    assert found <= budget
    assert found >= min(0.995 * budget, max(n for n in others if n <= budget))


def test_jpeg2000_at_bytes_knows_both_ends():
    image = procedural(3, 120, 120).image
    assert len(jpeg2000_at_bytes(image, 10**7)) == len(jpeg2000_encode(image, 1))
    for budget in (-1, 0, 30):
        with pytest.raises(LimitError, match=f"fit {budget} bytes"):
            jpeg2000_at_bytes(image, budget)


def test_jpeg2000_refuses_what_it_does_not_code():
    with pytest.raises(InputError, match="expected uint16"):
        jpeg2000_encode(samples(np.int16), 10)
    with pytest.raises(InputError, match="expected uint16"):
        jpeg2000_at_bytes(np.zeros((0, 4, 4), np.uint16), 10)
    for ratio in (0.5, 0, -3, np.nan, np.inf):
        with pytest.raises(InputError, match="at least 1"):
            jpeg2000_encode(samples(np.uint16), ratio)


def test_jpeg2000_streams_cut_off_or_foreign_are_input_errors():
    stream = jpeg2000_encode(procedural(1, 64, 64).image, 10)
    for damaged in (b"", b"not a codestream" * 9, stream[:50], stream[: len(stream) // 8]):
        with pytest.raises(InputError, match="JPEG 2000"):
            jpeg2000_decode(damaged)
    with pytest.raises(LimitError):
        jpeg2000_decode(stream, max_pixels=100)
