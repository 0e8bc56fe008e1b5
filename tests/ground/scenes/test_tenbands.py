"""Ten bands as they are sensed: from products on one grid, from patches, from pairs of files."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.products.geotiff import write
from ground.scene import Scene
from ground.scenes.folders import find_scenes
from ground.scenes.tenbands import COARSE, FINE, TenBands, held_out, read_ten_bands
from onboard.errors import InputError


def sensed(rows: int = 12, cols: int = 8) -> TenBands:
    rng = np.random.default_rng(5)
    fine = rng.integers(0, 9_000, (4, rows, cols), np.uint16)
    return TenBands(fine, rng.integers(0, 9_000, (6, rows // 2, cols // 2), np.uint16))


def product(bands: int, scene: TenBands) -> NDArray[np.uint16]:
    """All bands of a product on the grid of 10 m; those that are none of the ten are 1."""
    ten = dict(zip((*FINE, *COARSE), scene.on_fine_grid, strict=True))
    names = [f"B{number:02}" for number in range(1, 13)]
    names.insert(8, "B8A")
    if bands == 12:
        names.remove("B10")
    other = np.ones(scene.fine.shape[1:], np.uint16)
    return np.stack([ten.get(name, other) for name in (ten if bands == 10 else names)])


def same(found: TenBands, scene: TenBands) -> bool:
    return np.array_equal(found.fine, scene.fine) and np.array_equal(found.coarse, scene.coarse)


@pytest.mark.parametrize("bands", [10, 12, 13])
def test_products_on_one_grid(bands: int) -> None:
    scene = sensed()
    assert same(TenBands.of(Scene(product(bands, scene))), scene)


def test_half_pixels_at_the_border_are_left_out() -> None:
    scene = sensed()
    cut = product(10, scene)[:, 1:, :-1]
    expected = TenBands(scene.fine[:, 2:, :-2], scene.coarse[:, 1:, :-1])
    assert same(TenBands.of(Scene(cut)), expected)


def test_bands_that_were_resampled_are_refused() -> None:
    image = product(10, sensed())
    image[7, 5, 5] += 1
    with pytest.raises(InputError, match="repeated 2x2, found others"):
        TenBands.of(Scene(image))
    with pytest.raises(InputError, match=r"expected 10, 12 or 13 bands .* found 9"):
        TenBands.of(Scene(image[:9]))


def test_raw_bytes_are_those_of_88_bits_a_pixel() -> None:
    scene = sensed()
    assert scene.raw_bytes == 12 * 8 * 88 // 8


def test_a_bigearthnet_patch(tmp_path: Path) -> None:
    scene, folder = sensed(), tmp_path / "S2A_MSIL2A_1_2"
    folder.mkdir()
    for names, image in ((FINE, scene.fine), (COARSE, scene.coarse)):
        for name, band in zip(names, image, strict=True):
            write(folder / f"{folder.name}_{name}.tif", Scene(band[None]))
    (item,) = find_scenes(tmp_path)
    assert same(TenBands.of(read_ten_bands(item)), scene)


def put(root: Path, rows: dict[str, tuple[str, str, NDArray[np.uint16]]]) -> None:
    lines = ["path,place,split"]
    for name, (place, split, image) in rows.items():
        write(root / name, Scene(image))
        lines.append(f"{name},{place},{split}")
    (root / "manifest.csv").write_text("\n".join(lines))


def test_only_places_of_the_test_split_are_held_out(tmp_path: Path) -> None:
    scene = sensed()
    whole, resampled = product(10, scene), product(12, scene)
    resampled[4, 0, 0] += 1
    put(
        tmp_path,
        {
            "seen.tif": ("a", "train", whole),
            "whole.tif": ("b", "test", whole),
            "fine.tif": ("c", "test", scene.fine),
            "coarse.tif": ("c", "", scene.coarse),
            "resampled.tif": ("b", "test", resampled),
        },
    )
    left: list[str] = []
    found = {item.path.stem: ten for item, ten in held_out(tmp_path, left.append)}
    assert set(found) == {"whole", "fine"}
    assert all(same(ten, scene) for ten in found.values())
    assert len(left) == 1
    assert "resampled.tif" in left[0]


def test_a_pair_that_does_not_fit_is_left_out(tmp_path: Path) -> None:
    scene = sensed()
    rows = {"fine.tif": ("c", "test", scene.fine), "coarse.tif": ("c", "test", scene.coarse[:, 1:])}
    put(tmp_path, rows)
    left: list[str] = []
    assert not list(held_out(tmp_path, left.append))
    assert "beside those of 10 m" in left[0]
