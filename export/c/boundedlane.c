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

/* Put a residual: its low bits, which of most are none, or all where it escapes, and its symbol. */
static void put_residual(struct skybook_lane *lane, uint32_t symbol)
{
    const uint32_t row = symbol >> SKYBOOK_ROW_PLACE, name = row % SKYBOOK_ROW;
    const int32_t residual = (int16_t)(symbol & 0xFFFFu);
    uint32_t own = skybook_bounded_symbols[row];
    if (own == 0) {
        if (name == SKYBOOK_NO_SYMBOL) {
            return;
        }
        skybook_put_raw(lane, (uint32_t)(residual + 32768) & 255u, 8, false);
        skybook_put_raw(lane, (uint32_t)(residual + 32768) >> 8, 8, false);
        own = skybook_bounded_symbols[row - name + SKYBOOK_ESCAPE];
    } else {
        const uint32_t rest = skybook_rest_bits(name);
        const uint32_t size = (uint32_t)(residual < 0 ? -residual : residual);
        skybook_put_raw(lane, (size - 1) & (((uint32_t)1 << rest) - 1u), rest, false);
    }
    skybook_put_symbol(lane, own & 4095u, 4096u - (own >> 12), false);
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

/* A lane that is being written, from its last unit to its first. */
struct course {
    struct skybook_lane lane;
    uint32_t first, unit; /* units from the first up to this one are left */
};

static bool has_ended(const struct course *course)
{
    return course->unit <= course->first || course->lane.full;
}

/* Put the last unit that is left and, if it is the first of a band, what stands before it. */
static void put_unit(const struct skybook_work *work, uint32_t pixels, struct course *course)
{
    const uint32_t unit = --course->unit, number = unit / pixels, symbol = work->symbols[unit];
    const struct skybook_band *band = &work->scratch.bounded.bands[number];
    if (band->mode == MODE_RAW && symbol >> SKYBOOK_ROW_PLACE == 0) {
        put_number(&course->lane, symbol & 0xFFFFu, band->width);
    } else {
        put_residual(&course->lane, symbol);
    }
    for (uint32_t i = unit % pixels == 0 ? band->side : 0; i > 0; i--) {
        put_side(&course->lane, work->side[number * SKYBOOK_MOST_SIDE + i - 1]);
    }
}

/* How many units are residuals that certainly fit, none of them the first of a band. */
static uint32_t run_of(const struct skybook_work *work, uint32_t pixels, const struct course *course)
{
    const uint32_t number = (course->unit - 1) / pixels, second = number * pixels + 1;
    const uint32_t least = course->first > second ? course->first : second;
    const size_t fit = skybook_free(&course->lane) / MOST_BYTES;
    if (work->scratch.bounded.bands[number].mode == MODE_RAW || course->unit <= least) {
        return 0;
    }
    return fit < course->unit - least ? (uint32_t)fit : course->unit - least;
}

/* Put a residual, that fits, whose symbol has a start and a frequency. Its low bits may be none: then putting
 * them changes nothing, and no branch is needed that would be as often wrong. */
static inline void put_usual(struct skybook_lane *lane, uint32_t symbol, uint32_t own)
{
    const uint32_t rest = skybook_rest_bits(symbol >> SKYBOOK_ROW_PLACE & (SKYBOOK_ROW - 1u));
    const int32_t residual = (int16_t)(symbol & 0xFFFFu);
    const uint32_t size = (uint32_t)(residual < 0 ? -residual : residual);
    skybook_put_raw(lane, (size - 1) & (((uint32_t)1 << rest) - 1u), rest, true);
    skybook_put_symbol(lane, own & 4095u, 4096u - (own >> 12), true);
}

/* Go on with a lane alone. */
static void put_alone(const struct skybook_work *work, uint32_t pixels, struct course *course)
{
    struct skybook_lane lane = course->lane; /* nothing points to it, so it stays in registers */
    const uint32_t *symbols = &work->symbols[course->unit - 1];
    const uint32_t run = run_of(work, pixels, course);
    uint32_t count = 0;
    for (; count < run; count++) {
        const uint32_t symbol = *symbols--, own = skybook_bounded_symbols[symbol >> SKYBOOK_ROW_PLACE];
        if (own == 0) {
            break;
        }
        put_usual(&lane, symbol, own);
    }
    course->lane = lane;
    course->unit -= count;
    if (!has_ended(course)) {
        put_unit(work, pixels, course);
    }
}

/* Go on with two lanes, of which neither has ended: a symbol waits for the one before it, but not for that
 * of the other lane. */
static void put_both(const struct skybook_work *work, uint32_t pixels, struct course *one, struct course *other)
{
    struct skybook_lane lane = one->lane, others = other->lane;
    const uint32_t *symbols = &work->symbols[one->unit - 1], *of_other = &work->symbols[other->unit - 1];
    const uint32_t run = run_of(work, pixels, one), of_others = run_of(work, pixels, other);
    const uint32_t most = run < of_others ? run : of_others;
    struct course *next = run > of_others ? other : one; /* whose next unit is put by itself */
    uint32_t count = 0;
    for (; count < most; count++) {
        const uint32_t a = *symbols--, b = *of_other--;
        const uint32_t own = skybook_bounded_symbols[a >> SKYBOOK_ROW_PLACE];
        const uint32_t others_own = skybook_bounded_symbols[b >> SKYBOOK_ROW_PLACE];
        if (own == 0 || others_own == 0) {
            next = own == 0 ? one : other;
            break;
        }
        put_usual(&lane, a, own);
        put_usual(&others, b, others_own);
    }
    one->lane = lane;
    other->lane = others;
    one->unit -= count;
    other->unit -= count;
    if (!has_ended(next)) {
        put_unit(work, pixels, next);
    }
}

void skybook_bounded_lanes(const struct skybook_work *work, uint32_t pixels,
                           const struct skybook_span spans[2], uint32_t count, size_t lengths[2])
{
    struct course courses[2];
    for (uint32_t i = 0; i < count; i++) {
        courses[i].lane = skybook_begin_lane(spans[i].buffer, spans[i].size);
        courses[i].first = spans[i].first;
        courses[i].unit = spans[i].stop;
    }
    while (count > 1 && !has_ended(&courses[0]) && !has_ended(&courses[1])) {
        put_both(work, pixels, &courses[0], &courses[1]);
    }
    for (uint32_t i = 0; i < count; i++) {
        while (!has_ended(&courses[i])) {
            put_alone(work, pixels, &courses[i]);
        }
        lengths[i] = skybook_end_lane(&courses[i].lane, spans[i].size);
    }
}

#endif
