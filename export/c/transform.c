/* Lapped transform: components of a tile to latents (SPEC.md, section 9).
 *
 * Each filter is even or odd in rows and in columns. So the 16x16 pixels of a block are folded to
 * four times 8x8 sums and differences, and a filter takes 64 products instead of 256. */
#include <string.h>

#include "vectors.h"

#define WIDE (SKYBOOK_SIDE + 8) /* a row of a plane; those in use may be shorter */
#define SYMBOL_LIMIT (16382 * 64) /* so that a residual of two symbols is within 16 bits */

/* Where the place `index` - 4 of a side filled up to `whole` and continued by 4 comes from. */
static uint32_t source(uint32_t index, uint32_t whole, uint32_t size)
{
    const uint32_t place = index < 4 ? 3 - index : index - 4;
    return skybook_mirrored(place < whole ? place : 2 * whole - 1 - place, size);
}

/* The sum of the rows of a plane that are in use. */
static uint64_t sum_of_plane(const struct skybook_work *work)
{
    const size_t wide = 8u * work->positions[1] + 8u;
    return skybook_words(work->scratch.plane, (8u * work->positions[0] + 8u) * wide * sizeof(int16_t));
}

/* Fill a row of a plane up and continue it by 4 pixels on both sides. */
static void put_edges(int16_t *row, uint32_t width, uint32_t cols)
{
    if (width == cols) {
        for (uint32_t i = 0; i < 4; i++) {
            row[3 - i] = row[4 + i];
            row[cols + 4 + i] = row[cols + 3 - i];
        }
        return;
    }
    for (uint32_t col = width + 4u; col < cols + 8; col++) {
        row[col] = row[source(col, cols, width) + 4];
    }
    for (uint32_t col = 0; col < 4; col++) {
        row[col] = row[source(col, cols, width) + 4];
    }
}

/* Scale a component to 12 bits, fill it up and continue it by 4 pixels on all sides. False if it is
 * not what was put there. */
static bool make_plane(struct skybook_work *work, const struct skybook_tile *tile,
                       const int32_t *component, uint32_t wanted)
{
    uint32_t sum = 0;
    const uint32_t rows = 8u * work->positions[0], cols = 8u * work->positions[1];
    const uint32_t height = work->sides[0], width = work->sides[1];
    const unsigned shift = tile->shift;
    const int32_t half = 1 << shift >> 1;
    for (uint32_t row = 0; row < rows + 8; row++) {
        const int32_t *from = &component[source(row, rows, height) * width];
        int16_t *to = &work->scratch.plane[row * (cols + 8)];
        uint32_t of_row = 0;
        for (uint32_t col = 0; col < width; col++) {
            to[col + 4] = (int16_t)((from[col] + half) >> shift);
            of_row += (uint32_t)from[col];
        }
        sum += row >= 4 && row < height + 4u ? of_row : 0; /* the others come twice */
        put_edges(to, width, cols);
    }
    return sum == wanted;
}

/* Fold the rows of the blocks of a row of them: sums, then differences. */
static void fold_rows(const int16_t *restrict upper, const int16_t *restrict lower, uint32_t count,
                      int16_t *restrict sums, int16_t *restrict differences)
{
    for (uint32_t i = 0; i < count; i++) {
        sums[i] = (int16_t)(upper[i] + lower[i]);
        differences[i] = (int16_t)(upper[i] - lower[i]);
    }
}

/* The sums of all filters of blocks from `col` on, by parity; 0 of those beyond `blocks`. */
static void filter_blocks(int16_t folded[2][8][WIDE], uint32_t col, uint32_t blocks,
                          int32_t sums[SKYBOOK_BLOCKS][4][16])
{
    for (uint32_t half = 0; half < 2; half++) {
        int16_t parts[2][SKYBOOK_BLOCKS][64]; /* sums and differences of columns */
        if (blocks < SKYBOOK_BLOCKS) {
            memset(parts, 0, sizeof(parts));
        }
        for (uint32_t block = 0; block < blocks; block++) {
            for (uint32_t row = 0; row < 8; row++) {
                skybook_fold(&folded[half][row][8 * (col + block)], &parts[0][block][8 * row],
                             &parts[1][block][8 * row]);
            }
        }
        for (uint32_t parity = 0; parity < 2; parity++) {
            skybook_filter(parts[parity][0], 64, skybook_pairs[2 * half + parity][0][0], 32,
                           sums[0][2 * half + parity], 64);
        }
    }
}

/* Put latents of up to four blocks; returns their sum. Filters of a parity are every second one along both
 * axes. */
