/* Lines from a pipe to space packets: a payload process that links the encoder.
 *
 * usage: line_source WIDTH RATIO < lines > packets
 *
 * Lines are u16, little-endian, band after band (BIL). One line is held here and one row of tiles in
 * the encoder, whatever the length of the scene; each packet is passed on as soon as it is formed.
 * Exit codes: 0 ok, 1 internal, 2 usage, 3 bad input, 6 limit exceeded. */
#include <stdio.h>
#include <stdlib.h>

#include "skybook.h"

static struct skybook_encoder encoder; /* too large for a stack */
static uint8_t bytes[2 * SKYBOOK_MAX_BANDS * SKYBOOK_MAX_WIDTH];
static uint16_t line[SKYBOOK_MAX_BANDS * SKYBOOK_MAX_WIDTH];

/* The downlink: here stdout, on a satellite a radio's queue or a recorder. */
static int send_packet(void *user, const uint8_t *packet, size_t length)
{
    FILE *downlink = user;
    return fwrite(packet, 1, length, downlink) == length && fflush(downlink) == 0 ? 0 : 1;
}

/* Take lines until the pipe ends; an input error where it ends within a line. */
static enum skybook_status take_lines(size_t samples)
{
    enum skybook_status status = SKYBOOK_OK;
    size_t got = fread(bytes, 1, 2 * samples, stdin);
    while (got == 2 * samples) {
        for (size_t i = 0; i < samples; i++) {
            line[i] = (uint16_t)(bytes[2 * i + 1] << 8 | bytes[2 * i]);
        }
        const size_t width = encoder.options.width;
        status = skybook_push(&encoder, line, 1, width, 0, 1);
        got = status == SKYBOOK_OK ? fread(bytes, 1, 2 * samples, stdin) : 0;
    }
    return status == SKYBOOK_OK && got > 0 ? SKYBOOK_ERROR_INPUT : status;
}

int main(int count, char **arguments)
{
    struct skybook_options options;
    const long width = count == 3 ? strtol(arguments[1], NULL, 10) : 0;
    if (width < 1 || width > SKYBOOK_MAX_WIDTH) {
        fprintf(stderr, "usage: line_source WIDTH RATIO, with 1..%d columns\n", SKYBOOK_MAX_WIDTH);
        return 2;
    }
    skybook_defaults(&options, (uint32_t)width);
    options.packets = true;
    options.ratio = strtod(arguments[2], NULL);
    enum skybook_status status = skybook_init(&encoder, &options, send_packet, stdout);
    if (status == SKYBOOK_OK) {
        status = take_lines(options.bands * (size_t)width);
        /* What came before an error of the input is coded all the same, but not called complete. */
        const enum skybook_status ended =
            status == SKYBOOK_OK ? skybook_finish(&encoder) : skybook_cut(&encoder);
        status = status == SKYBOOK_OK ? ended : status;
    }
    fprintf(stderr, "status %d: %lu lines, %lu packets, %llu bytes\n", (int)status,
            (unsigned long)encoder.lines, (unsigned long)encoder.packets,
            (unsigned long long)encoder.bytes);
    return status == SKYBOOK_ERROR_INTERNAL ? 1 : (int)status / 100;
}
