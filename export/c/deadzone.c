/* Quantizer of plain tiles: a dead zone that depends on the context (SPEC.md, sections 10 and 13). */
#include <string.h>

#include "scan.h"

/* Residual of what is left of a latent in 1/64 step, taken larger by `ease`. */
int32_t skybook_quantise(int32_t away, uint32_t row, int32_t ease)
{
    const int32_t size = skybook_magnitude(away) + ease;
    const int32_t whole = size < skybook_dead[row] ? 0 : (size + skybook_rounding[row]) >> 6;
    return away < 0 ? -whole : whole;
}

void skybook_take(struct skybook_scan *scan, uint32_t place, uint32_t row, int32_t residual)
{
    struct skybook_work *work = scan->work;
    const uint32_t cost = skybook_cost(row, residual);
    scan->escapes += skybook_is_escape(row, cost);
    work->costs[scan->unit + place] += cost;
    work->symbols[scan->written] = (uint32_t)residual << SKYBOOK_ROW_BITS | row;
    scan->written++;
}

#define MOST_COUNTED 255u /* channels that a byte counts */

/* Add what was counted to the symbols of each position of the layer. */
static void move_counts(struct skybook_scan *scan)
{
    uint32_t *restrict symbols = &scan->work->before[scan->unit + 1];
    for (uint32_t i = 0; i < scan->count; i++) {
        symbols[i] += scan->counts[i];
    }
    memset(scan->counts, 0, scan->count);
}

/* Count which positions of a part are coded; below 0 if one that is not is too far from 0. */
static int32_t count_coded(const uint8_t *restrict levels, const int32_t *restrict aways, uint8_t *restrict counts)
{
    int32_t far = 0;
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        counts[i] = (uint8_t)(counts[i] + (levels[i] > 0));
    }
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const int32_t coded = levels[i] > 0;
        far |= (coded - 1) & (SKYBOOK_FARTHEST - 1 - skybook_magnitude(aways[i]));
    }
    return far;
}

void skybook_scan_levels(struct skybook_scan *scan, uint32_t channel, uint32_t number, const skybook_sum *sums,
                         const int32_t *aways, uint8_t *levels, uint64_t *coded)
{
    const uint32_t positions = scan->form->positions, count = scan->count;
    uint64_t *own = &coded[number * positions / SKYBOOK_PART];
    int32_t far = 0;
    for (uint32_t part = 0; part < positions; part += SKYBOOK_PART) {
        const uint32_t left = count > part ? count - part : 0;
        skybook_find_levels(&sums[part], scan->work->dependent, (uint32_t)scan->least_sum,
                            scan->work->floors[channel], &levels[part]);
        if (left < SKYBOOK_PART) { /* what the tile does not have is 0 and no symbol */
            memset(&levels[part + left], 0, SKYBOOK_PART - left);
        }
        own[part / SKYBOOK_PART] = skybook_above_0(&levels[part]);
        far |= count_coded(&levels[part], &aways[part], &scan->counts[part]);
    }
    if (number % MOST_COUNTED == MOST_COUNTED - 1) {
        move_counts(scan);
    }
    scan->far |= far < 0;
}

uint32_t skybook_find_places(struct skybook_scan *scan, uint32_t next[SKYBOOK_POSITIONS])
{
    uint32_t *before = &scan->work->before[scan->unit], found = 0;
    move_counts(scan);
    for (uint32_t i = 0; i < scan->count; i++) {
        next[i] = found;
        found += before[i + 1];
        before[i + 1] = scan->written + found;
    }
    return found;
}

/* Make those symbols of a channel that come before `upto` of other tables, as a sign is hidden after them or theirs
 * is. */
static void mark_hidden(const uint32_t *restrict symbols, const uint8_t *restrict upto, uint32_t number,
                        uint32_t *restrict marked)
{
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        marked[i] = symbols[i] + (number < upto[i] ? SKYBOOK_HIDDEN_ROW : 0);
    }
}

/* The most of any position. */
static uint32_t most_upto(const uint8_t *restrict upto)
{
    uint8_t most = 0;
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        most = upto[i] > most ? upto[i] : most;
    }
    return most;
}

/* Take the symbols of a part of a channel, those of each position to where its next one comes; how many are
 * escapes. */
