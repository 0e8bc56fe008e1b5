/* Levels and symbols of the residuals of a band (SPEC.md, section 20). */
#include <string.h>

#include "bounded.h"

#if SKYBOOK_BOUNDED

#define SCALES 32u
#define EQUAL (SCALES / 2)
#define LEAST 32 /* sum of weighted energies from which levels begin */
#define OWN_ROWS 4u
#define REFERENCE_ROWS 3u
#define ROOM 24u /* what a row of energies has beside those of the pixels */

static const uint16_t quarters[4] = {256, 304, 362, 431};    /* 2^8 2^(i/4) */
static const uint16_t halves[4] = {1117, 1328, 1579, 1878}; /* 2^10 2^((2i + 1)/8) */

/* The scale that brings the energies of a reference nearest to those of the band. */
static uint8_t scale_between(uint64_t own, uint64_t other, uint64_t count)
{
    uint8_t found = 0;
    own = 8 * own + count;
    other = 8 * other + count;
    for (uint32_t number = 0; number + 1 < SCALES; number++) {
        found = (uint8_t)(found + (own * 1024 << EQUAL / 4 > other * halves[number % 4] << number / 4));
    }
    return found;
}

static inline int32_t times(int16_t energy, int16_t weight)
{
    return (int32_t)energy * weight;
}

/* The energy of a residual. */
static inline int16_t energy_of(uint32_t symbol)
{
    const int32_t residual = (int16_t)(symbol & 0xFFFFu);
    const int32_t size = residual < 0 ? -residual : residual;
    return (int16_t)(size < SKYBOOK_MOST_ENERGY ? size : SKYBOOK_MOST_ENERGY);
}

/* Rows of energies, each with others to its left and right, read from residuals as they are needed. */
struct energies {
    struct skybook_work *work;
    const struct skybook_plane *plane;
    uint32_t pitch;
};

static int16_t *row_at(const struct energies *all, uint32_t reference, uint32_t row)
{
    const uint32_t before = reference == 0 ? 0 : OWN_ROWS + (reference - 1) * REFERENCE_ROWS;
    const uint32_t number = before + row % (reference == 0 ? OWN_ROWS : REFERENCE_ROWS);
    return &all->work->scratch.bounded.energies[number * all->pitch + SKYBOOK_LEFT];
}

/* Energies of residuals, those of whole blocks. */
static void read_energies(int16_t *restrict to, const uint32_t *restrict symbols, uint32_t count)
{
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        int16_t *restrict out = to + first;
        const uint32_t *restrict in = symbols + first;
        SKYBOOK_ROLLED
        for (uint32_t i = 0; i < SKYBOOK_BLOCK; i++) {
            out[i] = energy_of(in[i]);
        }
    }
}

static void scale_energies(int16_t *restrict row, uint32_t count, int16_t factor)
{
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        int16_t *restrict out = row + first;
        SKYBOOK_ROLLED
        for (uint32_t i = 0; i < SKYBOOK_BLOCK; i++) {
            const int32_t energy = times(out[i], factor) >> 8;
            out[i] = (int16_t)(energy < SKYBOOK_MOST_ENERGY ? energy : SKYBOOK_MOST_ENERGY);
        }
    }
}

/* Read a row of the band itself, 0, or of a reference, scaled. */
static void read_row(const struct energies *all, uint32_t reference, uint32_t row)
{
    const struct skybook_plane *plane = all->plane;
    const struct skybook_bounded *own = &all->work->scratch.bounded;
    const uint32_t band = plane->band - reference, cols = plane->cols;
    const uint32_t *symbols = &all->work->symbols[(band * plane->rows + row) * cols];
    int16_t *to = row_at(all, reference, row);
    const uint32_t scale = reference > 0 ? own->scales[reference - 1] : EQUAL;
    const int16_t factor = (int16_t)((uint32_t)quarters[scale % 4] << scale / 4 >> EQUAL / 4);
    const bool none = own->bands[band].mode == MODE_RAW || own->bands[band].most == 0;
    read_energies(to, symbols, cols);
    if (scale != EQUAL) {
        scale_energies(to, cols, factor);
    }
    if (none) {
        memset(to, 0, cols * sizeof(*to));
    }
    for (uint32_t i = 1; i <= SKYBOOK_LEFT; i++) {
        to[-(int32_t)i] = to[0];
        to[cols + i - 1] = to[cols - 1];
    }
}

