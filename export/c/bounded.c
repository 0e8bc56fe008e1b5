/* Tiles within a bound on the error of each sample: predicted, quantised, coded (SPEC.md, section 20). */
#include <string.h>

#include "bounded.h"

#if SKYBOOK_BOUNDED

#define STATE 16u /* added to that of a tile within a bound */
#define MOST_MARGIN 100

static const struct skybook_bound lossless = {1, {0}, 0};

static bool touches(const struct skybook_box *box, uint32_t row, uint32_t left, uint32_t tile)
{
    return box->left < left + tile && left < box->right && box->top < (row + 1) * tile &&
           row * tile < box->bottom;
}

/* Whether the map of qualities wants no loss of a block of a tile. */
static bool has_lossless(const struct skybook_encoder *encoder, uint32_t row, uint32_t left)
{
    const uint32_t tile = encoder->form.tile, side = encoder->options.quality_block;
    bool found = false;
    if (encoder->options.quality_map == NULL) {
        return false;
    }
    for (uint32_t y = row * tile; y < (row + 1) * tile; y += side) {
        for (uint32_t x = left; x < left + tile; x += side) {
            found = found || skybook_quality_of_block(encoder, y, x) == SKYBOOK_LOSSLESS;
        }
    }
    return found;
}

const struct skybook_bound *skybook_bound_of(const struct skybook_encoder *encoder, uint32_t column)
{
    const struct skybook_options *options = &encoder->options;
    const uint32_t tile = encoder->form.tile, row = (encoder->lines - encoder->held) / tile;
    const uint32_t left = skybook_first_pixel(encoder, column);
    if (options->max_error.count > 0) {
        return &options->max_error;
    }
    for (uint32_t i = 0; i < options->boxes; i++) {
        if (touches(&options->box[i], row, left, tile)) {
            return &options->box[i].bound;
        }
    }
    return has_lossless(encoder, row, left) ? &lossless : NULL;
}

/* The sum of the symbols of a band, and of its side information. */
static uint64_t sum_of_symbols(const struct skybook_work *work, uint32_t pixels, uint32_t band)
{
    const uint32_t side = work->scratch.bounded.bands[band].side;
    return skybook_words(&work->coded.residuals[band * pixels], pixels * sizeof(work->coded.residuals[0])) +
           skybook_words(&work->coded.rows[band * pixels], pixels * sizeof(work->coded.rows[0])) +
           skybook_words(&work->side[band * SKYBOOK_MOST_SIDE], side * sizeof(work->side[0]));
}

/* Whether the values of a band are those that were compared with the samples. */
static bool is_whole(struct skybook_bounded *own, const struct skybook_plane *plane, uint32_t band)
{
    uint64_t sum = 0;
    for (uint32_t row = 0; row < plane->rows; row++) {
        sum += skybook_words(skybook_row(own, plane, band, row), 2 * (size_t)plane->cols);
    }
    return sum == own->bands[band].sum;
}

/* Predict a band and find its symbols. */
static enum skybook_status code_band(struct skybook_encoder *encoder, const struct skybook_plane *plane,
                                     const struct skybook_bound *bound, bool lean)
{
    struct skybook_work *work = &encoder->work;
    struct skybook_bounded *own = &work->scratch.bounded;
    struct skybook_band *band = &own->bands[plane->band];
    const uint32_t pixels = plane->rows * plane->cols;
    enum skybook_status status = skybook_choose_scale(encoder, plane, bound, lean);
    if (status != SKYBOOK_OK) {
        return status;
    }
    memset(band, 0, sizeof(*band));
    band->most = own->scale.most;
    band->bound = own->scale.bound;
    skybook_put_values(work, plane);
    if (band->most > 0) {
        skybook_fit_and_predict(work, plane, lean);
        status = skybook_find_rows(encoder, plane);
    } else {
        for (uint32_t i = 0; i < pixels; i++) {
            work->coded.residuals[plane->band * pixels + i] = 0;
            work->coded.rows[plane->band * pixels + i] = SKYBOOK_NO_SYMBOL;
        }
    }
    if (status == SKYBOOK_OK) {
        skybook_put_side_of(work, plane);
        status = skybook_check_values(encoder, plane, bound);
    }
    for (uint32_t i = 1; i <= skybook_references(plane->band); i++) {
        status = is_whole(own, plane, plane->band - i) ? status : SKYBOOK_ERROR_MEMORY;
    }
    return status;
}

