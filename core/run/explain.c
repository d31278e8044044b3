/* explain.c: what the gate would say of an action now, and why: the policy's rules, and all that stands against it beside them.
 * The same functions decide about a step (gate.c); here nobody sends anything, and what was looked at is kept. */
#include "run/engine.h"
#include "base/mem.h"
#include <string.h>

static int find_declared(const struct stanch_engine *engine, const json_t *input, json_t **ret, struct stanch_err *err)
{
    const char *instance = stanch_json_str(input, "instance", ""), *action = stanch_json_str(input, "action", "");
    const json_t *described = engine->world->describe(engine->world->ctx, instance);
    if (!described)
        return stanch_err_set(err, STANCH_E_NOT_FOUND,
                              "there is no plugin instance \"%.60s\"; `stanch plugin list` lists them", instance);
    json_t *act = json_object_get(json_object_get(described, "actions"), action);
    if (!act)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "%s has no action \"%.60s\"; `stanch plugin show %s` lists them",
                              instance, action, instance);
    if (strcmp(stanch_json_str(act, "effect", ""), "mitigate") != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "%s.%s changes nothing: no policy is asked", instance, action);
    *ret = json_pack("{s:O, s:O}", "instance", described, "action", act);
    return 0;
}

static int check_words(const json_t *input, struct stanch_err *err)
{
    const char *effect = stanch_json_str(input, "effect", "mitigate"),
               *severity = stanch_json_str(input, "severity", "sev1");
    if (strcmp(effect, "mitigate") != 0 && strcmp(effect, "undo") != 0)
        return stanch_err_set(err, STANCH_E_INVALID, "effect: \"%.40s\" is neither mitigate nor undo", effect);
    if (strlen(severity) != 4 || strncmp(severity, "sev", 3) != 0 || severity[3] < '1' || severity[3] > '4')
        return stanch_err_set(err, STANCH_E_INVALID, "severity: \"%.40s\" is none; they are sev1 (worst) to sev4",
                              severity);
    if (strcmp(effect, "undo") == 0 && json_object_get(input, "tags"))
        return stanch_err_set(err, STANCH_E_INVALID,
                              "tags: an undo makes no plan, so it goes by no tags: leave them out");
    return 0;
}

/* ret: the incident that is asked about, new; NULL: none is. */
static int find_incident(struct stanch_engine *engine, const json_t *input, json_t **ret, struct stanch_err *err)
{
    const char *id = stanch_json_str(input, "incident", NULL);
    *ret = id ? stanch_journal_see(engine->journal, "incident", id) : NULL;
    if (id && !*ret)
        return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is no incident \"%.60s\"", id);
    return 0;
}

/* What stands against it now; what asks of it puts into the gate. new */
static json_t *weigh(struct stanch_engine *engine, const json_t *input, const char *effect, struct stanch_gate *gate)
{
    const struct stanch_subject about = {.engine = engine,
                                         .instance = stanch_json_str(input, "instance", ""),
                                         .runbook = stanch_json_str(input, "runbook", ""),
                                         .chain = stanch_json_str(input, "incident", ""),
                                         .step = "",
                                         .run = "",
                                         .holds = stanch_json_str(input, "holds", ""),
                                         .plan = input};
    static const char *const kinds[] = {"against", "stops", "holds", "conflicts", "limits", "breakers"};
    gate->facts = json_object();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        json_object_set_new(gate->facts, kinds[i], json_array());
    stanch_gate__weigh(&about, effect, true, gate);
    return json_incref(gate->facts);
}

static json_t *tell(const struct stanch_policy_decision *decision, const struct stanch_policy_question *question,
                    bool asks)
{
    json_t *told = json_pack("{s:s, s:s, s:s, s:i, s:I, s:s, s:s, s:s, s:s}", "verdict",
                             decision->forbidden ? "forbidden"
                             : asks              ? "asks"
                                                 : "runs",
                             "risk", decision->risk, "role", decision->role, "quorum", decision->quorum, "expires_ms",
                             (json_int_t)decision->expires_ms, "why", decision->why, "declared_risk",
                             question->declared_risk, "plugin", question->plugin, "environment", question->environment);
    if (decision->not_requester)
        json_object_set_new(told, "not_requester", json_true());
    return told;
}

int stanch_engine_explain(struct stanch_engine *engine, const json_t *input, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *declared = NULL, *incident = NULL;
    int rc = check_words(input, err);
    rc = rc ? rc : find_declared(engine, input, &declared, err);
    rc = rc ? rc : find_incident(engine, input, &incident, err);
    if (rc < 0)
        return rc;
    const char *effect = stanch_json_str(input, "effect", "mitigate");
    STANCH_AUTO_JSON json_t *during = stanch_gate__under_way(engine);
    struct stanch_policy_question question; /* what is asked about stands where a plan has it */
    stanch_gate__question(declared, effect, input, &question);
    question.declared_risk = stanch_gate__declared_risk(effect, json_object_get(declared, "action"), NULL);
    question.action = stanch_json_str(input, "action", "");
    question.severity = stanch_json_str(input, "severity", stanch_json_str(incident, "severity", ""));
    question.runbook = stanch_json_str(input, "runbook", "");
    question.raised_risk = stanch_json_str(input, "risk", NULL);
    question.during = during;
    struct stanch_gate gate = {0};
    stanch_policy_decide(engine->policy, &question, &gate.policy);
    STANCH_AUTO_JSON json_t *now = weigh(engine, input, effect, &gate);
    *ret = tell(&gate.policy, &question, gate.policy.ask || gate.ask);
    json_object_set_new(*ret, "rules", stanch_policy_explain(engine->policy, &question));
    json_object_set(*ret, "now", now);
    stanch_gate__done(&gate);
    return 0;
}
