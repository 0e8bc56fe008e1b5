/* The public interface: options, lines in, a strip at a time out. */
#include <string.h>

#include "parts.h"

#define MAX_LINES (1u << 24)
#define MIN_SEGMENT_BYTES 114
#define MAX_SEGMENT_BYTES 65551
#define MIN_PACKET_BYTES 128
#define MAX_PACKET_BYTES 65535
#define MAX_LINE_PERIOD ((uint64_t)1 << 40)
#define MAX_BOUND 32767u
#define END_BYTES 12
#define MOST_LARGE 4u /* bands of a scene with large tiles */
#define MOST_SIDE_OF_ONE (4u * SKYBOOK_TILE)

void skybook_defaults(struct skybook_options *options, uint32_t width)
{
    memset(options, 0, sizeof(*options));
    options->width = width;
    options->bands = SKYBOOK_CLASSES < SKYBOOK_MAX_BANDS ? SKYBOOK_CLASSES : SKYBOOK_MAX_BANDS;
    options->sample_type = SKYBOOK_U16;
    options->significant_bits = 16;
    options->segment_bytes = 1088;
    options->packet_bytes = 1102;
    options->apid = 1;
    options->ratio = 20.48;
    options->step_code = -1;
}

/* Whether samples are of a type, of as many bits, and no data a value of it. */
static bool samples_fit(const struct skybook_options *o)
{
    const uint32_t bits = 8 * skybook_sample_bytes(o);
    const bool nodata = !o->has_nodata || o->sample_type == SKYBOOK_U16 ||
                        o->sample_type == SKYBOOK_I16 ||
                        (o->sample_type == SKYBOOK_U8 ? o->nodata < 256
                                                      : (o->nodata + 128u) % 65536 < 256);
    return o->sample_type <= SKYBOOK_I8 && o->significant_bits >= 1 && o->significant_bits <= bits &&
           nodata && o->bayer <= SKYBOOK_PATTERNS && (o->bayer == 0 || o->bands == 4);
}

/* Whether a bound is one for all bands or one for each, or a root. */
static bool bound_fits(const struct skybook_bound *bound, uint32_t bands)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < bound->count && i < SKYBOOK_SCENE_BANDS; i++) {
        most = bound->each[i] > most ? bound->each[i] : most;
    }
    return (bound->count == 1 || bound->count == bands) && most <= MAX_BOUND &&
           (bound->root == 0 || most == 0);
}

static bool box_fits(const struct skybook_box *box, uint32_t bands)
{
    return box->left < box->right && box->top < box->bottom && bound_fits(&box->bound, bands);
}

/* Whether bounds are none, or of all samples and the only rate, or of boxes. */
static bool bounds_fit(const struct skybook_options *o)
{
    bool boxes = o->boxes <= SKYBOOK_MAX_BOXES;
    if (!skybook_has_bounds(o)) {
        return true;
    }
    for (uint32_t i = 0; i < o->boxes && boxes; i++) {
        boxes = box_fits(&o->box[i], o->bands);
    }
    const bool alone = o->boxes == 0 && o->budget == 0 && o->step_code < 0 && !o->trellis;
    const bool fit = o->max_error.count > 0 ? alone && bound_fits(&o->max_error, o->bands) : boxes;
    return SKYBOOK_BOUNDED ? fit : false;
}

/* Whether a quality, and its map, are none, or as they may be. */
static bool quality_fits(const struct skybook_options *o)
{
    const uint32_t side = o->quality_block;
    const bool blocks = side == 64 || side == 32 || side == 16;
    const bool map = o->quality_map == NULL ||
                     (blocks && o->map_columns == (o->width + side - 1) / side && o->map_rows <= MAX_LINES);
    const bool alone = o->step_code < 0 && o->max_error.count == 0;
    return o->quality <= SKYBOOK_MOST_QUALITY && (side == 0 || blocks) && map &&
           (skybook_has_quality(o) ? alone : side == 0);
}

