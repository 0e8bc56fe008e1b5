/* The public interface: options, lines in, a strip at a time out. */
#include <string.h>

#include "parts.h"

#define MAX_LINES (1u << 24)
#define MIN_SEGMENT_BYTES 114
#define MIN_PACKET_BYTES 128
#define MAX_PACKET_BYTES 65535
#define MAX_LINE_PERIOD ((uint64_t)1 << 40)
#define END_BYTES 12

void skybook_defaults(struct skybook_options *options, uint32_t width)
{
    memset(options, 0, sizeof(*options));
    options->width = width;
    options->significant_bits = 16;
    options->segment_bytes = 1000;
    options->packet_bytes = 1024;
    options->apid = 1;
    options->ratio = 20.48;
    options->step_code = -1;
}

static bool fits(const struct skybook_options *o)
{
    const bool segments = o->segment_bytes >= MIN_SEGMENT_BYTES &&
                          o->segment_bytes <= SKYBOOK_PACKET_BYTES;
    const bool packets = o->packet_bytes >= MIN_PACKET_BYTES &&
                         o->packet_bytes <= MAX_PACKET_BYTES && o->apid < 2047 &&
                         o->line_period < MAX_LINE_PERIOD;
    const bool rate = o->step_code >= 0 || o->budget > 0 || (o->ratio > 0 && o->ratio < 1e300);
    const bool budget = o->budget == 0 || (o->height > 0 && o->budget <= INT64_MAX / MAX_LINES);
    return o->width >= 1 && o->significant_bits >= 1 && o->significant_bits <= 16 &&
           o->step_code <= SKYBOOK_COARSEST && o->height <= MAX_LINES &&
           o->run <= SKYBOOK_MAX_RUN && segments && packets && rate && budget;
}

/* Bytes kept back for a last row of tiles that may be short, at the coarsest step. */
static int64_t kept_back(const struct skybook_encoder *encoder)
{
    const struct skybook_options *options = &encoder->options;
    if (options->budget > 0 && options->height % SKYBOOK_TILE == 0) {
        return 0;
    }
    const uint32_t least_body = 1 + SKYBOOK_SIDE_BYTES + SKYBOOK_STATE_BYTES + 2;
    const uint32_t around = SKYBOOK_SEGMENT_OVERHEAD + skybook_packet_overhead(options);
    return (int64_t)encoder->columns * (around + least_body + SKYBOOK_EDGE_BYTES);
}

enum skybook_status skybook_init_sized(struct skybook_encoder *encoder, size_t size,
                                       const struct skybook_options *chosen, skybook_write write,
                                       void *user)
{
    if (size != sizeof(*encoder)) {
        return SKYBOOK_ERROR_USAGE;
    }
    const struct skybook_options copy = *chosen; /* they may lie in the encoder */
    const struct skybook_options *options = &encoder->options;
    memset(encoder, 0, sizeof(*encoder));
    encoder->options = copy;
    encoder->write = write;
    encoder->user = user;
    if (!fits(options) || write == NULL) {
        encoder->status = SKYBOOK_ERROR_USAGE;
        return encoder->status;
    }
    if (options->width > SKYBOOK_MAX_WIDTH) {
        encoder->status = SKYBOOK_ERROR_LIMIT;
        return encoder->status;
    }
    encoder->limit = options->segment_bytes;
    const uint32_t room = options->packet_bytes - skybook_packet_overhead(options);
    if (options->packets && room < encoder->limit) {
        encoder->limit = room;
    }
    if (encoder->limit < SKYBOOK_SEGMENT_OVERHEAD + SKYBOOK_WIDE_BYTES + SKYBOOK_EDGE_BYTES + 1 +
                             SKYBOOK_SIDE_BYTES) {
        encoder->status = SKYBOOK_ERROR_USAGE;
        return encoder->status;
    }
    encoder->columns = (options->width + SKYBOOK_TILE - 1) / SKYBOOK_TILE;
    encoder->spare = kept_back(encoder);
    return SKYBOOK_OK;
}

/* Bytes that all lines before `line` may take, what is reserved left aside. */
static int64_t share_of(const struct skybook_encoder *encoder, uint32_t line, int64_t reserve)
{
    const struct skybook_options *options = &encoder->options;
    if (options->budget > 0) {
        const int64_t product = ((int64_t)options->budget - reserve) * line;
        const int64_t height = options->height;
        return product / height - (product % height < 0 ? 1 : 0);
    }
    /* The one division in floating point: both numbers are exact, so IEEE 754 gives one result. */
    const double raw = (double)((uint64_t)2 * SKYBOOK_BANDS * options->width * line);
    const double share = raw / options->ratio;
    return share < 9e15 ? (int64_t)share : INT64_MAX / 2;
}

