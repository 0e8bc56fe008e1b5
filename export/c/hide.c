/* Signs of plain tiles that are not sent: whether a sum of magnitudes is odd tells them (SPEC.md, sections 10, 11 and
 * 13). */
#include <string.h>

#include "scan.h"

#define STRONG_LEVEL 18u
#define LEAST_STRONG 5u
#define NONE 255u
#define STEP 64u

/* Whether a residual of a row has a sign of its own. */
static bool has_sign(uint32_t row, uint32_t size)
{
    return size <= SKYBOOK_LARGEST && (skybook_own[row] >> size & 1u) > 0;
}

void skybook_begin_run(struct skybook_scan *scan)
{
    struct skybook_followed *followed = scan->work->scratch.hiding.followed;
    for (uint32_t part = 0; part < scan->form->positions / SKYBOOK_PART; part++) {
        memset(&followed[part], 0, sizeof(followed[part]));
        memset(followed[part].first, NONE, SKYBOOK_PART);
        memset(followed[part].cost, NONE, SKYBOOK_PART);
        memset(followed[part].change, NONE, SKYBOOK_PART);
    }
}

/* What a change costs is below NONE, as no dead zone is that wide; all that is left of a latent matters only where
 * it is below 256, and its low 6 bits elsewhere. */
void skybook_follow(struct skybook_followed *restrict followed, uint32_t number, const uint8_t *restrict levels,
                    const uint8_t *restrict sizes, const uint8_t *restrict low,
                    const struct skybook_rules *restrict rules)
{
    const uint8_t own = (uint8_t)number;
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const uint8_t size = sizes[i], sum = (uint8_t)(low[i] + rules->rounding[i]), over = sum & (STEP - 1u);
        const uint8_t beyond = (uint8_t)(low[i] - rules->dead[i]), within = (uint8_t)(rules->dead[i] - low[i]);
        const uint8_t less = size == 1 ? beyond : over, more = (uint8_t)(STEP - over);
        const uint8_t either = less < more ? less : more, change = size == 0 ? within : either;
        const uint8_t cost = (levels[i] > 0) & (followed->first[i] != NONE) ? change : NONE;
        const uint8_t first = (size > 0) & (levels[i] < SKYBOOK_EVEN_LEVELS) ? own : NONE;
        followed->change[i] = cost < followed->cost[i] ? own : followed->change[i];
        followed->cost[i] = cost < followed->cost[i] ? cost : followed->cost[i];
        followed->first[i] = first < followed->first[i] ? first : followed->first[i];
        followed->odd[i] ^= size > 0 ? sum & STEP : 0;
        followed->some[i] = (uint8_t)(followed->some[i] + (size > 0));
        followed->coded[i] = (uint8_t)(followed->coded[i] + (levels[i] > 0));
        followed->strong[i] = (uint8_t)(followed->strong[i] + (levels[i] >= STRONG_LEVEL));
    }
}

/* A position of a run of channels, while its sign is hidden. */
struct spot {
    struct skybook_scan *scan;
    const struct skybook_followed *followed;
    uint32_t *symbols;         /* of the run, a channel `positions` after the other */
    uint32_t begin, count;     /* channels of the run */
    uint32_t position, in_part;
};

static uint32_t symbol_at(const struct spot *spot, uint32_t number)
{
    return spot->symbols[number * spot->scan->form->positions + spot->position];
}

/* What it costs to change the size of a residual by one, in 1/64 step. */
struct changes {
    uint32_t less, more;
};

static struct changes changes_of(const struct spot *spot, uint32_t number)
{
    const struct skybook_hiding *hiding = &spot->scan->work->scratch.hiding;
    const uint32_t symbol = symbol_at(spot, number), row = skybook_row(symbol);
    const uint32_t size = (uint32_t)skybook_magnitude(skybook_residual(symbol));
    const uint32_t low = hiding->low[number * spot->scan->form->positions + spot->position];
    const uint32_t over = (low + skybook_rounding[row]) % STEP;
    const struct changes far = {size == 1 ? low - skybook_dead[row] : over, STEP - over};
    const struct changes none = {NONE + 1, skybook_dead[row] - low};
    return size > 0 ? far : none;
}

