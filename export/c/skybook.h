/* skybook: the onboard encoder of one model bundle. Lines in, segments or space packets out.
 *
 * Plain C99: no heap, no recursion, every loop bounded, integers but for one division a strip (the
 * budget from a ratio). The bytes are those of `python -m onboard encode --rate-window strip`
 * (segments) and `python -m onboard stream` (packets) with the same bundle; the format is described
 * in SPEC.md of the Python package.
 *
 * A scene: skybook_defaults, skybook_init, skybook_push as lines come, skybook_finish. All state
 * is in a struct skybook_encoder that the caller provides, as a static object: it is too large for
 * a stack. Encoders share nothing that is written, so each thread may have its own. */
#ifndef SKYBOOK_H
#define SKYBOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tables.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef SKYBOOK_CUBE_BANDS
#define SKYBOOK_CUBE_BANDS 0 /* bands of a cube, coded in groups of up to SKYBOOK_MAX_BANDS; 0, or 17 to 1024 */
#endif
#ifndef SKYBOOK_MAX_WIDTH
#define SKYBOOK_MAX_WIDTH 2048 /* columns of a scene, at most; 65536 at most */
#endif
#ifndef SKYBOOK_STRIP_BYTES /* coded bytes of a row of tiles, at most */
#define SKYBOOK_STRIP_BYTES \
    (SKYBOOK_CUBE_BANDS > 0 ? SKYBOOK_MOST(48 * SKYBOOK_MAX_WIDTH * SKYBOOK_CUBE_BANDS, 131072) : 393216)
#endif
#ifndef SKYBOOK_STRIP_SEGMENTS /* segments of a row of tiles, at most */
#define SKYBOOK_STRIP_SEGMENTS \
    (SKYBOOK_CUBE_BANDS > 0 ? SKYBOOK_MOST(5 * SKYBOOK_MAX_WIDTH * SKYBOOK_CUBE_BANDS / 4, 10240) : 10240)
#endif

#ifndef SKYBOOK_MAX_BANDS /* bands of a scene, or of a group of those of a cube, at most; 16 at most */
#define SKYBOOK_MAX_BANDS (SKYBOOK_CUBE_BANDS > 0 ? 16 : 4)
#endif
#ifndef SKYBOOK_MAX_BOXES
#define SKYBOOK_MAX_BOXES 8 /* boxes of a scene that have a bound of their own, at most */
#endif

#ifndef SKYBOOK_LARGE_BANDS
/* Bands of a scene whose tiles have more than SKYBOOK_TILE pixels a side, at most; 4 at most. */
#define SKYBOOK_LARGE_BANDS (SKYBOOK_MAX_BANDS < 8 ? 1 : SKYBOOK_MAX_BANDS / 4)
#endif

/* Tiles have SKYBOOK_TILE pixels a side up to, if there is room for their bands, SKYBOOK_LARGEST_TILE; those of one
 * band up to SKYBOOK_SIDE. What a tile takes is that of so many bands, or of those that may have large ones. */
#define SKYBOOK_MOST(a, b) ((a) > (b) ? (a) : (b))
#define SKYBOOK_SCENE_BANDS SKYBOOK_MOST(SKYBOOK_MAX_BANDS, SKYBOOK_CUBE_BANDS)
#define SKYBOOK_GROUPS SKYBOOK_MOST(1, (SKYBOOK_CUBE_BANDS + 15) / 16) /* of bands, at most */
#define SKYBOOK_LARGEST_TILE (2 * SKYBOOK_TILE)
#define SKYBOOK_SIDE \
    (SKYBOOK_LARGE_BANDS >= 4 ? 4 * SKYBOOK_TILE : SKYBOOK_LARGE_BANDS > 0 ? SKYBOOK_LARGEST_TILE : SKYBOOK_TILE)
#define SKYBOOK_MAX_COLUMNS ((SKYBOOK_MAX_WIDTH + SKYBOOK_LARGEST_TILE - 1) / SKYBOOK_LARGEST_TILE * 2)
#define SKYBOOK_MAX_TILES (SKYBOOK_GROUPS * SKYBOOK_MAX_COLUMNS) /* of a row, those of all groups */
/* Samples of a line, whole tiles: large ones may end less than one of them beyond the line. */
#define SKYBOOK_PITCH \
    (SKYBOOK_MAX_COLUMNS * SKYBOOK_TILE + (SKYBOOK_LARGE_BANDS > 1 ? SKYBOOK_LARGEST_TILE : 0))
/* Of what a line is made that is held: samples, or bytes, of which three have two samples; where one is. */
#if SKYBOOK_SAMPLE_BITS == 12
typedef uint8_t skybook_held;
#define SKYBOOK_PACKED 1u
#define SKYBOOK_PLACE(sample) ((sample) / 2 * 3) /* of an even one */
#else
typedef uint16_t skybook_held;
#define SKYBOOK_PACKED 0u
#define SKYBOOK_PLACE(sample) (sample)
#endif
#define SKYBOOK_POSITIONS (SKYBOOK_SIDE / 8 * (SKYBOOK_SIDE / 8))
#define SKYBOOK_POSITIONS_OF_SEVERAL (SKYBOOK_TILE / 8 * (SKYBOOK_TILE / 8))
#define SKYBOOK_POSITIONS_OF_LARGE (4 * SKYBOOK_POSITIONS_OF_SEVERAL)
#define SKYBOOK_LARGE_STEPS                                                               \
    SKYBOOK_MOST(SKYBOOK_WIDEST_LAYER(SKYBOOK_LARGE_BANDS) * SKYBOOK_POSITIONS_OF_LARGE, \
                 SKYBOOK_WIDEST_LAYER(1) * SKYBOOK_POSITIONS)