/* Whether there is room for the bands of a scene, and beside a profile nothing that does not go with one. */
static bool bands_fit(const struct skybook_options *o)
{
#if SKYBOOK_GROUPS > 1
    if (o->bands > skybook_groups_of(o) * SKYBOOK_MAX_BANDS) {
        return false;
    }
    if (o->profile != NULL && (o->bands <= SKYBOOK_MOST_GROUPED || skybook_has_bounds(o) || o->quality_block > 0)) {
        return false;
    }
#endif
    return o->bands >= 1 && o->bands <= SKYBOOK_SCENE_BANDS;
}

/* Whether tiles are of a size that those of such a scene may have. */
static bool tile_fits(const struct skybook_options *o)
{
    const uint32_t tile = skybook_tile_of(o);
    if (tile == SKYBOOK_TILE) {
        return true;
    }
    const uint32_t most = o->bands == 1 ? MOST_SIDE_OF_ONE : SKYBOOK_LARGEST_TILE;
    const bool cut = skybook_has_bounds(o) ? tile == SKYBOOK_LARGEST_TILE
                                           : o->quality_block == 0 || tile % o->quality_block == 0;
    return o->bands <= MOST_LARGE && o->bayer == 0 && tile > SKYBOOK_TILE && tile <= most && tile % 8 == 0 && cut;
}

static bool fits(const struct skybook_options *o)
{
    const bool segments = o->segment_bytes >= MIN_SEGMENT_BYTES &&
                          o->segment_bytes <= MAX_SEGMENT_BYTES;
    const bool packets = o->packet_bytes >= MIN_PACKET_BYTES &&
                         o->packet_bytes <= MAX_PACKET_BYTES && o->apid < 2047 &&
                         o->line_period < MAX_LINE_PERIOD;
    const bool rate = o->step_code >= 0 || o->budget > 0 || (o->ratio > 0 && o->ratio < 1e300) ||
                      (o->ratio <= 0 && skybook_has_quality(o));
    const bool budget = o->budget == 0 || (o->height > 0 && o->budget <= INT64_MAX / MAX_LINES);
    const uint32_t tile = skybook_tile_of(o);
    const bool before = tile_fits(o) && o->first_row < MAX_LINES / tile && o->spent <= INT64_MAX / 2 &&
                        (o->height == 0 || o->first_row * tile < o->height) &&
                        (o->first_row == 0 || o->run > 0);
    return o->width >= 1 && bands_fit(o) && samples_fit(o) &&
           o->step_code <= SKYBOOK_COARSEST && o->height <= MAX_LINES &&
           o->run <= SKYBOOK_MAX_RUN && segments && packets && rate && budget && before &&
           bounds_fit(o) && quality_fits(o);
}

/* Bytes kept back for a last row of tiles that may be short, at the coarsest step. */
static int64_t kept_back(const struct skybook_encoder *encoder)
{
    const struct skybook_options *options = &encoder->options;
    if (options->budget > 0 && options->height % encoder->form.tile == 0) {
        return 0;
    }
    const uint32_t least_body = 1 + encoder->form.side_bytes + SKYBOOK_STATE_BYTES + 2;
    const uint32_t around = SKYBOOK_SEGMENT_OVERHEAD + skybook_packet_overhead(options);
    return (int64_t)skybook_across(encoder) * (around + least_body + SKYBOOK_EDGE_BYTES);
}

/* Bytes that all lines before `line` may take, what is reserved left aside. */
static int64_t share_of(const struct skybook_encoder *encoder, uint32_t line, int64_t reserve)
{
    const struct skybook_options *options = &encoder->options;
    if (options->budget > 0) {
        const int64_t product = ((int64_t)options->budget - reserve) * line;
        const int64_t height = options->height;
        return product / height - (product % height < 0 ? 1 : 0);
    }
    /* The one division in floating point: both numbers are exact, so IEEE 754 gives one result. */
    const double raw = (double)((uint64_t)skybook_sample_bytes(options) * options->bands *
                                options->width * line);
    const double share = raw / options->ratio;
    return share < 9e15 ? (int64_t)share : INT64_MAX / 2;
}