static inline uint32_t take_part(const uint32_t *restrict symbols, const uint32_t *restrict marked, uint64_t coded,
                                 uint32_t *restrict taken, uint32_t *restrict next, uint32_t *restrict costs)
{
    uint32_t escapes = 0;
#if SKYBOOK_COSTS_BY_PART
    uint16_t places[SKYBOOK_PART];
    skybook_find_costs(symbols, places);
#endif
    for (uint64_t bits = coded; bits > 0; bits &= bits - 1) {
        const uint32_t i = skybook_lowest_bit_of_64(bits), symbol = marked[i];
#if SKYBOOK_COSTS_BY_PART
        const uint32_t cost = skybook_cost_at(places[i]);
#else
        const uint32_t cost = skybook_cost_of(symbols[i]);
#endif
        escapes += skybook_is_escape(symbol, cost);
        costs[i] += cost;
        taken[next[i]++] = symbol;
    }
    return escapes;
}

/* Take the symbols of a layer of so many channels, which come position by position. */
static void take_layer(struct skybook_scan *scan, uint32_t channels)
{
    const struct skybook_layer *layer = &scan->work->layer.plain;
    const uint8_t *upto = scan->work->scratch.hiding.upto;
    const uint32_t positions = scan->form->positions;
    uint32_t next[SKYBOOK_POSITIONS], most[SKYBOOK_POSITIONS / SKYBOOK_PART], escapes = 0;
    uint32_t *taken = &scan->work->symbols[scan->written], *costs = &scan->work->costs[scan->unit];
    const uint32_t found = skybook_find_places(scan, next);
    for (uint32_t channel = 0; channel < channels; channel++) {
        const uint32_t number = channel % SKYBOOK_RUN;
        const uint8_t *own_upto = &upto[channel / SKYBOOK_RUN * positions];
        for (uint32_t first = 0; first < positions; first += SKYBOOK_PART) {
            const uint32_t place = channel * positions + first;
            const uint32_t *symbols = &layer->symbols[place], *marked = symbols;
            uint32_t room[SKYBOOK_PART], *own_most = &most[first / SKYBOOK_PART];
            if (number == 0) {
                *own_most = scan->hides ? most_upto(&own_upto[first]) : 0;
            }
            if (number < *own_most) {
                mark_hidden(symbols, &own_upto[first], number, room);
                marked = room;
            }
            escapes += take_part(symbols, marked, layer->coded[place / SKYBOOK_PART], taken, &next[first],
                                 &costs[first]);
        }
    }
    scan->unit += scan->count;
    scan->written += found;
    scan->escapes += escapes;
}

/* Find the level of a channel's mean magnitude, and the bits that this as its floor would save. */
static void measure_floor(struct skybook_scan *scan, uint32_t channel, const int32_t *aways,
                          const uint32_t *symbols)
{
    struct skybook_work *work = scan->work;
    const uint32_t least = SKYBOOK_SKIP + 1;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < scan->count; i++) {
        sum += (uint32_t)skybook_magnitude(aways[i]);
    }
    const uint64_t mean = SKYBOOK_SUM_UNITS * sum / scan->count;
    const uint32_t level = skybook_level(mean > 0 ? (uint32_t)mean : 1);
    const uint32_t floor = scan->row + (level > least ? level : least);
    int32_t saved = 0;
    for (uint32_t i = 0; i < scan->count; i++) {
        const int32_t residual = skybook_residual(symbols[i]);
        const uint32_t row = skybook_row(symbols[i]);
        const uint32_t raised = row > floor ? row : floor;
        saved += (int32_t)skybook_cost(row, residual) - (int32_t)skybook_cost(raised, residual);
    }
    work->wanted_floors[channel] = (uint8_t)(floor - scan->row);
    work->saved[channel] = saved;
}

/* Note what is lost of a channel of AC at each position. */
static void weigh(struct skybook_scan *scan, uint32_t channel, const int32_t *aways,
                  const uint8_t *levels, const uint32_t *symbols)
{
    struct skybook_work *work = scan->work;
    for (uint32_t i = 0; i < scan->count; i++) {
        const int32_t residual = skybook_residual(symbols[i]);
        const uint32_t row = levels[i] > 0 ? scan->row + levels[i] : 0;
        work->losses.of_ac[i] += skybook_power_of(scan, channel, i) * skybook_lost(aways[i], residual, row);
        work->losses.symbols[i] += residual != 0;
    }
}

