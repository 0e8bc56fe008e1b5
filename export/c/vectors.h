/* The hottest loops in vectors, each with a twin in plain C that gives the same numbers: one is chosen when
 * it is built. SKYBOOK_PLAIN_C takes the twins. Results are integers that are exact, so none differs. */
#ifndef SKYBOOK_VECTORS_H
#define SKYBOOK_VECTORS_H

#include <string.h>

#include "parts.h"

#if !defined(SKYBOOK_PLAIN_C) && (defined(__clang__) || (defined(__GNUC__) && __GNUC__ >= 12))
#define SKYBOOK_GENERIC 1 /* vectors as gcc and clang have them for any processor */
#endif

#if !defined(SKYBOOK_PLAIN_C) && defined(__AVX2__)
#include <immintrin.h>
#define SKYBOOK_X86 1
#elif !defined(SKYBOOK_PLAIN_C) && defined(__SSE2__)
#include <emmintrin.h>
#define SKYBOOK_SSE2 1
#elif !defined(SKYBOOK_PLAIN_C) && defined(__aarch64__)
#include <arm_neon.h>
#define SKYBOOK_NEON 1
#elif !defined(SKYBOOK_PLAIN_C) && defined(__ARM_FEATURE_SIMD32) && !defined(__ARM_NEON)
#include <arm_acle.h>
#define SKYBOOK_ARM_PAIRS 1 /* two products of 16 bits in a register, as a Cortex-M has them */
#endif

#if defined(SKYBOOK_GENERIC)
typedef int16_t skybook_eight __attribute__((vector_size(16)));
typedef int32_t skybook_four __attribute__((vector_size(16)));
#endif

/* Fold 16 numbers: sums, then differences, of the first ones and the last ones, backwards. */
#if defined(SKYBOOK_GENERIC)
static inline void skybook_fold(const int16_t *row, int16_t *sums, int16_t *differences)
{
    skybook_eight first, last, folded;
    memcpy(&first, row, sizeof(first));
    memcpy(&last, row + 8, sizeof(last));
    last = __builtin_shufflevector(last, last, 7, 6, 5, 4, 3, 2, 1, 0);
    folded = first + last;
    memcpy(sums, &folded, sizeof(folded));
    folded = first - last;
    memcpy(differences, &folded, sizeof(folded));
}
#else
static inline void skybook_fold(const int16_t *row, int16_t *sums, int16_t *differences)
{
    for (uint32_t i = 0; i < 8; i++) {
        sums[i] = (int16_t)(row[i] + row[15 - i]);
        differences[i] = (int16_t)(row[i] - row[15 - i]);
    }
}
#endif

/* Put the columns of four rows of four numbers, `apart` from those of the next. */
#if defined(SKYBOOK_GENERIC)
static inline void skybook_put_columns(int32_t numbers[4][4], int32_t *columns, uint32_t apart)
{
    skybook_four rows[4], pairs[4];
    memcpy(rows, numbers, sizeof(rows));
    pairs[0] = __builtin_shufflevector(rows[0], rows[1], 0, 4, 1, 5);
    pairs[1] = __builtin_shufflevector(rows[2], rows[3], 0, 4, 1, 5);
    pairs[2] = __builtin_shufflevector(rows[0], rows[1], 2, 6, 3, 7);
    pairs[3] = __builtin_shufflevector(rows[2], rows[3], 2, 6, 3, 7);
    for (uint32_t i = 0; i < 4; i += 2) {
        const skybook_four one = __builtin_shufflevector(pairs[i], pairs[i + 1], 0, 1, 4, 5);
        const skybook_four two = __builtin_shufflevector(pairs[i], pairs[i + 1], 2, 3, 6, 7);
        memcpy(&columns[i * apart], &one, sizeof(one));
        memcpy(&columns[(i + 1) * apart], &two, sizeof(two));
    }
}
#else
static inline void skybook_put_columns(int32_t numbers[4][4], int32_t *columns, uint32_t apart)
{
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t row = 0; row < 4; row++) {
            columns[i * apart + row] = numbers[row][i];
        }
    }
}
#endif

/* Sums and differences of the numbers of four rows. */
#if defined(SKYBOOK_GENERIC)
static inline void skybook_mix(int32_t rows[4][4])
{
    skybook_four own[4];
    for (uint32_t i = 0; i < 4; i++) {
        memcpy(&own[i], rows[i], sizeof(own[i]));
    }
    const skybook_four a = own[0] + own[1], b = own[0] - own[1], c = own[2] + own[3], d = own[2] - own[3];
    const skybook_four mixed[4] = {a + c, a - c, b - d, b + d};
    for (uint32_t i = 0; i < 4; i++) {
        memcpy(rows[i], &mixed[i], sizeof(mixed[i]));
    }
}
#else
static inline void skybook_mix(int32_t rows[4][4])
{
    for (uint32_t i = 0; i < 4; i++) {
        const int32_t a = rows[0][i] + rows[1][i], b = rows[0][i] - rows[1][i];
        const int32_t c = rows[2][i] + rows[3][i], d = rows[2][i] - rows[3][i];
        rows[0][i] = a + c;
        rows[1][i] = a - c;
        rows[2][i] = b - d;
        rows[3][i] = b + d;
    }
}
#endif

/* Round the sums of four filters of four blocks, 64 apart, to latents; put those of each filter, of the blocks one
 * after the other, `apart` from those of the next. Returns their sum. */
