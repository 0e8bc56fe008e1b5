/* Weighted rows of a bounded tile in vectors, each with a twin in plain C that gives the same numbers, as in vectors.h.
 *
 * With x86 two rows are weighed at once: their numbers are laid by pairs, in a low and a high half of those that are
 * worked on; packing two halves to 16 bits puts them in order again. */
#ifndef SKYBOOK_BOUNDEDVECTORS_H
#define SKYBOOK_BOUNDEDVECTORS_H

#include "bounded.h"
#include "vectors.h"

#if SKYBOOK_BOUNDED

#define SKYBOOK_MOST_TAPS 34 /* rows: of a band 14, of each reference 9; an even number */

/* Where the row of the tables is for a residual at a sum: four levels per octave of that, from 32 on. */
static inline uint32_t skybook_row_of_tables(int32_t sum, int16_t residual)
{
    const uint32_t own = sum > 32 ? (uint32_t)sum : 32, bit = skybook_highest_bit(own);
    const uint32_t level = 4 * bit - 24 + (own >> (bit - 2));
    return (level < SKYBOOK_LEVELS ? level : SKYBOOK_LEVELS - 1) * SKYBOOK_ROW + skybook_symbol_of(residual);
}

/* Rows that are weighed: numbers from a common place to where each begins, and weights. */
struct skybook_taps {
    uint32_t count; /* even: the last may have no weight */
    int32_t places[SKYBOOK_MOST_TAPS];
    int16_t weights[SKYBOOK_MOST_TAPS];
};

static inline void skybook_add_tap(struct skybook_taps *taps, int32_t place, int32_t weight)
{
    taps->places[taps->count] = place;
    taps->weights[taps->count] = (int16_t)weight;
    taps->count++;
}

/* Let there be an even number of rows. */
static inline void skybook_close_taps(struct skybook_taps *taps)
{
    if (taps->count % 2 == 1) {
        skybook_add_tap(taps, taps->places[0], 0);
    }
}

#if defined(SKYBOOK_FLOATS) && (defined(SKYBOOK_X86) || defined(SKYBOOK_SSE2))
#if defined(SKYBOOK_X86) && defined(__AVX512BW__)
typedef __m512i skybook_vector;
#define SKYBOOK_WIDE 32u /* numbers of 16 bits */
#define SKYBOOK_OF(name) _mm512_##name
#define SKYBOOK_BITS _mm512_castps_si512
#elif defined(SKYBOOK_X86)
typedef __m256i skybook_vector;
#define SKYBOOK_WIDE 16u
#define SKYBOOK_OF(name) _mm256_##name
#define SKYBOOK_BITS _mm256_castps_si256
#else
typedef __m128i skybook_vector;
#define SKYBOOK_WIDE 8u
#define SKYBOOK_OF(name) _mm_##name
#define SKYBOOK_BITS _mm_castps_si128
#endif

/* Sums of 32 bits. */
struct skybook_sums {
    skybook_vector low, high;
};

static inline skybook_vector skybook_vector_at(const void *from)
{
    skybook_vector found;
    memcpy(&found, from, sizeof(found));
    return found;
}

static inline void skybook_put_vector(void *to, skybook_vector vector)
{
    memcpy(to, &vector, sizeof(vector));
}

/* Weigh SKYBOOK_WIDE numbers of each row. */
static inline struct skybook_sums skybook_weigh(const struct skybook_taps *taps, const int16_t *from, int32_t start)
{
    struct skybook_sums sums = {SKYBOOK_OF(set1_epi32)(start), SKYBOOK_OF(set1_epi32)(start)};
    for (uint32_t i = 0; i < taps->count; i += 2) {
        int32_t both;
        memcpy(&both, &taps->weights[i], sizeof(both));
        const skybook_vector weights = SKYBOOK_OF(set1_epi32)(both);
        const skybook_vector one = skybook_vector_at(from + taps->places[i]);
        const skybook_vector other = skybook_vector_at(from + taps->places[i + 1]);
        const skybook_vector low = SKYBOOK_OF(unpacklo_epi16)(one, other);
        const skybook_vector high = SKYBOOK_OF(unpackhi_epi16)(one, other);
        sums.low = SKYBOOK_OF(add_epi32)(sums.low, SKYBOOK_OF(madd_epi16)(low, weights));
        sums.high = SKYBOOK_OF(add_epi32)(sums.high, SKYBOOK_OF(madd_epi16)(high, weights));
    }
    return sums;
}

