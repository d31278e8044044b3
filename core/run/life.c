/* life.c: how a run is parked, goes on, is cancelled, ends. An end lets go of nothing in the world:
 * mitigations stay in force, are listed, and unless all went well a person is asked: keep or undo
 * (PROMISES.md 1.16). */
#include "run/engine.h"
#include "base/mem.h"
#include <string.h>

void stanch_run__park(struct stanch_run *run, const char *why, json_t *more)
{
    json_t *data = more ? more : json_object();
    if (run->state == STANCH_RUN_ENDED) {
        json_decref(data);
        return;
    }
    json_object_set_new(data, "run", json_string(run->id));
    json_object_set_new(data, "why", json_string(why));
    json_object_set_new(data, "stuck", json_true());
    json_object_set_new(data, "next",
                        json_sprintf("`stanch run cancel %s` ends it, `stanch run start %s` begins a new one", run->id,
                                     stanch_json_str(run->doc, "runbook", "RUNBOOK")));
    stanch_run__drop_worker(run);
    run->state = STANCH_RUN_PARKED;
    stanch_run__going(run, false);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, run->chain, "run.parked", STANCH_BY_STANCH, run->id, data);
    stanch_engine__count(run->engine, "runs_parked");
    stanch_engine__append(run->engine, batch, NULL, NULL, NULL);
    stanch_run__idle_soon(run);
}

void stanch_run__resume(struct stanch_run *run)
{
    if (run->state == STANCH_RUN_PARKED)
        run->state = STANCH_RUN_RUNNING;
    stanch_run__recount(run);
    stanch_run__pump(run);
}

static void on_free(void *ctx)
{
    stanch_run__free(ctx);
}

/* Steps under way: what waits is dropped, its question voided; an effect that is out lives on to its outcome, also
 * when only a person can tell it, and over a restart. */
static void cancel_ops(struct stanch_run *run, struct stanch_batch *batch)
{
    for (struct stanch_op *op = run->engine->ops, *next; op; op = next) {
        next = op->next;
        if (op->run != run || op->over)
            continue;
        op->cancelled = true;
        bool free_now = !op->kind->cancel || op->kind->cancel(op);
        op->run = NULL;
        if (!free_now) {
            if (op->kind == &stanch_op_action)
                stanch_batch_add(batch, op->chain, "step.orphaned", STANCH_BY_STANCH, op->run_id,
                                 json_pack("{s:s, s:s}", "step", op->id, "run", op->run_id));
            continue;
        }
        if (op->approval[0])
            stanch_approval__close(run->engine, op->approval, "approval.voided", "the run ended", batch);
        stanch_op__free(op);
    }
}

static void ask_keep_or_undo(struct stanch_run *run, const char *kind, struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *left = stanch_mitigation__of_run(run);
    if (json_array_size(left) == 0)
        return;
    STANCH_AUTO_FREE char *because =
        stanch_asprintf("%s %s with %zu mitigation%s in force. Keep or undo?", run->id, strchr(kind, '.') + 1,
                        json_array_size(left), json_array_size(left) == 1 ? "" : "s");
    stanch_mitigation__ask_keep(run->engine, run->chain, run->id, because, left, batch);
}

void stanch_run__end(struct stanch_run *run, const char *kind, const char *by, json_t *data)
{
    if (run->state == STANCH_RUN_ENDED) {
        json_decref(data);
        return;
    }
    run->state = STANCH_RUN_ENDED;
    stanch_run__going(run, false);
    stanch_run__drop_worker(run);
    stanch_timer_stop(run->engine->loop, &run->timer);
    stanch_timer_stop(run->engine->loop, &run->idle);
    stanch_run__drop_held(run);
    struct stanch_batch *batch = stanch_batch_new();
    json_object_set_new(data, "run", json_string(run->id));
    stanch_json_set_str(data, "runbook", stanch_json_str(run->doc, "runbook", NULL));
    cancel_ops(run, batch);
    stanch_batch_add(batch, run->chain, kind, by, run->id, data);
    if (strcmp(kind, "run.succeeded") != 0)
        ask_keep_or_undo(run, kind, batch);
    stanch_engine__count(run->engine, strcmp(kind, "run.succeeded") == 0 ? "runs_succeeded"
                                      : strcmp(kind, "run.failed") == 0  ? "runs_failed"
                                                                         : "runs_cancelled");
    stanch_engine__append(run->engine, batch, NULL, NULL, NULL);
    stanch_run__unlink(run);
    /* callers up the stack still hold the run: it is freed when the loop turns */
    stanch_loop_defer(run->engine->loop, on_free, run);
}

