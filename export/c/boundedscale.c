/* Scales: from the samples of a band of a tile to values from 0 on, and back (SPEC.md, section 20). */
#include <string.h>

#include "bounded.h"

#if SKYBOOK_BOUNDED

#define STRETCH 64u
#define PATTERNS 11u
#define HEAD_BITS 64u
#define PATTERN_BITS 6u
#define MOST_BITS 400u
#define LARGEST_SAMPLE 65535

/* There is room to mark all samples of as many stretches. */
typedef char skybook_marks_fit[SKYBOOK_KNOWN >= STRETCH * SKYBOOK_MOST_STRETCHES ? 1 : -1];

/* Steps of patterns of a stretch, and where they begin: none, each fourth, third, second, all. */
static const uint8_t steps[PATTERNS] = {0, 4, 4, 4, 4, 3, 3, 3, 2, 2, 1};
static const uint8_t firsts[PATTERNS] = {0, 0, 1, 2, 3, 0, 1, 2, 0, 1, 0};
static const uint16_t saved_by_step[5] = {0, 0, 256, 406, 512}; /* bits of a sample, in 1/256 */

static const skybook_held *row_of(const struct skybook_plane *plane, uint32_t row)
{
    return skybook_row_of(plane->encoder, plane->column, plane->band, row);
}

static const uint16_t *samples_of(const struct skybook_plane *plane, uint32_t row, skybook_room_of_row room)
{
    return skybook_unpacked(row_of(plane, row), plane->cols, room);
}

static const uint8_t *gaps_of(const struct skybook_plane *plane, uint32_t row)
{
    return &plane->encoder->work.nodata[row * plane->cols];
}

/* By how much the samples of a band may be off; those of a band that only fills up the last group not at all. */
static uint16_t most_of(const struct skybook_plane *plane, const struct skybook_bound *bound)
{
#if SKYBOOK_GROUPS > 1
    const uint32_t own = plane->encoder->form.bands;
    const uint32_t band = skybook_group(plane->encoder, plane->column) * own + plane->band;
    return bound->count <= 1 ? bound->each[0] : band < bound->count ? bound->each[band] : 0;
#else
    return bound->each[bound->count > 1 ? plane->band : 0];
#endif
}

static int32_t lift_of(const struct skybook_plane *plane)
{
    return (int32_t)skybook_lift(&plane->encoder->options);
}

static bool is_whole(const struct skybook_bounded *own, const struct skybook_plane *plane)
{
    return own->valid == plane->rows * plane->cols;
}

static int32_t nodata_of(const struct skybook_options *options)
{
    const bool below = skybook_lift(options) > 0 && options->nodata >= 0x8000u;
    return (int32_t)options->nodata - (below ? 65536 : 0);
}

/* The least and the largest sample, as they are held, and the bits of all. */
struct range {
    uint32_t least, largest, bits;
};

static void add_sample(struct range *range, uint32_t sample)
{
    range->least = sample < range->least ? sample : range->least;
    range->largest = sample > range->largest ? sample : range->largest;
    range->bits |= sample;
}

static void take_row(int16_t *restrict values, const uint16_t *restrict samples, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        values[i] = (int16_t)(samples[i] ^ 0x8000u);
    }
}

/* A sample that was taken. */
static inline uint32_t sample_at(const int16_t *values, uint32_t col)
{
    return (uint32_t)(values[col] + 32768);
}

/* Add a row of which all samples have data. */
static void add_row(struct range *range, const int16_t *values, uint32_t count)
{
    int16_t least = INT16_MAX, largest = INT16_MIN;
    uint16_t bits = 0;
    for (uint32_t i = 0; i < count; i++) {
        least = values[i] < least ? values[i] : least;
        largest = values[i] > largest ? values[i] : largest;
        bits = (uint16_t)(bits | (uint16_t)(values[i] ^ 0x8000));
    }
    add_sample(range, (uint32_t)(least + 32768));
    add_sample(range, (uint32_t)(largest + 32768));
    range->bits |= bits;
}

/* Take the samples of a band, less 32768, to where its values come to be, and find their range. Then the lines that are
 * held are not read again but to compare them with what was made. */
