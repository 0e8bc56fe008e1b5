/* What the parts of the encoder know of each other; not for callers. */
#ifndef SKYBOOK_PARTS_H
#define SKYBOOK_PARTS_H

#include "skybook.h"

#define SKYBOOK_LEVELS 64
#define SKYBOOK_LATTICES 3 /* of the DC, a layer each */
#define SKYBOOK_SEGMENT_OVERHEAD 16u /* of a narrow tile at most, edge left out */
#define SKYBOOK_WIDE_BYTES 2u
#define SKYBOOK_EDGE_BYTES 4u
#define SKYBOOK_NAMED_HEAD 14u /* head and tag of a segment that names its model */
#define SKYBOOK_CRC_BYTES 4u
#define SKYBOOK_STATE_BYTES 4
#define SKYBOOK_COARSEST 255
#define SKYBOOK_MOST_GROUPED 16u /* bands that are coded together, at most */
#define SKYBOOK_SIZE_CAP 40      /* sizes of symbols in contexts, at most */
#define SKYBOOK_HALF_SIZE_CAP 63 /* those in half steps */
#define SKYBOOK_DEPENDENT 4      /* added to the state of a tile whose indices follow a trellis */
#define SKYBOOK_PATTERNS 4       /* of the cells of a Bayer mosaic */
#define SKYBOOK_FULL 8           /* added to the state of a tile of which every symbol is coded */
#define SKYBOOK_STATES 32        /* of the trellis */
#define SKYBOOK_ROW_BITS 10      /* a symbol is the residual above its row of the tables */

enum { SKYBOOK_ALL_VALID, SKYBOOK_SOME_NODATA, SKYBOOK_ALL_NODATA };
enum { SKYBOOK_KIND_SCENE, SKYBOOK_KIND_TILE, SKYBOOK_KIND_MASK, SKYBOOK_KIND_END };

/* Right shifts of negative numbers must be arithmetic, as they are with every compiler we know. */
typedef char skybook_shifts_are_arithmetic[(-3 >> 1) == -2 ? 1 : -1];

/* Columns of tiles are u16; the strip's bytes hold a segment at least; a small build has no room for what
 * refines the basis of many bands, nor for groups of them. */
typedef char skybook_sizes_fit[SKYBOOK_MAX_WIDTH <= 65536 &&
                                       SKYBOOK_STRIP_BYTES >= SKYBOOK_PACKET_BYTES &&
                                       (!SKYBOOK_SMALL || (SKYBOOK_MAX_BANDS < 8 && SKYBOOK_CUBE_BANDS == 0))
                                   ? 1
                                   : -1];

/* What a tile needs beside its deviations in a small build: sums of 2 x 2 pixels of all bands, and gaps, or
 * as many details. */
typedef char skybook_sums_fit[!SKYBOOK_SMALL || SKYBOOK_KNOWN >= SKYBOOK_SAMPLES + SKYBOOK_SIDE * SKYBOOK_SIDE / 4
                                  ? 1
                                  : -1];

/* Number of the highest bit set; 0 of 0. */
static inline uint32_t skybook_highest_bit(uint32_t value)
{
#if defined(__GNUC__)
    return 31u - (uint32_t)__builtin_clz(value | 1u);
#else
    uint32_t bit = 0;
    for (uint32_t step = 16; step > 0; step >>= 1) {
        bit += value >> bit >> step != 0 ? step : 0;
    }
    return bit;
#endif
}

/* Number of the lowest bit set of a value that is not 0. */
static inline uint32_t skybook_lowest_bit(uint32_t value)
{
#if defined(__GNUC__)
    return (uint32_t)__builtin_ctz(value);
#else
    return skybook_highest_bit(value & (0u - value));
#endif
}

