"""Bounded tiles of the C encoder: the bytes of the Python runtime, however they are coded."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.csource import write as csource
from export.csource.randomscene import bil
from ground.decode.decoder import Decoder
from onboard import bundle as bundles
from onboard.codec.bound import Bound
from onboard.codec.bounded.codec import BoundedCodec
from onboard.encoder import Encoder, Options
from onboard.encoder.boundedplace import BoundedBox
from onboard.errors import BundleError
from onboard.image.bayer import join, split
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions
from tests.export.csource.test_csource import STRICT, build, holes, noise, scene

__all__ = ["build"]
Image = NDArray[Any]
LOSSLESS = Bound((0,))


@dataclass(frozen=True)
class Case:
    """A scene within a bound, or with boxes that are.

    Attributes:
        image: (bands, rows, cols); of a mosaic its planes.
        bound: of all samples; None where there are boxes.
        boxes: pixels and bound.
        nodata: value.
        bayer: pattern of a mosaic.
        options: other ones.
        more: arguments of the program that say the same.
    """

    image: Image
    bound: Bound | None = LOSSLESS
    boxes: tuple[BoundedBox, ...] = ()
    nodata: int | None = None
    bayer: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    more: tuple[str, ...] = ()

    @property
    def given(self) -> bytes:
        """Lines as the program reads them."""
        return bil(join(self.image) if self.bayer else self.image)

    @property
    def arguments(self) -> list[str]:
        """Options of the program."""
        cell = 2 if self.bayer else 1
        header = SceneHeader.of(self.image)
        found = ["--width", str(cell * header.width), "--dtype", header.sample_type]
        found += ["--bayer", self.bayer] if self.bayer else ["--bands", str(header.bands)]
        found += ["--max-error", str(self.bound)] if self.bound else []
        for box in self.boxes:
            found += ["--region-max-error", ",".join(map(str, box.box)), str(box.bound)]
        found += [] if self.nodata is None else ["--nodata", str(self.nodata)]
        return [*found, *self.more]

    def expected(self, encoder: Encoder) -> bytes:
        """Return the stream of the Python runtime."""
        tile = 64 if 1 < len(self.image) <= 3 else None  # as the usual build has them
        header = SceneHeader.of(self.image, nodata=self.nodata, bayer=self.bayer, tile=tile)
        rate = {"max_error": self.bound, "regions": self.boxes}
        options = Options(window="strip", **rate, **self.options)
        strips = encoder.strips(self.image, header, options)
        if options.packets is None:
            return b"".join(segment for strip in strips for segment in strip.segments)
        packets: list[bytes] = []
        for strip in strips:
            packets += options.packets.pack(strip.segments, strip.line, len(packets))
        return b"".join(packets)


def stretched(seed: int, rows: int, cols: int) -> Image:
    """Return a scene of 9 bits times 3.1: of three samples one occurs."""
    return ((scene(seed, rows, cols) >> 4).astype(np.int64) * 31 // 10).astype(np.uint16)


def in_stretches() -> Image:
    """Return a scene of whole tiles: below some sample all are multiples of 4."""
    image = scene(7, 128, 128)
    return np.where(image < np.median(image) // 64 * 64, image // 4 * 4, image).astype(np.uint16)


def in_tenths(step: int) -> Image:
    """Return a scene whose samples are a multiple of some step, and one more."""
    return (scene(7, 70, 90) // step * step + 1).astype(np.uint16)


def inside(first: int = 500) -> Image:
    """Return a scene that has every sample around a value but that itself, or gaps where it is."""
    image = (scene(8, 70, 90) % 100 + first).astype(np.uint16)
    image[image == first + 50] = first + 51
    return image


def heavy(seed: int, shape: tuple[int, int, int], kind: str = "<u2") -> Image:
    """Return samples of which few are far from the others."""
    drawn = np.random.default_rng(seed).standard_cauchy(shape) * 30 + 600
    limits = np.iinfo(kind)
    return drawn.clip(limits.min, limits.max).astype(kind)


def with_hole(image: Image, value: int) -> Image:
    """Return an image with some pixels of a value in all bands, and some in one."""
    found = image.copy()
    found[:, 20:40, 5:50] = value
    found[:, ::9, ::7] = value
    found[0, 3, 3] = value
    return found


def box(sides: tuple[int, int, int, int], bound: str) -> BoundedBox:
    return BoundedBox(sides, Bound.parse(bound))


ONE_LAYER = {"options": {"one_layer": True}, "more": ("--one-layer",)}
PACKETS = {
    "options": {"packets": PacketOptions(200, control=True)},
    "more": ("--packets", "--packet-bytes", "200", "--packet-control"),
}
SHORT = {"options": {"segment_bytes": 114}, "more": ("--segment-bytes", "114")}
LONG = {"options": {"segment_bytes": 65_551}, "more": ("--segment-bytes", "65551")}
RATIO = {"options": {"ratio": 9.0}, "more": ("--ratio", "9.0")}
TRELLIS = {
    "options": {"ratio": 6.0, "trellis": True, "one_layer": True},
    "more": ("--ratio", "6.0", "--trellis", "--one-layer"),
}
BYTES = {"options": {"budget": 120_000}, "more": ("--bytes", "120000", "--lines", "140")}
TWO = (box((70, 20, 90, 70), "0"), box((60, 70, 70, 140), "2,0,1,3"))
CASES = {
    "lossless": Case(scene(1, 70, 130)),
    "off by 2": Case(scene(1, 70, 130), Bound((2,)), **PACKETS),
    "off by 8, in layers": Case(scene(1, 70, 130), Bound((8,)), **ONE_LAYER),
    "each band": Case(scene(2, 70, 90), Bound((0, 1, 7, 40))),
    "anything": Case(scene(2, 40, 50), Bound((32_767,))),
    "a root": Case(scene(3, 70, 90), Bound((0,), 400)),
    "a little root": Case(scene(3, 70, 90), Bound((0,), 16)),
    "a large root": Case(noise(3, 40, 50), Bound((0,), 65_535)),
    "a root and nodata": Case(with_hole(scene(4, 70, 90), 700), Bound((0,), 500), nodata=700),
    "a root below 0": Case(
        (scene(4, 70, 90).astype(np.int64) - 900).astype("<i2"), Bound((0,), 300), nodata=-3
    ),
    "one cell": Case(noise(4, 20, 20, 3) + np.uint16(4000), Bound((0,), 2560)),
    "one pixel": Case(scene(5, 1, 1)),
    "one column": Case(scene(5, 70, 1), Bound((1,))),
    "one line": Case(scene(5, 1, 90), Bound((1,))),
    "a flat band": Case(scene(5, 70, 90) * np.array([1, 0, 1, 1], np.uint16)[:, None, None]),
    "flat": Case(np.full((4, 70, 70), 777, np.uint16)),
    "all that a sample may be": Case(noise(6, 66, 70)),
    "all that a sample may be, off by 3": Case(noise(6, 66, 70), Bound((3,))),
    "black and white": Case(noise(6, 66, 70, 1) * np.uint16(65_535)),
    "black and white, off by 1": Case(noise(6, 66, 70, 1) * np.uint16(65_535), Bound((1,))),
    "every tenth": Case(in_tenths(10)),
    "every tenth, off by 25": Case(in_tenths(10), Bound((25,))),
    "gaps": Case(stretched(7, 70, 90)),
    "gaps and nodata": Case(with_hole(stretched(7, 70, 90), 0), nodata=0),
    "gaps and a sample that is far": Case(
        np.where(np.arange(70 * 90).reshape(70, 90) == 9, 65_000, stretched(7, 70, 90)).astype(
            "<u2"
        )
    ),
    "stretches": Case(in_stretches()),
    "gaps, no room": Case(stretched(7, 70, 90), **SHORT),
    "nodata": Case(holes()[:, :140, :200], nodata=0),
    "nodata in layers": Case(holes()[:, :140, :200], Bound((4,)), nodata=0, **ONE_LAYER),
    "all nodata": Case(np.zeros((4, 70, 70), np.uint16), nodata=0),
    "nodata between samples": Case(inside(), Bound((3,)), nodata=550),
    "nodata between samples, off by 1": Case(inside(), Bound((1,)), nodata=550),
    "nodata above": Case(inside(), Bound((3,)), nodata=65_535),
    "nodata in other bands": Case(with_hole(inside(), 550), Bound((3,)), nodata=550),
    "heavy tails": Case(heavy(1, (4, 70, 70))),
    "heavy tails, little room": Case(heavy(1, (4, 70, 70)), Bound((1,)), **SHORT),
    "long segments": Case(scene(9, 70, 130), Bound((1,)), **LONG),
    "one band": Case(scene(10, 140, 150)[:1], Bound((1,))),
    "one band of 8 bits": Case((scene(10, 140, 150)[:1] >> 5).astype(np.uint8)),
    "two bands, below 0": Case((scene(11, 70, 70)[:2].astype(int) - 2000).astype("<i2")),
    "three bands of i8": Case((scene(11, 70, 70)[:3] >> 5).astype(np.int8) - np.int8(90)),
    "a mosaic": Case(split(scene(12, 140, 150)[:1]), Bound((1,)), bayer="gbrg"),
    "a row that takes more than there is room for": Case(
        noise(13, 70, 1500), Bound((1,)), **PACKETS
    ),
    "a box": Case(scene(14, 140, 150), None, TWO[:1], **RATIO),
    "two boxes, along a trellis": Case(scene(14, 140, 150), None, TWO, **TRELLIS),
    "two boxes within bytes": Case(scene(14, 140, 150), None, TWO, **BYTES),
    "a box and nodata": Case(holes()[:, :140, :150], None, TWO, nodata=0, **RATIO),
    "a box of all": Case(scene(14, 40, 50), None, (box((0, 0, 9, 9), "sqrt:1"),), **PACKETS),
    "a box that is not there": Case(scene(14, 40, 50), None, (box((90, 90, 99, 99), "0"),)),
    "a box that takes more than the rate": Case(
        noise(14, 70, 150), None, (box((0, 0, 130, 9), "0"),), **RATIO
    ),
}


MANY = ("-DSKYBOOK_MAX_BANDS=16", "-DSKYBOOK_STRIP_BYTES=110000")
"""Of a build for more bands, with room for a tile of most scenes."""


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(bundles.load("skybook"))


def run(program: Path, case: Case) -> subprocess.CompletedProcess[bytes]:
    command = [program, "-", "-o", "-", *case.arguments]
    return subprocess.run(command, input=case.given, capture_output=True, check=False)


@pytest.mark.parametrize("name", CASES)
def test_the_bytes_are_those_of_python(
    name: str, build: Callable[[str], Path], encoder: Encoder
) -> None:
    case = CASES[name]
    expected = case.expected(encoder)
    for compiler in ("gcc", "native", "sanitize"):
        done = run(build(compiler), case)
        assert done.returncode == 0, done.stderr
        assert done.stdout == expected, compiler


@pytest.mark.parametrize("name", ["each band", "a root", "gaps and nodata", "a box and nodata"])
def test_no_sample_is_off_by_more(name: str, build: Callable[[str], Path]) -> None:
    case = CASES[name]
    stream = run(build("sanitize"), case).stdout
    decoded = Decoder(bundles.find("skybook")).decode(stream)
    off = np.abs(decoded.scene.image.astype(int) - case.image)
    if case.bound is not None:
        assert (off <= case.bound.at(case.image)).all()
    else:
        assert (off[:, :128, 64:128] == 0).all()  # touched by the first box, which is lossless


def test_sixteen_bands_and_no_bound_at_all(
    c_sources: Path, tmp_path: Path, encoder: Encoder
) -> None:
    """A build for more bands, and one of a bundle without the part; its options say so."""
    image = np.concatenate([scene(seed, 66, 70) for seed in range(4)])
    case = Case(image, Bound(tuple(range(16))), **PACKETS)
    crowd = Case(np.concatenate([noise(seed, 64, 64) for seed in range(4)]))
    bare = replace(bundles.load("skybook"), bounded=None)
    csource.write(bare, tmp_path / "bare")
    for folder, name, macros in (
        (c_sources, "many", MANY),
        (tmp_path / "bare", "none", ()),
    ):
        command = ["gcc", *STRICT, "-O0", *macros, "-o", tmp_path / name, *folder.glob("*.c")]
        subprocess.run(command, check=True)
    assert run(tmp_path / "many", crowd).returncode == 6  # a tile takes more than a row of them may
    done = run(tmp_path / "many", case)
    assert done.stdout == case.expected(encoder)
    assert run(tmp_path / "none", CASES["lossless"]).returncode == 2
    assert run(tmp_path / "none", CASES["a box"]).returncode == 2
    assert not subprocess.run(
        [tmp_path / "none", "selftest"], capture_output=True, check=False
    ).returncode


def test_a_reset_leaves_the_same_bytes(build: Callable[[str], Path], tmp_path: Path) -> None:
    case = Case(scene(15, 140, 150), Bound((1,)), **PACKETS)
    whole, cut = tmp_path / "whole.pkt", tmp_path / "cut.pkt"
    given = tmp_path / "given.bil"
    given.write_bytes(case.given)
    command = [build("sanitize"), given, *case.arguments]
    subprocess.run([*command, "-o", whole], check=True, capture_output=True)
    stream = whole.read_bytes()
    for length in (len(stream) // 3, len(stream) - 50):
        cut.write_bytes(stream[:length])
        subprocess.run([*command, "-o", cut, "--resume"], check=True, capture_output=True)
        assert cut.read_bytes() == stream


BAD = [
    *(["--max-error", value] for value in ("", "x", "-1", "1,", "1,,2", "1 2", "123456", "32768")),
    *(["--max-error", value] for value in ("1,2", "1,2,3,4,5", "0,0,0,32768")),
    *(["--max-error", f"sqrt:{k}"] for k in ("", "0", "0.001", "1.", "256", "1000", "1.1234567")),
    ["--max-error", "sqrt:1x"],
    ["--max-error", "1", "--ratio", "4"],
    ["--max-error", "1", "--step-code", "9"],
    ["--max-error", "1", "--bytes", "4000", "--lines", "1"],
    ["--max-error", "1", "--trellis"],
    ["--max-error", "1", "--region-max-error", "0,0,1,1", "0"],
    *(["--region-max-error", value, "0"] for value in ("0,0,1", "0,0,1,1,1", "1,0,1,1", "0,1,1,1")),
    ["--region-max-error", "0,0,1,1", "1,2"],
    ["--region-max-error", "0,0,1,1", "x"],
    ["--region-max-error", "0,0,1,1"],
    ["--region-max-error", "0,0,1,1", "0"] * 9,
]


def test_bounds_that_make_no_sense_are_usage(build: Callable[[str], Path]) -> None:
    command = [build("sanitize"), "-", "-o", "-", "--width", "8"]
    for arguments in BAD:
        done = subprocess.run(
            [*command, *arguments], input=bytes(64), capture_output=True, check=False
        )
        assert done.returncode == 2, arguments
        assert done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--max-error", "1,2"], "one for each of --bands"),
        (["--region-max-error", "0,0,1,1", "1,2"], "one for each of --bands"),
        (["--max-error", "1", "--trellis"], "neither --trellis nor --region-max-error"),
        (["--max-error", "1", "--region-max-error", "0,0,1,1", "0"], "neither --trellis nor"),
    ],
)
def test_what_is_wrong_with_a_bound_is_told(
    arguments: list[str], told: str, build: Callable[[str], Path]
) -> None:
    command = [build("sanitize"), "-", "-o", "-", "--width", "8", "--bands", "4", *arguments]
    done = subprocess.run(command, input=bytes(64), capture_output=True, check=False)
    assert done.returncode == 2
    assert told in done.stderr.decode()


def test_a_row_in_layers_must_fit(build: Callable[[str], Path]) -> None:
    wide = replace(CASES["a row that takes more than there is room for"], **ONE_LAYER)
    done = run(build("sanitize"), wide)
    assert (done.returncode, done.stdout) == (6, b"")


def test_samples_beyond_their_bits_are_bad_input(build: Callable[[str], Path]) -> None:
    case = Case(scene(1, 20, 20), more=("--significant-bits", "7"))
    assert run(build("sanitize"), case).returncode == 3


def spoiled() -> Iterator[BoundedCodec]:
    """Yield codecs of the shipped bundle that are not as they should be."""
    codec = BoundedCodec.of(bundles.load("skybook").bounded)
    yield replace(codec, golden=(codec.golden[0], codec.golden[1] ^ 1))
    bias: Any = codec.model.bias.astype(np.int64) + 1
    yield replace(codec, model=replace(codec.model, bias=bias.astype(np.uint16)))


def test_a_part_that_gives_other_bytes_is_refused(tmp_path: Path) -> None:
    for codec in spoiled():
        bundle = replace(bundles.load("skybook"), bounded=codec)
        with pytest.raises(BundleError, match="golden tile at bound"):
            csource.write(bundle, tmp_path)
        assert not list(tmp_path.iterdir())


def test_the_program_says_what_it_does(build: Callable[[str], Path]) -> None:
    told = subprocess.run([build("gcc"), "--help"], capture_output=True, text=True, check=True)
    assert "--max-error" in told.stdout
    assert "--region-max-error" in told.stdout
