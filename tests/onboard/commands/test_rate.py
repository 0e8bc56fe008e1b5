"""What `encode` and `stream` say of rate and quality."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ground.scenes.procedural import procedural
from onboard.__main__ import main

SCENE = procedural(5, 100, 96, nodata=False).image.astype(np.uint16)


def encode(folder: Path, *options: object, image: Any = SCENE) -> int:
    np.save(folder / "i.npy", image)
    made = ["encode", folder / "i.npy", "--bundle", "skybook", "-o", folder / "o.sky", *options]
    return main([str(word) for word in made])


def stream(folder: Path, *options: object, image: Any = SCENE) -> int:
    image.transpose(1, 0, 2).astype("<u2").tofile(folder / "i.bil")
    made = ["stream", "--input", folder / "i.bil", "--layout", "bil", "--width", image.shape[2]]
    made += ["--bands", 4, "--bundle", "skybook", "-o", folder / "o.pkt", *options]
    return main([str(word) for word in made])


@pytest.mark.parametrize("command", [encode, stream])
def test_steps_and_expected_quality_are_said(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(tmp_path, "--ratio", 8) == 0
    said = capsys.readouterr()
    assert "DN (code" in said.out
    assert "expected PSNR16" in said.out
    assert said.err == ""
    assert command(tmp_path, "--psnr", 60, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["asked"] == {"psnr": 60}
    assert found["met"] is True
    assert 59.7 < found["reached"]["psnr"] == found["expected_psnr16_db"] < 61
    assert found["step_codes"][0] <= found["step_codes"][1]
    assert found["steps_dn"] == [2 ** (code / 16 - 1) for code in found["step_codes"]]
    assert found["bytes"] == (tmp_path / ("o.sky" if command is encode else "o.pkt")).stat().st_size


@pytest.mark.parametrize("command", [encode, stream])
@pytest.mark.parametrize(
    ("options", "warning", "met"),
    [
        (("--ratio", 5_000), r"ratio 5000 asked, ratio [\d.]+ reached: out of reach", False),
        (("--ratio", 0.5), r"ratio 0\.5 asked, ratio [\d.]+ reached: at the finest step", True),
        (("--rmse", 0.01), r"RMSE 0\.01 DN asked, RMSE [\d.]+ DN expected: out of reach", False),
        (("--psnr", 20), r"PSNR16 20 dB asked, PSNR16 [\d.]+ dB expected: at the coarsest", True),
        (
            ("--psnr", 60, "--ratio", 5_000),
            r"ratio 5000 asked, ratio [\d.]+ reached: out of reach, at the coarsest step",
            False,
        ),
        (
            ("--psnr", 75, "--ratio", 20),
            r"PSNR16 75 dB asked, PSNR16 [\d.]+ dB expected: the bytes win",
            False,
        ),
    ],
)
def test_what_is_out_of_reach_is_one_warning(
    command: Any,
    options: tuple[object, ...],
    warning: str,
    met: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(tmp_path, *options, "--json", tmp_path / "r.json") == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert re.match("warning: .*: " + warning, said[0]), said
    assert json.loads((tmp_path / "r.json").read_text())["met"] is met


def test_bytes_that_are_too_few_are_a_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert encode(tmp_path, "--bytes", 10, image=SCENE[:, :1, :1]) == 6
    assert "bytes too few" in capsys.readouterr().err
    assert not (tmp_path / "o.sky").exists()


def test_bytes_that_are_left_beside_a_quality_do_not_win(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert encode(tmp_path, "--psnr", 60, "--ratio", 1) == 0
    said = capsys.readouterr().err
    assert "win" not in said
    assert "step" not in said


@pytest.mark.parametrize("command", [encode, stream])
def test_a_map_alone_asks_for_no_ratio(
    command: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "q.npy", np.full(SCENE.shape[1:], 60.0))
    assert (
        command(tmp_path, "--quality-map", tmp_path / "q.npy", "--json", tmp_path / "r.json") == 0
    )
    said, found = capsys.readouterr(), json.loads((tmp_path / "r.json").read_text())
    assert said.err == ""
    assert found["asked"] is None
    assert found["reached"] is None
    assert found["quality_blocks"]["side"] == 64
    assert "blocks of 64 pixels" in said.out
    np.save(tmp_path / "q.npy", np.full(SCENE.shape[1:], 150.0))
    assert command(tmp_path, "--quality-map", tmp_path / "q.npy") == 0
    assert re.search(r"quality map: out of reach of \d of 4 blocks", capsys.readouterr().err)
