#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"
#include "qualityfile.h"
#include "threads.h"

#define PROTECT_ROOM 42 /* bytes by which protect makes the longest packet longer */
#define CONTROL_BYTES 2
#define WORD 8 /* a word that an option takes, at most, and its end */
#define MOST_BYTES ((uint64_t)1 << 40)
#define MOST_BOUND 32767
#define ROOT_DIGITS 6 /* after the point */
#define MILLION 1000000u

const char *const skybook_usage =
    "usage: skybook INPUT -o OUTPUT --width N [options]\n"
    "       skybook selftest         golden tiles of the bundle; JSON, exit code 5 if one differs\n"
    "       skybook bench [--quick]  speed, cycles and stack on this machine; JSON\n"
    "INPUT: raw samples, - for stdin. OUTPUT: .pkt space packets, else segments; - for stdout\n"
    "  --bands N               of the scene (4, or as many as this build takes)\n"
    "  --layout bil|bip|bsq    order of the samples (bil); bsq only from a file\n"
    "  --byte-order little|big of the samples (little)\n"
    "  --dtype u16|u8|i16|i8   type of a sample (u16)\n"
    "  --packed be10|be12|le10|le12|mipi10|mipi12\n"
    "                          u16 of 10 or 12 bits without gaps: the first sample in the highest\n"
    "                          bits of a big-endian number, or in the lowest of a little-endian one;\n"
    "                          as CSI-2 RAW10 and RAW12: high 8 bits of each, then a byte of low ones\n"
    "  --bayer rggb|bggr|grbg|gbrg\n"
    "                          the one band is a mosaic of such cells of 2 x 2 samples\n"
#if SKYBOOK_GROUPS > 1
    "  --profile FILE          spectral profile\n"
#endif
    "  --tile N                rows and columns of tiles of up to 4 bands, 64..128 by 8, of one to 256\n"
    "                          (of 1 to 3, 4 with --trellis: large, even, if there is room)\n"
    "  --skip-bytes N          bytes before the first line (0)\n"
    "  --line-skip N           bytes at the start of each line (0)\n"
    "  --line-bytes N          bytes from the start of a line (of one band; in bip of all) to that of\n"
    "                          the next (what its samples take)\n"
    "  --nodata V              value that means: no data here\n"
    "  --significant-bits N    bits of a sample in use (all)\n"
    "  --ratio R               raw bytes over bytes (20.48)\n"
    "  --bytes N --lines N     bytes of the whole stream, of so many lines, instead\n"
    "  --step-code N           one step, 0..255, for all tiles instead\n"
    "  --psnr P, --rmse E      dB of peak 65535, or DN, aimed at; ratio or bytes beside it are bounds\n"
    "  --quality-block 64|32|16  pixels of a side of blocks that each are to have it\n"
    "  --quality-map FILE      u16 of each block: hundredths of dB; 0: --psnr, 65535: lossless\n"
    "  --max-error D           DN that no sample is off by more than, instead: 0 is lossless; D1,D2,...\n"
    "                          of each band; sqrt:K is K times the root of the sample\n"
    "  --region-max-error X0,Y0,X1,Y1 D\n"
    "                          such a bound for the tiles that touch a box of pixels (of a mosaic: of\n"
    "                          cells; X1, Y1 not included), within the rate of the rest; up to 8\n"
    "  --segment-bytes N       most bytes of a segment (1088)\n"
    "  --one-layer             one layer to a segment\n"
    "  --trellis               choose indices along a trellis: smaller, but slower\n"
    "  --scene-id N            0..65535 (0)\n"
    "  --run N                 1..16777215: tells it from other encodings of the scene id\n"
    "                          (chosen by options and first lines)\n"
    "  --start-time S.F        of line 0: seconds since 1958-01-01 TAI and 1/65536 s, as S or S.F\n"
    "  --packets               space packets whatever the name of OUTPUT\n"
    "  --packet-bytes N        most bytes of a packet (1102)\n"
    "  --protect-room          leave room in --packet-bytes for what protect adds, 42 bytes\n"
    "  --packet-control        end packets in a CRC-16\n"
    "  --apid N                application process (1)\n"
    "  --line-period N         nanoseconds from a line to the next (0)\n"
    "  --threads N             code tiles of a row in N threads, 1..64: the same bytes, sooner (1)\n"
    "  --json                  say what came of it as JSON: bytes, steps, expected PSNR\n"
    "  --first-packet N        packets formed before with this application process (0)\n"
    "  --resume                go on in OUTPUT, packets of the same scene, after a reset: the input\n"
    "                          comes again from its first line; the last row of tiles is done anew\n"
    "  --help                  show this\n"
    "Written and synced row of tiles by row of tiles, once tables and options are found unchanged.\n"
    "Exit codes: 0 ok, 1 output cannot be written, 2 options, 3 input (one that breaks off leaves a\n"
    "stream without its end), 5 memory changed while it ran, 6 a limit of this build or rate\n";

