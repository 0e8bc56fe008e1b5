/* Band transform of a tile: a KLT as a few angles, in integers (SPEC.md, section 9). */
#include <string.h>

#include "parts.h"

#define SWEEPS 4
#define SWEEPS_OF_MANY 2
#define COVARIANCE_BITS 20
#define ANGLES 256u
#define UNTURNED 128
#define RATIO_BITS 12
#define SHARE 64      /* of a step from an angle to the next */
#define WINDOW 16u    /* angles at which a form is looked at, about that of the greatest */
#define NEAREST 2     /* angles to both sides of that of a pair at which it is looked at */

static int32_t round14(int32_t product)
{
    return (product + 8192) >> 14;
}

/* Scale a covariance, as whose diagonal nothing is larger, to 20 bits. */
static void scale(skybook_square covariance, uint32_t bands, skybook_basis scaled)
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
            scaled[one][other] = (int32_t)(covariance[one][other] >> shift);
        }
    }
}

/* The angle of a direction, from -256 to 256 steps, of which it is half of one off at most, in shares of them.
 *
 * Source: S. Rajan et al., Efficient Approximations for the Arctangent Function, IEEE Signal Processing Magazine
 * 23(3), 2006: r (pi / 4 + 0.273 (1 - r)) for a ratio r up to 1, off by 0.0038, which is 0.31 steps. */
static int32_t direction(int64_t x, int64_t y)
{
    const uint64_t across = (uint64_t)(x < 0 ? -x : x), up = (uint64_t)(y < 0 ? -y : y);
    const bool steep = up > across;
    uint64_t most = steep ? up : across, least = steep ? across : up;
    while (most >> 16 != 0) {
        most >>= 8;
        least >>= 8;
    }
    const int32_t ratio = (int32_t)(((uint32_t)least << RATIO_BITS) / (uint32_t)(most > 0 ? most : 1));
    const int32_t slope = 64 * SHARE + (1424 * ((1 << RATIO_BITS) - ratio) >> RATIO_BITS); /* 0.273: 22.25 steps */
    const int32_t gentle = ratio * slope >> RATIO_BITS;
    const int32_t upwards = steep ? 128 * SHARE - gentle : gentle;
    const int32_t turned = x < 0 ? 256 * SHARE - upwards : upwards;
    return y < 0 ? -turned : turned;
}

/* A quadratic form of a sine and a cosine, 26 bits each: as they are known to fit 32, products are made of half
 * as many parts. */
struct form {
    int32_t pp, pq, qq;
};

/* What a form comes to at `count` angles from `first` on. */
static void score(const struct form *form, uint32_t first, uint32_t count, int64_t *scores)
{
    for (uint32_t i = 0; i < count; i++) {
        const int32_t c = skybook_cosines[first + i], s = skybook_sines[first + i];
        const int32_t cc = c * c, cs = 2 * c * s, ss = s * s;
        scores[i] = (int64_t)form->pp * cc + (int64_t)form->pq * cs + (int64_t)form->qq * ss;
    }
}

/* Whether a form rises and falls so much that what rounding of sines does to it shows only near its greatest.
 *
 * It is 2^28 (m + r cos 2d), d being how far an angle is from that of the greatest, and 4 r^2 what is compared;
 * rounding adds less than (2^14 + 1) |pp| + |2 pq| + |qq|, here less than 2^28 r / 180. Then the greatest of all
 * angles is no more than 7 from there: cos 2d has fallen by a 70th at 7 angles of 256. */
static bool is_sharp(const struct form *form)
{
    const int64_t apart = (int64_t)form->pp - form->qq, pq = form->pq;
    const int64_t all = (form->pp < 0 ? -(int64_t)form->pp : form->pp) + 2 * (pq < 0 ? -pq : pq) +
                        (form->qq < 0 ? -(int64_t)form->qq : form->qq);
    return apart * apart + 4 * pq * pq > all * all >> 11;
}

