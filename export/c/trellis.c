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

#include "scan.h"
#include "vectors.h"

#if SKYBOOK_TRELLIS

#define STATES SKYBOOK_STATES
#define HALF (STATES / 2)
#define AFTER_ODD_STATE 18u
#define AFTER_ODD_INDEX 4u
#define LARGEST 63    /* magnitudes of indices whose costs are told apart */
#define FAR (1 << 29) /* where no path begins */
#define AT_ONCE 64u   /* steps priced before paths are extended: a number that loops know, so that they are short */
#define SETS 2u       /* of states: even ones, odd ones */

static int32_t magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* The index of a parity that is nearest to a magnitude in 1/64 step. */
static int32_t nearest(int32_t size, int32_t odd, int32_t parity)
{
    return ((size + 32 * odd - 64 * parity + 64) >> 7) * 2 + parity;
}

/* The entry of the costs of a magnitude, LARGEST or less, of a row of even or odd states: the cost and, above that,
 * what the index stands for less than itself. */
static inline int32_t entry_of(int32_t place)
{
#if SKYBOOK_SMALL
    const int32_t row = SKYBOOK_PLAIN_ROWS + place / (LARGEST + 1), index = place % (LARGEST + 1);
    return (int32_t)skybook_cost((uint32_t)row, index) + skybook_short[row][index < 4 ? index : 4] * 65536;
#else
    return skybook_index_costs[place];
#endif
}

/* Of AT_ONCE steps and a set of states: the entries of the nearest even and odd index, and of 0. */
struct entries {
    int32_t even[AT_ONCE], odd[AT_ONCE], none[AT_ONCE];
};

static void look_up(const int32_t *restrict aways, const uint16_t *restrict rows, int32_t set,
                    struct entries *restrict entries)
{
    uint16_t even[AT_ONCE], odd[AT_ONCE], none[AT_ONCE];
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        const int32_t row = rows[i] - SKYBOOK_PLAIN_ROWS + SKYBOOK_LEVELS * set, size = magnitude(aways[i]);
        const int32_t one = nearest(size, set, 0), other = nearest(size, set, 1);
        none[i] = (uint16_t)(row * (LARGEST + 1));
        even[i] = (uint16_t)(none[i] + (one < LARGEST ? one : LARGEST));
        odd[i] = (uint16_t)(none[i] + (other < LARGEST ? other : LARGEST));
    }
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        entries->even[i] = entry_of(even[i]);
        entries->odd[i] = entry_of(odd[i]);
        entries->none[i] = entry_of(none[i]);
    }
}

/* The squared error and bits of an index that leaves so much of a step. */
static inline int32_t price(int32_t left, int32_t entry, int32_t worth)
{
    const int32_t error = left + (entry >> 16);
    return error * error + (int32_t)((uint32_t)(entry & 0xFFFF) * (uint32_t)worth >> 8);
}

/* Price AT_ONCE steps from `first` on in a set of states: their best even and odd index. Near 0 the low cost of 0
 * may win over 2, the nearest only of magnitudes below 256. */
static void price_steps(struct skybook_path *path, uint32_t first, int32_t set, int32_t *restrict even_costs,
                        int32_t *restrict odd_costs)
{
    const int32_t *restrict aways = &path->away[first];
    const uint16_t *restrict worths = &path->worths[first];
    uint8_t *restrict zeros = &path->zeros[first];
    struct entries entries;
    look_up(aways, &path->rows[first], set, &entries);
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        const int32_t size = magnitude(aways[i]), worth = worths[i], even = nearest(size, set, 0);
        const int32_t cost = price(size - 64 * even, entries.even[i], worth);
        const int32_t none = price(size & 255, entries.none[i], worth), zero = (even == 2) & (none < cost);
        even_costs[i] = zero ? none : cost;
        odd_costs[i] = price(size - 64 * nearest(size, set, 1), entries.odd[i], worth);
        zeros[i] = (uint8_t)(zeros[i] | zero << set);
    }
}

