/* Lanes of a tile back to symbols: see read.h. */
#include <string.h>

#include "lanes.h"
#include "scan.h"
#include "vectors.h"

#define FARTHEST (1 << 24) /* no symbol that an encoder sends is farther from 0 */
#define TRELLIS 18u /* what an odd state of the trellis moves to: see onboard/codec/lapped/trellis.py */
#define LEVEL_BITS 6 /* a coded symbol is its place in the layer above its level, and its mark above that */
#define MARK_BITS 30 /* below the mark of a symbol of a tile that hides signs */

enum mark { INSIDE, SHOWS, HIDES }; /* a run, or the first symbol of one that hides no sign, or one */

/* What is at hand while a tile is read. */
struct reading {
    struct skybook_reader *reader;
    const struct skybook_read_model *model;
    struct skybook_lane lane;
    const struct skybook_read_lane *next, *stop;
    const uint8_t *bytes;
    uint32_t state;   /* of the trellis */
    uint32_t row;     /* the layer's first */
    double error;     /* of symbols so far */
    uint64_t sizes;   /* of those of AC */
    bool is_ac, hides;
};

static inline uint32_t place_of(uint32_t coded)
{
    return (coded & ((1u << MARK_BITS) - 1u)) >> LEVEL_BITS;
}

/* A run of residuals while its hidden sign is sought. */
struct seeking {
    bool seeks;                   /* whether the residual that it is of is still to come */
    struct skybook_found *hidden; /* or that is it */
    uint32_t sum;                 /* of magnitudes */
};

/* Give the residual of a run that ends its sign. */
static inline void find_sign(const struct seeking *run)
{
    if (run->hidden != NULL && (run->sum & 1u) != 0) {
        run->hidden->residual = -run->hidden->residual;
    }
}

/* Begin another run if a symbol is the first of one. */
static inline void go_on(struct seeking *run, uint32_t coded)
{
    const uint32_t mark = coded >> MARK_BITS;
    if (mark != INSIDE) {
        find_sign(run);
        run->seeks = mark == HIDES;
        run->hidden = NULL;
        run->sum = 0;
    }
}

/* Go on to the lane that begins at a place of a layer, if one does; false if one makes no sense. */
static bool begin_place(struct reading *reading, uint32_t layer, uint32_t place)
{
    const uint32_t states = reading->reader->encoder.work.dependent ? SKYBOOK_STATES : 1;
    while (reading->next < reading->stop && reading->next->layer == layer &&
           reading->next->first / states == place) {
        if (reading->lane.is_open && !skybook_has_ended(&reading->lane)) {
            return false;
        }
        const struct skybook_read_lane *lane = reading->next++;
        if (!skybook_open_lane(&reading->lane, reading->bytes + lane->start, lane->length)) {
            return false;
        }
        reading->state = lane->first % states;
    }
    return true;
}

/* Take a symbol that is coded; false if it did not arrive. */
static bool take_residual(struct reading *reading, uint32_t *row, int32_t *residual, int32_t *value)
{
    struct skybook_lane *lane = &reading->lane;
    const bool dependent = reading->reader->encoder.work.dependent;
    const uint32_t odd = dependent ? reading->state & 1u : 0;
    if (!lane->is_open || skybook_has_ended(lane)) {
        return false;
    }
    *row += SKYBOOK_LEVELS * odd;
    *residual = lane->raw > 0 ? skybook_take_raw(lane) : skybook_take_coded(reading->reader, lane, *row);
    *value = *residual;
    if (dependent) {
        const uint32_t is_odd = (uint32_t)*residual & 1u;
        *value = 2 * *residual - (*residual > 0 ? (int32_t)odd : *residual < 0 ? -(int32_t)odd : 0);
        reading->state = (reading->state >> 1) ^ (TRELLIS * odd) ^ (4u * is_odd);
    }
    return !lane->failed;
}

