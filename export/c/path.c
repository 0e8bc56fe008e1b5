/* Quantizer of dependent tiles: the symbols of a layer along a trellis (SPEC.md, sections 10 and 13). */
#include "scan.h"

#if SKYBOOK_TRELLIS

#define BORDER_WORTH 11 /* sixteenths of what a bit is worth, for each border that a position is next to */
#define WIDEST_LAYER SKYBOOK_MOST(SKYBOOK_WIDEST_LAYER(1), SKYBOOK_WIDEST_LAYER(SKYBOOK_MAX_BANDS))

/* Those of a place come together. */
void skybook_add_step(struct skybook_scan *scan, uint32_t channel, uint32_t position, uint32_t level,
                      int32_t away)
{
    struct skybook_path *path = &scan->work->scratch.path;
    path->away[path->count] = away;
    path->rows[path->count] = (scan->row + level) | (uint32_t)skybook_worth[scan->form->models[channel]] << 16;
    path->places[path->count] = (uint16_t)(channel * scan->form->positions + position);
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

/* The symbols of steps. */
static void take_steps(const int32_t *restrict indices, const uint32_t *restrict rows,
                       const uint8_t *restrict states, uint32_t count, uint32_t *restrict symbols)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = (rows[i] & 0xFFFFu) + SKYBOOK_LEVELS * (states[i] & 1u);
        symbols[i] = (uint32_t)indices[i] << SKYBOOK_ROW_BITS | row;
    }
}

/* Add what symbols cost to `cost`: what each and those before it cost; note how many escape. */
static uint32_t add_costs(const uint32_t *symbols, uint32_t count, uint32_t cost, uint32_t *costs, uint32_t *escapes)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t own = skybook_cost_of(symbols[i]);
        *escapes += skybook_is_escape(symbols[i], own);
        cost += own;
        costs[i] = cost;
    }
    return cost;
}

#if SKYBOOK_COSTS_BY_PART
/* The same of as many as are looked for at once. Few parts have a symbol that escapes. */
static uint32_t add_costs_of_part(const uint32_t *symbols, uint32_t cost, uint32_t *costs, uint32_t *escapes)
{
    uint16_t places[SKYBOOK_PART];
    uint32_t bits = 0;
    skybook_find_costs(symbols, places);
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const uint32_t own = skybook_cost_at(places[i]);
        bits |= own;
        cost += own;
        costs[i] = cost;
    }
    if (bits >= SKYBOOK_BIT * SKYBOOK_RAW_BITS) {
        *escapes += skybook_count_escapes(symbols, places);
    }
    return cost;
}
#endif

/* What each of some symbols and those before it cost; how many escape. */
static uint32_t find_costs(const uint32_t *symbols, uint32_t count, uint32_t *costs)
{
    uint32_t escapes = 0, cost = 0, done = 0;
#if SKYBOOK_COSTS_BY_PART
    for (; done + SKYBOOK_PART <= count; done += SKYBOOK_PART) {
        cost = add_costs_of_part(&symbols[done], cost, &costs[done], &escapes);
    }
#endif
    add_costs(&symbols[done], count - done, cost, &costs[done], &escapes);
    return escapes;
}

/* Choose the indices of a layer whose steps and counts `before` are known, and take them. */
void skybook_take_path(struct skybook_scan *scan, uint32_t places)
{
    struct skybook_work *work = scan->work;
    struct skybook_path *path = &work->scratch.path;
    const uint32_t *before = &work->before[scan->unit];
    uint32_t *costs = &work->costs[scan->unit], *symbols = &work->symbols[scan->written], cost = 0;
    uint32_t *sums = path->odd; /* whose bits led to the path, which is known */
    skybook_choose_path(path);
    take_steps(path->away, path->rows, path->states, path->count, symbols);
    scan->escapes += find_costs(symbols, path->count, sums);
    for (uint32_t place = 0; place < places; place++) {
        const uint32_t steps = before[place + 1] - scan->written, cost_before = cost;
        cost = steps > 0 ? sums[steps - 1] : 0;
        costs[place] = cost - cost_before;
    }
    put_states(scan, places);
    scan->written += path->count;
    scan->unit += places;
}

/* The sizes of indices, in half steps: twice the index, less 1 in an odd state but of 0. */
static void find_sizes(const int32_t *restrict indices, const uint8_t *restrict states, uint32_t count,
                       uint8_t *restrict sizes)
{
    for (uint32_t i = 0; i < count; i++) {
        const int32_t index = skybook_magnitude(indices[i]), size = 2 * index - ((index > 0) & states[i]);
        sizes[i] = (uint8_t)(size < SKYBOOK_HALF_SIZE_CAP ? size : SKYBOOK_HALF_SIZE_CAP);
    }
}

/* Note the sizes of a layer of AC. */
static void put_sizes(struct skybook_path *path, uint8_t *restrict sizes)
{
    const uint16_t *restrict places = path->places;
    const uint8_t *restrict own = path->zeros; /* which won is known */
    const uint32_t count = path->count;
    find_sizes(path->away, path->states, count, path->zeros);
    for (uint32_t i = 0; i < count; i++) {
        sizes[places[i]] = own[i];
    }
}

