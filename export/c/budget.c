/* Rate control: a strip at the finest steps that fit its budget (SPEC.md, section 13). */
#include <string.h>

#include "vectors.h"

#define TRIES 8
#define MUCH 3   /* more than a share of 2^-3 is left where sizes are far from their guess */
#define LITTLE 6 /* a share of 2^-6 may be left; more is worth another search, or a thrifty tile */
#define THRIFTIEST 1536
#define USUAL_THRIFT 256 /* more is tried only where this does not do */
#define TILES 32          /* that are given a finer code, thriftily, at most */
#define MOST_BUDGET ((int64_t)1 << 32) /* no strip takes as much */
#define TRELLIS_CODES 3
#define GUESS_SHIFT 11 /* twice what every second position takes, in 1/4096 bit */
#define USUAL_BANDS 4
#define PLAIN_OCTAVES 2 /* below the bits of samples of 16 bits, before a trellis counts */
#define OCTAVE 16       /* fraction bits of octaves */
#define MORE_ALONG_A_TRELLIS 3 /* in 1/64 an octave */

#define COUNTERS 8u /* of each bin, so that equal neighbours need not wait for each other */

/* Count the latents of every second position of the tile in work, but for those of 0, by quarter
 * octaves; positions that it does not have are 0. */
static void count_bins(const struct skybook_form *form, const struct skybook_work *work,
                       uint32_t counts[SKYBOOK_BINS])
{
    uint16_t parts[COUNTERS][SKYBOOK_BINS + 1] = {{0}};
    for (uint32_t first = 0; first < form->channels * form->positions; first += 2 * SKYBOOK_PART) {
        int32_t latents[SKYBOOK_PART];
        uint8_t bins[SKYBOOK_PART];
        skybook_take_evens(&work->room.latents[first], latents);
        skybook_find_bins(latents, bins);
        for (uint32_t i = 0; i < SKYBOOK_PART; i += COUNTERS) {
            uint64_t some; /* read at once, in whichever order a word has its bytes */
            memcpy(&some, &bins[i], sizeof(some));
            for (uint32_t part = 0; part < COUNTERS; part++, some >>= 8) {
                parts[part][some & 255u]++;
            }
        }
    }
    for (uint32_t bin = 0; bin < SKYBOOK_BINS; bin++) {
        counts[bin] = 0;
        for (uint32_t part = 0; part < COUNTERS; part++) {
            counts[bin] += parts[part][bin];
        }
    }
}

/* A counter counts one of 2 COUNTERS latents. */
typedef char skybook_counters_hold_all[SKYBOOK_SAMPLES / (2 * COUNTERS) < 65536 ? 1 : -1];

/* Add what so many latents take at each step code; 32 bits hold that of SKYBOOK_GUESS_AT_ONCE. */
static void add_guess(const uint32_t *restrict at, uint32_t count, uint32_t parts[256])
{
    for (uint32_t code = 0; code < 256; code++) {
        parts[code] += count * at[code];
    }
}

static void move_up(uint32_t parts[256], uint64_t sums[256])
{
    for (uint32_t code = 0; code < 256; code++) {
        sums[code] += parts[code];
        parts[code] = 0;
    }
}

/* Whole octaves of a number above 0, and between these on straight lines, in 2^-16; `*whole` is not
 * below them, and becomes them. */
static int64_t octaves(uint32_t number, uint32_t *whole)
{
    while (number >> *whole == 0) {
        --*whole;
    }
    return ((int64_t)*whole - 1) * (1 << OCTAVE) + (int64_t)(((uint64_t)number << OCTAVE) >> *whole);
}

/* Add what a tile takes beyond the bits of a usual plain one with the same latents: it does where many
 * bands leave few latents to each, and at coarse steps along a trellis. */