/* Find the symbols of a tile whose pixels without data are known. */
static enum skybook_status find_symbols(struct skybook_encoder *encoder, uint32_t column, bool lean)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    struct skybook_work *work = &encoder->work;
    const uint32_t pixels = (uint32_t)tile->rows * tile->cols;
    const struct skybook_bound *bound = skybook_bound_of(encoder, column);
    enum skybook_status status = SKYBOOK_OK;
    work->scratch.bounded.valid = 0;
    work->scratch.bounded.symbols_sum = 0;
    for (uint32_t i = 0; i < pixels; i++) {
        work->scratch.bounded.valid += work->nodata[i] == 0;
    }
    for (uint32_t band = 0; band < encoder->form.bands && status == SKYBOOK_OK; band++) {
        const struct skybook_plane plane = {encoder,    column,     band,
                                            tile->rows, tile->cols, encoder->form.tile + 8};
        status = code_band(encoder, &plane, bound, lean);
        work->scratch.bounded.symbols_sum += sum_of_symbols(work, pixels, band);
    }
    return status;
}

/* Bits, in 1/256, that a segment beginning with a unit may take. */
static int64_t bits_of(uint32_t room, uint32_t first, uint32_t margin)
{
    const int64_t free = (int64_t)room - SKYBOOK_STATE_BYTES - (first == 0 ? 1 : 0);
    const int64_t most = free * (1000 - 2 * (int64_t)margin);
    return 8 * (int64_t)SKYBOOK_BIT * (most / 1000 - (int64_t)margin);
}

/* What became of an attempt to code a tile. */
enum outcome { DONE, TOO_LONG, NO_ROOM };

/* A segment of a tile: its units, and how many bytes stand before their lane. */
struct part {
    struct skybook_segment segment;
    uint32_t first, stop;
    uint32_t head;
};

/* The segment that begins with a unit, the tile's first segment or another. */
static struct part part_from(const struct skybook_encoder *encoder, uint32_t column, uint32_t first,
                             bool is_first, uint32_t margin)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    const uint32_t pixels = (uint32_t)tile->rows * tile->cols;
    struct part part = {{SKYBOOK_KIND_TILE, 0, 0, column}, first, first, is_first ? 1 : 0};
    uint32_t last = encoder->form.bands * pixels;
    if (!is_first) {
        part.segment.layer = (uint8_t)(first / pixels + 1);
        part.segment.first = (uint16_t)(first % pixels);
    }
    if (encoder->options.one_layer) {
        last = is_first ? 0 : (first / pixels + 1) * pixels;
    }
    if (first < last) {
        const int64_t bits = bits_of(skybook_room(encoder, column), first, margin);
        const uint32_t stop = skybook_stop_of_units(&encoder->work, pixels, first, last, bits);
        part.stop = stop > first ? stop : first + 1;
    }
    return part;
}

static enum outcome code_segments(struct skybook_encoder *encoder, uint32_t column, uint32_t margin)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    const uint32_t pixels = (uint32_t)tile->rows * tile->cols, units = encoder->form.bands * pixels;
    const uint32_t room = skybook_room(encoder, column), limit = encoder->limit;
    uint32_t next = 0;
    for (bool is_first = true; is_first || next < units; is_first = false) {
        const uint32_t free = SKYBOOK_STRIP_BYTES - encoder->strip_used;
        struct part parts[SKYBOOK_LANES_AT_ONCE];
        struct skybook_span spans[SKYBOOK_LANES_AT_ONCE];
        size_t lanes[SKYBOOK_LANES_AT_ONCE];
        uint32_t count = 0;
        if (free < limit) {
            return NO_ROOM;
        }
        do { /* lanes go at the ends of the places that segments may take, to be moved to theirs */
            uint8_t *end = &encoder->strip[encoder->strip_used + (count + 1) * limit];
            const struct part part = part_from(encoder, column, next, is_first && count == 0, margin);
            const struct skybook_span span = {next, part.stop, end - (room - part.head), room - part.head};
            parts[count] = part;
            spans[count++] = span;
            next = part.stop;
        } while (count < SKYBOOK_LANES_AT_ONCE && next < units && free >= (count + 1) * limit);
        skybook_bounded_lanes(&encoder->work, pixels, spans, count, lanes);
        for (uint32_t i = 0; i < count; i++) {
            if (lanes[i] == 0) {
                return TOO_LONG;
            }
            const size_t lane = parts[i].stop > parts[i].first ? lanes[i] : 0;
            uint8_t *body = skybook_begin_segment(encoder, &parts[i].segment);
            body[0] = (uint8_t)(tile->state + STATE); /* of a later segment, written over */
            memmove(body + parts[i].head, spans[i].buffer + spans[i].size - lanes[i], lane);
            skybook_end_segment(encoder, &parts[i].segment, parts[i].head + lane);
        }
    }
    return DONE;
}

