/* The scene header, and the run that tells an encoding from others (SPEC.md, sections 2 and 13). */
#include <string.h>

#include "parts.h"

#define CRITICAL 0x80u
#define RATE_BYTES 14u /* of flags, limit and rate, as they count for the run */
#define BOX_BYTES 24u
#define PACKET_BYTES 20u
#define QUALITY_BYTES 12u

/* What shapes the stream, as it counts for the run. */
enum { ONE_LAYER = 1, TRELLIS = 2, PACKETS = 8, PACKET_CONTROL = 16 };
enum { RATE_RATIO = 1, RATE_BUDGET = 2, RATE_QUALITY = 3, RATE_STEP_CODE = 4, RATE_BOUND = 5 };

/* The value of no data as 32 bits of two's complement. */
static uint32_t nodata_of(const struct skybook_options *options)
{
    const bool below = skybook_lift(options) > 0 && options->nodata >= 0x8000u;
    return options->nodata | (below ? 0xFFFF0000u : 0);
}

/* The scene header as a segment, repeated in the stream; without a run if that is 0. */
static void make_head(struct skybook_encoder *encoder, uint32_t run)
{
    const struct skybook_options *options = &encoder->options;
    uint8_t *body = encoder->head + SKYBOOK_NAMED_HEAD;
    size_t length = 13;
    body[0] = 0;
    body[1] = options->sample_type;
    body[2] = options->significant_bits;
    skybook_put16(body + 3, options->bands);
    skybook_put32(body + 5, options->width);
    skybook_put32(body + 9, options->budget > 0 ? options->height : 0);
    if (options->has_nodata) {
        body[length] = 1;
        skybook_put16(body + length + 1, 4);
        skybook_put32(body + length + 3, nodata_of(options));
        length += 7;
    }
    if (options->has_start_time) {
        body[length] = 5;
        skybook_put16(body + length + 1, 6);
        skybook_put32(body + length + 3, options->start_seconds);
        skybook_put16(body + length + 7, options->start_fraction);
        length += 9;
    }
    if (run > 0) {
        body[length] = CRITICAL | 21u;
        skybook_put16(body + length + 1, 4);
        skybook_put32(body + length + 3, run);
        length += 7;
    }
#if SKYBOOK_GROUPS > 1
    if (options->profile != NULL) {
        body[length] = CRITICAL | 22u;
        skybook_put16(body + length + 1, sizeof(options->profile->name));
        memcpy(body + length + 3, options->profile->name, sizeof(options->profile->name));
        length += 3 + sizeof(options->profile->name);
    }
#endif
    if (options->bayer > 0) {
        body[length] = CRITICAL | 23u;
        skybook_put16(body + length + 1, 1);
        body[length + 3] = (uint8_t)(options->bayer - 1u);
        length += 4;
    }
    if (encoder->form.tile != (options->bands == 1 ? SKYBOOK_LARGEST_TILE : SKYBOOK_TILE)) {
        body[length] = CRITICAL | 27u;
        skybook_put16(body + length + 1, 1);
        body[length + 3] = (uint8_t)(encoder->form.tile / 8);
        length += 4;
    }
    skybook_bind(encoder, run);
    encoder->head_length =
        (uint32_t)skybook_pack_segment(encoder, SKYBOOK_KIND_SCENE, encoder->head, length);
}

static void put64(uint8_t *bytes, uint64_t value)
{
    skybook_put32(bytes, (uint32_t)(value >> 32));
    skybook_put32(bytes + 4, (uint32_t)(value & 0xFFFFFFFFu));
}

/* A bound in 8 bytes: its root, and a CRC of the others. */
static void put_bound(const struct skybook_bound *bound, uint8_t *bytes)
{
    uint8_t each[2 * SKYBOOK_SCENE_BANDS];
    for (uint32_t i = 0; i < bound->count; i++) {
        skybook_put16(each + (size_t)2 * i, bound->each[i]);
    }
    skybook_put32(bytes, bound->root);
    skybook_put32(bytes + 4, skybook_crc32c(each, (size_t)2 * bound->count));
}

/* Kind and value of the rate; the number of a ratio as IEEE 754 has it. */
static void put_rate(const struct skybook_options *options, uint8_t *bytes)
{
    uint64_t value = options->budget;
    bytes[0] = RATE_BUDGET;
    if (options->max_error.count > 0) {
        bytes[0] = RATE_BOUND;
        put_bound(&options->max_error, bytes + 1);
        return;
    }
    if (options->step_code >= 0) {
        bytes[0] = RATE_STEP_CODE;
        value = (uint64_t)options->step_code;
    } else if (options->budget == 0 && skybook_has_quality(options) && options->ratio <= 0) {
        bytes[0] = RATE_QUALITY;
        value = options->quality;
    } else if (options->budget == 0) {
        bytes[0] = RATE_RATIO;
        memcpy(&value, &options->ratio, sizeof(value));
    }
    put64(bytes + 1, value);
}

