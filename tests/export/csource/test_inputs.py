"""Inputs of the C encoder: every type, packing and mosaic gives the bytes of Python."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from onboard.encoder import Encoder, Options
from onboard.image.bayer import PATTERNS, join, split
from onboard.image.files import DTYPES, Image
from onboard.image.packing import PACKINGS
from onboard.link.header import SceneHeader
from tests.export.csource.test_csource import build, encoder, noise, options, scene
from tests.onboard.image.test_packing import pack

__all__ = ["build", "encoder"]
AXES = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}


@dataclass(frozen=True)
class Input:
    """A scene as a sensor gives it.

    Attributes:
        image: what Python encodes.
        header: scene header.
        given: bytes that the program reads.
        told: options that say what they are.
        options: of the encoder.
    """

    image: Image
    header: SceneHeader
    given: bytes
    told: list[str]
    options: Options

    @property
    def arguments(self) -> list[str]:
        found = [*self.told, "--ratio", repr(self.options.ratio)]
        return found + ["--trellis"] * self.options.trellis

    def expected(self, encoder: Encoder) -> bytes:
        """What Python makes in the tiles that a usual build has room for."""
        header = self.header if self.header.bayer else replace(self.header, tile=64)
        return b"".join(encoder.encode(self.image, header, self.options))


def typed(kind: str, bits: int, nodata: bool, layout: str = "bil", order: str = "<") -> Input:
    """Return a scene of a sample type, of some significant bits, part of it without data."""
    low = -(1 << (bits - 1)) if kind[0] == "i" else 0
    values = scene(bits, 70, 90).astype(np.int64) * 5 % (1 << bits) + low
    image = values.astype(DTYPES[kind])
    empty = int(image[0, 0, 0])
    if nodata:
        image[:, :9, :20] = empty
    header = replace(SceneHeader.of(image), significant_bits=bits)
    told = ["--width", "90", "--dtype", kind, "--significant-bits", str(bits), "--layout", layout]
    told += ["--byte-order", "big" if order == ">" else "little"]
    if nodata:
        header, told = replace(header, nodata=empty), [*told, "--nodata", str(empty)]
    lines = image.transpose(AXES[layout]).astype(image.dtype.newbyteorder(order))
    return Input(image, header, lines.tobytes(), told, options(ratio=5.0))


def packed(name: str, layout: str, cols: int, ratio: float = 5.0) -> Input:
    """Return a scene of packed samples with a header, and bytes around each line."""
    packing = PACKINGS[name]
    image = scene(3, 66, cols) % np.uint16(1 << packing.bits)
    header = replace(SceneHeader.of(image), significant_bits=packing.bits)
    rows = image.transpose(AXES[layout]).reshape(-1, cols * (4 if layout == "bip" else 1))
    given = b"head" + b"".join(b"<<" + pack(packing, row) + b">" for row in rows.tolist())
    told = ["--width", str(cols), "--layout", layout, "--packed", name, "--skip-bytes", "4"]
    told += ["--line-skip", "2", "--line-bytes", str(packing.row_bytes(rows.shape[1]) + 3)]
    return Input(image, header, given, told, options(ratio=ratio))


def mosaic(pattern: str, image: Image, bits: int = 16, nodata: int | None = None) -> Input:
    """Return a Bayer mosaic (1, rows, cols) as an input."""
    planes = split(image)
    header = replace(SceneHeader.of(planes, bayer=pattern, nodata=nodata), significant_bits=bits)
    told = ["--width", str(image.shape[2]), "--bayer", pattern, "--significant-bits", str(bits)]
    told += [] if nodata is None else ["--nodata", str(nodata)]
    told += ["--dtype", header.sample_type]
    given = image.astype(image.dtype.newbyteorder("<")).tobytes()
    return Input(planes, header, given, told, options(ratio=4.0))


def colours(rows: int, cols: int, gap: bool = False) -> Image:
    """Return a mosaic whose samples are those of a picture in one colour."""
    image = np.maximum(scene(6, rows, cols)[:1] >> np.uint16(2), 1)
    if gap:
        image[:, 5:90, 20:71] = 0
        image[:, 128:256, 256:384] = 0
    return image


def steep() -> Image:
    """Return a mosaic of a tile that alignment makes as large as any, beside one of noise."""
    from onboard.codec.lapped.frontends import alignment

    signs = [alignment.matrix(64, bool(back))[30] > 0 for back in (0, 1)]
    planes = [np.equal.outer(signs[r], signs[c]) for r in (0, 1) for c in (0, 1)]
    beside = noise(4, 64, 20)
    return join(np.concatenate([np.stack(planes) * np.uint16(65_535), beside], axis=2))


INPUTS = {
    "u8": typed("u8", 8, False),
    "u8, 5 bits, nodata": typed("u8", 5, True, "bip"),
    "i8": typed("i8", 8, True),
    "i8, 6 bits": typed("i8", 6, False, "bip"),
    "i16": typed("i16", 16, False, "bip", ">"),
    "i16, 12 bits, nodata": typed("i16", 12, True, order=">"),
    "u16, big": typed("u16", 14, True, order=">"),
    **{
        f"{name}, {layout}": packed(name, layout, 61 + number)
        for number, name in enumerate(PACKINGS)
        for layout in ("bil", "bip")
    },
    "one pixel, mipi": packed("mipi10", "bil", 1, 0.5),
    "one pixel, be12": packed("be12", "bil", 1, 0.5),
    "a mosaic of bytes": mosaic("rggb", (scene(6, 38, 54)[:1] >> 6).astype(np.uint8), 8),
    "a mosaic": mosaic("rggb", colours(150, 262)),
    "a mosaic, nodata": mosaic("gbrg", colours(270, 400, gap=True), 14, 0),
    "a mosaic of a cell": mosaic("bggr", colours(2, 2), 16),
    "a mosaic of noise": mosaic("grbg", noise(7, 140, 150, 12)[:1], 12),
    "a steep mosaic": mosaic("grbg", steep()),
}
for one in ("a mosaic of a cell", "one pixel, mipi", "one pixel, be12"):
    INPUTS[one] = replace(INPUTS[one], options=options(ratio=0.05))


def run(program: Path, one: Input, name: str = "-") -> subprocess.CompletedProcess[bytes]:
    command = [program, name, "-o", "-", *one.arguments]
    given = one.given if name == "-" else b""
    return subprocess.run(command, input=given, capture_output=True, check=False)


@pytest.mark.parametrize("name", INPUTS)
def test_the_bytes_are_those_of_python(
    name: str, build: Callable[[str], Path], encoder: Encoder
) -> None:
    one = INPUTS[name]
    if "mosaic" in name:
        one = replace(one, options=replace(one.options, trellis=name == "a mosaic"))
    expected = one.expected(encoder)
    for compiler in ("native", "sanitize"):
        done = run(build(compiler), one)
        assert (done.returncode, done.stdout) == (0, expected), done.stderr


@pytest.mark.parametrize("kind", ["u8", "i16", "be12", "mipi10"])
def test_bands_one_after_the_other(
    kind: str, build: Callable[[str], Path], encoder: Encoder, tmp_path: Path
) -> None:
    one = packed(kind, "bsq", 63) if kind in PACKINGS else typed(kind, 8, False, "bsq")
    path = tmp_path / "x.bsq"
    path.write_bytes(one.given)
    assert run(build("gcc"), one, str(path)).stdout == one.expected(encoder)
    path.write_bytes(one.given[:-1])
    assert run(build("gcc"), one, str(path)).returncode == 3


def test_a_file_that_ends_in_its_header(build: Callable[[str], Path], tmp_path: Path) -> None:
    short = beyond_its_end(tmp_path)
    done = subprocess.run([build("gcc"), *short], capture_output=True, check=False)
    assert done.returncode == 3
    assert b"expected whole lines after --skip-bytes" in done.stderr


def beyond_its_end(folder: Path) -> list[str]:
    """Return arguments to read bands one after the other of which there is none."""
    path = folder / "short.bsq"
    path.write_bytes(bytes(64))
    told = ["--width", "8", "--layout", "bsq", "--skip-bytes", "128"]
    return [str(path), "-o", "-", *told]


def test_a_sample_of_8_bits_counts_as_a_byte(build: Callable[[str], Path]) -> None:
    for name, size in (("u8", 1), ("i8", 1), ("i16", 2), ("be10, bil", 2)):
        one = INPUTS[name]
        one = replace(one, told=[*one.told, "--json"])
        told = json.loads(run(build("gcc"), one).stderr.splitlines()[-1])
        assert told["raw_bytes"] == size * one.image.size
        assert told["raw_bytes"] / told["bytes"] == pytest.approx(5, rel=0.06)
        assert told["peak"] == (1 << one.header.significant_bits) - 1
        lower = 20 * np.log10(65_535 / told["peak"])
        assert told["expected_psnr16_db"] - told["expected_psnr_db"] == pytest.approx(
            lower, abs=1e-3
        )
    coarse = typed("u8", 1, False)
    coarse = replace(coarse, options=options(ratio=60.0), told=[*coarse.told, "--json"])
    told = json.loads(run(build("gcc"), coarse).stderr.splitlines()[-1])
    assert told["expected_psnr_db"] == pytest.approx(
        -20 * np.log10(told["expected_rmse_dn"]), abs=1e-3
    )


def test_a_mosaic_is_told_as_one(build: Callable[[str], Path]) -> None:
    one = INPUTS["a mosaic"]
    done = run(build("gcc"), replace(one, told=[*one.told, "--json"]))
    told = json.loads(done.stderr.splitlines()[-1])
    assert (told["lines"], told["bands"], told["columns"]) == (150, 1, 262)
    assert told["raw_bytes"] == 2 * 150 * 262
    assert b"150 lines of 1 bands x 262 columns" in run(build("gcc"), one).stderr


def test_a_mosaic_goes_on_after_a_reset(build: Callable[[str], Path], tmp_path: Path) -> None:
    one = mosaic("rggb", colours(300, 140))
    out = tmp_path / "x.pkt"
    command = [build("gcc"), "-", "-o", out, *one.arguments, "--run", "5", "--line-period", "1000"]
    subprocess.run(command, input=one.given, check=True, capture_output=True)
    whole = out.read_bytes()
    subprocess.run(command, input=one.given[: 2 * 140 * 200], check=True, capture_output=True)
    out.write_bytes(whole[: 2 * len(whole) // 3])
    subprocess.run([*command, "--resume"], input=one.given, check=True, capture_output=True)
    assert out.read_bytes() == whole


BAD_VALUES = [
    ("--dtype", "u32"),
    ("--packed", "be14"),
    ("--bayer", "rgb"),
    ("--skip-bytes", "-1"),
    ("--line-skip", "1099511627777"),
    ("--line-bytes", "0"),
    ("--nodata", "-32769"),
    ("--nodata", "-"),
]


def commands() -> Iterator[tuple[int, list[str], bytes]]:
    """Yield exit codes, options and input: forms that do not fit, or just do."""
    line = bytes(64)
    for name, value in BAD_VALUES:
        yield 2, [name, value], line
    yield 2, ["--packed", "be12", "--dtype", "i16"], line
    yield 2, ["--packed", "le10", "--significant-bits", "17"], line
    yield 2, ["--dtype", "u8", "--significant-bits", "9"], line
    yield 2, ["--dtype", "u8", "--nodata", "256"], line
    yield 0, ["--dtype", "u8", "--nodata", "255"], line
    yield 2, ["--dtype", "i8", "--nodata", "128"], line
    yield 2, ["--dtype", "i8", "--nodata", "-129"], line
    yield 0, ["--dtype", "i8", "--nodata", "127"], line
    yield 0, ["--dtype", "i8", "--nodata", "-128"], line
    yield 0, ["--dtype", "i16", "--nodata", "-32768"], line
    yield 2, ["--bayer", "rggb", "--lines", "3"], line
    yield 2, ["--bayer", "rggb", "--width", "9"], line
    yield 3, ["--bayer", "rggb"], bytes(16)
    yield 0, ["--bayer", "rggb", "--layout", "bip"], bytes(32)
    yield 0, ["--bayer", "rggb", "--layout", "bsq"], bytes(32)
    yield 3, ["--dtype", "i8", "--significant-bits", "7"], bytes([64]) * 32
    yield 0, ["--dtype", "i8", "--significant-bits", "7"], bytes([63, 0xC0]) * 16
    yield 3, ["--dtype", "i16", "--significant-bits", "12"], b"\0\x80" * 32
    yield 3, ["--line-bytes", "15"], line
    yield 0, ["--line-bytes", "16"], line
    yield 3, ["--line-bytes", "17"], line
    yield 3, ["--skip-bytes", "65"], line
    yield 3, ["--skip-bytes", "64"], line
    yield 3, ["--skip-bytes", "1"], line
    yield 3, ["--line-skip", "65"], line
    yield 3, ["--packed", "be12", "--width", "3"], b"\0\0\0\0\1" * 4
    yield 0, ["--packed", "be12", "--width", "3"], b"\0\0\0\0\x10" * 4
    yield 3, ["--packed", "mipi10", "--width", "3"], b"\0\0\0\1\0" * 4


def test_forms_that_do_not_fit_have_their_exit_codes(build: Callable[[str], Path]) -> None:
    for code, arguments, given in commands():
        command = [build("sanitize"), "-", "-o", "-", "--width", "8", *arguments]
        done = subprocess.run(command, input=given, capture_output=True, check=False)
        assert done.returncode == code, (arguments, done.stderr)
        assert done.stderr or not code, arguments


def test_every_pattern_is_named_in_the_header(build: Callable[[str], Path]) -> None:
    for number, pattern in enumerate(PATTERNS):
        done = run(build("gcc"), mosaic(pattern, colours(4, 4)))
        assert bytes([0x97, 0, 1, number]) in done.stdout[:64]


@pytest.mark.parametrize("layout", ["bil", "bip"])
def test_swapped_bytes_are_told_of_samples_of_two_bytes_alone(
    layout: str, build: Callable[[str], Path]
) -> None:
    about_0 = np.arange(90)[None, None] // 9 - 5 + np.zeros((4, 70, 1), int)
    low = about_0.astype(np.int16)
    header = SceneHeader.of(low)
    told = ["--width", "90", "--layout", layout, "--dtype", "i16"]
    lines = low.transpose(AXES[layout])
    for order, swapped in (("<", False), (">", True)):
        given = lines.astype(f"{order}i2").tobytes()
        done = run(build("gcc"), Input(low, header, given, told, options(ratio=5.0)))
        assert (b"looks byte-swapped" in done.stderr) == swapped
    for name in ("u8", "be12, bil", "mipi10, bip", "a mosaic"):
        assert b"byte-swapped" not in run(build("gcc"), INPUTS[name]).stderr
