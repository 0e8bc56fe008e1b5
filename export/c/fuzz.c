/* Hostile inputs to all that the encoder reads, for libFuzzer and sanitizers: `make fuzz`, which defines SKYBOOK_FUZZ.
 *
 * --parser names one: `scene` options and samples of the library, `command` a command line and raw lines, `recorded` a
 * file of packets to go on with, `map` one of qualities, `profile` one of a spectral profile. */
#if defined(SKYBOOK_FUZZ)
#define _POSIX_C_SOURCE 200809L
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "input.h"
#include "parts.h"
#include "qualityfile.h"
#include "recorded.h"
#include "sha256.h"

#if defined(SKYBOOK_FUZZ)
#include <unistd.h>

#define MOST_WORDS 24u
#define LONGEST_WORD 40u
#define MOST_OPTIONS 100u
/* What a scene costs goes with the pixels of its tiles in all bands, of those of a tile beyond its border, too: most
 * have one tile, as small as there are, of one or two bands, so that many are tried. */
#define SIDE 96u /* at most */
#define USUAL 20u /* of most */
#define MOST_FILE 65536u

int LLVMFuzzerInitialize(int *count, char ***arguments);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);

/* What is left of an input. */
struct source {
    const uint8_t *bytes;
    size_t left;
};

static struct skybook_encoder encoder;
static uint16_t samples[SKYBOOK_SCENE_BANDS * SKYBOOK_MAX_WIDTH];
static char names[MOST_OPTIONS][LONGEST_WORD]; /* of options */
static char choices[MOST_OPTIONS][LONGEST_WORD]; /* words that are values of some */
static uint32_t named, chosen;
static uint8_t recording[MOST_FILE];
static size_t recorded;
static char map_name[] = "/dev/shm/skybook-fuzz-XXXXXX";
static void (*parse)(struct source *source);

static void expect(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "broken: %s\n", what);
        abort();
    }
}

static uint32_t byte_of(struct source *source)
{
    if (source->left == 0) {
        return 0;
    }
    source->left--;
    return *source->bytes++;
}

static uint32_t number(struct source *source, uint32_t bytes)
{
    uint32_t value = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        value = value << 8 | byte_of(source);
    }
    return value;
}

/* A value of an option: mostly as it was, else from 0 to what is sensible, seldom anything. */
static uint32_t vary(struct source *source, uint32_t value, uint32_t most)
{
    const uint32_t way = byte_of(source);
    return way < 160 ? value : way < 240 ? number(source, 4) % (most + 1) : number(source, 4);
}

static bool flag(struct source *source)
{
    return byte_of(source) >= 192;
}

/* Take bytes; once so many were taken, fail as a disk that is full. */
static int write_some(void *user, const uint8_t *bytes, size_t length)
{
    int64_t *room = user;
    expect(bytes != NULL, "what is written is somewhere");
    *room -= (int64_t)length;
    return *room < 0;
}

static void expect_status(enum skybook_status status)
{
    expect(status == SKYBOOK_OK || status == SKYBOOK_ERROR_USAGE || status == SKYBOOK_ERROR_INPUT ||
               status == SKYBOOK_ERROR_INTERNAL || status == SKYBOOK_ERROR_LIMIT,
           "a status that an input can lead to");
}

static void take_bound(struct source *source, struct skybook_bound *bound)
{
    bound->count = (uint16_t)vary(source, 1, SKYBOOK_MAX_BANDS);
    for (uint32_t i = 0; i < SKYBOOK_SCENE_BANDS; i++) {
        bound->each[i] = (uint16_t)vary(source, 2, 40000);
    }
    bound->root = (uint16_t)vary(source, 0, 1000);
}

static uint16_t take_bands(struct source *source)
{
    const uint32_t way = byte_of(source);
    return (uint16_t)(way < 192   ? 1 + way % 2
                      : way < 240 ? number(source, 1) % 6
                                  : vary(source, 17, SKYBOOK_SCENE_BANDS));
}

