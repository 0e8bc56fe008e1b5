/* What the parts of the bounded codec know of each other (SPEC.md, section 20). */
#ifndef SKYBOOK_BOUNDED_H
#define SKYBOOK_BOUNDED_H

#include "parts.h"

#if SKYBOOK_BOUNDED

#define SKYBOOK_ROW 128u /* symbols of a level, of which 122 are in use */
#define SKYBOOK_ESCAPE 121u
#define SKYBOOK_OWN 13u     /* coefficients of a band itself */
#define SKYBOOK_PREDICTING 6u /* those of each reference */
#define SKYBOOK_CAUSAL 14u  /* weights of a band itself */
#define SKYBOOK_AROUND 9u   /* those of each reference */
#define SKYBOOK_UNKNOWNS 25u
#define SKYBOOK_BIT 256u       /* what a bit costs */
#define SKYBOOK_ONE 256
#define SKYBOOK_MOST_COEFFICIENT 1023
#define SKYBOOK_CHANGE 4 /* a change of one, in units of coefficients */
#define SKYBOOK_MOST_ENERGY 4095
#define SKYBOOK_LEFT 4u  /* values before a row */
#define SKYBOOK_UPPER 2u /* rows before the first */
#define SKYBOOK_BLOCK 16u /* pixels that are worked on side by side, or a multiple of it, up to 32 */

/* Before a loop over a block: gcc would unroll it, and then not find that it can be done by vectors. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 8
#define SKYBOOK_ROLLED _Pragma("GCC unroll 1")
#else
#define SKYBOOK_ROLLED
#endif

enum skybook_kind_of_scale { SCALE_PLAIN, SCALE_STEPS, SCALE_HOLE, SCALE_STRETCHES, SCALE_CELLS };
enum skybook_mode { MODE_STATIC, MODE_OWN, MODE_RAW };

/* Marks go where symbols of a layer are in other tiles. */
typedef char skybook_marks_have_room[SKYBOOK_STEPS >= 2048 ? 1 : -1];

/* Rows of the tables: of a sample that has no symbol, and of side information that is a number. */
#define SKYBOOK_NO_SYMBOL 127u
#define SKYBOOK_RAW_ROWS (SKYBOOK_LEVELS * SKYBOOK_ROW - 2u) /* and the bits */

/* A band of the tile in work, and the shape of that. */
struct skybook_plane {
    const struct skybook_encoder *encoder;
    uint32_t column, band;
    uint32_t rows, cols;
    uint32_t pitch; /* values of a row from those of the next */
};

static inline uint32_t skybook_role(uint32_t band)
{
    return band < 3 ? band : 3;
}

static inline uint32_t skybook_references(uint32_t band)
{
    return band < 2 ? band : 2;
}

static inline uint32_t skybook_unknowns(uint32_t band)
{
    return SKYBOOK_OWN + SKYBOOK_PREDICTING * skybook_references(band);
}

/* Values of a row of a band, or of one above or below. */
static inline int16_t *skybook_row(struct skybook_bounded *own, const struct skybook_plane *plane,
                                   uint32_t band, uint32_t row)
{
    const uint32_t apart = SKYBOOK_PADDED(plane->pitch - 8u);
    return &own->values[band % 3u * apart + (row + SKYBOOK_UPPER) * plane->pitch + SKYBOOK_LEFT];
}

static inline uint32_t skybook_bit_length(uint64_t value)
{
    const uint32_t high = (uint32_t)(value >> 32), low = (uint32_t)(value & 0xFFFFFFFFu);
    if (high > 0) {
        return 33 + skybook_highest_bit(high);
    }
    return low > 0 ? 1 + skybook_highest_bit(low) : 0;
}

/* The number of the symbol of a residual. */
static inline uint32_t skybook_symbol_of(int32_t residual)
{
    const uint32_t size = (uint32_t)(residual < 0 ? -residual : residual);
    uint32_t number = size;
    if (size > 16) {
        const uint32_t bit = skybook_highest_bit(size - 1);
        number = 4 * bit + 1 + ((size - 1) >> (bit - 2) & 3u);
    }
    return residual > 0 ? 2 * number - 1 : 2 * number;
}

/* The symbol of a row of the tables: where its slots start, above that 12 less the raw bits that follow it; then how
 * many slots are those of others: all if it has none itself. */
#define SKYBOOK_MISSING 4096u
#define SKYBOOK_WIDTH_PLACE 12
static inline const uint16_t *skybook_slots_of(uint32_t row)
{
    return &skybook_bounded_symbols[2 * row];
}

/* boundedscale.c: the scale of a band, whose samples are taken to where its values are; these, taken again; its values in
 * their place; whether what the ground makes of them is within the bound. SKYBOOK_ERROR_MEMORY where lines are not
 * those that were pushed. */
enum skybook_status skybook_choose_scale(struct skybook_encoder *encoder,
                                         const struct skybook_plane *plane,
                                         const struct skybook_bound *bound, bool lean);
enum skybook_status skybook_take_samples(struct skybook_encoder *encoder, const struct skybook_plane *plane);
void skybook_put_values(struct skybook_work *work, const struct skybook_plane *plane);
enum skybook_status skybook_check_values(struct skybook_encoder *encoder,
                                         const struct skybook_plane *plane,
                                         const struct skybook_bound *bound);

