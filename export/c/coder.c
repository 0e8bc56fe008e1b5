/* A tile, analysed and coded: its symbols cut to segments (SPEC.md, sections 2, 11 and 13). */
#include <string.h>

#include "parts.h"

#define BIT 256
#define MOST_MARGIN 100
#define FULL_FIELD 0x80 /* added to the head of the field of a full tile */
#define HIDES 128       /* added to the state of a plain tile: it hides signs */

static enum skybook_status add_empty(struct skybook_encoder *encoder, uint32_t column)
{
    const struct skybook_segment segment = {SKYBOOK_KIND_TILE, 0, 0, column};
    uint8_t *body = skybook_begin_segment(encoder, &segment);
    if (body == NULL) {
        return SKYBOOK_ERROR_LIMIT;
    }
    body[0] = SKYBOOK_ALL_NODATA;
    skybook_end_segment(encoder, &segment, 1);
    return SKYBOOK_OK;
}

/* Make the latents of a tile. */
enum skybook_status skybook_load(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
#if SKYBOOK_GROUPS > 1
    if (encoder->options.profile != NULL) {
        return skybook_load_components(encoder, column);
    }
#endif
    const enum skybook_status status = skybook_front_end(encoder, column);
    if (status != SKYBOOK_OK || tile->state == SKYBOOK_ALL_NODATA) {
        return status;
    }
    const enum skybook_status transformed = skybook_transform(&encoder->form, &encoder->work, tile);
#if SKYBOOK_SMALL
    skybook_put_in_order(&encoder->form, &encoder->work);
#endif
    return transformed;
}

/* Make the latents of a tile for the first time. */
static enum skybook_status load_first(struct skybook_encoder *encoder, uint32_t column)
{
#if SKYBOOK_GROUPS > 1
    if (encoder->options.profile != NULL) {
        return skybook_analyse_components(encoder, column);
    }
#endif
    return skybook_load(encoder, column);
}

static void keep(struct skybook_encoder *encoder, uint32_t column)
{
#if SKYBOOK_GROUPS > 1
    if (!skybook_may_be_kept(encoder, column)) {
        return;
    }
#endif
    skybook_keep(encoder, column);
}

/* Add the mask of a tile; those of the first group tell it. */
static enum skybook_status add_mask(struct skybook_encoder *encoder, uint32_t column)
{
    return skybook_group(encoder, column) == 0 ? skybook_code_mask(encoder, column) : SKYBOOK_OK;
}

/* Analyse a tile for the first time, and add the segments that no step changes: all of one within a
 * bound. */
enum skybook_status skybook_analyse(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    const uint32_t left = encoder->options.width - skybook_first_pixel(encoder, column);
    memset(tile, 0, sizeof(*tile));
    tile->rows = (uint16_t)encoder->held;
    tile->cols = (uint16_t)(left < encoder->form.tile ? left : encoder->form.tile);
    tile->bounded = skybook_bound_of(encoder, column) != NULL;
    enum skybook_status status = SKYBOOK_OK;
    if (tile->bounded) {
        skybook_find_nodata(encoder, column);
    } else {
        status = load_first(encoder, column);
    }
    if (status != SKYBOOK_OK) {
        return status;
    }
    tile->fixed = encoder->strip_used;
    if (skybook_has_step(tile)) {
        tile->aimed = tile->finest;
        keep(encoder, column);
    }
    if (tile->state == SKYBOOK_ALL_NODATA) {
        status = add_empty(encoder, column);
    } else if (tile->state == SKYBOOK_SOME_NODATA) {
        status = add_mask(encoder, column);
    }
    tile->fixed_stop = encoder->strip_used;
    return status == SKYBOOK_OK && tile->bounded && tile->state != SKYBOOK_ALL_NODATA
               ? skybook_code_bounded(encoder, column)
               : status;
}