#define SKYBOOK_STEPS                                                                    \
    SKYBOOK_MOST(SKYBOOK_WIDEST_LAYER(SKYBOOK_MAX_BANDS) * SKYBOOK_POSITIONS_OF_SEVERAL, \
                 SKYBOOK_LARGE_BANDS > 0 ? SKYBOOK_LARGE_STEPS : SKYBOOK_BOUNDED * 2048) /* symbols of a layer */
#define SKYBOOK_RUN 24 /* channels of a layer of a plain tile by which signs are hidden */
#define SKYBOOK_PATH (SKYBOOK_TRELLIS ? SKYBOOK_STEPS : 1)
#define SKYBOOK_CODED (SKYBOOK_STEPS / 64) /* words that tell which are coded */
#define SKYBOOK_MOST_SIDE 424u /* symbols of side information of a band of a bounded tile */
#define SKYBOOK_CHANNELS (64 * SKYBOOK_MAX_BANDS)
/* Usual tiles of a band that a tile of all bands is as large as, at most. */
#define SKYBOOK_USUAL_TILES SKYBOOK_MOST(SKYBOOK_MAX_BANDS, 4 * SKYBOOK_LARGE_BANDS)
#define SKYBOOK_SAMPLES (SKYBOOK_USUAL_TILES * SKYBOOK_TILE * SKYBOOK_TILE) /* of a tile */
/* Samples between bands of a tile of many, so that those of a pixel do not all compete for the same places in a cache. */
#define SKYBOOK_GAP (SKYBOOK_MAX_BANDS < 8 ? 0 : 64)
/* Groups whose latents have room: the first one's twice, where there are profiles. */
#define SKYBOOK_ROOMS (SKYBOOK_GROUPS > 1 ? SKYBOOK_GROUPS + 1 : 1)
#define SKYBOOK_SLOTS (SKYBOOK_ROOMS * SKYBOOK_MAX_COLUMNS)
#define SKYBOOK_LINES /* of a strip */ \
    (SKYBOOK_MOST(SKYBOOK_ROOMS * SKYBOOK_MAX_BANDS, 2 * SKYBOOK_LARGE_BANDS) * SKYBOOK_TILE)
#define SKYBOOK_ANGLES (SKYBOOK_MAX_BANDS * (SKYBOOK_MAX_BANDS - 1) / 2 + 1)
#define SKYBOOK_PLANES (2 * SKYBOOK_CHANNELS + 2 * SKYBOOK_MAX_BANDS)
#define SKYBOOK_MODEL_PLANES (2 * 64 * SKYBOOK_CLASSES + 2 * SKYBOOK_CLASSES)
#define SKYBOOK_MARKED (64 * SKYBOOK_MOST_STRETCHES) /* samples that may be marked */
#define SKYBOOK_LARGE_PLANES /* positions of a channel of each band */ \
    (SKYBOOK_LARGE_BANDS > 0 ? SKYBOOK_MOST(SKYBOOK_LARGE_BANDS * SKYBOOK_POSITIONS_OF_LARGE, SKYBOOK_POSITIONS) : 0)
#define SKYBOOK_KNOWN                                        \
    SKYBOOK_MOST(SKYBOOK_PLANES *SKYBOOK_POSITIONS_OF_SEVERAL, \
                 SKYBOOK_MOST(130 * SKYBOOK_LARGE_PLANES, SKYBOOK_BOUNDED * SKYBOOK_MARKED))
#define SKYBOOK_LARGE_LAYERS (1 + (SKYBOOK_LARGE_BANDS > 1 ? SKYBOOK_AC_LAYERS : SKYBOOK_AC_LAYERS_OF_ONE))
#define SKYBOOK_UNITS                                                    \
    SKYBOOK_MOST((1 + SKYBOOK_AC_LAYERS) * SKYBOOK_POSITIONS_OF_SEVERAL, \
                 SKYBOOK_MOST(SKYBOOK_LARGE_LAYERS * SKYBOOK_POSITIONS_OF_LARGE, \
                              (1 + SKYBOOK_AC_LAYERS_OF_ONE) * SKYBOOK_POSITIONS))
#define SKYBOOK_MOST_BLOCKS (SKYBOOK_SIDE / 16 * (SKYBOOK_SIDE / 16))
#define SKYBOOK_FIELD_BYTES 96 /* of the field of a tile, at most */
#define SKYBOOK_PADDED(tile) (((tile) + 3) * ((tile) + 8)) /* values of a band and around it */
#define SKYBOOK_BOUNDED_VALUES \
    (SKYBOOK_MOST(3 * SKYBOOK_PADDED(SKYBOOK_TILE),                                            \
                  (SKYBOOK_LARGE_BANDS > 1 ? 3 : 1) * SKYBOOK_PADDED(SKYBOOK_SIDE)) +  \
     16)
#define SKYBOOK_ENERGY_ROWS                   \
    SKYBOOK_MOST(10 * (SKYBOOK_TILE + 24),    \
                 (SKYBOOK_LARGE_BANDS > 1 ? 10 : 4) * (SKYBOOK_SIDE + 24))
