/* Context model: how large each symbol of a tile will be, from those known (SPEC.md, section 10).
 *
 * Weights are few and most symbols are 0, so a sum is taken over the planes of its channel that
 * are not all 0, for all positions of the tile at once. */
#include <string.h>

#include "vectors.h"

#define SLOPE_CAP 80
#define DC_CAP 2047 /* both, like sums, are twice as large where symbols are in half steps */
#define MOST_TERMS 64 /* planes that are noted before they are added */
#define ALL_AT 16 /* lanes from which on to add a plane of 0 takes less than to ask whether it is one; of four bands,
                   * which have all planes of the model, in its order, nobody asks then */
#define ROW 8   /* positions of a row of a whole tile, and bytes of a word */

static int32_t magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* Sum sizes over the four neighbours, where a row is a word of 8 bytes. None passes 4 times 63, so
 * bytes do not carry, and both neighbours in the row come in whichever order a word has its bytes. */
static void add_rows_of_8(const uint8_t *size, uint8_t *near, uint32_t rows)
{
    uint64_t above = 0, own, below;
    memcpy(&own, size, sizeof(own));
    for (uint32_t row = 0; row < rows; row++) {
        below = 0;
        if (row + 1 < rows) {
            memcpy(&below, &size[ROW * row + ROW], sizeof(below));
        }
        const uint64_t sum = above + below + (own << ROW) + (own >> ROW);
        memcpy(&near[ROW * row], &sum, sizeof(sum));
        above = own;
        own = below;
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
    if (cols == ROW) {
        add_rows_of_8(size, near, work->positions[0]);
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
}

/* Planes that are not all 0, to be added to the sums of a channel, and above 16 bits their weights. */
struct terms {
    uint32_t count;
    uint32_t each[MOST_TERMS + 1];
};

/* Add planes. */
static void add_planes(const struct skybook_form *form, const struct skybook_work *work, const uint32_t *terms,
                       uint32_t count, skybook_sum *sums)
{
    for (uint32_t first = 0; first < form->positions; first += SKYBOOK_PART) {
        skybook_add_planes(&work->known[first], form->positions, terms, count, &sums[first]);
    }
}

/* Note a plane of a channel, or of slopes, if any of it is not 0. */
static inline void add_term(struct terms *restrict terms, const bool *restrict active, uint32_t plane,
                            uint32_t weight)
{
    terms->each[terms->count] = weight << 16 | plane;
    terms->count += active[plane];
}

/* Note the planes of terms of a channel. Of the components of the last class one of that class heeds its
 * own, the number `own`, alone, all others heed `some`, which are all of them. */
static void add_terms(struct terms *restrict terms, const struct skybook_form *form,
                      const bool *restrict active, uint32_t first, uint32_t stop, uint32_t own,
                      uint32_t some)
{
    for (uint32_t term = first; term < stop; term++) {
        const uint32_t plane = form->planes[skybook_addends[term] & 0xFFFFu], number = plane & ~SKYBOOK_OF_LAST;
        const uint32_t weight = skybook_addends[term] >> 16;
        const uint32_t of_last = (plane & SKYBOOK_OF_LAST) != 0;
        add_term(terms, active, number + of_last * own, weight);
        for (uint32_t i = 1; i < (of_last == 0 ? 1 : some); i++) {
            add_term(terms, active, number + i, weight);
        }
    }
}

/* The same where the last class has one component, as that of up to four bands. */
static void add_single_terms(struct terms *restrict terms, const struct skybook_form *form,
                             const bool *restrict active, uint32_t first, uint32_t stop)
{
    for (uint32_t term = first; term < stop; term++) {
        const uint32_t plane = form->planes[skybook_addends[term] & 0xFFFFu] & ~SKYBOOK_OF_LAST;
        add_term(terms, active, plane, skybook_addends[term] >> 16);
    }
}

/* Sums of a channel of AC at all positions. */
void skybook_ac_context(const struct skybook_form *form, const struct skybook_work *work,
                        uint32_t channel, skybook_sum *restrict sums)
{
    const uint32_t last = form->bands - form->alike, component = form->order[channel] / 64u;
    const uint32_t ac = form->models[channel] - (uint32_t)SKYBOOK_CLASSES;
    const uint32_t bias = work->dependent ? 2u * skybook_bias[ac] : skybook_bias[ac];
    const uint32_t own = component < last ? 0 : component - last;
    const uint32_t some = component < last ? form->alike : 1;
    const uint32_t stop = skybook_terms[ac + 1], most = MOST_TERMS / some;
    for (uint32_t i = 0; i < form->positions; i++) {
        sums[i] = (skybook_sum)bias;
    }
#if SKYBOOK_LANES >= ALL_AT
    if (form->bands == SKYBOOK_CLASSES) {
        add_planes(form, work, &skybook_addends[skybook_terms[ac]], stop - skybook_terms[ac], sums);
        return;
    }
#endif
    for (uint32_t term = skybook_terms[ac], next = 0; term < stop; term = next) {
        struct terms terms;
        terms.count = 0;
        next = stop - term < most ? stop : term + most;
        if (form->alike == 1) {
            add_single_terms(&terms, form, work->active, term, next);
        } else {
            add_terms(&terms, form, work->active, term, next, own, some);
        }
        add_planes(form, work, terms.each, terms.count, sums);
    }
}

/* Where a place next to the border is mirrored; `size` where there is nothing to mirror. */
static uint32_t mirrored(uint32_t index, int32_t step, uint32_t size)
{
    const bool out = step < 0 ? index == 0 : index + 1 == size;
    const uint32_t there = step < 0 ? (out ? 1u : index - 1) : (out ? size - 2 : index + 1);
    return out && size == 1 ? size : there;
}

static int32_t dc_at(const struct skybook_work *work, const int32_t *dc, uint32_t row, uint32_t col)
{
    const uint32_t rows = work->positions[0], cols = work->positions[1];
    return row < rows && col < cols ? dc[row * cols + col] : 0;
}

/* Predict the DC of all components at a position from earlier lattices; their sums. */
void skybook_dc_context(const struct skybook_form *form, const struct skybook_work *work,
                        uint32_t lattice, uint32_t row, uint32_t col,
                        int32_t predicted[SKYBOOK_MAX_BANDS], uint32_t sums[SKYBOOK_MAX_BANDS])
{
    const uint32_t bands = form->bands, last = bands - form->alike;
    const uint32_t rows = work->positions[0], cols = work->positions[1];
    const uint32_t up = mirrored(row, -1, rows), down = mirrored(row, 1, rows);
    const uint32_t left = mirrored(col, -1, cols), right = mirrored(col, 1, cols);
    const bool corners = lattice == 1;
    const unsigned twice = work->dependent ? 1 : 0;
    for (uint32_t band = 0; band < bands; band++) {
        predicted[band] = 0;
        sums[band] = (uint32_t)skybook_dc_bias[lattice][band < last ? band : last] << twice;
    }
    if (lattice == 0) {
        return;
    }
    const int32_t dc_cap = DC_CAP << twice;
    uint32_t features[4 * SKYBOOK_MAX_BANDS];
    for (uint32_t band = 0; band < bands; band++) {
        const int32_t *dc = &work->dc[band * form->positions];
        const int32_t a = dc_at(work, dc, up, corners ? left : col);
        const int32_t b = dc_at(work, dc, corners ? up : row, corners ? right : left);
        const int32_t c = dc_at(work, dc, corners ? down : row, corners ? left : right);
        const int32_t d = dc_at(work, dc, down, corners ? right : col);
        const int32_t sizes[4] = {magnitude(a - d), magnitude(b - c),
                                  magnitude(a - b) + magnitude(c - d),
                                  magnitude(a - c) + magnitude(b - d)};
        for (uint32_t i = 0; i < 4; i++) {
            features[4 * band + i] = (uint32_t)(sizes[i] < dc_cap ? sizes[i] : dc_cap);
        }
        predicted[band] = (a + b + c + d + 2) >> 2;
    }
    for (uint32_t from = 0; from < bands; from++) {
        /* The last class: a component of it heeds those before and itself. */
        const bool is_last = from >= last;
        const uint16_t(*weights)[SKYBOOK_CLASSES] = &skybook_dc[lattice - 1][4 * (is_last ? last : from)];
        const uint32_t first = is_last ? from : last, stop = is_last ? from + 1 : bands;
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t feature = features[4 * from + i];
            for (uint32_t band = 0; band < last; band++) {
                sums[band] += feature * weights[i][band];
            }
            for (uint32_t band = first; band < stop; band++) {
                sums[band] += feature * weights[i][last];
            }
        }
    }
}