/* The first of the greatest of no more than 256 scores of up to 55 bits. */
static uint32_t first_greatest(const int64_t *scores, uint32_t count)
{
    int64_t most = INT64_MIN;
    for (uint32_t i = 0; i < count; i++) {
        const int64_t score = scores[i] * (int64_t)ANGLES + (int64_t)(ANGLES - 1 - i);
        most = score > most ? score : most;
    }
    return ANGLES - 1 - (uint32_t)(most & (int64_t)(ANGLES - 1));
}

/* The first angle at which a form is greatest: half the direction of (pp - qq, 2 pq), or near it. */
static uint32_t best_angle(const struct form *form)
{
    int64_t scores[ANGLES];
    if (!is_sharp(form)) {
        score(form, 0, ANGLES, scores);
        return first_greatest(scores, ANGLES);
    }
    const int32_t twice = direction((int64_t)form->pp - form->qq, 2 * (int64_t)form->pq);
    const int32_t first = UNTURNED + ((twice + SHARE) >> 7) - (int32_t)WINDOW / 2;
    if (first >= 0 && first <= (int32_t)(ANGLES - WINDOW)) {
        score(form, (uint32_t)first, WINDOW, scores);
        return (uint32_t)first + first_greatest(scores, WINDOW);
    }
    score(form, 0, WINDOW, scores); /* half a turn from the last angle is the first one */
    score(form, ANGLES - WINDOW, WINDOW, scores + WINDOW);
    const uint32_t best = first_greatest(scores, 2 * WINDOW);
    return best < WINDOW ? best : best + ANGLES - 2 * WINDOW;
}

/* Turn two rows to each other. */
static void turn(int32_t *restrict one, int32_t *restrict other, uint32_t count, uint32_t angle)
{
    const int32_t c = skybook_cosines[angle], s = skybook_sines[angle];
    for (uint32_t i = 0; i < count; i++) {
        const int32_t p = one[i], q = other[i];
        one[i] = round14(c * p + s * q);
        other[i] = round14(c * q - s * p);
    }
}

void skybook_turn(skybook_basis basis, uint32_t bands, uint32_t one, uint32_t other, const int64_t form[3])
{
    const struct form narrow = {(int32_t)form[0], (int32_t)form[1], (int32_t)form[2]};
    turn(basis[one], basis[other], bands, best_angle(&narrow));
}

/* The covariances of two components with all bands. */
static void multiply(skybook_basis covariance, uint32_t bands, const int32_t *one, const int32_t *other,
                     int64_t *restrict of_one, int64_t *restrict of_other)
{
    for (uint32_t i = 0; i < bands; i++) {
        of_one[i] = (int64_t)covariance[0][i] * one[0];
        of_other[i] = (int64_t)covariance[0][i] * other[0];
    }
    for (uint32_t j = 1; j < bands; j++) {
        const int32_t *restrict own = covariance[j];
        const int32_t p = one[j], q = other[j];
        for (uint32_t i = 0; i < bands; i++) {
            of_one[i] += (int64_t)own[i] * p;
            of_other[i] += (int64_t)own[i] * q;
        }
    }
}

/* Turn components `one` and `other` of the basis to where the variance of the first is greatest. */
static void turn_to_greatest(skybook_basis covariance, skybook_basis basis, uint32_t bands, uint32_t one,
                             uint32_t other)
{
    int64_t with_p[SKYBOOK_MOST(SKYBOOK_MAX_BANDS, 2)], with_q[SKYBOOK_MOST(SKYBOOK_MAX_BANDS, 2)];
    int64_t pp = 0, pq = 0, qq = 0;
    multiply(covariance, bands, basis[one], basis[other], with_p, with_q);
    for (uint32_t i = 0; i < bands; i++) {
        pp += basis[one][i] * with_p[i];
        pq += basis[one][i] * with_q[i];
        qq += basis[other][i] * with_q[i];
    }
    const int64_t form[3] = {pp >> 28, pq >> 28, qq >> 28};
    skybook_turn(basis, bands, one, other, form);
}

