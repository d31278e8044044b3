/* action_read.c: an action that only reads: no intent, no plan; its answer alone is recorded. */
#include "run/action.h"

static void on_read(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct stanch_op *op = ctx;
    if (!stanch_op__returned(op))
        return;
    if (answer->outcome == STANCH_OUTCOME_DONE)
        stanch_op__answer_ok(
            op, json_pack("{s:O, s:n}", "value", answer->value ? answer->value : json_null(), "mitigation"));
    else
        stanch_op__answer_error(op, stanch_err_word(answer->err.code), "%s.%s: %s", stanch_action__instance(op),
                                stanch_action__name(op), answer->err.text);
}

static void on_host_awaited(void *ctx);

static void on_may_read(void *ctx)
{
    struct stanch_op *op = ctx;
    if (!stanch_op__returned(op))
        return;
    STANCH_AUTO_JSON json_t *input = json_pack("{s:O}", "args", stanch_action__args(op));
    struct stanch_plugin_request request = {.instance = stanch_action__instance(op),
                                            .op = "read",
                                            .action = stanch_action__name(op),
                                            .input = input,
                                            .deadline_ms =
                                                stanch_json_int(stanch_action__declared(op), "deadline_ms", 10000)};
    struct stanch_err err;
    stanch_op__away(op);
    int rc = op->engine->world->call(op->engine->world->ctx, &request, on_read, op, NULL, &err);
    if (rc == 0)
        return;
    stanch_op__returned(op);
    if (!stanch_action__await_host(op, rc, on_host_awaited))
        stanch_op__answer_error(op, stanch_err_word(err.code), "%s", err.text);
}

static void on_host_awaited(void *ctx)
{
    struct stanch_op *op = ctx;
    op->timer = NULL;
    stanch_op__away(op);
    on_may_read(op);
}

void stanch_action__read(struct stanch_op *op)
{
    stanch_op__away(op);
    stanch_journal_barrier(op->engine->journal, on_may_read, op);
}
