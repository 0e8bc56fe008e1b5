/* What the files of the quantizer know of each other: a tile's symbols at a step, layer by layer. */
#ifndef SKYBOOK_SCAN_H
#define SKYBOOK_SCAN_H

#include "vectors.h"

#define SKYBOOK_LARGEST 31      /* magnitude of symbols; beyond it is the escape */
#define SKYBOOK_BIT 256         /* units of costs */
#define SKYBOOK_RAW_BITS 16     /* after an escape */
#define SKYBOOK_FARTHEST 112     /* 1/64 steps from 0 from which on no symbol is left out */
#define SKYBOOK_THRIFT_SHARES 64 /* units of thrift in 1/64 step; symbols take turns to be nearer to 0 */

/* What a scan needs at hand. */
struct skybook_scan {
    struct skybook_encoder *encoder;
    const struct skybook_form *form;
    struct skybook_work *work;
    uint32_t column;
    struct skybook_per_step scale;
    uint32_t rows, cols, count; /* positions */
    uint32_t unit;              /* the layer's first */
    uint32_t written;           /* symbols of earlier layers; of the DC of plain tiles of this, too */
    uint32_t row;               /* the layer's first table */
    bool measures;              /* whether to find the floors of the channels */
    bool weighs;                /* whether to find what is lost at each position */
    bool hides;                 /* whether signs are hidden */
    uint32_t thrift;            /* how much nearer to 0 symbols of AC are taken */
    int32_t least_sum;          /* of which a symbol is coded */
    bool far;                   /* whether one was left out that is too far from 0 for that */
    uint32_t escapes;           /* residuals that have no symbol of their own */
    enum skybook_status renewed; /* whether the latents could be made anew, where they had to be */
    uint32_t sum;               /* of the latents as they are read */
    uint64_t lost;              /* squared error that is expected, of some positions */
    uint8_t counts[SKYBOOK_POSITIONS]; /* symbols of the layer at each position, not yet among those before */
};

/* What is left of a latent, squared, once a residual of a row of the tables stands for it. */
static inline uint64_t skybook_lost(int32_t away, int32_t residual, uint32_t row)
{
    const int32_t size = residual < 0 ? -residual : residual;
    const int32_t point = 64 * size - skybook_short[row][size < 4 ? size : 4];
    const int64_t lost = away - (residual < 0 ? -point : point);
    return (uint64_t)(lost * lost);
}

/* The squared length of the synthesis filter of a channel at a position. */
static inline uint64_t skybook_power_of(const struct skybook_scan *scan, uint32_t channel, uint32_t position)
{
    return skybook_power[scan->work->losses.kinds[position]][scan->form->order[channel] % 64u];
}

static inline int32_t skybook_magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

#define SKYBOOK_BORDER_EASE 2 /* 1/64 steps for each border that a position is next to */

static inline uint32_t skybook_row(uint32_t symbol)
{
    return symbol & ((1u << SKYBOOK_ROW_BITS) - 1u);
}

static inline int32_t skybook_residual(uint32_t symbol)
{
    return (int32_t)symbol >> SKYBOOK_ROW_BITS;
}

/* Whether a residual of a row of plain tiles has a sign of its own. */
static inline bool skybook_has_sign(uint32_t row, uint32_t size)
{
    return size <= SKYBOOK_LARGEST && (skybook_own[row] >> size & 1u) > 0;
}

/* The sizes of the symbols of a channel. */
static inline uint8_t *skybook_sizes(const struct skybook_scan *scan, uint32_t channel)
{
    return &scan->work->known[channel * scan->form->positions];
}

/* What is left of a latent of AC, nearer to 0 by thrift, so that it takes fewer bits. */
static inline int32_t skybook_nearer(uint32_t thrift, uint32_t turn, int32_t away)
{
    const int32_t less =
        (int32_t)((thrift + turn % SKYBOOK_THRIFT_SHARES) / SKYBOOK_THRIFT_SHARES);
    const int32_t size = skybook_magnitude(away) > less ? skybook_magnitude(away) - less : 0;
    return away < 0 ? -size : size;
}

/* The cost of a residual in a row of the tables: in a small build by the frequency of its symbol, and raw
 * bits. */
static inline uint32_t skybook_cost(uint32_t row, int32_t residual)
{
    const uint32_t low = skybook_shifts[row % SKYBOOK_LEVELS], escape = 2 * SKYBOOK_LARGEST + 1;
    const uint32_t place = (uint32_t)((residual >> low) + SKYBOOK_LARGEST);
    const uint32_t symbol = place > 2 * SKYBOOK_LARGEST ? escape : place;
#if SKYBOOK_SMALL
    const uint16_t *starts = skybook_starts[row];
    const uint32_t own = starts[symbol] == starts[symbol + 1] ? escape : symbol;
    const uint32_t raw = own == escape ? SKYBOOK_RAW_BITS + low : low;
    return skybook_bits[starts[own + 1] - starts[own]] + SKYBOOK_BIT * raw;
#else
    return skybook_costs[row][symbol];
#endif
}

