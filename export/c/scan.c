/* Symbols of a tile at a step, layer by layer, and what they cost (SPEC.md, sections 10 and 11). */
#include <string.h>

#include "scan.h"

#define ESCAPE_BITS 28   /* at most, low bits left out */
#define FEWEST_ESCAPES 8 /* of a tile's bits at most one in so many goes to escapes, or it is full */
#define STRIDE 7         /* of positions whose error is guessed: prime to the 8 of a row */
#define AHEAD 4          /* channels by which latents are fetched before they are used */
#define LOST 44          /* 1/64 steps below which a latent is taken to be lost */
#define ROUNDED 341      /* mean square of the error of others, in (1/64 step)^2 */

/* The squared error that is expected of a latent. */
static inline uint32_t error_of(int32_t away)
{
    const uint32_t size = (uint32_t)skybook_magnitude(away), square = size * size;
    return size < LOST ? square : ROUNDED;
}

/* Latents of a channel of AC, each in 1/64 of the step of its position. */
static void scan_each(struct skybook_scan *scan, uint32_t number, int32_t *restrict aways)
{
    static const struct skybook_per_step as_they_are = {0, 0, 1};
    const struct skybook_field *field = &scan->work->field;
    scan->sum += skybook_scaled(scan->encoder, scan->column, number, &as_they_are, aways);
    for (uint32_t i = 0; i < scan->form->positions; i++) {
        aways[i] = (aways[i] * field->mantissas[i] + field->halves[i]) >> field->shifts[i];
    }
    for (uint32_t i = 0; i < scan->count; i += STRIDE) {
        scan->lost += skybook_times(error_of(aways[i]), field->coarser[i]);
    }
}

void skybook_scan_latents(struct skybook_scan *scan, uint32_t channel, int32_t *restrict aways)
{
    const uint32_t number = SKYBOOK_SMALL ? channel : scan->form->order[channel];
    uint32_t lost = 0;
    if (channel + AHEAD < scan->form->channels) {
        skybook_fetch(scan->encoder, scan->column, scan->form->order[channel + AHEAD]);
    }
    if (scan->work->field.length > 0 && channel >= scan->form->bands) {
        scan_each(scan, number, aways);
        return;
    }
    scan->sum += skybook_scaled(scan->encoder, scan->column, number, &scan->scale, aways);
    for (uint32_t i = 0; i < scan->count; i += STRIDE) {
        lost += error_of(aways[i]);
    }
    scan->lost += lost;
}

static uint32_t level_of(const struct skybook_scan *scan, uint32_t channel, uint32_t sum)
{
    const uint32_t level = skybook_level(sum), floor = scan->work->floors[channel];
    return level > floor ? level : floor;
}

/* The lattice of a position: both row and column even, both odd, the rest. */
static uint32_t lattice_of(uint32_t row, uint32_t col)
{
    return (row ^ col) & 1u ? 2 : row & 1u;
}

/* Note what is lost of the DC of a component at a position. */
static void weigh_dc(struct skybook_scan *scan, uint32_t band, uint32_t position, uint64_t lost,
                     int32_t residual)
{
    if (scan->weighs) {
        scan->work->losses.of_dc[position] += skybook_power_of(scan, band, position) * lost;
        scan->work->losses.symbols[position] += residual != 0;
    }
}

/* Code the DC of all components at a position, in the place of what is scaled of it. */
static void scan_dc(struct skybook_scan *scan, uint32_t lattice, uint32_t row, uint32_t col,
                    uint32_t place)
{
    struct skybook_work *work = scan->work;
    const uint32_t position = row * scan->cols + col;
    int32_t predicted[SKYBOOK_MAX_BANDS];
    uint32_t sums[SKYBOOK_MAX_BANDS];
    skybook_dc_context(scan->form, work, lattice, row, col, predicted, sums);
    for (uint32_t band = 0; band < scan->form->bands; band++) {
        const uint32_t level = level_of(scan, band, work->dependent ? sums[band] >> 1 : sums[band]);
        int32_t *dc = &work->dc[band * scan->form->positions + position];
        const int32_t away = *dc - (work->dependent ? 32 : 64) * predicted[band];
        int32_t residual = 0;
        if ((int32_t)level <= SKYBOOK_SKIP) {
            scan->far |= skybook_magnitude(away) >= SKYBOOK_FARTHEST;
            weigh_dc(scan, band, position, skybook_lost(away, 0, 0), 0);
        } else if (work->dependent) {
            skybook_add_step(scan, band, position, level, away);
        } else {
            residual = skybook_quantise(away, scan->row + level, 0);
            skybook_take(scan, place, scan->row + level, residual);
            weigh_dc(scan, band, position, skybook_lost(away, residual, scan->row + level), residual);
        }
        *dc = residual + predicted[band];
    }
}