/* The state before a step, of which the low bits of `state` are the one after it, and the bits above are of no use:
 * before a state s came 2 s, XORed with 5 if s is HALF or more, and with twice AFTER_ODD_INDEX, 8, if its index was
 * odd. That is noted, the parity of the index above the state. */
static inline uint32_t before(struct skybook_path *path, uint32_t step, uint32_t state)
{
    const uint32_t turned = path->odd[step] << 3 | path->odd[step] >> 29, high = state & HALF;
    const uint32_t odd = (turned >> state % 32 | turned << (32 - state % 32) % 32) & 8u;
    const uint32_t found = (state << 1 ^ high >> 4) ^ (odd ^ high >> 2);
    path->states[step] = (uint8_t)((odd << 2 | found % STATES) & 0xFFu);
    return found;
}

/* Find the states of the path that ends in a state, from its end; those of its first half at the same time, as if it
 * came by state 0 there. Wherever paths come from, they soon are one: so few of these have to be found again. */
static void go_back(struct skybook_path *path, uint32_t last)
{
    const uint32_t half = path->count / 2;
    uint32_t state = last, other = 0;
    for (uint32_t step = half; step-- > 0;) {
        state = before(path, path->count - half + step, state);
        other = before(path, step, other);
    }
    for (uint32_t step = path->count - half; step-- > 0;) {
        const uint8_t found = path->states[step];
        state = before(path, step, state);
        if (step < half && path->states[step] == found) {
            return;
        }
    }
}
typedef char skybook_states_go_back[HALF == 16 && AFTER_ODD_STATE == 18 && AFTER_ODD_INDEX == 4 ? 1 : -1];

/* The indices of steps, in place of what is left of them, and the states before them. */
static void put_indices(int32_t *restrict aways, uint8_t *restrict states, const uint8_t *restrict zeros,
                        uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const int32_t away = aways[i], odd = states[i] & 1, parity = states[i] / STATES;
        const int32_t none = (zeros[i] >> odd & 1) & (1 - parity);
        const int32_t index = nearest(magnitude(away), odd, parity) * (1 - none), sign = away >> 31;
        aways[i] = (index ^ sign) - sign;
        states[i] = states[i] % STATES;
    }
}

/* Extend the best paths by `count` steps from `first` on. */
static void extend(struct skybook_path *path, uint32_t first, uint32_t count, int32_t sums[STATES])
{
    int32_t costs[2 * SETS][AT_ONCE];
    skybook_states best;
    memset(&path->zeros[first], 0, AT_ONCE);
    for (int32_t set = 0; set < (int32_t)SETS; set++) {
        price_steps(path, first, set, costs[2 * set], costs[2 * set + 1]);
    }
    skybook_open(sums, best);
    for (uint32_t i = 0; i < count; i++) {
        const int32_t own[4] = {costs[0][i], costs[1][i], costs[2][i], costs[3][i]};
        path->odd[first + i] = skybook_extend(best, own);
    }
    skybook_close(best, sums);
}

/* Have steps of no worth up to a whole number of those that are priced at once. */
typedef char skybook_steps_are_whole[SKYBOOK_PATH % AT_ONCE == 0 ? 1 : -1];
static void fill_up(struct skybook_path *path)
{
    for (uint32_t i = path->count; i % AT_ONCE > 0; i++) {
        path->away[i] = 0;
        path->rows[i] = SKYBOOK_PLAIN_ROWS;
        path->worths[i] = 0;
    }
}

void skybook_choose_path(struct skybook_path *path)
{
    int32_t sums[STATES] = {0};
    for (uint32_t state = 1; state < STATES; state++) {
        sums[state] = FAR;
    }
    fill_up(path);
    for (uint32_t first = 0; first < path->count; first += AT_ONCE) {
        const uint32_t left = path->count - first;
        extend(path, first, left < AT_ONCE ? left : AT_ONCE, sums);
    }
    uint32_t last = 0;
    for (uint32_t state = 1; state < STATES; state++) {
        last = sums[state] < sums[last] ? state : last;
    }
    go_back(path, last);
    put_indices(path->away, path->states, path->zeros, path->count);
}

#endif