static void add_more(const struct skybook_form *form, const struct skybook_tile *tile,
                     bool dependent, uint32_t bits[256])
{
    const uint32_t positions = ((tile->rows + 7u) / 8u) * ((tile->cols + 7u) / 8u);
    const int64_t more =
        form->bands > USUAL_BANDS ? (int64_t)(form->bands - USUAL_BANDS) << OCTAVE : 0;
    uint32_t whole = 31;
    const int64_t least =
        octaves(16u * 64u * form->bands * positions, &whole) - (PLAIN_OCTAVES << OCTAVE);
    whole = 31;
    for (uint32_t code = 0; code < 256; code++) { /* bits do not rise */
        const int64_t further =
            dependent && bits[code] > 0 ? least - octaves(bits[code], &whole) : 0;
        const int64_t share = more + (further > 0 ? MORE_ALONG_A_TRELLIS * further : 0);
        bits[code] += (uint32_t)(((uint64_t)bits[code] * (uint64_t)share) >> (6 + OCTAVE));
    }
}

/* Guess the bits of the tile in work at each step code, from how large its latents are. A dependent
 * tile takes what a plain one does that is some codes finer, and more. */
void skybook_guess_bits(const struct skybook_form *form, const struct skybook_work *work,
                        const struct skybook_tile *tile, bool dependent, uint32_t bits[256])
{
    uint32_t counts[SKYBOOK_BINS], parts[256] = {0}, added = 0;
    uint64_t sums[256] = {0};
    count_bins(form, work, counts);
    const uint32_t bins = tile->shift > 0 ? SKYBOOK_GUESS_BINS : SKYBOOK_BINS; /* those of components are not scaled */
    for (uint32_t bin = 0; bin < bins; bin++) {
        const uint32_t *at = &skybook_guess[SKYBOOK_GUESS_ORIGIN - 4 * bin - 16u * tile->shift];
        for (uint32_t left = counts[bin]; left > 0;) {
            const uint32_t room = SKYBOOK_GUESS_AT_ONCE - added, count = left < room ? left : room;
            add_guess(at, count, parts);
            left -= count;
            added += count;
            if (added == SKYBOOK_GUESS_AT_ONCE) {
                move_up(parts, sums);
                added = 0;
            }
        }
    }
    move_up(parts, sums);
    for (uint32_t code = 0; code < 256; code++) {
        const uint32_t finer = dependent ? TRELLIS_CODES : 0;
        const uint32_t at = code > finer ? code - finer : 0;
        bits[code] = (uint32_t)(sums[at] >> GUESS_SHIFT);
    }
    add_more(form, tile, dependent, bits);
    for (uint32_t code = 0; code < 256; code++) {
        bits[code] += 8 * form->side_bytes;
    }
}

/* Analyse a tile; guess its bits if it has data. */
static enum skybook_status analyse(struct skybook_encoder *encoder, struct skybook_encoder *by,
                                   uint32_t column)
{
    const struct skybook_tile *tile = &by->tiles[column];
    const enum skybook_status status = skybook_analyse(by, column);
    if (status == SKYBOOK_OK && skybook_has_step(tile)) {
        uint32_t *bits = encoder->search.guess[skybook_place_in_row(encoder, column)];
#if SKYBOOK_GROUPS > 1
        if (by->options.profile != NULL) {
            memcpy(bits, by->work.guess, sizeof(by->work.guess));
            return status;
        }
#endif
        skybook_guess_bits(&by->form, &by->work, tile, by->options.trellis, bits);
    }
    return status;
}

/* Analyse all tiles; those that have data take part in the search. */
static enum skybook_status open_search(struct skybook_encoder *encoder)
{
    struct skybook_search *search = &encoder->search;
    for (uint32_t column = 0; column < encoder->columns; column++) {
        search->columns[skybook_place_in_row(encoder, column)] = (uint16_t)column;
    }
    const enum skybook_status status =
        skybook_do_all(encoder, analyse, search->columns, encoder->columns);
    search->count = 0;
    for (uint32_t place = 0; place < encoder->columns && status == SKYBOOK_OK; place++) {
        const uint16_t column = search->columns[place];
        const struct skybook_tile *tile = &encoder->tiles[column];
        if (skybook_has_step(tile)) {
            memmove(search->guess[search->count], search->guess[place], sizeof(search->guess[0]));
            search->finest[search->count] = tile->finest;
            search->columns[search->count++] = column;
        }
    }
    skybook_begin_search(search);
    return status;
}

static enum skybook_status code(struct skybook_encoder *encoder, struct skybook_encoder *by,
                                uint32_t column)
{
    (void)encoder;
    return skybook_code(by, column);
}

