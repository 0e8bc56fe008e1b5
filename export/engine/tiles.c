/* Tiles for Python: see tiles.h. */
#include "tiles.h"

#include <string.h>

#include "reader.h"

/* What a record begins with. */
struct head {
    struct skybook_tile tile;
    uint64_t error;  /* squared, in DN^2, that it is expected to have */
    uint32_t known;  /* step code at which, and 1; 0 if there is none */
};

uint32_t skybook_tiles_interface(void)
{
    return SKYBOOK_TILES_INTERFACE;
}

const char *skybook_tiles_sources(void)
{
    return SKYBOOK_SOURCES;
}

const char *skybook_tiles_processor(void)
{
    return SKYBOOK_PROCESSOR;
}

size_t skybook_tiles_room(void)
{
    return sizeof(struct skybook_reader);
}

static size_t samples_of(uint32_t bands, uint32_t tile)
{
    return (size_t)bands * tile * tile;
}

static size_t upper_of(uint32_t tile)
{
    return (size_t)tile / SKYBOOK_TILE * SKYBOOK_UPPER_BYTES;
}

/* A record: its head, samples of the tile or the latents in their place, and the upper bits of these. */
size_t skybook_tiles_record(uint32_t bands, uint32_t tile)
{
    const size_t bytes = sizeof(struct head) + 2 * samples_of(bands, tile) + upper_of(tile);
    return (bytes + 63) / 64 * 64;
}

uint32_t skybook_tiles_whole(void)
{
#if SKYBOOK_BOUNDED
    return skybook_tables_are_whole() && skybook_bounded_tables_are_whole();
#else
    return skybook_tables_are_whole();
#endif
}

uint32_t skybook_tiles_crc32c(const uint8_t *bytes, size_t length, uint32_t crc)
{
    return skybook_crc32c_on(crc, bytes, length);
}

void skybook_tiles_crcs(const uint8_t *bytes, const uint32_t *lengths, uint32_t count, uint32_t *crcs)
{
    for (uint32_t i = 0; i < count; i++) {
        crcs[i] = skybook_crc32c(bytes, lengths[i]);
        bytes += lengths[i];
    }
}

/* Make the room that of tiles of a shape; their number in a scene is of no account. */
enum skybook_status skybook_furnish(struct skybook_encoder *room, const struct skybook_tiles *all)
{
    struct skybook_options *options = &room->options;
    const uint32_t most = all->bands == 1 ? SKYBOOK_SIDE : SKYBOOK_LARGEST_TILE;
    const bool large = all->tile > SKYBOOK_TILE;
    if (all->bands < 1 || all->bands > (large ? SKYBOOK_LARGE_BANDS : SKYBOOK_MAX_BANDS) ||
        all->tile < SKYBOOK_TILE || all->tile > most || all->tile % 8 > 0 || all->significant_bits < 1 ||
        all->significant_bits > 16 || (all->is_mosaic && all->bands != 4) || all->rows < 1 ||
        all->rows > all->tile || all->cols < 1 || all->cols > all->tile) {
        return SKYBOOK_ERROR_USAGE;
    }
    memset(options, 0, sizeof(*options));
    options->width = all->cols;
    options->bands = (uint16_t)all->bands;
    options->tile = (uint16_t)all->tile;
    options->sample_type = all->is_signed ? SKYBOOK_I16 : SKYBOOK_U16;
    options->significant_bits = (uint8_t)all->significant_bits;
    options->bayer = all->is_mosaic ? 1 : 0;
    options->one_layer = all->one_layer != 0;
    options->trellis = all->trellis != 0;
    options->has_nodata = all->has_nodata != 0;
    options->nodata = (uint16_t)(all->nodata & 0xFFFFu);
    options->step_code = -1;
    skybook_make_form(&room->form, options);
    room->columns = 1;
    room->held = all->rows;
    room->lines = all->rows;
    room->limit = SKYBOOK_SEGMENT_OVERHEAD + all->edge + all->body;
    return room->limit <= SKYBOOK_PACKET_BYTES ? SKYBOOK_OK : SKYBOOK_ERROR_USAGE;
}

