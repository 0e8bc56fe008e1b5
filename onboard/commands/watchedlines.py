"""Watched lines: the strips of an input on their way to the encoder."""

import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from onboard.commands.commandline import warn
from onboard.commands.rawinput import swap_remark
from onboard.commands.stop import Stop
from onboard.downlink.cloud import Clouds
from onboard.errors import InputError, SkybookError
from onboard.image.files import Image
from onboard.outputs import telling_room


@dataclass
class WatchedLines:
    """The strips of an input, watched on their way to the encoder.

    Attributes:
        name: what the input is called.
        strips: strips of the input, (bands, rows, cols).
        left: number of lines still to come, None if not known.
        priority: file of cloud fractions.
        clouds: what finds the cloud fractions.
        stop: what may have ended the input, within a line even.
        cell: lines of the input in one of the strips: 2 of a Bayer mosaic, else 1.
        count: number of lines of strips so far.
        arrived: time at which each strip that is not yet recorded had arrived, seconds.
        error: reason for which the input ended early, None if it did not.
    """

    name: str
    strips: Iterator[Image]
    left: int | None
    priority: BinaryIO | None
    clouds: Clouds
    stop: Stop
    cell: int = 1
    count: int = 0
    arrived: deque[float] = field(default_factory=deque)
    error: Exception | None = None

    def __iter__(self) -> Iterator[Image]:
        """Yield the strips; an error ends them, so that what came before is coded."""
        while self.left != 0:
            try:
                lines = next(self.strips)[:, : self.left]
            except StopIteration:
                break
            except (SkybookError, OSError) as error:
                if not self.count and not self.stop.asked:
                    raise
                self.error = None if self.stop.asked else error
                return
            if self.left is not None:
                self.left -= lines.shape[1]
            if not self.count:
                warn(self.name, swap_remark(lines))
            self.arrived.append(time.perf_counter())
            self.count += lines.shape[1]
            if self.priority:
                with telling_room(Path(self.priority.name)):
                    self.priority.write(self.clouds.of_strip(lines))
                    self.priority.flush()
            yield lines
        if self.left:
            self.error = InputError(
                f"lines: the input ended {self.cell * self.left} lines before --lines"
            )
