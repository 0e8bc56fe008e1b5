/* A lane of the entropy coder that grows downwards (SPEC.md, section 11). */
#ifndef SKYBOOK_LANE_H
#define SKYBOOK_LANE_H

#include <string.h>

#include "parts.h"

#define SKYBOOK_LANE_START 65536u

/* Tells the compiler that a condition is as often true as not, so that it makes no branch of it. */
#if (defined(__clang__) && __clang_major__ >= 11) || (!defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 9)
#define SKYBOOK_TOSS_UP(condition) __builtin_expect_with_probability((condition) != 0, 1, 0.5)
#else
#define SKYBOOK_TOSS_UP(condition) (condition)
#endif

struct skybook_lane {
    uint32_t state;
    uint8_t *first; /* byte of it */
    uint8_t *least; /* that the first may come to be */
    bool full;
};

/* Begin one at the end of `buffer`. */
static inline struct skybook_lane skybook_begin_lane(uint8_t *buffer, size_t size)
{
    const struct skybook_lane lane = {SKYBOOK_LANE_START, buffer + size, buffer, size < SKYBOOK_STATE_BYTES};
    return lane;
}

/* Bytes that it may still take. */
static inline size_t skybook_free(const struct skybook_lane *lane)
{
    return (size_t)(lane->first - lane->least);
}

/* Put its state before its words; its length, 0 if it is longer than the buffer. */
static inline size_t skybook_end_lane(struct skybook_lane *lane, size_t size)
{
    if (lane->full || skybook_free(lane) < SKYBOOK_STATE_BYTES) {
        return 0;
    }
    lane->first -= SKYBOOK_STATE_BYTES;
    skybook_put32(lane->first, lane->state);
    return size - skybook_free(lane);
}

/* Put the low 16 bits of a state. */
static inline void skybook_put_low(uint8_t *bytes, uint32_t state)
{
#if defined(__GNUC__) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint16_t low = __builtin_bswap16((uint16_t)(state & 0xFFFFu));
    memcpy(bytes, &low, sizeof(low));
#else
    bytes[0] = (uint8_t)(state >> 8 & 255u);
    bytes[1] = (uint8_t)(state & 255u);
#endif
}

/* Put a symbol, before all that were put before: where its slots start, and how many of the 4096 are those of
 * `others`.
 *
 * First the low bytes of a state are written that would become too large, 2^20 times the symbol's own slots f or
 * more: one less than that is what 2^20 times the others leave of 2^32 - 1. Which symbol makes it so is hard to
 * foretell, so they are written in any case. Where it is known that they fit, as `roomy` says, nobody looks.
 *
 * The state is below 2^20 f then, so its product with the inverse of f, 2^44 / f rounded up, fits 64 bits. Above
 * bit 44 that is the quotient: it is too large by less than f / 2^24, so by less than 1 / f. */
static inline void skybook_put_symbol(struct skybook_lane *lane, uint32_t start, uint32_t others, bool roomy)
{
    const uint32_t state = lane->state, most = ~(others << 20) & 0xFFFFFFFFu;
    const uint32_t spills = state > most, fits = roomy || skybook_free(lane) >= 2;
    if (fits) {
        skybook_put_low(lane->first - 2, state);
    }
    lane->full |= (spills & (fits ^ 1u)) != 0;
    lane->first -= 2 * (spills & fits);
    const uint32_t left = SKYBOOK_TOSS_UP(spills) ? state >> 16 : state;
#if SKYBOOK_SMALL
    const uint32_t quotient = left / (4096u - others);
#else
    const uint32_t quotient = (uint32_t)(left * skybook_inverses[others] >> 44);
#endif
    lane->state = left + start + quotient * others;
}

/* Put a number of up to 12 bits: one of as many symbols that all have as many slots. */
static inline void skybook_put_raw(struct skybook_lane *lane, uint32_t value, uint32_t bits, bool roomy)
{
    const uint32_t width = 12u - bits;
    skybook_put_symbol(lane, value << width, 4096u - (1u << width), roomy);
}

#endif
