/* The commands `skybook selftest` and `skybook bench`, which need nothing but the program. */
#ifndef SKYBOOK_BENCH_H
#define SKYBOOK_BENCH_H

#include <stdbool.h>

#include "skybook.h"

/* Run the golden tiles, print JSON; the exit code. */
int skybook_selftest_command(struct skybook_encoder *encoder);

/* Time the encoder and measure its stack, print JSON; the exit code. `quick` for one short run. */
int skybook_bench_command(struct skybook_encoder *encoder, bool quick);

#endif