/* Take a symbol, if it is coded; note what it stands for. False if it did not arrive. */
static bool take_symbol(struct reading *reading, uint32_t channel, uint32_t position, uint32_t level,
                        int32_t predicted)
{
    struct skybook_reader *reader = reading->reader;
    const uint32_t floor = reader->encoder.work.floors[channel];
    const uint32_t place = channel * reader->encoder.form.positions + position;
    level = level > floor ? level : floor;
    uint32_t row = reading->row + level;
    int32_t residual = 0, value = 0;
    if ((int32_t)level > SKYBOOK_SKIP && !take_residual(reading, &row, &residual, &value)) {
        return false;
    }
    if (skybook_magnitude(value + predicted) > FARTHEST) {
        return false;
    }
    reader->symbols[place] = value + predicted;
    reader->rows[place] = (uint16_t)(row & 0xFFFFu);
    float stands_for = (float)predicted * (reader->encoder.work.dependent ? 0.5f : 1.0f);
    if (residual != 0) {
        const int32_t size = skybook_magnitude(residual);
        const int32_t near = size < SKYBOOK_WORDS ? size : SKYBOOK_WORDS;
        const float *words = &reading->model->words[SKYBOOK_WORDS * row];
        const float word = words[near - 1] + (float)(size - near);
        stands_for += residual < 0 ? -word : word;
    }
    reader->values[place] = stands_for;
    reading->error += value == 0 ? reading->model->zeros[row] : reading->model->not_zero;
    reading->sizes += reading->is_ac ? (uint64_t)skybook_magnitude(value) : 0;
    return true;
}

/* Read the DC of a lattice. */
static bool read_lattice(struct reading *reading, uint32_t lattice)
{
    struct skybook_reader *reader = reading->reader;
    const struct skybook_form *form = &reader->encoder.form;
    struct skybook_work *work = &reader->encoder.work;
    uint32_t place = 0;
    for (uint32_t row = 0; row < work->positions[0]; row++) {
        for (uint32_t col = 0; col < work->positions[1]; col++) {
            const uint32_t position = row * work->positions[1] + col;
            if (((row ^ col) & 1u ? 2u : row & 1u) != lattice) {
                continue;
            }
            int32_t predicted[SKYBOOK_MAX_BANDS];
            uint32_t sums[SKYBOOK_MAX_BANDS];
            if (!begin_place(reading, lattice + 1, place++)) {
                return false;
            }
            skybook_dc_context(form, work, lattice, row, col, predicted, sums);
            for (uint32_t band = 0; band < form->bands; band++) {
                const uint32_t level = skybook_level(work->dependent ? sums[band] >> 1 : sums[band]);
                if (!take_symbol(reading, band, position, level, predicted[band])) {
                    return false;
                }
                work->dc[band * form->positions + position] = reader->symbols[band * form->positions + position];
            }
        }
    }
    return true;
}

/* Mark the first of the coded symbols of each run of a position. */
static void mark_runs(struct skybook_reader *reader, uint32_t first, uint32_t stop)
{
    const uint32_t of_run = SKYBOOK_RUN * reader->encoder.form.positions;
    while (first < stop) {
        const uint32_t run = place_of(reader->coded[first]) / of_run, begins = first;
        uint32_t high = 0;
        for (; first < stop && place_of(reader->coded[first]) / of_run == run; first++) {
            high += reader->coded[first] % SKYBOOK_LEVELS >= SKYBOOK_STRONG_LEVEL;
        }
        reader->coded[begins] |= (uint32_t)(high >= SKYBOOK_LEAST_STRONG ? HIDES : SHOWS) << MARK_BITS;
    }
}

/* Find which symbols of a layer of AC are coded, position by position, of each the channels in their order;
 * the others are 0. */
