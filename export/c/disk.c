#if defined(__unix__) || defined(__APPLE__)
#define SKYBOOK_POSIX
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#endif
#include "disk.h"

#include <stdint.h>

#ifdef SKYBOOK_POSIX
/* What the thread that waits for the disk shares. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t begun, ended;
    uint64_t asked, done; /* times */
    int file;
    bool failed, started;
} shared = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, -1, false, false};

static void *follow(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&shared.lock);
    for (;;) {
        while (shared.done == shared.asked) {
            pthread_cond_wait(&shared.begun, &shared.lock);
        }
        const uint64_t asked = shared.asked;
        pthread_mutex_unlock(&shared.lock);
        const bool failed = fsync(shared.file) != 0;
        pthread_mutex_lock(&shared.lock);
        shared.failed |= failed;
        shared.done = asked;
        pthread_cond_signal(&shared.ended);
    }
    return NULL; /* not reached */
}

/* Start the thread if there is none. */
static bool start(void)
{
    pthread_t thread;
    if (!shared.started) {
        shared.started = pthread_create(&thread, NULL, follow, NULL) == 0;
        if (shared.started) {
            pthread_detach(thread);
        }
    }
    return shared.started;
}

/* Ask the thread, or do it where there can be none; what was asked for, 0 if it is done. */
static uint64_t ask(int file)
{
    if (!start()) {
        shared.failed |= fsync(file) != 0;
        return 0;
    }
    pthread_mutex_lock(&shared.lock);
    shared.file = file;
    const uint64_t asked = ++shared.asked;
    pthread_cond_signal(&shared.begun);
    pthread_mutex_unlock(&shared.lock);
    return asked;
}

/* Whether nothing failed once so much is done. */
static bool is_good(uint64_t asked)
{
    pthread_mutex_lock(&shared.lock);
    while (shared.done < asked) {
        pthread_cond_wait(&shared.ended, &shared.lock);
    }
    const bool good = !shared.failed;
    pthread_mutex_unlock(&shared.lock);
    return good;
}

static bool sync(FILE *file, bool waits)
{
    struct stat found;
    if (fstat(fileno(file), &found) != 0) {
        return false;
    }
    if (fflush(file) != 0) {
        return false;
    }
    if (!S_ISREG(found.st_mode)) {
        return true;
    }
    const uint64_t asked = ask(fileno(file));
    return is_good(waits ? asked : 0);
}

bool skybook_begin_sync(FILE *file)
{
    return sync(file, false);
}

bool skybook_sync(FILE *file)
{
    return sync(file, true);
}
#else
bool skybook_begin_sync(FILE *file)
{
    return fflush(file) == 0;
}

bool skybook_sync(FILE *file)
{
    return fflush(file) == 0;
}
#endif