/* The first of the sums. */
static inline int32_t skybook_first_sum(const struct skybook_sums *sums)
{
    int32_t first;
    memcpy(&first, &sums->low, sizeof(first));
    return first;
}

/* Put sums one after the other. */
static inline void skybook_put_sums(const struct skybook_sums *sums, int32_t *to)
{
    int32_t low[SKYBOOK_WIDE / 2], high[SKYBOOK_WIDE / 2];
    skybook_put_vector(low, sums->low);
    skybook_put_vector(high, sums->high);
    for (uint32_t i = 0; i < SKYBOOK_WIDE / 2; i += 4) {
        memcpy(to + 2 * i, low + i, 4 * sizeof(*to));
        memcpy(to + 2 * i + 4, high + i, 4 * sizeof(*to));
    }
}

/* Put what numbers are above 1/256 of the sums, rounded down and no less than -32768 or more than `most`. */
static inline void skybook_put_residuals(const struct skybook_sums *sums, const int16_t *numbers, int16_t most,
                                         int16_t *residuals)
{
    const skybook_vector low = SKYBOOK_OF(srai_epi32)(sums->low, 8), high = SKYBOOK_OF(srai_epi32)(sums->high, 8);
    const skybook_vector predicted = SKYBOOK_OF(min_epi16)(SKYBOOK_OF(packs_epi32)(low, high),
                                                           SKYBOOK_OF(set1_epi16)(most));
    skybook_put_vector(residuals, SKYBOOK_OF(sub_epi16)(skybook_vector_at(numbers), predicted));
}

static inline skybook_vector skybook_distance(skybook_vector sum, skybook_vector number, skybook_vector mask)
{
    const skybook_vector off = SKYBOOK_OF(sub_epi32)(SKYBOOK_OF(srai_epi32)(number, 16),
                                                     SKYBOOK_OF(srai_epi32)(sum, 8));
    const skybook_vector sign = SKYBOOK_OF(srai_epi32)(off, 31);
    return SKYBOOK_OF(sub_epi32)(off ^ sign, sign) & mask;
}

static inline uint64_t skybook_total_of(skybook_vector sums)
{
    uint32_t each[SKYBOOK_WIDE / 2];
    uint64_t total = 0;
    skybook_put_vector(each, sums);
    for (uint32_t i = 0; i < SKYBOOK_WIDE / 2; i++) {
        total += each[i];
    }
    return total;
}

/* Distances, added up. */
typedef skybook_vector skybook_far;
static inline skybook_far skybook_no_distance(void)
{
    return SKYBOOK_OF(set1_epi32)(0);
}

/* Add how far numbers are from 1/256 of the sums, rounded down: where masks are -1, not 0. */
static inline void skybook_add_distances(skybook_far *far, const struct skybook_sums *sums, const int16_t *numbers,
                                         const int16_t *masks)
{
    const skybook_vector own = skybook_vector_at(numbers), mask = skybook_vector_at(masks);
    const skybook_vector low = SKYBOOK_OF(unpacklo_epi16)(own, own), high = SKYBOOK_OF(unpackhi_epi16)(own, own);
    const skybook_vector of_low = SKYBOOK_OF(unpacklo_epi16)(mask, mask);
    const skybook_vector of_high = SKYBOOK_OF(unpackhi_epi16)(mask, mask);
    *far = SKYBOOK_OF(add_epi32)(*far, skybook_distance(sums->low, low, of_low));
    *far = SKYBOOK_OF(add_epi32)(*far, skybook_distance(sums->high, high, of_high));
}

