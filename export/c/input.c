#include "input.h"

#include <string.h>

#include "parts.h"

#define SLACK 8u /* what is looked at beyond the bytes of packed samples */

static uint8_t raw[2 * SKYBOOK_SCENE_BANDS * SKYBOOK_MAX_WIDTH];

/* Packed samples take less than two bytes each, which leaves room for SLACK. */
typedef char skybook_slack_fits[SKYBOOK_SCENE_BANDS * SKYBOOK_MAX_WIDTH >= 2 * (5 + SLACK) ? 1 : -1];

/* Samples of a group of packed ones, and its bytes. */
static uint32_t group_of(enum skybook_packing packing)
{
    return skybook_packing_bits(packing) == 10 ? 4 : 2;
}

static uint64_t bytes_of(const struct skybook_command *command, uint64_t samples)
{
    const uint32_t group = group_of(command->packing);
    switch (command->packing) {
    case MIPI10:
    case MIPI12:
        return (samples + group - 1) / group * (group + 1);
    case BE10:
    case BE12:
    case LE10:
    case LE12:
        return (samples * skybook_packing_bits(command->packing) + 7) / 8;
    case UNPACKED:
    default:
        return samples * skybook_sample_bytes(&command->options);
    }
}

/* Sample of a row, of a byte or packed; packed ones are followed by SLACK bytes. */
static uint32_t sample_at(const struct skybook_command *command, uint32_t i)
{
    const uint32_t bits = skybook_packing_bits(command->packing), group = group_of(command->packing);
    const uint32_t low = bits - 8u, first = i * bits % 8u;
    const uint8_t *at = &raw[i * bits / 8u], *groups = &raw[i / group * (group + 1)];
    switch (command->packing) {
    case BE10:
    case BE12:
        return ((uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2]) >> (24u - bits - first) &
               ((1u << bits) - 1u);
    case LE10:
    case LE12:
        return ((uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0]) >> first & ((1u << bits) - 1u);
    case MIPI10:
    case MIPI12:
        return (uint32_t)groups[i % group] << low |
               ((uint32_t)groups[group] >> low * (i % group) & ((1u << low) - 1u));
    case UNPACKED:
    default:
        break;
    }
    const uint32_t byte = raw[i];
    const bool below = command->options.sample_type == SKYBOOK_I8 && byte >= 128;
    return below ? byte + 0xFF00u : byte;
}

/* Whether bits of a row follow its last sample. */
static bool strays(const struct skybook_input *input)
{
    const uint32_t group = group_of(input->command->packing);
    uint32_t found = 0;
    if (input->command->packing == UNPACKED) {
        return false;
    }
    memset(raw + input->bytes, 0, SLACK);
    for (uint32_t i = input->samples; i % group != 0; i++) {
        found |= sample_at(input->command, i);
    }
    return found != 0;
}

/* Read and forget bytes; how many there were. */
static uint64_t pass_over(FILE *file, uint64_t count)
{
    uint64_t done = 0;
    while (done < count && getc(file) != EOF) {
        done++;
    }
    return done;
}

/* Read a row; its bytes, fewer where the input ends. */
static uint64_t read_row(const struct skybook_input *input)
{
    const uint64_t before = input->command->line_skip;
    uint64_t got = pass_over(input->file, before);
    if (got == before) {
        got += fread(raw, 1, (size_t)input->bytes, input->file);
    }
    if (got == before + input->bytes) {
        got += pass_over(input->file, input->stride - got);
    }
    return got;
}

/* Go to where a row of a band lies among bands that follow each other. */
static bool seek_row(const struct skybook_input *input, uint64_t line, uint32_t row)
{
    const uint64_t place = input->command->skip_bytes + (row * input->lines + line) * input->stride;
    if (input->lines > 0) {
        return fseek(input->file, (long)place, SEEK_SET) == 0;
    }
    return true;
}

/* The place of the high byte of two in memory. */
static uint32_t high_byte(void)
{
    const uint16_t one = 1;
    uint8_t first = 0;
    memcpy(&first, &one, 1);
    return first;
}

