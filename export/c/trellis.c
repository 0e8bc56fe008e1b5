/* Trellis: the indices of a layer of a dependent tile, by squared error and bits (SPEC.md, sections
 * 10 and 13).
 *
 * The parities of the indices drive a machine of eight states. Even states have the even multiples
 * of half a step, odd ones the odd multiples and 0. Of all paths that begin in state 0 the one is
 * taken that costs least. */
#include <string.h>

#include "parts.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define STATES 8
#define LARGEST 63    /* magnitudes of indices whose costs are told apart */
#define FAR (1 << 29) /* where no path begins */
#define AT_ONCE 64    /* steps priced before paths are extended */

/* State before each state, if the index was even, and if it was odd. States 0 to 3 follow even
 * states, 4 to 7 odd ones. */
#define BEFORE_EVEN 0, 2, 4, 6, 5, 1, 3, 7
#define BEFORE_ODD 4, 6, 0, 2, 3, 7, 5, 1

/* What the best index of a parity costs in even or odd states, at 2 * odd + parity, of steps. */
typedef int32_t prices[4][AT_ONCE];

static int32_t magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* The index of a parity that is nearest to a magnitude in 1/64 step. */
static int32_t nearest(int32_t size, int32_t odd, int32_t parity)
{
    return ((size + 32 * odd - 64 * parity + 64) >> 7) * 2 + parity;
}

/* Squared error and bits of an index; `row` is where its table begins. An entry has the cost and,
 * above that, what the index stands for less than itself. */
static int32_t price(int32_t size, int32_t index, int32_t row, int32_t worth)
{
    const int32_t entry = skybook_index_costs[row + (index < LARGEST ? index : LARGEST)];
    const int32_t error = size - 64 * index + (entry >> 16);
    return error * error + ((entry & 0xFFFF) * worth >> 8);
}

/* Price the steps from `first` on, of even or odd states. Near 0 the low cost of 0 may win; 2 is the
 * nearest only of magnitudes below 256. Loop and pointers are such that compilers make vectors. */
static void price_steps(struct skybook_path *path, uint32_t first, uint32_t count, int32_t odd,
                        int32_t *restrict even_costs, int32_t *restrict odd_costs)
{
    const int32_t *restrict aways = &path->away[first];
    const uint16_t *restrict rows = &path->rows[first], *restrict worths = &path->worths[first];
    uint8_t *restrict zeros = &path->zeros[first];
    for (uint32_t i = 0; i < count; i++) {
        const int32_t size = magnitude(aways[i]), even = nearest(size, odd, 0);
        const int32_t row = (rows[i] - SKYBOOK_PLAIN_ROWS + SKYBOOK_LEVELS * odd) * (LARGEST + 1);
        const int32_t worth = worths[i];
        const int32_t none = price(size & 255, 0, row, worth);
        const int32_t some = price(size, even, row, worth);
        const int32_t zero = (even == 2) & (none < some);
        even_costs[i] = zero ? none : some;
        odd_costs[i] = price(size, nearest(size, odd, 1), row, worth);
        zeros[i] = (uint8_t)(zeros[i] | zero << odd);
    }
}

/* Extend the best path to each state by `count` steps; a bit of `chosen` tells that the path to a
 * state ends in an odd index. Where both cost the same it is an even one. */
