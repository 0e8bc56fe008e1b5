/* Segments: the envelope of everything that is sent (SPEC.md, section 2). */
#include <string.h>

#include "parts.h"

#define LEAST_HEAD 10u
#define EDGE_FLAG 0x80u
#define WIDE_FLAG 0x40u
#define FIRST_FLAG 0x20u
#define LAYER_BITS 0x1Fu
#define MAX_NARROW_TILE 65535u
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

static uint32_t get16(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 8 | bytes[1];
}

#if SKYBOOK_GROUPS > 1
uint32_t skybook_get32(const uint8_t *bytes)
{
    return get16(bytes) << 16 | get16(bytes + 2);
}
#endif

bool skybook_is_edge(const struct skybook_encoder *encoder, const struct skybook_tile *tile)
{
    return tile->rows != encoder->form.tile || tile->cols != encoder->form.tile;
}

/* Index in the scene of a tile of the strip. */
static uint32_t tile_index(const struct skybook_encoder *encoder, uint32_t column)
{
    const uint32_t rows_before = (encoder->lines - encoder->held) / encoder->form.tile;
    return rows_before * encoder->columns + column;
}

#if SKYBOOK_GROUPS > 1
/* Whether the number of a tile takes four bytes. */
bool skybook_is_wide(const struct skybook_encoder *encoder, uint32_t column)
{
    return tile_index(encoder, column) > MAX_NARROW_TILE;
}
#endif

static uint32_t head_bytes(uint32_t flags)
{
    return LEAST_HEAD + ((flags & WIDE_FLAG) != 0 ? SKYBOOK_WIDE_BYTES : 0u) +
           ((flags & FIRST_FLAG) != 0 ? 2u : 0u);
}

static uint32_t flags_of(uint32_t tile, uint32_t first)
{
    return (tile > MAX_NARROW_TILE ? WIDE_FLAG : 0u) | (first > 0 ? FIRST_FLAG : 0u);
}

static uint32_t edge_bytes(const struct skybook_encoder *encoder, uint32_t column)
{
    return skybook_is_edge(encoder, &encoder->tiles[column]) ? SKYBOOK_EDGE_BYTES : 0u;
}

/* The bytes around a body that starts at `first`, edge fields included. */
uint32_t skybook_around(const struct skybook_encoder *encoder, uint32_t column, uint32_t first)
{
    const uint32_t flags = flags_of(tile_index(encoder, column), first);
    return head_bytes(flags) + edge_bytes(encoder, column) + SKYBOOK_CRC_BYTES;
}

/* The most bytes of a body, edge fields left out, wherever it starts. */
uint32_t skybook_room(const struct skybook_encoder *encoder, uint32_t column)
{
    return encoder->limit - skybook_around(encoder, column, 1);
}

uint32_t skybook_packed_place(const uint8_t *bytes)
{
    const uint32_t at = LEAST_HEAD - 2u + ((bytes[3] & WIDE_FLAG) != 0 ? SKYBOOK_WIDE_BYTES : 0u);
    const uint32_t first = (bytes[3] & FIRST_FLAG) != 0 ? get16(bytes + at) : 0u;
    return (bytes[3] & LAYER_BITS) << 16 | first;
}

uint32_t skybook_packed_tile(const uint8_t *bytes)
{
    const bool wide = (bytes[3] & WIDE_FLAG) != 0;
    return wide ? get16(bytes + 6) << 16 | get16(bytes + 8) : get16(bytes + 6);
}

uint32_t skybook_packed_length(const uint8_t *bytes)
{
    const uint32_t head = head_bytes(bytes[3]);
    return head + get16(bytes + head - 2) + SKYBOOK_CRC_BYTES;
}

static void write_head(const struct skybook_encoder *encoder, uint8_t *bytes, uint32_t kind,
                       uint32_t flags, uint32_t tile, uint32_t first, size_t length)
{
    flags |= flags_of(tile, first);
    bytes[0] = 'S';
    bytes[1] = 'K';
    bytes[2] = (uint8_t)(MAJOR << 4 | kind);
    bytes[3] = (uint8_t)flags;
    skybook_put16(bytes + 4, encoder->options.scene_id);
    bytes += 6;
    if ((flags & WIDE_FLAG) != 0) {
        skybook_put16(bytes, tile >> 16);
        bytes += SKYBOOK_WIDE_BYTES;
    }
    skybook_put16(bytes, tile & 0xFFFFu);
    bytes += 2;
    if ((flags & FIRST_FLAG) != 0) {
        skybook_put16(bytes, first);
        bytes += 2;
    }
    skybook_put16(bytes, (uint32_t)length);
}

/* Bind what is packed from now on to the model and a run. */
void skybook_bind(struct skybook_encoder *encoder, uint32_t run)
{
    skybook_put32(encoder->binding, run);
    for (size_t i = 0; i < sizeof(encoder->binding); i++) {
        encoder->binding[i] ^= skybook_model[i];
    }
    encoder->run = run;
}

/* Put the envelope around a body of `length` bytes that stands at bytes + SKYBOOK_NAMED_HEAD, of a
 * segment that belongs to no tile; return the bytes of the whole. */
size_t skybook_pack_segment(const struct skybook_encoder *encoder, uint8_t kind, uint8_t *bytes,
                            size_t length)
{
    const size_t before = SKYBOOK_NAMED_HEAD + length;
    write_head(encoder, bytes, kind, 0, 0, 0, sizeof(encoder->binding) + length);
    memcpy(bytes + LEAST_HEAD, encoder->binding, sizeof(encoder->binding));
    skybook_put32(bytes + before, skybook_crc32c(bytes, before));
    return before + SKYBOOK_CRC_BYTES;
}

/* Where the body of the next segment of a tile goes; NULL where the strip's bytes may not hold it.
 */
uint8_t *skybook_begin_segment(struct skybook_encoder *encoder,
                               const struct skybook_segment *segment)
{
    if (SKYBOOK_STRIP_BYTES - encoder->strip_used < encoder->limit) {
        return NULL;
    }
    return &encoder->strip[encoder->strip_used - SKYBOOK_CRC_BYTES +
                           skybook_around(encoder, segment->column, segment->first)];
}

/* Put the envelope around the `length` bytes of a body; its CRC is bound to model and run. */
void skybook_end_segment(struct skybook_encoder *encoder, const struct skybook_segment *segment,
                         size_t length)
{
    const struct skybook_tile *tile = &encoder->tiles[segment->column];
    uint8_t *bytes = &encoder->strip[encoder->strip_used];
    const uint32_t edge = edge_bytes(encoder, segment->column);
    const size_t before =
        skybook_around(encoder, segment->column, segment->first) - SKYBOOK_CRC_BYTES + length;
    if (edge != 0) {
        skybook_put16(bytes + before - length - SKYBOOK_EDGE_BYTES, tile->rows);
        skybook_put16(bytes + before - length - 2, tile->cols);
    }
    write_head(encoder, bytes, segment->kind, segment->layer | (edge != 0 ? EDGE_FLAG : 0u),
               tile_index(encoder, segment->column), segment->first, edge + length);
    skybook_put32(bytes + before, skybook_crc32c(bytes, before));
    for (size_t i = 0; i < sizeof(encoder->binding); i++) {
        bytes[before + i] ^= encoder->binding[i];
    }
    encoder->strip_used += (uint32_t)(before + SKYBOOK_CRC_BYTES);
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
