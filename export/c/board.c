/* An image for a bare Cortex-M7 that encodes a file of raw lines (u16, BIL, little-endian), by semihosting:
 * under an emulator, or a debugger. It shows what an encoder needs of a board, a static object and a line of
 * samples, and tells what it takes. Words of the command line: IN OUT, then NAME=NUMBER (see `set`). */
#include <string.h>

#include "skybook.h"

#if defined(__ARM_ARCH_PROFILE) && __ARM_ARCH_PROFILE == 'M'

#define PAINT 0xA5A5A5A5u
#define MOST_WORDS 256u
#define INSTRUCTIONS 40u /* a tick of mps2-an500 in qemu -icount shift=0: 25 MHz of a clock that counts them as ns */

enum { SYS_OPEN = 1, SYS_WRITE0 = 4, SYS_WRITE = 5, SYS_READ = 6, SYS_GET_CMDLINE = 21, SYS_EXIT_EXTENDED = 32 };
enum { MODE_READ = 1, MODE_WRITE = 5 };

/* Where the linker put what (board.ld). */
extern uint32_t board_stack[], board_stack_top[], board_data[], board_data_stop[], board_loaded[];
extern uint32_t board_zeros[], board_zeros_stop[], board_flash[];

/* The timer of the core. */
struct timer {
    uint32_t control, reload, value;
};
#define TIMER (*(volatile struct timer *)0xE000E010u)
#define TICKS 0xFFFFFFu

static struct skybook_encoder encoder;
static struct skybook_options options;
static uint16_t samples[SKYBOOK_MAX_BANDS * SKYBOOK_MAX_WIDTH];
static char words[MOST_WORDS];
static volatile uint32_t rounds; /* of the timer */

void board_start(void);
void board_fault(void);
void board_tick(void);

typedef void (*vector)(void);
__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    vector start, faults[13], tick;
} vectors = {board_stack_top,
             board_start,
             {board_fault, board_fault, board_fault, board_fault, board_fault, 0, 0, 0, 0, board_fault, board_fault,
              0, board_fault},
             board_tick};

static uintptr_t call(uintptr_t number, const void *block)
{
    register uintptr_t result __asm__("r0") = number;
    register const void *from __asm__("r1") = block;
    __asm__ volatile("bkpt 0xAB" : "+r"(result) : "r"(from) : "memory");
    return result;
}

static void leave(uintptr_t status)
{
    const uintptr_t block[2] = {0x20026u, status}; /* the application exits */
    for (;;) {
        call(SYS_EXIT_EXTENDED, block);
    }
}

void board_fault(void)
{
    call(SYS_WRITE0, "fault\n");
    leave(1);
}

void board_tick(void)
{
    rounds++;
}

static uint64_t ticks(void)
{
    uint32_t before = 0, value = 0;
    do { /* until none was full in between */
        before = rounds;
        value = TIMER.value;
    } while (before != rounds);
    return (uint64_t)before * (TICKS + 1u) + (TICKS - value);
}

static uintptr_t open_file(const char *name, uintptr_t mode)
{
    const uintptr_t block[3] = {(uintptr_t)name, mode, strlen(name)};
    return call(SYS_OPEN, block);
}

/* Whether all of so many bytes were read, or written. */
static bool move_bytes(uintptr_t number, uintptr_t file, const void *bytes, size_t length)
{
    const uintptr_t block[3] = {file, (uintptr_t)bytes, length};
    return call(number, block) == 0;
}

static int write_bytes(void *user, const uint8_t *bytes, size_t length)
{
    return move_bytes(SYS_WRITE, *(uintptr_t *)user, bytes, length) ? 0 : 1;
}

