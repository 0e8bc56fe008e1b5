/* Quality: the steps at which rows of tiles, or blocks of them, have the error that is asked for. What the
 * ground will find follows from the symbols; nothing is decoded (SPEC.md, section 22). */
#include <string.h>

#include "parts.h"

#define PEAK 65535u
#define LARGEST_GOAL ((int64_t)1 << 36) /* of a sample */
#define MOST_SAMPLES ((uint64_t)1 << 23) /* of a row of tiles whose sums are below 2^63 */
#define WHOLE 1024u
#define HALF_UP 5
#define SMALL 2        /* positions of a side of blocks whose codes are chosen by what they cost */
#define LENIENCE_PLAIN 28000
#define LENIENCE_TRELLIS 18000
#define MIDDLE 4       /* of blocks that may be rather far from their own code */
#define WORSE 3        /* a block shares a step that leaves it worse by no more than this part of its goal */

int64_t skybook_squared_error(uint32_t quality)
{
    static const uint32_t digits[3][10] = {
        {65536, 52057, 41350, 32846, 26090, 20724, 16462, 13076, 10387, 8250},
        {65536, 64044, 62586, 61162, 59770, 58409, 57079, 55780, 54510, 53270},
        {65536, 65385, 65235, 65085, 64935, 64786, 64637, 64488, 64340, 64192}};
    uint64_t found = (uint64_t)PEAK * PEAK << 16;
    for (uint32_t i = 0; i < quality / 1000; i++) {
        found /= 10;
    }
    found = found * digits[0][quality / 100 % 10] >> 16;
    found = found * digits[1][quality / 10 % 10] >> 16;
    found = found * digits[2][quality % 10] >> 16;
    return (int64_t)(found >> 4);
}

#if SKYBOOK_QUALITY

uint32_t skybook_quality_of_block(const struct skybook_encoder *encoder, uint32_t top, uint32_t left)
{
    const struct skybook_options *options = &encoder->options;
    const uint32_t row = top / options->quality_block, column = left / options->quality_block;
    if (options->quality_map == NULL || row >= options->map_rows || column >= options->map_columns) {
        return options->quality;
    }
    const uint32_t told = options->quality_map[(size_t)row * options->map_columns + column];
    return told > 0 ? told : options->quality;
}

/* The squared error of each sample of a tile that no step changes. */
static int64_t fixed_of(const struct skybook_tile *tile)
{
    const int64_t planes = tile->shift > 0 ? (int64_t)1 << 2 * tile->shift : 0;
    return 4096 * (1 + planes) / 12;
}

/* The squared error that steps may make in so many samples of a tile. */
static int64_t goal_of(const struct skybook_encoder *encoder, const struct skybook_tile *tile,
                       uint32_t quality, int64_t samples)
{
    const uint32_t most = quality < SKYBOOK_MOST_QUALITY ? quality : SKYBOOK_MOST_QUALITY;
    const int64_t left = skybook_squared_error(most) - SKYBOOK_ROUNDED;
#if SKYBOOK_GROUPS > 1
    const int64_t own = left * ((int64_t)1 << 2 * encoder->form.fraction) >> 2 * encoder->form.coarse;
#else
    const int64_t own = left * ((int64_t)1 << 2 * encoder->form.fraction);
#endif
    return samples * ((own < LARGEST_GOAL ? own : LARGEST_GOAL) - fixed_of(tile));
}

/* Weighted squares in 1/64 step, in 1/4096 DN^2. */
static uint64_t in_units(uint64_t lost, uint32_t code)
{
    return skybook_times(lost >> 8, code) >> 2;
}

/* Blocks of a tile, and their aims. */
struct plan {
    uint32_t side, rows, cols; /* positions of a side; blocks */
    int64_t samples[SKYBOOK_MOST_BLOCKS];
    struct skybook_aim aims[SKYBOOK_MOST_BLOCKS];
    int32_t own[SKYBOOK_MOST_BLOCKS]; /* codes at which their errors are nearest to their goals */
};

