"""`convert`: the GeoTIFF that `decode` writes, made window by window."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rio_cogeo.cogeo import cog_validate

import ground
import onboard
from ground.__main__ import main
from ground.api.picture import Picture, open_picture
from ground.api.source import Choice
from ground.chunks.cubes import compress
from ground.products.large.blockwise import write_blocks
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.errors import InputError, UsageError
from onboard.link.facts import Facts
from onboard.link.segment import Kind, unpack_segments
from tests.conftest import little_room

PLACE = (600000.0, 10.0, 0.0, 4500000.0, 0.0, -10.0)


@pytest.fixture(scope="module")
def stream() -> bytes:
    """A scene of more blocks than one, a tile of which is lost."""
    image = np.minimum(procedural(6, 280, 600).image, 4_095).astype(np.uint16)
    image[:, :20] = 0
    tags = (("", "AUTHOR", "x"), ("2", "CENTRE", "560 nm"))
    facts = Facts(((1e-4, -0.1),), tags=tags)
    names = ("B02", "B03", "B04", "B08")
    scene = Scene(image, 0, PLACE, "EPSG:32633", names, facts, 12, (2_145_916_837, 0))
    header = replace(scene.header(), tile=64)
    segments = unpack_segments(onboard.encode(image, header=header, ratio=20))
    return b"".join(s.pack() for s in segments if s.kind != Kind.TILE or s.tile != 12)


def whole(path: Path) -> dict[str, Any]:
    """All that GDAL tells of a file."""
    with rasterio.open(path) as dataset:
        tags = {name: dataset.tags(ns=name) for name in ("IMAGERY", "SKYBOOK")}
        bands = [dataset.tags(index) for index in dataset.indexes]
        found = {
            "profile": dict(dataset.profile),
            "image": dataset.read(),
            "shown": dataset.read_masks(),
            "tags": [dataset.tags(), tags, bands],
            "rest": [dataset.descriptions, dataset.scales, dataset.overviews(1)],
            "bits": dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS"),
        }
    return found


def test_a_stream_becomes_what_decode_makes_of_it(
    stream: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Picture, "side", 256)
    (tmp_path / "a.sky").write_bytes(stream)
    paths = [tmp_path / name for name in ("a.sky", "c.tif", "d.tif", "c.json")]
    source, converted, decoded, told = map(str, paths)
    assert main(["convert", source, converted, "--linear", "--json", told]) == 4  # tile 12
    assert main(["decode", source, "-o", decoded, "--linear"]) == 4
    for suffix in (".tif", ".mask.tif"):
        one, other = (whole(path.with_suffix(suffix)) for path in paths[1:3])
        shown = one["shown"] == 255
        origin = other["tags"][1]["SKYBOOK"]
        for key in [key for key in origin if key[8:] == "COMPLETE" or "EXPECTED" in key]:
            del origin[key]  # what only decoding all at once tells
        for key in ("profile", "tags", "rest", "bits"):
            assert one[key] == other[key], key
        np.testing.assert_array_equal(one["shown"], other["shown"])
        np.testing.assert_array_equal(one["image"][shown], other["image"][shown])
        valid, errors, _ = cog_validate(paths[1].with_suffix(suffix))
        assert valid, errors
    assert json.loads(paths[3].read_text())["mask_percent"]["concealed"] > 0
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("kind", ["product", "codec", "array", "v2"])
def test_a_zarr_becomes_what_it_holds(stream: bytes, kind: str, tmp_path: Path) -> None:
    cube = ground.decode(stream, linear=True)
    source = tmp_path / "c.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "product":
            (tmp_path / "a.sky").write_bytes(stream)
            main(["decode", str(tmp_path / "a.sky"), "-o", str(source), "--linear"])
        elif kind == "codec":
            cube = cube.isel(y=slice(0, 96))
            compress(cube, {"y": 64, "x": 300}, max_error=0).to_zarr(source, zarr_format=3)
        elif kind == "v2":
            cube.to_zarr(source, zarr_format=2)
        else:
            import zarr

            image = cube.image.values
            zarr.create_array(source, data=image, chunks=(4, 256, 256), fill_value=0)
    output = tmp_path / "c.tif"
    assert main(["convert", str(source), str(output)]) == (0 if kind == "array" else 4)
    found = whole(output)
    np.testing.assert_array_equal(found["image"], cube.image)
    if kind == "array":
        np.testing.assert_array_equal(found["shown"][0] == 255, (cube.image != 0).any("band"))
        return
    with rasterio.open(tmp_path / "c.mask.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), cube.mask)
    assert found["profile"]["crs"] == "EPSG:32633"
    assert found["profile"]["transform"].to_gdal() == PLACE
    assert found["rest"][0] == ("B02", "B03", "B04", "B08")
    assert found["rest"][1] == (1e-4,) * 4
    assert found["tags"][0]["AUTHOR"] == "x"
    assert found["tags"][1]["SKYBOOK"]["SKYBOOK_MODEL"] == "skybook"
    assert float(found["tags"][1]["SKYBOOK"]["SKYBOOK_PERCENT_CONCEALED"]) > 0


def test_zarrs_that_are_no_image_are_told(tmp_path: Path) -> None:
    import zarr

    with pytest.raises(InputError, match="Zarr"):
        open_picture(tmp_path, Choice())
    group = zarr.open_group(tmp_path / "g.zarr", mode="w")
    for name in ("a", "b"):
        array = group.create_array(name, shape=(9, 9), dtype="u2", dimension_names=("y", "x"))
        array[:] = 7
    group.create_array("f", shape=(9, 9), dtype="f4", dimension_names=("y", "x"))
    for array, error, words in (
        (None, UsageError, "--array, or one array"),
        ("f", InputError, "8 or 16 bits"),
        ("none", UsageError, "expected an array of"),
    ):
        with pytest.raises(error, match=words):
            open_picture(tmp_path / "g.zarr", Choice(), array)
    assert open_picture(tmp_path / "g.zarr", Choice(), "b").shape == (1, 9, 9)
    (tmp_path / "g.zarr" / "b" / "c" / "0" / "0").write_bytes(b"damaged")
    with pytest.raises(InputError, match="cannot be read"):
        open_picture(tmp_path / "g.zarr", Choice(), "b").read(slice(0, 9), slice(0, 9))


@pytest.mark.parametrize("share", [0.01, 0.4, 0.99, 1.0])
def test_a_full_disk_leaves_what_was_there(tmp_path: Path, share: float) -> None:
    """Even where GDAL says nothing, as of the last bytes."""
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(1).integers(0, 65_535, (2, 256, 300)).astype(np.uint16)
    mask = np.zeros((256, 300), np.uint8)
    block = slice(0, 256), slice(0, 300), noise, mask
    write_blocks(path, Scene(noise), [block], dict)
    most = int(share * path.stat().st_size) - 1
    for written in tmp_path.iterdir():
        written.unlink()
    path.write_bytes(b"as it was")
    with little_room(most), pytest.raises(UsageError, match=r"a\.tif"):
        write_blocks(path, Scene(noise), [block], dict)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]
    assert path.read_bytes() == b"as it was"


def test_outputs_that_would_harm_are_refused(tmp_path: Path, stream: bytes) -> None:
    (tmp_path / "a.sky").write_bytes(stream)
    (tmp_path / "b.mask.tif").write_bytes(b"something else")
    source = str(tmp_path / "a.sky")
    for output in ("a.sky", "b.tif", "c.nc", "none/c.tif"):
        assert main(["convert", source, str(tmp_path / output)]) == 2
    assert main(["convert", str(tmp_path / "none.sky"), str(tmp_path / "c.tif")]) == 3
