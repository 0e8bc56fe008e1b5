#include "recorded.h"

#include <limits.h>

#include "parts.h"

#define HEAD_BYTES 12u
#define FACTS_BYTES 13u /* of a scene header, before what each scene may have or not */
#define TILE_TYPE (128u | 27u)
#define NO_ROW UINT32_MAX

/* What stands before the last row of tiles, and before what comes next. */
struct extent {
    uint32_t row, segments, packets;
    uint64_t bytes;
};

/* Read bytes that begin at a place of a file; false where it ends before. */
static bool read_at(FILE *file, uint64_t place, uint8_t *bytes, size_t count)
{
    if (place > LONG_MAX) {
        return false;
    }
    const int sought = fseek(file, (long)place, SEEK_SET);
    return sought == 0 ? fread(bytes, 1, count, file) == count : false;
}

/* The bytes of the packet whose head this is, 0 if it is none or does not end before `stop`. */
static uint32_t packet_bytes(const uint8_t head[HEAD_BYTES], uint64_t place, uint64_t stop)
{
    const uint32_t length = ((uint32_t)head[4] << 8 | head[5]) + 7u;
    return length >= HEAD_BYTES && length <= stop - place ? length : 0;
}

/* The run of a scene header, whose first bytes these are. */
static uint32_t run_of(const uint8_t bytes[SKYBOOK_NAMED_HEAD])
{
    uint32_t run = 0;
    for (uint32_t i = 0; i < sizeof(skybook_model); i++) {
        run = run << 8 | (uint32_t)(bytes[SKYBOOK_NAMED_HEAD - 4u + i] ^ skybook_model[i]);
    }
    return run;
}

static uint32_t number_of(const uint8_t *bytes, uint32_t count)
{
    uint32_t number = 0;
    for (uint32_t i = 0; i < count; i++) {
        number = number << 8 | bytes[i];
    }
    return number;
}

/* Rows and columns of tiles that the rest of a scene header tells, 0 where it cannot be read. */
static uint32_t told_tile(FILE *file, uint64_t place, uint64_t stop, uint32_t usual)
{
    uint32_t tile = usual;
    uint8_t entry[4]; /* type, length, the first byte of the value, or of what is behind it */
    while (place + 3 < stop) {
        if (!read_at(file, place, entry, sizeof(entry))) {
            return 0;
        }
        tile = entry[0] == TILE_TYPE ? entry[3] * 8u : tile;
        place += 3 + number_of(entry + 1, 2);
    }
    return tile;
}

/* Whether a scene header, whose facts begin and end at these places, is of such samples in such tiles. */
static bool is_alike(FILE *file, uint64_t place, uint64_t stop, const struct skybook_options *options)
{
    const uint32_t usual = options->bands == 1 ? SKYBOOK_LARGEST_TILE : SKYBOOK_TILE;
    uint8_t facts[FACTS_BYTES];
    if (!read_at(file, place, facts, sizeof(facts))) {
        return false;
    }
    return facts[1] == (uint8_t)options->sample_type && number_of(facts + 3, 2) == options->bands &&
           number_of(facts + 5, 4) == options->width &&
           told_tile(file, place + FACTS_BYTES, stop, usual) == skybook_tile_of(options);
}

/* Go over the segments between two places: count them, find the row of tiles, the run and whether the
 * scene ends. False if something else is there, another run, or a scene of other samples or tiles. */
static bool read_segments(FILE *file, uint64_t place, uint64_t stop,
                          struct skybook_options *options, struct extent *here, uint32_t *row,
                          bool *ended)
{
    const uint32_t tile = skybook_tile_of(options);
    const uint32_t columns = skybook_groups_of(options) * ((options->width + tile - 1) / tile);
    uint8_t bytes[SKYBOOK_NAMED_HEAD];
    *row = NO_ROW;
    while (place < stop) {
        if (!read_at(file, place, bytes, sizeof(bytes)) || bytes[0] != 'S' || bytes[1] != 'K' ||
            skybook_packed_length(bytes) > stop - place) {
            return false;
        }
        const uint32_t kind = bytes[2] & 15u;
        if (*row == NO_ROW && (kind == SKYBOOK_KIND_TILE || kind == SKYBOOK_KIND_MASK)) {
            *row = skybook_packed_tile(bytes) / columns;
        }
        if (kind == SKYBOOK_KIND_SCENE) {
            const uint32_t run = run_of(bytes);
            if (options->run != 0 && options->run != run) {
                return false;
            }
            options->run = run;
            const uint64_t end = place + skybook_packed_length(bytes) - SKYBOOK_CRC_BYTES;
            if (!is_alike(file, place + SKYBOOK_NAMED_HEAD, end, options)) {
                return false;
            }
        }
        *ended |= kind == SKYBOOK_KIND_END;
        here->segments++;
        place += skybook_packed_length(bytes);
    }
    return true;
}

bool skybook_read_recorded(FILE *file, struct skybook_options *options)
{
    const uint32_t control = options->packet_control ? 2 : 0;
    struct extent here = {0, 0, 0, 0}, last = here, before = here;
    uint8_t head[HEAD_BYTES];
    bool ended = false;
    const long end = fseek(file, 0, SEEK_END) == 0 ? ftell(file) : -1;
    while (end >= 0 && read_at(file, here.bytes, head, sizeof(head))) {
        const uint32_t length = packet_bytes(head, here.bytes, (uint64_t)end);
        uint32_t row = NO_ROW;
        if (length == 0) {
            break;
        }
        if (!read_segments(file, here.bytes + HEAD_BYTES, here.bytes + length - control, options,
                           &here, &row, &ended) ||
            (row != NO_ROW && row < here.row)) {
            return false;
        }
        if (row != NO_ROW && row != here.row) {
            last = before;
            last.row = here.row = row;
        }
        if (here.packets == 0) {
            options->first_packet = ((uint32_t)head[2] << 8 | head[3]) & 0x3FFFu;
        }
        here.packets++;
        here.bytes += length;
        before = row != NO_ROW ? here : before;
    }
    options->first_packet += last.packets;
    options->first_row = last.row;
    options->first_segment = last.segments;
    options->spent = last.bytes;
    return end >= 0 && !ended;
}