static inline uint32_t skybook_lowest_bit_of_64(uint64_t value)
{
#if defined(__GNUC__) && UINTPTR_MAX > 0xFFFFFFFFu
    return (uint32_t)__builtin_ctzll(value);
#else
    const uint32_t low = (uint32_t)(value & 0xFFFFFFFFu);
    return low > 0 ? skybook_lowest_bit(low) : 32 + skybook_lowest_bit((uint32_t)(value >> 32));
#endif
}

/* Four levels per octave of a sum, from 4 on. */
static inline uint32_t skybook_level(uint32_t sum)
{
    const uint32_t at_least_4 = sum < 4 ? 4 : sum;
    const uint32_t bit = skybook_highest_bit(at_least_4);
    const uint32_t level = 4 * bit + (at_least_4 >> (bit - 2) & 3u) - 8;
    return level < SKYBOOK_LEVELS ? level : SKYBOOK_LEVELS - 1;
}

/* Where a place beyond `size` lies when it is mirrored at the end, again and again. */
static inline uint32_t skybook_mirrored(uint32_t place, uint32_t size)
{
    const uint32_t within = place % (2 * size);
    return within < size ? within : 2 * size - 1 - within;
}

/* Bytes of a sample as it came in. */
static inline uint32_t skybook_sample_bytes(const struct skybook_options *options)
{
    return options->sample_type == SKYBOOK_U8 || options->sample_type == SKYBOOK_I8 ? 1 : 2;
}

/* What is added to samples, modulo 2^16, so that none of the significant bits is below 0. */
static inline uint32_t skybook_lift(const struct skybook_options *options)
{
    const bool is_signed = options->sample_type == SKYBOOK_I16 || options->sample_type == SKYBOOK_I8;
    return is_signed ? 1u << (options->significant_bits - 1u) : 0;
}

/* crc.c: CRC-32C of segments, and of the next part of what has a CRC so far; CRC-16 of packets. */
uint32_t skybook_crc32c(const uint8_t *bytes, size_t length);
uint32_t skybook_crc32c_on(uint32_t crc, const uint8_t *bytes, size_t length);
uint16_t skybook_crc16(const uint8_t *bytes, size_t length);

#define SKYBOOK_MANY_BANDS 8u /* from so many on the basis is refined, in large tiles from two on */

/* form.c: how a scene of so many bands and bits is coded; who holds the strip's lines. */
#define SKYBOOK_OF_LAST 0x8000u /* added to planes of the last class: others follow */
#define SKYBOOK_PART 64 /* positions that are worked on at once: those of a channel of a small tile */

/* Whether any tile is to be within a bound. */
static inline bool skybook_has_bounds(const struct skybook_options *options)
{
    return options->max_error.count > 0 || options->boxes > 0;
}

/* Deviations of a band of a tile, or a component of it, from those of the next: no less than there are latents. */
static inline uint32_t skybook_apart(const struct skybook_form *form)
{
    return 64u * form->positions + (form->bands < SKYBOOK_MANY_BANDS ? 0u : SKYBOOK_GAP);
}

/* Rows and columns of the tiles of a scene; groups that its bands are coded in. */
uint32_t skybook_tile_of(const struct skybook_options *options);
static inline uint32_t skybook_groups_of(const struct skybook_options *options)
{
    return SKYBOOK_GROUPS > 1 ? (options->bands + SKYBOOK_MOST_GROUPED - 1u) / SKYBOOK_MOST_GROUPED : 1;
}
void skybook_make_form(struct skybook_form *form, const struct skybook_options *options);
static inline const struct skybook_encoder *skybook_holder(const struct skybook_encoder *encoder)
{
    return encoder->owner != NULL ? encoder->owner : encoder;
}
/* Of the tiles of a row, which are numbered group of bands by group: how many lie side by side; the group of
 * one; its first column of pixels; its samples in a row of a band of its group. */
