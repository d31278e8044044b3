/* gate.c: may this effect start by itself, must a person be asked, is it refused? Over a limit or on stale
 * grounds it asks, instead of failing in the middle; only what the policy forbids is refused. */
#include "run/engine.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "base/times.h"
#include "run/stop.h"
#include <string.h>

static void add_reason(struct stanch_gate *gate, const char *reason)
{
    size_t len = strlen(gate->why);
    (void)snprintf(gate->why + len, sizeof gate->why - len, "%s%s", len ? "; " : "", reason);
}

void stanch_gate__ask_because(struct stanch_gate *gate, const char *reason)
{
    gate->ask = true;
    add_reason(gate, reason);
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
        .reach = stanch_json_real(plan, "reach", -1),
        .declared_risk = declared_risk(act, plan),
        .raised_risk = raised,
    };
    if (undo)
        question.declared_risk = stanch_json_str(act, "undo_risk", stanch_json_str(act, "risk", "high"));
    stanch_policy_decide(engine->policy, &question, &ret->policy);
    if (ret->policy.forbidden) {
        ret->refused = true;
        ret->kind = "refused";
        add_reason(ret, ret->policy.why);
        return;
    }
    if (ret->policy.ask)
        stanch_gate__ask_because(ret, ret->policy.why);
    if (stanch_stop_is_set(engine->config.state_dir))
        stanch_gate__ask_because(ret, "the stop switch is set");
    if (op->run && !undo && !stanch_is_sabotaged("stale-grounds"))
        check_freshness(op->run, ret);
}

void stanch_gate__done(struct stanch_gate *gate)
{
    stanch_policy_decision_done(&gate->policy);
}
