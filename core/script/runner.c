/* runner.c: core's side of the runner process: start it, start it again, pass its frames on to the workers.
 * The workers' own side is in runner_worker.c. */
#include "script/runner.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "script/runner_worker.h"
#include <string.h>
#include <unistd.h>

#define BACK_OFF_FIRST_MS 50
#define BACK_OFF_MAX_MS   10000
#define STEADY_MS         30000 /* a runner that lived so long starts again at once */

const struct stanch_runner_limits stanch_runner_default_limits = {
    .memory_bytes = 256LL << 20,
    .cpu_ms = 2000,
    .wall_ms = 10000,
    .source_bytes = 128u << 10,
};

static void start_child_later(struct stanch_runner *runner);

static void on_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct stanch_runner *runner = ctx;
    (void)attachment;
    (void)len;
    const char *kind = stanch_json_str(head, "t", "");
    struct stanch_worker *worker = stanch_worker__find(runner, stanch_json_int(head, "id", 0));
    if (worker && strcmp(kind, "worker") == 0 && fd >= 0) {
        stanch_worker__on_started(worker, (int)stanch_json_int(head, "pid", 0), fd);
        return;
    }
    if (fd >= 0)
        close(fd);
    if (worker && strcmp(kind, "exit") == 0)
        stanch_worker__on_exited(worker, (int)stanch_json_int(head, "status", -1), stanch_json_str(head, "text", ""));
}

/* Whatever ends the channel, the process is of no use any more; its exit tells the rest. */
static void on_closed(void *ctx, const struct stanch_err *why)
{
    struct stanch_runner *runner = ctx;
    if (why->code)
        stanch_log(STANCH_LOG_ERROR, "script", "runner: %s", why->text);
    stanch_child_kill(runner->child);
}

static void on_exit_of_child(void *ctx, int status)
{
    struct stanch_runner *runner = ctx;
    stanch_log(STANCH_LOG_WARN, "script", "the runner ended status=%d workers=%d; it is started again", status,
               runner->worker_count);
    stanch_child_free(runner->child);
    runner->child = NULL;
    if (stanch_loop_mono_ms(runner->loop) - runner->started_mono_ms >= STEADY_MS)
        runner->back_off_ms = BACK_OFF_FIRST_MS;
    start_child_later(runner);
    stanch_worker__end_all(runner);
}

static int start_child(struct stanch_runner *runner, struct stanch_err *err)
{
    const char *const argv[] = {runner->exe, "runner", NULL};
    struct stanch_child_spec spec = {.argv = argv, .passes_fds = 1};
    struct stanch_child_events events = {.channel = {on_frame, on_closed}, .on_exit = on_exit_of_child};
    runner->started_mono_ms = stanch_loop_mono_ms(runner->loop);
    return stanch_child_start(runner->loop, &spec, &events, runner, &runner->child, err);
}

static void on_restart(void *ctx)
{
    struct stanch_runner *runner = ctx;
    struct stanch_err err;
    runner->restart = NULL;
    if (start_child(runner, &err) == 0)
        return;
    stanch_log(STANCH_LOG_ERROR, "script", "%s", err.text);
    runner->child = NULL;
    start_child_later(runner);
}

static void start_child_later(struct stanch_runner *runner)
{
    runner->restart = stanch_timer_start(runner->loop, runner->back_off_ms, on_restart, runner);
    runner->back_off_ms = runner->back_off_ms * 2 > BACK_OFF_MAX_MS ? BACK_OFF_MAX_MS : runner->back_off_ms * 2;
}

int stanch_runner_start(struct stanch_loop *loop, const char *exe, const struct stanch_runner_limits *limits,
                        struct stanch_runner **ret, struct stanch_err *err)
{
    struct stanch_runner *runner = STANCH_NEW(struct stanch_runner);
    runner->loop = loop;
    runner->exe = stanch_strdup(exe);
    runner->limits = limits ? *limits : stanch_runner_default_limits;
    runner->back_off_ms = BACK_OFF_FIRST_MS;
    int rc = start_child(runner, err);
    if (rc < 0)
        stanch_runner_free(runner);
    else
        *ret = runner;
    return rc;
}

void stanch_runner_free(struct stanch_runner *runner)
{
    if (!runner)
        return;
    stanch_timer_stop(runner->loop, &runner->restart);
    stanch_worker__free_all(runner);
    stanch_child_free(runner->child);
    free(runner->exe);
    free(runner);
}

int stanch_runner_pid(const struct stanch_runner *runner)
{
    return runner->child ? stanch_child_pid(runner->child) : 0;
}
