/* world.h: the last arrow as a seam. A run acts in a world: production has the real plugin hosts and workers,
 * a drill or a test has others; everything before this arrow is the same code. Thread: loop thread.
 */
#ifndef STANCH_RUN_WORLD_H
#define STANCH_RUN_WORLD_H
#include "base/loop.h"
#include "plugin/plugin.h"
#include "script/runner.h"

struct stanch_world {
    const char *name; /* "production" */
    struct stanch_loop *loop;
    void *ctx;

    /* plugin/plugin.h: stanch_plugins_describe, _check_args, _call, stanch_plugin_call_cancel */
    const json_t *(*describe)(void *ctx, const char *instance);
    int (*check_args)(void *ctx, const char *instance, const char *action, const json_t *args, struct stanch_err *err);
    int (*call)(void *ctx, const struct stanch_plugin_request *request,
                void (*on_answer)(void *call_ctx, const struct stanch_plugin_answer *answer), void *call_ctx,
                struct stanch_plugin_call **ret, struct stanch_err *err);
    void (*cancel)(void *ctx, struct stanch_plugin_call *call);

    /* script/runner.h: stanch_worker_start, _answer, _kill */
    int (*worker_start)(void *ctx, const struct stanch_worker_spec *spec, const struct stanch_worker_events *events,
                        void *worker_ctx, struct stanch_worker **ret, struct stanch_err *err);
    int (*worker_answer)(void *ctx, struct stanch_worker *worker, int64_t n, const json_t *answer,
                         struct stanch_err *err);
    void (*worker_kill)(void *ctx, struct stanch_worker *worker);

    /* plugin/plugin.h: stanch_plugins_list; flow's own, the engine does not ask for it */
    json_t *(*list)(void *ctx);
};

/** Production: the real hosts and workers. plugins, runner: borrowed, must outlive it. ret: new; free with
 *  stanch_world_free. */
struct stanch_world *stanch_world_production(struct stanch_loop *loop, struct stanch_plugins *plugins,
                                             struct stanch_runner *runner);
void stanch_world_free(struct stanch_world *world);

#endif
