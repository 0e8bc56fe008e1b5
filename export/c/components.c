/* Tiles of components of a spectral profile: means, and a band transform of the first group where it pays
 * (SPEC.md, section 21). */
#include "components.h"

#include <string.h>

#if SKYBOOK_GROUPS > 1

#define UNTURNED 128u /* the angle 0 */
#define EMPTY 64u     /* added to the state of a tile of which nothing is coded */
#define MEAN_BYTES 3u
#define PLANE_LIMIT 2047
#define MOST_DEVIATION (1u << 20)
#define SYMBOL_LIMIT ((int64_t)16382 * 64)
#define DIGITS 3         /* parts of a component that is no plane of 12 bits: of 11, 6 and 6 bits */
#define LARGEST_PLANES 1024 /* times that of a plane of 12 bits, which no latent passes */
#define UNITS_OF_STEP 4096u /* squares of 1/64 step in that of a step */

static bool is_turned(const struct skybook_encoder *encoder, const struct skybook_tile *tile)
{
    const uint32_t count = encoder->form.bands * (encoder->form.bands - 1) / 2;
    bool turned = false;
    for (uint32_t i = 0; i < count; i++) {
        turned = turned || tile->angles[i] != UNTURNED;
    }
    return turned;
}

static uint32_t number_of(int32_t mean)
{
    return mean >= 0 ? 2 * (uint32_t)mean : 2 * (uint32_t)-mean - 1;
}

void skybook_size_side(struct skybook_encoder *encoder, uint32_t column)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    struct skybook_work *work = &encoder->work;
    const uint32_t bands = encoder->form.bands;
    work->is_empty = false;
    work->side_bytes = encoder->form.side_bytes;
    if (encoder->options.profile == NULL) {
        return;
    }
    work->side_bytes = 2 + (is_turned(encoder, tile) ? bands * (bands - 1) / 2 : 0);
    for (uint32_t band = 0; band < bands; band++) {
        const uint32_t number = number_of(tile->levels[band]);
        work->side_bytes += number < 128 ? 1 : number < 16384 ? 2 : MEAN_BYTES;
    }
}

void skybook_put_side(const struct skybook_encoder *encoder, const struct skybook_tile *tile, uint8_t *bytes)
{
    const uint32_t bands = encoder->form.bands, angles = bands * (bands - 1) / 2;
    const bool turned = is_turned(encoder, tile);
    *bytes++ = tile->code;
    *bytes++ = turned ? 1 : 0;
    memcpy(bytes, tile->angles, turned ? angles : 0);
    bytes += turned ? angles : 0;
    for (uint32_t band = 0; band < bands; band++) {
        uint32_t number = number_of(tile->levels[band]);
        for (; number > 127; number >>= 7) {
            *bytes++ = (uint8_t)((number & 127u) | 128u);
        }
        *bytes++ = (uint8_t)number;
    }
}

/* Take the components of a row; their sum where there are data. */
static int64_t take_row(const struct skybook_encoder *encoder, uint32_t column, uint32_t band, uint32_t row,
                        int32_t *out)
{
    const struct skybook_tile *tile = &encoder->tiles[column];
    const struct skybook_encoder *holder = skybook_holder(encoder);
    const uint32_t own = skybook_group(encoder, column) * encoder->form.bands + band;
    const uint32_t line = own * encoder->form.tile + row, first = skybook_first_pixel(encoder, column);
    const uint16_t *lower = &holder->samples[line][first];
    const uint8_t *beyond = &holder->beyond[line][first / 2];
    const uint8_t *gaps = &encoder->work.nodata[row * tile->cols];
    int64_t sum = 0;
    for (uint32_t col = 0; col < tile->cols; col++) {
        const int32_t upper = beyond[col / 2] >> 4 * (col & 1u) & 15;
        out[col] = ((upper ^ 8) - 8) * 65536 + lower[col];
        sum += gaps[col] ? 0 : out[col];
    }
    return sum;
}

/* Take the components of a band, less their mean, 0 at nodata; false if they are not those that were
 * put. */
static bool take_band(struct skybook_encoder *encoder, uint32_t column, uint32_t band, int64_t valid)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    struct skybook_work *work = &encoder->work;
    int32_t *deviations = &work->room.latents[band * skybook_apart(&encoder->form)];
    uint64_t words = 0;
    int64_t sum = 0;
    for (uint32_t row = 0; row < tile->rows; row++) {
        sum += take_row(encoder, column, band, row, &deviations[row * tile->cols]);
        words += skybook_words_of_component(encoder, column, band, row);
    }
    const int64_t twice = 2 * sum + valid, part = twice % (2 * valid);
    const int32_t mean = (int32_t)(twice / (2 * valid) - (part < 0 ? 1 : 0));
    tile->levels[band] = mean;
    work->sums[band] = 0;
    for (uint32_t i = 0; i < (uint32_t)tile->rows * tile->cols; i++) {
        deviations[i] = work->nodata[i] ? 0 : deviations[i] - mean;
        work->sums[band] += (uint32_t)deviations[i];
    }
    return words == skybook_holder(encoder)->sums[column][band];
}

