/* Units, the positions of all layers: where they are (SPEC.md, sections 10 and 11). */
#include "parts.h"

/* Positions of a lattice of the DC, see scan.c. */
static uint32_t lattice_places(const struct skybook_work *work, uint32_t lattice)
{
    const uint32_t rows = work->positions[0], cols = work->positions[1];
    const uint32_t even = (rows + 1) / 2 * ((cols + 1) / 2), odd = rows / 2 * (cols / 2);
    return lattice == 0 ? even : lattice == 1 ? odd : rows * cols - even - odd;
}

void skybook_place(const struct skybook_work *work, uint32_t unit, uint32_t *layer, uint32_t *first)
{
    const uint32_t count = (uint32_t)work->positions[0] * work->positions[1];
    uint32_t left = unit;
    *layer = 1;
    while (*layer <= SKYBOOK_LATTICES && left >= lattice_places(work, *layer - 1)) {
        left -= lattice_places(work, *layer - 1);
        *layer += 1;
    }
    if (*layer > SKYBOOK_LATTICES) {
        *layer += left / count;
        left %= count;
    }
    *first = work->dependent ? SKYBOOK_STATES * left + work->states[unit] : left;
}
