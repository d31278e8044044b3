/* action_gate.c: an action between its plan and its effect: the gate, the question, the hold of its targets. */
#include "run/action.h"
#include "run/autonomy.h"
#include "base/mem.h"

/* ---- the question ---- */

static void request_approval(struct stanch_op *op, const struct stanch_gate *gate)
{
    struct stanch_action *action = stanch_action__of(op);
    struct stanch_engine *engine = op->engine;
    const json_t *args = stanch_op__args(op);
    const json_t *described = engine->world->describe(engine->world->ctx, stanch_action__instance(op));
    STANCH_AUTO_JSON json_t *card =
        json_pack("{s:s, s:s, s:O, s:O, s:s, s:s, s:s, s:O, s:s, s:s}", "instance", stanch_action__instance(op),
                  "action", stanch_action__name(op), "args", stanch_action__args(op), "plan", action->plan, "because",
                  stanch_json_str(args, "because", ""), "risk", gate->policy.risk, "why", gate->why, "rules",
                  gate->policy.rules, "environment", stanch_json_str(described, "environment", ""), "plugin_digest",
                  stanch_json_str(described, "digest", ""));
    json_t *lease = json_object_get(args, "lease_ms");
    if (lease)
        json_object_set(card, "lease_ms", lease);
    json_t *against = stanch_gate__against(gate);
    if (against)
        json_object_set_new(card, "against", against);
    if (op->run->symptom_seen)
        json_object_set(card, "symptom", op->run->symptom_seen);
    if (op->run->resolved)
        json_object_set_new(card, "resolved", json_true());
    if (gate->policy.not_requester)
        json_object_set_new(card, "not_requester", json_true());
    if (gate->guards)
        json_object_set(card, "guards", gate->guards);
    struct stanch_question_spec spec = {.about = "action",
                                        .role = gate->policy.role[0] ? gate->policy.role : "ic",
                                        .quorum = gate->policy.quorum,
                                        .expires_ms = gate->policy.expires_ms,
                                        .card = card,
                                        .plan_digest = action->digest};
    struct stanch_batch *batch = stanch_batch_new();
    char id[32];
    stanch_op__ask(op, batch, NULL);
    stanch_approval__request(engine, op, op->chain, op->run_id, &spec, batch, id);
    stanch_batch_add(batch, op->chain, "step.planned", STANCH_BY_STANCH, op->run_id,
                     json_pack("{s:s, s:O, s:s, s:s}", "step", op->id, "plan", action->plan, "plan_digest",
                               action->digest, "approval", id));
    action->planned = true;
    struct stanch_err err;
    if (stanch_engine__append(engine, batch, NULL, NULL, &err) < 0 && !stanch_op__hold(op, err.code))
        stanch_action__fail(op, &err);
}

/* ---- the gate ---- */

static void on_held(void *ctx)
{
    struct stanch_op *op = ctx;
    if (stanch_action__is_stuck(op))
        return;
    struct stanch_action *action = stanch_action__of(op);
    /* What was planned before the lock was held counts only if nothing has moved since; what was approved is
     * always planned again. Either way the gate looks again: it may be held, or stopped, since. */
    if (action->granted[0] || action->effects_before != op->engine->effects)
        stanch_action__plan(op);
    else
        stanch_action__pass_gate(op); /* once more: others may have been sent while it waited */
}

void stanch_action__hold(struct stanch_op *op)
{
    struct stanch_action *action = stanch_action__of(op);
    stanch_targets_hold(op->engine->targets, json_object_get(action->plan, "targets"), on_held, op, &op->hold);
}

/* ret: finish with stanch_gate__done. */
static void decide_gate(struct stanch_op *op, struct stanch_gate *ret)
{
    struct stanch_world *world = op->engine->world;
    STANCH_AUTO_JSON json_t *declared = json_object();
    json_object_set(declared, "instance",
                    (json_t *)(uintptr_t)world->describe(world->ctx, stanch_action__instance(op)));
    json_object_set(declared, "action", (json_t *)(uintptr_t)stanch_action__declared(op));
    const char *raised = stanch_json_str(stanch_op__args(op), "risk", stanch_json_str(op->run->doc, "risk", NULL));
    stanch_gate__decide(op, "mitigate", stanch_action__of(op)->plan, declared, stanch_action__name(op), raised, ret);
}

static void refuse(struct stanch_op *op, const struct stanch_gate *gate)
{
    struct stanch_err err;
    stanch_err_set(&err, STANCH_E_REFUSED, "%s", gate->why);
    stanch_action__fail(op, &err);
}

void stanch_action__pass_gate(struct stanch_op *op)
{
    struct stanch_gate gate;
    struct stanch_err err;
    bool same;
    decide_gate(op, &gate);
    if (gate.refused) {
        refuse(op, &gate);
    } else if (stanch_action__bind(op, &gate, &same, &err) < 0) {
        stanch_action__fail(op, &err);
    } else if (gate.observe) {
        stanch_autonomy__observed(op, &gate);
    } else if (gate.ask) {
        stanch_targets_release(op->engine->targets, &op->hold);
        request_approval(op, &gate);
    } else if (op->hold) {
        stanch_action__send(op);
    } else {
        stanch_action__hold(op);
    }
    stanch_gate__done(&gate);
}

/* An approval that no longer is for what would run: void it and ask anew. */
static void void_and_ask_anew(struct stanch_op *op, struct stanch_gate *gate, const char *what)
{
    struct stanch_action *action = stanch_action__of(op);
    STANCH_AUTO_FREE char *why = stanch_asprintf("just before apply %s", what);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_approval__close(op->engine, action->granted, "approval.voided", why, batch);
    stanch_engine__append(op->engine, batch, NULL, NULL, NULL);
    action->granted[0] = 0;
    stanch_targets_release(op->engine->targets, &op->hold);
    STANCH_AUTO_FREE char *again = stanch_asprintf("asked again: %s", what);
    stanch_gate__ask_because(gate, again);
    request_approval(op, gate);
}

/* Approved, the target is held, and the plan was made again. */
void stanch_action__use_approval(struct stanch_op *op)
{
    struct stanch_gate gate;
    struct stanch_err err;
    bool same;
    const char *why;
    decide_gate(op, &gate);
    if (gate.refused)
        refuse(op, &gate);
    else if (stanch_action__bind(op, &gate, &same, &err) < 0)
        stanch_action__fail(op, &err);
    else if (gate.observe)
        stanch_autonomy__observed(op, &gate);
    else if ((why = stanch_action__why_void(op, &gate, same)))
        void_and_ask_anew(op, &gate, why);
    else
        stanch_action__send(op);
    stanch_gate__done(&gate);
}
