/* Front end of a tile: nodata, means, band transform, scale (SPEC.md, section 9). */
#include <string.h>

#include "vectors.h"

#define PART (8 * SKYBOOK_TILE) /* pixels that are summed, rotated and summed again before others are */
#define ROTATED SKYBOOK_TILE /* that are rotated at once, where there are no vectors */
#define PLANE_LIMIT 2047
#define TOGETHER SKYBOOK_SIDE /* differences that are added up at once */
#define SOME 4   /* one row and one column of pixels in so many is asked what gradients miss */
#define ALIGNED 7 /* times, at most, that deviations grow as planes of a mosaic are moved */
#define MISSED 2 /* times the gradients' steepness is less than that of these */
#ifndef SKYBOOK_NARROW
#define SKYBOOK_NARROW INT32_MAX /* sums up to which 32 bits do; less only to test the others */
#endif

#if SKYBOOK_GROUPS > 1
#define OF_COMPONENTS /* what tiles of components take, too */
typedef int64_t whole_product; /* of their differences and 256 */
#else
#define OF_COMPONENTS static
typedef int32_t whole_product;
#endif

static int64_t round14(int64_t product)
{
    return (product + 8192) >> 14;
}

/* Mark the pixels of which all bands are nodata, say so of the tile; return how many are not. */
uint32_t skybook_find_nodata(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    uint8_t *nodata = encoder->work.nodata;
    const uint32_t pixels = (uint32_t)tile->rows * tile->cols;
    tile->state = SKYBOOK_ALL_VALID;
    if (!encoder->options.has_nodata) {
        memset(nodata, 0, pixels);
        return pixels;
    }
    const uint16_t value =
        (uint16_t)((encoder->options.nodata + skybook_lift(&encoder->options)) & 0xFFFFu);
    skybook_room_of_row room;
    memset(nodata, 1, pixels);
    const uint32_t bands = skybook_take_gaps(encoder, column, nodata) ? 0 : encoder->form.bands;
    for (uint32_t band = 0; band < bands; band++) {
        for (uint32_t row = 0; row < tile->rows; row++) {
            const uint16_t *line =
                skybook_unpacked(skybook_row_of(encoder, column, band, row), tile->cols, room);
            uint8_t *marks = &nodata[row * tile->cols];
            for (uint32_t col = 0; col < tile->cols; col++) {
                marks[col] = (uint8_t)(marks[col] & (line[col] == value));
            }
        }
    }
    uint32_t valid = 0;
    for (uint32_t i = 0; i < pixels; i++) {
        valid += nodata[i] == 0;
    }
    if (valid < pixels) {
        tile->state = valid > 0 ? SKYBOOK_SOME_NODATA : SKYBOOK_ALL_NODATA;
    }
    return valid;
}

/* Add up the samples of a part of a line that are no nodata; which bits they have. */
static uint32_t add_samples(const uint16_t *restrict samples, const uint8_t *restrict marks, uint32_t count,
                            uint32_t *bits)
{
    uint32_t sum = 0, found = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t sample = marks[i] == 0 ? samples[i] : 0u;
        sum += sample;
        found |= sample;
    }
    *bits |= found;
    return sum;
}

/* Find the mean of a band; false if a sample has more than the significant bits. */
static bool find_mean(struct skybook_encoder *encoder, uint32_t column, uint32_t band,
                      uint32_t valid)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    uint64_t sum = 0;
    uint32_t bits = 0;
    skybook_room_of_row room;
    for (uint32_t row = 0; row < tile->rows; row++) {
        const uint16_t *line = skybook_unpacked(skybook_row_of(encoder, column, band, row), tile->cols, room);
        const uint8_t *marks = &encoder->work.nodata[row * tile->cols];
        sum += add_samples(line, marks, tile->cols, &bits);
    }
    const unsigned fraction = encoder->form.fraction;
    sum <<= fraction;
    tile->means[band] = (uint16_t)((2 * sum + valid) / (2 * (uint64_t)valid));
    tile->bits = (uint16_t)(tile->bits | bits << fraction | tile->means[band]);
    return bits >> encoder->options.significant_bits == 0;
}

/* Take a mean off samples, 0 at nodata; the sum of what is left. */
static uint32_t take_off(uint32_t mean, uint32_t fraction, const uint16_t *restrict samples,
                         const uint8_t *restrict marks, uint32_t count, int32_t *restrict out)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t deviation = marks[i] == 0 ? ((uint32_t)samples[i] << fraction) - mean : 0u;
        out[i] = (int32_t)deviation;
        sum += deviation;
    }
    return sum;
}

