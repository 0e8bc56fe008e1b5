/* Band transform: a KLT turned on, so that components take fewer bits (SPEC.md, 9). */
#include <string.h>

#include "vectors.h"

#if SKYBOOK_REFINES
#define ROUNDS 3
#define ROUNDS_OF_FEW 6 /* bands */
#define BLOCK 4u    /* rows and columns of pixels */
#define EVERY 4u    /* one block in so many is looked at */
#define DETAILS 16u /* of a block; its sum is among them, and is taken as 0 */
#define GROUP SKYBOOK_PRODUCTS /* details at once: 32 bits hold the sums of so many, 60 of which may be other than 0 */
#define GROUPS 15u  /* 32 bits hold a sixteenth of the sums of so many */
#define LANES 16u   /* details, or components, of which products are added at once */
#define ROWS ((SKYBOOK_MAX_BANDS + SKYBOOK_BLOCKS - 1) / SKYBOOK_BLOCKS * SKYBOOK_BLOCKS) /* components, or more */
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

/* Components of a group of details, all within 16 bits: by component and, of many bands, for each pair of details by
 * component. Those that there are not are 0. */
struct sizes {
    int16_t exact[ROWS][GROUP];
    int16_t square[SKYBOOK_MANY_BANDS - 1][GROUP]; /* of few bands */
    int16_t weight[ROWS][GROUP];
    int16_t pull[ROWS][GROUP]; /* size times weight */
    int16_t exact_pairs[GROUP / 2][LANES][2];
    int16_t square_pairs[GROUP / 2][LANES][2];
};

