"""What the page asks for, and what it is told."""

import json
import random
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ground.api.source import Choice
from ground.decode.dump import dump_scene
from ground.decode.wanted import Wanted
from ground.metrics import histogram_distance
from ground.products.legend import LEGEND
from ground.scenes.procedural import procedural
from ground.serve.library import Library
from ground.viewer.requests import Viewer
from onboard import bundle as bundles
from onboard.encoder import Encoder, Options
from onboard.link.resync import Damage, read_segments
from onboard.link.segment import Kind, unpack_segments
from tests.conftest import NAME
from tests.ground.serve.test_hostile import targets
from tests.ground.viewer.conftest import LOST, NAMES, SECRET, Looked

S7 = "scene=7"


def told(looked: Looked, path: str) -> Any:
    found = looked.viewer.answer(f"/{path}", "http://h")
    assert found.status == 200, found.body
    return json.loads(found.body)


def colours(looked: Looked, path: str) -> Any:
    found = looked.viewer.answer(f"/pass.sky/{path}", "http://h")
    assert found.status == 200, found.body
    return np.asarray(Image.open(BytesIO(found.body)))


def refusal(looked: Looked, path: str) -> tuple[int, str]:
    found = looked.viewer.answer(f"/{path}", "http://h")
    return int(found.status), json.loads(found.body)["error"]


def test_scenes_are_listed_with_what_came_of_them(looked: Looked) -> None:
    damaged, seven, eight = told(looked, "scenes.json")["scenes"]
    assert "no intact segment" in damaged["error"]
    assert (seven["scene"], seven["tiles"], seven["complete"]) == (7, [34, 35], False)
    assert (eight["scene"], eight["tiles"], eight["complete"]) == (8, [1, 1], True)


def test_a_scene_that_grows_is_told_anew(looked: Looked) -> None:
    path = looked.folder / "growing.sky"
    whole = (looked.folder / "pass.sky").read_bytes()
    try:
        for share in (3, 1):
            path.write_bytes(whole[: len(whole) // share])
            found = told(looked, "scenes.json")["scenes"]
            (scene,) = (s for s in found if s["name"] == path.name and s.get("scene") == 7)
            assert (scene["tiles"][0] == 34) == (share == 1)
    finally:
        path.unlink()


def test_a_view_tells_bands_legend_and_whether_there_is_an_original(looked: Looked) -> None:
    seven = told(looked, f"pass.sky/view.json?{S7}")
    assert (seven["shape"], seven["bands"], seven["rgb"]) == ([4, 300, 420], [*NAMES], [2, 1, 0])
    assert [entry["meaning"] for entry in seven["legend"]] == [entry.meaning for entry in LEGEND]
    assert seven["original"] is True
    eight = told(looked, "pass.sky/view.json?scene=8")
    assert eight["original"] is False
    assert "expected 2 x 90 x 80" in eight["unlike"]


def test_a_pixel_is_that_of_decode_and_of_the_original(looked: Looked) -> None:
    for row, col in ((150, 50), (100, 350), (5, 5), (299, 419)):
        found = told(looked, f"pass.sky/pixel.json?{S7}&row={row}&col={col}")
        assert found["image"] == looked.whole.image.values[:, row, col].tolist()
        assert found["original"] == looked.original[:, row, col].tolist()
        assert found["mask"] == int(looked.whole.mask.values[row, col])
    assert refusal(looked, f"pass.sky/pixel.json?{S7}&row=300&col=0")[0] == 400


def test_layers_show_samples_errors_and_mask(looked: Looked) -> None:
    query = f"{S7}&bands=3,3,0&cut=0"
    image, original = (colours(looked, f"{n}/1/0/0.png?{query}") for n in ("image", "original"))
    assert image.shape == (256, 256, 4)
    assert (image[..., 0] == image[..., 1]).all()
    assert (image[..., 0] != image[..., 2]).any()
    assert (image[:20, :, 3] == 0).all()  # nodata
    off = np.abs(image[30:, :, :3].astype(int) - original[30:, :, :3])
    assert 0 < off.mean() < 10
    brighter = colours(looked, f"image/1/0/0.png?{query}&gamma=2")
    assert brighter[30:, :, 0].mean() > image[30:, :, 0].mean()
    mask = colours(looked, f"mask/1/1/0.png?{S7}")
    assert tuple(mask[100, 350 - 256]) == (*LEGEND[3].colour, 255)
    assert tuple(mask[5, 5]) == (*LEGEND[4].colour, 255)
    error = colours(looked, f"error/1/1/0.png?{S7}&most=1")
    wrong = looked.whole.image.values.astype(int) - looked.original
    worst = np.abs(wrong[:3]).max(axis=0)[30:256, 256:]
    seen = error[30:, : 420 - 256]
    assert (seen[worst == 0] == (13, 8, 135, 255)).all()
    assert (seen[worst >= 1] == (240, 249, 33, 255)).all()


def test_bits_of_tiles_are_those_that_came(looked: Looked) -> None:
    found = told(looked, f"pass.sky/bits.json?{S7}")
    assert (found["tile"], found["across"], len(found["bits"])) == (64, 7, 35)
    assert [i for i, bits in enumerate(found["bits"]) if bits == 0] == [LOST]


def test_match_is_that_of_the_metrics(looked: Looked) -> None:
    found = told(looked, f"pass.sky/match.json?{S7}")
    there = looked.whole.mask.values < 3
    assert found["pixels"] == there.sum()
    pair = looked.original[:, there][:, None], looked.whole.image.values[:, there][:, None]
    distances = [band["distance"] for band in found["bands"]]
    assert distances == pytest.approx(histogram_distance(*pair))
    for band in found["bands"]:
        assert sum(band["image"]["share"]) == pytest.approx(1)
        assert 0.5 < band["overlap"] <= 1
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean((pair[0] - pair[1].astype(float)) ** 2)))
    assert "rmse" not in told(looked, "pass.sky/match.json?scene=8")


