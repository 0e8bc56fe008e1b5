/* Price: which codes the small blocks of a tile are to have, by what that costs (SPEC.md, section 22). */
#include <string.h>

#include "parts.h"

#if SKYBOOK_QUALITY

#define OF_BIT 48 /* 4 of a step squared, in 1/4096, are worth so many bits */
#define BIT ((int64_t)1 << 16)
#define ERROR_BITS 6
#define SHARE 1024
#define LARGEST_ERROR ((int64_t)1 << 28)
#define FARTHEST 1024
#define TOLD 1  /* bits that a difference takes at least */
#define HEAD 13 /* those of a field besides */

/* What errors are worth in bits: of a block at each of its codes, in the place of them. */
static void weigh_errors(struct skybook_price *price, uint32_t block)
{
    const int64_t worth = (int64_t)skybook_times(4096, price->alike[block]) / OF_BIT;
    for (uint32_t i = 0; i < SKYBOOK_OFFERED; i++) {
        const int64_t error = price->each[block][i] > 1 ? price->each[block][i] : 1;
        const int64_t bits = error * (1 << ERROR_BITS) / worth;
        price->away[block][i] =
            (int16_t)skybook_between(skybook_sixty_fourths(price->goals[block]) -
                                         skybook_sixty_fourths(error),
                                     -FARTHEST, FARTHEST);
        price->each[block][i] = bits < LARGEST_ERROR ? bits : LARGEST_ERROR;
    }
}

/* What the codes of a block lose over the bits that they save, from the finest on, in the place of what
 * errors are worth; return the bits that the finest takes over those of the coarsest. */
static int64_t lose(struct skybook_price *price, uint32_t block)
{
    /* 2^10 (1 - 2^(-i/8)), i = -14, -10, ..., 14. */
    static const int16_t weights[SKYBOOK_OFFERED - 1] = {-2420, -1412, -699, -194, 163, 414, 593, 720};
    int64_t before = price->each[block][0], lost = 0, taken = 0;
    price->each[block][0] = 0;
    for (uint32_t i = 1; i < SKYBOOK_OFFERED; i++) {
        const int64_t here = price->each[block][i], weight = weights[i - 1];
        lost += weight * (here - before);
        taken += (SHARE - weight) * (here - before);
        price->each[block][i] = lost;
        before = here;
    }
    return taken;
}

/* Have prices take the place of errors; 0 of blocks out of reach. */
static void find_prices(struct skybook_price *price)
{
    const uint32_t count = price->rows * price->cols;
    int64_t scale = 0;
    for (uint32_t block = 0; block < count; block++) {
        if (price->reached[block]) {
            weigh_errors(price, block);
            scale += lose(price, block);
        } else {
            memset(price->each[block], 0, sizeof(price->each[block]));
            memset(price->away[block], 0, sizeof(price->away[block]));
        }
    }
    scale = scale > 0 ? scale / (int64_t)count : 0;
    for (uint32_t block = 0; block < count; block++) {
        for (uint32_t i = 0; i < SKYBOOK_OFFERED; i++) {
            const int64_t away = price->away[block][i];
            price->each[block][i] += scale * (away * away) / price->lenience;
        }
    }
}

/* The code that is best for all blocks together, and its price; of the first of those that are alike of
 * all blocks. None where none is: SKYBOOK_OFFERED. */
static uint32_t best_of_all(const struct skybook_price *price, int64_t *least)
{
    uint32_t found = SKYBOOK_OFFERED;
    *least = INT64_MAX;
    for (uint32_t i = 0; i < SKYBOOK_OFFERED; i++) {
        bool alike = true;
        int64_t sum = 0;
        for (uint32_t block = 0; block < price->rows * price->cols; block++) {
            alike = alike && price->codes[block][i] == price->codes[0][i];
            sum += price->each[block][i];
        }
        if (alike && sum < *least) {
            found = i;
            *least = sum;
        }
    }
    return found;
}

/* The block that one is told by. */
static uint32_t before_of(const struct skybook_price *price, uint32_t block)
{
    return block % price->cols > 0 ? block - 1 : block - price->cols;
}

static int64_t bits_of(int32_t away)
{
    const int32_t folded = away < 0 ? -2 * away - 1 : 2 * away;
    return BIT * (folded / SKYBOOK_STRIDE + TOLD);
}

/* Which code of a block is best after one of the block that it is told by; what both cost from there. */
static void look_after(struct skybook_price *price, uint32_t block, uint32_t before, uint32_t code)
{
    int64_t least = INT64_MAX;
    for (uint32_t i = 0; i < SKYBOOK_OFFERED; i++) {
        const int32_t away = price->codes[block][i] - price->codes[before][code];
        const int64_t cost = price->each[block][i] + bits_of(away);
        if (cost < least) {
            least = cost;
            price->after[block][code] = (uint8_t)i;
        }
    }
    price->each[before][code] += least;
}

void skybook_choose_codes(struct skybook_price *price, int32_t *chosen)
{
    const uint32_t count = price->rows * price->cols;
    uint8_t numbers[SKYBOOK_MOST_BLOCKS] = {0};
    int64_t alike = 0;
    find_prices(price);
    const uint32_t of_all = best_of_all(price, &alike);
    for (uint32_t block = count; block-- > 1;) {
        for (uint32_t code = 0; code < SKYBOOK_OFFERED; code++) {
            look_after(price, block, before_of(price, block), code);
        }
    }
    for (uint32_t i = 1; i < SKYBOOK_OFFERED; i++) {
        numbers[0] = price->each[0][i] < price->each[0][numbers[0]] ? (uint8_t)i : numbers[0];
    }
    const bool told = alike > price->each[0][numbers[0]] + HEAD * BIT;
    for (uint32_t block = 0; block < count; block++) {
        if (!told) {
            numbers[block] = (uint8_t)of_all;
        } else if (block > 0) {
            numbers[block] = price->after[block][numbers[before_of(price, block)]];
        }
        chosen[block] = price->codes[block][numbers[block]];
    }
}

#endif