/* Bytes that lines may take; the first pay for the end and keep back for the last. */
static int64_t budget_of(const struct skybook_encoder *encoder, uint32_t first, uint32_t stop)
{
    const uint32_t end = SKYBOOK_NAMED_HEAD + END_BYTES + SKYBOOK_CRC_BYTES +
                         skybook_packet_overhead(&encoder->options);
    const int64_t reserve = end + kept_back(encoder);
    const int64_t share =
        share_of(encoder, stop, reserve) - share_of(encoder, first, reserve);
    return encoder->options.budget > 0 || first > 0 ? share : share - reserve;
}

/* Bytes that the lines held may take; the last of a budget take what was kept back for them, too. */
static int64_t take_budget(struct skybook_encoder *encoder)
{
    const struct skybook_options *options = &encoder->options;
    const int64_t share = budget_of(encoder, encoder->lines - encoder->held, encoder->lines);
    if (options->budget == 0 || encoder->lines != options->height) {
        return share;
    }
    const int64_t kept = kept_back(encoder);
    const int64_t own = kept < encoder->spare ? kept : encoder->spare;
    encoder->spare -= own;
    return share + own;
}

/* Go on after the rows of tiles that were written before, if any. */
static void go_on(struct skybook_encoder *encoder)
{
    const struct skybook_options *options = &encoder->options;
    encoder->lines = options->first_row * encoder->form.tile;
    encoder->segments = options->first_segment;
    encoder->packets = options->first_packet;
    encoder->bytes = options->spent;
    encoder->spare = kept_back(encoder) - (int64_t)options->spent;
    if (encoder->lines > 0 && options->step_code < 0 && options->max_error.count == 0 &&
        skybook_is_limited(options)) {
        encoder->spare += budget_of(encoder, 0, encoder->lines);
    }
    encoder->spare = encoder->spare > 0 ? encoder->spare : 0;
}

/* Whether a segment has room for what is sent of a tile beside its symbols, where a step is chosen. */
bool skybook_has_room_for_side(const struct skybook_encoder *encoder)
{
    return encoder->limit >= SKYBOOK_SEGMENT_OVERHEAD + SKYBOOK_WIDE_BYTES + SKYBOOK_EDGE_BYTES + 1 +
                                 encoder->form.side_bytes;
}

/* The sum of the words of the map of qualities, if there is one. */
static uint64_t map_sum(const struct skybook_encoder *encoder)
{
    const struct skybook_options *options = &encoder->options;
    const size_t cells = (size_t)options->map_rows * options->map_columns;
    return options->quality_map == NULL
               ? 0
               : skybook_words(options->quality_map, cells * sizeof(options->quality_map[0]));
}

/* Whether options ask for more than this build has room for, or for what was left out of it. */
static bool is_beyond(const struct skybook_options *options)
{
    const uint32_t tile = skybook_tile_of(options);
    const bool large = tile > SKYBOOK_TILE || options->bands == 1;
    bool beyond = options->width > SKYBOOK_MAX_WIDTH || (large && options->bands > SKYBOOK_LARGE_BANDS) ||
                  tile > SKYBOOK_SIDE || (options->width + tile - 1) / tile * tile > SKYBOOK_PITCH;
#if SKYBOOK_SMALL
    const uint32_t nodata = options->has_nodata ? (options->nodata + skybook_lift(options)) & 0xFFFFu : 0;
    beyond = beyond || options->significant_bits > SKYBOOK_SAMPLE_BITS || nodata >> SKYBOOK_SAMPLE_BITS > 0 ||
             options->segment_bytes > SKYBOOK_PACKET_BYTES ||
             (options->packets && options->packet_bytes > SKYBOOK_PACKET_BYTES);
#endif
#if !SKYBOOK_TRELLIS
    beyond = beyond || options->trellis;
#endif
#if !SKYBOOK_QUALITY
    beyond = beyond || options->quality > 0 || options->quality_map != NULL;
#endif
    return beyond;
}