/* Code the DC of a lattice. */
static void scan_lattice(struct skybook_scan *scan, uint32_t lattice)
{
    struct skybook_work *work = scan->work;
    const struct skybook_path *path = &work->scratch.path;
    uint32_t place = 0;
    for (uint32_t row = 0; row < scan->rows; row++) {
        for (uint32_t col = 0; col < scan->cols; col++) {
            if (lattice_of(row, col) == lattice) {
                scan_dc(scan, lattice, row, col, place++);
                work->before[scan->unit + place] = scan->written + path->count;
            }
        }
    }
    if (!work->dependent) {
        scan->unit += place;
        return;
    }
    for (uint32_t i = 0; i < path->count; i++) {
        work->layer.aways[i] = path->away[i];
    }
    skybook_take_path(scan, place);
    for (uint32_t i = 0; i < path->count; i++) {
        const uint32_t row = (path->rows[i] & 0xFFFFu) + SKYBOOK_LEVELS * (path->states[i] & 1u);
        const uint32_t own = path->places[i], positions = scan->form->positions;
        weigh_dc(scan, own / positions, own % positions,
                 skybook_lost(work->layer.aways[i], path->away[i], row), path->away[i]);
        work->dc[own] += skybook_point(path, i);
    }
}

void skybook_set_step(struct skybook_scan *scan, uint32_t code, uint32_t octaves)
{
    const int32_t shift = 8 + (int32_t)(code >> 4) - (int32_t)octaves;
    scan->scale.mantissa = (int16_t)skybook_mantissas[code & 15u];
    scan->scale.shift = shift > 0 ? shift : 1;
    scan->scale.half = 1 << (scan->scale.shift - 1);
}

static void begin(struct skybook_scan *scan, struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_work *work = &encoder->work;
    const struct skybook_form *form = &encoder->form;
    const struct skybook_tile *tile = &encoder->tiles[column];
    memset(scan, 0, sizeof(*scan));
    scan->renewed = skybook_renew(encoder, column);
    scan->encoder = encoder;
    scan->form = form;
    scan->work = work;
    scan->column = column;
    skybook_set_step(scan, tile->code, tile->shift);
    scan->least_sum = work->full ? 0 : (work->dependent ? 2 : 1) * SKYBOOK_LEAST_SUM;
    scan->rows = work->positions[0];
    scan->cols = work->positions[1];
    scan->count = scan->rows * scan->cols;
    skybook_know_none(form, work);
    work->before[0] = 0;
    for (uint32_t row = 0; row < scan->rows; row++) {
        const uint8_t beside = row == 0 || row + 1 == scan->rows;
        for (uint32_t col = 0; col < scan->cols; col++) {
            work->borders[row * scan->cols + col] =
                (uint8_t)(beside + (col == 0 || col + 1 == scan->cols));
        }
    }
    for (uint32_t band = 0; band < form->bands; band++) {
        skybook_scan_latents(scan, band, &work->dc[band * form->positions]);
    }
}

/* Begin a layer, from 0 on. */
static void begin_layer(struct skybook_scan *scan, uint32_t layer)
{
    struct skybook_work *work = scan->work;
    memset(&work->costs[scan->unit], 0, scan->count * sizeof(work->costs[0]));
    memset(&work->before[scan->unit + 1], 0, scan->count * sizeof(work->before[0]));
    scan->row = skybook_first_rows[work->dependent][layer];
    work->scratch.path.count = 0;
}

