/* bound.c: what an approval of an action is for (PROMISES.md 1.4): the digest of its plan, and whether what would run now is
 * still that. */
#include "run/action.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "run/authority.h"
#include <string.h>

/* SHA-256 of what is bound. tags: those that the policy's rule went by; NULL: it went by none. */
static int digest_plan(const struct stanch_op *op, const json_t *plan, const json_t *tags, char ret[65],
                       struct stanch_err *err)
{
    const char *class = stanch_json_str(stanch_action__declared(op), "class", "unprotected");
    STANCH_AUTO_JSON json_t *bound =
        json_pack("{s:s, s:s, s:s, s:O}", "instance", stanch_action__instance(op), "action", stanch_action__name(op),
                  "class", class, "args", stanch_action__args(op));
    static const char *const members[] = {"targets", "from", "to", "undo", "preconditions"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        json_t *member = json_object_get(plan, members[i]);
        if (member)
            json_object_set(bound, members[i], member);
    }
    if (tags)
        json_object_set(bound, "tags", (json_t *)(uintptr_t)tags);
    return stanch_json_digest("stanch.plan", 1, bound, ret, err);
}

/* The tags that the rule went by which decided; NULL: it went by none. borrowed */
static const json_t *tags_of(const json_t *rules)
{
    return json_object_get(json_array_get(rules, 0), "tags");
}

int stanch_action__bind(struct stanch_op *op, const struct stanch_gate *gate, bool *ret_same, struct stanch_err *err)
{
    struct stanch_action *action = stanch_action__of(op);
    char digest[65];
    int rc = digest_plan(op, action->plan, tags_of(gate->policy.rules), digest, err);
    if (rc < 0)
        return rc;
    *ret_same = strcmp(digest, action->digest) == 0;
    memcpy(action->digest, digest, sizeof digest);
    if (!*ret_same)
        action->planned = false;
    return 0;
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

static bool same_tags(const json_t *approval, const struct stanch_gate *gate)
{
    const json_t *then = tags_of(json_object_get(approval, "rules")), *now = tags_of(gate->policy.rules);
    return then == now || json_equal(then, now);
}

/* Why what was approved is not what would run now, in the words of the new question; NULL: it is. A grant gets old like
 * everything else: while it waited for its target, or while stanch was down. */
const char *stanch_action__why_void(const struct stanch_op *op, const struct stanch_gate *gate, bool same_plan)
{
    const char *granted = ((const struct stanch_action *)op->state)->granted;
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(op->engine->journal, STANCH_VIEW_APPENDED, "approval", granted);
    int64_t now = stanch_engine__now(op->engine);
    if (!same_plan && !stanch_is_sabotaged("approval-for-another-plan"))
        return same_tags(doc, gate) ? "the plan was made again, and it differs from the approved one"
                                    : "the tags that the policy's rule goes by are others than when it was approved";
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
