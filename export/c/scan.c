/* Quantizer: the symbols of a tile at a step, layer by layer, and what they cost (SPEC.md,
 * sections 10 and 11). */
#include <string.h>

#include "parts.h"

#define LARGEST 31
#define BIT 256
#define RAW_BITS 16      /* after an escape */
#define ESCAPE_BITS 28   /* at most, low bits left out */
#define FEWEST_ESCAPES 8 /* of a tile's bits at most one in so many goes to escapes, or it is full */
#define FARTHEST 112    /* 1/64 steps from 0 from which on no symbol is left out */
#define BORDER_EASE 2   /* 1/64 steps for each border that a position is next to */
#define BORDER_WORTH 11 /* sixteenths, the same */
#define THRIFT_SHARES 64 /* units of thrift in 1/64 step; symbols take turns to be 1/64 step nearer to 0 */

/* What a scan needs at hand. */
struct scan {
    const struct skybook_form *form;
    struct skybook_work *work;
    int32_t mantissa, half;
    unsigned shift;
    uint32_t rows, cols, count; /* positions */
    uint32_t unit;              /* the layer's first */
    uint32_t found;             /* symbols of the layer */
    uint32_t written;           /* symbols of earlier layers */
    uint32_t row;               /* the layer's first table */
    bool measures;              /* whether to find the floors of the channels */
    uint32_t thrift;            /* how much nearer to 0 symbols of AC are taken */
    int32_t least_sum;          /* of which a symbol is coded */
    int32_t far_above, far_below; /* latents from which on they are too far from 0 to be left out */
    bool far;                   /* whether one was left out that is */
    uint32_t escapes;           /* residuals that have no symbol of their own */
    uint32_t sum;               /* of the latents as they are read */
};

static int32_t magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* Residual of what is left of a latent in 1/64 step, taken larger by `ease`. */
static int32_t quantise(int32_t away, uint32_t row, int32_t ease)
{
    const int32_t size = magnitude(away) + ease;
    if (size < skybook_dead[row]) {
        return 0;
    }
    const int32_t whole = (size + skybook_rounding[row]) >> 6;
    return away < 0 ? -whole : whole;
}

/* The latents of a channel. */
static const int32_t *latents_of(const struct scan *scan, uint32_t channel)
{
    return &scan->work->latents[scan->form->order[channel] * scan->form->positions];
}

/* The sizes of the symbols of a channel. */
static uint8_t *sizes_of(const struct scan *scan, uint32_t channel)
{
    return &scan->work->known[channel * scan->form->positions];
}

static int32_t scaled(const struct scan *scan, int32_t latent)
{
    return (latent * scan->mantissa + scan->half) >> scan->shift;
}

/* What is left of a latent of AC, nearer to 0 by thrift, so that it takes fewer bits. */
static int32_t nearer(uint32_t thrift, uint32_t turn, int32_t away)
{
    const int32_t less = (int32_t)((thrift + turn % THRIFT_SHARES) / THRIFT_SHARES);
    const int32_t size = magnitude(away) > less ? magnitude(away) - less : 0;
    return away < 0 ? -size : size;
}

static uint32_t level_of(const struct scan *scan, uint32_t channel, uint32_t sum)
{
    const uint32_t level = skybook_level(sum), floor = scan->work->floors[channel];
    return level > floor ? level : floor;
}

/* Note whether one of a channel of AC that is left out is too far from 0, and the sum of all. */
static void look_for_far(struct scan *scan, uint32_t channel, const skybook_sum *sums)
{
    const int32_t *latents = latents_of(scan, channel);
    const int32_t above = scan->far_above, below = scan->far_below, least = scan->least_sum;
    uint32_t sum = 0;
    int32_t far = 0;
    for (uint32_t i = 0; i < scan->count; i++) {
        sum += (uint32_t)latents[i];
        far |= ((int32_t)sums[i] < least) & ((latents[i] >= above) | (latents[i] <= below));
    }
    scan->sum += sum;
    scan->far = scan->far || far != 0;
}

