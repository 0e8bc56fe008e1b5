"""UDP: sockets to listen at."""

import socket

from onboard.errors import UsageError

MOST_BYTES = 65_535
"""Of a datagram."""
_WANTED_BUFFER = 8 << 20


def listen(host: str, port: int) -> socket.socket:
    """Open a UDP socket.

    Raises:
        UsageError: the address cannot be listened at.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_DGRAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WANTED_BUFFER)
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(f"{host}:{port}: expected an address to listen at: {error}") from error
    return listener