#if SKYBOOK_GROUPS > 1
static inline uint32_t skybook_across(const struct skybook_encoder *encoder)
{
    return encoder->across;
}
static inline uint32_t skybook_group(const struct skybook_encoder *encoder, uint32_t column)
{
    return column / encoder->across;
}
static inline uint32_t skybook_first_pixel(const struct skybook_encoder *encoder, uint32_t column)
{
    return column % encoder->across * encoder->form.tile;
}
#else
static inline uint32_t skybook_across(const struct skybook_encoder *encoder)
{
    return encoder->columns;
}
static inline uint32_t skybook_group(const struct skybook_encoder *encoder, uint32_t column)
{
    (void)encoder, (void)column;
    return 0;
}
static inline uint32_t skybook_first_pixel(const struct skybook_encoder *encoder, uint32_t column)
{
    return column * encoder->form.tile;
}
#endif
static inline const skybook_held *skybook_row_of(const struct skybook_encoder *encoder, uint32_t column,
                                                 uint32_t band, uint32_t row)
{
    const uint32_t own = skybook_group(encoder, column) * encoder->form.bands + band;
    const skybook_held *line = skybook_holder(encoder)->samples[own * encoder->form.tile + row];
    return &line[SKYBOOK_PLACE(skybook_first_pixel(encoder, column))];
}

/* lines.c: put the samples of a line, each `pixel` after the one before and more by `lift`, modulo 2^16;
 * false if there is no room for the bits of one. Samples of a row: where they are packed, in a room that the
 * caller has for them. */
typedef uint16_t skybook_room_of_row[SKYBOOK_SIDE];
bool skybook_put_line(skybook_held *line, const uint16_t *samples, uint32_t count, size_t pixel,
                      uint32_t lift);
#if SKYBOOK_SAMPLE_BITS == 12
const uint16_t *skybook_unpacked(const skybook_held *row, uint32_t count, skybook_room_of_row room);
#else
static inline const uint16_t *skybook_unpacked(const skybook_held *row, uint32_t count,
                                               skybook_room_of_row room)
{
    (void)count, (void)room;
    return row;
}
#endif

/* bandtransform.c: the basis, components by bands, that makes a covariance diagonal; two components
 * turned towards each other, to where a form pp cos^2 + 2 pq cos sin + qq sin^2 is greatest; the angles
 * of a basis; the matrix that they name, bands by components. */
#define SKYBOOK_REFINES (SKYBOOK_MAX_BANDS >= 8 || SKYBOOK_LARGE_BANDS >= 2)
/* Of at least two bands: else compilers warn of what a build for one band never runs. */
typedef int64_t skybook_square[SKYBOOK_MOST(SKYBOOK_MAX_BANDS, 2)][SKYBOOK_MOST(SKYBOOK_MAX_BANDS, 2)];
typedef int32_t skybook_basis[SKYBOOK_MOST(SKYBOOK_MAX_BANDS, 2)][SKYBOOK_MOST(SKYBOOK_MAX_BANDS, 2)];
void skybook_find_basis(skybook_square covariance, uint32_t bands, skybook_basis basis);
void skybook_turn(skybook_basis basis, uint32_t bands, uint32_t one, uint32_t other, const int64_t form[3]);
void skybook_name_angles(skybook_basis basis, uint32_t bands, uint8_t angles[SKYBOOK_ANGLES]);
void skybook_make_matrix(const uint8_t angles[SKYBOOK_ANGLES], uint32_t bands, skybook_square rows);

#if SKYBOOK_REFINES
/* bandrefine.c: a basis turned on, so that the components of the deviations in work take fewer bits. */
void skybook_refine(const struct skybook_form *form, struct skybook_work *work,
                    const struct skybook_tile *tile, skybook_basis basis);
#endif

#if SKYBOOK_GROUPS > 1
/* cube.c: notes which pixels have no data in any band, as
 * latents come to stand where samples were; whether that stayed; a mark for each pixel of a tile, if bands are in groups; the place of a tile of a row in the order in which
 * they are searched. */
