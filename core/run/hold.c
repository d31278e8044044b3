/* hold.c: a step that could not be recorded for now, because the disk is full or another process holds the store.
 * Nothing of it has left the process, and the journal holds all that it had got to: so its op is let go of, and taken
 * up again from there as after a restart, as soon as entries are taken. The worker, if there is one, just waits. */
#include "run/engine.h"
#include "base/log.h"
#include "base/mem.h"

#define LOOK_EVERY_MS 250

static void on_look(void *ctx);

static void look_later(struct stanch_run *run)
{
    run->hold_timer = stanch_timer_start(run->engine->loop, LOOK_EVERY_MS, on_look, run);
}

static void take_up(struct stanch_run *run, const json_t *want)
{
    int64_t n = stanch_json_int(want, "n", 0);
    const struct stanch_op_kind *kind = stanch_op__kind(stanch_json_str(want, "op", ""));
    STANCH_AUTO_FREE char *id = stanch_asprintf("%s/%lld", run->id, (long long)n);
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(run->engine->journal, STANCH_VIEW_APPENDED, "step", id);
    struct stanch_op *op = stanch_op__new(run->engine, run, kind, n, want);
    if (doc)
        stanch_op__recover(op, doc);
    else
        kind->start(op);
}

static void on_look(void *ctx)
{
    struct stanch_run *run = ctx;
    run->hold_timer = NULL;
    if (run->engine->draining || run->state == STANCH_RUN_ENDED)
        return;
    if (run->state == STANCH_RUN_PARKED || stanch_journal_takes(run->engine->journal, false, NULL) < 0) {
        look_later(run);
        return;
    }
    STANCH_AUTO_JSON json_t *held = STANCH_TAKE(run->held);
    stanch_log(STANCH_LOG_INFO, "run", "%s goes on: entries are taken again", run->id);
    for (size_t i = 0; i < json_array_size(held); i++) {
        take_up(run, json_array_get(held, i));
        if (run->state == STANCH_RUN_ENDED)
            return;
    }
}

bool stanch_run__holds(const struct stanch_run *run)
{
    return json_array_size(run->held) > 0;
}

void stanch_run__hold(struct stanch_run *run, const json_t *want)
{
    if (!run->held)
        run->held = json_array();
    json_array_append_new(run->held, json_deep_copy(want));
    if (!run->hold_timer)
        look_later(run);
}

void stanch_run__drop_held(struct stanch_run *run)
{
    stanch_timer_stop(run->engine->loop, &run->hold_timer);
    json_decref(run->held);
    run->held = NULL;
}

bool stanch_op__hold(struct stanch_op *op, int rc)
{
    struct stanch_run *run = op->run;
    if ((rc != STANCH_E_FULL && rc != STANCH_E_BUSY) || !run || run->state == STANCH_RUN_ENDED || op->cancelled)
        return false;
    STANCH_AUTO_JSON json_t *want = json_copy(op->want);
    json_object_set_new(want, "n", json_integer(op->n));
    stanch_op__free(op);
    stanch_run__hold(run, want);
    return true;
}
