/* Context model: how large each symbol of a tile will be, from those known (SPEC.md, section 10).
 *
 * Weights are few and most symbols are 0, so a sum is taken over the planes of its channel that
 * are not all 0, for all positions of the tile at once. */
#include <string.h>

#include "vectors.h"

#define SLOPE_CAP 80
#define DC_CAP 2047 /* both, like sums, are twice as large where symbols are in half steps */
#define ALL_AT 16 /* lanes from which on to add a plane of 0 takes less than to ask whether it is one; of four bands,
                   * which have all planes of the model, in its order, nobody asks then */
#define WORD 8u /* positions of a row of a usual tile, and bytes of a word */

static int32_t magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* Sum sizes over the four neighbours, in eight columns, whose rows are words of 8 bytes. None passes 4 times 63, so
 * bytes do not carry, and both neighbours in the row come in whichever order a word has its bytes. */
static inline void add_words(const uint8_t *size, uint8_t *near, uint32_t rows, uint32_t cols)
{
    uint64_t above = 0, own, below;
    memcpy(&own, size, sizeof(own));
    for (uint32_t row = 0; row < rows; row++) {
        below = 0;
        if (row + 1 < rows) {
            memcpy(&below, &size[cols * row + cols], sizeof(below));
        }
        const uint64_t sum = above + below + (own << 8) + (own >> 8);
        memcpy(&near[cols * row], &sum, sizeof(sum));
        above = own;
        own = below;
    }
}

/* The same of any number of such columns, each next to the one before. */
static void add_all_words(const uint8_t *size, uint8_t *near, uint32_t rows, uint32_t cols)
{
    for (uint32_t col = 0; col < cols; col += WORD) {
        add_words(size + col, near + col, rows, cols);
    }
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t i = row * cols + WORD; i < (row + 1) * cols; i += WORD) {
            near[i] = (uint8_t)(near[i] + size[i - 1]);
            near[i - 1] = (uint8_t)(near[i - 1] + size[i]);
        }
    }
}

/* Sum the sizes of a channel's symbols over the four neighbours. */
static void add_neighbours(const struct skybook_form *form, struct skybook_work *work,
                           uint32_t channel)
{
    const uint8_t *size = &work->known[channel * form->positions];
    uint8_t *near = &work->known[(form->channels + channel) * form->positions];
    const uint32_t cols = work->positions[1], count = work->positions[0] * cols;
    work->active[form->channels + channel] = true;
    if (cols == WORD) {
        add_words(size, near, work->positions[0], WORD);
        return;
    }
    if (cols % WORD == 0) {
        add_all_words(size, near, work->positions[0], cols);
        return;
    }
    for (uint32_t i = cols; i < count; i++) {
        near[i] = size[i - cols];
    }
    for (uint32_t i = 0; i + cols < count; i++) {
        near[i] = (uint8_t)(near[i] + size[i + cols]);
    }
    for (uint32_t row = 0; row < count; row += cols) {
        for (uint32_t i = row; i + 1 < row + cols; i++) {
            near[i + 1] = (uint8_t)(near[i + 1] + size[i]);
            near[i] = (uint8_t)(near[i] + size[i + 1]);
        }
    }
}

/* What a size in steps of the DC is in those of the AC of a position. */
static int32_t in_own_steps(const struct skybook_work *work, int32_t size, uint32_t position)
{
    return work->field.length > 0 ? size * work->field.shares[position] >> 14 : size;
}

static uint8_t at_most(int32_t size, int32_t cap)
{
    return (uint8_t)(size < cap ? size : cap);
}

#if SKYBOOK_HAS_LIKES
/* Add a plane of a component to the sum of those of all that are alike. */
static void add_to_alike(const struct skybook_form *form, struct skybook_work *work, uint32_t plane, uint32_t place)
{
    const uint8_t *restrict known = &work->known[plane * form->positions];
    skybook_sum *restrict sums = &work->alike.sums[place * form->positions];
    work->alike.active[place] = true;
    for (uint32_t i = 0; i < form->positions; i++) {
        sums[i] = (skybook_sum)(sums[i] + known[i]);
    }
}

/* Add the planes of a channel of which some symbol is not 0. */
static void add_channel_to_alike(const struct skybook_form *form, struct skybook_work *work, uint32_t channel)
{
    const uint32_t component = form->order[channel] / 64u, frequency = form->order[channel] % 64u;
    if (form->alike == 1 || component < form->bands - form->alike) {
        return;
    }
    add_to_alike(form, work, channel, frequency);
    if (work->active[form->channels + channel]) {
        add_to_alike(form, work, form->channels + channel, SKYBOOK_NEAR_PLACE + frequency);
    }
}