static uint32_t block_of(const struct plan *plan, uint32_t cols, uint32_t position)
{
    return position / cols / plan->side * plan->cols + position % cols / plan->side;
}

/* Have the tile's code and blocks be those of the aims. */
static void apply(struct skybook_tile *tile, const struct plan *plan)
{
    const uint32_t count = plan->rows * plan->cols;
    int32_t least = SKYBOOK_COARSEST;
    for (uint32_t i = 0; i < count; i++) {
        least = plan->aims[i].code < least ? plan->aims[i].code : least;
    }
    uint32_t any = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t coarser = (uint32_t)(plan->aims[i].code - least);
        tile->coarser[i] = (uint8_t)(coarser & 0xFF);
        any |= coarser;
    }
    tile->code = (uint8_t)least;
    tile->block = any > 0 ? (uint8_t)plan->side : 0;
}

/* What a position lost as the tile was measured, its AC at a code. */
static uint64_t lost_at(const struct skybook_work *work, const struct skybook_tile *tile, uint32_t position,
                        uint32_t code)
{
    return in_units(work->losses.of_ac[position], code) + in_units(work->losses.of_dc[position], tile->code);
}

/* The error that stands for what samples lost with so many symbols other than 0. */
static int64_t error_of(const struct skybook_encoder *encoder, uint64_t lost, uint64_t symbols, int64_t samples)
{
    /* Of scenes that the decoder network refines, and of others: what blocks of zeros are taken for,
     * and what symbols add. */
    static const uint32_t as_received[2][2] = {{1044, 82}, {1003, 125}};
    const bool refined = encoder->form.bands == SKYBOOK_CLASSES && encoder->form.fraction == 0 &&
                         encoder->options.bayer == 0;
    const uint32_t *ratio = as_received[refined ? 1 : 0];
    const uint64_t share = symbols * WHOLE / (uint64_t)samples;
    const uint64_t more = ratio[0] + ratio[1] * share * share / (WHOLE * WHOLE);
    return (int64_t)((lost >> HALF_UP) * more >> HALF_UP);
}

/* The errors of blocks as the tile was measured. */
static void find_errors(const struct skybook_encoder *encoder, const struct skybook_tile *tile,
                        const struct plan *plan, int64_t *errors)
{
    const struct skybook_work *work = &encoder->work;
    const uint32_t cols = work->positions[1], count = work->positions[0] * cols;
    uint64_t sums[SKYBOOK_MOST_BLOCKS] = {0}, symbols[SKYBOOK_MOST_BLOCKS] = {0};
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t block = block_of(plan, cols, i);
        sums[block] += lost_at(work, tile, i, tile->code + (tile->block > 0 ? tile->coarser[block] : 0u));
        symbols[block] += work->losses.symbols[i];
    }
    for (uint32_t block = 0; block < plan->rows * plan->cols; block++) {
        errors[block] = error_of(encoder, sums[block], symbols[block], plan->samples[block]);
    }
}

/* The error of the whole tile, all of it at its code, as it was measured. */
static int64_t find_error(const struct skybook_encoder *encoder, const struct skybook_tile *tile)
{
    const struct skybook_work *work = &encoder->work;
    const uint32_t count = work->positions[0] * work->positions[1];
    uint64_t sum = 0, symbols = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += lost_at(work, tile, i, tile->code);
        symbols += work->losses.symbols[i];
    }
    return error_of(encoder, sum, symbols, 64 * (int64_t)encoder->form.bands * (int64_t)count);
}

/* Cut a tile to blocks, of `side` positions each, and count their samples. */
static void cut(const struct skybook_encoder *encoder, uint32_t side, struct plan *plan)
{
    const uint32_t rows = encoder->work.positions[0], cols = encoder->work.positions[1];
    memset(plan, 0, sizeof(*plan));
    plan->side = side;
    plan->rows = (rows + side - 1) / side;
    plan->cols = (cols + side - 1) / side;
    for (uint32_t i = 0; i < rows * cols; i++) {
        plan->samples[block_of(plan, cols, i)] += 64 * (int64_t)encoder->form.bands;
    }
}

