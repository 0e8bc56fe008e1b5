"""Times since 1958, TAI, and their text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.errors import UsageError
from onboard.link.cuc import parse_time, time_text


def test_the_epoch_and_a_known_time() -> None:
    assert parse_time("1958-01-01T00:00:00") == (0, 0)
    assert parse_time("2026-01-01") == (2_145_916_800, 0)
    assert parse_time("1958-01-01T00:00:01.5") == (1, 32_768)
    assert time_text((2_145_916_800, 32_768)) == "2026-01-01T00:00:00.500000"


@given(st.integers(0, (1 << 32) - 1), st.integers(0, 65_535))
def test_text_leads_back_to_the_tick_or_the_one_before(seconds: int, ticks: int) -> None:
    found, part = parse_time(time_text((seconds, ticks)))
    assert 0 <= (seconds << 16 | ticks) - (found << 16 | part) <= 1


@pytest.mark.parametrize("text", ["1957-12-31", "2095-01-01", "soon", "2026-01-01T00:00:00+01:00"])
def test_what_is_no_such_time(text: str) -> None:
    with pytest.raises(UsageError, match="time: expected"):
        parse_time(text)