/* The sum of some samples of a band, of which so many rows count. */
static void note_sum(struct skybook_encoder *room, uint32_t band, uint32_t rows)
{
    uint64_t sum = 0;
    for (uint32_t row = 0; row < rows; row++) {
        sum += skybook_words_of_row(room, 0, room->samples[band * room->form.tile + row]);
    }
    room->sums[0][band] = sum;
}

/* Take the samples of a tile, lifted so that none is below 0. */
static void take_samples(struct skybook_encoder *room, const uint16_t *samples, size_t band, size_t row)
{
    const uint32_t tile = room->form.tile, lift = skybook_lift(&room->options);
    for (uint32_t own = 0; own < room->form.bands; own++) {
        for (uint32_t line = 0; line < tile; line++) {
            const uint16_t *restrict from = samples + own * band + line * row;
            uint16_t *restrict to = room->samples[own * tile + line];
            for (uint32_t col = 0; col < tile; col++) {
                to[col] = (uint16_t)((from[col] + lift) & 0xFFFFu);
            }
        }
        note_sum(room, own, room->held);
    }
}

/* Copy a line of a tile; of usual ones compilers know how long it is. */
static inline void copy_line(void *to, const void *from, uint32_t tile)
{
    if (tile == SKYBOOK_TILE) {
        memcpy(to, from, 2 * (size_t)SKYBOOK_TILE);
    } else {
        memcpy(to, from, 2 * (size_t)tile);
    }
}

static void put_record(const struct skybook_encoder *room, uint8_t *record)
{
    const uint32_t tile = room->form.tile;
    const struct head head = {room->tiles[0], 0, 0};
    memcpy(record, &head, sizeof(head));
    record += sizeof(head);
    for (uint32_t line = 0; line < room->form.bands * tile; line++, record += 2 * (size_t)tile) {
        copy_line(record, room->samples[line], tile);
    }
    memcpy(record, room->upper, upper_of(room->form.tile));
}

static void take_record(struct skybook_encoder *room, const uint8_t *record)
{
    const uint32_t tile = room->form.tile;
    memcpy(&room->tiles[0], record, sizeof(room->tiles[0]));
    record += sizeof(struct head);
    for (uint32_t line = 0; line < room->form.bands * tile; line++, record += 2 * (size_t)tile) {
        copy_line(room->samples[line], record, tile);
    }
    memcpy(room->upper, record, upper_of(room->form.tile));
    for (uint32_t band = 0; !room->tiles[0].kept && band < room->form.bands; band++) {
        note_sum(room, band, room->tiles[0].rows);
    }
}

/* Analyse the tile whose samples are in the room. */
static enum skybook_status analyse(struct skybook_encoder *room)
{
    struct skybook_tile *tile = &room->tiles[0];
    memset(tile, 0, sizeof(*tile));
    tile->rows = (uint16_t)room->held;
    tile->cols = (uint16_t)room->options.width;
    enum skybook_status status = skybook_front_end(room, 0);
    if (status == SKYBOOK_OK && tile->state == SKYBOOK_ALL_NODATA) {
        return SKYBOOK_ERROR_USAGE;
    }
    return status == SKYBOOK_OK ? skybook_transform(&room->form, &room->work, tile) : status;
}

enum skybook_status skybook_tiles_analyse(struct skybook_encoder *room, const struct skybook_tiles *all,
                                          const uint16_t *const *samples, size_t band, size_t row,
                                          uint32_t count, uint8_t *records, uint32_t *bits, uint8_t *finest)
{
    enum skybook_status status = skybook_furnish(room, all);
    for (uint32_t i = 0; i < count && status == SKYBOOK_OK; i++) {
        take_samples(room, samples[i], band, row);
        status = analyse(room);
        if (status == SKYBOOK_OK) {
            skybook_guess_bits(&room->form, &room->work, &room->tiles[0], all->trellis,
                               bits + (size_t)256 * i);
            finest[i] = room->tiles[0].finest;
            skybook_keep(room, 0);
            put_record(room, records + i * skybook_tiles_record(all->bands, all->tile));
        }
    }
    return status;
}

/* Where what is made goes, and how much room there is left. */
struct output {
    struct skybook_tile_piece *pieces;
    size_t most_pieces;
    uint8_t *bytes;
    size_t most_bytes;
    uint32_t used; /* bytes */
};

