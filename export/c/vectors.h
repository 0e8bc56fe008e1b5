/* The two hottest loops in vectors, each with a twin in plain C that gives the same numbers: one is
 * chosen when it is built. SKYBOOK_PLAIN_C takes the twins. Integers throughout, so none differs. */
#ifndef SKYBOOK_VECTORS_H
#define SKYBOOK_VECTORS_H

#include <string.h>

#include "parts.h"

#if !defined(SKYBOOK_PLAIN_C) && defined(__AVX2__)
#include <immintrin.h>
#define SKYBOOK_X86 1
#elif !defined(SKYBOOK_PLAIN_C) && defined(__ARM_FEATURE_SIMD32) && !defined(__ARM_NEON)
#include <arm_acle.h>
#define SKYBOOK_ARM_PAIRS 1 /* two products of 16 bits in a register, as a Cortex-M has them */
#endif

/* The sums of the 16 filters of a parity over 64 folded pixels. With x86 each step takes two pixels
 * times two weights of each filter. */
#if defined(SKYBOOK_X86) && defined(__AVX512BW__)
static inline __m512i skybook_step(__m512i sum, int32_t pair, const int16_t *weights)
{
    const __m512i pixels = _mm512_set1_epi32(pair), own = _mm512_loadu_si512(weights);
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sum, pixels, own);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pixels, own));
#endif
}

static inline void skybook_filter(const int16_t pixels[64], uint32_t parity, int32_t sums[16])
{
    const int16_t *weights = skybook_pairs[parity][0][0];
    int32_t pairs[32];
    __m512i sum = _mm512_setzero_si512(), other = _mm512_setzero_si512();
    memcpy(pairs, pixels, sizeof(pairs));
    for (uint32_t i = 0; i < 32; i += 2) {
        sum = skybook_step(sum, pairs[i], weights + 32 * i);
        other = skybook_step(other, pairs[i + 1], weights + 32 * i + 32);
    }
    _mm512_storeu_si512(sums, _mm512_add_epi32(sum, other));
}
#elif defined(SKYBOOK_X86)
static inline void skybook_filter(const int16_t pixels[64], uint32_t parity, int32_t sums[16])
{
    const int16_t *weights = skybook_pairs[parity][0][0];
    int32_t pairs[32];
    __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
    memcpy(pairs, pixels, sizeof(pairs));
    for (uint32_t i = 0; i < 32; i++) {
        const __m256i pair = _mm256_set1_epi32(pairs[i]);
        const __m256i *own = (const __m256i *)(const void *)(weights + 32 * i);
        low = _mm256_add_epi32(low, _mm256_madd_epi16(pair, _mm256_loadu_si256(own)));
        high = _mm256_add_epi32(high, _mm256_madd_epi16(pair, _mm256_loadu_si256(own + 1)));
    }
    _mm256_storeu_si256((__m256i *)(void *)sums, low);
    _mm256_storeu_si256((__m256i *)(void *)(sums + 8), high);
}
#elif defined(SKYBOOK_ARM_PAIRS)
static inline void skybook_filter(const int16_t pixels[64], uint32_t parity, int32_t sums[16])
{
    for (uint32_t filter = 0; filter < 16; filter++) {
        const int16_t *weights = skybook_filters[parity][filter];
        int32_t sum = 0;
        for (uint32_t i = 0; i < 64; i += 2) {
            int16x2_t pair, own;
            memcpy(&pair, &pixels[i], sizeof(pair));
            memcpy(&own, &weights[i], sizeof(own));
            sum = __smlad(pair, own, sum);
        }
        sums[filter] = sum;
    }
}
#else
static inline void skybook_filter(const int16_t pixels[64], uint32_t parity, int32_t sums[16])
{
    for (uint32_t filter = 0; filter < 16; filter++) {
        const int16_t *weights = skybook_filters[parity][filter];
        int32_t sum = 0;
        for (uint32_t i = 0; i < 64; i++) {
            sum += pixels[i] * weights[i];
        }
        sums[filter] = sum;
    }
}
#endif

/* Extend the best path to each of the 32 states by a step, whose best index of each parity costs
 * `costs` in even states, then in odd ones; tell by a bit for each state whether the path to it ends in
 * an odd index. Where both cost the same it is an even one.
 *
 * States below 16 come after even ones, 2 i after i, the others after odd ones, where bit 1 is turned
 * (AFTER_ODD_STATE); by an odd index they come from the state that an even one leads 4 places away. */
