/* Trellis: the indices of a layer of a dependent tile, by squared error and bits (SPEC.md, sections
 * 10 and 13).
 *
 * The parities of the indices drive a machine of 32 states. Even states have the even multiples
 * of half a step, odd ones the odd multiples and 0. Of all paths that begin in state 0 the one is
 * taken that costs least.
 *
 * After state s comes (s >> 1) ^ (18 if s is odd) ^ (4 if the index is odd): so states below 16
 * follow even ones, the others odd ones. */
#include <string.h>

#include "parts.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define STATES SKYBOOK_STATES
#define HALF (STATES / 2)
#define AFTER_ODD_STATE 18u
#define AFTER_ODD_INDEX 4u
#define LARGEST 63    /* magnitudes of indices whose costs are told apart */
#define FAR (1 << 29) /* where no path begins */
#define AT_ONCE 64    /* steps priced before paths are extended */

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

/* Extend the best path to each state by `count` steps; a bit of `odd` tells that the path to a
 * state ends in an odd index. Where both cost the same it is an even one. */
#if defined(__AVX2__)
/* Part the numbers of two vectors, those at even places from those at odd ones. */
static void part(const __m256i both[2], __m256i *even, __m256i *odd)
{
    const __m256 low = _mm256_castsi256_ps(both[0]), high = _mm256_castsi256_ps(both[1]);
    const __m256i evens = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88));
    const __m256i odds = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xDD));
    *even = _mm256_permute4x64_epi64(evens, 0xD8);
    *odd = _mm256_permute4x64_epi64(odds, 0xD8);
}

/* The cheaper paths to eight states, from the sums of the states before them by an even index; by
 * an odd one these come from four places on. */
static __m256i cheaper(__m256i before, const int32_t *of_even, const int32_t *of_odd,
                       uint32_t *bits)
{
    const __m256i swapped = _mm256_permute4x64_epi64(before, 0x4E);
    const __m256i even = _mm256_add_epi32(before, _mm256_set1_epi32(*of_even));
    const __m256i odd = _mm256_add_epi32(swapped, _mm256_set1_epi32(*of_odd));
    *bits = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(even, odd)));
    return _mm256_min_epi32(even, odd);
}

static void extend(int32_t sums[STATES], prices costs, uint32_t count, uint32_t *odd)
{
    __m256i best[4];
    memcpy(best, sums, sizeof(best));
    for (uint32_t i = 0; i < count; i++) {
        __m256i of_even[2], of_odd[2];
        uint32_t bits[4];
        for (uint32_t half = 0; half < 2; half++) {
            part(&best[2 * half], &of_even[half], &of_odd[half]);
        }
        for (uint32_t half = 0; half < 2; half++) {
            /* Places 2 and 3, 6 and 7 go before 0 and 1, 4 and 5: bit 1 of 18. */
            const __m256i turned = _mm256_shuffle_epi32(of_odd[half], 0x4E);
            best[half] = cheaper(of_even[half], &costs[0][i], &costs[1][i], &bits[half]);
            best[2 + half] = cheaper(turned, &costs[2][i], &costs[3][i], &bits[2 + half]);
        }
        odd[i] = bits[0] | bits[1] << 8 | bits[2] << 16 | bits[3] << 24;
    }
    memcpy(sums, best, sizeof(best));
}
#else
/* The cost of the cheaper path to a state; a bit if its last index is odd. */
static int32_t cheaper(int32_t even, int32_t odd, uint32_t state, uint32_t *bits)
{
    *bits |= (uint32_t)(odd < even) << state;
    return odd < even ? odd : even;
}

static void extend(int32_t sums[STATES], prices costs, uint32_t count, uint32_t *odd)
{
    int32_t best[STATES], next[STATES];
    memcpy(best, sums, sizeof(best));
    for (uint32_t i = 0; i < count; i++) {
        const int32_t e = costs[0][i], o = costs[1][i], odd_e = costs[2][i], odd_o = costs[3][i];
        uint32_t bits = 0;
        for (uint32_t to = 0; to < HALF; to++) {
            const uint32_t other = to ^ AFTER_ODD_INDEX, turn = AFTER_ODD_STATE - HALF;
            next[to] = cheaper(best[2 * to] + e, best[2 * other] + o, to, &bits);
            next[HALF + to] = cheaper(best[2 * (to ^ turn) + 1] + odd_e,
                                      best[2 * (other ^ turn) + 1] + odd_o, HALF + to, &bits);
        }
        memcpy(best, next, sizeof(best));
        odd[i] = bits;
    }
    memcpy(sums, best, sizeof(best));
}
#endif

/* Find the states of the path that ends in a state, from its end; the parity of each index comes
 * above the state before it. */
static void go_back(struct skybook_path *path, uint32_t last)
{
    uint32_t state = last;
    for (uint32_t step = path->count; step-- > 0;) {
        const uint32_t parity = path->odd[step] >> state & 1u, set = state / HALF;
        state = 2 * (state ^ set * AFTER_ODD_STATE ^ parity * AFTER_ODD_INDEX) + set;
        path->states[step] = (uint8_t)(STATES * parity + state);
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
    int32_t sums[STATES] = {0};
    prices costs;
    for (uint32_t state = 1; state < STATES; state++) {
        sums[state] = FAR;
    }
    for (uint32_t first = 0; first < path->count; first += AT_ONCE) {
        const uint32_t left = path->count - first, count = left < AT_ONCE ? left : AT_ONCE;
        memset(&path->zeros[first], 0, count);
        price_steps(path, first, count, 0, costs[0], costs[1]);
        price_steps(path, first, count, 1, costs[2], costs[3]);
        extend(sums, costs, count, &path->odd[first]);
    }
    uint32_t last = 0;
    for (uint32_t state = 1; state < STATES; state++) {
        last = sums[state] < sums[last] ? state : last;
    }
    go_back(path, last);
    put_indices(path);
}
