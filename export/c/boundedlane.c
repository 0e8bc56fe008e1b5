/* Symbols of a bounded tile: what they cost, and the lanes of its segments (SPEC.md, section 20). */
#include "bounded.h"
#include "lane.h"

#if SKYBOOK_BOUNDED

#define MOST_COST (28u * SKYBOOK_BIT) /* of a sample: 12 bits for an escape, and 16 */

#define SOME 8u
#define MOST_BYTES 6u /* of a residual: of an escape, and of 16 bits in two numbers */

/* What the sample of a unit costs, in 1/256 bit. */
static inline uint32_t cost_of(uint32_t symbol, uint32_t raw_cost)
{
    const uint32_t row = symbol >> SKYBOOK_ROW_PLACE;
    return row == 0 ? raw_cost : skybook_bounded_costs[row];
}

/* What SOME samples cost that are not sent as numbers. */
static inline uint32_t cost_of_some(const uint32_t *symbols)
{
    uint32_t cost = 0;
    for (uint32_t i = 0; i < SOME; i++) {
        cost += skybook_bounded_costs[symbols[i] >> SKYBOOK_ROW_PLACE];
    }
    return cost;
}

static uint32_t raw_cost(const struct skybook_band *band)
{
    return band->mode == MODE_RAW ? SKYBOOK_BIT * band->width : skybook_bounded_costs[0];
}

uint32_t skybook_stop_of_units(const struct skybook_work *work, uint32_t pixels, uint32_t first,
                               uint32_t last, int64_t bits)
{
    const uint32_t *symbols = work->symbols;
    for (uint32_t unit = first; unit < last;) {
        const struct skybook_band *band = &work->scratch.bounded.bands[unit / pixels];
        const uint32_t end = (unit / pixels + 1) * pixels, next = end < last ? end : last;
        const uint32_t raw = raw_cost(band);
        bits -= unit % pixels == 0 ? band->side_cost : 0;
        for (; unit + SOME <= next && band->mode != MODE_RAW; unit += SOME) {
            const uint32_t cost = cost_of_some(&symbols[unit]);
            if (bits < cost) {
                break;
            }
            bits -= cost;
        }
        for (; unit < next; unit++) {
            bits -= cost_of(symbols[unit], raw);
            if (bits < 0) {
                return unit;
            }
        }
    }
    return last;
}

/* What the largest unit costs, side information before it; no more than this where that is little. */
uint32_t skybook_largest_unit(const struct skybook_work *work, uint32_t pixels, uint32_t bands)
{
    uint32_t most = 0;
    for (uint32_t number = 0; number < bands; number++) {
        const struct skybook_band *band = &work->scratch.bounded.bands[number];
        const uint32_t *symbols = &work->symbols[number * pixels];
        const uint32_t raw = raw_cost(band), first = cost_of(symbols[0], raw) + band->side_cost;
        most = first > most ? first : most;
        for (uint32_t i = 1; i < pixels && most < MOST_COST; i++) {
            const uint32_t cost = cost_of(symbols[i], raw);
            most = cost > most ? cost : most;
        }
    }
    return most;
}

static inline void put_residual(struct skybook_lane *lane, uint32_t symbol, bool roomy)
{
    const uint32_t row = symbol >> SKYBOOK_ROW_PLACE, name = row % SKYBOOK_ROW;
    const int32_t residual = (int16_t)(symbol & 0xFFFFu);
    uint32_t own = skybook_bounded_symbols[row];
    if (own == 0) {
        if (name == SKYBOOK_NO_SYMBOL) {
            return;
        }
        skybook_put_raw(lane, (uint32_t)(residual + 32768) & 255u, 8, roomy);
        skybook_put_raw(lane, (uint32_t)(residual + 32768) >> 8, 8, roomy);
        own = skybook_bounded_symbols[row - name + SKYBOOK_ESCAPE];
    } else if (name > 32) {
        const uint32_t rest = skybook_rest_bits(name);
        const uint32_t size = (uint32_t)(residual < 0 ? -residual : residual);
        skybook_put_raw(lane, (size - 1) & (((uint32_t)1 << rest) - 1u), rest, roomy);
    }
    skybook_put_symbol(lane, own & 4095u, 4096u - (own >> 12), roomy);
}

static void put_number(struct skybook_lane *lane, uint32_t number, uint32_t bits)
{
    const uint32_t low = bits > 8 ? 8 : bits;
    if (low > 0) {
        skybook_put_raw(lane, number & (((uint32_t)1 << low) - 1u), low, false);
    }
    if (bits > 8) {
        skybook_put_raw(lane, number >> 8, bits - 8, false);
    }
}

/* Put a symbol of side information. */
static void put_side(struct skybook_lane *lane, uint32_t symbol)
{
    if (symbol >= SKYBOOK_RAW_ROWS + 2) {
        const uint32_t value = symbol - SKYBOOK_RAW_ROWS, bits = skybook_highest_bit(value);
        skybook_put_raw(lane, value - ((uint32_t)1 << bits), bits, false);
        return;
    }
    const uint32_t own = skybook_bounded_symbols[symbol];
    skybook_put_symbol(lane, own & 4095u, 4096u - (own >> 12), false);
}

size_t skybook_bounded_lane(const struct skybook_work *work, uint32_t pixels, uint32_t first,
                            uint32_t stop, uint8_t *buffer, size_t size)
{
    struct skybook_lane lane = skybook_begin_lane(buffer, size);
    for (uint32_t unit = stop; unit > first && !lane.full;) {
        const uint32_t number = (unit - 1) / pixels, start = number * pixels;
        const struct skybook_band *band = &work->scratch.bounded.bands[number];
        const uint32_t least = first > start ? first : start;
        for (; unit > least && skybook_free(&lane) >= MOST_BYTES && band->mode != MODE_RAW; unit--) {
            put_residual(&lane, work->symbols[unit - 1], true);
        }
        for (; unit > least && !lane.full; unit--) {
            const uint32_t symbol = work->symbols[unit - 1];
            if (band->mode == MODE_RAW && symbol >> SKYBOOK_ROW_PLACE == 0) {
                put_number(&lane, symbol & 0xFFFFu, band->width);
            } else {
                put_residual(&lane, symbol, false);
            }
        }
        for (uint32_t i = band->side; i > 0 && least == start; i--) {
            put_side(&lane, work->side[number * SKYBOOK_MOST_SIDE + i - 1]);
        }
    }
    return skybook_end_lane(&lane, size);
}

#endif