/* Quantise a part of a channel where it is coded: symbols and sizes of residuals, 0 where it is not; all
 * sizes, ORed. Also what is left of latents, as signs are hidden by it. */
static uint32_t quantise(uint32_t row, const int32_t *restrict aways, const uint8_t *restrict borders,
                         const uint8_t *restrict levels, const struct skybook_rules *restrict rules,
                         uint32_t *restrict symbols, uint8_t *restrict sizes, uint8_t *restrict low,
                         uint8_t *restrict signs)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const int32_t sign = aways[i] >> 31, away = (aways[i] ^ sign) - sign;
        const int32_t size = away + SKYBOOK_BORDER_EASE * borders[i], dead = rules->dead[i];
        const int32_t rounded = (size + rules->rounding[i]) >> 6, whole = levels[i] > 0 && size >= dead ? rounded : 0;
        symbols[i] = (uint32_t)((whole ^ sign) - sign) << SKYBOOK_ROW_BITS | (row + levels[i]);
        sizes[i] = (uint8_t)(whole < SKYBOOK_SIZE_CAP ? whole : SKYBOOK_SIZE_CAP);
        low[i] = (uint8_t)size;
        signs[i] = (uint8_t)sign;
        all |= (uint32_t)whole;
    }
    return all;
}

/* Quantise a channel of AC, the one of a layer that has this number. */
static void scan_channel(struct skybook_scan *scan, uint32_t channel, uint32_t number)
{
    skybook_sum sums[SKYBOOK_POSITIONS];
    int32_t aways[SKYBOOK_POSITIONS];
    uint8_t levels[SKYBOOK_POSITIONS];
    struct skybook_layer *layer = &scan->work->layer.plain;
    struct skybook_hiding *hiding = &scan->work->scratch.hiding;
    const uint32_t positions = scan->form->positions, in_run = number % SKYBOOK_RUN;
    uint32_t *symbols = &layer->symbols[number * positions], all = 0;
    skybook_ac_context(scan->form, scan->work, channel, sums);
    skybook_scan_latents(scan, channel, aways);
    skybook_scan_levels(scan, channel, number, sums, aways, levels, layer->coded);
    for (uint32_t i = 0; i < positions && scan->thrift > 0; i++) {
        aways[i] = skybook_nearer(scan->thrift, channel + i, aways[i]);
    }
    for (uint32_t part = 0; part < positions; part += SKYBOOK_PART) {
        struct skybook_rules rules;
        uint8_t *sizes = &skybook_sizes(scan, channel)[part], *low = &hiding->low[in_run * positions + part];
        skybook_look_up(&skybook_dead[scan->row], &levels[part], rules.dead);
        skybook_look_up(&skybook_rounding[scan->row], &levels[part], rules.rounding);
        all |= quantise(scan->row, &aways[part], &scan->work->borders[part], &levels[part], &rules, &symbols[part],
                        sizes, low, &hiding->signs[in_run * positions + part]);
        if (scan->hides) {
            skybook_follow(&hiding->followed[part / SKYBOOK_PART], in_run, &levels[part], sizes, low, &rules);
        }
    }
    hiding->any[in_run] = all > 0;
    if (scan->weighs) {
        weigh(scan, channel, aways, levels, symbols);
    }
    if (scan->measures) {
        measure_floor(scan, channel, aways, symbols);
    }
}

void skybook_scan_plain_layer(struct skybook_scan *scan, uint32_t first, uint32_t stop)
{
    for (uint32_t begin = first; begin < stop; begin += SKYBOOK_RUN) {
        const uint32_t end = stop - begin < SKYBOOK_RUN ? stop : begin + SKYBOOK_RUN;
        skybook_begin_run(scan);
        for (uint32_t channel = begin; channel < end; channel++) {
            scan_channel(scan, channel, channel - first);
        }
        if (scan->hides) {
            skybook_hide(scan, first, begin, end);
        }
        for (uint32_t channel = begin; channel < end; channel++) {
            skybook_know_channel(scan->form, scan->work, channel, scan->work->scratch.hiding.any[channel - begin]);
        }
    }
    take_layer(scan, stop - first);
}
