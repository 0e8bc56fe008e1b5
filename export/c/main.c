/* Command line: raw lines to a stream.
 *
 * Exit codes: 0 ok, 1 internal, 2 usage, 3 bad input, 5 memory changed, 6 limit exceeded. */
#include "posix.h"

#ifdef SKYBOOK_POSIX
#include <sys/stat.h>
#include <unistd.h>
#endif
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "beside.h"
#include "command.h"
#include "disk.h"
#include "input.h"
#include "parts.h"
#include "profilefile.h"
#include "recorded.h"
#include "threads.h"

static struct skybook_encoder encoder;
static uint16_t samples[SKYBOOK_SCENE_BANDS * SKYBOOK_MAX_WIDTH];
static bool beside; /* whether a thread reads and writes */

static int fail(enum skybook_status status, const char *text)
{
    fprintf(stderr, "error %d: %s\n", (int)status, text);
    return status == SKYBOOK_ERROR_INTERNAL ? 1 : (int)status / 100;
}

/* Whether a bound is of each band, but of more or fewer than there are. */
static bool miscounts(const struct skybook_bound *bound)
{
    return bound->count > 1 && bound->count != encoder.options.bands;
}

/* What is wrong with bounds on the error, NULL if it is not they. */
static const char *fault_of_bounds(void)
{
    const struct skybook_options *options = &encoder.options;
    bool wrong = miscounts(&options->max_error);
    for (uint32_t i = 0; i < options->boxes && i < SKYBOOK_MAX_BOXES; i++) {
        wrong = wrong || miscounts(&options->box[i].bound);
    }
    if (wrong) {
        return "bound: expected one, or one for each of --bands (of a mosaic: of its four planes)";
    }
    return options->max_error.count > 0 && (options->boxes > 0 || options->trellis)
               ? "--max-error: expected neither --trellis nor --region-max-error beside it"
               : NULL;
}

static const char *meaning(enum skybook_status status)
{
    if (status == SKYBOOK_ERROR_LIMIT && encoder.options.width > SKYBOOK_MAX_WIDTH) {
        return "limit: more columns than this build takes; make MACROS=-DSKYBOOK_MAX_WIDTH=N";
    }
#if SKYBOOK_SMALL
    if (status == SKYBOOK_ERROR_LIMIT && encoder.options.significant_bits > SKYBOOK_SAMPLE_BITS) {
        return "limit: samples of more bits than this build holds; --significant-bits 12 if they have no "
               "more, else make MACROS=\"-DSKYBOOK_SMALL=1 -DSKYBOOK_SAMPLE_BITS=16\"";
    }
    if (status == SKYBOOK_ERROR_LIMIT && encoder.options.bands == 1 && SKYBOOK_LARGE_BANDS == 0) {
        return "limit: this build takes no scenes of one band; make MACROS with -DSKYBOOK_LARGE_BANDS=1";
    }
#endif
    if (status == SKYBOOK_ERROR_USAGE && encoder.options.bands > SKYBOOK_SCENE_BANDS) {
        return encoder.options.bands > SKYBOOK_MOST_GROUPED
                   ? "options: more bands than this build takes; make MACROS=-DSKYBOOK_CUBE_BANDS=N"
                   : "options: more bands than this build takes; make MACROS=-DSKYBOOK_MAX_BANDS=N";
    }
    if (status == SKYBOOK_ERROR_USAGE && fault_of_bounds() != NULL) {
        return fault_of_bounds();
    }
#if SKYBOOK_GROUPS > 1
    if (status == SKYBOOK_ERROR_INPUT && encoder.options.profile != NULL && encoder.lines == 0) {
        return "profile: made for other bands than --bands, or its means are no samples of this scene";
    }
    if (status == SKYBOOK_ERROR_USAGE && encoder.options.profile != NULL) {
        return "options: with --profile expected more than 16 bands, neither a bound on the error nor "
               "--quality-block; or a value out of range, see --help";
    }
#endif
    if (status == SKYBOOK_ERROR_LIMIT && encoder.options.budget > 0) {
        return "limit: --bytes are too few for the coarsest step, or a strip is too large";
    }
    switch (status) {
    case SKYBOOK_ERROR_USAGE:
        return "options: a value out of range, or segments too short; see --help";
    case SKYBOOK_ERROR_INPUT:
        return "input: no lines, not as many as --lines, or samples beyond --significant-bits";
    case SKYBOOK_ERROR_MEMORY:
        return "memory: tables, options, lines or latents are not what was put there; this row of "
               "tiles was not written";
    case SKYBOOK_ERROR_LIMIT:
        return SKYBOOK_SMALL ? "limit: a width, a strip, packets, nodata or a way to code that this build has no room "
                               "for, or bytes that the coarsest step cannot do"
                             : "limit: a width, a strip or bytes that this build or the coarsest step cannot do";
    case SKYBOOK_OK:
    case SKYBOOK_ERROR_INTERNAL:
    default:
        return "output: cannot be written, or a fault of this program";
    }
}

