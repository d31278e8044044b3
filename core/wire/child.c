/* child.c: another subcommand of this executable as a child, its channel on descriptor 3. */
#include "wire/channel.h"
#include "base/mem.h"
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define MAX_PASSED 32

struct stanch_child {
    uv_process_t process;
    struct stanch_channel *channel;
    struct stanch_child_events events;
    void *ctx;
    bool running;
    bool gone;
};

static void on_process_closed(uv_handle_t *handle)
{
    free(container_of((uv_process_t *)handle, struct stanch_child, process));
}

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
    struct stanch_child *child = container_of(process, struct stanch_child, process);
    child->running = false;
    if (child->gone)
        uv_close((uv_handle_t *)process, on_process_closed);
    else
        child->events.on_exit(child->ctx, signal ? 128 + signal : (int)status);
}

int stanch_child_start(struct stanch_loop *loop, const struct stanch_child_spec *spec,
                       const struct stanch_child_events *events, void *ctx, struct stanch_child **ret,
                       struct stanch_err *err)
{
    int ends[2];
    if (spec->pass_count > MAX_PASSED)
        return stanch_err_set(err, STANCH_E_INTERNAL, "%d descriptors for a child", spec->pass_count);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return stanch_err_errno(err, STANCH_E_SYSTEM, errno, "no socket pair for %s", spec->argv[1]);
    struct stanch_child *child = STANCH_NEW(struct stanch_child);
    child->events = *events;
    child->ctx = ctx;

    uv_stdio_container_t stdio[4 + MAX_PASSED] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
        {.flags = UV_INHERIT_FD, .data.fd = ends[1]},
    };
    for (int i = 0; i < spec->pass_count; i++)
        stdio[4 + i] = (uv_stdio_container_t){.flags = UV_INHERIT_FD, .data.fd = spec->pass_fds[i]};
    static const char *const empty_env[] = {NULL};
    uv_process_options_t options = {
        .exit_cb = on_process_exit,
        .file = spec->argv[0],
        .args = (char **)(uintptr_t)spec->argv,
        .env = (char **)(uintptr_t)(spec->env ? spec->env : empty_env),
        .flags = UV_PROCESS_DETACHED, /* its own group and session: killed whole, no signals of a terminal */
        .stdio_count = 4 + spec->pass_count,
        .stdio = stdio,
    };
    int rc = uv_spawn(stanch_loop_uv(loop), &child->process, &options);
    close(ends[1]);
    if (rc < 0) {
        close(ends[0]);
        child->gone = true;
        uv_close((uv_handle_t *)&child->process, on_process_closed);
        return stanch_err_set(err, STANCH_E_SYSTEM, "%s %s could not be started: %s", spec->argv[0], spec->argv[1],
                              uv_strerror(rc));
    }
    child->running = true;
    rc = stanch_channel_open(loop, ends[0], spec->passes_fds, &events->channel, ctx, &child->channel, err);
    if (rc < 0) {
        stanch_child_free(child);
        return rc;
    }
    *ret = child;
    return 0;
}

struct stanch_channel *stanch_child_channel(struct stanch_child *child)
{
    return child->channel;
}

int stanch_child_pid(const struct stanch_child *child)
{
    return child->process.pid;
}

void stanch_child_kill(struct stanch_child *child)
{
    if (!child->running)
        return;
    kill(-child->process.pid, SIGKILL);
    uv_process_kill(&child->process, SIGKILL);
}

void stanch_child_abandon(struct stanch_child *child)
{
    if (!child || child->gone)
        return;
    child->gone = true;
    stanch_channel_close(child->channel);
    uv_close((uv_handle_t *)&child->process, on_process_closed);
}

void stanch_child_leave(struct stanch_child *child)
{
    if (!child || child->gone)
        return;
    child->gone = true;
    stanch_channel_close(child->channel);
    if (!child->running)
        uv_close((uv_handle_t *)&child->process, on_process_closed);
}

void stanch_child_free(struct stanch_child *child)
{
    if (child && !child->gone)
        stanch_child_kill(child);
    stanch_child_leave(child);
}

char *stanch_self_path(void)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    return n > 0 ? stanch_strndup(path, (size_t)n) : stanch_strdup("/usr/bin/stanch");
}
