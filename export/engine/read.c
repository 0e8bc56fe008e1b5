/* Lanes of a tile back to symbols: see read.h. */
#include "reader.h"

#include <string.h>

#include "scan.h"

#define ESCAPE 63u
#define LARGEST 31
#define PRECISION 12u
#define TOTAL 4096u
#define START 65536u
#define STATE_BYTES 4u
#define RAW_HEAD 3u
#define LEAST_RAW_WIDTH 8u
#define MOST_RAW_WIDTH 16u
#define FARTHEST (1 << 24) /* no symbol that an encoder sends is farther from 0 */
#define TRELLIS 18u /* what an odd state of the trellis moves to: see onboard/codec/lapped/trellis.py */

/* A lane being read. */
struct lane {
    const uint8_t *bytes; /* that are left */
    size_t length;
    uint32_t state;
    uint32_t raw;   /* bits of a residual of a raw lane; 0 of a coded one */
    uint32_t held;  /* bits of a raw lane that are read, and how many */
    uint32_t bits;
    size_t left;    /* residuals of a raw lane */
    bool is_open;
    bool failed;    /* whether it was read beyond its end */
};

static bool has_ended(const struct lane *lane)
{
    return lane->raw > 0 ? lane->left == 0 : lane->state == START && lane->length == 0;
}

/* Open a raw lane, if it is a proper one. */
static bool open_raw(struct lane *lane, const uint8_t *bytes, size_t length)
{
    const uint32_t width = bytes[2];
    if (width < LEAST_RAW_WIDTH || width > MOST_RAW_WIDTH) {
        return false;
    }
    const size_t bits = 8 * (length - RAW_HEAD), count = bits / width, rest = bits - count * width;
    if (rest >= 8 || (rest > 0 && (bytes[length - 1] & ((1u << rest) - 1u)) != 0)) {
        return false;
    }
    lane->raw = width;
    lane->left = count;
    lane->bytes = bytes + RAW_HEAD;
    lane->length = length - RAW_HEAD;
    return true;
}

