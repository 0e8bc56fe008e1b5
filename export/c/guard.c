/* Guard: what shows that memory is no longer what was put there (docs/board.md). */
#include <string.h>

#include "parts.h"

/* The sum of memory's words of 64 bits, the last one filled up with 0. Whatever happens to the bits
 * of one word shows in it. */
uint64_t skybook_words(const void *memory, size_t length)
{
    const uint8_t *bytes = memory;
    const size_t whole = length / sizeof(uint64_t) * sizeof(uint64_t);
    uint64_t word = 0, sum = 0;
    for (size_t i = 0; i < whole; i += sizeof(word)) {
        memcpy(&word, bytes + i, sizeof(word));
        sum += word;
    }
    word = 0;
    if (whole < length) {
        memcpy(&word, bytes + whole, length - whole);
    }
    return sum + word;
}

/* The sum of a row of the samples of a tile of the strip. */
uint64_t skybook_words_of_row(const struct skybook_encoder *encoder, uint32_t column,
                              const skybook_held *row)
{
    const uint32_t tile = encoder->form.tile;
    const uint32_t left = encoder->options.width - skybook_first_pixel(encoder, column);
    const uint32_t count = left < tile ? left : tile;
    return skybook_words(row, SKYBOOK_PLACE((size_t)count + SKYBOOK_PACKED * (count & 1u)) * sizeof(*row));
}

#define LANES 16u /* every how many-th word is added on its own, so that compilers make vectors */

/* Go on with the check of memory: the sum of its words and, as Fletcher does, of the sums so far,
 * which shows words that changed places or changed alike. */
static void add(struct skybook_check *check, const void *memory, size_t length)
{
    const uint8_t *bytes = memory;
    uint64_t words[4], sum = check->sum, sums = check->sums;
    uint64_t own[LANES] = {0}, own_sums[LANES] = {0};
    const uint64_t many = SKYBOOK_SMALL ? 0 : length / (LANES * sizeof(uint64_t));
    for (uint64_t i = 0; i < many; i++, bytes += LANES * sizeof(uint64_t)) {
        uint64_t next[LANES];
        memcpy(next, bytes, sizeof(next));
        for (uint32_t lane = 0; lane < LANES; lane++) {
            own[lane] += next[lane];
            own_sums[lane] += own[lane];
        }
    }
    /* A word of a lane was added once for each of that lane from it on: so many times the words between two of
     * one lane, but for those before its lane. */
    sums += many * LANES * sum;
    for (uint32_t lane = 0; lane < LANES; lane++) {
        sums += LANES * own_sums[lane] - lane * own[lane];
        sum += own[lane];
    }
    length -= (size_t)many * LANES * sizeof(uint64_t);
    for (; length >= sizeof(words); length -= sizeof(words), bytes += sizeof(words)) {
        memcpy(words, bytes, sizeof(words));
        sums += 4 * sum + 4 * words[0] + 3 * words[1] + 2 * words[2] + words[3];
        sum += words[0] + words[1] + words[2] + words[3];
    }
    if (length > 0) {
        memset(words, 0, sizeof(words));
        memcpy(words, bytes, length);
        sums += 4 * sum + 4 * words[0] + 3 * words[1] + 2 * words[2] + words[3];
        sum += words[0] + words[1] + words[2] + words[3];
    }
    check->sums = sums;
    check->sum = sum;
}

static struct skybook_check check_of(const void *memory, size_t length)
{
    struct skybook_check check = {0, 0};
    add(&check, memory, length);
    return check;
}

static bool same(struct skybook_check one, struct skybook_check other)
{
    return one.sum == other.sum && one.sums == other.sums;
}

static bool is_little(void)
{
    const uint16_t one = 1;
    uint8_t first = 0;
    memcpy(&first, &one, 1);
    return first == 1;
}

#define ADD(name) add(&check, skybook_##name, sizeof(skybook_##name));

/* Whether all tables are as they were emitted, those for tiles within a bound left aside. */
bool skybook_tables_are_whole(void)
{
    static const struct skybook_check little = SKYBOOK_CHECK_LITTLE, big = SKYBOOK_CHECK_BIG;
    struct skybook_check check = {0, 0};
    SKYBOOK_TABLES(ADD)
    return same(check, is_little() ? little : big);
}

#if SKYBOOK_BOUNDED
/* Whether those are. */
bool skybook_bounded_tables_are_whole(void)
{
    static const struct skybook_check little = SKYBOOK_BOUNDED_CHECK_LITTLE;
    static const struct skybook_check big = SKYBOOK_BOUNDED_CHECK_BIG;
    struct skybook_check check = {0, 0};
    SKYBOOK_BOUNDED_TABLES(ADD)
    return same(check, is_little() ? little : big);
}
#endif
#undef ADD

static struct skybook_check of_scene(const struct skybook_encoder *encoder)
{
    return check_of(encoder, offsetof(struct skybook_encoder, scene_check));
}

static struct skybook_check of_progress(const struct skybook_encoder *encoder)
{
    const size_t first = offsetof(struct skybook_encoder, lines);
    const size_t stop = offsetof(struct skybook_encoder, progress_check);
    return check_of((const uint8_t *)encoder + first, stop - first);
}

/* Take note of what stays as it is for a scene, and of how far it is. */
void skybook_seal_scene(struct skybook_encoder *encoder)
{
    encoder->scene_check = of_scene(encoder);
}

void skybook_seal_progress(struct skybook_encoder *encoder)
{
    encoder->progress_check = of_progress(encoder);
}

bool skybook_scene_is_whole(const struct skybook_encoder *encoder)
{
    return same(of_scene(encoder), encoder->scene_check);
}

bool skybook_progress_is_whole(const struct skybook_encoder *encoder)
{
    return same(of_progress(encoder), encoder->progress_check);
}
