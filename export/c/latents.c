/* Latents of the tiles of a strip: made once, they stand where the samples of the tile were until all
 * tiles are settled. Of most channels 16 bits do; of a few the bits above are kept beside them. A tile
 * of which more channels are wide keeps its samples, and is analysed again whenever it is coded. */
#include <string.h>

#include "parts.h"

#if SKYBOOK_GROUPS > 1
typedef int64_t product; /* of a latent of a component and a mantissa */
#else
typedef int32_t product;
#endif

static uint32_t scale_all(const int32_t *restrict latents, uint32_t count, const struct skybook_per_step *by,
                          int32_t *restrict out)
{
    const product mantissa = by->mantissa, half = by->half;
    const int32_t shift = by->shift;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += (uint32_t)latents[i];
        out[i] = (int32_t)((latents[i] * mantissa + half) >> shift);
    }
    return sum;
}

#if SKYBOOK_SMALL
/* Channels are numbered as they come in the scan: so symbols, of which each latent has one at most, never
 * reach those that are still to be read. Each is moved once, along cycles. */
void skybook_put_in_order(const struct skybook_form *form, struct skybook_work *work)
{
    bool moved[SKYBOOK_CHANNELS] = {false};
    const uint32_t positions = form->positions;
    for (uint32_t first = 0; first < form->channels; first++) {
        uint32_t to = first;
        while (!moved[to]) {
            const uint32_t from = form->order[to];
            moved[to] = true;
            for (uint32_t i = 0; i < positions && from != first; i++) { /* what was here goes there, and on */
                const int32_t latent = work->room.latents[to * positions + i];
                work->room.latents[to * positions + i] = work->room.latents[from * positions + i];
                work->room.latents[from * positions + i] = latent;
            }
            to = from;
        }
    }
    work->spent = false;
}

enum skybook_status skybook_renew(struct skybook_encoder *encoder, uint32_t column)
{
    const enum skybook_status status =
        encoder->work.spent ? skybook_load(encoder, column) : SKYBOOK_OK;
    encoder->work.spent = true;
    return status;
}

void skybook_keep(struct skybook_encoder *encoder, uint32_t column)
{
    encoder->tiles[column].kept = false;
}

void skybook_recall(struct skybook_encoder *encoder, uint32_t column)
{
    (void)encoder, (void)column; /* none is kept */
}

void skybook_fetch(const struct skybook_encoder *encoder, uint32_t column, uint32_t channel)
{
    (void)encoder, (void)column, (void)channel; /* they are at hand */
}

uint32_t skybook_scaled(const struct skybook_encoder *encoder, uint32_t column, uint32_t channel,
                        const struct skybook_per_step *by, int32_t *restrict out)
{
    const uint32_t positions = encoder->form.positions;
    (void)column;
    return scale_all(&encoder->work.room.latents[channel * positions], positions, by, out);
}
#else

/* Where latents of a tile stand among the samples, and how many of a channel are in that line. */
struct place {
    uint32_t line, col, count;
};

/* Positions of a whole tile. */
static uint32_t positions_of(const struct skybook_form *form)
{
    return form->tile / 8 * (form->tile / 8);
}

/* Channel by channel they fill the lines of the tile, as its samples did: where the first of a channel stand. A
 * channel takes tile / 64 lines. */
static struct place place_of(const struct skybook_encoder *encoder, uint32_t column, uint32_t channel)
{
    const struct skybook_form *form = &encoder->form;
    const uint32_t slot = skybook_slot(encoder, column), whole = positions_of(form), tile = form->tile;
    const uint32_t lines = channel * tile, col = lines % 64 * tile / 64, left = tile - col;
    const struct place place = {skybook_group(encoder, slot) * form->bands * tile + lines / 64,
                                skybook_first_pixel(encoder, slot) + col, whole < left ? whole : left};
    return place;
}

/* Where those after come, of which so many are left: in the next line. */
static struct place place_after(const struct skybook_encoder *encoder, uint32_t column, struct place place,
                                uint32_t left)
{
    const uint32_t tile = encoder->form.tile, first = skybook_first_pixel(encoder, skybook_slot(encoder, column));
    const struct place next = {place.line + 1, first, left < tile ? left : tile};
    return next;
}

/* Number the channels of a tile whose latents take more than 16 bits from 1 on; how many they are. */
static uint32_t number_wide(const struct skybook_form *form, struct skybook_work *work)
{
    uint32_t count = 0;
#if SKYBOOK_GROUPS > 1
    for (uint32_t i = 0; i < form->channels * form->positions; i++) {
        if ((uint32_t)work->room.latents[i] + 0x800000u > 0xFFFFFFu) { /* of a component, beyond 24 bits */
            return UINT32_MAX;
        }
    }
#endif
    for (uint32_t channel = 0; channel < form->channels; channel++) {
        const int32_t *latents = &work->room.latents[channel * form->positions];
        uint32_t bits = 0;
        for (uint32_t i = 0; i < form->positions; i++) {
            bits |= (uint32_t)latents[i] + 32768u;
        }
        const uint32_t wide = bits > 65535;
        count += wide;
        work->wide[channel] = (uint8_t)((wide * count) & 0xFF);
    }
    return count;
}

static void put_lower(const int32_t *restrict latents, uint32_t count, uint16_t *restrict lower)
{
    for (uint32_t i = 0; i < count; i++) {
        lower[i] = (uint16_t)(latents[i] & 0xFFFF);
    }
}

static void put_upper(const int32_t *restrict latents, uint32_t count, uint8_t *restrict upper)
{
    for (uint32_t i = 0; i < count; i++) {
        upper[i] = (uint8_t)(latents[i] >> 16 & 0xFF);
    }
}