#if defined(SKYBOOK_GENERIC)
static inline uint32_t skybook_put_latents(const int32_t *sums, int32_t *latents, uint32_t apart)
{
    int32_t blocks[4][4];
    skybook_four own, all = {0, 0, 0, 0};
    for (uint32_t i = 0; i < 4; i++) {
        memcpy(&own, &sums[64 * i], sizeof(own));
        own = (own + 16) >> 5;
        all += own;
        memcpy(blocks[i], &own, sizeof(own));
    }
    skybook_put_columns(blocks, latents, apart);
    return (uint32_t)(all[0] + all[1] + all[2] + all[3]);
}
#else
static inline uint32_t skybook_put_latents(const int32_t *sums, int32_t *latents, uint32_t apart)
{
    uint32_t all = 0;
    for (uint32_t filter = 0; filter < 4; filter++) {
        for (uint32_t block = 0; block < 4; block++) {
            const int32_t latent = (sums[64 * block + filter] + 16) >> 5;
            latents[filter * apart + block] = latent;
            all += (uint32_t)latent;
        }
    }
    return all;
}
#endif

#define SKYBOOK_BLOCKS 4 /* that are filtered at once, so that weights are fetched once for all */

/* The sums of 16 filters over 2 `pairs` numbers, at least 8 pairs and a multiple of it, of each of some blocks, which
 * come `apart`; as do sums `sums_apart`. Weights come by pairs, of each filter two. With x86 each step takes two
 * numbers times two weights of each filter. */
#if defined(SKYBOOK_X86) && defined(__AVX512BW__)
static inline __m512i skybook_step(__m512i sum, const int16_t *pair, __m512i weights)
{
    int32_t both;
    memcpy(&both, pair, sizeof(both));
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sum, _mm512_set1_epi32(both), weights);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_set1_epi32(both), weights));
#endif
}

static inline void skybook_filter(const int16_t *numbers, uint32_t apart, const int16_t *weights, uint32_t pairs,
                                  int32_t *sums, uint32_t sums_apart)
{
    for (uint32_t first = 0; first < pairs; first += 8) { /* weights that stay in registers */
        __m512i own[8];
        for (uint32_t i = 0; i < 8; i++) {
            own[i] = _mm512_loadu_si512(&weights[32 * (first + i)]);
        }
        for (uint32_t block = 0; block < SKYBOOK_BLOCKS; block++) {
            const int16_t *from = &numbers[block * apart + 2 * first];
            int32_t *to = &sums[block * sums_apart];
            __m512i sum = first == 0 ? _mm512_setzero_si512() : _mm512_loadu_si512(to);
            __m512i other = _mm512_setzero_si512();
            for (uint32_t i = 0; i < 8; i += 2) {
                sum = skybook_step(sum, from + 2 * i, own[i]);
                other = skybook_step(other, from + 2 * i + 2, own[i + 1]);
            }
            _mm512_storeu_si512(to, _mm512_add_epi32(sum, other));
        }
    }
}
#elif defined(SKYBOOK_X86)
static inline void skybook_filter(const int16_t *numbers, uint32_t apart, const int16_t *weights, uint32_t pairs,
                                  int32_t *sums, uint32_t sums_apart)
{
    __m256i low[SKYBOOK_BLOCKS], high[SKYBOOK_BLOCKS];
    for (uint32_t block = 0; block < SKYBOOK_BLOCKS; block++) {
        low[block] = high[block] = _mm256_setzero_si256();
    }
    for (uint32_t i = 0; i < pairs; i++) {
        const __m256i *own = (const __m256i *)(const void *)&weights[32 * i];
        const __m256i lower = _mm256_loadu_si256(own), upper = _mm256_loadu_si256(own + 1);
        for (uint32_t block = 0; block < SKYBOOK_BLOCKS; block++) {
            int32_t both;
            memcpy(&both, &numbers[block * apart + 2 * i], sizeof(both));
            const __m256i pair = _mm256_set1_epi32(both);
            low[block] = _mm256_add_epi32(low[block], _mm256_madd_epi16(pair, lower));
            high[block] = _mm256_add_epi32(high[block], _mm256_madd_epi16(pair, upper));
        }
    }
    for (uint32_t block = 0; block < SKYBOOK_BLOCKS; block++) {
        _mm256_storeu_si256((__m256i *)(void *)&sums[block * sums_apart], low[block]);
        _mm256_storeu_si256((__m256i *)(void *)&sums[block * sums_apart + 8], high[block]);
    }
}
#elif defined(SKYBOOK_ARM_PAIRS)
static inline int32_t skybook_step(int32_t sum, const int16_t *numbers, int16x2_t weights)
{
    int16x2_t pair;
    memcpy(&pair, numbers, sizeof(pair));
    return __smlad(pair, weights, sum);
}

static inline void skybook_filter(const int16_t *numbers, uint32_t apart, const int16_t *weights, uint32_t pairs,
                                  int32_t *sums, uint32_t sums_apart)
{
    for (uint32_t filter = 0; filter < 16; filter++) {
        int32_t one = 0, two = 0, three = 0, four = 0;
        for (uint32_t i = 0; i < pairs; i++) {
            int16x2_t own;
            memcpy(&own, &weights[32 * i + 2 * filter], sizeof(own));
            one = skybook_step(one, &numbers[2 * i], own);
            two = skybook_step(two, &numbers[apart + 2 * i], own);
            three = skybook_step(three, &numbers[2 * apart + 2 * i], own);
            four = skybook_step(four, &numbers[3 * apart + 2 * i], own);
        }
        sums[filter] = one;
        sums[sums_apart + filter] = two;
        sums[2 * sums_apart + filter] = three;
        sums[3 * sums_apart + filter] = four;
    }
}
#else
#if defined(SKYBOOK_SSE2)
/* Add two numbers times two weights of each of 16 filters. */
static inline void skybook_step(__m128i all[4], __m128i pair, const int16_t *weights)
{
    const __m128i *own = (const __m128i *)(const void *)weights;
    all[0] = _mm_add_epi32(all[0], _mm_madd_epi16(pair, _mm_loadu_si128(own)));
    all[1] = _mm_add_epi32(all[1], _mm_madd_epi16(pair, _mm_loadu_si128(own + 1)));
    all[2] = _mm_add_epi32(all[2], _mm_madd_epi16(pair, _mm_loadu_si128(own + 2)));
    all[3] = _mm_add_epi32(all[3], _mm_madd_epi16(pair, _mm_loadu_si128(own + 3)));
}