/* Quarter octaves of numbers from 1 on, and less below. */
static inline skybook_vector skybook_quarters(skybook_vector numbers)
{
    const skybook_vector bits = SKYBOOK_BITS(SKYBOOK_OF(cvtepi32_ps)(numbers));
    return SKYBOOK_OF(sub_epi32)(SKYBOOK_OF(srli_epi32)(bits, SKYBOOK_QUARTERS), SKYBOOK_OF(set1_epi32)(SKYBOOK_OF_1));
}

/* Sizes of residuals, no more than 32767. */
static inline skybook_vector skybook_sizes(skybook_vector residuals)
{
    return SKYBOOK_OF(max_epi16)(residuals, SKYBOOK_OF(subs_epi16)(SKYBOOK_OF(set1_epi16)(0), residuals));
}

/* Put the rows of the tables for residuals: of levels that sums have, and of symbols. The number of a size is that, or
 * as many quarter octaves as what is 1 less has and 1 more: the lesser of both, but for sizes of 1 and 2. */
static inline void skybook_put_rows(const struct skybook_sums *sums, const int16_t *residuals, uint16_t *rows)
{
    const skybook_vector none = SKYBOOK_OF(set1_epi16)(0), one = SKYBOOK_OF(set1_epi16)(1);
    const skybook_vector quarters = SKYBOOK_OF(packs_epi32)(skybook_quarters(sums->low), skybook_quarters(sums->high));
    const skybook_vector beyond = SKYBOOK_OF(sub_epi16)(quarters, SKYBOOK_OF(set1_epi16)(4 * 5));
    const skybook_vector most = SKYBOOK_OF(set1_epi16)(SKYBOOK_LEVELS - 1);
    const skybook_vector level = SKYBOOK_OF(max_epi16)(SKYBOOK_OF(min_epi16)(beyond, most), none);
    const skybook_vector residual = skybook_vector_at(residuals), size = skybook_sizes(residual);
    const skybook_vector less = SKYBOOK_OF(sub_epi16)(size, one);
    const skybook_vector of_less = SKYBOOK_OF(packs_epi32)(skybook_quarters(SKYBOOK_OF(unpacklo_epi16)(less, none)),
                                                           skybook_quarters(SKYBOOK_OF(unpackhi_epi16)(less, none)));
    const skybook_vector number = SKYBOOK_OF(min_epi16)(SKYBOOK_OF(add_epi16)(of_less, one), size);
    const skybook_vector right = SKYBOOK_OF(max_epi16)(number, SKYBOOK_OF(min_epi16)(size, SKYBOOK_OF(set1_epi16)(2)));
    const skybook_vector positive = SKYBOOK_OF(min_epi16)(SKYBOOK_OF(max_epi16)(residual, none), one);
    const skybook_vector symbol = SKYBOOK_OF(sub_epi16)(SKYBOOK_OF(slli_epi16)(right, 1), positive);
    skybook_put_vector(rows, SKYBOOK_OF(add_epi16)(SKYBOOK_OF(slli_epi16)(level, 7), symbol));
}

static inline skybook_vector skybook_energies(const int16_t *residuals)
{
    const skybook_vector most = SKYBOOK_OF(set1_epi16)(SKYBOOK_MOST_ENERGY);
    return SKYBOOK_OF(min_epi16)(skybook_sizes(skybook_vector_at(residuals)), most);
}

/* Put the energies of residuals, times 1/256 of a factor. */
static inline void skybook_put_energies(const int16_t *residuals, int16_t factor, int16_t *energies)
{
    const skybook_vector most = SKYBOOK_OF(set1_epi16)(SKYBOOK_MOST_ENERGY), by = SKYBOOK_OF(set1_epi16)(factor);
    const skybook_vector own = skybook_energies(residuals);
    const skybook_vector scaled = SKYBOOK_OF(slli_epi16)(SKYBOOK_OF(mulhi_epi16)(own, by), 8) |
                                  SKYBOOK_OF(srli_epi16)(SKYBOOK_OF(mullo_epi16)(own, by), 8);
    skybook_put_vector(energies, SKYBOOK_OF(sub_epi16)(scaled, SKYBOOK_OF(subs_epu16)(scaled, most)));
}

