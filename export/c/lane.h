/* A lane of the entropy coder that grows downwards (SPEC.md, section 11). */
#ifndef SKYBOOK_LANE_H
#define SKYBOOK_LANE_H

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
    size_t free;    /* bytes before that */
    bool full;
};

/* Begin one at the end of `buffer`. */
static inline struct skybook_lane skybook_begin_lane(uint8_t *buffer, size_t size)
{
    const struct skybook_lane lane = {SKYBOOK_LANE_START, buffer + size, size,
                                      size < SKYBOOK_STATE_BYTES};
    return lane;
}

/* Put its state before its words; its length, 0 if it is longer than the buffer. */
static inline size_t skybook_end_lane(struct skybook_lane *lane, size_t size)
{
    if (lane->full || lane->free < SKYBOOK_STATE_BYTES) {
        return 0;
    }
    lane->first -= SKYBOOK_STATE_BYTES;
    skybook_put32(lane->first, lane->state);
    return size - lane->free + SKYBOOK_STATE_BYTES;
}

/* Write the low bytes of a state that would become too large. Which symbol makes it so is hard to foretell,
 * so they are written in any case. Where it is known that they fit, as `roomy` says, nobody looks. */
static inline void skybook_make_room(struct skybook_lane *lane, uint32_t frequency, bool roomy)
{
    const uint32_t spills = lane->state >> 20 >= frequency, fits = roomy || lane->free >= 2;
    const uint32_t moved = 2 * (spills & fits);
    if (fits) {
        lane->first[-2] = (uint8_t)(lane->state >> 8 & 255u);
        lane->first[-1] = (uint8_t)(lane->state & 255u);
    }
    lane->full |= (spills & (fits ^ 1u)) != 0;
    lane->first -= moved;
    lane->free -= moved;
    lane->state = SKYBOOK_TOSS_UP(spills) ? lane->state >> 16 : lane->state;
}

/* Put a symbol, before all that were put before. The state is below 2^20 times its frequency f, so its
 * product with the inverse of f, 2^44 / f rounded up, fits 64 bits. Above bit 44 that is the quotient: it
 * is too large by less than f / 2^24, so by less than 1 / f. */
static inline void skybook_put_symbol(struct skybook_lane *lane, uint32_t start, uint32_t frequency,
                                      bool roomy)
{
    skybook_make_room(lane, frequency, roomy);
#if SKYBOOK_SMALL
    const uint32_t quotient = lane->state / frequency;
#else
    const uint32_t quotient = (uint32_t)((uint64_t)lane->state * skybook_inverses[frequency] >> 44);
#endif
    lane->state += quotient * (4096u - frequency) + start;
}

/* Put a number of 1 to 12 bits. */
static inline void skybook_put_raw(struct skybook_lane *lane, uint32_t value, uint32_t bits, bool roomy)
{
    const uint32_t width = 12u - bits, frequency = 1u << width;
    skybook_make_room(lane, frequency, roomy);
    lane->state = (lane->state >> width << 12 | (lane->state & (frequency - 1u))) + (value << width);
}

#endif
