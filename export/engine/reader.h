/* What the files that read know of each other. */
#ifndef SKYBOOK_READER_H
#define SKYBOOK_READER_H

#include "parts.h"
#include "read.h"

#define SKYBOOK_AROUND 8 /* pixels beyond a tile along an axis that its filters reach, four on each side */
#define SKYBOOK_ROWS (sizeof(skybook_starts) / sizeof(skybook_starts[0]))
#define SKYBOOK_PARTS 128 /* of the slots of a row: see lanes.h */
#define SKYBOOK_WIDE_SAMPLES ((SKYBOOK_SIDE + SKYBOOK_AROUND) * (SKYBOOK_SIDE + SKYBOOK_AROUND))

#define SKYBOOK_SQUARES ((SKYBOOK_SIDE / 8 + 1) * (SKYBOOK_SIDE / 8 + 1))
#define SKYBOOK_ALIGNED 64 /* bytes of the longest vectors */

/* Numbers that a tile becomes, for the exact image and else. */
#define SKYBOOK_REAL(type)                                                   \
    {                                                                        \
        type excess[SKYBOOK_SAMPLES];    /* to be added to latents, in steps */ \
        type squares[64 * SKYBOOK_SQUARES + SKYBOOK_ALIGNED]; /* between positions and around them */ \
        type wide[SKYBOOK_WIDE_SAMPLES]; /* a plane and around it */         \
        type planes[SKYBOOK_SAMPLES];                                        \
        type bands[SKYBOOK_SAMPLES];                                         \
    }
struct skybook_real_exact SKYBOOK_REAL(double);
struct skybook_real_plain SKYBOOK_REAL(float);

/* A symbol of a layer of AC that is not 0. */
struct skybook_found {
    uint32_t place; /* in the layer, by channel */
    uint32_t row;   /* of the tables */
    int32_t residual;
};

/* Room to read in: by channel in the order of the scan, then position. */
struct skybook_reader {
    struct skybook_encoder encoder; /* first, as a room begins with it; form, options and work are used */
    int32_t symbols[SKYBOOK_SAMPLES];  /* predictions included, in units of the points */
    uint16_t rows[SKYBOOK_SAMPLES];    /* of the tables */
    float values[SKYBOOK_SAMPLES];     /* what symbols stand for, in steps */
    skybook_sum sums[SKYBOOK_STEPS];   /* of a layer by channel */
    uint8_t levels[SKYBOOK_STEPS];     /* of its symbols that are coded; 0 of others */
    uint32_t coded[SKYBOOK_STEPS + 1]; /* which those are: see read.c */
    uint32_t starts[SKYBOOK_POSITIONS + 1]; /* where those of each position begin */
    struct skybook_found found[SKYBOOK_STEPS + 1];
    bool any[SKYBOOK_CHANNELS];        /* whether any symbol of a channel is not 0 */
    union {
        struct skybook_real_exact exact;
        struct skybook_real_plain plain;
    } real;
    uint32_t spans[SKYBOOK_ROWS][SKYBOOK_PARTS]; /* see lanes.h */
    bool has_spans;
    double error;   /* mean square of that of all symbols, in steps squared, times their number */
    uint64_t sizes; /* of symbols of AC without predictions */
};

/* What of a tile is not in the room. */
struct skybook_read_tile {
    const uint8_t *angles;
    const int32_t *means;
    double step;
    bool exact;
};

/* tiles.c: make a room that of tiles of a shape. */
enum skybook_status skybook_furnish(struct skybook_encoder *room, const struct skybook_tiles *all);

/* read.c: symbols from lanes in the order of where they begin, of a tile that hides signs or not; false if anything is missing or too much. */
bool skybook_read_symbols(struct skybook_reader *reader, const struct skybook_read_model *model, bool hides,
                          const struct skybook_read_lane *lanes, uint32_t count, const uint8_t *bytes);

/* synthesis.c: symbols that were read to bands. */
void skybook_synthesise(struct skybook_reader *reader, const struct skybook_read_model *model,
                        const struct skybook_read_tile *tile);

#endif
