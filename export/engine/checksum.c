/* Checksums in place of crc.c: CRC-32C by the processor's own instruction, where it has one. */
#include "parts.h"

#if defined(__SSE4_2__) && defined(__x86_64__)
#include <nmmintrin.h>
#include <string.h>

#define skybook_crc32c skybook_crc32c_by_tables
#define skybook_crc32c_on skybook_crc32c_on_by_tables
uint32_t skybook_crc32c_by_tables(const uint8_t *bytes, size_t length);
uint32_t skybook_crc32c_on_by_tables(uint32_t crc, const uint8_t *bytes, size_t length);
#include "crc.c"
#undef skybook_crc32c
#undef skybook_crc32c_on

uint32_t skybook_crc32c_on(uint32_t crc, const uint8_t *bytes, size_t length)
{
    uint64_t sum = crc ^ 0xFFFFFFFFu, word = 0;
    for (; length >= sizeof(word); length -= sizeof(word), bytes += sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        sum = _mm_crc32_u64(sum, word);
    }
    return skybook_crc32c_on_by_tables((uint32_t)sum ^ 0xFFFFFFFFu, bytes, length);
}

uint32_t skybook_crc32c(const uint8_t *bytes, size_t length)
{
    return skybook_crc32c_on(0, bytes, length);
}
#else
#include "crc.c"
#endif
