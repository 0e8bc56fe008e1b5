"""Edges of the C encoder that few scenes reach: little room, wide tiles, odd files and options."""

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.csource import write as csource
from export.csource.arrays import Table
from export.csource.boundedtables import bounded_constants
from export.csource.randomscene import bil
from export.csource.tables import constants
from ground.decode.decoder import Decoder
from onboard import bundle as bundles
from onboard.encoder import Encoder
from onboard.link.header import SceneHeader
from onboard.link.packet import PacketOptions
from tests.export.csource.test_csource import (
    STRICT,
    Case,
    Image,
    build,
    noise,
    options,
    run,
    scene,
)
from tests.export.csource.test_guard import CHECKED, HEAD, parts, told

__all__ = ["build", "parts"]
SMALL = ("-DSKYBOOK_STRIP_BYTES=65600", "-DSKYBOOK_STRIP_SEGMENTS=300")
"""Room for a row of tiles only where gaps are closed that earlier attempts left."""
GIVEN = b"\xff" * 64
"""A line of 8 columns."""

Command = tuple[int, list[str], bytes]
"""Exit code, arguments, input."""


def lines(image: Image) -> bytes:
    return image.transpose(1, 0, 2).astype("<u2").tobytes()


def commands(folder: Path) -> Iterator[Command]:
    """Yield command lines, good and bad ones, with files in a folder."""
    raw, out = folder / "given.bil", folder / "given.pkt"
    raw.write_bytes(GIVEN * 70)
    usual = ["-", "-o", "-", "--width", "8"]
    yield 0, ["--help"], b""
    for arguments in ([], ["-o", "-"], ["-", "--width", "8"], ["-", "-o", "-"], ["-", "x"]):
        yield 2, arguments, b""
    yield 2, ["-", *usual], b""
    yield 2, ["bench", "--slow"], b""
    yield 2, ["selftest", "more"], b""
    yield 2, [str(raw), "-o", str(raw), "--width", "8"], b""
    same, other = folder / "same", folder / "other"
    same.hardlink_to(raw)
    other.write_bytes(b"what was there")
    yield 2, [str(raw), "-o", str(same), "--width", "8"], b""
    yield 0, [str(raw), "-o", str(other), "--width", "8"], b""
    yield 0, [str(raw), "-o", "/dev/null", "--width", "8"], b""
    for name, value in BAD_VALUES:
        yield 2, [*usual, name, value], GIVEN
    for name, value in GOOD_VALUES:
        yield 0, [*usual, name, value], GIVEN
    yield 2, [*usual, "--ratio"], GIVEN
    yield 0, ["-", "-o", str(folder / "told.sky"), "--width", "8", "--json"], GIVEN
    yield 2, [*usual, "--ratio", "4", "--step-code", "9"], GIVEN
    yield 0, [*usual, "--ratio", "4", "--ratio", "5"], GIVEN
    yield 2, [*usual, "--packets", "--resume"], GIVEN
    yield 2, ["-", "-o", str(folder / "bare.sky"), "--width", "8", "--resume"], GIVEN
    yield 2, ["-", "-o", str(folder / "none.pkt"), "--width", "8", "--resume"], GIVEN
    yield 2, ["-", "-o", str(folder / "none" / "x.sky"), "--width", "8"], GIVEN
    yield 3, [*usual], b""
    yield 3, [*usual], GIVEN + b"\0"
    yield 3, [str(folder / "none"), "-o", "-", "--width", "8"], b""
    yield 3, [*usual, "--significant-bits", "7"], GIVEN
    wide = ["-", "-o", "-", "--width", "128", "--significant-bits", "7", "--step-code", "9"]
    yield 3, wide, GIVEN * 16
    yield 0, [*usual, "--nodata", "65535", "--step-code", "9"], GIVEN
    yield 3, [*usual, "--bytes", "9000", "--lines", "3"], GIVEN
    yield 0, [*usual, "--bytes", "9000", "--lines", "1"], GIVEN * 3
    yield 6, [*usual, "--bytes", "1", "--lines", "1"], GIVEN
    yield 6, ["-", "-o", "-", "--width", "2049"], GIVEN
    yield 3, [*usual, "--layout", "bsq"], GIVEN
    yield 0, [str(raw), "-o", str(out), "--width", "8", "--layout", "bsq"], b""
    yield 3, [str(raw), "-o", str(out), "--width", "9", "--layout", "bsq"], b""
    yield 0, [str(raw), "-o", str(out), "--width", "8", "--layout", "bip"], b""
    if Path("/dev/full").exists():
        yield 1, [str(raw), "-o", "/dev/full", "--width", "8"], b""
        yield 1, ["-", "-o", "/dev/full", "--width", "8"], GIVEN
        yield 3, ["-", "-o", "/dev/full", "--width", "8"], GIVEN + b"\0"


