/* Aim: the step code at which an error is nearest to what is asked for (SPEC.md, section 22). */
#include "parts.h"

#define RANGE 32 /* codes from that at which all is rounded alike to the coarsest that may serve */
#define STEP_OF_1 16
#define KEPT_BITS 31u

/* Number of the highest bit of a number from 1 on. */
static uint32_t bit_of(uint64_t value)
{
    const uint32_t upper = (uint32_t)(value >> 32);
    return upper > 0 ? 32 + skybook_highest_bit(upper) : skybook_highest_bit((uint32_t)value);
}

static const uint16_t octave[9] = {4096, 4467, 4871, 5312, 5793, 6317, 6889, 7512, 8192};

/* The upper bits of a number, from 4096 on below 8192; the number of the highest. */
static uint64_t top_of(int64_t number, uint32_t *bit)
{
    const uint64_t value = number > 1 ? (uint64_t)number : 1;
    *bit = bit_of(value);
    return *bit > 12 ? value >> (*bit - 12) : value << (12 - *bit);
}

/* The logarithm of a number in eighths of an octave, rounded down; of what is below 1, that of 1. */
static int32_t eighths(int64_t number)
{
    uint32_t bit = 0;
    const uint64_t top = top_of(number, &bit);
    int32_t found = 7;
    while (top < octave[found]) {
        found--;
    }
    return 8 * (int32_t)bit + found;
}

int32_t skybook_sixty_fourths(int64_t number)
{
    uint32_t bit = 0;
    const int32_t top = (int32_t)top_of(number, &bit), found = eighths(number);
    const int32_t low = octave[found & 7], high = octave[(found & 7) + 1];
    return 8 * found + 8 * (top - low) / (high - low);
}

int32_t skybook_between(int32_t value, int32_t least, int32_t most)
{
    const int32_t at_least = value > least ? value : least;
    return at_least < most ? at_least : most;
}

void skybook_aim_at(struct skybook_aim *aim, int64_t goal, int64_t samples, uint32_t finest)
{
    const int32_t alike = eighths(goal) - eighths(samples * SKYBOOK_ROUNDED) + STEP_OF_1;
    const int32_t first =
        goal < 1 ? (int32_t)finest : skybook_between(alike, (int32_t)finest, SKYBOOK_COARSEST);
    aim->goal = goal;
    aim->code = first;
    aim->low = (int32_t)finest - 1;
    aim->high = 1 + (goal < 1 ? first : skybook_between(first + RANGE, 0, SKYBOOK_COARSEST));
    aim->run = 0;
    aim->within = aim->beyond = 0;
}

bool skybook_is_open(const struct skybook_aim *aim)
{
    return aim->high - aim->low > 1;
}

void skybook_take_error(struct skybook_aim *aim, int64_t error)
{
    const int64_t found = error > 1 ? error : 1;
    if (!skybook_is_open(aim)) {
        return;
    }
    if (found <= aim->goal) {
        aim->run = aim->run > 0 ? aim->run + 1 : 1;
        aim->low = aim->code;
        aim->within = found;
    } else {
        aim->run = aim->run < 0 ? aim->run - 1 : -1;
        aim->high = aim->code;
        aim->beyond = found;
    }
    if (skybook_is_open(aim)) {
        const int32_t times = aim->run < 0 ? -aim->run : aim->run;
        const int32_t away = (eighths(aim->goal) - eighths(found)) * times;
        aim->code = skybook_between(aim->code + away, aim->low + 1, aim->high - 1);
    }
}

/* Whether it is the coarser of both. */
bool skybook_choose_code(struct skybook_aim *aim)
{
    const int64_t larger = aim->within > aim->beyond ? aim->within : aim->beyond;
    const int64_t goal = aim->goal > 0 ? aim->goal : 0, largest = larger > goal ? larger : goal;
    const uint32_t bits = bit_of(largest > 1 ? (uint64_t)largest : 1) + 1;
    const uint32_t shift = bits > KEPT_BITS ? bits - KEPT_BITS : 0;
    const uint64_t product = ((uint64_t)aim->within >> shift) * ((uint64_t)aim->beyond >> shift);
    const uint64_t kept = (uint64_t)goal >> shift;
    const bool coarser = aim->beyond > 0 && (aim->within == 0 || product < kept * kept);
    aim->code = coarser ? aim->high : aim->low;
    return coarser;
}
