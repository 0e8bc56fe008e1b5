"""Hostile requests: none gets out of the folder, or more than a word."""

import os
import random
import socket
from pathlib import Path

import pytest

from ground.api.source import Choice
from ground.serve.library import Library
from ground.serve.requests import answer
from tests.ground.serve.conftest import SECRET, Served

PIECES = (
    *("..", ".", "", "%2e%2e", "%2E.", "%252e%252e", "..%2f", "%5c..", "..;", "%00", "%c0%ae"),
    *("sub%20dir", "a.sky", "c.zarr", "c", "0", "0.0.0", "zarr.json", "secret.sky", "secret.txt"),
    *("linked", "link.sky", "notes.txt", "tiles", "mask", "xyz", "scene.json", "gdal.xml", "1"),
    *("-1", "1e9", "999999999", "9" * 400, "0.tif", "0.png", "x.tif", "%F0%9F%98%80", "\u202e"),
    *("etc", "passwd", "~", "C:", "file:", "nul", "a" * 300, "%", "%zz", "$%7Bx%7D", "'\"<>&"),
)
QUERIES = (
    "",
    "",
    "",
    "?scene=0",
    "?scene=-1",
    "?array=../..",
    "?array=%00",
    "?a",
    "?scene=1&scene=2",
)


def targets(count: int, folder: Path) -> list[str]:
    chosen = random.Random(5)
    away = str(folder.parent / "secret.sky")
    found = [f"/{away}/scene.json", f"//{away}/scene.json", f"/%2f{away[1:]}/scene.json"]
    for _ in range(count):
        parts = chosen.choices(PIECES, k=chosen.randint(1, 7))
        found.append("/" + "/".join(parts) + chosen.choice(QUERIES))
    return found


def test_nothing_outside_the_folder_is_answered(folder: Path) -> None:
    library = Library.of(folder, Choice(linear=True), 1 << 20)
    for target in targets(1_500, folder):
        found = answer(library, target, "http://h")
        assert found.status == 200 or 400 <= found.status < 500, (target, found)
        assert SECRET not in found.body
        assert b"Traceback" not in found.body
        assert os.fsencode(folder.parent) not in found.body


def test_what_is_no_request_is_refused(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    chosen = random.Random(6)
    good = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    attempts = [b"\r\n\r\n", b"GET\r\n\r\n", b"GET /" + b"a" * 70_000 + b"\r\n\r\n", bytes(900)]
    attempts += [b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\r\n"]
    attempts += [b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 200 + b"\r\n"]
    for _ in range(40):
        mutated = bytearray(good)
        for _ in range(chosen.randint(1, 4)):
            mutated[chosen.randrange(len(mutated))] = chosen.randrange(256)
        attempts.append(bytes(mutated) + b"\r\n\r\n")
    for attempt in attempts:
        with socket.create_connection(served.server.server_address[:2], timeout=10) as line:
            line.sendall(attempt)
            line.shutdown(socket.SHUT_WR)
            reply = b""
            while part := line.recv(65_536):
                reply += part
        assert not reply.startswith(b"HTTP") or reply[9:10] in b"24", reply[:80]
    assert "internal" not in capsys.readouterr().err
    with socket.create_connection(served.server.server_address[:2], timeout=10) as line:
        line.sendall(good)
        assert line.recv(65_536).startswith(b"HTTP/1.1 200")