#if defined(__AVX2__)
static void extend(int32_t sums[STATES], prices costs, uint32_t count, uint8_t *chosen)
{
    const __m256i before_even = _mm256_setr_epi32(BEFORE_EVEN);
    const __m256i before_odd = _mm256_setr_epi32(BEFORE_ODD);
    __m256i best = _mm256_loadu_si256((const __m256i *)(const void *)sums);
    for (uint32_t i = 0; i < count; i++) {
        const __m256i of_even = _mm256_blend_epi32(_mm256_set1_epi32(costs[0][i]),
                                                   _mm256_set1_epi32(costs[2][i]), 0xF0);
        const __m256i of_odd = _mm256_blend_epi32(_mm256_set1_epi32(costs[1][i]),
                                                  _mm256_set1_epi32(costs[3][i]), 0xF0);
        const __m256i even =
            _mm256_add_epi32(_mm256_permutevar8x32_epi32(best, before_even), of_even);
        const __m256i odd = _mm256_add_epi32(_mm256_permutevar8x32_epi32(best, before_odd), of_odd);
        const __m256i less = _mm256_cmpgt_epi32(even, odd);
        chosen[i] = (uint8_t)_mm256_movemask_ps(_mm256_castsi256_ps(less));
        best = _mm256_min_epi32(even, odd);
    }
    _mm256_storeu_si256((__m256i *)(void *)sums, best);
}
#else
/* The cost of the cheaper path to a state; a bit if its last index is odd. */
static int32_t cheaper(int32_t even, int32_t odd, uint32_t state, uint32_t *bits)
{
    *bits |= (uint32_t)(odd < even) << state;
    return odd < even ? odd : even;
}

/* The states before are written out: so they stay in registers. */
static void extend(int32_t sums[STATES], prices costs, uint32_t count, uint8_t *chosen)
{
    int32_t best[STATES];
    memcpy(best, sums, sizeof(best));
    for (uint32_t i = 0; i < count; i++) {
        const int32_t e = costs[0][i], o = costs[1][i], odd_e = costs[2][i], odd_o = costs[3][i];
        uint32_t bits = 0;
        const int32_t next[STATES] = {
            cheaper(best[0] + e, best[4] + o, 0, &bits),
            cheaper(best[2] + e, best[6] + o, 1, &bits),
            cheaper(best[4] + e, best[0] + o, 2, &bits),
            cheaper(best[6] + e, best[2] + o, 3, &bits),
            cheaper(best[5] + odd_e, best[3] + odd_o, 4, &bits),
            cheaper(best[1] + odd_e, best[7] + odd_o, 5, &bits),
            cheaper(best[3] + odd_e, best[5] + odd_o, 6, &bits),
            cheaper(best[7] + odd_e, best[1] + odd_o, 7, &bits),
        };
        memcpy(best, next, sizeof(best));
        chosen[i] = (uint8_t)bits;
    }
    memcpy(sums, best, sizeof(best));
}
#endif

/* Find the states of the path that ends in a state, from its end; the parity of each index comes
 * above the state before it. */
static void go_back(uint8_t *states, uint32_t count, uint32_t last)
{
    static const uint8_t before[2][STATES] = {{BEFORE_EVEN}, {BEFORE_ODD}};
    uint32_t state = last;
    for (uint32_t step = count; step-- > 0;) {
        const uint32_t parity = (uint32_t)states[step] >> state & 1u;
        state = before[parity][state];
        states[step] = (uint8_t)(STATES * parity + state);
    }
}

/* Put the indices of a path and the states before them. */
static void put_indices(struct skybook_path *path)
{
    for (uint32_t i = 0; i < path->count; i++) {
        const int32_t away = path->away[i], state = path->states[i], odd = state & 1;
        const int32_t parity = state / STATES;
        const int32_t none = (path->zeros[i] >> odd & 1) & (1 - parity);
        const int32_t index = nearest(magnitude(away), odd, parity) * (1 - none);
        path->away[i] = away < 0 ? -index : index;
        path->states[i] = (uint8_t)(state % STATES);
    }
}

void skybook_choose_path(struct skybook_path *path)
{
    int32_t sums[STATES] = {0, FAR, FAR, FAR, FAR, FAR, FAR, FAR};
    prices costs;
    for (uint32_t first = 0; first < path->count; first += AT_ONCE) {
        const uint32_t left = path->count - first, count = left < AT_ONCE ? left : AT_ONCE;
        memset(&path->zeros[first], 0, count);
        price_steps(path, first, count, 0, costs[0], costs[1]);
        price_steps(path, first, count, 1, costs[2], costs[3]);
        extend(sums, costs, count, &path->states[first]);
    }
    uint32_t last = 0;
    for (uint32_t state = 1; state < STATES; state++) {
        last = sums[state] < sums[last] ? state : last;
    }
    go_back(path->states, path->count, last);
    put_indices(path);
}
