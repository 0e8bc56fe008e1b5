"""Examples on SPEC.md are what they say."""

import re

import numpy as np

from onboard.link.resync import read_segments
from tests.conftest import ROOT
from tests.stranger.bundle import Bundle
from tests.stranger.picture import band_transform
from tests.stranger.stream import crc32c, mask, segments
from tests.stranger.symbols import Lane, levels

TEXT = (ROOT / "onboard/SPEC.md").read_text()
PAGE = " ".join(TEXT.split())


def spaced(packed: bytes) -> str:
    return packed.hex(" ").upper()


def test_checksum() -> None:
    assert f"0x{crc32c(b'123456789'):08X}" in PAGE


def test_segments() -> None:
    (tile,) = re.findall(r"tile 5, which is all nodata, `([\dA-F ]+)`", PAGE)
    (end,) = re.findall(r"the end of 300 rows after 40 segments, `([\dA-F ]+)`", PAGE)
    assert "tag 6495AF3E, run 1, so of binding 6495AF3F" in PAGE
    first, last = segments(bytes.fromhex(tile + end), {0x6495AF3F})
    assert (first.scene, first.tile, first.body) == (7, 5, b"\x02")
    assert (last.binding, last.run) == (0x6495AF3F, 1)
    assert last.body[:8] == (300).to_bytes(4, "big") + (40).to_bytes(4, "big")
    assert [found.pack() for found in read_segments(bytes.fromhex(tile + end))] == [
        bytes.fromhex(tile),
        bytes.fromhex(end),
    ]


def test_mask() -> None:
    body = "00 14 AC 02 C0 1D"
    assert f"number 20 to 319 are nodata has the runs 20, 300, 3776: `{body}`" in PAGE
    told = mask(bytes.fromhex(body))
    assert np.flatnonzero(told).tolist() == list(range(20, 320))
    assert told.size == 64 * 64


def test_levels() -> None:
    assert "h = 1,000 has e = 9, f = 3 and level 31, h = 5 level 1, h below 4 level 0" in PAGE
    assert levels(np.array([1_000, 5, 4, 3, 1])).tolist() == [31, 1, 0, 0, 0]


def test_band_transform() -> None:
    for angles, bands in ((b"\xc0", 2), (bytes([192, 100, 30]), 3)):
        rows = band_transform(angles, bands).tolist()
        assert ", ".join(f"({', '.join(map(str, row))})" for row in rows) in PAGE


def test_machine() -> None:
    state, states, points = 0, [], []
    for k in (1, 0, -2, 3):
        points.append(2 * k - int(np.sign(k)) * (state & 1))
        state = state >> 1 ^ 18 * (state & 1) ^ 4 * (k & 1)
        states.append(state)
    told = "the residuals 1, 0, -2, 3 lead through states {}, {} and {} to {}, ".format(*states)
    assert told + "and stand for {}, {}, {} and {}.".format(*points) in PAGE


class Row:
    """A bundle of one row of frequencies."""

    frequencies = np.zeros((1, 64), np.int64)
    frequencies[0, [30, 31, 32, 63]] = 512, 2_048, 1_024, 512
    starts = np.cumsum(frequencies, axis=1) - frequencies
    shifts = (0,)


def test_lane() -> None:
    body = "04 26 14 00 06 40"
    assert f"The residuals 0, 1, -1, 0, 100 of it are the lane `{body}`: " in PAGE
    lane, states = Lane(Row, bytes.fromhex(body)), []
    for residual in (0, 1, -1, 0, 100):
        states.append(f"{lane.state:08X}")
        assert lane.residual(0) == residual
    states.append(f"{lane.state:08X}")
    assert lane.ended
    text = "x is {}, then {}, {}, {}, {} and, the word 0640 taken, {}."
    assert text.format(*states) in PAGE


def test_raw_lane() -> None:
    body = "00 00 0A 00 7F E4 B0"
    assert f"The residuals 1, -2, 300 are `{body}`." in PAGE
    lane = Lane(Row, bytes.fromhex(body))
    assert lane.raw == [1, -2, 300]


def test_time() -> None:
    start, line, period = 2_151_014_437, 640, 1_500_000
    fraction = line * period * 65_536 // 10**9
    seconds = (start + (fraction >> 16)).to_bytes(4, "big")
    packed = spaced(seconds + (fraction & 0xFFFF).to_bytes(2, "big"))
    days = int((np.datetime64("2026-03-01") - np.datetime64("1958-01-01")).astype(int))
    assert start == 86_400 * days + 37  # leap seconds
    assert f"({start:,} s) on, line {line} of p = {period:,} has `{packed}`." in PAGE


def test_offsets_of_arrays() -> None:
    """`Bundle` reads the arrays in the order of the page; its own checks hold its lengths."""
    found = Bundle((ROOT / "onboard/bundles/skybook.skyb").read_bytes())
    section = TEXT.split("\n## 12.")[1].split("\n## 13.")[0]
    rows = re.findall(r"^\| (\w+).*\| ([\d,]+)(?:, to 418,096)? \|$", section, re.M)
    assert {name: int(offset.replace(",", "")) for name, offset in rows} == found.offsets
