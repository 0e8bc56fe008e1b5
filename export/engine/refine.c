/* Refinement: see refine.h.
 *
 * A convolution of 3 x 3 makes 2 x 2 cells at a time of the 4 x 4 around them, with 16 products in place of
 * 36: S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for
 * Convolutional Neural Networks, CVPR 2016, F(2x2, 3x3). Both convolutions of a block go down the part
 * together, so that what is between them stays in the processor's cache. */
#include "refine.h"

#if defined(__GNUC__) /* it is all in vectors as gcc and clang have them */
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Products are fused with sums where the processor can: nothing here is exact. */
#if defined(__clang__)
#pragma clang fp contract(fast)
#else
#pragma GCC optimize("fp-contract=fast")
#endif

#define CHANNELS SKYBOOK_FEATURES
#define BANDS SKYBOOK_REFINED_BANDS
#define CELL SKYBOOK_REFINED_CELL
#define OF_CELL (BANDS * CELL * CELL)
#define SEEN (2 * OF_CELL + 5) /* what the head takes of a cell: pixels twice, what is told of it, and 1 */
#define TAKEN (CHANNELS + 1)   /* what the tail takes: features, and 1 */
#define PRODUCTS 16
#define GROUP 6    /* cells or squares that are multiplied at once */
#define STRIP 24   /* squares of 2 x 2 cells that are worked on at once: a multiple of it */
#define MARGIN 3   /* cells around a plane of features: one before, two behind */
#define LINES 6    /* of what is between the convolutions of a block */
#define AROUND 2   /* cells to each side that the local mean is of */

/* Numbers that are worked on at once. */
#if defined(__AVX512F__)
#define LANES 16
#define WIDE 4 /* parts that sums are kept of in registers */
#elif defined(__AVX__)
#define LANES 8
#define WIDE 2
#else
#define LANES 4
#define WIDE 2
#endif
typedef float part __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t part_mask __attribute__((vector_size(4 * LANES)));
#define PARTS (CHANNELS / LANES)

static inline part at_least_0(part numbers)
{
    return (part)((part_mask)numbers & (numbers > 0));
}

/* Multiply the numbers of a group, `apart` from those of the next, by weights (depth, 64) to sums (64). */
static void multiply(const float *numbers, size_t apart, uint32_t depth, const float *weights, float *sums)
{
    for (uint32_t first = 0; first < PARTS; first += WIDE) {
        part all[GROUP][WIDE];
        memset(all, 0, sizeof(all));
        for (uint32_t i = 0; i < depth; i++) {
            const part *own = (const part *)(weights + (size_t)CHANNELS * i) + first;
            for (uint32_t n = 0; n < GROUP; n++) {
                const float number = numbers[n * apart + i];
                for (uint32_t p = 0; p < WIDE; p++) {
                    all[n][p] += own[p] * number;
                }
            }
        }
        for (uint32_t n = 0; n < GROUP; n++) {
            for (uint32_t p = 0; p < WIDE; p++) {
                ((part *)(sums + (size_t)CHANNELS * n))[first + p] = all[n][p];
            }
        }
    }
}

/* Four lines of features to the products' first factors, of squares side by side: (16, STRIP, 64). */
static void to_factors(const float *const in[4], bool rectify, uint32_t squares, float *factors)
{
    for (uint32_t n = 0; n < squares; n++) {
        for (uint32_t p = 0; p < PARTS; p++) {
            part rows[4][4];
            for (uint32_t col = 0; col < 4; col++) {
                part own[4];
                for (uint32_t row = 0; row < 4; row++) {
                    own[row] = ((const part *)(in[row] + (size_t)CHANNELS * (2 * n + col)))[p];
                    own[row] = rectify ? at_least_0(own[row]) : own[row];
                }
                rows[0][col] = own[0] - own[2];
                rows[1][col] = own[1] + own[2];
                rows[2][col] = own[2] - own[1];
                rows[3][col] = own[1] - own[3];
            }
            for (uint32_t row = 0; row < 4; row++) {
                const part found[4] = {rows[row][0] - rows[row][2], rows[row][1] + rows[row][2],
                                       rows[row][2] - rows[row][1], rows[row][1] - rows[row][3]};
                for (uint32_t col = 0; col < 4; col++) {
                    ((part *)(factors + (size_t)CHANNELS * ((4 * row + col) * STRIP + n)))[p] = found[col];
                }
            }
        }
    }
}

