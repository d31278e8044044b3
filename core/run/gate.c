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
    if (gate->facts)
        stanch_gate__fact(gate, "against", json_string(reason));
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

void stanch_gate__fact(struct stanch_gate *gate, const char *kind, json_t *fact)
{
    if (!gate->facts) {
        json_decref(fact);
        return;
    }
    if (!json_object_get(gate->facts, kind))
        json_object_set_new(gate->facts, kind, json_array());
    json_array_append_new(json_object_get(gate->facts, kind), fact);
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

const char *stanch_gate__declared_risk(const char *effect, const json_t *action, const json_t *plan)
{
    return strcmp(effect, "undo") == 0 ? stanch_json_str(action, "undo_risk", stanch_json_str(action, "risk", "high"))
                                       : declared_risk(action, plan);
}

void stanch_gate__question(const json_t *declared, const char *effect, const json_t *plan,
                           struct stanch_policy_question *ret)
{
    const json_t *described = json_object_get(declared, "instance");
    bool undo = strcmp(effect, "undo") == 0;
    *ret = (struct stanch_policy_question){
        .plugin = stanch_json_str(described, "plugin", ""),
        .instance = stanch_json_str(described, "name", ""),
        .effect = effect,
        .environment = stanch_json_str(described, "environment", ""),
        .targets = json_object_get(plan, "targets"),
        .tags = undo ? NULL : json_object_get(plan, "tags"), /* of the day when it was applied: nobody knows today's */
        .reach = stanch_json_real(plan, "reach", -1),
        .declared_risk = stanch_gate__declared_risk(effect, json_object_get(declared, "action"), plan),
    };
}

json_t *stanch_gate__under_way(const struct stanch_engine *engine)
{
    return engine->hooks.calendars ? engine->hooks.calendars(engine->hooks_ctx) : NULL;
}

/* The first says why; a fact is each. */
static void check_stops(const struct stanch_subject *subject, struct stanch_gate *gate)
{
    const struct stanch_stop_about about = {subject->instance, subject->runbook,
                                            json_object_get(subject->plan, "targets")};
    STANCH_AUTO_JSON json_t *list = stanch_engine_stops(subject->engine);
    const json_t *stop;
    for (bool is_said = false; (stop = stanch_stop_find(list, &about)); is_said = true) {
        STANCH_AUTO_FREE char *why = stanch_stop_why(stop);
        if (!is_said)
            stanch_gate__ask_because(gate, why);
        json_t *fact = json_deep_copy(stop);
        stanch_json_set_str(fact, "text", why);
        stanch_gate__fact(gate, "stops", fact);
        while (json_array_get(list, 0) != stop) /* what is before it is not about this */
            json_array_remove(list, 0);
        json_array_remove(list, 0);
    }
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

static void stand_in_conflict(void *ctx, const char *id, const char *sentence)
{
    stand_against(ctx, id, sentence);
    stanch_gate__fact(ctx, "conflicts", json_pack("{s:s, s:s}", "id", id, "text", sentence));
}

static void check_holds(const struct stanch_subject *about, struct stanch_gate *gate)
{
    const json_t *targets = json_object_get(about->plan, "targets");
    for (size_t i = 0; i < json_array_size(targets); i++) {
        const char *target = json_string_value(json_array_get(targets, i));
        STANCH_AUTO_JSON json_t *hold = target ? stanch_by_hand__of(about->engine, target) : NULL;
        STANCH_AUTO_FREE char *why = hold ? stanch_by_hand__why(hold) : NULL;
        if (!why)
            continue;
        stand_against(gate, stanch_json_str(hold, "id", ""), why);
        stanch_gate__fact(gate, "holds",
                          json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s}", "id", stanch_json_str(hold, "id", ""),
                                    "target", target, "holder", stanch_json_str(hold, "holder", ""), "reason",
                                    stanch_json_str(hold, "reason", ""), "ends_ms",
                                    (json_int_t)stanch_json_int(hold, "ends_ms", 0), "until",
                                    stanch_json_str(hold, "until", ""), "text", why));
    }
}

void stanch_gate__weigh(const struct stanch_subject *about, const char *effect, bool by_run, struct stanch_gate *gate)
{
    bool undo = strcmp(effect, "undo") == 0;
    check_stops(about, gate);
    check_holds(about, gate);
    if (!undo && stanch_policy_asks_on_conflict(about->engine->policy))
        stanch_in_force__conflicts(about, stand_in_conflict, gate);
    if (by_run && !undo) {
        stanch_limits__check(about, gate);
        stanch_breaker__check(about, gate);
    }
}

void stanch_gate__decide(struct stanch_op *op, const char *effect, const json_t *plan, const json_t *declared,
                         const char *action, const char *raised, struct stanch_gate *ret)
{
    struct stanch_engine *engine = op->engine;
    *ret = (struct stanch_gate){0};
    STANCH_AUTO_JSON json_t *incident = stanch_journal_see(engine->journal, "incident", op->chain);
    STANCH_AUTO_JSON json_t *during = stanch_gate__under_way(engine);
    bool undo = strcmp(effect, "undo") == 0;
    const json_t *as_of = op->run ? json_object_get(op->run->doc, "incident_as_of") : NULL;
    struct stanch_policy_question question;
    stanch_gate__question(declared, effect, plan, &question);
    question.action = action;
    question.severity = stanch_json_str(incident, "severity", stanch_json_str(as_of, "severity", ""));
    question.runbook = op->run ? stanch_json_str(op->run->doc, "runbook", "") : "";
    question.raised_risk = raised;
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
    if (op->run && !undo && !stanch_is_sabotaged("stale-grounds"))
        check_freshness(op->run, ret);
    const char *runbook = stanch_op__runbook(op);
    bool plans = stanch_autonomy__is_plan(op->run); /* of no incident, but asked about as of the one that it is for */
    const struct stanch_subject about = {
        .engine = engine,
        .instance = question.instance,
        .runbook = runbook ? runbook : "",
        .chain = plans ? stanch_json_str(as_of, "id", op->chain) : op->chain,
        .step = op->id,
        .run = op->run_id,
        .holds = op->run ? stanch_json_str(op->run->doc, plans ? "would_hold" : "holds", "") : "",
        .plan = plan};
    stanch_gate__weigh(&about, effect, op->run != NULL, ret);
    if (op->run && !undo)
        stanch_autonomy__check(op, ret);
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
    json_decref(gate->facts);
    gate->facts = NULL;
    stanch_policy_decision_done(&gate->policy);
}