/* Forget what became of the tile before. */
static void begin_tile(struct skybook_encoder *room)
{
    room->strip_used = 0;
    room->pieces_used = 0;
}

/* Put the pieces of the tile in the room as they were planned; how many. */
static uint32_t put_planned(const struct skybook_encoder *room, struct output *out)
{
    const struct skybook_tile *tile = &room->tiles[0];
    for (uint32_t i = tile->planned; i < tile->planned_stop; i++, out->pieces++, out->most_pieces--) {
        const struct skybook_piece *piece = &room->pieces[i];
        out->pieces->layer = piece->layer;
        out->pieces->first = piece->first;
        out->pieces->start = 0;
        out->pieces->length = piece->length - skybook_around(room, 0, piece->first);
    }
    return tile->planned_stop - tile->planned;
}

/* Put its bodies as they were coded; how many. */
static uint32_t put_coded(const struct skybook_encoder *room, struct output *out)
{
    const struct skybook_tile *tile = &room->tiles[0];
    uint32_t count = 0;
    for (uint32_t at = tile->coded; at < tile->coded_stop; count++, out->pieces++, out->most_pieces--) {
        const uint8_t *segment = &room->strip[at];
        const uint32_t place = skybook_packed_place(segment), length = skybook_packed_length(segment);
        const uint32_t before = skybook_around(room, 0, place & 0xFFFFu) - SKYBOOK_CRC_BYTES;
        const uint32_t body = length - before - SKYBOOK_CRC_BYTES;
        out->pieces->layer = place >> 16;
        out->pieces->first = place & 0xFFFFu;
        out->pieces->start = out->used;
        out->pieces->length = body;
        memcpy(out->bytes + out->used, segment + before, body);
        out->used += body;
        out->most_bytes -= body;
        at += length;
    }
    return count;
}

/* Put what the tile in the room became; false if there is no room for it. */
static bool put_made(const struct skybook_encoder *room, struct output *out,
                     struct skybook_tile_made *made)
{
    const struct skybook_tile *tile = &room->tiles[0];
    size_t more = tile->planned_stop - tile->planned;
    for (uint32_t at = tile->coded; at < tile->coded_stop; more++) {
        at += skybook_packed_length(&room->strip[at]);
    }
    if (tile->coded == tile->coded_stop || out->most_pieces < more ||
        out->most_bytes < tile->coded_stop - tile->coded) {
        return false;
    }
    made->planned = put_planned(room, out);
    made->coded = put_coded(room, out);
    return true;
}

/* Note the error of the tile in the room, which was coded. */
static void note_error(const struct skybook_encoder *room, uint8_t *record)
{
    struct head head;
    memcpy(&head, record, sizeof(head));
    head.error = room->tiles[0].error;
    head.known = room->tiles[0].code + 1u;
    memcpy(record, &head, sizeof(head));
}

enum skybook_status skybook_tiles_code(struct skybook_encoder *room, const struct skybook_tiles *all,
                                       uint8_t *const *records, const uint8_t *steps,
                                       const uint16_t *thrifts, uint32_t count,
                                       struct skybook_tile_made *made, struct skybook_tile_piece *pieces,
                                       size_t most_pieces, uint8_t *bytes, size_t most_bytes,
                                       uint32_t *done)
{
    enum skybook_status status = skybook_furnish(room, all);
    struct output out = {pieces, most_pieces, bytes, most_bytes, 0};
    *done = 0;
    for (uint32_t i = 0; i < count && status == SKYBOOK_OK; i++) {
        take_record(room, records[i]);
        room->tiles[0].code = steps[i];
        room->tiles[0].thrift = thrifts[i];
        begin_tile(room);
        status = skybook_code(room, 0);
        if (status == SKYBOOK_OK && !put_made(room, &out, &made[i])) {
            return *done > 0 ? SKYBOOK_OK : SKYBOOK_ERROR_LIMIT;
        }
        if (status == SKYBOOK_OK) {
            note_error(room, records[i]);
            *done += 1;
        }
    }
    return status;
}