#define SKYBOOK_MOST_STRETCHES 330 /* of 64 samples, with which a scale is worth its bits */
/* Pixels that are fitted to at once, of so many rows at most; values of these rows, and of those around them. */
#if SKYBOOK_SMALL && SKYBOOK_LARGE_BANDS == 0
#define SKYBOOK_FITTED 128
#else
#define SKYBOOK_FITTED 256
#endif
#define SKYBOOK_FITTED_ROWS (SKYBOOK_FITTED / 16)
#define SKYBOOK_HELD                                                          \
    (SKYBOOK_MOST((3 * SKYBOOK_FITTED_ROWS + 7) * (SKYBOOK_TILE + 8),         \
                  (3 * SKYBOOK_FITTED_ROWS / 2 + 7) * (2 * SKYBOOK_TILE + 8)) + \
     16)
/* Planes of upper bits of latents that a tile may have, for each of its bands. */
#define SKYBOOK_UPPER_PLANES 4
#define SKYBOOK_UPPER_BYTES (SKYBOOK_UPPER_PLANES * SKYBOOK_USUAL_TILES * SKYBOOK_POSITIONS_OF_SEVERAL)
#ifndef SKYBOOK_PACKET_BYTES
#define SKYBOOK_PACKET_BYTES 65551 /* the longest segment or packet */
#endif
#define SKYBOOK_HEAD_BYTES (SKYBOOK_GROUPS > 1 ? 72 : 64) /* the longest scene header, as a segment */

/* What a call returns. The numbers are those of the error classes of the Python package; a command
 * exits with the hundreds, an internal error with 1. */
enum skybook_status {
    SKYBOOK_OK = 0,
    SKYBOOK_ERROR_INTERNAL = 100, /* the caller's write function failed, or this library */
    SKYBOOK_ERROR_USAGE = 200,    /* options or calls that do not fit together */
    SKYBOOK_ERROR_INPUT = 300,    /* samples beyond the significant bits, not `height` lines */
    SKYBOOK_ERROR_MEMORY = 500,   /* tables, options, lines or latents changed in memory */
    SKYBOOK_ERROR_LIMIT = 600     /* bytes too few, a step too fine, a maximum exceeded */
};

/* Takes one whole segment or packet; returns 0, or anything else to stop the encoder. */
typedef int (*skybook_write)(void *user, const uint8_t *bytes, size_t length);

/* Types of samples, as the scene header numbers them. */
enum skybook_type { SKYBOOK_U8, SKYBOOK_U16, SKYBOOK_I16, SKYBOOK_I8 };

/* By how much samples may be off. */
struct skybook_bound {
    uint16_t count;                   /* of `each`: 1 for all bands, or one for each; 0: no bound */
    uint16_t each[SKYBOOK_SCENE_BANDS]; /* DN, at most 32767; all 0 where `root` is not */
    uint16_t root;                    /* in 1/256, times the root of a sample instead; 0: not */
};

/* Pixels whose tiles are within a bound in a scene of a rate; of a mosaic, cells of it. */
struct skybook_box {
    uint32_t left, top, right, bottom; /* first column and row, and those after the last */
    struct skybook_bound bound;
};

#if SKYBOOK_GROUPS > 1
/* A spectral profile: what makes components of the bands of a cube, which are coded in their place. */
struct skybook_profile {
    uint16_t bands;                      /* of a scene, and components */
    uint8_t name[8];                     /* by which a scene header names it */
    int32_t offsets[SKYBOOK_CUBE_BANDS]; /* DN that are taken off each band */
    int16_t matrix[SKYBOOK_CUBE_BANDS][SKYBOOK_CUBE_BANDS]; /* in 1/2^14, a component a row */
};
#endif

