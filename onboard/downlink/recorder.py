"""Recorder: strips to an append-only file, held back until the model's memory is known good."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from onboard.bundle.scrub import Scrub
from onboard.errors import StreamError
from onboard.link.end import told_run
from onboard.link.framing import Strip
from onboard.link.packet import MAX_PACKET_BYTES, PacketOptions
from onboard.link.resync import Damage, read_packets
from onboard.link.segment import Kind, Segment


@dataclass(frozen=True)
class Recorded:
    """How far a file of packets goes.

    Attributes:
        rows: number of rows of tiles before the last that is in the file.
        segments: number of segments of those rows.
        packets: number of packets of those rows.
        before: bytes of those rows.
        length: bytes of whole packets in the file.
        run: run of the encoding, None if the file does not tell it.
        ended: whether the end segment is there.
    """

    rows: int = 0
    segments: int = 0
    packets: int = 0
    before: int = 0
    length: int = 0
    run: int | None = None
    ended: bool = False

    @classmethod
    def read(cls, path: Path, columns: int) -> "Recorded":
        """Read a file of packets that may be cut anywhere.

        Args:
            path: file of packets, which need not exist.
            columns: number of tiles in a row.

        Raises:
            StreamError: it is damaged elsewhere than in its last packet.
        """
        if not path.exists() or path.stat().st_size == 0:
            return cls()
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as stream:
            return cls._scan(stream, columns)

    @classmethod
    def _scan(cls, stream: mmap, columns: int) -> "Recorded":
        segments = length = row = 0
        run, ended = None, False
        last = before = cls()  # where the last row begins; where packets without a row began
        for packets, found in enumerate(read_packets(stream)):
            if isinstance(found, Damage) or found.packet is None:
                if len(stream) - found.offset >= MAX_PACKET_BYTES:
                    raise StreamError(
                        f"packets: expected whole ones, byte {found.offset} is damaged"
                    )
                break
            here = _row(found.segments, columns)
            if here is not None and here != row:
                if here < row:
                    raise StreamError(f"packets: expected rows in order, found {here} after {row}")
                last, row = replace(before, rows=here), here
            ended |= any(segment.kind == Kind.END for segment in found.segments)
            if run is None:
                run = next((n for n in map(told_run, found.segments) if n is not None), None)
            segments += len(found.segments)
            length = found.stop
            if here is not None:
                before = cls(row, segments, packets + 1, length)
        return replace(last, length=length, run=run, ended=ended)


def _row(segments: Sequence[Segment], columns: int) -> int | None:
    """Return the row of tiles of a packet, None where it holds none."""
    for segment in segments:
        if segment.kind in (Kind.TILE, Kind.MASK):
            return segment.tile // columns
    return None


class Recorder:
    """Writes strips as bare segments or as packets.

    Attributes:
        bytes: number of bytes written, those found in the file when recording went on included.
        packets: number of packets formed, those found included.
        run: run of the encoding, None before the first strip.
    """

    def __init__(
        self,
        output: BinaryIO,
        packets: PacketOptions | None = None,
        scrub: Scrub | None = None,
        scrub_rows: int = 1,
    ) -> None:
        """Begin at the start of a file.

        Args:
            output: file to write to, flushed and synced each time that something is written.
            packets: form of the packets; None writes bare segments.
            scrub: check of the model's memory before what was encoded is written; None for none.
            scrub_rows: number of rows of tiles from one check to the next.
        """
        self._output = output
        self._options = packets
        self._scrub = scrub
        self._scrub_rows = scrub_rows
        self._held: list[Strip] = []
        self._sent = b""
        self.bytes = 0
        self.packets = 0
        self.run: int | None = None

    @classmethod
    def resume(
        cls,
        output: BinaryIO,
        recorded: Recorded,
        packets: PacketOptions | None,
        scrub: Scrub | None = None,
        scrub_rows: int = 1,
    ) -> "Recorder":
        """Go on in a file: the row of tiles it stops in comes again, and only the rest is written.

        Args:
            output: file open for reading and writing; what follows the last whole packet is cut
                off.
            recorded: extent of what the file holds.
            packets: form of the packets.
            scrub: check of the model's memory before what was encoded is written; None for none.
            scrub_rows: number of rows of tiles from one check to the next.
        """
        found = cls(output, packets, scrub, scrub_rows)
        found.packets, found.bytes = recorded.packets, recorded.before
        found.run = recorded.run
        output.seek(recorded.before)
        found._sent = output.read(recorded.length - recorded.before)
        output.truncate(recorded.length)
        output.seek(recorded.length)
        return found

    def record(self, strip: Strip) -> None:
        """Take a strip; write what is held when the model's memory is known good.

        Raises:
            BundleError: the model changed in memory; what is held is not written.
            StreamError: the strip is not what the file already holds of it.
        """
        if self.run is None:
            self.run = told_run(Segment.unpack(strip.segments[0])[0])
        self._held.append(strip)
        if len(self._held) >= self._scrub_rows:
            self.flush()

    def flush(self) -> None:
        """Check the model and write what is held; see `record`."""
        if self._scrub:
            self._scrub.check()
        fresh = [part for strip in self._held for part in self._parts(strip)]
        self._held.clear()
        self._output.write(b"".join(fresh))
        self._output.flush()
        if self._output.seekable():
            os.fsync(self._output.fileno())

    def _parts(self, strip: Strip) -> list[bytes]:
        """Return the packets or segments of a strip that are not yet in the file."""
        if self._options is None:
            parts = strip.segments
        else:
            parts = []
            for apart in strip.parts:
                parts += self._options.pack(apart, strip.line, self.packets + len(parts))
            self.packets += len(parts)
        fresh = []
        for part in parts:
            self.bytes += len(part)
            if not self._sent:
                fresh.append(part)
            elif self._sent.startswith(part):
                self._sent = self._sent[len(part) :]
            else:
                raise StreamError(
                    f"packets: line {strip.line} on does not give what the file holds: it was "
                    "made from other lines, with other options or by another bundle"
                )
        return fresh