void skybook_note_gaps(struct skybook_encoder *encoder);
bool skybook_gaps_are_whole(const struct skybook_encoder *encoder);
bool skybook_take_gaps(const struct skybook_encoder *encoder, uint32_t column, uint8_t *nodata);
uint32_t skybook_place_in_row(const struct skybook_encoder *encoder, uint32_t column);

/* profile.c: whether that of a scene is for its bands and samples; fraction bits of components, below 0 where
 * they are coarser than a DN; makes components of a strip's samples, in their place. */
bool skybook_profile_fits(const struct skybook_options *options);
int32_t skybook_profile_fraction(const struct skybook_profile *profile, uint32_t significant_bits);
enum skybook_status skybook_to_components(struct skybook_encoder *encoder);

/* components.c: latents of a tile of components; those of both ways to code it, kept but for the last, with the
 * bits it may take at each step in work; the way of its step. The bytes of side information, and these after
 * the state. Whether the tile as planned is not worth its bytes, and its state then. */
enum skybook_status skybook_load_components(struct skybook_encoder *encoder, uint32_t column);
enum skybook_status skybook_analyse_components(struct skybook_encoder *encoder, uint32_t column);
void skybook_choose_way(struct skybook_encoder *encoder, uint32_t column);
void skybook_size_side(struct skybook_encoder *encoder, uint32_t column);
void skybook_put_side(const struct skybook_encoder *encoder, const struct skybook_tile *tile, uint8_t *bytes);
bool skybook_is_worth_nothing(const struct skybook_encoder *encoder, uint32_t column);
uint8_t skybook_empty_state(const struct skybook_tile *tile);

/* adaptive.c: the covariance of the deviations in work; these, none of more than `most`, to components.
 * transform.c: the latents of a plane, and their sum. */
void skybook_measure_bands(const struct skybook_form *form, struct skybook_work *work,
                           const struct skybook_tile *tile, skybook_square covariance);
bool skybook_rotate(const struct skybook_form *form, struct skybook_work *work, struct skybook_tile *tile,
                    uint32_t most);
enum skybook_status skybook_transform_plane(const struct skybook_form *form, struct skybook_work *work,
                                            const struct skybook_tile *tile, const int32_t *plane,
                                            uint32_t wanted, int32_t *latents, uint32_t *sum);

/* The tile of the strip in whose place the latents of one stand. */
static inline uint32_t skybook_slot(const struct skybook_encoder *encoder, uint32_t column)
{
    return encoder->options.profile != NULL ? encoder->tiles[column].slot : column;
}

/* Whether the latents of a tile may take the place of what they were made of: not where those of its other way, which
 * are not kept, would have to be made again. */
static inline bool skybook_may_be_kept(const struct skybook_encoder *encoder, uint32_t column)
{
    return !encoder->tiles[column].turned || encoder->tiles[column].other.kept;
}
#else
static inline uint32_t skybook_slot(const struct skybook_encoder *encoder, uint32_t column)
{
    (void)encoder;
    return column;
}
static inline bool skybook_take_gaps(const struct skybook_encoder *encoder, uint32_t column, uint8_t *nodata)
{
    (void)encoder, (void)column, (void)nodata;
    return false;
}
static inline uint32_t skybook_place_in_row(const struct skybook_encoder *encoder, uint32_t column)
{
    (void)encoder;
    return column;
}
#endif

/* adaptive.c: marks a tile's nodata, how many pixels are none; its means, angles; leaves the components
 * and their shift. */
uint32_t skybook_find_nodata(struct skybook_encoder *encoder, uint32_t column);
enum skybook_status skybook_front_end(struct skybook_encoder *encoder, uint32_t column);

/* alignment.c: the deviations of the planes of a Bayer mosaic, filled up and moved. */
void skybook_align(struct skybook_work *work, const struct skybook_tile *tile);

/* guard.c: what shows that memory is no longer what was put there. */
uint64_t skybook_words(const void *memory, size_t length);
uint64_t skybook_words_of_row(const struct skybook_encoder *encoder, uint32_t column,
                              const skybook_held *row);