/* Take the mean off a band, 0 at nodata; note the sum of what is left. False if the lines are not
 * those that were pushed. */
static bool deviate(struct skybook_encoder *encoder, uint32_t column, uint32_t band,
                    int32_t *deviations)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    uint64_t lines = 0;
    uint32_t sum = 0;
    skybook_room_of_row room;
    for (uint32_t row = 0; row < tile->rows; row++) {
        const skybook_held *line = skybook_row_of(encoder, column, band, row);
        sum += take_off(tile->means[band], encoder->form.fraction, skybook_unpacked(line, tile->cols, room),
                        &encoder->work.nodata[row * tile->cols], tile->cols,
                        &deviations[row * tile->cols]);
        lines += skybook_words_of_row(encoder, column, line);
    }
    encoder->work.sums[band] = sum;
    return lines == encoder->sums[column][band];
}

/* Differences of a tile: between the values of every band and their neighbours, where one of which
 * has nodata. */
struct differences {
    const int32_t *values;
    const uint8_t *gaps; /* NULL if there are none */
    uint32_t rows, cols;
    uint32_t bands;
    uint32_t pitch; /* values of a row from those of the next; gaps have no others between */
    uint32_t apart; /* values of a band from those of the next */
    uint32_t pairs; /* 2: each value is in one pair of a row and in one of a column; 1: in two */
    uint64_t total; /* of steepness */
    uint32_t usual; /* steepness; 0 if not yet known */
};

/* Differences between `count` values, `stride` apart: 1, 2 or SOME; and those a step on. */
static inline void subtract(const int32_t *restrict values, uint32_t stride, uint32_t step, uint32_t count,
                            int32_t *restrict differences)
{
    for (uint32_t i = 0; i < count; i++) {
        differences[i] = values[i * stride + step] - values[i * stride];
    }
}

/* The same; with strides that are known here compilers make vectors. */
static void find_differences(const int32_t *values, uint32_t stride, uint32_t step, uint32_t count,
                             int32_t *differences)
{
    if (stride == 1) {
        subtract(values, 1, step, count, differences);
    } else if (stride == 2) {
        subtract(values, 2, step, count, differences);
    } else {
        subtract(values, SOME, step, count, differences);
    }
}

/* Leave out differences of which a value is a gap. */
static void leave_out(const uint8_t *gaps, uint32_t stride, uint32_t step, uint32_t count, int32_t *differences)
{
    for (uint32_t i = 0; i < count; i++) {
        differences[i] = (gaps[i * stride] | gaps[i * stride + step]) == 0 ? differences[i] : 0;
    }
}

static inline uint32_t steepness_of(int32_t difference)
{
    const int32_t sign = difference >> 31;
    return (uint32_t)((difference ^ sign) - sign);
}

static uint32_t add_steepness(const int32_t *differences, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += steepness_of(differences[i]);
    }
    return sum;
}

/* How steep it is between `count` values, `stride` apart, and those a step on. */
static inline uint32_t add_steps(const int32_t *values, uint32_t stride, uint32_t step, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += steepness_of(values[i * stride + step] - values[i * stride]);
    }
    return sum;
}

/* The same, with strides that are known here. */
static uint32_t find_steepness(const int32_t *values, uint32_t stride, uint32_t step, uint32_t count)
{
    if (stride == 1) {
        return add_steps(values, 1, step, count);
    }
    return stride == 2 ? add_steps(values, 2, step, count) : add_steps(values, SOME, step, count);
}

/* The sum of products of differences. */
static int32_t multiply(const int32_t *restrict one, const int32_t *restrict other, uint32_t count)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += one[i] * other[i];
    }
    return sum;
}

/* Scale differences of a row by how steep it is there. */
static void scale(int32_t *restrict differences, const int32_t *restrict bits, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        differences[i] = (int32_t)((whole_product)differences[i] * 256 >> bits[i]);
    }
}

/* Add up the products of pairs, weighted by how steep they are. */
static void add_pairs(const struct differences *all, struct skybook_pairs *pairs, skybook_square covariance)
{
    const uint32_t bands = all->bands, count = pairs->count;
    int32_t(*differences)[SKYBOOK_SIDE] = pairs->differences, bits[TOGETHER];
    uint32_t steepness[TOGETHER];
    for (uint32_t i = 0; i < count; i++) {
        steepness[i] = all->usual;
    }
    for (uint32_t band = 0; band < bands; band++) {
        for (uint32_t i = 0; i < count; i++) {
            steepness[i] += steepness_of(differences[band][i]);
        }
    }
    skybook_find_octaves(steepness, count, bits);
    for (uint32_t band = 0; band < bands; band++) {
        scale(differences[band], bits, count);
    }
    for (uint32_t one = 0; one < bands; one++) {
        for (uint32_t other = one; other < bands; other++) {
            covariance[one][other] += multiply(differences[one], differences[other], count);
        }
    }
    pairs->count = 0;
}

