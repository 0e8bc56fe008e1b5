"""Refinement of a canvas, as it is and at its best: mirrored and turned."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from ground.decode.lapped.canvas import Canvas
from ground.decode.lapped.refinement import refine
from ground.decode.lapped.synthesis import CELL
from ground.decode.rebuilder import Network
from ground.scenes.spyndex import spyndex_scene
from onboard.image.tiles import TileGrid

Real = NDArray[np.float32]


class Slopes:
    """Adds slopes along and across borders of tiles: the same whichever way a part is turned."""

    runs = 0

    def run(self, maps: Sequence[Real]) -> Real:
        """Return the image and what was made of all other maps."""
        image, step, known, border = maps
        self.runs += 1
        along, across = np.gradient(image, axis=(2, 3))
        rows, cols, *_ = np.repeat(np.repeat(border[0], CELL, 1), CELL, 2)
        share = np.repeat(np.repeat(step * known, CELL, 2), CELL, 3)
        changed: Real = (image + share * (along * rows + across * cols)).astype(np.float32)
        return changed


class Above(Slopes):
    """Takes each row for the one above it, so mirrored for the one below."""

    def run(self, maps: Sequence[Real]) -> Real:
        """Return the image, moved."""
        return np.roll(maps[0], 1, axis=2)


def _canvas() -> Canvas:
    image = spyndex_scene().image[:, :200, :136]
    grid = TileGrid(136, 200, 64)
    canvas = Canvas.blank(grid, range(4), len(image))
    canvas.image[:] = image
    rng = np.random.default_rng(3)
    canvas.step[:] = rng.uniform(0.1, 3, canvas.step.shape)
    canvas.known[:] = rng.uniform(0, 1, canvas.known.shape)
    return canvas


def _refined(canvas: Canvas, network: Slopes, best: bool) -> Real:
    refined = np.empty_like(canvas.image)

    def put(rows: slice, cols: slice, found: Real) -> None:
        refined[:, rows, cols] = found

    with ThreadPoolExecutor(1) as pool:
        refine(canvas, range(200), pool, Network(network, 8, 1, best), put)
    return refined


def test_what_sees_all_ways_alike_makes_the_same_at_its_best() -> None:
    canvas, network = _canvas(), Slopes()
    once = _refined(canvas, network, best=False)
    assert network.runs == 1
    assert np.abs(once - canvas.image).max() > 10
    assert _refined(canvas, network, best=True) == pytest.approx(once, abs=0.01)
    assert network.runs == 9


def test_best_is_the_mean_of_all_ways() -> None:
    canvas = _canvas()
    best = _refined(canvas, Above(), best=True)
    moved = [np.roll(canvas.image, way, axis) for way in (1, -1) for axis in (1, 2)]
    assert best == pytest.approx(np.mean(moved, axis=0), abs=0.01)