static inline void skybook_filter_one(const int16_t *numbers, const int16_t *weights, uint32_t pairs, int32_t sums[16])
{
    __m128i all[4] = {_mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128(), _mm_setzero_si128()};
    for (uint32_t i = 0; i < pairs; i += 4) {
        const __m128i own = _mm_loadu_si128((const __m128i *)(const void *)&numbers[2 * i]);
        skybook_step(all, _mm_shuffle_epi32(own, 0x00), &weights[32 * i]);
        skybook_step(all, _mm_shuffle_epi32(own, 0x55), &weights[32 * i + 32]);
        skybook_step(all, _mm_shuffle_epi32(own, 0xAA), &weights[32 * i + 64]);
        skybook_step(all, _mm_shuffle_epi32(own, 0xFF), &weights[32 * i + 96]);
    }
    memcpy(sums, all, sizeof(all));
}
#elif defined(SKYBOOK_NEON)
static inline void skybook_filter_one(const int16_t *numbers, const int16_t *weights, uint32_t pairs, int32_t sums[16])
{
    int32x4_t all[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
    for (uint32_t i = 0; i < pairs; i++) {
        const int16x4_t one = vdup_n_s16(numbers[2 * i]), other = vdup_n_s16(numbers[2 * i + 1]);
        for (uint32_t part = 0; part < 4; part++) {
            const int16x4x2_t own = vld2_s16(&weights[32 * i + 8 * part]);
            all[part] = vmlal_s16(vmlal_s16(all[part], own.val[0], one), own.val[1], other);
        }
    }
    for (uint32_t part = 0; part < 4; part++) {
        vst1q_s32(&sums[4 * part], all[part]);
    }
}
#else
static inline void skybook_filter_one(const int16_t *numbers, const int16_t *weights, uint32_t pairs, int32_t sums[16])
{
    memset(sums, 0, 16 * sizeof(*sums));
    for (uint32_t i = 0; i < pairs; i++) {
        const int16_t *own = &weights[32 * i];
        for (uint32_t filter = 0; filter < 16; filter++) {
            sums[filter] += numbers[2 * i] * own[2 * filter] + numbers[2 * i + 1] * own[2 * filter + 1];
        }
    }
}
#endif

static inline void skybook_filter(const int16_t *numbers, uint32_t apart, const int16_t *weights, uint32_t pairs,
                                  int32_t *sums, uint32_t sums_apart)
{
    for (uint32_t block = 0; block < SKYBOOK_BLOCKS; block++) {
        skybook_filter_one(numbers + block * apart, weights, pairs, sums + block * sums_apart);
    }
}
#endif

/* Put pairs of numbers of four rows, `apart`, in columns: of each place those of all rows, and `columns_apart` those of
 * the next. */
static inline void skybook_put_pairs(const int16_t *rows, uint32_t apart, uint32_t pairs, int16_t *columns,
                                     uint32_t columns_apart)
{
    for (uint32_t first = 0; first < pairs; first += 4) {
        int32_t own[4][4], found[4][4];
        for (uint32_t i = 0; i < 4; i++) {
            memcpy(own[i], &rows[i * apart + 2 * first], sizeof(own[i]));
        }
        skybook_put_columns(own, found[0], 4);
        for (uint32_t i = 0; i < 4; i++) {
            memcpy(&columns[(first + i) * columns_apart], found[i], sizeof(found[i]));
        }
    }
}


/* The exponent of a float and the two bits below it tell quarter octaves of a number, above those of 1: vectors have no other way to find the highest bit of a number. */
#if !defined(SKYBOOK_PLAIN_C) && (defined(__SSE2__) || defined(__aarch64__))
#define SKYBOOK_FLOATS 1
#define SKYBOOK_QUARTERS 21
#define SKYBOOK_OF_1 (4 * 127)
#endif

/* Put the components of SKYBOOK_FEW pixels in their place: bands and components are `apart`. Without vectors there is
 * no such function. */
typedef int32_t skybook_weights[SKYBOOK_MAX_BANDS][SKYBOOK_MAX_BANDS];
#if defined(SKYBOOK_GENERIC) && defined(__AVX512F__)
#define SKYBOOK_FEW 16
#elif defined(SKYBOOK_GENERIC) && defined(__AVX2__)
#define SKYBOOK_FEW 8
#elif defined(SKYBOOK_GENERIC) && defined(SKYBOOK_NEON)
#define SKYBOOK_FEW 4
#endif
#if defined(SKYBOOK_FEW)
typedef int32_t skybook_few __attribute__((vector_size(SKYBOOK_FEW * sizeof(int32_t))));

static inline void skybook_rotate_few(int32_t *pixels, uint32_t bands, uint32_t apart, skybook_weights weights)
{
    skybook_few own[SKYBOOK_MAX_BANDS];
    for (uint32_t band = 0; band < bands; band++) {
        memcpy(&own[band], &pixels[band * apart], sizeof(own[band]));
    }
    for (uint32_t component = 0; component < bands; component++) {
        skybook_few sum = weights[component][0] * own[0] + 8192;
        for (uint32_t band = 1; band < bands; band++) {
            sum += weights[component][band] * own[band];
        }
        sum >>= 14;
        memcpy(&pixels[component * apart], &sum, sizeof(sum));
    }
}
#endif

/* The same of SKYBOOK_PAIRED pixels, none of more than 16 bits with its sign, by two bands at a time, whose weights are
 * in the halves of one number; bands that there are not have the weight 0. How many `pairs` there are should be known
 * to the compiler, so that it keeps them in registers. */
#if defined(SKYBOOK_X86) && defined(__AVX512BW__)
#define SKYBOOK_PAIRED 16
typedef __m512i skybook_paired;
static inline skybook_paired skybook_all(int32_t value)
{
    return _mm512_set1_epi32(value);
}
static inline skybook_paired skybook_pair(const int32_t *one, const int32_t *other)
{
    return _mm512_mask_blend_epi16(0xAAAAAAAAu, _mm512_loadu_si512(one), _mm512_slli_epi32(_mm512_loadu_si512(other), 16));
}
static inline skybook_paired skybook_add_pair(skybook_paired sum, skybook_paired pair, skybook_paired weights)
{
#if defined(__AVX512VNNI__)
    return _mm512_dpwssd_epi32(sum, pair, weights);
#else
    return _mm512_add_epi32(sum, _mm512_madd_epi16(pair, weights));
#endif
}
static inline void skybook_put_rounded(int32_t *to, skybook_paired sum)
{
    _mm512_storeu_si512(to, _mm512_srai_epi32(sum, 14));
}
#elif defined(SKYBOOK_X86)
#define SKYBOOK_PAIRED 8
typedef __m256i skybook_paired;
static inline skybook_paired skybook_all(int32_t value)
{
    return _mm256_set1_epi32(value);
}
static inline skybook_paired skybook_pair(const int32_t *one, const int32_t *other)
{
    const __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)one);
    const __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)other);
    return _mm256_blend_epi16(first, _mm256_slli_epi32(second, 16), 0xAA);
}
static inline skybook_paired skybook_add_pair(skybook_paired sum, skybook_paired pair, skybook_paired weights)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pair, weights));
}
static inline void skybook_put_rounded(int32_t *to, skybook_paired sum)
{
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_srai_epi32(sum, 14));
}
#elif defined(SKYBOOK_SSE2)
#define SKYBOOK_PAIRED 4
typedef __m128i skybook_paired;
static inline skybook_paired skybook_all(int32_t value)
{
    return _mm_set1_epi32(value);
}
static inline skybook_paired skybook_pair(const int32_t *one, const int32_t *other)
{
    const __m128i first = _mm_loadu_si128((const __m128i *)(const void *)one);
    const __m128i second = _mm_loadu_si128((const __m128i *)(const void *)other);
    return _mm_or_si128(_mm_and_si128(first, _mm_set1_epi32(0xFFFF)), _mm_slli_epi32(second, 16));
}
static inline skybook_paired skybook_add_pair(skybook_paired sum, skybook_paired pair, skybook_paired weights)
{
    return _mm_add_epi32(sum, _mm_madd_epi16(pair, weights));
}
static inline void skybook_put_rounded(int32_t *to, skybook_paired sum)
{
    _mm_storeu_si128((__m128i *)(void *)to, _mm_srai_epi32(sum, 14));
}
#endif
#if defined(SKYBOOK_PAIRED)
#define SKYBOOK_MOST_PAIRS ((SKYBOOK_MAX_BANDS + 1u) / 2)
#define SKYBOOK_FEW_PAIRS 2u
#define SKYBOOK_SOME_PAIRS 4u