static int write_bytes(void *user, const uint8_t *bytes, size_t length)
{
    if (beside) {
        return skybook_write_behind(bytes, length) ? 0 : 1;
    }
    return fwrite(bytes, 1, length, *(FILE **)user) == length ? 0 : 1;
}

static const char *fault_of(enum skybook_line found)
{
    switch (found) {
    case LINE_STRAY:
        return "input: expected 0 in all bits after the last packed sample of a line: is --width "
               "another, or --packed?";
    case LINE_FAILED:
        return "input: cannot be read";
    case LINE_READ:
    case LINE_NONE:
    case LINE_CUT:
    default:
        return "input: ends within a line";
    }
}

/* How many lines to take at once: with a thread that reads, all but the last of a row of tiles, so that it reads those
 * of the next while these are coded. */
static uint32_t lines_wanted(void)
{
    const uint32_t left = encoder.form.tile - encoder.held;
    return beside && left > 1 ? left - 1 : 1;
}

/* Push all lines; `text` tells what is wrong with the input, if anything is. */
static enum skybook_status push_all(const struct skybook_command *command, FILE *file,
                                    FILE *output, struct skybook_roughness *roughness,
                                    const char **text)
{
    const uint32_t skipped = command->options.first_row * encoder.form.tile;
    const uint32_t width = command->options.width, bands = command->options.bands;
    const bool looks = command->packing == UNPACKED && skybook_sample_bytes(&command->options) == 2;
    struct skybook_input input;
    if (!skybook_open_input(&input, command, file)) {
        *text = "input: expected whole lines after --skip-bytes, in bsq a file of them; --line-bytes "
                "of what the samples take or more";
        return SKYBOOK_ERROR_INPUT;
    }
    const size_t apart = (size_t)input.rows * input.samples;
    uint32_t count = 1;
    beside = encoder.crew != NULL && skybook_start_beside(&input, command->options.height, output);
    for (uint64_t line = 0;; line += count) {
        if (command->options.height > 0 && line == command->options.height) {
            return SKYBOOK_OK;
        }
        enum skybook_line found = LINE_READ;
        count = line < skipped ? 1 : lines_wanted();
        const uint16_t *taken = beside ? skybook_next_lines(&count, &found) : samples;
        found = beside ? found : skybook_read_line(&input, line, samples);
        if (found == LINE_NONE) {
            return SKYBOOK_OK;
        }
        if (found != LINE_READ) {
            *text = fault_of(found);
            return SKYBOOK_ERROR_INPUT;
        }
        if (line < skipped) {
            continue;
        }
        for (uint32_t i = 0; i < count && looks; i++) {
            skybook_look(roughness, command, taken + i * apart);
        }
        const bool bip = command->layout == BIP && command->options.bayer == 0;
        const enum skybook_status status =
            skybook_push(&encoder, taken, count, bip ? 1 : width, apart, bip ? bands : 1);
        if (status != SKYBOOK_OK) {
            *text = meaning(status);
            return status;
        }
        if (encoder.held == 0 && !(beside ? skybook_hand_over() : skybook_begin_sync(output))) {
            *text = meaning(SKYBOOK_ERROR_INTERNAL);
            return SKYBOOK_ERROR_INTERNAL;
        }
    }
}

/* Whether a first byte can be read; it stays to be read. */
static bool begins(FILE *input)
{
    return ungetc(getc(input), input) != EOF;
}

/* Whether a name is that of the file which is read, by another spelling or a link. */
static bool is_input(FILE *input, const char *name)
{
#ifdef SKYBOOK_POSIX
    struct stat in, out;
    return strcmp(name, "-") != 0 && fstat(fileno(input), &in) == 0 && stat(name, &out) == 0 &&
           S_ISREG(in.st_mode) && in.st_dev == out.st_dev && in.st_ino == out.st_ino;
#else
    (void)input, (void)name; /* names that are spelled alike were refused already */
    return false;
#endif
}

/* Have more threads code tiles, if that was asked for. */
static enum skybook_status share(uint32_t threads)
{
    if (threads <= 1) {
        return SKYBOOK_OK;
    }
    const struct skybook_crew *crew = skybook_start_threads(threads);
    if (crew == NULL) {
        fputs("warning: --threads: no more can be started, so one does it all\n", stderr);
    }
    return skybook_share(&encoder, crew);
}

/* Gather what is written of a row where a line is put together as it is read: all is out before the next one is. */
static void gather(FILE *output)
{
    size_t size = 0;
    uint8_t *room = skybook_idle_room(&size);
    if (size > BUFSIZ) {
        setvbuf(output, (char *)room, _IOFBF, size);
    }
}

