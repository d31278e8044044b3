/* gate.c: may this effect start by itself, must a person be asked, is it refused? Over a limit or on stale
 * grounds it asks, instead of failing in the middle; only what the policy forbids is refused. */
#include "run/engine.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "base/times.h"
#include "run/autonomy.h"
#include "run/breaker.h"
#include "run/limits.h"
#include <stdarg.h>
#include <string.h>

/* What is too long is cut between characters: half of one is no text. */
static void add_reason(struct stanch_gate *gate, const char *reason)
{
    STANCH_AUTO_FREE char *all = stanch_asprintf("%s%s%s", gate->why, gate->why[0] ? "; " : "", reason);
    size_t len = stanch_text_cut(all, sizeof gate->why - 1);
    memcpy(gate->why, all, len);
    gate->why[len] = 0;
}

void stanch_gate__ask_because(struct stanch_gate *gate, const char *reason)
{
    gate->ask = true;
    add_reason(gate, reason);
}

void stanch_gate__guard(struct stanch_gate *gate, const char *name, const char *fmt, ...)
{
    char reason[400];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    if (!gate->guards)
        gate->guards = json_array();
    json_array_append_new(gate->guards, json_string(name));
    stanch_gate__ask_because(gate, reason);
}

bool stanch_gate__is_told(const struct stanch_gate *gate, const json_t *approval)
{
    const json_t *told = json_object_get(approval, "guards");
    for (size_t i = 0; i < json_array_size(gate->guards); i++) {
        bool found = false;
        for (size_t k = 0; k < json_array_size(told); k++)
            found = found || json_equal(json_array_get(told, k), json_array_get(gate->guards, i));
        if (!found)
            return false;
    }
    return true;
}

int64_t stanch_gate__fresh_for(const struct stanch_run *run)
{
    return stanch_json_int(run->doc, "fresh_for_ms", run->engine->config.fresh_for_ms);
}

/* PROMISES.md 1.14 */
static void check_freshness(const struct stanch_run *run, struct stanch_gate *gate)
{
    int64_t gap = stanch_engine__now(run->engine) - run->acted_ms;
    int64_t still = stanch_loop_mono_ms(run->engine->loop) - run->acted_mono_ms; /* the wall clock may be set back */
    if (gap < still)
        gap = still;
    if (gap < run->gap_ms)
        gap = run->gap_ms;
    if (gap > stanch_gate__fresh_for(run)) {
        char gap_text[32];
        stanch_duration_text(gap / 1000 * 1000, gap_text);
        STANCH_AUTO_FREE char *reason = stanch_asprintf("the run last acted %s ago", gap_text);
        stanch_gate__ask_because(gate, reason);
    } else if (run->gap_unknown) {
        stanch_gate__ask_because(gate,
                                 "the clock was set back while stanch was down: when the run last acted is not known");
    }
    if (run->resolved)
        stanch_gate__ask_because(gate, "its alert has resolved meanwhile");
}

/* What the plugin says of its action, or of this plan when that is more. */
static const char *declared_risk(const json_t *action, const json_t *plan)
{
    static const char *const words[] = {"low", "medium", "high"};
    const char *declared = stanch_json_str(action, "risk", "high"), *planned = stanch_json_str(plan, "risk", NULL);
    for (size_t i = 0; planned && i < sizeof words / sizeof *words; i++) {
        if (strcmp(words[i], declared) == 0)
            return planned;
        if (strcmp(words[i], planned) == 0)
            return declared;
    }
    return planned ? "high" : declared;
}

static const char *declared_risk_of(const char *effect, const json_t *action, const json_t *plan)
{
    return strcmp(effect, "undo") == 0 ? stanch_json_str(action, "undo_risk", stanch_json_str(action, "risk", "high"))
                                       : declared_risk(action, plan);
}

static json_t *under_way(const struct stanch_engine *engine)
{
    return engine->hooks.calendars ? engine->hooks.calendars(engine->hooks_ctx) : NULL;
}

static void check_stops(const struct stanch_op *op, const struct stanch_policy_question *question,
                        struct stanch_gate *gate)
{
    const struct stanch_stop_about about = {question->instance, stanch_op__runbook(op), question->targets};
    STANCH_AUTO_FREE char *why = stanch_engine__stopped(op->engine, &about);
    if (why)
        stanch_gate__ask_because(gate, why);
}

/* Something with an id stands against it: as a reason, and to be known again. */
static void stand_against(void *ctx, const char *id, const char *sentence)
{
    struct stanch_gate *gate = ctx;
    if (!gate->against)
        gate->against = json_object();
    if (json_object_get(gate->against, id))
        return;
    json_object_set_new(gate->against, id, json_string(sentence));
    stanch_gate__ask_because(gate, sentence);
}

static void check_holds(const struct stanch_op *op, const json_t *targets, struct stanch_gate *gate)
{
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *target = json_string_value(json_array_get(targets, i));
        STANCH_AUTO_JSON json_t *hold = target ? stanch_by_hand__of(op->engine, target) : NULL;
        STANCH_AUTO_FREE char *why = hold ? stanch_by_hand__why(hold) : NULL;
        if (why)
            stand_against(gate, stanch_json_str(hold, "id", ""), why);
    }
}

