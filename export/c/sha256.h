/* SHA-256, where there are spectral profiles. */
#ifndef SKYBOOK_SHA256_H
#define SKYBOOK_SHA256_H

#include "skybook.h"

void skybook_sha256(const uint8_t *bytes, size_t length, uint8_t digest[32]);

#endif