/* Add the slopes of a component. */
static void add_slopes_to_alike(const struct skybook_form *form, struct skybook_work *work, uint32_t band)
{
    if (form->alike > 1 && band >= form->bands - form->alike) {
        add_to_alike(form, work, 2 * form->channels + band, SKYBOOK_SLOPES_PLACE);
        add_to_alike(form, work, 2 * form->channels + form->bands + band, SKYBOOK_SLOPES_PLACE + 1);
    }
}
#endif

void skybook_know_none(const struct skybook_form *form, struct skybook_work *work)
{
    memset(work->known, 0, (size_t)2 * (form->channels + form->bands) * form->positions);
    memset(work->active, 0, sizeof(work->active));
#if SKYBOOK_HAS_LIKES
    if (form->alike > 1) {
        memset(&work->alike, 0, sizeof(work->alike));
    }
#endif
}

/* Note sizes and slopes of the DC, once all of it is known. */
void skybook_know_dc(const struct skybook_form *form, struct skybook_work *work)
{
    const int32_t size_cap = work->dependent ? SKYBOOK_HALF_SIZE_CAP : SKYBOOK_SIZE_CAP;
    const int32_t slope_cap = work->dependent ? 2 * SLOPE_CAP : SLOPE_CAP;
    const uint32_t rows = work->positions[0], cols = work->positions[1];
    for (uint32_t band = 0; band < form->bands; band++) {
        const uint32_t slope = 2 * form->channels + band, other = slope + form->bands;
        const int32_t *dc = &work->dc[band * form->positions];
        uint8_t *sizes = &work->known[band * form->positions];
        uint8_t *across = &work->known[slope * form->positions];
        uint8_t *down = &work->known[other * form->positions];
        bool any = false;
        for (uint32_t row = 0; row < rows; row++) {
            const uint32_t above = row > 0 ? row - 1 : 0, below = row + 1 < rows ? row + 1 : row;
            for (uint32_t col = 0; col < cols; col++) {
                const uint32_t left = col > 0 ? col - 1 : 0, right = col + 1 < cols ? col + 1 : col;
                const uint32_t here = row * cols + col;
                const int32_t size = magnitude(dc[here]);
                const int32_t x = magnitude(dc[row * cols + left] - dc[row * cols + right]);
                const int32_t y = magnitude(dc[above * cols + col] - dc[below * cols + col]);
                sizes[here] = at_most(in_own_steps(work, size, here), size_cap);
                across[here] = at_most(in_own_steps(work, x, here), slope_cap);
                down[here] = at_most(in_own_steps(work, y, here), slope_cap);
                any = any || size > 0;
            }
        }
        work->active[band] = any;
        work->active[slope] = any;
        work->active[other] = any;
        if (any) {
            add_neighbours(form, work, band);
#if SKYBOOK_HAS_LIKES
            add_channel_to_alike(form, work, band);
            add_slopes_to_alike(form, work, band);
#endif
        }
    }
}

/* Note whether any symbol of a channel of AC, whose sizes are known, is not 0. */
void skybook_know_channel(const struct skybook_form *form, struct skybook_work *work,
                          uint32_t channel, bool any)
{
    work->active[channel] = any;
    if (any && skybook_near_used[form->models[channel]]) {
        add_neighbours(form, work, channel);
    }
#if SKYBOOK_HAS_LIKES
    if (any) {
        add_channel_to_alike(form, work, channel);
    }
#endif
}

/* Add planes, each told by its number and, above 16 bits, its weight. */
static void add_planes(const struct skybook_form *form, const struct skybook_work *work, const uint32_t *terms,
                       uint32_t count, skybook_sum *sums)
{
    for (uint32_t first = 0; first < form->positions; first += SKYBOOK_PART) {
        skybook_add_planes(&work->known[first], form->positions, terms, count, &sums[first]);
    }
}

/* Note the planes of a channel's terms that are not all 0, where no components are alike; how many they are. */
static uint32_t find_terms(const struct skybook_form *form, const bool *restrict active, uint32_t first,
                           uint32_t stop, uint32_t *restrict terms)
{
    uint32_t count = 0;
    for (uint32_t term = first; term < stop; term++) {
        const uint32_t plane = form->planes[skybook_addends[term] & 0xFFFFu] & ~SKYBOOK_OF_LAST;
        terms[count] = skybook_addends[term] >> 16 << 16 | plane;
        count += active[plane];
    }
    return count;
}