static int32_t limited(int32_t value)
{
    const int32_t low = value > LIMIT ? LIMIT : value;
    return low < -LIMIT ? -LIMIT : low;
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

/* Find the details of a block of all bands. */
static void find_details(const struct skybook_form *form, const struct skybook_work *work,
                             uint32_t row, uint32_t col, struct details *all)
{
    const uint32_t pitch = work->sides[1], pixels = skybook_apart(form);
    for (uint32_t band = 0; band < form->bands; band++) {
        int32_t *out = &all->values[band * all->apart + all->count];
        const int32_t *in = &work->room.latents[band * pixels + row * pitch + col];
        int32_t rows[BLOCK][BLOCK], cols[BLOCK][BLOCK];
        for (uint32_t i = 0; i < BLOCK; i++) {
            memcpy(rows[i], &in[i * pitch], sizeof(rows[i]));
        }
        skybook_mix(rows);
        skybook_put_columns(rows, cols[0], BLOCK);
        skybook_mix(cols);
        for (uint32_t i = 0; i < BLOCK; i++) {
            memcpy(&out[i * BLOCK], cols[i], sizeof(cols[i]));
        }
        out[0] = 0;
    }
    all->count += DETAILS;
}

/* The sum of magnitudes of details. */
static uint64_t sum_up(const struct details *all)
{
    uint64_t total = 0;
    for (uint32_t band = 0; band < all->bands; band++) {
        for (uint32_t first = 0; first < all->count; first += DETAILS) {
            const int32_t *block = &all->values[band * all->apart + first];
            uint32_t of_block = 0;
            for (uint32_t k = 0; k < DETAILS; k++) {
                of_block += (uint32_t)(block[k] < 0 ? -block[k] : block[k]);
            }
            total += of_block;
        }
    }
    return total;
}

/* Scale details so that those of all bands mostly have 7 bits; fill up the last group. */
static void scale(struct details *all)
{
    const uint32_t count = (all->count / DETAILS + all->left_out) * (DETAILS - 1);
    const uint64_t usual = sum_up(all) / (count > 0 ? count : 1) + 1;
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
    const bool has_gaps = tile->state != SKYBOOK_ALL_VALID;
    for (uint32_t row = 0; row + BLOCK <= tile->rows; row += BLOCK) {
        const uint32_t first = (EVERY * BLOCK - row % (EVERY * BLOCK)) % (EVERY * BLOCK);
        for (uint32_t col = first; col + BLOCK <= tile->cols; col += EVERY * BLOCK) {
            if (has_gaps && has_nodata(work, tile, row, col)) {
                all->left_out++;
            } else {
                find_details(form, work, row, col, all);
            }
        }
    }
    scale(all);
}

/* The power of 2 that is next below 2^20 over the square of a magnitude, with a floor: 2^12 for the smallest, a
 * quarter of it from each power of 2 on. In 16 bits and without a branch, so that vectors do it. */
static inline int16_t weight_of(int16_t size)
{
    const int16_t own = (int16_t)(size + FLOOR);
    return (int16_t)(1 + 3 * (own < 512) + 12 * (own < 256) + 48 * (own < 128) + 192 * (own < 64) +
                     768 * (own < 32) + 3072 * (own < 16));
}

/* Details of a group: of LANES at a time, for each pair of bands by detail. Bands that there are not are 0. */
static void pair_bands(const struct details *all, uint32_t first, int16_t pairs[GROUP / LANES][LANES / 2][LANES][2])
{
    static const int32_t none[GROUP] = {0};
    for (uint32_t band = 0; band < LANES; band += 2) {
        const int32_t *restrict one = band < all->bands ? &all->values[band * all->apart + first] : none;
        const int32_t *restrict two = band + 1 < all->bands ? &all->values[(band + 1) * all->apart + first] : none;
        int16_t own[GROUP][2];
        for (uint32_t k = 0; k < GROUP; k++) {
            own[k][0] = (int16_t)one[k];
            own[k][1] = (int16_t)two[k];
        }
        for (uint32_t part = 0; part < GROUP / LANES; part++) {
            memcpy(pairs[part][band / 2], own[part * LANES], sizeof(pairs[part][band / 2]));
        }
    }
}

/* Turn a group of details of few bands to components. */
#if defined(SKYBOOK_PAIRED)
static void turn_few(const struct details *all, uint32_t first, skybook_weights weights, struct sizes *sizes)
{
    const uint32_t bands = all->bands;
    int32_t components[SKYBOOK_MANY_BANDS - 1][GROUP];
    (void)skybook_rotate_pairs(&all->values[first], GROUP, bands, all->apart, weights, components[0], GROUP);
    for (uint32_t component = 0; component < bands; component++) {
        for (uint32_t k = 0; k < GROUP; k++) {
            sizes->exact[component][k] = (int16_t)limited(components[component][k]);
        }
    }
}
#else
static void turn_few(const struct details *all, uint32_t first, skybook_weights weights, struct sizes *sizes)
{
    for (uint32_t component = 0; component < all->bands; component++) {
        int32_t sums[GROUP];
        for (uint32_t k = 0; k < GROUP; k++) {
            sums[k] = 8192;
        }
        for (uint32_t band = 0; band < all->bands; band++) {
            const int32_t *restrict values = &all->values[band * all->apart + first];
            const int32_t share = weights[component][band];
            for (uint32_t k = 0; k < GROUP; k++) {
                sums[k] += share * values[k];
            }
        }
        for (uint32_t k = 0; k < GROUP; k++) {
            sizes->exact[component][k] = (int16_t)limited(sums[k] >> 14);
        }
    }
}
#endif

/* The same of many. */
static void turn_many(const struct details *all, uint32_t first, int16_t basis[ROWS][LANES], struct sizes *sizes)
{
    int16_t pairs[GROUP / LANES][LANES / 2][LANES][2];
    pair_bands(all, first, pairs);
    for (uint32_t component = 0; component < all->bands; component += SKYBOOK_BLOCKS) {
        int32_t sums[SKYBOOK_BLOCKS * GROUP];
        for (uint32_t part = 0; part < GROUP / LANES; part++) {
            skybook_filter(basis[component], LANES, pairs[part][0][0], LANES / 2, &sums[part * LANES], GROUP);
        }
        int16_t *restrict exact = sizes->exact[component];
        for (uint32_t k = 0; k < SKYBOOK_BLOCKS * GROUP; k++) {
            exact[k] = (int16_t)limited((sums[k] + 8192) >> 14);
        }
    }
}

/* Weigh the components of a group. */
static void weigh(uint32_t bands, struct sizes *sizes)
{
    for (uint32_t component = 0; component < bands; component++) {
        const int16_t *restrict exact = sizes->exact[component];
        int16_t *restrict weight = sizes->weight[component], *restrict pull = sizes->pull[component];
        for (uint32_t k = 0; k < GROUP; k++) {
            weight[k] = weight_of((int16_t)(exact[k] < 0 ? -exact[k] : exact[k]));
            pull[k] = (int16_t)((int16_t)(weight[k] * exact[k]) >> PULL_SHIFT); /* no product takes more than 16 bits */
        }
    }
}

/* A sixteenth of each sum. */
typedef int32_t shares[SKYBOOK_MANY_BANDS - 1][SKYBOOK_MANY_BANDS - 1][16];

/* Add up what a group of few bands makes; what pulls a component to itself is of no use. */
static void add_few(uint32_t bands, struct sizes *sizes, shares squares, shares pulls)
{
    for (uint32_t j = 0; j < bands; j++) {
        const int16_t *restrict exact = sizes->exact[j];
        int16_t *restrict square = sizes->square[j];
        for (uint32_t k = 0; k < GROUP; k++) {
            const int16_t wide = (int16_t)(exact[k] * (1 << (16 - SQUARE_SHIFT) / 2));
            square[k] = (int16_t)(wide * wide >> 16); /* as vectors have it at once */
        }
        for (uint32_t i = 0; i < bands; i++) {
            skybook_add_products(sizes->weight[i], square, squares[i][j]);
            if (i != j) {
                skybook_add_products(sizes->pull[i], exact, pulls[i][j]);
            }
        }
    }
}

static void add_shares(uint32_t bands, shares own, skybook_square all)
{
    for (uint32_t i = 0; i < bands; i++) {
        for (uint32_t j = 0; j < bands; j++) {
            for (uint32_t k = 0; k < 16; k++) {
                all[i][j] += own[i][j][k];
            }
        }
    }
}

/* Pair what a group of many bands makes. */
static void pair_sizes(uint32_t bands, struct sizes *sizes)
{
    for (uint32_t component = 0; component < bands; component += SKYBOOK_BLOCKS) {
        skybook_put_pairs(sizes->exact[component], GROUP, GROUP / 2, sizes->exact_pairs[0][component], 2 * LANES);
    }
    const int16_t *restrict exact = sizes->exact_pairs[0][0];
    int16_t *restrict square = sizes->square_pairs[0][0];
    for (uint32_t k = 0; k < GROUP * LANES; k++) {
        square[k] = (int16_t)(exact[k] * exact[k] >> SQUARE_SHIFT);
    }
}

/* Add the sums of products of rows with each component. */
static void add_products(uint32_t bands, int16_t rows[ROWS][GROUP], int16_t pairs[GROUP / 2][LANES][2],
                         skybook_square all)
{
    for (uint32_t row = 0; row < bands; row += SKYBOOK_BLOCKS) {
        int32_t sums[SKYBOOK_BLOCKS][LANES];
        skybook_filter(rows[row], GROUP, pairs[0][0], GROUP / 2, sums[0], LANES);
        for (uint32_t i = 0; i < SKYBOOK_BLOCKS && row + i < bands; i++) {
            for (uint32_t j = 0; j < bands; j++) {
                all[row + i][j] += sums[i][j];
            }
        }
    }
}

/* Sums over all details of few bands: of squares by the weights of another component, and of what pulls. */
static void add_up_few(const struct details *all, skybook_basis basis, struct sizes *sizes, skybook_square squares,
                       skybook_square pulls)
{
    skybook_weights weights;
    for (uint32_t component = 0; component < all->bands; component++) {
        skybook_put_weights(basis[component], all->bands, weights[component]);
    }
    for (uint32_t begin = 0; begin < all->count; begin += GROUPS * GROUP) {
        shares some_squares, some_pulls;
        memset(some_squares, 0, sizeof(some_squares));
        memset(some_pulls, 0, sizeof(some_pulls));
        for (uint32_t first = begin; first < all->count && first < begin + GROUPS * GROUP; first += GROUP) {
            turn_few(all, first, weights, sizes);
            weigh(all->bands, sizes);
            add_few(all->bands, sizes, some_squares, some_pulls);
        }
        add_shares(all->bands, some_squares, squares);
        add_shares(all->bands, some_pulls, pulls);
    }
}

/* The same of many. */
static void add_up_many(const struct details *all, skybook_basis basis, struct sizes *sizes, skybook_square squares,
                        skybook_square pulls)
{
    int16_t narrow[ROWS][LANES];
    memset(narrow, 0, sizeof(narrow));
    for (uint32_t component = 0; component < all->bands; component++) {
        for (uint32_t band = 0; band < all->bands; band++) {
            narrow[component][band] = (int16_t)basis[component][band];
        }
    }
    for (uint32_t first = 0; first < all->count; first += GROUP) {
        turn_many(all, first, narrow, sizes);
        weigh(all->bands, sizes);
        pair_sizes(all->bands, sizes);
        add_products(all->bands, sizes->weight, sizes->square_pairs, squares);
        add_products(all->bands, sizes->pull, sizes->exact_pairs, pulls);
    }
}

static void add_up(const struct details *all, skybook_basis basis, skybook_square squares, skybook_square pulls)
{
    struct sizes sizes;
    memset(&sizes, 0, sizeof(sizes));
    memset(squares, 0, sizeof(skybook_square));
    memset(pulls, 0, sizeof(skybook_square));
    if (all->bands < SKYBOOK_MANY_BANDS) {
        add_up_few(all, basis, &sizes, squares, pulls);
    } else {
        add_up_many(all, basis, &sizes, squares, pulls);
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
    struct details all = {bands, 0, 0, skybook_beside(work), skybook_apart(form) / EVERY};
    look(form, work, tile, &all);
    const uint32_t rounds = bands < SKYBOOK_MANY_BANDS ? ROUNDS_OF_FEW : ROUNDS;
    for (uint32_t round = 0; round < rounds; round++) {
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