/* Note the error of a tile, of its samples that have data alone. */
static void note_error(struct skybook_tile *tile, int64_t error, int64_t samples)
{
    const double each = (double)error / (double)samples + (double)(fixed_of(tile) - SKYBOOK_ROUNDED);
    tile->lost = (uint64_t)(each * (double)tile->samples);
}

static enum skybook_status recall(struct skybook_encoder *encoder, uint32_t column)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
#if SKYBOOK_GROUPS > 1
    skybook_choose_way(encoder, column);
#endif
    if (tile->kept) {
        skybook_recall(encoder, column);
        return SKYBOOK_OK;
    }
    return skybook_load(encoder, column);
}

/* Take aim at the quality of each block. */
static bool take_aim(struct skybook_encoder *encoder, uint32_t column, struct plan *plan)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    const uint32_t top = (encoder->lines - encoder->held) / encoder->form.tile * encoder->form.tile;
    for (uint32_t block = 0; block < plan->rows * plan->cols; block++) {
        const uint32_t y = top + 8 * plan->side * (block / plan->cols);
        const uint32_t x = skybook_first_pixel(encoder, column) + 8 * plan->side * (block % plan->cols);
        const uint32_t quality = skybook_quality_of_block(encoder, y, x);
        if (quality == 0) {
            return false;
        }
        const int64_t goal = goal_of(encoder, tile, quality, plan->samples[block]);
        skybook_aim_at(&plan->aims[block], goal, plan->samples[block], tile->finest);
    }
    return true;
}

static bool any_open(const struct plan *plan)
{
    bool found = false;
    for (uint32_t block = 0; block < plan->rows * plan->cols; block++) {
        found = found || skybook_is_open(&plan->aims[block]);
    }
    return found;
}

/* Choose the codes that are a tile's blocks' own; the errors that they have there. */
static void settle(struct skybook_tile *tile, struct plan *plan, int64_t *errors)
{
    tile->eased = true;
    tile->missed = false;
    for (uint32_t block = 0; block < plan->rows * plan->cols; block++) {
        struct skybook_aim *aim = &plan->aims[block];
        errors[block] = skybook_choose_code(aim) ? aim->beyond : aim->within;
        plan->own[block] = aim->code;
        tile->missed = tile->missed || aim->within == 0;
        tile->eased = tile->eased && aim->beyond == 0;
    }
}

/* What a sample of a block may lose; 0 where no step is fine enough for that. */
static int64_t goal_of_sample(const struct plan *plan, uint32_t block)
{
    const struct skybook_aim *aim = &plan->aims[block];
    return aim->within > 0 ? aim->goal / plan->samples[block] : 0;
}

/* The mean code of the blocks of a tile that may lose as much; those that are better than was asked for at
 * every code count only where all are. */
static int32_t mean_code(const struct plan *plan, int64_t goal)
{
    int32_t sum[2] = {0, 0}, count[2] = {0, 0};
    for (uint32_t block = 0; block < plan->rows * plan->cols; block++) {
        const uint32_t eased = plan->aims[block].beyond == 0 ? 1 : 0;
        const bool alike = goal_of_sample(plan, block) == goal;
        sum[eased] += alike ? plan->own[block] : 0;
        count[eased] += alike ? 1 : 0;
    }
    const uint32_t heard = count[0] > 0 ? 0 : 1;
    return (2 * sum[heard] + count[heard]) / (2 * count[heard]);
}

/* Codes by which a block may be finer and coarser than its own to share a step: of a large one 1; along a
 * trellis errors are less sure. */
static int32_t most_finer(const struct plan *plan, bool trellis)
{
    return plan->side > MIDDLE ? 1 : (trellis ? 2 : 6) + (int32_t)plan->side;
}

static int32_t most_coarser(const struct plan *plan, bool trellis)
{
    return plan->side > MIDDLE ? 1 : trellis ? 2 : 3;
}

/* The code that a block is to share with those of its tile that may lose as much: the mean of theirs, or
 * what is near its own. */
