"""What the C encoder does where memory changes, and where it is called as it should not be."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.export.csource.test_csource import PROGRAM, STRICT

HEAD = """
#include <stdio.h>
#include <string.h>
#include "skybook.h"
enum { WIDTH = 80, LINE = WIDTH * SKYBOOK_MAX_BANDS };
static struct skybook_encoder encoder;
static struct skybook_options options;
static uint16_t image[128][LINE];
static uint8_t whole[100000], bytes[100000];
static struct skybook_buffer first = {whole, sizeof(whole), 0}, buffer;
static size_t first_row;

enum skybook_status begin(void)
{
    buffer = (struct skybook_buffer){bytes, sizeof(bytes), 0};
    return skybook_init(&encoder, &options, skybook_to_buffer, &buffer);
}

enum skybook_status push(uint32_t from, uint32_t to)
{
    return skybook_push(&encoder, image[from], to - from, WIDTH, LINE, 1);
}

void prepare(void)
{
    uint32_t x = 7;
    skybook_defaults(&options, WIDTH);
    for (uint32_t i = 0; i < 128 * LINE; i++) {
        x = x * 1664525u + 1013904223u;
        image[i / LINE][i % LINE] = (uint16_t)(3000 + 5 * (i % WIDTH) + (x >> 24));
    }
    skybook_init(&encoder, &options, skybook_to_buffer, &first);
    push(0, 64);
    first_row = first.used;
    push(64, 128);
    skybook_finish(&encoder);
}

/* Whether the second row of tiles is refused for memory that changed, and nothing of it written. */
int refused(void)
{
    const enum skybook_status status = push(127, 128);
    return (status == SKYBOOK_ERROR_MEMORY || push(64, 64) == SKYBOOK_ERROR_MEMORY) &&
           skybook_finish(&encoder) == SKYBOOK_ERROR_MEMORY && buffer.used == first_row &&
           memcmp(bytes, whole, first_row) == 0;
}
"""

FLIP = """
static uint32_t tried, found;

