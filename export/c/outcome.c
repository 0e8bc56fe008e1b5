/* What came of the rate: steps, and the squared error that they are expected to make. It decides no
 * byte. */
#include "parts.h"

#define STEERED 173 /* error along a trellis over that of plain tiles, in 1/256 */

/* 2^12 * 2^(i/8): the square of a step of code c is 2^(c/8 - 2) DN^2. */
static const uint16_t eighth_octaves[8] = {4096, 4467, 4871, 5312, 5793, 6317, 6889, 7512};

void skybook_note_error(struct skybook_encoder *encoder, uint32_t column, uint64_t lost,
                        uint32_t positions, uint32_t looked_at)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    const uint64_t all = lost * SKYBOOK_ERROR_WEIGHT * positions / looked_at;
    const uint64_t left = encoder->options.trellis ? all * STEERED >> 8 : all;
    tile->error =
        (left >> 8) * eighth_octaves[tile->code & 7u] >> 20 << (tile->code >> 3) >> 6;
}

/* The coarsest code of a tile, or of its blocks. */
static uint8_t coarsest_of(const struct skybook_tile *tile)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < SKYBOOK_MOST_BLOCKS && tile->block > 0; i++) {
        most = tile->coarser[i] > most ? tile->coarser[i] : most;
    }
    return (uint8_t)(tile->code + most < SKYBOOK_COARSEST ? tile->code + most : SKYBOOK_COARSEST);
}

/* Note a strip whose tiles have the quality that was asked for, or come as near as they can. */
void skybook_note_quality(struct skybook_encoder *encoder)
{
    struct skybook_outcome *outcome = &encoder->outcome;
    bool missed = false, eased = true, any = false;
    uint64_t error = 0;
    for (uint32_t column = 0; column < encoder->columns; column++) {
        struct skybook_tile *tile = &encoder->tiles[column];
        if (skybook_has_step(tile)) {
            missed = missed || tile->missed;
            eased = eased && tile->eased;
            any = true;
            error += tile->lost;
            tile->error = 0;
        }
    }
    skybook_note_strip(encoder, 0, 0);
    outcome->error += error / 4096;
    outcome->missed += missed;
    outcome->eased += any && eased;
}

void skybook_note_strip(struct skybook_encoder *encoder, int64_t budget, int64_t left)
{
    struct skybook_outcome *outcome = &encoder->outcome;
    uint32_t tiles = 0, finest = 0;
    for (uint32_t column = 0; column < encoder->columns; column++) {
        const struct skybook_tile *tile = &encoder->tiles[column];
        if (!skybook_has_step(tile)) {
            continue;
        }
        const bool first = outcome->samples == 0;
        outcome->finest = first || tile->code < outcome->finest ? tile->code : outcome->finest;
        const uint8_t coarsest = coarsest_of(tile);
        outcome->coarsest = coarsest > outcome->coarsest ? coarsest : outcome->coarsest;
        outcome->samples += tile->samples;
        outcome->error += tile->error;
        finest += tile->code <= tile->aimed;
        tiles++;
    }
    const bool missed = left < 0 && encoder->options.budget == 0; /* tiles within a bound may take all */
    outcome->strips += tiles > 0 || missed;
    outcome->missed += missed;
    outcome->eased += tiles > 0 && finest == tiles && left > budget >> 6;
}
