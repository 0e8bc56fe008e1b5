"""What the mask promises, whatever is lost: a pixel of mask 0 is that of a pass without loss."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ground.decode.concealment import fill_holes
from ground.decode.decoder import Decoded, Decoder
from ground.decode.mask import Mask
from ground.decode.wanted import Wanted
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.scenes.spyndex import spyndex_scene
from onboard import bundle as bundles
from onboard.encoder import Encoder, Options
from onboard.errors import StreamError
from onboard.link.packet import PacketOptions
from onboard.link.resync import read_segments
from onboard.link.segment import Kind, Segment

NAME = "skybook"


@pytest.fixture(scope="module")
def coder() -> Encoder:
    return Encoder(bundles.load(NAME))


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(bundles.find(NAME))


def assert_truthful(part: Decoded, whole: Decoded) -> None:
    """If neither header nor end told the height, `part` may have rows too few, or too many."""
    rows = min(part.mask.shape[0], whole.mask.shape[0])
    assert not (part.mask[rows:] == Mask.COMPLETE).any()
    same = part.mask[:rows] == Mask.COMPLETE
    difference = part.scene.image[:, :rows].astype(int) - whole.scene.image[:, :rows]
    assert np.abs(difference[:, same]).max(initial=0) <= 1
    assert not (whole.mask[:rows][part.mask[:rows] == Mask.NODATA] != Mask.NODATA).any()


def damaged(packets: Sequence[bytes], rng: np.random.Generator) -> bytes:
    """Return what a bad link leaves of packets."""
    keep = rng.random(len(packets)) >= rng.choice([0.01, 0.03, 0.1, 0.4])
    if rng.random() < 0.3:
        burst = rng.integers(len(packets), size=2)
        keep[burst.min() : burst.max()] = False
    stream = bytearray(b"".join(p for p, kept in zip(packets, keep, strict=True) if kept))
    for _ in range(rng.integers(0, 3)):
        if stream:
            stream[rng.integers(len(stream))] ^= 1 << rng.integers(8)
    return bytes(stream)


def with_empty_tiles(scene: Scene) -> Scene:
    """Return a scene with tiles that are all nodata, beside others that are not."""
    image = scene.image.copy()
    image[:, 64:128, :64] = image[:, 128:, 128:] = 0
    return replace(scene, image=image, nodata=0)


@pytest.mark.parametrize("window", ["scene", "strip"])
@pytest.mark.parametrize("empty", [False, True])
def test_no_wrong_pixel_outside_the_mask(
    coder: Encoder, decoder: Decoder, window: str, empty: bool
) -> None:
    scene = procedural(11, 192, 192, nodata=False)
    scene = with_empty_tiles(scene) if empty else scene
    options = Options(ratio=15.0, window=window, segment_bytes=240)
    header = replace(scene.header(), tile=64)
    segments = list(coder.encode(scene.image, header, options))
    packets = PacketOptions(packet_bytes=256).pack(segments, 0, 0)
    whole = decoder.decode(b"".join(packets))
    assert whole.complete
    rng = np.random.default_rng(3)
    seen: set[int] = set()
    for _ in range(6):
        try:
            part = decoder.decode(damaged(packets, rng), Wanted(width=192))
        except StreamError:
            continue  # nothing at all arrived
        assert_truthful(part, whole)
        seen.update(np.unique(part.mask).tolist())
    assert seen >= {Mask.INFLUENCED, Mask.FINE_MISSING}


def parsed(coder: Encoder, scene: Scene, options: Options) -> list[Segment]:
    header = replace(scene.header(), tile=64)
    packed = b"".join(coder.encode(scene.image, header, options))
    return [s for s in read_segments(packed) if isinstance(s, Segment)]


def joined(segments: Sequence[Segment]) -> bytes:
    return b"".join(segment.pack() for segment in segments)


def test_a_lost_tile_beside_one_without_data(coder: Encoder, decoder: Decoder) -> None:
    """What stands in for nodata is seen by the network, so it must not depend on what is lost."""
    scene = with_empty_tiles(procedural(11, 192, 192, nodata=False))
    segments = parsed(coder, scene, Options(ratio=15.0))
    whole = decoder.decode(joined(segments))
    for lost in (0, 1, 4, 6):
        part = decoder.decode(joined([s for s in segments if s.kind != 1 or s.tile != lost]))
        assert_truthful(part, whole)
        assert (part.mask == Mask.COMPLETE).any()


def test_rows_that_may_be_missing_below(coder: Encoder, decoder: Decoder) -> None:
    """Without header and end nobody knows whether there was more; the mask says so."""
    scene = procedural(2, 192, 100, nodata=False)
    segments = parsed(coder, scene, Options(ratio=15.0, window="strip"))
    whole = decoder.decode(joined(segments))
    tiles = [s for s in segments if s.kind == Kind.TILE]
    part = decoder.decode(joined([s for s in tiles if s.tile < 4]), Wanted(width=100))
    assert part.mask.shape == (128, 100)
    assert (part.mask[-part.halo :] == Mask.INFLUENCED).all()
    assert not part.mask[: -part.halo].any()
    assert_truthful(part, whole)
    cut = parsed(coder, Scene(scene.image[:, :180], None, None, None, ()), Options(window="strip"))
    bare = decoder.decode(joined([s for s in cut if s.kind == Kind.TILE]), Wanted(width=100))
    assert bare.mask.shape == (180, 100)
    assert not bare.mask.any()  # a tile that is cut below ends the scene


def test_lost_tiles_are_no_grey_holes(coder: Encoder, decoder: Decoder) -> None:
    """A tenth of the real scene's tiles: better than the best patch of a single colour each."""
    scene = spyndex_scene()
    segments = parsed(coder, scene, Options())
    lost = {1, 12}
    part = decoder.decode(joined([s for s in segments if s.kind != 1 or s.tile not in lost]))
    hidden = part.mask == Mask.CONCEALED
    assert hidden.sum() == len(lost) * 64 * 64
    error, flat = 0.0, 0.0
    for tile in lost:
        row, col = (64 * i for i in divmod(tile, 5))
        original = scene.image[:, row : row + 64, col : col + 64].astype(float)
        error += float(
            np.square(part.scene.image[:, row : row + 64, col : col + 64] - original).sum()
        )
        flat += float(original.var(axis=(1, 2)).sum()) * 64 * 64
    assert error < flat


