/* turn.c: which runs are going: begun, not ended, not waiting for a person, not at rest. Flow starts runs by these counts, so that
 * a run that waits for a person all night takes no place from another one. */
#include "run/autonomy.h"
#include "base/mem.h"
#include <string.h>

/* One name for each way to count: all, of a runbook, of an incident, of both. */
static char *place(const char *runbook, const char *incident)
{
    return stanch_asprintf("%s\x1f%s", runbook ? runbook : "", incident ? incident : "");
}

static void add(struct stanch_engine *engine, const char *runbook, const char *incident, int change)
{
    STANCH_AUTO_FREE char *name = place(runbook, incident);
    int64_t count = stanch_json_int(engine->going, name, 0) + change;
    if (count > 0)
        json_object_set_new(engine->going, name, json_integer(count));
    else
        json_object_del(engine->going, name);
}

int stanch_engine_going(const struct stanch_engine *engine, const char *runbook, const char *incident)
{
    STANCH_AUTO_FREE char *name = place(runbook, incident);
    return (int)stanch_json_int(engine->going, name, 0);
}

int stanch_engine_waiting(const struct stanch_engine *engine)
{
    int count = 0;
    for (const struct stanch_run *run = engine->runs; run; run = run->next)
        count += !run->going && !stanch_autonomy__is_plan(run);
    return count;
}

static void on_room(void *ctx)
{
    struct stanch_engine *engine = ctx;
    engine->room_due = false;
    if (!engine->draining)
        engine->hooks.on_room(engine->hooks_ctx);
}

void stanch_engine_hook(struct stanch_engine *engine, const struct stanch_engine_hooks *hooks, void *ctx)
{
    engine->hooks = *hooks;
    engine->hooks_ctx = ctx;
}

void stanch_turn__unhook(struct stanch_engine *engine)
{
    stanch_loop_forget(engine->loop, on_room, engine);
    engine->hooks = (struct stanch_engine_hooks){0};
}

void stanch_run__going(struct stanch_run *run, bool is_going)
{
    if (run->going == is_going || stanch_autonomy__is_plan(run)) /* it takes no place from one that acts */
        return;
    struct stanch_engine *engine = run->engine;
    const char *runbook = stanch_json_str(run->doc, "runbook", "");
    int change = is_going ? 1 : -1;
    run->going = is_going;
    add(engine, NULL, NULL, change);
    add(engine, runbook, NULL, change);
    add(engine, NULL, run->chain, change);
    add(engine, runbook, run->chain, change);
    if (!is_going && engine->hooks.on_room && !engine->room_due && !engine->draining) {
        engine->room_due = true;
        stanch_loop_defer(engine->loop, on_room, engine);
    }
}

void stanch_run__recount(struct stanch_run *run)
{
    bool is_going = run->state == STANCH_RUN_RUNNING;
    for (const struct stanch_op *op = run->engine->ops; op && is_going; op = op->next)
        is_going = op->run != run || op->over || !op->approval[0] || op->granted;
    stanch_run__going(run, is_going);
}
