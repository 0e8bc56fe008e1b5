"""Frames: telemetry transfer frames to the space packets inside them, whatever is lost.

TM frames (CCSDS 132.0-B-3) and AOS frames with packets (CCSDS 732.0-B-4, M_PDU), as a receiver
leaves them: with sync marks or back to back, error-corrected, check symbols cut off. Packets may
span frames. A packet is given back if every frame that it is in arrived in a row; of a channel that
misses frames the next packet is found by the first header pointer.
"""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ground.station.recording import Bytes
from onboard.errors import UsageError
from onboard.link.packet import IDLE_APID, PRIMARY_BYTES, crc16

SYNC = bytes.fromhex("1acffc1d")
"""Attached sync mark. Source: CCSDS 131.0-B-4, section 9.3."""
LEAST_BYTES, MOST_BYTES = 16, 65_535
_NO_PACKET, _ONLY_IDLE = 0x7FF, 0x7FE
_IDLE_CHANNEL = 63
_OCF_BYTES, _CRC_BYTES = 4, 2
_KINDS = ("tm", "aos")


@dataclass(frozen=True)
class FrameForm:
    """What a mission's frames are like; a receiver has to be told.

    Attributes:
        kind: 'tm' or 'aos'.
        bytes: bytes of a frame, sync mark left out.
        crc: whether frames end in a CRC (frame error control field).
        ocf: AOS: whether frames have an operational control field. TM frames say it themselves.
        header_crc: AOS: whether the header has an error control field, which is passed over.
        insert: AOS: bytes of the insert zone.
        randomised: whether frames are still pseudo-randomised (131.0-B, of period 255).
    """

    kind: str
    bytes: int
    crc: bool = False
    ocf: bool = False
    header_crc: bool = False
    insert: int = 0
    randomised: bool = False

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise UsageError(f"frames: expected tm or aos, found {self.kind!r}")
        if not LEAST_BYTES <= self.bytes <= MOST_BYTES:
            raise UsageError(
                f"frame bytes: expected {LEAST_BYTES}..{MOST_BYTES}, found {self.bytes}"
            )
        if not 0 <= self.insert <= self.bytes - LEAST_BYTES:
            raise UsageError(f"insert zone: expected less than the frame, found {self.insert}")


class Channel(NamedTuple):
    """Whose frames they are.

    Attributes:
        spacecraft: spacecraft id.
        virtual: virtual channel id.
    """

    spacecraft: int
    virtual: int


@dataclass(frozen=True)
class Frame:
    """A frame that carries packets.

    Attributes:
        channel: whose it is.
        count: its number in the channel.
        modulus: what numbers are counted modulo.
        first: place of the first packet header in the body; None where no packet begins.
        body: what is carried.
    """

    channel: Channel
    count: int
    modulus: int
    first: int | None
    body: bytes


@dataclass
class Packets:
    """Packets of frames as they come.

    Attributes:
        form: form of the frames.
        spacecraft: spacecraft wanted; None for all.
        virtual: virtual channel wanted; None for all.
        counts: frames by what became of them: 'used', 'idle', 'repeated', 'damaged', 'other',
            'lost'; packets that were 'cut', and bytes 'between' frames.
        packets: whole packets of each channel.
    """

    form: FrameForm
    spacecraft: int | None = None
    virtual: int | None = None
    counts: Counter[str] = field(default_factory=Counter)
    packets: Counter[Channel] = field(default_factory=Counter)
    _last: dict[Channel, Frame] = field(default_factory=dict)
    _begun: dict[Channel, bytes] = field(default_factory=dict)

    def read(self, recording: Bytes) -> Iterator[bytes]:
        """Yield the whole packets of a recording, idle ones left out, as their last frames come."""
        yield from self._within(self._frames(recording))

    def take(self, message: bytes) -> Iterator[bytes]:
        """Yield the packets that end in a message: frames back to back, or with sync marks."""
        bare = len(message) % self.form.bytes == 0
        marked = message.startswith(SYNC) and len(message) % (len(SYNC) + self.form.bytes) == 0
        yield from self._within(
            self._cut(message) if bare and not marked else self._frames(message)
        )

    def _within(self, frames: Iterable[bytes]) -> Iterator[bytes]:
        for raw in frames:
            frame = self._unpack(raw)
            if frame is not None:
                yield from self._of(frame)

    def _cut(self, recording: Bytes) -> Iterator[bytes]:
        """Yield frames back to back."""
        size = self.form.bytes
        whole = len(recording) // size * size
        self.counts["between"] += len(recording) - whole
        for start in range(0, whole, size):
            yield bytes(recording[start : start + size])

    def _frames(self, recording: Bytes) -> Iterator[bytes]:
        """Yield what follows each sync mark; where there is no mark at all, frames back to back."""
        size = self.form.bytes
        if recording.find(SYNC) < 0:
            yield from self._cut(recording)
            return
        done = place = 0
        while (place := recording.find(SYNC, place)) >= 0:
            start = place + len(SYNC)
            frame = bytes(recording[start : start + size])
            if place != done and not self._surely(frame, recording, start + size):
                place += 1  # the mark is among what is carried
                continue
            self.counts["between"] += place - done
            done = place = start + len(frame)
            if len(frame) < size:
                self.counts["damaged"] += 1
                return
            yield frame
        self.counts["between"] += len(recording) - done

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        kinds = ("used", "idle", "repeated", "damaged", "other")
        return {
            "frames": {what: self.counts[what] for what in kinds},
            "lost_frames": self.counts["lost"],
            "cut_packets": self.counts["cut"],
            "bytes_between": self.counts["between"],
            "channels": [
                {**channel._asdict(), "packets": count}
                for channel, count in sorted(self.packets.items())
            ],
        }

    def _surely(self, frame: bytes, recording: Bytes, stop: int) -> bool:
        """Say whether bytes after a mark where none was due are a frame."""
        if self.form.crc:
            return crc16(_derandomised(frame) if self.form.randomised else frame) == 0
        return stop == len(recording) or bytes(recording[stop : stop + len(SYNC)]) == SYNC

    def _unpack(self, raw: bytes) -> Frame | None:
        """Read a frame; None, and counted, if it is damaged, idle or another's."""
        form = self.form
        if form.randomised:
            raw = _derandomised(raw)
        if form.crc and crc16(raw) != 0:
            self.counts["damaged"] += 1
            return None
        body = raw[:-_CRC_BYTES] if form.crc else raw
        frame = _unpack_tm(body) if form.kind == "tm" else _unpack_aos(body, form)
        if isinstance(frame, str):
            self.counts[frame] += 1
            return None
        wanted = (self.spacecraft, self.virtual)
        if any(want not in (None, own) for want, own in zip(wanted, frame.channel, strict=True)):
            self.counts["other"] += 1
            return None
        return frame

    def _of(self, frame: Frame) -> Iterator[bytes]:
        """Yield the packets that end in a frame."""
        channel, last = frame.channel, self._last.get(frame.channel)
        if frame == last:
            self.counts["repeated"] += 1
            return
        self.counts["used" if frame.body else "idle"] += 1
        missed = 0 if last is None else (frame.count - last.count - 1) % frame.modulus
        self._last[channel] = frame
        begun = self._begun.pop(channel, b"")
        if missed:
            self.counts["lost"] += missed
            self.counts["cut"] += bool(begun)
            begun = b""
        if begun:
            begun += frame.body if frame.first is None else frame.body[: frame.first]
            rest = yield from self._whole(channel, begun)
            if frame.first is None:
                self._begun[channel] = rest
                return
            self.counts["cut"] += bool(rest)  # it was to end where the next one begins
        if frame.first is not None:
            self._begun[channel] = yield from self._whole(channel, frame.body[frame.first :])

    def _whole(self, channel: Channel, packets: bytes) -> Generator[bytes, None, bytes]:
        """Yield the packets that are whole; return what is left of the last one."""
        start = 0
        while len(packets) - start >= PRIMARY_BYTES:
            length = int.from_bytes(packets[start + 4 : start + 6], "big")
            stop = start + PRIMARY_BYTES + 1 + length
            if stop > len(packets):
                break
            if int.from_bytes(packets[start : start + 2], "big") & IDLE_APID != IDLE_APID:
                self.packets[channel] += 1
                yield packets[start:stop]
            start = stop
        return packets[start:]


