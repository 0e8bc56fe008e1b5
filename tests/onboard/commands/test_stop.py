"""SIGTERM and SIGINT of `stream`: what is held is coded and written, then it ends."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from onboard.__main__ import main
from onboard.downlink.recorder import Recorded
from tests.onboard.commands.test_stream import FORM, LINES, SCENE, bil

LINE = len(bil(SCENE)) // LINES


def started(output: Path, *more: str) -> "subprocess.Popen[bytes]":
    """Start `stream` on a pipe."""
    command = [sys.executable, "-m", "onboard", "stream", "--input", "-", *FORM, *more]
    return subprocess.Popen(
        [*command, "-o", str(output)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )


def read_empty(process: "subprocess.Popen[bytes]") -> None:
    """Wait until the pipe is empty, so that the process holds all that was sent."""
    assert process.stdin
    process.stdin.flush()
    left = np.zeros(1, np.int32)
    import fcntl
    import termios

    for _ in range(600):
        fcntl.ioctl(process.stdin.fileno(), termios.FIONREAD, left)
        if not left[0]:
            time.sleep(0.2)
            return
        time.sleep(0.05)
    raise AssertionError("the pipe is not read")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("sent", [100 * LINE, 100 * LINE + 77])
def test_what_is_held_is_written(tmp_path: Path, number: int, sent: int) -> None:
    stopped, whole = tmp_path / "stopped.pkt", tmp_path / "whole.pkt"
    process = started(stopped)
    assert process.stdin
    assert process.stderr
    process.stdin.write(bil(SCENE)[:sent])
    read_empty(process)
    process.send_signal(number)
    assert process.wait(60) == 0, process.stderr.read()
    (tmp_path / "part.bil").write_bytes(bil(SCENE)[: 100 * LINE])
    assert main(["stream", "--input", str(tmp_path / "part.bil"), *FORM, "-o", str(whole)]) == 0
    assert stopped.read_bytes() == whole.read_bytes()
    assert Recorded.read(stopped, 3).ended


def test_lines_that_were_asked_for_are_missed(tmp_path: Path) -> None:
    output = tmp_path / "stopped.pkt"
    process = started(output, "--lines", str(LINES))
    assert process.stdin
    assert process.stderr
    process.stdin.write(bil(SCENE)[: 100 * LINE])
    read_empty(process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 3
    assert b"the input ended 200 lines before --lines" in process.stderr.read()
    assert not Recorded.read(output, 3).ended


def test_signals_do_afterwards_what_they_did_before(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    (tmp_path / "part.bil").write_bytes(bil(SCENE)[: 10 * LINE])
    part = str(tmp_path / "part.bil")
    assert main(["stream", "--input", part, *FORM, "-o", str(tmp_path / "x.pkt")]) == 0
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
