/* Prediction of a band from decoded values, and what is left (SPEC.md, section 20).
 *
 * Values stand in rows with others around them, so that neighbours outside of the tile are there: the
 * rows above the first are as the first, those below the last as the last, and each row goes on to the
 * left and right with its first and last value. What is to the left of the first column, and above the
 * first row, is not so, and dealt with apart. */
#include <string.h>

#include "bounded.h"
#include "boundedvectors.h"

#if SKYBOOK_BOUNDED

#define HALF 128
#define SHIFT 8
#define RECIPROCAL_BITS 36
#define LAG 32u /* pixels of a block that values above are added up for; a multiple of those of a vector */

const int8_t skybook_causal_places[SKYBOOK_CAUSAL][2] = {{-1, 0},  {0, -1}, {0, -2},  {-1, -2}, {-1, -1}, {-1, 1},  {-1, 2},
                                                  {0, -3},  {-2, -1}, {-2, 0}, {-2, 1},  {-3, 0},  {-2, -2}, {-2, 2}};
const int8_t skybook_places_around[SKYBOOK_AROUND][2] = {{0, 0},  {0, -1}, {0, 1},  {1, 0}, {-1, -1},
                                                  {-1, 1}, {-1, 0}, {1, -1}, {1, 1}};

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

/* Weigh values of the band itself: those that are known before it is decoded, or where `kept` all, and the base as what
 * is predicted from. In the first row what is above is to the left. */
static void take_own(struct skybook_taps *taps, const struct weights *w, int32_t place, int32_t pitch, bool first,
                     bool kept)
{
    if (first && kept) {
        skybook_add_tap(taps, place - 1, SKYBOOK_ONE - w->causal[2] - w->causal[7]);
        skybook_add_tap(taps, place - 2, w->causal[2]);
        skybook_add_tap(taps, place - 3, w->causal[7]);
    }
    for (uint32_t i = 0; i < SKYBOOK_CAUSAL && !first; i++) {
        const int8_t *there = skybook_causal_places[i];
        if (kept || there[0] < 0) {
            skybook_add_tap(taps, place + there[0] * pitch + there[1],
                            w->causal[i] + (i == 0 && kept ? SKYBOOK_ONE : 0));
        }
    }
}

/* Weigh values around the pixels of a row, the first or another. */
static void take_taps(struct skybook_taps *taps, struct skybook_bounded *own, const struct skybook_plane *plane,
                      const struct weights *w, bool first, bool kept)
{
    const int32_t pitch = (int32_t)plane->pitch;
    taps->count = 0;
    take_own(taps, w, (int32_t)(skybook_row(own, plane, plane->band, 0) - own->values), pitch, first, kept);
    for (uint32_t n = 0; n < skybook_references(plane->band); n++) {
        const int32_t place = (int32_t)(skybook_row(own, plane, plane->band - 1 - n, 0) - own->values);
        for (uint32_t i = 0; i < SKYBOOK_PREDICTING; i++) {
            skybook_add_tap(taps, place + skybook_places_around[i][0] * pitch + skybook_places_around[i][1], w->around[n][i]);
        }
        skybook_add_tap(taps, place - (first ? 1 : pitch), w->around[n][SKYBOOK_PREDICTING]);
    }
    skybook_close_taps(taps);
}

/* By how much references alter the sum of the first pixel of all, whose base is the start and not the pixel. */
static int32_t start_of_references(struct skybook_bounded *own, const struct skybook_plane *plane,
                                   const struct weights *w)
{
    int32_t sum = 0;
    for (uint32_t n = 0; n < skybook_references(plane->band); n++) {
        const uint32_t band = plane->band - 1 - n;
        sum += (skybook_start_of(own, band) - skybook_row(own, plane, band, 0)[0]) * w->around[n][SKYBOOK_PREDICTING];
    }
    return sum;
}

/* By how much the sum of the first pixel of a row whose values are known is to be altered: to its left is what is
 * above, and to that of the first one the start. */
