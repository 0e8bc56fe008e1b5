/* Cubes: more bands than a tile takes, coded in groups of them (SPEC.md, section 1). A row of tiles has those of
 * the first group, from left to right, then those of the second. */
#include <string.h>

#include "parts.h"

#if SKYBOOK_GROUPS > 1

/* Note the pixels of a row of a place that have no data. */
static void note_row(struct skybook_encoder *encoder, uint32_t column, uint32_t row, uint16_t value)
{
    const uint32_t left = encoder->options.width - skybook_first_pixel(encoder, column);
    const uint32_t cols = left < encoder->form.tile ? left : encoder->form.tile;
    uint8_t marks[SKYBOOK_TILE];
    memset(marks, 1, sizeof(marks));
    for (uint32_t band = 0; band < encoder->options.bands; band++) {
        const uint16_t *samples = skybook_row_of(encoder, column, band, row);
        for (uint32_t col = 0; col < cols; col++) {
            marks[col] = (uint8_t)(marks[col] & (samples[col] == value));
        }
    }
    for (uint32_t col = 0; col < SKYBOOK_TILE; col++) {
        uint8_t *byte = &encoder->gaps[column][(row * SKYBOOK_TILE + col) / 8];
        *byte = (uint8_t)(*byte | marks[col] << col % 8u);
    }
}

void skybook_note_gaps(struct skybook_encoder *encoder)
{
    const uint32_t lift = skybook_lift(&encoder->options);
    const uint16_t value = (uint16_t)((encoder->options.nodata + lift) & 0xFFFFu);
    const bool grouped = encoder->columns > encoder->across; /* else nobody asks, and tiles may be larger */
    memset(encoder->gaps, 0, sizeof(encoder->gaps));
    for (uint32_t column = 0; grouped && encoder->options.has_nodata && column < encoder->across; column++) {
        for (uint32_t row = 0; row < encoder->held; row++) {
            note_row(encoder, column, row, value);
        }
    }
    encoder->gaps_sum = skybook_words(encoder->gaps, sizeof(encoder->gaps));
}

bool skybook_gaps_are_whole(const struct skybook_encoder *encoder)
{
    return encoder->gaps_sum == skybook_words(encoder->gaps, sizeof(encoder->gaps));
}

bool skybook_take_gaps(const struct skybook_encoder *encoder, uint32_t column, uint8_t *nodata)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    if (encoder->columns == encoder->across) {
        return false;
    }
    const uint8_t *gaps = skybook_holder(encoder)->gaps[column % encoder->across];
    for (uint32_t row = 0; row < tile->rows; row++) {
        for (uint32_t col = 0; col < tile->cols; col++) {
            nodata[row * tile->cols + col] = gaps[(row * SKYBOOK_TILE + col) / 8] >> col % 8u & 1u;
        }
    }
    return true;
}

/* What tiles are put in order by: those of narrow numbers first, then those of whole width, then by number. */
static uint32_t rank_of(const struct skybook_encoder *encoder, uint32_t column)
{
    const uint32_t wide = skybook_is_wide(encoder, column) ? 2 : 0;
    const uint32_t left = encoder->options.width - skybook_first_pixel(encoder, column);
    return (wide + (left < encoder->form.tile ? 1 : 0)) * SKYBOOK_MAX_TILES + column;
}

uint32_t skybook_place_in_row(const struct skybook_encoder *encoder, uint32_t column)
{
    const uint32_t rank = rank_of(encoder, column);
    uint32_t before = 0;
    for (uint32_t other = 0; other < encoder->columns; other++) {
        before += rank_of(encoder, other) < rank;
    }
    return before;
}

#else

typedef char skybook_no_cubes; /* a file of C is not empty */

#endif