struct skybook_options {
    uint32_t width;            /* columns, 1..SKYBOOK_MAX_WIDTH */
    uint16_t bands;            /* of the scene, 1..SKYBOOK_MAX_BANDS, or up to SKYBOOK_CUBE_BANDS */
    uint16_t scene_id;         /* told apart by the receiver */
    uint8_t sample_type;       /* an enum skybook_type */
    uint8_t significant_bits;  /* of a sample, 1..16, or 1..8 of those of 8 bits */
    uint8_t bayer;             /* 1 RGGB, 2 BGGR, 3 GRBG, 4 GBRG: bands, four, are the planes of such
                                * a mosaic: rows and columns of its cells, row by row; 0: no mosaic */
    uint16_t tile;             /* rows and columns of tiles, a multiple of 8: SKYBOOK_TILE, of 1 to 4
                                * bands that are no mosaic up to SKYBOOK_LARGEST_TILE (of one band
                                * SKYBOOK_SIDE); within a bound these two alone, with blocks whole
                                * ones; 0: those that a scene has best, see SPEC.md, section 13 */
    bool one_layer;            /* begin a segment at each layer; send a row layer by layer */
    bool trellis;              /* choose indices along a trellis: fewer bytes, for more time */
    bool has_nodata;           /* whether `nodata`, in all bands, means that there are no data */
    uint16_t nodata;           /* two's complement where samples may be below 0 */
    bool has_start_time;       /* whether the scene header tells the start time */
    uint32_t start_seconds;    /* of line 0, since 1958-01-01T00:00:00 TAI */
    uint16_t start_fraction;   /* 1/65536 s */
    uint32_t segment_bytes;    /* of a segment at most, 114..65551 */
    bool packets;              /* whether segments travel in space packets */
    uint32_t packet_bytes;     /* of a packet at most, 128..65535 */
    uint16_t apid;             /* application process, 0..2046 */
    bool packet_control;       /* whether packets end in a CRC-16 */
    uint64_t line_period;      /* nanoseconds from a line to the next, below 2^40 */
    double ratio;              /* raw bytes over bytes; where budget is 0 and step_code below 0 */
    uint64_t budget;           /* bytes of the scene, instead of a ratio; needs `height` */
    uint32_t height;           /* lines that will come; 0 if not known */
    int16_t step_code;         /* 0..255: for all tiles, as far as they allow; below 0: none */
    uint32_t run;              /* 1..2^24 - 1: tells it from other encodings of the scene id, such
                                * as a count of boots; 0: chosen by options and first lines */
    uint32_t first_packet;     /* packets formed before with this APID: the count goes on */
    uint32_t first_row;        /* to go on after a reset, with the same run, which must be given: */
    uint32_t first_segment;    /* rows of tiles of the scene that were written, their segments */
    uint64_t spent;            /* and their bytes, packets included */
    uint16_t quality;          /* hundredths of a dB of PSNR, peak 65535, that tiles are to have, 1..20000;
                                * 0: none. With a budget, or a ratio above 0, that is an upper bound */
    uint8_t quality_block;     /* side of blocks that each are to have it, 64 pixels, or 32 or 16, which
                                * may be 1 dB worse to share steps; 0: all tiles of a row together */
    const uint16_t *quality_map; /* NULL, or what blocks are to have, row by row: 0 `quality`, 65535 no
                                  * loss; it must last as long as the encoder */
    uint32_t map_rows, map_columns;
#if SKYBOOK_GROUPS > 1
    const struct skybook_profile *profile; /* NULL, or that of the scene; it must last as long as the encoder */
#endif
    struct skybook_bound max_error; /* of all samples, instead of a rate */
    uint32_t boxes;                 /* 0..SKYBOOK_MAX_BOXES; of those that a tile touches the first counts */
    struct skybook_box box[SKYBOOK_MAX_BOXES];
};

/* How a scene of so many bands is coded; its channels are of components. */
struct skybook_form {
    uint32_t bands;      /* of a tile: of the scene, or of a group of its bands */
    uint32_t fraction;   /* bits that samples get */
#if SKYBOOK_GROUPS > 1
    uint32_t coarse; /* bits of a DN that components lack */
#endif
    uint32_t tile;       /* rows and columns */
    uint32_t positions;  /* of a tile, in whole parts, and so of a channel from those of the next */
    uint32_t side_bytes; /* of the side information of a tile */
    uint32_t channels;
    uint32_t ac_layers;
    uint32_t alike;                      /* components of the last class */
    uint16_t cuts[SKYBOOK_AC_LAYERS + 1]; /* where layers of AC begin among its channels, and end */
    uint16_t order[SKYBOOK_CHANNELS];    /* component * 64 + frequency of a channel */
    uint16_t models[SKYBOOK_CHANNELS];   /* channel of the model whose weights a channel has */
    uint16_t planes[SKYBOOK_MODEL_PLANES]; /* plane of the model to the first of the scene's */
};

#if SKYBOOK_GROUPS > 1
/* One of two ways to code a tile of components: turned, or as they are. */
struct skybook_way {
    uint8_t angles[SKYBOOK_ANGLES];
    uint32_t latents_sum;
    uint8_t wide[SKYBOOK_CHANNELS / 8];
    bool kept;
    uint16_t slot;
};
#endif

/* What is known of a tile of the strip. */
struct skybook_tile {
    uint16_t rows, cols; /* inside the scene */
    bool measured;       /* whether means and angles are known */
    bool bounded;        /* whether its samples are within a bound, at no step */
    bool kept;           /* whether latents stand in place of its samples */
    uint8_t state;       /* 0 all valid, 1 some nodata, 2 all nodata */
    uint8_t shift;       /* octaves by which its planes were scaled down */
    uint8_t finest;      /* step code that it allows */
    uint8_t code;        /* step code chosen */
    uint16_t thrift;     /* how much nearer to 0 than best it is quantised */
    uint8_t aimed;       /* finest code that it may have: that of its quality, or what it allows */
    bool missed, eased;  /* whether a block is out of reach of its quality, whether all are better */
    uint8_t block;       /* positions of a side of blocks with steps of their own; 0: there are none */
    uint8_t coarser[SKYBOOK_MOST_BLOCKS]; /* codes by which each is coarser than the tile */
    uint64_t lost;       /* squared error, in 1/4096 DN^2, that its code was found to make */
    uint32_t samples;    /* that have data */
    uint64_t error;      /* squared, in DN^2, that the code is expected to make */
    uint16_t bits;       /* of all samples and means, so of what deviates at most */
    uint8_t angles[SKYBOOK_ANGLES];
    uint16_t means[SKYBOOK_MAX_BANDS];
#if SKYBOOK_GROUPS > 1
    int32_t levels[SKYBOOK_MAX_BANDS]; /* means of components */
    struct skybook_way other;          /* the way that is not that of angles, latents_sum, wide, kept and slot */
    uint16_t slot;                     /* tile of the strip in whose place latents stand */
    bool turned;                       /* whether that way is the turned one */
    uint8_t turns[32];                 /* a bit for each step code: whether it is the better one */
#endif
    uint32_t latents_sum;              /* of all latents, as they were put */
    uint8_t wide[SKYBOOK_CHANNELS / 8]; /* a bit for each channel of which upper bits are kept */
    uint32_t fixed, fixed_stop;     /* in the strip's bytes: mask segments, or that of no data */
    uint32_t coded, coded_stop;     /* in the strip's bytes: its segments; the same if not coded */
    uint32_t planned, planned_stop; /* in the strip's pieces: its segments as planned */
};

