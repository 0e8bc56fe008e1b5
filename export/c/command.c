#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTECT_ROOM 42 /* bytes by which protect makes the longest packet longer */
#define CONTROL_BYTES 2

const char *const skybook_usage =
    "usage: skybook INPUT -o OUTPUT --width N [options]\n"
    "       skybook selftest         golden tiles of the bundle; JSON, exit code 5 if one differs\n"
    "       skybook bench [--quick]  speed, cycles and stack on this machine; JSON\n"
    "INPUT: raw u16 samples, - for stdin. OUTPUT: .pkt space packets, else segments; - for stdout\n"
    "  --bands N               of the scene (4, or as many as this build takes)\n"
    "  --layout bil|bip|bsq    order of the samples (bil); bsq only from a file\n"
    "  --byte-order little|big of the samples (little)\n"
    "  --nodata V              value that means: no data here\n"
    "  --significant-bits N    bits of a sample in use (16)\n"
    "  --ratio R               raw bytes over bytes (20.48)\n"
    "  --bytes N --lines N     bytes of the whole stream, of so many lines, instead\n"
    "  --step-code N           one step, 0..255, for all tiles instead\n"
    "  --segment-bytes N       most bytes of a segment (1000)\n"
    "  --one-layer             one layer to a segment\n"
    "  --trellis               choose indices along a trellis: smaller, but slower\n"
    "  --scene-id N            0..65535 (0)\n"
    "  --run N                 1..16777215: tells it from other encodings of the scene id\n"
    "                          (chosen by options and first lines)\n"
    "  --start-time S.F        of line 0: seconds since 1958-01-01 TAI and 1/65536 s, as S or S.F\n"
    "  --packets               space packets whatever the name of OUTPUT\n"
    "  --packet-bytes N        most bytes of a packet (1024)\n"
    "  --protect-room          leave room in --packet-bytes for what protect adds, 42 bytes\n"
    "  --packet-control        end packets in a CRC-16\n"
    "  --apid N                application process (1)\n"
    "  --line-period N         nanoseconds from a line to the next (0)\n"
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

static bool take_layout(struct skybook_command *command, const char *value)
{
    static const char *const names[] = {"bil", "bip", "bsq"};
    for (uint32_t i = 0; i < 3; i++) {
        if (strcmp(value, names[i]) == 0) {
            command->layout = (enum skybook_layout)i;
            return true;
        }
    }
    return false;
}

/* Take an option with its value; false if there is no such option or value. */
static bool take_option(struct skybook_command *command, const char *name, const char *value)
{
    struct skybook_options *options = &command->options;
    uint64_t n = 0;
    if (strcmp(name, "-o") == 0) {
        command->output = value;
    } else if (strcmp(name, "--layout") == 0) {
        return take_layout(command, value);
    } else if (strcmp(name, "--byte-order") == 0) {
        command->big_endian = strcmp(value, "big") == 0;
        return command->big_endian || strcmp(value, "little") == 0;
    } else if (strcmp(name, "--ratio") == 0) {
        return read_ratio(value, &options->ratio);
    } else if (strcmp(name, "--start-time") == 0) {
        return read_time(value, options);
    } else if (strcmp(name, "--width") == 0 && number(value, 1, 1u << 24, &n)) {
        options->width = (uint32_t)n;
    } else if (strcmp(name, "--bands") == 0 && number(value, 1, 16, &n)) {
        options->bands = (uint8_t)n;
    } else if (strcmp(name, "--nodata") == 0 && number(value, 0, 65535, &n)) {
        options->has_nodata = true;
        options->nodata = (uint16_t)n;
    } else if (strcmp(name, "--significant-bits") == 0 && number(value, 1, 16, &n)) {
        options->significant_bits = (uint8_t)n;
    } else if (strcmp(name, "--bytes") == 0 && number(value, 1, (uint64_t)1 << 38, &n)) {
        options->budget = n;
    } else if (strcmp(name, "--lines") == 0 && number(value, 1, 1u << 24, &n)) {
        options->height = (uint32_t)n;
    } else if (strcmp(name, "--step-code") == 0 && number(value, 0, 255, &n)) {
        options->step_code = (int16_t)n;
    } else if (strcmp(name, "--segment-bytes") == 0 && number(value, 0, 65551, &n)) {
        options->segment_bytes = (uint32_t)n;
    } else if (strcmp(name, "--scene-id") == 0 && number(value, 0, 65535, &n)) {
        options->scene_id = (uint16_t)n;
    } else if (strcmp(name, "--run") == 0 && number(value, 1, 0xFFFFFF, &n)) {
        options->run = (uint32_t)n;
    } else if (strcmp(name, "--packet-bytes") == 0 && number(value, 0, 65535, &n)) {
        options->packet_bytes = (uint32_t)n;
    } else if (strcmp(name, "--apid") == 0 && number(value, 0, 2046, &n)) {
        options->apid = (uint16_t)n;
    } else if (strcmp(name, "--first-packet") == 0 && number(value, 0, 0x7FFFFFFFu, &n)) {
        options->first_packet = (uint32_t)n;
    } else if (strcmp(name, "--line-period") == 0 &&
               number(value, 0, ((uint64_t)1 << 40) - 1, &n)) {
        options->line_period = n;
    } else {
        return false;
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
           strcmp(name, "--step-code") == 0;
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

bool skybook_parse(struct skybook_command *command, int count, char **arguments)
{
    const char *rate = NULL;
    memset(command, 0, sizeof(*command));
    skybook_defaults(&command->options, 0);
    for (int i = 1; i < count; i++) {
        const char *name = arguments[i];
        if (strcmp(name, "--help") == 0) {
            command->help = true;
            return true;
        }
        if (is_rate(name)) {
            if (rate != NULL && strcmp(rate, name) != 0) {
                fprintf(stderr, "rate: expected one of a ratio, bytes and a step, found several\n");
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
        } else {
            fprintf(stderr, "option %s: unknown, or its value is\n", name);
            return false;
        }
    }
    if (!is_whole(command)) {
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
