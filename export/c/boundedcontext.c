/* Levels and symbols of the residuals of a band (SPEC.md, section 20). */
#include <string.h>

#include "bounded.h"
#include "boundedvectors.h"

#if SKYBOOK_BOUNDED

#define SCALES 32u
#define EQUAL (SCALES / 2)
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

/* Rows of energies, each with others to its left and right, read from residuals as they are needed. */
struct energies {
    struct skybook_work *work;
    const struct skybook_plane *plane;
    uint32_t pitch;
    bool gaps; /* whether some pixels have no data */
};

static int16_t *row_at(const struct energies *all, uint32_t reference, uint32_t row)
{
    const uint32_t before = reference == 0 ? 0 : OWN_ROWS + (reference - 1) * REFERENCE_ROWS;
    const uint32_t number = before + row % (reference == 0 ? OWN_ROWS : REFERENCE_ROWS);
    return &all->work->scratch.bounded.energies[number * all->pitch + SKYBOOK_LEFT];
}

/* Read a row of the band itself, 0, or of a reference, scaled. */
static void read_row(const struct energies *all, uint32_t reference, uint32_t row)
{
    const struct skybook_plane *plane = all->plane;
    const struct skybook_bounded *own = &all->work->scratch.bounded;
    const uint32_t band = plane->band - reference, cols = plane->cols;
    const int16_t *residuals = &all->work->coded.residuals[(band * plane->rows + row) * cols];
    int16_t *to = row_at(all, reference, row);
    const uint32_t scale = reference > 0 ? own->scales[reference - 1] : EQUAL;
    const int16_t factor = (int16_t)((uint32_t)quarters[scale % 4] << scale / 4 >> EQUAL / 4);
    const bool none = own->bands[band].mode == MODE_RAW || own->bands[band].most == 0;
    for (uint32_t col = 0; col < cols; col += SKYBOOK_WIDE) {
        skybook_put_energies(residuals + col, factor, to + col);
    }
    if (none) {
        memset(to, 0, cols * sizeof(*to));
    }
    for (uint32_t i = 1; i <= SKYBOOK_LEFT; i++) {
        to[-(int32_t)i] = to[0];
        to[cols + i - 1] = to[cols - 1];
    }
}

/* Weigh energies around the pixels of a row. In the first row what is above is to the left. */
static void take_taps(struct skybook_taps *taps, const struct energies *all, uint32_t row)
{
    const struct skybook_plane *plane = all->plane;
    const int16_t *first = all->work->scratch.bounded.energies;
    const int16_t *weights = skybook_bounded_weights[skybook_role(plane->band)];
    int32_t near = 0;
    taps->count = 0;
    for (uint32_t i = 0; i < SKYBOOK_CAUSAL; i++) {
        const int8_t *there = skybook_causal_places[i];
        const uint32_t above = (uint32_t)-there[0], of = row > above ? row - above : 0;
        if (row > 0 || (there[0] == 0 && there[1] < -1)) {
            skybook_add_tap(taps, (int32_t)(row_at(all, 0, of) - first) + there[1], weights[i]);
        } else {
            near += weights[i];
        }
    }
    if (row == 0) {
        skybook_add_tap(taps, (int32_t)(row_at(all, 0, 0) - first) - 1, near);
    }
    for (uint32_t n = 1; n <= skybook_references(plane->band); n++) {
        weights += n == 1 ? SKYBOOK_CAUSAL : SKYBOOK_AROUND;
        for (uint32_t i = 0; i < SKYBOOK_AROUND; i++) {
            const int8_t *there = skybook_places_around[i];
            const int32_t of = skybook_between((int32_t)row + there[0], 0, (int32_t)plane->rows - 1);
            skybook_add_tap(taps, (int32_t)(row_at(all, n, (uint32_t)of) - first) + there[1], weights[i]);
        }
    }
    skybook_close_taps(taps);
}

/* By how much the sum of the first pixel of a row is to be altered: to its left is what is above, and to that of the
 * first one nothing. */
static int32_t start_of_row(const struct energies *all, uint32_t row)
{
    const int16_t *weights = skybook_bounded_weights[skybook_role(all->plane->band)];
    const int32_t own = row_at(all, 0, row)[0];
    int32_t sum = 0;
    for (uint32_t i = 0; i < SKYBOOK_CAUSAL; i++) {
        sum += row == 0 ? weights[i] : 0;
    }
    if (row == 0) {
        return -own * sum;
    }
    return (row_at(all, 0, row - 1)[0] - own) * (weights[1] + weights[2] + weights[7]);
}