static bool open_lane(struct lane *lane, const uint8_t *bytes, size_t length)
{
    memset(lane, 0, sizeof(*lane));
    lane->is_open = true;
    if (length >= RAW_HEAD && bytes[0] == 0 && bytes[1] == 0) {
        return open_raw(lane, bytes, length);
    }
    if (length < STATE_BYTES || length % 2 != 0) {
        return false;
    }
    lane->state = (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
    lane->bytes = bytes + STATE_BYTES;
    lane->length = length - STATE_BYTES;
    return true;
}

/* Take a word where the state of a lane is low. */
static void fill(struct lane *lane)
{
    if (lane->state < START) {
        if (lane->length == 0) {
            lane->failed = true;
            return;
        }
        lane->state = lane->state << 16 | (uint32_t)lane->bytes[0] << 8 | lane->bytes[1];
        lane->bytes += 2;
        lane->length -= 2;
    }
}

static uint32_t take_bits(struct lane *lane, uint32_t bits)
{
    const uint32_t rest = PRECISION - bits, slot = lane->state & (TOTAL - 1u);
    lane->state = (lane->state >> PRECISION << rest) + (slot & ((1u << rest) - 1u));
    fill(lane);
    return slot >> rest;
}

/* Make the hints of all rows. */
static void make_hints(struct skybook_reader *reader)
{
    for (uint32_t row = 0; row < SKYBOOK_ROWS && !reader->is_hinted; row++) {
        uint32_t symbol = 0;
        for (uint32_t part = 0; part < SKYBOOK_HINTS; part++) {
            while (symbol < ESCAPE && skybook_starts[row][symbol + 1] <= part * (TOTAL / SKYBOOK_HINTS)) {
                symbol++;
            }
            reader->hints[row][part] = (uint8_t)symbol;
        }
    }
    reader->is_hinted = true;
}

/* The symbol on a slot: that which begins last of those that begin there or before. */
static inline uint32_t symbol_on(const struct skybook_reader *reader, uint32_t row, uint32_t slot)
{
    const uint16_t *starts = skybook_starts[row];
    uint32_t symbol = reader->hints[row][slot / (TOTAL / SKYBOOK_HINTS)];
    while (symbol < ESCAPE && starts[symbol + 1] <= slot) {
        symbol++;
    }
    return symbol;
}

static int32_t take_coded(const struct skybook_reader *reader, struct lane *lane, uint32_t row)
{
    const uint16_t *starts = skybook_starts[row];
    const uint32_t slot = lane->state & (TOTAL - 1u), symbol = symbol_on(reader, row, slot);
    const uint32_t shift = skybook_shifts[row % SKYBOOK_LEVELS];
    const uint32_t frequency = (uint32_t)starts[symbol + 1] - starts[symbol];
    lane->state = frequency * (lane->state >> PRECISION) + slot - starts[symbol];
    fill(lane);
    int32_t value = (int32_t)symbol - LARGEST;
    if (symbol == ESCAPE) {
        const uint32_t high = take_bits(lane, 8);
        value = (int32_t)(high << 8 | take_bits(lane, 8)) - 32768;
    }
    return shift > 0 ? value * (1 << shift) + (int32_t)take_bits(lane, shift) : value;
}

static int32_t take_raw(struct lane *lane)
{
    const uint32_t sign = 1u << (lane->raw - 1u);
    while (lane->bits < lane->raw) {
        lane->held = lane->held << 8 | lane->bytes[0];
        lane->bits += 8;
        lane->bytes++;
    }
    lane->bits -= lane->raw;
    lane->left--;
    const uint32_t value = lane->held >> lane->bits & (2u * sign - 1u);
    return (int32_t)(value ^ sign) - (int32_t)sign;
}

/* What is at hand while a tile is read. */
struct reading {
    struct skybook_reader *reader;
    const struct skybook_read_model *model;
    struct lane lane;
    const struct skybook_read_lane *next, *stop;
    const uint8_t *bytes;
    uint32_t state;   /* of the trellis */
    uint32_t row;     /* the layer's first */
    double error;     /* of symbols so far */
    uint64_t sizes;   /* of those of AC */
    bool is_ac;
};

/* Go on to the lane that begins at a place of a layer, if one does; false if one makes no sense. */
static bool begin_place(struct reading *reading, uint32_t layer, uint32_t place)
{
    const uint32_t states = reading->reader->encoder.work.dependent ? SKYBOOK_STATES : 1;
    while (reading->next < reading->stop && reading->next->layer == layer &&
           reading->next->first / states == place) {
        if (reading->lane.is_open && !has_ended(&reading->lane)) {
            return false;
        }
        const struct skybook_read_lane *lane = reading->next++;
        if (!open_lane(&reading->lane, reading->bytes + lane->start, lane->length)) {
            return false;
        }
        reading->state = lane->first % states;
    }
    return true;
}

/* Take a symbol that is coded; false if it did not arrive. */
static bool take_residual(struct reading *reading, uint32_t *row, int32_t *residual, int32_t *value)
{
    struct lane *lane = &reading->lane;
    const bool dependent = reading->reader->encoder.work.dependent;
    const uint32_t odd = dependent ? reading->state & 1u : 0;
    if (!lane->is_open || has_ended(lane)) {
        return false;
    }
    *row += SKYBOOK_LEVELS * odd;
    *residual = lane->raw > 0 ? take_raw(lane) : take_coded(reading->reader, lane, *row);
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

/* Find which symbols of a channel of AC are coded; the others are 0. */
static void find_coded(struct reading *reading, uint32_t channel, uint32_t place, uint32_t width,
                       uint16_t coded_at[SKYBOOK_POSITIONS])
{
    struct skybook_reader *reader = reading->reader;
    const struct skybook_form *form = &reader->encoder.form;
    struct skybook_work *work = &reader->encoder.work;
    const uint32_t count = (uint32_t)work->positions[0] * work->positions[1];
    const size_t first = (size_t)channel * form->positions;
    const skybook_sum *sums = &reader->sums[place * form->positions];
    const bool every = (int32_t)work->floors[channel] > SKYBOOK_SKIP;
    const uint32_t least = every ? 0 : (work->dependent ? 2u : 1u) * SKYBOOK_LEAST_SUM;
    uint8_t positions[SKYBOOK_POSITIONS];
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        positions[found] = (uint8_t)i;
        found += sums[i] >= least;
    }
    for (uint32_t n = 0; n < found; n++) {
        const uint32_t i = positions[n];
        reader->coded[i * width + coded_at[i]++] = (uint16_t)channel;
    }
    memset(&reader->symbols[first], 0, count * sizeof(reader->symbols[0]));
    memset(&reader->values[first], 0, count * sizeof(reader->values[0]));
    for (uint32_t i = 0; i < count; i++) {
        reader->rows[first + i] = (uint16_t)(reading->row & 0xFFFFu);
    }
    reading->error += (count - found) * reading->model->zeros[reading->row];
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

/* Read a layer of AC: position by position, of each the channels in their order. */
static bool read_layer(struct reading *reading, uint32_t layer)
{
    struct skybook_reader *reader = reading->reader;
    const struct skybook_form *form = &reader->encoder.form;
    struct skybook_work *work = &reader->encoder.work;
    const uint32_t first = form->cuts[layer], width = form->cuts[layer + 1] - first;
    const uint32_t count = (uint32_t)work->positions[0] * work->positions[1];
    const unsigned twice = work->dependent ? 1 : 0;
    uint16_t coded_at[SKYBOOK_POSITIONS] = {0};
    reading->is_ac = true;
    for (uint32_t i = 0; i < width; i++) {
        skybook_ac_context(form, work, first + i, &reader->sums[i * form->positions]);
        find_coded(reading, first + i, i, width, coded_at);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!begin_place(reading, SKYBOOK_LATTICES + layer + 1, i)) {
            return false;
        }
        for (uint32_t n = 0; n < coded_at[i]; n++) {
            const uint32_t channel = reader->coded[i * width + n];
            const uint32_t sum = (uint32_t)reader->sums[(channel - first) * form->positions + i];
            if (!take_symbol(reading, channel, i, skybook_level(sum >> twice), 0)) {
                return false;
            }
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
    reading->lane.is_open = reading->lane.is_open && !has_ended(&reading->lane);
}

bool skybook_read_symbols(struct skybook_reader *reader, const struct skybook_read_model *model,
                          const struct skybook_read_lane *lanes, uint32_t count, const uint8_t *bytes)
{
    const struct skybook_form *form = &reader->encoder.form;
    struct skybook_work *work = &reader->encoder.work;
    struct reading reading;
    memset(&reading, 0, sizeof(reading));
    memset(work->known, 0, (size_t)2 * (form->channels + form->bands) * form->positions);
    memset(work->active, 0, sizeof(work->active));
    memset(work->dc, 0, sizeof(work->dc));
    memset(reader->any, 1, form->bands * sizeof(reader->any[0]));
    reading.reader = reader;
    reading.model = model;
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
    make_hints(reader);
    for (uint32_t i = 0; i < count && status == SKYBOOK_OK; i++) {
        const uint32_t first = lanes_before[i], of_tile = lanes_before[i + 1] - first;
        const struct skybook_read_tile tile = {angles + (size_t)i * (form->bands * (form->bands - 1) / 2),
                                               means + (size_t)i * form->bands, steps[i], exact != 0};
        if (floors != NULL) {
            memcpy(work->floors, floors + (size_t)i * form->channels, form->channels);
        }
        whole[i] = skybook_read_symbols(reader, model, lanes + first, of_tile, bytes);
        if (whole[i]) {
            errors[i] = reader->error / ((double)form->channels * work->positions[0] * work->positions[1]);
            skybook_synthesise(reader, model, &tile);
            put_pixels(reader, all, exact != 0, pixels[i], band, row);
        }
    }
    return status;
}