/* A segment as planned. */
struct skybook_piece {
    uint32_t length;
    uint16_t first;
    uint8_t layer;
};

/* The symbols of a layer of a dependent tile that are coded, position by position. */
struct skybook_path {
    uint32_t count;
    int32_t away[SKYBOOK_PATH];       /* from what is predicted, in 1/64 step; then the index */
    uint32_t rows[SKYBOOK_PATH];      /* tables of even states; above 16 bits, what a bit is worth */
    uint16_t places[SKYBOOK_PATH];    /* in the layer, channel by channel */
    uint32_t odd[SKYBOOK_PATH];       /* a bit for each state after: after an odd index */
    uint8_t states[SKYBOOK_PATH];     /* before; at first with the parity of the index above */
    uint8_t zeros[SKYBOOK_PATH];      /* a bit for each set: whether its best even index is 0 */
    uint8_t levels[SKYBOOK_PATH];     /* channel by channel; 0 where none is coded */
    uint64_t coded[SKYBOOK_CODED];    /* as those of a plain layer */
};

/* Differences of neighbouring values of every band, which are added up together. */
struct skybook_pairs {
    uint32_t count;
    int32_t differences[SKYBOOK_MAX_BANDS][SKYBOOK_SIDE];
};

/* A layer of AC of a plain tile, channel by channel. */
struct skybook_layer {
    uint32_t symbols[SKYBOOK_STEPS]; /* of no use where none is coded */
    uint64_t coded[SKYBOOK_CODED];   /* a bit for each, 64 positions of a channel in a word */
};

/* What is known of 64 positions of a run of channels, as far as it is quantised. */
struct skybook_followed {
    uint8_t strong[64]; /* symbols of high levels */
    uint8_t odd[64];    /* bit 6: whether the sum of magnitudes is odd */
    uint8_t first[64];  /* the first residual that may have a sign of its own, 255 if none has */
    uint8_t sign[64];   /* bit 6: whether it is below 0 */
    uint8_t cost[64], change[64]; /* the least cost of a change of one after it, 255 if there is none, and that change */
};

/* What signs are hidden by in a layer of a plain tile. */
struct skybook_hiding {
    uint8_t low[SKYBOOK_RUN * SKYBOOK_POSITIONS];   /* low bits of what is left of latents of the run, in 1/64 step */
    uint8_t signs[SKYBOOK_RUN * SKYBOOK_POSITIONS]; /* of it: 255 if it is below 0, else 0 */
    bool any[SKYBOOK_RUN];                          /* whether a channel has a residual that is not 0 */
    struct skybook_followed followed[SKYBOOK_POSITIONS / 64];
    uint8_t upto[SKYBOOK_STEPS / SKYBOOK_RUN + SKYBOOK_POSITIONS]; /* of each run at each position: channels that are
                                                                    * of other tables, 0 where no sign is hidden */
};

/* Values that stand for the samples of a band of a bounded tile. */
struct skybook_scale {
    uint8_t kind;
    int32_t least;              /* sample; of cells, that which the first is named by */
    int32_t first, last;        /* samples that cells begin and end with */
    uint32_t most;              /* largest value */
    uint32_t bound;             /* by how much values may be off */
    int32_t parameter;          /* step, nodata, or root */
    uint32_t marks;             /* samples of stretches, or from least to largest of cells; else 0 */
    uint8_t patterns[SKYBOOK_MOST_STRETCHES];
};

/* What is sent of the samples of a bounded tile, band by band. */
struct skybook_residuals {
    int16_t residuals[SKYBOOK_SAMPLES]; /* in mode 2 numbers, modulo 2^16 */
    uint16_t rows[SKYBOOK_SAMPLES];     /* of the tables */
};

/* How a band of a bounded tile was coded. */
struct skybook_band {
    uint32_t most, bound;
    uint8_t mode;
    uint8_t width;     /* bits of a number in mode 2 */
    uint16_t side;     /* symbols of side information */
    uint32_t side_cost; /* in 1/256 bit */
    uint64_t energies; /* sum of them */
    uint64_t sum;      /* of its values in memory, as they were put */
};

#if SKYBOOK_BOUNDED
/* Room to fit the coefficients of a band of a bounded tile, or to find what its samples are among those marked. */
struct skybook_fit {
    union {
        int16_t narrow[26][SKYBOOK_FITTED + 16]; /* differences by unknown, then what they give */
        int32_t wide[26][SKYBOOK_FITTED / 2 + 8];
        uint16_t before[2048]; /* marks before each word of them */
    } of;
    int16_t held[SKYBOOK_HELD]; /* rows of values */
    int64_t equations[25][26];
};
#endif