/* Add a reference's energies at `up`, `row` and `down`. */
static void add_around(int32_t *restrict sums, const int16_t *restrict up, const int16_t *restrict row,
                       const int16_t *restrict down, uint32_t count, const int16_t w[9])
{
    const int16_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6];
    const int16_t w7 = w[7], w8 = w[8];
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        int32_t *restrict to = sums + first;
        const int16_t *a = row + first, *b = up + first, *c = down + first;
        SKYBOOK_ROLLED
        for (int32_t i = 0; i < (int32_t)SKYBOOK_BLOCK; i++) {
            to[i] += times(a[i], w0) + times(a[i - 1], w1) + times(a[i + 1], w2) + times(c[i], w3) +
                     times(b[i - 1], w4) + times(b[i + 1], w5) + times(b[i], w6) +
                     times(c[i - 1], w7) + times(c[i + 1], w8);
        }
    }
}

/* Add the energies of the band itself: of the row, and one, two and three above. */
static void add_causal(int32_t *restrict sums, const int16_t *restrict row, const int16_t *restrict one,
                       const int16_t *restrict two, const int16_t *restrict three, uint32_t count,
                       const int16_t w[14])
{
    const int16_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6];
    const int16_t w7 = w[7], w8 = w[8], w9 = w[9], w10 = w[10], w11 = w[11], w12 = w[12];
    const int16_t w13 = w[13];
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        int32_t *restrict to = sums + first;
        const int16_t *r = row + first, *a = one + first, *b = two + first, *c = three + first;
        SKYBOOK_ROLLED
        for (int32_t i = 0; i < (int32_t)SKYBOOK_BLOCK; i++) {
            to[i] += times(a[i], w0) + times(r[i - 1], w1) + times(r[i - 2], w2) +
                     times(a[i - 2], w3) + times(a[i - 1], w4) + times(a[i + 1], w5) +
                     times(a[i + 2], w6) + times(r[i - 3], w7) + times(b[i - 1], w8) +
                     times(b[i], w9) + times(b[i + 1], w10) + times(c[i], w11) +
                     times(b[i - 2], w12) + times(b[i + 2], w13);
        }
    }
}

/* Weighted energies around the pixels of a row. */
static void add_up(const struct energies *all, uint32_t row, int32_t *sums)
{
    const struct skybook_plane *plane = all->plane;
    const uint32_t role = skybook_role(plane->band), last = plane->rows - 1;
    const int16_t *weights = skybook_bounded_weights[role];
    for (uint32_t col = 0; col < plane->cols + SKYBOOK_BLOCK; col++) {
        sums[col] = skybook_bounded_bias[role];
    }
    for (uint32_t n = 1; n <= skybook_references(plane->band); n++) {
        add_around(sums, row_at(all, n, row > 0 ? row - 1 : 0), row_at(all, n, row),
                   row_at(all, n, row < last ? row + 1 : last), plane->cols,
                   weights + SKYBOOK_CAUSAL + (n - 1) * SKYBOOK_AROUND);
    }
    const int16_t *own = row_at(all, 0, row);
    if (row == 0) { /* above stands what is to the left, and nothing is to the left of the first */
        int32_t near = 0;
        for (uint32_t i = 0; i < SKYBOOK_CAUSAL; i++) {
            near += i == 2 || i == 7 ? 0 : weights[i];
        }
        for (uint32_t col = 1; col < plane->cols; col++) {
            const int16_t *at = own + col;
            sums[col] += at[-1] * near + times(at[-2], weights[2]) + times(at[-3], weights[7]);
        }
        return;
    }
    const int16_t *one = row_at(all, 0, row - 1), *two = row_at(all, 0, row > 1 ? row - 2 : 0);
    const int16_t *three = row_at(all, 0, row > 2 ? row - 3 : 0);
    add_causal(sums, own, one, two, three, plane->cols, weights);
    sums[0] += (one[0] - own[0]) * (weights[1] + weights[2] + weights[7]); /* to the left is above */
}

