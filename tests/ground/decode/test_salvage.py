"""Salvage: what damaged segments still show, that it is never called complete, and asked again."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ground
from ground.decode.decoder import Decoded, Decoder
from ground.decode.inventory import take_inventory
from ground.decode.lapped.salvage import LaneSalvage
from ground.decode.mask import Mask, conceal_untold, with_halo, worse
from ground.scene import Scene
from ground.scenes.procedural import procedural
from ground.station.recording import read_pass
from ground.station.salvage.madeout import AS_IT_CAME
from onboard import bundle as bundles
from onboard.codec.bound import Bound
from onboard.codec.bounded.read.tiles import TileReader
from onboard.encoder import Encoder, Options
from onboard.link.binding import Encoding
from onboard.link.segment import Kind, Segment

SHAPE = (128, 192)
COLUMNS = 3
LOW = (24, 150)
"""Rows and columns of a scene of cut tiles, which take little time."""
CORSA = "corsa-2level-1024"


def coded(name: str = "skybook", scene: Scene | None = None, **options: Any) -> list[bytes]:
    """The packed segments of a small scene."""
    scene = scene or procedural(3, *SHAPE, nodata=False)
    encoder = Encoder(bundles.load(name))
    header = replace(scene.header(), tile=encoder.bundle.tile)
    return list(encoder.encode(scene.image, header, Options(segment_bytes=700, **options)))


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(bundles.find("skybook"), linear=True)


@pytest.fixture(scope="module")
def parts() -> list[bytes]:
    return coded(ratio=12.0)


@pytest.fixture(scope="module")
def whole(decoder: Decoder, parts: list[bytes]) -> Decoded:
    return decoder.decode(b"".join(parts))


def places(parts: Sequence[bytes], tile: int, kind: Kind = Kind.TILE) -> list[int]:
    """Which of packed segments are of a tile."""
    found = [Segment.unpack(packed)[0] for packed in parts]
    return [n for n, one in enumerate(found) if (one.kind, one.tile) == (kind, tile)]


def area(tile: int) -> tuple[slice, slice]:
    row, col = divmod(tile, COLUMNS)
    return slice(64 * row, 64 * row + 64), slice(64 * col, 64 * col + 64)


Damage = Callable[[bytes], bytes]


def flip(*bits: int) -> Damage:
    """Flip bits, the last ones if below 0."""

    def damage(packed: bytes) -> bytes:
        found = bytearray(packed)
        for bit in bits:
            found[(bit >> 3) % len(found)] ^= 128 >> (bit & 7)
        return bytes(found)

    return damage


def spoil(first: float, last: float) -> Damage:
    """Make anything of a part of the bytes, told as shares."""

    def damage(packed: bytes) -> bytes:
        found = bytearray(packed)
        here = slice(int(first * len(packed)), int(last * len(packed)))
        found[here] = np.random.default_rng(5).bytes(len(found[here]))
        return bytes(found)

    return damage


def with_damage(parts: Sequence[bytes], number: int, damage: Damage) -> bytes:
    return b"".join(damage(one) if n == number else one for n, one in enumerate(parts))


def squared(one: Decoded, scene: Scene, tile: int) -> float:
    here = area(tile)
    return float(np.square(one.scene.image[:, *here] - 1.0 * scene.image[:, *here]).sum())


@pytest.mark.parametrize("damage", [flip(-300), flip(300, -500), spoil(0.5, 0.504)])
@pytest.mark.parametrize("which", [0, 1])
def test_few_wrong_bits_are_put_right_and_shown_as_salvaged(
    decoder: Decoder, parts: list[bytes], whole: Decoded, damage: Damage, which: int
) -> None:
    number = places(parts, 4)[which]
    found = decoder.decode(with_damage(parts, number, damage))
    np.testing.assert_array_equal(found.scene.image, whole.scene.image)
    expected = np.zeros(SHAPE, np.uint8)
    expected[area(4)] = Mask.SALVAGED
    np.testing.assert_array_equal(found.mask, expected)
    assert found.reception.salvage.counts == {"put_right": 1, "in_part": 0}
    assert found.reception.counts["damaged"] == 1
    assert not found.complete


def test_without_salvage_nothing_of_it_is_shown(
    decoder: Decoder, parts: list[bytes], whole: Decoded
) -> None:
    stream = with_damage(parts, places(parts, 4)[1], flip(-300))
    found = decoder.decode(stream, salvage=False)
    assert (found.mask[area(4)] == Mask.FINE_MISSING).all()
    assert found.reception.salvage.counts == {"put_right": 0, "in_part": 0}
    assert whole.complete


def test_the_network_reaches_around_what_is_salvaged(parts: list[bytes]) -> None:
    decoder = Decoder(bundles.find("skybook"))
    whole = decoder.decode(b"".join(parts))
    found = decoder.decode(with_damage(parts, places(parts, 0)[0], flip(-300)))
    expected = np.zeros(SHAPE, np.uint8)
    expected[area(0)] = Mask.SALVAGED
    np.testing.assert_array_equal(found.mask, with_halo(expected, decoder.network.halo))
    complete = found.mask == Mask.COMPLETE
    assert complete.any()
    difference = found.scene.image[:, complete].astype(int) - whole.scene.image[:, complete]
    assert np.abs(difference).max() <= 1


@pytest.mark.parametrize(("which", "value"), [(0, Mask.CONCEALED), (1, Mask.FINE_MISSING)])
def test_a_segment_is_read_until_it_breaks(
    decoder: Decoder, parts: list[bytes], which: int, value: Mask
) -> None:
    scene, stream = (
        procedural(3, *SHAPE, nodata=False),
        with_damage(parts, places(parts, 4)[which], spoil(0.7, 0.9)),
    )
    found, without = decoder.decode(stream), decoder.decode(stream, salvage=False)
    assert (without.mask[area(4)] == value).all()
    assert (found.mask[area(4)] == Mask.SALVAGED).all()
    assert found.reception.salvage.counts == {"put_right": 0, "in_part": 1}
    assert squared(found, scene, 4) < 0.95 * squared(without, scene, 4)


@pytest.mark.parametrize("bits", [(84, 90, 93), (90, 145, 161), (161, 177, 193)])
def test_a_tile_that_jumps_against_those_around_it_is_not_shown(
    decoder: Decoder, parts: list[bytes], bits: tuple[int, ...]
) -> None:
    """Its step code or its means are wrong."""
    damage = spoil(0.8, 0.9)
    stream = with_damage(parts, places(parts, 4)[0], lambda packed: flip(*bits)(damage(packed)))
    found, without = decoder.decode(stream), decoder.decode(stream, salvage=False)
    np.testing.assert_array_equal(found.mask, without.mask)
    np.testing.assert_array_equal(found.scene.image, without.scene.image)
    assert found.reception.salvage.counts == {"put_right": 0, "in_part": 0}


@pytest.mark.parametrize("damage", [flip(-300), spoil(0.5, 0.9)])
def test_what_arrives_later_takes_the_place_of_what_was_salvaged(
    decoder: Decoder, parts: list[bytes], whole: Decoded, damage: Damage
) -> None:
    number = places(parts, 4)[0]
    damaged = with_damage(parts, number, damage)
    found = decoder.decode(damaged + parts[number])
    assert not found.mask.any()
    np.testing.assert_array_equal(found.scene.image, whole.scene.image)
    received = read_pass([damaged, parts[number]])
    encoding = Encoding.of(Segment.unpack(parts[number])[0])
    assert decoder.decode_segments(received.of(encoding)).complete


def test_nothing_is_put_where_an_intact_segment_is(
    decoder: Decoder, parts: list[bytes], whole: Decoded
) -> None:
    """What came has a wrong place in its head, within what another segment of the tile holds."""
    number = places(parts, 4)[1]
    second = Segment.unpack(parts[number])[0]
    for layer, first in ((second.layer, second.first + 3), (second.layer + 1, 5), (1, 10), (1, 20)):
        damaged = spoil(0.7, 0.9)(replace(second, layer=layer, first=first).pack())
        stream = b"".join([*parts[:number], damaged, *parts[number:]])
        found = decoder.decode(stream)
        assert any(one.wrong == AS_IT_CAME for one in found.reception.salvage.made_out[4])
        assert not found.mask.any()
        np.testing.assert_array_equal(found.scene.image, whole.scene.image)


def test_what_was_salvaged_is_asked_for_again(parts: list[bytes]) -> None:
    number = places(parts, 4)[1]
    received = read_pass([with_damage(parts, number, flip(-300))])
    (encoding,) = received.encodings
    inventory = take_inventory(bundles.load("skybook"), received.of(encoding))
    assert [tile.tile for tile in inventory.incomplete] == [4]
    lost = Segment.unpack(parts[number])[0]
    assert (lost.layer, lost.first) not in inventory.incomplete[0].have
    assert inventory.segments == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (CORSA, {}),
        ("skybook", {"trellis": True, "ratio": 12.0}),
        ("skybook", {"one_layer": True, "ratio": 12.0}),
        ("skybook", {"max_error": Bound((3,))}),
    ],
    ids=["corsa", "dependent tiles", "a layer to a segment", "bounded"],
)
def test_every_family_has_its_wrong_bit_put_right(name: str, options: dict[str, Any]) -> None:
    decoder = Decoder(bundles.find(name), linear=name == "skybook")
    parts = coded(name, procedural(3, *LOW, nodata=False), **options)
    whole = decoder.decode(b"".join(parts))
    first = bundles.load(name).tile
    found = decoder.decode(with_damage(parts, places(parts, 1)[0], flip(-200)))
    assert (found.mask[:, first : 2 * first] == Mask.SALVAGED).all()
    assert not found.mask[:, :first].any()
    np.testing.assert_array_equal(found.scene.image, whole.scene.image)


def test_of_bounded_tiles_and_indices_nothing_is_guessed() -> None:
    for name, options in ((CORSA, {}), ("skybook", {"max_error": Bound((3,))})):
        decoder = Decoder(bundles.find(name), linear=name == "skybook")
        parts = coded(name, procedural(3, *LOW, nodata=False), **options)
        stream = with_damage(parts, places(parts, 1)[0], spoil(0.7, 0.9))
        assert not (decoder.decode(stream).mask == Mask.SALVAGED).any()


def test_of_bounded_tiles_nothing_beyond_a_loss_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged segments behind one that is lost could be put right, but no read gets there."""
    decoder = Decoder(bundles.find("skybook"), linear=True)
    parts = coded(scene=procedural(3, *LOW, nodata=False), max_error=Bound((3,)))
    _, lost, *others = places(parts, 1)
    assert len(others) > 2
    damaged = [flip(-200 - 8 * n)(one) if n in others else one for n, one in enumerate(parts)]
    reads: list[int] = []
    original = TileReader.read

    def read(self: TileReader, *arguments: Any) -> Any:
        reads.append(len(arguments[1]))
        return original(self, *arguments)

    monkeypatch.setattr(TileReader, "read", read)
    decoder.decode(b"".join(parts[:lost] + parts[lost + 1 :]))
    usual = len(reads)
    reads.clear()
    found = decoder.decode(b"".join(damaged[:lost] + damaged[lost + 1 :]))
    assert not (found.mask == Mask.SALVAGED).any()
    assert len(reads) <= usual + 1