bool skybook_tables_are_whole(void);
bool skybook_bounded_tables_are_whole(void);
void skybook_seal_scene(struct skybook_encoder *encoder);
void skybook_seal_progress(struct skybook_encoder *encoder);
bool skybook_scene_is_whole(const struct skybook_encoder *encoder);
bool skybook_progress_is_whole(const struct skybook_encoder *encoder);

/* transform.c: components to latents, and the finest step code that they allow. */
enum skybook_status skybook_transform(const struct skybook_form *form, struct skybook_work *work,
                                      struct skybook_tile *tile);

/* context.c: sums of all components of a position's DC and of a channel of AC, channels of components that are alike
 * one after the other; taking note of symbols, at first of none. */
void skybook_know_none(const struct skybook_form *form, struct skybook_work *work);
void skybook_dc_context(const struct skybook_form *form, const struct skybook_work *work,
                        uint32_t lattice, uint32_t row, uint32_t col,
                        int32_t predicted[SKYBOOK_MAX_BANDS], uint32_t sums[SKYBOOK_MAX_BANDS]);
void skybook_know_dc(const struct skybook_form *form, struct skybook_work *work);
void skybook_ac_context(const struct skybook_form *form, struct skybook_work *work, uint32_t channel,
                        skybook_sum *restrict sums);
void skybook_know_channel(const struct skybook_form *form, struct skybook_work *work,
                          uint32_t channel, bool any);

/* Numbers that a tile needs beside its deviations, while it has no symbols; and bytes, in which it has
 * nothing yet. */
static inline int32_t *skybook_beside(struct skybook_work *work)
{
#if SKYBOOK_SMALL
    return work->beside;
#else
    return (int32_t *)work->symbols;
#endif
}

static inline uint8_t *skybook_bytes_beside(struct skybook_work *work)
{
    return SKYBOOK_SMALL ? &work->known[SKYBOOK_SAMPLES / 4 * sizeof(int32_t)] : work->known;
}

/* A packet being formed, or a lane, where a tile has only symbols. */
static inline uint8_t *skybook_packet(struct skybook_work *work)
{
#if SKYBOOK_SMALL
    return work->packet;
#else
    return work->room.packet;
#endif
}

/* latents.c: keep the latents of the tile in work in place of its samples, if they fit; get ready to
 * code a tile whose latents are kept; the latents of a channel, in the order of the form, in 1/64 step,
 * and their sum. A small build keeps none: there they are put in the order of the scan, and made anew
 * where symbols took their place. */
struct skybook_per_step {
    int32_t half, shift;
    int16_t mantissa;
};
void skybook_keep(struct skybook_encoder *encoder, uint32_t column);
void skybook_recall(struct skybook_encoder *encoder, uint32_t column);
void skybook_fetch(const struct skybook_encoder *encoder, uint32_t column, uint32_t channel);
#if SKYBOOK_SMALL
void skybook_put_in_order(const struct skybook_form *form, struct skybook_work *work);
enum skybook_status skybook_renew(struct skybook_encoder *encoder, uint32_t column);
#else
static inline enum skybook_status skybook_renew(struct skybook_encoder *encoder, uint32_t column)
{
    (void)encoder, (void)column;
    return SKYBOOK_OK;
}
#endif
uint32_t skybook_scaled(const struct skybook_encoder *encoder, uint32_t column, uint32_t channel,
                        const struct skybook_per_step *by, int32_t *restrict out);

/* scan.c: the tile's symbols at its step, and their bits in 1/256; makes it full if it must be, with
 * at most so many floors. */
enum skybook_status skybook_find_symbols(struct skybook_encoder *encoder, uint32_t column,
                                         uint32_t most_floors);

/* scan.c: what the tile, as it is quantised at its step and field, loses in the losses of work. */
enum skybook_status skybook_measure(struct skybook_encoder *encoder, uint32_t column);