/* boundedmarks.c: which of a range of samples are marked, and how many before. */
void skybook_clear_marks(struct skybook_work *work, uint32_t count);
void skybook_mark(struct skybook_work *work, uint32_t place);
void skybook_pack_marks(struct skybook_work *work, const uint8_t *marked, uint32_t count);
void skybook_count_marks(struct skybook_work *work, uint32_t count);
uint32_t skybook_mark_up_to(const struct skybook_work *work, uint32_t place);
uint32_t skybook_mark_from(const struct skybook_work *work, uint32_t place, uint32_t count);
#define SKYBOOK_WORD_OF_MARKS 32u
static inline bool skybook_is_marked(const struct skybook_work *work, uint32_t place)
{
    return (work->layer.marks[place / SKYBOOK_WORD_OF_MARKS] >> place % SKYBOOK_WORD_OF_MARKS & 1u) != 0;
}
static inline uint32_t skybook_marks_of_word(uint32_t word)
{
#if defined(__POPCNT__)
    return (uint32_t)__builtin_popcount(word);
#else
    word -= word >> 1 & 0x55555555u;
    word = (word & 0x33333333u) + (word >> 2 & 0x33333333u);
    word = (word + (word >> 4)) & 0x0F0F0F0Fu;
    return word * 0x01010101u >> 24;
#endif
}
static inline uint32_t skybook_marks_before(const struct skybook_work *work, uint32_t place)
{
    const uint32_t below = ((uint32_t)1 << place % SKYBOOK_WORD_OF_MARKS) - 1u;
    return work->fit.of.before[place / SKYBOOK_WORD_OF_MARKS] +
           skybook_marks_of_word(work->layer.marks[place / SKYBOOK_WORD_OF_MARKS] & below);
}

/* boundedloop.c: the pixels around one, rows down and columns to the right, in the order of SPEC.md. Predict a band.
 * Both give the sum of what coefficients leave of its values, at pixels that are fitted to; predicting only where
 * there is no bound. */
extern const int8_t skybook_causal_places[SKYBOOK_CAUSAL][2], skybook_places_around[SKYBOOK_AROUND][2];
void skybook_close_rows(struct skybook_work *work, const struct skybook_plane *plane, uint32_t band);
void skybook_fill(struct skybook_work *work, const struct skybook_plane *plane, uint32_t row);
uint64_t skybook_predict(struct skybook_work *work, const struct skybook_plane *plane,
                         const int16_t coefficients[SKYBOOK_UNKNOWNS]);
uint64_t skybook_left(struct skybook_work *work, const struct skybook_plane *plane,
                      const int16_t coefficients[SKYBOOK_UNKNOWNS]);

/* One column of pixels in so many is fitted to, beginning with a first one. */
static inline uint32_t skybook_fitted_step(const struct skybook_plane *plane)
{
    return plane->rows * plane->cols <= 1024 ? 1 : 4;
}

static inline uint32_t skybook_first_fitted(const struct skybook_plane *plane, uint32_t row)
{
    return skybook_fitted_step(plane) == 1 ? 0 : (0u - (row >> 1)) % 4;
}

/* The value before the first pixel: half of the largest one. */
static inline int16_t skybook_start_of(const struct skybook_bounded *own, uint32_t band)
{
    return (int16_t)((int32_t)(own->bands[band].most >> 1) - 32768);
}

/* boundedfit.c: predict with own coefficients where they pay; boundedsolve.c: the changes that normal equations ask for. */
void skybook_fit_and_predict(struct skybook_work *work, const struct skybook_plane *plane, bool lean);
void skybook_solve(int64_t equations[SKYBOOK_UNKNOWNS][SKYBOOK_UNKNOWNS + 1], uint32_t unknowns,
                   int32_t changes[SKYBOOK_UNKNOWNS]);
int32_t skybook_quotient(int64_t dividend, int64_t divisor);

/* boundedcontext.c: levels and symbols of a band's residuals, or its samples as numbers where those are
 * shorter. */
enum skybook_status skybook_find_rows(struct skybook_encoder *encoder,
                                      const struct skybook_plane *plane);

/* boundedside.c: side information of a band, as symbols; what changes cost after the best move. */
void skybook_put_side_of(struct skybook_work *work, const struct skybook_plane *plane);
uint32_t skybook_cost_of_changes(uint32_t band, const int32_t changes[SKYBOOK_UNKNOWNS],
                                 uint8_t *move);

#define SKYBOOK_LANES_AT_ONCE 2u /* written side by side */

/* Units of a tile, and the buffer at whose end their lane goes. */
struct skybook_span {
    uint32_t first, stop;
    uint8_t *buffer;
    size_t size;
};

/* boundedlane.c: the unit after the last that takes no more than some bits with those before it; units
 * of some spans to lanes, their lengths or 0 if they are longer. Units are pixels, band by band. */
uint32_t skybook_stop_of_units(const struct skybook_work *work, uint32_t pixels, uint32_t first,
                               uint32_t last, int64_t bits);
uint32_t skybook_largest_unit(const struct skybook_work *work, uint32_t pixels, uint32_t bands);
void skybook_bounded_lanes(const struct skybook_work *work, uint32_t pixels,
                           const struct skybook_span spans[SKYBOOK_LANES_AT_ONCE], uint32_t count,
                           size_t lengths[SKYBOOK_LANES_AT_ONCE]);

#endif
#endif