/* Take the pairs of `count` values of a row, `stride` apart, with those to the right or, `down`, below: add up
 * how steep they are or, once it is known what is usual, their products. */
static void take_pairs(struct differences *all, uint32_t row, uint32_t count, uint32_t stride, bool down,
                       struct skybook_pairs *pairs, skybook_square covariance)
{
    const uint32_t step = down ? all->pitch : 1, gap_step = down ? all->cols : 1;
    if (pairs->count + count > TOGETHER) {
        add_pairs(all, pairs, covariance);
    }
    for (uint32_t band = 0; band < all->bands; band++) {
        const int32_t *values = &all->values[band * all->apart + row * all->pitch];
        if (all->usual == 0 && all->gaps == NULL) {
            all->total += find_steepness(values, stride, step, count);
            continue;
        }
        int32_t *differences = &pairs->differences[band][pairs->count];
        find_differences(values, stride, step, count, differences);
        if (all->gaps != NULL) {
            leave_out(&all->gaps[row * all->cols], stride, gap_step, count, differences);
        }
        all->total += all->usual == 0 ? add_steepness(differences, count) : 0;
    }
    pairs->count += all->usual == 0 ? 0 : count;
}

/* Go over the differences of a tile, those of one row and one column in `some`. */
static void add_some(struct differences *all, uint32_t some, struct skybook_pairs *pairs,
                     skybook_square covariance)
{
    const uint32_t rows = all->rows, cols = all->cols, apart = all->pairs;
    pairs->count = 0;
    for (uint32_t row = 0; row < rows; row += some) {
        take_pairs(all, row, apart == 2 ? cols / 2 : cols - 1, apart, false, pairs, covariance);
    }
    for (uint32_t row = 0; row + 1 < rows; row += apart) {
        take_pairs(all, row, (cols + some - 1) / some, some, true, pairs, covariance);
    }
    add_pairs(all, pairs, covariance);
}

/* Sum pixels of two rows by twos. */
static void add_by_4(const int32_t *restrict upper, const int32_t *restrict lower, uint32_t count,
                     int32_t *restrict out)
{
    for (uint32_t i = 0; i < count; i++) {
        out[i] = upper[2 * i] + upper[2 * i + 1] + lower[2 * i] + lower[2 * i + 1];
    }
}

static void add_up(const struct skybook_form *form, const struct skybook_work *work,
                   const struct skybook_tile *tile, int32_t *sums)
{
    const uint32_t rows = tile->rows / 2u, cols = tile->cols / 2u, pitch = work->sides[1];
    const uint32_t pixels = skybook_apart(form);
    for (uint32_t band = 0; band < form->bands; band++) {
        for (uint32_t row = 0; row < rows; row++) {
            const int32_t *upper = &work->room.latents[band * pixels + 2 * row * pitch];
            add_by_4(upper, upper + pitch, cols, &sums[band * (pixels / 4) + row * cols]);
        }
    }
}

/* Covariance of the weighted gradients of sums over 2x2 pixels or, where they miss most of the
 * detail, of the differences of all pixels. */