/* Sums of products to two lines of features: added to those, else at least 0. */
static void from_products(const float *products, const float *bias, uint32_t squares, uint32_t cols, bool add,
                          float *const out[2])
{
    for (uint32_t n = 0; n < squares; n++) {
        for (uint32_t p = 0; p < PARTS; p++) {
            part lines[2][4];
            for (uint32_t col = 0; col < 4; col++) {
                part own[4];
                for (uint32_t row = 0; row < 4; row++) {
                    own[row] = ((const part *)(products + (size_t)CHANNELS * ((4 * row + col) * STRIP + n)))[p];
                }
                lines[0][col] = own[0] + own[1] + own[2];
                lines[1][col] = own[1] - own[2] - own[3];
            }
            const part from = ((const part *)bias)[p];
            for (uint32_t row = 0; row < 2 && out[row] != NULL; row++) {
                const part *line = lines[row];
                const part found[2] = {from + line[0] + line[1] + line[2], from + line[1] - line[2] - line[3]};
                for (uint32_t col = 0; col < 2 && 2 * n + col < cols; col++) {
                    part *to = (part *)(out[row] + (size_t)CHANNELS * (2 * n + col)) + p;
                    if (add) {
                        *to += found[col];
                    } else {
                        *to = at_least_0(found[col]);
                    }
                }
            }
        }
    }
}

/* A convolution of four lines, which begin a cell before the part, to two; `weights` end with the bias. */
static void convolve(const float *weights, const float *const in[4], bool is_last, float *const out[2],
                     uint32_t cols, float *room)
{
    float *products = room + PRODUCTS * STRIP * CHANNELS;
    for (uint32_t first = 0; first < cols; first += 2 * STRIP) {
        const size_t before = (size_t)CHANNELS * first;
        const uint32_t left = cols - first, squares = left < 2 * STRIP ? (left + 1) / 2 : STRIP;
        const float *const from[4] = {in[0] + before, in[1] + before, in[2] + before, in[3] + before};
        float *const to[2] = {out[0] + before, out[1] != NULL ? out[1] + before : NULL};
        to_factors(from, !is_last, squares, room);
        for (uint32_t product = 0; product < PRODUCTS; product++) {
            for (uint32_t n = 0; n < squares; n += GROUP) {
                const size_t place = (size_t)CHANNELS * (product * STRIP + n);
                multiply(room + place, CHANNELS, CHANNELS, weights + (size_t)CHANNELS * CHANNELS * product,
                         products + place);
            }
        }
        from_products(products, weights + (size_t)CHANNELS * CHANNELS * PRODUCTS, squares, left, is_last, to);
    }
}

/* A part of a scene, and what of the room is what. */
struct planes {
    uint32_t rows, cols; /* of cells */
    const float *image, *step, *known, *border;
    size_t band_apart, row_apart;
    size_t pitch;    /* floats of a line of features with its margin */
    float *features; /* (rows + MARGIN, pitch) */
    float *lines;    /* (LINES, pitch): between the convolutions of a block */
    float *nothing;  /* a line of 0 */
    float *group;    /* what is at hand of some cells */
    float *sums;     /* (cols + 2 AROUND): of the means of a column */
    float *means;    /* (BANDS, rows, cols): of cells, in DN */
    float *local;    /* the same, of those around each */
};

#define OF_GROUP ((size_t)2 * PRODUCTS * STRIP * CHANNELS) /* floats: first factors, and products */

static size_t pitch_of(uint32_t cols)
{
    return (size_t)CHANNELS * (cols + MARGIN);
}

size_t skybook_tiles_refine_room(uint32_t rows, uint32_t cols)
{
    const size_t lines = (size_t)rows + MARGIN + LINES + 1, sums = (size_t)cols + 2 * AROUND;
    return lines * pitch_of(cols) + OF_GROUP + sums + (size_t)2 * BANDS * rows * cols;
}

uint32_t skybook_tiles_refines(void)
{
#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__)) || defined(__ARM_NEON)
    return 1;
#else
    return 0;
#endif
}

static void place_planes(struct planes *planes, float *room)
{
    const size_t cells = (size_t)planes->rows * planes->cols;
    planes->pitch = pitch_of(planes->cols);
    planes->features = room;
    planes->lines = planes->features + (planes->rows + MARGIN) * planes->pitch;
    planes->nothing = planes->lines + LINES * planes->pitch;
    planes->group = planes->nothing + planes->pitch;
    planes->sums = planes->group + OF_GROUP;
    planes->means = planes->sums + planes->cols + 2 * AROUND;
    planes->local = planes->means + BANDS * cells;
}

/* Have nothing around the features. */
static void clear_margins(const struct planes *planes)
{
    const size_t inside = (size_t)CHANNELS * planes->cols, behind = (size_t)CHANNELS * (MARGIN - 1);
    memset(planes->lines, 0, (LINES + 1) * planes->pitch * sizeof(float));
    memset(planes->group, 0, OF_GROUP * sizeof(float));
    for (uint32_t row = 0; row < planes->rows + MARGIN; row++) {
        float *line = planes->features + row * planes->pitch;
        memset(line, 0, (row == 0 || row > planes->rows ? planes->pitch : CHANNELS) * sizeof(float));
        memset(line + CHANNELS + inside, 0, behind * sizeof(float));
    }
}