static inline uint32_t skybook_rotate_so_many(const int32_t *pixels, uint32_t count, uint32_t bands, uint32_t apart,
                                              uint32_t pairs, skybook_weights weights, int32_t *to, uint32_t to_apart)
{
    uint32_t first = 0;
    for (; first + SKYBOOK_PAIRED <= count; first += SKYBOOK_PAIRED) {
        skybook_paired own[SKYBOOK_MOST_PAIRS];
        for (uint32_t pair = 0; pair < pairs; pair++) {
            const uint32_t one = 2 * pair < bands ? 2 * pair : 0, other = 2 * pair + 1 < bands ? 2 * pair + 1 : 0;
            own[pair] = skybook_pair(&pixels[one * apart + first], &pixels[other * apart + first]);
        }
        for (uint32_t component = 0; component < bands; component++) {
            skybook_paired sum = skybook_all(8192);
            for (uint32_t pair = 0; pair < pairs; pair++) {
                sum = skybook_add_pair(sum, own[pair], skybook_all(weights[component][pair]));
            }
            skybook_put_rounded(&to[component * to_apart + first], sum);
        }
    }
    return first;
}

/* Put the components of pixels, `to_apart`, maybe in the place of bands, as many as make up whole parts; how many. */
static inline uint32_t skybook_rotate_pairs(const int32_t *pixels, uint32_t count, uint32_t bands, uint32_t apart,
                                            skybook_weights weights, int32_t *to, uint32_t to_apart)
{
#if SKYBOOK_MAX_BANDS > 4
    if (bands <= 2 * SKYBOOK_FEW_PAIRS) {
        return skybook_rotate_so_many(pixels, count, bands, apart, SKYBOOK_FEW_PAIRS, weights, to, to_apart);
    }
#endif
#if SKYBOOK_MAX_BANDS > 8
    if (bands <= 2 * SKYBOOK_SOME_PAIRS) {
        return skybook_rotate_so_many(pixels, count, bands, apart, SKYBOOK_SOME_PAIRS, weights, to, to_apart);
    }
#endif
    return skybook_rotate_so_many(pixels, count, bands, apart, SKYBOOK_MOST_PAIRS, weights, to, to_apart);
}
#endif

/* Put the weights of bands of a component as a function above takes them: by pairs, 0 of bands that there are not; with
 * plain loops one by one. */
static inline void skybook_put_weights(const int32_t *of_bands, uint32_t bands, int32_t *weights)
{
#if defined(SKYBOOK_PAIRED)
    memset(weights, 0, SKYBOOK_MAX_BANDS * sizeof(*weights));
    for (uint32_t band = 0; band < bands; band++) {
        const int32_t own = of_bands[band];
        weights[band / 2] |= band % 2 == 0 ? own & 0xFFFF : own * 65536;
    }
#else
    for (uint32_t band = 0; band < bands; band++) {
        weights[band] = of_bands[band];
    }
#endif
}