#if SKYBOOK_HAS_LIKES
/* Note the terms of a channel of the model: those of components that are not alike as above, of the others those
 * of the model. */
static void split_terms(const struct skybook_form *form, const bool *restrict active, uint32_t first, uint32_t stop,
                        struct skybook_alike *restrict alike)
{
    uint32_t count = 0, own = 0;
    for (uint32_t term = first; term < stop; term++) {
        const uint32_t addend = skybook_addends[term], plane = form->planes[addend & 0xFFFFu];
        const uint32_t number = plane & ~SKYBOOK_OF_LAST, is_alike = (plane & SKYBOOK_OF_LAST) != 0;
        alike->terms[count] = addend >> 16 << 16 | number;
        count += active[number] & (is_alike ^ 1u);
        alike->own[own] = addend;
        own += is_alike;
    }
    alike->terms_count = count;
    alike->own_count = own;
}

/* Where the sum of a plane of the model is. */
static uint32_t place_of(uint32_t plane)
{
    const uint32_t channels = 64 * SKYBOOK_CLASSES;
    if (plane < 2 * channels) {
        const uint32_t near = plane >= channels;
        return near * SKYBOOK_NEAR_PLACE + skybook_order[plane - near * channels] % 64u;
    }
    return SKYBOOK_SLOPES_PLACE + (plane - 2 * channels) / SKYBOOK_CLASSES;
}

/* Add the terms of a channel whose component has a class of its own: it heeds all that are alike, so their sums. */
static void add_for_one(const struct skybook_form *form, struct skybook_work *work, uint32_t ac,
                        skybook_sum *sums)
{
    struct skybook_alike *alike = &work->alike;
    uint32_t count = 0;
    split_terms(form, work->active, skybook_terms[ac], skybook_terms[ac + 1], alike);
    for (uint32_t term = 0; term < alike->own_count; term++) {
        const uint32_t place = place_of(alike->own[term] & 0xFFFFu);
        alike->own[count] = alike->own[term] >> 16 << 16 | place;
        count += alike->active[place];
    }
    add_planes(form, work, alike->terms, alike->terms_count, sums);
    for (uint32_t first = 0; first < form->positions; first += SKYBOOK_PART) {
        skybook_add_sums(&alike->sums[first], form->positions, alike->own, count, &sums[first]);
    }
}

/* Add the terms of a channel of component `own` of those that are alike: it heeds none of these but itself. */
static void add_for_alike(const struct skybook_form *form, struct skybook_work *work, uint32_t ac, uint32_t own,
                          skybook_sum *sums)
{
    struct skybook_alike *alike = &work->alike;
    uint32_t count;
    if (own == 0) {
        split_terms(form, work->active, skybook_terms[ac], skybook_terms[ac + 1], alike);
        for (uint32_t term = 0; term < alike->own_count; term++) {
            const uint32_t addend = alike->own[term];
            alike->own[term] = addend >> 16 << 16 | (form->planes[addend & 0xFFFFu] & ~SKYBOOK_OF_LAST);
        }
    }
    count = alike->terms_count;
    for (uint32_t term = 0; term < alike->own_count; term++) {
        alike->terms[count] = alike->own[term] + own;
        count += work->active[alike->terms[count] & 0xFFFFu];
    }
    add_planes(form, work, alike->terms, count, sums);
}
#endif

/* Sums of a channel of AC at all positions. */
void skybook_ac_context(const struct skybook_form *form, struct skybook_work *work, uint32_t channel,
                        skybook_sum *restrict sums)
{
    const uint32_t ac = form->models[channel] - (uint32_t)SKYBOOK_CLASSES;
    const uint32_t bias = work->dependent ? 2u * skybook_bias[ac] : skybook_bias[ac];
    const uint32_t first = skybook_terms[ac], stop = skybook_terms[ac + 1];
    uint32_t terms[SKYBOOK_MOST_TERMS + 1];
    for (uint32_t i = 0; i < form->positions; i++) {
        sums[i] = (skybook_sum)bias;
    }
#if SKYBOOK_HAS_LIKES
    if (form->alike > 1) {
        const uint32_t last = form->bands - form->alike, component = form->order[channel] / 64u;
        if (component < last) {
            add_for_one(form, work, ac, sums);
        } else {
            add_for_alike(form, work, ac, component - last, sums);
        }
        return;
    }
#endif
#if SKYBOOK_LANES >= ALL_AT
    if (form->bands == SKYBOOK_CLASSES) {
        add_planes(form, work, &skybook_addends[first], stop - first, sums);
        return;
    }
#endif
    add_planes(form, work, terms, find_terms(form, work->active, first, stop, terms), sums);
}