/* Read a whole number of `least` to `most`; false if it is none. */
static bool number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
    *value = 0;
    if (*text == '\0') {
        return false;
    }
    for (const char *c = text; *c != '\0'; c++) {
        if (*c < '0' || *c > '9' || *value > most / 10) {
            return false;
        }
        *value = 10 * *value + (uint64_t)(*c - '0');
    }
    return *value >= least && *value <= most;
}

/* Read numbers of up to `digits` digits with commas between; how many there are, 0 if that is not what it
 * is or there are more than `most`. */
static uint32_t read_numbers(const char *text, uint32_t digits, uint32_t most, uint32_t *values)
{
    uint32_t count = 0;
    for (;;) {
        uint32_t length = 0, value = 0;
        for (; *text >= '0' && *text <= '9' && length < digits; text++, length++) {
            value = 10 * value + (uint32_t)(*text - '0');
        }
        if (length == 0 || count == most) {
            return 0;
        }
        values[count++] = value;
        if (*text != ',') {
            return *text == '\0' ? count : 0;
        }
        text++;
    }
}

/* Read K of sqrt:K, in 1/256, rounded: up to three digits, and six after a point. */
static bool read_root(const char *text, struct skybook_bound *bound)
{
    char whole[4] = {0};
    uint32_t value = 0, part = 0, length = 0;
    while (length < 3 && text[length] >= '0' && text[length] <= '9') {
        whole[length] = text[length];
        length++;
    }
    if (read_numbers(whole, 3, 1, &value) == 0) {
        return false;
    }
    text += length;
    if (*text == '.') {
        const size_t digits = strlen(text + 1);
        if (read_numbers(text + 1, ROOT_DIGITS, 1, &part) == 0) {
            return false;
        }
        for (size_t i = digits; i < ROOT_DIGITS; i++) {
            part *= 10;
        }
    } else if (*text != '\0') {
        return false;
    }
    const uint64_t millionths = (uint64_t)value * MILLION + part;
    const uint64_t root = (2 * 256 * millionths + MILLION) / (2 * MILLION);
    bound->count = 1;
    bound->root = (uint16_t)(root & 0xFFFFu);
    return root >= 1 && root <= 65535;
}

/* Read a bound: D, D1,D2,... or sqrt:K. */
static bool read_bound(const char *text, struct skybook_bound *bound)
{
    uint32_t each[SKYBOOK_SCENE_BANDS] = {0};
    memset(bound, 0, sizeof(*bound));
    if (strncmp(text, "sqrt:", 5) == 0) {
        return read_root(text + 5, bound);
    }
    bound->count = (uint16_t)read_numbers(text, 5, SKYBOOK_SCENE_BANDS, each);
    uint32_t most = 0;
    for (uint32_t i = 0; i < bound->count; i++) {
        bound->each[i] = (uint16_t)(each[i] & 0xFFFFu);
        most = each[i] > most ? each[i] : most;
    }
    return bound->count > 0 && most <= MOST_BOUND;
}

/* Read a box and its bound. */
static bool read_box(const char *box, const char *bound, struct skybook_options *options)
{
    uint32_t sides[4] = {0};
    if (options->boxes == SKYBOOK_MAX_BOXES) {
        fputs("--region-max-error: more boxes than this build takes; make MACROS=-DSKYBOOK_MAX_BOXES=N\n",
              stderr);
        return false;
    }
    struct skybook_box *found = &options->box[options->boxes++];
    if (read_numbers(box, 8, 4, sides) != 4) {
        return false;
    }
    found->left = sides[0];
    found->top = sides[1];
    found->right = sides[2];
    found->bottom = sides[3];
    return found->left < found->right && found->top < found->bottom && read_bound(bound, &found->bound);
}

