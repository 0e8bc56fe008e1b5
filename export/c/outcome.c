/* What came of the rate: steps, and the squared error that they are expected to make. It decides no
 * byte. */
#include "parts.h"

#define STRIDE 7        /* every seventh position is looked at: prime to the 8 of a row */
#define LOST 44         /* 1/64 steps below which a latent is taken to be lost */
#define ROUNDED 341     /* mean square of the error of others, in (1/64 step)^2 */
#define STEERED 173     /* error along a trellis over that of plain tiles, in 1/256 */

/* 2^12 * 2^(i/8): the square of a step of code c is 2^(c/8 - 2) DN^2. */
static const uint16_t eighth_octaves[8] = {4096, 4467, 4871, 5312, 5793, 6317, 6889, 7512};

/* Guess the squared error in DN^2 of the tile in work, at its code. */
static uint64_t guess_error(const struct skybook_form *form, const struct skybook_work *work,
                            const struct skybook_tile *tile, bool steered)
{
    const uint32_t positions = (uint32_t)work->positions[0] * work->positions[1];
    const int32_t mantissa = skybook_mantissas[tile->code & 15u];
    const int32_t wanted = 8 + (int32_t)(tile->code >> 4) - tile->shift;
    const unsigned shift = wanted > 0 ? (unsigned)wanted : 1u;
    uint64_t lost = 0;
    for (uint32_t channel = 0; channel < form->channels; channel++) {
        for (uint32_t i = 0; i < positions; i += STRIDE) {
            const int32_t half = 1 << (shift - 1);
            const int32_t away = (work->latents[channel * form->positions + i] * mantissa + half) >> shift;
            lost += away > -LOST && away < LOST ? (uint32_t)(away * away) : ROUNDED;
        }
    }
    lost = lost * SKYBOOK_ERROR_WEIGHT * positions / ((positions + STRIDE - 1) / STRIDE);
    lost = steered ? lost * STEERED >> 8 : lost;
    return (lost >> 8) * eighth_octaves[tile->code & 7u] >> 20 << (tile->code >> 3) >> 6;
}

void skybook_note_tile(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    uint32_t valid = 0;
    for (uint32_t i = 0; i < (uint32_t)tile->rows * tile->cols; i++) {
        valid += encoder->work.nodata[i] == 0;
    }
    tile->samples = encoder->form.bands * valid;
    tile->error = guess_error(&encoder->form, &encoder->work, tile, encoder->options.trellis);
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
        outcome->coarsest = tile->code > outcome->coarsest ? tile->code : outcome->coarsest;
        outcome->samples += tile->samples;
        outcome->error += tile->error;
        finest += tile->code <= tile->finest;
        tiles++;
    }
    const bool missed = left < 0 && encoder->options.budget == 0; /* tiles within a bound may take all */
    outcome->strips += tiles > 0 || missed;
    outcome->missed += missed;
    outcome->eased += tiles > 0 && finest == tiles && left > budget >> 6;
}
