/* Side information of a band, as symbols (SPEC.md, section 20). */
#include "bounded.h"

#if SKYBOOK_BOUNDED

#define MOVES 8
#define MOVE 4
#define MOVE_ZERO 2

/* Symbols of side information, being written. */
struct side {
    uint16_t *symbols;
    uint32_t count;
    uint32_t cost; /* in 1/256 bit */
};

/* Put a number of 1 to 12 bits; what it costs is counted elsewhere. */
static void put_raw(struct side *side, uint32_t value, uint32_t bits)
{
    side->symbols[side->count++] = (uint16_t)(SKYBOOK_RAW_ROWS + ((uint32_t)1 << bits) + value);
}

/* Put a number of 0 to 16 bits: what is beyond 8 of them comes first. */
static void put_bits(struct side *side, uint32_t value, uint32_t bits)
{
    side->cost += SKYBOOK_BIT * bits;
    if (bits > 8) {
        put_raw(side, value >> 8, bits - 8);
        value &= 255u;
        bits = 8;
    }
    if (bits > 0) {
        put_raw(side, value, bits);
    }
}

/* Put how many bits a number has, then these. */
static void put_number(struct side *side, uint32_t value)
{
    const uint32_t bits = skybook_bit_length(value);
    put_bits(side, bits, 5);
    put_bits(side, value, bits);
}

static void put_residual(struct side *side, uint32_t level, int32_t residual)
{
    const uint32_t size = (uint32_t)(residual < 0 ? -residual : residual);
    const uint32_t symbol = skybook_symbol_of(residual);
    const uint16_t *own = skybook_slots_of(level * SKYBOOK_ROW + symbol);
    const bool escapes = own[1] == SKYBOOK_MISSING;
    const uint32_t rest = 12u - (own[0] >> SKYBOOK_WIDTH_PLACE);
    side->cost += skybook_bounded_costs[level * SKYBOOK_ROW + symbol];
    side->symbols[side->count++] =
        (uint16_t)(level * SKYBOOK_ROW + (escapes ? SKYBOOK_ESCAPE : symbol));
    if (escapes) {
        put_raw(side, (uint32_t)(residual + 32768) >> 8, 8);
        put_raw(side, (uint32_t)(residual + 32768) & 255u, 8);
    } else if (rest > 0) {
        put_raw(side, (size - 1) & (((uint32_t)1 << rest) - 1u), rest);
    }
}

/* The level at which the change of a coefficient is coded. */
static uint32_t level_of(uint32_t band, uint32_t number, uint32_t move)
{
    const int32_t spread = skybook_bounded_spreads[skybook_role(band)][number];
    const int32_t level = spread + MOVE * ((int32_t)move - MOVE_ZERO);
    return level < 0 ? 0 : level < SKYBOOK_LEVELS ? (uint32_t)level : SKYBOOK_LEVELS - 1;
}

uint32_t skybook_cost_of_changes(uint32_t band, const int32_t changes[SKYBOOK_UNKNOWNS], uint8_t *move)
{
    uint32_t least = UINT32_MAX;
    for (uint8_t i = 0; i < MOVES; i++) {
        uint32_t cost = 0;
        for (uint32_t n = 0; n < skybook_unknowns(band); n++) {
            cost += skybook_bounded_costs[level_of(band, n, i) * SKYBOOK_ROW + skybook_symbol_of(changes[n])];
        }
        *move = cost < least ? i : *move;
        least = cost < least ? cost : least;
    }
    return least;
}

static void put_scale(struct side *side, const struct skybook_options *options,
                      const struct skybook_scale *scale)
{
    put_bits(side, scale->kind, 3);
    put_bits(side, (uint32_t)scale->least & 0xFFFFu, 16);
    put_number(side, scale->most);
    if (scale->most == 0) {
        return;
    }
    if (scale->kind <= SCALE_HOLE) {
        put_number(side, scale->bound);
    }
    if (scale->kind == SCALE_STEPS) {
        put_number(side, (uint32_t)scale->parameter);
    } else if (scale->kind == SCALE_HOLE) {
        put_bits(side, (uint32_t)scale->parameter & 0xFFFFu, 16);
    } else if (scale->kind == SCALE_STRETCHES) {
        put_number(side, scale->marks / 64);
        for (uint32_t i = 0; i < scale->marks / 64; i++) {
            const bool same = i > 0 && scale->patterns[i] == scale->patterns[i - 1];
            put_bits(side, same ? 1 : 0, 1);
            put_bits(side, scale->patterns[i], same ? 0 : 4);
        }
    } else if (scale->kind == SCALE_CELLS) {
        put_number(side, (uint32_t)scale->parameter);
        put_bits(side, options->has_nodata ? 1 : 0, 1);
        put_bits(side, options->nodata, options->has_nodata ? 16 : 0);
    }
}

/* Put what is sent of a band beside its samples. */
void skybook_put_side_of(struct skybook_work *work, const struct skybook_plane *plane)
{
    struct skybook_bounded *own = &work->scratch.bounded;
    struct skybook_band *band = &own->bands[plane->band];
    struct side side = {&work->side[plane->band * SKYBOOK_MOST_SIDE], 0, 0};
    put_scale(&side, &plane->encoder->options, &own->scale);
    if (own->scale.most > 0) {
        put_bits(&side, band->mode, 2);
    }
    if (own->scale.most > 0 && band->mode != MODE_RAW) {
        for (uint32_t n = 0; n < skybook_references(plane->band); n++) {
            put_bits(&side, own->scales[n], 5);
        }
        if (band->mode == MODE_OWN) {
            put_bits(&side, own->move, 3);
            for (uint32_t i = 0; i < skybook_unknowns(plane->band); i++) {
                put_residual(&side, level_of(plane->band, i, own->move), own->changes[i]);
            }
        }
    }
    band->side = (uint16_t)side.count;
    band->side_cost = side.cost;
}

#endif
