"""Outputs of the ground's commands: never over an input, never half written."""

from pathlib import Path

import numpy as np
import pytest

from ground.__main__ import main
from ground.scenes.procedural import procedural
from onboard import bundle as bundles
from onboard.encoder import Encoder, Options
from onboard.link.packet import PacketOptions
from tests.conftest import Run, little_room

NAME = "skybook"


def packets(scene_id: int) -> bytes:
    """Return the packets of a small scene."""
    image = procedural(4, 64, 64, nodata=False).image.astype(np.uint16)
    encoder = Encoder(bundles.load(NAME))
    segments = list(encoder.encode(image, options=Options(scene_id=scene_id, ratio=6.0)))
    return b"".join(PacketOptions(packet_bytes=512).pack(segments, 0, 0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of inputs, each under a second name."""
    (tmp_path / "pass-7.pkt").write_bytes(packets(1) + packets(7))
    (tmp_path / "one.pkt").write_bytes(packets(1))
    (tmp_path / "scene.mask.tif").write_bytes(b"an original")
    for name in ("pass-7.pkt", "one.pkt"):
        (tmp_path / f"link-{name}").hardlink_to(tmp_path / name)
        (tmp_path / name).with_suffix(".tif").hardlink_to(tmp_path / name)
    return tmp_path


def test_no_command_writes_over_what_it_reads(run: Run, folder: Path) -> None:
    kept = {path: path.read_bytes() for path in folder.iterdir()}
    decode = ("decode", "one.pkt")
    for command in (
        (*decode, "-o", "one.tif"),
        (*decode, "-o", "scene.tif", "--original", "scene.mask.tif"),
        (*decode, "-o", "x.tif", "--quicklook", "link-one.pkt"),
        (*decode, "-o", "x.tif", "--json", "x.mask.tif"),
        ("decode", "pass-7.pkt", "-o", "pass.tif", "--all-scenes"),
        ("merge", "one.pkt", "pass-7.pkt", "-o", "link-pass-7.pkt"),
        ("missing", "one.pkt", "--json", "link-one.pkt"),
        ("missing", "one.pkt", "--nak", "link-one.pkt"),
        ("receive", "--port", 0, "-o", "x.pkt", "--json", "x.pkt"),
        ("receive-file", "--port", 0, "-o", "x.pkt", "--json", "./x.pkt"),
    ):
        done = run("ground", *command)
        assert done.returncode == 2, (command, done.stderr)
        assert "expected another place to write to" in done.stderr
        assert {path: path.read_bytes() for path in folder.iterdir()} == kept


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (["decode", "-o", "out.tif"], "out.tif"),
        (["decode", "-o", "out.tif", "--quicklook", "out.png"], "out.png"),
        (["merge", "-o", "out.pkt"], "out.pkt"),
        (["missing", "--json", "out.json"], "out.json"),
        (["missing", "--nak", "out.nak", "--file-bytes", "9000"], "out.nak"),
    ],
)
@pytest.mark.parametrize("room", [20, 9_000])
def test_a_full_disk_leaves_nothing_half_written(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    output: str,
    room: int,
) -> None:
    monkeypatch.chdir(folder)
    arguments = [command[0], "one.pkt", *command[1:]]
    main(arguments)
    sizes = {path.name: path.stat().st_size for path in folder.glob("out.*")}
    for name in sizes:
        (folder / name).unlink()
    capsys.readouterr()
    with little_room(room):
        code = main(arguments)
    written = {path.name: path.stat().st_size for path in folder.glob("out.*")}
    assert written.items() <= sizes.items()
    if sizes[output] > room:
        assert code == 2
        assert "expected a place to write to" in capsys.readouterr().err
