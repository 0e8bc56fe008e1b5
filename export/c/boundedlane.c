/* Symbols of a bounded tile: what they cost, and the lanes of its segments (SPEC.md, section 20). */
#include "bounded.h"
#include "lane.h"

#if SKYBOOK_BOUNDED

#define MOST_COST (28u * SKYBOOK_BIT) /* of a sample: 12 bits for an escape, and 16 */

#define SOME 8u
#define MOST_BYTES 6u /* of a residual: of an escape, and of 16 bits in two numbers */

/* What the sample of a unit costs, in 1/256 bit. */
static inline uint32_t cost_of(uint32_t row, uint32_t raw_cost)
{
    return row == 0 ? raw_cost : skybook_bounded_costs[row];
}

/* What SOME samples cost that are not sent as numbers. */
static inline uint32_t cost_of_some(const uint16_t *rows)
{
    uint32_t cost = 0;
    for (uint32_t i = 0; i < SOME; i++) {
        cost += skybook_bounded_costs[rows[i]];
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
    const uint16_t *rows = work->coded.rows;
    for (uint32_t unit = first; unit < last;) {
        const struct skybook_band *band = &work->scratch.bounded.bands[unit / pixels];
        const uint32_t end = (unit / pixels + 1) * pixels, next = end < last ? end : last;
        const uint32_t raw = raw_cost(band);
        bits -= unit % pixels == 0 ? band->side_cost : 0;
        for (; unit + SOME <= next && band->mode != MODE_RAW; unit += SOME) {
            const uint32_t cost = cost_of_some(&rows[unit]);
            if (bits < cost) {
                break;
            }
            bits -= cost;
        }
        for (; unit < next; unit++) {
            bits -= cost_of(rows[unit], raw);
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
        const uint16_t *rows = &work->coded.rows[number * pixels];
        const uint32_t raw = raw_cost(band), first = cost_of(rows[0], raw) + band->side_cost;
        most = first > most ? first : most;
        for (uint32_t i = 1; i < pixels && most < MOST_COST; i++) {
            const uint32_t cost = cost_of(rows[i], raw);
            most = cost > most ? cost : most;
        }
    }
    return most;
}

/* A state over the slots of a symbol, as in lane.h. */
static inline uint32_t quotient_of(uint32_t state, uint32_t others)
{
#if SKYBOOK_SMALL
    return state / (4096u - others);
#else
    return (uint32_t)(state * skybook_inverses[others] >> 44);
#endif
}

/* The lower bits of a state are put in any case; where it would become too large, they are left away. */
static inline uint32_t put_spilled(struct skybook_lane *lane, uint32_t spills)
{
    const uint32_t state = lane->state;
    skybook_put_low(lane->first - 2, state);
    lane->first -= 2 * spills;
    return SKYBOOK_TOSS_UP(spills) ? state >> 16 : state;
}

/* Put a residual, that fits, whose symbol has slots. Its low bits may be none: then putting them changes nothing, and
 * no branch is needed that would be as often wrong. They are a number with 2^width slots, by which shifts divide. */
static inline void put_usual(struct skybook_lane *lane, int32_t residual, const uint16_t *own)
{
    const uint32_t width = own[0] >> SKYBOOK_WIDTH_PLACE, others = own[1];
    const uint32_t size = (uint32_t)(residual < 0 ? -residual : residual);
    const uint32_t left = put_spilled(lane, lane->state > ((uint32_t)1 << 20 << width) - 1u);
    const uint32_t state = (left >> width << 12) + (left & (((uint32_t)1 << width) - 1u)) + (((size - 1) << width) & 4095u);
    lane->state = state;
    const uint32_t fits = put_spilled(lane, ((state + (others << 20)) & 0xFFFFFFFFu) < state);
    lane->state = fits + (own[0] & 4095u) + quotient_of(fits, others) * others;
}

/* Put the symbol of a table. */
static void put_of_table(struct skybook_lane *lane, const uint16_t *own)
{
    skybook_put_symbol(lane, own[0] & 4095u, own[1], false);
}

/* Put a residual: its low bits, or all where it escapes, and its symbol. */
static void put_residual(struct skybook_lane *lane, int32_t residual, uint32_t row)
{
    const uint32_t name = row % SKYBOOK_ROW;
    const uint16_t *own = skybook_slots_of(row);
    if (name == SKYBOOK_NO_SYMBOL) {
        return;
    }
    if (own[1] == SKYBOOK_MISSING) {
        skybook_put_raw(lane, (uint32_t)(residual + 32768) & 255u, 8, false);
        skybook_put_raw(lane, (uint32_t)(residual + 32768) >> 8, 8, false);
        put_of_table(lane, skybook_slots_of(row - name + SKYBOOK_ESCAPE));
        return;
    }
    const uint32_t rest = 12u - (own[0] >> SKYBOOK_WIDTH_PLACE);
    const uint32_t size = (uint32_t)(residual < 0 ? -residual : residual);
    skybook_put_raw(lane, (size - 1) & (((uint32_t)1 << rest) - 1u), rest, false);
    put_of_table(lane, own);
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
    put_of_table(lane, skybook_slots_of(symbol));
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
    const uint32_t unit = --course->unit, number = unit / pixels, row = work->coded.rows[unit];
    const int16_t residual = work->coded.residuals[unit];
    const struct skybook_band *band = &work->scratch.bounded.bands[number];
    if (band->mode == MODE_RAW && row == 0) {
        put_number(&course->lane, (uint16_t)residual, band->width);
    } else {
        put_residual(&course->lane, residual, row);
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

/* The least of the runs of some lanes. */
static uint32_t shortest_run(const struct skybook_work *work, uint32_t pixels, struct course *const *courses,
                             uint32_t count)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t run = run_of(work, pixels, courses[i]);
        least = run < least ? run : least;
    }
    return least;
}

/* Put the next unit by itself, if its lane goes on. */
static void put_next(const struct skybook_work *work, uint32_t pixels, struct course *course)
{
    if (!has_ended(course)) {
        put_unit(work, pixels, course);
    }
}

/* Go on with a lane alone. */
static void put_alone(const struct skybook_work *work, uint32_t pixels, struct course *course)
{
    struct skybook_lane lane = course->lane; /* nothing points to it, so it stays in registers */
    const struct skybook_residuals *coded = &work->coded;
    const uint32_t run = run_of(work, pixels, course);
    uint32_t count = 0;
    for (uint32_t unit = course->unit - 1; count < run; count++, unit--) {
        const uint16_t *own = skybook_slots_of(coded->rows[unit]);
        if (own[1] == SKYBOOK_MISSING) {
            break;
        }
        put_usual(&lane, coded->residuals[unit], own);
    }
    course->lane = lane;
    course->unit -= count;
    put_next(work, pixels, course);
}

/* Go on with two lanes, of which neither has ended: a symbol waits for the one before it, but not for that
 * of the other lane. */
static void put_two(const struct skybook_work *work, uint32_t pixels, struct course *courses[2])
{
    struct skybook_lane a = courses[0]->lane, b = courses[1]->lane;
    const struct skybook_residuals *coded = &work->coded;
    size_t of_a = courses[0]->unit, of_b = courses[1]->unit;
    const size_t stop = of_a - shortest_run(work, pixels, courses, 2);
    while (of_a > stop) {
        const uint16_t *own_a = skybook_slots_of(coded->rows[of_a - 1]);
        const uint16_t *own_b = skybook_slots_of(coded->rows[of_b - 1]);
        if (((own_a[1] | own_b[1]) & SKYBOOK_MISSING) != 0) {
            break;
        }
        of_a--, of_b--;
        put_usual(&a, coded->residuals[of_a], own_a);
        put_usual(&b, coded->residuals[of_b], own_b);
    }
    courses[0]->lane = a;
    courses[1]->lane = b;
    courses[0]->unit = (uint32_t)of_a;
    courses[1]->unit = (uint32_t)of_b;
    put_next(work, pixels, courses[0]);
    put_next(work, pixels, courses[1]);
}

/* Those that have not ended, of which there may be fewer than before; how many. */
static uint32_t keep_going(struct course *going[SKYBOOK_LANES_AT_ONCE], uint32_t count)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!has_ended(going[i])) {
            going[kept++] = going[i];
        }
    }
    return kept;
}

void skybook_bounded_lanes(const struct skybook_work *work, uint32_t pixels,
                           const struct skybook_span spans[SKYBOOK_LANES_AT_ONCE], uint32_t count,
                           size_t lengths[SKYBOOK_LANES_AT_ONCE])
{
    struct course courses[SKYBOOK_LANES_AT_ONCE], *going[SKYBOOK_LANES_AT_ONCE];
    for (uint32_t i = 0; i < count; i++) {
        courses[i].lane = skybook_begin_lane(spans[i].buffer, spans[i].size);
        courses[i].first = spans[i].first;
        courses[i].unit = spans[i].stop;
        going[i] = &courses[i];
    }
    for (uint32_t left = keep_going(going, count); left > 0; left = keep_going(going, left)) {
        if (left > 1) {
            put_two(work, pixels, going);
        } else {
            put_alone(work, pixels, going[0]);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        lengths[i] = skybook_end_lane(&courses[i].lane, spans[i].size);
    }
}

#endif
