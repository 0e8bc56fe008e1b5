/* Trellis: the indices of a layer of a dependent tile, by squared error and bits (SPEC.md, sections
 * 10 and 13).
 *
 * The parities of the indices drive a machine of eight states. Even states have the even multiples
 * of half a step, odd ones the odd multiples and 0. Of all paths that begin in state 0 the one is
 * taken that costs least. */
#include "parts.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define STATES 8
#define LARGEST_WORD 4  /* magnitudes above stand for as much less as this one */
#define LARGEST_COST 63 /* those above cost as much as this one */
#define FAR (1 << 29)   /* where no path begins */
#define AT_ONCE 64      /* steps priced before paths are extended */

/* State before each state, if the index was even, and if it was odd. States 0 to 3 follow even
 * states, 4 to 7 odd ones. */
#define BEFORE_EVEN 0, 2, 4, 6, 5, 1, 3, 7
#define BEFORE_ODD 4, 6, 0, 2, 3, 7, 5, 1

/* What the best even and odd index of even states cost, and those of odd states. */
struct prices {
    int32_t of[4];
};

/* The index of a parity that is nearest to a magnitude in 1/64 step. */
static int32_t nearest(int32_t size, int32_t odd, int32_t parity)
{
    return ((size + 32 * odd - 64 * parity + 64) >> 7) * 2 + parity;
}

static int32_t price(int32_t size, int32_t index, uint32_t row, int32_t worth)
{
    const int32_t bits = skybook_index_costs[row][index < LARGEST_COST ? index : LARGEST_COST];
    const int32_t less = skybook_shortfalls[row][index < LARGEST_WORD ? index : LARGEST_WORD];
    const int32_t error = size - 64 * index + less;
    return error * error + (bits * worth >> 8);
}

/* Price a step; near 0 the low cost of 0 may win. */
static void price_step(struct skybook_path *path, uint32_t step, struct prices *found)
{
    const int32_t away = path->away[step], size = away < 0 ? -away : away;
    const int32_t worth = skybook_worth[path->channels[step]];
    uint32_t zeros = 0;
    for (uint32_t odd = 0; odd < 2; odd++) {
        const uint32_t row = path->rows[step] - SKYBOOK_PLAIN_ROWS + SKYBOOK_LEVELS * odd;
        const int32_t even = nearest(size, (int32_t)odd, 0);
        int32_t best = price(size, even, row, worth);
        if (even == 2) {
            const int32_t none = price(size, 0, row, worth);
            zeros |= (uint32_t)(none < best) << odd;
            best = none < best ? none : best;
        }
        found->of[2 * odd] = best;
        found->of[2 * odd + 1] = price(size, nearest(size, (int32_t)odd, 1), row, worth);
    }
    path->zeros[step] = (uint8_t)zeros;
}

/* Extend the best path to each state by `count` steps; a bit of `chosen` tells that the path to a
 * state ends in an odd index. Where both cost the same it is an even one. */
#if defined(__AVX2__)
static void extend(int32_t sums[STATES], const struct prices *costs, uint32_t count, uint8_t *chosen)
{
    const __m256i before_even = _mm256_setr_epi32(BEFORE_EVEN);
    const __m256i before_odd = _mm256_setr_epi32(BEFORE_ODD);
    const __m256i of_even = _mm256_setr_epi32(0, 0, 0, 0, 2, 2, 2, 2);
    const __m256i of_odd = _mm256_setr_epi32(1, 1, 1, 1, 3, 3, 3, 3);
    __m256i best = _mm256_loadu_si256((const __m256i *)(const void *)sums);
    for (uint32_t i = 0; i < count; i++) {
        const __m128i four = _mm_loadu_si128((const __m128i *)(const void *)costs[i].of);
        const __m256i cost = _mm256_broadcastsi128_si256(four);
        const __m256i even = _mm256_add_epi32(_mm256_permutevar8x32_epi32(best, before_even),
                                              _mm256_permutevar8x32_epi32(cost, of_even));
        const __m256i odd = _mm256_add_epi32(_mm256_permutevar8x32_epi32(best, before_odd),
                                             _mm256_permutevar8x32_epi32(cost, of_odd));
        const __m256i less = _mm256_cmpgt_epi32(even, odd);
        chosen[i] = (uint8_t)_mm256_movemask_ps(_mm256_castsi256_ps(less));
        best = _mm256_min_epi32(even, odd);
    }
    _mm256_storeu_si256((__m256i *)(void *)sums, best);
}
#else
static void extend(int32_t sums[STATES], const struct prices *costs, uint32_t count, uint8_t *chosen)
{
    static const uint8_t before_even[STATES] = {BEFORE_EVEN}, before_odd[STATES] = {BEFORE_ODD};
    for (uint32_t i = 0; i < count; i++) {
        int32_t best[STATES];
        uint32_t bits = 0;
        for (uint32_t state = 0; state < STATES; state++) {
            const int32_t *cost = &costs[i].of[state / 4 * 2];
            const int32_t even = sums[before_even[state]] + cost[0];
            const int32_t odd = sums[before_odd[state]] + cost[1];
            bits |= (uint32_t)(odd < even) << state;
            best[state] = odd < even ? odd : even;
        }
        for (uint32_t state = 0; state < STATES; state++) {
            sums[state] = best[state];
        }
        chosen[i] = (uint8_t)bits;
    }
}
#endif

/* Find the states of the path that ends in a state, and its indices, from its end. */
static void go_back(struct skybook_path *path, uint32_t last)
{
    static const uint8_t before[2][STATES] = {{BEFORE_EVEN}, {BEFORE_ODD}};
    uint32_t state = last;
    for (uint32_t step = path->count; step-- > 0;) {
        const uint32_t parity = (uint32_t)path->states[step] >> state & 1u;
        state = before[parity][state];
        path->states[step] = (uint8_t)state;
        const int32_t away = path->away[step], size = away < 0 ? -away : away;
        const uint32_t odd = state & 1u;
        const bool none = parity == 0 && ((uint32_t)path->zeros[step] >> odd & 1u) != 0;
        const int32_t index = none ? 0 : nearest(size, (int32_t)odd, (int32_t)parity);
        path->away[step] = away < 0 ? -index : index;
    }
}

void skybook_choose_path(struct skybook_path *path)
{
    int32_t sums[STATES] = {0, FAR, FAR, FAR, FAR, FAR, FAR, FAR};
    struct prices costs[AT_ONCE];
    for (uint32_t first = 0; first < path->count; first += AT_ONCE) {
        const uint32_t left = path->count - first, count = left < AT_ONCE ? left : AT_ONCE;
        for (uint32_t i = 0; i < count; i++) {
            price_step(path, first + i, &costs[i]);
        }
        extend(sums, costs, count, &path->states[first]);
    }
    uint32_t last = 0;
    for (uint32_t state = 1; state < STATES; state++) {
        last = sums[state] < sums[last] ? state : last;
    }
    go_back(path, last);
}
