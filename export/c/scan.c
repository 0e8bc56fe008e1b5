/* Quantizer: the symbols of a tile at a step, layer by layer, and what they cost (SPEC.md,
 * sections 10 and 11). */
#include <string.h>

#include "parts.h"

#define LATTICES 3
#define LARGEST 31

/* What a scan needs at hand. */
struct scan {
    struct skybook_work *work;
    int32_t mantissa, half;
    unsigned shift;
    uint32_t rows, cols, count; /* positions */
    uint32_t unit;              /* the layer's first */
    uint32_t found;             /* symbols of the layer */
    uint32_t written;           /* symbols of earlier layers */
    bool record;
};

static int32_t magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* Residual of what is left of a latent in 1/64 step. */
static int32_t quantise(int32_t away, uint32_t level)
{
    const int32_t size = magnitude(away);
    if (size < skybook_dead[level]) {
        return 0;
    }
    const int32_t whole = (size + skybook_rounding[level]) >> 6;
    return away < 0 ? -whole : whole;
}

static int32_t scaled(const struct scan *scan, int32_t latent)
{
    return (latent * scan->mantissa + scan->half) >> scan->shift;
}

/* Take the symbol of a residual: its cost and, if asked, itself. */
static void take(struct scan *scan, uint32_t place, uint32_t level, int32_t residual)
{
    struct skybook_work *work = scan->work;
    const int32_t high = residual >> skybook_shifts[level];
    const uint32_t symbol = magnitude(high) > LARGEST ? 2 * LARGEST + 1 : (uint32_t)(high + LARGEST);
    work->costs[scan->unit + place] += skybook_costs[level][symbol];
    if (scan->record) {
        work->found[scan->found] = (uint32_t)residual << 8 | level;
        work->owners[scan->found] = (uint16_t)place;
        work->before[scan->unit + place + 1]++;
        scan->found++;
    }
}

/* Put the symbols of a layer in order of position; they were found channel by channel. */
static void sort_layer(struct scan *scan, uint32_t places)
{
    struct skybook_work *work = scan->work;
    if (scan->record) {
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
    }
    scan->unit += places;
}

/* The lattice of a position: both row and column even, both odd, the rest. */
static uint32_t lattice_of(uint32_t row, uint32_t col)
{
    return (row ^ col) & 1u ? 2 : row & 1u;
}

static uint32_t lattice_places(const struct skybook_work *work, uint32_t lattice)
{
    const uint32_t rows = work->positions[0], cols = work->positions[1];
    const uint32_t even = (rows + 1) / 2 * ((cols + 1) / 2), odd = rows / 2 * (cols / 2);
    return lattice == 0 ? even : lattice == 1 ? odd : rows * cols - even - odd;
}

/* Code the DC of all components at a position. */
static void scan_dc(struct scan *scan, uint32_t lattice, uint32_t row, uint32_t col, uint32_t place)
{
    struct skybook_work *work = scan->work;
    const uint32_t position = row * scan->cols + col;
    int32_t predicted[SKYBOOK_BANDS];
    uint32_t sums[SKYBOOK_BANDS];
    skybook_dc_context(work, lattice, row, col, predicted, sums);
    for (uint32_t band = 0; band < SKYBOOK_BANDS; band++) {
        const uint32_t level = skybook_level(sums[band]);
        int32_t residual = 0;
        if ((int32_t)level > SKYBOOK_SKIP) {
            const int32_t latent = work->latents[skybook_order[band]][position];
            residual = quantise(scaled(scan, latent) - 64 * predicted[band], level);
            take(scan, place, level, residual);
        }
        work->dc[band][position] = residual + predicted[band];
    }
}

/* Code a channel of AC, if any of its symbols is large enough to be coded. */
static void scan_channel(struct scan *scan, uint32_t channel)
{
    struct skybook_work *work = scan->work;
    skybook_sum sums[SKYBOOK_POSITIONS];
    skybook_ac_context(work, channel - SKYBOOK_BANDS, sums);
    const int32_t *latents = work->latents[skybook_order[channel]];
    uint8_t *sizes = work->known[channel];
    uint32_t any = 0;
    for (uint32_t i = 0; i < scan->count; i++) {
        uint32_t size = 0;
        if ((int32_t)sums[i] >= SKYBOOK_LEAST_SUM) {
            const uint32_t level = skybook_level(sums[i]);
            const int32_t residual = quantise(scaled(scan, latents[i]), level);
            take(scan, i, level, residual);
            size = (uint32_t)magnitude(residual);
        }
        sizes[i] = (uint8_t)(size < SKYBOOK_SIZE_CAP ? size : SKYBOOK_SIZE_CAP);
        any |= size;
    }
    skybook_know_channel(work, channel, any != 0);
}

static void begin(struct scan *scan, struct skybook_work *work, const struct skybook_tile *tile,
                  unsigned code, bool record)
{
    memset(scan, 0, sizeof(*scan));
    scan->work = work;
    scan->mantissa = skybook_mantissas[code & 15u];
    const int32_t shift = 8 + (int32_t)(code >> 4) - tile->shift;
    scan->shift = shift > 0 ? (unsigned)shift : 1u;
    scan->half = 1 << (scan->shift - 1);
    scan->rows = work->positions[0];
    scan->cols = work->positions[1];
    scan->count = scan->rows * scan->cols;
    scan->record = record;
    memset(work->dc, 0, sizeof(work->dc));
    memset(work->known, 0, sizeof(work->known));
    memset(work->active, 0, sizeof(work->active));
    memset(work->costs, 0, sizeof(work->costs));
    memset(work->before, 0, sizeof(work->before));
}

uint64_t skybook_scan(struct skybook_work *work, const struct skybook_tile *tile, unsigned code,
                      bool record)
{
    struct scan scan;
    begin(&scan, work, tile, code, record);
    for (uint32_t lattice = 0; lattice < LATTICES; lattice++) {
        uint32_t place = 0;
        for (uint32_t row = 0; row < scan.rows; row++) {
            for (uint32_t col = 0; col < scan.cols; col++) {
                if (lattice_of(row, col) == lattice) {
                    scan_dc(&scan, lattice, row, col, place++);
                }
            }
        }
        sort_layer(&scan, place);
    }
    skybook_know_dc(work);
    for (uint32_t layer = 0; layer < SKYBOOK_AC_LAYERS; layer++) {
        for (uint32_t channel = skybook_cuts[layer]; channel < skybook_cuts[layer + 1]; channel++) {
            scan_channel(&scan, channel);
        }
        sort_layer(&scan, scan.count);
    }
    work->units = scan.unit;
    uint64_t bits = 0;
    for (uint32_t unit = 0; unit < work->units; unit++) {
        bits += work->costs[unit];
    }
    return bits;
}

void skybook_place(const struct skybook_work *work, uint32_t unit, uint32_t *layer, uint32_t *first)
{
    const uint32_t count = (uint32_t)work->positions[0] * work->positions[1];
    uint32_t left = unit;
    *layer = 1;
    while (*layer <= LATTICES && left >= lattice_places(work, *layer - 1)) {
        left -= lattice_places(work, *layer - 1);
        *layer += 1;
    }
    if (*layer > LATTICES) {
        *layer += left / count;
        left %= count;
    }
    *first = left;
}
