/* Prediction of a band from decoded values, and what is left (SPEC.md, section 20).
 *
 * Values stand in rows with others around them, so that neighbours outside of the tile are there: the
 * rows above the first are as the first, those below the last as the last, and each row goes on to the
 * left and right with its first and last value. What is to the left of the first column, and above the
 * first row, is not so, and dealt with apart. */
#include <string.h>

#include "bounded.h"

#if SKYBOOK_BOUNDED

#define HALF 128u
#define SHIFT 8
#define RECIPROCAL_BITS 36

/* Weights of the values around a pixel, in the order of SPEC.md; those of bases last. */
struct weights {
    int16_t causal[14];    /* 1 to 13, and 0 of the base */
    int16_t around[2][7];
};

static struct weights weights_of(const int16_t coefficients[SKYBOOK_UNKNOWNS], uint32_t references)
{
    struct weights found;
    memset(&found, 0, sizeof(found));
    for (uint32_t i = 0; i < SKYBOOK_OWN; i++) {
        found.causal[i + 1] = coefficients[i];
        found.causal[0] = (int16_t)(found.causal[0] - coefficients[i]);
    }
    for (uint32_t n = 0; n < references; n++) {
        for (uint32_t i = 0; i < SKYBOOK_PREDICTING; i++) {
            const int16_t own = coefficients[SKYBOOK_OWN + n * SKYBOOK_PREDICTING + i];
            found.around[n][i] = own;
            found.around[n][6] = (int16_t)(found.around[n][6] - own);
        }
    }
    return found;
}

/* Let rows go on beyond the tile. */
static void close_row(const struct skybook_plane *plane, int16_t *row)
{
    for (uint32_t i = 1; i <= SKYBOOK_LEFT; i++) {
        row[-(int32_t)i] = row[0];
        row[plane->cols + i - 1] = row[plane->cols - 1];
    }
}

void skybook_close_rows(struct skybook_work *work, const struct skybook_plane *plane, uint32_t band)
{
    struct skybook_bounded *own = &work->scratch.bounded;
    const size_t bytes = plane->pitch * sizeof(own->values[0]);
    int16_t *first = skybook_row(own, plane, band, 0) - SKYBOOK_LEFT;
    for (uint32_t row = 0; row < plane->rows; row++) {
        close_row(plane, first + row * plane->pitch + SKYBOOK_LEFT);
    }
    for (uint32_t i = 1; i <= SKYBOOK_UPPER; i++) {
        memcpy(first - i * plane->pitch, first, bytes);
    }
    memcpy(first + plane->rows * plane->pitch, first + (plane->rows - 1) * plane->pitch, bytes);
}

/* The value to the left of a pixel: in the first column, that above. */
static int16_t left_of(struct skybook_bounded *own, const struct skybook_plane *plane, uint32_t band,
                       uint32_t row, uint32_t col)
{
    const int16_t *values = skybook_row(own, plane, band, row);
    if (col > 0) {
        return values[col - 1];
    }
    return row > 0 ? values[-(int32_t)plane->pitch] : skybook_start_of(own, band);
}

/* Let pixels of a row that have no data take the value to the left. */
void skybook_fill(struct skybook_work *work, const struct skybook_plane *plane, uint32_t row)
{
    struct skybook_bounded *own = &work->scratch.bounded;
    int16_t *values = skybook_row(own, plane, plane->band, row);
    for (uint32_t col = 0; col < plane->cols; col++) {
        if (work->nodata[row * plane->cols + col] != 0) {
            values[col] = left_of(own, plane, plane->band, row, col);
        }
    }
}

static inline uint32_t times(int16_t value, int16_t weight)
{
    return (uint32_t)((int32_t)value * weight);
}