#if SKYBOOK_GROUPS > 1
/* The sum of the words of the profile, if there is one. */
static uint64_t profile_sum(const struct skybook_encoder *encoder)
{
    const struct skybook_profile *profile = encoder->options.profile;
    return profile == NULL ? 0 : skybook_words(profile, sizeof(*profile));
}
#endif

/* Fill in what follows from the options. */
static enum skybook_status begin(struct skybook_encoder *encoder)
{
    const struct skybook_options *options = &encoder->options;
    if (!fits(options) || encoder->write == NULL) {
        return SKYBOOK_ERROR_USAGE;
    }
    if (is_beyond(options)) {
        return SKYBOOK_ERROR_LIMIT;
    }
#if SKYBOOK_GROUPS > 1
    if (options->profile != NULL && !skybook_profile_fits(options)) {
        return SKYBOOK_ERROR_INPUT;
    }
    encoder->profile_sum = profile_sum(encoder);
#endif
    skybook_make_form(&encoder->form, options);
    encoder->limit = options->segment_bytes;
    const uint32_t room = options->packet_bytes - skybook_packet_overhead(options);
    if (options->packets && room < encoder->limit) {
        encoder->limit = room;
    }
    if (!skybook_has_bounds(options) && !skybook_has_room_for_side(encoder)) {
        return SKYBOOK_ERROR_USAGE;
    }
    encoder->columns = (options->width + encoder->form.tile - 1) / encoder->form.tile;
#if SKYBOOK_GROUPS > 1
    encoder->across = encoder->columns;
    encoder->columns *= skybook_groups_of(options);
#endif
    encoder->map_sum = map_sum(encoder);
    go_on(encoder);
    return SKYBOOK_OK;
}

enum skybook_status skybook_init_sized(struct skybook_encoder *encoder, size_t size,
                                       const struct skybook_options *chosen, skybook_write write,
                                       void *user)
{
    if (encoder == NULL || chosen == NULL || size != sizeof(*encoder)) {
        return SKYBOOK_ERROR_USAGE;
    }
    const struct skybook_options copy = *chosen; /* they may lie in the encoder */
    /* What comes after is put before it is read, so that pages of it which a scene has no need of are not touched. */
    memset(encoder, 0, offsetof(struct skybook_encoder, samples));
    encoder->options = copy;
    encoder->write = write;
    encoder->user = user;
    encoder->status = begin(encoder);
    skybook_seal_scene(encoder);
    skybook_seal_progress(encoder);
    return encoder->status;
}

/* Analyse a tile and code it at the step that the options name. */
static enum skybook_status code_named(struct skybook_encoder *encoder, struct skybook_encoder *by,
                                      uint32_t column)
{
    struct skybook_tile *tile = &by->tiles[column];
    const enum skybook_status status = skybook_analyse(by, column);
    if (status != SKYBOOK_OK || !skybook_has_step(tile)) {
        return status;
    }
    tile->code = (uint8_t)encoder->options.step_code;
    return skybook_code(by, column);
}

/* Code all tiles of the strip at that step. */
static enum skybook_status code_at_step(struct skybook_encoder *encoder)
{
    uint16_t columns[SKYBOOK_MAX_TILES] = {0};
    for (uint32_t column = 0; column < encoder->columns; column++) {
        columns[column] = (uint16_t)column;
    }
    enum skybook_status status = skybook_do_all(encoder, code_named, columns, encoder->columns);
    status = status == SKYBOOK_OK ? skybook_code_missing(encoder) : status;
    if (status == SKYBOOK_OK) {
        skybook_note_strip(encoder, 0, 0);
    }
    return status;
}

