#include "selftest.h"

#include "parts.h"

#define HEAD_BYTES 10u /* of the segment of tile 0 */
#define EDGE_FLAG 0x80u /* in its fourth byte: sides of the tile follow the head */

/* What is left to be seen of a golden tile. */
struct watch {
    const struct skybook_golden *golden;
    uint32_t segments; /* before: the scene header, then the tile */
    bool same;
};

static int compare(void *user, const uint8_t *bytes, size_t length)
{
    struct watch *watch = user;
    const struct skybook_golden *golden = watch->golden;
    if (watch->segments++ == 1) {
        const uint32_t head = HEAD_BYTES + ((bytes[3] & EDGE_FLAG) != 0 ? SKYBOOK_EDGE_BYTES : 0u);
        watch->same = length == head + golden->length + SKYBOOK_CRC_BYTES;
        for (uint32_t i = 0; i < golden->length && watch->same; i++) {
            watch->same = bytes[head + i] == golden->body[i];
        }
    }
    return 0;
}

static bool passes(struct skybook_encoder *encoder, const struct skybook_golden *golden)
{
    struct watch watch = {golden, 0, false};
    struct skybook_options options;
    const size_t line = golden->cols;
    skybook_defaults(&options, golden->cols);
    options.bands = golden->bands;
    options.tile = golden->bands > 1 ? SKYBOOK_TILE : SKYBOOK_LARGEST_TILE;
    options.significant_bits = golden->significant_bits;
    options.segment_bytes = SKYBOOK_PACKET_BYTES;
    options.step_code = golden->step_code;
    options.trellis = golden->trellis;
    if (golden->max_error >= 0) {
        options.max_error.count = 1;
        options.max_error.each[0] = (uint16_t)golden->max_error;
    }
    enum skybook_status status = skybook_init(encoder, &options, compare, &watch);
    if (status == SKYBOOK_OK) {
        status =
            skybook_push(encoder, golden->samples, golden->rows, golden->rows * line, line, 1);
    }
    if (status == SKYBOOK_OK) {
        status = skybook_finish(encoder);
    }
    return status == SKYBOOK_OK && watch.same;
}

uint32_t skybook_selftest(struct skybook_encoder *encoder)
{
    const uint32_t count = SKYBOOK_GOLDENS;
    uint32_t passed = 0;
    for (uint32_t i = 0; i < count; i++) {
        passed += passes(encoder, &skybook_goldens[i]) ? 1u : 0u;
    }
    return passed;
}
