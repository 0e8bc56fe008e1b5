/* Signs of plain tiles that are not sent: whether a sum of magnitudes is odd tells them (SPEC.md, sections 10, 11 and
 * 13). */
#include <string.h>

#include "scan.h"

#define STRONG_LEVEL 18u
#define LEAST_STRONG 5u
#define NONE 255u
#define STEP 64u

/* Whether a residual of a row has a sign of its own. */
static inline bool has_sign(uint32_t row, uint32_t size)
{
    return size <= SKYBOOK_LARGEST && (skybook_own[row] >> size & 1u) > 0;
}

void skybook_begin_run(struct skybook_scan *scan)
{
    struct skybook_followed *followed = scan->work->scratch.hiding.followed;
    for (uint32_t part = 0; part < scan->form->positions / SKYBOOK_PART; part++) {
        memset(followed[part].strong, 0, sizeof(followed->strong));
        memset(followed[part].odd, 0, sizeof(followed->odd));
        memset(followed[part].first, NONE, sizeof(followed->first));
        memset(followed[part].cost, NONE, sizeof(followed->cost));
        memset(followed[part].change, NONE, sizeof(followed->change));
    }
}

/* What a change costs is below NONE, as no dead zone is that wide. Of what is left of a latent the low bits are
 * enough: all that are not 0 round to a residual of 0 or 1, and 6 bits tell how far it is from where others begin.
 * Bit 6 of what is rounded tells an odd residual. Conditions are bytes with all bits set, so that vectors are made. */
void skybook_follow(struct skybook_followed *restrict followed, uint32_t number, const uint8_t *restrict levels,
                    const uint8_t *restrict sizes, const uint8_t *restrict low,
                    const struct skybook_rules *restrict rules)
{
    const uint8_t own = (uint8_t)number;
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const uint8_t is_0 = sizes[i] == 0 ? NONE : 0, is_1 = sizes[i] == 1 ? NONE : 0;
        const uint8_t sum = (uint8_t)(low[i] + rules->rounding[i]), over = sum & (STEP - 1u);
        const uint8_t beyond = (uint8_t)(low[i] - rules->dead[i]), within = (uint8_t)(rules->dead[i] - low[i]);
        const uint8_t less = (uint8_t)((beyond & is_1) | (over & ~is_1)), more = (uint8_t)(STEP - over);
        const uint8_t either = less < more ? less : more;
        const uint8_t not_coded = levels[i] == 0 ? NONE : 0, is_first = followed->first[i] == NONE ? NONE : 0;
        const uint8_t cost = (uint8_t)((within & is_0) | (either & ~is_0) | not_coded | is_first);
        const uint8_t old = followed->cost[i], least = cost < old ? cost : old, stays = least == old ? NONE : 0;
        const uint8_t uneven = levels[i] >= SKYBOOK_EVEN_LEVELS ? NONE : 0;
        const uint8_t first = own | is_0 | uneven, old_first = followed->first[i];
        const uint8_t strong = levels[i] >= STRONG_LEVEL ? 1 : 0;
        followed->change[i] = (uint8_t)((followed->change[i] & stays) | (own & ~stays));
        followed->cost[i] = least;
        followed->first[i] = first < old_first ? first : old_first;
        followed->odd[i] ^= (uint8_t)(sum & ~is_0);
        followed->strong[i] = (uint8_t)(followed->strong[i] + strong);
    }
}

/* A run of channels of a layer. */
struct run {
    struct skybook_scan *scan;
    struct skybook_hiding *hiding;
    uint32_t *symbols;       /* of its first channel; those of each channel `positions` after those of the one before */
    uint32_t *costs;         /* of the layer */
    uint32_t positions;      /* of a channel */
    uint32_t channel, count; /* the first, and how many */
};

/* What it costs to make the size of a residual that is not 0 one less, in 1/64 step. */
static inline uint32_t cost_of_less(uint32_t low, uint32_t row, uint32_t size)
{
    return size == 1 ? low - skybook_dead[row] : (low + skybook_rounding[row]) % STEP;
}

/* What it costs to make it one more. */
static inline uint32_t cost_of_more(uint32_t low, uint32_t row, uint32_t size)
{
    return size == 0 ? skybook_dead[row] - low : STEP - (low + skybook_rounding[row]) % STEP;
}

static inline uint32_t size_of(uint32_t symbol)
{
    return (uint32_t)skybook_magnitude(skybook_residual(symbol));
}

/* Note what is lost of a latent with a residual in place of that of a symbol. */
static void mend_losses(const struct run *run, uint32_t number, uint32_t position, int32_t residual)
{
    struct skybook_work *work = run->scan->work;
    const uint32_t place = number * run->positions + position, row = skybook_row(run->symbols[place]);
    const int32_t old = skybook_residual(run->symbols[place]), low = run->hiding->low[place];
    const int32_t rounding = skybook_rounding[row], step = (int32_t)STEP;
    const int32_t eased = old != 0 ? step * skybook_magnitude(old) + (low + rounding) % step - rounding : low;
    const int32_t left = eased - SKYBOOK_BORDER_EASE * work->borders[position];
    const int32_t away = run->hiding->signs[place] > 0 ? -left : left;
    work->losses.of_ac[position] += skybook_power_of(run->scan, run->channel + number, position) *
                                    (skybook_lost(away, residual, row) - skybook_lost(away, old, row));
    work->losses.symbols[position] += (uint32_t)(residual != 0) - (uint32_t)(old != 0);
}