BAD_VALUES = [
    *(("--width", value) for value in ("0", "", "8x", "-8", "16777217", "99999999999999999999")),
    *(("--nodata", value) for value in ("65536", "x")),
    *(("--significant-bits", value) for value in ("0", "17")),
    *(("--ratio", value) for value in ("", "4x", "0", "-1", "nan")),
    *(("--start-time", value) for value in ("x", "5.65536", "1.", "12345678901234567")),
    *((name, "0") for name in ("--bytes", "--lines")),
    ("--step-code", "256"),
    ("--segment-bytes", "65552"),
    ("--segment-bytes", "113"),
    ("--scene-id", "65536"),
    ("--packet-bytes", "65536"),
    ("--apid", "2047"),
    *(("--run", value) for value in ("0", "16777216")),
    ("--first-packet", "2147483648"),
    ("--line-period", "1099511627776"),
    ("--byte-order", "middle"),
    ("--layout", "bal"),
    ("--unknown", "1"),
]
GOOD_VALUES = [
    ("--start-time", "5"),
    ("--start-time", "5.65535"),
    ("--byte-order", "big"),
    ("--byte-order", "little"),
    ("--nodata", "65535"),
    ("--step-code", "9"),
    ("--step-code", "255"),
    ("--first-packet", "2147483647"),
    ("--line-period", "1099511627775"),
    ("--scene-id", "65535"),
    ("--apid", "2046"),
    ("--run", "16777215"),
]


def test_commands_have_their_exit_codes(build: Callable[[str], Path], tmp_path: Path) -> None:
    for code, arguments, given in commands(tmp_path):
        command = [build("sanitize"), *arguments]
        done = subprocess.run(command, input=given, capture_output=True, check=False)
        assert done.returncode == code, arguments
        assert done.stderr or not code, arguments


def resumed(folder: Path, stream: bytes, given: bytes) -> Iterator[Command]:
    """Yield what goes on in files that are cut, damaged or something else.

    Args:
        folder: for the files.
        stream: packets of a scene of `given` with its end.
        given: lines of 150 columns.
    """
    short, marked = bytearray(stream[:-END]), bytearray(stream[:-END])
    short[4:6] = b"\0\0"
    marked[13] = ord("?")
    kinds = {
        "cut": (0, stream[: -END - 5]),
        "empty": (0, b""),
        "ended": (2, stream),
        "ended, more": (2, stream + stream[:45]),
        "short": (0, bytes(short)),
        "other": (0, b"?" * 99),
        "other mark": (2, bytes(marked)),
        "no mark": (2, stream[:12] + b"?" + stream[13:-END]),
        "longer": (2, stream[:20] + b"\xff" + stream[21:-END]),
        "within": (2, b"\x08\x03\xc0\0\0\x08" + bytes(6) + b"SK\x10"),
        "twice": (2, stream[:-END] + stream[:-END]),
    }
    for name, (code, held) in kinds.items():
        path = folder / f"{name}.pkt"
        path.write_bytes(held)
        more = ["--apid", "3", "--packet-control", "--packet-bytes", "300", "--resume"]
        yield code, ["-", "-o", str(path), "--width", "150", *more], given
    path.write_bytes(stream[:-END])
    for other in (["--bands", "2"], ["--width", "149"], ["--dtype", "i16"]):
        yield 2, ["-", "-o", str(path), "--width", "150", *more, *other], given
    yield 2, ["-", "-o", str(path), "--width", "150", *more, "--run", "8"], given
    yield 0, ["-", "-o", str(path), "--width", "150", *more, "--run", "9"], given
    pipe = folder / "pipe.pkt"
    os.mkfifo(pipe)
    yield 2, ["-", "-o", str(pipe), "--width", "150", "--resume"], given


END = 44
"""Bytes of the packet with the end."""
RESUMED = [
    "--width",
    "150",
    "--apid",
    "3",
    "--packet-bytes",
    "300",
    "--packet-control",
    "--run",
    "9",
]


