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

/* Note what is lost of a latent with a residual of another size. */
static void mend_losses(const struct run *run, uint32_t number, uint32_t position, uint32_t size)
{
    struct skybook_work *work = run->scan->work;
    const uint32_t place = number * run->positions + position, row = skybook_row(run->symbols[place]);
    const int32_t old = (int32_t)size_of(run->symbols[place]), low = run->hiding->low[place];
    const int32_t rounding = skybook_rounding[row], step = (int32_t)STEP;
    const int32_t eased = old > 0 ? step * old + (low + rounding) % step - rounding : low;
    const int32_t left = eased - SKYBOOK_BORDER_EASE * work->borders[position];
    work->losses.of_ac[position] += skybook_power_of(run->scan, run->channel + number, position) *
                                    (skybook_lost(left, (int32_t)size, row) - skybook_lost(left, old, row));
    work->losses.symbols[position] += (uint32_t)(size > 0) - (uint32_t)(old > 0);
}

static inline void set_size(const struct run *run, uint32_t number, uint32_t position, uint32_t size)
{
    const uint32_t place = number * run->positions + position;
    const uint32_t residual = run->hiding->signs[place] > 0 ? 0u - size : size;
    if (run->scan->weighs) {
        mend_losses(run, number, position, size);
    }
    run->symbols[place] = residual << SKYBOOK_ROW_BITS | skybook_row(run->symbols[place]);
    skybook_sizes(run->scan, run->channel + number)[position] =
        (uint8_t)(size < SKYBOOK_SIZE_CAP ? size : SKYBOOK_SIZE_CAP);
    run->hiding->any[number] = true;
}

/* Change a residual that is not the one whose sign is hidden the way it costs less. */
static inline void change_other(const struct run *run, uint32_t number, uint32_t position)
{
    const uint32_t place = number * run->positions + position, symbol = run->symbols[place];
    const uint32_t row = skybook_row(symbol), size = size_of(symbol), low = run->hiding->low[place];
    const bool less = size > 0 && cost_of_less(low, row, size) <= cost_of_more(low, row, size);
    set_size(run, number, position, less ? size - 1 : size + 1);
}

/* Whether all residuals at a position but one are 0. */
static bool is_alone(const struct run *run, uint32_t own, uint32_t position)
{
    for (uint32_t number = 0; number < run->count; number++) {
        if (number != own && run->symbols[number * run->positions + position] >> SKYBOOK_ROW_BITS > 0) {
            return false;
        }
    }
    return true;
}

/* Change the residual whose sign is hidden, or another one, which costs so much, so that the sum of magnitudes, which
 * is `odd` or not, tells the sign; the size that it has then. */
static inline uint32_t turn_sum(const struct run *run, uint32_t own, uint32_t other, uint32_t cost, bool odd,
                                uint32_t position)
{
    const uint32_t place = own * run->positions + position, row = skybook_row(run->symbols[place]);
    const uint32_t size = size_of(run->symbols[place]), low = run->hiding->low[place], with_sign = skybook_own[row];
    const uint32_t more = with_sign >> size >> 1 & 1u ? cost_of_more(low, row, size) : NONE;
    const uint32_t less = cost_of_less(low, row, size);
    if (less <= more && less <= cost &&
        (size > 1 ? (with_sign >> (size - 1) & 1u) > 0 : odd && is_alone(run, own, position))) {
        set_size(run, own, position, size - 1);
        return size - 1;
    }
    if (more <= cost && more < NONE) {
        set_size(run, own, position, size + 1);
        return size + 1;
    }
    if (cost < NONE) {
        change_other(run, other, position);
        return size;
    }
    set_size(run, own, position, 0);
    return 0;
}

/* Hide the sign of the first residual of a run at a position that has one of its own; the channels up to it, or all
 * where it has none any longer. */
static inline uint32_t hide_sign(const struct run *run, uint32_t own, uint32_t other, uint32_t cost, bool odd,
                                 uint32_t position)
{
    uint32_t *symbol = &run->symbols[own * run->positions + position];
    uint32_t size = size_of(*symbol);
    if (*symbol >> 31 != odd) {
        size = turn_sum(run, own, other, cost, odd, position);
        if (size == 0) {
            return run->count;
        }
    }
    *symbol = (0u - size) << SKYBOOK_ROW_BITS | skybook_row(*symbol);
    run->costs[position] -= SKYBOOK_BIT;
    return own + 1;
}

/* The same where a residual that is not 0, but has no sign of its own, comes before. */
static uint32_t hide_later_sign(const struct run *run, uint32_t number, bool odd, uint32_t position)
{
    uint32_t own = NONE, other = NONE, least = NONE;
    for (; number < run->count; number++) {
        const uint32_t place = number * run->positions + position, symbol = run->symbols[place];
        const uint32_t row = skybook_row(symbol), size = size_of(symbol), low = run->hiding->low[place];
        const uint32_t less = cost_of_less(low, row, size), more = cost_of_more(low, row, size);
        const uint32_t cost = size > 0 && less < more ? less : more;
        if (own == NONE) {
            own = has_sign(row, size) ? number : NONE;
        } else if (row % SKYBOOK_LEVELS > 0 && cost < least) {
            least = cost;
            other = number;
        }
    }
    return own == NONE ? run->count : hide_sign(run, own, other, least, odd, position);
}

/* Hide the sign of a run at a position; the channels whose symbols are of other tables for that. */
static inline uint32_t hide_at(const struct run *run, const struct skybook_followed *followed, uint32_t in_part,
                               uint32_t position)
{
    const uint32_t own = followed->first[in_part];
    const bool odd = (followed->odd[in_part] & STEP) > 0;
    if (own == NONE) {
        return run->count;
    }
    const uint32_t symbol = run->symbols[own * run->positions + position];
    if (!has_sign(skybook_row(symbol), size_of(symbol))) {
        return hide_later_sign(run, own + 1, odd, position);
    }
    return hide_sign(run, own, followed->change[in_part], followed->cost[in_part], odd, position);
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
        uint8_t hide[SKYBOOK_PART];
        for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
            hide[i] = followed->strong[i] >= LEAST_STRONG ? 1 : 0;
        }
        memset(&upto[part], 0, sizeof(hide));
        for (uint64_t bits = skybook_above_0(hide); bits > 0; bits &= bits - 1) {
            const uint32_t i = skybook_lowest_bit_of_64(bits);
            upto[part + i] = (uint8_t)hide_at(&run, followed, i, part + i);
        }
    }
}