static void set_size(const struct run *run, uint32_t number, uint32_t position, uint32_t size)
{
    const uint32_t place = number * run->positions + position;
    const int32_t residual = run->hiding->signs[place] > 0 ? -(int32_t)size : (int32_t)size;
    if (run->scan->weighs) {
        mend_losses(run, number, position, residual);
    }
    run->symbols[place] = (uint32_t)residual << SKYBOOK_ROW_BITS | skybook_row(run->symbols[place]);
    skybook_sizes(run->scan, run->channel + number)[position] =
        (uint8_t)(size < SKYBOOK_SIZE_CAP ? size : SKYBOOK_SIZE_CAP);
    run->hiding->any[number] |= size > 0;
}

/* The first residual at a position that has a sign of its own, from one on; NONE if there is none. */
static uint32_t find_sign(const struct run *run, uint32_t number, uint32_t position)
{
    for (; number < run->count; number++) {
        const uint32_t symbol = run->symbols[number * run->positions + position];
        if (has_sign(skybook_row(symbol), size_of(symbol))) {
            return number;
        }
    }
    return NONE;
}

/* The residual after one that it costs least to change; NONE if there is none. */
static uint32_t find_cheapest(const struct run *run, uint32_t number, uint32_t position)
{
    uint32_t least = NONE, found = NONE;
    for (number++; number < run->count; number++) {
        const uint32_t place = number * run->positions + position, symbol = run->symbols[place];
        const uint32_t row = skybook_row(symbol), size = size_of(symbol), low = run->hiding->low[place];
        const uint32_t less = cost_of_less(low, row, size), more = cost_of_more(low, row, size);
        const uint32_t cost = size > 0 && less < more ? less : more;
        if (row % SKYBOOK_LEVELS > 0 && cost < least) {
            least = cost;
            found = number;
        }
    }
    return found;
}

/* Whether all residuals at a position but one are 0. */
static bool is_alone(const struct run *run, uint32_t own, uint32_t position)
{
    uint32_t others = 0;
    for (uint32_t number = 0; number < run->count; number++) {
        others |= number != own ? run->symbols[number * run->positions + position] >> SKYBOOK_ROW_BITS : 0;
    }
    return others == 0;
}

/* Change the residual whose sign is hidden, or the other that it costs least to change, so that the sum of magnitudes
 * tells the sign. */
static void turn_sum(const struct run *run, uint32_t own, uint32_t other, uint32_t position)
{
    const uint32_t place = own * run->positions + position, row = skybook_row(run->symbols[place]);
    const uint32_t size = size_of(run->symbols[place]), low = run->hiding->low[place];
    uint32_t less = cost_of_less(low, row, size), more = cost_of_more(low, row, size), others = NONE;
    uint32_t others_size = 0;
    bool others_less = false;
    if (other != NONE) {
        const uint32_t its_place = other * run->positions + position, its_row = skybook_row(run->symbols[its_place]);
        const uint32_t its_low = run->hiding->low[its_place];
        others_size = size_of(run->symbols[its_place]);
        others = cost_of_more(its_low, its_row, others_size);
        if (others_size > 0) {
            const uint32_t its_less = cost_of_less(its_low, its_row, others_size);
            others_less = its_less <= others;
            others = others_less ? its_less : others;
        }
    }
    more = has_sign(row, size + 1) ? more : NONE;
    if (less <= more && less <= others && !(size > 1 ? has_sign(row, size - 1) : is_alone(run, own, position))) {
        less = NONE;
    }
    if (less == NONE && more == NONE && others == NONE) {
        set_size(run, own, position, 0);
    } else if (less <= more && less <= others) {
        set_size(run, own, position, size - 1);
    } else if (more <= others) {
        set_size(run, own, position, size + 1);
    } else {
        set_size(run, other, position, others_less ? others_size - 1 : others_size + 1);
    }
}

/* Hide the sign of a run at a position; the channels up to that whose sign it is, or all. */
static inline uint32_t hide_at(const struct run *run, const struct skybook_followed *followed, uint32_t in_part,
                               uint32_t position)
{
    uint32_t own = followed->first[in_part], other = followed->change[in_part];
    if (own == NONE) {
        return run->count;
    }
    uint32_t *symbol = &run->symbols[own * run->positions + position];
    if (!has_sign(skybook_row(*symbol), size_of(*symbol))) {
        own = find_sign(run, own, position);
        if (own == NONE) {
            return run->count;
        }
        other = find_cheapest(run, own, position);
        symbol = &run->symbols[own * run->positions + position];
    }
    if (*symbol >> 31 != (followed->odd[in_part] / STEP & 1u)) {
        turn_sum(run, own, other, position);
        if (*symbol >> SKYBOOK_ROW_BITS == 0) {
            return run->count;
        }
    }
    *symbol = (uint32_t)-skybook_magnitude(skybook_residual(*symbol)) << SKYBOOK_ROW_BITS | skybook_row(*symbol);
    run->costs[position] -= SKYBOOK_BIT;
    return own + 1;
}

void skybook_hide(struct skybook_scan *scan, uint32_t first, uint32_t begin, uint32_t end)
{
    struct skybook_work *work = scan->work;
    const uint32_t positions = scan->form->positions, place = (begin - first) * positions;
    const struct run run = {scan,      &work->scratch.hiding, &work->layer.plain.symbols[place], &work->costs[scan->unit],
                            positions, begin,                 end - begin};
    uint8_t *upto = &run.hiding->upto[place / SKYBOOK_RUN];
    for (uint32_t part = 0; part < positions; part += SKYBOOK_PART) {
        const struct skybook_followed *followed = &run.hiding->followed[part / SKYBOOK_PART];
        for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
            upto[part + i] = followed->strong[i] >= LEAST_STRONG ? 1 : 0;
        }
        for (uint64_t bits = skybook_above_0(&upto[part]); bits > 0; bits &= bits - 1) {
            const uint32_t i = skybook_lowest_bit_of_64(bits);
            upto[part + i] = (uint8_t)hide_at(&run, followed, i, part + i);
        }
    }
}
