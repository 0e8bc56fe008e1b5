"""Raw input: geometry is asked for or read beside the file, and swapped bytes are told."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ground.scenes.procedural import procedural
from onboard.__main__ import main
from onboard.commands.envi import EnviHeader
from onboard.commands.rawinput import swap_remark
from onboard.errors import InputError
from onboard.image.files import Image, read_npy

ROWS, COLS = 70, 66
SCENE = procedural(8, ROWS, COLS, nodata=False).image.astype(np.uint16)
AXES = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}
ENVI = f"""ENVI
description = {{
  Of a test, in
  two lines}}
Samples = {COLS}
lines   = {ROWS}
bands = 4
; a comment = 7
file type = ENVI Standard
"""


def encode(path: Path, *options: object) -> int:
    form = [path, "--bundle", "skybook", "-o", path.with_suffix(".sky"), *options]
    return main(["encode", *map(str, form)])


def envi(**more: object) -> str:
    lines = {"data type": 12, "interleave": "bil"} | {
        k.replace("_", " "): v for k, v in more.items()
    }
    return ENVI + "".join(f"{key} = {value}\n" for key, value in lines.items())


def put(folder: Path, samples: Image, text: str | None, name: str = "x.raw", head: int = 0) -> Path:
    (folder / name).write_bytes(b"?" * head + samples.tobytes())
    if text is not None:
        (folder / name).with_suffix(".hdr").write_text(text)
    return folder / name


@pytest.mark.parametrize("lacking", ["--bands", "--width", "--layout"])
def test_what_a_raw_file_does_not_tell_is_asked_for(
    lacking: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path, SCENE, None)
    form = {"--bands": 4, "--width": COLS, "--layout": "bsq"}
    options = [word for key, value in form.items() if key != lacking for word in (key, value)]
    assert encode(path, *options) == 2
    assert f"expected {lacking}" in capsys.readouterr().err
    assert encode(path, *options, lacking, form[lacking]) == 0
    assert f"4 bands x {ROWS} rows x {COLS} columns of u16" in capsys.readouterr().out


@pytest.mark.parametrize("layout", AXES)
@pytest.mark.parametrize("form", ["<u2", ">u2", "u1"])
def test_an_envi_header_is_read(layout: str, form: str, tmp_path: Path) -> None:
    image = SCENE if form != "u1" else (SCENE >> 8).astype(np.uint8)
    np.save(tmp_path / "same.npy", image)
    assert encode(tmp_path / "same.npy", "--nodata", 7, "--band-ids", "a,b b,c,d") == 0
    text = envi(
        data_type=1 if form == "u1" else 12,
        interleave=layout.upper(),
        byte_order=int(form == ">u2"),
        header_offset=33,
        data_ignore_value="7.0",
        band_names="{a,\n b\n b, c, d}",
    )
    path = put(tmp_path, image.transpose(AXES[layout]).astype(form), text, head=33)
    assert encode(path) == 0
    assert path.with_suffix(".sky").read_bytes() == (tmp_path / "same.sky").read_bytes()
    written = [str(path), "--bundle", "skybook", "-o", str(tmp_path / "s.pkt")]
    assert main(["stream", "--input", *written]) == 0 or layout == "bsq"


def test_what_a_header_says_and_nobody_uses_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = {"map_info": "{UTM, 1, 1}", "wavelength": "{490, 560, 665, 842}", "sensor_type": ""}
    samples = SCENE.transpose(1, 0, 2)
    path = put(tmp_path, samples, envi(**more, byte_order=0))
    path = path.rename(tmp_path / "x.bil")
    path.with_suffix(".hdr").rename(tmp_path / "x.bil.hdr")
    assert encode(path) == 0
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert said[0].endswith("x.bil.hdr also says map info, wavelength: not used")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (
            {"data_type": 4},
            "data type: expected one of 1 (u8), 2 (i16), 12 (u16), found 4 (float32)",
        ),
        ({"interleave": "tiled"}, "interleave: expected one of bsq, bil, bip, found tiled"),
        ({"byte_order": 2}, "byte order: expected one of 0 (little), 1 (big), found 2"),
        ({"header_offset": -4}, "header offset: expected a number from 0 on, found -4"),
        ({"data_ignore_value": "nan"}, "data ignore value: expected a whole number, found nan"),
        ({"bands": 5}, "x.raw: expected a multiple of 660 bytes (5 bands x 66 columns)"),
        ({"lines": 35, "bands": 4}, "x.raw: expected 35 rows"),
        ({"lines": "many"}, "lines: expected a number from 1 on, found many"),
    ],
)
def test_a_header_that_cannot_be_used(
    more: dict[str, object], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert encode(put(tmp_path, SCENE[:, :, 1:] if "bands" in more else SCENE, envi(**more))) == 3
    said = capsys.readouterr().err
    assert words in said or ("bands" in more and "expected" in said), said


def test_options_and_header_do_not_contradict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path, SCENE.transpose(1, 0, 2), envi())
    assert encode(path, "--bands", 4, "--layout", "bil") == 0
    capsys.readouterr()
    assert encode(path, "--bands", 3) == 2
    assert "--bands 3: " in capsys.readouterr().err
    assert encode(path, "-o", tmp_path / "x.hdr") == 2
    assert path.with_suffix(".hdr").read_text() == envi()


def test_a_header_of_another_kind_is_left_aside(tmp_path: Path) -> None:
    path = put(tmp_path, SCENE, "NROWS 70\nNCOLS 66\n")
    assert encode(path, "--layout", "bsq", "--width", COLS, "--bands", 4) == 0


@given(st.text(max_size=200))
def test_any_text_is_a_header_or_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match=r"^x\.hdr: "):  # samples come last, if at all
        EnviHeader.parse(Path("x.hdr"), "ENVI\nlines = 0\n" + text.replace("lines", ""))


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_swapped_bytes_are_recognised(bits: int) -> None:
    image = (SCENE.astype(np.int64) >> 3) & ((1 << bits) - 1)
    right = image.astype(np.uint16)
    assert swap_remark(right) == []
    assert "looks byte-swapped" in swap_remark(right.byteswap())[0]
    assert "looks byte-swapped" in swap_remark(right.astype(np.int16).byteswap())[0]


def test_other_rough_pictures_are_not_swapped(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 65_536, (4, 64, 64)).astype(np.uint16)
    board = (np.indices((64, 64)).sum(0) % 2 * 256).astype(np.uint16)[None]
    for image in (
        noise,
        noise >> 4,
        noise >> 8 << 8,
        board,
        board * 0,
        SCENE << 4,
        SCENE[:, :, :1],
    ):
        assert swap_remark(image) == []
    assert swap_remark((noise >> 8).astype(np.uint8)) == []
    np.save(tmp_path / "big.npy", SCENE.astype(">u2"))
    assert swap_remark(read_npy(tmp_path / "big.npy")) == []


def test_swapped_bytes_of_a_stream_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path, SCENE.transpose(1, 0, 2).byteswap(), None)
    form = ["--layout", "bil", "--width", COLS, "--bundle", "skybook", "-o", tmp_path / "o.pkt"]
    made = ["stream", "--input", path, *form, "--json", tmp_path / "r.json"]
    assert main([str(word) for word in made]) == 0
    assert "looks byte-swapped" in capsys.readouterr().err
    assert json.loads((tmp_path / "r.json").read_text())["bands"] == 4
    assert main([str(word) for word in made] + ["--byte-order", "big"]) == 0
    assert capsys.readouterr().err == ""
