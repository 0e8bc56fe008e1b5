"""UTC of the times that scenes have, which are TAI."""

from bisect import bisect_right
from datetime import datetime, timedelta

from onboard.link.cuc import time_text

_FIRST = 10
"""Seconds that TAI is ahead of UTC at the first of `_LEAPS`."""
_LEAPS = (
    "1972-01-01",
    "1972-07-01",
    "1973-01-01",
    "1974-01-01",
    "1975-01-01",
    "1976-01-01",
    "1977-01-01",
    "1978-01-01",
    "1979-01-01",
    "1980-01-01",
    "1981-07-01",
    "1982-07-01",
    "1983-07-01",
    "1985-07-01",
    "1988-01-01",
    "1990-01-01",
    "1991-01-01",
    "1992-07-01",
    "1993-07-01",
    "1994-07-01",
    "1996-01-01",
    "1997-07-01",
    "1999-01-01",
    "2006-01-01",
    "2009-01-01",
    "2012-07-01",
    "2015-07-01",
    "2017-01-01",
)
"""Days (UTC) from which TAI is one second farther ahead. Source: IERS Bulletin C, up to no. 71."""
_STARTS = [
    datetime.fromisoformat(day) + timedelta(seconds=_FIRST + count)
    for count, day in enumerate(_LEAPS)
]


def utc_of(time: tuple[int, int]) -> datetime:
    """Return the UTC, without a zone, of seconds and 1/65536 s since 1958-01-01 TAI.

    Before 1972 UTC ran at another rate: there it is within 10 s.
    """
    tai = datetime.fromisoformat(time_text(time))
    count = bisect_right(_STARTS, tai)
    return tai - timedelta(seconds=_FIRST - 1 + count if count else 0)
