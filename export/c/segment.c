/* Segments: the envelope of everything that is sent (SPEC.md, section 2). */
#include <string.h>

#include "parts.h"

#define HEAD 18
#define CRC_BYTES 4
#define EDGE_FLAG 0x80u
#define MAJOR 1u

void skybook_put16(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 8 & 255u);
    bytes[1] = (uint8_t)(value & 255u);
}

void skybook_put32(uint8_t *bytes, uint32_t value)
{
    skybook_put16(bytes, value >> 16);
    skybook_put16(bytes + 2, value & 0xFFFFu);
}

uint32_t skybook_get16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

bool skybook_is_edge(const struct skybook_tile *tile)
{
    return tile->rows != SKYBOOK_TILE || tile->cols != SKYBOOK_TILE;
}

/* The most bytes of a body, edge fields left out. */
uint32_t skybook_room(const struct skybook_encoder *encoder, uint32_t column)
{
    const uint32_t edge = skybook_is_edge(&encoder->tiles[column]) ? SKYBOOK_EDGE_BYTES : 0;
    return encoder->limit - SKYBOOK_SEGMENT_OVERHEAD - edge;
}

static void write_head(const struct skybook_encoder *encoder, uint8_t *bytes, uint32_t kind,
                       uint32_t flags, uint32_t tile, uint32_t first, size_t length)
{
    bytes[0] = 'S';
    bytes[1] = 'K';
    bytes[2] = (uint8_t)(MAJOR << 4 | kind);
    bytes[3] = (uint8_t)flags;
    skybook_put16(bytes + 4, encoder->options.scene_id);
    memcpy(bytes + 6, skybook_model, 4);
    skybook_put32(bytes + 10, tile);
    skybook_put16(bytes + 14, first);
    skybook_put16(bytes + 16, (uint32_t)length);
}

/* Put the envelope around a body of `length` bytes that stands at bytes + 18, of a segment that
 * belongs to no tile; return the bytes of the whole. */
size_t skybook_pack_segment(const struct skybook_encoder *encoder, uint8_t kind, uint8_t *bytes,
                            size_t length)
{
    write_head(encoder, bytes, kind, 0, 0, 0, length);
    skybook_put32(bytes + HEAD + length, skybook_crc32c(bytes, HEAD + length));
    return HEAD + length + CRC_BYTES;
}

/* Where the body of the next segment of a tile goes; NULL where the strip's bytes may not hold it.
 */
uint8_t *skybook_begin_segment(struct skybook_encoder *encoder, uint32_t column)
{
    if (SKYBOOK_STRIP_BYTES - encoder->strip_used < encoder->limit) {
        return NULL;
    }
    const uint32_t edge = skybook_is_edge(&encoder->tiles[column]) ? SKYBOOK_EDGE_BYTES : 0;
    return &encoder->strip[encoder->strip_used + HEAD + edge];
}

/* Put the envelope around the `length` bytes of a body. */
void skybook_end_segment(struct skybook_encoder *encoder, const struct skybook_segment *segment,
                         size_t length)
{
    const struct skybook_tile *tile = &encoder->tiles[segment->column];
    uint8_t *bytes = &encoder->strip[encoder->strip_used];
    const uint32_t rows_before = (encoder->lines - encoder->held) / SKYBOOK_TILE;
    uint32_t flags = segment->layer;
    size_t body = length;
    if (skybook_is_edge(tile)) {
        flags |= EDGE_FLAG;
        skybook_put16(bytes + HEAD, tile->rows);
        skybook_put16(bytes + HEAD + 2, tile->cols);
        body += SKYBOOK_EDGE_BYTES;
    }
    write_head(encoder, bytes, segment->kind, flags,
               rows_before * encoder->columns + segment->column, segment->first, body);
    skybook_put32(bytes + HEAD + body, skybook_crc32c(bytes, HEAD + body));
    encoder->strip_used += (uint32_t)(HEAD + body + CRC_BYTES);
}

/* Move a part of the strip's bytes down to `next`; return where it ends. */
static uint32_t move(struct skybook_encoder *encoder, uint32_t *start, uint32_t *stop,
                     uint32_t next)
{
    const uint32_t length = *stop - *start;
    memmove(&encoder->strip[next], &encoder->strip[*start], length);
    *start = next;
    *stop = next + length;
    return next + length;
}

/* Close the gaps that tiles left in the strip's bytes when they were coded again. */
void skybook_close_gaps(struct skybook_encoder *encoder)
{
    uint32_t next = 0;
    for (;;) {
        uint32_t *start = NULL, *stop = NULL;
        for (uint32_t column = 0; column < encoder->columns; column++) {
            struct skybook_tile *tile = &encoder->tiles[column];
            if (tile->fixed >= next && tile->fixed < tile->fixed_stop &&
                (start == NULL || tile->fixed < *start)) {
                start = &tile->fixed;
                stop = &tile->fixed_stop;
            }
            if (tile->coded >= next && tile->coded < tile->coded_stop &&
                (start == NULL || tile->coded < *start)) {
                start = &tile->coded;
                stop = &tile->coded_stop;
            }
        }
        if (start == NULL) {
            break;
        }
        next = move(encoder, start, stop, next);
    }
    encoder->strip_used = next;
}

/* Close the gaps in the strip's pieces. */
void skybook_close_piece_gaps(struct skybook_encoder *encoder)
{
    uint32_t next = 0;
    for (;;) {
        struct skybook_tile *found = NULL;
        for (uint32_t column = 0; column < encoder->columns; column++) {
            struct skybook_tile *tile = &encoder->tiles[column];
            if (tile->planned >= next && tile->planned < tile->planned_stop &&
                (found == NULL || tile->planned < found->planned)) {
                found = tile;
            }
        }
        if (found == NULL) {
            break;
        }
        const uint32_t count = found->planned_stop - found->planned;
        memmove(&encoder->pieces[next], &encoder->pieces[found->planned],
                count * sizeof(encoder->pieces[0]));
        found->planned = next;
        next += count;
        found->planned_stop = next;
    }
    encoder->pieces_used = next;
}
