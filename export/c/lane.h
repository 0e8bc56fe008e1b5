/* A lane of the entropy coder that grows downwards (SPEC.md, section 11). */
#ifndef SKYBOOK_LANE_H
#define SKYBOOK_LANE_H

#include "parts.h"

#define SKYBOOK_LANE_START 65536u

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

static inline void skybook_make_room(struct skybook_lane *lane)
{
    if (lane->free < 2) {
        lane->full = true;
        return;
    }
    lane->first -= 2;
    lane->free -= 2;
    lane->first[0] = (uint8_t)(lane->state >> 8 & 255u);
    lane->first[1] = (uint8_t)(lane->state & 255u);
    lane->state >>= 16;
}

/* Put a symbol, before all that were put before. */
static inline void skybook_put_symbol(struct skybook_lane *lane, uint32_t start, uint32_t frequency)
{
    if (lane->state >> 20 >= frequency) {
        skybook_make_room(lane);
    }
    lane->state += lane->state / frequency * (4096u - frequency) + start;
}

/* Put a number of 1 to 12 bits. */
static inline void skybook_put_raw(struct skybook_lane *lane, uint32_t value, uint32_t bits)
{
    const uint32_t width = 12u - bits, frequency = 1u << width;
    if (lane->state >> 20 >= frequency) {
        skybook_make_room(lane);
    }
    lane->state = (lane->state >> width << 12 | (lane->state & (frequency - 1u))) + (value << width);
}

#endif