/* Put samples of two bytes, `apart` bytes from each other; `high` is the place of the high byte. */
static void put_whole(uint16_t *to, uint32_t count, const uint8_t *from, uint32_t apart,
                      uint32_t high)
{
    if (apart == 2 && high_byte() == high) {
        memcpy(to, from, count * sizeof(*to));
        return;
    }
    for (uint32_t i = 0; i < count; i++, from += apart) {
        to[i] = (uint16_t)(((uint32_t)from[high] << 8 | from[1 - high]) & 0xFFFFu);
    }
}

/* Put the samples of a row where they belong in a line: of a mosaic, those of its two planes. */
static void put_row(const struct skybook_input *input, uint32_t row, uint16_t *samples)
{
    const struct skybook_command *command = input->command;
    const uint32_t parts = command->options.bayer != 0 ? 2 : 1, count = input->samples / parts;
    for (uint32_t part = 0; part < parts; part++) {
        uint16_t *to = samples + (size_t)row * input->samples + (size_t)part * count;
        if (command->packing == UNPACKED && skybook_sample_bytes(&command->options) == 2) {
            put_whole(to, count, raw + (size_t)2 * part, 2 * parts, command->big_endian ? 0 : 1);
            continue;
        }
        for (uint32_t i = 0; i < count; i++) {
            to[i] = (uint16_t)(sample_at(command, i * parts + part) & 0xFFFFu);
        }
    }
}

/* Read a line whose rows follow each other as the samples of a line do. */
static enum skybook_line read_whole(const struct skybook_input *input, uint16_t *samples)
{
    const size_t bytes = (size_t)input->bytes * input->rows, got = fread(samples, 1, bytes, input->file);
    if (ferror(input->file)) {
        return LINE_FAILED;
    }
    return got == bytes ? LINE_READ : got == 0 ? LINE_NONE : LINE_CUT;
}

enum skybook_line skybook_read_line(const struct skybook_input *input, uint64_t line,
                                    uint16_t *samples)
{
    if (input->whole) {
        return read_whole(input, samples);
    }
    if (input->lines > 0 && line == input->lines) {
        return LINE_NONE;
    }
    for (uint32_t row = 0; row < input->rows; row++) {
        const uint64_t got = seek_row(input, line, row) ? read_row(input) : 0;
        if (ferror(input->file)) {
            return LINE_FAILED;
        }
        if (got < input->stride) {
            return got == 0 && row == 0 ? LINE_NONE : LINE_CUT;
        }
        if (strays(input)) {
            return LINE_STRAY;
        }
        put_row(input, row, samples);
    }
    return LINE_READ;
}

/* Lines of a file of bands one after the other; 0 if it is none. */
static uint64_t lines_of(const struct skybook_input *input)
{
    if (fseek(input->file, 0, SEEK_END) != 0) {
        return 0;
    }
    const long end = ftell(input->file); /* -1 if it cannot be told: no whole lines */
    const uint64_t length = end < 0 ? 0 : (uint64_t)end, skipped = input->command->skip_bytes;
    const uint64_t line = input->stride * input->rows;
    return length > skipped && (length - skipped) % line == 0 ? (length - skipped) / line : 0;
}

bool skybook_open_input(struct skybook_input *input, const struct skybook_command *command,
                        FILE *file)
{
    const bool mosaic = command->options.bayer != 0, bip = command->layout == BIP;
    const uint32_t width = command->options.width, bands = command->options.bands;
    input->file = file;
    input->command = command;
    input->rows = mosaic ? 2 : bip ? 1 : bands;
    input->samples = mosaic ? 2 * width : bip ? bands * width : width;
    input->bytes = bytes_of(command, input->samples);
    const uint64_t least = command->line_skip + input->bytes;
    input->stride = command->line_bytes > 0 ? command->line_bytes : least;
    input->lines = 0;
    input->whole = false;
    if (input->stride < least) {
        return false;
    }
    if (command->layout != BSQ && !mosaic && input->stride == input->bytes) {
        const bool two = command->packing == UNPACKED && skybook_sample_bytes(&command->options) == 2;
        input->whole = two && high_byte() == (command->big_endian ? 0 : 1);
    }
    if (command->layout == BSQ && !mosaic) {
        input->lines = lines_of(input);
        return input->lines > 0;
    }
    return pass_over(file, command->skip_bytes) == command->skip_bytes;
}

uint8_t *skybook_idle_room(size_t *size)
{
    *size = sizeof(raw);
    return raw;
}
