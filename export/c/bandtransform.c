/* Band transform of a tile: a KLT as a few angles, in integers (SPEC.md, section 9). */
#include <string.h>

#include "parts.h"

#define SWEEPS 4
#define SWEEPS_OF_MANY 2
#define COVARIANCE_BITS 20

static int64_t round14(int64_t product)
{
    return (product + 8192) >> 14;
}

/* Scale a covariance to at most 20 bits on its diagonal. */
static void scale(skybook_square covariance, uint32_t bands)
{
    int64_t largest = 1;
    for (uint32_t band = 0; band < bands; band++) {
        if (covariance[band][band] > largest) {
            largest = covariance[band][band];
        }
    }
    unsigned shift = 0;
    while (largest >> shift >> COVARIANCE_BITS != 0) {
        shift++;
    }
    for (uint32_t one = 0; one < bands; one++) {
        for (uint32_t other = 0; other < bands; other++) {
            covariance[one][other] = covariance[one][other] >> shift;
        }
    }
}

static uint32_t first_greatest(const int64_t scores[256])
{
    int64_t most = scores[0];
    for (uint32_t t = 1; t < 256; t++) {
        most = scores[t] > most ? scores[t] : most;
    }
    uint32_t best = 0;
    while (scores[best] != most) {
        best++;
    }
    return best;
}

void skybook_turn(skybook_square basis, uint32_t bands, uint32_t one, uint32_t other,
                  const int64_t form[3])
{
    /* Forms take 26 bits: as they are known to fit 32, products are made of half as many parts. */
    const int32_t pp = (int32_t)form[0], pq = (int32_t)form[1], qq = (int32_t)form[2];
    int64_t scores[256];
    for (uint32_t t = 0; t < 256; t++) {
        const int32_t c = skybook_cosines[t], s = skybook_sines[t];
        const int32_t cc = c * c, cs = 2 * c * s, ss = s * s;
        scores[t] = (int64_t)pp * cc + (int64_t)pq * cs + (int64_t)qq * ss;
    }
    const uint32_t t = first_greatest(scores);
    const int64_t c = skybook_cosines[t], s = skybook_sines[t];
    for (uint32_t i = 0; i < bands; i++) {
        const int64_t p = basis[i][one], q = basis[i][other];
        basis[i][one] = round14(c * p + s * q);
        basis[i][other] = round14(c * q - s * p);
    }
}

/* Turn columns `one` and `other` of the basis to where the variance of the first is greatest. */
static void turn_to_greatest(skybook_square covariance, skybook_square basis, uint32_t bands,
                             uint32_t one, uint32_t other)
{
    int64_t pp = 0, pq = 0, qq = 0;
    for (uint32_t i = 0; i < bands; i++) {
        int64_t with_p = 0, with_q = 0;
        for (uint32_t j = 0; j < bands; j++) {
            with_p += covariance[i][j] * basis[j][one];
            with_q += covariance[i][j] * basis[j][other];
        }
        pp += basis[i][one] * with_p;
        pq += basis[i][one] * with_q;
        qq += basis[i][other] * with_q;
    }
    const int64_t form[3] = {pp >> 28, pq >> 28, qq >> 28};
    skybook_turn(basis, bands, one, other, form);
}

static void identity(skybook_square matrix, uint32_t bands)
{
    memset(matrix, 0, sizeof(skybook_square));
    for (uint32_t i = 0; i < bands; i++) {
        matrix[i][i] = 16384;
    }
}

void skybook_find_basis(skybook_square covariance, uint32_t bands, skybook_square basis)
{
    scale(covariance, bands);
    identity(basis, bands);
    const uint32_t sweeps = bands < SKYBOOK_MANY_BANDS ? SWEEPS : SWEEPS_OF_MANY;
    for (uint32_t sweep = 0; sweep < sweeps; sweep++) {
        for (uint32_t one = 0; one < bands; one++) {
            for (uint32_t other = one + 1; other < bands; other++) {
                turn_to_greatest(covariance, basis, bands, one, other);
            }
        }
    }
}

void skybook_name_angles(skybook_square basis, uint32_t bands, uint8_t angles[SKYBOOK_ANGLES])
{
    uint32_t number = 0;
    for (uint32_t one = 0; one < bands; one++) {
        for (uint32_t other = one + 1; other < bands; other++) {
            int64_t scores[256];
            const int32_t p = (int32_t)basis[one][one], q = (int32_t)basis[other][one];
            for (uint32_t t = 0; t < 256; t++) {
                const int32_t sum = p * skybook_cosines[t] + q * skybook_sines[t];
                scores[t] = sum < 0 ? -sum : sum;
            }
            const uint32_t t = first_greatest(scores);
            const int64_t c = skybook_cosines[t], s = skybook_sines[t];
            for (uint32_t i = 0; i < bands; i++) {
                const int64_t upper = basis[one][i], lower = basis[other][i];
                basis[one][i] = round14(c * upper + s * lower);
                basis[other][i] = round14(c * lower - s * upper);
            }
            angles[number++] = (uint8_t)t;
        }
    }
}

/* The band transform that the angles name: its rows are bands, its columns components. */
void skybook_make_matrix(const uint8_t angles[SKYBOOK_ANGLES], uint32_t bands, skybook_square rows)
{
    uint32_t number = bands * (bands - 1) / 2;
    identity(rows, bands);
    for (uint32_t one = bands - 1; one-- > 0;) {
        for (uint32_t other = bands - 1; other > one; other--) {
            number--;
            const int64_t c = skybook_cosines[angles[number]], s = skybook_sines[angles[number]];
            for (uint32_t i = 0; i < bands; i++) {
                const int64_t upper = rows[one][i], lower = rows[other][i];
                rows[one][i] = round14(c * upper - s * lower);
                rows[other][i] = round14(c * lower + s * upper);
            }
        }
    }
}