static int32_t start_of_row(struct skybook_bounded *own, const struct skybook_plane *plane, uint32_t row,
                            const struct weights *w)
{
    const int16_t *values = skybook_row(own, plane, plane->band, row);
    if (row > 0) {
        return (values[-(int32_t)plane->pitch] - values[0]) * (w->causal[1] + w->causal[2] + w->causal[7]);
    }
    return (skybook_start_of(own, plane->band) - values[0]) * SKYBOOK_ONE + start_of_references(own, plane, w);
}

static int32_t clipped(int32_t value, int32_t most)
{
    value = value > -32768 ? value : -32768;
    return value < most ? value : most;
}

/* Mark the pixels of a row that are fitted to. */
static void mark_fitted(const struct skybook_work *work, const struct skybook_plane *plane, uint32_t row, int16_t *masks)
{
    const uint8_t *gaps = &work->nodata[row * plane->cols];
    const uint32_t step = skybook_fitted_step(plane);
    memset(masks, 0, (plane->cols + SKYBOOK_WIDE) * sizeof(*masks));
    for (uint32_t col = skybook_first_fitted(plane, row); col < plane->cols; col += step) {
        masks[col] = (int16_t)(gaps[col] == 0 ? -1 : 0);
    }
}

static uint32_t distance(int32_t value, int32_t sum)
{
    const int32_t off = value - (sum >> SHIFT);
    return (uint32_t)(off < 0 ? -off : off);
}

/* How values are quantised. */
struct quantiser {
    int32_t most; /* of decoded values */
    int32_t bound, step;
    uint64_t reciprocal; /* of the step */
    int32_t offset;      /* a multiple of the step, so that what is divided is not below 0 */
    int32_t steps;       /* of the offset */
};

static struct quantiser quantiser_of(uint32_t bound, int32_t most)
{
    struct quantiser found;
    found.most = most;
    found.bound = (int32_t)bound;
    found.step = 2 * found.bound + 1;
    found.reciprocal = ((uint64_t)1 << RECIPROCAL_BITS) / (uint32_t)found.step + 1;
    found.steps = 65536 / found.step + 1;
    found.offset = found.steps * found.step + found.bound;
    return found;
}

/* A row that is being quantised, from left to right: values become those that the ground decodes. */
struct course {
    int16_t *values;
    const uint8_t *gaps;
    int16_t *residuals;
    int32_t *known;         /* what values above and of references come to, for the pixels up to some block */
    int32_t one, two, three; /* values so far to the left */
    uint32_t row, col;
};

/* Quantise the next pixel of a row, whose base is given. */
static inline void quantise_next(struct course *course, const struct quantiser *q, const struct weights *w,
                                 int32_t base, int32_t less)
{
    const uint32_t col = course->col++;
    const uint32_t rest = (uint32_t)course->known[col] + (uint32_t)((course->two - less) * w->causal[2]) +
                          (uint32_t)((course->three - less) * w->causal[7]);
    const uint32_t sum = rest + (uint32_t)((course->one - less) * w->causal[1]);
    const int32_t predicted = clipped(base + ((int32_t)sum >> SHIFT), q->most);
    const uint32_t above = (uint32_t)(course->values[col] - predicted + q->offset);
    const int32_t residual = (int32_t)(above * q->reciprocal >> RECIPROCAL_BITS) - q->steps;
    int32_t value = clipped(predicted + q->step * residual, q->most);
    value = course->gaps[col] == 0 ? value : course->one;
    course->residuals[col] = (int16_t)residual;
    course->values[col] = (int16_t)value;
    course->three = course->two;
    course->two = course->one;
    course->one = value;
}

/* The quantisation of a band. */
struct quantisation {
    struct skybook_work *work;
    const struct skybook_plane *plane;
    struct quantiser quantiser;
    struct weights weights;
    struct skybook_taps taps;
    int32_t known[2][SKYBOOK_SIDE + SKYBOOK_WIDE]; /* of two rows that follow on each other */
};

/* Add up what is known for the block that the next pixel of a row begins. */
static void know_block(const struct quantisation *of, const struct course *course)
{
    const uint32_t stop = course->col + LAG < of->plane->cols ? course->col + LAG : of->plane->cols;
    for (uint32_t col = course->col; col < stop; col += SKYBOOK_WIDE) {
        const int16_t *own = of->work->scratch.bounded.values;
        const struct skybook_sums sums = skybook_weigh(&of->taps, own + course->row * of->plane->pitch + col, HALF);
        skybook_put_sums(&sums, course->known + col);
    }
}

