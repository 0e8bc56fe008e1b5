"""Procedural scenes and the real one of a wheel."""

import importlib.util
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from ground.products.geotiff import read, write
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard.errors import InputError, UsageError

needs_spyndex = pytest.mark.skipif(
    importlib.util.find_spec("spyndex") is None, reason="spyndex is not installed"
)


def test_one_seed_gives_one_scene_and_another_seed_another():
    first, again, other = procedural(5, 90, 70), procedural(5, 90, 70), procedural(6, 90, 70)
    np.testing.assert_array_equal(first.image, again.image)
    assert (first.image != other.image).mean() > 0.9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.integers(1, 80), st.integers(1, 80), st.integers(1, 9), st.booleans())
def test_any_size_is_in_range_and_nodata_is_all_bands_or_none(seed, rows, cols, bands, nodata):
    scene = procedural(seed, rows, cols, bands, nodata)
    assert scene.image.shape == (bands, rows, cols)
    assert scene.image.dtype == np.uint16
    assert scene.image.max() <= 12000
    assert scene.nodata == (0 if nodata else None)
    zero = scene.image == 0
    assert (zero.all(axis=0) == zero.any(axis=0)).all()
    assert zero.any() == nodata


def test_the_nodata_wedge_is_one_piece_at_the_left_border():
    missing = ~procedural(1, 300, 260).valid
    assert ndimage.label(missing)[1] == 1
    assert missing[0, 0]
    assert not missing[:, -1].any()
    assert 0.01 < missing.mean() < 0.2


def test_the_georeference_survives_a_geotiff(tmp_path):
    scene = procedural(1, 40, 30)
    write(tmp_path / "a.tif", scene)
    back = read(tmp_path / "a.tif")
    assert (back.crs, back.transform) == (scene.crs, scene.transform)
    assert back.crs == "EPSG:32633"
    assert back.transform is not None
    assert (back.transform[1], back.transform[5]) == (10.0, -10.0)
    assert back.band_ids == ("B02", "B03", "B04", "B08")


def test_a_scene_holds_what_a_codec_meets():
    blue, _, red, nir = procedural(3, 512, 512, nodata=False).image.astype(float)
    ndvi = (nir - red) / (nir + red)
    assert (ndvi > 0.6).mean() > 0.1  # crops and woods
    assert 0.005 < ((nir < 350) & (blue < 700)).mean() < 0.3  # water
    assert 0.002 < (blue > 5000).mean() < 0.4  # clouds
    rough = ndimage.generic_filter(nir[::4, ::4], np.std, 3)
    assert np.percentile(rough, 95) > 8 * np.percentile(rough, 5)  # busy and quiet places


@needs_spyndex
def test_bands_resemble_each_other_as_in_real_imagery():
    def correlation(image: np.ndarray) -> float:
        return float(np.corrcoef(image[0].ravel(), image[1].ravel())[0, 1])

    assert correlation(procedural(3, 256, 256, nodata=False).image) > 0.9
    assert correlation(spyndex_scene().image) > 0.9


@pytest.mark.parametrize("sizes", [(1, 0, 5, 4), (1, 5, -1, 4), (1, 5, 5, 0), (-1, 5, 5, 4)])
def test_impossible_sizes_are_usage_errors(sizes):
    with pytest.raises(UsageError, match="expected sizes from 1"):
        procedural(*sizes)


@needs_spyndex
def test_the_real_scene_is_the_one_known():
    imported = "spyndex" in sys.modules
    scene = spyndex_scene()
    assert scene.image.shape == (4, 300, 300)
    assert scene.image.dtype == np.uint16
    assert (scene.image.min(), scene.image.max()) == (133, 4932)
    assert scene.band_ids == ("B02", "B03", "B04", "B08")
    assert scene.crs is None
    assert ("spyndex" in sys.modules) == imported


def test_without_the_wheel_the_install_command_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install --no-deps spyndex"):
        spyndex_scene()


@pytest.mark.parametrize("content", [None, "[[[1, 2]]]", "[[1], [2, 3]]", "{", "[-1]", '["a"]'])
def test_a_damaged_wheel_is_an_input_error(monkeypatch, tmp_path, content):
    package = tmp_path / "spyndex"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").touch()
    if content is not None:
        (package / "data" / "S2_10m.json").write_text(content)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(InputError, match=r"S2_10m\.json: expected"):
        spyndex_scene()
