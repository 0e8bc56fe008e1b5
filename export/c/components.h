/* What the files of spectral profiles know of each other. */
#ifndef SKYBOOK_COMPONENTS_H
#define SKYBOOK_COMPONENTS_H

#include "parts.h"

#if SKYBOOK_GROUPS > 1

/* The sum of a row of the components of a band of a tile's group, as they are kept. */
uint64_t skybook_words_of_component(const struct skybook_encoder *encoder, uint32_t column, uint32_t band,
                                    uint32_t row);

#endif
#endif