/* Four levels per octave of a sum, from 32 on. */
static inline uint32_t level_of(int32_t sum)
{
    const uint32_t own = sum > LEAST ? (uint32_t)sum : LEAST, bit = skybook_highest_bit(own);
    const uint32_t level = 4 * bit - 24 + (own >> (bit - 2));
    return level < SKYBOOK_LEVELS ? level : SKYBOOK_LEVELS - 1;
}

/* The symbol of a residual, of most looked up. */
static inline uint32_t symbol_of(int32_t residual)
{
    const uint32_t place = (uint32_t)(residual + SKYBOOK_BOUNDED_SMALL);
    return place < 2 * SKYBOOK_BOUNDED_SMALL ? skybook_bounded_small[place] : skybook_symbol_of(residual);
}

/* Take so many bits from a sum, and note four levels for each, if more than three bits are left. */
#define HALVE(bits)                                                  \
    {                                                                \
        const bool larger = sum >= (uint32_t)8 << ((bits) - 1);      \
        sum = larger ? sum >> (bits) : sum;                          \
        level += larger ? 4u * (bits) : 0;                           \
    }

/* Where the rows of the tables begin for the sums of a row of pixels, whole blocks of them: as `level_of` finds them,
 * by steps that are vectors' own. */
static void find_rows(uint32_t *restrict rows, const int32_t *restrict sums, uint32_t count)
{
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        uint32_t *restrict to = rows + first;
        const int32_t *restrict from = sums + first;
        SKYBOOK_ROLLED
        for (uint32_t i = 0; i < SKYBOOK_BLOCK; i++) {
            const int32_t own = from[i];
            uint32_t sum = (uint32_t)(own > LEAST ? own : LEAST) >> 3, level = 0;
            HALVE(16)
            HALVE(8)
            HALVE(4)
            HALVE(2)
            HALVE(1)
            level += sum - 4;
            to[i] = (level < SKYBOOK_LEVELS ? level : SKYBOOK_LEVELS - 1) * SKYBOOK_ROW;
        }
    }
}

/* Give the residuals of a row their symbols; what they cost. */
static uint32_t put_symbols(uint32_t *restrict symbols, const int32_t *restrict sums, uint32_t count)
{
    uint32_t cost = 0; /* of 128 pixels at most */
    uint32_t rows[SKYBOOK_SIDE + SKYBOOK_BLOCK];
    find_rows(rows, sums, count);
    for (uint32_t col = 0; col < count; col++) {
        const int32_t residual = (int16_t)(symbols[col] & 0xFFFFu);
        const uint32_t row = rows[col] + symbol_of(residual);
        cost += skybook_bounded_costs[row];
        symbols[col] |= row << SKYBOOK_ROW_PLACE;
    }
    return cost;
}

/* The same of a row some of whose pixels have no data. */
static uint32_t put_symbols_between(uint32_t *restrict symbols, const int32_t *restrict sums,
                                    const uint8_t *restrict gaps, uint32_t count)
{
    uint32_t cost = 0;
    for (uint32_t col = 0; col < count; col++) {
        if (gaps[col] == 0) {
            const int32_t residual = (int16_t)(symbols[col] & 0xFFFFu);
            const uint32_t row = level_of(sums[col]) * SKYBOOK_ROW + symbol_of(residual);
            cost += skybook_bounded_costs[row];
            symbols[col] |= row << SKYBOOK_ROW_PLACE;
        } else {
            symbols[col] = SKYBOOK_NO_SYMBOL << SKYBOOK_ROW_PLACE;
        }
    }
    return cost;
}

