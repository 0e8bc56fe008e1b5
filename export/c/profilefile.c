#include "profilefile.h"

#include <stdio.h>
#include <string.h>

#if SKYBOOK_GROUPS > 1

#define LONGEST_PATH 4096
#define NAME_BYTES 16 /* of a file of a slot, at most */

static enum skybook_status load_file(const char *path, struct skybook_profile *profile, uint8_t *room,
                                     size_t size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        return SKYBOOK_ERROR_MEMORY;
    }
    const size_t length = fread(room, 1, size, file);
    const bool whole = ferror(file) == 0 && getc(file) == EOF;
    fclose(file);
    return whole ? skybook_read_profile(profile, room, length) : SKYBOOK_ERROR_MEMORY;
}

/* Open a file of a folder of slots. */
static FILE *open_in(const char *folder, const char *name, char path[LONGEST_PATH + NAME_BYTES])
{
    snprintf(path, LONGEST_PATH + NAME_BYTES, "%s/%s", folder, name);
    return fopen(path, "rb");
}

/* Whether there is a file of a slot, whose path is left. */
static bool is_there(const char *folder, const char *name, char path[LONGEST_PATH + NAME_BYTES])
{
    FILE *file = open_in(folder, name, path);
    if (file != NULL) {
        fclose(file);
    }
    return file != NULL;
}

/* Whether the second slot is the active one: without a pointer, or where it is neither, the first is. */
static bool second_is_active(const char *folder)
{
    char path[LONGEST_PATH + NAME_BYTES], found[NAME_BYTES] = {0};
    FILE *pointer = open_in(folder, "active", path);
    size_t length = 0;
    if (pointer != NULL) {
        length = fread(found, 1, sizeof(found) - 1, pointer);
        fclose(pointer);
    }
    while (length > 0 && found[length - 1] == '\n') {
        found[--length] = '\0';
    }
    return strcmp(found, "b") == 0;
}

enum skybook_status skybook_load_profile(const char *path, struct skybook_profile *profile, uint8_t *room,
                                         size_t size)
{
    static const char names[2][NAME_BYTES] = {"a.prof", "b.prof"};
    char slot[LONGEST_PATH + NAME_BYTES];
    if (strlen(path) >= LONGEST_PATH) {
        return SKYBOOK_ERROR_MEMORY;
    }
    if (!is_there(path, names[0], slot) && !is_there(path, names[1], slot)) {
        return load_file(path, profile, room, size);
    }
    const uint32_t first = second_is_active(path) ? 1 : 0;
    enum skybook_status status = SKYBOOK_ERROR_MEMORY;
    for (uint32_t i = 0; i < 2 && status != SKYBOOK_OK; i++) {
        if (is_there(path, names[first ^ i], slot)) {
            status = load_file(slot, profile, room, size);
        }
        if (status == SKYBOOK_OK && i == 1) {
            fprintf(stderr, "warning: %s: the profile of the active slot is not whole: using %s\n", path,
                    names[first ^ i]);
        }
    }
    return status;
}

#endif
