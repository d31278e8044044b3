/* runner_main.c: the process `stanch runner`: a small parent, single threaded, without a loop library, that forks
 * one worker per activation. The VM is made before the fork, so a worker begins warm. One worker stands ready in its
 * jail (the spare): fork, limits and filter take longer than the rest of a short activation, and an alert waits for it.
 *
 * core -> runner  {"t":"fork","id":1,"memory_bytes":n,"cpu_ms":n}     {"t":"kill","id":1}
 * runner -> core  {"t":"worker","id":1,"pid":n,"fd":true} + core's end of the worker's socketpair (SCM_RIGHTS)
 *                 {"t":"exit","id":1,"status":n}   status: exit code, or 128 + signal; -1: never started, "text"
 * It ends when core closes the channel; its workers die with it (PR_SET_PDEATHSIG). */
#include "script/runner.h"
#include "base/json.h"
#include "base/mem.h"
#include "script/jail.h"
#include "script/worker.h"
#include "wire/frame.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHANNEL_FD     3
#define MAX_WORKERS    128
#define SPARE_DELAY_MS 3 /* a fork now would take the processor from the activation that has just begun */

struct slot {
    pid_t pid; /* 0: free */
    int64_t id;
};

struct spare {
    pid_t pid; /* 0: none */
    int fd;    /* core's end of its channel */
};

struct runner {
    struct stanch_vm *vm;
    struct stanch_jail_filter *filter;
    struct stanch_frame_reader reader;
    sigset_t old_mask;
    int signal_fd;
    struct slot slots[MAX_WORKERS];
    struct stanch_jail_limits limits; /* of the spare: those of the last activation; memory 0: none was asked for yet */
    struct spare spare;
};

/* Every send that fails means that core is gone. */
static void tell(const json_t *head)
{
    struct stanch_err err;
    if (stanch_frame_send(CHANNEL_FD, head, NULL, 0, &err) < 0)
        _exit(0);
}

static void tell_exit(int64_t id, int status, const char *text)
{
    json_t *head = json_pack("{s:s, s:I, s:i}", "t", "exit", "id", (json_int_t)id, "status", status);
    stanch_json_set_str(head, "text", text);
    tell(head);
    json_decref(head);
}

/* The frame's first bytes carry the descriptor. */
static void tell_worker(int64_t id, pid_t pid, int fd)
{
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    STANCH_AUTO_JSON json_t *head =
        json_pack("{s:s, s:I, s:i, s:b}", "t", "worker", "id", (json_int_t)id, "pid", (int)pid, "fd", 1);
    (void)stanch_frame_encode(head, NULL, 0, &out, NULL);
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec whole = {out.data, out.len};
    struct msghdr message = {
        .msg_iov = &whole, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    struct cmsghdr *passed = CMSG_FIRSTHDR(&message);
    passed->cmsg_level = SOL_SOCKET;
    passed->cmsg_type = SCM_RIGHTS;
    passed->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(passed), &fd, sizeof fd);
    ssize_t n;
    do
        n = sendmsg(CHANNEL_FD, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    for (size_t done = n < 0 ? out.len : (size_t)n; n >= 0 && done < out.len; done += (size_t)n) {
        n = send(CHANNEL_FD, out.data + done, out.len - done, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            n = 0;
    }
    if (n < 0)
        _exit(0);
}

static struct slot *find_slot(struct runner *r, int64_t id, pid_t pid)
{
    for (int i = 0; i < MAX_WORKERS; i++)
        if (r->slots[i].pid && (pid ? r->slots[i].pid == pid : r->slots[i].id == id))
            return &r->slots[i];
    return NULL;
}

static struct slot *free_slot(struct runner *r)
{
    for (int i = 0; i < MAX_WORKERS; i++)
        if (!r->slots[i].pid)
            return &r->slots[i];
    return NULL;
}

static _Noreturn void become_worker(struct runner *r, pid_t parent, int fd)
{
    struct stanch_err err;
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &r->old_mask, NULL);
    r->vm->max_bytes = r->vm->used_bytes + (size_t)(r->limits.memory_bytes / 4 * 3);
    r->vm->cpu_ms = r->limits.cpu_ms;
    if (stanch_jail_enter(r->filter, &r->limits, parent, fd, &err) < 0) {
        (void)fprintf(stderr, "stanch: worker: %s\n", err.text);
        _exit(1);
    }
    stanch_worker_main(CHANNEL_FD, r->vm);
}

/* returns 0, or -1 with errno */
static int fork_one(struct runner *r, struct spare *ret)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -1;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0)
        become_worker(r, parent, ends[1]);
    int error = errno;
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        errno = error;
        return -1;
    }
    *ret = (struct spare){pid, ends[0]};
    return 0;
}