/* The cost of a symbol. */
static inline uint32_t skybook_cost_of(uint32_t symbol)
{
    return skybook_cost(skybook_row(symbol), skybook_residual(symbol));
}

/* Whether the cost of a residual in a row is that of an escape; no other symbol takes 16 bits besides low
 * ones. */
static inline bool skybook_is_escape(uint32_t row, uint32_t cost)
{
    return cost >= SKYBOOK_BIT * SKYBOOK_RAW_BITS &&
           cost >= SKYBOOK_BIT * (SKYBOOK_RAW_BITS + (uint32_t)skybook_shifts[row % SKYBOOK_LEVELS]);
}

/* Where the costs of some symbols are, whether they are coded or not: with a shift of its own for each of some numbers
 * at once. Elsewhere each is found alone. */
#if defined(SKYBOOK_X86) && !SKYBOOK_SMALL
#define SKYBOOK_COSTS_BY_PART 1
static inline void skybook_find_costs(const uint32_t *restrict symbols, uint16_t *restrict places)
{
    const uint32_t escape = 2 * SKYBOOK_LARGEST + 1;
    uint8_t levels[SKYBOOK_PART], lows[SKYBOOK_PART];
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        levels[i] = (uint8_t)(symbols[i] % SKYBOOK_LEVELS);
    }
    skybook_look_up(skybook_shifts, levels, lows);
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        const uint32_t row = symbols[i] & ((1u << SKYBOOK_ROW_BITS) - 1u);
        const uint32_t place = (uint32_t)(((int32_t)symbols[i] >> SKYBOOK_ROW_BITS >> lows[i]) + SKYBOOK_LARGEST);
        places[i] = (uint16_t)(row * (escape + 1) + (place < escape ? place : escape));
    }
}

static inline uint32_t skybook_cost_at(uint16_t place)
{
    return ((const uint16_t *)(const void *)skybook_costs)[place];
}

/* How many of them escape. */
static inline uint32_t skybook_count_escapes(const uint32_t *symbols, const uint16_t *places)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < SKYBOOK_PART; i++) {
        count += skybook_is_escape(symbols[i], skybook_cost_at(places[i]));
    }
    return count;
}
#else
#define SKYBOOK_COSTS_BY_PART 0
#endif

/* deadzone.c: the levels of the channel of a layer that has a number in it, from its sums; note which of
 * its positions are coded, count them, and note if one that is not is too far from 0 for that. Then, where the first
 * symbol of each position of the layer comes among those of the layer; how many there are. */
void skybook_scan_levels(struct skybook_scan *scan, uint32_t channel, uint32_t number, const skybook_sum *sums,
                         const int32_t *aways, uint8_t *levels, uint64_t *coded);
uint32_t skybook_find_places(struct skybook_scan *scan, uint32_t next[SKYBOOK_POSITIONS]);

/* scan.c: the step of a tile scaled down by some octaves; latents of a channel in 1/64 step. */
void skybook_set_step(struct skybook_scan *scan, uint32_t code, uint32_t octaves);
void skybook_scan_latents(struct skybook_scan *scan, uint32_t channel, int32_t *restrict aways);

/* deadzone.c: quantise, take the next symbol of the DC of a plain tile; quantise a layer of AC, and take its
 * symbols. */
int32_t skybook_quantise(int32_t away, uint32_t row, int32_t ease);
void skybook_take(struct skybook_scan *scan, uint32_t place, uint32_t row, int32_t residual);
void skybook_scan_plain_layer(struct skybook_scan *scan, uint32_t first, uint32_t stop);

/* hide.c: begin a run of channels of a layer; go on by the next, of which it takes what is known of the symbols of
 * a part; hide a sign at each position that does, once a run of channels is quantised. */
#define SKYBOOK_STRONG_LEVEL 17u
#define SKYBOOK_LEAST_STRONG 5u /* symbols of that level or a higher one in a run that hides a sign */
struct skybook_rules {
    uint8_t dead[SKYBOOK_PART], rounding[SKYBOOK_PART];
};
void skybook_begin_run(struct skybook_scan *scan);
void skybook_follow(struct skybook_followed *restrict followed, uint32_t number, const uint8_t *restrict levels,
                    const uint8_t *restrict sizes, const uint8_t *restrict low, const uint8_t *restrict signs,
                    const struct skybook_rules *restrict rules);
void skybook_hide(struct skybook_scan *scan, uint32_t first, uint32_t begin, uint32_t end);

/* path.c: the same of a dependent tile: a symbol of the DC; a layer whose steps are known; one of AC.
 * What the index of a step stands for, in half steps. */
void skybook_add_step(struct skybook_scan *scan, uint32_t channel, uint32_t position, uint32_t level,
                      int32_t away);
void skybook_take_path(struct skybook_scan *scan, uint32_t places);
void skybook_scan_layer(struct skybook_scan *scan, uint32_t first, uint32_t stop);
static inline int32_t skybook_point(const struct skybook_path *path, uint32_t step)
{
    const int32_t index = path->away[step], odd = path->states[step] & 1;
    return 2 * index - (index > 0 ? odd : index < 0 ? -odd : 0);
}

#endif
