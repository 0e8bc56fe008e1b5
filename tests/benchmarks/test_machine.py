"""Programs that benchmarks run, and files that a user names."""

import sys
from pathlib import Path

import pytest

from benchmarks.files import read_limited
from benchmarks.machine import last_line, run
from onboard.errors import InputError, LimitError, SkybookError, UsageError


def test_a_program_is_run_whatever_its_exit_code() -> None:
    code = "import sys; print('out'); print('first', file=sys.stderr); sys.exit('last')"
    done = run([sys.executable, "-c", code], 60)
    assert (done.returncode, done.stdout.strip()) == (1, b"out")
    assert last_line(done.stderr) == "last"
    assert last_line(b" \n") == "no message"
    assert last_line(b"caf\xe9\n") == "caf\ufffd"


def test_a_program_that_does_not_end_is_named() -> None:
    line = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(SkybookError, match=r"^sleeper: expected to end within 0\.2 s$"):
        run(line, 0.2, "sleeper")
    with pytest.raises(SkybookError, match=r"python.*: expected to end within"):
        run(line, 0.2)


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "ten"
    path.write_bytes(bytes(10))
    assert read_limited(path, 10, "zeros") == bytes(10)
    with pytest.raises(LimitError, match="ten: expected at most 9 bytes"):
        read_limited(path, 9, "zeros")
    with pytest.raises(InputError, match="ten: expected at most 9 bytes"):
        read_limited(path, 9, "zeros", InputError)
    with pytest.raises(UsageError, match="gone: expected zeros: No such file"):
        read_limited(tmp_path / "gone", 10, "zeros")