#if SKYBOOK_GROUPS > 1
/* A profile that leaves bands as they are, or turns pairs of them. */
static void take_profile(struct source *source, struct skybook_options *options)
{
    static struct skybook_profile profile;
    memset(&profile, 0, sizeof(profile));
    profile.bands = (uint16_t)(vary(source, options->bands, SKYBOOK_CUBE_BANDS) % (SKYBOOK_CUBE_BANDS + 1));
    for (uint32_t band = 0; band < profile.bands; band++) {
        profile.offsets[band] = (int32_t)(vary(source, 0, 65535) & 65535u);
        profile.matrix[band][band] = 1 << 14;
    }
    for (uint32_t band = 0; band + 1 < profile.bands; band += 2) {
        if (flag(source)) {
            profile.matrix[band][band] = profile.matrix[band + 1][band + 1] = 13107; /* 4/5 */
            profile.matrix[band][band + 1] = 9830;
            profile.matrix[band + 1][band] = -9830;
        }
    }
    options->profile = &profile;
}
#endif

static void take_samples(struct source *source, struct skybook_options *options)
{
    options->bands = take_bands(source);
    options->sample_type = (uint8_t)vary(source, options->sample_type, 3);
    options->significant_bits = (uint8_t)vary(source, options->significant_bits, 16);
    options->bayer = (uint8_t)vary(source, 0, 4);
    options->tile = flag(source) ? 0 : (uint16_t)vary(source, SKYBOOK_TILE, SKYBOOK_SIDE);
    options->has_nodata = flag(source);
    options->nodata = (uint16_t)number(source, 2);
#if SKYBOOK_GROUPS > 1
    if (byte_of(source) >= (options->bands > SKYBOOK_MAX_BANDS ? 128 : 250)) {
        take_profile(source, options);
    }
#endif
}

static void take_packing(struct source *source, struct skybook_options *options)
{
    options->one_layer = flag(source);
    options->has_start_time = flag(source);
    options->segment_bytes = vary(source, options->segment_bytes, 5000);
    options->packets = flag(source);
    options->packet_bytes = vary(source, options->packet_bytes, 5000);
    options->apid = (uint16_t)vary(source, options->apid, 2046);
    options->packet_control = flag(source);
    options->run = vary(source, 0, 1 << 20);
    options->first_row = vary(source, 0, 2);
    options->first_segment = vary(source, 0, 100);
    options->spent = vary(source, 0, 1000);
}

static void take_map(struct source *source, struct skybook_options *options)
{
    static uint16_t map[SIDE * SIDE];
    const uint32_t side = options->quality_block > 0 ? options->quality_block : 64;
    options->quality_map = map;
    options->map_columns = options->width > 0 ? (options->width - 1) % SIDE / side + 1 : 0;
    options->map_rows = number(source, 1) % SIDE;
    for (uint32_t i = 0; i < SIDE; i++) {
        map[i] = (uint16_t)number(source, 2);
    }
}

static void take_boxes(struct source *source, struct skybook_options *options)
{
    options->boxes = vary(source, 1, SKYBOOK_MAX_BOXES);
    for (uint32_t i = 0; i < SKYBOOK_MAX_BOXES && i < options->boxes; i++) {
        struct skybook_box *box = &options->box[i];
        box->left = vary(source, 0, SIDE);
        box->top = vary(source, 0, SIDE);
        box->right = vary(source, SIDE, SIDE);
        box->bottom = vary(source, SIDE, SIDE);
        take_bound(source, &box->bound);
    }
}

