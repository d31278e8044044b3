/* runner_worker.c: core's side of one worker; the states are drawn in runner_worker.h.
 * What a worker sends is not trusted: its VM may have been taken over by what it ran. */
#include "script/runner_worker.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONFIRM_MS 1000
#define GRACE_MS   100
#define MAX_WANTS  128

/* ---- the list ---- */

void stanch_worker__link(struct stanch_runner *runner, struct stanch_worker *worker)
{
    worker->next = runner->first;
    if (runner->first)
        runner->first->prev = worker;
    runner->first = worker;
    runner->worker_count++;
}

void stanch_worker__drop(struct stanch_worker *worker)
{
    struct stanch_runner *runner = worker->runner;
    if (worker->prev)
        worker->prev->next = worker->next;
    else
        runner->first = worker->next;
    if (worker->next)
        worker->next->prev = worker->prev;
    runner->worker_count--;
    stanch_timer_stop(runner->loop, &worker->wall);
    stanch_timer_stop(runner->loop, &worker->confirm);
    stanch_channel_close(worker->channel);
    json_decref(worker->start_head);
    stanch_buf_done(&worker->start_sources);
    free(worker);
}

struct stanch_worker *stanch_worker__find(struct stanch_runner *runner, int64_t id)
{
    struct stanch_worker *worker = runner->first;
    while (worker && worker->id != id)
        worker = worker->next;
    return worker;
}

/* ---- the end ---- */

static void on_not_confirmed(void *ctx)
{
    struct stanch_worker *worker = ctx;
    worker->confirm = NULL;
    stanch_log(STANCH_LOG_ERROR, "script", "the runner does not confirm the end of worker id=%lld; it is killed",
               (long long)worker->id);
    if (worker->runner->child)
        stanch_child_kill(worker->runner->child);
}

static void send_kill(struct stanch_worker *worker)
{
    struct stanch_runner *runner = worker->runner;
    if (worker->kill_sent || worker->has_exited || !runner->child)
        return;
    worker->kill_sent = true;
    STANCH_AUTO_JSON json_t *head = json_pack("{s:s, s:I}", "t", "kill", "id", (json_int_t)worker->id);
    (void)stanch_channel_send(stanch_child_channel(runner->child), head, NULL, 0, NULL);
    stanch_timer_stop(runner->loop, &worker->confirm);
    int64_t confirm_ms = runner->limits.confirm_ms ? runner->limits.confirm_ms : CONFIRM_MS;
    worker->confirm = stanch_timer_start(runner->loop, confirm_ms, on_not_confirmed, worker);
}

static void on_lingers(void *ctx)
{
    struct stanch_worker *worker = ctx;
    worker->confirm = NULL;
    send_kill(worker);
}

/* From here on nothing is told; the record stays until the process is known to be gone. */
static void retire(struct stanch_worker *worker)
{
    worker->told = true;
    stanch_timer_stop(worker->runner->loop, &worker->wall);
    stanch_channel_close(worker->channel);
    worker->channel = NULL;
    worker->channel_over = true;
}

/* The worker record may be gone when this returns. */
static void tell_end(struct stanch_worker *worker, const struct stanch_err *err, const json_t *result)
{
    if (worker->told)
        return;
    retire(worker);
    void (*on_end)(void *, int, const struct stanch_err *, const json_t *) = worker->events.on_end;
    void *ctx = worker->ctx;
    if (worker->has_exited)
        stanch_worker__drop(worker);
    on_end(ctx, err->code, err, result);
}

static void tell_over_time(struct stanch_worker *worker, const char *text)
{
    struct stanch_err err;
    stanch_err_set(&err, STANCH_E_TIMEOUT, "%s", text);
    send_kill(worker);
    tell_end(worker, &err, NULL);
}

static void on_grace_over(void *ctx)
{
    struct stanch_worker *worker = ctx;
    char text[120];
    worker->wall = NULL;
    (void)snprintf(text, sizeof text, "the runbook computed for more than %lld ms without asking for anything",
                   (long long)worker->runner->limits.wall_ms);
    tell_over_time(worker, text);
}

/* When the loop itself was busy, what the worker sent in time is still unread: timers come before sockets. */
static void on_wall(void *ctx)
{
    struct stanch_worker *worker = ctx;
    worker->wall = stanch_timer_start(worker->runner->loop, GRACE_MS, on_grace_over, worker);
}

void stanch_worker__start_wall(struct stanch_worker *worker)
{
    stanch_timer_stop(worker->runner->loop, &worker->wall);
    worker->wall = stanch_timer_start(worker->runner->loop, worker->runner->limits.wall_ms, on_wall, worker);
}

