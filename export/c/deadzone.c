/* Quantizer of plain tiles: a dead zone that depends on the context (SPEC.md, sections 10 and 13). */
#include "scan.h"

#define BORDER_EASE 2 /* 1/64 steps for each border that a position is next to */

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
    work->layer.found[scan->found] = (uint32_t)residual << SKYBOOK_ROW_BITS | row;
    work->owners[scan->found] = (uint16_t)place;
    work->before[scan->unit + place + 1]++;
    scan->found++;
}

/* Put the symbols of a layer in order of position; they were found channel by channel. */
void skybook_sort_layer(struct skybook_scan *scan, uint32_t places)
{
    struct skybook_work *work = scan->work;
    uint32_t *before = &work->before[scan->unit + 1];
    uint32_t next = scan->written;
    for (uint32_t i = 0; i < places; i++) {
        const uint32_t count = before[i];
        before[i] = next;
        next += count;
    }
    for (uint32_t i = 0; i < scan->found; i++) {
        work->symbols[before[work->owners[i]]++] = work->layer.found[i];
    }
    scan->written = next;
    scan->found = 0;
    scan->unit += places;
}

/* Find the level of a channel's mean magnitude, and the bits that this as its floor would save of
 * the symbols from `first` on. */
static void measure_floor(struct skybook_scan *scan, uint32_t channel, const int32_t *aways,
                          uint32_t first)
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
    for (uint32_t i = first; i < scan->found; i++) {
        const int32_t residual = (int32_t)work->layer.found[i] >> SKYBOOK_ROW_BITS;
        const uint32_t row = work->layer.found[i] & ((1u << SKYBOOK_ROW_BITS) - 1u);
        const uint32_t raised = row > floor ? row : floor;
        saved += (int32_t)skybook_cost(row, residual) - (int32_t)skybook_cost(raised, residual);
    }
    work->wanted_floors[channel] = (uint8_t)(floor - scan->row);
    work->saved[channel] = saved;
}

/* Take the symbols of a channel of AC at the positions `coded`; whether any is not 0. */
static bool take_all(struct skybook_scan *scan, uint32_t channel, const skybook_sum *restrict sums,
                     const int32_t *restrict aways, const uint8_t *restrict coded, uint32_t count)
{
    struct skybook_work *work = scan->work;
    uint8_t *restrict sizes = skybook_sizes(scan, channel);
    uint32_t *restrict costs = &work->costs[scan->unit], *restrict before = &work->before[scan->unit + 1];
    uint32_t *restrict found = &work->layer.found[scan->found];
    uint16_t *restrict owners = &work->owners[scan->found];
    const uint32_t floor = work->floors[channel], first = scan->row;
    uint32_t any = 0, escapes = 0;
    for (uint32_t n = 0; n < count; n++) {
        const uint32_t i = coded[n], level = skybook_level(sums[i]);
        const uint32_t row = first + (level > floor ? level : floor);
        const int32_t residual = skybook_quantise(aways[i], row, BORDER_EASE * work->borders[i]);
        const uint32_t cost = skybook_cost(row, residual);
        const uint32_t size = (uint32_t)skybook_magnitude(residual);
        escapes += skybook_is_escape(row, cost);
        costs[i] += cost;
        before[i]++;
        found[n] = (uint32_t)residual << SKYBOOK_ROW_BITS | row;
        owners[n] = (uint16_t)i;
        sizes[i] = (uint8_t)(size < SKYBOOK_SIZE_CAP ? size : SKYBOOK_SIZE_CAP);
        any |= size;
    }
    scan->escapes += escapes;
    scan->found += count;
    return any != 0;
}

/* Note what is lost of a channel of AC, whose symbols are those from `first` on, at each position. */
static void weigh(struct skybook_scan *scan, uint32_t channel, const int32_t *aways, uint32_t first)
{
    struct skybook_work *work = scan->work;
    for (uint32_t i = 0; i < scan->count; i++) {
        work->losses.of_ac[i] += skybook_power_of(scan, channel, i) * skybook_lost(aways[i], 0, 0);
    }
    for (uint32_t n = first; n < scan->found; n++) {
        const int32_t residual = (int32_t)work->layer.found[n] >> SKYBOOK_ROW_BITS;
        const uint32_t row = work->layer.found[n] & ((1u << SKYBOOK_ROW_BITS) - 1u);
        const uint32_t i = work->owners[n];
        const uint64_t power = skybook_power_of(scan, channel, i);
        work->losses.of_ac[i] -= power * skybook_lost(aways[i], 0, 0);
        work->losses.of_ac[i] += power * skybook_lost(aways[i], residual, row);
        work->losses.symbols[i] += residual != 0;
    }
}

void skybook_scan_channel(struct skybook_scan *scan, uint32_t channel)
{
    skybook_sum sums[SKYBOOK_POSITIONS];
    int32_t aways[SKYBOOK_POSITIONS];
    uint8_t coded[SKYBOOK_POSITIONS];
    const uint32_t first = scan->found, positions = scan->count;
    const uint32_t least = (uint32_t)scan->least_sum;
    uint32_t count = 0;
    skybook_ac_context(scan->form, scan->work, channel, sums);
    skybook_scan_latents(scan, channel, aways);
    skybook_look_for_far(scan, sums, aways);
    for (uint32_t i = 0; i < positions; i++) {
        coded[count] = (uint8_t)i;
        count += sums[i] >= least;
    }
    for (uint32_t i = 0; i < positions && scan->thrift > 0; i++) {
        aways[i] = skybook_nearer(scan->thrift, channel + i, aways[i]);
    }
    const bool any = take_all(scan, channel, sums, aways, coded, count);
    if (scan->weighs) {
        weigh(scan, channel, aways, first);
    }
    skybook_know_channel(scan->form, scan->work, channel, any);
    if (scan->measures) {
        measure_floor(scan, channel, aways, first);
    }
}
