#include "posix.h"

#ifdef SKYBOOK_POSIX
#include <pthread.h>
#include <sys/stat.h>
#endif
#include "beside.h"

#ifdef SKYBOOK_POSIX
#include <stdlib.h>
#include <string.h>

#include "disk.h"

#define AHEAD 64u   /* lines, at most */
#define ROOM 65536u /* bytes of a row, at first */

/* Bytes that are to be written. */
struct row {
    uint8_t *bytes;
    size_t used, room;
};

/* What is shared with the thread, under the lock but for the lines and rows that are either's. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t wanted, come; /* work for the thread; what it did */
    pthread_t thread;
    struct skybook_input input;
    uint64_t lines;  /* to be read; 0: all */
    uint64_t read, asked; /* so far */
    uint64_t used;        /* the first one that is still in use, of those asked for last */
    bool is_file, reads, ends; /* whether lines are read ahead, there are more of them, the thread is to end */
    uint16_t *ahead;           /* AHEAD lines */
    enum skybook_line last; /* what reading the last line came to; of those before, lines */
    FILE *output;
    struct row own, other; /* being put together, being written */
    bool handed, failed;   /* whether the other one is to be written, whether a write failed */
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER, .wanted = PTHREAD_COND_INITIALIZER, .come = PTHREAD_COND_INITIALIZER};

static size_t line_samples(void)
{
    return (size_t)shared.input.rows * shared.input.samples;
}

/* Read the next line where there is room for it. */
static void read_one(void)
{
    const uint64_t number = shared.read;
    pthread_mutex_unlock(&shared.lock);
    const enum skybook_line found =
        skybook_read_line(&shared.input, number, &shared.ahead[number % AHEAD * line_samples()]);
    pthread_mutex_lock(&shared.lock);
    shared.last = found;
    shared.read++;
    shared.reads = found == LINE_READ && shared.read != shared.lines;
    pthread_cond_signal(&shared.come);
}

/* Write the row that was handed over. */
static void write_row(void)
{
    pthread_mutex_unlock(&shared.lock);
    const bool whole = fwrite(shared.other.bytes, 1, shared.other.used, shared.output) == shared.other.used;
    const bool synced = skybook_begin_sync(shared.output);
    pthread_mutex_lock(&shared.lock);
    shared.failed |= !(whole & synced);
    shared.handed = false;
    pthread_cond_signal(&shared.come);
}

static void *work(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&shared.lock);
    while (shared.handed || !shared.ends) {
        if (shared.handed) {
            write_row();
        } else if (shared.reads && shared.read < shared.used + AHEAD) {
            read_one();
        } else {
            pthread_cond_wait(&shared.wanted, &shared.lock);
        }
    }
    pthread_mutex_unlock(&shared.lock);
    return NULL;
}

bool skybook_start_beside(const struct skybook_input *input, uint64_t lines, FILE *output)
{
    struct stat found;
    shared.input = *input;
    shared.lines = lines;
    shared.output = output;
    shared.is_file = shared.reads = fstat(fileno(input->file), &found) == 0 && S_ISREG(found.st_mode);
    shared.ahead = malloc(AHEAD * line_samples() * sizeof(*shared.ahead));
    return shared.ahead != NULL && pthread_create(&shared.thread, NULL, work, NULL) == 0;
}

/* How many lines, up to `most`, stand one after the other from a line on; one that could not be read stands alone. */
static uint32_t in_a_piece(uint64_t number, uint32_t most)
{
    const bool whole = shared.last == LINE_READ || shared.read == number + 1;
    const uint32_t there = (uint32_t)(shared.read - number) - (whole ? 0 : 1);
    return there < most ? there : most;
}

const uint16_t *skybook_next_lines(uint32_t *count, enum skybook_line *found)
{
    if (!shared.is_file) {
        *count = 1;
        *found = skybook_read_line(&shared.input, shared.read++, shared.ahead);
        return shared.ahead;
    }
    pthread_mutex_lock(&shared.lock);
    const uint64_t number = shared.used = shared.asked;
    const uint32_t left = AHEAD - (uint32_t)(number % AHEAD), most = *count < left ? *count : left;
    while (shared.reads && shared.read - number < most) {
        pthread_cond_signal(&shared.wanted);
        pthread_cond_wait(&shared.come, &shared.lock);
    }
    *count = in_a_piece(number, most);
    *found = number + 1 == shared.read ? shared.last : LINE_READ;
    shared.asked += *count;
    pthread_mutex_unlock(&shared.lock);
    return &shared.ahead[number % AHEAD * line_samples()];
}

void skybook_go_on_beside(void)
{
    pthread_mutex_lock(&shared.lock);
    const bool reads = shared.reads && shared.used + AHEAD - shared.read >= AHEAD / 2;
    if (reads || shared.handed) {
        pthread_cond_signal(&shared.wanted);
    }
    pthread_mutex_unlock(&shared.lock);
}

bool skybook_write_behind(const uint8_t *bytes, size_t length)
{
    struct row *row = &shared.own;
    if (row->room - row->used < length) {
        const size_t room = 2 * row->room + length + ROOM;
        uint8_t *more = realloc(row->bytes, room);
        if (more == NULL) {
            return false;
        }
        row->bytes = more;
        row->room = room;
    }
    memcpy(row->bytes + row->used, bytes, length);
    row->used += length;
    return true;
}

bool skybook_hand_over(void)
{
    pthread_mutex_lock(&shared.lock);
    while (shared.handed) {
        pthread_cond_signal(&shared.wanted);
        pthread_cond_wait(&shared.come, &shared.lock);
    }
    const struct row row = shared.own;
    shared.own = shared.other;
    shared.own.used = 0;
    shared.other = row;
    shared.handed = row.used > 0;
    const bool good = !shared.failed;
    if (!shared.is_file) { /* whose next lines may be long in coming */
        pthread_cond_signal(&shared.wanted);
    }
    pthread_mutex_unlock(&shared.lock);
    return good;
}

bool skybook_end_beside(void)
{
    skybook_hand_over();
    pthread_mutex_lock(&shared.lock);
    shared.ends = true;
    pthread_cond_signal(&shared.wanted);
    pthread_mutex_unlock(&shared.lock);
    pthread_join(shared.thread, NULL);
    return !shared.failed;
}
#else
bool skybook_start_beside(const struct skybook_input *input, uint64_t lines, FILE *output)
{
    (void)input, (void)lines, (void)output;
    return false;
}

const uint16_t *skybook_next_lines(uint32_t *count, enum skybook_line *found)
{
    *count = 1;
    *found = LINE_FAILED;
    return NULL;
}

void skybook_go_on_beside(void)
{
}

bool skybook_write_behind(const uint8_t *bytes, size_t length)
{
    (void)bytes, (void)length;
    return false;
}

bool skybook_hand_over(void)
{
    return false;
}

bool skybook_end_beside(void)
{
    return false;
}
#endif