int stanch_engine_cancel(struct stanch_engine *engine, const char *id, const char *by, const char *reason,
                         struct stanch_err *err)
{
    struct stanch_run *run = NULL;
    int rc = stanch_run__wake(engine, id, &run, err);
    if (rc < 0 && rc != STANCH_E_NOT_FOUND)
        return rc;
    if (rc < 0) {
        STANCH_AUTO_JSON json_t *doc = stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "run", id);
        if (!doc)
            return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no run %s", id);
        return stanch_err_set(err, STANCH_E_CONFLICT, "%s has ended already: %s", id,
                              stanch_json_str(doc, "state", "?"));
    }
    rc = stanch_journal_takes(engine->journal, true, err); /* else nobody would know of it */
    if (rc < 0)
        return rc;
    stanch_run__end(run, "run.cancelled", by,
                    json_pack("{s:s}", "why", reason && *reason ? reason : "no reason given"));
    return 0;
}

void stanch_engine_stood_still(struct stanch_engine *engine, int64_t gap_ms)
{
    engine->woke_ms = stanch_engine__now(engine);
    engine->stood_ms = gap_ms;
    for (struct stanch_run *run = engine->runs; run; run = run->next)
        if (gap_ms > run->gap_ms)
            run->gap_ms = gap_ms;
}

void stanch_engine_joined(struct stanch_engine *engine, const char *id)
{
    struct stanch_run *run = stanch_engine__run(engine, id);
    if (run)
        run->firing++;
}

static void append_resolved(struct stanch_engine *engine, const json_t *doc, const char *chain, const char *kind,
                            json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    const char *id = stanch_json_str(doc, "run", "");
    json_object_set_new(data, "run", json_string(id));
    stanch_batch_add(batch, chain, kind, STANCH_BY_STANCH, id, data);
    stanch_engine__append(engine, batch, NULL, NULL, NULL);
}

/* on_resolved: `stop` ends the run; `ask` makes the next mitigation ask; `continue` changes nothing. A run that rests is
 * not read back for a mark: it is in its document when it is. */
void stanch_engine_resolved(struct stanch_engine *engine, const char *id)
{
    struct stanch_run *run = stanch_engine__run(engine, id);
    STANCH_AUTO_JSON json_t *doc =
        run ? json_incref(run->doc) : stanch_journal_get(engine->journal, STANCH_VIEW_APPENDED, "run", id);
    if (!run && !stanch_json_bool(doc, "rests", false))
        return; /* it has ended, or has not begun: that is flow's */
    const char *rule = stanch_json_str(doc, "on_resolved", "ask");
    const char *chain = run ? run->chain : stanch_json_str(doc, "incident", STANCH_CHAIN_NONE);
    json_int_t firing = (run ? run->firing : stanch_json_int(doc, "firing", 1)) - 1;
    if (firing < 0)
        return;
    if (run)
        run->firing = firing;
    if (firing > 0 || strcmp(rule, "continue") == 0) {
        append_resolved(engine, doc, chain, "run.eased", json_pack("{s:I}", "firing", firing));
    } else if (strcmp(rule, "stop") != 0) {
        if (run)
            run->resolved = true;
        append_resolved(engine, doc, chain, "run.resolved", json_pack("{s:I, s:b}", "firing", firing, "resolved", 1));
    } else if (run || stanch_run__wake(engine, id, &run, NULL) == 0) {
        stanch_run__end(run, "run.cancelled", STANCH_BY_STANCH,
                        json_pack("{s:s}", "why", "its alert has resolved, and the runbook says on_resolved = stop"));
    }
}