static enum skybook_status take_samples(struct skybook_encoder *encoder, const struct skybook_plane *plane,
                                        struct range *range)
{
    skybook_room_of_row room;
    struct skybook_bounded *own = &encoder->work.scratch.bounded;
    const bool whole = is_whole(own, plane);
    uint64_t lines = 0;
    for (uint32_t row = 0; row < plane->rows; row++) {
        const uint16_t *samples = samples_of(plane, row, room);
        int16_t *values = skybook_row(own, plane, plane->band, row);
        const uint8_t *gaps = gaps_of(plane, row);
        take_row(values, samples, plane->cols);
        lines += skybook_words_of_row(encoder, plane->column, row_of(plane, row));
        if (whole) {
            add_row(range, values, plane->cols);
            continue;
        }
        for (uint32_t col = 0; col < plane->cols; col++) {
            if (gaps[col] == 0) {
                add_sample(range, sample_at(values, col));
            }
        }
    }
    return lines == encoder->sums[plane->column][plane->band] ? SKYBOOK_OK : SKYBOOK_ERROR_MEMORY;
}

enum skybook_status skybook_take_samples(struct skybook_encoder *encoder, const struct skybook_plane *plane)
{
    struct range range = {65535, 0, 0};
    return take_samples(encoder, plane, &range);
}

/* The largest number that divides all distances of samples from `least`; soon found to be 1. */
static uint32_t common_step(struct skybook_bounded *own, const struct skybook_plane *plane, uint32_t least)
{
    uint32_t found = 0;
    for (uint32_t row = 0; row < plane->rows && found != 1; row++) {
        const int16_t *values = skybook_row(own, plane, plane->band, row);
        const uint8_t *gaps = gaps_of(plane, row);
        for (uint32_t col = 0; col < plane->cols && found != 1; col++) {
            uint32_t rest = gaps[col] == 0 ? sample_at(values, col) - least : 0;
            while (rest != 0) {
                const uint32_t divisor = rest;
                rest = found % divisor;
                found = divisor;
            }
        }
    }
    return found;
}

static bool occurs(struct skybook_bounded *own, const struct skybook_plane *plane, uint32_t sample)
{
    bool found = false;
    for (uint32_t row = 0; row < plane->rows; row++) {
        const int16_t *values = skybook_row(own, plane, plane->band, row);
        const uint8_t *gaps = gaps_of(plane, row);
        for (uint32_t col = 0; col < plane->cols; col++) {
            found = found | (gaps[col] == 0 && sample_at(values, col) == sample);
        }
    }
    return found;
}

/* The samples of a stretch that a pattern has: bits 0..31, or 32..63. */
static uint32_t pattern_of(uint32_t pattern, uint32_t half)
{
    static const uint32_t each[5] = {0, 0xFFFFFFFFu, 0x55555555u, 0x49249249u, 0x11111111u};
    const uint32_t step = steps[pattern], first = firsts[pattern];
    /* The second half of each third goes on with bit 33: one beyond the first. */
    const uint32_t shift = half == 1 && step == 3 ? (first + 1) % 3 : first;
    return step == 0 ? 0 : each[step] << shift;
}

/* The first pattern that has all samples of a stretch which occur. */
static uint8_t fitting(const struct skybook_work *work, uint32_t stretch)
{
    const uint32_t low = work->layer.marks[2 * stretch], high = work->layer.marks[2 * stretch + 1];
    uint8_t pattern = 0;
    while ((low & ~pattern_of(pattern, 0)) != 0 || (high & ~pattern_of(pattern, 1)) != 0) {
        pattern++;
    }
    return pattern;
}

/* Where the samples of a row are from `least` on, the first place for those beyond `count` of them. */
static void find_places(uint16_t *restrict places, const int16_t *restrict values, uint32_t cols, uint32_t least,
                        uint32_t count)
{
    const uint16_t from = (uint16_t)(least ^ 0x8000u), stop = (uint16_t)count;
    for (uint32_t col = 0; col < cols; col++) {
        const uint16_t place = (uint16_t)((uint16_t)values[col] - from);
        places[col] = place < stop ? place : 0;
    }
}

/* Mark the samples that occur among so many from `least` on: first a byte each, so that none waits for
 * another that is marked beside it. */
