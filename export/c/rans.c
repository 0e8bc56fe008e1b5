/* Entropy coder: a lane of symbols, written from the last to the first (SPEC.md, section 11). */
#include "lane.h"

#define ESCAPE 63
#define LARGEST 31
#define ROWS (1u << SKYBOOK_ROW_BITS)
#define MOST_BYTES 8u /* of a residual: of an escape, of 16 bits in two numbers, and of low bits */

static int32_t residual_of(uint32_t symbol)
{
    return (int32_t)symbol >> SKYBOOK_ROW_BITS;
}

/* Put a residual that no symbol of its row is of alone: it has low bits of its own, or it is an escape. False
 * if it is so large that no escape can tell it. `roomy`: MOST_BYTES are free. */
static inline bool put_residual(struct skybook_lane *lane, int32_t residual, uint32_t row, bool roomy)
{
    const unsigned shift = skybook_shifts[row % SKYBOOK_LEVELS];
    const int32_t high = residual >> shift;
    const uint32_t place = (uint32_t)(high + LARGEST);
    const uint16_t *starts = skybook_starts[row];
    uint32_t symbol = place < ESCAPE ? place : ESCAPE;
    symbol = starts[symbol] == starts[symbol + 1] ? ESCAPE : symbol;
    if (shift > 0) {
        skybook_put_raw(lane, (uint32_t)residual & ((1u << shift) - 1u), shift, roomy);
    }
    if (symbol == ESCAPE) {
        const int32_t value = high + 32768;
        if (value < 0 || value > 65535) {
            return false;
        }
        skybook_put_raw(lane, (uint32_t)(value & 255), 8, roomy);
        skybook_put_raw(lane, (uint32_t)(value >> 8), 8, roomy);
    }
    skybook_put_symbol(lane, starts[symbol], (uint32_t)starts[symbol + 1] - starts[symbol],
                       roomy);
    return true;
}

/* Put symbols from the last on as long as there is surely room for them; how many are left. Most are
 * residuals that have a symbol alone. */
static size_t put_roomy(struct skybook_lane *lane, const uint32_t *symbols, size_t count)
{
    struct skybook_lane own = *lane; /* nothing else points to it, so it stays in registers */
    size_t left = count;
    while (left > 0 && own.free >= MOST_BYTES) {
        const uint32_t symbol = symbols[left - 1], row = symbol % ROWS;
        const uint32_t place = (uint32_t)(residual_of(symbol) + LARGEST);
        const uint16_t *starts = &skybook_starts[row][place < ESCAPE ? place : ESCAPE];
        const uint32_t frequency = (uint32_t)starts[1] - starts[0];
        const bool alone = (place < ESCAPE) & (frequency > 0) & (skybook_shifts[row % SKYBOOK_LEVELS] == 0);
        if (alone) {
            skybook_put_symbol(&own, starts[0], frequency, true);
        } else if (!put_residual(&own, residual_of(symbol), row, true)) {
            break;
        }
        left--;
    }
    *lane = own;
    return left;
}

size_t skybook_lane(const uint32_t *symbols, size_t count, uint8_t *buffer, size_t size)
{
    struct skybook_lane lane = skybook_begin_lane(buffer, size);
    for (size_t left = put_roomy(&lane, symbols, count); left > 0 && !lane.full; left--) {
        if (!put_residual(&lane, residual_of(symbols[left - 1]), symbols[left - 1] % ROWS, false)) {
            return SKYBOOK_NO_LANE;
        }
    }
    return skybook_end_lane(&lane, size);
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