/* The bytes that the lane of some units will take, as a rule at most, and whether it is raw. */
static size_t lane_bytes(const struct skybook_work *work, uint32_t first, uint32_t stop, bool *is_raw)
{
    const uint32_t start = work->before[first];
    const uint32_t count = work->before[stop] - start;
    uint64_t bits = 0;
    for (uint32_t unit = first; unit < stop; unit++) {
        bits += work->costs[unit];
    }
    const size_t coded = (size_t)(SKYBOOK_STATE_BYTES + bits / (16 * BIT) * 2);
    *is_raw = false;
    if (coded > count) { /* raw residuals take 8 bits and more */
        const size_t raw = skybook_raw_bytes(&work->symbols[start], count);
        *is_raw = raw != SKYBOOK_NO_LANE && raw < coded;
        return *is_raw ? raw : coded;
    }
    return coded;
}

/* Bytes of layer 0. */
static uint32_t side_bytes(const struct skybook_encoder *encoder)
{
#if SKYBOOK_GROUPS > 1
    const uint32_t own = encoder->work.side_bytes;
    if (encoder->work.is_empty) {
        return 1;
    }
#else
    const uint32_t own = encoder->form.side_bytes;
#endif
    return 1 + own + encoder->work.field.length +
           skybook_floors_bytes(&encoder->form, &encoder->work);
}

#define SKIPPED 8u /* units that are known to fit by their sum */

/* The unit after the last of those that fit some bits, `SKIPPED` at a time; the bits that are left. */
static uint32_t skip(const struct skybook_work *work, uint32_t first, int64_t *bits)
{
    uint32_t stop = first;
    for (; stop + SKIPPED <= work->units; stop += SKIPPED) {
        int64_t sum = 0;
        for (uint32_t i = 0; i < SKIPPED; i++) {
            sum += work->costs[stop + i];
        }
        if (sum > *bits) {
            break;
        }
        *bits -= sum;
    }
    return stop;
}

/* The unit after the last that fits a segment beginning at `first`; one whose cost takes more than a
 * segment fits if it is raw. */
static uint32_t cut(const struct skybook_encoder *encoder, uint32_t first, bool is_first,
                    uint32_t room, uint32_t margin)
{
    const struct skybook_work *work = &encoder->work;
    const int64_t side = is_first ? side_bytes(encoder) : 0;
    const int64_t free = (int64_t)room - side - SKYBOOK_STATE_BYTES;
    const int64_t most = 8 * BIT * free * (1000 - 2 * (int64_t)margin);
    int64_t bits = most > 0 ? most / 1000 - 8 * BIT * (int64_t)margin : 0;
    bits = bits > 0 ? bits : 0;
    uint32_t stop = first, layer = 0, layer_of_stop = 0, place = 0;
    if (encoder->options.one_layer) {
        if (is_first) {
            return first;
        }
        skybook_place(work, first, &layer, &place);
    } else {
        stop = skip(work, first, &bits);
    }
    while (stop < work->units && (int64_t)work->costs[stop] <= bits) {
        if (encoder->options.one_layer) {
            skybook_place(work, stop, &layer_of_stop, &place);
            if (layer_of_stop != layer) {
                break;
            }
        }
        bits -= work->costs[stop];
        stop++;
    }
    if (stop == first && !is_first) {
        bool is_raw = false;
        const size_t lane = lane_bytes(work, first, first + 1, &is_raw);
        stop += is_raw && lane <= room ? 1 : 0;
    }
    return stop;
}

/* Whether a layer that would be a segment of its own has no symbol that is coded. */
static bool is_empty(const struct skybook_encoder *encoder, uint32_t first, uint32_t stop)
{
    const uint32_t *before = encoder->work.before;
    return encoder->options.one_layer && first < stop && before[first] == before[stop];
}

#if SKYBOOK_GROUPS > 1
/* Layer 0 of a tile of components. */
static uint32_t put_side_of_components(const struct skybook_encoder *encoder, const struct skybook_tile *tile,
                                       uint8_t *body)
{
    const struct skybook_work *work = &encoder->work;
    if (work->is_empty) {
        body[0] = skybook_empty_state(tile);
        return 1;
    }
    body[0] = (uint8_t)(tile->state + (work->dependent ? SKYBOOK_DEPENDENT : HIDES) + (work->full ? SKYBOOK_FULL : 0));
    skybook_put_side(encoder, tile, body + 1);
    if (work->full) {
        skybook_put_floors(&encoder->form, work, body + 1 + work->side_bytes);
    }
    return side_bytes(encoder);
}
#endif

