/* world.c: the production world. */
#include "run/world.h"
#include "base/mem.h"

struct production {
    struct stanch_world base;
    struct stanch_plugins *plugins;
    struct stanch_runner *runner;
};

static const json_t *describe(void *ctx, const char *instance)
{
    return stanch_plugins_describe(((struct production *)ctx)->plugins, instance);
}

static int check_args(void *ctx, const char *instance, const char *action, const json_t *args, struct stanch_err *err)
{
    return stanch_plugins_check_args(((struct production *)ctx)->plugins, instance, action, args, err);
}

static int call(void *ctx, const struct stanch_plugin_request *request,
                void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *answer), void *call_ctx,
                struct stanch_plugin_call **ret, struct stanch_err *err)
{
    return stanch_plugins_call(((struct production *)ctx)->plugins, request, on_answer, call_ctx, ret, err);
}

static void cancel(void *ctx, struct stanch_plugin_call *plugin_call)
{
    (void)ctx;
    stanch_plugin_call_cancel(plugin_call);
}

static int worker_start(void *ctx, const struct stanch_worker_spec *spec, const struct stanch_worker_events *events,
                        void *worker_ctx, struct stanch_worker **ret, struct stanch_err *err)
{
    return stanch_worker_start(((struct production *)ctx)->runner, spec, events, worker_ctx, ret, err);
}

static int worker_answer(void *ctx, struct stanch_worker *worker, int64_t n, const json_t *answer,
                         struct stanch_err *err)
{
    (void)ctx;
    return stanch_worker_answer(worker, n, answer, err);
}

static void worker_kill(void *ctx, struct stanch_worker *worker)
{
    (void)ctx;
    stanch_worker_kill(worker);
}

static json_t *list(void *ctx)
{
    return stanch_plugins_list(((struct production *)ctx)->plugins);
}

struct stanch_world *stanch_world_production(struct stanch_loop *loop, struct stanch_plugins *plugins,
                                             struct stanch_runner *runner)
{
    struct production *self = STANCH_NEW(struct production);
    self->plugins = plugins;
    self->runner = runner;
    self->base = (struct stanch_world){
        .name = "production",
        .loop = loop,
        .ctx = self,
        .describe = describe,
        .check_args = check_args,
        .call = call,
        .cancel = cancel,
        .worker_start = worker_start,
        .worker_answer = worker_answer,
        .worker_kill = worker_kill,
        .list = list,
    };
    return &self->base;
}

void stanch_world_free(struct stanch_world *world)
{
    free(world ? container_of(world, struct production, base) : NULL);
}
