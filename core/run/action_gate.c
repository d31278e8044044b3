/* action_gate.c: an action between its plan and its effect: the gate, the question, the hold of its targets; and whether
 * what was approved is what would run now.
 */
#include "run/action.h"
#include "run/autonomy.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "run/authority.h"
#include <string.h>

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
    decide_gate(op, &gate);
    if (gate.refused) {
        refuse(op, &gate);
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

/* The rules that decided, by what they say: an unrelated edit of the policy does not void an approval. */
static json_t *rule_digests(const json_t *rules)
{
    json_t *digests = json_array();
    for (size_t i = 0; i < json_array_size(rules); i++)
        json_array_append_new(digests, json_string(stanch_json_str(json_array_get(rules, i), "digest", "")));
    return digests;
}

/* Does the policy still ask the same people? */
static bool same_approvers(const json_t *approval, const struct stanch_gate *gate)
{
    const char *role = stanch_json_str(approval, "of_role", stanch_json_str(approval, "role", "ic"));
    return stanch_json_int(approval, "quorum", 1) >= gate->policy.quorum && strcmp(role, gate->policy.role) == 0 &&
           stanch_json_bool(approval, "not_requester", false) >= gate->policy.not_requester;
}

/* Do the same rules of the policy match that the approval was given under? */
static bool same_rules(const json_t *approval, const struct stanch_gate *gate)
{
    STANCH_AUTO_JSON json_t *then = rule_digests(json_object_get(approval, "rules"));
    STANCH_AUTO_JSON json_t *now = rule_digests(gate->policy.rules);
    return json_equal(then, now) && same_approvers(approval, gate);
}

/* Why what was approved is not what would run now, in the words of the new question; NULL: it is. A grant gets old like
 * everything else: while it waited for its target, or while stanch was down. */
static const char *why_void(const struct stanch_op *op, const struct stanch_gate *gate, bool same_plan)
{
    const char *granted = ((const struct stanch_action *)op->state)->granted;
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "approval", granted);
    int64_t now = stanch_engine__now(op->engine);
    if (!same_plan && !stanch_is_sabotaged("approval-for-another-plan"))
        return "the plan was made again, and it differs from the approved one";
    if (!stanch_approval__is_of_plugin(op->engine, doc))
        return STANCH_ANOTHER_PLUGIN;
    if (!same_rules(doc, gate) && !stanch_is_sabotaged("rules-not-bound"))
        return "other rules of the policy match than when it was approved";
    const char *whose = stanch_authority_why_void(op->engine, doc);
    if (whose)
        return whose;
    if (stanch_engine__steady(op->engine) > stanch_json_int(doc, "due_ms", stanch_json_int(doc, "expires_ms", 0)))
        return "the approval had expired before it could be used";
    if ((op->engine->set_back && stanch_json_int(doc, "updated_ms", 0) > now) ||
        now - stanch_json_int(doc, "updated_ms", 0) > stanch_gate__fresh_for(op->run))
        return "the approval was given too long ago";
    if (op->run->resolved && !stanch_json_bool(doc, "resolved", false))
        return "the alert has resolved since the question was asked";
    if (!stanch_gate__is_told(gate, doc))
        return "more holds it back now than when the question was asked";
    return stanch_gate__new_against(gate, doc); /* what stood when it was asked was approved with it */
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
void stanch_action__use_approval(struct stanch_op *op, bool same_plan)
{
    struct stanch_gate gate;
    decide_gate(op, &gate);
    const char *why = why_void(op, &gate, same_plan);
    if (gate.refused)
        refuse(op, &gate);
    else if (gate.observe)
        stanch_autonomy__observed(op, &gate);
    else if (why)
        void_and_ask_anew(op, &gate, why);
    else
        stanch_action__send(op);
    stanch_gate__done(&gate);
}
