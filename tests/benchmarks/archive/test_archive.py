"""What the ground segment takes: the figures that the benchmark gives."""

import json
from pathlib import Path

import numpy as np
import pytest
import zarr

from benchmarks.__main__ import main
from benchmarks.archive import windows, zarrs
from benchmarks.archive.direct import Direct
from benchmarks.archive.granule import measure_granule, timed
from benchmarks.archive.report import ground_text, plot_batch
from benchmarks.archive.zarrs import measure_zarr
from ground.chunks.quality import Quality
from ground.scenes.procedural import procedural
from onboard.errors import SkybookError


@pytest.mark.slow
def test_figures_of_two_workers(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    assert main(["ground", "--only", "batch", "--quick", "--json", str(path)]) == 0
    found = json.loads(path.read_text())["batch"]
    assert set(found["seconds"]) == {"1", "2"}
    assert found["efficiency_1"] == found["scene_1"] == 1
    assert found["efficiency_2"] == pytest.approx(found["seconds"]["1"] / found["seconds"]["2"])
    assert found["efficiency_2"] == pytest.approx(*found["efficiency_2_runs"])
    assert found["scene_2"] > 0.5
    assert 0 < found["peak_worker_bytes"] < 2 << 30


def test_text_and_plot(tmp_path: Path) -> None:
    batch = {"efficiency_1": 1.0, "efficiency_2": 1.9, "seconds": {"1": 19.0, "2": 10.0}}
    batch |= {"scene_1": 1.0, "scene_2": 1.04}
    batch |= {"mpixel_per_s": {"1": 1.0, "2": 1.9}, "peak_worker_bytes": 300 << 20}
    batch |= {"scenes": 24, "side": 1024}
    text = ground_text({"machine": "a machine", "batch": batch})
    assert (
        "2 workers:     10.0 s,   1.90 Mpixel/s,  1.90 x one; a scene takes 1.040 x as long" in text
    )
    plot_batch(batch, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1_000


def test_a_process_tells_its_time_and_memory() -> None:
    here = bytearray(b"1") * 300_000_000  # no matter how large who starts it is
    small, large = (
        timed("bytearray(b'1') * int(sys.argv[1])", size) for size in ("1", "200000000")
    )
    assert len(here) - small.peak_mb * 1e6 > 150e6
    assert 190 < large.peak_mb - small.peak_mb < 230
    assert min(small.processor, small.seconds) > 0
    with pytest.raises(SkybookError, match="ZeroDivisionError"):
        timed("1 / 0")


@pytest.mark.slow
def test_a_small_granule_is_measured(tmp_path: Path) -> None:
    found = measure_granule(300, 1, 1, tmp_path, lambda _what: None)
    assert 50 < found["rss_mb"] < 2_000
    assert found["scenes"].keys() == {"real", "procedural"}
    for one in found["scenes"].values():
        assert one["decode_rss_mb"] <= found["rss_mb"]
        assert one["products_over_decode"] == one["decode_alone_s"] / one["decode_s"]
        assert one["product_bytes"] > one["stream_bytes"]
    assert not [*tmp_path.glob("*.tif")]
    assert "granule: 4 x 300 x 300" in ground_text({"machine": "x", "granule": found})


def test_windows_read_what_their_tiles_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(windows, "WINDOWS", (1, 200))
    monkeypatch.setattr(windows, "_CHUNK", 128)
    monkeypatch.setattr(windows, "_SHARD", 256)
    found = windows.measure_windows(400, 1, tmp_path, lambda _what: None)
    for name in ("sky", "sky_linear", "zarr", "shards"):
        over = "chunks" if name in ("zarr", "shards") else "tiles"
        assert 1 <= found[f"{name}_over_{over}"] <= 1.2
    shares = list(found["overview"].values())
    assert shares == sorted(shares, reverse=True)
    assert "Zarr: 1.0" in ground_text({"machine": "x", "window": found})


def test_bytes_of_rivals_are_those_at_the_same_psnr(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("imagecodecs")
    monkeypatch.setattr(zarrs, "_SEARCHED", 6)
    found = measure_zarr(128, 1, None, tmp_path, lambda _what: None)
    assert found["bytes_over_jpeg2000"] < found["bytes_over_jpeg2000_plain"] < 0.75
    assert found["bytes_over_htj2k"] < found["bytes_over_htj2k_plain"] < 0.75
    (scene,) = found["scenes"].values()
    assert 62 < scene["psnr16_plain"] < scene["psnr16"] < 72
    for key in ("write_over_direct", "read_over_direct", "write_over_memory", "read_over_memory"):
        assert found[key] == found[f"{key}_runs"][0] > 0
    assert "JPEG 2000" in ground_text({"machine": "x", "zarr": found})


def test_encoder_and_decoder_alone_make_what_zarr_stores(tmp_path: Path) -> None:
    image = procedural(3, 600, 520, nodata=False).image
    direct = Direct(tmp_path, Quality(ratio=zarrs.RATIO))
    direct.write(image)
    store = tmp_path / "x.zarr"
    codec = {"name": "skybook", "configuration": {"ratio": zarrs.RATIO}}
    chunks = {"chunks": (4, 512, 512), "serializer": codec, "compressors": None}
    array = zarr.create_array(store, data=image, **chunks)
    assert np.array_equal(direct.read(image)[:, :512, :512], array[:, :512, :512])
    stream = (tmp_path / "0-0.sky").read_bytes()
    assert stream == (store / "c" / "0" / "0" / "0").read_bytes()
    assert direct.encode(np.ascontiguousarray(image[:, :512, :512])) == stream


def test_what_makes_no_sense_is_told() -> None:
    assert main(["ground", "--workers", "0"]) == 2
    assert main(["ground", "--runs", "0"]) == 2
