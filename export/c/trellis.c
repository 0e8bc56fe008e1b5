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

#if SKYBOOK_TRELLIS

#define STATES SKYBOOK_STATES
#define HALF (STATES / 2)
#define AFTER_ODD_STATE 18u
#define AFTER_ODD_INDEX 4u
#define LARGEST 63    /* magnitudes of indices whose costs are told apart */
#define FAR (1 << 29) /* where no path begins */
#define AT_ONCE 64u   /* steps priced before paths are extended: a number that loops know, so that they are short */
#define SETS 2u       /* of states: even ones, odd ones */
#define TOGETHER (SKYBOOK_SMALL ? 2u : 4u) /* parts of a path that are found at the same time */

static int32_t magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* The lower of the two indices, one even and one odd, that are nearest to a magnitude in 1/64 step. */
static inline int32_t lower_index(int32_t size, int32_t odd)
{
    return (size + 32 * odd) >> 6;
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

/* Of AT_ONCE steps and a set of states: the entries of the two nearest indices, and of 0. */
struct entries {
    int32_t nearest[AT_ONCE][2], none[AT_ONCE];
};

/* The entries of two indices next to each other, from the first one's place on. */
static inline void take_entries(int32_t place, int32_t entries[2])
{
#if SKYBOOK_SMALL
    entries[0] = entry_of(place);
    entries[1] = entry_of(place + 1);
#else
    memcpy(entries, &skybook_index_costs[place], 2 * sizeof(*entries));
#endif
}

static void look_up(const int32_t *restrict aways, const uint32_t *restrict rows, int32_t set,
                    struct entries *restrict entries)
{
    uint16_t nearest[AT_ONCE], none[AT_ONCE];
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        const int32_t row = (int32_t)(rows[i] & 0xFFFFu) - SKYBOOK_PLAIN_ROWS + SKYBOOK_LEVELS * set;
        const int32_t low = lower_index(magnitude(aways[i]), set);
        none[i] = (uint16_t)(row * (LARGEST + 1));
        nearest[i] = (uint16_t)(none[i] + (low < LARGEST ? low : LARGEST - 1));
    }
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        take_entries(nearest[i], entries->nearest[i]);
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
    const uint32_t *restrict rows = &path->rows[first];
    uint8_t *restrict zeros = &path->zeros[first];
    struct entries entries;
    look_up(aways, rows, set, &entries);
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        const int32_t size = magnitude(aways[i]), worth = (int32_t)(rows[i] >> 16), low = lower_index(size, set);
        const int32_t upper = entries.nearest[i][1], lower = low < LARGEST ? entries.nearest[i][0] : upper;
        const int32_t of_low = price(size - 64 * low, lower, worth);
        const int32_t of_next = price(size - 64 * low - 64, upper, worth);
        const int32_t cost = low & 1 ? of_next : of_low, none = price(size & 255, entries.none[i], worth);
        const int32_t zero = ((low == 1) | (low == 2)) & (none < cost);
        even_costs[i] = zero ? none : cost;
        odd_costs[i] = low & 1 ? of_low : of_next;
        zeros[i] = (uint8_t)(zeros[i] | zero << set);
    }
}

/* The place of the state before one, by an even index: before a state s came 2 s, XORed with 5 if s is HALF or more. By
 * an odd one it is XORed with twice AFTER_ODD_INDEX, too. */
#define BEFORE(place) ((2 * (place) ^ 5 * ((place) / HALF)) % STATES)
#define BEFORE_4(place) BEFORE(place), BEFORE((place) + 1), BEFORE((place) + 2), BEFORE((place) + 3)
#define BEFORE_16(place) BEFORE_4(place), BEFORE_4((place) + 4), BEFORE_4((place) + 8), BEFORE_4((place) + 12)
static const uint8_t places_before[STATES] = {BEFORE_16(0), BEFORE_16(HALF)};
typedef char skybook_states_go_back[HALF == 16 && AFTER_ODD_STATE == 18 && AFTER_ODD_INDEX == 4 ? 1 : -1];

/* Find the place of the state before a step, from that of the one after it. It is noted, and the parity of the index
 * above it. */
static inline uint32_t before(struct skybook_path *path, uint32_t step, uint32_t place)
{
    const uint32_t odd = path->odd[step] >> place & 1u;
    const uint32_t found = places_before[place] ^ (STATES | SKYBOOK_PLACE_OF(2 * AFTER_ODD_INDEX)) * odd;
    path->states[step] = (uint8_t)found;
    return found % STATES;
}

/* Find the places of the states of the path that ends in a place, from its end; those of its other parts at the same
 * time, as if it came by place 0 to the end of each. Wherever paths come from, they soon are one: so few of these have
 * to be found again. */
static void go_back(struct skybook_path *path, uint32_t last)
{
    const uint32_t part = path->count / TOGETHER;
    uint32_t places[TOGETHER] = {0}, place = last;
    for (uint32_t step = path->count; step-- > TOGETHER * part;) {
        place = before(path, step, place);
    }
    places[TOGETHER - 1] = place;
    for (uint32_t step = part; step-- > 0;) {
        for (uint32_t i = 0; i < TOGETHER; i++) {
            places[i] = before(path, i * part + step, places[i]);
        }
    }
    place = places[TOGETHER - 1];
    for (uint32_t step = (TOGETHER - 1) * part; step-- > 0;) {
        const uint8_t found = path->states[step];
        place = before(path, step, place);
        if (path->states[step] == found) { /* as are those before it, back to where the part begins */
            place = places[step / part];
            step -= step % part;
        }
    }
}

/* The indices of steps, instead of what is left of them, and the states before them, instead of their places. */
static void put_indices(int32_t *restrict aways, uint8_t *restrict states, const uint8_t *restrict zeros,
                        uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const int32_t place = states[i] % STATES, state = SKYBOOK_STATE_AT(place);
        const int32_t away = aways[i], odd = state & 1, parity = states[i] / STATES;
        const int32_t none = ((zeros[i] & (1 + odd)) != 0) & (parity == 0), low = lower_index(magnitude(away), odd);
        const int32_t index = (low + ((low ^ parity) & 1)) & (none - 1), sign = away >> 31;
        aways[i] = (index ^ sign) - sign;
        states[i] = (uint8_t)state;
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
    }
}

void skybook_choose_path(struct skybook_path *path)
{
    int32_t sums[STATES] = {0}; /* by place; that of state 0 is the first */
    for (uint32_t place = 1; place < STATES; place++) {
        sums[place] = FAR;
    }
    fill_up(path);
    for (uint32_t first = 0; first < path->count; first += AT_ONCE) {
        const uint32_t left = path->count - first;
        extend(path, first, left < AT_ONCE ? left : AT_ONCE, sums);
    }
    uint32_t last = 0;
    for (uint32_t state = 1; state < STATES; state++) {
        last = sums[SKYBOOK_PLACE_OF(state)] < sums[last] ? SKYBOOK_PLACE_OF(state) : last;
    }
    go_back(path, last);
    put_indices(path->away, path->states, path->zeros, path->count);
}

#endif
