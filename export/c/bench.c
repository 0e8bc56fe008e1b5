/* Self test and benchmark on a board: JSON that `python -m benchmarks board-report --board` takes. */
#define _DEFAULT_SOURCE
#include "posix.h"

#ifdef SKYBOOK_POSIX
#include <signal.h>
#include <sys/utsname.h>
#include <unistd.h>
#endif
#if defined(__linux__)
#include <linux/perf_event.h>
#include <sys/syscall.h>
#endif
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "selftest.h"

#define LINES (2u * SKYBOOK_TILE)
#define BANDS SKYBOOK_CLASSES
#define WIDTH SKYBOOK_MAX_WIDTH
#define RUNS 5
#define LEAST_SECONDS 0.5 /* of a run: it repeats until then */
#define STACK_BYTES (512u * 1024u)
#define PAINT 0xA5

/* Seconds of processor, and cycles where they are counted, of a pixel. */
struct cost {
    double seconds, cycles;
};

/* What counts cycles. */
struct counter {
    const char *name; /* NULL where nothing does */
    int file;
};

enum how { PLAIN, TRELLIS, LOSSLESS };

static uint16_t *image;
static struct skybook_encoder *tested;
static enum how signalled;
static bool encoded;

static int discard(void *user, const uint8_t *bytes, size_t length)
{
    (void)bytes;
    *(unsigned long *)user += (unsigned long)length;
    return 0;
}

/* Encode the image once; its bytes, 0 if it fails. */
static unsigned long encode(enum how how)
{
    struct skybook_options options;
    unsigned long bytes = 0;
    skybook_defaults(&options, WIDTH);
    options.packets = true;
    options.trellis = how == TRELLIS;
    options.max_error.count = how == LOSSLESS ? 1 : 0;
    skybook_init(tested, &options, discard, &bytes);
    skybook_push(tested, image, LINES, WIDTH, (size_t)BANDS * WIDTH, 1);
    return skybook_finish(tested) == SKYBOOK_OK ? bytes : 0;
}

/* Fill the image with golden tiles, one beside the other, each second one mirrored. */
static bool make_image(void)
{
    image = malloc(sizeof(*image) * BANDS * WIDTH * LINES);
    const size_t goldens = SKYBOOK_GOLDENS;
    size_t alike = 0; /* golden tiles of so many bands, which come first */
    while (alike < goldens && skybook_goldens[alike].bands == BANDS &&
           skybook_goldens[alike].max_error < 0) {
        alike++;
    }
    for (size_t i = 0; image != NULL && alike > 0 && i < (size_t)BANDS * WIDTH * LINES; i++) {
        const size_t col = i % WIDTH, band = i / WIDTH % BANDS, row = i / WIDTH / BANDS;
        const size_t number = (col / SKYBOOK_TILE + row / SKYBOOK_TILE) % alike;
        const struct skybook_golden *golden = &skybook_goldens[number];
        const size_t down = row % golden->rows, right = col % golden->cols;
        const size_t from = col / golden->cols % 2 == 1 ? golden->cols - 1u - right : right;
        image[i] = golden->samples[(band * golden->rows + down) * golden->cols + from];
    }
    return image != NULL && alike > 0;
}

static struct counter open_counter(void)
{
    struct counter counter = {NULL, -1};
#if defined(__linux__) && defined(SYS_perf_event_open)
    struct perf_event_attr attributes;
    memset(&attributes, 0, sizeof(attributes));
    attributes.size = sizeof(attributes);
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.config = PERF_COUNT_HW_CPU_CYCLES;
    attributes.exclude_kernel = 1;
    attributes.exclude_hv = 1;
    counter.file = (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0);
    if (counter.file >= 0) {
        counter.name = "perf_event, cycles of the processor";
        return counter;
    }
#endif
#if defined(__x86_64__) && defined(__GNUC__)
    counter.name = "time stamp counter, at its own rate";
#endif
    return counter;
}

static double count(const struct counter *counter)
{
#if defined(__linux__) && defined(SYS_perf_event_open)
    uint64_t cycles = 0;
    if (counter->file >= 0) {
        return read(counter->file, &cycles, sizeof(cycles)) == sizeof(cycles) ? (double)cycles : 0;
    }
#endif
#if defined(__x86_64__) && defined(__GNUC__)
    return counter->name == NULL ? 0 : (double)__builtin_ia32_rdtsc();
#else
    (void)counter;
    return 0;
#endif
}

/* Encode again and again for some time. */
static struct cost run(enum how how, const struct counter *counter, double least)
{
    struct cost cost = {0, 0};
    const double first = count(counter);
    const clock_t begun = clock();
    unsigned long times = 0;
    do {
        encode(how);
        times++;
        cost.seconds = (double)(clock() - begun) / CLOCKS_PER_SEC;
    } while (cost.seconds < least);
    const double pixels = (double)times * LINES * WIDTH;
    cost.cycles = (count(counter) - first) / pixels;
    cost.seconds /= pixels;
    return cost;
}

static int by_seconds(const void *one, const void *other)
{
    const double a = ((const struct cost *)one)->seconds, b = ((const struct cost *)other)->seconds;
    return (a > b) - (a < b);
}

static void print_speed(const char *name, enum how how, const struct counter *counter, bool quick)
{
    struct cost costs[RUNS];
    const int runs = quick ? 1 : RUNS;
    for (int i = 0; i < runs; i++) {
        costs[i] = run(how, counter, quick ? 0 : LEAST_SECONDS);
    }
    qsort(costs, (size_t)runs, sizeof(costs[0]), by_seconds);
    const struct cost *middle = &costs[runs / 2];
    printf("  \"%s\": {\"mpixel_per_s\": %.4f, \"lowest\": %.4f, \"highest\": %.4f, ", name,
           1e-6 / middle->seconds, 1e-6 / costs[runs - 1].seconds, 1e-6 / costs[0].seconds);
    if (counter->name != NULL) {
        printf("\"cycles_per_pixel\": %.1f, ", middle->cycles);
    } else {
        printf("\"cycles_per_pixel\": null, ");
    }
    printf("\"bytes\": %lu},\n", encode(how));
}

