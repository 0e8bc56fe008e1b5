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
from ground.scene import Scene
from ground.scenes.procedural import procedural
from onboard.link.segment import Kind, unpack_segments
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


def test_the_original_tells_the_width_of_a_scene_without_a_header(tmp_path: Path) -> None:
    scene = procedural(4, 96, 128)
    image = scene.image[:2].astype(np.uint16)
    segments = unpack_segments(onboard.encode(image, ratio=10))
    headless = b"".join(s.pack() for s in segments if s.kind != Kind.SCENE)
    (tmp_path / "pass.pkt").write_bytes(headless)
    write(tmp_path / "scene.tif", Scene(image))
    for more in (["--original", "scene.tif"], ["--width", "128", "--bands", "2"]):
        asking = [
            sys.executable,
            "-m",
            "ground",
            "view",
            "pass.pkt",
            "--port",
            "0",
            "--json",
            *more,
        ]
        process = subprocess.Popen(asking, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout
            url = json.loads("".join(iter(process.stdout.readline, "}\n")) + "}")["url"]
            assert asked(f"{url}pass.pkt/view.json")["shape"] == [2, 96, 128]
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(LONGEST) == 0


def test_what_is_not_there_is_told(tmp_path: Path, capsys: Any) -> None:
    assert main(["view", str(tmp_path / "none.sky")]) == 3
    assert "expected a recording, Zarr or folder" in capsys.readouterr().err
    assert main(["view", str(tmp_path), "--original", str(tmp_path / "none.tif")]) == 3
    assert "none.tif" in capsys.readouterr().err
    assert main(["view", str(tmp_path), "--cache-mb", "0"]) == 2
