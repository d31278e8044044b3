/* rest.c: a run that waits goes out of memory, and is read back when its answer comes (engine.h has the picture).
 * It rests when all of it is committed, so that what is read back is all there is. */
#include "run/engine.h"
#include "base/log.h"
#include "base/mem.h"
#include <string.h>

struct resting {
    struct stanch_engine *engine;
    char id[32];
    int64_t stirs;
};

static bool is_waiting(const struct stanch_op *op)
{
    if (!op->asked || op->calls > 0 || op->hold || op->granted)
        return false;
    if (op->due_ms > 0) /* a short sleep is not worth it */
        return op->timer && op->due_ms > stanch_engine__steady(op->engine) + 2 * op->engine->config.worker_idle_ms;
    return op->approval[0] && !op->timer;
}

bool stanch_run__may_rest(const struct stanch_run *run)
{
    if (run->state == STANCH_RUN_ENDED || run->timer || run->ready || run->engine->draining || stanch_run__holds(run) ||
        *stanch_json_str(run->doc, "holds", ""))
        return false;
    int waiting = 0;
    for (const struct stanch_op *op = run->engine->ops; op; op = op->next) {
        if (op->run != run || op->over)
            continue;
        if (!is_waiting(op))
            return false;
        waiting++;
    }
    return run->state == STANCH_RUN_PARKED || waiting > 0;
}

static void drop(struct stanch_run *run)
{
    struct stanch_engine *engine = run->engine;
    for (struct stanch_op *op = engine->ops, *next; op; op = next) {
        next = op->next;
        if (op->run == run)
            stanch_op__free(op);
    }
    stanch_run__going(run, false);
    stanch_run__unlink(run);
    stanch_run__free(run);
}

/* When the first of its sleeps ends; INT64_MAX: it waits for people only. */
static int64_t first_wake(const struct stanch_run *run)
{
    int64_t first = INT64_MAX;
    for (const struct stanch_op *op = run->engine->ops; op; op = op->next)
        if (op->run == run && op->due_ms > 0 && op->due_ms < first)
            first = op->due_ms;
    return first;
}

static void on_quiet(void *ctx)
{
    struct resting *resting = ctx;
    struct stanch_engine *engine = resting->engine;
    struct stanch_run *run = engine->halted ? NULL : stanch_engine__run(engine, resting->id);
    int64_t stirs = resting->stirs;
    free(resting);
    if (!run)
        return;
    if (run->worker || run->stirs != stirs || !stanch_run__may_rest(run) ||
        stanch_journal_takes(engine->journal, false, NULL) < 0) {
        stanch_run__idle_soon(run);
        return;
    }
    int64_t wake_ms = first_wake(run);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, run->chain, "run.rested", STANCH_BY_STANCH, run->id,
                     json_pack("{s:s, s:b, s:o}", "run", run->id, "rests", 1, "wake_ms",
                               wake_ms == INT64_MAX ? json_null() : json_integer(wake_ms)));
    if (stanch_engine__append(engine, batch, NULL, NULL, NULL) < 0) {
        stanch_run__idle_soon(run);
        return;
    }
    if (wake_ms != INT64_MAX)
        stanch_engine__due(engine, wake_ms);
    drop(run);
}

void stanch_run__rest(struct stanch_run *run)
{
    if (run->worker) {
        run->fed = run->answered;
        stanch_run__drop_worker(run);
    }
    stanch_timer_stop(run->engine->loop, &run->idle);
    struct resting *resting = STANCH_NEW(struct resting);
    resting->engine = run->engine;
    resting->stirs = run->stirs;
    (void)snprintf(resting->id, sizeof resting->id, "%s", run->id);
    stanch_journal_barrier(run->engine->journal, on_quiet, resting);
}

static void on_idle(void *ctx)
{
    struct stanch_run *run = ctx;
    run->idle = NULL;
    if (run->engine->draining)
        return;
    if (run->worker && run->blocked && run->delivered == run->answered) {
        run->fed = run->answered;
        stanch_run__drop_worker(run);
    }
    if (!run->worker && stanch_run__may_rest(run))
        stanch_run__rest(run);
    else
        stanch_run__idle_soon(run);
}

void stanch_run__idle_soon(struct stanch_run *run)
{
    stanch_ready__serve_soon(run->engine);
    if (!run->idle && run->state != STANCH_RUN_ENDED)
        run->idle = stanch_timer_start(run->engine->loop, run->engine->config.worker_idle_ms, on_idle, run);
}

int stanch_run__wake(struct stanch_engine *engine, const char *id, struct stanch_run **ret, struct stanch_err *err)
{
    *ret = stanch_engine__run(engine, id);
    if (*ret)
        return 0;
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "run", id);
    if (!stanch_json_bool(doc, "open", false))
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no open run %s", id);
    if (stanch_json_bool(doc, "rests", false)) { /* before whatever it is woken for */
        struct stanch_batch *batch = stanch_batch_new();
        stanch_batch_add(batch, stanch_json_str(doc, "incident", STANCH_CHAIN_NONE), "run.woken", STANCH_BY_STANCH, id,
                         json_pack("{s:s, s:n, s:n}", "run", id, "rests", "wake_ms"));
        int rc = stanch_engine__append(engine, batch, NULL, NULL, err);
        if (rc < 0)
            return rc;
    }
    int rc = stanch_run__load(engine, doc, ret, err);
    if (rc == 0)
        stanch_run__idle_soon(*ret);
    return rc;
}