/* What is lost of a latent with a residual in place of another. */
static void mend_losses(const struct spot *spot, uint32_t number, uint32_t symbol, int32_t residual)
{
    struct skybook_work *work = spot->scan->work;
    const struct skybook_hiding *hiding = &work->scratch.hiding;
    const uint32_t place = number * spot->scan->form->positions + spot->position, row = skybook_row(symbol);
    const int32_t old = skybook_residual(symbol), size = skybook_magnitude(old);
    const int32_t rounding = skybook_rounding[row];
    const int32_t eased = size > 0 ? (int32_t)STEP * size + (hiding->low[place] + rounding) % (int32_t)STEP - rounding
                                   : hiding->low[place];
    const int32_t left = eased - SKYBOOK_BORDER_EASE * work->borders[spot->position];
    const int32_t away = hiding->signs[place] > 0 ? -left : left;
    const uint64_t power = skybook_power_of(spot->scan, spot->begin + number, spot->position);
    work->losses.of_ac[spot->position] +=
        power * (skybook_lost(away, residual, row) - skybook_lost(away, old, row));
    work->losses.symbols[spot->position] += (uint32_t)(residual != 0) - (uint32_t)(old != 0);
}

/* Make the size of a residual one more, or less. */
static void change(const struct spot *spot, uint32_t number, int32_t size)
{
    struct skybook_scan *scan = spot->scan;
    struct skybook_hiding *hiding = &scan->work->scratch.hiding;
    const uint32_t place = number * scan->form->positions + spot->position, symbol = spot->symbols[place];
    const int32_t residual = hiding->signs[place] > 0 ? -size : size;
    if (scan->weighs) {
        mend_losses(spot, number, symbol, residual);
    }
    spot->symbols[place] = (uint32_t)residual << SKYBOOK_ROW_BITS | skybook_row(symbol);
    skybook_sizes(scan, spot->begin + number)[spot->position] =
        (uint8_t)(size < SKYBOOK_SIZE_CAP ? size : SKYBOOK_SIZE_CAP);
    hiding->any[number] |= size > 0;
}

/* Find the first residual that has a sign of its own, from one on; NONE if there is none. */
static uint32_t find_sign(const struct spot *spot, uint32_t number)
{
    for (; number < spot->count; number++) {
        const uint32_t symbol = symbol_at(spot, number);
        if (has_sign(skybook_row(symbol), (uint32_t)skybook_magnitude(skybook_residual(symbol)))) {
            return number;
        }
    }
    return NONE;
}

/* The residual after one that it costs least to change; NONE if there is none. */
static uint32_t cheapest_after(const struct spot *spot, uint32_t number)
{
    uint32_t least = NONE, found = NONE;
    for (number++; number < spot->count; number++) {
        const struct changes own = changes_of(spot, number);
        const uint32_t cost = own.less < own.more ? own.less : own.more;
        if (symbol_at(spot, number) % SKYBOOK_LEVELS > 0 && cost < least) {
            least = cost;
            found = number;
        }
    }
    return found;
}

/* Change a residual by one so that the sum of magnitudes tells the sign of the first that has one of its own. */
static void turn_sum(const struct spot *spot, uint32_t number, uint32_t other)
{
    const uint32_t row = skybook_row(symbol_at(spot, number)), none = NONE + 1;
    const int32_t size = skybook_magnitude(skybook_residual(symbol_at(spot, number)));
    struct changes own = changes_of(spot, number), others = {none, none};
    if (!(size > 1 ? has_sign(row, (uint32_t)size - 1) : spot->followed->some[spot->in_part] == 1)) {
        own.less = none;
    }
    if (!has_sign(row, (uint32_t)size + 1)) {
        own.more = none;
    }
    if (other != NONE) {
        others = changes_of(spot, other);
    }
    const uint32_t of_own = own.less < own.more ? own.less : own.more;
    const uint32_t of_others = others.less < others.more ? others.less : others.more;
    if (of_own == none && of_others == none) {
        change(spot, number, 0);
    } else if (of_own <= of_others) {
        change(spot, number, own.less <= own.more ? size - 1 : size + 1);
    } else {
        const int32_t others_size = skybook_magnitude(skybook_residual(symbol_at(spot, other)));
        change(spot, other, others.less <= others.more ? others_size - 1 : others_size + 1);
    }
}