/* Where a place next to the border is mirrored; `size` where there is nothing to mirror. */
static uint32_t mirrored(uint32_t index, int32_t step, uint32_t size)
{
    const bool out = step < 0 ? index == 0 : index + 1 == size;
    const uint32_t there = step < 0 ? (out ? 1u : index - 1) : (out ? size - 2 : index + 1);
    return out && size == 1 ? size : there;
}

/* Neighbours of a position: where each is, and which bits of what is there count, all or, where there is none, none. */
struct neighbours {
    uint32_t at[4];
    int32_t counts[4];
};

static struct neighbours find_neighbours(const struct skybook_work *work, bool corners, uint32_t row, uint32_t col)
{
    const uint32_t rows = work->positions[0], cols = work->positions[1];
    const uint32_t up = mirrored(row, -1, rows), down = mirrored(row, 1, rows);
    const uint32_t left = mirrored(col, -1, cols), right = mirrored(col, 1, cols);
    const uint32_t at_rows[4] = {up, corners ? up : row, corners ? down : row, down};
    const uint32_t at_cols[4] = {corners ? left : col, corners ? right : left, corners ? left : right,
                                 corners ? right : col};
    struct neighbours found;
    for (uint32_t i = 0; i < 4; i++) {
        const bool inside = at_rows[i] < rows && at_cols[i] < cols;
        found.at[i] = inside ? at_rows[i] * cols + at_cols[i] : 0;
        found.counts[i] = inside ? -1 : 0;
    }
    return found;
}

/* Predict the DC of all components at a position from earlier lattices; their sums. */
void skybook_dc_context(const struct skybook_form *form, const struct skybook_work *work,
                        uint32_t lattice, uint32_t row, uint32_t col,
                        int32_t predicted[SKYBOOK_MAX_BANDS], uint32_t sums[SKYBOOK_MAX_BANDS])
{
    const uint32_t bands = form->bands, last = bands - form->alike;
    const unsigned twice = work->dependent ? 1 : 0;
    for (uint32_t band = 0; band < bands; band++) {
        predicted[band] = 0;
        sums[band] = (uint32_t)skybook_dc_bias[lattice][band < last ? band : last] << twice;
    }
    if (lattice == 0) {
        return;
    }
    const struct neighbours near = find_neighbours(work, lattice == 1, row, col);
    const int32_t dc_cap = DC_CAP << twice;
    for (uint32_t from = 0; from < bands; from++) {
        const int32_t *dc = &work->dc[from * form->positions];
        const int32_t a = dc[near.at[0]] & near.counts[0], b = dc[near.at[1]] & near.counts[1];
        const int32_t c = dc[near.at[2]] & near.counts[2], d = dc[near.at[3]] & near.counts[3];
        const int32_t sizes[4] = {magnitude(a - d), magnitude(b - c),
                                  magnitude(a - b) + magnitude(c - d),
                                  magnitude(a - c) + magnitude(b - d)};
        /* The last class: a component of it heeds those before and itself. */
        const bool is_last = from >= last;
        const uint16_t(*weights)[SKYBOOK_CLASSES] = &skybook_dc[lattice - 1][4 * (is_last ? last : from)];
        const uint32_t first = is_last ? from : last, stop = is_last ? from + 1 : bands;
        uint32_t own[SKYBOOK_CLASSES] = {0};
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t feature = (uint32_t)(sizes[i] < dc_cap ? sizes[i] : dc_cap);
            for (uint32_t of_class = 0; of_class < SKYBOOK_CLASSES; of_class++) {
                own[of_class] += feature * weights[i][of_class];
            }
        }
        for (uint32_t band = 0; band < last; band++) {
            sums[band] += own[band];
        }
        for (uint32_t band = first; band < stop; band++) {
            sums[band] += own[last];
        }
        predicted[from] = (a + b + c + d + 2) >> 2;
    }
}
