/* The search for the step codes of a strip's tiles (SPEC.md, section 13). All integers. */
#include <string.h>

#include "parts.h"

#define FEW 16 /* tiles of which a quarter, not an eighth, is coded first */
#define NEAR 3 /* codes by which those of the first two parts may differ */

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        const uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Put the tiles in an order that spreads any beginning of it over the whole. */
static void scatter(struct skybook_search *search)
{
    uint32_t stride = search->count * 618 / 1000;
    stride = stride > 1 ? stride : 1;
    while (common_divisor(stride, search->count) != 1) {
        stride++;
    }
    for (uint32_t i = 0; i < search->count; i++) {
        search->order[i] = (uint16_t)(i * stride % search->count);
    }
}

/* Begin a search over the tiles that have data, whose guess and finest codes are known. */
void skybook_begin_search(struct skybook_search *search)
{
    for (uint32_t tile = 0; tile < search->count; tile++) {
        search->codes[tile] = search->finest[tile];
        search->thrift[tile] = 0;
        search->sizes[tile] = -1;
        search->old_codes[tile] = -1;
        search->old_sizes[tile] = -1;
    }
    if (search->count > 0) {
        scatter(search);
    }
}

/* Where the next part of the tiles in order ends, after those before `first`; parts are coded one after
 * the other. What those before take tells what the last may: if these are few, hardly any is coded
 * twice. */
uint32_t skybook_part(const struct skybook_search *search, uint32_t first)
{
    const uint32_t count = search->count, few = (count + 7) / 8;
    const uint32_t stops[3] = {count <= FEW ? count / 4 : few, count / 2, count - few};
    uint32_t stop = count;
    for (uint32_t part = 0; part < (count <= 2 * FEW ? 3u : 2u); part++) {
        stop = stops[part] > first && stops[part] < stop ? stops[part] : stop;
    }
    return stop;
}

/* The largest number that skybook_go_to takes: all tiles at the coarsest code. */
uint32_t skybook_places(const struct skybook_search *search)
{
    return SKYBOOK_COARSEST * search->count;
}

/* Take one code for all tiles, the next finer one for some, by their rank from the finest codes, 0,
 * on; mark the tiles that changed. */
void skybook_go_to(struct skybook_search *search, uint32_t place)
{
    const uint32_t code = (place + search->count - 1) / search->count;
    const uint32_t finer = code * search->count - place;
    for (uint32_t i = 0; i < search->count; i++) {
        const uint32_t tile = search->order[i];
        const uint32_t own = code - (i < finer ? 1 : 0);
        const uint8_t taken = (uint8_t)(own > search->finest[tile] ? own : search->finest[tile]);
        search->changed[tile] = search->codes[tile] != taken;
        search->codes[tile] = taken;
    }
}

/* Add the guesses of the tiles `first` to `stop` in order to those at each code. */
static void add_guesses(const struct skybook_search *search, uint32_t first, uint32_t stop,
                        int64_t totals[256])
{
    for (uint32_t i = first; i < stop; i++) {
        const uint32_t *guess = search->guess[search->order[i]];
        for (uint32_t code = 0; code < 256; code++) {
            totals[code] += guess[code];
        }
    }
}

/* The finest code at which the total is no more than `most`, else the coarsest. */
static uint32_t finest_within(const int64_t totals[256], int64_t most)
{
    uint32_t code = 0;
    while (code < SKYBOOK_COARSEST && totals[code] > most) {
        code++;
    }
    return code;
}

/* Choose codes for the tiles `first` to `stop` in order, so that all from `first` on share what
 * `budget` leaves. Where that code is far from the one chosen before, choose for all before `stop`;
 * once half of all have theirs, it is at most one away. Return the first that was chosen for. */
uint32_t skybook_choose(struct skybook_search *search, uint32_t first, uint32_t stop,
                        int64_t budget)
{
    int64_t spent = 0, bits = 63, bytes = 8; /* a bit in 64 for what segments add */
    int64_t totals[256] = {0};
    for (uint32_t i = 0; i < first; i++) {
        const uint32_t tile = search->order[i];
        bits = (i == 0 ? 0 : bits) + search->guess[tile][search->codes[tile]];
        spent += search->sizes[tile];
        bytes = spent > 1 ? spent : 1;
    }
    const int64_t aim = budget - (budget >> 8);
    int64_t free = (aim > spent ? aim - spent : 0) * bits / bytes;
    add_guesses(search, first, search->count, totals);
    uint32_t code = finest_within(totals, free);
    const uint32_t common = search->common;
    if (2 * first >= search->count) { /* what is left over is settled tile by tile */
        code = code > common + 1 ? common + 1 : code + 1 < common ? common - 1 : code;
    } else if (first > 0 && (code > common + NEAR || code + NEAR < common)) {
        free = (aim > 0 ? aim : 0) * bits / bytes;
        add_guesses(search, 0, first, totals);
        code = finest_within(totals, free);
        first = 0;
    }
    search->common = code;
    int64_t rest = free - totals[code];
    for (uint32_t i = first; i < stop; i++) {
        const uint32_t tile = search->order[i];
        uint32_t own = code;
        if (code > 0 && rest >= 0) {
            rest -= (int64_t)search->guess[tile][code - 1] - search->guess[tile][code];
            own = rest >= 0 ? code - 1 : code;
        }
        search->codes[tile] = (uint8_t)(own > search->finest[tile] ? own : search->finest[tile]);
    }
    return first;
}