static void take_options(struct source *source, struct skybook_options *options)
{
    skybook_defaults(options, vary(source, USUAL, SIDE));
    take_samples(source, options);
    take_packing(source, options);
    options->trellis = flag(source);
    options->ratio = vary(source, 5, 100);
    options->budget = vary(source, 0, 20000);
    options->height = vary(source, 0, SIDE);
    options->step_code = (int16_t)(byte_of(source) < 128 ? 0xFFFFu : vary(source, 80, 255));
    options->quality = (uint16_t)vary(source, 0, 9000);
    options->quality_block = (uint8_t)(vary(source, 0, 4) * 16);
    if (flag(source)) {
        take_map(source, options);
    }
    if (flag(source)) {
        take_bound(source, &options->max_error);
    }
    if (flag(source)) {
        take_boxes(source, options);
    }
}

/* A line of what is left, over and over: of all bands. No coverage is looked for here, which would take most of the
 * time. */
__attribute__((no_sanitize("coverage"))) static void take_line(const struct source *source, uint32_t line,
                                                               uint32_t bits, const struct skybook_options *options)
{
    const uint32_t mask = bits < 16 ? (1u << bits) - 1u : 0xFFFFu;
    const size_t count = (size_t)options->width * options->bands;
    size_t at = source->left > 0 ? 2 * (size_t)line * line % source->left : 0;
    for (size_t i = 0; i < count && i < sizeof(samples) / sizeof(samples[0]); i++) {
        uint32_t sample = 0;
        for (uint32_t byte = 0; byte < 2; byte++) {
            sample = sample << 8 | (source->left > 0 ? source->bytes[at] : byte * line);
            at = at + 1 < source->left ? at + 1 : 0;
        }
        samples[i] = (uint16_t)(sample & mask);
    }
}

static void parse_scene(struct source *source)
{
    struct skybook_options options;
    int64_t room = byte_of(source) < 240 ? INT64_MAX : (int64_t)number(source, 2);
    const uint32_t of_lines = byte_of(source), bits = byte_of(source) % 24;
    const uint32_t lines = of_lines % (of_lines < 224 ? USUAL : SIDE);
    take_options(source, &options);
    enum skybook_status status = skybook_init(&encoder, &options, write_some, &room);
    expect_status(status);
    for (uint32_t line = 0; status == SKYBOOK_OK && line < lines; line++) {
        take_line(source, line, bits, &options);
        status = skybook_push(&encoder, samples, 1, options.width, 0, 1);
        expect_status(status);
    }
    const enum skybook_status ended = lines % 8 == 7 ? skybook_cut(&encoder) : skybook_finish(&encoder);
    expect_status(ended);
    expect(status == SKYBOOK_OK || ended == status, "after an error every call returns it");
}

/* Words with bars between, which an option may be followed by. */
static void find_choices(const char *at)
{
    for (; chosen < MOST_OPTIONS; at++) {
        const size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789");
        if (length == 0 || length >= LONGEST_WORD) {
            return;
        }
        memcpy(choices[chosen++], at, length);
        at += length;
        if (*at != '|') {
            return;
        }
    }
}

/* Options of what --help says, and their values that are words. */
static void find_names(void)
{
    for (const char *at = strstr(skybook_usage, "--"); at != NULL && named < MOST_OPTIONS; at = strstr(at + 2, "--")) {
        const size_t length = strspn(at, "-abcdefghijklmnopqrstuvwxyz");
        if (length > 2 && length < LONGEST_WORD && strncmp(at, "--quality-map", length) != 0) {
            memcpy(names[named++], at, length);
            find_choices(at + length + (at[length] == ' '));
        }
    }
    expect(named > 0 && chosen > 0, "--help tells options");
}

/* A word of a command line: an option, a value that is a word, numbers, or some letters. */
static void take_word(struct source *source, char word[LONGEST_WORD])
{
    const uint32_t way = byte_of(source);
    memset(word, 0, LONGEST_WORD);
    if (way < 112) {
        memcpy(word, names[way % named], LONGEST_WORD);
    } else if (way < 144) {
        memcpy(word, choices[way % chosen], LONGEST_WORD);
    } else if (way < 208) {
        snprintf(word, LONGEST_WORD, "%u", (unsigned)number(source, way % 4 == 3 ? 4 : 1));
    } else if (way < 224) {
        static const char *const forms[] = {"%u.%u", "%u,%u", "sqrt:%u.%u", "0,0,%u,%u"};
        const unsigned one = byte_of(source), other = byte_of(source);
        snprintf(word, LONGEST_WORD, forms[way % 4], one, other);
    } else {
        for (uint32_t i = 0; i < way % 32; i++) {
            word[i] = (char)byte_of(source);
        }
    }
}