static int32_t shared(const struct plan *plan, uint32_t block, bool trellis)
{
    const int64_t goal = goal_of_sample(plan, block);
    const int32_t own = plan->own[block];
    if (goal == 0) {
        return own;
    }
    return skybook_between(mean_code(plan, goal), own - most_finer(plan, trellis),
                           own + most_coarser(plan, trellis));
}

/* Have blocks share codes as far as that leaves them good enough. */
static enum skybook_status share(struct skybook_encoder *encoder, uint32_t column, struct plan *plan,
                                 int64_t *errors)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    const uint32_t count = plan->rows * plan->cols;
    int64_t found[SKYBOOK_MOST_BLOCKS];
    bool any = false;
    for (uint32_t block = 0; block < count; block++) {
        plan->aims[block].code = shared(plan, block, encoder->options.trellis);
        any = any || plan->aims[block].code != plan->own[block];
    }
    apply(tile, plan);
    if (!any) {
        return SKYBOOK_OK;
    }
    const enum skybook_status status = skybook_measure(encoder, column);
    if (status != SKYBOOK_OK) {
        return status;
    }
    find_errors(encoder, tile, plan, found);
    for (uint32_t block = 0; block < count; block++) {
        const int64_t goal = plan->aims[block].goal;
        const bool far = goal_of_sample(plan, block) > 0 && found[block] - goal > goal / WORSE;
        plan->aims[block].code = far ? plan->own[block] : plan->aims[block].code;
        errors[block] = far ? errors[block] : found[block];
    }
    apply(tile, plan);
    return SKYBOOK_OK;
}

/* Find the errors of blocks at the codes of their aims. */
static enum skybook_status measure_blocks(struct skybook_encoder *encoder, uint32_t column,
                                          const struct plan *plan, int64_t *errors)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    apply(tile, plan);
    const enum skybook_status status = skybook_measure(encoder, column);
    if (status == SKYBOOK_OK) {
        find_errors(encoder, tile, plan, errors);
    }
    return status;
}

/* Offer blocks codes around those that they may share. */
static void offer(const struct skybook_tile *tile, const struct plan *plan, struct skybook_price *price)
{
    price->rows = plan->rows;
    price->cols = plan->cols;
    for (uint32_t block = 0; block < plan->rows * plan->cols; block++) {
        const int64_t goal = goal_of_sample(plan, block);
        const int32_t alike = mean_code(plan, goal);
        price->goals[block] = plan->aims[block].goal;
        price->alike[block] = (uint8_t)alike;
        price->reached[block] = goal > 0;
        for (int32_t i = 0; i < (int32_t)SKYBOOK_OFFERED; i++) {
            const int32_t away = SKYBOOK_STRIDE * (i - (int32_t)SKYBOOK_OFFERED / 2);
            const int32_t code = skybook_between(alike + away, tile->finest, SKYBOOK_COARSEST);
            price->codes[block][i] = (uint8_t)(goal > 0 ? code : plan->own[block]);
        }
    }
}

/* Have small blocks the codes that cost least. */
static enum skybook_status choose_by_price(struct skybook_encoder *encoder, uint32_t column,
                                           struct plan *plan, int64_t *errors)
{
    const uint32_t count = plan->rows * plan->cols;
    struct skybook_price price;
    offer(&encoder->tiles[column], plan, &price);
    price.lenience = encoder->options.trellis ? LENIENCE_TRELLIS : LENIENCE_PLAIN;
    for (uint32_t i = 0; i < SKYBOOK_OFFERED; i++) {
        for (uint32_t block = 0; block < count; block++) {
            plan->aims[block].code = price.codes[block][i];
        }
        const enum skybook_status status = measure_blocks(encoder, column, plan, errors);
        if (status != SKYBOOK_OK) {
            return status;
        }
        for (uint32_t block = 0; block < count; block++) {
            price.each[block][i] = errors[block];
        }
    }
    int32_t chosen[SKYBOOK_MOST_BLOCKS];
    skybook_choose_codes(&price, chosen);
    for (uint32_t block = 0; block < count; block++) {
        plan->aims[block].code = chosen[block];
    }
    return measure_blocks(encoder, column, plan, errors);
}

