"""Bounded tiles: the page is enough to read them."""

import re
from dataclasses import replace

import numpy as np
import pytest

from onboard import bundle as bundles
from onboard.codec.bound import Bound
from onboard.encoder import Encoder, Options
from onboard.link.header import SceneHeader
from tests.commands import ROOT
from tests.onboard.codec.bounded.tiles import smooth
from tests.stranger import bounded
from tests.stranger.bundle import Bundle, unpack
from tests.stranger.stream import read_scene

PATH = bundles.find("skybook")


def scenes() -> dict[str, tuple[np.ndarray, str, int | None]]:
    """Return images, bounds and nodata that between them have every kind of scale and mode."""
    four = smooth((1, 4, 20, 70), 1)[0].astype(np.uint16)
    holes = four.copy()
    holes[:, 3:6, 10:30] = 1700
    holes[:, 10, 66:] = 1700
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 65_536, (2, 9, 20)).astype(np.uint16)
    signed = (smooth((1, 3, 12, 20), 2)[0] - 2000).astype(np.int16)
    eight = smooth((1, 1, 9, 140), 3, 255, 4)[0].astype(np.uint8)
    gaps = smooth((1, 2, 32, 40), 4)[0]
    gaps = np.where(gaps < 1500, gaps, 1500 + 2 * (gaps - 1500)).astype(np.uint16)
    flat = np.full((3, 8, 8), 5, np.uint16)
    return {
        "lossless": (four, "0", None),
        "a bound of each band": (four, "2,0,7,1", None),
        "nodata within": (holes, "3", 1700),
        "noise": (noise, "0", None),
        "noise within a bound": (noise, "5", None),
        "signed": (signed, "1", None),
        "eight bits": (eight, "2", None),
        "gaps": (gaps, "0", None),
        "a common divisor": (four * 8, "17", None),
        "roots": (holes, "sqrt:0.8", 1700),
        "roots of signed": (signed, "sqrt:2", None),
        "flat": (flat, "0", None),
        "six bands": (smooth((1, 6, 10, 12), 5)[0].astype(np.uint16), "1", None),
    }


SCENES = scenes()


@pytest.mark.parametrize("name", SCENES)
def test_the_page_is_enough(name: str) -> None:
    image, bound, nodata = SCENES[name]
    header = replace(SceneHeader.of(image), nodata=nodata)
    options = Options(max_error=Bound.parse(bound), segment_bytes=300)
    stream = b"".join(Encoder(bundles.load("skybook")).encode(image, header, options))
    packed = PATH.read_bytes()
    part = bounded.Part(unpack(packed)[2]["bounded"])
    read = read_scene(Bundle(packed), stream, bounded.tile_of(part))
    found = bounded.image(read)
    empty = np.zeros(image.shape[1:], bool) if nodata is None else (image == nodata).all(axis=0)
    assert (read.nodata == empty).all()
    off = np.abs(found - image.astype(np.int64))[:, ~empty]
    assert (off <= Bound.parse(bound).at(image)[:, ~empty]).all()
    if bound == "0":
        assert not off.any()


@pytest.mark.parametrize(
    ("name", "first", "both"),
    [
        ("lossless", "8", "0"),
        ("a bound of each band", "40,2,7,1", "3,2,0,0"),
        ("nodata within", "9", "2"),
        ("noise", "30000", "0"),
        ("noise within a bound", "5", "0"),
        ("signed", "12", "1"),
        ("eight bits", "2", "0"),
        ("gaps", "3", "0"),
        ("a common divisor", "17", "0"),
        ("roots", "sqrt:0.8", "1"),
        ("roots of signed", "sqrt:2", "sqrt:0.5"),
        ("flat", "2", "0"),
        ("six bands", "4", "0"),
    ],
)
def test_the_page_is_enough_for_two_parts(name: str, first: str, both: str) -> None:
    image, _, nodata = SCENES[name]
    image = image[:, :12, -40:]
    header = replace(SceneHeader.of(image), nodata=nodata)
    bounds = Bound.parse(both), Bound.parse(first)
    options = Options(max_error=bounds[0], max_error_first=bounds[1], segment_bytes=300)
    segments = list(Encoder(bundles.load("skybook")).encode(image, header, options))
    packed = PATH.read_bytes()
    part = bounded.Part(unpack(packed)[2]["bounded"])
    firsts = [s for s in segments if s[2] & 15 != 1 or s[3] & 31 <= len(image)]
    assert len(firsts) < len(segments)
    for stream, bound in ((firsts, bounds[1]), (segments, bounds[0])):
        read = read_scene(Bundle(packed), b"".join(stream), bounded.tile_of(part))
        found = bounded.image(read)
        off = np.abs(found - image.astype(np.int64))[:, ~read.nodata]
        assert (off <= bound.at(image)[:, ~read.nodata]).all()


def test_offsets_of_the_part() -> None:
    part = bounded.Part(unpack(PATH.read_bytes())[2]["bounded"])
    page = (ROOT / "onboard" / "SPEC.md").read_text().split("**Part `bounded`**")[1]
    told = re.findall(r"^\| (\w+).*\| ([\d,]+)(?:, to [\d,]+)? \|$", page, re.M)
    assert {name: int(offset.replace(",", "")) for name, offset in told} == part.offsets


def test_the_stranger_imports_nothing_of_ours() -> None:
    source = (ROOT / "tests/stranger/bounded.py").read_text()
    imported = set(re.findall(r"^(?:from|import) ([\w.]+)", source, re.M))
    assert imported <= {"dataclasses", "math", "numpy", "tests.stranger.symbols"}
