"""Spool: what comes live, in recordings of a pass each."""

import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from ground.station.intake import Intake
from ground.station.live import Message, Receivers

_LARGEST = 256 << 20
"""Bytes of a recording, after which the next begins."""


class Spool:
    """Writes what receivers bring; runs in a thread of its own."""

    def __init__(self, folder: Path, receivers: Receivers, intake: Intake, quiet: float) -> None:
        """Take receivers that listen, and where to write.

        Args:
            folder: folder of the recordings.
            receivers: what listens.
            intake: the stations.
            quiet: seconds of silence after which a pass is over.
        """
        self._folder, self._receivers, self.intake = folder, receivers, intake
        self._quiet = quiet
        self._file: BinaryIO | None = None
        self._unwritten: Counter[int] = Counter()
        self.problem: str | None = None
        """Why the last message was not written; None if it was."""

    def run(self, ended: Callable[[], bool]) -> None:
        """Write until it is to end."""
        last = time.monotonic()
        while True:
            if ended():
                self._receivers.stop()
            message = self._receivers.take()
            for number, count in self._receivers.dropped.items():
                self.intake.stations[number].dropped = count + self._unwritten[number]
            if message is not None:
                last = time.monotonic()
                self._take(message)
            elif ended():
                self._close()
                return
            elif time.monotonic() - last >= self._quiet:
                self._close()

    def _take(self, message: Message) -> None:
        """Write a message; one for which there is no room counts as dropped."""
        try:
            self._write(self.intake.take(message.station, message.content))
        except OSError as error:
            self._unwritten[message.station] += 1
            self.problem = f"live sources: {error}"
        else:
            self.problem = None

    def _write(self, packets: bytes) -> None:
        if not packets:
            return
        if self._file is not None and self._file.tell() > _LARGEST:
            self._close()
        if self._file is None:
            name = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ.pkt")
            self._file = (self._folder / name).open("ab")
        self._file.write(packets)
        self._file.flush()

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
