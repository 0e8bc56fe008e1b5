/* Lines read ahead and rows written behind by a thread of their own, while others code. */
#ifndef SKYBOOK_BESIDE_H
#define SKYBOOK_BESIDE_H

#include <stdint.h>

#include "input.h"

/* Start it: from now on lines, `lines` of them or as many as there are, come from skybook_next_lines, and what is
 * written goes to skybook_write_behind. False where there is no thread or no memory; all is as before then. */
bool skybook_start_beside(const struct skybook_input *input, uint64_t lines, FILE *output);

/* The next lines, `count` of them or fewer, until others are asked for: how many there are, or 1, of which `found`
 * tells what reading it came to. Of what is no file nothing is read ahead, as that might wait for what never comes. */
const uint16_t *skybook_next_lines(uint32_t *count, enum skybook_line *found);

/* Have the thread go on, where there is much to do for it: called when the others have work, so that they need not wait
 * for each other meanwhile. */
void skybook_go_on_beside(void);

/* Take note of bytes to be written; false if there is no memory, or a write before failed. */
bool skybook_write_behind(const uint8_t *bytes, size_t length);

/* Have the bytes so far written and put on the disk, of lines of a file as soon as those after are coded; false if a
 * write before failed. */
bool skybook_hand_over(void);

/* The same, and wait until they are written; the thread ends. */
bool skybook_end_beside(void);

#endif