static void end_by_status(struct stanch_worker *worker)
{
    struct stanch_err err;
    int status = worker->exit_status, sig = status > 128 ? status - 128 : 0;
    if (sig == SIGPROF || sig == SIGXCPU)
        stanch_err_set(&err, STANCH_E_TIMEOUT, "the runbook used more than %lld ms of CPU time",
                       (long long)worker->runner->limits.cpu_ms);
    else if (status == STANCH_EXIT_NOMEM)
        stanch_err_set(&err, STANCH_E_CRASHED, "the runbook needs more memory than a run may have");
    else if (sig == SIGSYS)
        stanch_err_set(&err, STANCH_E_CRASHED, "the worker made a system call that it may not make and was killed");
    else if (sig)
        stanch_err_set(&err, STANCH_E_CRASHED, "the worker died by signal %d (%s)", sig, strsignal(sig));
    else if (status < 0)
        stanch_err_set(&err, STANCH_E_CRASHED, "no worker could be started: %s", worker->exit_text);
    else
        stanch_err_set(&err, STANCH_E_CRASHED, "the worker ended with status %d before it was done", status);
    tell_end(worker, &err, NULL);
}

/* ---- frames of a worker ---- */

static void break_off(struct stanch_worker *worker, const char *what)
{
    struct stanch_err err;
    stanch_err_set(&err, STANCH_E_PROTOCOL, "the worker sent what it may not: %s", what);
    send_kill(worker);
    tell_end(worker, &err, NULL);
}

/* {"covered":{"checkout.lua":[3,4]}} */
static bool is_covered(const json_t *item)
{
    json_t *files = json_object_get(item, "covered"), *lines, *line;
    const char *path;
    size_t i;
    if (!json_is_object(files) || json_object_size(item) != 1)
        return false;
    json_object_foreach(files, path, lines)
    {
        if (!json_is_array(lines))
            return false;
        json_array_foreach(lines, i, line)
        {
            if (!json_is_integer(line) || json_integer_value(line) < 1)
                return false;
        }
    }
    return true;
}

/* count: without the lines at their end. */
static bool are_wants(const json_t *wants, size_t count)
{
    if (!json_is_array(wants) || count > MAX_WANTS)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *want = json_array_get(wants, i);
        if (stanch_json_int(want, "n", 0) < 1 || !stanch_json_str(want, "op", NULL) ||
            !json_is_object(json_object_get(want, "args")))
            return false;
    }
    return true;
}

static void take_wants(struct stanch_worker *worker, const json_t *wants)
{
    size_t count = json_array_size(wants);
    bool tells_lines = worker->covers && count > 0 && is_covered(json_array_get(wants, count - 1));
    if (tells_lines)
        count--;
    bool is_last = tells_lines && count == 0 && worker->owed == 0;
    if (worker->listens || worker->told_last || !are_wants(wants, count) ||
        (count == 0 && worker->owed == 0 && !is_last)) {
        break_off(worker, "wants of an unknown form");
        return;
    }
    worker->owed += (int)count;
    worker->told_last = is_last;
    worker->listens = !is_last;
    if (!is_last)
        stanch_timer_stop(worker->runner->loop, &worker->wall);
    worker->events.on_wants(worker->ctx, wants);
}

static void take_result(struct stanch_worker *worker, const void *bytes, size_t len)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *result = NULL;
    if (stanch_json_parse(bytes, len, &stanch_json_own_limits, &result, &err) < 0)
        break_off(worker, err.text);
    else
        tell_end(worker, &err, result);
}

static void take_error(struct stanch_worker *worker, const json_t *head)
{
    struct stanch_err err;
    const char *kind = stanch_json_str(head, "kind", "script"), *text = stanch_json_str(head, "text", "no text");
    STANCH_AUTO_JSON json_t *result = json_copy((json_t *)(uintptr_t)head);
    json_object_del(result, "t");
    json_object_del(result, "ok");
    int code = strcmp(kind, "cpu") == 0      ? STANCH_E_TIMEOUT
               : strcmp(kind, "memory") == 0 ? STANCH_E_CRASHED
                                             : STANCH_E_SCRIPT;
    stanch_err_set(&err, code, "%s", text);
    const char *file = stanch_json_str(head, "file", NULL);
    if (file && *file)
        stanch_err_wrap(&err, "%s:%d", file, (int)stanch_json_int(head, "line", 0));
    tell_end(worker, &err, result);
}