#if defined(SKYBOOK_X86) && defined(__AVX512F__)
typedef __m512i skybook_states[2];

static inline void skybook_open(const int32_t sums[SKYBOOK_STATES], skybook_states best)
{
    best[0] = _mm512_loadu_si512(sums);
    best[1] = _mm512_loadu_si512(sums + 16);
}

static inline void skybook_close(skybook_states best, int32_t sums[SKYBOOK_STATES])
{
    _mm512_storeu_si512(sums, best[0]);
    _mm512_storeu_si512(sums + 16, best[1]);
}

/* Every second of 32 states from the place on that makes up for bit `turn` of where they go. */
#define SKYBOOK_EVERY_SECOND(first, turn)                                                       \
    _mm512_setr_epi32((first) + 2 * (0 ^ (turn)), (first) + 2 * (1 ^ (turn)), (first) + 2 * (2 ^ (turn)),   \
                      (first) + 2 * (3 ^ (turn)), (first) + 2 * (4 ^ (turn)), (first) + 2 * (5 ^ (turn)),   \
                      (first) + 2 * (6 ^ (turn)), (first) + 2 * (7 ^ (turn)), (first) + 2 * (8 ^ (turn)),   \
                      (first) + 2 * (9 ^ (turn)), (first) + 2 * (10 ^ (turn)), (first) + 2 * (11 ^ (turn)), \
                      (first) + 2 * (12 ^ (turn)), (first) + 2 * (13 ^ (turn)), (first) + 2 * (14 ^ (turn)), \
                      (first) + 2 * (15 ^ (turn)))

static inline uint32_t skybook_extend(skybook_states best, const int32_t costs[4])
{
    const __m512i low = best[0], high = best[1];
    const __m512i even = _mm512_add_epi32(
        _mm512_permutex2var_epi32(low, SKYBOOK_EVERY_SECOND(0, 0), high), _mm512_set1_epi32(costs[0]));
    const __m512i odd = _mm512_add_epi32(
        _mm512_permutex2var_epi32(low, SKYBOOK_EVERY_SECOND(0, 4), high), _mm512_set1_epi32(costs[1]));
    const __m512i odd_even = _mm512_add_epi32(
        _mm512_permutex2var_epi32(low, SKYBOOK_EVERY_SECOND(1, 2), high), _mm512_set1_epi32(costs[2]));
    const __m512i odd_odd = _mm512_add_epi32(
        _mm512_permutex2var_epi32(low, SKYBOOK_EVERY_SECOND(1, 6), high), _mm512_set1_epi32(costs[3]));
    best[0] = _mm512_min_epi32(even, odd);
    best[1] = _mm512_min_epi32(odd_even, odd_odd);
    return (uint32_t)_mm512_cmpgt_epi32_mask(even, odd) |
           (uint32_t)_mm512_cmpgt_epi32_mask(odd_even, odd_odd) << 16;
}
#elif defined(SKYBOOK_X86)
typedef __m256i skybook_states[4];

static inline void skybook_open(const int32_t sums[SKYBOOK_STATES], skybook_states best)
{
    memcpy(best, sums, sizeof(skybook_states));
}

static inline void skybook_close(skybook_states best, int32_t sums[SKYBOOK_STATES])
{
    memcpy(sums, best, sizeof(skybook_states));
}

/* The cheaper paths to eight states, from the sums of those that an even index leads there from. */
static inline __m256i skybook_cheaper(__m256i before, const int32_t costs[2], uint32_t *bits)
{
    const __m256i swapped = _mm256_permute4x64_epi64(before, 0x4E);
    const __m256i even = _mm256_add_epi32(before, _mm256_set1_epi32(costs[0]));
    const __m256i odd = _mm256_add_epi32(swapped, _mm256_set1_epi32(costs[1]));
    *bits = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(even, odd)));
    return _mm256_min_epi32(even, odd);
}