static uint32_t put_blocks(const struct skybook_form *form, int32_t sums[SKYBOOK_BLOCKS][4][16], uint32_t blocks,
                           int32_t *latents)
{
    const uint32_t apart = 2 * form->positions;
    uint32_t sum = 0;
    for (uint32_t parity = 0; parity < 4; parity++) {
        for (uint32_t filter = 0; filter < 16; filter += 4) {
            int32_t *to = &latents[(8 * (parity / 2) + parity % 2 + 4 * filter) * form->positions];
            int32_t few[4 * 4];
            if (blocks == SKYBOOK_BLOCKS) {
                sum += skybook_put_latents(&sums[0][parity][filter], to, apart);
                continue;
            }
            sum += skybook_put_latents(&sums[0][parity][filter], few, 4);
            for (uint32_t i = 0; i < 4; i++) {
                memcpy(&to[i * apart], &few[4 * i], blocks * sizeof(*to));
            }
        }
    }
    return sum;
}

/* Latents of the blocks of a row; `latents` is those of frequency 0 of the row's first block. Returns
 * their sum. */
static uint32_t filter_row(const struct skybook_form *form, struct skybook_work *work,
                           uint32_t block_row, int32_t *latents)
{
    int16_t folded[2][8][WIDE]; /* sums and differences of rows */
    uint32_t sum = 0;
    const uint32_t cols = work->positions[1], wide = 8 * cols + 8;
    for (uint32_t row = 0; row < 8; row++) {
        fold_rows(&work->scratch.plane[(8 * block_row + row) * wide],
                  &work->scratch.plane[(8 * block_row + 15 - row) * wide], wide, folded[0][row],
                  folded[1][row]);
    }
    for (uint32_t col = 0; col < cols; col += SKYBOOK_BLOCKS) {
        const uint32_t left = cols - col, blocks = left < SKYBOOK_BLOCKS ? left : SKYBOOK_BLOCKS;
        int32_t sums[SKYBOOK_BLOCKS][4][16];
        filter_blocks(folded, col, blocks, sums);
        sum += put_blocks(form, sums, blocks, latents + col);
    }
    return sum;
}

#if SKYBOOK_GROUPS > 1
enum skybook_status skybook_transform_plane(const struct skybook_form *form, struct skybook_work *work,
                                            const struct skybook_tile *tile, const int32_t *plane,
                                            uint32_t wanted, int32_t *latents, uint32_t *sum)
{
    if (!make_plane(work, tile, plane, wanted)) {
        return SKYBOOK_ERROR_MEMORY;
    }
    const uint64_t words = sum_of_plane(work);
    memset(latents, 0, 64 * form->positions * sizeof(*latents));
    for (uint32_t row = 0; row < work->positions[0]; row++) {
        *sum += filter_row(form, work, row, latents + row * work->positions[1]);
    }
    return sum_of_plane(work) == words ? SKYBOOK_OK : SKYBOOK_ERROR_MEMORY;
}
#endif

/* Find the finest step code whose symbols stay within the limit; false if a latent is beyond what its
 * filter makes of any plane. */
static bool find_finest(const struct skybook_form *form, const struct skybook_work *work,
                        struct skybook_tile *tile)
{
    const uint32_t count = (uint32_t)work->positions[0] * work->positions[1];
    int32_t largest = 0;
    bool possible = true;
    for (uint32_t channel = 0; channel < form->channels; channel++) {
        const int32_t *latents = &work->room.latents[channel * form->positions];
        int32_t of_channel = 0;
        for (uint32_t i = 0; i < count; i++) {
            const int32_t latent = latents[i];
            const int32_t size = latent < 0 ? -latent : latent;
            of_channel = size > of_channel ? size : of_channel;
        }
        possible = possible && of_channel <= skybook_bounds[channel % 64];
        largest = of_channel > largest ? of_channel : largest;
    }
    if (!possible) {
        return false;
    }
    unsigned octaves = tile->shift > 7 ? tile->shift - 7u : 0; /* so that latents shift right */
    while (largest * SKYBOOK_LARGEST_MANTISSA >> (8u + octaves - tile->shift) >= SYMBOL_LIMIT) {
        octaves++;
    }
    tile->finest = (uint8_t)(16 * octaves);
    return true;
}

enum skybook_status skybook_transform(const struct skybook_form *form, struct skybook_work *work,
                                      struct skybook_tile *tile)
{
    work->positions[0] = (uint8_t)((tile->rows + 7) / 8);
    work->positions[1] = (uint8_t)((tile->cols + 7) / 8);
    tile->latents_sum = 0;
    for (uint32_t band = 0; band < form->bands; band++) {
        int32_t *latents = &work->room.latents[64 * band * form->positions];
        if (!make_plane(work, tile, &work->room.latents[band * skybook_apart(form)], work->sums[band])) {
            return SKYBOOK_ERROR_MEMORY;
        }
        const uint64_t plane = sum_of_plane(work);
        if ((uint32_t)work->positions[0] * work->positions[1] < form->positions) {
            memset(latents, 0, 64 * form->positions * sizeof(*latents));
        }
        for (uint32_t row = 0; row < work->positions[0]; row++) {
            tile->latents_sum += filter_row(form, work, row, latents + row * work->positions[1]);
        }
        if (sum_of_plane(work) != plane) {
            return SKYBOOK_ERROR_MEMORY;
        }
    }
    return find_finest(form, work, tile) ? SKYBOOK_OK : SKYBOOK_ERROR_MEMORY;
}
