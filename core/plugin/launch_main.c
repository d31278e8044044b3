/* launch_main.c: the life of `stanch plugin-launch`. It ends with its core or its host, whichever goes first, and takes
 * all that it started along: it is the reaper of what its commands leave behind. */
#include "base/json.h"
#include "base/mem.h"
#include "plugin/launch.h"
#include "plugin/plugin.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CORE_FD = 3, LINK_FD = 4, LOCK_FD = 5 };

static void on_link_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct stanch_launch *launch = ctx;
    const char *kind = stanch_json_str(head, "t", "");
    if (fd >= 0)
        close(fd);
    if (strcmp(kind, "run") == 0)
        stanch_launch__run(launch, head, attachment, len);
    else if (strcmp(kind, "end") == 0)
        stanch_launch__end(launch, stanch_json_int(head, "id", -1));
}

static void on_over(void *ctx, const struct stanch_err *why)
{
    struct stanch_launch *launch = ctx;
    (void)why;
    stanch_loop_stop(launch->loop);
}

static void on_core_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct stanch_launch *launch = ctx;
    size_t i;
    json_t *one;
    (void)attachment;
    (void)len;
    if (fd >= 0)
        close(fd);
    if (strcmp(stanch_json_str(head, "t", ""), "open") != 0 || launch->dir)
        return;
    static const struct stanch_channel_events link_events = {on_link_frame, on_over};
    struct stanch_err err;
    launch->dir = stanch_strdup(stanch_json_str(head, "dir", "/"));
    json_array_foreach(json_object_get(head, "commands"), i, one)
    {
        json_object_set_new(launch->commands, json_string_value(one), json_true());
    }
    /* only now, so that no order is read before it is known what may be run */
    if (stanch_channel_open(launch->loop, LINK_FD, 0, &link_events, launch, &launch->link, &err) < 0)
        stanch_loop_stop(launch->loop);
}

/* No set-user-id programs, no core dumps; what they leave behind becomes this process's child. */
static int harden(void)
{
    struct rlimit no_core = {0, 0};
    (void)signal(SIGPIPE, SIG_IGN);
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ||
                   setrlimit(RLIMIT_CORE, &no_core) < 0
               ? -1
               : 0;
}

int stanch_plugin_launch_main(void)
{
    static const struct stanch_channel_events core_events = {on_core_frame, on_over};
    struct stanch_launch launch = {.commands = json_object(), .lock_fd = fcntl(LOCK_FD, F_GETFD) < 0 ? -1 : LOCK_FD};
    struct stanch_err err = {0};
    if (fcntl(CORE_FD, F_GETFD) < 0 || fcntl(LINK_FD, F_GETFD) < 0) {
        (void)fprintf(stderr, "stanch plugin-launch is started by `stanch serve`; it has no use of its own\n");
        json_decref(launch.commands);
        return 2;
    }
    for (int fd = CORE_FD; fd <= LOCK_FD; fd++)
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    launch.loop = stanch_loop_new(&err);
    if (!launch.loop || harden() < 0 ||
        stanch_channel_open(launch.loop, CORE_FD, 0, &core_events, &launch, &launch.core, &err) < 0) {
        (void)fprintf(stderr, "stanch plugin-launch: %s\n", err.code ? err.text : strerror(errno));
        return 1;
    }
    stanch_loop_run(launch.loop);
    stanch_launch__kill_all(&launch);
    stanch_channel_close(launch.link);
    stanch_channel_close(launch.core);
    stanch_loop_free(launch.loop);
    json_decref(launch.commands);
    free(launch.dir);
    return 0;
}