/* field.c: the field that a tile's blocks make at its code, of no more bytes than there is room, into
 * work. */
#define SKYBOOK_FIELD 34 /* added to the state of a tile whose blocks have steps of their own */
void skybook_make_field(struct skybook_encoder *encoder, uint32_t column, uint32_t room);

/* A squared error in steps so many codes coarser, in those that are not. */
static inline uint64_t skybook_times(uint64_t lost, uint32_t coarser)
{
    static const uint16_t octave[8] = {4096, 4467, 4871, 5312, 5793, 6317, 6889, 7512};
    return lost * octave[coarser & 7u] >> 12 << (coarser >> 3);
}

/* aim.c: the code whose error is nearest to a goal; begin with goal, samples and finest code, take the
 * error at a code, choose at last. Also, a code held between two; a logarithm in 1/64 octave. */
#define SKYBOOK_TRIES 8u
#define SKYBOOK_ROUNDED 341 /* squared error of rounding to whole DN, in 1/4096 DN^2 */
struct skybook_aim {
    int64_t goal;
    int32_t code, low, high, run;
    int64_t within, beyond; /* errors at low and high, 0 where there is none */
};
void skybook_aim_at(struct skybook_aim *aim, int64_t goal, int64_t samples, uint32_t finest);
bool skybook_is_open(const struct skybook_aim *aim);
void skybook_take_error(struct skybook_aim *aim, int64_t error);
bool skybook_choose_code(struct skybook_aim *aim);
int32_t skybook_between(int32_t value, int32_t least, int32_t most);
int32_t skybook_sixty_fourths(int64_t number);

/* price.c: codes of the small blocks of a tile. Each is offered some, all within reach with the errors
 * that it has there, which are lost; the ones that cost least are chosen. */
#define SKYBOOK_OFFERED 9u
#define SKYBOOK_STRIDE 4 /* codes from one that is offered to the next */
struct skybook_price {
    uint32_t rows, cols;
    int32_t lenience; /* of errors away from goals: so many times cheaper */
    int64_t goals[SKYBOOK_MOST_BLOCKS];
    int64_t each[SKYBOOK_MOST_BLOCKS][SKYBOOK_OFFERED]; /* errors, then prices */
    int16_t away[SKYBOOK_MOST_BLOCKS][SKYBOOK_OFFERED]; /* from the goal, in 1/64 octave */
    uint8_t codes[SKYBOOK_MOST_BLOCKS][SKYBOOK_OFFERED], after[SKYBOOK_MOST_BLOCKS][SKYBOOK_OFFERED];
    uint8_t alike[SKYBOOK_MOST_BLOCKS]; /* code that a block may share */
    bool reached[SKYBOOK_MOST_BLOCKS];
};
void skybook_choose_codes(struct skybook_price *price, int32_t *chosen);

/* quality.c: the squared error, in 1/4096 DN^2, of a quality; that asked for at a pixel of a strip;
 * the codes of the strip's tiles, or of their blocks, that have it. */
#define SKYBOOK_MOST_QUALITY 20000u
#define SKYBOOK_LOSSLESS 65535u
int64_t skybook_squared_error(uint32_t quality);
uint32_t skybook_quality_of_block(const struct skybook_encoder *encoder, uint32_t top, uint32_t left);
enum skybook_status skybook_aim_strip(struct skybook_encoder *encoder);
static inline bool skybook_has_quality(const struct skybook_options *options)
{
    const bool has = options->quality > 0 || options->quality_map != NULL;
    return SKYBOOK_QUALITY ? has : false;
}
static inline bool skybook_is_limited(const struct skybook_options *options)
{
    return options->budget > 0 || options->ratio > 0;
}

/* floors.c: the most floors of a tile in bodies of so many bytes; those that save most; what layer 0
 * says of them, nothing if the tile is not full. */