/* Whether all that stays as it is for a scene did. */
bool skybook_is_whole(const struct skybook_encoder *encoder)
{
    bool tables = skybook_tables_are_whole();
#if SKYBOOK_BOUNDED
    const bool bounds = skybook_has_bounds(&encoder->options) || encoder->options.quality_map != NULL;
    tables = tables && (!bounds || skybook_bounded_tables_are_whole());
#endif
#if SKYBOOK_GROUPS > 1
    tables = tables && skybook_gaps_are_whole(encoder) && encoder->profile_sum == profile_sum(encoder);
#endif
    return tables && encoder->map_sum == map_sum(encoder) && skybook_scene_is_whole(encoder);
}

/* Make the scene header where it is not made yet. */
static void begin_scene(struct skybook_encoder *encoder)
{
    if (encoder->head_length == 0) {
        skybook_begin_scene(encoder);
        skybook_seal_scene(encoder);
    }
}

static enum skybook_status code_tiles(struct skybook_encoder *encoder)
{
    if (encoder->options.max_error.count > 0) {
        return skybook_code_strip_bounded(encoder);
    }
#if SKYBOOK_GROUPS > 1
    if (encoder->options.profile != NULL) {
        const enum skybook_status status = skybook_to_components(encoder);
        if (status != SKYBOOK_OK) {
            return status;
        }
    }
#endif
    const int64_t budget = skybook_is_limited(&encoder->options) ? take_budget(encoder) : 0;
    return encoder->options.step_code >= 0 ? code_at_step(encoder)
                                           : skybook_code_within(encoder, budget);
}

/* Take note of the sums of the parts of a line that lie in each tile. */
static void add_sums(struct skybook_encoder *encoder, uint32_t band, const skybook_held *line)
{
    const uint32_t across = skybook_across(encoder), own = encoder->form.bands;
    const uint32_t group = SKYBOOK_GROUPS > 1 ? band / own : 0, of_group = band - group * own;
    for (uint32_t i = 0; i < across; i++) {
        const uint32_t column = group * across + i;
        encoder->sums[column][of_group] +=
            skybook_words_of_row(encoder, column, &line[SKYBOOK_PLACE(i * encoder->form.tile)]);
    }
}

#if SKYBOOK_GROUPS > 1
/* Fill up the last group of bands with bands of 0. */
static void fill_group(struct skybook_encoder *encoder)
{
    const uint32_t stop = skybook_groups_of(&encoder->options) * encoder->form.bands;
    const uint16_t zero = (uint16_t)skybook_lift(&encoder->options);
    for (uint32_t band = encoder->options.bands; band < stop; band++) {
        for (uint32_t row = 0; row < encoder->held; row++) {
            uint16_t *line = encoder->samples[band * encoder->form.tile + row];
            for (uint32_t col = 0; col < encoder->options.width; col++) {
                line[col] = zero;
            }
            add_sums(encoder, band, line);
        }
    }
}
#endif

/* Code and send the lines that are held. Tables are checked before they are used, as some are where
 * others are to be found, and before what they made is written. */
static enum skybook_status code_strip(struct skybook_encoder *encoder)
{
    if (!skybook_is_whole(encoder)) {
        return SKYBOOK_ERROR_MEMORY;
    }
    begin_scene(encoder);
#if SKYBOOK_GROUPS > 1
    fill_group(encoder);
    skybook_note_gaps(encoder);
#endif
    encoder->strip_used = 0;
    encoder->pieces_used = 0;
    encoder->packet_used = 0;
    memset(encoder->tiles, 0, sizeof(encoder->tiles));
    enum skybook_status status = code_tiles(encoder);
    if (status == SKYBOOK_OK) {
        status = skybook_is_whole(encoder) ? skybook_send_strip(encoder, encoder->lines - encoder->held)
                                   : SKYBOOK_ERROR_MEMORY;
    }
    encoder->held = 0;
    memset(encoder->sums, 0, sizeof(encoder->sums));
    return status;
}

/* Begin a call: refuse one out of order, or where memory is not what the last one left. Every call
 * ends with `leave`; one from within another, which is refused, does nothing at all. */
