/* host_run.c: commands for plugins. */
#include "base/mem.h"
#include "plugin/host.h"
#include <string.h>

struct run {
    struct stanch_host_work work;
    struct stanch_call *call;
    void (*on_ended)(struct stanch_call *, void *, const struct stanch_run_result *);
    void *ctx;
    struct stanch_timer *refusal;
    char why[400];
};

static void abandon(struct stanch_host_work *work)
{
    struct run *run = container_of(work, struct run, work);
    stanch_timer_stop(run->call->instance->loop, &run->refusal);
    free(run);
}

static void on_refusal(void *ctx)
{
    struct run *run = ctx;
    struct stanch_run_result result = {
        .size = sizeof result, .ended = STANCH_RUN_NOT_STARTED, .why = {run->why, strlen(run->why)}};
    run->refusal = NULL;
    stanch_host__work_remove(&run->work);
    run->on_ended(run->call, run->ctx, &result);
    free(run);
}

void stanch_host__run_start(struct stanch_call *call, const struct stanch_run_order *order,
                            void (*on_ended)(struct stanch_call *, void *, const struct stanch_run_result *), void *ctx)
{
    struct run *run = STANCH_NEW(struct run);
    (void)order;
    run->work.abandon = abandon;
    run->call = call;
    run->on_ended = on_ended;
    run->ctx = ctx;
    (void)snprintf(run->why, sizeof run->why, "refused: no setting with \"format\":\"command\" is set");
    stanch_host__work_add(call, &run->work);
    run->refusal = stanch_timer_start(call->instance->loop, 0, on_refusal, run);
}
