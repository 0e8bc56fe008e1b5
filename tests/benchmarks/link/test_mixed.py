"""Recordings with several encodings of one scene id: no pixel of one is shown as another's."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.codecs.skybook import BUNDLE
from benchmarks.link.measure import open_bundle
from benchmarks.link.mixed import Pool, run_mixed, simulate_mixed


@pytest.fixture(scope="module")
def pool() -> Pool:
    return Pool(*open_bundle(BUNDLE), size=6)


def test_no_pixel_of_mask_0_is_of_another_encoding(pool: Pool) -> None:
    found = simulate_mixed(pool, range(16, 24), lambda _: None)
    assert found["recordings"] == 8
    assert found["encodings_found"] > 8
    assert found["recordings_decoded"] > 4
    assert found["complete_pixels"] > 10_000
    assert found["wrong_pixels"] == found["differing_pixels"] == 0
    assert found["salvaged"] > 0
    assert found["strange_segments"] == 0
    assert found["wrong_recordings"] == []


def test_a_recording_depends_on_its_number_alone(pool: Pool) -> None:
    assert run_mixed(pool, 3) == run_mixed(pool, 3)


def test_without_runs_pixels_are_mixed_and_that_is_seen(pool: Pool) -> None:
    without = Pool(pool.encoder, pool.decoder, 6, run=0)
    found = simulate_mixed(without, range(16, 19), lambda _: None)
    assert found["wrong_pixels"] > 0
    assert found["wrong_recordings"]


def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "mixed.json"
    assert main(["link", "--mixed", "1", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert (found["recordings"], found["wrong_pixels"]) == (1, 0)


@pytest.mark.slow
def test_no_pixel_of_mask_0_is_of_another_encoding_in_many_recordings() -> None:
    found = simulate_mixed(Pool(*open_bundle(BUNDLE)), range(300), lambda _: None)
    assert found["wrong_pixels"] == found["differing_pixels"] == 0
