/* Entropy coder: a lane of symbols, written from the last to the first (SPEC.md, section 11). */
#include "lane.h"

#define ESCAPE 63
#define LARGEST 31
#define ROWS (1u << SKYBOOK_ROW_BITS)
#define TABLES (SKYBOOK_SMALL ? SKYBOOK_HIDDEN_ROW : ROWS) /* a small build makes those of hidden signs of others */
#define PER_ROW (sizeof(skybook_starts[0]) / sizeof(skybook_starts[0][0]))
#define NOWHERE (PER_ROW - 1) /* after it comes the start of another row: there is no symbol */
#define SOME 32u      /* symbols whose places are found before they are put */
#define FEWEST 4u     /* of them, or they are put one by one */
#define MOST_BYTES 8u /* of a residual: of an escape, of 16 bits in two numbers, and of low bits */

static int32_t residual_of(uint32_t symbol)
{
    return (int32_t)symbol >> SKYBOOK_ROW_BITS;
}

/* Whether a symbol is that whose sign is hidden: minus its size is in the place of the residual then. */
static bool is_unsigned(uint32_t symbol)
{
    const uint32_t row = symbol % ROWS;
    const int32_t size = -residual_of(symbol);
    return row >= SKYBOOK_HIDDEN_ROW && size > 0 && size <= LARGEST &&
           (skybook_own[row - SKYBOOK_HIDDEN_ROW] >> size & 1u) > 0;
}

#if SKYBOOK_SMALL
/* Put a symbol of the tables of runs whose sign is hidden, which a small build makes of the usual ones; false if it
 * is as in those. */
static bool put_hidden(struct skybook_lane *lane, uint32_t symbol, bool roomy)
{
    const int32_t residual = residual_of(symbol);
    const uint32_t row = symbol % ROWS - SKYBOOK_HIDDEN_ROW; /* of others beyond all */
    if (row >= SKYBOOK_PLAIN_ROWS || skybook_own[row] == 0 || (residual != 0 && !is_unsigned(symbol))) {
        return false;
    }
    const uint16_t *starts = &skybook_starts[row][residual + LARGEST];
    const uint32_t own = (uint32_t)(starts[1] - starts[0]) << (residual < 0);
    if (own == 0) {
        return false;
    }
    skybook_put_symbol(lane, 2u * starts[0], 4096u - own, roomy);
    return true;
}
#endif

/* Put a residual that no symbol of its row is of alone: it has low bits of its own, or it is an escape. False
 * if it is so large that no escape can tell it. `roomy`: MOST_BYTES are free. */
static bool put_residual(struct skybook_lane *lane, uint32_t of, bool roomy)
{
#if SKYBOOK_SMALL
    if (put_hidden(lane, of, roomy)) {
        return true;
    }
    const uint32_t row = of % ROWS % SKYBOOK_HIDDEN_ROW;
#else
    const uint32_t row = of % ROWS;
#endif
    const int32_t residual = residual_of(of);
    const unsigned shift = skybook_shifts[row % SKYBOOK_LEVELS];
    const int32_t high = residual >> shift;
    const uint32_t place = (uint32_t)(high + LARGEST);
    const uint16_t *starts = skybook_starts[row];
    uint32_t symbol = place < ESCAPE ? place : ESCAPE;
    symbol = starts[symbol] == starts[symbol + 1] ? ESCAPE : symbol;
    if (shift > 0) {
        skybook_put_raw(lane, (uint32_t)residual & ((1u << shift) - 1u), shift, roomy);
    }
    if (symbol == ESCAPE) {
        const int32_t value = high + 32768;
        if (value < 0 || value > 65535) {
            return false;
        }
        skybook_put_raw(lane, (uint32_t)(value & 255), 8, roomy);
        skybook_put_raw(lane, (uint32_t)(value >> 8), 8, roomy);
    }
    skybook_put_symbol(lane, starts[symbol], 4096u + starts[symbol] - starts[symbol + 1], roomy);
    return true;
}