enum skybook_status skybook_tiles_bounded(struct skybook_encoder *room, const struct skybook_tiles *all,
                                          const uint16_t *samples, const uint16_t *bounds, uint32_t root,
                                          uint32_t count, struct skybook_tile_made *made,
                                          struct skybook_tile_piece *pieces, size_t most_pieces,
                                          uint8_t *bytes, size_t most_bytes, uint32_t *done)
{
    enum skybook_status status = skybook_furnish(room, all);
    struct skybook_bound *bound = &room->options.max_error;
    const size_t of_tile = samples_of(all->bands, all->tile);
    struct output out = {pieces, most_pieces, bytes, most_bytes, 0};
    *done = 0;
    bound->count = (uint16_t)all->bands;
    bound->root = (uint16_t)(root & 0xFFFFu);
    for (uint32_t band = 0; band < all->bands && status == SKYBOOK_OK; band++) {
        bound->each[band] = bounds[band];
    }
    for (uint32_t i = 0; i < count && status == SKYBOOK_OK; i++) {
        struct skybook_tile *tile = &room->tiles[0];
        take_samples(room, samples + i * of_tile, (size_t)all->tile * all->tile, all->tile);
        begin_tile(room);
        memset(tile, 0, sizeof(*tile));
        tile->rows = (uint16_t)all->rows;
        tile->cols = (uint16_t)all->cols;
        tile->bounded = true;
        status = skybook_find_nodata(room, 0) > 0 ? skybook_code_bounded(room, 0) : SKYBOOK_ERROR_USAGE;
        if (status == SKYBOOK_OK && !put_made(room, &out, &made[i])) {
            return *done > 0 ? SKYBOOK_OK : SKYBOOK_ERROR_LIMIT;
        }
        *done += status == SKYBOOK_OK;
    }
    return status;
}

/* Have the latents of a tile at hand. */
static enum skybook_status recall(struct skybook_encoder *room, const uint8_t *record)
{
    take_record(room, record);
    if (room->tiles[0].kept) {
        skybook_recall(room, 0);
        return SKYBOOK_OK;
    }
    enum skybook_status status = skybook_front_end(room, 0);
    return status == SKYBOOK_OK ? skybook_transform(&room->form, &room->work, &room->tiles[0]) : status;
}

enum skybook_status skybook_tiles_error(struct skybook_encoder *room, const struct skybook_tiles *all,
                                        const uint8_t *const *records, const uint8_t *steps,
                                        uint32_t count, uint64_t *errors)
{
    enum skybook_status status = skybook_furnish(room, all);
    for (uint32_t i = 0; i < count && status == SKYBOOK_OK; i++) {
        struct head head;
        memcpy(&head, records[i], sizeof(head));
        if (head.known != steps[i] + 1u) {
            status = recall(room, records[i]);
            room->tiles[0].code = steps[i];
            skybook_make_field(room, 0, 0);
            status = status == SKYBOOK_OK ? skybook_find_symbols(room, 0, SKYBOOK_MOST_FLOORS) : status;
            head.error = room->tiles[0].error;
        }
        errors[i] = head.error;
    }
    return status;
}

enum skybook_status skybook_tiles_latents(struct skybook_encoder *room, const struct skybook_tiles *all,
                                          const uint8_t *const *records, uint32_t count, int32_t *means,
                                          uint8_t *angles, uint8_t *shifts, int32_t *latents)
{
    static const struct skybook_per_step as_they_are = {0, 0, 1};
    enum skybook_status status = skybook_furnish(room, all);
    const struct skybook_form *form = &room->form;
    const uint32_t of_tile = form->bands * (form->bands - 1) / 2;
    const int32_t lift = (int32_t)(skybook_lift(&room->options) << form->fraction);
    for (uint32_t i = 0; i < count && status == SKYBOOK_OK; i++) {
        status = recall(room, records[i]);
        const uint32_t positions = (uint32_t)room->work.positions[0] * room->work.positions[1];
        shifts[i] = room->tiles[0].shift;
        memcpy(angles + (size_t)i * of_tile, room->tiles[0].angles, of_tile);
        for (uint32_t band = 0; band < form->bands; band++) {
            means[i * form->bands + band] = room->tiles[0].means[band] - lift;
        }
        for (uint32_t channel = 0; channel < form->channels; channel++, latents += positions) {
            int32_t *aways = room->work.layer.aways;
            skybook_scaled(room, 0, form->order[channel], &as_they_are, aways);
            memcpy(latents, aways, positions * sizeof(*latents));
        }
    }
    return status;
}