/* Add the products of SKYBOOK_PRODUCTS numbers and as many others to 16 sums, four to each. */
#define SKYBOOK_PRODUCTS 64u
#if defined(SKYBOOK_X86) && defined(__AVX512BW__)
static inline void skybook_add_products(const int16_t *one, const int16_t *other, int32_t *sums)
{
    __m512i sum = _mm512_loadu_si512(sums);
    for (uint32_t i = 0; i < SKYBOOK_PRODUCTS; i += 32) {
        sum = skybook_add_pair(sum, _mm512_loadu_si512(&one[i]), _mm512_loadu_si512(&other[i]));
    }
    _mm512_storeu_si512(sums, sum);
}
#elif defined(SKYBOOK_X86)
static inline void skybook_add_products(const int16_t *one, const int16_t *other, int32_t *sums)
{
    __m256i *all = (__m256i *)(void *)sums;
    const __m256i *first = (const __m256i *)(const void *)one, *second = (const __m256i *)(const void *)other;
    for (uint32_t half = 0; half < 2; half++) {
        __m256i sum = _mm256_loadu_si256(&all[half]);
        sum = skybook_add_pair(sum, _mm256_loadu_si256(&first[half]), _mm256_loadu_si256(&second[half]));
        sum = skybook_add_pair(sum, _mm256_loadu_si256(&first[half + 2]), _mm256_loadu_si256(&second[half + 2]));
        _mm256_storeu_si256(&all[half], sum);
    }
}
#else
static inline void skybook_add_products(const int16_t *one, const int16_t *other, int32_t *sums)
{
    for (uint32_t i = 0; i < SKYBOOK_PRODUCTS; i += 16) {
        for (uint32_t k = 0; k < 16; k++) {
            sums[k] += one[i + k] * other[i + k];
        }
    }
}
#endif

/* How many bits numbers above 0 have. What is next to the highest bit is left away, so that no number is rounded
 * to one of more bits. */
#if defined(SKYBOOK_FLOATS) && SKYBOOK_GROUPS == 1
static inline void skybook_find_octaves(const uint32_t *restrict numbers, uint32_t count, int32_t *restrict bits)
{
    for (uint32_t i = 0; i < count; i++) {
        const float size = (float)(int32_t)(numbers[i] & ~(numbers[i] >> 1));
        memcpy(&bits[i], &size, sizeof(size));
        bits[i] = (bits[i] >> 23) - 126;
    }
}
#else
static inline void skybook_find_octaves(const uint32_t *restrict numbers, uint32_t count, int32_t *restrict bits)
{
    for (uint32_t i = 0; i < count; i++) {
        bits[i] = 1 + (int32_t)skybook_highest_bit(numbers[i]);
    }
}
#endif

/* Take every second one of some numbers, from the first one on: two at a time are read, or compilers would fetch each
 * alone. */
#if !defined(SKYBOOK_PLAIN_C) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline void skybook_take_evens(const int32_t numbers[2 * SKYBOOK_PART], int32_t evens[SKYBOOK_PART])
{
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        uint64_t two;
        memcpy(&two, &numbers[2 * i], sizeof(two));
        evens[i] = (int32_t)(uint32_t)(two & 0xFFFFFFFFu);
    }
}
#else
static inline void skybook_take_evens(const int32_t numbers[2 * SKYBOOK_PART], int32_t evens[SKYBOOK_PART])
{
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        evens[i] = numbers[2 * i];
    }
}
#endif

/* Quarter octaves of the sizes of latents, as of binary32 numbers, from 1 on; SKYBOOK_BINS of 0. */
#if SKYBOOK_GROUPS > 1
#define SKYBOOK_BINS 128 /* latents of components take all bits */
#else
#define SKYBOOK_BINS SKYBOOK_GUESS_BINS
#endif
#if defined(SKYBOOK_FLOATS)
static inline void skybook_find_bins(const int32_t *restrict latents, uint8_t *restrict bins)
{
    float sizes[SKYBOOK_PART];
    int32_t bits[SKYBOOK_PART];
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const int32_t sign = latents[i] >> 31;
        sizes[i] = (float)((latents[i] ^ sign) - sign);
    }
    memcpy(bits, sizes, sizeof(bits));
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        bins[i] = (uint8_t)(bits[i] > 0 ? (bits[i] >> SKYBOOK_QUARTERS) - SKYBOOK_OF_1 : SKYBOOK_BINS);
    }
}
#else
static inline uint32_t skybook_bin_of(uint32_t size)
{
    uint32_t lost = 0; /* bits below the 24 that such a number has */
#if SKYBOOK_GROUPS > 1
    if (size >> 24 > 0) {
        lost = skybook_highest_bit(size) - 23;
        size = (size + (1u << lost >> 1) - 1 + (size >> lost & 1u)) >> lost;
    }
#endif
    const uint32_t bit = skybook_highest_bit(size);
    return 4 * (bit + lost) + (((size << 2) >> bit) & 3u);
}

static inline void skybook_find_bins(const int32_t *restrict latents, uint8_t *restrict bins)
{
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const uint32_t size = (uint32_t)(latents[i] < 0 ? -latents[i] : latents[i]);
        bins[i] = (uint8_t)(size > 0 ? skybook_bin_of(size) : SKYBOOK_BINS);
    }
}
#endif

