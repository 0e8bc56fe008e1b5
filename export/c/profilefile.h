/* The file of a spectral profile, or the folder of its slots. */
#ifndef SKYBOOK_PROFILEFILE_H
#define SKYBOOK_PROFILEFILE_H

#include "skybook.h"

#if SKYBOOK_GROUPS > 1

/* Read a profile; of a folder of slots the one in use: the active one or, if that is not whole, the other. `room`
 * holds a file meanwhile. */
enum skybook_status skybook_load_profile(const char *path, struct skybook_profile *profile, uint8_t *room,
                                         size_t size);

#endif
#endif
