/* Quantizer of dependent tiles: the symbols of a layer along a trellis (SPEC.md, sections 10 and 13). */
#include "scan.h"

#if SKYBOOK_TRELLIS

#define BORDER_WORTH 11 /* sixteenths of what a bit is worth, for each border that a position is next to */

/* Those of a place come together. */
void skybook_add_step(struct skybook_scan *scan, uint32_t channel, uint32_t position, uint32_t level,
                      int32_t away)
{
    struct skybook_path *path = &scan->work->scratch.path;
    path->away[path->count] = away;
    path->rows[path->count] = (uint16_t)(scan->row + level);
    path->worths[path->count] = skybook_worth[scan->form->models[channel]];
    path->channels[path->count] = (uint16_t)channel;
    path->positions[path->count] = (uint16_t)position;
    path->count++;
}

/* Note the states of the trellis before the symbols of each place of a layer that begins with symbol
 * `first`: where it has none, before those of the next that has. */
static void put_states(struct skybook_scan *scan, uint32_t places)
{
    struct skybook_work *work = scan->work;
    const uint8_t *states = work->scratch.path.states;
    const uint32_t *before = &work->before[scan->unit];
    uint8_t state = 0;
    for (uint32_t place = places; place-- > 0;) {
        if (before[place] < before[place + 1]) {
            state = states[before[place] - scan->written];
        }
        work->states[scan->unit + place] = state;
    }
}

/* Choose the indices of a layer whose steps and counts `before` are known, and take them. */
void skybook_take_path(struct skybook_scan *scan, uint32_t places)
{
    struct skybook_work *work = scan->work;
    struct skybook_path *path = &work->scratch.path;
    const uint32_t *before = &work->before[scan->unit];
    uint32_t *restrict symbols = &work->symbols[scan->written];
    uint32_t escapes = 0, step = 0;
    skybook_choose_path(path);
    for (uint32_t place = 0; place < places; place++) {
        const uint32_t stop = before[place + 1] - scan->written;
        uint32_t cost = 0;
        for (; step < stop; step++) {
            const uint32_t set = SKYBOOK_LEVELS * (path->states[step] & 1u);
            const uint32_t row = path->rows[step] + set;
            const uint32_t own = skybook_cost(row, path->away[step]);
            escapes += skybook_is_escape(row, own);
            cost += own;
            symbols[step] = (uint32_t)path->away[step] << SKYBOOK_ROW_BITS | row;
        }
        work->costs[scan->unit + place] = cost;
    }
    put_states(scan, places);
    scan->escapes += escapes;
    scan->written += path->count;
    scan->unit += places;
}

/* What a bit of a channel is worth next to so many borders, above and below counting as one. */
static uint16_t worth_at(const struct skybook_scan *scan, uint32_t channel, uint32_t borders)
{
    uint32_t worth = skybook_worth[scan->form->models[channel]];
    for (uint32_t i = 0; i < borders; i++) {
        worth = worth * BORDER_WORTH >> 4;
    }
    return (uint16_t)worth;
}

/* Find the symbols of a layer of AC that are coded, position by position. */
static void find_steps(struct skybook_scan *scan, uint32_t first, uint32_t stop)
{
    struct skybook_work *work = scan->work;
    struct skybook_path *path = &work->scratch.path;
    const uint32_t positions = scan->form->positions;
    for (uint32_t channel = first; channel < stop; channel++) {
        skybook_sum *sums = &path->sums[(channel - first) * positions];
        int32_t *aways = &work->layer.aways[(channel - first) * positions];
        skybook_ac_context(scan->form, work, channel, sums);
        skybook_scan_latents(scan, channel, aways);
        skybook_look_for_far(scan, sums, aways);
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < scan->count; i++) {
        for (uint32_t channel = first; channel < stop; channel++) {
            path->channels[count] = (uint16_t)channel;
            path->positions[count] = (uint16_t)i;
            const uint32_t sum = path->sums[(channel - first) * positions + i];
            count += (int32_t)sum >= scan->least_sum;
        }
        work->before[scan->unit + i + 1] = scan->written + count;
    }
    path->count = count;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t channel = path->channels[i], position = path->positions[i];
        const uint32_t place = (channel - first) * positions + position;
        const uint32_t level = skybook_level((uint32_t)path->sums[place] >> 1);
        const uint32_t floor = work->floors[channel];
        path->rows[i] = (uint16_t)(scan->row + (level > floor ? level : floor));
        path->worths[i] = worth_at(scan, channel, work->borders[position]);
        path->away[i] = skybook_nearer(scan->thrift, channel + position, work->layer.aways[place]);
    }
}

/* Note what is lost of a layer of AC at each position. */
static void weigh(struct skybook_scan *scan, uint32_t first, uint32_t stop)
{
    struct skybook_work *work = scan->work;
    const struct skybook_path *path = &work->scratch.path;
    const int32_t *aways = work->layer.aways;
    for (uint32_t channel = first; channel < stop; channel++) {
        for (uint32_t i = 0; i < scan->count; i++) {
            const int32_t away = aways[(channel - first) * scan->form->positions + i];
            work->losses.of_ac[i] += skybook_power_of(scan, channel, i) * skybook_lost(away, 0, 0);
        }
    }
    for (uint32_t step = 0; step < path->count; step++) {
        const uint32_t channel = path->channels[step], i = path->positions[step];
        const int32_t away = aways[(channel - first) * scan->form->positions + i];
        const uint32_t row = path->rows[step] + SKYBOOK_LEVELS * (path->states[step] & 1u);
        const uint64_t power = skybook_power_of(scan, channel, i);
        work->losses.of_ac[i] -= power * skybook_lost(away, 0, 0);
        work->losses.of_ac[i] += power * skybook_lost(away, path->away[step], row);
        work->losses.symbols[i] += path->away[step] != 0;
    }
}

void skybook_scan_layer(struct skybook_scan *scan, uint32_t first, uint32_t stop)
{
    struct skybook_work *work = scan->work;
    const struct skybook_path *path = &work->scratch.path;
    find_steps(scan, first, stop);
    skybook_take_path(scan, scan->count);
    if (scan->weighs) {
        weigh(scan, first, stop);
    }
    for (uint32_t i = 0; i < path->count; i++) {
        const int32_t size = skybook_magnitude(skybook_point(path, i));
        const uint32_t channel = path->channels[i];
        skybook_sizes(scan, channel)[path->positions[i]] =
            (uint8_t)(size < SKYBOOK_HALF_SIZE_CAP ? size : SKYBOOK_HALF_SIZE_CAP);
        work->active[channel] |= size > 0;
    }
    for (uint32_t channel = first; channel < stop; channel++) {
        skybook_know_channel(scan->form, work, channel, work->active[channel]);
    }
}

#else

void skybook_add_step(struct skybook_scan *scan, uint32_t channel, uint32_t position, uint32_t level,
                      int32_t away)
{
    (void)scan, (void)channel, (void)position, (void)level, (void)away; /* no tile is dependent */
}

void skybook_take_path(struct skybook_scan *scan, uint32_t places)
{
    (void)scan, (void)places;
}

void skybook_scan_layer(struct skybook_scan *scan, uint32_t first, uint32_t stop)
{
    (void)scan, (void)first, (void)stop;
}
#endif
