/* What the command line asks for. */
#ifndef SKYBOOK_COMMAND_H
#define SKYBOOK_COMMAND_H

#include <stdbool.h>

#include "skybook.h"

enum skybook_layout { BIL, BIP, BSQ };
/* How samples of 10 and 12 bits are packed; the high 8 bits of each apart in those of MIPI. */
enum skybook_packing { UNPACKED, BE10, BE12, LE10, LE12, MIPI10, MIPI12 };

struct skybook_command {
    struct skybook_options options;
    const char *input, *output; /* - for stdin and stdout */
    enum skybook_layout layout;
    bool big_endian;
    enum skybook_packing packing;
    uint64_t skip_bytes; /* before the first line */
    uint64_t line_skip;  /* at the start of each line */
    uint64_t line_bytes; /* from the start of a line to that of the next; 0: no padding */
    bool protect_room; /* whether packet_bytes are those of protected packets, too */
    const char *quality_map; /* file of it, NULL without one */
#if SKYBOOK_GROUPS > 1
    const char *profile; /* file or folder of slots of it, NULL without one */
#endif
    uint32_t threads; /* that code tiles of a row at once */
    bool json;   /* say what came of it as JSON */
    bool help;   /* and nothing else */
    bool resume; /* go on where the output stops */
};

/* Bits of a packed sample; 8 of one that is not packed, which says nothing. */
uint32_t skybook_packing_bits(enum skybook_packing packing);

/* What --help says. */
extern const char *const skybook_usage;

/* Read the command line; false, with a word on stderr where an option is wrong, if it makes no
 * sense. */
bool skybook_parse(struct skybook_command *command, int count, char **arguments);

/* How much neighbours differ in the first row of tiles, as read and with their bytes swapped. */
struct skybook_roughness {
    uint32_t tile;  /* lines of that row */
    uint32_t lines; /* looked at */
    uint64_t as_read, swapped, pairs;
    unsigned least_low, most_low; /* low bytes */
};

/* report.c: look at a line of samples; warn, once the first row of tiles or, at the end, what there
 * is of it was looked at, where its samples look as if their two bytes were swapped. */
void skybook_look(struct skybook_roughness *roughness, const struct skybook_command *command,
                  const uint16_t *samples);
void skybook_look_at_end(const struct skybook_roughness *roughness,
                         const struct skybook_command *command);

/* report.c: say what came of a scene, on stderr where stdout is the stream; false if that fails. */
bool skybook_report(const struct skybook_command *command, const struct skybook_encoder *encoder);

#endif