/* Find where the starts of symbols are, if each is a residual alone, as most are. */
static inline void find_places(const uint32_t *restrict symbols, size_t count, uint32_t *restrict places)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t row = symbols[i] % ROWS, place = (uint32_t)(residual_of(symbols[i]) + LARGEST);
        const bool has_table = row < TABLES;
        const bool alone = (place < ESCAPE) & (row % SKYBOOK_LEVELS < SKYBOOK_WHOLE_LEVELS) & has_table;
        places[i] = alone ? row * (uint32_t)PER_ROW + place : (uint32_t)NOWHERE;
    }
}

/* Put a residual that has low bits of its own, where there is surely room; false if it is no such one, or an
 * escape. */
static inline bool put_with_low_bits(struct skybook_lane *lane, uint32_t symbol)
{
    const uint32_t row = symbol % ROWS, shift = skybook_shifts[row % SKYBOOK_LEVELS];
    const uint32_t place = (uint32_t)((residual_of(symbol) >> shift) + LARGEST);
    if ((place >= ESCAPE) | (row >= TABLES)) {
        return false;
    }
    const uint16_t *starts = &skybook_starts[row][place];
    const uint32_t others = 4096u + starts[0] - starts[1];
    if (others >= 4096) {
        return false;
    }
    skybook_put_raw(lane, symbol >> SKYBOOK_ROW_BITS & ((1u << shift) - 1u), shift, true);
    skybook_put_symbol(lane, starts[0], others, true);
    return true;
}

/* Put a symbol whose place was found, where there is surely room; false as above. */
static inline bool put_next(struct skybook_lane *lane, uint32_t place, uint32_t symbol)
{
    const uint16_t *starts = (const uint16_t *)(const void *)skybook_starts + place;
    const uint32_t others = 4096u + starts[0] - starts[1]; /* 4096 or more where there is no symbol */
    if (others < 4096) {
        skybook_put_symbol(lane, starts[0], others, true);
        return true;
    }
    if (put_with_low_bits(lane, symbol)) {
        return true;
    }
    struct skybook_lane own = *lane; /* so that nothing points to the lane, and it stays in registers */
    const bool good = put_residual(&own, symbol, true);
    *lane = own;
    return good;
}

/* Symbols that are put next to a lane that takes so many more: as many as there is surely room for. */
static inline size_t next_of(const struct skybook_lane *lane, size_t left)
{
    if (left >= SOME && skybook_free(lane) >= SOME * MOST_BYTES) {
        return SOME; /* as processors foretell: nothing has to wait until it is known where the lane begins */
    }
    const size_t roomy = skybook_free(lane) / MOST_BYTES, most = roomy < SOME ? roomy : SOME;
    return most < FEWEST ? 0 : left < most ? left : most;
}

/* Put symbols from the last on as long as there is surely room for some of them; how many are left. */
static size_t put_roomy(struct skybook_lane *lane, const uint32_t *symbols, size_t count)
{
    struct skybook_lane own = *lane;
    size_t left = count, some = next_of(&own, left);
    bool good = true;
    while (good && some > 0) {
        const size_t stop = left - some;
        uint32_t places[SOME];
        find_places(&symbols[stop], some, places);
        while (good && left > stop) {
            good = put_next(&own, places[left - stop - 1], symbols[left - 1]);
            left -= good;
        }
        some = next_of(&own, left);
    }
    *lane = own;
    return left;
}

/* A run that is put, and its lane; how many of its symbols are left. */
struct turn {
    struct skybook_run *run;
    struct skybook_lane lane;
    size_t left;
};

/* Whether symbols of a lane can be put next to those of another. */
static inline bool goes_on(const struct skybook_lane *lane, size_t left)
{
    return next_of(lane, left) > 0;
}

/* The same with two lanes, a symbol of each by turns as long as both go on: what one waits for is done while the other
 * waits. False if a symbol is out of range. */
