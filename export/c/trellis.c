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
#define AT_ONCE (SKYBOOK_SMALL ? 64 : 128) /* steps priced before paths are extended, at most */
#define WHOLE 64u     /* of which a whole number is priced */

/* Of the steps to be priced: what is left of each beyond an index, and its entry of the costs, which
 * has the cost and, above that, what the index stands for less than itself. */
struct choices {
    int16_t left[AT_ONCE];
    int32_t entries[AT_ONCE];
};

static int32_t magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* The index of a parity that is nearest to a magnitude in 1/64 step. */
static int32_t nearest(int32_t size, int32_t odd, int32_t parity)
{
    return ((size + 32 * odd - 64 * parity + 64) >> 7) * 2 + parity;
}

/* The entry of the costs of a magnitude, LARGEST or less, of a row of even or odd states. */
static inline int32_t entry_of(int32_t place)
{
#if SKYBOOK_SMALL
    const int32_t row = SKYBOOK_PLAIN_ROWS + place / (LARGEST + 1), index = place % (LARGEST + 1);
    return (int32_t)skybook_cost((uint32_t)row, index) + skybook_short[row][index < 4 ? index : 4] * 65536;
#else
    return skybook_index_costs[place];
#endif
}

/* Look up the nearest indices of a parity; what is left of a step is below 256. */
static void look_up(const int32_t *restrict aways, const uint16_t *restrict rows, uint32_t wholes,
                    int32_t odd, int32_t parity, struct choices *restrict choices)
{
    const uint32_t count = WHOLE * wholes;
    int32_t places[AT_ONCE];
    for (uint32_t i = 0; i < count; i++) {
        const int32_t size = magnitude(aways[i]), index = nearest(size, odd, parity);
        choices->left[i] = (int16_t)(size - 64 * index);
        places[i] = (rows[i] - SKYBOOK_PLAIN_ROWS + SKYBOOK_LEVELS * odd) * (LARGEST + 1) +
                    (index < LARGEST ? index : LARGEST);
    }
    for (uint32_t i = 0; i < count; i++) {
        choices->entries[i] = entry_of(places[i]);
    }
}

/* The squared error and bits of indices. Loops and types are such that compilers make vectors. */
static void price(const struct choices *restrict choices, const uint16_t *restrict worths,
                  uint32_t wholes, int32_t *restrict costs)
{
    const uint32_t count = WHOLE * wholes;
    for (uint32_t i = 0; i < count; i++) {
        const int16_t error = (int16_t)(choices->left[i] + (int16_t)(choices->entries[i] >> 16));
        const uint16_t cost = (uint16_t)(choices->entries[i] & 0xFFFF);
        costs[i] = error * error + (int32_t)((uint32_t)cost * worths[i] >> 8);
    }
}

/* Price the steps from `first` on, WHOLE times `wholes`, of even or odd states. Near 0 the low cost of 0
 * may win over 2, the nearest only of magnitudes below 256. */
static void price_steps(struct skybook_path *path, uint32_t first, uint32_t wholes, int32_t odd,
                        int32_t *restrict even_costs, int32_t *restrict odd_costs)
{
    const uint32_t count = WHOLE * wholes;
    const int32_t *restrict aways = &path->away[first];
    const uint16_t *restrict rows = &path->rows[first], *restrict worths = &path->worths[first];
    uint8_t *restrict zeros = &path->zeros[first];
    struct choices choices;
    int32_t none[AT_ONCE];
    look_up(aways, rows, wholes, odd, 1, &choices);
    price(&choices, worths, wholes, odd_costs);
    for (uint32_t i = 0; i < count; i++) {
        choices.left[i] = (int16_t)(magnitude(aways[i]) & 255);
        choices.entries[i] = entry_of((rows[i] - SKYBOOK_PLAIN_ROWS + SKYBOOK_LEVELS * odd) * (LARGEST + 1));
    }
    price(&choices, worths, wholes, none);
    look_up(aways, rows, wholes, odd, 0, &choices);
    price(&choices, worths, wholes, even_costs);
    for (uint32_t i = 0; i < count; i++) {
        const int32_t even = nearest(magnitude(aways[i]), odd, 0);
        const int32_t zero = (even == 2) & (none[i] < even_costs[i]);
        even_costs[i] = zero ? none[i] : even_costs[i];
        zeros[i] = (uint8_t)(zeros[i] | zero << odd);
    }
}

/* Find the states of the path that ends in a state, from its end; the parity of each index comes
 * above the state before it. A state is in the low bits, what is above them of no use: before a state s came
 * 2 s, XORed with 5 if s is HALF or more, and with twice AFTER_ODD_INDEX, 8, if its index was odd. */
static void go_back(struct skybook_path *path, uint32_t last)
{
    uint32_t state = last;
    for (uint32_t step = path->count; step-- > 0;) {
        const uint32_t turned = path->odd[step] << 3 | path->odd[step] >> 29;
        const uint32_t odd = (turned >> state % 32 | turned << (32 - state % 32) % 32) & 8u, high = state & HALF;
        state = (state << 1 ^ high >> 4) ^ (odd ^ high >> 2);
        path->states[step] = (uint8_t)((odd << 2 | state % STATES) & 0xFFu);
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
    int32_t costs[4][AT_ONCE];
    skybook_states best;
    const uint32_t wholes = (count + WHOLE - 1) / WHOLE;
    memset(&path->zeros[first], 0, WHOLE * wholes);
    price_steps(path, first, wholes, 0, costs[0], costs[1]);
    price_steps(path, first, wholes, 1, costs[2], costs[3]);
    skybook_open(sums, best);
    for (uint32_t i = 0; i < count; i++) {
        const int32_t own[4] = {costs[0][i], costs[1][i], costs[2][i], costs[3][i]};
        path->odd[first + i] = skybook_extend(best, own);
    }
    skybook_close(best, sums);
}

/* Have steps of no worth up to a whole number of those that are priced at once. */
typedef char skybook_steps_are_whole[SKYBOOK_PATH % WHOLE == 0 ? 1 : -1];
static void fill_up(struct skybook_path *path)
{
    for (uint32_t i = path->count; i % WHOLE > 0; i++) {
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
