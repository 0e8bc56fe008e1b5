"""Packed samples: exact bytes, any width, and bits that should be 0."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.errors import InputError
from onboard.image.packing import PACKINGS, Packing

TWELVE, TEN = [0x123, 0x456], [1, 2, 3, 1023]
EXAMPLES = {  # of docs/inputs.md
    "be12": ("12 34 56", TWELVE),
    "le12": ("23 61 45", TWELVE),
    "mipi12": ("12 45 63", TWELVE),
    "be10": ("00 40 20 0F FF", TEN),
    "le10": ("01 08 30 C0 FF", TEN),
    "mipi10": ("00 00 00 FF F9", TEN),
}


def pack(packing: Packing, samples: list[int]) -> bytes:
    """Pack a row in another way than the code: as one long text of bits."""
    if packing.order == "mipi":
        found = b""
        low = packing.bits - 8
        samples = samples + [0] * (-len(samples) % packing.samples)
        for first in range(0, len(samples), packing.samples):
            group = samples[first : first + packing.samples]
            lows = "".join(f"{v % 2**low:0{low}b}" for v in reversed(group))
            found += bytes(v >> low for v in group) + bytes([int(lows, 2)])
        return found
    big = packing.order == "be"
    text = "".join(f"{v:0{packing.bits}b}" for v in (samples if big else samples[::-1]))
    size = packing.row_bytes(len(samples))
    text = text.ljust(8 * size, "0") if big else text.rjust(8 * size, "0")
    return int(text, 2).to_bytes(size, "big" if big else "little")


@given(st.sampled_from(sorted(PACKINGS)), st.integers(1, 9), st.integers(1, 3), st.data())
def test_rows_of_any_width(name: str, width: int, rows: int, data: st.DataObject) -> None:
    packing = PACKINGS[name]
    sample = st.integers(0, (1 << packing.bits) - 1)
    row = st.lists(sample, min_size=width, max_size=width)
    samples = data.draw(st.lists(row, min_size=rows, max_size=rows))
    packed = np.stack([np.frombuffer(pack(packing, row), np.uint8) for row in samples])
    assert packing.unpack(packed, width).tolist() == samples


@pytest.mark.parametrize("name", PACKINGS)
def test_bytes_of_the_documentation(name: str) -> None:
    text, samples = EXAMPLES[name]
    packed = np.frombuffer(bytes.fromhex(text), np.uint8)[None]
    assert PACKINGS[name].unpack(packed, len(samples))[0].tolist() == samples


@pytest.mark.parametrize(
    ("name", "text", "count"),
    [
        ("be12", "1231", 1),
        ("le12", "2311", 1),
        ("le10", "01042041", 3),
        ("be10", "00000001", 3),
        ("mipi10", "1122330080", 3),
        ("mipi12", "120010", 1),
    ],
)
def test_bits_after_the_last_sample_are_0(name: str, text: str, count: int) -> None:
    packing = PACKINGS[name]
    raw = bytearray.fromhex(text)[: packing.row_bytes(count)]
    packed = np.frombuffer(bytes(len(raw)) * 70 + bytes(raw), np.uint8).reshape(71, -1)
    with pytest.raises(InputError, match=f"0 in all bits of a row after sample {count}.*row 70"):
        packing.unpack(packed, count)