def test_symbols_are_counted_by_frequency(looked: Looked) -> None:
    found = told(looked, f"pass.sky/codes.json?{S7}")
    assert (found["kind"], found["tiles"], found["of"]) == ("symbols", 35, 35)
    stream = (looked.folder / "pass.sky").read_bytes()
    segments = [s for s in read_segments(stream) if not isinstance(s, Damage) and s.scene_id == 7]
    arrays = dump_scene(bundles.load("skybook"), segments, Wanted(scene_id=7)).arrays
    for row, (first, last) in zip(found["rows"], ((0, 0), (1, 3), (4, 7), (8, 14)), strict=True):
        inside = [f for f in range(64) if first <= f // 8 + f % 8 <= last]
        symbols = arrays["symbol"][:, inside][arrays["arrived"][:, inside]]
        assert row["zero"] == pytest.approx(np.mean(symbols == 0))
        assert row["one"] == pytest.approx(np.mean(np.abs(symbols) == 1))
        assert row["zero"] + row["one"] + row["more"] == pytest.approx(1)
        assert 0 < row["entropy"] < 12
    zeros = [row["zero"] for row in found["rows"]]
    assert zeros == sorted(zeros)  # the finer, the more are zero


def test_codewords_are_counted_by_level(looked: Looked) -> None:
    image = procedural(6, 100, 150).image.astype(np.uint16)
    encoder = Encoder(bundles.load(NAME), "ort")
    stream = b"".join(encoder.encode(image, options=Options(scene_id=3)))
    folder = looked.folder.parent / "corsa"
    folder.mkdir()
    (folder / "a.sky").write_bytes(stream)
    viewer = Viewer.of(Library.of(folder, Choice(), 16 << 20))
    found = told(replace(looked, viewer=viewer), "a.sky/codes.json?scene=3")
    arrays = dump_scene(encoder.bundle, unpack_segments(stream), Wanted(scene_id=3)).arrays
    assert found["kind"] == "codewords"
    for number, row in enumerate(found["rows"], 1):
        indices = arrays[f"index{number}"]
        _, counts = np.unique(indices, return_counts=True)
        assert (row["used"], row["of"]) == (len(counts), 1_024)
        assert row["shares"] == pytest.approx(sorted(counts / indices.size)[::-1], abs=1e-6)
        share = counts / counts.sum()
        assert row["entropy"] == pytest.approx(-(share * np.log2(share)).sum())
        assert row["perplexity"] == pytest.approx(2 ** row["entropy"])


def test_rate_is_held_beside_jpeg_2000_at_as_many_bytes(looked: Looked) -> None:
    found = told(looked, f"pass.sky/rate.json?{S7}")
    assert (found["whole"], found["shape"]) == (True, [4, 300, 420])
    bits = told(looked, f"pass.sky/bits.json?{S7}")
    area = [
        min(64, 300 - row) * min(64, 420 - col)
        for row in range(0, 300, 64)
        for col in range(0, 420, 64)
    ]
    size = sum(b * a for b, a in zip(bits["bits"], area, strict=True)) * 4 / 8
    assert found["own"]["bytes"] == pytest.approx(size, rel=1e-3)
    image, there = looked.whole.image.values, looked.whole.mask.values != 4
    off = (image.astype(float) - looked.original)[:, there]
    assert found["own"]["psnr"] == pytest.approx(20 * np.log10(65_535 / np.sqrt(np.mean(off**2))))
    half, same, twice = found["jpeg2000"]
    assert half["psnr"] < same["psnr"] < twice["psnr"]
    for point, times in ((half, 0.5), (same, 1), (twice, 2)):
        assert 0.97 * times < point["bytes"] / found["own"]["bytes"] <= times
        assert point["bits"] == pytest.approx(8 * point["bytes"] / image.size)
    assert "expected 2 x 90 x 80" in told(looked, "pass.sky/rate.json?scene=8")["problem"]


def test_a_scene_without_its_header_is_looked_at_with_a_width(looked: Looked) -> None:
    stream = (looked.folder / "pass.sky").read_bytes()
    kept = [s for s in read_segments(stream) if not isinstance(s, Damage) and s.scene_id == 7]
    headless = b"".join(segment.pack() for segment in kept if segment.kind != Kind.SCENE)
    folder = looked.folder.parent / "headless"
    folder.mkdir(exist_ok=True)
    (folder / "a.sky").write_bytes(headless)
    lost = b"".join(s.pack() for s in kept if s.kind not in (Kind.SCENE, Kind.END))
    (folder / "endless.sky").write_bytes(lost)
    choice = Choice(linear=True, width=420)
    viewer = Viewer.of(Library.of(folder, choice, 16 << 20), looked.viewer.original)
    one = replace(looked, viewer=viewer)
    for name in ("a.sky", "endless.sky"):
        (scene,) = (s for s in told(one, "scenes.json")["scenes"] if s["name"] == name)
        assert (scene["tiles"], scene["complete"]) == ([34, 35], False)
        view = told(one, f"{name}/view.json?{S7}")
        assert (view["shape"], view["original"]) == ([4, 300, 420], True)
        pixel = told(one, f"{name}/pixel.json?{S7}&row=150&col=50")
        assert pixel["image"] == looked.whole.image.values[:, 150, 50].tolist()
    assert len(told(one, f"a.sky/bits.json?{S7}")["bits"]) == 35
    assert told(one, f"a.sky/codes.json?{S7}")["kind"] == "symbols"
    narrow = replace(one, viewer=Viewer.of(Library.of(folder, Choice(linear=True), 16 << 20)))
    assert "--width" in refusal(narrow, f"a.sky/view.json?{S7}")[1]


def test_what_is_asked_wrongly_is_told_so(looked: Looked) -> None:
    image = f"pass.sky/image/0/0/0.png?{S7}"
    for more in ("&bands=0,1", "&bands=0,1,4", "&bands=-1,0,0", "&cut=3", "&gamma=0", "&gamma=nan"):
        assert refusal(looked, image + more)[0] == 400, more
    assert refusal(looked, "pass.sky/error/0/0/0.png?scene=8")[0] == 400
    assert "--original" not in refusal(looked, "pass.sky/error/0/0/0.png?scene=8")[1]
    assert refusal(looked, "pass.sky/image/9/0/0.png?scene=8")[0] == 400
    assert refusal(looked, "pass.sky/view.json?scene=9")[0] == 422
    assert refusal(looked, "none.sky/view.json")[0] == 404


def test_nothing_outside_the_folder_is_answered(looked: Looked) -> None:
    chosen = random.Random(7)
    swaps = {"scene.json": "view.json", "gdal.xml": "pixel.json", "tiles": "image", "xyz": "error"}
    for target in targets(1_000, looked.folder):
        asked = target
        for old, new in swaps.items():
            asked = asked.replace(old, chosen.choice((old, new)))
        found = looked.viewer.answer(asked, "http://h")
        assert found.status == 200 or 400 <= found.status < 500, (asked, found)
        assert SECRET not in found.body
        assert str(looked.folder.parent).encode() not in found.body