static bool enter(struct skybook_encoder *encoder)
{
    if (encoder == NULL || encoder->busy) {
        return false;
    }
    encoder->busy = true;
    if (!skybook_scene_is_whole(encoder) || !skybook_progress_is_whole(encoder)) {
        encoder->status = SKYBOOK_ERROR_MEMORY;
        skybook_seal_scene(encoder);
    }
    if (encoder->status == SKYBOOK_OK && (encoder->write == NULL || encoder->ended)) {
        encoder->status = SKYBOOK_ERROR_USAGE;
    }
    return true;
}

static enum skybook_status leave(struct skybook_encoder *encoder)
{
    skybook_seal_progress(encoder);
    encoder->busy = false;
    return encoder->status;
}

/* Lines that come one after the other: how many, and where their samples are, as of skybook_push. */
struct lines {
    struct skybook_encoder *encoder;
    const uint16_t *samples;
    uint32_t count;
    size_t band, line, pixel;
    bool taken[SKYBOOK_MAX_COLUMNS]; /* of the part in each place: whether there was room for its bits */
};

/* Take a line; false if there is no room for a sample: it is beyond the significant bits, which the lines have. */
static bool take_line(struct skybook_encoder *encoder, const struct lines *lines)
{
    const uint32_t width = encoder->options.width;
    const uint32_t lift = skybook_lift(&encoder->options);
    for (uint32_t b = 0; b < encoder->options.bands; b++) {
        skybook_held *to = encoder->samples[b * encoder->form.tile + encoder->held];
        if (!skybook_put_line(to, lines->samples + b * lines->band, width, lines->pixel, lift)) {
            return false;
        }
        add_sums(encoder, b, to);
    }
    return true;
}

/* Take the part of some lines that lies in the tiles of a place, so that who codes these has it at hand. */
static void take_part(void *job, uint32_t place, uint32_t member)
{
    struct lines *lines = job;
    struct skybook_encoder *encoder = lines->encoder;
    const uint32_t tile = encoder->form.tile, own = encoder->form.bands, first = place * tile;
    const uint32_t left = encoder->options.width - first, width = left < tile ? left : tile;
    const uint32_t lift = skybook_lift(&encoder->options);
    bool taken = true;
    (void)member;
    for (uint32_t b = 0; b < encoder->options.bands; b++) {
        const uint32_t group = SKYBOOK_GROUPS > 1 ? b / own : 0;
        const uint32_t column = group * skybook_across(encoder) + place;
        uint64_t sum = 0;
        for (uint32_t row = 0; row < lines->count; row++) {
            const uint16_t *from = lines->samples + b * lines->band + row * lines->line + first * lines->pixel;
            skybook_held *to = &encoder->samples[b * tile + encoder->held + row][SKYBOOK_PLACE(first)];
            taken &= skybook_put_line(to, from, width, lines->pixel, lift);
            sum += skybook_words_of_row(encoder, column, to);
        }
        encoder->sums[column][b - group * own] += sum;
    }
    lines->taken[place] = taken;
}

/* Take some lines of a strip; false as of one. */
static bool take_lines(struct skybook_encoder *encoder, struct lines *lines)
{
    const struct skybook_crew *crew = encoder->crew;
    bool taken = true;
    if (lines->count == 1) {
        taken = take_line(encoder, lines);
    } else {
        crew->run(crew->user, take_part, lines, skybook_across(encoder));
        for (uint32_t i = 0; i < skybook_across(encoder); i++) {
            taken &= lines->taken[i];
        }
    }
    encoder->held += taken ? lines->count : 0;
    encoder->lines += taken ? lines->count : 0;
    return taken;
}

static uint32_t least(uint32_t one, uint32_t other)
{
    return one < other ? one : other;
}

/* How many of some lines may be taken together: with a crew those of the strip, else one. */
static uint32_t together(const struct skybook_encoder *encoder, uint32_t lines)
{
    const uint32_t height = encoder->options.height > 0 ? encoder->options.height : MAX_LINES;
    const uint32_t free = least(encoder->form.tile - encoder->held, height - encoder->lines);
    return encoder->crew != NULL ? least(lines, free) : 1;
}

