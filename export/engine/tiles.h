/* Tiles for Python: the parts of the encoder that turn batches of tiles of one shape into the bodies of
 * segments. The encoder in Python cuts a scene to tiles, chooses their steps and frames what they become.
 *
 * A call works in a room that the caller provides, of which each thread has its own; between calls
 * nothing is kept but in the records of tiles, which are the caller's, too. */
#ifndef SKYBOOK_TILES_H
#define SKYBOOK_TILES_H

#include "skybook.h"

/* Number of this interface: another one's library is not taken. */
#define SKYBOOK_TILES_INTERFACE 10

/* What tiles of a batch have in common. */
struct skybook_tiles {
    uint32_t bands;
    uint32_t tile;         /* rows and columns of a tile */
    uint32_t significant_bits;
    uint32_t is_signed;    /* whether samples may be below 0 */
    uint32_t is_mosaic;    /* whether bands are the planes of a Bayer mosaic */
    uint32_t rows, cols;   /* of it inside the scene */
    uint32_t has_nodata;
    uint32_t nodata;       /* modulo 2^16: of pixels of which all bands are it */
    uint32_t trellis, one_layer;
    uint32_t edge;         /* bytes that a segment's edge takes, 0 or 4 */
    uint32_t body;         /* most bytes of a body */
    uint32_t hides;        /* to be read: whether they hide signs */
};

/* A segment of a tile: what was planned, then what came of it. */
struct skybook_tile_piece {
    uint32_t layer, first;
    uint32_t start, length; /* of a body in the bytes; of a planned one its length alone */
};

/* What became of a tile: numbers of pieces from the first on. */
struct skybook_tile_made {
    uint32_t planned, coded;
};

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif
uint32_t skybook_tiles_interface(void);
const char *skybook_tiles_sources(void);          /* digest of what it was built from */
const char *skybook_tiles_processor(void);        /* what it needs a processor to have, as Linux names it */
size_t skybook_tiles_room(void);                  /* bytes, all 0 at first */
size_t skybook_tiles_record(uint32_t bands, uint32_t tile); /* bytes of a tile's record */
uint32_t skybook_tiles_whole(void);               /* whether the model's tables are unchanged */

/* CRC-32C of a message that follows others of a CRC so far. */
uint32_t skybook_tiles_crc32c(const uint8_t *bytes, size_t length, uint32_t crc);

/* That of each of some messages, which stand one after the other. */
void skybook_tiles_crcs(const uint8_t *bytes, const uint32_t *lengths, uint32_t count, uint32_t *crcs);

/* Analyse tiles: samples (bands, side, side) of 16 bits, each tile wherever it is, its bands and rows so many
 * samples apart, to records, bits at each step code (256 a tile) and finest step codes. */
enum skybook_status skybook_tiles_analyse(struct skybook_encoder *room, const struct skybook_tiles *all,
                                          const uint16_t *const *samples, size_t band, size_t row,
                                          uint32_t count, uint8_t *records, uint32_t *bits, uint8_t *finest);

/* Code tiles at their step codes and thrifts to bodies, and note in their records what error they have; `done`
 * says how many were, which is all but where there was no room for more pieces or bytes. */
enum skybook_status skybook_tiles_code(struct skybook_encoder *room, const struct skybook_tiles *all,
                                       uint8_t *const *records, const uint8_t *steps,
                                       const uint16_t *thrifts, uint32_t count,
                                       struct skybook_tile_made *made, struct skybook_tile_piece *pieces,
                                       size_t most_pieces, uint8_t *bytes, size_t most_bytes,
                                       uint32_t *done);

/* Code tiles, samples (bands, side, side), one tile after the other, within a bound on their error to bodies; as skybook_tiles_code, which
 * has no bound. Nothing is planned. */
enum skybook_status skybook_tiles_bounded(struct skybook_encoder *room, const struct skybook_tiles *all,
                                          const uint16_t *samples, const uint16_t *bounds, uint32_t root,
                                          uint32_t count, struct skybook_tile_made *made,
                                          struct skybook_tile_piece *pieces, size_t most_pieces,
                                          uint8_t *bytes, size_t most_bytes, uint32_t *done);

/* Squared errors in DN^2 that are expected at step codes: as noted where tiles were last coded at these. */
enum skybook_status skybook_tiles_error(struct skybook_encoder *room, const struct skybook_tiles *all,
                                        const uint8_t *const *records, const uint8_t *steps,
                                        uint32_t count, uint64_t *errors);

/* What analysis found of tiles: means (less the lift), angles, octaves of scale, and latents, channel by
 * channel in the order of the scan, position by position. */
enum skybook_status skybook_tiles_latents(struct skybook_encoder *room, const struct skybook_tiles *all,
                                          const uint8_t *const *records, uint32_t count, int32_t *means,
                                          uint8_t *angles, uint8_t *shifts, int32_t *latents);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
