"""What `benchmarks bounded` measures: rivals keep the bound that they are given, figures add up."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.bounded.coders import Coders
from benchmarks.bounded.measure import measure
from benchmarks.bounded.report import text
from benchmarks.codecs.exactrivals import EXACT_RIVALS, ExactRival
from benchmarks.codecs.liftedklt import LiftedKlt
from ground.decode.decoder import Decoder
from ground.scene import Scene
from onboard import bundle as bundles
from onboard.encoder import Encoder
from onboard.errors import UsageError
from tests.onboard.codec.bounded.tiles import smooth

RIVALS = [rival for rival in EXACT_RIVALS if not rival.reason]


def image_of(kind: type[np.unsignedinteger], bands: int) -> NDArray[np.unsignedinteger]:
    top = int(np.iinfo(kind).max)
    return smooth((1, bands, 40, 37), 3, top, top // 99)[0].astype(kind)


@pytest.mark.parametrize("rival", RIVALS, ids=[rival.key for rival in RIVALS])
@pytest.mark.parametrize(("kind", "bands"), [(np.uint16, 1), (np.uint16, 4), (np.uint8, 3)])
def test_rivals_keep_their_bound(
    rival: ExactRival, kind: type[np.unsignedinteger], bands: int
) -> None:
    image = image_of(kind, bands)
    for bound in (0, 3):
        parts = rival.codec.encode(image, bound)
        back = rival.codec.decode(parts, image.shape, bound).astype(np.int64)
        assert np.abs(back - image).max() <= bound
        assert sum(map(len, parts)) < image.nbytes * 1.1


def test_rotations_in_lifting_steps_come_back() -> None:
    image = image_of(np.uint16, 5) // 64 + image_of(np.uint16, 1) // 16
    klt = LiftedKlt.of(image)
    planes = klt.forward(image)
    assert planes is not None
    assert (LiftedKlt.unpack(klt.pack(), 5).backward(planes) == image).all()
    left = [np.diff(part.astype(int), axis=2).std(axis=(1, 2)) for part in (image, planes)]
    assert np.log(left[1]).sum() < np.log(left[0]).sum() - 1


def test_figures(tmp_path_factory: pytest.TempPathFactory) -> None:
    from tests.chain.test_bounded_chain import bounded_bundle

    path = bounded_bundle(tmp_path_factory.mktemp("bounded"))
    coders = Coders(Encoder(bundles.load(str(path))), Decoder(path))
    scenes = [("a", Scene(image_of(np.uint16, 2))), ("b", Scene(image_of(np.uint8, 3)))]
    document = measure(coders, scenes, (0, 2), lambda _scene, _bound: None, (8,))
    for bound in (0, 2):
        summary = document["summary"][f"D{bound}"]
        assert summary["max_error_seen"] <= bound
        ratios = [
            rows[f"D{bound}"]["skybook"] / min(rows[f"D{bound}"][rival.key] for rival in RIVALS)
            for rows in document["scenes"].values()
        ]
        assert math.isclose(summary["bytes_over_best_rival"], math.sqrt(math.prod(ratios)))
        assert summary["worst_bytes_over_best_rival"] == max(ratios)
        assert summary["bytes_over_best_flying_rival"] <= summary["bytes_over_best_rival"]
    parts = document["two_parts"]["first_D8"]
    assert (parts["first_max_error_seen"], parts["max_error_seen"]) == (8, 0)
    assert parts["first_bytes_over_at_once"] < 1 < parts["bytes_over_at_once"] < 1.1
    for words in ("all but JPEG XL", "first within 8 DN"):
        assert words in text(document)
    with pytest.raises(UsageError, match="none below 1"):
        measure(coders, scenes, (1,), lambda _scene, _bound: None, (0,))


def test_a_bundle_without_the_part() -> None:
    coders = Coders(
        Encoder(bundles.load("corsa-2level-1024")), Decoder(bundles.find("corsa-2level-1024"))
    )
    with pytest.raises(UsageError, match="part `bounded`"):
        measure(coders, [], (0,), lambda _scene, _bound: None)