static void mark_samples(struct skybook_work *work, const struct skybook_plane *plane, uint32_t least,
                         uint32_t count)
{
    uint16_t places[SKYBOOK_SIDE];
    uint8_t *marked = work->known;
    const uint32_t cols = plane->cols; /* marks may be anywhere, for all that a compiler knows */
    memset(marked, 0, count);
    const bool whole = is_whole(&work->scratch.bounded, plane);
    for (uint32_t row = 0; row < plane->rows; row++) {
        const uint8_t *gaps = gaps_of(plane, row);
        find_places(places, skybook_row(&work->scratch.bounded, plane, plane->band, row), cols, least, count);
        for (uint32_t col = 0; col < cols && whole; col++) {
            marked[places[col]] = 1;
        }
        for (uint32_t col = 0; col < cols && !whole; col++) {
            marked[gaps[col] == 0 ? places[col] : 0] = 1;
        }
    }
    skybook_pack_marks(work, marked, count);
}

/* Samples of a row that are not from `least` to `largest`, pixels without data among them. */
static uint32_t count_outside(const int16_t *values, uint32_t count, int16_t least, int16_t largest)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        found += (values[i] < least) | (values[i] > largest);
    }
    return found;
}

/* Samples that patterns may save bits of, or more: all that are not in the one run of stretches of which all occur. */
static uint32_t count_thinned(struct skybook_bounded *own, const struct skybook_plane *plane, uint32_t least,
                              const uint16_t *saved_by, uint32_t count)
{
    uint32_t first = count, stop = count, found = 0;
    for (uint32_t i = count; i > 0; i--) {
        first = saved_by[i - 1] == 0 ? i - 1 : first;
    }
    for (uint32_t i = count; i > first; i--) {
        stop = saved_by[i - 1] != 0 ? i - 1 : stop;
    }
    const int32_t from = (int32_t)(least + first * STRETCH) - 32768, last = from + (int32_t)((stop - first) * STRETCH) - 1;
    for (uint32_t row = 0; row < plane->rows; row++) {
        found += count_outside(skybook_row(own, plane, plane->band, row), plane->cols, (int16_t)from,
                               (int16_t)(last < 32767 ? last : 32767));
    }
    return stop == first ? plane->rows * plane->cols : found;
}

/* Leave out what does not occur, where that saves bits. */
static void leave_gaps(struct skybook_work *work, const struct skybook_plane *plane, uint32_t least)
{
    struct skybook_scale *scale = &work->scratch.bounded.scale;
    const uint32_t count = scale->most / STRETCH + 1;
    if (count > SKYBOOK_MOST_STRETCHES) {
        return;
    }
    mark_samples(work, plane, least, count * STRETCH);
    uint32_t present = 0;
    for (uint32_t i = 0; i < 2 * count; i++) {
        present += skybook_marks_of_word(work->layer.marks[i]);
    }
    if (8 * present >= 7 * count * STRETCH) {
        return;
    }
    uint32_t need = HEAD_BITS + PATTERN_BITS + count, saved = 0, most_saved = 0;
    uint16_t saved_by[SKYBOOK_MOST_STRETCHES];
    for (uint32_t i = 0; i < count; i++) {
        scale->patterns[i] = fitting(work, i);
        need += i > 0 && scale->patterns[i] != scale->patterns[i - 1] ? PATTERN_BITS : 0;
        saved_by[i] = saved_by_step[steps[scale->patterns[i]]];
        most_saved = saved_by[i] > most_saved ? saved_by[i] : most_saved;
    }
    if (need > MOST_BITS || most_saved == 0 ||
        (uint64_t)most_saved * count_thinned(&work->scratch.bounded, plane, least, saved_by, count) < 256 * need) {
        return;
    }
    for (uint32_t row = 0; row < plane->rows && saved < 256 * need; row++) {
        const int16_t *values = skybook_row(&work->scratch.bounded, plane, plane->band, row);
        const uint8_t *gaps = gaps_of(plane, row);
        for (uint32_t col = 0; col < plane->cols; col++) {
            if (gaps[col] == 0) {
                saved += saved_by[(sample_at(values, col) - least) / STRETCH];
            }
        }
    }
    if (saved < 256 * need) {
        return;
    }
    uint32_t most = 0;
    for (uint32_t i = 0; i < 2 * count; i++) {
        work->layer.marks[i] = pattern_of(scale->patterns[i / 2], i % 2);
        most += skybook_marks_of_word(work->layer.marks[i]);
    }
    scale->kind = SCALE_STRETCHES;
    scale->marks = count * STRETCH;
    scale->most = most - 1;
}