/* Room to work on one bounded tile. Values are less 32768. */
struct skybook_bounded {
    int16_t values[SKYBOOK_BOUNDED_VALUES]; /* of a band and the two before, as their numbers mod 3 */
    int16_t energies[SKYBOOK_ENERGY_ROWS]; /* rows of the band and of its references */
    int16_t coefficients[25];
    int16_t changes[25];
    uint8_t move;
    uint8_t scales[2]; /* of the energies of references */
    uint32_t valid;    /* pixels */
    struct skybook_scale scale;
    struct skybook_band bands[SKYBOOK_MAX_BANDS];
    uint64_t symbols_sum; /* of symbols and side information, as they were put */
};

/* How the AC of a tile with a field is coded, by position. */
struct skybook_field {
    uint8_t length; /* bytes that tell it; 0: the tile has none */
    uint8_t bytes[SKYBOOK_FIELD_BYTES];
    uint8_t coarser[SKYBOOK_POSITIONS]; /* codes by which each is coarser than the tile */
    uint16_t shares[SKYBOOK_POSITIONS]; /* what a step of the tile is of one there, in 1/2^14 */
    int32_t halves[SKYBOOK_POSITIONS];
    uint16_t mantissas[SKYBOOK_POSITIONS];
    uint8_t shifts[SKYBOOK_POSITIONS];
};

/* What the quantisation of a tile loses, by position: weighted squares, in 1/64 step and 1/256. */
struct skybook_losses {
    uint64_t of_dc[SKYBOOK_POSITIONS], of_ac[SKYBOOK_POSITIONS];
    uint32_t symbols[SKYBOOK_POSITIONS]; /* that are not 0 */
    uint8_t kinds[SKYBOOK_POSITIONS];    /* borders of the tile that it is next to */
};

#define SKYBOOK_HAS_LIKES (SKYBOOK_MAX_BANDS > SKYBOOK_CLASSES) /* whether several components may share a class */
#if SKYBOOK_HAS_LIKES
#define SKYBOOK_NEAR_PLACE 64   /* of sums over neighbours, after sizes */
#define SKYBOOK_SLOPES_PLACE 128
#define SKYBOOK_PLACES 130
#define SKYBOOK_OF_PLACE \
    (SKYBOOK_LARGE_BANDS > SKYBOOK_CLASSES ? SKYBOOK_POSITIONS : SKYBOOK_POSITIONS_OF_SEVERAL)

/* What contexts take of the components of the last class, where they are several: planes of all together, by
 * place, and terms of a channel of the model, first those of other components. */
struct skybook_alike {
    uint32_t terms_count, own_count;
    uint32_t terms[SKYBOOK_MOST_TERMS + 1], own[SKYBOOK_MOST_TERMS + 1];
    bool active[SKYBOOK_PLACES]; /* whether any of a sum is not 0 */
    skybook_sum sums[SKYBOOK_PLACES * SKYBOOK_OF_PLACE];
};
#endif

/* Room to work on one tile. Positions are row-major, of the blocks that touch valid pixels. */
struct skybook_work {
#if SKYBOOK_SMALL
    __extension__ union {
        union {
            int32_t latents[SKYBOOK_SAMPLES]; /* first deviations, then components; in the order of the scan */
        } room;
        uint32_t symbols[SKYBOOK_SAMPLES]; /* of the tile, in reading order: no more than latents before */
        struct skybook_residuals coded;
    };
    __extension__ union {
        uint8_t known[SKYBOOK_KNOWN]; /* sizes, sums of neighbours, DC slopes; which samples occur */
        int32_t beside[SKYBOOK_KNOWN / 4];    /* numbers that a tile needs beside its deviations */
#if SKYBOOK_BOUNDED
        struct skybook_fit fit;
#else
        uint8_t packet[SKYBOOK_PACKET_BYTES]; /* being formed, or a lane */
#endif
    };
#if SKYBOOK_BOUNDED
    uint8_t packet[SKYBOOK_PACKET_BYTES]; /* one that is not full waits for the tiles of a strip that are yet to come */
#endif
#else
    union {
        int32_t latents[SKYBOOK_SAMPLES + SKYBOOK_MAX_BANDS * SKYBOOK_GAP]; /* first deviations, then components */
        uint8_t packet[SKYBOOK_PACKET_BYTES]; /* being formed, or a lane */
    } room;
    __extension__ union {
        uint8_t known[SKYBOOK_KNOWN]; /* sizes, sums of neighbours, DC slopes; which samples occur */
#if SKYBOOK_BOUNDED
        struct skybook_fit fit;
#endif
    };
#endif
    int32_t dc[SKYBOOK_SAMPLES / 64];
    uint8_t wide[SKYBOOK_CHANNELS]; /* number from 1 of a channel that has upper bits, else 0 */
    bool active[SKYBOOK_PLANES + 1]; /* whether any of a plane is not 0; the last never is */
#if SKYBOOK_HAS_LIKES
    struct skybook_alike alike;
#endif
    union {
        struct skybook_layer plain;
        int32_t aways[SKYBOOK_STEPS]; /* of a layer of a dependent tile, in 1/64 step, by channel */
        uint32_t marks[SKYBOOK_STEPS]; /* of a bounded tile: which samples or patterns occur */
    } layer;
#if SKYBOOK_BOUNDED
    uint16_t side[SKYBOOK_MAX_BANDS * SKYBOOK_MOST_SIDE]; /* side information of a bounded tile, band by band */
#endif
    union {
        int16_t plane[(SKYBOOK_SIDE + 8) * (SKYBOOK_SIDE + 8)]; /* then: */
        struct skybook_pairs pairs; /* before there is a plane */
        struct skybook_path path;
        struct skybook_hiding hiding;
#if SKYBOOK_BOUNDED
        struct skybook_bounded bounded;
#endif
    } scratch;
#if SKYBOOK_SMALL
    bool spent; /* whether symbols stand where latents were */
    __extension__ union {
        __extension__ struct {
            uint32_t costs[SKYBOOK_UNITS];      /* of a position of a layer, in 1/256 bit */
            uint32_t before[SKYBOOK_UNITS + 1]; /* symbols before it */
            uint8_t states[SKYBOOK_UNITS]; /* of the trellis before the next symbol of the layer */
        };
        uint8_t nodata[SKYBOOK_SIDE * SKYBOOK_SIDE]; /* until the tile is scanned */
    };
#else
    __extension__ union {
        uint32_t symbols[SKYBOOK_SAMPLES]; /* of the tile, in reading order */
        struct skybook_residuals coded;    /* of a bounded tile */
    };
    uint32_t costs[SKYBOOK_UNITS];      /* of a position of a layer, in 1/256 bit */
    uint32_t before[SKYBOOK_UNITS + 1]; /* symbols before it */
    uint8_t states[SKYBOOK_UNITS]; /* of the trellis before the next symbol of the layer */
    uint8_t nodata[SKYBOOK_SIDE * SKYBOOK_SIDE];
#endif
    uint16_t sides[2];    /* rows and columns of the deviations, or components, of a plane */
    uint8_t positions[2]; /* rows and columns of positions */
    uint8_t borders[SKYBOOK_POSITIONS]; /* of the tile, that a position is next to: 0, 1 or 2 */
    uint32_t units;       /* positions of all layers */
    bool dependent;       /* whether symbols are chosen along a trellis; in half steps then */
    bool full;            /* whether every symbol is coded */
    uint8_t floors[SKYBOOK_CHANNELS];        /* least levels; 0 if the tile is not full */
    uint8_t wanted_floors[SKYBOOK_CHANNELS]; /* of AC, where they pay; with bits saved, in 1/256 */
    int32_t saved[SKYBOOK_CHANNELS];
    uint32_t sums[SKYBOOK_MAX_BANDS]; /* of the components, as they were put */
    struct skybook_field field;
    struct skybook_losses losses; /* where they are measured */
#if SKYBOOK_GROUPS > 1
    uint32_t side_bytes; /* of the side information of the tile */
    bool is_empty;       /* whether nothing of the tile is sent but its state */
    uint32_t guess[256]; /* bits that a tile of components may take at each step code */
#endif
};

