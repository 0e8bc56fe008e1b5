#include "posix.h"

#ifdef SKYBOOK_POSIX
#include <pthread.h>
#endif
#include "threads.h"

#include <stdlib.h>

#ifdef SKYBOOK_POSIX
/* What the threads share. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t begun, done;
    uint32_t started; /* threads, with the caller's */
    uint64_t jobs;    /* begun so far */
    void (*work)(void *job, uint32_t number, uint32_t member);
    void *job;
    uint32_t next, count; /* the number that is next; how many there are */
    uint32_t busy;        /* threads at work on one */
} shared = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER,
            1, 0, NULL, NULL, 0, 0, 0};

static struct skybook_crew crew;

/* Do what is left of a job; the lock is held before and after. */
static void join(uint32_t member)
{
    shared.busy++;
    while (shared.next < shared.count) {
        const uint32_t number = shared.next++;
        pthread_mutex_unlock(&shared.lock);
        shared.work(shared.job, number, member);
        pthread_mutex_lock(&shared.lock);
    }
    shared.busy--;
}

static void *follow(void *unused)
{
    uint64_t seen = 0;
    (void)unused;
    pthread_mutex_lock(&shared.lock);
    const uint32_t member = shared.started++;
    pthread_cond_signal(&shared.done);
    for (;;) {
        while (shared.jobs == seen) {
            pthread_cond_wait(&shared.begun, &shared.lock);
        }
        seen = shared.jobs;
        join(member);
        if (shared.busy == 0) {
            pthread_cond_signal(&shared.done);
        }
    }
    return NULL; /* not reached */
}

static void run(void *user, void (*work)(void *job, uint32_t number, uint32_t member), void *job,
                uint32_t count)
{
    (void)user;
    pthread_mutex_lock(&shared.lock);
    shared.work = work;
    shared.job = job;
    shared.next = 0;
    shared.count = count;
    shared.jobs++;
    pthread_cond_broadcast(&shared.begun);
    join(0);
    while (shared.busy > 0) {
        pthread_cond_wait(&shared.done, &shared.lock);
    }
    pthread_mutex_unlock(&shared.lock);
}

const struct skybook_crew *skybook_start_threads(uint32_t count)
{
    crew.members = calloc(count, sizeof(*crew.members));
    if (crew.members == NULL) {
        return NULL;
    }
    uint32_t wanted = 1;
    for (; wanted < count; wanted++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, follow, NULL) != 0) {
            break;
        }
        pthread_detach(thread);
    }
    pthread_mutex_lock(&shared.lock);
    while (shared.started < wanted) {
        pthread_cond_wait(&shared.done, &shared.lock);
    }
    pthread_mutex_unlock(&shared.lock);
    crew.count = wanted;
    crew.run = run;
    return wanted > 1 ? &crew : NULL;
}
#else
const struct skybook_crew *skybook_start_threads(uint32_t count)
{
    (void)count;
    return NULL;
}
#endif