void stanch_gate__decide(struct stanch_op *op, const char *effect, const json_t *plan, const json_t *declared,
                         const char *action, const char *raised, struct stanch_gate *ret)
{
    struct stanch_engine *engine = op->engine;
    *ret = (struct stanch_gate){0};
    const json_t *described = json_object_get(declared, "instance");
    const json_t *act = json_object_get(declared, "action");
    STANCH_AUTO_JSON json_t *incident = stanch_journal_see(engine->journal, "incident", op->chain);
    bool undo = strcmp(effect, "undo") == 0;
    struct stanch_policy_question question = {
        .plugin = stanch_json_str(described, "plugin", ""),
        .instance = stanch_json_str(described, "name", ""),
        .action = action,
        .effect = effect,
        .environment = stanch_json_str(described, "environment", ""),
        .severity = stanch_json_str(incident, "severity", ""),
        .runbook = op->run ? stanch_json_str(op->run->doc, "runbook", "") : "",
        .targets = json_object_get(plan, "targets"),
        .tags = undo ? NULL : json_object_get(plan, "tags"), /* of the day when it was applied: nobody knows today's */
        .reach = stanch_json_real(plan, "reach", -1),
        .declared_risk = declared_risk_of(effect, act, plan),
        .raised_risk = raised,
    };
    STANCH_AUTO_JSON json_t *during = under_way(engine);
    question.during = during;
    stanch_policy_decide(engine->policy, &question, &ret->policy);
    if (ret->policy.forbidden) {
        ret->refused = true;
        ret->kind = "refused";
        add_reason(ret, ret->policy.why);
        return;
    }
    if (ret->policy.ask)
        stanch_gate__ask_because(ret, ret->policy.why);
    check_stops(op, &question, ret);
    check_holds(op, question.targets, ret);
    if (!undo && stanch_policy_asks_on_conflict(engine->policy))
        stanch_in_force__conflicts(op, question.targets, stand_against, ret);
    if (op->run && !undo && !stanch_is_sabotaged("stale-grounds"))
        check_freshness(op->run, ret);
    if (op->run && !undo) {
        stanch_limits__check(op, plan, ret);
        stanch_breaker__check(op, plan, ret);
        stanch_autonomy__check(op, ret);
    }
}

const char *stanch_gate__new_against(const struct stanch_gate *gate, const json_t *question)
{
    const json_t *then = json_object_get(question, "against");
    const char *id;
    json_t *sentence;
    json_object_foreach(gate->against, id, sentence)
    {
        bool known = false;
        for (size_t i = 0; i < json_array_size(then); i++)
            known = known || strcmp(json_string_value(json_array_get(then, i)), id) == 0;
        if (!known)
            return json_string_value(sentence);
    }
    return NULL;
}

json_t *stanch_gate__against(const struct stanch_gate *gate)
{
    if (json_object_size(gate->against) == 0)
        return NULL;
    json_t *ids = json_array();
    const char *id;
    json_t *sentence;
    json_object_foreach(gate->against, id, sentence) json_array_append_new(ids, json_string(id));
    return ids;
}

void stanch_gate__done(struct stanch_gate *gate)
{
    json_decref(gate->against);
    gate->against = NULL;
    json_decref(gate->guards);
    gate->guards = NULL;
    stanch_policy_decision_done(&gate->policy);
}

/* ---- what it would say ---- */

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

int stanch_engine_explain(const struct stanch_engine *engine, const json_t *input, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *declared = NULL;
    int rc = check_words(input, err);
    rc = rc ? rc : find_declared(engine, input, &declared, err);
    if (rc < 0)
        return rc;
    const json_t *described = json_object_get(declared, "instance"), *act = json_object_get(declared, "action");
    const char *effect = stanch_json_str(input, "effect", "mitigate");
    struct stanch_policy_question question = {
        .plugin = stanch_json_str(described, "plugin", ""),
        .instance = stanch_json_str(described, "name", ""),
        .action = stanch_json_str(input, "action", ""),
        .effect = effect,
        .environment = stanch_json_str(described, "environment", ""),
        .severity = stanch_json_str(input, "severity", ""),
        .runbook = stanch_json_str(input, "runbook", ""),
        .targets = json_object_get(input, "targets"),
        .tags = json_object_get(input, "tags"),
        .reach = stanch_json_real(input, "reach", -1),
        .declared_risk = declared_risk_of(effect, act, NULL),
        .raised_risk = stanch_json_str(input, "risk", NULL),
    };
    STANCH_AUTO_JSON json_t *during = under_way(engine);
    question.during = during;
    struct stanch_policy_decision decision;
    stanch_policy_decide(engine->policy, &question, &decision);
    *ret = json_pack("{s:s, s:s, s:s, s:i, s:I, s:s, s:s, s:s, s:s, s:o}", "verdict",
                     decision.forbidden ? "forbidden"
                     : decision.ask     ? "asks"
                                        : "runs",
                     "risk", decision.risk, "role", decision.role, "quorum", decision.quorum, "expires_ms",
                     (json_int_t)decision.expires_ms, "why", decision.why, "declared_risk", question.declared_risk,
                     "plugin", question.plugin, "environment", question.environment, "rules",
                     stanch_policy_explain(engine->policy, &question));
    if (decision.not_requester)
        json_object_set_new(*ret, "not_requester", json_true());
    stanch_policy_decision_done(&decision);
    return 0;
}
