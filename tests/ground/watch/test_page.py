"""The page on a ground station: its commands run, and systemd takes its unit."""

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from ground.station.udp import listen
from onboard.link.segment import Segment
from tests.conftest import LONGEST, ROOT
from tests.ground.watch.conftest import stream

PAGE = (ROOT / "docs" / "station.md").read_text()
UNIT = ROOT / "examples" / "station" / "skybook-watch.service"


def commands(name: str) -> list[list[str]]:
    """The page's commands of that name, without their comments."""
    found = re.findall(rf"^python -m ground {name} (.*)$", PAGE, re.M)
    return [[name, *shlex.split(line, comments=True)] for line in found]


def placed(command: list[str], folder: Path) -> list[str]:
    """A command that writes to a folder of the test's, at ports that are free."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
    moved = [word.replace("/srv", str(folder)).replace("4560", str(port)) for word in command]
    moved = ["0" if word == "8080" else word for word in moved]
    ports = ["--port", "0"] if command[0] == "watch" else []
    return [sys.executable, "-m", "ground", *moved, *ports]


def test_every_way_to_watch_starts_and_stops(tmp_path: Path, segments: tuple[Segment, ...]) -> None:
    running = []
    for number, command in enumerate(commands("watch")):
        folder = tmp_path / str(number)
        for watched in ("passes", "cadus"):
            (folder / watched).mkdir(parents=True)
        (folder / "passes" / "pass.sky").write_bytes(stream(segments, number))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(placed(command, folder), cwd=ROOT, stderr=log)
        running.append((folder, process))
    assert len(running) == 4
    for folder, process in running:
        wanted = "published" if folder.name == "0" else "started"
        until = time.monotonic() + LONGEST
        while f'"event": "{wanted}"' not in (folder / "log").read_text():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        (metrics,) = re.findall(r'"metrics": "([^"]*)"', (folder / "log").read_text())
        assert json.loads(urlopen(metrics.replace("/metrics", "/health")).read())["problems"] == []
        assert b"skybook_scenes" in urlopen(metrics).read()
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONGEST) == 0
    assert len(list((tmp_path / "0" / "products").glob("*.stac.json"))) == 1


def test_what_came_is_looked_at(tmp_path: Path, segments: tuple[Segment, ...]) -> None:
    (tmp_path / "passes").mkdir()
    (tmp_path / "products" / ".watch" / "live").mkdir(parents=True)
    (tmp_path / "passes" / "pass.pkt").write_bytes(stream(segments, 1))
    (serve,), (convert,) = commands("serve"), commands("convert")
    process = subprocess.Popen(
        placed([*serve, "--json"], tmp_path), cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    done = placed(convert, tmp_path)
    done[-1] = str(tmp_path / done[-1])
    subprocess.run(done, cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "scene.tif").exists()
    assert process.stdout
    told = "".join(iter(process.stdout.readline, "}\n")) + "}"
    assert json.loads(urlopen(json.loads(told)["url"]).read()) == {"pictures": {}}
    process.send_signal(signal.SIGTERM)
    assert process.wait(LONGEST) == 0


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/skybook/bin/python", sys.executable))
    command = ["systemd-analyze", "verify", str(copy)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 0
    assert UNIT.name not in done.stderr  # of unknown keys and values it only warns