static uint32_t cost_of(uint32_t row, int32_t residual)
{
    const int32_t high = residual >> skybook_shifts[row % SKYBOOK_LEVELS];
    const uint32_t symbol = magnitude(high) > LARGEST ? 2 * LARGEST + 1 : (uint32_t)(high + LARGEST);
    return skybook_costs[row][symbol];
}

/* Whether a cost is that of an escape; no other symbol takes 16 bits besides low ones. */
static bool is_escape(uint32_t row, uint32_t cost)
{
    return cost >= BIT * (RAW_BITS + (uint32_t)skybook_shifts[row % SKYBOOK_LEVELS]);
}

/* Take the symbol of a residual and its cost. */
static void take(struct scan *scan, uint32_t place, uint32_t row, int32_t residual)
{
    struct skybook_work *work = scan->work;
    const uint32_t cost = cost_of(row, residual);
    scan->escapes += is_escape(row, cost);
    work->costs[scan->unit + place] += cost;
    work->found[scan->found] = (uint32_t)residual << SKYBOOK_ROW_BITS | row;
    work->owners[scan->found] = (uint16_t)place;
    work->before[scan->unit + place + 1]++;
    scan->found++;
}

/* Put the symbols of a layer in order of position; they were found channel by channel. */
static void sort_layer(struct scan *scan, uint32_t places)
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
        work->symbols[before[work->owners[i]]++] = work->found[i];
    }
    scan->written = next;
    scan->found = 0;
    scan->unit += places;
}