#define SKYBOOK_FLOOR_BYTES 2u
#define SKYBOOK_MOST_FLOORS 32u
#define SKYBOOK_SUM_UNITS 4u /* units of the sums of contexts in 1/64 step */
#define SKYBOOK_LEAST_LANE 8u /* bytes of the first body that are left to its lane */
uint32_t skybook_most_floors(const struct skybook_form *form, uint32_t room);
void skybook_choose_floors(const struct skybook_form *form, struct skybook_work *work,
                           uint32_t most);
uint32_t skybook_floors_bytes(const struct skybook_form *form, const struct skybook_work *work);
void skybook_put_floors(const struct skybook_form *form, const struct skybook_work *work,
                        uint8_t *bytes);

/* symbols.c: layer of a unit, and `first` of a segment that begins with it. */
void skybook_place(const struct skybook_work *work, uint32_t unit, uint32_t *layer,
                   uint32_t *first);

/* trellis.c: the indices of a path, and the states before. */
void skybook_choose_path(struct skybook_path *path);

/* rans.c: runs of symbols to lanes, each at the end of its buffer; their lengths, 0 of one that would take more than
 * it may, or that there is none: a symbol is out of range, which the finest step of a tile rules out. Of several made
 * together there is none if one of them is. A buffer should have some bytes more than its lane may take, so that there
 * is no need to look how many are left. */
#define SKYBOOK_NO_LANE ((size_t)-1)
#define SKYBOOK_SPARE 256u
struct skybook_run {
    const uint32_t *symbols;
    size_t count;
    uint8_t *buffer;
    size_t size; /* of the buffer */
    size_t most, length; /* of the lane */
};
void skybook_make_lanes(struct skybook_run *const *runs, uint32_t count);
#define SKYBOOK_RAW_HEAD 3u
size_t skybook_raw_bytes(const uint32_t *symbols, size_t count);
size_t skybook_raw_lane(const uint32_t *symbols, size_t count, uint8_t *buffer);

/* segment.c: the strip's bytes, to which segments are added back to back; a segment's layer and
 * first as one number, its tile, and its length. */
struct skybook_segment {
    uint8_t kind;
    uint8_t layer;
    uint16_t first;
    uint32_t column;
};
void skybook_put16(uint8_t *bytes, uint32_t value);
void skybook_put32(uint8_t *bytes, uint32_t value);
#if SKYBOOK_GROUPS > 1
uint32_t skybook_get32(const uint8_t *bytes);
#endif
uint32_t skybook_packed_place(const uint8_t *bytes);
uint32_t skybook_packed_tile(const uint8_t *bytes);
uint32_t skybook_packed_length(const uint8_t *bytes);
bool skybook_is_wide(const struct skybook_encoder *encoder, uint32_t column);
bool skybook_is_edge(const struct skybook_encoder *encoder, const struct skybook_tile *tile);
uint32_t skybook_room(const struct skybook_encoder *encoder, uint32_t column);
uint32_t skybook_around(const struct skybook_encoder *encoder, uint32_t column, uint32_t first);
void skybook_bind(struct skybook_encoder *encoder, uint32_t run);
size_t skybook_pack_segment(const struct skybook_encoder *encoder, uint8_t kind, uint8_t *bytes,
                            size_t length);
uint8_t *skybook_begin_segment(struct skybook_encoder *encoder,
                               const struct skybook_segment *segment);
void skybook_close_gaps(struct skybook_encoder *encoder);
void skybook_close_piece_gaps(struct skybook_encoder *encoder);
void skybook_end_segment(struct skybook_encoder *encoder, const struct skybook_segment *segment,
                         size_t length);

/* bounded.c: by how much the samples of a tile may be off, NULL where a step is chosen; codes a tile that
 * has data, or a whole strip, within its bound. */
const struct skybook_bound *skybook_bound_of(const struct skybook_encoder *encoder, uint32_t column);
enum skybook_status skybook_code_bounded(struct skybook_encoder *encoder, uint32_t column);
enum skybook_status skybook_code_strip_bounded(struct skybook_encoder *encoder);

