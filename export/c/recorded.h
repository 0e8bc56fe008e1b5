/* What a file of packets holds of a scene, to go on after a reset. */
#ifndef SKYBOOK_RECORDED_H
#define SKYBOOK_RECORDED_H

#include <stdio.h>

#include "skybook.h"

/* Read how far a file of packets goes, which may be cut anywhere, into `options`: the run, and
 * first_packet, first_row, first_segment and spent before the last row of tiles that it holds. False
 * if it holds something else, another run than that of the options, or if the scene already ends. */
bool skybook_read_recorded(FILE *file, struct skybook_options *options);

#endif
