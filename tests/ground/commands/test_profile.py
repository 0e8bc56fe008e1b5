"""Command `profile`: it writes what pays, refuses what does not, and says what it was given."""

import json
from pathlib import Path

import numpy as np
import pytest

from ground.__main__ import main
from ground.commands.profile import NOT_BETTER
from ground.train.profile import trial
from onboard.bundle.profiles import load_profile
from tests.profiles import cube


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer and smaller encodes."""
    monkeypatch.setattr(trial, "BITS", (0.1, 0.3, 0.8))
    monkeypatch.setattr(trial, "MOST_SIDE", 64)


def test_images_become_a_profile(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two raw images, the second held back; the figures are in the JSON, too."""
    for number in (1, 2):
        lines = cube(20, 90, 80, number).transpose(1, 0, 2)
        (tmp_path / f"{number}.bil").write_bytes(lines.astype("<u2").tobytes())
    output, figures = tmp_path / "camera.prof", tmp_path / "camera.json"
    form = ["--layout", "bil", "--bands", "20", "--width", "80", "--nodata", "0"]
    files = [str(tmp_path / "1.bil"), str(tmp_path / "2.bil")]
    assert main(["profile", *files, "-o", str(output), *form, "--json", str(figures)]) == 0
    profile, found = load_profile(output), json.loads(figures.read_text())
    assert found["written"]
    assert found["change_percent"] < -10
    assert (found["bands"], found["bytes"]) == (20, output.stat().st_size)
    assert found["sha256"] == profile.sha256.hex()
    assert all(row["profile"] < row["groups"] for row in found["rows"])
    assert f"20 bands, {profile.digest.hex()}" in capsys.readouterr().out


def test_nothing_gained_is_not_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another sensor's images: half of the bands go the other way."""
    np.save(tmp_path / "1.npy", cube(20, 90, 80, 1))
    other = cube(20, 90, 80, 2)
    other[::2] = 20_000 - other[::2]
    np.save(tmp_path / "2.npy", other)
    output = tmp_path / "camera.prof"
    files = [str(tmp_path / "1.npy"), str(tmp_path / "2.npy")]
    assert main(["profile", *files, "-o", str(output)]) == NOT_BETTER
    assert not output.exists()
    assert "stay with plain groups" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shape", "output", "code", "said"),
    [
        ((16, 64, 64), "a.prof", 3, "expected 17..1024 bands (up to 16 need no profile), found 16"),
        ((20, 8, 8), "a.prof", 3, "pixels with data to hold back"),
        ((600, 64, 64), "a.prof", 3, "expected 16 pixels with data for each of 600 bands"),
        ((20, 64, 64), "a.skyb", 2, "expected NAME.prof"),
    ],
)
def test_what_is_refused(
    shape: tuple[int, int, int],
    output: str,
    code: int,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = np.random.default_rng(1).integers(1, 4_000, shape, np.uint16)
    np.save(tmp_path / "a.npy", image)
    assert main(["profile", str(tmp_path / "a.npy"), "-o", str(tmp_path / output)]) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / output).exists()


def test_images_must_be_alike(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for bands in (20, 21):
        np.save(tmp_path / f"{bands}.npy", np.ones((bands, 64, 64), np.uint16))
    files = [str(tmp_path / "20.npy"), str(tmp_path / "21.npy")]
    assert main(["profile", *files, "-o", str(tmp_path / "a.prof")]) == 3
    assert "expected 20 bands of uint16" in capsys.readouterr().err
