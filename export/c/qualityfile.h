/* What the command line says of quality. */
#ifndef SKYBOOK_QUALITYFILE_H
#define SKYBOOK_QUALITYFILE_H

#include <stdbool.h>

#include "skybook.h"

/* Read a map for a scene whose width and blocks are told; a PSNR in dB; an RMSE in DN. False if it is
 * none. */
bool skybook_read_map(struct skybook_options *options, const char *name);
bool skybook_read_psnr(struct skybook_options *options, const char *text);
bool skybook_read_rmse(struct skybook_options *options, const char *text);

#endif
