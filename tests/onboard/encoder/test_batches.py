"""Batches: the tiles of a window in the order of their numbers, whichever are wanted."""

import numpy as np

from onboard import bundle as bundles
from onboard.encoder import Encoder
from onboard.encoder.batches import Batches
from onboard.link.header import SceneHeader


def test_tiles_keep_their_order_where_the_first_are_of_no_rate() -> None:
    image = np.arange(4 * 128 * 150, dtype=np.uint16).reshape(4, 128, 150)
    windows = [image[:, :64], image[:, 64:]]
    coder = Encoder(bundles.load("skybook")).coder
    header = SceneHeader.of(image)
    found = Batches.analyse(coder, windows, header, 64, 0, wanted=lambda index: index > 1)
    numbers = np.concatenate([batch.indices for batch in found.batches])
    assert numbers[found.tiles(found.ranges[1])].tolist() == [3, 4, 5]