static uint32_t put_side(const struct skybook_encoder *encoder, const struct skybook_tile *tile,
                         uint8_t *body)
{
#if SKYBOOK_GROUPS > 1
    if (encoder->options.profile != NULL) {
        return put_side_of_components(encoder, tile, body);
    }
#endif
    const struct skybook_form *form = &encoder->form;
    const struct skybook_work *work = &encoder->work;
    const uint32_t angles = form->bands * (form->bands - 1) / 2;
    const uint32_t lift = skybook_lift(&encoder->options) << form->fraction;
    const struct skybook_field *field = &work->field;
    const int full = field->length > 0 ? SKYBOOK_FIELD : work->full ? SKYBOOK_FULL : 0;
    body[0] = (uint8_t)(tile->state + (work->dependent ? SKYBOOK_DEPENDENT : HIDES) + full);
    body[1] = tile->code;
    memcpy(body + 2, tile->angles, angles);
    for (uint32_t band = 0; band < form->bands; band++) {
        skybook_put16(body + 2 + angles + 2 * band, (tile->means[band] - lift) & 0xFFFFu);
    }
    uint8_t *next = body + 1 + form->side_bytes;
    if (field->length > 0) {
        memcpy(next, field->bytes, field->length);
        next[0] = (uint8_t)(next[0] | (work->full ? FULL_FIELD : 0));
        next += field->length;
    }
    if (work->full) {
        skybook_put_floors(form, work, next);
    }
    return side_bytes(encoder);
}

/* A segment of a tile. */
struct span {
    uint32_t first, stop; /* units */
    uint32_t side;        /* bytes before the lane, none but of the first segment */
    size_t planned;       /* bytes of the lane */
    bool is_raw;
    struct skybook_run run; /* what the lane is made of if it is not raw, and made */
};

static struct span span_of(struct skybook_encoder *encoder, uint32_t first, bool is_first, uint32_t room,
                           uint32_t margin)
{
    const struct skybook_work *work = &encoder->work;
    const uint32_t side = is_first ? side_bytes(encoder) : 0, stop = cut(encoder, first, is_first, room, margin);
    struct span span = {first, stop, side, 0, false, {NULL, 0, NULL, 0, room - side, 0}};
    if (stop > first) {
        span.planned = lane_bytes(work, first, stop, &span.is_raw);
        span.run.symbols = &work->symbols[work->before[first]];
        span.run.count = work->before[stop] - work->before[first];
    }
    return span;
}

/* Segments whose lanes are made together, if there is room for them all. */
#define TOGETHER (SKYBOOK_SMALL ? 2u : 4u)

/* Find the next segments of a tile, from unit `*first` on, which comes to be that after them; how many they
 * are. */
static uint32_t find_spans(struct skybook_encoder *encoder, uint32_t column, uint32_t margin, uint32_t *first,
                           bool is_first, struct span spans[TOGETHER])
{
    const uint32_t room = skybook_room(encoder, column);
    const uint32_t spare = 2 * (room + SKYBOOK_SPARE) <= SKYBOOK_PACKET_BYTES ? SKYBOOK_SPARE : 0, each = room + spare;
    const uint32_t fit = SKYBOOK_PACKET_BYTES / each, most = fit < TOGETHER ? fit : TOGETHER;
    uint32_t count = 0;
    for (bool more = true; more;) {
        struct span *span = &spans[count];
        *span = span_of(encoder, *first, is_first && count == 0, room, margin);
        span->run.buffer = skybook_packet(&encoder->work) + (size_t)count * each;
        span->run.size = each;
        count += span->side > 0 || !is_empty(encoder, span->first, span->stop);
        more = span->stop < encoder->work.units && count < most;
        *first = span->stop;
    }
    return count;
}

static bool has_lane(const struct span *span)
{
    return span->stop > span->first && !span->is_raw;
}