#define MOST_BORDERS 2u /* that a position is next to, above and below counting as one */

/* The first row of the layer with what a bit of each channel is worth next to so many borders, as steps have it. */
static void find_worths(const struct skybook_scan *scan, uint32_t first, uint32_t stop,
                        uint32_t worths[][MOST_BORDERS + 1])
{
    for (uint32_t channel = first; channel < stop; channel++) {
        uint32_t worth = skybook_worth[scan->form->models[channel]];
        for (uint32_t borders = 0; borders <= MOST_BORDERS; borders++) {
            worths[channel - first][borders] = scan->row | worth << 16;
            worth = worth * BORDER_WORTH >> 4;
        }
    }
}

/* Find the levels of a layer of AC, and what is left of its latents, channel by channel. */
static void find_levels(struct skybook_scan *scan, uint32_t first, uint32_t stop)
{
    struct skybook_work *work = scan->work;
    struct skybook_path *path = &work->scratch.path;
    const uint32_t positions = scan->form->positions;
    for (uint32_t channel = first; channel < stop; channel++) {
        skybook_sum sums[SKYBOOK_POSITIONS];
        const uint32_t number = channel - first;
        int32_t *aways = &work->layer.aways[number * positions];
        skybook_ac_context(scan->form, work, channel, sums);
        skybook_scan_latents(scan, channel, aways);
        skybook_scan_levels(scan, channel, number, sums, aways, &path->levels[number * positions], path->coded);
        for (uint32_t i = 0; i < positions && scan->thrift > 0; i++) {
            aways[i] = skybook_nearer(scan->thrift, channel + i, aways[i]);
        }
    }
}

/* Find the symbols of a layer of AC that are coded, which come position by position. */
static void find_steps(struct skybook_scan *scan, uint32_t first, uint32_t stop)
{
    struct skybook_work *work = scan->work;
    struct skybook_path *restrict path = &work->scratch.path;
    const uint32_t positions = scan->form->positions, parts = positions / SKYBOOK_PART;
    uint32_t worths[WIDEST_LAYER][MOST_BORDERS + 1];
    uint32_t next[SKYBOOK_POSITIONS];
    find_worths(scan, first, stop, worths);
    path->count = skybook_find_places(scan, next);
    for (uint32_t part = 0; part < (stop - first) * parts; part++) {
        const uint32_t start = part % parts * SKYBOOK_PART;
        for (uint64_t bits = path->coded[part]; bits > 0; bits &= bits - 1) {
            const uint32_t bit = skybook_lowest_bit_of_64(bits), i = start + bit;
            const uint32_t place = part * SKYBOOK_PART + bit, step = next[i]++;
            path->places[step] = (uint16_t)place;
            path->rows[step] = worths[part / parts][work->borders[i]] + path->levels[place];
            path->away[step] = work->layer.aways[place];
        }
    }
}

/* Note what is lost of a layer of AC at each position. `away` of a path is its index now. */
static void weigh(struct skybook_scan *scan, uint32_t first, uint32_t stop)
{
    struct skybook_work *work = scan->work;
    const struct skybook_path *path = &work->scratch.path;
    const int32_t *aways = work->layer.aways;
    const uint32_t positions = scan->form->positions;
    for (uint32_t channel = first; channel < stop; channel++) {
        for (uint32_t i = 0; i < scan->count; i++) {
            const int32_t away = aways[(channel - first) * positions + i];
            work->losses.of_ac[i] += skybook_power_of(scan, channel, i) * skybook_lost(away, 0, 0);
        }
    }
    for (uint32_t step = 0; step < path->count; step++) {
        const uint32_t place = path->places[step], i = place % positions;
        const uint32_t row = (path->rows[step] & 0xFFFFu) + SKYBOOK_LEVELS * (path->states[step] & 1u);
        const uint64_t power = skybook_power_of(scan, first + place / positions, i);
        work->losses.of_ac[i] -= power * skybook_lost(aways[place], 0, 0);
        work->losses.of_ac[i] += power * skybook_lost(aways[place], path->away[step], row);
        work->losses.symbols[i] += path->away[step] != 0;
    }
}

/* Whether any of so many bytes is not 0. */
static bool any_of(const uint8_t *bytes, uint32_t count)
{
    uint32_t all = 0;
    for (uint32_t i = 0; i < count; i++) {
        all |= bytes[i];
    }
    return all != 0;
}

void skybook_scan_layer(struct skybook_scan *scan, uint32_t first, uint32_t stop)
{
    const uint32_t positions = scan->form->positions;
    uint8_t *sizes = skybook_sizes(scan, first);
    find_levels(scan, first, stop);
    find_steps(scan, first, stop);
    skybook_take_path(scan, scan->count);
    if (scan->weighs) {
        weigh(scan, first, stop);
    }
    put_sizes(&scan->work->scratch.path, sizes);
    for (uint32_t channel = first; channel < stop; channel++) {
        const bool any = any_of(&sizes[(channel - first) * positions], positions);
        skybook_know_channel(scan->form, scan->work, channel, any);
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
