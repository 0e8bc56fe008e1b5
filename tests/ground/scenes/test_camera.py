"""Images of a camera: which files are images, and which are held back."""

from pathlib import Path

import numpy as np

from ground.products.geotiff import write
from ground.scene import Scene
from ground.scenes.camera import MOST_SIDE, Camera, find_images, read_camera


def image(value: int, rows: int = 16, cols: int = 32) -> Scene:
    return Scene(np.full((2, rows, cols), value, np.uint16))


def tile(_camera: Camera) -> int:
    return 16


def test_one_image_of_five_is_held_back(tmp_path: Path) -> None:
    for number in range(7):
        write(tmp_path / f"{number}.tif", image(number))
    found = read_camera(tmp_path, tile)
    values = [[int(s.image[0, 0, 0]) for s in part] for part in (found.training, found.held_back)]
    assert values == [[0, 2, 3, 4, 5], [1, 6]]
    assert found.camera == Camera(2, 16)
    assert found.told == "7 images, 7 of 2 bands of 16 bits read; 2 held back"


def test_of_a_single_image_its_right_half_is_held_back(tmp_path: Path) -> None:
    samples = np.arange(2 * 16 * 70, dtype=np.uint16).reshape(2, 16, 70)
    write(tmp_path / "a.tif", Scene(samples))
    found = read_camera(tmp_path, tile, significant_bits=12)
    assert found.camera == Camera(2, 12)
    np.testing.assert_array_equal(found.training[0].image, samples[..., :32])
    np.testing.assert_array_equal(found.held_back[0].image, samples[..., 32:])


def test_raw_files_with_an_envi_header_are_images(tmp_path: Path) -> None:
    samples = np.arange(2 * 16 * 32, dtype=np.uint16).reshape(2, 16, 32)
    header = "ENVI\nsamples = 32\nlines = 16\nbands = 2\ndata type = 12\ninterleave = bsq\n"
    header += "byte order = 0\nheader offset = 0\n"
    for raw, name in (("a.raw", "a.hdr"), ("b.img", "b.img.hdr"), ("c.txt", "other.txt")):
        (tmp_path / raw).write_bytes(samples.astype("<u2").tobytes())
        (tmp_path / name).write_text(header)
    assert [path.name for path in find_images(tmp_path)] == ["a.raw", "b.img"]
    found = read_camera(tmp_path, tile)
    for scene in (*found.training, *found.held_back):
        np.testing.assert_array_equal(scene.image, samples)


def test_of_a_large_image_the_middle_is_taken(tmp_path: Path) -> None:
    rows = np.broadcast_to(
        np.arange(MOST_SIDE + 10, dtype=np.uint16)[:, None], (MOST_SIDE + 10, 64)
    )
    write(tmp_path / "a.tif", Scene(rows[None].copy()))
    found = read_camera(tmp_path, tile)
    assert found.training[0].image.shape == (1, MOST_SIDE, 32)
    assert found.training[0].image[0, 0, 0] == 5
