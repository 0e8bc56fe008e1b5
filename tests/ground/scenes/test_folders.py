"""Finding scenes, splitting them by place, cutting tiles."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ground.products.geotiff import write
from ground.scene import Scene
from ground.scenes.folders import Item, find_scenes, read_item, read_tiles, split_by_place
from ground.scenes.procedural import procedural
from onboard.errors import InputError, UsageError
from tests.conftest import SHARED

BANDS = ("B02", "B03", "B04", "B08")


def put(path: Path, image: np.ndarray | None = None, nodata: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, Scene(np.ones((4, 6, 6), np.uint16) if image is None else image, nodata))
    return path


def put_patch(folder: Path, image: np.ndarray) -> Path:
    for name, band in zip(BANDS, image, strict=True):
        put(folder / f"{folder.name}_{name}.tif", band[None])
    put(folder / f"{folder.name}_B01.tif", image[:1, ::6, ::6])
    return folder


def summary(items: list[Item], root: Path) -> list[tuple[str, str, str]]:
    return [(i.path.relative_to(root).as_posix(), i.place, i.split) for i in items]


def test_scenes_are_sorted_and_named_by_their_file(tmp_path):
    for name in ("b/rome_x_2020.tif", "a_b__s1.tif", "plain.tif", "a_b__s1.mask.tif"):
        put(tmp_path / name)
    (tmp_path / "notes.txt").touch()
    assert summary(find_scenes(tmp_path), tmp_path) == [
        ("a_b__s1.tif", "a_b", ""),
        ("b/rome_x_2020.tif", "rome", ""),
        ("plain.tif", "plain", ""),
    ]


def test_the_nearest_manifest_gives_place_and_split(tmp_path):
    root = tmp_path / "data" / "s2"
    for name in ("x_1.tif", "deep/y_1.tif", "deep/z_1.tif"):
        put(root / name)
    (tmp_path / "manifest.csv").write_text("path,place\ndata/s2/x_1.tif,too far\n")
    (tmp_path / "data" / "manifest.csv").write_text("path,split,place\ns2/x_1.tif,val,Rome\n")
    (root / "deep" / "manifest.csv").write_text("place,path\nOslo,y_1.tif\n")
    assert summary(find_scenes(root), root) == [
        ("deep/y_1.tif", "Oslo", ""),
        ("deep/z_1.tif", "z", ""),
        ("x_1.tif", "Rome", "val"),
    ]


def test_a_manifest_of_something_else_is_passed_over(tmp_path):
    root = tmp_path / "data"
    put(root / "x_1.tif")
    (tmp_path / "manifest.csv").write_text("path,place\ndata/x_1.tif,Rome\n")
    (root / "manifest.csv").write_text("name,colour\nx_1.tif,red\n")
    assert find_scenes(root)[0].place == "Rome"
    (root / "manifest.csv").write_bytes(b"path,place\n\xff\xfe\x00,\x00")
    with pytest.raises(InputError, match=r"manifest\.csv: expected a table"):
        find_scenes(root)


def test_a_relative_folder_finds_the_manifest_above_it(tmp_path, monkeypatch):
    put(tmp_path / "data" / "x_1.tif")
    (tmp_path / "manifest.csv").write_text("path,place\ndata/x_1.tif,Rome\n")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    assert find_scenes(Path("../data"))[0] == Item(Path("../data/x_1.tif"), "Rome", "")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("S2A_MSIL2A_20170613T101031_0_45", "S2A_MSIL2A_20170613T101031"),
        ("S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57", "T33UUP"),
    ],
)
def test_a_bigearthnet_patch_is_one_item(tmp_path, name, place):
    image = procedural(1, 120, 120, nodata=False).image
    folder = put_patch(tmp_path / name, image)
    items = find_scenes(tmp_path)
    assert items == [Item(folder, place, "")]
    scene = read_item(items[0])
    np.testing.assert_array_equal(scene.image, image)
    assert scene.band_ids == BANDS
    (tmp_path / "manifest.csv").write_text(f"path,place,split\n{name},Linz,test\n")
    assert find_scenes(tmp_path) == [Item(folder, "Linz", "test")]


def test_a_patch_whose_bands_do_not_fit_is_refused(tmp_path):
    folder = put_patch(tmp_path / "p_1_2", procedural(1, 12, 12).image)
    put(folder / "p_1_2_B04.tif", np.ones((1, 6, 6), np.uint16))
    with pytest.raises(InputError, match=r"B04: expected uint16 \(1, 12, 12\)"):
        read_item(find_scenes(tmp_path)[0])


def test_folders_without_scenes_are_input_errors(tmp_path):
    with pytest.raises(InputError, match="expected a folder"):
        find_scenes(tmp_path / "none")
    with pytest.raises(InputError, match=r"at least one \*\.tif"):
        find_scenes(tmp_path)


items_of = st.lists(st.sampled_from([f"p{i}" for i in range(25)]), max_size=60).map(
    lambda places: [Item(Path(f"{i}.tif"), place, "") for i, place in enumerate(places)]
)


@settings(max_examples=60, deadline=None)
@given(items_of, st.integers(0, 9))
def test_a_split_parts_places_and_keeps_every_item(items, seed):
    parts = split_by_place(items, seed=seed)
    places = [{item.place for item in part} for part in parts.values()]
    assert sorted((i for part in parts.values() for i in part), key=items.index) == items
    assert sum(map(len, places)) == len(set().union(*places))
    assert sum(map(bool, places)) == min(3, len(set().union(*places)))
    reordered = split_by_place(items[::-1], seed=seed)
    assert [{i.place for i in part} for part in reordered.values()] == places


def test_a_split_is_pinned_and_near_its_fractions():
    items = [Item(Path(f"{i}.tif"), f"place{i}", "") for i in range(100)]
    parts = split_by_place(items)
    assert {name: len(part) for name, part in parts.items()} == {"train": 80, "val": 10, "test": 10}
    assert [i.place for i in parts["val"]] != [
        i.place for i in split_by_place(items, seed=1)["val"]
    ]
    assert split_by_place(items, {"all": 1.0, "none": 0.0}) == {"all": items, "none": []}
    for wrong in ({"a": 0.5}, {"a": 1.5, "b": -0.5}, {}):
        with pytest.raises(UsageError, match="fractions"):
            split_by_place(items, wrong)


def test_tiles_overlap_and_the_last_ends_at_the_border(tmp_path):
    image = np.arange(4 * 10 * 7, dtype=np.uint16).reshape(4, 10, 7) + 1
    item = Item(put(tmp_path / "a.tif", image), "a", "")
    tiles = read_tiles([item], 4, 3)
    corners = [(row, col) for row in (0, 3, 6) for col in (0, 3)]
    expected = np.stack([image[:, r : r + 4, c : c + 4] for r, c in corners])
    np.testing.assert_array_equal(tiles, expected)
    tiles = read_tiles([item], 4, 4)
    np.testing.assert_array_equal(tiles[-1], image[:, 6:, 3:])
    assert len(tiles) == 6


def test_a_scene_smaller_than_a_tile_is_mirrored(tmp_path):
    image = np.arange(4 * 3 * 5, dtype=np.uint16).reshape(4, 3, 5) + 1
    tiles = read_tiles([Item(put(tmp_path / "a.tif", image), "a", "")], 5, 5)
    np.testing.assert_array_equal(tiles, image[None, :, [0, 1, 2, 2, 1]])
    assert tiles.dtype == np.uint16


@pytest.mark.parametrize("nodata", [0, None])
def test_tiles_mostly_without_data_are_left_out(tmp_path, nodata):
    image = np.full((4, 4, 12), 9, np.uint16)
    image[:, :, :4] = 0
    image[:, 0, 4:8] = 0
    image[:, :3, 8:] = 0
    image[0, :, 4:] = 0
    tiles = read_tiles([Item(put(tmp_path / "a.tif", image, nodata), "a", "")], 4, 4)
    np.testing.assert_array_equal(tiles, image[None, :, :, 4:8])


def test_only_scenes_of_the_wanted_bands_give_tiles(tmp_path):
    items = [
        Item(put(tmp_path / f"{n}.tif", np.full((n, 8, 8), n, np.uint8)), "a", "") for n in (3, 4)
    ]
    assert np.unique(read_tiles(items, 8, 8)) == [4]
    assert read_tiles(items, 4, 4, bands=3).shape == (4, 3, 4, 4)
    with pytest.raises(InputError, match="at least one tile of 5 bands, found none in 2 scenes"):
        read_tiles(items, 8, 8, bands=5)


def test_signed_scenes_and_sizes_below_one_are_refused(tmp_path):
    item = Item(put(tmp_path / "a.tif", np.ones((4, 8, 8), np.int16)), "a", "")
    with pytest.raises(InputError, match="expected uint8 or uint16, found int16"):
        read_tiles([item], 4, 4)
    for size, stride in ((0, 4), (4, 0)):
        with pytest.raises(UsageError, match="size and stride from 1"):
            read_tiles([item], size, stride)


@pytest.mark.skipif(not (SHARED / "s2").is_dir(), reason="the shared imagery is not here")
def test_the_shared_imagery_is_split_by_place():
    items = find_scenes(SHARED / "s2")
    places: dict[str, set[str]] = {}
    for item in items:
        assert item.split == item.path.parent.name
        places.setdefault(item.split, set()).add(item.place)
    assert not places["train"] & (places["val"] | places["test"])
    assert read_item(items[0]).band_ids == BANDS
