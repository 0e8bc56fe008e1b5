/* Spectral profile: read and checked; the samples of a row of tiles to components (SPEC.md, section 21). */
#include <string.h>

#include "components.h"
#include "sha256.h"

#if SKYBOOK_GROUPS > 1

#define HEAD_BYTES 108u
#define LENGTH_AT 8u
#define DIGEST_AT 12u
#define SHAPE_BYTES 3u
#define MAJOR 1u
#define SHIFT 14u
#define LEAST_BANDS 17u
#define MOST_BANDS 1024u
#define OFFSET_LIMIT 65536
#define NEAR ((uint64_t)1 << (2 * SHIFT - 4)) /* what is left of a row of P P' - I, at most */
#define MOST_FRACTION 4
#define COMPONENT_BITS 19

/* Samples of a row of a tile, less offsets, stand in symbols: upper and lower 8 bits of each band. */
typedef char skybook_room_for_bands[4 * SKYBOOK_TILE * (size_t)SKYBOOK_CUBE_BANDS <=
                                            sizeof(((struct skybook_work *)0)->symbols)
                                        ? 1
                                        : -1];

static int64_t dot(const int16_t *restrict one, const int16_t *restrict other, uint32_t count)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += one[i] * other[i];
    }
    return sum;
}

/* Whether the rows of a matrix are orthonormal but for rounding. */
static bool is_orthonormal(const struct skybook_profile *profile)
{
    uint64_t away[SKYBOOK_CUBE_BANDS] = {0};
    bool near = true;
    for (uint32_t one = 0; one < profile->bands; one++) {
        for (uint32_t other = one; other < profile->bands; other++) {
            const int64_t unit = one == other ? (int64_t)1 << 2 * SHIFT : 0;
            const int64_t rest = dot(profile->matrix[one], profile->matrix[other], profile->bands) - unit;
            const uint64_t size = (uint64_t)(rest < 0 ? -rest : rest);
            away[one] += size;
            away[other] += other > one ? size : 0;
        }
    }
    for (uint32_t one = 0; one < profile->bands; one++) {
        near = near && away[one] <= NEAR;
    }
    return near;
}

/* Take offsets and matrix; false if they are beyond what there may be. */
static bool take_numbers(struct skybook_profile *profile, const uint8_t *bytes)
{
    bool fit = true;
    for (uint32_t band = 0; band < profile->bands; band++, bytes += 4) {
        const uint32_t told = skybook_get32(bytes);
        const int64_t offset = (int64_t)told - (told >= 0x80000000u ? (int64_t)1 << 32 : 0);
        fit = fit && offset < OFFSET_LIMIT && offset > -OFFSET_LIMIT;
        profile->offsets[band] = (int32_t)(fit ? offset : 0);
    }
    for (uint32_t component = 0; component < profile->bands; component++) {
        for (uint32_t band = 0; band < profile->bands; band++, bytes += 2) {
            const int32_t told = bytes[0] << 8 | bytes[1];
            profile->matrix[component][band] = (int16_t)(told - (told >= 0x8000 ? 0x10000 : 0));
        }
    }
    return fit && is_orthonormal(profile);
}

/* Whether a head, and what it tells of the rest, are those of a file of so many bytes. */
static bool is_head(const uint8_t *file, size_t length)
{
    uint8_t digest[32];
    if (length < HEAD_BYTES + SHAPE_BYTES || memcmp(file, "SKYP", 4) != 0 || file[4] != MAJOR ||
        (file[6] | file[7]) != 0 || skybook_get32(file + LENGTH_AT) != length - HEAD_BYTES) {
        return false;
    }
    skybook_sha256(file + HEAD_BYTES, length - HEAD_BYTES, digest);
    return memcmp(file + DIGEST_AT, digest, sizeof(digest)) == 0;
}

