"""Batches: the tiles of a window in the order of their numbers, whichever are wanted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onboard import bundle as bundles
from onboard.encoder import Encoder, batches
from onboard.encoder.batches import Batches
from onboard.image.files import read_npy
from onboard.link.header import SceneHeader
from tests.profiles import drawn


def test_tiles_keep_their_order_where_the_first_are_of_no_rate() -> None:
    image = np.arange(4 * 128 * 150, dtype=np.uint16).reshape(4, 128, 150)
    windows = [image[:, :64], image[:, 64:]]
    coder = Encoder(bundles.load("skybook")).coder
    header = SceneHeader.of(image)
    found = Batches.analyse(coder, windows, header, 64, 0, wanted=lambda index: index > 1)
    numbers = np.concatenate([batch.indices for batch in found.batches])
    assert numbers[found.tiles(found.ranges[1])].tolist() == [3, 4, 5]


def test_a_mapped_file_is_let_go_every_few_rows_of_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the tiles at its right border, of which one row is next to another."""
    np.save(tmp_path / "a.npy", np.zeros((1, 80 * 16, 24), np.uint16))
    image = read_npy(tmp_path / "a.npy")
    touched: list[set[int]] = [set()]
    monkeypatch.setattr(batches, "let_go", lambda _lines: touched.append(set()))
    add = Batches._add

    def noted(
        self: Batches, coder: Any, tiles: Any, present: Any, indices: Any, *more: Any
    ) -> None:
        touched[-1].update((indices // self.columns).tolist())
        add(self, coder, tiles, present, indices, *more)

    monkeypatch.setattr(Batches, "_add", noted)
    coder = Encoder(bundles.load("skybook"), "numpy").for_scene(SceneHeader.of(image)).coder
    header = replace(SceneHeader.of(image), nodata=0)
    Batches.analyse(coder, [image], header, 16, 0)
    assert set().union(*touched) == set(range(80))
    assert max(map(len, touched)) <= 16 + 32
    assert not touched[-1]


def test_tiles_of_components_are_in_the_same_order_whatever_is_analysed_together() -> None:
    shape = 20, 4 * 64, 7 * 64 + 20
    image = np.random.default_rng(1).integers(900, 1_100, shape, np.uint16)
    header = SceneHeader.of(image)
    profile = drawn(20, 1)
    encoder = Encoder(bundles.load("skybook"), "numpy", profile=profile).for_scene(header)
    header = replace(header, profile=profile.digest)
    windows = [image[:, row : row + 64] for row in range(0, 4 * 64, 64)]

    def numbers(first: int, stop: int, window: int) -> list[int]:
        found = Batches.analyse(encoder.coder, windows[first:stop], header, 64, first, groups=2)
        every = np.concatenate([batch.indices for batch in found.batches])
        return every[found.tiles(found.ranges[window])].tolist()

    for window in range(4):
        together, first = numbers(0, 4, window), 16 * window
        assert together == numbers(window, window + 1, 0)
        places = [8 * group + place for group in (0, 1) for place in range(7)]
        order = [first + place for place in [*places, 7, 15]]
        assert together == [number for number in order if number in together]
