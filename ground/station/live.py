"""Live: datagrams and messages as they come from receivers, in a bounded queue.

`udp://HOST:PORT` listens there. `zmq://HOST:PORT` subscribes to a ZeroMQ PUB socket there, as
gr-satellites and GNU Radio publish frames: a message is a frame, or a PDU of GNU Radio around one.
"""

import re
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from threading import Condition, Event, Thread
from typing import NamedTuple

from ground.station.extra import library
from ground.station.pdu import content_of
from ground.station.udp import MOST_BYTES, listen
from onboard.errors import UsageError

_ADDRESS = re.compile(r"(udp|zmq)://(\[[0-9a-fA-F:.]+\]|[^\s/:\[\]]+):([0-9]{1,5})/?")
_LIKE_ONE = re.compile(r"[a-z0-9+]+://")
_MOST_WAITING = 32 << 20
_TURN = 0.2
"""Seconds after which a receiver looks whether it is to end."""
_OVERFLOWS = 40
"""SO_RXQ_OVFL of Linux: each datagram tells how many the kernel has dropped so far."""


class Address(NamedTuple):
    """Where frames come from.

    Attributes:
        kind: 'udp' or 'zmq'.
        host: host to listen at (udp), or to connect to (zmq).
        port: UDP or TCP port.
    """

    kind: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address | None":
        """Read an address; None for what is the path of a file.

        Raises:
            UsageError: it is an address of another kind, or none that makes sense.
        """
        if not _LIKE_ONE.match(text):
            return None
        found = _ADDRESS.fullmatch(text)
        if not found or int(found[3]) > 65_535:
            raise UsageError(f"{text}: expected udp://HOST:PORT or zmq://HOST:PORT")
        return cls(found[1], found[2].strip("[]"), int(found[3]))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{host}:{self.port}"


class Message(NamedTuple):
    """What came at once.

    Attributes:
        station: number of the address that it came from.
        content: frame, packets, or KISS frames.
    """

    station: int
    content: bytes


class Receivers:
    """Addresses that are listened to, each in a thread of its own.

    Attributes:
        addresses: addresses, in the order of their numbers; the ports that were asked for.
        dropped: messages for which there was no room, by the number of their address.
    """

    def __init__(self, addresses: Sequence[Address], most_waiting: int = _MOST_WAITING) -> None:
        """Take addresses; nothing is opened yet.

        Args:
            addresses: addresses to listen to.
            most_waiting: bytes of messages that wait to be taken.
        """
        self.addresses = list(addresses)
        self.dropped: Counter[int] = Counter()
        self._most, self._held = most_waiting, 0
        self._waiting: deque[Message] = deque()
        self._change = Condition()
        self._ending = Event()
        self._opened = ExitStack()
        self._threads: list[Thread] = []

    def __enter__(self) -> "Receivers":
        """Listen.

        Raises:
            UsageError: an address cannot be listened at.
            EngineError: pyzmq is not installed.
        """
        with ExitStack() as opened:
            for number, address in enumerate(self.addresses):
                opening = _udp if address.kind == "udp" else _zmq
                receive, self.addresses[number] = opened.enter_context(opening(address))
                thread = Thread(target=self._listen, args=(number, receive), daemon=True)
                self._threads.append(thread)
            self._opened = opened.pop_all()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._opened.close()

    def _listen(self, number: int, receive: "Receive") -> None:
        """Put what comes into the queue, or count it where there is no room."""
        while not self._ending.is_set():
            content, lost = receive()
            with self._change:
                self.dropped[number] += lost
                if content is None:
                    continue
                if self._held + len(content) > self._most:
                    self.dropped[number] += 1
                    continue
                self._held += len(content)
                self._waiting.append(Message(number, content))
                self._change.notify()

    def take(self, seconds: float = _TURN) -> Message | None:
        """Return the message that waits longest; None where none comes for a while."""
        with self._change:
            if not self._waiting:
                self._change.wait(seconds)
            if not self._waiting:
                return None
            message = self._waiting.popleft()
            self._held -= len(message.content)
            return message

    def messages(self, ended: Callable[[], bool], idle: float | None) -> Iterator[Message]:
        """Yield messages until it is to end, or for so many seconds none comes.

        What was received until then is yielded first.
        """
        last = time.monotonic()
        while True:
            if ended():
                self.stop()
            if (message := self.take()) is not None:
                last = time.monotonic()
                yield message
            elif ended() or (idle is not None and time.monotonic() - last >= idle):
                return

    def stop(self) -> None:
        """Listen no longer; what waits can still be taken."""
        self._ending.set()
        for thread in self._threads:
            thread.join()

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        return self._held


Receive = Callable[[], tuple[bytes | None, int]]
"""Returns what came, None for nothing, and how much was dropped before it since the last time."""


@contextmanager
def _udp(address: Address) -> Iterator[tuple[Receive, Address]]:
    with listen(address.host, address.port) as listener:
        listener.settimeout(_TURN)
        with suppress(OSError):  # elsewhere than on Linux nobody tells
            listener.setsockopt(socket.SOL_SOCKET, _OVERFLOWS, 1)
        told = 0

        def receive() -> tuple[bytes | None, int]:
            nonlocal told
            try:
                content, extras, _, _ = listener.recvmsg(MOST_BYTES, 64)
            except TimeoutError:
                return None, 0
            before = told
            for level, kind, value in extras:
                if (level, kind) == (socket.SOL_SOCKET, _OVERFLOWS):
                    told = struct.unpack("=I", value[:4])[0]
            return content, told - before

        port = listener.getsockname()[1]
        yield receive, address._replace(port=port)


@contextmanager
def _zmq(address: Address) -> Iterator[tuple[Receive, Address]]:
    zmq = library("zmq")
    with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
        subscriber.setsockopt(zmq.LINGER, 0)
        subscriber.setsockopt(zmq.RCVTIMEO, int(1000 * _TURN))
        subscriber.setsockopt(zmq.MAXMSGSIZE, 1 << 20)
        subscriber.setsockopt(zmq.IPV6, int(":" in address.host))
        subscriber.setsockopt(zmq.SUBSCRIBE, b"")
        try:
            subscriber.connect(str(address).replace("zmq:", "tcp:"))
        except zmq.ZMQError as error:
            raise UsageError(f"{address}: expected an address to connect to: {error}") from error

        def receive() -> tuple[bytes | None, int]:
            try:
                *_, content = subscriber.recv_multipart()
            except zmq.Again:
                return None, 0
            return content_of(content), 0

        yield receive, address