/* Add a symbol to the path of a lattice; those of a place come together. */
static void add_step(struct scan *scan, uint32_t channel, uint32_t position, uint32_t level,
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

/* What the index of a step stands for, in half steps. */
static int32_t point_of(const struct skybook_path *path, uint32_t step)
{
    const int32_t index = path->away[step], odd = path->states[step] & 1;
    return 2 * index - (index > 0 ? odd : index < 0 ? -odd : 0);
}

/* Choose the indices of a layer whose steps and counts `before` are known, and take them. */
static void take_path(struct scan *scan, uint32_t places)
{
    struct skybook_work *work = scan->work;
    struct skybook_path *path = &work->scratch.path;
    const uint32_t *before = &work->before[scan->unit];
    uint8_t state = 0;
    skybook_choose_path(path);
    for (uint32_t place = places; place-- > 0;) {
        uint32_t cost = 0;
        for (uint32_t next = before[place]; next < before[place + 1]; next++) {
            const uint32_t step = next - scan->written;
            const uint32_t set = SKYBOOK_LEVELS * (path->states[step] & 1u);
            const uint32_t row = path->rows[step] + set;
            const uint32_t own = cost_of(row, path->away[step]);
            scan->escapes += is_escape(row, own);
            cost += own;
            work->symbols[next] = (uint32_t)path->away[step] << SKYBOOK_ROW_BITS | row;
        }
        if (before[place] < before[place + 1]) {
            state = path->states[before[place] - scan->written];
        }
        work->states[scan->unit + place] = state;
        work->costs[scan->unit + place] = cost;
    }
    scan->written += path->count;
    scan->unit += places;
}

/* The lattice of a position: both row and column even, both odd, the rest. */
static uint32_t lattice_of(uint32_t row, uint32_t col)
{
    return (row ^ col) & 1u ? 2 : row & 1u;
}

/* Code the DC of all components at a position. */
static void scan_dc(struct scan *scan, uint32_t lattice, uint32_t row, uint32_t col, uint32_t place)
{
    struct skybook_work *work = scan->work;
    const uint32_t position = row * scan->cols + col;
    int32_t predicted[SKYBOOK_MAX_BANDS];
    uint32_t sums[SKYBOOK_MAX_BANDS];
    skybook_dc_context(scan->form, work, lattice, row, col, predicted, sums);
    for (uint32_t band = 0; band < scan->form->bands; band++) {
        const uint32_t level = level_of(scan, band, work->dependent ? sums[band] >> 1 : sums[band]);
        const int32_t latent = latents_of(scan, band)[position];
        const int32_t away = scaled(scan, latent) - (work->dependent ? 32 : 64) * predicted[band];
        int32_t residual = 0;
        scan->sum += (uint32_t)latent;
        if ((int32_t)level <= SKYBOOK_SKIP) {
            scan->far |= magnitude(away) >= FARTHEST;
        } else if (work->dependent) {
            add_step(scan, band, position, level, away);
        } else {
            residual = quantise(away, scan->row + level, 0);
            take(scan, place, scan->row + level, residual);
        }
        work->dc[band * scan->form->positions + position] = residual + predicted[band];
    }
}

/* Code the DC of a lattice. */
static void scan_lattice(struct scan *scan, uint32_t lattice)
{
    struct skybook_work *work = scan->work;
    const struct skybook_path *path = &work->scratch.path;
    uint32_t place = 0;
    for (uint32_t row = 0; row < scan->rows; row++) {
        for (uint32_t col = 0; col < scan->cols; col++) {
            if (lattice_of(row, col) == lattice) {
                scan_dc(scan, lattice, row, col, place++);
                if (work->dependent) {
                    work->before[scan->unit + place] = scan->written + path->count;
                }
            }
        }
    }
    if (!work->dependent) {
        sort_layer(scan, place);
        return;
    }
    take_path(scan, place);
    for (uint32_t i = 0; i < path->count; i++) {
        work->dc[path->channels[i] * scan->form->positions + path->positions[i]] +=
            point_of(path, i);
    }
}

/* Find the level of a channel's mean magnitude, and the bits that this as its floor would save of
 * the symbols from `first` on. */
static void measure_floor(struct scan *scan, uint32_t channel, uint32_t first)
{
    struct skybook_work *work = scan->work;
    const int32_t *latents = latents_of(scan, channel);
    const uint32_t least = SKYBOOK_SKIP + 1;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < scan->count; i++) {
        sum += (uint32_t)magnitude(scaled(scan, latents[i]));
    }
    const uint64_t mean = SKYBOOK_SUM_UNITS * sum / scan->count;
    const uint32_t level = skybook_level(mean > 0 ? (uint32_t)mean : 1);
    const uint32_t floor = scan->row + (level > least ? level : least);
    int32_t saved = 0;
    for (uint32_t i = first; i < scan->found; i++) {
        const int32_t residual = (int32_t)work->found[i] >> SKYBOOK_ROW_BITS;
        const uint32_t row = work->found[i] & ((1u << SKYBOOK_ROW_BITS) - 1u);
        const uint32_t raised = row > floor ? row : floor;
        saved += (int32_t)cost_of(row, residual) - (int32_t)cost_of(raised, residual);
    }
    work->wanted_floors[channel] = (uint8_t)(floor - scan->row);
    work->saved[channel] = saved;
}

/* Code a channel of AC, if any of its symbols is large enough to be coded. */
static void scan_channel(struct scan *scan, uint32_t channel)
{
    struct skybook_work *work = scan->work;
    skybook_sum sums[SKYBOOK_POSITIONS];
    skybook_ac_context(scan->form, work, channel, sums);
    const int32_t *latents = latents_of(scan, channel);
    uint8_t *sizes = sizes_of(scan, channel);
    const uint32_t first = scan->found, thrift = scan->thrift;
    uint32_t any = 0;
    look_for_far(scan, channel, sums);
    for (uint32_t i = 0; i < scan->count; i++) {
        uint32_t size = 0;
        if ((int32_t)sums[i] >= scan->least_sum) {
            const uint32_t row = scan->row + level_of(scan, channel, sums[i]);
            const int32_t ease = BORDER_EASE * work->borders[i];
            int32_t away = scaled(scan, latents[i]);
            if (thrift > 0) {
                away = nearer(thrift, channel + i, away);
            }
            const int32_t residual = quantise(away, row, ease);
            take(scan, i, row, residual);
            size = (uint32_t)magnitude(residual);
        }
        sizes[i] = (uint8_t)(size < SKYBOOK_SIZE_CAP ? size : SKYBOOK_SIZE_CAP);
        any |= size;
    }
    skybook_know_channel(scan->form, work, channel, any != 0);
    if (scan->measures) {
        measure_floor(scan, channel, first);
    }
}