/* Whether a sample may be off by so much: no more than the root of the sample allows. */
static bool is_within_root(int32_t sample, int32_t off, uint32_t root)
{
    const uint64_t square = (uint64_t)root * root * (uint64_t)(sample > 0 ? sample : 0);
    const uint64_t own = (uint64_t)(off < 0 ? -off : off) * 256u;
    return own * own <= square;
}

/* Cells of the samples from `least` to `largest`, marked where they begin. Below 0, and as long as the
 * root allows nothing, they are of one sample. */
static void mark_cells(struct skybook_work *work, int32_t least, int32_t largest, uint32_t root,
                       bool has_nodata, int32_t nodata)
{
    struct skybook_scale *scale = &work->scratch.bounded.scale;
    const uint32_t count = (uint32_t)(largest - least) + 1;
    const uint64_t square = (uint64_t)root * root;
    const int32_t single = (int32_t)((65536u + square - 1) / square); /* below it are cells of one */
    int32_t first = least < 0 ? least : least < single ? least : single, half = 0;
    skybook_clear_marks(work, count);
    scale->first = scale->last = least;
    while (first <= largest) {
        int32_t last = first;
        if (first >= single) {
            while (is_within_root(first, half + 1, root)) {
                half++;
            }
            last += 2 * half;
            if (has_nodata && first <= nodata && nodata <= last) {
                last = nodata - 1 > first ? nodata - 1 : first;
            }
            last = last < LARGEST_SAMPLE ? last : LARGEST_SAMPLE;
        }
        if (last >= least) {
            scale->first = first <= least ? first : scale->first;
            scale->last = last;
            skybook_mark(work, (uint32_t)(first > least ? first - least : 0));
        }
        first = last + 1;
    }
    scale->marks = count;
    skybook_count_marks(work, count);
}

/* The number of the cell of a sample, counted from that of the least. */
static uint32_t cell_of(const struct skybook_work *work, uint32_t place)
{
    return skybook_marks_before(work, place) + (skybook_is_marked(work, place) ? 1u : 0u) - 1u;
}

/* What a cell stands for that has the sample of this place. */
static int32_t centre_of(const struct skybook_work *work, uint32_t place)
{
    const struct skybook_scale *scale = &work->scratch.bounded.scale;
    const uint32_t first = skybook_mark_up_to(work, place);
    const uint32_t stop = skybook_mark_from(work, place + 1, scale->marks);
    const int32_t begins = first == 0 ? scale->first : scale->least + (int32_t)first;
    const int32_t ends = stop == scale->marks ? scale->last : scale->least + (int32_t)stop - 1;
    return (begins + ends) >> 1;
}

static void choose_cells(struct skybook_work *work, const struct skybook_options *options,
                         int32_t least, int32_t largest, uint32_t root)
{
    struct skybook_scale *scale = &work->scratch.bounded.scale;
    mark_cells(work, least, largest, root, options->has_nodata, nodata_of(options));
    scale->parameter = (int32_t)root;
    scale->most = cell_of(work, (uint32_t)(largest - least));
    scale->kind = SCALE_CELLS;
    if (scale->most == 0) { /* what stands for all is no farther off between those that occur */
        const int32_t centre = (scale->first + scale->last) >> 1;
        scale->kind = SCALE_PLAIN;
        scale->least = centre < least ? least : centre > largest ? largest : centre;
    }
}

/* The scale of samples from `least` to `largest`, as they are held, that may be off by `bound`. */
static void choose(struct skybook_work *work, const struct skybook_plane *plane, int32_t least,
                   int32_t largest, uint32_t bound, bool lean)
{
    const struct skybook_options *options = &plane->encoder->options;
    struct skybook_scale *scale = &work->scratch.bounded.scale;
    const int32_t nodata = nodata_of(options) + lift_of(plane);
    scale->most = (uint32_t)(largest - least);
    if (options->has_nodata && bound > 0 && least <= nodata && nodata <= largest) {
        if (!occurs(&work->scratch.bounded, plane, (uint32_t)nodata)) {
            scale->kind = SCALE_HOLE;
            scale->most--;
            scale->bound = bound - 1;
            scale->parameter = nodata_of(options);
            return;
        }
        bound = 0;
    }
    const uint32_t step = common_step(&work->scratch.bounded, plane, (uint32_t)least);
    if (step > 1) {
        scale->kind = SCALE_STEPS;
        scale->most /= step;
        scale->bound = bound / step;
        scale->parameter = (int32_t)step;
        return;
    }
    scale->bound = bound;
    if (bound == 0 && !lean) {
        leave_gaps(work, plane, (uint32_t)least);
    }
}

