"""CRC-32C against published vectors and the bit-by-bit definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.link.crc import POLYNOMIAL, crc32c, crc32c_of_each


def bit_by_bit(message: bytes) -> int:
    crc = 0xFFFF_FFFF
    for byte in message:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (POLYNOMIAL if crc & 1 else 0)
    return crc ^ 0xFFFF_FFFF


@pytest.mark.parametrize(
    ("message", "crc"),
    [  # RFC 3720, appendix B.4, and the check value of the CRC catalogues
        (b"123456789", 0xE306_9283),
        (bytes(32), 0x8A91_36AA),
        (b"\xff" * 32, 0x62A8_AB43),
        (bytes(range(32)), 0x46DD_794E),
        (bytes(range(31, -1, -1)), 0x113F_DB5C),
        (b"", 0),
    ],
)
def test_published_vectors(message: bytes, crc: int) -> None:
    assert crc32c(message) == crc


@given(st.binary(max_size=700))
def test_any_message(message: bytes) -> None:
    assert crc32c(message) == bit_by_bit(message)


@given(st.binary(max_size=700), st.integers(0, 700))
def test_in_two_parts(message: bytes, cut: int) -> None:
    assert crc32c(message[cut:], crc32c(message[:cut])) == crc32c(message)


@given(st.lists(st.binary(max_size=300), max_size=70))
def test_many_at_once(messages: list[bytes]) -> None:
    assert crc32c_of_each(messages) == [crc32c(message) for message in messages]
