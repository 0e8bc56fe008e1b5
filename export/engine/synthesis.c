/* Linear synthesis of tiles, in single precision or for the exact image: see synthesis.h. */
#include <math.h>
#include <string.h>

#include "reader.h"

#define GRID 64.0                /* what numbers of the exact image are multiples of 1 over, in DN */
#define LIMIT (4194304.0 * GRID) /* no number of it is farther from 0 */
#define SIDE 16                  /* of a filter */
#define FREQUENCIES 64
#define FRACTION 16384.0         /* of a band transform */
#define SURE_STEP 64.0           /* DN; tiles of at most this step are always held to their symbols */
#define HALF 0.1f                /* half a cell of symbols other than 0, in steps */

/* Where a channel of a component and frequency is in the order of the scan. */
static void place_channels(const struct skybook_form *form, uint16_t places[SKYBOOK_CHANNELS])
{
    for (uint32_t channel = 0; channel < form->channels; channel++) {
        places[form->order[channel]] = (uint16_t)channel;
    }
}

/* The first of the four squares between positions that each position is a corner of. */
static void place_corners(uint32_t down, uint32_t across, uint16_t corners[SKYBOOK_POSITIONS])
{
    for (uint32_t row = 0; row < down; row++) {
        for (uint32_t col = 0; col < across; col++) {
            corners[row * across + col] = (uint16_t)(row * (across + 1) + col);
        }
    }
}

/* Half the cell of a symbol, in steps; below 0 of one that is not coded, which has none. */
static double half_cell(const struct skybook_reader *reader, size_t place)
{
    const uint32_t row = reader->rows[place];
    if ((int32_t)(row % SKYBOOK_LEVELS) <= SKYBOOK_SKIP) {
        return -1.0;
    }
    if (reader->symbols[place] != 0 || reader->encoder.work.dependent) {
        return (double)HALF;
    }
    const double dead = skybook_dead[row] / 64.0;
    return dead > 0.5 ? dead : 0.5;
}

/* Whether a tile is held to its symbols. */
static bool pays(const struct skybook_reader *reader, const struct skybook_read_tile *tile)
{
    const struct skybook_form *form = &reader->encoder.form;
    const uint32_t positions = (uint32_t)reader->encoder.work.positions[0] * reader->encoder.work.positions[1];
    const double count = (double)(form->channels - form->bands) * positions;
    const double in_steps = reader->encoder.work.dependent ? 0.5 : 1.0;
    return (double)reader->sizes * in_steps >= 0.5 * count || tile->step <= SURE_STEP;
}

#define REAL double
#define EXACT 1
#define OF(name) name##_exact
#define REALS(reader) (&(reader)->real.exact)
#define FILTERS(model, name) ((model)->name)
#include "synthesis.h"
#undef REAL
#undef EXACT
#undef OF
#undef REALS
#undef FILTERS

#define REAL float
#define EXACT 0
#define OF(name) name##_plain
#define REALS(reader) (&(reader)->real.plain)
#define FILTERS(model, name) ((model)->plain_##name)
#include "synthesis.h"

void skybook_synthesise(struct skybook_reader *reader, const struct skybook_read_model *model,
                        const struct skybook_read_tile *tile)
{
    if (tile->exact) {
        synthesise_exact(reader, model, tile);
    } else {
        synthesise_plain(reader, model, tile);
    }
}
