/* A lane of symbols, read forward: the one who writes it is rans.c (SPEC.md, section 11). */
#ifndef SKYBOOK_LANES_H
#define SKYBOOK_LANES_H

#include <string.h>

#include "reader.h"

#if defined(__GNUC__)
#define SKYBOOK_WITHIN inline __attribute__((always_inline))
#define SKYBOOK_APART __attribute__((noinline))
#else
#define SKYBOOK_WITHIN inline
#define SKYBOOK_APART
#endif

#define SKYBOOK_ESCAPE 63u
#define SKYBOOK_OUTERMOST 31 /* residual of the last symbol before it */
#define SKYBOOK_PRECISION 12u
#define SKYBOOK_TOTAL 4096u
#define SKYBOOK_START 65536u
#define SKYBOOK_RAW_HEAD 3u
#define SKYBOOK_LEAST_RAW_WIDTH 8u
#define SKYBOOK_MOST_RAW_WIDTH 16u

struct skybook_lane {
    const uint8_t *bytes; /* that are left */
    size_t length;
    uint32_t state;
    uint32_t raw;   /* bits of a residual of a raw lane; 0 of a coded one */
    uint32_t held;  /* bits of a raw lane that are read, and how many */
    uint32_t bits;
    size_t left;    /* residuals of a raw lane */
    bool is_open;
    bool failed;    /* whether it was read beyond its end */
};

static inline bool skybook_has_ended(const struct skybook_lane *lane)
{
    return lane->raw > 0 ? lane->left == 0 : lane->state == SKYBOOK_START && lane->length == 0;
}

/* Open a raw lane, if it is a proper one. */
static inline bool skybook_open_raw(struct skybook_lane *lane, const uint8_t *bytes, size_t length)
{
    const uint32_t width = bytes[2];
    if (width < SKYBOOK_LEAST_RAW_WIDTH || width > SKYBOOK_MOST_RAW_WIDTH) {
        return false;
    }
    const size_t bits = 8 * (length - SKYBOOK_RAW_HEAD), count = bits / width, rest = bits - count * width;
    if (rest >= 8 || (rest > 0 && (bytes[length - 1] & ((1u << rest) - 1u)) != 0)) {
        return false;
    }
    lane->raw = width;
    lane->left = count;
    lane->bytes = bytes + SKYBOOK_RAW_HEAD;
    lane->length = length - SKYBOOK_RAW_HEAD;
    return true;
}

static inline bool skybook_open_lane(struct skybook_lane *lane, const uint8_t *bytes, size_t length)
{
    memset(lane, 0, sizeof(*lane));
    lane->is_open = true;
    if (length >= SKYBOOK_RAW_HEAD && bytes[0] == 0 && bytes[1] == 0) {
        return skybook_open_raw(lane, bytes, length);
    }
    if (length < SKYBOOK_STATE_BYTES || length % 2 != 0) {
        return false;
    }
    lane->state = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    lane->bytes = bytes + SKYBOOK_STATE_BYTES;
    lane->length = length - SKYBOOK_STATE_BYTES;
    return true;
}

/* The next word of a lane; behind its end there is something. */
static inline uint32_t skybook_word(const uint8_t *bytes)
{
    return ((uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3]) >> 16;
}

/* Take a word where the state of a lane is low. */
static inline void skybook_fill(struct skybook_lane *lane)
{
    if (lane->state < SKYBOOK_START) {
        if (lane->length == 0) {
            lane->failed = true;
            return;
        }
        lane->state = lane->state << 16 | (uint32_t)lane->bytes[0] << 8 | lane->bytes[1];
        lane->bytes += 2;
        lane->length -= 2;
    }
}

static inline uint32_t skybook_take_bits(struct skybook_lane *lane, uint32_t bits)
{
    const uint32_t rest = SKYBOOK_PRECISION - bits, slot = lane->state & (SKYBOOK_TOTAL - 1u);
    lane->state = (lane->state >> SKYBOOK_PRECISION << rest) + (slot & ((1u << rest) - 1u));
    skybook_fill(lane);
    return slot >> rest;
}

/* Where the slots of a symbol begin, how many it has, and which it is: of a part of a row's slots those of
 * the symbol on the first, in one number, as most parts have no other. */
#define SKYBOOK_SPAN_START(span) ((span) & 4095u)
#define SKYBOOK_SPAN_LENGTH(span) ((span) >> 12 & 4095u) /* no symbol has all slots: there is the escape */
#define SKYBOOK_SPAN_SYMBOL(span) ((span) >> 24 & 63u)
#define SKYBOOK_SPAN_HAS_MORE(span) ((span) >> 30 != 0) /* bits behind the symbol */