/* Begin a row below the first one, with its first pixel, to whose left is what is above. */
static struct course begin_row(struct quantisation *of, uint32_t row)
{
    const struct skybook_plane *plane = of->plane;
    const uint32_t first = (plane->band * plane->rows + row) * plane->cols;
    int16_t *values = skybook_row(&of->work->scratch.bounded, plane, plane->band, row);
    const int32_t above = values[-(int32_t)plane->pitch];
    struct course course = {values, &of->work->nodata[row * plane->cols], &of->work->coded.residuals[first],
                            of->known[row % 2], above, above, above, row, 0};
    know_block(of, &course);
    quantise_next(&course, &of->quantiser, &of->weights, above, 0);
    course.two = course.three = course.one;
    for (uint32_t i = 1; i <= SKYBOOK_LEFT; i++) {
        values[-(int32_t)i] = values[0];
    }
    return course;
}

/* Go on with a row up to a pixel. */
static void go_on(struct quantisation *of, struct course *course, uint32_t stop)
{
    const int32_t pitch = (int32_t)of->plane->pitch;
    struct course own = *course; /* nothing points to it, so it stays in registers */
    while (own.col < stop) {
        if (own.col % LAG == 0) {
            know_block(of, course);
        }
        const uint32_t end = own.col / LAG * LAG + LAG, next = end < stop ? end : stop;
        while (own.col < next) {
            quantise_next(&own, &of->quantiser, &of->weights, own.values[(int32_t)own.col - pitch], 0);
        }
        *course = own;
    }
}

/* End a row, with the one below it by its side: each waits for its last pixel, but not for the other. */
static void end_row(struct quantisation *of, struct course *course, struct course *below)
{
    const int32_t pitch = (int32_t)of->plane->pitch;
    const struct quantiser q = of->quantiser;
    const struct weights w = of->weights;
    struct course own = *course, other = *below;
    while (own.col < of->plane->cols) {
        *course = own;
        *below = other;
        if (own.col % LAG == 0) {
            know_block(of, course);
        }
        if (other.col % LAG == 0) {
            know_block(of, below);
        }
        const uint32_t left = of->plane->cols - own.col, block = LAG - own.col % LAG, one = left < block ? left : block;
        const uint32_t others = LAG - other.col % LAG;
        for (uint32_t i = one < others ? one : others; i > 0; i--) {
            quantise_next(&own, &q, &w, own.values[(int32_t)own.col - pitch], 0);
            quantise_next(&other, &q, &w, other.values[(int32_t)other.col - pitch], 0);
        }
    }
    *course = own;
    *below = other;
}

/* Quantise the first row: above stands what is to the left. */
static void quantise_first(struct quantisation *of)
{
    struct skybook_bounded *own = &of->work->scratch.bounded;
    const struct skybook_plane *plane = of->plane;
    int16_t *values = skybook_row(own, plane, plane->band, 0);
    const int32_t start = skybook_start_of(own, plane->band);
    struct course course = {values, of->work->nodata, &of->work->coded.residuals[plane->band * plane->rows * plane->cols],
                            of->known[0], start, start, start, 0, 0};
    for (; course.col < plane->cols; course.col += LAG) {
        know_block(of, &course);
    }
    course.col = 0;
    course.known[0] += start_of_references(own, plane, &of->weights);
    quantise_next(&course, &of->quantiser, &of->weights, start, start);
    course.two = course.three = course.one;
    while (course.col < plane->cols) {
        quantise_next(&course, &of->quantiser, &of->weights, course.one, course.one);
    }
    close_row(plane, values);
    for (uint32_t i = 1; i <= SKYBOOK_UPPER; i++) {
        memcpy(values - SKYBOOK_LEFT - i * plane->pitch, values - SKYBOOK_LEFT, plane->pitch * sizeof(*values));
    }
}

/* Predict a band and quantise its values; they become those that the ground decodes. What is known for a block of a row
 * is so once the row above is two pixels beyond the block; it is one pixel more ahead, as rows begin with their first. */
