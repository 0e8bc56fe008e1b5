/* What is written, put on the disk while the program goes on. */
#ifndef SKYBOOK_DISK_H
#define SKYBOOK_DISK_H

#include <stdbool.h>
#include <stdio.h>

/* Have what was written so far put on the disk, if the file is on one, within a tenth of a second and the time
 * that the disk takes; false if a write or what was asked for before failed. */
bool skybook_begin_sync(FILE *file);

/* The same, and wait until it is there. */
bool skybook_sync(FILE *file);

#endif