static inline uint32_t skybook_span(uint32_t row, uint32_t symbol)
{
    const uint32_t start = skybook_starts[row][symbol], stop = skybook_starts[row][symbol + 1];
    const uint32_t has_more = symbol == SKYBOOK_ESCAPE || skybook_shifts[row % SKYBOOK_LEVELS] > 0;
    return has_more << 30 | symbol << 24 | (stop - start) << 12 | start;
}

/* Make the spans of all rows. */
static inline void skybook_make_spans(struct skybook_reader *reader)
{
    for (uint32_t row = 0; row < SKYBOOK_ROWS && !reader->has_spans; row++) {
        uint32_t symbol = 0;
        for (uint32_t part = 0; part < SKYBOOK_PARTS; part++) {
            while (skybook_starts[row][symbol + 1] <= part * (SKYBOOK_TOTAL / SKYBOOK_PARTS)) {
                symbol++;
            }
            reader->spans[row][part] = skybook_span(row, symbol);
        }
    }
    reader->has_spans = true;
}

/* The span that a slot is in: that of the last symbol that begins there or before. */
static inline uint32_t skybook_span_on(const struct skybook_reader *reader, uint32_t row, uint32_t slot)
{
    const uint32_t span = reader->spans[row][slot / (SKYBOOK_TOTAL / SKYBOOK_PARTS)];
    if (slot < SKYBOOK_SPAN_START(span) + SKYBOOK_SPAN_LENGTH(span)) {
        return span;
    }
    uint32_t symbol = SKYBOOK_SPAN_SYMBOL(span) + 1;
    while (skybook_starts[row][symbol + 1] <= slot) {
        symbol++;
    }
    return skybook_span(row, symbol);
}

/* The span of the table of an even row that is for where a sign is hidden (SPEC.md, section 11); the slot is not that
 * of the escape. */
static inline uint32_t skybook_derived_span(const struct skybook_reader *reader, uint32_t row, uint32_t slot)
{
    const uint32_t start = skybook_starts[row][SKYBOOK_OUTERMOST], stop = skybook_starts[row][SKYBOOK_OUTERMOST + 1];
    if (slot >= 2 * start) {
        return (uint32_t)SKYBOOK_OUTERMOST << 24 | (stop - start) << 12 | 2 * start;
    }
    const uint32_t span = skybook_span_on(reader, row, slot / 2), symbol = SKYBOOK_SPAN_SYMBOL(span);
    const uint32_t mirrored = 2 * SKYBOOK_OUTERMOST - symbol;
    return mirrored << 24 | SKYBOOK_SPAN_LENGTH(span) << 13 | 2 * SKYBOOK_SPAN_START(span);
}

/* The residual of a symbol that has more behind it: of an escape all of its bits, then low ones. */
static inline int32_t skybook_take_rest(struct skybook_lane *lane, uint32_t symbol, uint32_t shift)
{
    int32_t value = (int32_t)symbol - SKYBOOK_OUTERMOST;
    if (symbol == SKYBOOK_ESCAPE) {
        const uint32_t high = skybook_take_bits(lane, 8);
        value = (int32_t)(high << 8 | skybook_take_bits(lane, 8)) - 32768;
    }
    return shift > 0 ? value * (1 << shift) + (int32_t)skybook_take_bits(lane, shift) : value;
}

static inline int32_t skybook_take_coded(const struct skybook_reader *reader, struct skybook_lane *lane,
                                         uint32_t row)
{
    const uint32_t slot = lane->state & (SKYBOOK_TOTAL - 1u), span = skybook_span_on(reader, row, slot);
    const uint32_t length = SKYBOOK_SPAN_LENGTH(span);
    lane->state = length * (lane->state >> SKYBOOK_PRECISION) + slot - SKYBOOK_SPAN_START(span);
    skybook_fill(lane);
    return skybook_take_rest(lane, SKYBOOK_SPAN_SYMBOL(span), skybook_shifts[row % SKYBOOK_LEVELS]);
}

static inline int32_t skybook_take_raw(struct skybook_lane *lane)
{
    const uint32_t sign = 1u << (lane->raw - 1u);
    while (lane->bits < lane->raw) {
        lane->held = lane->held << 8 | lane->bytes[0];
        lane->bits += 8;
        lane->bytes++;
    }
    lane->bits -= lane->raw;
    lane->left--;
    const uint32_t value = lane->held >> lane->bits & (2u * sign - 1u);
    return (int32_t)(value ^ sign) - (int32_t)sign;
}

#endif