OF_COMPONENTS void skybook_measure_bands(const struct skybook_form *form, struct skybook_work *work,
                                         const struct skybook_tile *tile, skybook_square covariance)
{
    const uint32_t apart = skybook_apart(form);
    struct skybook_pairs *pairs = &work->scratch.pairs;
    int32_t *sums = skybook_beside(work);
    uint8_t *gaps = skybook_bytes_beside(work); /* of sums */
    const uint32_t rows = tile->rows / 2u, cols = tile->cols / 2u;
    const bool has_gaps = tile->state != SKYBOOK_ALL_VALID;
    for (uint32_t row = 0; row < rows && has_gaps; row++) {
        const uint8_t *upper = &work->nodata[2 * row * tile->cols], *lower = upper + tile->cols;
        for (uint32_t col = 0; col < cols; col++) {
            gaps[row * cols + col] = (uint8_t)(upper[2 * col] | upper[2 * col + 1] |
                                               lower[2 * col] | lower[2 * col + 1]);
        }
    }
    add_up(form, work, tile, sums);
    struct differences gradients = {sums, has_gaps ? gaps : NULL, rows, cols, form->bands, cols, apart / 4, 2, 0, 0};
    struct differences pixels = {work->room.latents, has_gaps ? work->nodata : NULL,
                                 tile->rows,         tile->cols,
                                 form->bands,        work->sides[1],
                                 apart,              1,
                                 0,                  0};
    add_some(&gradients, 1, pairs, covariance);
    add_some(&pixels, SOME, pairs, covariance);
    const bool missed = MISSED * gradients.total < pixels.total;
    struct differences *all = missed ? &pixels : &gradients;
    uint32_t count = rows * (cols / 2) + rows / 2 * cols;
    if (missed) {
        count = tile->rows * (tile->cols - 1u) + (tile->rows - 1u) * tile->cols;
        pixels.total = 0;
        add_some(&pixels, 1, pairs, covariance);
    }
    memset(covariance, 0, sizeof(skybook_square));
    all->usual = (uint32_t)(all->total / (count > 0 ? count : 1)) + 1;
    add_some(all, 1, pairs, covariance);
    for (uint32_t one = 1; one < form->bands; one++) {
        for (uint32_t other = 0; other < one; other++) {
            covariance[one][other] = covariance[other][one];
        }
    }
}

/* Put the components of up to PART pixels in the place of their deviations. */
static void rotate_wide(const struct skybook_form *form, int32_t *pixels, uint32_t count,
                        skybook_square matrix)
{
    const uint32_t bands = form->bands, apart = skybook_apart(form);
    for (uint32_t i = 0; i < count; i++) {
        int64_t deviations[SKYBOOK_MAX_BANDS];
        for (uint32_t band = 0; band < bands; band++) {
            deviations[band] = pixels[band * apart + i];
        }
        for (uint32_t component = 0; component < bands; component++) {
            int64_t sum = 0;
            for (uint32_t band = 0; band < bands; band++) {
                sum += matrix[band][component] * deviations[band];
            }
            pixels[component * apart + i] = (int32_t)round14(sum);
        }
    }
}

/* Add a weighted part of a band to sums. */
static void add_weighted(const int32_t *restrict own, int32_t weight, uint32_t count, int32_t *restrict sums)
{
    for (uint32_t i = 0; i < count; i++) {
        sums[i] += weight * own[i];
    }
}

/* Round a part of a component, and put it. */
static void put_component(const int32_t *restrict sums, uint32_t count, int32_t *restrict pixels)
{
    for (uint32_t i = 0; i < count; i++) {
        pixels[i] = (sums[i] + 8192) >> 14;
    }
}

/* The same, of up to ROTATED pixels, where 32 bits hold every sum. */
static void rotate_some(int32_t *pixels, uint32_t count, uint32_t bands, uint32_t apart, skybook_weights weights)
{
    int32_t sums[SKYBOOK_MAX_BANDS][ROTATED];
    memset(sums, 0, sizeof(sums[0]) * bands);
    for (uint32_t component = 0; component < bands; component++) {
        for (uint32_t band = 0; band < bands; band++) {
            add_weighted(&pixels[band * apart], weights[component][band], count, sums[component]);
        }
    }
    for (uint32_t component = 0; component < bands; component++) {
        put_component(sums[component], count, &pixels[component * apart]);
    }
}

static void rotate_narrow(const struct skybook_form *form, int32_t *pixels, uint32_t count, uint32_t most,
                          skybook_square matrix)
{
    const uint32_t bands = form->bands, apart = skybook_apart(form);
    skybook_weights weights;
    uint32_t first = 0;
#if defined(SKYBOOK_PAIRED)
    if (most >> 15 == 0) {
        for (uint32_t component = 0; component < bands; component++) {
            int32_t of_bands[SKYBOOK_MAX_BANDS];
            for (uint32_t band = 0; band < bands; band++) {
                of_bands[band] = (int32_t)matrix[band][component];
            }
            skybook_put_weights(of_bands, bands, weights[component]);
        }
        first = skybook_rotate_pairs(pixels, count, bands, apart, weights, pixels, apart);
    }
#else
    (void)most;
#endif
    for (uint32_t component = 0; component < bands; component++) {
        for (uint32_t band = 0; band < bands; band++) {
            weights[component][band] = (int32_t)matrix[band][component];
        }
    }
#if defined(SKYBOOK_FEW)
    for (; first + SKYBOOK_FEW <= count; first += SKYBOOK_FEW) {
        skybook_rotate_few(pixels + first, bands, apart, weights);
    }
#endif
    for (; first < count; first += ROTATED) {
        rotate_some(pixels + first, count - first < ROTATED ? count - first : ROTATED, bands, apart, weights);
    }
}

