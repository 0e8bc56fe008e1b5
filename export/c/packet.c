/* The segments of a strip in the order in which they are sent, and the space packets around them
 * (SPEC.md, sections 2 and 14). */
#include <string.h>

#include "parts.h"

#define HEADER_EVERY 64
#define PACKET_OVERHEAD 12
#define CONTROL_BYTES 2
#define SEQUENCES 16384u
#define BILLION 1000000000u

/* Walks over the segments of a strip: two lists a tile, its own and the fixed ones. */
struct walk {
    struct skybook_encoder *encoder;
    bool planned; /* its own as planned, not as coded */
    uint32_t next[2 * SKYBOOK_MAX_TILES];
    uint32_t stop[2 * SKYBOOK_MAX_TILES];
    uint32_t list; /* lists before it are done, unless a row goes layer by layer */
};

struct item {
    uint32_t place; /* layer and first, to sort by */
    uint32_t length;
    const uint8_t *bytes; /* NULL where it is only planned */
};

static void begin_walk(struct walk *walk, struct skybook_encoder *encoder, bool planned)
{
    walk->encoder = encoder;
    walk->planned = planned;
    walk->list = 0;
    for (uint32_t column = 0; column < encoder->columns; column++) {
        const struct skybook_tile *tile = &encoder->tiles[column];
        const bool as_planned = planned && !tile->bounded;
        walk->next[2 * column] = as_planned ? tile->planned : tile->coded;
        walk->stop[2 * column] = as_planned ? tile->planned_stop : tile->coded_stop;
        walk->next[2 * column + 1] = tile->fixed;
        walk->stop[2 * column + 1] = tile->fixed_stop;
    }
}

static struct item item_of(const struct walk *walk, uint32_t list)
{
    struct item item;
    if (walk->planned && list % 2 == 0 && !walk->encoder->tiles[list / 2].bounded) {
        const struct skybook_piece *piece = &walk->encoder->pieces[walk->next[list]];
        item.place = (uint32_t)piece->layer << 16 | piece->first;
        item.length = piece->length;
        item.bytes = NULL;
    } else {
        item.bytes = &walk->encoder->strip[walk->next[list]];
        item.place = skybook_packed_place(item.bytes);
        item.length = skybook_packed_length(item.bytes);
    }
    return item;
}

/* Take the next segment; false if there is none. */
static bool next_item(struct walk *walk, struct item *item)
{
    const uint32_t lists = 2 * walk->encoder->columns;
    uint32_t best = lists;
    while (walk->list < lists && walk->next[walk->list] == walk->stop[walk->list]) {
        walk->list++;
    }
    for (uint32_t list = walk->list; list < lists; list++) {
        if (walk->next[list] < walk->stop[list]) {
            const struct item found = item_of(walk, list);
            if (best == lists || found.place < item->place) {
                best = list;
                *item = found;
            }
            if (!walk->encoder->options.one_layer) {
                break;
            }
        }
    }
    if (best == lists) {
        return false;
    }
    walk->next[best] += item->bytes == NULL ? 1 : item->length;
    return true;
}

uint32_t skybook_packet_overhead(const struct skybook_options *options)
{
    const uint32_t control = options->packet_control ? CONTROL_BYTES : 0;
    return options->packets ? PACKET_OVERHEAD + control : 0;
}

static uint32_t packet_room(const struct skybook_options *options)
{
    return options->packet_bytes - skybook_packet_overhead(options);
}

/* Bytes of a row of tiles as packets are formed. */
struct tally {
    int64_t bytes;
    uint32_t segments;
    uint32_t free; /* in the packet being formed */
};

static void count(struct tally *tally, const struct skybook_options *options, uint32_t length)
{
    if (options->packets) {
        if (length > tally->free) {
            tally->bytes += skybook_packet_overhead(options);
            tally->free = packet_room(options);
        }
        tally->free -= length;
    }
    tally->bytes += length;
    tally->segments++;
}

static int64_t total(struct skybook_encoder *encoder, bool planned, uint32_t written)
{
    struct walk walk;
    struct item item = {0, 0, NULL};
    struct tally tally = {0, 0, 0};
    begin_walk(&walk, encoder, planned);
    while (next_item(&walk, &item)) {
        if ((written + tally.segments) % HEADER_EVERY == 0) {
            count(&tally, &encoder->options, encoder->head_length);
        }
        count(&tally, &encoder->options, item.length);
    }
    return tally.bytes;
}