/* Find the codes of the blocks of a tile. */
static enum skybook_status aim_blocks(struct skybook_encoder *encoder, struct skybook_encoder *by,
                                      uint32_t column)
{
    struct skybook_tile *tile = &by->tiles[column];
    struct plan plan;
    int64_t errors[SKYBOOK_MOST_BLOCKS], error = 0, samples = 0;
    enum skybook_status status = recall(by, column);
    (void)encoder;
    if (status != SKYBOOK_OK) {
        return status;
    }
    cut(by, by->options.quality_block / 8u, &plan);
    if (!take_aim(by, column, &plan)) {
        return SKYBOOK_ERROR_INPUT;
    }
    for (uint32_t tries = 0; tries < SKYBOOK_TRIES && any_open(&plan); tries++) {
        status = measure_blocks(by, column, &plan, errors);
        if (status != SKYBOOK_OK) {
            return status;
        }
        for (uint32_t block = 0; block < plan.rows * plan.cols; block++) {
            skybook_take_error(&plan.aims[block], errors[block]);
        }
    }
    settle(tile, &plan, errors);
    status = plan.side > SMALL ? share(by, column, &plan, errors)
                               : choose_by_price(by, column, &plan, errors);
    for (uint32_t block = 0; block < plan.rows * plan.cols; block++) {
        error += errors[block];
        samples += plan.samples[block];
    }
    tile->aimed = tile->code;
    note_error(tile, error, samples);
    return status;
}

/* Find the error of a tile at its code. */
static enum skybook_status measure_whole(struct skybook_encoder *encoder, struct skybook_encoder *by,
                                         uint32_t column)
{
    struct skybook_tile *tile = &by->tiles[column];
    enum skybook_status status = recall(by, column);
    (void)encoder;
    status = status == SKYBOOK_OK ? skybook_measure(by, column) : status;
    if (status == SKYBOOK_OK) {
        tile->lost = (uint64_t)find_error(by, tile);
    }
    return status;
}

/* Samples of a tile, whole positions. */
static int64_t samples_of(const struct skybook_encoder *encoder, const struct skybook_tile *tile)
{
    const int64_t rows = (tile->rows + 7) / 8, cols = (tile->cols + 7) / 8;
    return 64 * rows * cols * encoder->form.bands;
}

/* Take aim at what all tiles of a strip are to have together; the shift of its sums. */
static uint32_t aim_at_all(const struct skybook_encoder *encoder, struct skybook_aim *aim)
{
    const struct skybook_search *search = &encoder->search;
    uint64_t every = 0;
    uint32_t shift = 0, finest = SKYBOOK_COARSEST;
    int64_t goal = 0, samples = 0;
    for (uint32_t i = 0; i < search->count; i++) {
        every += (uint64_t)samples_of(encoder, &encoder->tiles[search->columns[i]]);
        finest = search->finest[i] < finest ? search->finest[i] : finest;
    }
    while (every / MOST_SAMPLES >> shift > 1) {
        shift++;
    }
    for (uint32_t i = 0; i < search->count; i++) {
        const struct skybook_tile *tile = &encoder->tiles[search->columns[i]];
        const int64_t own = samples_of(encoder, tile);
        goal += goal_of(encoder, tile, encoder->options.quality, own) >> shift;
        samples += own >> shift;
    }
    skybook_aim_at(aim, goal, samples, finest);
    return shift;
}

/* Measure all tiles at a code; their errors, and the sum of these. */
static enum skybook_status measure_all(struct skybook_encoder *encoder, uint32_t code, uint32_t shift,
                                       int64_t *errors, int64_t *sum)
{
    const struct skybook_search *search = &encoder->search;
    for (uint32_t i = 0; i < search->count; i++) {
        encoder->tiles[search->columns[i]].code =
            (uint8_t)(code > search->finest[i] ? code : search->finest[i]);
    }
    const enum skybook_status status =
        skybook_do_all(encoder, measure_whole, search->columns, search->count);
    *sum = 0;
    for (uint32_t i = 0; i < search->count; i++) {
        errors[i] = (int64_t)encoder->tiles[search->columns[i]].lost >> shift;
        *sum += errors[i];
    }
    return status;
}

