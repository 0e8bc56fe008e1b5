"""Pages that begin with nothing are typed, line by line, in an empty folder."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ground
from ground.products.geotiff import read, write
from ground.scene import Scene
from ground.scenes.procedural import procedural
from tests.commands import Commands
from tests.conftest import LONGEST, ROOT

_GROUPS = "more than 16 bands take minutes; test_profile_chain.py types the like of it"
_HOURS = "training takes hours; tests/ground/train run it on next to nothing"
_LONG = "measures for minutes; tests/benchmarks call what is behind it"
LEFT_OUT: dict[str, dict[str, str]] = {
    "training.md": {
        "python -m ground fit FOLDER -o mine.skyb --contexts": "minutes, and torch",
        "python -m ground train --data FOLDER -o runs/mine": _HOURS,
        "python -m ground train --data FOLDER -o runs/mine --expect": "tries steps for minutes",
        "python -m ground train mine.toml --data FOLDER -o runs/mine": _HOURS,
        "python -m export bundle runs/mine/checkpoint.pt -o mine.skyb --calibration FOLDER": _HOURS,
        "python -m export verify mine.skyb": "needs the bundle of a training",
        "python -m benchmarks rd --data UNSEEN --bundle mine.skyb": _LONG,
        "python -m ground train skybook-bounded --data FOLDER -o runs/bounded": _HOURS,
        "python -m export bounded skybook runs/bounded/bounded.part -o mine.skyb": _HOURS,
        "python -m ground train skybook-tables --data FOLDER -o runs/tables": _HOURS,
        "python -m ground train skybook-refinement --data FOLDER -o runs/network": _HOURS,
        "python -m export decoder skybook runs/network/checkpoint.pt -o mine.onnx": _HOURS,
    },
    "sensors.md": {
        "python -m ground profile pass1.bil pass2.bil --layout bil --bands 224 --width 640 "
        "-o camera.prof": _GROUPS,
        "python -m export sign camera.prof --key flight.pem -o signed.prof": _GROUPS,
        "python -m onboard install signed.prof --slots profiles --public-key flight.pub.pem": (
            _GROUPS
        ),
        "python -m onboard stream --input lines.bil --layout bil --bands 224 --width 640 "
        "--bundle skybook --profile profiles -o x.pkt": _GROUPS,
        "python -m ground decode x.pkt --profile camera.prof -o x.tif": _GROUPS,
    },
    "board.md": {
        "python -m benchmarks roofline --profile raspberry-pi-cm4": "a check of speed",
        "camera | encoder/skybook - -o pass.pkt --width 640 --bands 224 --layout bip "
        "--profile camera.prof": _GROUPS,
        "python -m benchmarks probe -o this-machine.toml": _LONG,
        "python -m benchmarks resources --bundle skybook --quick": _LONG,
        "python -m benchmarks energy": _LONG,
        "python -m benchmarks board-report -o report.html": _LONG,
        "python -m benchmarks energy --record run.json": _LONG,
        "python -m benchmarks energy --meter csv --trace meter.csv --run run.json": _LONG,
        "encoder/skybook bench > board.json": _LONG,
        "python -m benchmarks board-report --board board.json -o report.html": _LONG,
    },
}
"""Lines of pages that are not typed, and why; each is there, and every other line is typed."""
if shutil.which("arm-none-eabi-gcc") is None:
    _SMALL = "python -m export verify-small skybook encoder"
    for line in ("make -C encoder small", _SMALL, f"{_SMALL} --width 512"):
        LEFT_OUT["board.md"][line] = "needs a compiler for Cortex-M"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.M | re.S)
EXIT = re.compile(r"#.*exit code (\d)(?! if)")


def typed(page: str, folder: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """Type the commands and the Python of a page; Python that begins with a name is a file.

    Lines of `LEFT_OUT` are passed over, all of which must be there.
    """
    left_out = [*LEFT_OUT.get(page, ())]
    shim = folder / "bin"
    shim.mkdir(exist_ok=True)
    (shim / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (shim / "python").chmod(0o755)
    monkeypatch.setenv("PATH", str(shim), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.chdir(folder)
    for language, text in BLOCK.findall((ROOT / "docs" / page).read_text()):
        if language == "sh":
            for line in re.sub(r"\\\n *", "", text).splitlines():
                told = line.partition("#")[0].strip()
                if told in left_out:
                    left_out.remove(told)
                    continue
                run_line(line, folder, commands)
        elif name := re.match(r"# (\w+\.py)\n", text):
            (folder / name[1]).write_text(text)
        else:
            exec(text, {})
    assert not left_out, "lines that are not on the page"


def run_line(line: str, folder: Path, commands: Commands) -> None:
    """Run a line of a shell; its comment may say with which exit code it ends."""
    expected = int(found[1]) if (found := EXIT.search(line)) else 0
    words = shlex.split(line, comments=True)
    if words[:2] == ["pip", "install"]:
        return
    if words[:2] == ["python", "-m"] and not {"|", "&&"} & {*words}:
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


def test_training_for_your_camera(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "FOLDER").mkdir()
    (tmp_path / "raw").mkdir()
    for seed in range(3):
        image = procedural(seed, 192, 192, nodata=False).image.astype(np.uint16)
        write(tmp_path / "FOLDER" / f"place{seed}_a.tif", Scene(image))
    lines = procedural(3, 40, 2_048).image[:3].astype("<u2")
    (tmp_path / "raw" / "svalbard_1.bil").write_bytes(lines.transpose(1, 0, 2).tobytes())
    typed("training.md", tmp_path, commands, monkeypatch)
    assert (tmp_path / "mine.skyb").exists()
    np.testing.assert_array_equal(read(tmp_path / "scenes" / "svalbard_1.tif").image, lines)


def test_cameras_it_was_not_trained_on(
    tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("sensors.md", tmp_path, commands, monkeypatch)
    assert (tmp_path / "flight.pub.pem").exists()


@pytest.mark.skipif(not (shutil.which("cc") and shutil.which("make")), reason="no C compiler")
def test_on_a_board(tmp_path: Path, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = procedural(3, 64, 2_048, nodata=False).image.astype("<u2")
    lines.transpose(1, 0, 2).tofile(tmp_path / "lines.bil")
    camera = tmp_path / "bin" / "camera"
    camera.parent.mkdir()
    camera.write_text(f"#!/bin/sh\nexec cat {tmp_path / 'lines.bil'}\n")
    camera.chmod(0o755)
    typed("board.md", tmp_path, commands, monkeypatch)
    decoded: Any = ground.decode((tmp_path / "pass.pkt").read_bytes())
    off = decoded.image.values.astype(int) - lines
    assert np.sqrt((off**2).mean()) < 60