def test_what_a_file_holds_decides_whether_it_is_gone_on_with(
    build: Callable[[str], Path], tmp_path: Path
) -> None:
    given, whole = lines(scene(31, 140, 150)), tmp_path / "whole.pkt"
    command = [build("sanitize"), "-", "-o", whole, *RESUMED]
    subprocess.run(command, input=given, check=True)
    for code, arguments, own in resumed(tmp_path, whole.read_bytes(), given):
        done = subprocess.run(
            [build("sanitize"), *arguments], input=own, capture_output=True, check=False
        )
        assert done.returncode == code, arguments[2]


def crowded() -> Iterator[Case]:
    """Yield scenes whose rows of tiles have little room in a small build."""
    image = scene(41, 70, 1000)
    image[:, :, 500:] = noise(41, 70, 500, 12)
    yield Case(image, options(ratio=9.0))
    yield Case(image, options(ratio=9.0, segment_bytes=600, one_layer=True))
    yield Case(noise(9, 64, 900), options(ratio=1.0))
    gaps = np.maximum(noise(8, 64, 700, 12), 1)
    gaps[:, np.random.default_rng(8).random((64, 700)) < 0.4] = 0
    yield Case(gaps, options(ratio=5.0), nodata=0)
    yield Case(gaps[:, :, :448], options(ratio=5.0), nodata=0)
    for seed, ratio in enumerate((5.0, 7.0, 9.0)):
        yield Case(noise(seed, 64, 900, 12 + seed), options(ratio=ratio))
        yield Case(scene(seed, 64, 1500), options(ratio=ratio, segment_bytes=800))


@pytest.mark.slow
def test_gaps_are_closed_where_there_is_little_room(
    c_sources: Path, build: Callable[[str], Path], tmp_path: Path
) -> None:
    """A small build gives the bytes of a large one, or says that it has no room."""
    program = tmp_path / "small"
    command = ["gcc", *STRICT, "-O1", *SMALL, "-fsanitize=address,undefined"]
    sources = sorted(c_sources.glob("*.c"))
    subprocess.run([*command, "-fno-sanitize-recover=all", "-o", program, *sources], check=True)
    same = 0
    for case in crowded():
        arguments = ["-", "-o", "-", *case.arguments]
        found, expected = (
            subprocess.run(
                [one, *arguments], input=lines(case.image), capture_output=True, check=False
            )
            for one in (program, build("gcc"))
        )
        assert found.returncode in (0, 6)
        if found.returncode == 0:
            assert found.stdout == expected.stdout
            same += 1
    assert same >= 2


def variant(folder: Path, change: Callable[[Table], Any]) -> None:
    """Write the encoder with other tables, whose check is right.

    Args:
        folder: for the sources.
        change: the values of a table.
    """
    bundle = bundles.load("skybook")

    def changed(tables: list[Table]) -> list[Table]:
        return [replace(table, values=change(table)) for table in tables]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csource, "constants", lambda one: changed(constants(one)))
        patch.setattr(csource, "bounded_constants", lambda one: changed(bounded_constants(one)))
        csource.write(bundle, folder)


def costs_times(factor: float) -> Callable[[Table], Any]:
    """Return a change of what symbols are told to cost."""

    def change(table: Table) -> Any:
        if table.name not in ("costs", "bounded_costs"):
            return table.values
        return np.minimum(table.values * factor, 65_535).astype(np.int64)

    return change


def no_latents(table: Table) -> Any:
    """Let no filter make latents above 100."""
    return np.minimum(table.values, 100) if table.name == "bounds" else table.values


def compiled(folder: Path, *flags: str) -> Path:
    command = ["gcc", *STRICT, "-O1", *CHECKED, *flags, "-o", folder / "skybook"]
    subprocess.run([*command, *folder.glob("*.c")], check=True)
    return folder / "skybook"


@pytest.mark.slow
def test_a_latent_that_no_plane_makes_is_memory_that_changed(tmp_path: Path) -> None:
    variant(tmp_path, no_latents)
    command = [compiled(tmp_path), "-", "-o", "-", "--width", "64"]
    flat, steep = np.full((4, 64, 64), 9, np.uint16), noise(3, 64, 64)
    for image, code in ((flat, 0), (steep, 5)):
        done = subprocess.run(command, input=lines(image), capture_output=True, check=False)
        assert done.returncode == code
        assert bool(done.stdout) == (code == 0)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.9, 3.0])