static bool read_time(const char *text, struct skybook_options *options)
{
    char seconds[16];
    uint64_t value = 0;
    const char *dot = strchr(text, '.');
    const size_t length = dot == NULL ? strlen(text) : (size_t)(dot - text);
    if (length >= sizeof(seconds)) {
        return false;
    }
    memcpy(seconds, text, length);
    seconds[length] = '\0';
    if (!number(seconds, 0, 0xFFFFFFFFu, &value)) {
        return false;
    }
    options->has_start_time = true;
    options->start_seconds = (uint32_t)value;
    if (dot != NULL && !number(dot + 1, 0, 65535, &value)) {
        return false;
    }
    options->start_fraction = dot == NULL ? 0 : (uint16_t)value;
    return true;
}

static bool read_ratio(const char *text, double *ratio)
{
    char *end = NULL;
    *ratio = strtod(text, &end);
    return end != text && *end == '\0' && *ratio > 0;
}

/* Take an option without a value; false if it is none. */
static bool take_flag(struct skybook_command *command, const char *name)
{
    struct skybook_options *options = &command->options;
    if (strcmp(name, "--one-layer") == 0) {
        options->one_layer = true;
    } else if (strcmp(name, "--trellis") == 0) {
        options->trellis = true;
    } else if (strcmp(name, "--protect-room") == 0) {
        command->protect_room = true;
    } else if (strcmp(name, "--json") == 0) {
        command->json = true;
    } else if (strcmp(name, "--packets") == 0) {
        options->packets = true;
    } else if (strcmp(name, "--packet-control") == 0) {
        options->packet_control = true;
    } else if (strcmp(name, "--resume") == 0) {
        command->resume = true;
    } else {
        return false;
    }
    return true;
}

/* The place of a word among some, `count` if it is none of them. */
static uint32_t place_of(const char *value, const char words[][WORD], uint32_t count)
{
    uint32_t place = 0;
    while (place < count && strcmp(value, words[place]) != 0) {
        place++;
    }
    return place;
}

/* Take an option whose value is one of some words; false if it is none, or has another. */
static bool take_word(struct skybook_command *command, const char *name, const char *value)
{
    static const char layouts[][WORD] = {"bil", "bip", "bsq"};
    static const char types[][WORD] = {"u8", "u16", "i16", "i8"};
    static const char packings[][WORD] = {"be10", "be12", "le10", "le12", "mipi10", "mipi12"};
    static const char patterns[][WORD] = {"rggb", "bggr", "grbg", "gbrg"};
    if (strcmp(name, "--layout") == 0) {
        command->layout = (enum skybook_layout)place_of(value, layouts, 3);
        return command->layout <= BSQ;
    }
    if (strcmp(name, "--dtype") == 0) {
        command->options.sample_type = (uint8_t)place_of(value, types, 4);
        return command->options.sample_type <= SKYBOOK_I8;
    }
    if (strcmp(name, "--packed") == 0) {
        command->packing = (enum skybook_packing)(1 + place_of(value, packings, 6));
        return command->packing <= MIPI12;
    }
    if (strcmp(name, "--bayer") == 0) {
        command->options.bayer = (uint8_t)(1 + place_of(value, patterns, 4));
        return command->options.bayer <= 4;
    }
    return false;
}

/* Read a value of no data, which may be below 0. */
static bool read_nodata(const char *text, struct skybook_options *options)
{
    uint64_t value = 0;
    const bool below = text[0] == '-';
    options->has_nodata = number(text + below, 0, below ? 32768 : 65535, &value);
    options->nodata = (uint16_t)((below ? 65536 - value : value) & 0xFFFFu);
    return options->has_nodata;
}

uint32_t skybook_packing_bits(enum skybook_packing packing)
{
    switch (packing) {
    case BE10:
    case LE10:
    case MIPI10:
        return 10;
    case BE12:
    case LE12:
    case MIPI12:
        return 12;
    case UNPACKED:
    default:
        return 8;
    }
}

