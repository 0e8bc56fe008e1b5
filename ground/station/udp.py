"""Receiver: datagrams of space packets to a recording, as they come."""

import socket
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

from ground.station.tally import Tally
from onboard.errors import UsageError

_MOST = 65_535
_WANTED_BUFFER = 8 << 20


def listen(host: str, port: int) -> socket.socket:
    """Open a UDP socket.

    Raises:
        UsageError: the address cannot be listened at.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WANTED_BUFFER)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(f"{host}:{port}: expected an address to listen at: {error}") from error
    return listener


def receive(
    listener: socket.socket,
    recording: BinaryIO,
    idle: float | None,
    report: Callable[[Tally], None] = lambda _tally: None,
) -> Tally:
    """Append datagrams to a recording until none comes for a while, or Ctrl-C.

    A datagram is one or more packets. It is written and flushed before it is looked at.

    Args:
        listener: socket, as `listen` gives it.
        recording: file that is open for appending.
        idle: seconds without a datagram after which to stop; None waits for Ctrl-C.
        report: function that is called after each datagram.
    """
    listener.settimeout(idle)
    tally = Tally()
    with suppress(TimeoutError, KeyboardInterrupt):
        while True:
            datagram = listener.recv(_MOST)
            recording.write(datagram)
            recording.flush()
            tally.add(datagram)
            report(tally)
    tally.count()
    return tally
