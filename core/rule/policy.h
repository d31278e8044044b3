/* policy.h: the operator's policy, compiled: what may run without asking, and who must approve the rest.
 * Pure. A runbook can raise a risk, never lower it; without a policy every mitigation asks.
 *
 * As data (made by policy.lua, see script/README.md):
 *   {"auto":"low",                                       // the highest risk that runs without asking; "none": ask always
 *    "conflicts":"ask"|"allow",                           // another run's mitigation is in force on a target
 *    "approve":{"medium":{"role":"ic","expires_ms":900000,"quorum":1,"not_requester":true},"high":{...}},
 *    "escalation":[{"to","within_ms"}],"remind_ms":300000,     // rule/escalation.h
 *    "break_glass":{"people":["ada"]|"pool"},             // who may approve without holding the role, with a reason
 *    "rules":[{"name":"edge drains are routine","line":12,
 *              "when":{"plugin":glob,"instance":glob,"action":glob,"effect":"mitigate"|"undo","environment":glob,
 *                      "severity":["sev1"],"target":glob,"runbook":glob,"max_reach":0.5,"during":calendar,
 *                      "tag":[glob]},
 *              "risk":"low"|"medium"|"high"|"forbidden"}],
 *    ...and what guards.h and autonomy.h read}
 * Rules are tried in order; the first that matches sets the risk; none: the risk that the action declares. A rule with a tag
 * holds when one of the tags is named by one of its globs; when the tags are not known, it holds if its risk is higher than what
 * is decided without it.
 */
#ifndef STANCH_RULE_POLICY_H
#define STANCH_RULE_POLICY_H
#include "base/err.h"
#include "rule/autonomy.h"
#include "rule/guards.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct stanch_policy;

/** policy: borrowed; NULL: the built-in one, under which every mitigation asks. ret: new. */
int stanch_policy_new(const json_t *policy, struct stanch_policy **ret, struct stanch_err *err);
/** From now on it says what `other` says, for whoever holds it. other: taken. */
void stanch_policy_become(struct stanch_policy *policy, struct stanch_policy *other);
void stanch_policy_free(struct stanch_policy *policy);
/** SHA-256 over the canonical form of the policy's data. */
const char *stanch_policy_digest(const struct stanch_policy *policy);
/** How much of its own a runbook may do. Without a policy file every mitigation asks, and nothing is said of runbooks. */
void stanch_policy_autonomy(const struct stanch_policy *policy, const char *runbook, struct stanch_autonomy *ret);
/** What goes by what has happened; borrowed, as long as the policy. */
const struct stanch_guards *stanch_policy_guards(const struct stanch_policy *policy);

/** A member of the policy's data that is no part of a decision: "escalation", "remind_ms", "break_glass". borrowed, or NULL */
const json_t *stanch_policy_said(const struct stanch_policy *policy, const char *member);

struct stanch_policy_question {
    const char *plugin, *instance, *action;
    const char *effect; /* "mitigate" or "undo" */
    const char *environment;
    const char *severity; /* of the incident */
    const char *runbook;
    const json_t *targets; /* array of text */
    const json_t
        *tags;    /* array of text: what the remote has the targets tagged with; NULL, or another value: unknown */
    double reach; /* 0..1, or < 0 unknown */
    const json_t *during; /* {calendar: [summaries of what is under way], or null: not known}; NULL: nothing is known */
    const char *declared_risk; /* of the action */
    const char *raised_risk;   /* by the runbook; NULL: not raised */
};
struct stanch_policy_decision {
    bool forbidden;
    bool ask;
    const char *risk; /* "low" | "medium" | "high" | "forbidden"; static */
    char role[32];    /* whom to ask */
    int quorum;
    int64_t expires_ms;
    bool not_requester; /* who started the run by hand does not approve it */
    json_t *rules; /* new: [{"name","line","risk","digest","tags"?}], what decided, for the approval digest and card;
                         * tags: those that it went by, sorted: preconditions, which the plan's digest covers */
    char why[256]; /* one sentence */
};
/** Must a mitigation ask when another run's is in force on one of its targets? `conflicts`: "ask", when it is not given. */
bool stanch_policy_asks_on_conflict(const struct stanch_policy *policy);
void stanch_policy_decide(const struct stanch_policy *policy, const struct stanch_policy_question *question,
                          struct stanch_policy_decision *ret);
/** Every rule held against the question, in their order, for a person who wants to know why:
 *  [{"name","line","risk","verdict","because"?}]. verdict: "decides" the first that matches, "matches" those behind it that would
 *  too, "no" the others; because: the first of its conditions that does not hold. new */
json_t *stanch_policy_explain(const struct stanch_policy *policy, const struct stanch_policy_question *question);
/** Is this refused whatever its targets, reach, incident and time are? Of the question only plugin, instance, action, effect,
 *  environment and runbook are looked at. why: by which rule */
bool stanch_policy_never_allows(const struct stanch_policy *policy, const struct stanch_policy_question *question,
                                char why[256]);
/** The calendars that its rules ask for, each once; new. */
json_t *stanch_policy_calendars(const struct stanch_policy *policy);
void stanch_policy_decision_done(struct stanch_policy_decision *decision);

#endif