#if defined(SKYBOOK_POSIX) && defined(SA_ONSTACK)
static void on_stack(int number)
{
    (void)number;
    if (encoded) {
        encode(signalled);
    }
}

/* Bytes of stack that a handler of signals touches which encodes, or does not, on a stack that is
 * painted. */
static long touched(uint8_t *stack, bool encodes, enum how how)
{
    struct sigaction action, before;
    stack_t own, former;
    memset(&action, 0, sizeof(action));
    memset(&own, 0, sizeof(own));
    memset(stack, PAINT, STACK_BYTES);
    own.ss_sp = stack;
    own.ss_size = STACK_BYTES;
    action.sa_handler = on_stack;
    action.sa_flags = SA_ONSTACK;
    encoded = encodes;
    signalled = how;
    if (sigaltstack(&own, &former) != 0 || sigaction(SIGUSR1, &action, &before) != 0) {
        return -1;
    }
    raise(SIGUSR1);
    sigaction(SIGUSR1, &before, NULL);
    sigaltstack(&former, NULL);
    long clean = 0;
    while (clean < (long)STACK_BYTES && stack[clean] == PAINT) {
        clean++;
    }
    return (long)STACK_BYTES - clean;
}

/* The most stack that an encode takes, what a signal takes left aside; -1 where it is not known. */
static long peak_stack(void)
{
    uint8_t *stack = malloc(STACK_BYTES);
    long most = -1;
    if (stack != NULL) {
        const long empty = touched(stack, false, PLAIN);
        for (enum how how = PLAIN; how <= (SKYBOOK_BOUNDED ? LOSSLESS : TRELLIS); how++) {
            const long found = touched(stack, true, how);
            most = empty >= 0 && found - empty > most ? found - empty : most;
        }
    }
    free(stack);
    return most;
}
#else
static long peak_stack(void)
{
    return -1;
}
#endif

/* Print a text as JSON, without what JSON gives a meaning. */
static void print_text(const char *name, const char *text)
{
    printf("  \"%s\": \"", name);
    for (; *text != '\0'; text++) {
        putchar(*text >= ' ' && *text < 127 && *text != '"' && *text != '\\' ? *text : '_');
    }
    puts("\",");
}

/* What both commands tell first. */
static void print_head(const char *command)
{
    const uint8_t *tag = skybook_model;
    puts("{");
    puts("  \"schema\": 1,");
    print_text("command", command);
    print_text("bundle", SKYBOOK_NAME);
    printf("  \"tag\": \"%02x%02x%02x%02x\",\n", tag[0], tag[1], tag[2], tag[3]);
#ifdef SKYBOOK_POSIX
    struct utsname system;
    if (uname(&system) >= 0) {
        print_text("machine", system.machine);
        print_text("system", system.sysname);
        print_text("host", system.nodename);
    }
#endif
#ifdef __VERSION__
    print_text("compiler", __VERSION__);
#endif
}

/* End the JSON; the exit code. */
static int finish(bool passed)
{
    printf("  \"cube_bands\": %d,\n", SKYBOOK_CUBE_BANDS);
    printf("  \"most_bands\": %d,\n  \"large_bands\": %d,\n  \"golden_tiles\": %d,\n", SKYBOOK_MAX_BANDS,
           SKYBOOK_LARGE_BANDS, SKYBOOK_GOLDENS);
    printf("  \"passed\": %s\n}\n",
           passed ? "true" : "false");
    return fflush(stdout) != 0 ? 1 : passed ? 0 : SKYBOOK_ERROR_MEMORY / 100;
}

int skybook_selftest_command(struct skybook_encoder *encoder)
{
    const uint32_t passed = skybook_selftest(encoder);
    print_head("skybook selftest");
    printf("  \"passed_golden_tiles\": %d,\n", (int)passed);
    return finish(passed == SKYBOOK_GOLDENS);
}

int skybook_bench_command(struct skybook_encoder *encoder, bool quick)
{
    tested = encoder;
    if (!make_image()) {
        fputs("error 100: no memory for the image, or no golden tile in this build that it is made of\n", stderr);
        return 1;
    }
    const struct counter counter = open_counter();
    print_head("skybook bench");
    printf("  \"width\": %d,\n  \"lines\": %u,\n  \"bands\": %d,\n", WIDTH, LINES, BANDS);
    printf("  \"runs\": %d,\n  \"clock\": \"processor time of the C library\",\n", quick ? 1 : RUNS);
    if (counter.name != NULL) {
        print_text("cycles", counter.name);
    } else {
        puts("  \"cycles\": null,");
    }
    print_speed("plain", PLAIN, &counter, quick);
    print_speed("trellis", TRELLIS, &counter, quick);
    if (SKYBOOK_BOUNDED) {
        print_speed("lossless", LOSSLESS, &counter, quick);
    }
    const long stack = peak_stack();
    if (stack >= 0) {
        printf("  \"peak_stack_bytes\": %ld,\n", stack);
    } else {
        puts("  \"peak_stack_bytes\": null,");
    }
    printf("  \"state_bytes\": %lu,\n", (unsigned long)sizeof(*encoder));
    free(image);
    return finish(skybook_selftest(encoder) == SKYBOOK_GOLDENS);
}
