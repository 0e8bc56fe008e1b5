/* Nodata masks: run lengths or a bitmap, whichever is shorter (SPEC.md, kind 2). */
#include <string.h>

#include "parts.h"

enum { RUNS, BITMAP };

static uint32_t number_bytes(uint32_t number)
{
    return number < 128 ? 1 : number < 16384 ? 2 : 3;
}

static uint32_t run_length(const uint8_t *nodata, uint32_t first, uint32_t pixels)
{
    uint32_t last = first + 1;
    while (last < pixels && nodata[last] == nodata[first]) {
        last++;
    }
    return last - first;
}

/* Bytes of all bodies, as run lengths. */
static uint32_t bytes_of_runs(const uint8_t *nodata, uint32_t pixels, uint32_t room)
{
    uint32_t total = 0, body = room;
    for (uint32_t start = 0; start < pixels;) {
        const uint32_t run = run_length(nodata, start, pixels), bytes = number_bytes(run);
        if (body + bytes > room) {
            body = 1u + (nodata[start] ? 1u : 0u);
            total += body;
        }
        body += bytes;
        total += bytes;
        start += run;
    }
    return total;
}

static uint32_t bytes_of_bitmap(uint32_t pixels, uint32_t room)
{
    const uint32_t bytes = (pixels + 7) / 8;
    return bytes + (bytes + room - 2) / (room - 1);
}

/* Write runs from `*start` on; return the bytes. */
static uint32_t put_runs(const uint8_t *nodata, uint32_t pixels, uint32_t room, uint32_t *start,
                         uint8_t *body)
{
    uint32_t length = 0;
    body[length++] = RUNS;
    if (nodata[*start]) {
        body[length++] = 0; /* a valid run of no pixel comes first */
    }
    while (*start < pixels) {
        uint32_t run = run_length(nodata, *start, pixels);
        if (length + number_bytes(run) > room) {
            break;
        }
        *start += run;
        while (run > 127) {
            body[length++] = (uint8_t)((run & 127u) | 128u);
            run >>= 7;
        }
        body[length++] = (uint8_t)run;
    }
    return length;
}

static uint32_t put_bitmap(const uint8_t *nodata, uint32_t pixels, uint32_t room, uint32_t *start,
                           uint8_t *body)
{
    const uint32_t left = pixels - *start;
    const uint32_t count = left < 8 * (room - 1) ? left : 8 * (room - 1);
    const uint32_t bytes = (count + 7) / 8;
    body[0] = BITMAP;
    memset(body + 1, 0, bytes);
    for (uint32_t i = 0; i < count; i++) {
        if (nodata[*start + i]) {
            body[1 + i / 8] |= (uint8_t)(128u >> (i & 7u));
        }
    }
    *start += count;
    return 1 + bytes;
}

enum skybook_status skybook_code_mask(struct skybook_encoder *encoder, uint32_t column)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    const uint8_t *nodata = encoder->work.nodata;
    const uint32_t pixels = (uint32_t)tile->rows * tile->cols;
    const uint32_t room = skybook_room(encoder, column);
    const bool runs = bytes_of_runs(nodata, pixels, room) <= bytes_of_bitmap(pixels, room);
    for (uint32_t start = 0; start < pixels;) {
        const struct skybook_segment segment = {SKYBOOK_KIND_MASK, 0, (uint16_t)start, column};
        uint8_t *body = skybook_begin_segment(encoder, &segment);
        if (body == NULL) {
            return SKYBOOK_ERROR_LIMIT;
        }
        const uint32_t length = runs ? put_runs(nodata, pixels, room, &start, body)
                                     : put_bitmap(nodata, pixels, room, &start, body);
        skybook_end_segment(encoder, &segment, length);
    }
    return SKYBOOK_OK;
}
