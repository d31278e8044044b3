/* crash.c: a kill -9 at a chosen place. */
#include "base/crash.h"
#ifdef STANCH_CRASH_POINTS
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

void stanch_crash_point(const char *name)
{
    static _Atomic int passed;
    note_passed(name);
    const char *wanted = getenv("STANCH_CRASH");
    if (!wanted)
        return;
    size_t len = strcspn(wanted, ":");
    if (strlen(name) != len || strncmp(name, wanted, len) != 0)
        return;
    int nth = wanted[len] ? (int)strtol(wanted + len + 1, NULL, 10) : 1;
    if (atomic_fetch_add(&passed, 1) + 1 == nth)
        kill(getpid(), SIGKILL);
}
#else
typedef int stanch_crash_points_are_off;
#endif
