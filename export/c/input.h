/* Raw lines of a file or pipe: how samples lie there, and reading them. */
#ifndef SKYBOOK_INPUT_H
#define SKYBOOK_INPUT_H

#include <stdio.h>

#include "command.h"

/* What reading a line came to. */
enum skybook_line { LINE_READ, LINE_NONE, LINE_CUT, LINE_FAILED, LINE_STRAY };

struct skybook_input {
    FILE *file;
    const struct skybook_command *command;
    uint32_t rows;    /* of bytes that make a line of all bands: of one band each, or one in bip */
    uint32_t samples; /* of a row */
    uint64_t bytes;   /* of a row that are samples */
    uint64_t stride;  /* bytes from the start of a row to that of the next */
    uint64_t lines;   /* of a file of bands one after the other; else 0 */
    bool whole;       /* whether a line is read as its samples are in memory, all rows at once */
};

/* Open what is read of `file`, pass over what stands before the first row. False if the file ends
 * before that or, of bands one after the other, is not whole lines. */
bool skybook_open_input(struct skybook_input *input, const struct skybook_command *command,
                        FILE *file);

/* Read the line of this number, which follows the last one. Samples of band b and column c are put
 * to b * width + c, or in bip to c * bands + b. */
enum skybook_line skybook_read_line(const struct skybook_input *input, uint64_t line,
                                    uint16_t *samples);

/* Room that nobody needs but while a line is read. */
uint8_t *skybook_idle_room(size_t *size);

#endif