static void find_coded(struct reading *reading, uint32_t first, uint32_t width)
{
    struct skybook_reader *reader = reading->reader;
    const struct skybook_form *form = &reader->encoder.form;
    struct skybook_work *work = &reader->encoder.work;
    const uint32_t count = (uint32_t)work->positions[0] * work->positions[1];
    const unsigned twice = work->dependent ? 1 : 0;
    uint32_t found = 0;
    for (uint32_t i = 0; i < width; i++) {
        const uint32_t floor = work->floors[first + i];
        const uint32_t least = (int32_t)floor > SKYBOOK_SKIP ? 0 : (uint32_t)SKYBOOK_LEAST_SUM << twice;
        const size_t plane = (size_t)i * form->positions;
        skybook_ac_context(form, work, first + i, &reader->sums[plane]);
        for (uint32_t at = 0; at < form->positions; at += SKYBOOK_PART) {
            skybook_find_levels(&reader->sums[plane + at], twice, least, floor, &reader->levels[plane + at]);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        reader->starts[i] = found;
        for (uint32_t place = i; place < width * form->positions; place += form->positions) {
            reader->coded[found] = place << LEVEL_BITS | reader->levels[place];
            found += reader->levels[place] > 0;
        }
        if (reading->hides) {
            mark_runs(reader, reader->starts[i], found);
        }
    }
    reader->starts[count] = found;
    const size_t before = (size_t)first * form->positions, all = (size_t)width * form->positions;
    memset(&reader->symbols[before], 0, all * sizeof(reader->symbols[0]));
    memset(&reader->values[before], 0, all * sizeof(reader->values[0]));
    for (size_t i = 0; i < all; i++) {
        reader->rows[before + i] = (uint16_t)(reading->row + reader->levels[i]);
    }
    reading->error += (width * count - found) * reading->model->zeros[reading->row];
}

/* Note the sizes of the symbols of a channel of AC. */
static void know_channel(struct skybook_reader *reader, uint32_t channel)
{
    const struct skybook_form *form = &reader->encoder.form;
    struct skybook_work *work = &reader->encoder.work;
    const uint32_t count = (uint32_t)work->positions[0] * work->positions[1];
    const int32_t cap = work->dependent ? SKYBOOK_HALF_SIZE_CAP : SKYBOOK_SIZE_CAP;
    const int32_t *symbols = &reader->symbols[channel * form->positions];
    uint8_t *sizes = &work->known[channel * form->positions];
    int32_t any = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int32_t size = skybook_magnitude(symbols[i]);
        sizes[i] = (uint8_t)(size < cap ? size : cap);
        any |= size;
    }
    reader->any[channel] = any != 0;
    skybook_know_channel(form, work, channel, any != 0);
}

/* Note what symbols other than 0 of a layer of AC stand for. */
static void put_found(struct reading *reading, uint32_t first, uint32_t count)
{
    struct skybook_reader *reader = reading->reader;
    const struct skybook_read_model *model = reading->model;
    const int32_t twice = reader->encoder.work.dependent ? 1 : 0;
    const size_t before = (size_t)first * reader->encoder.form.positions;
    uint64_t sizes = 0;
    double error = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct skybook_found *found = &reader->found[i];
        const int32_t residual = found->residual, size = skybook_magnitude(residual);
        const int32_t near = size < SKYBOOK_WORDS ? size : SKYBOOK_WORDS;
        const int32_t odd = (int32_t)(found->row - reading->row) >= SKYBOOK_LEVELS;
        const int32_t in_units = (size << twice) - odd;
        const float word = model->words[SKYBOOK_WORDS * found->row + (uint32_t)near - 1] + (float)(size - near);
        reader->symbols[before + found->place] = residual < 0 ? -in_units : in_units;
        reader->values[before + found->place] = residual < 0 ? -word : word;
        error += model->not_zero - model->zeros[found->row];
        sizes += (uint32_t)in_units;
    }
    reading->error += error;
    reading->sizes += sizes;
}

/* Take coded symbols of a layer of AC, the next ones in a coded lane; false if one did not arrive. A lane
 * that has ended has nothing for another symbol, of which none takes no bits. */