/* Make the lanes of segments. */
static void make_lanes(struct span *spans, uint32_t count)
{
    struct skybook_run *runs[TOGETHER];
    uint32_t lanes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (has_lane(&spans[i])) {
            runs[lanes++] = &spans[i].run;
        }
    }
    skybook_make_lanes(runs, lanes);
}

/* The body of a segment; its length, 0 if it takes more than the room, or
 * SKYBOOK_NO_LANE. */
static size_t put_body(struct skybook_encoder *encoder, uint32_t column, const struct span *span, uint8_t *body)
{
    const struct skybook_run *run = &span->run;
    uint8_t *lane = body + span->side;
    if (span->side > 0) {
        put_side(encoder, &encoder->tiles[column], body);
    }
    if (span->stop == span->first) {
        return span->side;
    }
    if (span->is_raw) {
        return span->planned > run->most ? 0 : span->side + skybook_raw_lane(run->symbols, run->count, lane);
    }
    if (run->length == 0 || run->length == SKYBOOK_NO_LANE) {
        return run->length;
    }
    memcpy(lane, run->buffer + run->size - run->length, run->length);
    return span->side + run->length;
}

/* What became of an attempt to code a tile. */
enum outcome { DONE, TOO_LONG, NO_ROOM, BROKEN };

static enum outcome put_segment(struct skybook_encoder *encoder, uint32_t column, const struct span *span)
{
    struct skybook_segment segment = {SKYBOOK_KIND_TILE, 0, 0, column};
    if (span->side == 0) {
        uint32_t layer = 0, place = 0;
        skybook_place(&encoder->work, span->first, &layer, &place);
        segment.layer = (uint8_t)layer;
        segment.first = (uint16_t)place;
    }
    uint8_t *body = skybook_begin_segment(encoder, &segment);
    if (body == NULL) {
        return NO_ROOM;
    }
    const size_t length = put_body(encoder, column, span, body);
    if (length == SKYBOOK_NO_LANE) {
        return BROKEN;
    }
    if (length == 0) {
        return TOO_LONG;
    }
    skybook_end_segment(encoder, &segment, length);
    return DONE;
}

static enum outcome code_segments(struct skybook_encoder *encoder, uint32_t column, uint32_t margin)
{
    uint32_t next = 0;
    enum outcome outcome = DONE;
    for (bool is_first = true; (is_first || next < encoder->work.units) && outcome == DONE; is_first = false) {
        struct span spans[TOGETHER];
        const uint32_t count = find_spans(encoder, column, margin, &next, is_first, spans);
        make_lanes(spans, count);
        for (uint32_t i = 0; i < count && outcome == DONE; i++) {
            outcome = put_segment(encoder, column, &spans[i]);
        }
    }
    return outcome;
}

/* Note the segments of a tile with the lengths that follow from the cost of their symbols. */
static enum skybook_status plan(struct skybook_encoder *encoder, uint32_t column)
{
    const struct skybook_work *work = &encoder->work;
    struct skybook_tile *tile = &encoder->tiles[column];
    const uint32_t room = skybook_room(encoder, column);
    uint32_t first = 0;
    tile->planned = tile->planned_stop = encoder->pieces_used;
    do {
        const bool is_first = tile->planned == tile->planned_stop;
        const uint32_t stop = cut(encoder, first, is_first, room, 1);
        if (stop == first && !is_first) {
            return SKYBOOK_ERROR_USAGE;
        }
        if (!is_first && is_empty(encoder, first, stop)) {
            first = stop;
            continue;
        }
        if (encoder->pieces_used == SKYBOOK_STRIP_SEGMENTS) {
            skybook_close_piece_gaps(encoder);
            tile->planned = is_first ? encoder->pieces_used : tile->planned;
            if (encoder->pieces_used == SKYBOOK_STRIP_SEGMENTS) {
                return SKYBOOK_ERROR_LIMIT;
            }
        }
        uint32_t layer = 0, place = 0;
        if (!is_first) {
            skybook_place(work, first, &layer, &place);
        }
        bool is_raw = false;
        const size_t lane = stop > first ? lane_bytes(work, first, stop, &is_raw) : 0;
        const uint32_t side = is_first ? side_bytes(encoder) : 0;
        struct skybook_piece *piece = &encoder->pieces[encoder->pieces_used];
        piece->length = skybook_around(encoder, column, place) + side + (uint32_t)lane;
        piece->layer = (uint8_t)layer;
        piece->first = (uint16_t)place;
        encoder->pieces_used++;
        tile->planned_stop = encoder->pieces_used;
        first = stop;
    } while (first < work->units);
    return SKYBOOK_OK;
}