def test_no_salvaged_mask_tells_of_nodata(decoder: Decoder) -> None:
    scene = procedural(5, *SHAPE)
    image = np.array(scene.image)
    image[:, 20:50, 70:100] = 0
    scene = Scene(image, 0)
    parts = coded(scene=scene, ratio=12.0)
    whole = decoder.decode(b"".join(parts))
    number = places(parts, 1, Kind.MASK)[0]
    found = decoder.decode(with_damage(parts, number, flip(-45)))
    holes = whole.mask[area(1)] == Mask.NODATA
    assert holes.any()
    assert (found.mask[area(1)][holes] == Mask.CONCEALED).all()
    assert (found.mask[area(1)][~holes] == Mask.SALVAGED).all()
    assert (found.scene.image[:, *area(1)][:, holes] != 0).all()


def test_windows_and_an_index_show_the_same(parts: list[bytes], tmp_path: Path) -> None:
    recording = tmp_path / "a.sky"
    recording.write_bytes(with_damage(parts, places(parts, 4)[0], flip(-300)))
    whole: Any = ground.decode(recording.read_bytes(), linear=True)
    for index in (False, True):
        lazy: Any = ground.open(recording, linear=True, index=index)
        np.testing.assert_array_equal(lazy.mask[70:, 64:], whole.mask[70:, 64:])
        np.testing.assert_array_equal(lazy.image[:, 70:, 64:], whole.image[:, 70:, 64:])
    assert (whole.mask.values[area(4)] == Mask.SALVAGED).all()


def test_an_exact_image_has_it_too(parts: list[bytes]) -> None:
    exact = Decoder(bundles.find("skybook"), exact=True)
    stream = with_damage(parts, places(parts, 2)[0], flip(-300))
    np.testing.assert_array_equal(
        exact.decode(stream).scene.image, exact.decode(b"".join(parts)).scene.image
    )


def test_nothing_is_looked_at_where_nothing_is_damaged(
    decoder: Decoder, parts: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: Any) -> None:
        raise AssertionError("nothing is damaged")

    monkeypatch.setattr(LaneSalvage, "_right", none)
    assert decoder.decode(b"".join(parts)).complete


def test_the_worse_of_two_values() -> None:
    order = [0, 1, 2, 5, 3, 4]
    for place, value in enumerate(order):
        for other in order[place:]:
            mask = np.array([[value, other]], np.uint8)
            np.testing.assert_array_equal(worse(mask, mask[:, ::-1]), [[other, other]])
    mask = np.array([0, 5, 4], np.uint8)
    conceal_untold(mask, np.zeros(3, np.bool_))
    assert mask.tolist() == [3, 3, 4]