def test_segments_hold_what_was_told_to_take_less_or_more(factor: float, tmp_path: Path) -> None:
    """Costs that are wrong make other segments, never ones that do not decode."""
    variant(tmp_path, costs_times(factor))
    image = scene(61, 70, 150)
    for more in ([], ["--one-layer"]):
        command = [compiled(tmp_path), "-", "-o", "-", "--width", "150", *more]
        done = subprocess.run(command, input=lines(image), capture_output=True, check=False)
        assert done.returncode == 0
        decoded = Decoder(bundles.find("skybook")).decode(done.stdout)
        assert decoded.complete
        assert np.abs(decoded.scene.image.astype(int) - image).mean() < 250
    for more in ([], ["--segment-bytes", "114"], ["--one-layer"]):
        command = [tmp_path / "skybook", "-", "-o", "-", "--width", "150", "--max-error", "0"]
        done = subprocess.run([*command, *more], input=bil(image), capture_output=True, check=True)
        decoded = Decoder(bundles.find("skybook")).decode(done.stdout)
        assert decoded.complete
        assert (decoded.scene.image == image).all()


@pytest.mark.slow
def test_wide_products_give_the_same_bytes(
    c_sources: Path, build: Callable[[str], Path], tmp_path: Path
) -> None:
    for path in c_sources.glob("*.[ch]"):
        (tmp_path / path.name).write_text(path.read_text())
    program = compiled(tmp_path, "-DSKYBOOK_NARROW=0")
    for image in (noise(5, 70, 90), scene(62, 70, 90)):
        assert run(program, image, ["--width", "90"]) == run(build("gcc"), image, ["--width", "90"])
    mosaic = ["--width", "180", "--bayer", "rggb"]
    planes = scene(62, 72, 90)[:1].repeat(2, axis=1).repeat(2, axis=2)
    assert run(program, planes, mosaic) == run(build("gcc"), planes, mosaic)


WIDE = """
int main(int count, char **arguments)
{
    if (count != 2 || fread(image, 1, sizeof(image), stdin) != sizeof(image)) {
        return 1;
    }
    skybook_defaults(&options, WIDTH);
    options.packets = true;
    options.first_row = (uint32_t)atoi(arguments[1]);
    options.run = 77;
    options.first_segment = 7;
    options.first_packet = 5;
    options.spent = 1000;
    begin();
    push(0, 128);
    skybook_finish(&encoder);
    fwrite(bytes, 1, buffer.used, stdout);
    return 0;
}
"""


@pytest.mark.parametrize("row", [1, 32_767, 32_768, 200_000])
def test_tiles_of_any_number_are_those_of_python(
    row: int, parts: list[Path], tmp_path: Path
) -> None:
    image = scene(51, 128, 80)
    text = "#include <stdlib.h>\n" + HEAD + WIDE
    told(parts, tmp_path, text.replace("return 1;", "return 0;"))
    done = subprocess.run(
        [tmp_path / "caller", str(row)], input=lines(image), capture_output=True, check=True
    )
    encoder = Encoder(bundles.load("skybook"))
    packets = PacketOptions()
    chosen = options(ratio=20.48, packets=packets, run=77)
    header = SceneHeader.of(image)
    header = SceneHeader(header.sample_type, 16, 4, 80, 0, tile=64)
    done_before = encoder.progress(header, chosen, row, 7, 1000)
    expected: list[bytes] = []
    windows = [image[:, :64], image[:, 64:]]
    for strip in encoder.stream(windows, header, chosen, done_before):
        expected += packets.pack(strip.segments, strip.line, 5 + len(expected))
    assert done.stdout == b"".join(expected)