/* Code the tile that is planned. Where the strip's bytes have no room for it, it is left for later:
 * the tiles coded before may still change. */
static enum skybook_status code(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    uint32_t margin = 1;
    bool closed = false;
    tile->coded = tile->coded_stop = encoder->strip_used;
    while (margin < MOST_MARGIN) {
        const enum outcome outcome = code_segments(encoder, column, margin);
        if (outcome == DONE) {
            tile->coded_stop = encoder->strip_used;
            return SKYBOOK_OK;
        }
        encoder->strip_used = tile->coded;
        if (outcome == BROKEN) {
            return encoder->options.step_code >= 0 ? SKYBOOK_ERROR_LIMIT : SKYBOOK_ERROR_INTERNAL;
        }
        if (outcome == TOO_LONG) {
            margin++;
        } else if (!closed) {
            skybook_close_gaps(encoder);
            tile->coded = tile->coded_stop = encoder->strip_used;
            closed = true;
        } else {
            return SKYBOOK_OK;
        }
    }
    return SKYBOOK_ERROR_USAGE; /* the room is too short for a position */
}

enum skybook_status skybook_code(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    if (!skybook_has_room_for_side(encoder)) { /* of a scene that has tiles within a bound beside it */
        return SKYBOOK_ERROR_USAGE;
    }
#if SKYBOOK_GROUPS > 1
    skybook_choose_way(encoder, column);
    skybook_size_side(encoder, column);
#endif
    enum skybook_status status = SKYBOOK_OK;
    if (tile->kept) {
        skybook_recall(encoder, column);
    } else {
        status = skybook_load(encoder, column);
    }
    if (status != SKYBOOK_OK) {
        return status;
    }
    /* A step that the options name may be an octave finer, as those of golden vectors are:
     * residuals seldom pass their range then, and where one does, it is found. */
    const bool named = encoder->options.step_code >= 0 && tile->finest >= 16;
    const uint8_t finest = (uint8_t)(tile->finest - (named ? 16 : 0));
    tile->code = tile->code < finest ? finest : tile->code;
    const uint32_t room = skybook_room(encoder, column);
    const uint32_t taken = 1 + encoder->form.side_bytes + SKYBOOK_LEAST_LANE;
    skybook_make_field(encoder, column, room > taken ? room - taken : 0);
    const uint32_t most_floors =
        skybook_most_floors(&encoder->form, room - encoder->work.field.length);
    status = skybook_find_symbols(encoder, column, most_floors);
    status = status == SKYBOOK_OK ? plan(encoder, column) : status;
#if SKYBOOK_GROUPS > 1
    if (status == SKYBOOK_OK && encoder->options.profile != NULL && skybook_is_worth_nothing(encoder, column)) {
        encoder->work.is_empty = true;
        encoder->work.units = 0;
        encoder->pieces_used = tile->planned;
        status = plan(encoder, column);
    }
#endif
    return status == SKYBOOK_OK ? code(encoder, column) : status;
}

/* Code the tiles for which the strip's bytes had no room before the others were settled. */
enum skybook_status skybook_code_missing(struct skybook_encoder *encoder)
{
    enum skybook_status status = SKYBOOK_OK;
    for (uint32_t column = 0; column < encoder->columns && status == SKYBOOK_OK; column++) {
        struct skybook_tile *tile = &encoder->tiles[column];
        if (skybook_has_step(tile) && tile->coded == tile->coded_stop) {
            status = skybook_code(encoder, column);
            if (status == SKYBOOK_OK && tile->coded == tile->coded_stop) {
                status = SKYBOOK_ERROR_LIMIT;
            }
        }
    }
    return status;
}