/* Encode; close the output. */
static int run(const struct skybook_command *command, FILE *input, FILE *output)
{
    const char *text = NULL;
    struct skybook_roughness roughness = {encoder.form.tile, 0, 0, 0, 0, 255, 0};
    enum skybook_status pushed = push_all(command, input, output, &roughness, &text);
    skybook_look_at_end(&roughness, command);
    if (pushed == SKYBOOK_OK) {
        pushed = skybook_finish(&encoder);
        text = meaning(pushed);
    } else if (encoder.status == SKYBOOK_OK) {
        skybook_cut(&encoder); /* what came is coded; why the rest did not is told already */
    }
    const bool written = !beside || skybook_end_beside();
    const bool synced = skybook_sync(output), closed = fclose(output) == 0;
    if (!(written & synced & closed) && pushed == SKYBOOK_OK) {
        pushed = SKYBOOK_ERROR_INTERNAL;
        text = meaning(pushed);
    }
    if (pushed != SKYBOOK_OK) {
        return fail(pushed, text);
    }
    if (!skybook_report(command, &encoder)) {
        return fail(SKYBOOK_ERROR_INTERNAL, "stdout: cannot be written");
    }
    return 0;
}

#ifdef SKYBOOK_POSIX
/* Cut a file that is open to some bytes, and go to its end. */
static bool shorten(FILE *file, uint64_t bytes)
{
    const int cut = ftruncate(fileno(file), (off_t)bytes);
    return cut == 0 ? fseek(file, 0, SEEK_END) == 0 : false;
}
#endif

/* Open the output: a new file, or one to go on in, whose extent goes into `options`. NULL with what is
 * wrong. */
static FILE *open_output(const char *name, bool resume, struct skybook_options *options,
                         const char **text)
{
    FILE *output = strcmp(name, "-") == 0 ? stdout : fopen(name, resume ? "r+b" : "wb");
    *text = "output: expected a place to write to, or with --resume a file to go on in";
    if (output == NULL) {
        return NULL;
    }
    gather(output);
    if (!resume) {
        return output;
    }
#ifdef SKYBOOK_POSIX
    *text = "output: expected packets of this scene, in such tiles and without its end, to go on with";
    if (skybook_read_recorded(output, options) && shorten(output, options->spent)) {
        return output;
    }
#else
    (void)options;
#endif
    fclose(output);
    return NULL;
}

#if SKYBOOK_GROUPS > 1
/* Read the profile, if there is one; the encoder, which is not begun yet, has room for its file. */
static enum skybook_status take_profile(struct skybook_command *command)
{
    static struct skybook_profile profile;
    if (command->profile == NULL) {
        return SKYBOOK_OK;
    }
    command->options.profile = &profile;
    return skybook_load_profile(command->profile, &profile, (uint8_t *)encoder.samples, sizeof(encoder.samples));
}
#endif

int main(int count, char **arguments)
{
    struct skybook_command command;
    FILE *output = NULL;
    const char *text = NULL;
    const bool alone = count == 2, quick = count == 3 && strcmp(arguments[2], "--quick") == 0;
    if (alone && strcmp(arguments[1], "selftest") == 0) {
        return skybook_selftest_command(&encoder);
    }
    if ((alone || quick) && strcmp(arguments[1], "bench") == 0) {
        return skybook_bench_command(&encoder, quick);
    }
    if (!skybook_parse(&command, count, arguments)) {
        fputs(skybook_usage, stderr);
        return 2;
    }
    if (command.help) {
        return fputs(skybook_usage, stdout) >= 0 && fclose(stdout) == 0 ? 0 : 1;
    }
    enum skybook_status status = SKYBOOK_OK;
#if SKYBOOK_GROUPS > 1
    status = take_profile(&command);
    if (status != SKYBOOK_OK) {
        return fail(status, status == SKYBOOK_ERROR_LIMIT ? "profile: of more bands than this build takes; make "
                                                            "MACROS=-DSKYBOOK_CUBE_BANDS=N"
                                                          : "profile: damaged, or not found");
    }
#endif
    status = skybook_init(&encoder, &command.options, write_bytes, &output);
    if (status != SKYBOOK_OK) {
        return fail(status, meaning(status));
    }
    /* The output is opened last, so that a fault found before leaves what it holds. */
    FILE *input = strcmp(command.input, "-") == 0 ? stdin : fopen(command.input, "rb");
    if (input == NULL || !begins(input)) {
        return fail(SKYBOOK_ERROR_INPUT, "input: cannot be read, or is empty");
    }
    if (is_input(input, command.output)) {
        return fail(SKYBOOK_ERROR_USAGE, "output: expected another file than the input");
    }
    output = open_output(command.output, command.resume, &command.options, &text);
    if (output == NULL) {
        return fail(SKYBOOK_ERROR_USAGE, text);
    }
    if (command.resume) {
        status = skybook_init(&encoder, &command.options, write_bytes, &output);
    }
    status = status == SKYBOOK_OK ? share(command.threads) : status;
    return status == SKYBOOK_OK ? run(&command, input, output) : fail(status, meaning(status));
}