/* Flip some bits of memory, one at a time, before the last line of a row of tiles. */
static void flip(void *memory, size_t size, size_t step)
{
    for (size_t place = 0; place < size; place += step) {
        uint8_t *byte = (uint8_t *)memory + place;
        begin();
        push(0, 127);
        *byte ^= (uint8_t)(1u << place % 8);
        found += refused();
        *byte ^= (uint8_t)(1u << place % 8);
        tried++;
    }
}
"""

FLIPS = """
int main(void)
{
    prepare();
#define FLIP(name) flip((void *)(uintptr_t)skybook_##name, sizeof(skybook_##name), \\
                        sizeof(skybook_##name) / 3 + 1);
    SKYBOOK_TABLES(FLIP)
    flip(&encoder.options, sizeof(encoder.options), 3);
    flip(&encoder.write, sizeof(encoder.write), 1);
    flip(encoder.head, sizeof(encoder.head), 5);
    flip(&encoder.scene_check, sizeof(encoder.scene_check), 5);
    flip(encoder.sums, sizeof(encoder.sums[0]), 7);
    flip(&encoder.lines, sizeof(encoder.lines), 1);
    flip(&encoder.held, sizeof(encoder.held), 1);
    flip(&encoder.spare, sizeof(encoder.spare), 1);
    for (uint32_t band = 0; band < SKYBOOK_MAX_BANDS; band++) {
        for (uint32_t line = 0; line < 63; line += 20) {
            flip(encoder.samples[band * encoder.form.tile + line], 2 * WIDTH, 31);
        }
    }
    begin();
    const enum skybook_status pushed = push(0, 128), ended = skybook_finish(&encoder);
    printf("%u missed of %u, then %d %d %d, same %d", (unsigned)(tried - found), (unsigned)tried,
           pushed, ended, buffer.used == first.used, memcmp(bytes, whole, first.used) == 0);
    return 0;
}
"""


LATENTS = """
#include "parts.h"

/* Flip a bit of the latents of a tile that are kept, if there are; what coding it says. */
static int flipped(uint8_t *byte)
{
    begin();
    push(0, 63);
    skybook_analyse(&encoder, 0);
    encoder.tiles[0].code = 120;
    *byte ^= 16;
    return encoder.tiles[0].kept ? (int)skybook_code(&encoder, 0) : -1;
}

int main(void)
{
    uint8_t other = 0;
    int found = 0, tried = 0;
    for (uint32_t b = 0; b < SKYBOOK_MAX_BANDS; b++) { /* so that latents take more than 16 bits */
        for (uint32_t i = 0; i < 64 * WIDTH; i++) {
            image[i / WIDTH][b * WIDTH + i % WIDTH] = i % WIDTH < 40 ? 100 : 50000;
        }
    }
    skybook_defaults(&options, WIDTH);
    printf("%d ", flipped(&other));
    for (uint32_t line = 0; line < 64 * SKYBOOK_MAX_BANDS; line += 17, tried++) {
        found += flipped((uint8_t *)&encoder.samples[line][line % 64]) == SKYBOOK_ERROR_MEMORY;
    }
    printf("%d ", tried - found);
    printf("%d %d", encoder.work.wide[0], flipped(&encoder.upper[5]));
    return 0;
}
"""


def test_latents_that_change_while_they_are_kept_are_found(
    parts: list[Path], tmp_path: Path
) -> None:
    assert told(parts, tmp_path, HEAD + LATENTS).split() == ["0", "0", "1", "500"]


CHECKED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
BUILD = ("gcc", *STRICT, "-O1", "-DSKYBOOK_MAX_WIDTH=128", *CHECKED)


@pytest.fixture(scope="module")
def parts(c_sources: Path) -> list[Path]:
    """The library, its tables left out, built under sanitizers."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    sources = [p for p in c_sources.glob("*.c") if p.name not in (*PROGRAM, "tables.c")]
    subprocess.run([*BUILD, "-c", *(path.name for path in sources)], check=True, cwd=c_sources)
    return [path.with_suffix(".o") for path in sources]


def told(parts: list[Path], folder: Path, text: str, tables: str | None = None) -> str:
    """Return what a caller of the library prints; `tables` stands in for tables.c."""
    sources = parts[0].parent
    (folder / "caller.c").write_text(text)
    (folder / "tables.c").write_text(tables or (sources / "tables.c").read_text())
    own = [folder / "caller.c", folder / "tables.c"]
    subprocess.run([*BUILD, f"-I{sources}", "-o", folder / "caller", *own, *parts], check=True)
    done = subprocess.run([folder / "caller"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_no_flip_before_a_row_is_written_gets_by(parts: list[Path], tmp_path: Path) -> None:
    variable = "#define const\n" + (parts[0].parent / "tables.c").read_text()
    found = told(parts, tmp_path, HEAD + FLIP + FLIPS, variable)
    missed, _, _, tried, *after = found.replace(",", "").split()
    assert int(missed) == 0
    assert int(tried) > 200
    assert after == ["then", "0", "0", "1", "same", "1"]


def test_tables_of_another_bundle_are_refused(parts: list[Path], tmp_path: Path) -> None:
    """Tables that are not those of which the check was emitted with the sources."""
    constant = (parts[0].parent / "tables.c").read_text()
    other = constant.replace("skybook_guess[780] = {", "skybook_guess[780] = {1+", 1)
    assert other != constant
    text = HEAD + 'int main(void) { prepare(); printf("%d", encoder.status); return 0; }'
    assert told(parts, tmp_path, text, other) == "500"


MISUSE = """
static int inner, calls;

static int push_again(void *user, const uint8_t *data, size_t length)
{
    inner = inner == 0 ? (int)push(0, 1) : inner;
    return skybook_to_buffer(user, data, length);
}

static int finish_again(void *user, const uint8_t *data, size_t length)
{
    inner = inner == 0 ? (int)skybook_finish(&encoder) : inner;
    return skybook_to_buffer(user, data, length);
}

static int fail_at(void *user, const uint8_t *data, size_t length)
{
    calls--;
    return calls == 0 ? -1 : skybook_to_buffer(user, data, length);
}

static void show(int value)
{
    printf("%d ", value);
}

static void within(skybook_write write)
{
    inner = 0;
    buffer = (struct skybook_buffer){bytes, sizeof(bytes), 0};
    skybook_init(&encoder, &options, write, &buffer);
    show(push(0, 128));
    show(skybook_finish(&encoder));
    show(inner);
    puts(buffer.used == first.used && memcmp(bytes, whole, first.used) == 0 ? "same" : "other");
}

int main(void)
{
    prepare();
    within(push_again);
    within(finish_again);
    show(skybook_init_sized(NULL, sizeof(encoder), &options, skybook_to_buffer, &buffer));
    show(skybook_init(&encoder, NULL, skybook_to_buffer, &buffer));
    show(skybook_init(&encoder, &options, NULL, &buffer));
    show(skybook_push(NULL, image[0], 1, WIDTH, LINE, 1));
    show(skybook_finish(NULL));
    show(skybook_cut(NULL));
    puts("nothing given");
    begin();
    show(skybook_push(&encoder, NULL, 0, 0, 0, 0));
    show(skybook_push(&encoder, NULL, 1, WIDTH, LINE, 1));
    show(skybook_finish(&encoder));
    puts("no lines");
    begin();
    show(push(0, 3));
    show(skybook_finish(&encoder));
    show(push(3, 4));
    show(skybook_finish(&encoder));
    puts("after the end");
    begin();
    show(push(0, 100));
    show(skybook_cut(&encoder));
    show(push(100, 101));
    puts(buffer.used > first_row && buffer.used < first.used ? "coded" : "lost");
    begin();
    encoder.options.width = 2048;
    show(push(0, 1));
    show(skybook_finish(&encoder));
    begin();
    show(push(0, 1));
    encoder.options.trellis = true;
    show(skybook_finish(&encoder));
    puts("other options");
    memset(&encoder, 0xA5, sizeof(encoder));
    encoder.busy = false;
    show(push(0, 1));
    puts("never begun");
    for (int at = 1; at < 4; at++) {
        calls = at;
        skybook_init(&encoder, &options, fail_at, &buffer);
        buffer.used = 0;
        show(push(0, 64));
        show(skybook_finish(&encoder));
    }
    puts("not written");
    show(skybook_to_buffer(NULL, whole, 1));
    return 0;
}
"""


def test_misuse_is_an_error_and_harms_nothing(parts: list[Path], tmp_path: Path) -> None:
    assert told(parts, tmp_path, HEAD + MISUSE).splitlines() == [
        "0 0 200 same",
        "0 0 200 same",
        "200 200 200 200 200 200 nothing given",
        "0 200 200 no lines",
        "0 0 200 200 after the end",
        "0 300 300 coded",
        "500 500 0 500 other options",
        "500 never begun",
        "100 100 100 100 100 100 not written",
        "1 ",
    ]


REFUSALS = """
#define REFUSE(change) skybook_defaults(&options, 8); change; printf("%d ", begin());
int main(void)
{
    REFUSE((void)0)
    REFUSE(options.width = 0)
    REFUSE(options.width = SKYBOOK_MAX_WIDTH + 1)
    REFUSE(options.bands = 0)
    REFUSE(options.bands = SKYBOOK_MAX_BANDS + 1)
    REFUSE(options.significant_bits = 0)
    REFUSE(options.significant_bits = 17)
    REFUSE(options.sample_type = 4)
    REFUSE(options.bayer = 5)
    REFUSE(options.bayer = 1; options.bands = 3)
    REFUSE(options.step_code = 256)
    REFUSE(options.height = (1u << 24) + 1)
    REFUSE(options.segment_bytes = 113)
    REFUSE(options.segment_bytes = 65552)
    REFUSE(options.packet_bytes = 127)
    REFUSE(options.packet_bytes = 65536)
    REFUSE(options.apid = 2047)
    REFUSE(options.line_period = (uint64_t)1 << 40)
    REFUSE(options.ratio = 0)
    REFUSE(options.ratio = 1e300)
    REFUSE(options.budget = 1000)
    REFUSE(options.height = 8; options.budget = INT64_MAX)
    REFUSE(options.first_row = 1u << 18)
    REFUSE(options.height = 64; options.first_row = 1)
    REFUSE(options.spent = UINT64_MAX)
    REFUSE(options.run = 1u << 24)
    REFUSE(options.first_row = 1)
    return 0;
}
"""


def test_each_option_out_of_range_is_refused(parts: list[Path], tmp_path: Path) -> None:
    assert told(parts, tmp_path, HEAD + REFUSALS).split() == ["0", "200", "600", *["200"] * 24]


BOUND_REFUSALS = """
#define REFUSE(change) skybook_defaults(&options, 8); change; printf("%d ", begin());
int main(void)
{
    struct skybook_bound two = {2, {0}, 0}, root = {1, {1}, 1}, far = {1, {32768}, 0};
    struct skybook_box good = {0, 0, 1, 1, {1, {0}, 0}}, other = good;
    REFUSE(options.max_error.count = 1)
    REFUSE(options.boxes = 1; options.box[0] = good)
    REFUSE(options.max_error.count = 99)
    REFUSE(options.max_error = two)
    REFUSE(options.max_error = root)
    REFUSE(options.max_error = far)
    REFUSE(options.max_error.count = 1; options.trellis = true)
    REFUSE(options.max_error.count = 1; options.step_code = 1)
    REFUSE(options.max_error.count = 1; options.budget = 99; options.height = 9)
    REFUSE(options.max_error.count = 1; options.boxes = 1; options.box[0] = good)
    REFUSE(options.boxes = SKYBOOK_MAX_BOXES + 1)
    REFUSE(options.boxes = 1)
    other.bound = two;
    REFUSE(options.boxes = 2; options.box[0] = good; options.box[1] = other)
    other = good;
    other.right = 0;
    REFUSE(options.boxes = 1; options.box[0] = other)
    other = good;
    other.bottom = 0;
    REFUSE(options.boxes = 1; options.box[0] = other)
    return 0;
}
"""


def test_each_bound_out_of_range_is_refused(parts: list[Path], tmp_path: Path) -> None:
    assert told(parts, tmp_path, HEAD + BOUND_REFUSALS).split() == ["0", "0", *["200"] * 13]


BOUND_FLIPS = """
static void prepare_bounded(void)
{
    prepare();
    first.used = 0;
    options.max_error.count = 1;
    options.max_error.each[0] = 1;
    skybook_init(&encoder, &options, skybook_to_buffer, &first);
    push(0, 64);
    first_row = first.used;
    push(64, 128);
    skybook_finish(&encoder);
}

int main(void)
{
    prepare_bounded();
#define FLIP(name) flip((void *)(uintptr_t)skybook_##name, sizeof(skybook_##name), \\
                        sizeof(skybook_##name) / 5 + 1);
    SKYBOOK_BOUNDED_TABLES(FLIP)
    flip(&encoder.options.max_error, sizeof(encoder.options.max_error), 1);
    flip(&encoder.options.boxes, sizeof(encoder.options.boxes), 1);
    flip(encoder.samples[0], 2 * WIDTH, 31);
    flip(encoder.sums, sizeof(encoder.sums[0]), 7);
    begin();
    push(0, 128);
    skybook_finish(&encoder);
    printf("%u missed of %u, same %d", (unsigned)(tried - found), (unsigned)tried,
           buffer.used == first.used && memcmp(bytes, whole, first.used) == 0);
    return 0;
}
"""


def test_no_flip_before_a_row_within_a_bound_is_written_gets_by(
    parts: list[Path], tmp_path: Path
) -> None:
    variable = "#define const\n" + (parts[0].parent / "tables.c").read_text()
    words = told(parts, tmp_path, HEAD + FLIP + BOUND_FLIPS, variable).replace(",", "").split()
    assert (words[0], words[-1]) == ("0", "1")
    assert int(words[3]) > 50


COUNTS = """
int main(void)
{
    uint32_t packets = 5;
    options.first_packet = 5;
    prepare();
    options.packets = true;
    for (uint16_t scene = 0; scene < 3; scene++) {
        options.scene_id = scene;
        options.first_packet = packets;
        begin();
        push(0, 128);
        skybook_finish(&encoder);
        packets = encoder.packets;
        for (size_t at = 0; at < buffer.used; at += 7u + 256u * bytes[at + 4] + bytes[at + 5]) {
            printf("%d ", (bytes[at + 2] << 8 | bytes[at + 3]) & 0x3FFF);
        }
    }
    return 0;
}
"""


def test_sequence_counts_go_on_across_scenes(parts: list[Path], tmp_path: Path) -> None:
    counts = [int(word) for word in told(parts, tmp_path, HEAD + COUNTS).split()]
    assert counts == list(range(5, 5 + len(counts)))
    assert len(counts) > 6