/* Bytes that the strip may take; the first pays for the end and keeps back for the last. */
static int64_t budget_of(const struct skybook_encoder *encoder)
{
    const uint32_t first = encoder->lines - encoder->held;
    const uint32_t end = SKYBOOK_NAMED_HEAD + END_BYTES + SKYBOOK_CRC_BYTES +
                         skybook_packet_overhead(&encoder->options);
    const int64_t reserve = end + kept_back(encoder);
    const int64_t share =
        share_of(encoder, encoder->lines, reserve) - share_of(encoder, first, reserve);
    return encoder->options.budget > 0 || first > 0 ? share : share - reserve;
}

/* Code all tiles of the strip at the step that the options name. */
static enum skybook_status code_at_step(struct skybook_encoder *encoder)
{
    enum skybook_status status = SKYBOOK_OK;
    for (uint32_t column = 0; column < encoder->columns && status == SKYBOOK_OK; column++) {
        status = skybook_analyse(encoder, column);
        if (status == SKYBOOK_OK && encoder->tiles[column].state != SKYBOOK_ALL_NODATA) {
            encoder->tiles[column].code = (uint8_t)encoder->options.step_code;
            status = skybook_code(encoder, column);
        }
    }
    status = status == SKYBOOK_OK ? skybook_code_missing(encoder) : status;
    if (status == SKYBOOK_OK) {
        skybook_note_strip(encoder, 0, 0);
    }
    return status;
}

/* Code and send the lines that are held. */
static enum skybook_status code_strip(struct skybook_encoder *encoder)
{
    if (encoder->lines == encoder->held) {
        skybook_begin_scene(encoder);
    }
    encoder->strip_used = 0;
    encoder->pieces_used = 0;
    enum skybook_status status = encoder->options.step_code >= 0
                                     ? code_at_step(encoder)
                                     : skybook_code_within(encoder, budget_of(encoder));
    if (status == SKYBOOK_OK) {
        status = skybook_send_strip(encoder, encoder->lines - encoder->held);
    }
    encoder->held = 0;
    return status;
}

/* Refuse calls before the beginning or after the end of a scene. */
static void check_running(struct skybook_encoder *encoder)
{
    if (encoder->status == SKYBOOK_OK && (encoder->write == NULL || encoder->ended)) {
        encoder->status = SKYBOOK_ERROR_USAGE;
    }
}

enum skybook_status skybook_push(struct skybook_encoder *encoder, const uint16_t *samples,
                                 uint32_t lines, size_t band, size_t line, size_t pixel)
{
    const uint32_t width = encoder->options.width, height = encoder->options.height;
    check_running(encoder);
    for (uint32_t row = 0; row < lines && encoder->status == SKYBOOK_OK; row++) {
        if (height > 0 && encoder->lines == height) {
            encoder->status = SKYBOOK_ERROR_INPUT;
            break;
        }
        if (encoder->lines == MAX_LINES) {
            encoder->status = SKYBOOK_ERROR_LIMIT;
            break;
        }
        for (uint32_t b = 0; b < SKYBOOK_BANDS; b++) {
            const uint16_t *from = samples + b * band + row * line;
            uint16_t *to = encoder->samples[b][encoder->held];
            if (pixel == 1) {
                memcpy(to, from, width * sizeof(*to));
            } else {
                for (uint32_t col = 0; col < width; col++) {
                    to[col] = from[col * pixel];
                }
            }
        }
        encoder->held++;
        encoder->lines++;
        if (encoder->held == SKYBOOK_TILE) {
            encoder->status = code_strip(encoder);
        }
    }
    return encoder->status;
}

enum skybook_status skybook_finish(struct skybook_encoder *encoder)
{
    check_running(encoder);
    if (encoder->status == SKYBOOK_OK && encoder->lines == 0) {
        encoder->status = SKYBOOK_ERROR_INPUT;
    }
    if (encoder->status == SKYBOOK_OK && encoder->held > 0) {
        encoder->status = code_strip(encoder);
    }
    if (encoder->status == SKYBOOK_OK) {
        uint8_t end[SKYBOOK_NAMED_HEAD + END_BYTES + SKYBOOK_CRC_BYTES];
        skybook_put32(end + SKYBOOK_NAMED_HEAD, encoder->lines);
        skybook_put32(end + SKYBOOK_NAMED_HEAD + 4, encoder->segments);
        skybook_put32(end + SKYBOOK_NAMED_HEAD + 8, encoder->run);
        const size_t length = skybook_pack_segment(encoder, SKYBOOK_KIND_END, end, END_BYTES);
        encoder->status = skybook_send(encoder, encoder->lines, end, length);
    }
    const uint32_t height = encoder->options.height;
    if (encoder->status == SKYBOOK_OK && height > 0 && height != encoder->lines) {
        encoder->status = SKYBOOK_ERROR_INPUT;
    }
    encoder->ended = true;
    return encoder->status;
}

int skybook_to_buffer(void *user, const uint8_t *bytes, size_t length)
{
    struct skybook_buffer *buffer = user;
    if (length > buffer->size - buffer->used) {
        return 1;
    }
    memcpy(buffer->bytes + buffer->used, bytes, length);
    buffer->used += length;
    return 0;
}
