/* A map of qualities from a file: .npy of u16, or the bare numbers, little-endian, row by row. */
#include "qualityfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

#ifndef SKYBOOK_MAP_CELLS
#define SKYBOOK_MAP_CELLS 32768 /* blocks of a map, at most */
#endif
#define NPY_HEAD 10u
#define MOST_HEAD 256u
#define HALF_STEP 65461 /* 2^16 * 10^(-1/2000) */

static uint16_t cells[SKYBOOK_MAP_CELLS];

/* The number after a word in a text; 0 if it is not there. */
static uint32_t number_after(const char *text, const char *word)
{
    const char *at = strstr(text, word);
    uint32_t value = 0;
    for (at = at == NULL ? "" : at + strlen(word); *at >= '0' && *at <= '9' && value < SKYBOOK_MAP_CELLS; at++) {
        value = 10 * value + (uint32_t)(*at - '0');
    }
    return value;
}

/* Go past the head of an .npy file; false if it has one, but not of u16 of so many columns. */
static bool skip_head(FILE *file, uint32_t columns)
{
    uint8_t head[NPY_HEAD];
    char text[MOST_HEAD] = {0}, wanted[32];
    if (fread(head, 1, sizeof(head), file) != sizeof(head) || memcmp(head, "\x93NUMPY", 6) != 0) {
        return fseek(file, 0, SEEK_SET) == 0;
    }
    const size_t length = head[8] + 256u * head[9];
    if (head[6] != 1 || length >= sizeof(text) || fread(text, 1, length, file) != length) {
        return false;
    }
    snprintf(wanted, sizeof(wanted), ", %u)", (unsigned)columns);
    return strstr(text, "'<u2'") != NULL && strstr(text, "False") != NULL &&
           number_after(text, "'shape': (") > 0 && strstr(text, wanted) != NULL;
}

bool skybook_read_map(struct skybook_options *options, const char *name)
{
    const uint32_t side = options->quality_block;
    FILE *file = side > 0 ? fopen(name, "rb") : NULL;
    size_t count = 0;
    if (file == NULL) {
        return false;
    }
    const uint32_t columns = (options->width + side - 1) / side;
    bool whole = skip_head(file, columns);
    while (whole && count < SKYBOOK_MAP_CELLS) {
        uint8_t bytes[2];
        const size_t got = fread(bytes, 1, sizeof(bytes), file);
        whole = got != 1;
        if (got < sizeof(bytes)) {
            break;
        }
        cells[count++] = (uint16_t)(bytes[0] | bytes[1] << 8);
    }
    whole = whole && count > 0 && count % columns == 0 && getc(file) == EOF;
    options->quality_map = cells;
    options->map_columns = columns;
    options->map_rows = (uint32_t)(count / columns);
    return fclose(file) == 0 ? whole : false;
}

/* Read a number of up to so many digits after a point, times 10 to their count, rounded. */
static bool read_decimal(const char *text, double unit, double most, uint32_t *value)
{
    char *end = NULL;
    const double found = strtod(text, &end);
    const bool inside = found >= 0 && found <= most;
    if (end == text || *end != '\0' || !inside) {
        return false;
    }
    *value = (uint32_t)(found * unit + 0.5);
    return true;
}

bool skybook_read_psnr(struct skybook_options *options, const char *text)
{
    uint32_t quality = 0;
    const bool read = read_decimal(text, 100, 200, &quality);
    options->quality = (uint16_t)(quality > 1 ? quality : 1);
    return read;
}

bool skybook_read_rmse(struct skybook_options *options, const char *text)
{
    uint32_t thousandths = 0, low = 1, high = SKYBOOK_MOST_QUALITY;
    if (!read_decimal(text, 1000, 65535.9, &thousandths) || strtod(text, NULL) <= 0) {
        return false;
    }
    const uint64_t square = (uint64_t)thousandths * thousandths;
    /* The square times 4096 over a million, in parts, so that it stays below 2^64. */
    const int64_t wanted = (int64_t)(square / 1000000u * 4096u + square % 1000000u * 4096u / 1000000u);
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        const bool fine = skybook_squared_error(middle) * HALF_STEP >> 16 <= wanted;
        high = fine ? middle : high;
        low = fine ? low : middle + 1;
    }
    options->quality = (uint16_t)low;
    return true;
}
