/* Signs of plain tiles that are not sent: whether a sum of magnitudes is odd tells them (SPEC.md, sections 10, 11 and
 * 13). */
#include <string.h>

#include "scan.h"

#define NONE 255u
#define STEP 64u
#define TO_0 4u /* 1/64 steps that a residual of 0 costs besides: it foretells less of later layers */
/* Functions that are seldom called, or loops of their own: registers are left to the others. */
#if defined(__GNUC__)
#define APART __attribute__((noinline))
#else
#define APART
#endif
#define LESS 32u /* added to the number of a channel whose residual becomes less */

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
                    const uint8_t *restrict sizes, const uint8_t *restrict low, const uint8_t *restrict signs,
                    const struct skybook_rules *restrict rules)
{
    const uint8_t own = (uint8_t)number;
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const uint8_t is_0 = sizes[i] == 0 ? NONE : 0, is_1 = sizes[i] == 1 ? NONE : 0;
        const uint8_t sum = (uint8_t)(low[i] + rules->rounding[i]), over = sum & (STEP - 1u);
        const uint8_t beyond = (uint8_t)(low[i] - rules->dead[i] + TO_0), within = (uint8_t)(rules->dead[i] - low[i]);
        const uint8_t less = (uint8_t)((beyond & is_1) | (over & ~is_1)), more = (uint8_t)(STEP - over);
        const uint8_t either = less < more ? less : more;
        const uint8_t not_coded = levels[i] == 0 ? NONE : 0, is_first = followed->first[i] == NONE ? NONE : 0;
        const uint8_t cost = (uint8_t)((within & is_0) | (either & ~is_0) | not_coded | is_first);
        const uint8_t old = followed->cost[i], least = cost < old ? cost : old, stays = least == old ? NONE : 0;
        const uint8_t uneven = levels[i] >= SKYBOOK_EVEN_LEVELS ? NONE : 0;
        const uint8_t first = own | is_0 | uneven, old_first = followed->first[i];
        const uint8_t least_first = first < old_first ? first : old_first;
        const uint8_t goes_on = least_first == old_first ? NONE : 0;
        const uint8_t strong = levels[i] >= SKYBOOK_STRONG_LEVEL ? 1 : 0;
        const uint8_t is_less = either == less ? LESS : 0, change = (uint8_t)(own | (is_less & ~is_0));
        followed->change[i] = (uint8_t)((followed->change[i] & stays) | (change & ~stays));
        followed->cost[i] = least;
        followed->first[i] = least_first;
        followed->sign[i] = (uint8_t)((followed->sign[i] & goes_on) | (signs[i] & ~goes_on));
        followed->odd[i] ^= (uint8_t)(sum & ~is_0);
        followed->strong[i] = (uint8_t)(followed->strong[i] + strong);
    }
}

/* A run of channels of a layer. */
struct run {
    struct skybook_scan *scan;
    struct skybook_hiding *hiding;
    uint32_t *symbols;       /* of its first channel; those of each channel `positions` after those of the one before */
    uint8_t *sizes;          /* in the same order */
    uint32_t *costs;         /* of the layer */
    uint32_t positions;      /* of a channel */
    uint32_t channel, count; /* the first, and how many */
};

static inline uint32_t size_of(uint32_t symbol)
{
    return (uint32_t)skybook_magnitude(skybook_residual(symbol));
}

/* All bits of a number if a condition holds, so that what is often true and often not takes no branch. */
static inline uint32_t where(bool condition)
{
    return 0u - (uint32_t)condition;
}

static inline uint32_t chosen(bool condition, uint32_t one, uint32_t other)
{
    return other ^ ((one ^ other) & where(condition));
}

/* What it costs to make the size of a residual one less, which is not 0, or one more, in 1/64 step. */
struct changes {
    uint32_t less, more;
};

static inline struct changes changes_of(uint32_t symbol, uint32_t low)
{
    const uint32_t row = skybook_row(symbol), size = size_of(symbol), dead = skybook_dead[row];
    const uint32_t over = (low + skybook_rounding[row]) % STEP;
    const struct changes changes = {chosen(size == 1, low - dead + TO_0, over), chosen(size == 0, dead - low, STEP - over)};
    return changes;
}