enum skybook_status skybook_push(struct skybook_encoder *encoder, const uint16_t *samples,
                                 uint32_t lines, size_t band, size_t line, size_t pixel)
{
    if (!enter(encoder)) {
        return SKYBOOK_ERROR_USAGE;
    }
    if (encoder->status == SKYBOOK_OK && samples == NULL && lines > 0) {
        encoder->status = SKYBOOK_ERROR_USAGE;
    }
    const uint32_t height = encoder->options.height;
    struct lines part = {encoder, samples, 0, band, line, pixel, {false}};
    for (uint32_t row = 0; row < lines && encoder->status == SKYBOOK_OK; row += part.count) {
        part.samples = samples + row * line;
        part.count = together(encoder, lines - row);
        if (height > 0 && encoder->lines == height) {
            encoder->status = SKYBOOK_ERROR_INPUT;
        } else if (encoder->lines == MAX_LINES) {
            encoder->status = SKYBOOK_ERROR_LIMIT;
        } else if (!take_lines(encoder, &part)) {
            encoder->status = SKYBOOK_ERROR_INPUT;
        } else if (encoder->held == encoder->form.tile) {
            encoder->status = code_strip(encoder);
        }
    }
    return leave(encoder);
}

static enum skybook_status send_end(struct skybook_encoder *encoder)
{
    uint8_t end[SKYBOOK_NAMED_HEAD + END_BYTES + SKYBOOK_CRC_BYTES];
    begin_scene(encoder);
    skybook_put32(end + SKYBOOK_NAMED_HEAD, encoder->lines);
    skybook_put32(end + SKYBOOK_NAMED_HEAD + 4, encoder->segments);
    skybook_put32(end + SKYBOOK_NAMED_HEAD + 8, encoder->run);
    const size_t length = skybook_pack_segment(encoder, SKYBOOK_KIND_END, end, END_BYTES);
    return skybook_send(encoder, encoder->lines, end, length);
}

/* Code what is held; send the end if all that was to come did. */
static enum skybook_status end(struct skybook_encoder *encoder, bool cut)
{
    if (!enter(encoder)) {
        return SKYBOOK_ERROR_USAGE;
    }
    const uint32_t height = encoder->options.height;
    if (encoder->status == SKYBOOK_OK && encoder->lines == 0) {
        encoder->status = SKYBOOK_ERROR_INPUT;
    }
    if (encoder->status == SKYBOOK_OK && encoder->held > 0) {
        encoder->status = code_strip(encoder);
    }
    if (encoder->status == SKYBOOK_OK && (cut || (height > 0 && height != encoder->lines))) {
        encoder->status = SKYBOOK_ERROR_INPUT;
    }
    if (encoder->status == SKYBOOK_OK) {
        encoder->status = send_end(encoder);
    }
    encoder->ended = true;
    return leave(encoder);
}

enum skybook_status skybook_share(struct skybook_encoder *encoder, const struct skybook_crew *crew)
{
    if (!enter(encoder)) {
        return SKYBOOK_ERROR_USAGE;
    }
    if (encoder->status == SKYBOOK_OK && crew != NULL &&
        (crew->members == NULL || crew->count == 0 || crew->run == NULL)) {
        encoder->status = SKYBOOK_ERROR_USAGE;
    }
    encoder->crew = crew;
    skybook_seal_scene(encoder);
    return leave(encoder);
}

enum skybook_status skybook_finish(struct skybook_encoder *encoder)
{
    return end(encoder, false);
}

enum skybook_status skybook_cut(struct skybook_encoder *encoder)
{
    return end(encoder, true);
}

int skybook_to_buffer(void *user, const uint8_t *bytes, size_t length)
{
    struct skybook_buffer *buffer = user;
    if (buffer == NULL || length > buffer->size - buffer->used) {
        return 1;
    }
    memcpy(buffer->bytes + buffer->used, bytes, length);
    buffer->used += length;
    return 0;
}
