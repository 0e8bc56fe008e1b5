/* Band transform: a KLT turned on, so that components take fewer bits (SPEC.md, 9). */
#include <string.h>

#include "parts.h"

#if SKYBOOK_REFINES
#define ROUNDS 3
#define BLOCK 4u    /* rows and columns of pixels */
#define EVERY 4u    /* one block in so many is looked at */
#define DETAILS 16u /* of a block; its sum is among them, and is taken as 0 */
#define GROUP 64u   /* details at once: 32 bits hold the sums of so many */
#define USUAL 128   /* what details of all bands are scaled to */
#define LIMIT 740
#define FLOOR 10
#define SUM_BITS 22
#define SQUARE_SHIFT 6
#define PULL_SHIFT 2

/* Details of the blocks of all bands. */
struct details {
    uint32_t bands, count;
    uint32_t left_out; /* blocks that have nodata: their details count as 0 */
    int32_t *values; /* by band */
    uint32_t apart;  /* values of a band from those of the next */
};

/* Components of a group of details, all within 16 bits. */
struct sizes {
    int16_t exact[SKYBOOK_MAX_BANDS][GROUP];
    int16_t square[SKYBOOK_MAX_BANDS][GROUP];
    int16_t weight[SKYBOOK_MAX_BANDS][GROUP];
    int16_t pull[SKYBOOK_MAX_BANDS][GROUP]; /* size times weight */
};

static int32_t limited(int32_t value)
{
    const int32_t low = value > LIMIT ? LIMIT : value;
    return low < -LIMIT ? -LIMIT : low;
}

/* Sums and differences of four numbers. */
static void mix(const int32_t *in, uint32_t in_step, int32_t *out, uint32_t out_step)
{
    const int32_t a = in[0] + in[in_step], b = in[0] - in[in_step];
    const int32_t c = in[2 * in_step] + in[3 * in_step], d = in[2 * in_step] - in[3 * in_step];
    out[0] = a + c;
    out[out_step] = a - c;
    out[2 * out_step] = b - d;
    out[3 * out_step] = b + d;
}

static bool has_nodata(const struct skybook_work *work, const struct skybook_tile *tile,
                       uint32_t row, uint32_t col)
{
    uint8_t marks = 0;
    for (uint32_t i = 0; i < BLOCK * BLOCK; i++) {
        const uint32_t place = (row + i / BLOCK) * tile->cols + col + i % BLOCK;
        marks = (uint8_t)(marks | work->nodata[place]);
    }
    return marks != 0;
}

/* Find the details of a block of all bands; return the sum of their magnitudes. */
static uint64_t find_details(const struct skybook_form *form, const struct skybook_work *work,
                             uint32_t row, uint32_t col, struct details *all)
{
    const uint32_t pitch = work->sides[1], pixels = form->tile * form->tile;
    uint64_t total = 0;
    for (uint32_t band = 0; band < form->bands; band++) {
        int32_t *out = &all->values[band * all->apart + all->count];
        const int32_t *in = &work->room.latents[band * pixels + row * pitch + col];
        int32_t rows[DETAILS];
        for (uint32_t i = 0; i < BLOCK; i++) {
            mix(&in[i * pitch], 1, &rows[i * BLOCK], 1);
        }
        for (uint32_t i = 0; i < BLOCK; i++) {
            mix(&rows[i], BLOCK, &out[i], BLOCK);
        }
        out[0] = 0;
        for (uint32_t k = 0; k < DETAILS; k++) {
            total += (uint32_t)(out[k] < 0 ? -out[k] : out[k]);
        }
    }
    all->count += DETAILS;
    return total;
}

/* Scale details so that those of all bands mostly have 7 bits; fill up the last group. */
static void scale(struct details *all, uint64_t total)
{
    const uint32_t count = (all->count / DETAILS + all->left_out) * (DETAILS - 1);
    const uint64_t usual = total / (count > 0 ? count : 1) + 1;
    unsigned bits = 0;
    while (usual >> bits != 0) {
        bits++;
    }
    for (uint32_t band = 0; band < all->bands; band++) {
        int32_t *values = &all->values[band * all->apart];
        for (uint32_t i = 0; i < all->count; i++) {
            values[i] = limited((int32_t)((int64_t)values[i] * USUAL >> bits));
        }
        for (uint32_t i = all->count; i % GROUP != 0; i++) {
            values[i] = 0;
        }
    }
}

/* Find the details of the tile in work. */
static void look(const struct skybook_form *form, const struct skybook_work *work,
                 const struct skybook_tile *tile, struct details *all)
{
    uint64_t total = 0;
    for (uint32_t row = 0; row + BLOCK <= tile->rows; row += BLOCK) {
        const uint32_t first = (EVERY * BLOCK - row % (EVERY * BLOCK)) % (EVERY * BLOCK);
        for (uint32_t col = first; col + BLOCK <= tile->cols; col += EVERY * BLOCK) {
            if (has_nodata(work, tile, row, col)) {
                all->left_out++;
            } else {
                total += find_details(form, work, row, col, all);
            }
        }
    }
    scale(all, total);
}