static bool put_by_turns(struct turn turns[2])
{
    struct skybook_lane one = turns[0].lane, other = turns[1].lane;
    size_t of_one = turns[0].left, of_other = turns[1].left, some = 1;
    bool good = true;
    while (good && some > 0) {
        const size_t next = next_of(&one, of_one), next_other = next_of(&other, of_other);
        uint32_t places[2][SOME];
        some = next < next_other ? next : next_other;
        of_one -= some;
        of_other -= some;
        const uint32_t *symbols = &turns[0].run->symbols[of_one], *others = &turns[1].run->symbols[of_other];
        find_places(symbols, some, places[0]);
        find_places(others, some, places[1]);
        for (size_t i = some; i > 0 && good; i--) {
            good = put_next(&one, places[0][i - 1], symbols[i - 1]);
            good &= put_next(&other, places[1][i - 1], others[i - 1]);
        }
    }
    turns[0].lane = one;
    turns[1].lane = other;
    turns[0].left = of_one;
    turns[1].left = of_other;
    return good;
}

static void begin(struct turn *turn, struct skybook_run *run)
{
    turn->run = run;
    turn->lane = skybook_begin_lane(run->buffer, run->size);
    turn->left = run->count;
}

/* Put the first symbols of a run, those after which are put. */
static void end(struct turn *turn)
{
    struct skybook_run *run = turn->run;
    struct skybook_lane *lane = &turn->lane;
    for (size_t left = put_roomy(lane, run->symbols, turn->left); left > 0 && !lane->full; left--) {
        if (!put_residual(lane, run->symbols[left - 1], false)) {
            run->length = SKYBOOK_NO_LANE;
            return;
        }
    }
    const size_t length = skybook_end_lane(lane, run->size);
    run->length = length > run->most ? 0 : length;
}

void skybook_make_lanes(struct skybook_run *const *runs, uint32_t count)
{
    struct turn turns[2];
    uint32_t next = 0; /* whose turns the next run takes */
    for (uint32_t i = 0; i < count; i++) {
        begin(&turns[next], runs[i]);
        if (i == 0) {
            next = 1;
            continue;
        }
        if (!put_by_turns(turns)) {
            for (uint32_t run = 0; run < count; run++) {
                runs[run]->length = SKYBOOK_NO_LANE;
            }
            return;
        }
        next = goes_on(&turns[0].lane, turns[0].left) ? 1 : 0;
        end(&turns[next]);
    }
    if (count > 0) {
        end(&turns[1 - next]);
    }
}

/* A residual as a reader of raw ones takes it: one whose sign is hidden is above 0. */
static int32_t raw_residual_of(uint32_t symbol)
{
    return is_unsigned(symbol) ? -residual_of(symbol) : residual_of(symbol);
}

/* The least width that residuals fit, 8 bits or more; above 16 bits there is no raw lane. */
static unsigned width_of(const uint32_t *symbols, size_t count)
{
    int32_t largest = 127;
    for (size_t i = 0; i < count; i++) {
        const int32_t residual = raw_residual_of(symbols[i]);
        const int32_t size = residual < 0 ? ~residual : residual;
        largest = size > largest ? size : largest;
    }
    unsigned width = 8;
    while (largest >> (width - 1) != 0) {
        width++;
    }
    return width;
}

size_t skybook_raw_bytes(const uint32_t *symbols, size_t count)
{
    const unsigned width = width_of(symbols, count);
    return width > 16 ? SKYBOOK_NO_LANE : SKYBOOK_RAW_HEAD + (count * width + 7) / 8;
}

size_t skybook_raw_lane(const uint32_t *symbols, size_t count, uint8_t *buffer)
{
    const unsigned width = width_of(symbols, count);
    const uint32_t mask = (1u << width) - 1u;
    uint32_t held = 0;
    unsigned bits = 0;
    size_t length = SKYBOOK_RAW_HEAD;
    buffer[0] = 0;
    buffer[1] = 0;
    buffer[2] = (uint8_t)width;
    for (size_t i = 0; i < count; i++) {
        held = held << width | ((uint32_t)raw_residual_of(symbols[i]) & mask);
        for (bits += width; bits >= 8; bits -= 8) {
            buffer[length] = (uint8_t)(held >> (bits - 8));
            length++;
        }
    }
    if (bits > 0) {
        buffer[length] = (uint8_t)(held << (8 - bits));
        length++;
    }
    return length;
}