/* Plan and code some tiles at their codes; learn their sizes. */
static enum skybook_status take(struct skybook_encoder *encoder, const uint16_t *numbers,
                                uint32_t count)
{
    struct skybook_search *search = &encoder->search;
    uint16_t columns[SKYBOOK_MAX_TILES] = {0};
    for (uint32_t i = 0; i < count; i++) {
        columns[i] = search->columns[numbers[i]];
        encoder->tiles[columns[i]].code = search->codes[numbers[i]];
        encoder->tiles[columns[i]].thrift = search->thrift[numbers[i]];
    }
    const enum skybook_status status = skybook_do_all(encoder, code, columns, count);
    for (uint32_t i = 0; i < count && status == SKYBOOK_OK; i++) {
        const struct skybook_tile *tile = &encoder->tiles[columns[i]];
        int64_t size = 0;
        for (uint32_t piece = tile->planned; piece < tile->planned_stop; piece++) {
            size += encoder->pieces[piece].length;
        }
        search->sizes[numbers[i]] = size;
    }
    return status;
}

static enum skybook_status take_changed(struct skybook_encoder *encoder)
{
    uint16_t numbers[SKYBOOK_MAX_TILES] = {0};
    uint32_t count = 0;
    for (uint32_t i = 0; i < encoder->search.count; i++) {
        if (encoder->search.changed[i]) {
            numbers[count++] = (uint16_t)i;
        }
    }
    return take(encoder, numbers, count);
}

static enum skybook_status take_coarsest(struct skybook_encoder *encoder)
{
    struct skybook_search *search = &encoder->search;
    for (uint32_t i = 0; i < search->count; i++) {
        search->codes[i] = SKYBOOK_COARSEST;
        search->thrift[i] = 0;
        search->changed[i] = true;
    }
    return take_changed(encoder);
}

static bool is_coarsest(const struct skybook_search *search)
{
    bool coarsest = true;
    for (uint32_t i = 0; i < search->count; i++) {
        coarsest = coarsest && search->codes[i] == SKYBOOK_COARSEST;
    }
    return coarsest;
}

static int64_t at_least_1(int64_t value)
{
    return value > 1 ? value : 1;
}

/* Choose codes part by part: what the first tiles take tells how good the guess is. Totals are
 * those of a strip at the beginning of a scene. */
static enum skybook_status take_parts(struct skybook_encoder *encoder, int64_t budget)
{
    struct skybook_search *search = &encoder->search;
    const int64_t fixed = skybook_planned_total(encoder, 0) + (int64_t)encoder->head_length;
    enum skybook_status status = SKYBOOK_OK;
    int64_t known = 0;
    for (uint32_t stop = 0; stop < search->count;) {
        int64_t share = budget - fixed;
        if (known > 0) { /* what packets add */
            share = share * known / at_least_1(skybook_planned_total(encoder, 0) - fixed);
        }
        const uint32_t before = stop;
        stop = skybook_part(search, before);
        const uint32_t first = skybook_choose(search, before, stop, share);
        for (uint32_t i = first; i < before; i++) {
            known -= search->sizes[search->order[i]];
        }
        status = status == SKYBOOK_OK ? take(encoder, &search->order[first], stop - first) : status;
        for (uint32_t i = first; i < stop; i++) {
            known += search->sizes[search->order[i]];
        }
    }
    if (status == SKYBOOK_OK) {
        skybook_adjust(search, budget - skybook_planned_total(encoder, 0), budget);
        status = take_changed(encoder);
    }
    return status;
}

/* Go back to other codes and sizes. */
static enum skybook_status restore(struct skybook_encoder *encoder,
                                   const struct skybook_settled *best)
{
    struct skybook_search *search = &encoder->search;
    for (uint32_t i = 0; i < search->count; i++) {
        search->changed[i] = search->codes[i] != best->codes[i];
    }
    memcpy(search->codes, best->codes, sizeof(search->codes));
    memcpy(search->old_codes, best->old_codes, sizeof(search->old_codes));
    memcpy(search->old_sizes, best->old_sizes, sizeof(search->old_sizes));
    return take_changed(encoder);
}