/* Front end: the components of a tile, turned as its angles say or, where none are known, as is best. */
static enum skybook_status front_end(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    struct skybook_work *work = &encoder->work;
    const struct skybook_form *form = &encoder->form;
    const uint32_t valid = skybook_find_nodata(encoder, column);
    skybook_square covariance;
    skybook_basis basis;
    if (valid == 0) {
        return SKYBOOK_OK;
    }
    for (uint32_t band = 0; band < form->bands; band++) {
        if (!take_band(encoder, column, band, valid)) {
            return SKYBOOK_ERROR_MEMORY;
        }
    }
    tile->samples = form->bands * valid;
    work->sides[0] = tile->rows;
    work->sides[1] = tile->cols;
    if (!tile->measured) {
        skybook_measure_bands(form, work, tile, covariance);
        skybook_find_basis(covariance, form->bands, basis);
        skybook_name_angles(basis, form->bands, tile->angles);
        tile->measured = true;
    }
    const bool whole = is_turned(encoder, tile) ? skybook_rotate(form, work, tile, MOST_DEVIATION) : true;
    tile->shift = 0;
    return whole ? SKYBOOK_OK : SKYBOOK_ERROR_MEMORY;
}

/* Cut a component to digits: of 11 bits, then of 6 in 32 times their value, each with its sum, above each
 * other. How many are needed; 0 if the component is not what was put there. */
static uint32_t cut(const struct skybook_work *work, const int32_t *component, uint32_t wanted,
                    int32_t *digits, uint32_t sums[DIGITS])
{
    const uint32_t count = (uint32_t)work->sides[0] * work->sides[1], apart = SKYBOOK_TILE * SKYBOOK_TILE;
    int32_t largest = 0;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const int32_t size = component[i] < 0 ? -component[i] : component[i];
        largest = size > largest ? size : largest;
        sum += (uint32_t)component[i];
    }
    memset(sums, 0, DIGITS * sizeof(sums[0]));
    for (uint32_t i = 0; i < count; i++) {
        const int32_t value = component[i];
        const int32_t low = largest > PLANE_LIMIT ? ((value + 1024) & 2047) - 1024 : value;
        const int32_t above = (value - low) / 2048, middle = ((above + 32) & 63) - 32;
        digits[i] = low;
        digits[apart + i] = 32 * middle;
        digits[2 * apart + i] = (above - middle) / 2; /* 32 times 1/64 */
        sums[0] += (uint32_t)digits[i];
        sums[1] += (uint32_t)digits[apart + i];
        sums[2] += (uint32_t)digits[2 * apart + i];
    }
    return sum != wanted ? 0 : largest > PLANE_LIMIT ? DIGITS : 1;
}

/* Make the latents of a component, where it was, or that before it: filters are linear, so those of digits add up. */
static enum skybook_status transform_band(const struct skybook_form *form, struct skybook_work *work,
                                          struct skybook_tile *tile, uint32_t band)
{
    const uint32_t count = 64 * form->positions;
    const int32_t *component = &work->room.latents[band * skybook_apart(form)];
    int32_t *latents = &work->room.latents[band * count];
    int32_t *digits = (int32_t *)work->symbols, *found = digits + (size_t)DIGITS * count;
    uint32_t sums[DIGITS];
    const uint32_t parts = cut(work, component, work->sums[band], digits, sums);
    if (parts == 0) {
        return SKYBOOK_ERROR_MEMORY;
    }
    for (uint32_t part = 0; part < parts; part++) {
        int32_t *to = part == 0 ? latents : found;
        uint32_t sum = 0;
        const enum skybook_status status =
            skybook_transform_plane(form, work, tile, digits + (size_t)part * count, sums[part], to, &sum);
        if (status != SKYBOOK_OK) {
            return status;
        }
        const int32_t unit = part == 0 ? 1 : part == 1 ? 64 : 4096;
        for (uint32_t i = 0; i < count && part > 0; i++) {
            latents[i] += unit * found[i];
        }
        tile->latents_sum += (uint32_t)unit * sum;
    }
    return SKYBOOK_OK;
}

/* The finest step code whose symbols stay within the limit, in octaves; -1 if a latent is beyond any. */
static int32_t finest_of(const struct skybook_form *form, const struct skybook_work *work)
{
    int64_t largest = 0;
    int32_t octaves = 0;
    uint32_t far = 0;
    for (uint32_t i = 0; i < 64 * form->bands * form->positions; i++) {
        const int64_t latent = work->room.latents[i], size = latent < 0 ? -latent : latent;
        far |= size > (int64_t)LARGEST_PLANES * skybook_bounds[i / form->positions % 64];
        largest = size > largest ? size : largest;
    }
    while (largest * SKYBOOK_LARGEST_MANTISSA >> (8 + octaves) >= SYMBOL_LIMIT) {
        octaves++;
    }
    return far == 0 ? octaves : -1;
}