/* Code the tile whose symbols are known. */
static enum skybook_status code_symbols(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    const uint32_t pixels = (uint32_t)tile->rows * tile->cols;
    enum outcome outcome = TOO_LONG;
    uint64_t sum = 0;
    tile->coded = tile->coded_stop = encoder->strip_used;
    for (uint32_t margin = 1; outcome == TOO_LONG && margin < MOST_MARGIN; margin++) {
        encoder->strip_used = tile->coded;
        outcome = code_segments(encoder, column, margin);
    }
    if (outcome != DONE) {
        return outcome == NO_ROOM ? SKYBOOK_ERROR_LIMIT : SKYBOOK_ERROR_USAGE;
    }
    tile->coded_stop = encoder->strip_used;
    for (uint32_t band = 0; band < encoder->form.bands; band++) {
        sum += sum_of_symbols(&encoder->work, pixels, band);
    }
    return sum == encoder->work.scratch.bounded.symbols_sum ? SKYBOOK_OK : SKYBOOK_ERROR_MEMORY;
}

/* Whether the largest unit, side information before it, fits a segment, as a rule. */
static bool units_fit(const struct skybook_encoder *encoder, uint32_t column)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    const uint32_t pixels = (uint32_t)tile->rows * tile->cols;
    const uint32_t most = skybook_largest_unit(&encoder->work, pixels, encoder->form.bands);
    return SKYBOOK_STATE_BYTES + 2 + most / (8 * SKYBOOK_BIT) <= skybook_room(encoder, column);
}

/* Code a tile, that has data, within its bound. */
enum skybook_status skybook_code_bounded(struct skybook_encoder *encoder, uint32_t column)
{
    enum skybook_status status = find_symbols(encoder, column, false);
    if (status == SKYBOOK_OK && !units_fit(encoder, column)) {
        status = find_symbols(encoder, column, true);
        if (status == SKYBOOK_OK && !units_fit(encoder, column)) {
            return SKYBOOK_ERROR_USAGE; /* one sample takes more than a segment */
        }
    }
    return status == SKYBOOK_OK ? code_symbols(encoder, column) : status;
}

/* Send the tiles that are coded; their bytes are free again. */
static enum skybook_status flush(struct skybook_encoder *encoder)
{
    const enum skybook_status status = skybook_send_part(encoder, encoder->lines - encoder->held);
    for (uint32_t column = 0; column < encoder->columns; column++) {
        struct skybook_tile *tile = &encoder->tiles[column];
        tile->coded = tile->coded_stop = tile->fixed = tile->fixed_stop = 0;
    }
    encoder->strip_used = 0;
    return status;
}

/* Code a strip of which all samples are within a bound. Where its bytes have no room for a tile, those
 * before it are sent first, unless a row goes layer by layer. */
enum skybook_status skybook_code_strip_bounded(struct skybook_encoder *encoder)
{
    enum skybook_status status = SKYBOOK_OK;
    memset(encoder->tiles, 0, sizeof(encoder->tiles));
    for (uint32_t column = 0; column < encoder->columns && status == SKYBOOK_OK; column++) {
        struct skybook_tile *tile = &encoder->tiles[column];
        const uint32_t before = encoder->strip_used;
        status = skybook_analyse(encoder, column);
        if (status == SKYBOOK_ERROR_LIMIT && before > 0 && !encoder->options.one_layer) {
            tile->fixed = tile->fixed_stop = tile->coded = tile->coded_stop = 0;
            status = skybook_is_whole(encoder) ? flush(encoder) : SKYBOOK_ERROR_MEMORY;
            status = status == SKYBOOK_OK ? skybook_analyse(encoder, column) : status;
        }
    }
    return status;
}

#else

/* There are no bounds in this build. */
const struct skybook_bound *skybook_bound_of(const struct skybook_encoder *encoder, uint32_t column)
{
    (void)encoder, (void)column;
    return NULL;
}

enum skybook_status skybook_code_bounded(struct skybook_encoder *encoder, uint32_t column)
{
    (void)encoder, (void)column;
    return SKYBOOK_ERROR_INTERNAL;
}

enum skybook_status skybook_code_strip_bounded(struct skybook_encoder *encoder)
{
    (void)encoder;
    return SKYBOOK_ERROR_INTERNAL;
}

#endif