static void say(const char *before, uint64_t number, const char *after)
{
    char digits[21] = {0};
    size_t place = sizeof(digits) - 1;
    do {
        digits[--place] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    call(SYS_WRITE0, before);
    call(SYS_WRITE0, &digits[place]);
    call(SYS_WRITE0, after);
}

/* The next word, its end made 0. */
static char *next_word(char **rest)
{
    char *word = *rest, *end = word;
    while (*end != ' ' && *end != '\0') {
        end++;
    }
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

/* Take NAME=NUMBER; false if it is none of these. */
static bool set(const char *word)
{
    const char *equals = strchr(word, '=');
    uint32_t value = 0;
    for (const char *c = equals; c != NULL && c[1] != '\0'; c++) {
        if (c[1] < '0' || c[1] > '9') {
            return false;
        }
        value = 10 * value + (uint32_t)(c[1] - '0');
    }
    const size_t length = equals == NULL ? 0 : (size_t)(equals - word);
#define IS(name) (length == sizeof(name) - 1 && memcmp(word, name, length) == 0)
    if (IS("width")) {
        options.width = value;
    } else if (IS("bands")) {
        options.bands = (uint16_t)value;
    } else if (IS("bits")) {
        options.significant_bits = (uint8_t)value;
    } else if (IS("ratio")) { /* in hundredths */
        options.ratio = (double)value / 100;
    } else if (IS("step")) {
        options.step_code = (int16_t)value;
    } else if (IS("psnr")) { /* in hundredths of a dB */
        options.quality = (uint16_t)value;
        options.ratio = 0;
    } else if (IS("maxerror")) {
        options.max_error.count = 1;
        options.max_error.each[0] = (uint16_t)value;
    } else if (IS("nodata")) {
        options.has_nodata = true;
        options.nodata = (uint16_t)value;
    } else if (IS("trellis")) {
        options.trellis = value != 0;
    } else if (IS("packets")) {
        options.packets = value != 0;
    } else {
        return false;
    }
#undef IS
    return true;
}

/* Bytes of stack that were ever in use. */
static size_t touched(void)
{
    const uint32_t *word = board_stack;
    while (word < board_stack_top && *word == PAINT) {
        word++;
    }
    return (size_t)(board_stack_top - word) * sizeof(*word);
}

static void report(uint64_t instructions)
{
    const size_t data = (size_t)(board_data_stop - board_data) * sizeof(uint32_t);
    const size_t flash = (size_t)(board_loaded - board_flash) * sizeof(uint32_t) + data;
    const uint64_t pixels = (uint64_t)encoder.lines * options.width;
    say("{\"lines\": ", encoder.lines, "");
    say(", \"bytes\": ", encoder.bytes, "");
    say(", \"flash_bytes\": ", flash, "");
    say(", \"ram_bytes\": ", (size_t)(board_zeros_stop - board_stack) * sizeof(uint32_t), "");
    say(", \"encoder_bytes\": ", sizeof(encoder), "");
    say(", \"stack_bytes\": ", touched(), "");
    say(", \"instructions_per_pixel\": ", pixels > 0 ? instructions / pixels : 0, "}\n");
}

static enum skybook_status encode(void)
{
    uintptr_t block[2] = {(uintptr_t)words, sizeof(words)};
    char *rest = words;
    if (call(SYS_GET_CMDLINE, block) != 0) {
        return SKYBOOK_ERROR_USAGE;
    }
    skybook_defaults(&options, SKYBOOK_MAX_WIDTH);
    const char *input_name = next_word(&rest), *output_name = next_word(&rest);
    while (*rest != '\0') {
        if (!set(next_word(&rest))) {
            return SKYBOOK_ERROR_USAGE;
        }
    }
    uintptr_t input = open_file(input_name, MODE_READ), output = open_file(output_name, MODE_WRITE);
    const size_t width = options.width, line = options.bands * width;
    if (input == UINTPTR_MAX || output == UINTPTR_MAX) {
        return SKYBOOK_ERROR_INPUT;
    }
    enum skybook_status status = skybook_init(&encoder, &options, write_bytes, &output);
    uint64_t spent = 0;
    while (status == SKYBOOK_OK && move_bytes(SYS_READ, input, samples, line * sizeof(samples[0]))) {
        const uint64_t begun = ticks();
        status = skybook_push(&encoder, samples, 1, width, line, 1);
        spent += ticks() - begun;
    }
    if (status == SKYBOOK_OK) {
        const uint64_t begun = ticks();
        status = skybook_finish(&encoder);
        spent += ticks() - begun;
    }
    report(spent * INSTRUCTIONS);
    return status;
}

void board_start(void)
{
    memcpy(board_data, board_loaded, (size_t)(board_data_stop - board_data) * sizeof(uint32_t));
    memset(board_zeros, 0, (size_t)(board_zeros_stop - board_zeros) * sizeof(uint32_t));
    uint32_t here = 0;
    for (volatile uint32_t *word = board_stack; word + 16 < &here; word++) { /* what is below is free */
        *word = PAINT;
    }
    TIMER.reload = TICKS;
    TIMER.value = 0;
    TIMER.control = 7; /* of the core's clock, with an interrupt */
    const enum skybook_status status = encode();
    if (status != SKYBOOK_OK) {
        say("error ", (uint64_t)status, "\n");
    }
    leave(status == SKYBOOK_ERROR_INTERNAL ? 1 : (uintptr_t)status / 100);
}

#endif