static void keep(const struct skybook_search *search, struct skybook_settled *best)
{
    memcpy(best->codes, search->codes, sizeof(best->codes));
    memcpy(best->old_codes, search->old_codes, sizeof(best->old_codes));
    memcpy(best->old_sizes, search->old_sizes, sizeof(best->old_sizes));
}

static bool is_finest(const struct skybook_search *search)
{
    bool finest = true;
    for (uint32_t i = 0; i < search->count; i++) {
        finest = finest && search->codes[i] == search->finest[i];
    }
    return finest;
}

/* Find by halving the finest codes, one for all tiles or two next to each other, with which the
 * strip as planned fits its budget. */
static enum skybook_status halve(struct skybook_encoder *encoder, int64_t budget)
{
    struct skybook_search *search = &encoder->search;
    uint32_t low = 0, high = skybook_places(search);
    enum skybook_status status = SKYBOOK_OK;
    while (status == SKYBOOK_OK) {
        const uint32_t place = (low + high) / 2;
        skybook_go_to(search, place);
        status = take_changed(encoder);
        if (low == high) {
            break;
        }
        if (skybook_planned_total(encoder, encoder->segments) <= budget) {
            high = place;
        } else {
            low = place + 1;
        }
    }
    return status;
}

/* Take a thrift for a tile; tell what it leaves of the budget. */
static enum skybook_status take_at(struct skybook_encoder *encoder, uint32_t tile, uint32_t thrift,
                                   int64_t budget, int64_t *left)
{
    const uint16_t number = (uint16_t)tile;
    encoder->search.thrift[tile] = (uint16_t)thrift;
    const enum skybook_status status = take(encoder, &number, 1);
    *left = budget - skybook_planned_total(encoder, encoder->segments);
    return status;
}

/* Give a tile the next finer code, with the thrift of which least is left; what it had if none
 * leaves less. */
static enum skybook_status refine_thriftily(struct skybook_encoder *encoder, uint32_t tile,
                                            int64_t budget, bool *refined)
{
    const uint16_t before = encoder->search.thrift[tile];
    int64_t least = budget - skybook_planned_total(encoder, encoder->segments);
    int64_t left = least;
    int32_t low = 0, high = USUAL_THRIFT, thrift = 0, best = -1;
    encoder->search.codes[tile]--;
    while (low <= high && least > budget >> LITTLE) {
        thrift = (low + high) / 2;
        const enum skybook_status status =
            take_at(encoder, tile, (uint32_t)thrift, budget, &left);
        if (status != SKYBOOK_OK) {
            return status;
        }
        if (left >= 0 && left < least) {
            least = left;
            best = thrift;
        }
        low = left >= 0 ? low : thrift + 1;
        high = left >= 0 ? thrift - 1 : high;
        high = low > high && high == USUAL_THRIFT ? THRIFTIEST : high;
    }
    *refined = best >= 0;
    if (best == thrift) {
        return SKYBOOK_OK;
    }
    if (!*refined) {
        encoder->search.codes[tile]++;
        best = before;
    }
    return take_at(encoder, tile, (uint32_t)best, budget, &left);
}

/* While much is left, give tiles the next finer code. */
static enum skybook_status fill(struct skybook_encoder *encoder, int64_t budget)
{
    uint16_t vain[TILES] = {0};
    uint32_t count = 0;
    for (uint32_t tries = 0; tries < TILES; tries++) {
        const uint32_t tile = skybook_next_finer(&encoder->search, vain, count);
        if (tile == encoder->search.count ||
            budget - skybook_planned_total(encoder, encoder->segments) <= budget >> LITTLE) {
            break;
        }
        bool refined = false;
        const enum skybook_status status = refine_thriftily(encoder, tile, budget, &refined);
        if (status != SKYBOOK_OK) {
            return status;
        }
        if (!refined) {
            vain[count++] = (uint16_t)tile;
        }
    }
    return SKYBOOK_OK;
}