/* Levels of sums, or of half of them, at least `floor`; 0 of those that are less than `least`. */
#if defined(SKYBOOK_FLOATS)
static inline void skybook_find_levels(const skybook_sum *restrict sums, bool half, uint32_t least,
                                       uint32_t floor, uint8_t *restrict levels)
{
    float sizes[SKYBOOK_PART];
    int32_t bits[SKYBOOK_PART];
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        sizes[i] = (float)(int32_t)(sums[i] >> half);
    }
    memcpy(bits, sizes, sizeof(bits));
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const int32_t level = (bits[i] >> SKYBOOK_QUARTERS) - SKYBOOK_OF_1 - 8;
        const int32_t raised = level > (int32_t)floor ? level : (int32_t)floor;
        const int32_t most = raised < SKYBOOK_LEVELS ? raised : SKYBOOK_LEVELS - 1;
        levels[i] = (uint8_t)(sums[i] >= least ? most : 0);
    }
}
#else
static inline void skybook_find_levels(const skybook_sum *restrict sums, bool half, uint32_t least,
                                       uint32_t floor, uint8_t *restrict levels)
{
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const uint32_t level = skybook_level((uint32_t)sums[i] >> half);
        levels[i] = (uint8_t)(sums[i] < least ? 0 : level > floor ? level : floor);
    }
}
#endif

/* Which of some levels, all below 128, are above 0: a bit for each. */
#if defined(SKYBOOK_X86) && defined(__AVX512BW__)
static inline uint64_t skybook_above_0(const uint8_t levels[SKYBOOK_PART])
{
    const __m512i all = _mm512_loadu_si512(levels);
    return _mm512_test_epi8_mask(all, all);
}
#elif !defined(SKYBOOK_PLAIN_C) && defined(__SSE2__)
static inline uint64_t skybook_above_0(const uint8_t levels[SKYBOOK_PART])
{
    uint64_t bits = 0;
    for (uint32_t first = 0; first < SKYBOOK_PART; first += 16) {
        const __m128i own = _mm_loadu_si128((const __m128i *)(const void *)&levels[first]);
        const int found = _mm_movemask_epi8(_mm_cmpgt_epi8(own, _mm_setzero_si128()));
        bits |= (uint64_t)(uint32_t)found << first;
    }
    return bits;
}
#elif !defined(SKYBOOK_PLAIN_C) && defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
/* Eight levels at once: their highest bits come together in the highest byte of a product. */
static inline uint64_t skybook_above_0(const uint8_t levels[SKYBOOK_PART])
{
    uint64_t bits = 0;
    for (uint32_t first = 0; first < SKYBOOK_PART; first += 8) {
        uint64_t own;
        memcpy(&own, &levels[first], sizeof(own));
        own = (own + UINT64_C(0x7F7F7F7F7F7F7F7F)) >> 7 & UINT64_C(0x0101010101010101);
        bits |= own * UINT64_C(0x0102040810204080) >> 56 << first;
    }
    return bits;
}
#else
static inline uint64_t skybook_above_0(const uint8_t levels[SKYBOOK_PART])
{
    uint64_t bits = 0;
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        bits |= (uint64_t)(levels[i] > 0) << i;
    }
    return bits;
}
#endif

/* Add planes, of which `known` is the part, each `positions` after the one before, to a part of the sums. `terms`
 * are their numbers and, above 16 bits, weights. Vectors as gcc and clang have them keep the sums in registers. */
#if !defined(SKYBOOK_GENERIC)
#define SKYBOOK_LANES 1
#else
#if defined(__AVX512BW__)
#define SKYBOOK_LANES 32
#elif defined(__AVX2__)
#define SKYBOOK_LANES 16
#else
#define SKYBOOK_LANES 8
#endif
#endif

#if defined(SKYBOOK_GENERIC)
typedef uint8_t skybook_bytes __attribute__((vector_size(SKYBOOK_LANES)));
typedef skybook_sum skybook_wide __attribute__((vector_size(SKYBOOK_LANES * sizeof(skybook_sum))));

static inline skybook_wide skybook_widened(const uint8_t *bytes)
{
#if SKYBOOK_LANES == 32 && SKYBOOK_SUM_BITS == 16
    return (skybook_wide)_mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)bytes));
#else
    skybook_bytes own;
    memcpy(&own, bytes, sizeof(own));
    return __builtin_convertvector(own, skybook_wide);
#endif
}

/* With x86 two planes are added at once: their bytes by turns, times both weights. What it comes to for each 16
 * positions is in two vectors, halves of which are put together at the end. */
#if defined(SKYBOOK_X86) && SKYBOOK_SUM_BITS == 16 && SKYBOOK_PAIRS_FIT
static inline void skybook_add_two(const uint8_t *one, const uint8_t *other, uint32_t weights, __m256i all[2])
{
    const __m256i first = _mm256_loadu_si256((const __m256i *)(const void *)one);
    const __m256i second = _mm256_loadu_si256((const __m256i *)(const void *)other);
    const __m256i both = _mm256_set1_epi16((int16_t)weights);
    all[0] = _mm256_add_epi16(all[0], _mm256_maddubs_epi16(_mm256_unpacklo_epi8(first, second), both));
    all[1] = _mm256_add_epi16(all[1], _mm256_maddubs_epi16(_mm256_unpackhi_epi8(first, second), both));
}

static inline void skybook_add_planes(const uint8_t *known, uint32_t positions, const uint32_t *terms,
                                      uint32_t count, skybook_sum *sums)
{
    __m256i all[2][2];
    memset(all, 0, sizeof(all));
    for (uint32_t term = 0; term < count; term += 2) {
        const uint32_t own = terms[term], next = term + 1 < count ? terms[term + 1] : own & 0xFFFFu;
        const uint8_t *one = known + (size_t)(own & 0xFFFFu) * positions;
        const uint8_t *other = known + (size_t)(next & 0xFFFFu) * positions;
        const uint32_t weights = own >> 16 | next >> 16 << 8;
        skybook_add_two(one, other, weights, all[0]);
        skybook_add_two(one + 32, other + 32, weights, all[1]);
    }
    for (uint32_t i = 0; i < 4; i++) {
        __m256i *to = (__m256i *)(void *)&sums[16 * i], *from = all[i / 2];
        const __m256i added = i % 2 == 0 ? _mm256_permute2x128_si256(from[0], from[1], 0x20)
                                         : _mm256_permute2x128_si256(from[0], from[1], 0x31);
        _mm256_storeu_si256(to, _mm256_add_epi16(_mm256_loadu_si256(to), added));
    }
}
#else
static inline void skybook_add_planes(const uint8_t *known, uint32_t positions, const uint32_t *terms,
                                      uint32_t count, skybook_sum *sums)
{
    skybook_wide all[SKYBOOK_PART / SKYBOOK_LANES];
    memcpy(all, sums, sizeof(all));
    for (uint32_t term = 0; term < count; term++) {
        const uint8_t *plane = known + (size_t)(terms[term] & 0xFFFFu) * positions;
        const skybook_sum weight = (skybook_sum)(terms[term] >> 16);
        for (uint32_t i = 0; i < SKYBOOK_PART / SKYBOOK_LANES; i++) {
            all[i] += skybook_widened(plane + i * SKYBOOK_LANES) * weight;
        }
    }
    memcpy(sums, all, sizeof(all));
}
#endif

