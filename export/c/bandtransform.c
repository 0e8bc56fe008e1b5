/* Band transform of a tile: a KLT as a few angles, in integers (SPEC.md, section 9). */
#include <string.h>

#include "parts.h"

#define SWEEPS 4
#define SWEEPS_OF_MANY 2
#define COVARIANCE_BITS 20
#define ANGLES 256u
#define EVERY 8u /* one angle in so many is looked at first */
#define NEAR 16u /* then those from so many below to one less above */

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

static uint32_t first_greatest(const int64_t *scores, uint32_t count)
{
    int64_t most = scores[0];
    for (uint32_t t = 1; t < count; t++) {
        most = scores[t] > most ? scores[t] : most;
    }
    uint32_t best = 0;
    while (scores[best] != most) {
        best++;
    }
    return best;
}

/* A quadratic form of a sine and a cosine, 26 bits each: as they are known to fit 32, products are made of half
 * as many parts. */
struct form {
    int32_t pp, pq, qq;
};

/* What a form comes to at `count` angles, `step` apart. */
static void score(const struct form *form, uint32_t first, uint32_t step, uint32_t count, int64_t *scores)
{
    for (uint32_t i = 0; i < count; i++) {
        const int32_t c = skybook_cosines[first + step * i], s = skybook_sines[first + step * i];
        const int32_t cc = c * c, cs = 2 * c * s, ss = s * s;
        scores[i] = (int64_t)form->pp * cc + (int64_t)form->pq * cs + (int64_t)form->qq * ss;
    }
}

/* Whether a form rises and falls so much that what rounding of sines does to it shows only near its greatest.
 *
 * It is 2^28 (m + r cos 2d), d being how far an angle is from that of the greatest, and 4 r^2 what is compared;
 * rounding adds less than (2^14 + 1) |pp| + |2 pq| + |qq|, here less than 2^28 r / 180. Then the greatest of
 * angles EVERY apart is no more than 8 from there, and the greatest of all no more than 7: cos 2d has fallen
 * by a 70th at 7 angles of 256, and from 4 to 8 angles. */
static bool is_sharp(const struct form *form)
{
    const int64_t apart = (int64_t)form->pp - form->qq, pq = form->pq;
    const int64_t all = (form->pp < 0 ? -(int64_t)form->pp : form->pp) + 2 * (pq < 0 ? -pq : pq) +
                        (form->qq < 0 ? -(int64_t)form->qq : form->qq);
    return apart * apart + 4 * pq * pq > all * all >> 11;
}

/* The first angle at which a form is greatest. */
static uint32_t best_angle(const struct form *form)
{
    int64_t scores[ANGLES];
    if (is_sharp(form)) {
        score(form, 0, EVERY, ANGLES / EVERY, scores);
        const uint32_t about = EVERY * first_greatest(scores, ANGLES / EVERY);
        if (about >= NEAR && about <= ANGLES - NEAR) {
            score(form, about - NEAR, 1, 2 * NEAR, scores);
            return about - NEAR + first_greatest(scores, 2 * NEAR);
        }
    }
    score(form, 0, 1, ANGLES, scores);
    return first_greatest(scores, ANGLES);
}

void skybook_turn(skybook_square basis, uint32_t bands, uint32_t one, uint32_t other,
                  const int64_t form[3])
{
    const struct form narrow = {(int32_t)form[0], (int32_t)form[1], (int32_t)form[2]};
    const uint32_t t = best_angle(&narrow);
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
            int64_t scores[ANGLES];
            const int32_t p = (int32_t)basis[one][one], q = (int32_t)basis[other][one];
            for (uint32_t t = 0; t < ANGLES; t++) {
                const int32_t sum = p * skybook_cosines[t] + q * skybook_sines[t];
                scores[t] = sum < 0 ? -sum : sum;
            }
            const uint32_t t = first_greatest(scores, ANGLES);
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