/* What a bit of a channel is worth next to so many borders, above and below counting as one. */
static uint16_t worth_at(const struct scan *scan, uint32_t channel, uint32_t borders)
{
    uint32_t worth = skybook_worth[scan->form->models[channel]];
    for (uint32_t i = 0; i < borders; i++) {
        worth = worth * BORDER_WORTH >> 4;
    }
    return (uint16_t)worth;
}

/* Find the symbols of a layer of AC that are coded, position by position. */
static void find_steps(struct scan *scan, uint32_t first, uint32_t stop)
{
    struct skybook_work *work = scan->work;
    struct skybook_path *path = &work->scratch.path;
    for (uint32_t channel = first; channel < stop; channel++) {
        skybook_sum *sums = &path->sums[(channel - first) * scan->form->positions];
        skybook_ac_context(scan->form, work, channel, sums);
        look_for_far(scan, channel, sums);
    }
    for (uint32_t i = 0; i < scan->count; i++) {
        for (uint32_t channel = first; channel < stop; channel++) {
            path->channels[path->count] = (uint16_t)channel;
            path->positions[path->count] = (uint16_t)i;
            const uint32_t sum = path->sums[(channel - first) * scan->form->positions + i];
            path->count += (int32_t)sum >= scan->least_sum;
        }
        work->before[scan->unit + i + 1] = scan->written + path->count;
    }
    for (uint32_t i = 0; i < path->count; i++) {
        const uint32_t channel = path->channels[i], position = path->positions[i];
        const uint32_t sum = path->sums[(channel - first) * scan->form->positions + position];
        path->rows[i] = (uint16_t)(scan->row + level_of(scan, channel, sum >> 1));
        path->worths[i] = worth_at(scan, channel, work->borders[position]);
        const int32_t away = scaled(scan, latents_of(scan, channel)[position]);
        path->away[i] = nearer(scan->thrift, channel + position, away);
    }
}

/* Code a layer of AC along a trellis. */
static void scan_layer(struct scan *scan, uint32_t first, uint32_t stop)
{
    struct skybook_work *work = scan->work;
    const struct skybook_path *path = &work->scratch.path;
    find_steps(scan, first, stop);
    take_path(scan, scan->count);
    for (uint32_t i = 0; i < path->count; i++) {
        const int32_t size = magnitude(point_of(path, i));
        const uint32_t channel = path->channels[i];
        sizes_of(scan, channel)[path->positions[i]] =
            (uint8_t)(size < SKYBOOK_HALF_SIZE_CAP ? size : SKYBOOK_HALF_SIZE_CAP);
        work->active[channel] |= size > 0;
    }
    for (uint32_t channel = first; channel < stop; channel++) {
        skybook_know_channel(scan->form, work, channel, work->active[channel]);
    }
}

