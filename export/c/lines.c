/* Lines of a strip as they are held: samples as they are, or two of 12 bits in three bytes. */
#include "parts.h"

#if SKYBOOK_SAMPLE_BITS == 12
bool skybook_put_line(skybook_held *line, const uint16_t *samples, uint32_t count, size_t pixel,
                      uint32_t lift)
{
    uint32_t bits = 0;
    for (uint32_t col = 0; col < count; col += 2) {
        const uint32_t one = (samples[col * pixel] + lift) & 0xFFFFu;
        const uint32_t other = col + 1 < count ? (samples[(col + 1) * pixel] + lift) & 0xFFFFu : 0;
        bits |= one | other;
        line[0] = (uint8_t)(one & 0xFFu);
        line[1] = (uint8_t)((one >> 8 | other << 4) & 0xFFu);
        line[2] = (uint8_t)(other >> 4 & 0xFFu);
        line += 3;
    }
    return bits >> SKYBOOK_SAMPLE_BITS == 0;
}

const uint16_t *skybook_unpacked(const skybook_held *row, uint32_t count, skybook_room_of_row room)
{
    for (uint32_t col = 0; col < count; col += 2, row += 3) {
        room[col] = (uint16_t)(row[0] | (row[1] & 15u) << 8);
        room[col + 1] = (uint16_t)(row[1] >> 4 | row[2] << 4);
    }
    return room;
}
#else
#include <string.h>

bool skybook_put_line(skybook_held *line, const uint16_t *samples, uint32_t count, size_t pixel,
                      uint32_t lift)
{
    if (pixel == 1) {
        memcpy(line, samples, count * sizeof(*line));
    } else {
        for (uint32_t col = 0; col < count; col++) {
            line[col] = samples[col * pixel];
        }
    }
    for (uint32_t col = 0; lift > 0 && col < count; col++) {
        line[col] = (uint16_t)((line[col] + lift) & 0xFFFFu);
    }
    return true;
}
#endif