enum skybook_status skybook_read_profile(struct skybook_profile *profile, const uint8_t *file, size_t length)
{
    memset(profile, 0, sizeof(*profile));
    if (!is_head(file, length)) {
        return SKYBOOK_ERROR_MEMORY;
    }
    const uint8_t *rest = file + HEAD_BYTES;
    const uint32_t bands = (uint32_t)rest[0] << 8 | rest[1];
    const size_t expected = SHAPE_BYTES + (size_t)bands * (4 + 2 * (size_t)bands);
    if (bands < LEAST_BANDS || bands > MOST_BANDS || rest[2] != SHIFT || length - HEAD_BYTES != expected) {
        return SKYBOOK_ERROR_MEMORY;
    }
    if (bands > SKYBOOK_CUBE_BANDS) {
        return SKYBOOK_ERROR_LIMIT;
    }
    profile->bands = (uint16_t)bands;
    memcpy(profile->name, file + DIGEST_AT, sizeof(profile->name));
    return take_numbers(profile, rest + SHAPE_BYTES) ? SKYBOOK_OK : SKYBOOK_ERROR_MEMORY;
}

bool skybook_profile_fits(const struct skybook_options *options)
{
    const struct skybook_profile *profile = options->profile;
    const int32_t low = -(int32_t)skybook_lift(options), high = low + ((1 << options->significant_bits) - 1);
    bool fits = profile->bands == options->bands;
    for (uint32_t band = 0; band < profile->bands; band++) {
        fits = fits && profile->offsets[band] >= low && profile->offsets[band] <= high;
    }
    return fits;
}

int32_t skybook_profile_fraction(const struct skybook_profile *profile, uint32_t significant_bits)
{
    int32_t growth = 0;
    while (16u << 2 * growth < 17u * profile->bands) {
        growth++;
    }
    const int32_t fraction = COMPONENT_BITS - (int32_t)significant_bits - growth;
    return fraction < MOST_FRACTION ? fraction : MOST_FRACTION;
}

/* Samples of a row of a tile, less offsets, in parts of 8 bits: all bands of a pixel together. */
struct row {
    struct skybook_encoder *holder, *by;
    const struct skybook_profile *profile;
    uint32_t column, row, cols;
    int16_t *upper, *lower;
};

static uint16_t *samples_of(const struct row *row, uint32_t band)
{
    const uint32_t line = band * row->holder->form.tile + row->row;
    return &row->holder->samples[line][skybook_first_pixel(row->holder, row->column)];
}

static uint8_t *beyond_of(const struct row *row, uint32_t band)
{
    const uint32_t line = band * row->holder->form.tile + row->row;
    return &row->holder->beyond[line][skybook_first_pixel(row->holder, row->column) / 2];
}

/* Take the samples of a row; the bits that those have which are no nodata. */
static uint32_t take_samples(struct row *row, uint64_t *sums)
{
    const uint32_t bands = row->profile->bands;
    const int32_t lift = (int32_t)skybook_lift(&row->holder->options);
    const uint8_t *gaps = &row->by->work.nodata[row->row * row->cols];
    uint32_t bits = 0;
    for (uint32_t band = 0; band < bands; band++) {
        const uint16_t *samples = samples_of(row, band);
        const int32_t less = lift + row->profile->offsets[band];
        sums[band] += skybook_words_of_row(row->holder, row->column, samples);
        for (uint32_t col = 0; col < row->cols; col++) {
            const int32_t deviation = samples[col] - less;
            bits |= gaps[col] ? 0u : samples[col];
            row->upper[col * bands + band] = (int16_t)(deviation >> 8);
            row->lower[col * bands + band] = (int16_t)(deviation & 255);
        }
    }
    return bits;
}

/* Products of 16 bits whose sum 32 bits hold, as the rows of a profile are no longer than 1. */
static int32_t short_dot(const int16_t *restrict one, const int16_t *restrict other, uint32_t count)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum += one[i] * other[i];
    }
    return sum;
}

