/* Tiles of a strip that do not heed each other, done one after the other, or by a crew at once. */
#include <string.h>

#include "parts.h"

/* What a crew is at. */
struct batch {
    struct skybook_encoder *encoder;
    skybook_task *task;
    const uint16_t *columns;                /* of the tiles */
    uint16_t order[SKYBOOK_MAX_TILES];      /* the tiles as they lie, so that who has had one has it again */
    uint16_t members[SKYBOOK_MAX_TILES];  /* who did each */
    enum skybook_status status[SKYBOOK_MAX_TILES];
};

/* Where nothing is yet. */
static void empty(struct skybook_tile *tile)
{
    tile->fixed = tile->fixed_stop = tile->coded = tile->coded_stop = 0;
    tile->planned = tile->planned_stop = 0;
}

/* Have a member know what the encoder does, and hold nothing; lines and latents stay where they are. */
static void prepare(struct skybook_encoder *encoder, struct skybook_encoder *member)
{
    memcpy(member, encoder, offsetof(struct skybook_encoder, tiles));
    memset(member->tiles, 0, sizeof(member->tiles));
    member->crew = NULL;
    member->owner = encoder;
    member->strip_used = 0;
    member->pieces_used = 0;
}

static void do_one(void *job, uint32_t number, uint32_t member)
{
    struct batch *batch = job;
    struct skybook_encoder *encoder = batch->encoder, *by = &encoder->crew->members[member];
    const uint32_t tile = batch->order[number], column = batch->columns[tile];
    if (by->owner == NULL) {
        prepare(encoder, by);
    }
    batch->members[tile] = (uint16_t)member;
    by->tiles[column] = encoder->tiles[column];
    empty(&by->tiles[column]);
    batch->status[tile] = batch->task(encoder, by, column);
}

/* Put tiles in the order in which they lie in the strip. */
static void sort(struct batch *batch, uint32_t count)
{
    bool taken[SKYBOOK_MAX_TILES] = {false};
    uint16_t tiles[SKYBOOK_MAX_TILES] = {0};
    uint32_t next = 0;
    for (uint32_t i = 0; i < count; i++) {
        taken[batch->columns[i]] = true;
        tiles[batch->columns[i]] = (uint16_t)i;
    }
    for (uint32_t column = 0; column < batch->encoder->columns; column++) {
        if (taken[column]) {
            batch->order[next++] = tiles[column];
        }
    }
}

/* Append bytes of a member to those of the strip, if there is room; false if there is none. */
static bool take_bytes(struct skybook_encoder *encoder, const struct skybook_encoder *by,
                       uint32_t *start, uint32_t *stop)
{
    const uint32_t length = *stop - *start;
    if (SKYBOOK_STRIP_BYTES - encoder->strip_used < length) {
        skybook_close_gaps(encoder);
    }
    const bool fits = SKYBOOK_STRIP_BYTES - encoder->strip_used >= length;
    const uint32_t taken = fits ? length : 0;
    memcpy(&encoder->strip[encoder->strip_used], &by->strip[*start], taken);
    *start = encoder->strip_used;
    encoder->strip_used += taken;
    *stop = encoder->strip_used;
    return fits;
}

/* The same of segments as planned. */
static bool take_pieces(struct skybook_encoder *encoder, const struct skybook_encoder *by,
                        uint32_t *start, uint32_t *stop)
{
    const uint32_t count = *stop - *start;
    if (SKYBOOK_STRIP_SEGMENTS - encoder->pieces_used < count) {
        skybook_close_piece_gaps(encoder);
    }
    const bool fits = SKYBOOK_STRIP_SEGMENTS - encoder->pieces_used >= count;
    const uint32_t taken = fits ? count : 0;
    memcpy(&encoder->pieces[encoder->pieces_used], &by->pieces[*start],
           taken * sizeof(encoder->pieces[0]));
    *start = encoder->pieces_used;
    encoder->pieces_used += taken;
    *stop = encoder->pieces_used;
    return fits;
}

/* Take over what a member made of a tile. What is coded at a step is left for later where it has no
 * room. */
static enum skybook_status take_over(struct skybook_encoder *encoder,
                                     const struct skybook_encoder *by, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    struct skybook_tile made = by->tiles[column];
    bool fits = true;
    tile->coded = tile->coded_stop = 0;
    tile->planned = tile->planned_stop = 0;
    if (made.fixed < made.fixed_stop) {
        fits = take_bytes(encoder, by, &made.fixed, &made.fixed_stop);
    } else {
        made.fixed = tile->fixed;
        made.fixed_stop = tile->fixed_stop;
    }
    tile->fixed = made.fixed;
    tile->fixed_stop = made.fixed_stop;
    fits &= take_bytes(encoder, by, &made.coded, &made.coded_stop) | !made.bounded;
    made.fixed = tile->fixed; /* gaps may have been closed */
    made.fixed_stop = tile->fixed_stop;
    const bool planned = take_pieces(encoder, by, &made.planned, &made.planned_stop);
    *tile = made;
    return (fits & planned) ? SKYBOOK_OK : SKYBOOK_ERROR_LIMIT;
}

static enum skybook_status do_together(struct skybook_encoder *encoder, skybook_task *task,
                                       const uint16_t *columns, uint32_t count)
{
    const struct skybook_crew *crew = encoder->crew;
    struct batch batch = {encoder, task, columns, {0}, {0}, {SKYBOOK_OK}};
    sort(&batch, count);
    for (uint32_t member = 0; member < crew->count; member++) {
        crew->members[member].owner = NULL; /* it prepares itself, where it has a tile to do */
    }
    crew->run(crew->user, do_one, &batch, count);
    enum skybook_status status = SKYBOOK_OK;
    for (uint32_t i = 0; i < count && status == SKYBOOK_OK; i++) {
        status = batch.status[i];
        if (status == SKYBOOK_OK) {
            status = take_over(encoder, &crew->members[batch.members[i]], columns[i]);
        }
    }
    return status;
}

enum skybook_status skybook_do_all(struct skybook_encoder *encoder, skybook_task *task,
                                   const uint16_t *columns, uint32_t count)
{
    if (encoder->crew != NULL && count > 1) {
        return do_together(encoder, task, columns, count);
    }
    enum skybook_status status = SKYBOOK_OK;
    for (uint32_t i = 0; i < count && status == SKYBOOK_OK; i++) {
        status = task(encoder, encoder, columns[i]);
    }
    return status;
}