/* A line of features, with its margin; those beyond the part are 0. */
static float *line_of(const struct planes *planes, uint32_t row)
{
    return planes->features + (row + 1) * planes->pitch;
}

static const float *between(const struct planes *planes, uint32_t row)
{
    return row < planes->rows ? planes->lines + row % LINES * planes->pitch : planes->nothing;
}

/* A block: what two convolutions make of the features is added to them. */
static void add_block(const struct planes *planes, const float *weights)
{
    const size_t length = (size_t)CHANNELS * CHANNELS * PRODUCTS + CHANNELS;
    for (uint32_t row = 0; row < planes->rows + 2; row += 2) {
        if (row < planes->rows) {
            const float *above = planes->features + row * planes->pitch;
            const float *const in[4] = {above, above + planes->pitch, above + 2 * planes->pitch,
                                        above + 3 * planes->pitch};
            float *first = planes->lines + row % LINES * planes->pitch + CHANNELS;
            float *const out[2] = {first, row + 1 < planes->rows ? first + planes->pitch : NULL};
            convolve(weights, in, false, out, planes->cols, planes->group);
        }
        if (row >= 2) {
            const uint32_t own = row - 2;
            const float *const in[4] = {own > 0 ? between(planes, own - 1) : planes->nothing, between(planes, own),
                                        between(planes, own + 1), between(planes, own + 2)};
            float *first = line_of(planes, own) + CHANNELS;
            float *const out[2] = {first, own + 1 < planes->rows ? first + planes->pitch : NULL};
            convolve(weights + length, in, true, out, planes->cols, planes->group);
        }
    }
}

/* The mean of the pixels of each cell of a band. */
static void take_means(const struct planes *planes, uint32_t band)
{
    const size_t cells = (size_t)planes->rows * planes->cols;
    const float *pixels = planes->image + band * planes->band_apart;
    float *means = planes->means + band * cells;
    for (uint32_t row = 0; row < planes->rows; row++, means += planes->cols) {
        memset(means, 0, planes->cols * sizeof(*means));
        for (uint32_t line = 0; line < CELL; line++, pixels += planes->row_apart) {
            for (uint32_t col = 0; col < planes->cols; col++) {
                const float *own = pixels + (size_t)CELL * col;
                means[col] += (own[0] + own[1] + own[2] + own[3]) / (CELL * CELL);
            }
        }
    }
}

/* The mean of the cells around each of a band, of 5 x 5 that are inside the part. */
static void take_local(const struct planes *planes, uint32_t band)
{
    const uint32_t rows = planes->rows, cols = planes->cols;
    const size_t first = (size_t)band * rows * cols;
    float *sums = planes->sums;
    for (uint32_t row = 0; row < rows; row++) {
        const uint32_t above = row < AROUND ? row : AROUND, under = rows - 1 - row;
        const uint32_t lines = above + 1 + (under < AROUND ? under : AROUND);
        const float *means = planes->means + first + (size_t)(row - above) * cols;
        float *local = planes->local + first + (size_t)row * cols;
        memset(sums, 0, (cols + 2 * AROUND) * sizeof(*sums));
        for (uint32_t line = 0; line < lines; line++, means += cols) {
            for (uint32_t col = 0; col < cols; col++) {
                sums[AROUND + col] += means[col];
            }
        }
        for (uint32_t col = 0; col < cols; col++) {
            const uint32_t left = col < AROUND ? col : AROUND, right = cols - 1 - col;
            const uint32_t across = left + 1 + (right < AROUND ? right : AROUND);
            const float *own = sums + col;
            local[col] = (own[0] + own[1] + own[2] + own[3] + own[4]) / (float)(lines * across);
        }
    }
}

/* The pixels of a line of a cell. */
typedef float four __attribute__((vector_size(4 * CELL), aligned(4), may_alias));
typedef int32_t four_mask __attribute__((vector_size(4 * CELL)));

static inline four within(four numbers, float most)
{
    const four highest = (four){0} + most, lowest = -highest;
    const four_mask above = numbers > highest, below = numbers < lowest;
    return (four)(((four_mask)numbers & ~(above | below)) | ((four_mask)highest & above) | ((four_mask)lowest & below));
}

