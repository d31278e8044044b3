/* action_proof.c: an action that was done: its effect is read back until it holds, and the run is answered. */
#include "run/action.h"
#include "run/breaker.h"

#define VERIFY_EVERY_MS    250
#define VERIFY_TRIES       24
#define VERIFY_DEADLINE_MS 5000

void stanch_action__answer_done(struct stanch_op *op, bool verified)
{
    struct stanch_action *action = stanch_action__of(op);
    stanch_targets_release(op->engine->targets, &op->hold);
    if (op->cancelled) {
        stanch_op__free(op);
        return;
    }
    if (op->run) {
        op->run->gap_ms = 0;
        op->run->gap_unknown = false;
    }
    if (!verified) {
        stanch_op__answer_error(
            op, "unverified",
            "%s.%s was applied, but reading it back does not show the effect; it stays in force as %s",
            stanch_action__instance(op), stanch_action__name(op), action->mitigation);
        return;
    }
    json_t *value = action->value ? json_incref(action->value) : json_null();
    json_t *mitigation = action->mitigation[0] ? json_string(action->mitigation) : json_null();
    struct stanch_batch *batch = stanch_batch_new();
    stanch_breaker__done(op, action->plan, batch);
    stanch_op__answer(op, batch, json_pack("{s:{s:o, s:o}}", "ok", "value", value, "mitigation", mitigation));
}

static void call_verify(void *ctx);

static bool may_ask_again(struct stanch_op *op)
{
    struct stanch_action *action = stanch_action__of(op);
    if (op->cancelled)
        return false;
    return action->verify_until_mono_ms ? stanch_loop_mono_ms(op->engine->loop) < action->verify_until_mono_ms
                                        : ++action->verify_tries < VERIFY_TRIES;
}

static void on_verified(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct stanch_op *op = ctx;
    if (!stanch_op__returned(op))
        return;
    bool holds = answer->outcome == STANCH_OUTCOME_DONE && stanch_json_bool(answer->value, "holds", false);
    if (!holds && !stanch_json_bool(answer->value, "never", false) && may_ask_again(op)) {
        op->timer = stanch_timer_start(op->engine->loop, VERIFY_EVERY_MS, call_verify, op);
        return;
    }
    struct stanch_batch *batch = stanch_batch_new();
    json_t *seen = json_object_get(answer->value, "seen");
    json_t *data = json_pack("{s:s, s:s, s:s, s:b, s:O}", "step", op->id, "instance", stanch_action__instance(op),
                             "action", stanch_action__name(op), "holds", holds, "seen", seen ? seen : json_null());
    if (answer->err.text[0])
        json_object_set_new(data, "why", json_string(answer->err.text));
    stanch_batch_add(batch, op->chain, "action.verified", STANCH_BY_STANCH, op->run_id, data);
    if (!holds)
        stanch_breaker__failed(op, stanch_action__of(op)->plan, STANCH_BREAKER_UNVERIFIED,
                               "reading it back does not show its effect", batch);
    stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
    stanch_action__answer_done(op, holds);
}

static void call_verify(void *ctx)
{
    struct stanch_op *op = ctx;
    struct stanch_action *action = stanch_action__of(op);
    op->timer = NULL;
    STANCH_AUTO_JSON json_t *input = json_pack("{s:O, s:O}", "args", stanch_action__args(op), "plan", action->plan);
    struct stanch_plugin_request request = {.instance = stanch_action__instance(op),
                                            .op = "verify",
                                            .action = stanch_action__name(op),
                                            .input = input,
                                            .deadline_ms = VERIFY_DEADLINE_MS};
    struct stanch_plugin_answer lost = {.outcome = STANCH_OUTCOME_FAILED};
    stanch_op__away(op);
    if (op->engine->world->call(op->engine->world->ctx, &request, on_verified, op, NULL, &lost.err) < 0) {
        stanch_op__returned(op);
        if (may_ask_again(op)) { /* its host is coming back */
            op->timer = stanch_timer_start(op->engine->loop, VERIFY_EVERY_MS, call_verify, op);
            return;
        }
        stanch_op__away(op);
        on_verified(op, &lost);
    }
}

/* What takes minutes to show holds no target meanwhile: its outcome is recorded, and a person may want to take it back. */
void stanch_action__prove(struct stanch_op *op)
{
    int64_t within_ms = stanch_json_int(stanch_action__declared(op), "verify_ms", 0);
    if (op->cancelled || !stanch_action__declares(op, "verify")) {
        stanch_action__answer_done(op, true);
        return;
    }
    if (within_ms > 0) {
        stanch_action__of(op)->verify_until_mono_ms = stanch_loop_mono_ms(op->engine->loop) + within_ms;
        stanch_targets_release(op->engine->targets, &op->hold);
    }
    call_verify(op);
}