/* Note what is lost of a latent with a residual of another size. */
static APART void mend_losses(const struct run *run, uint32_t number, uint32_t position, uint32_t size)
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

/* Whether all residuals at a position but one are 0. */
static APART bool is_alone(const struct run *run, uint32_t own, uint32_t position)
{
    for (uint32_t number = 0; number < run->count; number++) {
        if (number != own && run->symbols[number * run->positions + position] >> SKYBOOK_ROW_BITS > 0) {
            return false;
        }
    }
    return true;
}

static inline void set_residual(const struct run *run, uint32_t number, uint32_t position, uint32_t size, bool negative)
{
    const uint32_t place = number * run->positions + position;
    if (run->scan->weighs) {
        mend_losses(run, number, position, size);
    }
    run->symbols[place] = chosen(negative, 0u - size, size) << SKYBOOK_ROW_BITS | skybook_row(run->symbols[place]);
    run->sizes[place] = (uint8_t)(size < SKYBOOK_SIZE_CAP ? size : SKYBOOK_SIZE_CAP);
    run->hiding->any[number] = true;
}

/* Change the residual whose sign is hidden, which is below 0 here, or that of another one, `change`, which costs so
 * much, so that the sum of magnitudes, which is `odd` or not, tells the sign. False if none is hidden any longer. */
static inline bool turn_sum(const struct run *run, uint32_t own, uint32_t change, uint32_t cost, bool odd,
                            uint32_t position)
{
    const uint32_t place = own * run->positions + position, symbol = run->symbols[place], size = size_of(symbol);
    const uint32_t with_sign = skybook_own[skybook_row(symbol)];
    struct changes changes = changes_of(symbol, run->hiding->low[place]);
    changes.more |= NONE & where((with_sign >> size >> 1 & 1u) == 0);
    if ((size == 1) & odd & (changes.less <= changes.more) & (changes.less <= cost) && is_alone(run, own, position)) {
        set_residual(run, own, position, 0, false);
        return false;
    }
    changes.less |= NONE & where((with_sign >> (size - 1) & 1u) == 0);
    const uint32_t is_less = changes.less <= changes.more ? LESS : 0;
    const uint32_t least = chosen(is_less > 0, changes.less, changes.more);
    if (least == NONE && cost == NONE) {
        set_residual(run, own, position, 0, false);
        return false;
    }
    const bool is_own = least <= cost;
    const uint32_t chosen_change = chosen(is_own, own | is_less, change), number = chosen_change % LESS;
    const uint32_t its_place = number * run->positions + position;
    set_residual(run, number, position, size_of(run->symbols[its_place]) + 1 - 2u * (chosen_change / LESS),
                 is_own | (run->hiding->signs[its_place] > 0));
    return true;
}

/* The symbol of a residual whose sign is hidden: minus its size is in the place of the residual. */
static inline uint32_t without_sign(uint32_t symbol)
{
    return (0u - size_of(symbol)) << SKYBOOK_ROW_BITS | skybook_row(symbol);
}

/* Hide the sign of the first residual at a position that has one of its own, where one that is not 0, but has none,
 * comes before it, `number`; the channels whose symbols are of other tables then. */
static APART uint32_t hide_later(const struct run *run, uint32_t number, bool odd, uint32_t position)
{
    uint32_t own = NONE, change = NONE, least = NONE;
    for (number++; number < run->count; number++) {
        const uint32_t place = number * run->positions + position, symbol = run->symbols[place];
        const struct changes changes = changes_of(symbol, run->hiding->low[place]);
        const uint32_t size = size_of(symbol), less = size > 0 ? changes.less : NONE;
        const uint32_t cost = less < changes.more ? less : changes.more;
        if (own == NONE) {
            own = skybook_has_sign(skybook_row(symbol), size) ? number : NONE;
        } else if (symbol % SKYBOOK_LEVELS > 0 && cost < least) {
            least = cost;
            change = number | (less <= changes.more ? LESS : 0);
        }
    }
    if (own == NONE) {
        return run->count;
    }
    uint32_t *symbol = &run->symbols[own * run->positions + position];
    const bool turns = *symbol >> 31 != odd;
    *symbol = without_sign(*symbol);
    if (turns && !turn_sum(run, own, change, least, odd, position)) {
        return run->count;
    }
    run->costs[position] -= SKYBOOK_BIT;
    return own + 1;
}

