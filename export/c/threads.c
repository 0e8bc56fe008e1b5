#include "posix.h"

#ifdef SKYBOOK_POSIX
#include <pthread.h>
#include <sched.h>
#endif
#include "beside.h"
#include "threads.h"

#include <stdlib.h>

#ifdef SKYBOOK_POSIX
#define LOOKS 4000u /* before a thread sleeps, about a millisecond: to wake it takes longer than most gaps between jobs */

/* Numbers of a job that a thread has not begun. */
struct lot {
    uint32_t next, stop;
};

/* What the threads share. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t begun, done;
    uint32_t started; /* threads, with the caller's */
    uint64_t jobs;    /* begun so far */
    void (*work)(void *job, uint32_t number, uint32_t member);
    void *job;
    uint32_t threads;     /* of the crew */
    struct lot *lots;     /* of each of them */
    uint32_t busy;        /* threads at work on one */
} shared = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER,
            1, 0, NULL, NULL, 0, NULL, 0};

static struct skybook_crew crew;

static bool has_begun(uint64_t seen)
{
    return shared.jobs != seen;
}

static bool is_done(uint64_t unused)
{
    (void)unused;
    return shared.busy == 0;
}

/* Wait until something holds, which the lock guards; it is held before and after. */
static void await(bool (*holds)(uint64_t seen), uint64_t seen, pthread_cond_t *told)
{
    for (uint32_t looks = 0; looks < LOOKS && !holds(seen); looks++) {
        pthread_mutex_unlock(&shared.lock);
        sched_yield();
        pthread_mutex_lock(&shared.lock);
    }
    while (!holds(seen)) {
        pthread_cond_wait(told, &shared.lock);
    }
}

static uint32_t left(const struct lot *lot)
{
    return lot->stop - lot->next;
}

/* Take a number for a thread: the next of its lot, so that tiles stay with the thread that has them at hand, or else
 * the last of the longest. False where none is left. */
static bool take(uint32_t member, uint32_t *number)
{
    struct lot *own = &shared.lots[member], *longest = own;
    if (left(own) > 0) {
        *number = own->next++;
        return true;
    }
    for (uint32_t i = 0; i < shared.threads; i++) {
        longest = left(&shared.lots[i]) > left(longest) ? &shared.lots[i] : longest;
    }
    if (left(longest) > 0) {
        *number = --longest->stop;
        return true;
    }
    return false;
}

/* Do what is left of a job; the lock is held before and after. */
static void join(uint32_t member)
{
    uint32_t number = 0;
    shared.busy++;
    while (take(member, &number)) {
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
        await(has_begun, seen, &shared.begun);
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
    for (uint32_t i = 0; i < shared.threads; i++) {
        shared.lots[i].next = (uint32_t)((uint64_t)count * i / shared.threads);
        shared.lots[i].stop = (uint32_t)((uint64_t)count * (i + 1) / shared.threads);
    }
    shared.jobs++;
    pthread_cond_broadcast(&shared.begun);
    pthread_mutex_unlock(&shared.lock);
    skybook_go_on_beside();
    pthread_mutex_lock(&shared.lock);
    join(0);
    await(is_done, 0, &shared.done);
    pthread_mutex_unlock(&shared.lock);
}

const struct skybook_crew *skybook_start_threads(uint32_t count)
{
    crew.members = calloc(count, sizeof(*crew.members));
    shared.lots = calloc(count, sizeof(*shared.lots));
    if (crew.members == NULL || shared.lots == NULL) {
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
    crew.count = shared.threads = wanted;
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
