/* ready.c: workers are bounded. A run that needs one when none is free waits here by its id, in the order of coming. A
 * worker that merely waits with its run makes room. */
#include "run/engine.h"
#include "base/mem.h"
#include <string.h>

#define MAX_WORKERS 64
#define PAUSE_MS    20 /* the runner has none to give: the last ones are on their way out, or it comes back */

struct stanch_ready {
    struct stanch_ready *next;
    char id[32];
};

bool stanch_ready__take_slot(struct stanch_engine *engine)
{
    if (engine->ready_pause)
        return false;
    if (engine->worker_count < MAX_WORKERS)
        return true;
    for (struct stanch_run *run = engine->runs; run; run = run->next) {
        if (run->worker && run->blocked && run->delivered == run->answered && stanch_run__may_rest(run)) {
            stanch_run__rest(run);
            return true;
        }
    }
    return false;
}

static struct stanch_ready *new_ready(struct stanch_run *run)
{
    struct stanch_ready *ready = STANCH_NEW(struct stanch_ready);
    (void)snprintf(ready->id, sizeof ready->id, "%s", run->id);
    run->ready = true;
    return ready;
}

void stanch_ready__push(struct stanch_run *run)
{
    struct stanch_ready *ready = new_ready(run);
    *run->engine->ready_end = ready;
    run->engine->ready_end = &ready->next;
}

static void on_pause_over(void *ctx)
{
    struct stanch_engine *engine = ctx;
    engine->ready_pause = NULL;
    stanch_ready__serve_soon(engine);
}

void stanch_ready__put_back(struct stanch_run *run)
{
    struct stanch_engine *engine = run->engine;
    struct stanch_ready *ready = new_ready(run);
    ready->next = engine->ready;
    engine->ready = ready;
    if (!ready->next)
        engine->ready_end = &ready->next;
    if (!engine->ready_pause)
        engine->ready_pause = stanch_timer_start(engine->loop, PAUSE_MS, on_pause_over, engine);
}

static struct stanch_ready *pop(struct stanch_engine *engine)
{
    struct stanch_ready *ready = engine->ready;
    engine->ready = ready->next;
    if (!engine->ready)
        engine->ready_end = &engine->ready;
    return ready;
}

static void on_serve(void *ctx)
{
    struct stanch_engine *engine = ctx;
    engine->is_serving = false;
    while (engine->ready && !engine->draining && stanch_ready__take_slot(engine)) {
        struct stanch_ready *ready = pop(engine);
        struct stanch_run *run = stanch_engine__run(engine, ready->id); /* NULL: it has ended while it waited */
        if (run) {
            run->ready = false;
            stanch_run__pump(run);
        }
        free(ready);
    }
}

void stanch_ready__serve_soon(struct stanch_engine *engine)
{
    if (!engine->ready || engine->is_serving || engine->draining)
        return;
    engine->is_serving = true;
    stanch_loop_defer(engine->loop, on_serve, engine);
}

void stanch_ready__free_all(struct stanch_engine *engine)
{
    stanch_timer_stop(engine->loop, &engine->ready_pause);
    while (engine->ready)
        free(pop(engine));
}