/* Add up a row's weighted values of the rows above. */
static void add_above(uint32_t *restrict sums, const int16_t *restrict up, uint32_t pitch,
                      uint32_t count, const int16_t w[14])
{
    const int16_t w0 = w[0], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w8 = w[8], w9 = w[9];
    const int16_t w10 = w[10], w11 = w[11], w12 = w[12], w13 = w[13];
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        uint32_t *restrict to = sums + first;
        const int16_t *a = up + first, *b = a - pitch, *c = b - pitch;
        SKYBOOK_ROLLED
        for (int32_t i = 0; i < (int32_t)SKYBOOK_BLOCK; i++) {
            to[i] = HALF + times(a[i], w0) + times(a[i - 2], w3) + times(a[i - 1], w4) +
                    times(a[i + 1], w5) + times(a[i + 2], w6) + times(b[i - 1], w8) +
                    times(b[i], w9) + times(b[i + 1], w10) + times(c[i], w11) +
                    times(b[i - 2], w12) + times(b[i + 2], w13);
        }
    }
}

/* Those of the pixels before in the row. */
static void add_before(uint32_t *restrict sums, const int16_t *restrict row, uint32_t count,
                       const int16_t w[14])
{
    const int16_t w1 = w[1], w2 = w[2], w7 = w[7];
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        uint32_t *restrict to = sums + first;
        const int16_t *a = row + first;
        SKYBOOK_ROLLED
        for (int32_t i = 0; i < (int32_t)SKYBOOK_BLOCK; i++) {
            to[i] += times(a[i - 1], w1) + times(a[i - 2], w2) + times(a[i - 3], w7);
        }
    }
}

/* Those of a reference: `row` is the same row, `base` where bases stand. */
static void add_reference(uint32_t *restrict sums, const int16_t *restrict row,
                          const int16_t *restrict base, uint32_t pitch, uint32_t count,
                          const int16_t w[7])
{
    const int16_t w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6];
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        uint32_t *restrict to = sums + first;
        const int16_t *a = row + first, *up = a - pitch, *down = a + pitch, *d = base + first;
        SKYBOOK_ROLLED
        for (int32_t i = 0; i < (int32_t)SKYBOOK_BLOCK; i++) {
            to[i] += times(a[i], w0) + times(a[i - 1], w1) + times(a[i + 1], w2) +
                     times(down[i], w3) + times(up[i - 1], w4) + times(up[i + 1], w5) +
                     times(d[i], w6);
        }
    }
}

/* What values above and of references come to, for all pixels of a row but, of the first, those of the
 * own band. */
static void add_known(struct skybook_bounded *own, const struct skybook_plane *plane, uint32_t row,
                      const struct weights *w, uint32_t *sums)
{
    const uint32_t references = skybook_references(plane->band);
    if (row > 0) {
        add_above(sums, skybook_row(own, plane, plane->band, row - 1), plane->pitch, plane->cols,
                  w->causal);
    } else {
        for (uint32_t col = 0; col < plane->cols + SKYBOOK_BLOCK; col++) {
            sums[col] = HALF;
        }
    }
    for (uint32_t n = 0; n < references; n++) {
        const uint32_t band = plane->band - 1 - n;
        const int16_t *values = skybook_row(own, plane, band, row);
        add_reference(sums, values, row > 0 ? values - plane->pitch : values - 1, plane->pitch,
                      plane->cols, w->around[n]);
        if (row == 0) { /* the base of the first pixel is the start, not the pixel */
            sums[0] += times(skybook_start_of(own, band), w->around[n][6]) - times(values[0], w->around[n][6]);
        }
    }
}

/* Add the weighted values before each pixel of a row whose values are known. In the first column those
 * are the value above, which is the base, so that they come to nothing. */
static void add_row(const struct skybook_plane *plane, const int16_t *values, uint32_t row,
                    const struct weights *w, uint32_t *sums)
{
    const uint32_t at_first = sums[0];
    if (row > 0) {
        const int16_t above = values[-(int32_t)plane->pitch];
        add_before(sums, values, plane->cols, w->causal);
        sums[0] = at_first + times(above, w->causal[1]) + times(above, w->causal[2]) +
                  times(above, w->causal[7]);
        return;
    }
    for (uint32_t col = 1; col < plane->cols; col++) {
        const int16_t *at = values + col;
        sums[col] += (uint32_t)((at[-2] - at[-1]) * w->causal[2] + (at[-3] - at[-1]) * w->causal[7]);
    }
}