/* The same of planes of sums. */
static inline void skybook_add_sums(const skybook_sum *planes, uint32_t positions, const uint32_t *terms,
                                    uint32_t count, skybook_sum *sums)
{
    skybook_wide all[SKYBOOK_PART / SKYBOOK_LANES], own;
    memcpy(all, sums, sizeof(all));
    for (uint32_t term = 0; term < count; term++) {
        const skybook_sum *plane = planes + (size_t)(terms[term] & 0xFFFFu) * positions;
        const skybook_sum weight = (skybook_sum)(terms[term] >> 16);
        for (uint32_t i = 0; i < SKYBOOK_PART / SKYBOOK_LANES; i++) {
            memcpy(&own, plane + i * SKYBOOK_LANES, sizeof(own));
            all[i] += own * weight;
        }
    }
    memcpy(sums, all, sizeof(all));
}
#else
static inline void skybook_add_planes(const uint8_t *restrict known, uint32_t positions,
                                      const uint32_t *restrict terms, uint32_t count,
                                      skybook_sum *restrict sums)
{
    for (uint32_t term = 0; term < count; term++) {
        const uint8_t *plane = known + (size_t)(terms[term] & 0xFFFFu) * positions;
        const skybook_sum weight = (skybook_sum)(terms[term] >> 16);
        for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
            sums[i] = (skybook_sum)(sums[i] + weight * plane[i]);
        }
    }
}

static inline void skybook_add_sums(const skybook_sum *restrict planes, uint32_t positions,
                                    const uint32_t *restrict terms, uint32_t count, skybook_sum *restrict sums)
{
    for (uint32_t term = 0; term < count; term++) {
        const skybook_sum *plane = planes + (size_t)(terms[term] & 0xFFFFu) * positions;
        const skybook_sum weight = (skybook_sum)(terms[term] >> 16);
        for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
            sums[i] = (skybook_sum)(sums[i] + weight * plane[i]);
        }
    }
}
#endif

/* Look levels up in a table. */
#if defined(SKYBOOK_X86) && defined(__AVX512VBMI__)
static inline void skybook_look_up(const uint8_t table[SKYBOOK_LEVELS], const uint8_t levels[SKYBOOK_PART],
                                   uint8_t found[SKYBOOK_PART])
{
    _mm512_storeu_si512(found, _mm512_permutexvar_epi8(_mm512_loadu_si512(levels),
                                                       _mm512_loadu_si512(table)));
}
#elif defined(SKYBOOK_X86)
static inline void skybook_look_up(const uint8_t table[SKYBOOK_LEVELS], const uint8_t levels[SKYBOOK_PART],
                                   uint8_t found[SKYBOOK_PART])
{
    for (uint32_t half = 0; half < SKYBOOK_PART; half += 32) {
        const __m256i places = _mm256_loadu_si256((const __m256i *)(const void *)&levels[half]);
        __m256i all = _mm256_setzero_si256();
        for (uint32_t first = 0; first < SKYBOOK_LEVELS; first += 16) {
            /* Those of other sixteenths get their highest bit set, which gives 0. */
            const __m128i part = _mm_loadu_si128((const __m128i *)(const void *)&table[first]);
            const __m256i own = _mm256_xor_si256(places, _mm256_set1_epi8((char)first));
            const __m256i in = _mm256_adds_epu8(own, _mm256_set1_epi8(0x70));
            all = _mm256_or_si256(all, _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(part), in));
        }
        _mm256_storeu_si256((__m256i *)(void *)&found[half], all);
    }
}
#elif defined(SKYBOOK_NEON)
static inline void skybook_look_up(const uint8_t table[SKYBOOK_LEVELS], const uint8_t levels[SKYBOOK_PART],
                                   uint8_t found[SKYBOOK_PART])
{
    const uint8x16x4_t all = vld1q_u8_x4(table);
    for (uint32_t first = 0; first < SKYBOOK_PART; first += 16) {
        vst1q_u8(&found[first], vqtbl4q_u8(all, vld1q_u8(&levels[first])));
    }
}
#else
static inline void skybook_look_up(const uint8_t table[SKYBOOK_LEVELS], const uint8_t levels[SKYBOOK_PART],
                                   uint8_t found[SKYBOOK_PART])
{
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        found[i] = table[levels[i]];
    }
}
#endif

/* Extend the best path to each of the 32 states by a step, whose best index of each parity costs
 * `costs` in even states, then in odd ones; tell by a bit for each state whether the path to it ends in
 * an odd index. Where both cost the same it is an even one.
 *
 * States below 16 come after even ones, 2 i after i, the others after odd ones, where bit 1 is turned
 * (AFTER_ODD_STATE); by an odd index they come from the state that an even one leads 4 places away.
 *
 * Sums and bits come in an order of places: the state of a place, the place of a state. Places follow each other as
 * states do, and what is linear in the bits of states is in those of places. */