static SKYBOOK_WITHIN bool take_run(struct reading *reading, uint32_t first, const uint32_t *coded,
                                    const uint32_t *stop, const bool dependent, const bool hides)
{
    struct skybook_reader *reader = reading->reader;
    struct skybook_lane *lane = &reading->lane;
    struct skybook_found *found = reader->found;
    const double *zeros = reading->model->zeros;
    const uint8_t *bytes = lane->bytes, *const end = bytes + lane->length;
    const uint32_t first_row = reading->row;
    uint32_t state = lane->state, trellis = reading->state;
    struct seeking run = {false, NULL, 0};
    double error = 0;
    for (; coded < stop; coded++) {
        const uint32_t odd = dependent ? trellis & 1u : 0;
        const uint32_t row = first_row + *coded % SKYBOOK_LEVELS + SKYBOOK_LEVELS * odd;
        const uint32_t slot = state & (SKYBOOK_TOTAL - 1u);
        bool seeks = false;
        if (hides) {
            go_on(&run, *coded);
            seeks = run.seeks && skybook_own[row] > 0 && slot < skybook_starts[row][SKYBOOK_ESCAPE];
        }
        const uint32_t span = seeks ? skybook_derived_span(reader, row, slot) : skybook_span_on(reader, row, slot);
        int32_t residual = (int32_t)SKYBOOK_SPAN_SYMBOL(span) - SKYBOOK_OUTERMOST;
        state = SKYBOOK_SPAN_LENGTH(span) * (state >> SKYBOOK_PRECISION) + slot - SKYBOOK_SPAN_START(span);
        if (seeks && residual != 0) {
            run.seeks = false;
            run.hidden = found;
        }
        if (state < SKYBOOK_START) {
            state = state << 16 | skybook_word(bytes);
            bytes += 2;
            if (bytes > end) {
                return false;
            }
        }
        if (SKYBOOK_SPAN_HAS_MORE(span)) {
            lane->state = state;
            lane->bytes = bytes;
            lane->length = (size_t)(end - bytes);
            residual = skybook_take_rest(lane, SKYBOOK_SPAN_SYMBOL(span), skybook_shifts[row % SKYBOOK_LEVELS]);
            const int32_t size = skybook_magnitude(residual);
            if (lane->failed || (dependent ? 2 * size - (int32_t)odd : size) > FARTHEST) {
                return false;
            }
            state = lane->state;
            bytes = lane->bytes;
        }
        run.sum += hides ? (uint32_t)skybook_magnitude(residual) : 0;
        trellis = dependent ? (trellis >> 1) ^ (TRELLIS * odd) ^ (4u * ((uint32_t)residual & 1u)) : 0;
        found->place = place_of(*coded);
        found->row = row;
        found->residual = residual;
        found += residual != 0;
        error += zeros[row];
    }
    find_sign(&run);
    lane->state = state;
    lane->bytes = bytes;
    lane->length = (size_t)(end - bytes);
    reading->state = trellis;
    reading->error += error;
    put_found(reading, first, (uint32_t)(found - reader->found));
    return true;
}

/* The same of tiles by how they are coded, apart so that each has registers of its own. */
static SKYBOOK_APART bool take_plain(struct reading *reading, uint32_t first, const uint32_t *coded,
                                     const uint32_t *stop)
{
    return take_run(reading, first, coded, stop, false, false);
}

static SKYBOOK_APART bool take_hiding(struct reading *reading, uint32_t first, const uint32_t *coded,
                                      const uint32_t *stop)
{
    return take_run(reading, first, coded, stop, false, true);
}

static SKYBOOK_APART bool take_dependent(struct reading *reading, uint32_t first, const uint32_t *coded,
                                         const uint32_t *stop)
{
    return take_run(reading, first, coded, stop, true, false);
}