static int32_t clipped(int32_t value, int32_t most)
{
    value = value > -32768 ? value : -32768;
    return value < most ? value : most;
}

/* The residuals of the values of a row that are kept as they are, and some beyond it. */
static void keep_row(uint32_t *restrict out, const int16_t *restrict values, const int16_t *restrict base,
                     const uint32_t *restrict sums, uint32_t count, int32_t most)
{
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        uint32_t *restrict to = out + first;
        const int16_t *a = values + first, *b = base + first;
        const uint32_t *restrict s = sums + first;
        SKYBOOK_ROLLED
        for (uint32_t i = 0; i < SKYBOOK_BLOCK; i++) {
            const int32_t wanted = b[i] + ((int32_t)s[i] >> SHIFT);
            to[i] = (uint32_t)(a[i] - clipped(wanted, most)) & 0xFFFFu;
        }
    }
}

/* What weighted sums leave of the values of a row, at pixels that are fitted to. */
static uint32_t left_of_row(struct skybook_work *work, const struct skybook_plane *plane, uint32_t row,
                            const uint32_t *sums)
{
    struct skybook_bounded *own = &work->scratch.bounded;
    const int16_t *values = skybook_row(own, plane, plane->band, row);
    const int16_t *base = row > 0 ? values - plane->pitch : values - 1;
    const uint8_t *gaps = &work->nodata[row * plane->cols];
    const uint32_t step = skybook_fitted_step(plane), first = skybook_first_fitted(plane, row);
    uint32_t total = 0; /* of 128 pixels at most */
    for (uint32_t col = first; col < plane->cols; col += step) {
        const int32_t from = row + col > 0 ? base[col] : skybook_start_of(own, plane->band);
        const int32_t off = values[col] - from - ((int32_t)sums[col] >> SHIFT);
        total += gaps[col] == 0 ? (uint32_t)(off < 0 ? -off : off) : 0;
    }
    return total;
}

/* How values are quantised. */
struct quantiser {
    int32_t bound, step;
    uint64_t reciprocal; /* of the step */
    int32_t offset;      /* a multiple of the step, so that what is divided is not below 0 */
    int32_t steps;       /* of the offset */
};

static struct quantiser quantiser_of(uint32_t bound)
{
    struct quantiser found;
    found.bound = (int32_t)bound;
    found.step = 2 * found.bound + 1;
    found.reciprocal = ((uint64_t)1 << RECIPROCAL_BITS) / (uint32_t)found.step + 1;
    found.steps = 65536 / found.step + 1;
    found.offset = found.steps * found.step + found.bound;
    return found;
}

/* Quantise a row; values become those that the ground decodes. */
static void quantise_row(struct skybook_work *work, const struct skybook_plane *plane, uint32_t row,
                         const struct quantiser *q, const struct weights *w, const uint32_t *sums)
{
    struct skybook_bounded *own = &work->scratch.bounded;
    int16_t *values = skybook_row(own, plane, plane->band, row);
    const uint8_t *gaps = &work->nodata[row * plane->cols];
    const int32_t most = (int32_t)own->bands[plane->band].most - 32768;
    const int32_t w1 = w->causal[1], w2 = w->causal[2], w7 = w->causal[7];
    uint32_t *out = &work->symbols[(plane->band * plane->rows + row) * plane->cols];
    const int32_t start = left_of(own, plane, plane->band, row, 0);
    /* Values one, two and three to the left, less the base where that is not in `sums`. */
    int32_t one = start, two = start, three = start;
    for (uint32_t col = 0; col < plane->cols; col++) {
        const int32_t base = row > 0 ? values[(int32_t)col - (int32_t)plane->pitch] : one;
        const int32_t less = row > 0 ? 0 : base;
        const uint32_t rest = sums[col] + (uint32_t)((two - less) * w2) +
                              (uint32_t)((three - less) * w7);
        const uint32_t sum = rest + (uint32_t)((one - less) * w1);
        const int32_t predicted = clipped(base + ((int32_t)sum >> SHIFT), most);
        const uint32_t above = (uint32_t)(values[col] - predicted + q->offset);
        const int32_t residual = (int32_t)(above * q->reciprocal >> RECIPROCAL_BITS) - q->steps;
        int32_t value = clipped(predicted + q->step * residual, most);
        value = gaps[col] == 0 ? value : one;
        out[col] = (uint32_t)residual & 0xFFFFu;
        values[col] = (int16_t)value;
        three = col == 0 ? value : two;
        two = col == 0 ? value : one;
        one = value;
    }
}

