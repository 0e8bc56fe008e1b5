/* Context model: how large each symbol of a tile will be, from those known (SPEC.md, section 10).
 *
 * Weights are few and most symbols are 0, so a sum is taken over the planes of its channel that
 * are not all 0, for all positions of the tile at once. */
#include <string.h>

#include "parts.h"

#define SLOPE_CAP 80
#define DC_CAP 2047 /* both, like sums, are twice as large where symbols are in half steps */
#define PART 64 /* positions that are added up at once */

static int32_t magnitude(int32_t value)
{
    return value < 0 ? -value : value;
}

/* Four levels per octave of a sum, from 4 on. */
uint32_t skybook_level(uint32_t sum)
{
    if (sum < 4) {
        return 0;
    }
    const uint32_t bit = skybook_highest_bit(sum);
    const uint32_t level = 4 * bit + (sum >> (bit - 2) & 3u) - 8;
    return level < SKYBOOK_LEVELS ? level : SKYBOOK_LEVELS - 1;
}

/* Sum the sizes of a channel's symbols over the four neighbours. */
static void add_neighbours(const struct skybook_form *form, struct skybook_work *work,
                           uint32_t channel)
{
    const uint8_t *size = &work->known[channel * form->positions];
    uint8_t *near = &work->known[(form->channels + channel) * form->positions];
    const uint32_t cols = work->positions[1], count = work->positions[0] * cols;
    memset(near, 0, form->positions);
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
    work->active[form->channels + channel] = true;
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
                sizes[here] = at_most(size, size_cap);
                across[here] = at_most(x, slope_cap);
                down[here] = at_most(y, slope_cap);
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

/* Add the weighted plane of a channel, or of slopes, to sums, if any of it is not 0. */
static void add_plane(const struct skybook_form *form, const struct skybook_work *work,
                      uint32_t number, skybook_sum weight, skybook_sum *restrict sums)
{
    if (!work->active[number]) {
        return;
    }
    const uint8_t *restrict plane = &work->known[number * form->positions];
    for (uint32_t left = form->positions; left > 0; left -= PART) {
        for (uint32_t i = 0; i < PART; i++) {
            sums[i] = (skybook_sum)(sums[i] + weight * plane[i]);
        }
        sums += PART;
        plane += PART;
    }
}

/* Sums of a channel of AC at all positions. Of the components of the last class a channel of that
 * class heeds its own alone, all others heed all of them. */
void skybook_ac_context(const struct skybook_form *form, const struct skybook_work *work,
                        uint32_t channel, skybook_sum *restrict sums)
{
    const uint32_t last = form->bands - form->alike, component = form->order[channel] / 64u;
    const uint32_t ac = form->models[channel] - (uint32_t)SKYBOOK_CLASSES;
    const uint32_t bias = work->dependent ? 2u * skybook_bias[ac] : skybook_bias[ac];
    const uint32_t own = component < last ? 0 : component - last;
    const uint32_t some = component < last ? form->alike : 1;
    for (uint32_t i = 0; i < form->positions; i++) {
        sums[i] = (skybook_sum)bias;
    }
    for (uint32_t term = skybook_terms[ac]; term < skybook_terms[ac + 1]; term++) {
        const uint32_t plane = form->planes[skybook_planes[term]];
        const skybook_sum weight = (skybook_sum)skybook_weights[term];
        const uint32_t of_last = plane & SKYBOOK_OF_LAST, first = plane & ~SKYBOOK_OF_LAST;
        if (of_last == 0) {
            add_plane(form, work, first, weight, sums);
            continue;
        }
        for (uint32_t i = own; i < own + some; i++) {
            add_plane(form, work, first + i, weight, sums);
        }
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
        const uint16_t(*weights)[SKYBOOK_CLASSES] =
            &skybook_dc[lattice - 1][4 * (from < last ? from : last)];
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t feature = features[4 * from + i];
            for (uint32_t band = 0; band < last; band++) {
                sums[band] += feature * weights[i][band];
            }
            for (uint32_t band = last; band < bands; band++) {
                sums[band] += from < last || from == band ? feature * weights[i][last] : 0;
            }
        }
    }
}
