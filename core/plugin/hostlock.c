/* hostlock.c: one flock on one open file description, inherited. The file: "core PID START\n" and "host PID
 * START\n" lines; START is the process's start time in clock ticks, so that a pid that was used anew is not
 * mistaken. */
#include "plugin/hostlock.h"
#include "base/buf.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "base/times.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MAX_FILE 65536
#define POLL_US  10000

static size_t read_small(const char *path, char *ret, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);
    if (fd >= 0)
        close(fd);
    ret[n < 0 ? 0 : n] = '\0';
    return n < 0 ? 0 : (size_t)n;
}

struct process {
    int group, session;
    unsigned long long ticks; /* when it started */
};

/* /proc/PID/stat; all 0 when there is no such process, or only its remains. */
static struct process look_at(int pid)
{
    char path[64], text[1024], state = 0;
    struct process found = {0}, none = {0};
    (void)snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (read_small(path, text, sizeof text) == 0)
        return none;
    const char *after = strrchr(text, ')'); /* the name in parentheses may hold anything */
    if (!after || sscanf(after + 1, " %c %*d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                         &state, &found.group, &found.session, &found.ticks) != 4)
        return none;
    return state == 'Z' || state == 'X' ? none : found;
}

static bool is_host(int pid)
{
    char path[64], text[4096];
    (void)snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    size_t len = read_small(path, text, sizeof text);
    size_t first = strnlen(text, len) + 1;
    return first < len && (strcmp(text + first, "plugin-host") == 0 || strcmp(text + first, "plugin-launch") == 0);
}

/* A host that is gone, and a child of it that is not: still in the group and the session that the host led. */
static bool has_left_children(int host, unsigned long long host_ticks)
{
    DIR *dir = opendir("/proc");
    bool found = false;
    if (!dir)
        stanch_mem_check(errno);
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        int pid = atoi(entry->d_name);
        struct process process = pid > 1 ? look_at(pid) : (struct process){0};
        found = process.group == host && process.session == host && process.ticks >= host_ticks && is_host(pid);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* One pass over the file: kill what an earlier core left. Returns the pid of a core that lives, or 0. */
static int end_old_hosts(int fd)
{
    char text[MAX_FILE];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    int core = 0;
    text[n < 0 ? 0 : n] = '\0';
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        int pid = 0;
        unsigned long long ticks = 0;
        bool is_core_line = sscanf(line, "core %d %llu", &pid, &ticks) == 2;
        if ((!is_core_line && sscanf(line, "host %d %llu", &pid, &ticks) != 2) || pid <= 1)
            continue;
        unsigned long long now = look_at(pid).ticks;
        if (is_core_line && now == ticks && pid != getpid())
            core = pid;
        else if (!is_core_line && core == 0 &&
                 (now == ticks ? is_host(pid) : now == 0 && has_left_children(pid, ticks)))
            (void)kill(-pid, SIGKILL); /* a host leads its own group */
    }
    return core;
}

int stanch_hostlock_take(const char *path, int wait_ms, int *ret_fd, struct stanch_err *err)
{
    int64_t until = stanch_mono_now_ms() + wait_ms;
    int core = 0, fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be opened", path);
    while (!stanch_is_sabotaged("orphans-live") && flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            int rc = stanch_err_errno(err, STANCH_E_SYSTEM, errno, "%s could not be locked", path);
            close(fd);
            return rc;
        }
        core = end_old_hosts(fd);
        if (stanch_mono_now_ms() >= until) {
            close(fd);
            if (core)
                return stanch_err_set(err, STANCH_E_TIMEOUT, "%s is held by another stanch, pid %d", path, core);
            return stanch_err_set(
                err, STANCH_E_TIMEOUT,
                "%s is still held by a plugin host of an earlier stanch, or a child of one, which could "
                "not be ended (`fuser %s` names it)",
                path, path);
        }
        usleep(POLL_US);
    }
    *ret_fd = fd;
    stanch_hostlock_note(fd, NULL, 0);
    return 0;
}

void stanch_hostlock_note(int fd, const int *host_pids, int count)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_buf_printf(&text, "core %d %llu\n", getpid(), look_at(getpid()).ticks);
    for (int i = 0; i < count; i++)
        stanch_buf_printf(&text, "host %d %llu\n", host_pids[i], look_at(host_pids[i]).ticks);
    /* Only a help for the next core: hosts also end with their channel and with their parent. */
    if (pwrite(fd, text.data, text.len, 0) == (ssize_t)text.len)
        (void)!ftruncate(fd, (off_t)text.len);
}