/* The upper bits of the tile of a slot, which has room for those of so many channels. */
static uint32_t upper_place(const struct skybook_form *form, uint32_t slot)
{
    return slot * (form->tile / SKYBOOK_TILE) * SKYBOOK_UPPER_BYTES;
}

static uint32_t most_wide(const struct skybook_form *form)
{
    return form->tile / SKYBOOK_TILE * SKYBOOK_UPPER_BYTES / positions_of(form);
}

void skybook_keep(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    struct skybook_work *work = &encoder->work;
    const struct skybook_form *form = &encoder->form;
    const uint32_t whole = positions_of(form);
    struct skybook_encoder *holder = encoder->owner != NULL ? encoder->owner : encoder;
    uint8_t *upper = &holder->upper[upper_place(form, skybook_slot(encoder, column))];
    tile->kept = number_wide(form, work) <= most_wide(form);
    memset(tile->wide, 0, sizeof(tile->wide));
    for (uint32_t channel = 0; tile->kept && channel < form->channels; channel++) {
        const int32_t *latents = &work->room.latents[channel * form->positions];
        const uint32_t number = work->wide[channel];
        struct place to = place_of(encoder, column, channel);
        for (uint32_t first = 0; first < whole;) {
            put_lower(&latents[first], to.count, &holder->samples[to.line][to.col]);
            first += to.count;
            to = place_after(encoder, column, to, whole - first);
        }
        if (number > 0) {
            put_upper(latents, whole, &upper[(number - 1) * whole]);
            tile->wide[channel / 8] = (uint8_t)(tile->wide[channel / 8] | 1u << channel % 8);
        }
    }
}

void skybook_recall(struct skybook_encoder *encoder, uint32_t column)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    struct skybook_work *work = &encoder->work;
    uint32_t count = 0;
    work->positions[0] = (uint8_t)((tile->rows + 7) / 8);
    work->positions[1] = (uint8_t)((tile->cols + 7) / 8);
    for (uint32_t channel = 0; channel < encoder->form.channels; channel++) {
        const uint32_t wide = (uint32_t)tile->wide[channel / 8] >> channel % 8 & 1u;
        count += wide;
        work->wide[channel] = (uint8_t)((wide * count) & 0xFF);
    }
}

/* Scale latents of 16 bits; their sum. */
static inline uint32_t scale_lower(const uint16_t *restrict lower, uint32_t count, const struct skybook_per_step *by,
                            int32_t *restrict out)
{
    const int16_t mantissa = by->mantissa;
    const int32_t half = by->half, shift = by->shift;
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int16_t latent = (int16_t)lower[i];
        sum += latent;
        out[i] = (latent * mantissa + half) >> shift;
    }
    return (uint32_t)sum;
}

/* The same; where all positions of a usual tile are in a line, compilers know how many. */
static uint32_t scale_line(const uint16_t *lower, uint32_t count, const struct skybook_per_step *by, int32_t *out)
{
    return count == SKYBOOK_PART ? scale_lower(lower, SKYBOOK_PART, by, out) : scale_lower(lower, count, by, out);
}

static uint32_t scale_wide(const uint16_t *restrict lower, const uint8_t *restrict upper, uint32_t count,
                           const struct skybook_per_step *by, int32_t *restrict out)
{
    const product mantissa = by->mantissa, half = by->half;
    const int32_t shift = by->shift;
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int32_t latent = (int8_t)upper[i] * 65536 + lower[i];
        sum += latent;
        out[i] = (int32_t)((latent * mantissa + half) >> shift);
    }
    return (uint32_t)sum;
}

void skybook_fetch(const struct skybook_encoder *encoder, uint32_t column, uint32_t channel)
{
#if defined(__GNUC__)
    const uint32_t whole = positions_of(&encoder->form);
    struct place from = place_of(encoder, column, channel);
    for (uint32_t first = 0; first < whole;) {
        const uint16_t *lower = &skybook_holder(encoder)->samples[from.line][from.col];
        for (uint32_t i = 0; i < from.count; i += SKYBOOK_PART / 2) {
            __builtin_prefetch(lower + i);
        }
        first += from.count;
        from = place_after(encoder, column, from, whole - first);
    }
#else
    (void)encoder, (void)column, (void)channel;
#endif
}

uint32_t skybook_scaled(const struct skybook_encoder *encoder, uint32_t column, uint32_t channel,
                        const struct skybook_per_step *by, int32_t *restrict out)
{
    const struct skybook_form *form = &encoder->form;
    const struct skybook_work *work = &encoder->work;
    const struct skybook_encoder *holder = skybook_holder(encoder);
    const uint32_t whole = positions_of(form), number = work->wide[channel];
    const uint8_t *upper = &holder->upper[upper_place(form, skybook_slot(encoder, column))];
    uint32_t sum = 0;
    if (!encoder->tiles[column].kept) {
        return scale_all(&work->room.latents[channel * form->positions], form->positions, by, out);
    }
    struct place from = place_of(encoder, column, channel);
    for (uint32_t first = 0; first < whole;) {
        const uint16_t *lower = &holder->samples[from.line][from.col];
        sum += number == 0 ? scale_line(lower, from.count, by, &out[first])
                           : scale_wide(lower, &upper[(number - 1) * whole + first], from.count, by, &out[first]);
        first += from.count;
        from = place_after(encoder, column, from, whole - first);
    }
    if (whole < form->positions) {
        memset(&out[whole], 0, (form->positions - whole) * sizeof(*out));
    }
    return sum;
}
#endif
