/* Floors: least levels of channels, which full tiles carry (SPEC.md, sections 10 and 13). */
#include "parts.h"

#define LEVEL_BITS 6
#define ENTRY_COST (16 * 256)

uint32_t skybook_most_floors(const struct skybook_form *form, uint32_t room)
{
    const uint32_t taken = 1u + form->side_bytes + 1u + SKYBOOK_LEAST_LANE;
    const uint32_t most = room > taken ? (room - taken) / SKYBOOK_FLOOR_BYTES : 0;
    return most < SKYBOOK_MOST_FLOORS ? most : SKYBOOK_MOST_FLOORS;
}

void skybook_choose_floors(const struct skybook_form *form, struct skybook_work *work,
                           uint32_t most)
{
    for (uint32_t count = 0; count < most; count++) {
        uint32_t best = form->bands;
        for (uint32_t channel = best + 1; channel < form->channels; channel++) {
            best = work->saved[channel] > work->saved[best] ? channel : best;
        }
        if (work->saved[best] <= ENTRY_COST) {
            return;
        }
        work->floors[best] = work->wanted_floors[best];
        work->saved[best] = 0;
    }
}

uint32_t skybook_floors_bytes(const struct skybook_form *form, const struct skybook_work *work)
{
    uint32_t length = 1;
    if (!work->full) {
        return 0;
    }
    for (uint32_t channel = form->bands; channel < form->channels; channel++) {
        length += work->floors[channel] > SKYBOOK_SKIP + 1 ? SKYBOOK_FLOOR_BYTES : 0;
    }
    return length;
}

void skybook_put_floors(const struct skybook_form *form, const struct skybook_work *work,
                        uint8_t *bytes)
{
    uint8_t *next = bytes + 1;
    for (uint32_t channel = form->bands; channel < form->channels; channel++) {
        if (work->floors[channel] > SKYBOOK_SKIP + 1) {
            skybook_put16(next, channel << LEVEL_BITS | work->floors[channel]);
            next += SKYBOOK_FLOOR_BYTES;
        }
    }
    bytes[0] = (uint8_t)((size_t)(next - bytes) / SKYBOOK_FLOOR_BYTES);
}
