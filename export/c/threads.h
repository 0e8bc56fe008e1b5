/* Threads that code the tiles of a row at once, where the system has them. */
#ifndef SKYBOOK_THREADS_H
#define SKYBOOK_THREADS_H

#include "skybook.h"

#define SKYBOOK_MOST_THREADS 64

/* Start threads, the caller's one of `count`; NULL if there is no memory, or no more than the one. They
 * last until the program ends. */
const struct skybook_crew *skybook_start_threads(uint32_t count);

#endif