/* What a tile takes at another code: what it did before, or as the guess goes. */
static int64_t size_at(const struct skybook_search *search, uint32_t tile, uint32_t code)
{
    if (search->old_codes[tile] == (int32_t)code) {
        return search->old_sizes[tile];
    }
    const int64_t now = search->guess[tile][search->codes[tile]];
    return search->sizes[tile] * search->guess[tile][code] / (now > 1 ? now : 1);
}

/* How many of `count` sums come before `key`, or before and with it: by halving, as the sums may
 * not all rise. */
static uint32_t halve(const int64_t *sums, uint32_t count, int64_t key, bool with)
{
    uint32_t low = 0, high = count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (sums[middle] < key || (with && sums[middle] == key)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Change the code of the first `count` tiles of a list by `step`. */
static void change(struct skybook_search *search, const uint16_t *tiles, uint32_t count,
                   int32_t step)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t tile = tiles[i];
        const int32_t code = search->codes[tile] + step;
        const int64_t size = size_at(search, tile, (uint32_t)code);
        search->codes[tile] = (uint8_t)code;
        search->sizes[tile] = size;
    }
}

/* Take the next coarser code for tiles of the finest, until `excess` bytes are saved. */
static void coarsen(struct skybook_search *search, int64_t excess)
{
    uint16_t tiles[SKYBOOK_MAX_TILES] = {0};
    int64_t saved[SKYBOOK_MAX_TILES] = {0};
    while (excess > 0) {
        uint32_t code = SKYBOOK_COARSEST, count = 0;
        int64_t sum = 0;
        for (uint32_t tile = 0; tile < search->count; tile++) {
            code = search->codes[tile] < code ? search->codes[tile] : code;
        }
        if (code == SKYBOOK_COARSEST) {
            return;
        }
        for (uint32_t i = search->count; i-- > 0;) {
            const uint32_t tile = search->order[i];
            if (search->codes[tile] == code) {
                sum += search->sizes[tile] - size_at(search, tile, code + 1);
                tiles[count] = (uint16_t)tile;
                saved[count++] = sum;
            }
        }
        const uint32_t few = halve(saved, count, excess, false) + 1;
        const uint32_t changed = few < count ? few : count;
        change(search, tiles, changed, 1);
        excess -= saved[changed - 1];
    }
}

/* Take the next finer code for tiles of the coarsest, as long as `free` bytes allow. */
static void refine(struct skybook_search *search, int64_t free)
{
    uint16_t tiles[SKYBOOK_MAX_TILES] = {0};
    int64_t spent[SKYBOOK_MAX_TILES] = {0};
    for (;;) {
        uint32_t code = 0, count = 0;
        int64_t sum = 0;
        for (uint32_t tile = 0; tile < search->count; tile++) {
            if (search->codes[tile] > search->finest[tile] && search->codes[tile] > code) {
                code = search->codes[tile];
            }
        }
        for (uint32_t i = 0; i < search->count && code > 0; i++) {
            const uint32_t tile = search->order[i];
            if (search->codes[tile] == code && code > search->finest[tile]) {
                sum += size_at(search, tile, code - 1) - search->sizes[tile];
                tiles[count] = (uint16_t)tile;
                spent[count++] = sum;
            }
        }
        const uint32_t changed = halve(spent, count, free, true);
        change(search, tiles, changed, -1);
        if (changed < count || count == 0) {
            return;
        }
        free -= spent[changed - 1];
    }
}

/* Change some codes so that the bytes left of the budget are few, `left` being below 0 if it is
 * passed; mark the tiles that changed and return how many did. */
uint32_t skybook_adjust(struct skybook_search *search, int64_t left, int64_t budget)
{
    uint8_t codes[SKYBOOK_MAX_TILES];
    int64_t sizes[SKYBOOK_MAX_TILES];
    const int64_t margin = budget >> 9;
    memcpy(codes, search->codes, sizeof(codes));
    memcpy(sizes, search->sizes, sizeof(sizes));
    if (left < 0) {
        coarsen(search, margin - left);
    } else if (left > budget >> 6) {
        refine(search, left - margin);
    }
    uint32_t count = 0;
    for (uint32_t tile = 0; tile < search->count; tile++) {
        search->changed[tile] = search->codes[tile] != codes[tile];
        if (search->changed[tile]) {
            search->thrift[tile] = 0;
            search->old_codes[tile] = codes[tile];
            search->old_sizes[tile] = sizes[tile];
            count++;
        }
    }
    return count;
}

/* Find the tile that is next to take a finer code, the first of the coarsest that is none of some;
 * the number of tiles if there is none. */
uint32_t skybook_next_finer(const struct skybook_search *search, const uint16_t *without,
                            uint32_t withouts)
{
    uint32_t found = search->count;
    for (uint32_t i = 0; i < search->count; i++) {
        const uint32_t tile = search->order[i];
        bool is_next = search->codes[tile] > search->finest[tile] &&
                       (found == search->count || search->codes[tile] > search->codes[found]);
        for (uint32_t other = 0; other < withouts; other++) {
            is_next = is_next && without[other] != tile;
        }
        found = is_next ? tile : found;
    }
    return found;
}
