"""Rows that are taken while a scene is decoded: the same pixels, in little memory."""

import mmap
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

import onboard
from ground.decode import rows
from ground.decode.decoder import Decoder
from ground.decode.rows import Decoding, Give, Memory, Rows
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.errors import StreamError
from onboard.image.bayer import split
from onboard.link.header import SceneHeader
from onboard.link.segment import Kind, Segment, unpack_segments

NAME = "skybook"


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(bundles.find(NAME), linear=True)


def segments(kind: str) -> list[Segment]:
    """A scene of 1,100 lines, a tile of which is lost and a corner nodata."""
    image = procedural(5, 1_100, 72 if kind == "lossy" else 16).image.astype(np.uint16)
    image[:, :70] = 0
    if kind == "mosaic":
        header = SceneHeader.of(split(image[:1]), bayer="rggb")
        return unpack_segments(onboard.encode(split(image[:1]), header=header, ratio=20))
    more = {"max_error": 9} if kind == "bounded" else {"ratio": 20}
    header = SceneHeader.of(image, tile=64)
    stream = onboard.encode(image, header=header, nodata=0, **more)
    return [s for s in unpack_segments(stream) if s.kind != Kind.TILE or s.tile != 9]


@pytest.mark.parametrize("kind", ["lossy", "bounded", "mosaic"])
def test_rows_are_those_of_the_whole_scene(decoder: Decoder, kind: str) -> None:
    received = segments(kind)
    whole = decoder.decode_segments(received)
    decoding = Decoding(lambda give: decoder.decode_segments(received, give=give))
    assert decoding.scene.image.shape == whole.scene.image.shape
    done = 0
    for down, across, image, mask in decoding:
        assert (down.start, across) == (done, slice(0, whole.mask.shape[1]))
        np.testing.assert_array_equal(image, whole.scene.image[:, down])
        np.testing.assert_array_equal(mask, whole.mask[down])
        done = down.stop
    assert done == len(whole.mask)
    found = decoding.decoded
    assert (found.complete, found.expected_error) == (whole.complete, whole.expected_error)
    assert found.scene.nodata == whole.scene.nodata


def test_what_fails_on_the_way_is_told_where_rows_are_taken() -> None:
    def failing(give: Give, after: bool) -> object:
        scene = procedural(5, 8, 8)
        if after:
            give(scene)
        raise StreamError("stream: breaks off")

    with pytest.raises(StreamError, match="breaks off"):
        Decoding(partial(failing, after=False))  # type: ignore[arg-type]
    decoding = Decoding(partial(failing, after=True))  # type: ignore[arg-type]
    with pytest.raises(StreamError, match="breaks off"):
        list(decoding)


def test_who_takes_no_more_ends_the_decoding(decoder: Decoder) -> None:
    received = segments("lossy")
    decoding = Decoding(lambda give: decoder.decode_segments(received, give=give))
    taken: Iterator[object] = iter(decoding)
    next(taken)
    taken.close()  # type: ignore[attr-defined]
    assert not decoding._thread.is_alive()


def test_only_while_rows_are_waited_for_more_is_decoded_where_that_is_asked_for() -> None:
    given: list[int] = []

    def decode(give: Give) -> str:
        give(procedural(5, 8, 8))
        for row in range(5):
            given.append(row)
            one = slice(row, row + 1)
            give(Rows(one, np.zeros((1, 1, 8)), np.zeros((1, 8), np.uint8), lambda: None))
        return "all"

    decoding = Decoding(decode, ahead=False)
    for down, *_ in decoding:
        assert given == [*range(down.stop)]
    assert decoding.decoded == "all"
    decoding = Decoding(decode, ahead=False)
    taken: Iterator[object] = iter(decoding)
    next(taken)
    taken.close()  # type: ignore[attr-defined]
    assert not decoding._thread.is_alive()


@pytest.mark.skipif(not hasattr(mmap, "MADV_DONTNEED"), reason="memory is given back on Linux")
def test_memory_that_goes_back_is_that_of_its_rows() -> None:
    memory = Memory.of((2, 64, 4_096), np.dtype(np.uint16))
    memory.image[:] = 7
    memory.let_go(slice(16, 48))
    assert (memory.image[:, 16:48] == 0).all()
    assert (memory.image[:, :16] == 7).all()
    assert (memory.image[:, 48:] == 7).all()
    narrow = Memory.of((3, 50, 33), np.dtype(np.uint8))  # rows that share pages with others
    narrow.image[:] = 7
    narrow.let_go(slice(0, 20))
    assert (narrow.image[:, 20:] == 7).all()


def test_no_more_than_some_rows_wait(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """However slowly they are taken."""
    ahead: list[int] = []
    monkeypatch.setattr(rows, "_AT_ONCE", 256)
    received = segments("lossy")
    decoding = Decoding(
        lambda give: decoder.decode_segments(
            received, give=give, report=lambda done, _of: ahead.append(done)
        )
    )
    taken = iter(decoding)
    next(taken)
    assert len(ahead) <= 1  # of two bands of tiles the first is still being given
    assert sum(1 for _ in taken) == 4
    assert len(ahead) == 2