/* Let pixels without data have no residual, and add up the energies of the others. */
static uint64_t sum_energies(struct skybook_work *work, const struct skybook_plane *plane)
{
    const uint32_t pixels = plane->rows * plane->cols;
    uint32_t *symbols = &work->symbols[plane->band * pixels];
    int32_t sum = 0; /* of 16,384 pixels at most */
    uint32_t i = 0;
    for (uint32_t n = 0; n < pixels && work->scratch.bounded.valid < pixels; n++) {
        symbols[n] = work->nodata[n] != 0 ? 0 : symbols[n];
    }
    for (; i + SKYBOOK_BLOCK <= pixels; i += SKYBOOK_BLOCK) {
        SKYBOOK_ROLLED
        for (uint32_t n = i; n < i + SKYBOOK_BLOCK; n++) {
            sum += energy_of(symbols[n]);
        }
    }
    for (; i < pixels; i++) {
        sum += energy_of(symbols[i]);
    }
    return (uint32_t)sum;
}

/* Send the samples as numbers; the values become those that the ground decodes. */
static enum skybook_status send_raw(struct skybook_encoder *encoder, const struct skybook_plane *plane)
{
    struct skybook_work *work = &encoder->work;
    struct skybook_bounded *own = &work->scratch.bounded;
    struct skybook_band *band = &own->bands[plane->band];
    const uint32_t step = 2 * band->bound + 1;
    const enum skybook_status status = skybook_put_values(encoder, plane);
    for (uint32_t row = 0; row < plane->rows; row++) {
        int16_t *values = skybook_row(own, plane, plane->band, row);
        uint32_t *symbols = &work->symbols[(plane->band * plane->rows + row) * plane->cols];
        const uint8_t *gaps = &work->nodata[row * plane->cols];
        for (uint32_t col = 0; col < plane->cols; col++) {
            const uint32_t number = (uint32_t)(values[col] + 32768) / step;
            const uint32_t centre = number * step + band->bound;
            const uint32_t value = centre < band->most ? centre : band->most;
            symbols[col] = gaps[col] != 0 ? SKYBOOK_NO_SYMBOL << SKYBOOK_ROW_PLACE : number;
            values[col] = (int16_t)((int32_t)value - 32768);
        }
        skybook_fill(work, plane, row);
    }
    skybook_close_rows(work, plane, plane->band);
    band->mode = MODE_RAW;
    band->energies = 0;
    return status;
}

enum skybook_status skybook_find_levels(struct skybook_encoder *encoder,
                                        const struct skybook_plane *plane)
{
    struct skybook_work *work = &encoder->work;
    struct skybook_bounded *own = &work->scratch.bounded;
    struct skybook_band *band = &own->bands[plane->band];
    const struct energies all = {work, plane, encoder->form.tile + ROOM};
    const uint32_t references = skybook_references(plane->band);
    int32_t sums[SKYBOOK_SIDE + SKYBOOK_BLOCK];
    const bool gaps = own->valid < plane->rows * plane->cols;
    uint64_t cost = 0;
    band->energies = sum_energies(work, plane);
    for (uint32_t n = 1; n <= references; n++) {
        const uint64_t other = own->bands[plane->band - n].energies;
        own->scales[n - 1] = scale_between(band->energies, other, own->valid);
    }
    for (uint32_t n = 1; n <= references; n++) {
        read_row(&all, n, 0);
    }
    for (uint32_t row = 0; row < plane->rows; row++) {
        uint32_t *symbols = &work->symbols[(plane->band * plane->rows + row) * plane->cols];
        read_row(&all, 0, row);
        for (uint32_t n = 1; n <= references && row + 1 < plane->rows; n++) {
            read_row(&all, n, row + 1);
        }
        add_up(&all, row, sums);
        cost += gaps ? put_symbols_between(symbols, sums, &work->nodata[row * plane->cols], plane->cols)
                     : put_symbols(symbols, sums, plane->cols);
    }
    band->width = (uint8_t)skybook_bit_length(band->most / (2 * band->bound + 1));
    return cost > (uint64_t)own->valid * band->width * SKYBOOK_BIT ? send_raw(encoder, plane)
                                                                   : SKYBOOK_OK;
}

#endif