static uint32_t sum_of(const int32_t *pixels, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += (uint32_t)pixels[i];
    }
    return sum;
}

/* The largest magnitude of pixels of a band; their sum is added to one. */
static int32_t survey(const int32_t *pixels, uint32_t count, uint32_t *sum)
{
    int32_t largest = 0;
    uint32_t all = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int32_t sign = pixels[i] >> 31, size = (pixels[i] ^ sign) - sign;
        largest = size > largest ? size : largest;
        all += (uint32_t)pixels[i];
    }
    *sum += all;
    return largest;
}

/* Deviations, none of more than `most`, to components; false if they are not those that were put. */
OF_COMPONENTS bool skybook_rotate(const struct skybook_form *form, struct skybook_work *work,
                                  struct skybook_tile *tile, uint32_t most)
{
    const uint32_t bands = form->bands, apart = skybook_apart(form);
    skybook_square matrix;
    skybook_make_matrix(tile->angles, bands, matrix);
    int32_t *pixels = work->room.latents;
    const uint32_t count = (uint32_t)work->sides[0] * work->sides[1];
    int64_t weight = 0;
    for (uint32_t component = 0; component < bands; component++) {
        int64_t sum = 0;
        for (uint32_t band = 0; band < bands; band++) {
            const int64_t own = matrix[band][component];
            sum += own < 0 ? -own : own;
        }
        weight = sum > weight ? sum : weight;
    }
    uint32_t before[SKYBOOK_MAX_BANDS] = {0}, after[SKYBOOK_MAX_BANDS] = {0};
    int32_t largest = 0;
    const bool narrow = weight * most + 8192 <= SKYBOOK_NARROW;
    for (uint32_t first = 0; first < count; first += PART) {
        const uint32_t left = count - first;
        const uint32_t part = left < PART ? left : PART;
        for (uint32_t band = 0; band < bands; band++) {
            before[band] += sum_of(&pixels[band * apart + first], part);
        }
        if (narrow) {
            rotate_narrow(form, pixels + first, part, most, matrix);
        } else {
            rotate_wide(form, pixels + first, part, matrix);
        }
        for (uint32_t band = 0; band < bands; band++) {
            const int32_t own = survey(&pixels[band * apart + first], part, &after[band]);
            largest = own > largest ? own : largest;
        }
    }
    tile->shift = 0;
    while ((largest + (1 << tile->shift >> 1)) >> tile->shift > PLANE_LIMIT) {
        tile->shift++;
    }
    uint32_t changed = 0;
    for (uint32_t band = 0; band < bands; band++) {
        changed |= before[band] ^ work->sums[band];
        work->sums[band] = after[band];
    }
    return changed == 0;
}

enum skybook_status skybook_front_end(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    struct skybook_work *work = &encoder->work;
    const struct skybook_form *form = &encoder->form;
    const uint32_t valid = skybook_find_nodata(encoder, column);
    if (valid == 0) {
        return SKYBOOK_OK;
    }
    tile->samples = form->bands * valid;
    for (uint32_t band = 0; band < form->bands; band++) {
        if (!tile->measured && !find_mean(encoder, column, band, valid)) {
            return SKYBOOK_ERROR_INPUT;
        }
        if (!deviate(encoder, column, band, work->room.latents + band * skybook_apart(form))) {
            return SKYBOOK_ERROR_MEMORY;
        }
    }
    uint32_t most = tile->bits;
    work->sides[0] = tile->rows;
    work->sides[1] = tile->cols;
    if (encoder->options.bayer != 0) {
        skybook_align(work, tile);
        most = ALIGNED * most + ALIGNED;
    }
    if (!tile->measured) {
        skybook_square covariance;
        skybook_basis basis;
        skybook_measure_bands(form, work, tile, covariance);
        skybook_find_basis(covariance, form->bands, basis);
#if SKYBOOK_REFINES
        if (form->bands >= (form->tile > SKYBOOK_TILE ? 2u : SKYBOOK_MANY_BANDS)) {
            skybook_refine(form, work, tile, basis);
        }
#endif
        skybook_name_angles(basis, form->bands, tile->angles);
        tile->measured = true;
    }
    return skybook_rotate(form, work, tile, most) ? SKYBOOK_OK : SKYBOOK_ERROR_MEMORY;
}