/* Hide the sign of a run at a position. */
static void hide_at(const struct spot *spot)
{
    const struct skybook_followed *followed = spot->followed;
    const uint32_t first = followed->first[spot->in_part];
    const uint32_t number = first == NONE ? NONE : find_sign(spot, first);
    if (number == NONE || (skybook_residual(symbol_at(spot, number)) < 0) == (followed->odd[spot->in_part] > 0)) {
        return;
    }
    turn_sum(spot, number, number == first ? followed->change[spot->in_part] : cheapest_after(spot, number));
}

void skybook_hide(struct skybook_scan *scan, uint32_t first, uint32_t begin, uint32_t end)
{
    struct skybook_work *work = scan->work;
    struct skybook_hiding *hiding = &work->scratch.hiding;
    const uint32_t positions = scan->form->positions;
    uint8_t *coded = &hiding->coded[(begin - first) / SKYBOOK_RUN * positions];
    struct spot spot = {scan, hiding->followed, &work->layer.plain.symbols[(begin - first) * positions],
                        begin, end - begin, 0, 0};
    for (uint32_t part = 0; part < positions; part += SKYBOOK_PART, spot.followed++) {
        uint8_t *own = &coded[part];
        for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
            own[i] = spot.followed->strong[i] >= LEAST_STRONG ? spot.followed->coded[i] : 0;
        }
        for (uint64_t bits = skybook_above_0(own); bits > 0; bits &= bits - 1) {
            spot.in_part = skybook_lowest_bit_of_64(bits);
            spot.position = part + spot.in_part;
            hide_at(&spot);
        }
    }
}

/* A symbol of the tables of runs whose sign is hidden: minus the size in the place of the residual. */
static uint32_t hidden_symbol(uint32_t row, int32_t residual)
{
    return (uint32_t)-skybook_magnitude(residual) << SKYBOOK_ROW_BITS | (SKYBOOK_HIDDEN_ROW + row);
}

/* Mark the symbols of a run at a position up to the one whose sign is hidden, which costs a bit less; whether there
 * is one. */
static bool mark(uint32_t *symbols, const uint32_t *stop)
{
    for (; symbols < stop; symbols++) {
        const uint32_t row = skybook_row(*symbols), own = skybook_own[row];
        const int32_t residual = skybook_residual(*symbols);
        const bool is_last = has_sign(row, (uint32_t)skybook_magnitude(residual));
        if (own > 0 && (residual == 0 || is_last)) {
            *symbols = hidden_symbol(row, residual);
        }
        if (is_last) {
            return true;
        }
    }
    return false;
}

void skybook_mark_hidden(const struct skybook_scan *scan, uint32_t run, const uint32_t *next, uint32_t *taken,
                         uint32_t *costs)
{
    const uint32_t positions = scan->form->positions;
    const uint8_t *coded = &scan->work->scratch.hiding.coded[run * positions];
    for (uint32_t part = 0; part < positions; part += SKYBOOK_PART) {
        for (uint64_t bits = skybook_above_0(&coded[part]); bits > 0; bits &= bits - 1) {
            const uint32_t i = part + skybook_lowest_bit_of_64(bits);
            costs[i] -= mark(taken + next[i] - coded[i], taken + next[i]) ? SKYBOOK_BIT : 0;
        }
    }
}