static inline uint32_t skybook_extend(skybook_states best, const int32_t costs[4])
{
    uint32_t bits[4];
    __m256i of_even[2], of_odd[2];
    for (uint32_t half = 0; half < 2; half++) {
        const __m256 low = _mm256_castsi256_ps(best[2 * half]);
        const __m256 high = _mm256_castsi256_ps(best[2 * half + 1]);
        const __m256i evens = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0x88));
        const __m256i odds = _mm256_castps_si256(_mm256_shuffle_ps(low, high, 0xDD));
        of_even[half] = _mm256_permute4x64_epi64(evens, 0xD8);
        of_odd[half] = _mm256_permute4x64_epi64(odds, 0x72); /* bit 1 turned */
    }
    for (uint32_t half = 0; half < 2; half++) {
        best[half] = skybook_cheaper(of_even[half], &costs[0], &bits[half]);
        best[2 + half] = skybook_cheaper(of_odd[half], &costs[2], &bits[2 + half]);
    }
    return bits[0] | bits[1] << 8 | bits[2] << 16 | bits[3] << 24;
}
#elif !defined(SKYBOOK_PLAIN_C) && (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12))
/* Vectors of four as gcc and clang have them for any processor. */
typedef int32_t skybook_four __attribute__((vector_size(16)));
typedef skybook_four skybook_states[8];

static inline void skybook_open(const int32_t sums[SKYBOOK_STATES], skybook_states best)
{
    memcpy(best, sums, sizeof(skybook_states));
}

static inline void skybook_close(skybook_states best, int32_t sums[SKYBOOK_STATES])
{
    memcpy(sums, best, sizeof(skybook_states));
}

static inline skybook_four skybook_cheaper(skybook_four even, skybook_four odd, skybook_four bit,
                                           skybook_four *bits)
{
    const skybook_four is_odd = odd < even;
    *bits |= is_odd & bit;
    return (odd & is_odd) | (even & ~is_odd);
}

static inline uint32_t skybook_extend(skybook_states best, const int32_t costs[4])
{
    const skybook_four all = {1, 1, 1, 1}, first = {1, 2, 4, 8};
    skybook_four of_even[4], of_odd[4], bits = {0, 0, 0, 0};
    for (int k = 0; k < 4; k++) {
        of_even[k] = __builtin_shufflevector(best[2 * k], best[2 * k + 1], 0, 2, 4, 6);
        of_odd[k] = __builtin_shufflevector(best[2 * k], best[2 * k + 1], 5, 7, 1, 3); /* bit 1 turned */
    }
    for (int k = 0; k < 4; k++) {
        const skybook_four bit = first << 4 * k;
        best[k] = skybook_cheaper(of_even[k] + costs[0] * all, of_even[k ^ 1] + costs[1] * all, bit, &bits);
        best[4 + k] = skybook_cheaper(of_odd[k] + costs[2] * all, of_odd[k ^ 1] + costs[3] * all, bit << 16, &bits);
    }
    return (uint32_t)(bits[0] | bits[1] | bits[2] | bits[3]);
}
#else
typedef int32_t skybook_states[SKYBOOK_STATES];

static inline void skybook_open(const int32_t sums[SKYBOOK_STATES], skybook_states best)
{
    memcpy(best, sums, sizeof(skybook_states));
}

static inline void skybook_close(skybook_states best, int32_t sums[SKYBOOK_STATES])
{
    memcpy(sums, best, sizeof(skybook_states));
}

/* The cost of the cheaper path to a state; a bit if its last index is odd. */
static inline int32_t skybook_cheaper(int32_t even, int32_t odd, uint32_t state, uint32_t *bits)
{
    *bits |= (uint32_t)(odd < even) << state;
    return odd < even ? odd : even;
}

static inline uint32_t skybook_extend(skybook_states best, const int32_t costs[4])
{
    int32_t next[SKYBOOK_STATES];
    uint32_t bits = 0;
    for (uint32_t to = 0; to < SKYBOOK_STATES / 2; to++) {
        next[to] = skybook_cheaper(best[2 * to] + costs[0], best[2 * (to ^ 4)] + costs[1], to, &bits);
        next[16 + to] = skybook_cheaper(best[2 * (to ^ 2) + 1] + costs[2],
                                        best[2 * (to ^ 6) + 1] + costs[3], 16 + to, &bits);
    }
    memcpy(best, next, sizeof(next));
    return bits;
}
#endif

#endif