enum skybook_status skybook_choose_scale(struct skybook_encoder *encoder,
                                         const struct skybook_plane *plane,
                                         const struct skybook_bound *bound, bool lean)
{
    struct skybook_work *work = &encoder->work;
    struct skybook_scale *scale = &work->scratch.bounded.scale;
    struct range range = {65535, 0, 0};
    const enum skybook_status status = take_samples(encoder, plane, &range);
    const int32_t least = (int32_t)range.least, largest = (int32_t)range.largest;
    if (status != SKYBOOK_OK) {
        return status;
    }
    if (range.bits >> encoder->options.significant_bits != 0) {
        return SKYBOOK_ERROR_INPUT;
    }
    memset(scale, 0, offsetof(struct skybook_scale, patterns));
    scale->least = least - lift_of(plane);
    if (least == largest) {
        return SKYBOOK_OK;
    }
    if (bound->root > 0) {
        choose_cells(work, &encoder->options, scale->least, largest - lift_of(plane), bound->root);
    } else {
        const uint32_t each = most_of(plane, bound);
        choose(work, plane, least, largest, each, lean);
    }
    return SKYBOOK_OK;
}

/* Samples less `base`, modulo 2^16. */
static void put_plain_row(int16_t *values, uint32_t count, uint16_t base)
{
    for (uint32_t col = 0; col < count; col++) {
        values[col] = (int16_t)((uint16_t)values[col] - base);
    }
}

/* The values of the samples of a row, in their place. */
static void put_row(const struct skybook_work *work, const struct skybook_plane *plane, int16_t *values)
{
    const struct skybook_scale *scale = &work->scratch.bounded.scale;
    const uint32_t least = (uint32_t)(scale->least + lift_of(plane)) & 0xFFFFu;
    const uint32_t step = scale->kind == SCALE_STEPS ? (uint32_t)scale->parameter : 1;
    const int32_t hole = scale->kind == SCALE_HOLE ? scale->parameter - scale->least : 65536;
    if (scale->kind == SCALE_PLAIN) {
        put_plain_row(values, plane->cols, (uint16_t)least);
        return;
    }
    for (uint32_t col = 0; col < plane->cols; col++) {
        const uint32_t away = (sample_at(values, col) - least) & 0xFFFFu;
        uint32_t value = 0;
        if (scale->kind == SCALE_STRETCHES) {
            value = skybook_marks_before(work, away < scale->marks ? away : 0);
        } else if (scale->kind == SCALE_CELLS) {
            value = cell_of(work, away);
        } else {
            value = away / step - ((int32_t)away > hole ? 1u : 0u);
        }
        values[col] = (int16_t)((int32_t)(value & 0xFFFFu) - 32768);
    }
}

void skybook_put_values(struct skybook_work *work, const struct skybook_plane *plane)
{
    struct skybook_bounded *own = &work->scratch.bounded;
    skybook_count_marks(work, own->scale.marks);
    for (uint32_t row = 0; row < plane->rows; row++) {
        int16_t *values = skybook_row(own, plane, plane->band, row);
        if (own->scale.most == 0) {
            for (uint32_t col = 0; col < plane->cols; col++) {
                values[col] = -32768;
            }
        } else {
            put_row(work, plane, values);
        }
        if (!is_whole(own, plane)) {
            skybook_fill(work, plane, row);
        }
    }
    skybook_close_rows(work, plane, plane->band);
}

/* The sample that a value stands for, of one that should be `sample`; far from it where that has
 * another value. */
