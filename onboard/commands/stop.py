"""Stop: how a long command is told to end, so that what it holds is written first."""

import os
import select
import signal
import threading
from io import RawIOBase
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Ends a source at the first SIGTERM or SIGINT; the second does what it always did."""

    def __init__(self) -> None:
        self.asked = False
        self._hears, self._tells = os.pipe()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        """Listen from now on. Only the main thread of a process can."""
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._take) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()
        os.close(self._hears)
        os.close(self._tells)

    def _take(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        os.write(self._tells, b"!")
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is asked to end, or for some seconds; say whether it is."""
        select.select([self._hears], [], [], None if self.asked else seconds)
        return self.asked

    def ends(self, source: Any) -> "EndingSource":
        """Return a source that ends where it does, or where it is asked to.

        Args:
            source: unbuffered source with a file descriptor.
        """
        return EndingSource(source, self._hears)


class EndingSource(RawIOBase):
    """A source that is only read when there is something, so that it can end in between."""

    def __init__(self, source: Any, hears: int) -> None:
        self._source = source
        self._hears = hears

    def readinto(self, buffer: Any) -> int:
        """Read what there is; nothing at the end."""
        ready, _, _ = select.select([self._hears, self._source], [], [])
        return 0 if self._hears in ready else int(self._source.readinto(buffer) or 0)