/* Find where signs are hidden in a part, how many channels are of other tables there, as a rule, and where a sum says
 * another sign. */
static void find_hidden(const struct skybook_followed *restrict followed, uint32_t count, uint8_t *restrict upto,
                        uint8_t *restrict has, uint8_t *restrict turns)
{
    const uint8_t all = (uint8_t)count;
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const uint8_t hides = followed->strong[i] >= SKYBOOK_LEAST_STRONG ? NONE : 0;
        const uint8_t none = followed->first[i] == NONE ? NONE : 0, next = (uint8_t)(followed->first[i] + 1);
        upto[i] = (uint8_t)(hides & ((all & none) | (next & ~none)));
        has[i] = (uint8_t)(hides & ~none & 1);
        turns[i] = (uint8_t)(hides & ~none & (followed->sign[i] ^ followed->odd[i]) & STEP);
    }
}

/* Hide the signs of a part, as they are. */
static APART void hide_signs(const struct run *run, const struct skybook_followed *followed, uint32_t part,
                             uint8_t *upto, const uint8_t *has, uint8_t *turns)
{
    uint32_t *const symbols = &run->symbols[part], *const costs = &run->costs[part], positions = run->positions;
    for (uint64_t bits = skybook_above_0(has); bits > 0; bits &= bits - 1) {
        const uint32_t i = skybook_lowest_bit_of_64(bits), own = followed->first[i];
        uint32_t *symbol = &symbols[own * positions + i];
        if (skybook_has_sign(skybook_row(*symbol), size_of(*symbol))) {
            *symbol = without_sign(*symbol);
            costs[i] -= SKYBOOK_BIT;
        } else {
            upto[i] = (uint8_t)hide_later(run, own, (followed->odd[i] & STEP) > 0, part + i);
            turns[i] = 0;
        }
    }
}

/* Make the sums of a part tell the signs that are hidden. */
static APART void turn_sums(const struct run *run, const struct skybook_followed *followed, uint32_t part,
                            uint8_t *upto, const uint8_t *turns)
{
    for (uint64_t bits = skybook_above_0(turns); bits > 0; bits &= bits - 1) {
        const uint32_t i = skybook_lowest_bit_of_64(bits);
        const bool odd = (followed->odd[i] & STEP) > 0;
        if (!turn_sum(run, followed->first[i], followed->change[i], followed->cost[i], odd, part + i)) {
            run->costs[part + i] += SKYBOOK_BIT;
            upto[i] = (uint8_t)run->count;
        }
    }
}

void skybook_hide(struct skybook_scan *scan, uint32_t first, uint32_t begin, uint32_t end)
{
    struct skybook_work *work = scan->work;
    const uint32_t positions = scan->form->positions, place = (begin - first) * positions;
    const struct run run = {scan,
                            &work->scratch.hiding,
                            &work->layer.plain.symbols[place],
                            skybook_sizes(scan, begin),
                            &work->costs[scan->unit],
                            positions,
                            begin,
                            end - begin};
    uint8_t *upto = &run.hiding->upto[place / SKYBOOK_RUN];
    for (uint32_t part = 0; part < positions; part += SKYBOOK_PART) {
        const struct skybook_followed *followed = &run.hiding->followed[part / SKYBOOK_PART];
        uint8_t has[SKYBOOK_PART], turns[SKYBOOK_PART];
        find_hidden(followed, run.count, &upto[part], has, turns);
        hide_signs(&run, followed, part, &upto[part], has, turns);
        turn_sums(&run, followed, part, &upto[part], turns);
    }
}
