"""Quicklooks: what a viewer sees in the PNG."""

import numpy as np
import pytest
from PIL import Image as Picture

from ground.products.legend import LEGEND
from ground.products.quicklook import quicklook
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.errors import InputError, UsageError
from onboard.link.facts import Facts

TOP, LEFT, SIDE = 28, 8, 300
PITCH = SIDE + 8


@pytest.fixture(scope="module")
def image():
    return procedural(1, SIDE, SIDE).image


def panels(path, count, side=SIDE):
    sheet = np.asarray(Picture.open(path).convert("RGB"))
    pitch = max(side, 240) + 8
    assert sheet.shape[1] == LEFT + count * pitch
    starts = (LEFT + i * pitch for i in range(count))
    return [sheet[TOP : TOP + side, left : left + side] for left in starts]


def test_four_panels_show_image_error_and_mask(tmp_path, image):
    decoded = image.copy()
    decoded[:, 100:150, 100:200] += 4000
    mask = np.zeros((SIDE, SIDE), np.uint8)
    for code in range(len(LEGEND)):
        mask[code * 40 : code * 40 + 40, 250:] = code
    quicklook(tmp_path / "a.png", image, decoded, mask, 5.0, caption="PSNR16 60.1 dB, 900 bytes")
    original, shown, error, codes = panels(tmp_path / "a.png", 4)
    same = np.ones((SIDE, SIDE), np.bool_)
    same[100:150, 100:200] = False
    np.testing.assert_array_equal(original[same], shown[same])
    assert (shown[~same].astype(int) >= original[~same]).all()
    assert error[same].max() == 0
    assert error[~same].min() == 255
    for code, colour in enumerate(entry.colour for entry in LEGEND):
        assert tuple(codes[code * 40 + 20, 275]) == colour


def test_the_error_grows_with_the_gain(tmp_path, image):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    levels = []
    for gain in (1.0, 2.0, 4.0):
        quicklook(tmp_path / "a.png", image, image + np.uint16(300), mask, gain)
        levels.append(float(panels(tmp_path / "a.png", 4)[2].mean()))
    assert levels[1] == pytest.approx(2 * levels[0], rel=0.1)
    assert levels[2] == pytest.approx(4 * levels[0], rel=0.1)


@pytest.mark.parametrize(
    "scene",
    [
        {"band_ids": ("B8", "B4, red", "B3", "B2")},
        {"band_ids": ("NIR", "Red", "Green", "Blue")},
        {"facts": Facts(colours=(0, 3, 4, 5))},
    ],
)
def test_red_is_shown_as_red_wherever_its_band_is(tmp_path, scene):
    image = np.zeros((4, SIDE, SIDE), np.uint16)
    image[1] = np.arange(SIDE)
    rgb = Scene(image, **scene).rgb
    mask = np.zeros((SIDE, SIDE), np.uint8)
    quicklook(tmp_path / "a.png", image, image, mask, rgb=rgb)
    first = panels(tmp_path / "a.png", 4)[0]
    assert first[..., 0].max() == 255
    assert first[..., 1:].max() == 0


def test_colours_are_red_green_blue_of_bands_2_1_0(tmp_path):
    image = np.zeros((4, SIDE, SIDE), np.uint16)
    image[2, :, :100] = image[1, :, 100:200] = image[0, :, 200:] = 3000
    quicklook(tmp_path / "a.png", image, image, np.zeros((SIDE, SIDE), np.uint8))
    first = panels(tmp_path / "a.png", 4)[0]
    assert [tuple(first[9, col]) for col in (50, 150, 250)] == [
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
    ]


def test_nodata_neither_stretches_nor_counts_as_error(tmp_path, image):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[:, 200:] = 4
    spoilt = image.copy()
    spoilt[:, :, 200:] = 60000
    quicklook(tmp_path / "a.png", image, image, mask)
    quicklook(tmp_path / "b.png", spoilt, image, mask)
    plain, other = panels(tmp_path / "a.png", 4), panels(tmp_path / "b.png", 4)
    np.testing.assert_array_equal(plain[0][:, :200], other[0][:, :200])
    assert other[2].max() == 0


@pytest.mark.parametrize("bands", [1, 2])
def test_without_an_original_two_panels_in_grey(tmp_path, image, bands):
    mask = np.full((SIDE, SIDE), 3, np.uint8)
    quicklook(tmp_path / "a.png", None, image[:bands], mask)
    shown, codes = panels(tmp_path / "a.png", 2)
    np.testing.assert_array_equal(shown[..., 0], shown[..., 2])
    assert shown.max() > shown.min()
    assert (codes == LEGEND[3].colour).all()


def test_large_scenes_shrink_and_a_single_lost_pixel_stays_visible(tmp_path):
    image = np.full((1, 2100, 1300), 7, np.uint16)
    mask = np.zeros((2100, 1300), np.uint8)
    mask[1000, 601] = 3
    quicklook(tmp_path / "a.png", None, image, mask)
    width, height = Picture.open(tmp_path / "a.png").size
    assert width == 8 + 2 * (434 + 8)
    assert height < 900
    sheet = np.asarray(Picture.open(tmp_path / "a.png"))
    assert (sheet[TOP : TOP + 700, 450:] == LEGEND[3].colour).all(axis=-1).sum() == 1


def test_signed_and_tiny_images_have_a_quicklook(tmp_path):
    image = np.array([[[-3000, 3000]]], np.int16)
    for mask in (np.zeros((1, 2), np.uint8), np.full((1, 2), 4, np.uint8)):
        quicklook(tmp_path / "a.png", image, image[:, :, ::-1], mask)
        assert Picture.open(tmp_path / "a.png").format == "PNG"


def test_what_does_not_fit_is_refused(tmp_path, image):
    mask = np.zeros((SIDE, SIDE), np.uint8)
    path = tmp_path / "a.png"
    with pytest.raises(InputError, match="original: expected"):
        quicklook(path, image[:2], image, mask)
    with pytest.raises(InputError, match="quicklook: expected"):
        quicklook(path, image, image, mask[:-1])
    with pytest.raises(InputError, match="codes 0 to 5, found 6"):
        quicklook(path, image, image, mask + np.uint8(6))
    with pytest.raises(UsageError, match="gain"):
        quicklook(path, image, image, mask, 0)
    with pytest.raises(UsageError, match="expected a place to write to"):
        quicklook(tmp_path / "none" / "a.png", image, image, mask)
    assert not path.exists()