/* The same of a raw lane of a tile that hides signs. */
static bool take_raw_hiding(struct reading *reading, uint32_t first, const uint32_t *coded, const uint32_t *stop)
{
    struct skybook_reader *reader = reading->reader;
    struct skybook_found *found = reader->found;
    struct seeking run = {false, NULL, 0};
    for (; coded < stop; coded++) {
        const uint32_t row = reading->row + *coded % SKYBOOK_LEVELS;
        go_on(&run, *coded);
        if (skybook_has_ended(&reading->lane)) {
            return false;
        }
        int32_t residual = skybook_take_raw(&reading->lane);
        const uint32_t size = (uint32_t)skybook_magnitude(residual);
        if (run.seeks && skybook_has_sign(row, size)) {
            residual = (int32_t)size;
            run.seeks = false;
            run.hidden = found;
        }
        run.sum += size;
        found->place = place_of(*coded);
        found->row = row;
        found->residual = residual;
        found += residual != 0;
        reading->error += reading->model->zeros[row];
    }
    find_sign(&run);
    put_found(reading, first, (uint32_t)(found - reader->found));
    return true;
}

/* Take coded symbols of a layer of AC from whatever lane there is. */
static bool take_symbols(struct reading *reading, uint32_t first, const uint32_t *coded, const uint32_t *stop)
{
    const uint32_t positions = reading->reader->encoder.form.positions;
    const struct skybook_lane *lane = &reading->lane;
    if (coded == stop) {
        return true;
    }
    if (!lane->is_open || skybook_has_ended(lane)) {
        return false;
    }
    if (lane->raw == 0) {
        return reading->reader->encoder.work.dependent ? take_dependent(reading, first, coded, stop)
               : reading->hides                        ? take_hiding(reading, first, coded, stop)
                                                       : take_plain(reading, first, coded, stop);
    }
    if (reading->hides) {
        return take_raw_hiding(reading, first, coded, stop);
    }
    for (; coded < stop; coded++) {
        const uint32_t place = place_of(*coded);
        if (!take_symbol(reading, first + place / positions, place % positions, *coded % SKYBOOK_LEVELS, 0)) {
            return false;
        }
    }
    return true;
}

/* Up to which position of a layer there is no other lane. */
static uint32_t next_place(const struct reading *reading, uint32_t layer, uint32_t count)
{
    const uint32_t states = reading->reader->encoder.work.dependent ? SKYBOOK_STATES : 1;
    if (reading->next == reading->stop || reading->next->layer != layer) {
        return count;
    }
    const uint32_t place = reading->next->first / states;
    return place < count ? place : count;
}

/* Read a layer of AC. */
static bool read_layer(struct reading *reading, uint32_t layer)
{
    struct skybook_reader *reader = reading->reader;
    const struct skybook_form *form = &reader->encoder.form;
    const struct skybook_work *work = &reader->encoder.work;
    const uint32_t first = form->cuts[layer], width = form->cuts[layer + 1] - first;
    const uint32_t count = (uint32_t)work->positions[0] * work->positions[1];
    const uint32_t lanes = SKYBOOK_LATTICES + layer + 1;
    reading->is_ac = true;
    find_coded(reading, first, width);
    for (uint32_t i = 0, stop = 0; i < count; i = stop) {
        if (!begin_place(reading, lanes, i)) {
            return false;
        }
        stop = next_place(reading, lanes, count);
        if (stop <= i || !take_symbols(reading, first, &reader->coded[reader->starts[i]],
                                       &reader->coded[reader->starts[stop]])) {
            return false;
        }
    }
    for (uint32_t i = 0; i < width; i++) {
        know_channel(reader, first + i);
    }
    return true;
}

/* End a layer: a lane that is not at its end goes on in the next one. */
static void end_layer(struct reading *reading)
{
    reading->state = 0;
    reading->lane.is_open = reading->lane.is_open && !skybook_has_ended(&reading->lane);
}