/* The search for the steps of a strip's tiles that have data. */
struct skybook_search {
    uint32_t count;
    uint16_t columns[SKYBOOK_MAX_TILES]; /* of each tile */
    uint16_t order[SKYBOOK_MAX_TILES];   /* in which they are taken */
    uint32_t common; /* code that most of those have for which codes were chosen last */
    uint32_t guess[SKYBOOK_MAX_TILES][256]; /* bits at each step code */
    uint8_t finest[SKYBOOK_MAX_TILES];
    uint8_t codes[SKYBOOK_MAX_TILES];
    uint16_t thrift[SKYBOOK_MAX_TILES];   /* how thriftily each is quantised at its code */
    int64_t sizes[SKYBOOK_MAX_TILES];     /* bytes at that code, -1 where not known */
    int16_t old_codes[SKYBOOK_MAX_TILES]; /* before the last change, and bytes then */
    int64_t old_sizes[SKYBOOK_MAX_TILES];
    bool changed[SKYBOOK_MAX_TILES]; /* by the last adjustment */
};

/* Codes to come back to. */
struct skybook_settled {
    uint8_t codes[SKYBOOK_MAX_TILES];
    int16_t old_codes[SKYBOOK_MAX_TILES];
    int64_t old_sizes[SKYBOOK_MAX_TILES];
};

/* What came of the rate; it decides no byte. */
struct skybook_outcome {
    uint8_t finest, coarsest; /* step codes of tiles that have data */
    uint64_t samples;         /* that have data */
    uint64_t error;           /* squared, in DN^2, that the steps are expected to make */
    uint32_t strips;          /* rows of tiles that have data */
    uint32_t missed;          /* of these, those that take more than the rate at the coarsest step */
    uint32_t eased;           /* those that leave bytes at the finest step */
};

/* Shows that memory changed: any bits of one word of 64, and nearly all else. */
struct skybook_check {
    uint64_t sum;  /* of words */
    uint64_t sums; /* of that sum after each word */
};

struct skybook_encoder;

/* Codes tiles of a row at once: members, as many as threads, and how they are set to work. `run` calls
 * `work` with the job and each number below `count` once, and with the member, below `members`, that does
 * it, which does no other meanwhile; it returns when all is done. */
struct skybook_crew {
    struct skybook_encoder *members; /* room to work in; nothing of it is to be filled in */
    uint32_t count;
    void (*run)(void *user, void (*work)(void *job, uint32_t number, uint32_t member), void *job,
                uint32_t count);
    void *user;
};