/* Change codes until the strip as planned nearly fills its budget. */
static enum skybook_status settle(struct skybook_encoder *encoder, int64_t budget)
{
    struct skybook_settled best = {{0}, {0}, {0}};
    enum skybook_status status = SKYBOOK_OK;
    int64_t most = -1;
    for (uint32_t tries = 0; tries < TRIES; tries++) {
        const int64_t total = skybook_planned_total(encoder, encoder->segments);
        if (total > most && total <= budget) {
            keep(&encoder->search, &best);
            most = total;
        }
        if (skybook_adjust(&encoder->search, budget - total, budget) == 0) {
            break;
        }
        status = take_changed(encoder);
        if (status != SKYBOOK_OK) {
            return status;
        }
    }
    int64_t total = skybook_planned_total(encoder, encoder->segments);
    if (most >= 0 && (total < most || total > budget)) {
        status = restore(encoder, &best);
        if (status != SKYBOOK_OK) {
            return status;
        }
    }
    if (most < budget - (budget >> MUCH) && !is_finest(&encoder->search)) {
        status = halve(encoder, budget);
        total = skybook_planned_total(encoder, encoder->segments);
        if (total < most) {
            return status == SKYBOOK_OK ? restore(encoder, &best) : status;
        }
    }
    return status;
}

/* Where the strip takes more than was planned, code it anew until it fits. Only a budget in bytes
 * must not be passed: at a ratio, what the coarsest step takes is written all the same. */
static enum skybook_status make_fit(struct skybook_encoder *encoder, int64_t budget, int64_t spare,
                                    int64_t *total)
{
    struct skybook_search *search = &encoder->search;
    for (uint32_t tries = 0; tries <= TRIES; tries++) {
        enum skybook_status status = skybook_code_missing(encoder);
        if (status != SKYBOOK_OK) {
            return status;
        }
        *total = skybook_coded_total(encoder);
        if (*total <= budget) {
            return SKYBOOK_OK;
        }
        if (tries == TRIES || is_coarsest(search)) {
            const bool strict = encoder->options.budget > 0;
            return !strict || *total <= budget + spare ? SKYBOOK_OK : SKYBOOK_ERROR_LIMIT;
        }
        if (tries == TRIES - 1) {
            status = take_coarsest(encoder);
        } else {
            const int64_t over = *total - skybook_planned_total(encoder, encoder->segments);
            skybook_adjust(search, budget - *total, budget);
            status = take_changed(encoder);
            status = status == SKYBOOK_OK ? fill(encoder, budget - (over > 0 ? over : 0)) : status;
        }
        if (status != SKYBOOK_OK) {
            return status;
        }
    }
    return SKYBOOK_ERROR_LIMIT;
}

/* Code all tiles at the codes of the search, whatever they take. */
static enum skybook_status code_at_quality(struct skybook_encoder *encoder)
{
    struct skybook_search *search = &encoder->search;
    for (uint32_t i = 0; i < search->count; i++) {
        search->changed[i] = true;
    }
    enum skybook_status status = take_changed(encoder);
    status = status == SKYBOOK_OK ? skybook_code_missing(encoder) : status;
    if (status == SKYBOOK_OK) {
        skybook_note_quality(encoder);
    }
    return status;
}

enum skybook_status skybook_code_within(struct skybook_encoder *encoder, int64_t budget)
{
    const int64_t most = budget < MOST_BUDGET ? budget : MOST_BUDGET;
    int64_t total = 0;
    enum skybook_status status = open_search(encoder);
    if (status == SKYBOOK_OK && skybook_has_quality(&encoder->options)) {
        status = skybook_aim_strip(encoder);
        if (status == SKYBOOK_OK && !skybook_is_limited(&encoder->options)) {
            return code_at_quality(encoder);
        }
    }
    if (status == SKYBOOK_OK && encoder->search.count > 0) {
        status = take_parts(encoder, most);
    }
    if (status == SKYBOOK_OK && encoder->search.count > 0) {
        status = settle(encoder, most);
        status = status == SKYBOOK_OK ? fill(encoder, most) : status;
    }
    if (status == SKYBOOK_OK) {
        status = make_fit(encoder, most, encoder->spare, &total);
    }
    if (status == SKYBOOK_OK) {
        skybook_note_strip(encoder, budget, budget - total);
    }
    encoder->spare += budget - total;
    return status;
}
