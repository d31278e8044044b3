/* crash.c: a kill -9 at a chosen place. */
#include "base/crash.h"
#ifdef STANCH_CRASH_POINTS
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void note_passed(const char *name)
{
    const char *path = getenv("STANCH_CRASH_LOG");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    (void)dprintf(fd, "%s\n", name);
    close(fd);
}

/* Is this pass the one that STANCH_CRASH="name:nth:linger_ms" wants? */
static bool is_wanted(const char *name, long *ret_linger_ms)
{
    static _Atomic int passed;
    const char *wanted = getenv("STANCH_CRASH");
    size_t len = wanted ? strcspn(wanted, ":") : 0;
    if (!wanted || strlen(name) != len || strncmp(name, wanted, len) != 0)
        return false;
    char *end = NULL;
    long nth = wanted[len] ? strtol(wanted + len + 1, &end, 10) : 1;
    *ret_linger_ms = end && *end == ':' ? strtol(end + 1, NULL, 10) : 0;
    return atomic_fetch_add(&passed, 1) + 1 == nth;
}

static void sleep_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&time, NULL);
}

/* STANCH_SLOW="name:ms" */
static void be_slow(const char *name)
{
    const char *slow = getenv("STANCH_SLOW");
    size_t len = slow ? strcspn(slow, ":") : 0;
    if (slow && slow[len] && strlen(name) == len && strncmp(name, slow, len) == 0)
        sleep_ms(strtol(slow + len + 1, NULL, 10));
}

void stanch_crash_point(const char *name)
{
    long linger_ms = 0;
    note_passed(name);
    be_slow(name);
    if (!is_wanted(name, &linger_ms))
        return;
    sleep_ms(linger_ms);
    kill(getpid(), SIGKILL);
}

void stanch_crash_torn(const char *name, int fd, const void *bytes, size_t len)
{
    long linger_ms = 0;
    note_passed(name);
    if (!is_wanted(name, &linger_ms))
        return;
    (void)!write(fd, bytes, len / 2);
    kill(getpid(), SIGKILL);
}
#else
typedef int stanch_crash_points_are_off;
#endif