/* Find the rows of the tables for a row of residuals; what these cost. */
static uint32_t find_rows(const struct energies *all, uint32_t row)
{
    const struct skybook_plane *plane = all->plane;
    const uint32_t first = (plane->band * plane->rows + row) * plane->cols;
    const int16_t *residuals = &all->work->coded.residuals[first];
    const uint8_t *gaps = &all->work->nodata[row * plane->cols];
    uint16_t *rows = &all->work->coded.rows[first];
    struct skybook_taps taps;
    int32_t first_sum = 0;
    uint32_t cost = 0; /* of 128 pixels at most */
    take_taps(&taps, all, row);
    for (uint32_t col = 0; col < plane->cols; col += SKYBOOK_WIDE) {
        const struct skybook_sums sums = skybook_weigh(&taps, all->work->scratch.bounded.energies + col,
                                                       skybook_bounded_bias[skybook_role(plane->band)]);
        first_sum = col == 0 ? skybook_first_sum(&sums) : first_sum;
        skybook_put_rows(&sums, residuals + col, rows + col);
    }
    rows[0] = (uint16_t)skybook_row_of_tables(first_sum + start_of_row(all, row), residuals[0]);
    for (uint32_t col = 0; col < plane->cols && all->gaps; col++) {
        rows[col] = gaps[col] != 0 ? SKYBOOK_NO_SYMBOL : rows[col];
    }
    for (uint32_t col = 0; col < plane->cols; col++) {
        cost += skybook_bounded_costs[rows[col]];
    }
    return cost;
}

/* Let pixels without data have no residual, and add up the energies of the others. */
static uint64_t sum_energies(struct skybook_work *work, const struct skybook_plane *plane)
{
    const uint32_t pixels = plane->rows * plane->cols, whole = pixels / SKYBOOK_WIDE * SKYBOOK_WIDE;
    int16_t *residuals = &work->coded.residuals[plane->band * pixels], rest[SKYBOOK_WIDE] = {0};
    for (uint32_t i = 0; i < pixels && work->scratch.bounded.valid < pixels; i++) {
        residuals[i] = (int16_t)(work->nodata[i] != 0 ? 0 : residuals[i]);
    }
    memcpy(rest, residuals + whole, (pixels - whole) * sizeof(rest[0]));
    return skybook_sum_energies(residuals, whole) + skybook_sum_energies(rest, SKYBOOK_WIDE);
}

/* Send the samples as numbers; the values become those that the ground decodes. */
static enum skybook_status send_raw(struct skybook_encoder *encoder, const struct skybook_plane *plane)
{
    struct skybook_work *work = &encoder->work;
    struct skybook_bounded *own = &work->scratch.bounded;
    struct skybook_band *band = &own->bands[plane->band];
    const uint32_t step = 2 * band->bound + 1;
    const enum skybook_status status = skybook_take_samples(encoder, plane);
    skybook_put_values(work, plane);
    for (uint32_t row = 0; row < plane->rows; row++) {
        int16_t *values = skybook_row(own, plane, plane->band, row);
        const uint32_t first = (plane->band * plane->rows + row) * plane->cols;
        const uint8_t *gaps = &work->nodata[row * plane->cols];
        for (uint32_t col = 0; col < plane->cols; col++) {
            const uint32_t number = (uint32_t)(values[col] + 32768) / step;
            const uint32_t centre = number * step + band->bound;
            const uint32_t value = centre < band->most ? centre : band->most;
            work->coded.residuals[first + col] = (int16_t)number;
            work->coded.rows[first + col] = gaps[col] != 0 ? SKYBOOK_NO_SYMBOL : 0;
            values[col] = (int16_t)((int32_t)value - 32768);
        }
        skybook_fill(work, plane, row);
    }
    skybook_close_rows(work, plane, plane->band);
    band->mode = MODE_RAW;
    band->energies = 0;
    return status;
}

enum skybook_status skybook_find_rows(struct skybook_encoder *encoder,
                                      const struct skybook_plane *plane)
{
    struct skybook_work *work = &encoder->work;
    struct skybook_bounded *own = &work->scratch.bounded;
    struct skybook_band *band = &own->bands[plane->band];
    const bool gaps = own->valid < plane->rows * plane->cols;
    const struct energies all = {work, plane, encoder->form.tile + ROOM, gaps};
    const uint32_t references = skybook_references(plane->band);
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
        read_row(&all, 0, row);
        for (uint32_t n = 1; n <= references && row + 1 < plane->rows; n++) {
            read_row(&all, n, row + 1);
        }
        cost += find_rows(&all, row);
    }
    band->width = (uint8_t)skybook_bit_length(band->most / (2 * band->bound + 1));
    return cost > (uint64_t)own->valid * band->width * SKYBOOK_BIT ? send_raw(encoder, plane)
                                                                   : SKYBOOK_OK;
}

#endif