static void quantise(struct skybook_work *work, const struct skybook_plane *plane,
                     const int16_t coefficients[SKYBOOK_UNKNOWNS])
{
    struct skybook_bounded *own = &work->scratch.bounded;
    struct quantisation of;
    struct course course, below;
    const uint32_t ahead = LAG + 3 < plane->cols ? LAG + 3 : plane->cols;
    of.work = work;
    of.plane = plane;
    of.quantiser = quantiser_of(own->bands[plane->band].bound, (int32_t)own->bands[plane->band].most - 32768);
    of.weights = weights_of(coefficients, skybook_references(plane->band));
    take_taps(&of.taps, own, plane, &of.weights, true, false);
    quantise_first(&of);
    take_taps(&of.taps, own, plane, &of.weights, false, false);
    for (uint32_t row = 1; row < plane->rows; row++, course = below) {
        if (row == 1) {
            course = begin_row(&of, row);
        }
        go_on(&of, &course, row + 1 < plane->rows ? ahead : plane->cols);
        if (course.col < plane->cols) {
            below = begin_row(&of, row + 1);
            end_row(&of, &course, &below);
            close_row(plane, course.values);
        } else {
            close_row(plane, course.values);
            below = row + 1 < plane->rows ? begin_row(&of, row + 1) : course;
        }
    }
    skybook_close_rows(work, plane, plane->band);
}

/* Go over a band whose values are known; their residuals go to where they are coded, if it is kept. */
static uint64_t go_over(struct skybook_work *work, const struct skybook_plane *plane,
                        const int16_t coefficients[SKYBOOK_UNKNOWNS], bool kept)
{
    struct skybook_bounded *own = &work->scratch.bounded;
    const struct weights w = weights_of(coefficients, skybook_references(plane->band));
    const int32_t most = (int32_t)own->bands[plane->band].most - 32768;
    int16_t masks[SKYBOOK_SIDE + SKYBOOK_WIDE];
    struct skybook_taps taps;
    skybook_far far = skybook_no_distance();
    uint64_t right_far = 0, wrong_far = 0; /* of pixels of the first column */
    for (uint32_t row = 0; row < plane->rows; row++) {
        const int16_t *values = skybook_row(own, plane, plane->band, row);
        const int16_t *origin = own->values + row * plane->pitch;
        int16_t *out = &work->coded.residuals[(plane->band * plane->rows + row) * plane->cols];
        int32_t first_sum = 0;
        if (row < 2) {
            take_taps(&taps, own, plane, &w, row == 0, true);
        }
        mark_fitted(work, plane, row, masks);
        for (uint32_t col = 0; col < plane->cols; col += SKYBOOK_WIDE) {
            const struct skybook_sums sums = skybook_weigh(&taps, origin + col, HALF);
            first_sum = col == 0 ? skybook_first_sum(&sums) : first_sum;
            skybook_add_distances(&far, &sums, values + col, masks + col);
            if (kept) {
                skybook_put_residuals(&sums, values + col, (int16_t)most, out + col);
            }
        }
        const int32_t right = first_sum + start_of_row(own, plane, row, &w);
        right_far += masks[0] != 0 ? distance(values[0], right) : 0;
        wrong_far += masks[0] != 0 ? distance(values[0], first_sum) : 0;
        if (kept) {
            out[0] = (int16_t)((uint32_t)(values[0] - clipped(right >> SHIFT, most)) & 0xFFFFu);
        }
    }
    return skybook_total_of(far) + right_far - wrong_far;
}

uint64_t skybook_predict(struct skybook_work *work, const struct skybook_plane *plane,
                         const int16_t coefficients[SKYBOOK_UNKNOWNS])
{
    if (work->scratch.bounded.bands[plane->band].bound == 0) {
        return go_over(work, plane, coefficients, true);
    }
    quantise(work, plane, coefficients);
    return 0;
}

uint64_t skybook_left(struct skybook_work *work, const struct skybook_plane *plane,
                      const int16_t coefficients[SKYBOOK_UNKNOWNS])
{
    return go_over(work, plane, coefficients, false);
}

#endif
