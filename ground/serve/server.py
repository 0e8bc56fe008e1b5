"""Server: HTTP on loopback unless told, for GET and HEAD, several at once."""

import re
import socket
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from threading import BoundedSemaphore
from typing import Any

from ground.serve.answers import Answer
from onboard.errors import UsageError

_MOST_AT_ONCE = 32
_SECONDS = 30
"""That a connection may be silent."""
_HOST = re.compile(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")
_RANGE = re.compile(r"bytes=([0-9]{1,15})-([0-9]{0,15})")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


Reply = Callable[[str, str], Answer]
"""Answers a path with its query, given 'http://HOST:PORT', by which whoever asks knows us."""


class Server(ThreadingHTTPServer):
    """Answers requests."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, reply: Reply, host: str, port: int) -> None:
        """Listen.

        Raises:
            UsageError: the address cannot be listened at.
        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.reply = reply
        self._room = BoundedSemaphore(_MOST_AT_ONCE)
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(f"{host}:{port}: expected an address to listen at: {error}") from error
        shown = f"[{host}]" if ":" in host else host
        self.url = f"http://{shown}:{self.server_address[1]}"
        self.names = {*_LOOPBACK, shown}
        self.is_local = is_loopback(str(self.server_address[0]))

    def process_request(self, request: Any, client_address: Any) -> None:
        """Take a connection once there are few enough."""
        self._room.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer what comes on a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say in a line what went wrong with a connection, unless it only broke off."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            print(f"error: {client_address[0]}: internal: {error!r:.300}", file=sys.stderr)


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches an address."""
    return ip_address(host).is_loopback


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS
    server_version, sys_version = "skybook", ""

    def do_GET(self) -> None:
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # what follows is no request
        self._send(self._answer())

    do_HEAD = do_GET

    def _answer(self) -> Answer:
        """Answer a request; one for another host is refused, so no page of another site asks."""
        host = self.headers.get("Host", "")
        named = _HOST.fullmatch(host)
        if self.server.is_local and (not named or named[1].lower() not in self.server.names):
            return Answer.refusal(
                HTTPStatus.MISDIRECTED_REQUEST, f"host: expected {self.server.url}"
            )
        if not named:
            return Answer.refusal(HTTPStatus.BAD_REQUEST, "host: expected a header Host")
        try:
            return self.server.reply(self.path, f"http://{host}")
        except Exception as error:
            print(f"error: {self.path[:200]!r}: internal: {error!r:.300}", file=sys.stderr)
            return Answer.refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "internal, see the log")

    def _send(self, found: Answer) -> None:
        """Send an answer, or a range of it."""
        status, body, told = found.status, found.body, self.headers.get("Range", "")
        wanted = _RANGE.fullmatch(told) if status == HTTPStatus.OK else None
        headers = {
            "Content-Type": found.kind,
            "Accept-Ranges": "bytes",
            "Cache-Control": "no-cache",
        }
        if wanted:
            first, last = int(wanted[1]), min(int(wanted[2] or len(body)), len(body) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
            status, body = HTTPStatus.PARTIAL_CONTENT, body[first : last + 1]
            if first > last:
                headers["Content-Range"] = f"bytes */{len(found.body)}"
                status, body = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b""
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse what is no request of ours, in JSON as everything."""
        status = HTTPStatus(code)
        if status == HTTPStatus.NOT_IMPLEMENTED:
            status = HTTPStatus.METHOD_NOT_ALLOWED
        self.close_connection = True
        body = Answer.refusal(status, message or status.phrase).body
        self.send_response(status)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Connection", "close")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if getattr(self, "command", None) != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep quiet: only what goes wrong is told."""