/* Take an option with its value; false if there is no such option or value. */
static bool take_option(struct skybook_command *command, const char *name, const char *value)
{
    struct skybook_options *options = &command->options;
    uint64_t n = 0;
    if (strcmp(name, "-o") == 0) {
        command->output = value;
    } else if (strcmp(name, "--byte-order") == 0) {
        command->big_endian = strcmp(value, "big") == 0;
        return command->big_endian || strcmp(value, "little") == 0;
    } else if (strcmp(name, "--ratio") == 0) {
        return read_ratio(value, &options->ratio);
    } else if (strcmp(name, "--start-time") == 0) {
        return read_time(value, options);
    } else if (strcmp(name, "--width") == 0 && number(value, 1, 1u << 24, &n)) {
        options->width = (uint32_t)n;
    } else if (strcmp(name, "--bands") == 0 && number(value, 1, 1024, &n)) {
        options->bands = (uint16_t)n;
    } else if (strcmp(name, "--tile") == 0 && number(value, 8, 256, &n)) {
        options->tile = (uint16_t)n;
    } else if (strcmp(name, "--nodata") == 0) {
        return read_nodata(value, options);
    } else if (strcmp(name, "--skip-bytes") == 0 && number(value, 0, MOST_BYTES, &n)) {
        command->skip_bytes = n;
    } else if (strcmp(name, "--line-skip") == 0 && number(value, 0, MOST_BYTES, &n)) {
        command->line_skip = n;
    } else if (strcmp(name, "--line-bytes") == 0 && number(value, 1, MOST_BYTES, &n)) {
        command->line_bytes = n;
    } else if (strcmp(name, "--significant-bits") == 0 && number(value, 1, 16, &n)) {
        options->significant_bits = (uint8_t)n;
    } else if (strcmp(name, "--bytes") == 0 && number(value, 1, (uint64_t)1 << 38, &n)) {
        options->budget = n;
    } else if (strcmp(name, "--lines") == 0 && number(value, 1, 1u << 24, &n)) {
        options->height = (uint32_t)n;
    } else if (strcmp(name, "--step-code") == 0 && number(value, 0, 255, &n)) {
        options->step_code = (int16_t)n;
    } else if (strcmp(name, "--psnr") == 0 && skybook_read_psnr(options, value)) {
        return true;
    } else if (strcmp(name, "--rmse") == 0 && skybook_read_rmse(options, value)) {
        return true;
    } else if (strcmp(name, "--quality-block") == 0 && number(value, 16, 64, &n)) {
        options->quality_block = (uint8_t)n;
    } else if (strcmp(name, "--quality-map") == 0) {
        command->quality_map = value;
#if SKYBOOK_GROUPS > 1
    } else if (strcmp(name, "--profile") == 0) {
        command->profile = value;
#endif
    } else if (strcmp(name, "--max-error") == 0 && read_bound(value, &options->max_error)) {
        return true;
    } else if (strcmp(name, "--segment-bytes") == 0 && number(value, 0, 65551, &n)) {
        options->segment_bytes = (uint32_t)n;
    } else if (strcmp(name, "--scene-id") == 0 && number(value, 0, 65535, &n)) {
        options->scene_id = (uint16_t)n;
    } else if (strcmp(name, "--run") == 0 && number(value, 1, 0xFFFFFF, &n)) {
        options->run = (uint32_t)n;
    } else if (strcmp(name, "--packet-bytes") == 0 && number(value, 0, 65535, &n)) {
        options->packet_bytes = (uint32_t)n;
    } else if (strcmp(name, "--threads") == 0 && number(value, 1, SKYBOOK_MOST_THREADS, &n)) {
        command->threads = (uint32_t)n;
    } else if (strcmp(name, "--apid") == 0 && number(value, 0, 2046, &n)) {
        options->apid = (uint16_t)n;
    } else if (strcmp(name, "--first-packet") == 0 && number(value, 0, 0x7FFFFFFFu, &n)) {
        options->first_packet = (uint32_t)n;
    } else if (strcmp(name, "--line-period") == 0 &&
               number(value, 0, ((uint64_t)1 << 40) - 1, &n)) {
        options->line_period = n;
    } else {
        return take_word(command, name, value);
    }
    return true;
}

static bool ends_in_pkt(const char *name)
{
    const size_t length = strlen(name);
    return length >= 4 && strcmp(name + length - 4, ".pkt") == 0;
}

static bool is_rate(const char *name)
{
    return strcmp(name, "--ratio") == 0 || strcmp(name, "--bytes") == 0 ||
           strcmp(name, "--step-code") == 0 || strcmp(name, "--max-error") == 0;
}

/* Fill in the bits of samples, and the `usual` bands; from what is told of a mosaic to what is told of its planes. False
 * with a word on stderr if that does not go. */
