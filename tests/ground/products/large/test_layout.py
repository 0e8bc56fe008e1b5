"""The form of a cloud-optimised GeoTIFF, and what is put into it."""

import struct
from pathlib import Path

import numpy as np
import pytest

from ground.products.geotiff import COG_OPTIONS, empty_cog, profile_of
from ground.products.large import layout
from ground.products.large.block import SIDE, Coding
from ground.products.large.layout import assemble, directories
from ground.products.large.pyramid import Place
from ground.scene import Scene
from onboard.errors import EngineError, UsageError

PLACE = (600000.0, 10.0, 0.0, 4500000.0, 0.0, -10.0)
SCENE = Scene(np.zeros((2, 600, 300), np.uint16), 0, PLACE, "EPSG:32633")
CODING = Coding(np.dtype(np.uint16), 16, differences=True)
SHOWN = Coding(np.dtype(np.uint8), 1)


def empty(is_masked: bool = False) -> bytes:
    return empty_cog(profile_of(SCENE), lambda _dataset: None, is_masked, PREDICTOR="YES")


def block(place: Place, is_mask: bool) -> bytes:
    if is_mask:
        return SHOWN.encode(np.ones((1, SIDE, SIDE), np.uint8))
    return CODING.encode(np.full((2, SIDE, SIDE), 1 + sum(place), np.uint16))


@pytest.mark.parametrize("big", ["NO", "YES"])
def test_directories_tell_where_blocks_are(
    big: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the order in which they are in the file: coarsest first, masks after images."""
    monkeypatch.setitem(COG_OPTIONS, "BIGTIFF", big)
    assemble(empty(is_masked=True), 16, block, tmp_path / "a.tif")
    file = (tmp_path / "a.tif").read_bytes()
    assert file[2] == (43 if big == "YES" else 42)
    places = []
    for directory in directories(file):
        is_mask = bool(directory.value(file, 254) & 4)
        offsets, counts = (directory.fields[tag] for tag in (324, 325))
        assert offsets.length == counts.length
        for index in range(offsets.length):
            first, length = (
                int(np.frombuffer(file, field.dtype, field.length, field.first)[index])
                for field in (offsets, counts)
            )
            content = file[first : first + length]
            rows, cols = (directory.value(file, tag) for tag in (257, 256))
            level = [(600, 300), (300, 150), (150, 75)].index((rows, cols))
            place = Place(level, *divmod(index, -(-cols // SIDE)))
            assert content == block(place, is_mask)
            assert file[first - 4 : first] == struct.pack("<I", length)
            assert file[first + length : first + length + 4] == content[-4:]
            places.append((first, -level, place, is_mask))
    places.sort()
    assert [level for _, level, *_ in places] == sorted(level for _, level, *_ in places)
    assert [is_mask for *_, is_mask in places] == [False, True] * (len(places) // 2)
    assert places[-1][2] == (0, 2, 1)


def test_what_is_read_back_otherwise_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it is that the disk lost bytes."""
    path, written = tmp_path / "a.tif", layout._read_back
    assemble(empty(), 16, block, path)
    length = path.stat().st_size
    for place in [*range(0, length, length // 20), length - 1]:

        def damaged(file: Path, head: bytes, check: int, place: int = place) -> None:
            with file.open("r+b") as content:
                content.seek(place)
                (byte,) = content.read(1)
                content.seek(place)
                content.write(bytes([byte ^ 1]))
            written(file, head, check)

        monkeypatch.setattr(layout, "_read_back", damaged)
        with pytest.raises(UsageError, match=r"a\.tif: expected room"):
            assemble(empty(), 16, block, path)


def test_another_form_of_file_is_told(tmp_path: Path) -> None:
    whole = empty(is_masked=True)
    assemble(whole, 16, block, tmp_path / "a.tif")
    one = bytearray(whole)
    struct.pack_into("<H", one, next(directories(whole)).fields[257].first, 601)
    cut = [whole[: len(whole) * share // 9] for share in range(8)]
    for content in (*cut, bytes(one), b"II*\0" + b"\xff" * 40, bytes(99), b"II*\0\x08" + bytes(99)):
        with pytest.raises(EngineError, match="form of GeoTIFF"):
            assemble(content, 16, block, tmp_path / "b.tif")
    assert not (tmp_path / "b.tif").exists()