def _unpack_tm(frame: bytes) -> Frame | str:
    """Read a TM frame without its CRC. Source: CCSDS 132.0-B-3, section 4.1."""
    head = int.from_bytes(frame[:2], "big")
    status = int.from_bytes(frame[4:6], "big")
    if head >> 14 != 0 or status & 0x4000:
        return "damaged"  # another version, or no packets
    stop = len(frame) - (_OCF_BYTES if head & 1 else 0)
    start = 6 + ((frame[6] & 0x3F) + 1 if status & 0x8000 else 0)
    channel = Channel(head >> 4 & 0x3FF, head >> 1 & 7)
    return _with_packets(channel, frame[3], 1 << 8, status & 0x7FF, frame[start:stop])


def _unpack_aos(frame: bytes, form: FrameForm) -> Frame | str:
    """Read an AOS frame without its CRC. Source: CCSDS 732.0-B-4, sections 4.1 and 4.1.4.2."""
    head = int.from_bytes(frame[:2], "big")
    if head >> 14 != 1:
        return "damaged"
    channel = Channel(head >> 6 & 0xFF, head & 0x3F)
    if channel.virtual == _IDLE_CHANNEL:
        return "idle"
    start = 6 + (_CRC_BYTES if form.header_crc else 0) + form.insert
    stop = len(frame) - (_OCF_BYTES if form.ocf else 0)
    pointer = int.from_bytes(frame[start : start + 2], "big") & 0x7FF
    count, modulus = int.from_bytes(frame[2:5], "big"), 1 << 24
    return _with_packets(channel, count, modulus, pointer, frame[start + 2 : stop])


def _with_packets(
    channel: Channel, count: int, modulus: int, pointer: int, body: bytes
) -> Frame | str:
    """Return a frame whose first header pointer makes sense.

    One of idle data alone counts in its channel, and carries nothing.
    """
    if pointer == _ONLY_IDLE:
        return Frame(channel, count, modulus, None, b"")
    if pointer != _NO_PACKET and pointer >= len(body):
        return "damaged"
    return Frame(channel, count, modulus, None if pointer == _NO_PACKET else pointer, body)


def _derandomised(frame: bytes) -> bytes:
    """Undo the pseudo-randomiser. Source: CCSDS 131.0-B-4, section 10.4.1."""
    repeated = np.resize(_SEQUENCE, len(frame))
    return bytes(np.frombuffer(frame, np.uint8) ^ repeated)


def _sequence() -> NDArray[np.uint8]:
    """Return the 255 bytes of x^8 + x^7 + x^5 + x^3 + 1, from all ones on."""
    bits, state = [], [1] * 8
    for _ in range(8 * 255):
        bits.append(state[0])
        state = [*state[1:], state[0] ^ state[3] ^ state[5] ^ state[7]]
    return np.packbits(np.array(bits, np.uint8))


_SEQUENCE = _sequence()