static int64_t distance(int64_t one, int64_t other)
{
    return one > other ? one - other : other - one;
}

/* How many tiles in order are to have the finer of two codes, so that all come nearest to a goal. */
static uint32_t finer_of(const struct skybook_search *search, const int64_t *fine, const int64_t *coarse,
                         int64_t goal)
{
    int64_t total = 0;
    uint32_t best = 0;
    for (uint32_t i = 0; i < search->count; i++) {
        total += coarse[i];
    }
    int64_t least = distance(total, goal);
    for (uint32_t i = 0; i < search->count; i++) {
        total -= coarse[search->order[i]] - fine[search->order[i]];
        best = distance(total, goal) < least ? i + 1 : best;
        least = distance(total, goal) < least ? distance(total, goal) : least;
    }
    return best;
}

/* Find the codes of tiles that have a quality together. */
static enum skybook_status aim_together(struct skybook_encoder *encoder)
{
    const struct skybook_search *search = &encoder->search;
    int64_t tried[SKYBOOK_MAX_TILES] = {0}, fine[SKYBOOK_MAX_TILES] = {0};
    int64_t coarse[SKYBOOK_MAX_TILES] = {0}, sum = 0;
    struct skybook_aim aim;
    const uint32_t shift = aim_at_all(encoder, &aim);
    for (uint32_t tries = 0; tries < SKYBOOK_TRIES && skybook_is_open(&aim); tries++) {
        const enum skybook_status status =
            measure_all(encoder, (uint32_t)aim.code, shift, tried, &sum);
        if (status != SKYBOOK_OK) {
            return status;
        }
        skybook_take_error(&aim, sum);
        memcpy(aim.run > 0 ? fine : coarse, tried, sizeof(tried));
    }
    const bool coarser = skybook_choose_code(&aim), both = aim.within > 0 && aim.beyond > 0;
    const uint32_t count = both ? finer_of(search, fine, coarse, aim.goal)
                                : (coarser ? 0 : search->count);
    for (uint32_t i = 0; i < search->count; i++) {
        const uint32_t number = search->order[i], code = (uint32_t)(i < count ? aim.low : aim.high);
        struct skybook_tile *tile = &encoder->tiles[search->columns[number]];
        tile->code = (uint8_t)(code > search->finest[number] ? code : search->finest[number]);
        tile->aimed = tile->code;
        tile->missed = aim.within == 0;
        tile->eased = aim.beyond == 0;
        note_error(tile, (i < count ? fine[number] : coarse[number]) * ((int64_t)1 << shift),
                   samples_of(encoder, tile));
    }
    return SKYBOOK_OK;
}

enum skybook_status skybook_aim_strip(struct skybook_encoder *encoder)
{
    struct skybook_search *search = &encoder->search;
    const enum skybook_status status =
        search->count == 0 ? SKYBOOK_OK
        : encoder->options.quality_block > 0
            ? skybook_do_all(encoder, aim_blocks, search->columns, search->count)
            : aim_together(encoder);
    for (uint32_t i = 0; i < search->count && status == SKYBOOK_OK; i++) {
        search->finest[i] = encoder->tiles[search->columns[i]].aimed;
    }
    if (status == SKYBOOK_OK) {
        skybook_begin_search(search);
    }
    return status;
}

#else

uint32_t skybook_quality_of_block(const struct skybook_encoder *encoder, uint32_t top, uint32_t left)
{
    (void)encoder, (void)top, (void)left; /* no map, so none is asked */
    return 0;
}

enum skybook_status skybook_aim_strip(struct skybook_encoder *encoder)
{
    (void)encoder;
    return SKYBOOK_ERROR_USAGE;
}
#endif
