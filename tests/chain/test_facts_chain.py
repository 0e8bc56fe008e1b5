"""What a GeoTIFF says comes back through a stream, or is named on the way; no file is lost."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from ground.products import geotiff
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.encoder import Encoder
from onboard.link.facts import Facts
from onboard.link.segment import LEAST_OVERHEAD, TAG_BYTES
from tests.conftest import Run

PLACE = Affine(10, 0, 500000, 0, -10, 5100000)
NAMES = tuple(
    f"B{n}, central wavelength {w} nm" for n, w in ((2, 490), (3, 560), (4, 665), (8, 842))
)
IMAGE = procedural(1, 70, 80, nodata=False).image


def encode(run: Run, path: Path, *options: str) -> str:
    """Encode to `x.sky`; return what was said on stderr."""
    done = run("ground", "encode", path, "--bundle", "skybook", "-o", "x.sky", *options)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_a_geotiff_comes_back_with_all_it_says(run: Run, tmp_path: Path) -> None:
    facts = Facts(((1e-4, -0.1),), ("reflectance",), (5, 4, 3, 0), (("", "BASELINE", "05.09"),))
    scene = Scene(IMAGE[:4], None, PLACE.to_gdal(), "EPSG:32633", NAMES, facts)
    geotiff.write(tmp_path / "in.tif", scene)
    with rasterio.open(tmp_path / "in.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.update_tags(AREA_OR_POINT="Point")
    assert encode(run, tmp_path / "in.tif", "--start-time", "2026-05-01T10:00:00") == ""
    assert run("ground", "decode", "x.sky", "-o", "out.tif").returncode == 0
    one, two = geotiff.read(tmp_path / "in.tif"), geotiff.read(tmp_path / "out.tif")
    assert (one.transform, one.crs, one.band_ids) == (two.transform, two.crs, two.band_ids)
    assert set(two.facts.tags) - set(one.facts.tags) == {
        ("", "START_TIME_TAI", "2026-05-01T10:00:00"),
        ("IMAGERY", "ACQUISITIONDATETIME", "2026-05-01 09:59:23"),
    }
    assert ("", "AREA_OR_POINT", "Point") in two.facts.tags
    assert two.facts.calibration == ((1e-4, -0.1),)
    assert (one.facts.units, one.facts.colours) == (two.facts.units, two.facts.colours)


def test_tags_make_room_for_the_bounds_of_two_parts(run: Run, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(70).hex()
    scene = Scene(IMAGE[:4], facts=Facts(tags=(("", "LONG", noise),)))
    geotiff.write(tmp_path / "in.tif", scene)
    header = replace(geotiff.read(tmp_path / "in.tif").header(), run=1)
    room = str(len(header.pack()) + LEAST_OVERHEAD + TAG_BYTES)
    bounds = ("--max-error", "3", "--segment-bytes", room)
    command = ("ground", "encode", "in.tif", "--bundle", "skybook", "-o", "x.sky", *bounds)
    done = run(*command)
    assert (done.returncode, "no room" in done.stderr) == (0, False)
    done = run(*command, "--max-error-first", "9")
    assert (done.returncode, "no room" in done.stderr) == (0, True)


def test_tags_make_room_for_larger_tiles(run: Run, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(70).hex()
    command = ("ground", "encode", "in.tif", "--bundle", "skybook", "-o", "x.sky")
    for bands, lacks in ((5, False), (4, True)):
        image = procedural(1, 70, 80, bands, nodata=False).image
        scene = Scene(image, facts=Facts(tags=(("", "LONG", noise),)))
        geotiff.write(tmp_path / "in.tif", scene)
        header = replace(geotiff.read(tmp_path / "in.tif").header(), run=1)
        room = str(len(header.pack()) + LEAST_OVERHEAD + TAG_BYTES)
        done = run(*command, "--segment-bytes", room)
        assert (done.returncode, "no room" in done.stderr) == (0, lacks)


def test_what_is_left_behind_is_one_warning(run: Run, tmp_path: Path) -> None:
    long = np.random.default_rng(0).bytes(500).hex()
    geotiff.write(tmp_path / "in.tif", Scene(IMAGE[:4], facts=Facts(tags=(("", "LONG", long),))))
    with rasterio.open(tmp_path / "in.tif", "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset:
        dataset.write_mask(np.arange(70 * 80).reshape(70, 80) > 99)
    (line,) = encode(run, tmp_path / "in.tif").splitlines()
    assert line.startswith("warning: ")
    assert "mask as nodata 0" in line
    assert line.endswith("no room in the scene header: 1 tags (LONG)")
    assert run("ground", "decode", "x.sky", "-o", "out.tif").returncode == 0
    np.testing.assert_array_equal(
        geotiff.read(tmp_path / "out.mask.tif").image.ravel() == 4, np.arange(70 * 80) <= 99
    )


def test_an_order_of_bands_that_the_model_does_not_know_is_said(run: Run, tmp_path: Path) -> None:
    names = tuple(NAMES[band] for band in (2, 1, 0, 3))
    geotiff.write(tmp_path / "in.tif", Scene(IMAGE[:4], band_ids=names))
    (line,) = encode(run, tmp_path / "in.tif").splitlines()
    said = "bands B4 B3 B2 B8: skybook was trained on B02 B03 B04 B08 in this order"
    assert line.endswith(said)
    np.save(tmp_path / "in.npy", IMAGE[:4])
    options = ("--bundle", "skybook", "--band-ids", "B4,B3,B2,B8", "-o", "y.sky")
    done = run("onboard", "encode", "in.npy", *options)
    assert done.stderr == f"warning: in.npy: {said}\n"


@pytest.fixture(scope="module")
def segments() -> bytes:
    """Segments of a small scene."""
    return b"".join(Encoder(bundles.load("skybook")).encode(IMAGE[:4]))


@pytest.fixture
def stream(tmp_path: Path, segments: bytes) -> Path:
    """A stream of a small scene, beside the scene."""
    geotiff.write(tmp_path / "in.tif", Scene(IMAGE[:4]))
    (tmp_path / "x.sky").write_bytes(segments)
    return tmp_path / "x.sky"


@pytest.mark.parametrize("name", ["x.png", "x"])
def test_an_output_that_is_no_product_is_refused(
    run: Run, tmp_path: Path, stream: Path, name: str
) -> None:
    done = run("ground", "decode", stream, "-o", name)
    assert done.returncode == 2
    assert f"-o {name}: expected .tif, .tiff, .nc or .zarr" in done.stderr
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("options", [("--quicklook", "other.tif"), ("--dump", "other.tif")])
def test_a_picture_is_no_image_of_another_name(
    run: Run, tmp_path: Path, stream: Path, options: tuple[str, str]
) -> None:
    (tmp_path / "other.tif").write_bytes(b"of the user")
    done = run("ground", "decode", stream, "-o", "x.tif", *options)
    assert done.returncode == 2
    assert "other.tif: expected a file name in ." in done.stderr
    assert (tmp_path / "other.tif").read_bytes() == b"of the user"


def test_files_beside_the_product_are_guarded(run: Run, tmp_path: Path, stream: Path) -> None:
    for name, options in (
        ("scene.mask.tif", ("-o", "scene.tif", "--original", "scene.mask.tif")),
        ("user.mask.tif", ("-o", "user.tif")),
        ("q.mask.tif", ("-o", "q.tif", "--quicklook", "q.mask.tif")),
    ):
        content = (tmp_path / "in.tif").read_bytes()
        (tmp_path / name).write_bytes(content)
        assert run("ground", "decode", stream, *options).returncode == 2
        assert (tmp_path / name).read_bytes() == content
    for _ in range(2):  # a mask of ours is replaced
        assert run("ground", "decode", stream, "-o", "out.tif").returncode == 0


@pytest.mark.parametrize("name", ["in.tif", "in.tif.msk"])
def test_encoding_leaves_the_files_of_its_input_alone(run: Run, tmp_path: Path, name: str) -> None:
    geotiff.write(tmp_path / "in.tif", Scene(IMAGE[:4]))
    path = tmp_path / "in.tif"
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False),
        rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as dataset,
    ):
        dataset.write_mask(np.arange(70 * 80).reshape(70, 80) > 99)
    before = (tmp_path / name).read_bytes()
    done = run("ground", "encode", "in.tif", "--bundle", "skybook", "-o", name)
    assert done.returncode == 2
    assert (tmp_path / name).read_bytes() == before


def test_all_scenes_leave_recordings_alone(run: Run, tmp_path: Path, stream: Path) -> None:
    first = stream.read_bytes()
    encode(run, tmp_path / "in.tif", "--scene-id", "7")
    recording = tmp_path / "pass-7.tif"
    recording.write_bytes(first + stream.read_bytes())
    before = recording.read_bytes()
    done = run("ground", "decode", recording, "-o", "pass.tif", "--all-scenes")
    assert done.returncode == 2
    assert recording.read_bytes() == before
