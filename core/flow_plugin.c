/* flow_plugin.c: what people ask of one plugin instance: to be let go on after it was given up, and how things are with it
 * now.
 */
#include "base/json.h"
#include "base/mem.h"
#include "flow_parts.h"
#include <string.h>

/* A drill has no plugin of its own. */
static int check_plugins(const struct stanch_flow *flow, struct stanch_err *err)
{
    return flow->plugins ? 0
                         : stanch_err_set(err, STANCH_E_REFUSED, "a drill opens no plugin: there is nothing to ask it");
}

int stanch_flow__enable_plugin(struct stanch_flow *flow, const char *by, const json_t *input, stanch_flow_done done,
                               void *ctx, struct stanch_err *err)
{
    const char *instance = stanch_json_str(input, "instance", "");
    int rc = check_plugins(flow, err);
    rc = rc ? rc : stanch_plugins_enable(flow->plugins, instance, err);
    if (rc < 0)
        return rc;
    struct stanch_batch *batch = stanch_batch_new();
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "plugin.enabled", by, NULL, json_pack("{s:s}", "instance", instance));
    struct stanch_reply *reply = stanch_reply__new(flow, done, ctx, "", "");
    const json_t *described = stanch_plugins_describe(flow->plugins, instance);
    stanch_reply__result(reply, json_deep_copy(described));
    return stanch_reply__append(reply, batch, err);
}

struct plugin_check {
    stanch_flow_done done;
    void *ctx;
    char instance[65];
};

static void on_plugin_checked(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct plugin_check *check = ctx;
    if (answer->outcome == STANCH_OUTCOME_DONE) {
        STANCH_AUTO_JSON json_t *result = json_pack("{s:s}", "instance", check->instance);
        json_object_update_missing(result, answer->value);
        check->done(check->ctx, 0, NULL, result);
    } else {
        check->done(check->ctx, answer->err.code, &answer->err, NULL);
    }
    free(check);
}

int stanch_flow__check_plugin(struct stanch_flow *flow, const json_t *input, stanch_flow_done done, void *ctx,
                              struct stanch_err *err)
{
    if (check_plugins(flow, err) < 0)
        return err->code;
    struct plugin_check *check = STANCH_NEW(struct plugin_check);
    const char *name = stanch_json_str(input, "instance", "");
    const json_t *described = stanch_plugins_describe(flow->plugins, name);
    STANCH_AUTO_JSON json_t *nothing = json_object();
    struct stanch_plugin_request request = {
        .instance = name,
        .op = "check",
        .action = "check",
        .input = nothing,
        .deadline_ms = stanch_json_int(json_object_get(described, "check"), "deadline_ms", 10000),
    };
    check->done = done;
    check->ctx = ctx;
    (void)snprintf(check->instance, sizeof check->instance, "%s", name);
    int rc = stanch_plugins_call(flow->plugins, &request, on_plugin_checked, check, NULL, err);
    if (rc < 0)
        free(check);
    return rc;
}
