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

#define PART SKYBOOK_POSITIONS_OF_SEVERAL /* positions that lie together */

/* Where a part of the latents of a tile stands among the samples. */
struct place {
    uint32_t line, col;
};

/* A line of a tile has room for a part, one of a large tile for two. */
static struct place place_of(const struct skybook_encoder *encoder, uint32_t column, uint32_t part)
{
    const struct skybook_form *form = &encoder->form;
    const uint32_t twice = form->tile > SKYBOOK_TILE; /* a bit */
    const uint32_t slot = skybook_slot(encoder, column);
    const uint32_t first = skybook_group(encoder, slot) * form->bands * form->tile;
    const struct place place = {first + (part >> twice),
                                skybook_first_pixel(encoder, slot) + (part & twice) * PART};
    return place;
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

static void put_lower(const int32_t *restrict latents, uint16_t *restrict lower)
{
    for (uint32_t i = 0; i < PART; i++) {
        lower[i] = (uint16_t)(latents[i] & 0xFFFF);
    }
}

static void put_upper(const int32_t *restrict latents, uint8_t *restrict upper)
{
    for (uint32_t i = 0; i < PART; i++) {
        upper[i] = (uint8_t)(latents[i] >> 16 & 0xFF);
    }
}

/* The upper bits of the channel of this number of a tile. */
static uint32_t upper_place(const struct skybook_form *form, uint32_t number, uint32_t part)
{
    return (number - 1) * form->positions + part * PART;
}

void skybook_keep(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    struct skybook_work *work = &encoder->work;
    const struct skybook_form *form = &encoder->form;
    const uint32_t parts = form->positions / PART, columns = form->tile / SKYBOOK_TILE;
    struct skybook_encoder *holder = encoder->owner != NULL ? encoder->owner : encoder;
    const uint32_t slot = skybook_slot(encoder, column);
    uint8_t *upper = &holder->upper[slot * columns * SKYBOOK_UPPER_BYTES];
    tile->kept = number_wide(form, work) <= columns * SKYBOOK_UPPER_BYTES / form->positions;
    memset(tile->wide, 0, sizeof(tile->wide));
    for (uint32_t channel = 0; tile->kept && channel < form->channels; channel++) {
        const uint32_t number = work->wide[channel];
        for (uint32_t part = 0; part < parts; part++) {
            const int32_t *latents = &work->room.latents[channel * form->positions + part * PART];
            const struct place to = place_of(encoder, column, channel * parts + part);
            put_lower(latents, &holder->samples[to.line][to.col]);
            if (number > 0) {
                put_upper(latents, &upper[upper_place(form, number, part)]);
                tile->wide[channel / 8] = (uint8_t)(tile->wide[channel / 8] | 1u << channel % 8);
            }
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
static uint32_t scale_lower(const uint16_t *restrict lower, const struct skybook_per_step *by,
                            int32_t *restrict out)
{
    const int16_t mantissa = by->mantissa;
    const int32_t half = by->half, shift = by->shift;
    int32_t sum = 0;
    for (uint32_t i = 0; i < PART; i++) {
        const int16_t latent = (int16_t)lower[i];
        sum += latent;
        out[i] = (latent * mantissa + half) >> shift;
    }
    return (uint32_t)sum;
}

static uint32_t scale_wide(const uint16_t *restrict lower, const uint8_t *restrict upper,
                           const struct skybook_per_step *by, int32_t *restrict out)
{
    const product mantissa = by->mantissa, half = by->half;
    const int32_t shift = by->shift;
    int32_t sum = 0;
    for (uint32_t i = 0; i < PART; i++) {
        const int32_t latent = (int8_t)upper[i] * 65536 + lower[i];
        sum += latent;
        out[i] = (int32_t)((latent * mantissa + half) >> shift);
    }
    return (uint32_t)sum;
}

void skybook_fetch(const struct skybook_encoder *encoder, uint32_t column, uint32_t channel)
{
#if defined(__GNUC__)
    const uint32_t parts = encoder->form.positions / PART;
    for (uint32_t part = 0; part < parts; part++) {
        const struct place from = place_of(encoder, column, channel * parts + part);
        const uint16_t *lower = &skybook_holder(encoder)->samples[from.line][from.col];
        __builtin_prefetch(lower);
        __builtin_prefetch(lower + PART / 2);
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
    const uint32_t parts = form->positions / PART, number = work->wide[channel];
    const uint32_t columns = form->tile / SKYBOOK_TILE;
    const uint32_t slot = skybook_slot(encoder, column);
    const uint8_t *upper = &skybook_holder(encoder)->upper[slot * columns * SKYBOOK_UPPER_BYTES];
    uint32_t sum = 0;
    if (!encoder->tiles[column].kept) {
        return scale_all(&work->room.latents[channel * form->positions], form->positions, by, out);
    }
    for (uint32_t part = 0; part < parts; part++) {
        const struct place from = place_of(encoder, column, channel * parts + part);
        const uint16_t *lower = &skybook_holder(encoder)->samples[from.line][from.col];
        int32_t *to = &out[part * PART];
        sum += number == 0 ? scale_lower(lower, by, to)
                           : scale_wide(lower, &upper[upper_place(form, number, part)], by, to);
    }
    return sum;
}
#endif