static void begin(struct scan *scan, const struct skybook_form *form, struct skybook_work *work,
                  const struct skybook_tile *tile, unsigned code)
{
    memset(scan, 0, sizeof(*scan));
    scan->form = form;
    scan->work = work;
    scan->mantissa = skybook_mantissas[code & 15u];
    const int32_t shift = 8 + (int32_t)(code >> 4) - tile->shift;
    scan->shift = shift > 0 ? (unsigned)shift : 1u;
    scan->half = 1 << (scan->shift - 1);
    scan->least_sum = work->full ? 0 : (work->dependent ? 2 : 1) * SKYBOOK_LEAST_SUM;
    const int32_t step = 1 << scan->shift, round = scan->mantissa - 1;
    scan->far_above = (FARTHEST * step - scan->half + round) / scan->mantissa;
    scan->far_below = -(((FARTHEST - 1) * step + 1 + scan->half + round) / scan->mantissa);
    scan->rows = work->positions[0];
    scan->cols = work->positions[1];
    scan->count = scan->rows * scan->cols;
    memset(work->dc, 0, sizeof(work->dc));
    memset(work->known, 0, (size_t)2 * (form->channels + form->bands) * form->positions);
    memset(work->active, 0, sizeof(work->active));
    memset(work->costs, 0, sizeof(work->costs));
    memset(work->before, 0, sizeof(work->before));
    for (uint32_t row = 0; row < scan->rows; row++) {
        const uint8_t beside = row == 0 || row + 1 == scan->rows;
        for (uint32_t col = 0; col < scan->cols; col++) {
            work->borders[row * scan->cols + col] =
                (uint8_t)(beside + (col == 0 || col + 1 == scan->cols));
        }
    }
}

/* Begin a layer, from 0 on. */
static void begin_layer(struct scan *scan, uint32_t layer)
{
    struct skybook_work *work = scan->work;
    scan->row = skybook_first_rows[work->dependent][layer];
    work->scratch.path.count = 0;
}

/* Whether more of a tile's bits than usual go to escapes. */
static bool is_unforeseen(const struct scan *scan)
{
    uint64_t bits = 0;
    for (uint32_t unit = 0; unit < scan->unit; unit++) {
        bits += scan->work->costs[unit];
    }
    return (uint64_t)scan->escapes * (FEWEST_ESCAPES * ESCAPE_BITS * BIT) > bits;
}

/* Find the symbols of a tile; whether it is to be full: one that is too far from 0 is left out, then
 * they are of no use, or symbols came that nothing foretold. `sum` is that of the latents, unless it
 * is to be full. */
static bool scan_tile(const struct skybook_form *form, struct skybook_work *work,
                      const struct skybook_tile *tile, unsigned code, bool measures, uint32_t *sum)
{
    struct scan scan;
    begin(&scan, form, work, tile, code);
    scan.measures = measures;
    scan.thrift = measures ? 0 : tile->thrift;
    for (uint32_t lattice = 0; lattice < SKYBOOK_LATTICES; lattice++) {
        begin_layer(&scan, lattice);
        scan_lattice(&scan, lattice);
    }
    skybook_know_dc(form, work);
    for (uint32_t layer = 0; layer < form->ac_layers && !scan.far; layer++) {
        const uint32_t first = form->cuts[layer], stop = form->cuts[layer + 1];
        begin_layer(&scan, SKYBOOK_LATTICES + layer);
        if (work->dependent) {
            scan_layer(&scan, first, stop);
            continue;
        }
        for (uint32_t channel = first; channel < stop; channel++) {
            scan_channel(&scan, channel);
        }
        sort_layer(&scan, scan.count);
    }
    work->units = scan.unit;
    *sum = scan.sum;
    return scan.far || is_unforeseen(&scan);
}

enum skybook_status skybook_scan(const struct skybook_form *form, struct skybook_work *work,
                                 const struct skybook_tile *tile, unsigned code, bool dependent,
                                 uint32_t most_floors)
{
    uint32_t sum = 0;
    work->dependent = dependent;
    work->full = false;
    memset(work->floors, 0, sizeof(work->floors));
    if (scan_tile(form, work, tile, code, false, &sum)) {
        work->full = true;
        work->dependent = false;
        memset(work->floors, SKYBOOK_SKIP + 1, sizeof(work->floors));
        scan_tile(form, work, tile, code, true, &sum);
        skybook_choose_floors(form, work, most_floors);
        work->dependent = dependent;
        scan_tile(form, work, tile, code, false, &sum);
    }
    return sum == work->latents_sum ? SKYBOOK_OK : SKYBOOK_ERROR_MEMORY;
}
