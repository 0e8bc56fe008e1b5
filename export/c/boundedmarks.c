/* Marks of samples of a range, a bit each: which occur, or begin a cell. */
#include "bounded.h"

#if SKYBOOK_BOUNDED

#define WORD SKYBOOK_WORD_OF_MARKS

void skybook_clear_marks(struct skybook_work *work, uint32_t count)
{
    for (uint32_t i = 0; i < (count + WORD - 1) / WORD; i++) {
        work->layer.marks[i] = 0;
    }
}

void skybook_mark(struct skybook_work *work, uint32_t place)
{
    work->layer.marks[place / WORD] |= (uint32_t)1 << place % WORD;
}

/* Marks from bytes that are 0 or 1, a whole number of words. */
void skybook_pack_marks(struct skybook_work *work, const uint8_t *marked, uint32_t count)
{
    for (uint32_t place = 0; place < count; place += WORD) {
        uint32_t word = 0;
        for (uint32_t i = 0; i < WORD; i++) {
            word |= (uint32_t)marked[place + i] << i;
        }
        work->layer.marks[place / WORD] = word;
    }
}

/* The last mark up to a place; the first place is marked. */
uint32_t skybook_mark_up_to(const struct skybook_work *work, uint32_t place)
{
    uint32_t number = place / WORD, word = work->layer.marks[number] & (0xFFFFFFFFu >> (WORD - 1 - place % WORD));
    while (word == 0) {
        number--;
        word = work->layer.marks[number];
    }
    return WORD * number + skybook_highest_bit(word);
}

/* The first mark from a place on, of `count` places; `count` if there is none. */
uint32_t skybook_mark_from(const struct skybook_work *work, uint32_t place, uint32_t count)
{
    const uint32_t words = (count + WORD - 1) / WORD;
    uint32_t number = place / WORD;
    if (place >= count) {
        return count;
    }
    uint32_t word = work->layer.marks[number] & (0xFFFFFFFFu << place % WORD);
    while (word == 0 && number + 1 < words) {
        number++;
        word = work->layer.marks[number];
    }
    return word == 0 ? count : WORD * number + skybook_highest_bit(word & (0u - word));
}

/* Count the marks before each word of `count` marks; in all there are fewer than 65,537. */
void skybook_count_marks(struct skybook_work *work, uint32_t count)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < (count + WORD - 1) / WORD; i++) {
        work->fit.of.before[i] = (uint16_t)(sum & 0xFFFFu);
        sum += skybook_marks_of_word(work->layer.marks[i]);
    }
}

#endif
