/* Planes of a Bayer mosaic, moved by a quarter of their pixels to the middle of the cells (SPEC.md,
 * section 9). */
#include "parts.h"

#define PLANES (SKYBOOK_MAX_BANDS < 4 ? 1u : 4u) /* a build for fewer bands codes no mosaic */
#define PIXELS (SKYBOOK_TILE * SKYBOOK_TILE)
#define FEW 4 /* rows that are added up together */
#define SIDE_WEIGHT 40269 /* of a row of any of the matrices: what its magnitudes add up to */
#define GROWTH 3          /* deviations grow by less when they are moved along one axis */
#ifndef SKYBOOK_NARROW
#define SKYBOOK_NARROW INT32_MAX /* sums up to which 32 bits do; less only to test the others */
#endif

/* The matrix of a side of 8, 16, ..., 64 samples. */
static const int16_t *matrix_of(uint32_t side)
{
    const uint32_t n = side / 8;
    return &skybook_alignment[64 * ((n - 1) * n * (2 * n - 1) / 6)];
}

/* Add FEW rows of `count` numbers each, times a weight each, to sums. */
static void add_narrow(int32_t *sums, const int32_t *from, uint32_t count, const int32_t weights[FEW])
{
    const int32_t *second = from + count, *third = second + count, *fourth = third + count;
    for (uint32_t i = 0; i < count; i++) {
        sums[i] += weights[0] * from[i] + weights[1] * second[i] + weights[2] * third[i] +
                   weights[3] * fourth[i];
    }
}

static void add_wide(int64_t *sums, const int32_t *from, uint32_t count, const int32_t weights[FEW])
{
    for (uint32_t row = 0; row < FEW; row++) {
        for (uint32_t i = 0; i < count; i++) {
            sums[i] += (int64_t)weights[row] * from[row * count + i];
        }
    }
}

/* Move numbers of `rows` rows down by a quarter, or up; turn rows to columns. */
static void move_and_turn(const int32_t *from, int32_t *to, uint32_t rows, uint32_t cols, bool up,
                          bool narrow)
{
    const int16_t *matrix = matrix_of(rows);
    for (uint32_t i = 0; i < rows; i++) {
        int32_t sums[SKYBOOK_TILE] = {0};
        int64_t wide[SKYBOOK_TILE] = {0};
        for (uint32_t j = 0; j < rows; j += FEW) {
            int32_t weights[FEW];
            for (uint32_t k = 0; k < FEW; k++) {
                const uint32_t place = i * rows + j + k;
                weights[k] = matrix[up ? rows * rows - 1 - place : place];
            }
            if (narrow) {
                add_narrow(sums, &from[j * cols], cols, weights);
            } else {
                add_wide(wide, &from[j * cols], cols, weights);
            }
        }
        for (uint32_t col = 0; col < cols; col++) {
            const int64_t sum = narrow ? sums[col] : wide[col];
            to[col * rows + i] = (int32_t)((sum + 8192) >> 14);
        }
    }
}

/* Fill a plane of a tile up to multiples of 8 by reflection, its rows back to back. */
static void fill_up(const int32_t *from, int32_t *to, const struct skybook_tile *tile,
                    const struct skybook_work *work)
{
    for (uint32_t row = 0; row < work->sides[0]; row++) {
        const uint32_t other = skybook_mirrored(row, tile->rows);
        for (uint32_t col = 0; col < work->sides[1]; col++) {
            to[row * work->sides[1] + col] =
                from[other * tile->cols + skybook_mirrored(col, tile->cols)];
        }
    }
}

void skybook_align(struct skybook_work *work, const struct skybook_tile *tile)
{
    int32_t *filled = skybook_beside(work);
    work->sides[0] = (uint16_t)((tile->rows + 7u) / 8u * 8u);
    work->sides[1] = (uint16_t)((tile->cols + 7u) / 8u * 8u);
    const uint32_t rows = work->sides[0], cols = work->sides[1];
    const bool narrow = (int64_t)GROWTH * SIDE_WEIGHT * tile->bits + 8192 <= SKYBOOK_NARROW;
    for (uint32_t plane = 0; plane < PLANES; plane++) {
        int32_t *deviations = work->room.latents + plane * PIXELS;
        uint32_t sum = 0;
        fill_up(deviations, filled, tile, work);
        move_and_turn(filled, filled + PIXELS, rows, cols, plane / 2 % 2 != 0, narrow);
        move_and_turn(filled + PIXELS, deviations, cols, rows, plane % 2 != 0, narrow);
        for (uint32_t i = 0; i < rows * cols; i++) {
            sum += (uint32_t)deviations[i];
        }
        work->sums[plane] = sum;
    }
}