bool skybook_read_symbols(struct skybook_reader *reader, const struct skybook_read_model *model, bool hides,
                          const struct skybook_read_lane *lanes, uint32_t count, const uint8_t *bytes)
{
    const struct skybook_form *form = &reader->encoder.form;
    struct skybook_work *work = &reader->encoder.work;
    struct reading reading;
    memset(&reading, 0, sizeof(reading));
    skybook_know_none(form, work);
    memset(work->dc, 0, sizeof(work->dc));
    memset(reader->any, 1, form->bands * sizeof(reader->any[0]));
    reading.reader = reader;
    reading.model = model;
    reading.hides = hides;
    reading.next = lanes;
    reading.stop = lanes + count;
    reading.bytes = bytes;
    for (uint32_t lattice = 0; lattice < SKYBOOK_LATTICES; lattice++) {
        reading.row = skybook_first_rows[work->dependent][lattice];
        if (!read_lattice(&reading, lattice)) {
            return false;
        }
        end_layer(&reading);
    }
    skybook_know_dc(form, work);
    for (uint32_t layer = 0; layer < form->ac_layers; layer++) {
        reading.row = skybook_first_rows[work->dependent][SKYBOOK_LATTICES + layer];
        if (!read_layer(&reading, layer)) {
            return false;
        }
        end_layer(&reading);
    }
    reader->error = reading.error;
    reader->sizes = reading.sizes;
    return reading.next == reading.stop && !reading.lane.is_open;
}

/* Put the pixels of the tile in the room that are inside the scene. */
static void put_pixels(const struct skybook_reader *reader, const struct skybook_tiles *all, bool exact,
                       float *pixels, size_t band_apart, size_t row_apart)
{
    const uint32_t rows = 8u * reader->encoder.work.positions[0], cols = 8u * reader->encoder.work.positions[1];
    for (uint32_t band = 0; band < all->bands; band++) {
        for (uint32_t row = 0; row < all->rows; row++) {
            const size_t from = (size_t)(band * rows + row) * cols;
            float *to = pixels + band * band_apart + row * row_apart;
            for (uint32_t col = 0; col < all->cols; col++) {
                to[col] = exact ? (float)reader->real.exact.bands[from + col] : reader->real.plain.bands[from + col];
            }
        }
    }
}

enum skybook_status skybook_tiles_read(struct skybook_encoder *room, const struct skybook_tiles *all,
                                       const struct skybook_read_model *model, uint32_t exact,
                                       uint32_t count, const uint32_t *lanes_before,
                                       const struct skybook_read_lane *lanes, const uint8_t *bytes,
                                       const uint8_t *floors, const uint8_t *angles, const int32_t *means,
                                       const double *steps, float *const *pixels, size_t band, size_t row,
                                       double *errors, uint8_t *whole)
{
    struct skybook_reader *reader = (struct skybook_reader *)room;
    const enum skybook_status status = skybook_furnish(room, all);
    const struct skybook_form *form = &room->form;
    struct skybook_work *work = &room->work;
    work->positions[0] = (uint8_t)((all->rows + 7) / 8);
    work->positions[1] = (uint8_t)((all->cols + 7) / 8);
    work->dependent = all->trellis != 0;
    memset(work->floors, 0, sizeof(work->floors));
    skybook_make_spans(reader);
    for (uint32_t i = 0; i < count && status == SKYBOOK_OK; i++) {
        const uint32_t first = lanes_before[i], of_tile = lanes_before[i + 1] - first;
        const struct skybook_read_tile tile = {angles + (size_t)i * (form->bands * (form->bands - 1) / 2),
                                               means + (size_t)i * form->bands, steps[i], exact != 0};
        if (floors != NULL) {
            memcpy(work->floors, floors + (size_t)i * form->channels, form->channels);
        }
        whole[i] = skybook_read_symbols(reader, model, all->hides != 0, lanes + first, of_tile, bytes);
        if (whole[i]) {
            errors[i] = reader->error / ((double)form->channels * work->positions[0] * work->positions[1]);
            skybook_synthesise(reader, model, &tile);
            put_pixels(reader, all, exact != 0, pixels[i], band, row);
        }
    }
    return status;
}