#if defined(SKYBOOK_X86) && defined(__AVX512VL__) && defined(__AVX512BW__)
/* Bits of a place, from the highest on: bit 2 of the state, so that sums by an odd index are those of another vector,
 * lane by lane; what bits 1 and 4 differ by, so that a vector comes after two; then what bits 0 and 3 do, 4 and 3. */
#define SKYBOOK_STATE_AT(place)                                                             \
    ((((place) >> 2 ^ (place)) & 1) | (((place) >> 3 ^ (place) >> 1) & 1) << 1 | ((place) >> 4 & 1) << 2 | \
     ((place) & 1) << 3 | ((place) >> 1 & 1) << 4)
#define SKYBOOK_PLACE_OF(state)                                                                   \
    (((state) >> 3 & 1) | ((state) >> 4 & 1) << 1 | (((state) ^ (state) >> 3) & 1) << 2 | \
     (((state) >> 1 ^ (state) >> 4) & 1) << 3 | ((state) >> 2 & 1) << 4)
typedef __m256i skybook_states[4];

static inline void skybook_open(const int32_t sums[SKYBOOK_STATES], skybook_states best)
{
    memcpy(best, sums, sizeof(skybook_states));
}

static inline void skybook_close(skybook_states best, int32_t sums[SKYBOOK_STATES])
{
    memcpy(sums, best, sizeof(skybook_states));
}

/* Costs of an index in the lanes that come after even states, and in those that come after odd ones. */
static inline __m256i skybook_in_places(int32_t of_even, int32_t of_odd)
{
    return _mm256_mask_set1_epi32(_mm256_set1_epi32(of_even), 0xCC, of_odd);
}

static inline uint32_t skybook_extend(skybook_states best, const int32_t costs[4])
{
    const __m256i even = skybook_in_places(costs[0], costs[2]), odd = skybook_in_places(costs[1], costs[3]);
    const __m256i low = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
    const __m256i high = _mm256_xor_si256(low, _mm256_set1_epi32(5));
    const __m256i before[4] = {
        _mm256_permutex2var_epi32(best[0], low, best[1]), _mm256_permutex2var_epi32(best[2], low, best[3]),
        _mm256_permutex2var_epi32(best[0], high, best[1]), _mm256_permutex2var_epi32(best[2], high, best[3])};
    __mmask8 bits[4];
    for (uint32_t i = 0; i < 4; i++) {
        const __m256i by_even = _mm256_add_epi32(before[i], even), by_odd = _mm256_add_epi32(before[i ^ 2u], odd);
        bits[i] = _mm256_cmpgt_epi32_mask(by_even, by_odd);
        best[i] = _mm256_min_epi32(by_even, by_odd);
    }
    return _mm512_kunpackw(_mm512_kunpackb(bits[3], bits[2]), _mm512_kunpackb(bits[1], bits[0]));
}
#elif defined(SKYBOOK_X86)
/* Four states below 16 and, in the other half, those that are 16 more. */
typedef __m256i skybook_states[4];

static inline void skybook_open(const int32_t sums[SKYBOOK_STATES], skybook_states best)
{
    for (uint32_t i = 0; i < 4; i++) {
        memcpy(&best[i], &sums[4 * i], sizeof(best[i]) / 2);
        memcpy((int32_t *)&best[i] + 4, &sums[16 + 4 * i], sizeof(best[i]) / 2);
    }
}

static inline void skybook_close(skybook_states best, int32_t sums[SKYBOOK_STATES])
{
    for (uint32_t i = 0; i < 4; i++) {
        memcpy(&sums[4 * i], &best[i], sizeof(best[i]) / 2);
        memcpy(&sums[16 + 4 * i], (const int32_t *)&best[i] + 4, sizeof(best[i]) / 2);
    }
}

/* Costs of an index in the half that comes after even states, and in that which comes after odd ones. */
static inline __m256i skybook_in_places(int32_t of_even, int32_t of_odd)
{
    return _mm256_blend_epi32(_mm256_set1_epi32(of_even), _mm256_set1_epi32(of_odd), 0xF0);
}

/* Every second number of two vectors, from their first or second ones on. */
static inline __m256i skybook_evens(__m256i one, __m256i other)
{
    return _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(one), _mm256_castsi256_ps(other), 0x88));
}

static inline __m256i skybook_odds(__m256i one, __m256i other)
{
    return _mm256_castps_si256(_mm256_shuffle_ps(_mm256_castsi256_ps(one), _mm256_castsi256_ps(other), 0xDD));
}

static inline uint32_t skybook_extend(skybook_states best, const int32_t costs[4])
{
    const __m256i even = skybook_in_places(costs[0], costs[2]), odd = skybook_in_places(costs[1], costs[3]);
    __m256i before[4], is_odd[4];
    for (uint32_t i = 0; i < 2; i++) {
        const __m256i evens = skybook_evens(best[2 * i], best[2 * i + 1]);
        const __m256i odds = skybook_odds(best[2 * i + 1], best[2 * i]); /* bit 1 turned */
        before[i] = _mm256_permute2x128_si256(evens, odds, 0x20);
        before[2 + i] = _mm256_permute2x128_si256(evens, odds, 0x31);
    }
    for (uint32_t i = 0; i < 4; i++) {
        const __m256i by_even = _mm256_add_epi32(before[i], even), by_odd = _mm256_add_epi32(before[i ^ 1u], odd);
        is_odd[i] = _mm256_cmpgt_epi32(by_even, by_odd);
        best[i] = _mm256_min_epi32(by_even, by_odd);
    }
    return (uint32_t)_mm256_movemask_epi8(
        _mm256_packs_epi16(_mm256_packs_epi32(is_odd[0], is_odd[1]), _mm256_packs_epi32(is_odd[2], is_odd[3])));
}
#elif defined(SKYBOOK_GENERIC)
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
#if !defined(SKYBOOK_STATE_AT)
#define SKYBOOK_STATE_AT(place) (place)
#define SKYBOOK_PLACE_OF(state) (state)
#endif

#endif