/* Whether more of a tile's bits than usual go to escapes. */
static bool is_unforeseen(const struct skybook_scan *scan)
{
    uint64_t bits = 0;
    for (uint32_t unit = 0; unit < scan->unit; unit++) {
        bits += scan->work->costs[unit];
    }
    return (uint64_t)scan->escapes * (FEWEST_ESCAPES * ESCAPE_BITS * SKYBOOK_BIT) > bits;
}

/* Begin to note what is lost; how positions lie: 1 in the first or last row, 2 column, 3 both. */
static void forget_losses(struct skybook_work *work)
{
    const uint32_t rows = work->positions[0], cols = work->positions[1];
    memset(&work->losses, 0, sizeof(work->losses));
    for (uint32_t i = 0; i < rows * cols; i++) {
        const bool by_row = i / cols == 0 || i / cols + 1 == rows;
        const bool by_col = i % cols == 0 || i % cols + 1 == cols;
        work->losses.kinds[i] = (uint8_t)((by_row ? 1 : 0) + (by_col ? 2 : 0));
    }
}

/* Find the symbols of a tile; whether it is to be full: one that is too far from 0 is left out, then
 * they are of no use, or symbols came that nothing foretold. The sum and the error lost are of all
 * latents, unless it is to be full. */
static bool scan_tile(struct skybook_scan *scan, struct skybook_encoder *encoder, uint32_t column,
                      bool measures, bool weighs)
{
    const struct skybook_form *form = &encoder->form;
    struct skybook_work *work = &encoder->work;
    begin(scan, encoder, column);
    scan->measures = measures;
    scan->weighs = weighs;
    scan->hides = !measures;
    scan->thrift = measures || weighs ? 0 : encoder->tiles[column].thrift;
    if (weighs) {
        forget_losses(work);
    }
    for (uint32_t lattice = 0; lattice < SKYBOOK_LATTICES; lattice++) {
        begin_layer(scan, lattice);
        scan_lattice(scan, lattice);
    }
    skybook_know_dc(form, work);
    for (uint32_t layer = 0; layer < form->ac_layers && !scan->far; layer++) {
        const uint32_t first = form->cuts[layer], stop = form->cuts[layer + 1];
        begin_layer(scan, SKYBOOK_LATTICES + layer);
        if (work->dependent) {
            skybook_scan_layer(scan, first, stop);
            continue;
        }
        skybook_scan_plain_layer(scan, first, stop);
    }
    work->units = scan->unit;
    return scan->far || is_unforeseen(scan);
}

/* Whether the latents of a scan were those that were put. */
static enum skybook_status status_of(const struct skybook_scan *scan)
{
    const bool same = scan->sum == scan->encoder->tiles[scan->column].latents_sum;
    return same ? scan->renewed : SKYBOOK_ERROR_MEMORY;
}

enum skybook_status skybook_measure(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_work *work = &encoder->work;
    struct skybook_scan scan;
    skybook_make_field(encoder, column, SKYBOOK_FIELD_BYTES);
    work->dependent = encoder->options.trellis;
    work->full = false;
    memset(work->floors, 0, sizeof(work->floors));
    scan_tile(&scan, encoder, column, false, true);
    if (scan.far) {
        work->full = true;
        memset(work->floors, SKYBOOK_SKIP + 1, sizeof(work->floors));
        scan_tile(&scan, encoder, column, false, true);
    }
    return status_of(&scan);
}

enum skybook_status skybook_find_symbols(struct skybook_encoder *encoder, uint32_t column,
                                         uint32_t most_floors)
{
    struct skybook_work *work = &encoder->work;
    const bool dependent = encoder->options.trellis;
    struct skybook_scan scan;
    work->dependent = dependent;
    work->full = false;
    memset(work->floors, 0, sizeof(work->floors));
    if (scan_tile(&scan, encoder, column, false, false)) {
        work->full = true;
        work->dependent = false;
        memset(work->floors, SKYBOOK_SKIP + 1, sizeof(work->floors));
        scan_tile(&scan, encoder, column, true, false);
        skybook_choose_floors(&encoder->form, work, most_floors);
        work->dependent = dependent;
        scan_tile(&scan, encoder, column, false, false);
    }
    const uint32_t looked_at = (scan.count + STRIDE - 1) / STRIDE;
    skybook_note_error(encoder, column, scan.lost, scan.count, looked_at);
    return status_of(&scan);
}