/* As the program does, but for files: a command line, then lines of what is left. */
static void parse_command(struct source *source)
{
    static char words[MOST_WORDS][LONGEST_WORD];
    char *arguments[MOST_WORDS + 10] = {"skybook", "in", "-o", "out", "--width", "20", "--tile", "64", "--bands", "2"};
    struct skybook_command command;
    struct skybook_input input;
    int64_t room = INT64_MAX;
    const uint32_t count = byte_of(source) % MOST_WORDS, way = byte_of(source);
    const uint32_t first = way < 192 ? 10 : way < 240 ? 8 : 4; /* of what is usual so much stays */
    for (uint32_t i = 0; i < count; i++) {
        take_word(source, words[i]);
        arguments[first + i] = words[i];
    }
    if (!skybook_parse(&command, (int)(first + count), arguments) || command.help || source->left == 0) {
        return;
    }
    enum skybook_status status = skybook_init(&encoder, &command.options, write_some, &room);
    FILE *file = fmemopen((void *)(uintptr_t)source->bytes, source->left, "rb");
    expect_status(status);
    if (file == NULL || status != SKYBOOK_OK || !skybook_open_input(&input, &command, file)) {
        status = SKYBOOK_ERROR_INPUT;
    }
    const bool bip = command.layout == BIP && command.options.bayer == 0;
    const uint32_t width = command.options.width, bands = command.options.bands;
    for (uint64_t line = 0; status == SKYBOOK_OK && line < USUAL; line++) {
        if (skybook_read_line(&input, line, samples) != LINE_READ) {
            break;
        }
        status = skybook_push(&encoder, samples, 1, bip ? 1 : width, 0, bip ? bands : 1);
        expect_status(status);
    }
    if (status == SKYBOOK_OK) {
        expect_status(skybook_finish(&encoder));
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* Change bytes of a file: pairs of a place and what is there; then perhaps its length. */
static size_t edit(struct source *source, uint8_t *file, size_t length)
{
    const size_t kept = byte_of(source) < 128 ? length : number(source, 2) % (length + 1);
    while (source->left > 0) {
        const uint32_t place = number(source, 2);
        file[place % length] = (uint8_t)byte_of(source);
    }
    return kept;
}

static void make_recording(void)
{
    struct skybook_buffer buffer = {recording, sizeof(recording), 0};
    struct skybook_options options;
    skybook_defaults(&options, SIDE);
    options.packets = true;
    options.run = 7;
    expect(skybook_init(&encoder, &options, skybook_to_buffer, &buffer) == SKYBOOK_OK, "a recording begins");
    for (uint32_t line = 0; line < 2 * SIDE; line++) {
        const struct source source = {(const uint8_t *)skybook_usage, strlen(skybook_usage)};
        take_line(&source, line, 12, &options);
        expect(skybook_push(&encoder, samples, 1, SIDE, 0, 1) == SKYBOOK_OK, "a line is coded");
    }
    recorded = buffer.used;
}

static void parse_recorded(struct source *source)
{
    static uint8_t bytes[MOST_FILE];
    struct skybook_options options;
    memcpy(bytes, recording, recorded);
    skybook_defaults(&options, SIDE);
    options.packets = true;
    options.run = byte_of(source) < 128 ? 7 : 0;
    options.packet_control = byte_of(source) >= 240;
    const size_t length = edit(source, bytes, recorded);
    FILE *file = length > 0 ? fmemopen(bytes, length, "rb") : NULL;
    if (file != NULL && skybook_read_recorded(file, &options)) {
        expect(options.spent <= length, "no more is kept than there is");
        expect(options.first_packet <= 0x3FFFu + length, "packets are counted on");
    }
    if (file != NULL) {
        fclose(file);
    }
}

static void parse_map(struct source *source)
{
    static const char head[] = "\x93NUMPY\x01\0\x76\0{'descr': '<u2', 'fortran_order': False, 'shape': (2, 2), }";
    uint8_t bytes[1024] = {0};
    struct skybook_options options;
    memcpy(bytes, head, sizeof(head) - 1);
    skybook_defaults(&options, SIDE);
    options.quality_block = (uint8_t)(16 * (byte_of(source) % 5));
    const size_t length = edit(source, bytes, byte_of(source) < 128 ? 128 + 8 : sizeof(bytes));
    FILE *file = fopen(map_name, "wb");
    expect(file != NULL && fwrite(bytes, 1, length, file) == length && fclose(file) == 0, "the map is written");
    if (skybook_read_map(&options, map_name)) {
        expect(2u * options.map_rows * options.map_columns <= length, "no more blocks than the file has");
        expect(options.map_rows > 0, "a map has blocks");
    }
}

#if SKYBOOK_GROUPS > 1
#define PROFILE_HEAD 108u
#define PROFILE_BANDS 17u

/* The profile that leaves bands as they are, changed, its digest set right or not. */
static void parse_profile(struct source *source)
{
    static struct skybook_profile profile;
    uint8_t file[PROFILE_HEAD + 3 + PROFILE_BANDS * (4 + 2 * PROFILE_BANDS)] = "SKYP\x01";
    const size_t rest = sizeof(file) - PROFILE_HEAD;
    skybook_put32(file + 8, (uint32_t)rest);
    file[PROFILE_HEAD + 1] = PROFILE_BANDS;
    file[PROFILE_HEAD + 2] = 14;
    for (uint32_t band = 0; band < PROFILE_BANDS; band++) {
        file[PROFILE_HEAD + 3 + 4 * PROFILE_BANDS + 2 * band * (PROFILE_BANDS + 1)] = 0x40;
    }
    const bool sealed = byte_of(source) < 224;
    const size_t length = edit(source, file, sizeof(file));
    if (sealed && length > PROFILE_HEAD) {
        skybook_put32(file + 8, (uint32_t)(length - PROFILE_HEAD));
        skybook_sha256(file + PROFILE_HEAD, length - PROFILE_HEAD, file + 12);
    }
    if (skybook_read_profile(&profile, file, length) == SKYBOOK_OK) {
        expect(length == sizeof(file) && profile.bands == PROFILE_BANDS, "a profile is whole");
    }
}
#endif

static void remove_map(void)
{
    remove(map_name);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    const char *wanted = "";
    for (int i = 1; i < *count; i++) {
        wanted = strncmp((*arguments)[i], "--parser=", 9) == 0 ? (*arguments)[i] + 9 : wanted;
    }
    find_names();
    make_recording();
    parse = strcmp(wanted, "scene") == 0      ? parse_scene
            : strcmp(wanted, "command") == 0  ? parse_command
            : strcmp(wanted, "recorded") == 0 ? parse_recorded
            : strcmp(wanted, "map") == 0      ? parse_map
                                              : NULL;
#if SKYBOOK_GROUPS > 1
    parse = strcmp(wanted, "profile") == 0 ? parse_profile : parse;
#endif
    expect(parse != NULL, "--parser=scene, command, recorded, map or, built for cubes, profile");
    if (parse == parse_map) {
        const int made = mkstemp(map_name);
        expect(made >= 0 && close(made) == 0 && atexit(remove_map) == 0, "there is room for a map");
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct source source = {bytes, length};
    parse(&source);
    return 0;
}

#endif