/* The sum of the energies of `count` residuals, a multiple of SKYBOOK_WIDE, 16,384 at most. */
static inline uint64_t skybook_sum_energies(const int16_t *residuals, uint32_t count)
{
    const skybook_vector one = SKYBOOK_OF(set1_epi16)(1);
    skybook_vector sums = SKYBOOK_OF(set1_epi32)(0);
    for (uint32_t i = 0; i < count; i += SKYBOOK_WIDE) {
        sums = SKYBOOK_OF(add_epi32)(sums, SKYBOOK_OF(madd_epi16)(skybook_energies(residuals + i), one));
    }
    return skybook_total_of(sums);
}
#else
#define SKYBOOK_WIDE SKYBOOK_BLOCK

struct skybook_sums {
    uint32_t each[SKYBOOK_WIDE];
};

static inline struct skybook_sums skybook_weigh(const struct skybook_taps *taps, const int16_t *from, int32_t start)
{
    struct skybook_sums sums;
    for (uint32_t i = 0; i < SKYBOOK_WIDE; i++) {
        sums.each[i] = (uint32_t)start;
    }
    for (uint32_t tap = 0; tap < taps->count; tap++) {
        const int16_t *row = from + taps->places[tap], weight = taps->weights[tap];
        SKYBOOK_ROLLED
        for (uint32_t i = 0; i < SKYBOOK_WIDE; i++) {
            sums.each[i] += (uint32_t)((int32_t)row[i] * weight);
        }
    }
    return sums;
}

static inline int32_t skybook_first_sum(const struct skybook_sums *sums)
{
    return (int32_t)sums->each[0];
}

static inline void skybook_put_sums(const struct skybook_sums *sums, int32_t *to)
{
    memcpy(to, sums->each, sizeof(sums->each));
}

static inline void skybook_put_residuals(const struct skybook_sums *sums, const int16_t *numbers, int16_t most,
                                         int16_t *residuals)
{
    for (uint32_t i = 0; i < SKYBOOK_WIDE; i++) {
        int32_t predicted = (int32_t)sums->each[i] >> 8;
        predicted = predicted > -32768 ? predicted : -32768;
        predicted = predicted < most ? predicted : most;
        residuals[i] = (int16_t)((uint32_t)(numbers[i] - predicted) & 0xFFFFu);
    }
}

typedef uint64_t skybook_far;
static inline skybook_far skybook_no_distance(void)
{
    return 0;
}

static inline void skybook_add_distances(skybook_far *far, const struct skybook_sums *sums, const int16_t *numbers,
                                         const int16_t *masks)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < SKYBOOK_WIDE; i++) {
        const int32_t off = numbers[i] - ((int32_t)sums->each[i] >> 8);
        total += masks[i] != 0 ? (uint32_t)(off < 0 ? -off : off) : 0;
    }
    *far += total;
}

static inline uint64_t skybook_total_of(skybook_far far)
{
    return far;
}

static inline void skybook_put_rows(const struct skybook_sums *sums, const int16_t *residuals, uint16_t *rows)
{
    for (uint32_t i = 0; i < SKYBOOK_WIDE; i++) {
        rows[i] = (uint16_t)skybook_row_of_tables((int32_t)sums->each[i], residuals[i]);
    }
}

static inline int32_t skybook_energy(int16_t residual)
{
    const int32_t size = residual < 0 ? -residual : residual;
    return size < SKYBOOK_MOST_ENERGY ? size : SKYBOOK_MOST_ENERGY;
}

static inline void skybook_put_energies(const int16_t *residuals, int16_t factor, int16_t *energies)
{
    SKYBOOK_ROLLED
    for (uint32_t i = 0; i < SKYBOOK_WIDE; i++) {
        const int32_t scaled = skybook_energy(residuals[i]) * factor >> 8;
        energies[i] = (int16_t)(scaled < SKYBOOK_MOST_ENERGY ? scaled : SKYBOOK_MOST_ENERGY);
    }
}

static inline uint64_t skybook_sum_energies(const int16_t *residuals, uint32_t count)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += (uint32_t)skybook_energy(residuals[i]);
    }
    return sum;
}
#endif
#endif
#endif