static int32_t sample_of(const struct skybook_work *work, int32_t value, int32_t sample)
{
    const struct skybook_scale *scale = &work->scratch.bounded.scale;
    const int32_t found = scale->least + value, away = sample - scale->least;
    switch ((enum skybook_kind_of_scale)scale->kind) {
    case SCALE_STEPS:
        return scale->least + value * scale->parameter;
    case SCALE_HOLE:
        return found + (found >= scale->parameter ? 1 : 0);
    case SCALE_STRETCHES:
        return skybook_is_marked(work, (uint32_t)away) &&
                       skybook_marks_before(work, (uint32_t)away) == (uint32_t)value
                   ? sample
                   : sample + LARGEST_SAMPLE;
    case SCALE_CELLS:
        return cell_of(work, (uint32_t)away) == (uint32_t)value
                   ? centre_of(work, (uint32_t)away)
                   : sample + LARGEST_SAMPLE;
    case SCALE_PLAIN:
    default:
        return found;
    }
}

/* How many of a row's samples are off by more than `most`, if values of them are so much less. */
static uint32_t count_beyond(const uint16_t *samples, const int16_t *values, uint32_t count,
                             int32_t less, int32_t most)
{
    uint32_t found = 0;
    for (uint32_t col = 0; col < count; col++) {
        const int32_t off = values[col] + less - samples[col];
        found += (off > most) | (off < -most);
    }
    return found;
}

/* How many of a row's samples have another value among stretches. */
static uint32_t count_misplaced(const struct skybook_work *work, const uint16_t *samples,
                                const int16_t *values, uint32_t count, uint32_t least)
{
    uint32_t found = 0;
    for (uint32_t col = 0; col < count; col++) {
        const uint32_t place = (samples[col] - least) & 0xFFFFu;
        const uint32_t value = (uint32_t)(values[col] + 32768);
        const uint32_t beyond = place >= work->scratch.bounded.scale.marks;
        const uint32_t unmarked = !skybook_is_marked(work, place);
        found += beyond | unmarked | (skybook_marks_before(work, place) != value);
    }
    return found;
}

enum skybook_status skybook_check_values(struct skybook_encoder *encoder,
                                         const struct skybook_plane *plane,
                                         const struct skybook_bound *bound)
{
    skybook_room_of_row room;
    struct skybook_work *work = &encoder->work;
    struct skybook_bounded *own = &work->scratch.bounded;
    const struct skybook_scale *scale = &own->scale;
    const struct skybook_options *options = &encoder->options;
    const int32_t lift = lift_of(plane), nodata = nodata_of(options);
    const int32_t most = bound->root > 0 ? 0 : most_of(plane, bound);
    const bool whole = bound->root == 0 && is_whole(own, plane) && (!options->has_nodata || most == 0);
    const bool plain = whole && scale->kind == SCALE_PLAIN;
    const bool stretches = whole && scale->kind == SCALE_STRETCHES;
    uint64_t lines = 0, sum = 0;
    uint32_t wrong = 0;
    skybook_count_marks(work, scale->marks);
    for (uint32_t row = 0; row < plane->rows; row++) {
        const uint16_t *samples = samples_of(plane, row, room);
        const int16_t *values = skybook_row(own, plane, plane->band, row);
        lines += skybook_words_of_row(encoder, plane->column, row_of(plane, row));
        sum += skybook_words(values, 2 * (size_t)plane->cols);
        if (plain) {
            wrong += count_beyond(samples, values, plane->cols, scale->least + lift + 32768, most);
            continue;
        }
        if (stretches) {
            wrong += count_misplaced(work, samples, values, plane->cols, (uint32_t)(scale->least + lift));
            continue;
        }
        const uint8_t *gaps = gaps_of(plane, row);
        for (uint32_t col = 0; col < plane->cols; col++) {
            const int32_t sample = samples[col] - lift;
            if (gaps[col] != 0) {
                continue;
            }
            const int32_t found = sample_of(work, values[col] + 32768, sample);
            const int32_t off = found - sample;
            wrong += bound->root > 0 ? !is_within_root(sample, off, bound->root)
                                     : (off > most) | (off < -most);
            wrong += options->has_nodata && (found == nodata) != (sample == nodata);
        }
    }
    own->bands[plane->band].sum = sum;
    const bool kept = wrong == 0 && lines == encoder->sums[plane->column][plane->band];
    return kept ? SKYBOOK_OK : SKYBOOK_ERROR_MEMORY;
}

#endif