/* Put a component of a row in the place of a band: 20 bits, the upper four of two pixels in a byte. */
static void put_component(const struct row *row, uint32_t component, uint32_t shift)
{
    uint16_t *lower = samples_of(row, component);
    uint8_t *beyond = beyond_of(row, component);
    const uint32_t bands = row->profile->bands;
    memset(beyond, 0, SKYBOOK_TILE / 2);
    for (uint32_t col = 0; col < row->cols; col++) {
        int32_t value = 0;
        if (component < bands) {
            const int16_t *weights = row->profile->matrix[component];
            const int64_t upper = short_dot(weights, &row->upper[col * bands], bands);
            const int64_t sum = upper * 256 + short_dot(weights, &row->lower[col * bands], bands);
            value = (int32_t)((sum + ((int64_t)1 << shift >> 1)) >> shift);
        }
        lower[col] = (uint16_t)(value & 0xFFFF);
        beyond[col / 2] = (uint8_t)(beyond[col / 2] | (value >> 16 & 15) << 4 * (col & 1u));
    }
}

uint64_t skybook_words_of_component(const struct skybook_encoder *encoder, uint32_t column, uint32_t band,
                                    uint32_t row)
{
    const uint32_t own = skybook_group(encoder, column) * encoder->form.bands + band;
    const uint32_t line = own * encoder->form.tile + row, first = skybook_first_pixel(encoder, column);
    const struct skybook_encoder *holder = skybook_holder(encoder);
    return skybook_words_of_row(encoder, column, &holder->samples[line][first]) +
           skybook_words(&holder->beyond[line][first / 2], SKYBOOK_TILE / 2);
}

/* Make the components of a place, in the place of its samples. */
static enum skybook_status make_components(struct skybook_encoder *holder, struct skybook_encoder *by,
                                           uint32_t column)
{
    struct skybook_tile *tile = &by->tiles[column];
    const uint32_t left = holder->options.width - skybook_first_pixel(holder, column);
    const uint32_t own = holder->form.bands, all = skybook_groups_of(&holder->options) * own;
    int16_t *room = (int16_t *)by->work.symbols;
    struct row row = {holder, by, holder->options.profile, column, 0, 0, room, NULL};
    const int32_t fraction = skybook_profile_fraction(row.profile, holder->options.significant_bits);
    uint64_t sums[SKYBOOK_CUBE_BANDS] = {0}, made[SKYBOOK_GROUPS][SKYBOOK_MAX_BANDS] = {{0}};
    uint64_t changed = 0;
    uint32_t bits = 0;
    row.cols = left < SKYBOOK_TILE ? left : SKYBOOK_TILE;
    row.lower = room + (size_t)row.cols * row.profile->bands;
    tile->rows = (uint16_t)holder->held;
    tile->cols = (uint16_t)row.cols;
    skybook_find_nodata(by, column);
    for (row.row = 0; row.row < holder->held; row.row++) {
        bits |= take_samples(&row, sums);
        for (uint32_t component = 0; component < all; component++) {
            put_component(&row, component, (uint32_t)((int32_t)SHIFT - fraction));
            made[component / own][component % own] +=
                skybook_words_of_component(holder, column, component, row.row);
        }
    }
    for (uint32_t band = 0; band < row.profile->bands; band++) {
        changed |= sums[band] ^ holder->sums[band / own * holder->across + column][band % own];
    }
    for (uint32_t group = 0; group < all / own; group++) {
        memcpy(holder->sums[group * holder->across + column], made[group], sizeof(made[group]));
    }
    if (changed != 0) {
        return SKYBOOK_ERROR_MEMORY;
    }
    return bits >> holder->options.significant_bits == 0 ? SKYBOOK_OK : SKYBOOK_ERROR_INPUT;
}

enum skybook_status skybook_to_components(struct skybook_encoder *encoder)
{
    uint16_t columns[SKYBOOK_MAX_COLUMNS] = {0};
    for (uint32_t column = 0; column < encoder->across; column++) {
        columns[column] = (uint16_t)column;
    }
    return skybook_do_all(encoder, make_components, columns, encoder->across);
}

#endif