static bool fill_in(struct skybook_command *command, uint16_t usual)
{
    struct skybook_options *options = &command->options;
    const bool small = options->sample_type == SKYBOOK_U8 || options->sample_type == SKYBOOK_I8;
    const bool packed = command->packing != UNPACKED;
    if (packed && options->sample_type != SKYBOOK_U16) {
        fputs("--packed: expected samples of u16\n", stderr);
        return false;
    }
    if (options->significant_bits == 0) {
        const uint32_t bits = packed ? skybook_packing_bits(command->packing) : small ? 8 : 16;
        options->significant_bits = (uint8_t)bits;
    }
    if (options->bayer > 0) {
        if (options->bands > 1) {
            fputs("--bayer: expected one band\n", stderr);
            return false;
        }
        options->bands = 4;
        if (options->width % 2 + options->height % 2 > 0) {
            fputs("--bayer: expected a --width, and --lines, that are even\n", stderr);
            return false;
        }
        options->width /= 2;
        options->height /= 2;
        options->line_period *= 2;
    }
    options->bands = options->bands == 0 ? usual : options->bands;
    return true;
}

/* Whether what was asked for fits together. */
static bool is_whole(const struct skybook_command *command)
{
    if (command->input == NULL || command->output == NULL || command->options.width == 0) {
        return false;
    }
    if (strcmp(command->input, command->output) == 0 && strcmp(command->input, "-") != 0) {
        fputs("OUTPUT: expected another file than INPUT\n", stderr);
        return false;
    }
    return true;
}

/* Read the map of qualities; where a quality is asked for and no rate, there is none. */
static bool take_quality(struct skybook_command *command, bool rated)
{
    struct skybook_options *options = &command->options;
    if (command->quality_map != NULL && !skybook_read_map(options, command->quality_map)) {
        fputs("--quality-map: expected a file of u16, a row of blocks after the other, and "
              "--quality-block\n", stderr);
        return false;
    }
    if (skybook_has_quality(options) && !rated) {
        options->ratio = 0;
    }
    return true;
}

bool skybook_parse(struct skybook_command *command, int count, char **arguments)
{
    const char *rate = NULL, *quality = NULL;
    memset(command, 0, sizeof(*command));
    skybook_defaults(&command->options, 0);
    const uint16_t usual = command->options.bands;
    command->options.significant_bits = 0; /* not told, nor bands */
    command->options.bands = 0;
    for (int i = 1; i < count; i++) {
        const char *name = arguments[i];
        if (strcmp(name, "--help") == 0) {
            command->help = true;
            return true;
        }
        if (strcmp(name, "--psnr") == 0 || strcmp(name, "--rmse") == 0) {
            if (quality != NULL && strcmp(quality, name) != 0) {
                fputs("rate: expected a PSNR or an RMSE, found both\n", stderr);
                return false;
            }
            quality = name;
        }
        if (is_rate(name)) {
            if (rate != NULL && strcmp(rate, name) != 0) {
                fprintf(stderr, "rate: expected one of a ratio, bytes, a step and a bound, found several\n");
                return false;
            }
            rate = name;
        }
        if (take_flag(command, name)) {
            continue;
        }
        if (name[0] != '-' || name[1] == '\0') {
            if (command->input != NULL) {
                return false;
            }
            command->input = name;
        } else if (i + 1 < count && take_option(command, name, arguments[i + 1])) {
            i++;
        } else if (i + 2 < count && strcmp(name, "--region-max-error") == 0 &&
                   read_box(arguments[i + 1], arguments[i + 2], &command->options)) {
            i += 2;
        } else {
            fprintf(stderr, "option %s: unknown, or its value is\n", name);
            return false;
        }
    }
    if (!is_whole(command) || !fill_in(command, usual) || !take_quality(command, rate != NULL)) {
        return false;
    }
    if (ends_in_pkt(command->output)) {
        command->options.packets = true;
    }
    if (command->protect_room) {
        struct skybook_options *options = &command->options;
        const uint32_t taken = options->packet_bytes % 2 + PROTECT_ROOM -
                               (options->packet_control ? CONTROL_BYTES : 0);
        options->packet_bytes -= taken < options->packet_bytes ? taken : options->packet_bytes;
    }
    if (command->resume && (!command->options.packets || strcmp(command->output, "-") == 0)) {
        fputs("--resume: expected a file of packets as OUTPUT\n", stderr);
        return false;
    }
    return true;
}
