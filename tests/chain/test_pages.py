"""Pages that begin with nothing are typed, line by line, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ground.products.geotiff import read
from ground.scenes.procedural import procedural
from tests.commands import Commands
from tests.conftest import LONGEST, ROOT

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.M | re.S)
EXIT = re.compile(r"#.*exit code (\d)")


def typed(page: str, folder: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Type the commands and the Python of a page; Python that begins with a name is a file."""
    shim = folder / "bin"
    shim.mkdir()
    (shim / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (shim / "python").chmod(0o755)
    monkeypatch.setenv("PATH", str(shim), prepend=os.pathsep)
    monkeypatch.chdir(folder)
    for language, text in BLOCK.findall((ROOT / "docs" / page).read_text()):
        if language == "sh":
            for line in text.replace("\\\n", "").splitlines():
                run_line(line, folder, commands)
        elif name := re.match(r"# (\w+\.py)\n", text):
            (folder / name[1]).write_text(text)
        else:
            exec(text, {})


def run_line(line: str, folder: Path, commands: Commands) -> None:
    """Run a line of a shell; its comment may say with which exit code it ends."""
    expected = int(found[1]) if (found := EXIT.search(line)) else 0
    words = shlex.split(line, comments=True)
    if words[:2] == ["pip", "install"]:
        return
    if words[:2] == ["python", "-m"] and "|" not in words:
        done = commands.run(words[2:], folder)
    else:
        bash = ["bash", "-o", "pipefail", "-c", line]
        done = subprocess.run(
            bash, cwd=folder, capture_output=True, text=True, check=False, timeout=LONGEST
        )
    assert done.returncode == expected, (line, done.stdout, done.stderr)


def test_onboard_in_15_minutes(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = procedural(3, 128, 512).image.astype("<u2")
    frame.tofile(tmp_path / "frame.raw")
    typed("onboard.md", tmp_path, commands, monkeypatch)
    camera = [sys.executable, "camera.py"]
    lines = subprocess.run(camera, cwd=tmp_path, capture_output=True, check=True).stdout
    original = np.frombuffer(lines, "<u2").reshape(256, 4, 512).transpose(1, 0, 2)
    for name, wanted, most in (("scene.tif", original, 12), ("frame.tif", frame, 60)):
        off = read(tmp_path / name).image.astype(int) - wanted
        assert np.sqrt((off**2).mean()) < most
    assert (tmp_path / "first.pkt").stat().st_size <= 20_000
    assert (read(tmp_path / "scene.mask.tif").image == 0).all()


def test_the_formats(
    tmp_path: Path,
    commands: Commands,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    np.save(tmp_path / "scene.npy", procedural(3, 150, 260).image.astype(np.uint16))
    typed("formats.md", tmp_path, commands, monkeypatch)
    kinds = eval(capsys.readouterr().out)
    assert kinds["tile"] >= 15
    assert (kinds["scene"] > 0, kinds["end"] > 0) == (True, True)
    assert (tmp_path / "symbols.npz").exists()
