/* Reading for Python on the ground: lanes of tiles back to digital numbers, the way that numpy goes
 * (SPEC.md, sections 10 to 12). It is no part of the flight encoder, whose context model it shares. */
#ifndef SKYBOOK_READ_H
#define SKYBOOK_READ_H

#include "tiles.h"

#define SKYBOOK_WORDS 4 /* codewords of a row of the tables, of residuals of 1, 2, 3 and more */

/* A lane of symbols of a tile, in the order of where lanes begin. */
struct skybook_read_lane {
    uint32_t layer, first;  /* as the segment says */
    uint32_t start, length; /* among the bytes, behind the last of which there are four more */
};

/* What the bundle has for the ground alone. */
struct skybook_read_model {
    const float *words;      /* (rows, 4), in steps */
    const double *zeros;     /* (rows), mean square of the error of a symbol of 0, in steps squared */
    const double *synthesis; /* (64, 4, 8, 8): quarters, above left, above right, below left, below right */
    const double *analysis;  /* (64, 16, 16) */
    const float *plain_synthesis, *plain_analysis; /* the same */
    double not_zero;         /* mean square of the error of others */
    double unit;             /* a latent, at the first mantissa, in DN */
};

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Rebuild tiles of one shape, coded alike, of which everything arrived, at their steps: the pixels of each
 * that are inside the scene, where those of the next band and row are so many numbers further, and mean
 * squared errors to expect, in steps squared. `whole` says of each whether everything did; of others nothing
 * is made. `exact` is for the exact image. `floors` are of full tiles, by channel, else NULL. */
enum skybook_status skybook_tiles_read(struct skybook_encoder *room, const struct skybook_tiles *all,
                                       const struct skybook_read_model *model, uint32_t exact,
                                       uint32_t count, const uint32_t *lanes_before,
                                       const struct skybook_read_lane *lanes, const uint8_t *bytes,
                                       const uint8_t *floors, const uint8_t *angles, const int32_t *means,
                                       const double *steps, float *const *pixels, size_t band, size_t row,
                                       double *errors, uint8_t *whole);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
