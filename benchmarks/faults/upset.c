/* A bit flipped in the running encoder, again and again: what became of each stream.
 *
 * usage: upset IMAGE WIDTH LINES RATIO TRELLIS BOUND FOLDER < FLIPS
 * IMAGE: raw u16 lines (BIL). BOUND: DN that samples may be off instead of a ratio, or -1. FLIPS: lines
 * of `KIND PLACE BIT INSTANT`, KIND s for the state of the encoder or t for its tables, PLACE a byte
 * of that. The encoder's sources are built with
 * -fsanitize-coverage=trace-pc, so that each basic block of them calls __sanitizer_cov_trace_pc: an
 * instant is the number of such blocks begun before. So the same flip comes to the same again.
 *
 * First line of output: blocks of an undisturbed run, bytes of the state, bytes of the tables. Then
 * a line for each flip, `NAME OUTCOME`: where it was, and same, crash, hang (as many blocks again as
 * FOREVER runs), error STATUS if what was written until then is a beginning of the undisturbed
 * stream, and else differs STATUS, the stream being FOLDER/NUMBER.pkt, from 0 on. The undisturbed
 * one is FOLDER/reference.pkt. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "skybook.h"

#define FOREVER 20
#define MOST (1u << 24)
#define HUNG 9

struct region {
    const char *name;
    const volatile void *at;
    size_t size;
};

/* What a child leaves for its parent. */
struct outcome {
    enum skybook_status status;
    size_t length;
    uint8_t stream[MOST];
};

static struct skybook_encoder encoder;

#define STATE(field) {#field, &encoder.field, sizeof(encoder.field)},
static const struct region state[] = {
    STATE(options) STATE(form) STATE(head) STATE(tiles) STATE(samples) STATE(upper) STATE(sums)
    STATE(work.room) STATE(work.scratch) STATE(work.dc) STATE(work.known) STATE(work.layer)
    STATE(work.side) STATE(work.symbols) STATE(work.costs) STATE(work.before) STATE(work.nodata)
    STATE(work) STATE(search) STATE(pieces) STATE(strip)
    {"other", &encoder, sizeof(encoder)}};

#define TABLE(name) {#name, skybook_##name, sizeof(skybook_##name)},
static const struct region lossy[] = {SKYBOOK_TABLES(TABLE)};
static const struct region tables[] = {
    SKYBOOK_TABLES(TABLE)
#if SKYBOOK_BOUNDED
    SKYBOOK_BOUNDED_TABLES(TABLE)
#endif
};
#define COUNT(regions) (sizeof(regions) / sizeof((regions)[0]))

static uint64_t blocks, instant, last;
static volatile uint8_t *target;
static uint8_t mask;

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
    if (blocks == instant && target != NULL) {
        *target = (uint8_t)(*target ^ mask);
    }
    if (blocks == last) {
        _exit(HUNG);
    }
    blocks++;
}

static uint16_t *image;
static uint32_t width, lines;
static double ratio;
static bool trellis;
static long bound;

static int keep(void *user, const uint8_t *bytes, size_t length)
{
    struct outcome *outcome = user;
    if (length > MOST - outcome->length) {
        return 1;
    }
    memcpy(outcome->stream + outcome->length, bytes, length);
    outcome->length += length;
    return 0;
}

static void encode(struct outcome *outcome)
{
    struct skybook_options options;
    skybook_defaults(&options, width);
    options.packets = true;
    options.packet_control = true;
    options.ratio = ratio;
    options.trellis = trellis;
    if (bound >= 0) {
        options.max_error.count = 1;
        options.max_error.each[0] = (uint16_t)bound;
    }
    options.scene_id = 7;
    outcome->length = 0;
    blocks = 0;
    enum skybook_status status = skybook_init(&encoder, &options, keep, outcome);
    const size_t line = (size_t)SKYBOOK_MAX_BANDS * width;
    for (uint32_t row = 0; row < lines && status == SKYBOOK_OK; row++) {
        status = skybook_push(&encoder, image + row * line, 1, width, 0, 1);
    }
    outcome->status = status == SKYBOOK_OK ? skybook_finish(&encoder) : status;
}