static void drop_spare(struct runner *r)
{
    kill(r->spare.pid, SIGKILL); /* reaped like any other, and not told: core never heard of it */
    close(r->spare.fd);
    r->spare.pid = 0;
}

static bool wants_spare(const struct runner *r)
{
    return r->spare.pid == 0 && r->limits.memory_bytes > 0;
}

static void keep_spare(struct runner *r)
{
    if (fork_one(r, &r->spare) < 0)
        r->limits.memory_bytes = 0; /* the next activation forks its own, and tells what is wrong */
}

static void start_worker(struct runner *r, const json_t *head)
{
    int64_t id = stanch_json_int(head, "id", 0);
    struct stanch_jail_limits limits = {stanch_json_int(head, "memory_bytes", 256 << 20),
                                        stanch_json_int(head, "cpu_ms", 2000)};
    struct slot *slot = free_slot(r);
    if (!slot) {
        tell_exit(id, -1, "too many workers");
        return;
    }
    if (r->spare.pid && (limits.memory_bytes != r->limits.memory_bytes || limits.cpu_ms != r->limits.cpu_ms))
        drop_spare(r);
    r->limits = limits;
    struct spare worker = r->spare;
    r->spare.pid = 0;
    if (worker.pid == 0 && fork_one(r, &worker) < 0) {
        tell_exit(id, -1, strerror(errno));
        return;
    }
    *slot = (struct slot){worker.pid, id};
    tell_worker(id, worker.pid, worker.fd);
    close(worker.fd);
}

static void kill_worker(struct runner *r, int64_t id)
{
    struct slot *slot = find_slot(r, id, 0);
    if (slot)
        kill(slot->pid, SIGKILL); /* its end is told when it is reaped */
}

static void reap(struct runner *r)
{
    struct signalfd_siginfo ignored[8];
    ssize_t n = read(r->signal_fd, ignored, sizeof ignored);
    (void)n;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct slot *slot = find_slot(r, 0, pid);
        if (pid == r->spare.pid) {
            close(r->spare.fd);
            r->spare.pid = 0;
            r->limits.memory_bytes = 0; /* no other one before the next activation: no loop of deaths */
        }
        if (!slot)
            continue;
        tell_exit(slot->id, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), NULL);
        slot->pid = 0;
    }
}

static void serve_frames(struct runner *r)
{
    char bytes[16384];
    ssize_t n = read(CHANNEL_FD, bytes, sizeof bytes);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0)
        _exit(0); /* core is gone */
    stanch_frame_reader_feed(&r->reader, bytes, (size_t)n);
    struct stanch_frame frame;
    struct stanch_err err;
    int rc;
    while ((rc = stanch_frame_reader_next(&r->reader, &frame, &err)) > 0) {
        const char *kind = stanch_json_str(frame.head, "t", "");
        if (strcmp(kind, "fork") == 0)
            start_worker(r, frame.head);
        else if (strcmp(kind, "kill") == 0)
            kill_worker(r, stanch_json_int(frame.head, "id", 0));
        stanch_frame_done(&frame);
    }
    if (rc < 0) {
        (void)fprintf(stderr, "stanch: runner: %s\n", err.text);
        _exit(1);
    }
}

static int compare_bytes(const void *a, const void *b)
{
    return *(const unsigned char *)a - *(const unsigned char *)b;
}

/* glibc's qsort asks the kernel for the size of memory at its first large sort; a worker may not ask. */
static void warm_qsort(void)
{
    unsigned char bytes[4096] = {0};
    qsort(bytes, sizeof bytes, 1, compare_bytes);
}

static int prepare(struct runner *r, struct stanch_err *err)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, &r->old_mask);
    signal(SIGPIPE, SIG_IGN);
    r->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (r->signal_fd < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "signals of workers cannot be read");
    prctl(PR_SET_DUMPABLE, 0);
    warm_qsort();
    r->vm = stanch_vm_new();
    return stanch_jail_filter_new(&r->filter, err);
}

int stanch_runner_main(void)
{
    struct runner *r = STANCH_NEW(struct runner);
    struct stanch_err err;
    if (prepare(r, &err) < 0) {
        (void)fprintf(stderr, "stanch: runner: %s\n", err.text);
        return 1;
    }
    struct pollfd polled[2] = {{CHANNEL_FD, POLLIN, 0}, {r->signal_fd, POLLIN, 0}};
    for (;;) {
        int n = poll(polled, 2, wants_spare(r) ? SPARE_DELAY_MS : -1);
        if (n < 0 && errno != EINTR)
            return 1;
        if (n == 0)
            keep_spare(r);
        if (polled[1].revents)
            reap(r);
        if (polled[0].revents)
            serve_frames(r);
    }
}