/* CRC-32C of the map of qualities, 0 without one. */
static uint32_t crc_of_map(const struct skybook_options *options)
{
    uint32_t crc = 0;
    for (uint32_t row = 0; options->quality_map != NULL && row < options->map_rows; row++) {
        for (uint32_t col = 0; col < options->map_columns; col++) {
            uint8_t bytes[2];
            skybook_put16(bytes, options->quality_map[(size_t)row * options->map_columns + col]);
            crc = skybook_crc32c_on(crc, bytes, sizeof(bytes));
        }
    }
    return crc;
}

/* Go on with a CRC by the options. */
static uint32_t crc_of_options(const struct skybook_encoder *encoder, uint32_t crc)
{
    const struct skybook_options *options = &encoder->options;
    uint8_t packed[BOX_BYTES];
    packed[0] = (uint8_t)((options->one_layer ? ONE_LAYER : 0) | (options->trellis ? TRELLIS : 0) |
                          (options->packets ? PACKETS : 0) |
                          (options->packets && options->packet_control ? PACKET_CONTROL : 0));
    skybook_put32(packed + 1, encoder->limit);
    put_rate(options, packed + 5);
    crc = skybook_crc32c_on(crc, packed, RATE_BYTES);
    if (skybook_has_quality(options) && (options->quality_block > 0 || skybook_is_limited(options))) {
        skybook_put32(packed, options->quality);
        skybook_put32(packed + 4, options->quality_block);
        skybook_put32(packed + 8, crc_of_map(options));
        crc = skybook_crc32c_on(crc, packed, QUALITY_BYTES);
    }
    for (uint32_t i = 0; i < options->boxes; i++) {
        const struct skybook_box *box = &options->box[i];
        skybook_put32(packed, box->left);
        skybook_put32(packed + 4, box->top);
        skybook_put32(packed + 8, box->right);
        skybook_put32(packed + 12, box->bottom);
        put_bound(&box->bound, packed + 16);
        crc = skybook_crc32c_on(crc, packed, BOX_BYTES);
    }
    if (options->packets) {
        skybook_put32(packed, options->packet_bytes);
        skybook_put16(packed + 4, options->apid);
        skybook_put32(packed + 6, options->start_seconds);
        skybook_put16(packed + 10, options->start_fraction);
        put64(packed + 12, options->line_period);
        crc = skybook_crc32c_on(crc, packed, PACKET_BYTES);
    }
    return crc;
}

/* Go on with a CRC by samples as they came in, a tile's width at most. */
static uint32_t crc_of_samples(uint32_t crc, const struct skybook_options *options,
                               const uint16_t *samples, uint32_t count)
{
    const uint32_t lift = skybook_lift(options), size = skybook_sample_bytes(options);
    uint8_t bytes[2 * SKYBOOK_TILE];
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t sample = samples[i] - lift, place = size * i;
        bytes[place] = (uint8_t)(sample >> 8 & 0xFFu);
        bytes[place + size - 1] = (uint8_t)(sample & 0xFFu);
    }
    return skybook_crc32c_on(crc, bytes, (size_t)size * count);
}

/* A run by the header, the options and the lines that are held. */
static uint32_t choose_run(struct skybook_encoder *encoder)
{
    make_head(encoder, 0);
    uint32_t crc = skybook_crc32c(encoder->head, encoder->head_length - SKYBOOK_CRC_BYTES);
    skybook_room_of_row room;
    crc = crc_of_options(encoder, crc);
    for (uint32_t b = 0; b < encoder->options.bands; b++) {
        for (uint32_t row = 0; row < encoder->held; row++) {
            const skybook_held *line = encoder->samples[b * encoder->form.tile + row];
            for (uint32_t first = 0; first < encoder->options.width; first += SKYBOOK_TILE) {
                const uint32_t left = encoder->options.width - first;
                const uint32_t count = left < SKYBOOK_TILE ? left : SKYBOOK_TILE;
                const uint16_t *samples = skybook_unpacked(&line[SKYBOOK_PLACE(first)], count, room);
                crc = crc_of_samples(crc, &encoder->options, samples, count);
            }
        }
    }
    const uint32_t run = (crc ^ crc >> 24) & SKYBOOK_MAX_RUN;
    return run > 0 ? run : 1;
}

/* Begin a scene whose first row of tiles is held. */
void skybook_begin_scene(struct skybook_encoder *encoder)
{
    const uint32_t run = encoder->options.run > 0 ? encoder->options.run : choose_run(encoder);
    make_head(encoder, run);
}