void skybook_find_basis(skybook_square covariance, uint32_t bands, skybook_basis basis)
{
    skybook_basis scaled;
    scale(covariance, bands, scaled);
    memset(basis, 0, sizeof(skybook_basis));
    for (uint32_t i = 0; i < bands; i++) {
        basis[i][i] = 16384;
    }
    const uint32_t sweeps = bands < SKYBOOK_MANY_BANDS ? SWEEPS : SWEEPS_OF_MANY;
    for (uint32_t sweep = 0; sweep < sweeps; sweep++) {
        for (uint32_t one = 0; one < bands; one++) {
            for (uint32_t other = one + 1; other < bands; other++) {
                turn_to_greatest(scaled, basis, bands, one, other);
            }
        }
    }
}

/* The first angle at which |p cos + q sin| is greatest: the direction of (p, q), or near it, with or without half a
 * turn. Rounding of cosines and sines adds up to 0.71 |(p, q)|, and it falls by 1.23 d^2 |(p, q)| at d angles from
 * there, so the greatest of all is no more than 1.2 from there, and the direction is off by no more than 0.9. Of
 * (0, 0) all angles are as great. */
static uint32_t angle_of_pair(int32_t p, int32_t q)
{
    const int32_t near = UNTURNED + ((direction(p < 0 ? -p : p, p < 0 ? -q : q) + SHARE / 2) >> 6);
    const int32_t middle = (p | q) != 0 ? near : 0;
    int64_t most = 0;
    for (int32_t i = middle - NEAREST; i <= middle + NEAREST; i++) {
        const uint32_t t = (uint32_t)i % ANGLES;
        const int32_t sum = p * skybook_cosines[t] + q * skybook_sines[t];
        const int64_t score = (int64_t)(sum < 0 ? -sum : sum) * (int64_t)ANGLES + (int64_t)(ANGLES - 1 - t);
        most = score > most ? score : most;
    }
    return ANGLES - 1 - (uint32_t)(most & (int64_t)(ANGLES - 1));
}

void skybook_name_angles(skybook_basis basis, uint32_t bands, uint8_t angles[SKYBOOK_ANGLES])
{
    uint32_t number = 0;
    skybook_basis rows; /* of bands */
    for (uint32_t band = 0; band < bands; band++) {
        for (uint32_t i = 0; i < bands; i++) {
            rows[band][i] = basis[i][band];
        }
    }
    for (uint32_t one = 0; one < bands; one++) {
        for (uint32_t other = one + 1; other < bands; other++) {
            const uint32_t t = angle_of_pair(rows[one][one], rows[other][one]);
            turn(rows[one], rows[other], bands, t);
            angles[number++] = (uint8_t)t;
        }
    }
}

/* The band transform that the angles name: its rows are bands, its columns components. */
void skybook_make_matrix(const uint8_t angles[SKYBOOK_ANGLES], uint32_t bands, skybook_square rows)
{
    uint32_t number = bands * (bands - 1) / 2;
    memset(rows, 0, sizeof(skybook_square));
    for (uint32_t i = 0; i < bands; i++) {
        rows[i][i] = 16384;
    }
    for (uint32_t one = bands - 1; one-- > 0;) {
        for (uint32_t other = bands - 1; other > one; other--) {
            number--;
            const int64_t c = skybook_cosines[angles[number]], s = skybook_sines[angles[number]];
            for (uint32_t i = 0; i < bands; i++) {
                const int64_t upper = rows[one][i], lower = rows[other][i];
                rows[one][i] = (c * upper - s * lower + 8192) >> 14;
                rows[other][i] = (c * lower + s * upper + 8192) >> 14;
            }
        }
    }
}