/* The power of 2 that is next below 2^20 over the square of a magnitude, with a floor: 2^12 for the smallest, a
 * quarter of it from each power of 2 on. In 16 bits and without a branch, so that vectors do it. */
static inline int16_t weight_of(int16_t size)
{
    const int16_t own = (int16_t)(size + FLOOR);
    return (int16_t)(1 + 3 * (own < 512) + 12 * (own < 256) + 48 * (own < 128) + 192 * (own < 64) +
                     768 * (own < 32) + 3072 * (own < 16));
}

/* Turn a group of details to components; weigh them. */
static void weigh(const struct details *all, uint32_t first, skybook_basis basis,
                  struct sizes *sizes)
{
    int16_t values[SKYBOOK_MAX_BANDS][GROUP];
    for (uint32_t band = 0; band < all->bands; band++) {
        const int32_t *wide = &all->values[band * all->apart + first];
        for (uint32_t k = 0; k < GROUP; k++) {
            values[band][k] = (int16_t)wide[k];
        }
    }
    for (uint32_t component = 0; component < all->bands; component++) {
        int32_t sums[GROUP];
        for (uint32_t k = 0; k < GROUP; k++) {
            sums[k] = 8192;
        }
        for (uint32_t band = 0; band < all->bands; band++) {
            const int16_t share = (int16_t)basis[component][band];
            for (uint32_t k = 0; k < GROUP; k++) {
                sums[k] += (int32_t)share * values[band][k];
            }
        }
        for (uint32_t k = 0; k < GROUP; k++) {
            sizes->exact[component][k] = (int16_t)limited(sums[k] >> 14);
        }
        for (uint32_t k = 0; k < GROUP; k++) {
            const int16_t exact = sizes->exact[component][k], size = (int16_t)(exact < 0 ? -exact : exact);
            sizes->weight[component][k] = weight_of(size);
        }
        for (uint32_t k = 0; k < GROUP; k++) {
            const int32_t exact = sizes->exact[component][k], weight = sizes->weight[component][k];
            sizes->square[component][k] = (int16_t)(exact * exact >> SQUARE_SHIFT);
            sizes->pull[component][k] = (int16_t)(weight * exact >> PULL_SHIFT);
        }
    }
}

static int32_t dot(const int16_t *one, const int16_t *other)
{
    int32_t sum = 0;
    for (uint32_t k = 0; k < GROUP; k++) {
        sum += one[k] * other[k];
    }
    return sum;
}

/* Sums over all details: of squares by the weights of another component, and of what pulls. */
static void add_up(const struct details *all, skybook_basis basis, skybook_square squares,
                   skybook_square pulls)
{
    memset(squares, 0, sizeof(skybook_square));
    memset(pulls, 0, sizeof(skybook_square));
    for (uint32_t first = 0; first < all->count; first += GROUP) {
        struct sizes sizes;
        weigh(all, first, basis, &sizes);
        for (uint32_t i = 0; i < all->bands; i++) {
            for (uint32_t j = 0; j < all->bands; j++) {
                squares[i][j] += dot(sizes.weight[i], sizes.square[j]);
                pulls[i][j] += dot(sizes.pull[i], sizes.exact[j]);
            }
        }
    }
}

static unsigned shift_of(skybook_square squares, uint32_t bands)
{
    int64_t largest = 0;
    for (uint32_t i = 0; i < bands; i++) {
        for (uint32_t j = 0; j < bands; j++) {
            largest = squares[i][j] > largest ? squares[i][j] : largest;
        }
    }
    unsigned shift = 0;
    while (largest >> shift >> SUM_BITS != 0) {
        shift++;
    }
    return shift;
}

void skybook_refine(const struct skybook_form *form, struct skybook_work *work,
                    const struct skybook_tile *tile, skybook_basis basis)
{
    const uint32_t bands = form->bands;
    struct details all = {bands, 0, 0, skybook_beside(work), form->tile * form->tile / EVERY};
    look(form, work, tile, &all);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        skybook_square squares, pulls;
        add_up(&all, basis, squares, pulls);
        const unsigned shift = shift_of(squares, bands);
        for (uint32_t p = 0; p < bands; p++) {
            for (uint32_t q = p + 1; q < bands; q++) {
                const int64_t form_of_pair[3] = {
                    (squares[p][q] >> shift) + (squares[q][p] >> shift) + 1,
                    (pulls[q][p] >> (shift + SQUARE_SHIFT - PULL_SHIFT)) -
                        (pulls[p][q] >> (shift + SQUARE_SHIFT - PULL_SHIFT)),
                    (squares[p][p] >> shift) + (squares[q][q] >> shift),
                };
                skybook_turn(basis, bands, p, q, form_of_pair);
            }
        }
    }
}
#endif
