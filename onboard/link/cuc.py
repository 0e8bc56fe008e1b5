"""CUC: times as seconds and 1/65536 s since 1958-01-01T00:00:00 TAI (CCSDS 301.0), and as text."""

from datetime import datetime, timedelta

from onboard.errors import UsageError

_EPOCH = datetime(1958, 1, 1)
_TICKS = 1 << 16


def parse_time(text: str) -> tuple[int, int]:
    """Return seconds and 1/65536 s of a time in ISO 8601, TAI without a zone.

    Raises:
        UsageError: not ISO 8601, with a zone, or outside 1958..2094.
    """
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except (ValueError, TypeError) as error:
        raise UsageError(f"time: expected ISO 8601 in TAI, no zone: {error}") from error
    ticks = since // timedelta(microseconds=1) * _TICKS // 1_000_000
    if not 0 <= ticks < 1 << 48:
        raise UsageError(f"time: expected 1958..2094, found {text}")
    return divmod(ticks, _TICKS)


def time_text(time: tuple[int, int]) -> str:
    """Return a time of seconds and 1/65536 s in ISO 8601, to the microsecond."""
    seconds, ticks = time
    since = timedelta(seconds=seconds, microseconds=round(ticks * 1e6 / _TICKS))
    return (_EPOCH + since).isoformat()