EDGES = {
    "lanes": """
#include "parts.h"
static uint32_t symbols[400];
static uint8_t lanes[6][2048 + SKYBOOK_SPARE];

static struct skybook_run run_of(uint32_t first, size_t count, uint32_t lane, size_t most,
                                 size_t spare)
{
    const struct skybook_run run = {&symbols[first], count, lanes[lane], most + spare, most, 0};
    return run;
}

static void make(struct skybook_run *runs, uint32_t count)
{
    struct skybook_run *all[3] = {&runs[0], &runs[count / 2], &runs[count - 1]};
    skybook_make_lanes(all, count);
}

static size_t length_of(size_t count, size_t most, size_t spare)
{
    struct skybook_run run = run_of(0, count, 0, most, spare);
    make(&run, 1);
    return run.length;
}

/* Whether lanes made together are what each is alone, with bytes to spare and without. */
static bool same(size_t count, size_t beside, size_t most, size_t spare)
{
    struct skybook_run runs[6] = {
        run_of(0, count, 0, most, spare), run_of(200, beside, 1, 2048, spare),
        run_of(90, 130, 2, 2048, 0),      run_of(0, count, 3, most, 0),
        run_of(200, beside, 4, 2048, 0),  run_of(90, 130, 5, 2048, 0),
    };
    bool alike = true;
    make(runs, 3);
    for (uint32_t i = 0; i < 3; i++) {
        struct skybook_run *together = &runs[i], *alone = &runs[3 + i];
        make(alone, 1);
        alike = alike && together->length == alone->length &&
                memcmp(together->buffer + together->size - together->length,
                       alone->buffer + alone->size - alone->length, alone->length) == 0;
    }
    return alike;
}

static bool is_refused(uint32_t place, int32_t residual)
{
    const uint32_t before = symbols[place];
    struct skybook_run runs[2] = {run_of(0, 200, 0, 2048, 0), run_of(200, 200, 1, 2048, 0)};
    symbols[place] = (uint32_t)residual << SKYBOOK_ROW_BITS | 40u;
    make(runs, 2);
    const bool refused = place >= 200 || length_of(200, 2048, 0) == SKYBOOK_NO_LANE;
    symbols[place] = before;
    return refused && runs[0].length == SKYBOOK_NO_LANE && runs[1].length == SKYBOOK_NO_LANE;
}

int main(void)
{
    for (uint32_t i = 0; i < 400; i++) { /* some alone, some with low bits, some that escape */
        const int32_t residual = i % 23 == 5 ? 300 - (int32_t)i : (int32_t)(i * 7 % 5) - 2;
        const uint32_t row = i % 11 == 3 ? 64u + i % 30 : 20u + i % 12;
        symbols[i] = (uint32_t)residual << SKYBOOK_ROW_BITS | row;
    }
    const size_t whole = length_of(64, 2048, 0);
    bool fits = whole > 4;
    for (size_t most = 0; most < whole; most++) {
        fits = fits && length_of(64, most, 0) == 0 && length_of(64, most, SKYBOOK_SPARE) == 0;
    }
    bool alike = true;
    for (size_t most = 4; most < 2048; most += most < 200 ? 1 : 300) {
        for (size_t spare = 0; spare <= SKYBOOK_SPARE; spare += SKYBOOK_SPARE) {
            alike = alike && same(200, 200, most, spare) && same(200, 90, most, spare);
            alike = alike && same(70, 200, most, spare) && same(9, 200, most, spare);
        }
    }
    printf("%d %d ", fits, alike);
    printf("%d %d ", is_refused(9, -1000000), is_refused(190, 1000000));
    printf("%d", is_refused(390, 1000000));
    return 0;
}
""",
    "ends": """
static int change(void *user, const uint8_t *data, size_t length)
{
    encoder.options.scene_id = 1;
    return skybook_to_buffer(user, data, length);
}

int main(void)
{
    static struct skybook_encoder fresh;
    prepare();
    printf("%d ", skybook_push(&fresh, image[0], 1, WIDTH, LINE, 1));
    printf("%d ", skybook_init_sized(&encoder, 1, &options, skybook_to_buffer, &buffer));
    begin();
    printf("%d ", skybook_finish(&encoder));
    skybook_init(&encoder, &options, change, &buffer);
    printf("%d ", push(0, 128));
    options.height = 3;
    begin();
    printf("%d ", push(0, 4));
    begin();
    push(0, 2);
    printf("%d ", skybook_finish(&encoder));
    begin();
    push(0, 3);
    printf("%d ", skybook_finish(&encoder));
    options.height = 0;
    options.first_row = 1;
    options.run = 5;
    options.step_code = 80;
    begin();
    push(0, 3);
    printf("%d ", skybook_finish(&encoder));
    buffer.size = 10;
    buffer.used = 0;
    skybook_init(&encoder, &options, skybook_to_buffer, &buffer);
    push(0, 3);
    printf("%d", skybook_finish(&encoder));
    return 0;
}
""",
    "bits": """
int main(void)
{
    prepare();
    options.significant_bits = 11;
    begin();
    printf("%d", push(0, 64));
    return 0;
}
""",
}


def test_each_end_of_a_scene_has_its_status(parts: list[Path], tmp_path: Path) -> None:
    found = told(parts, tmp_path, HEAD + EDGES["ends"])
    assert found.split() == ["200", "200", "300", "500", "300", "300", "0", "0", "100"]
    assert told(parts, tmp_path, HEAD + EDGES["bits"]) == "300"
    assert told(parts, tmp_path, HEAD + EDGES["lanes"]) == "1 1 1 1 1"