/* Where a byte of the state or of the tables is, and in what. */
static volatile uint8_t *find(char kind, size_t place, const char **name)
{
    if (kind == 't') {
        size_t table = 0;
        while (place >= tables[table].size) {
            place -= tables[table++].size;
        }
        *name = tables[table].name;
        return (volatile uint8_t *)(uintptr_t)tables[table].at + place;
    }
    volatile uint8_t *at = (volatile uint8_t *)&encoder + place;
    size_t region = 0;
    while (at < (const volatile uint8_t *)state[region].at ||
           at >= (const volatile uint8_t *)state[region].at + state[region].size) {
        region++;
    }
    *name = state[region].name;
    return at;
}

static bool allow_writing(volatile uint8_t *at)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    return mprotect((void *)((uintptr_t)at / page * page), page, PROT_READ | PROT_WRITE) == 0;
}

static bool save(const char *folder, const char *name, const struct outcome *outcome)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.pkt", folder, name);
    FILE *file = fopen(path, "wb");
    const bool written = file != NULL &&
                         fwrite(outcome->stream, 1, outcome->length, file) == outcome->length;
    return file != NULL && fclose(file) == 0 && written;
}

/* Encode in a process of its own, a bit being flipped. */
static int run(struct outcome *outcome)
{
    int ended = 0;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        encode(outcome);
        _exit(0);
    }
    return child > 0 && waitpid(child, &ended, 0) == child ? ended : -1;
}

int main(int count, char **arguments)
{
    struct outcome *outcome = mmap(NULL, sizeof(*outcome), PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static struct outcome reference;
    size_t in_tables = 0, place = 0, number = 0;
    unsigned bit = 0;
    unsigned long long when = 0;
    char kind = 0, name[32];
    if (count != 8 || outcome == MAP_FAILED) {
        return 2;
    }
    width = (uint32_t)strtoul(arguments[2], NULL, 10);
    lines = (uint32_t)strtoul(arguments[3], NULL, 10);
    ratio = strtod(arguments[4], NULL);
    trellis = strcmp(arguments[5], "1") == 0;
    bound = strtol(arguments[6], NULL, 10);
    const size_t samples = (size_t)SKYBOOK_MAX_BANDS * width * lines;
    FILE *file = fopen(arguments[1], "rb");
    image = malloc(samples * sizeof(*image));
    if (file == NULL || image == NULL || fread(image, sizeof(*image), samples, file) != samples) {
        return 3;
    }
    fclose(file);
    last = UINT64_MAX;
    encode(&reference);
    if (reference.status != SKYBOOK_OK || !save(arguments[7], "reference", &reference)) {
        return 1;
    }
    const size_t used = bound >= 0 ? COUNT(tables) : COUNT(lossy);
    for (size_t i = 0; i < used; i++) {
        in_tables += tables[i].size;
    }
    printf("%llu %zu %zu\n", (unsigned long long)blocks, sizeof(encoder), in_tables);
    last = FOREVER * blocks;
    while (scanf(" %c %zu %u %llu", &kind, &place, &bit, &when) == 4) {
        const char *region = NULL;
        target = find(kind, place, &region);
        mask = (uint8_t)(1u << bit);
        instant = when;
        if (kind == 't' && !allow_writing(target)) {
            return 1;
        }
        const int ended = run(outcome);
        const bool begins = outcome->length <= reference.length &&
                            memcmp(outcome->stream, reference.stream, outcome->length) == 0;
        printf("%s ", region);
        if (WIFSIGNALED(ended)) {
            printf("crash\n");
        } else if (WEXITSTATUS(ended) == HUNG) {
            printf("hang\n");
        } else if (begins && outcome->status != SKYBOOK_OK) {
            printf("error %d\n", (int)outcome->status);
        } else if (begins && outcome->length == reference.length) {
            printf("same\n");
        } else {
            snprintf(name, sizeof(name), "%zu", number);
            printf("differs %d\n", (int)outcome->status);
            if (!save(arguments[7], name, outcome)) {
                return 1;
            }
        }
        number++;
    }
    return 0;
}