static void on_frame(void *ctx, const json_t *head, const void *attachment, size_t len, int fd)
{
    struct stanch_worker *worker = ctx;
    const char *kind = stanch_json_str(head, "t", "");
    (void)fd; /* its channel passes none */
    if (strcmp(kind, "wants") == 0) {
        take_wants(worker, json_object_get(head, "wants"));
        return;
    }
    if (strcmp(kind, "end") != 0) {
        break_off(worker, "a frame of an unknown kind");
        return;
    }
    if (!worker->has_exited && !worker->confirm) /* it ends by itself; if not, it is killed */
        worker->confirm = stanch_timer_start(worker->runner->loop, CONFIRM_MS, on_lingers, worker);
    if (json_is_true(json_object_get(head, "ok")))
        take_result(worker, attachment, len);
    else
        take_error(worker, head);
}

static void on_closed(void *ctx, const struct stanch_err *why)
{
    struct stanch_worker *worker = ctx;
    worker->channel_over = true;
    if (why->code == STANCH_E_PROTOCOL && !worker->has_exited) {
        break_off(worker, why->text);
        return;
    }
    if (worker->has_exited)
        end_by_status(worker);
    else
        send_kill(worker); /* the runner's exit frame will say what it was */
}

/* ---- frames of the runner ---- */

void stanch_worker__on_started(struct stanch_worker *worker, int pid, int fd)
{
    static const struct stanch_channel_events events = {on_frame, on_closed};
    struct stanch_err err;
    worker->pid = pid;
    if (worker->told || worker->channel) {
        close(fd);
        return;
    }
    if (stanch_channel_open(worker->runner->loop, fd, 0, &events, worker, &worker->channel, &err) < 0 ||
        stanch_channel_send(worker->channel, worker->start_head, worker->start_sources.data, worker->start_sources.len,
                            &err) < 0) {
        send_kill(worker);
        tell_end(worker, &err, NULL);
        return;
    }
    json_decref(worker->start_head);
    worker->start_head = NULL;
    stanch_buf_done(&worker->start_sources);
}

void stanch_worker__on_exited(struct stanch_worker *worker, int status, const char *text)
{
    worker->has_exited = true;
    worker->exit_status = status;
    (void)snprintf(worker->exit_text, sizeof worker->exit_text, "%s", text);
    stanch_timer_stop(worker->runner->loop, &worker->confirm);
    if (worker->told)
        stanch_worker__drop(worker);
    else if (!worker->channel || worker->channel_over)
        end_by_status(worker);
    /* else: its last frames are still to be read; the channel's end comes next */
}

void stanch_worker__end_all(struct stanch_runner *runner)
{
    for (struct stanch_worker *worker = runner->first; worker; worker = worker->next)
        worker->doomed = true;
    for (;;) {
        struct stanch_worker *worker = runner->first;
        while (worker && !worker->doomed)
            worker = worker->next;
        if (!worker)
            return;
        struct stanch_err err;
        stanch_err_set(&err, STANCH_E_CRASHED, "the runner died, and its workers with it; it is started again");
        worker->has_exited = true;
        if (worker->told)
            stanch_worker__drop(worker);
        else
            tell_end(worker, &err, NULL);
    }
}

void stanch_worker__free_all(struct stanch_runner *runner)
{
    while (runner->first)
        stanch_worker__drop(runner->first);
}

/* ---- for the owner ---- */

int stanch_worker_answer(struct stanch_worker *worker, int64_t n, const json_t *answer, struct stanch_err *err)
{
    STANCH_AUTO_BUF struct stanch_buf out = {0};
    if (!worker->channel || worker->channel_over)
        return stanch_err_set(err, STANCH_E_CRASHED, "the worker is gone");
    if (!worker->listens)
        return stanch_err_set(err, STANCH_E_INTERNAL, "an answer to a worker that has one already");
    int rc = stanch_json_canonical(answer, &out, err);
    if (rc < 0)
        return rc;
    STANCH_AUTO_JSON json_t *head = json_pack("{s:s, s:I}", "t", "answer", "n", (json_int_t)n);
    rc = stanch_channel_send(worker->channel, head, out.data, out.len, err);
    if (rc < 0)
        return rc;
    worker->owed--;
    worker->listens = false;
    stanch_worker__start_wall(worker);
    return 0;
}

void stanch_worker_kill(struct stanch_worker *worker)
{
    if (!worker)
        return;
    retire(worker);
    if (worker->has_exited)
        stanch_worker__drop(worker);
    else
        send_kill(worker);
}
