#include "posix.h"

#ifdef SKYBOOK_POSIX
#include <pthread.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#endif
#include "disk.h"

#ifdef SKYBOOK_POSIX
#define PAUSE 100000000 /* nanoseconds in which more may be written that is put on the disk with it */

/* What the thread that puts it there shares. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t begun, ended;
    int file;
    bool asked, busy, failed, started;
} shared = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER, -1, false, false,
            false, false};

/* Put there what is written; the lock is held before and after. */
static void put(void)
{
    shared.asked = false;
    shared.busy = true;
    pthread_mutex_unlock(&shared.lock);
    const bool failed = fsync(shared.file) != 0;
    pthread_mutex_lock(&shared.lock);
    shared.failed |= failed;
    shared.busy = false;
    pthread_cond_signal(&shared.ended);
}

static void *follow(void *unused)
{
    const struct timespec pause = {0, PAUSE};
    (void)unused;
    pthread_mutex_lock(&shared.lock);
    for (;;) {
        while (!shared.asked) {
            pthread_cond_wait(&shared.begun, &shared.lock);
        }
        pthread_mutex_unlock(&shared.lock);
        nanosleep(&pause, NULL);
        pthread_mutex_lock(&shared.lock);
        if (shared.asked) { /* not of whoever waits for it */
            put();
        }
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
    pthread_mutex_lock(&shared.lock);
    shared.file = fileno(file);
    if (waits || !start()) {
        while (shared.busy) {
            pthread_cond_wait(&shared.ended, &shared.lock);
        }
        put();
    } else {
        shared.asked = true;
        pthread_cond_signal(&shared.begun);
    }
    const bool good = !shared.failed;
    pthread_mutex_unlock(&shared.lock);
    return good;
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