/* What the head takes of a cell. */
static void see(const struct planes *planes, uint32_t row, uint32_t col, float seen[SEEN])
{
    const size_t cells = (size_t)planes->rows * planes->cols, cell = (size_t)row * planes->cols + col;
    const float step = planes->step[cell], scale = 0.5f / step;
    for (uint32_t band = 0; band < BANDS; band++) {
        const float local = planes->local[band * cells + cell];
        for (uint32_t line = 0; line < CELL; line++) {
            const float *own = planes->image + band * planes->band_apart + (CELL * row + line) * planes->row_apart;
            float *to = seen + CELL * (CELL * band + line);
            const four away = (*(const four *)(own + (size_t)CELL * col) - local) * scale;
            *(four *)to = within(away, 3.0f);
            *(four *)(to + OF_CELL) = within(away * 0.1f, 4.0f);
        }
    }
    float *told = seen + 2 * OF_CELL;
    told[0] = (log2f(step) - 5.0f) / 2.0f;
    told[1] = planes->known[cell];
    told[2] = planes->border[cell];
    told[3] = planes->border[cells + cell];
    told[4] = 1.0f;
}

/* The first features of the cells of a row. */
static void begin_line(const struct planes *planes, uint32_t row, const float *head)
{
    float *seen = planes->group, *found = planes->group + (size_t)GROUP * SEEN;
    for (uint32_t first = 0; first < planes->cols; first += GROUP) {
        const uint32_t left = planes->cols - first, count = left < GROUP ? left : GROUP;
        for (uint32_t n = 0; n < count; n++) {
            see(planes, row, first + n, seen + (size_t)SEEN * n);
        }
        multiply(seen, SEEN, SEEN, head, found);
        memcpy(line_of(planes, row) + (size_t)CHANNELS * (1 + first), found, count * CHANNELS * sizeof(*found));
    }
}

/* Add to a cell what was found of it. */
static void put_cell(const struct planes *planes, uint32_t row, uint32_t col, const float *found, float *refined)
{
    const size_t cells = (size_t)planes->rows * planes->cols;
    const float step = planes->step[(size_t)row * planes->cols + col];
    for (uint32_t band = 0; band < BANDS; band++) {
        for (uint32_t line = 0; line < CELL; line++, found += CELL) {
            const size_t down = (size_t)CELL * row + line, across = (size_t)CELL * col;
            const float *own = planes->image + band * planes->band_apart + down * planes->row_apart + across;
            float *to = refined + (size_t)CELL * CELL * cells * band + down * CELL * planes->cols + across;
            *(four *)to = *(const four *)own + *(const four *)found * step;
        }
    }
}

/* What the features of a row of cells say. */
static void end_line(const struct planes *planes, uint32_t row, const float *tail, float *refined)
{
    float *taken = planes->group, *found = planes->group + (size_t)GROUP * TAKEN;
    for (uint32_t first = 0; first < planes->cols; first += GROUP) {
        const uint32_t left = planes->cols - first, count = left < GROUP ? left : GROUP;
        const float *features = line_of(planes, row) + (size_t)CHANNELS * (1 + first);
        for (uint32_t n = 0; n < count; n++, features += CHANNELS) {
            for (uint32_t i = 0; i < CHANNELS; i++) {
                taken[(size_t)TAKEN * n + i] = features[i] > 0 ? features[i] : 0;
            }
            taken[(size_t)TAKEN * n + CHANNELS] = 1.0f;
        }
        multiply(taken, TAKEN, TAKEN, tail, found);
        for (uint32_t n = 0; n < count; n++) {
            put_cell(planes, row, first + n, found + (size_t)CHANNELS * n, refined);
        }
    }
}

void skybook_tiles_refine(const float *weights, uint32_t blocks, uint32_t rows, uint32_t cols, const float *image,
                    size_t band_apart, size_t row_apart, const float *step, const float *known,
                    const float *border, float *room, float *refined)
{
    struct planes planes = {.rows = rows, .cols = cols, .image = image, .step = step, .known = known,
                            .border = border, .band_apart = band_apart, .row_apart = row_apart};
    const size_t of_block = 2 * ((size_t)CHANNELS * CHANNELS * PRODUCTS + CHANNELS);
    place_planes(&planes, room);
    clear_margins(&planes);
    for (uint32_t band = 0; band < BANDS; band++) {
        take_means(&planes, band);
        take_local(&planes, band);
    }
    for (uint32_t row = 0; row < rows; row++) {
        begin_line(&planes, row, weights);
    }
    weights += (size_t)SEEN * CHANNELS;
    for (uint32_t block = 0; block < blocks; block++, weights += of_block) {
        add_block(&planes, weights);
    }
    for (uint32_t row = 0; row < rows; row++) {
        end_line(&planes, row, weights, refined);
    }
}
#else
uint32_t skybook_tiles_refines(void)
{
    return 0;
}

size_t skybook_tiles_refine_room(uint32_t rows, uint32_t cols)
{
    (void)rows, (void)cols;
    return 0;
}
#endif
