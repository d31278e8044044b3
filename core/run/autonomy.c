/* autonomy.c: what a runbook may do by itself, and what is told of what it would have done. */
#include "run/autonomy.h"
#include "base/mem.h"
#include "run/action.h"
#include <string.h>

#define KEPT_DIGESTS 50

static void look_up(const struct stanch_engine *engine, const char *runbook, struct stanch_autonomy *ret)
{
    stanch_policy_autonomy(engine->policy, runbook, ret);
}

static json_t *accepted_doc(const struct stanch_engine *engine, const char *runbook)
{
    return stanch_journal_see(engine->journal, "runbook", runbook);
}

static bool holds_digest(const json_t *doc, const char *digest)
{
    const json_t *digests = json_object_get(doc, "digests");
    for (size_t i = 0; i < json_array_size(digests); i++)
        if (strcmp(json_string_value(json_array_get(digests, i)), digest) == 0)
            return true;
    return false;
}

/* why: untouched when nothing of it asks. returns the guard's name, or NULL */
static const char *say_why(const struct stanch_autonomy *autonomy, const json_t *doc, const char *runbook,
                           const char *digest, char why[300])
{
    const char *of = *autonomy->rule ? " by the policy's rule \"" : "", *end = *autonomy->rule ? "\"" : "";
    if (autonomy->mode == STANCH_AUTONOMY_SUGGEST) {
        (void)snprintf(why, 300, "autonomy of %.64s is suggest%s%s%s", runbook, of, autonomy->rule, end);
        return "autonomy";
    }
    if (!autonomy->changed_asks || !digest || !*digest || holds_digest(doc, digest))
        return NULL;
    (void)snprintf(why, 300, "%.64s %s (digest %.12s): it asks until a person accepts it", runbook,
                   doc ? "changed since it was last accepted" : "is new and was not accepted yet", digest);
    return "runbook";
}

void stanch_autonomy__check(const struct stanch_op *op, struct stanch_gate *gate)
{
    const char *runbook = stanch_json_str(op->run->doc, "runbook", "");
    struct stanch_autonomy autonomy;
    char why[300];
    look_up(op->engine, runbook, &autonomy);
    gate->observe = autonomy.mode == STANCH_AUTONOMY_OBSERVE || stanch_autonomy__is_plan(op->run);
    STANCH_AUTO_JSON json_t *doc = accepted_doc(op->engine, runbook);
    const char *guard = say_why(&autonomy, doc, runbook, stanch_json_str(op->run->doc, "digest", NULL), why);
    if (guard)
        stanch_gate__guard(gate, guard, "%s", why);
}

bool stanch_autonomy__is_plan(const struct stanch_run *run)
{
    return run && stanch_json_bool(run->doc, "observe", false);
}

bool stanch_autonomy__observes(const struct stanch_run *run)
{
    struct stanch_autonomy autonomy;
    if (!run || stanch_autonomy__is_plan(run))
        return run != NULL;
    look_up(run->engine, stanch_json_str(run->doc, "runbook", ""), &autonomy);
    return autonomy.mode == STANCH_AUTONOMY_OBSERVE;
}

void stanch_autonomy__observed(struct stanch_op *op, const struct stanch_gate *gate)
{
    struct stanch_action *action = stanch_action__of(op);
    struct stanch_batch *batch = stanch_batch_new();
    stanch_targets_release(op->engine->targets, &op->hold);
    stanch_op__ask(op, batch, NULL);
    if (action->granted[0]) /* it was approved, and the policy is another one since */
        stanch_approval__close(op->engine, action->granted, "approval.voided", "its runbook only observes now", batch);
    json_t *data = json_pack("{s:s, s:s, s:s, s:O}", "step", op->id, "instance", stanch_action__instance(op), "action",
                             stanch_action__name(op), "would_args", stanch_action__args(op));
    stanch_json_set_str(data, "because", stanch_json_str(stanch_op__args(op), "because", NULL));
    stanch_json_set_str(data, "impact", stanch_json_str(action->plan, "impact", NULL));
    if (gate && gate->ask) {
        stanch_json_set_str(data, "would_ask", gate->why);
        json_object_set_new(data, "would_role", json_string(gate->policy.role[0] ? gate->policy.role : "ic"));
        json_object_set_new(data, "would_quorum", json_integer(gate->policy.quorum > 1 ? gate->policy.quorum : 1));
    }
    if (gate)
        stanch_json_set_str(data, "risk", gate->policy.risk);
    if (action->plan)
        json_object_set(data, "plan", action->plan);
    stanch_batch_add(batch, op->chain, "action.observed", STANCH_BY_STANCH, op->run_id, data);
    stanch_engine__count(op->engine, "actions_observed");
    stanch_op__answer(op, batch, json_pack("{s:{s:b, s:n, s:n}}", "ok", "observed", 1, "mitigation", "value"));
}

json_t *stanch_autonomy_told(const struct stanch_policy *policy, const json_t *accepted, const char *runbook,
                             const char *digest)
{
    struct stanch_autonomy autonomy;
    char why[300] = "";
    stanch_policy_autonomy(policy, runbook, &autonomy);
    const char *guard = say_why(&autonomy, accepted, runbook, digest, why);
    bool observes = autonomy.mode == STANCH_AUTONOMY_OBSERVE;
    if (observes)
        (void)snprintf(why, sizeof why, "autonomy of %.64s is observe%s%s%s: it only says what it would do", runbook,
                       *autonomy.rule ? " by the policy's rule \"" : "", autonomy.rule, *autonomy.rule ? "\"" : "");
    return json_pack("{s:s, s:b, s:b, s:s}", "mode", stanch_autonomy_word(autonomy.mode), "accepted",
                     digest && holds_digest(accepted, digest), "asks", guard && !observes, "why",
                     *why ? why : "what it does passes the policy's rules");
}

json_t *stanch_engine_autonomy(const struct stanch_engine *engine, const char *runbook, const char *digest)
{
    STANCH_AUTO_JSON json_t *doc = accepted_doc(engine, runbook);
    return stanch_autonomy_told(engine->policy, doc, runbook, digest);
}

void stanch_engine_accept(struct stanch_engine *engine, const char *by, const char *runbook, const char *digest,
                          const char *because, struct stanch_batch *batch)
{
    STANCH_AUTO_JSON json_t *doc = accepted_doc(engine, runbook);
    const json_t *before = json_object_get(doc, "digests");
    json_t *digests = json_pack("[s]", digest);
    for (size_t i = 0; i < json_array_size(before) && json_array_size(digests) < KEPT_DIGESTS; i++)
        if (strcmp(json_string_value(json_array_get(before, i)), digest) != 0)
            json_array_append(digests, json_array_get(before, i));
    json_t *data = json_pack("{s:s, s:s, s:s#, s:o, s:s, s:s}", "runbook", runbook, "digest", digest, "short", digest,
                             (int)(strlen(digest) < 12 ? strlen(digest) : 12), "digests", digests, "accepted_by", by,
                             "because", because);
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "runbook.approved", by, NULL, data);
}
