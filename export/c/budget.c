/* Rate control: a strip at the finest steps that fit its budget (SPEC.md, section 13). */
#include <string.h>

#include "parts.h"

#define TRIES 8
#define LITTLE 6 /* a share of 2^-6 may be left; more is worth another search, or a thrifty tile */
#define THRIFTIEST 1024
#define MOST_BUDGET ((int64_t)1 << 32) /* no strip takes as much */
#define TRELLIS_CODES 3
#define GUESS_SHIFT 11 /* twice what every second position takes, in 1/4096 bit */

/* Quarter octaves of a latent from 1 on. */
static uint32_t bin_of(uint32_t size)
{
    const uint32_t bit = skybook_highest_bit(size);
    return 4 * bit + (((size << 2) >> bit) & 3u);
}

/* Count the latents of every second position of the tile in work by quarter octaves. */
static void count_bins(const struct skybook_form *form, const struct skybook_work *work,
                       uint32_t counts[SKYBOOK_GUESS_BINS])
{
    uint32_t small[4][256] = {{0}}; /* four, so that equal neighbours need not wait */
    const uint32_t positions = (uint32_t)work->positions[0] * work->positions[1];
    for (uint32_t channel = 0; channel < form->channels; channel++) {
        const int32_t *latents = &work->latents[channel * form->positions];
        for (uint32_t i = 0; i < positions; i += 2) {
            const int32_t latent = latents[i];
            const uint32_t size = (uint32_t)(latent < 0 ? -latent : latent);
            if (size < 256) {
                small[(i >> 1) & 3u][size]++;
            } else {
                counts[bin_of(size)]++;
            }
        }
    }
    for (uint32_t size = 1; size < 256; size++) {
        counts[bin_of(size)] += small[0][size] + small[1][size] + small[2][size] + small[3][size];
    }
}

/* Guess the bits of the tile in work at each step code, from how large its latents are. A dependent
 * tile takes what a plain one does that is some codes finer. */
static void guess(const struct skybook_form *form, const struct skybook_work *work,
                  const struct skybook_tile *tile, bool dependent, uint32_t bits[256])
{
    uint32_t counts[SKYBOOK_GUESS_BINS] = {0};
    uint64_t sums[256] = {0};
    count_bins(form, work, counts);
    for (uint32_t bin = 0; bin < SKYBOOK_GUESS_BINS; bin++) {
        const uint64_t count = counts[bin];
        const uint32_t *at = &skybook_guess[SKYBOOK_GUESS_ORIGIN - 4 * bin - 16u * tile->shift];
        for (uint32_t code = 0; code < 256 && count > 0; code++) {
            sums[code] += count * at[code];
        }
    }
    for (uint32_t code = 0; code < 256; code++) {
        const uint32_t finer = dependent ? TRELLIS_CODES : 0;
        const uint32_t at = code > finer ? code - finer : 0;
        bits[code] = (uint32_t)(sums[at] >> GUESS_SHIFT) + 8 * form->side_bytes;
    }
}

/* Analyse all tiles; those that have data take part in the search. */
static enum skybook_status open_search(struct skybook_encoder *encoder)
{
    struct skybook_search *search = &encoder->search;
    enum skybook_status status = SKYBOOK_OK;
    search->count = 0;
    for (uint32_t column = 0; column < encoder->columns && status == SKYBOOK_OK; column++) {
        status = skybook_analyse(encoder, column);
        const struct skybook_tile *tile = &encoder->tiles[column];
        if (status == SKYBOOK_OK && skybook_has_step(tile)) {
            guess(&encoder->form, &encoder->work, tile, encoder->options.trellis,
                  search->guess[search->count]);
            search->finest[search->count] = tile->finest;
            search->columns[search->count++] = (uint16_t)column;
        }
    }
    skybook_begin_search(search);
    return status;
}

/* Plan and code a tile at its code; learn its size. */
static enum skybook_status take(struct skybook_encoder *encoder, uint32_t number)
{
    struct skybook_search *search = &encoder->search;
    const uint32_t column = search->columns[number];
    struct skybook_tile *tile = &encoder->tiles[column];
    tile->code = search->codes[number];
    tile->thrift = search->thrift[number];
    const enum skybook_status status = skybook_code(encoder, column);
    int64_t size = 0;
    for (uint32_t i = tile->planned; i < tile->planned_stop; i++) {
        size += encoder->pieces[i].length;
    }
    search->sizes[number] = size;
    return status;
}

static enum skybook_status take_changed(struct skybook_encoder *encoder)
{
    enum skybook_status status = SKYBOOK_OK;
    for (uint32_t i = 0; i < encoder->search.count && status == SKYBOOK_OK; i++) {
        if (encoder->search.changed[i]) {
            status = take(encoder, i);
        }
    }
    return status;
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
    for (uint32_t part = 0, stop = 0; part < 3 && stop < search->count; part++) {
        int64_t share = budget - fixed;
        if (known > 0) { /* what packets add */
            share = share * known / at_least_1(skybook_planned_total(encoder, 0) - fixed);
        }
        const uint32_t before = stop;
        stop = skybook_part(search, part);
        for (uint32_t i = skybook_choose(search, before, stop, share);
             i < stop && status == SKYBOOK_OK; i++) {
            const uint32_t tile = search->order[i];
            known -= i < before ? search->sizes[tile] : 0;
            status = take(encoder, tile);
            known += search->sizes[tile];
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
    encoder->search.thrift[tile] = (uint16_t)thrift;
    const enum skybook_status status = take(encoder, tile);
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
    int32_t low = 0, high = THRIFTIEST, thrift = 0, best = -1;
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
    uint16_t vain[TRIES] = {0};
    uint32_t count = 0;
    for (uint32_t tries = 0; tries < TRIES; tries++) {
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
    if (most < budget - (budget >> LITTLE) && !is_finest(&encoder->search)) {
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

enum skybook_status skybook_code_within(struct skybook_encoder *encoder, int64_t budget)
{
    const int64_t most = budget < MOST_BUDGET ? budget : MOST_BUDGET;
    int64_t total = 0;
    enum skybook_status status = open_search(encoder);
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
