"""Raw input: geometry is asked for or read beside the file, and swapped bytes are told."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from ground.decode.decoder import Decoder
from ground.products.decoded import write_product
from ground.products.geotiff import read as read_tif
from ground.scenes.procedural import procedural
from onboard.__main__ import main
from onboard.bundle import find
from onboard.commands.envi import EnviHeader
from onboard.commands.rawinput import swap_remark
from onboard.errors import InputError
from onboard.image.files import DTYPES, Image, read_npy
from onboard.image.lines import LineSource
from onboard.image.packing import PACKINGS
from onboard.image.rawrows import RawRows
from tests.onboard.image.test_packing import pack

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
        ({"file_compression": 1}, "file compression: expected 0, found 1"),
        ({"major_frame_offsets": "{0, 12}"}, "major frame offsets: expected 0, found {0, 12}"),
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


def padded(rows: NDArray[np.uint8], before: int, after: int) -> bytes:
    """Put bytes that mean nothing around each row."""
    return np.pad(rows, ((0, 0), (before, after)), constant_values=0xA5).tobytes()


def raw_of(folder: Path, layout: str, kind: str, cols: int) -> tuple[RawRows, Image, Path]:
    """Write a file with a header and padded lines; return its form, what is in it, and the file."""
    bits = int(kind[-2:] if kind[-2:].isdigit() else kind[-1:])
    signed = kind[0] == "i"
    samples = SCENE[:, :, :cols].astype(np.int64) % (1 << bits) - (signed << (bits - 1))
    dtype = DTYPES.get(kind, np.dtype(np.uint16))
    rows = samples.transpose(AXES[layout]).reshape(-1, cols * (4 if layout == "bip" else 1))
    packing = PACKINGS.get(kind)
    raw = (
        np.stack([np.frombuffer(pack(packing, row), np.uint8) for row in rows.tolist()])
        if packing
        else rows.astype(dtype.newbyteorder(">")).view(np.uint8)
    )
    (folder / "x.raw").write_bytes(b"head" + padded(raw, 3, 5))
    padding = {"skip_bytes": 4, "line_skip": 3, "line_bytes": raw.shape[1] + 8}
    name = kind if packing else None
    form = RawRows(layout, "u16" if packing else kind, "big", 4, cols, name, **padding)
    return form, samples.astype(dtype), folder / "x.raw"


@pytest.mark.parametrize("layout", AXES)
@pytest.mark.parametrize("kind", ["u8", "i8", "u16", "i16", *PACKINGS])
def test_headers_padding_and_packing(layout: str, kind: str, tmp_path: Path) -> None:
    form, samples, path = raw_of(tmp_path, layout, kind, COLS - 1)
    assert np.array_equal(form.map(path), samples)
    source = LineSource(form, ROWS if layout == "bsq" else 0)
    with path.open("rb") as file:
        strips = list(source.strips(file, 32))
    assert [strip.shape[1] for strip in strips] == [32, 32, 6]
    assert np.array_equal(np.concatenate(strips, axis=1), samples)


@pytest.mark.parametrize(("layout", "kind"), [("bil", "mipi10"), ("bip", "i8")])
def test_a_camera_s_file_by_options(layout: str, kind: str, tmp_path: Path) -> None:
    form, samples, path = raw_of(tmp_path, layout, kind, COLS - 1)
    np.save(tmp_path / "same.npy", samples)
    told = ["--packed", kind] if form.packed else ["--dtype", kind, "--byte-order", "big"]
    options = ["--layout", layout, "--width", COLS - 1, "--skip-bytes", 4, "--line-skip", 3]
    options += ["--line-bytes", form.line_bytes, *told, "--run", 5]
    assert encode(path, "--bands", 4, *options, "-o", tmp_path / "x.sky") == 0
    same = [tmp_path / "same.npy", "--significant-bits", form.bits, "--run", 5]
    assert encode(*same) == 0
    assert (tmp_path / "x.sky").read_bytes() == (tmp_path / "same.sky").read_bytes()
    streamed = ["stream", "--input", path, *options, "--bundle", "skybook"]
    assert main([*map(str, streamed), "-o", str(tmp_path / "s.pkt")]) == 0
    assert encode(*same, "--rate-window", "strip", "-o", tmp_path / "n.pkt") == 0
    assert (tmp_path / "s.pkt").read_bytes() == (tmp_path / "n.pkt").read_bytes()


def test_a_picture_below_0_comes_back_as_one(tmp_path: Path) -> None:
    image = (SCENE[:, :64, :64] >> 5).astype(np.int16) - 100
    np.save(tmp_path / "x.npy", image.astype(np.int8))
    assert encode(tmp_path / "x.npy", "--rmse", 1, "--nodata", -128) == 0
    decoded = Decoder(find("skybook")).decode((tmp_path / "x.sky").read_bytes())
    assert decoded.scene.image.dtype == np.int8
    assert np.abs(decoded.scene.image.astype(np.int16) - image.astype(np.int8)).max() < 20
    write_product(tmp_path / "x.tif", decoded.scene, decoded.mask)
    assert np.array_equal(read_tif(tmp_path / "x.tif").image, decoded.scene.image)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--packed", "be12", "--dtype", "i16"], 2, "expected a packing of u16"),
        (["--packed", "be12", "--byte-order", "big"], 2, "it tells all of a sample"),
        (["--line-bytes", "131"], 2, "expected lines of 132 bytes or more (66 samples), found 131"),
        (["--line-skip", "-1"], 2, "expected to skip 0.."),
        (["--skip-bytes", "999999"], 3, "after the first 999999, found 0"),
        (
            ["--line-bytes", "136"],
            3,
            "expected a multiple of 544 bytes (4 bands x 66 columns, "
            "lines of 136 bytes), found 36960",
        ),
        (["--packed", "mipi10"], 3, "(4 bands x 66 columns, packed mipi10), found 36960"),
    ],
)
def test_raw_forms_that_do_not_fit(
    options: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path, SCENE, None)
    assert encode(path, "--layout", "bil", "--bands", 4, "--width", COLS, *options) == code
    assert words in capsys.readouterr().err


def test_a_packing_that_is_another_is_refused_where_bits_are_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = np.full((4 * ROWS, 99), 0x5A, np.uint8)
    (tmp_path / "x.raw").write_bytes(raw.tobytes())
    form = ["--layout", "bil", "--width", 65, "--packed", "le12"]
    assert encode(tmp_path / "x.raw", *form, "--bands", 4, "--line-bytes", 99) == 3
    said = f"{tmp_path / 'x.raw'}: packed samples: expected 0 in all bits of a row after sample 65"
    assert said in capsys.readouterr().err
    streamed = ["stream", "--input", tmp_path / "x.raw", *form, "--line-bytes", 99]
    streamed += ["--bundle", "skybook", "-o", tmp_path / "o.pkt"]
    assert main([*map(str, streamed)]) == 3
    assert "lines from 0 on: packed samples" in capsys.readouterr().err


def test_a_stream_that_ends_in_its_header(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = put(tmp_path, SCENE, None)
    form = ["--layout", "bil", "--width", COLS, "--bundle", "skybook", "-o", tmp_path / "o.pkt"]
    assert main([str(w) for w in ["stream", "--input", path, *form, "--skip-bytes", 99999]]) == 3
    assert "expected 99999 bytes before the first, found 36960" in capsys.readouterr().err


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
