/* Least squares in integers: by how much to change the static coefficients (SPEC.md, section 20).
 *
 * The normal equations are brought to numbers below 2^29 by powers of two, eliminated in fixed point
 * and solved backwards, each change rounded before the next. Products stay below 2^62. */
#include "bounded.h"

#if SKYBOOK_BOUNDED

#define BITS 29
#define LARGEST ((int64_t)1 << BITS)
#define FACTOR_BITS 26
#define MOST_FACTOR (((int64_t)1 << 33) - 1)
#define LEAST_PIVOT ((int64_t)1 << 10)
#define RIDGE 10
#define ANSWER_BITS 24
#define MOST_ANSWER ((int64_t)1 << 28)
#define MOST_CHANGE (SKYBOOK_MOST_COEFFICIENT / SKYBOOK_CHANGE)
#define FAR 40

static int64_t clip(int64_t value, int64_t most)
{
    return value > most ? most : value < -most ? -most : value;
}

/* A quotient rounded down, of a divisor above 0. */
static int64_t quotient(int64_t dividend, int64_t divisor)
{
    return dividend / divisor - (dividend % divisor < 0 ? 1 : 0);
}

int32_t skybook_quotient(int64_t dividend, int64_t divisor)
{
    return (int32_t)quotient(dividend, divisor);
}

/* A value times a power of two, rounded down. */
static int64_t shifted(int64_t value, int32_t left)
{
    return left >= 0 ? value * ((int64_t)1 << left) : value >> -left;
}

static uint64_t magnitude(int64_t value)
{
    return (uint64_t)(value < 0 ? -value : value);
}

/* Bring the equations to numbers below 2^29; the shift of each unknown goes to `sizes`. Returns that
 * of the right side. */
static int32_t normalise(int64_t equations[SKYBOOK_UNKNOWNS][SKYBOOK_UNKNOWNS + 1],
                         uint32_t unknowns, int32_t sizes[SKYBOOK_UNKNOWNS])
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < unknowns; i++) {
        sizes[i] = (int32_t)(skybook_bit_length((uint64_t)equations[i][i] + 1) / 2);
    }
    for (uint32_t i = 0; i < unknowns; i++) {
        int64_t *row = equations[i];
        for (uint32_t j = 0; j < unknowns; j++) {
            row[j] = shifted(row[j], BITS - 2 - sizes[i] - sizes[j]);
        }
        row[i] += row[i] >> RIDGE;
        row[unknowns] = shifted(row[unknowns], 8 - sizes[i]);
        most = magnitude(row[unknowns]) > most ? magnitude(row[unknowns]) : most;
    }
    const int32_t shift = BITS - (int32_t)skybook_bit_length(most);
    for (uint32_t i = 0; i < unknowns; i++) {
        equations[i][unknowns] = shifted(equations[i][unknowns], shift);
    }
    return shift;
}

/* Take a multiple of an equation from another, from the place on that it has after the unknown. */
static void reduce(int64_t *restrict row, const int64_t *restrict from, int64_t factor, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        row[i] = clip(row[i] - (factor * from[i] >> FACTOR_BITS), LARGEST);
    }
}

/* Make the equations triangular; pivots take their places. */
static void eliminate(int64_t equations[SKYBOOK_UNKNOWNS][SKYBOOK_UNKNOWNS + 1], uint32_t unknowns)
{
    for (uint32_t i = 0; i < unknowns; i++) {
        const int64_t *from = equations[i];
        const int64_t pivot = from[i] > LEAST_PIVOT ? from[i] : LEAST_PIVOT;
        equations[i][i] = pivot;
        for (uint32_t j = i + 1; j < unknowns; j++) {
            int64_t *row = equations[j];
            const int64_t wanted = quotient(row[i] * ((int64_t)1 << FACTOR_BITS), pivot);
            const int64_t factor = clip(wanted, MOST_FACTOR);
            reduce(row + i + 1, from + i + 1, factor, unknowns - i);
        }
    }
}

void skybook_solve(int64_t equations[SKYBOOK_UNKNOWNS][SKYBOOK_UNKNOWNS + 1], uint32_t unknowns,
                   int32_t changes[SKYBOOK_UNKNOWNS])
{
    int32_t sizes[SKYBOOK_UNKNOWNS];
    int64_t answers[SKYBOOK_UNKNOWNS];
    const int32_t shift = normalise(equations, unknowns, sizes);
    eliminate(equations, unknowns);
    for (uint32_t i = unknowns; i-- > 0;) {
        const int64_t *row = equations[i];
        const int32_t places = ANSWER_BITS - 17 + shift + sizes[i];
        const int32_t up = places > FAR ? FAR : places > 0 ? places : 0;
        const int32_t down = -places > FAR / 2 ? FAR / 2 : -places > 0 ? -places : 0;
        int64_t known = 0;
        for (uint32_t j = i + 1; j < unknowns; j++) {
            known += row[j] * answers[j];
        }
        const int64_t wanted = row[unknowns] * ((int64_t)1 << ANSWER_BITS) - known;
        const int64_t answer = clip(quotient(wanted, row[i]), MOST_ANSWER);
        const int64_t half = ((int64_t)1 << up) >> 1;
        const int64_t change = ((answer + half) >> up) * ((int64_t)1 << down);
        changes[i] = (int32_t)clip(change, MOST_CHANGE);
        answers[i] = clip(changes[i] * ((int64_t)1 << up) >> down, MOST_ANSWER);
    }
}

#endif