struct skybook_encoder {
    struct skybook_options options; /* from here to the check: the same for the whole scene */
    skybook_write write;
    void *user;
    const struct skybook_crew *crew; /* NULL if there is none */
    struct skybook_encoder *owner;   /* of a member: who holds lines and latents; else NULL */
    struct skybook_form form;
    uint32_t limit;    /* bytes of a segment, so that it fits a packet */
    uint32_t columns;  /* tiles in a row: those of each group of bands after those of the one before */
#if SKYBOOK_GROUPS > 1
    uint32_t across; /* tiles side by side */
#endif
    uint32_t run;       /* of the scene, once it has begun */
    uint8_t binding[4]; /* the model's tag and the run, XORed */
    uint32_t head_length;
    uint8_t head[SKYBOOK_HEAD_BYTES];
    uint64_t map_sum; /* of the words of the map of qualities */
#if SKYBOOK_GROUPS > 1
    uint64_t profile_sum; /* of those of the profile */
#endif
    struct skybook_check scene_check;
    uint32_t lines;    /* taken, of the strip not yet coded too */
    uint32_t held;     /* lines of the strip */
    uint32_t segments; /* written */
    uint32_t packets;  /* formed */
    int64_t spare;     /* bytes that earlier strips left over or kept back; below 0 if they lack */
    uint64_t bytes;    /* written */
    struct skybook_outcome outcome;
    enum skybook_status status;
    bool ended;
    struct skybook_check progress_check; /* of what stands from `lines` on, between calls */
    bool busy;                           /* whether a call is under way */
    uint64_t sums[SKYBOOK_MAX_TILES][SKYBOOK_MAX_BANDS]; /* of the lines held, by tile */
#if SKYBOOK_GROUPS > 1
    uint8_t gaps[SKYBOOK_MAX_COLUMNS][SKYBOOK_TILE * SKYBOOK_TILE / 8]; /* a bit for each pixel of a place that has
                                                                        * no data in any band of a cube */
    uint64_t gaps_sum;                                                  /* of their words */
#endif
    struct skybook_tile tiles[SKYBOOK_MAX_TILES];
    skybook_held samples[SKYBOOK_LINES][SKYBOOK_PLACE(SKYBOOK_PITCH)]; /* band by band; then latents of tiles */
#if SKYBOOK_GROUPS > 1
    uint8_t beyond[SKYBOOK_LINES][SKYBOOK_PITCH / 2]; /* bits of components beyond 16, of two in a byte */
#endif
#if !SKYBOOK_SMALL
    uint8_t upper[SKYBOOK_SLOTS * SKYBOOK_UPPER_BYTES]; /* bits of latents beyond 16 */
#endif
    struct skybook_work work;
    struct skybook_search search;
    uint32_t pieces_used;
    struct skybook_piece pieces[SKYBOOK_STRIP_SEGMENTS];
    uint32_t strip_used;
    uint8_t strip[SKYBOOK_STRIP_BYTES];
    uint32_t packet_used; /* bytes of the packet being formed */
};

/* Fill in the defaults: ratio 20.48, segments of at most 1,088 bytes, no packets. */
void skybook_defaults(struct skybook_options *options, uint32_t width);

/* Begin a scene. `write` is called from skybook_push and skybook_finish with `user`. The caller's
 * size of the struct goes with it: where the library has another (of another SKYBOOK_MAX_WIDTH),
 * the encoder is left alone and the status is SKYBOOK_ERROR_USAGE. */
#define skybook_init(encoder, options, write, user) \
    skybook_init_sized((encoder), sizeof *(encoder), (options), (write), (user))
enum skybook_status skybook_init_sized(struct skybook_encoder *encoder, size_t size,
                                       const struct skybook_options *options, skybook_write write,
                                       void *user);

/* Have a crew code the tiles of each row, in place of the caller alone, and take the lines of one that are pushed
 * together; the bytes stay the same. After skybook_init, before lines come; the crew must last as long as the encoder.
 * NULL: no crew. */
enum skybook_status skybook_share(struct skybook_encoder *encoder, const struct skybook_crew *crew);

/* Take lines; samples of other types than u16 as they are, modulo 2^16. Sample of band b, row r, column c is samples[b * band + r * line + c * pixel]:
 * line by line (BIL) band = width, line = bands * width, pixel = 1. A line beyond `height` is
 * SKYBOOK_ERROR_INPUT. After an error every call returns that error. */
enum skybook_status skybook_push(struct skybook_encoder *encoder, const uint16_t *samples,
                                 uint32_t lines, size_t band, size_t line, size_t pixel);

#if SKYBOOK_GROUPS > 1
/* Read a profile from the bytes of its file, whose signature is left aside: whoever installs it checks that.
 * SKYBOOK_ERROR_MEMORY where it is damaged or none, SKYBOOK_ERROR_LIMIT where it is of more bands than
 * SKYBOOK_CUBE_BANDS. */
enum skybook_status skybook_read_profile(struct skybook_profile *profile, const uint8_t *file, size_t length);
#endif

/* End the scene: code what is held, write the end segment. Without the end where lines are missing
 * of `height`: that is SKYBOOK_ERROR_INPUT. */
enum skybook_status skybook_finish(struct skybook_encoder *encoder);

/* End where the input broke off: code what is held, but write no end segment, so that no receiver
 * takes the scene for complete. Returns SKYBOOK_ERROR_INPUT where all went well. */
enum skybook_status skybook_cut(struct skybook_encoder *encoder);

/* A write function for those who want the bytes in memory; `user` is a struct skybook_buffer. */
struct skybook_buffer {
    uint8_t *bytes;
    size_t size;
    size_t used;
};
int skybook_to_buffer(void *user, const uint8_t *bytes, size_t length);

#ifdef __cplusplus
}
#endif

#endif
