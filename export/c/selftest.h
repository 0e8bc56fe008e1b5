/* Self test: tiles with the bytes that they must give, as they are in the bundle. */
#ifndef SKYBOOK_SELFTEST_H
#define SKYBOOK_SELFTEST_H

#include "skybook.h"

#ifdef __cplusplus
extern "C" {
#endif

struct skybook_golden {
    const uint16_t *samples; /* band by band, row by row */
    const uint8_t *body;     /* of the only segment of the tile */
    uint32_t length;
    uint16_t rows, cols;
    uint8_t bands, significant_bits;
    int16_t step_code; /* -1: within a bound instead */
    int32_t max_error; /* DN; -1: at a step instead */
    bool trellis;
};

/* Those that a build has room for; one that is empty if there are none. */
extern const struct skybook_golden skybook_goldens[SKYBOOK_MOST(SKYBOOK_GOLDENS, 1)];

/* Encode the golden tiles, and return how many give the bytes that they must. All is well if they
 * are SKYBOOK_GOLDENS. The encoder is begun anew for each. */
uint32_t skybook_selftest(struct skybook_encoder *encoder);

#ifdef __cplusplus
}
#endif

#endif