/* Whether a step is chosen for a tile. */
static inline bool skybook_has_step(const struct skybook_tile *tile)
{
    return tile->state != SKYBOOK_ALL_NODATA && !tile->bounded;
}

/* mask.c: the mask segments of the tile in work. */
enum skybook_status skybook_code_mask(struct skybook_encoder *encoder, uint32_t column);

/* encoder.c: whether all that stays as it is for a scene did; whether a segment has room for what is sent
 * of a tile beside its symbols, where a step is chosen. */
bool skybook_is_whole(const struct skybook_encoder *encoder);
bool skybook_has_room_for_side(const struct skybook_encoder *encoder);

/* coder.c: make the latents of a tile whose samples are kept; analyse a tile, with its fixed segments; plan and code it at its step. */
enum skybook_status skybook_load(struct skybook_encoder *encoder, uint32_t column);
enum skybook_status skybook_analyse(struct skybook_encoder *encoder, uint32_t column);
enum skybook_status skybook_code(struct skybook_encoder *encoder, uint32_t column);
enum skybook_status skybook_code_missing(struct skybook_encoder *encoder);

/* run.c: the scene header, and the run by which the receiver tells the encoding from others. */
#define SKYBOOK_MAX_RUN 0xFFFFFFu
void skybook_begin_scene(struct skybook_encoder *encoder);

/* packet.c: what the strip takes, scene headers and packets included; sending it. */
uint32_t skybook_packet_overhead(const struct skybook_options *options);
int64_t skybook_planned_total(struct skybook_encoder *encoder, uint32_t written);
int64_t skybook_coded_total(struct skybook_encoder *encoder);
enum skybook_status skybook_send_part(struct skybook_encoder *encoder, uint32_t line);
enum skybook_status skybook_send_strip(struct skybook_encoder *encoder, uint32_t line);
enum skybook_status skybook_send(struct skybook_encoder *encoder, uint32_t line,
                                 const uint8_t *segment, size_t length);

/* batch.c: do a task with the tiles in some columns, in any order; the first error in theirs. `by` is the
 * encoder that does it, with the tile, which may be a member of the crew of the one whose strip it is. */
typedef enum skybook_status skybook_task(struct skybook_encoder *encoder, struct skybook_encoder *by,
                                         uint32_t column);
enum skybook_status skybook_do_all(struct skybook_encoder *encoder, skybook_task *task,
                                   const uint16_t *columns, uint32_t count);

/* budget.c: bits that the tile in work may take at each step code. */
void skybook_guess_bits(const struct skybook_form *form, const struct skybook_work *work,
                        const struct skybook_tile *tile, bool dependent, uint32_t bits[256]);

/* search.c: chooses step codes. */
void skybook_begin_search(struct skybook_search *search);
uint32_t skybook_part(const struct skybook_search *search, uint32_t first);
uint32_t skybook_choose(struct skybook_search *search, uint32_t first, uint32_t stop,
                        int64_t budget);
uint32_t skybook_places(const struct skybook_search *search);
void skybook_go_to(struct skybook_search *search, uint32_t place);
uint32_t skybook_adjust(struct skybook_search *search, int64_t left, int64_t budget);
uint32_t skybook_next_finer(const struct skybook_search *search, const uint16_t *without,
                            uint32_t withouts);

/* outcome.c: note the error of a tile, from what is lost of the positions looked at, and what became of
 * a strip of which so much is left. */
void skybook_note_error(struct skybook_encoder *encoder, uint32_t column, uint64_t lost,
                        uint32_t positions, uint32_t looked_at);
void skybook_note_strip(struct skybook_encoder *encoder, int64_t budget, int64_t left);
void skybook_note_quality(struct skybook_encoder *encoder);

/* budget.c: codes the strip's tiles at the finest steps within a budget of bytes. */
enum skybook_status skybook_code_within(struct skybook_encoder *encoder, int64_t budget);

#endif