/* What the tiles that are planned and what no step changes take after `written` segments. */
int64_t skybook_planned_total(struct skybook_encoder *encoder, uint32_t written)
{
    return total(encoder, true, written);
}

int64_t skybook_coded_total(struct skybook_encoder *encoder)
{
    return total(encoder, false, encoder->segments);
}

static enum skybook_status emit(struct skybook_encoder *encoder, const uint8_t *bytes,
                                size_t length)
{
    encoder->bytes += length;
    return encoder->write(encoder->user, bytes, length) == 0 ? SKYBOOK_OK
                                                             : SKYBOOK_ERROR_INTERNAL;
}

static void begin_packet(struct skybook_encoder *encoder, uint32_t line)
{
    const struct skybook_options *options = &encoder->options;
    uint8_t *packet = skybook_packet(&encoder->work);
    const uint64_t since = line * options->line_period; /* nanoseconds, below 2^64 */
    const uint64_t ticks = ((uint64_t)options->start_seconds << 16) + options->start_fraction +
                           (since / BILLION << 16) + (since % BILLION << 16) / BILLION;
    skybook_put16(packet, 0x0800u | options->apid);
    skybook_put16(packet + 2, 0xC000u | encoder->packets % SEQUENCES);
    skybook_put32(packet + 6, (uint32_t)(ticks >> 16 & 0xFFFFFFFFu));
    skybook_put16(packet + 10, (uint32_t)(ticks & 0xFFFFu));
    encoder->packet_used = PACKET_OVERHEAD;
}

static enum skybook_status end_packet(struct skybook_encoder *encoder)
{
    uint32_t length = encoder->packet_used;
    if (length == 0) {
        return SKYBOOK_OK;
    }
    const uint32_t control = encoder->options.packet_control ? CONTROL_BYTES : 0;
    skybook_put16(skybook_packet(&encoder->work) + 4, length + control - 7);
    if (control != 0) {
        skybook_put16(skybook_packet(&encoder->work) + length, skybook_crc16(skybook_packet(&encoder->work), length));
        length += control;
    }
    encoder->packets++;
    encoder->packet_used = 0;
    return emit(encoder, skybook_packet(&encoder->work), length);
}

/* Send a segment, or add it to the packet being formed. */
static enum skybook_status add(struct skybook_encoder *encoder, uint32_t line,
                               const uint8_t *segment, size_t length)
{
    const struct skybook_options *options = &encoder->options;
    encoder->segments++;
    if (!options->packets) {
        return emit(encoder, segment, length);
    }
    const size_t most = PACKET_OVERHEAD + packet_room(options);
    if (encoder->packet_used + length > most) {
        const enum skybook_status status = end_packet(encoder);
        if (status != SKYBOOK_OK) {
            return status;
        }
    }
    if (encoder->packet_used == 0) {
        begin_packet(encoder, line);
    }
    memcpy(&skybook_packet(&encoder->work)[encoder->packet_used], segment, length);
    encoder->packet_used += (uint32_t)length;
    return SKYBOOK_OK;
}

enum skybook_status skybook_send(struct skybook_encoder *encoder, uint32_t line,
                                 const uint8_t *segment, size_t length)
{
    const enum skybook_status status = add(encoder, line, segment, length);
    return status == SKYBOOK_OK ? end_packet(encoder) : status;
}

/* Send what is coded; the last packet stays to be filled up. */
enum skybook_status skybook_send_part(struct skybook_encoder *encoder, uint32_t line)
{
    struct walk walk;
    struct item item = {0, 0, NULL};
    enum skybook_status status = SKYBOOK_OK;
    begin_walk(&walk, encoder, false);
    while (status == SKYBOOK_OK && next_item(&walk, &item)) {
        if (encoder->segments % HEADER_EVERY == 0) {
            status = add(encoder, line, encoder->head, encoder->head_length);
        }
        if (status == SKYBOOK_OK) {
            status = add(encoder, line, item.bytes, item.length);
        }
    }
    return status;
}

enum skybook_status skybook_send_strip(struct skybook_encoder *encoder, uint32_t line)
{
    const enum skybook_status status = skybook_send_part(encoder, line);
    return status == SKYBOOK_OK ? end_packet(encoder) : status;
}
