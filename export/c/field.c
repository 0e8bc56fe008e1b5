/* Field: the steps of the blocks of a tile, beside that of the tile (SPEC.md, section 22). */
#include <string.h>

#include "parts.h"

#if SKYBOOK_QUALITY

#define SMALLEST 2u /* positions of a side of a block */
#define LARGEST 8u
#define FULL 0x80u
#define SIDE_SHIFT 5
#define UNIT_SHIFT 3
#define MOST_UNIT 3u
#define LOWS 8u /* numbers of lower bits that there are */

/* 2^14 * 2^(-i/16). */
static const uint16_t shares[16] = {16384, 15689, 15024, 14387, 13777, 13193, 12634, 12098,
                                    11585, 11094, 10624, 10173, 9742,  9329,  8933,  8555};

/* Blocks of so many positions a side. */
struct blocks {
    uint32_t side, rows, cols;
    uint32_t unit; /* lower bits that none has, of three at most */
    uint8_t coarser[SKYBOOK_POSITIONS / 4];
};

/* The finest of each block; whether all positions of each are alike. */
static bool gather(const struct skybook_work *work, uint32_t side, struct blocks *blocks)
{
    const uint32_t rows = work->positions[0], cols = work->positions[1];
    bool alike = true;
    blocks->side = side;
    blocks->rows = (rows + side - 1) / side;
    blocks->cols = (cols + side - 1) / side;
    memset(blocks->coarser, 255, sizeof(blocks->coarser));
    for (uint32_t i = 0; i < rows * cols; i++) {
        uint8_t *least = &blocks->coarser[i / cols / side * blocks->cols + i % cols / side];
        const uint8_t own = work->field.coarser[i];
        *least = own < *least ? own : *least;
    }
    for (uint32_t i = 0; i < rows * cols; i++) {
        alike = alike && work->field.coarser[i] ==
                             blocks->coarser[i / cols / side * blocks->cols + i % cols / side];
    }
    return alike;
}

/* Whether no block differs from the tile; find the unit of those that do. */
static bool is_flat(struct blocks *blocks)
{
    uint32_t any = 0;
    for (uint32_t i = 0; i < blocks->rows * blocks->cols; i++) {
        any |= blocks->coarser[i];
    }
    blocks->unit = 0;
    while (blocks->unit < MOST_UNIT && (any >> blocks->unit & 1u) == 0) {
        blocks->unit++;
    }
    return any == 0;
}

/* What is sent of a block: the difference from the one to its left, at the left border above, as
 * 0, -1, 1, ... */
static uint32_t folded(const struct blocks *blocks, uint32_t i)
{
    const uint32_t before = i % blocks->cols > 0 ? i - 1 : i - blocks->cols;
    const int32_t away = (blocks->coarser[i] - (i > 0 ? blocks->coarser[before] : 0)) / (1 << blocks->unit);
    return (uint32_t)(away < 0 ? -2 * away - 1 : 2 * away);
}

/* The number of lower bits with which Rice codes are shortest; the bits that they take. */
static uint32_t shortest(const struct blocks *blocks, uint32_t *low)
{
    const uint32_t count = blocks->rows * blocks->cols;
    uint32_t least = UINT32_MAX;
    for (uint32_t tried = 0; tried < LOWS; tried++) {
        uint32_t bits = count * (1 + tried);
        for (uint32_t i = 0; i < count; i++) {
            bits += folded(blocks, i) >> tried;
        }
        *low = bits < least ? tried : *low;
        least = bits < least ? bits : least;
    }
    return least;
}

static void put_bit(uint8_t *bytes, uint32_t *place, uint32_t bit)
{
    bytes[*place / 8] = (uint8_t)(bytes[*place / 8] | bit << (7u - *place % 8));
    (*place)++;
}

static void pack(const struct blocks *blocks, uint32_t low, uint8_t *bytes)
{
    const uint32_t number = blocks->side == LARGEST ? 2 : blocks->side / 4;
    uint32_t place = 8;
    bytes[0] = (uint8_t)(number << SIDE_SHIFT | blocks->unit << UNIT_SHIFT | low);
    for (uint32_t i = 0; i < blocks->rows * blocks->cols; i++) {
        const uint32_t value = folded(blocks, i);
        place += value >> low;
        put_bit(bytes, &place, 1);
        for (uint32_t bit = low; bit-- > 0;) {
            put_bit(bytes, &place, value >> bit & 1u);
        }
    }
}

/* Note of each position what its blocks say, and how it is scaled. */
static void spread(struct skybook_work *work, const struct skybook_tile *tile, const struct blocks *blocks)
{
    struct skybook_field *field = &work->field;
    const uint32_t cols = work->positions[1], count = work->positions[0] * cols;
    for (uint32_t i = 0; i < SKYBOOK_POSITIONS; i++) {
        const uint32_t block = i / cols / blocks->side * blocks->cols + i % cols / blocks->side;
        const uint32_t coarser = i < count ? blocks->coarser[block] : 0;
        const uint32_t code = tile->code + coarser;
        field->coarser[i] = (uint8_t)(coarser & 0xFF);
        field->shares[i] = (uint16_t)(shares[coarser & 15u] >> (coarser >> 4));
        field->mantissas[i] = skybook_mantissas[code & 15u];
        field->shifts[i] = (uint8_t)(8 + (code >> 4) - tile->shift);
        field->halves[i] = 1 << (field->shifts[i] - 1);
    }
}

/* The codes of the positions, none beyond the coarsest. */
static void begin(struct skybook_work *work, const struct skybook_tile *tile)
{
    const uint32_t cols = work->positions[1];
    const uint32_t across = (cols + tile->block - 1) / tile->block;
    const uint32_t most = (uint32_t)SKYBOOK_COARSEST - tile->code;
    for (uint32_t i = 0; i < (uint32_t)work->positions[0] * cols; i++) {
        const uint8_t own = tile->coarser[i / cols / tile->block * across + i % cols / tile->block];
        work->field.coarser[i] = (uint8_t)(own < most ? own : most);
    }
}

void skybook_make_field(struct skybook_encoder *encoder, uint32_t column, uint32_t room)
{
    struct skybook_work *work = &encoder->work;
    const struct skybook_tile *tile = &encoder->tiles[column];
    struct blocks blocks;
    uint32_t side = LARGEST, low = 0;
    work->field.length = 0;
    if (tile->block == 0) {
        return;
    }
    begin(work, tile);
    while (!gather(work, side, &blocks) && side > SMALLEST) {
        side /= 2;
    }
    for (; side <= LARGEST; side *= 2) {
        gather(work, side, &blocks);
        if (is_flat(&blocks)) {
            return;
        }
        const uint32_t length = 1 + (shortest(&blocks, &low) + 7) / 8;
        if (length <= room) {
            work->field.length = (uint8_t)length;
            memset(work->field.bytes, 0, sizeof(work->field.bytes));
            pack(&blocks, low, work->field.bytes);
            spread(work, tile, &blocks);
            return;
        }
    }
}

#else

void skybook_make_field(struct skybook_encoder *encoder, uint32_t column, uint32_t room)
{
    (void)column, (void)room;
    encoder->work.field.length = 0;
}
#endif
