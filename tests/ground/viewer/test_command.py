"""`ground view`, as its page says it is called."""

import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

import onboard
from ground.__main__ import main
from ground.products.geotiff import write
from ground.scenes.procedural import procedural
from tests.conftest import LONGEST, ROOT

TEXT = (ROOT / "docs" / "viewer.md").read_text()
COMMANDS = [
    shlex.split(line, comments=True) for line in re.findall(r"^python -m (ground .*)$", TEXT, re.M)
]


def asked(url: str) -> Any:
    return json.loads(urlopen(url).read())


def test_commands_of_the_page_show_the_scene(tmp_path: Path) -> None:
    scene = procedural(4, 96, 128)
    (tmp_path / "passes").mkdir()
    stream = onboard.encode(scene.image.astype(np.uint16), header=scene.header(), ratio=10)
    for name in ("passes/pass.pkt", "pass.pkt"):
        (tmp_path / name).write_bytes(stream)
    write(tmp_path / "scene.tif", scene)
    assert len(COMMANDS) == 2
    for command in COMMANDS:
        line = [sys.executable, "-m", *command, "--port", "0", "--json"]
        process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout
            url = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")["url"]
            assert url.startswith("http://127.0.0.1:")
            assert b"<title>skybook view</title>" in urlopen(url).read()
            (found,) = asked(f"{url}scenes.json")["scenes"]
            view = asked(f"{url}{found['name']}/view.json?scene={found['scene']}")
            assert view["shape"] == [4, 96, 128]
            assert view["original"] == ("--original" in command)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONGEST) == 0


def test_what_is_not_there_is_told(tmp_path: Path, capsys: Any) -> None:
    assert main(["view", str(tmp_path / "none.sky")]) == 3
    assert "expected a recording, Zarr or folder" in capsys.readouterr().err
    assert main(["view", str(tmp_path), "--original", str(tmp_path / "none.tif")]) == 3
    assert "none.tif" in capsys.readouterr().err
    assert main(["view", str(tmp_path), "--cache-mb", "0"]) == 2