def test_holes_are_filled_smoothly_and_nothing_else_is_touched() -> None:
    rows, cols = np.mgrid[:96, :120].astype(np.float32)
    plane = (3 * rows + 2 * cols)[None].repeat(2, axis=0)
    holes = (rows >= 40) & (rows < 72) & (cols >= 30) & (cols < 62)
    unknown = (rows < 8) & (cols < 50)
    image = np.where(holes | unknown, np.float32(-9_999), plane)
    fill_holes(image, ~(holes | unknown), holes)
    assert np.abs(image - plane)[:, holes].max() < 30
    assert (image[:, unknown] == -9_999).all()
    assert np.array_equal(image[:, ~(holes | unknown)], plane[:, ~(holes | unknown)])
    blank = np.full((1, 5, 7), 4, np.float32)
    fill_holes(blank, np.zeros((5, 7), np.bool_), np.ones((5, 7), np.bool_))
    assert (blank == 4).all()


def test_late_packets_and_their_order(coder: Encoder, decoder: Decoder) -> None:
    scene = procedural(6, 100, 130, nodata=True)
    segments = parsed(coder, scene, Options(ratio=12.0, segment_bytes=200))
    rng = np.random.default_rng(1)
    early = [s for s in segments if rng.random() < 0.6]
    late = [s for s in segments if s not in early]
    first = decoder.decode_segments(early, Wanted(width=130))
    both, swapped = decoder.decode_segments(early + late), decoder.decode_segments(late + early)
    assert not first.complete
    assert both.complete
    assert np.array_equal(both.scene.image, swapped.scene.image)
    assert np.array_equal(both.mask, swapped.mask)
    assert_truthful(first, both)
