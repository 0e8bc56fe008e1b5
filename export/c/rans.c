/* Entropy coder: a lane of symbols, written from the last to the first (SPEC.md, section 11). */
#include "parts.h"

#define ESCAPE 63
#define LARGEST 31
#define START 65536u
#define ROWS (1u << SKYBOOK_ROW_BITS)

static int32_t residual_of(uint32_t symbol)
{
    return (int32_t)symbol >> SKYBOOK_ROW_BITS;
}

/* A lane that grows downwards. */
struct lane {
    uint32_t state;
    uint8_t *first; /* byte of it */
    size_t free;    /* bytes before that */
    bool full;
    bool broken; /* by a residual that no escape can tell */
};

static void put(struct lane *lane, uint32_t start, uint32_t frequency)
{
    uint32_t x = lane->state;
    if (x >> 20 >= frequency) {
        if (lane->free < 2) {
            lane->full = true;
            return;
        }
        lane->first -= 2;
        lane->free -= 2;
        skybook_put16(lane->first, x & 0xFFFFu);
        x >>= 16;
    }
    lane->state = x + x / frequency * (4096u - frequency) + start;
}

static void put_bits(struct lane *lane, uint32_t value, unsigned bits)
{
    put(lane, (value << (12 - bits)) & 0xFFFFu, 1u << (12 - bits));
}

static void put_residual(struct lane *lane, int32_t residual, uint32_t row)
{
    const unsigned shift = skybook_shifts[row % SKYBOOK_LEVELS];
    const int32_t high = residual >> shift;
    uint32_t symbol = ESCAPE;
    if (high >= -LARGEST && high <= LARGEST && skybook_frequencies[row][high + LARGEST] != 0) {
        symbol = (uint32_t)(high + LARGEST);
    }
    if (shift > 0) {
        put_bits(lane, (uint32_t)residual & ((1u << shift) - 1u), shift);
    }
    if (symbol == ESCAPE) {
        const int32_t value = high + 32768;
        lane->broken = value < 0 || value > 65535; /* the last symbol then */
        put_bits(lane, (uint32_t)(value & 255), 8);
        put_bits(lane, (uint32_t)(value >> 8), 8);
    }
    put(lane, skybook_starts[row][symbol], skybook_frequencies[row][symbol]);
}

size_t skybook_lane(const uint32_t *symbols, size_t count, uint8_t *buffer, size_t size)
{
    struct lane lane = {START, buffer + size, size, size < SKYBOOK_STATE_BYTES, false};
    for (size_t i = count; i > 0 && !lane.full && !lane.broken; i--) {
        put_residual(&lane, residual_of(symbols[i - 1]), symbols[i - 1] % ROWS);
    }
    if (lane.broken) {
        return SKYBOOK_NO_LANE;
    }
    if (lane.full || lane.free < SKYBOOK_STATE_BYTES) {
        return 0;
    }
    lane.first -= SKYBOOK_STATE_BYTES;
    skybook_put32(lane.first, lane.state);
    return size - lane.free + SKYBOOK_STATE_BYTES;
}

/* The least width that residuals fit, 8 bits or more; above 16 bits there is no raw lane. */
static unsigned width_of(const uint32_t *symbols, size_t count)
{
    int32_t largest = 127;
    for (size_t i = 0; i < count; i++) {
        const int32_t residual = residual_of(symbols[i]);
        const int32_t size = residual < 0 ? ~residual : residual;
        largest = size > largest ? size : largest;
    }
    unsigned width = 8;
    while (largest >> (width - 1) != 0) {
        width++;
    }
    return width;
}

size_t skybook_raw_bytes(const uint32_t *symbols, size_t count)
{
    const unsigned width = width_of(symbols, count);
    return width > 16 ? SKYBOOK_NO_LANE : SKYBOOK_RAW_HEAD + (count * width + 7) / 8;
}

size_t skybook_raw_lane(const uint32_t *symbols, size_t count, uint8_t *buffer)
{
    const unsigned width = width_of(symbols, count);
    const uint32_t mask = (1u << width) - 1u;
    uint32_t held = 0;
    unsigned bits = 0;
    size_t length = SKYBOOK_RAW_HEAD;
    buffer[0] = 0;
    buffer[1] = 0;
    buffer[2] = (uint8_t)width;
    for (size_t i = 0; i < count; i++) {
        held = held << width | ((symbols[i] >> SKYBOOK_ROW_BITS) & mask);
        for (bits += width; bits >= 8; bits -= 8) {
            buffer[length] = (uint8_t)(held >> (bits - 8));
            length++;
        }
    }
    if (bits > 0) {
        buffer[length] = (uint8_t)(held << (8 - bits));
        length++;
    }
    return length;
}