/* Predict a band whose values are kept as they are. */
static uint64_t keep(struct skybook_work *work, const struct skybook_plane *plane, const struct weights *w)
{
    struct skybook_bounded *own = &work->scratch.bounded;
    const int32_t most = (int32_t)own->bands[plane->band].most - 32768;
    uint32_t sums[SKYBOOK_SIDE + SKYBOOK_BLOCK];
    uint64_t total = 0;
    for (uint32_t row = 0; row < plane->rows; row++) {
        const int16_t *values = skybook_row(own, plane, plane->band, row);
        uint32_t *out = &work->symbols[(plane->band * plane->rows + row) * plane->cols];
        add_known(own, plane, row, w, sums);
        add_row(plane, values, row, w, sums);
        total += left_of_row(work, plane, row, sums);
        keep_row(out, values, row > 0 ? values - plane->pitch : values - 1, sums, plane->cols, most);
        if (row == 0) {
            const int32_t start = skybook_start_of(own, plane->band);
            const int32_t first = clipped(start + ((int32_t)sums[0] >> SHIFT), most);
            out[0] = (uint32_t)(values[0] - first) & 0xFFFFu;
        }
    }
    return total;
}

uint64_t skybook_predict(struct skybook_work *work, const struct skybook_plane *plane,
                         const int16_t coefficients[SKYBOOK_UNKNOWNS])
{
    struct skybook_bounded *own = &work->scratch.bounded;
    const struct weights w = weights_of(coefficients, skybook_references(plane->band));
    const struct quantiser q = quantiser_of(own->bands[plane->band].bound);
    uint32_t sums[SKYBOOK_SIDE + SKYBOOK_BLOCK];
    if (q.bound == 0) {
        return keep(work, plane, &w);
    }
    for (uint32_t row = 0; row < plane->rows; row++) {
        int16_t *values = skybook_row(own, plane, plane->band, row);
        add_known(own, plane, row, &w, sums);
        quantise_row(work, plane, row, &q, &w, sums);
        close_row(plane, values);
        for (uint32_t i = 1; i <= SKYBOOK_UPPER && row == 0; i++) {
            memcpy(values - SKYBOOK_LEFT - i * plane->pitch, values - SKYBOOK_LEFT,
                   plane->pitch * sizeof(*values));
        }
    }
    skybook_close_rows(work, plane, plane->band);
    return 0;
}

uint64_t skybook_left(struct skybook_work *work, const struct skybook_plane *plane,
                      const int16_t coefficients[SKYBOOK_UNKNOWNS])
{
    struct skybook_bounded *own = &work->scratch.bounded;
    const struct weights w = weights_of(coefficients, skybook_references(plane->band));
    uint32_t sums[SKYBOOK_SIDE + SKYBOOK_BLOCK];
    uint64_t total = 0;
    for (uint32_t row = 0; row < plane->rows; row++) {
        add_known(own, plane, row, &w, sums);
        add_row(plane, skybook_row(own, plane, plane->band, row), row, &w, sums);
        total += left_of_row(work, plane, row, sums);
    }
    return total;
}

#endif