enum skybook_status skybook_load_components(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    struct skybook_work *work = &encoder->work;
    enum skybook_status status = front_end(encoder, column);
    work->positions[0] = (uint8_t)((tile->rows + 7) / 8);
    work->positions[1] = (uint8_t)((tile->cols + 7) / 8);
    tile->latents_sum = 0;
    const uint32_t coded = tile->state == SKYBOOK_ALL_NODATA ? 0 : encoder->form.bands;
    for (uint32_t band = 0; band < coded; band++) {
        status = status == SKYBOOK_OK ? transform_band(&encoder->form, work, tile, band) : status;
    }
    if (status != SKYBOOK_OK) {
        return status;
    }
    const int32_t octaves = coded > 0 ? finest_of(&encoder->form, work) : 0;
    if (octaves < 0) {
        return SKYBOOK_ERROR_MEMORY;
    }
    tile->finest = 16 * octaves > tile->finest ? (uint8_t)(16 * octaves) : tile->finest;
    return SKYBOOK_OK;
}

/* Guess the bits of the tile in work at each step code. */
static void guess(struct skybook_encoder *encoder, uint32_t column, uint32_t bits[256])
{
    const struct skybook_form *form = &encoder->form;
    const struct skybook_tile *tile = &encoder->tiles[column];
    const uint32_t angles = is_turned(encoder, tile) ? form->bands * (form->bands - 1) / 2 : 0;
    skybook_guess_bits(form, &encoder->work, tile, encoder->options.trellis, bits);
    for (uint32_t code = 0; code < 256; code++) {
        bits[code] = bits[code] - 8 * form->side_bytes + 8 * (2 + form->bands + angles);
    }
}

/* Put what a tile is coded by aside, and take what was. */
static void change_way(struct skybook_tile *tile)
{
    const struct skybook_way other = tile->other;
    memcpy(tile->other.angles, tile->angles, sizeof(tile->angles));
    memcpy(tile->other.wide, tile->wide, sizeof(tile->wide));
    tile->other.latents_sum = tile->latents_sum;
    tile->other.kept = tile->kept;
    tile->other.slot = tile->slot;
    memcpy(tile->angles, other.angles, sizeof(tile->angles));
    memcpy(tile->wide, other.wide, sizeof(tile->wide));
    tile->latents_sum = other.latents_sum;
    tile->kept = other.kept;
    tile->slot = other.slot;
    tile->turned = !tile->turned;
}

void skybook_choose_way(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    const uint8_t code = tile->code > tile->finest ? tile->code : tile->finest;
    const bool turned = (tile->turns[code / 8] >> code % 8u & 1u) != 0;
    if (encoder->options.profile != NULL && tile->turned != turned) {
        change_way(tile);
    }
}

enum skybook_status skybook_analyse_components(struct skybook_encoder *encoder, uint32_t column)
{
    struct skybook_tile *tile = &encoder->tiles[column];
    uint32_t *bits = encoder->work.guess, turned[256];
    const bool turns = skybook_group(encoder, column) == 0;
    memset(tile->angles, UNTURNED, sizeof(tile->angles));
    tile->measured = true;
    tile->slot = (uint16_t)(turns ? encoder->columns + column : column);
    enum skybook_status status = skybook_load_components(encoder, column);
    if (status != SKYBOOK_OK) {
        return status;
    }
    if (tile->state == SKYBOOK_ALL_NODATA) {
        return SKYBOOK_OK;
    }
    guess(encoder, column, bits);
    if (turns) {
        skybook_keep(encoder, column);
        change_way(tile);
        tile->measured = false;
        tile->slot = (uint16_t)column;
        status = skybook_load_components(encoder, column);
        guess(encoder, column, turned);
        for (uint32_t code = 0; code < 256; code++) {
            const uint32_t better = turned[code] < bits[code];
            tile->turns[code / 8] = (uint8_t)(tile->turns[code / 8] | better << code % 8u);
            bits[code] = better ? turned[code] : bits[code];
        }
    }
    tile->aimed = tile->finest;
    return status;
}

bool skybook_is_worth_nothing(const struct skybook_encoder *encoder, uint32_t column)
{
    static const uint16_t eighths[8] = {4096, 4467, 4871, 5312, 5793, 6317, 6889, 7512};
    const struct skybook_tile *tile = &encoder->tiles[column];
    const struct skybook_work *work = &encoder->work;
    uint64_t energy = 0, taken = 0;
    uint32_t residuals = 0;
    for (uint32_t band = 0; band < encoder->form.bands; band++) {
        const int64_t level = tile->levels[band];
        energy += (uint64_t)(level * level) * 64 * work->positions[0] * work->positions[1];
    }
    for (uint32_t i = tile->planned; i < tile->planned_stop; i++) {
        const struct skybook_piece *piece = &encoder->pieces[i];
        taken += piece->length - skybook_around(encoder, column, piece->first);
    }
    const uint64_t worth = taken * UNITS_OF_STEP * eighths[tile->code & 7u] >> 20 << (tile->code >> 3) >> 6;
    for (uint32_t i = 0; i < work->before[work->units]; i++) {
        residuals |= work->symbols[i] >> SKYBOOK_ROW_BITS;
    }
    return energy <= worth && residuals == 0;
}

uint8_t skybook_empty_state(const struct skybook_tile *tile)
{
    return (uint8_t)(tile->state + EMPTY);
}

#endif
