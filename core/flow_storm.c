/* flow_storm.c: when too many runs want to start, alerts start none by themselves any more: they wait (`asking`), and a
 * person is asked once for each runbook, about the runs that stand on the card and no others. What comes while that
 * question is open goes onto the next one. A yes lets the listed runs start, by the caps; their risky steps still ask
 * with their own plans. Between `enter` and `leave`, and for `quiet`, nothing changes: the mode does not flutter.
 */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sabotage.h"
#include "base/times.h"
#include "flow_parts.h"
#include <string.h>

#define ON_ONE_CARD 100

static int64_t setting(const struct stanch_flow *flow, const char *name, int64_t otherwise)
{
    const json_t *limits = json_object_get(flow->config, "limits");
    return stanch_json_int(json_object_get(limits, "storm"), name, otherwise);
}

static int64_t leave_below(const struct stanch_flow *flow)
{
    int64_t enter = setting(flow, "enter", 60), leave = setting(flow, "leave", 20);
    return leave < enter ? leave : enter;
}

/* ---- the rate: starts within `within`, counted in slots of it ---- */

static int64_t this_slot(const struct stanch_flow *flow)
{
    return stanch_loop_mono_ms(flow->loop) * STANCH_STORM_SLOTS / setting(flow, "within_ms", 60000);
}

static void forget_old(struct stanch_flow *flow)
{
    struct stanch_storm *storm = &flow->storm;
    int64_t slot = this_slot(flow), passed = slot - storm->slot;
    for (int64_t i = 1; i <= passed && i <= STANCH_STORM_SLOTS; i++)
        storm->starts[(storm->slot + i) % STANCH_STORM_SLOTS] = 0;
    storm->slot = slot;
}

static int64_t rate(struct stanch_flow *flow)
{
    int64_t sum = 0;
    forget_old(flow);
    for (int i = 0; i < STANCH_STORM_SLOTS; i++)
        sum += flow->storm.starts[i];
    return sum;
}

/* ---- in and out ---- */

static bool append_news(struct stanch_flow *flow, const char *kind, json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    json_object_set_new(data, "storm", json_string("storm"));
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, STANCH_BY_STANCH, NULL, data);
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &err) == 0)
        return true;
    stanch_log(STANCH_LOG_WARN, "flow", "%s could not be recorded, tried again later: %s", kind, err.text);
    return false;
}

static void enter(struct stanch_flow *flow, int64_t now_rate)
{
    char within[32];
    stanch_duration_text(setting(flow, "within_ms", 60000), within);
    json_t *data = json_pack("{s:I, s:I, s:s}", "rate", (json_int_t)now_rate, "enter",
                             (json_int_t)setting(flow, "enter", 60), "within", within);
    if (!append_news(flow, "storm.begun", data))
        return;
    flow->storm.on = true;
    flow->storm.calm_since_ms = 0;
    stanch_flow__count(flow, "storms");
    stanch_log(STANCH_LOG_WARN, "flow", "a storm: alerts start no run before a person was asked rate=%lld",
               (long long)now_rate);
}

static void leave_when_calm(struct stanch_flow *flow)
{
    struct stanch_storm *storm = &flow->storm;
    int64_t now = stanch_loop_mono_ms(flow->loop), quiet_ms = setting(flow, "quiet_ms", 120000);
    if (!storm->on)
        return;
    if (rate(flow) >= leave_below(flow)) {
        storm->calm_since_ms = 0;
    } else if (storm->calm_since_ms == 0) {
        storm->calm_since_ms = now;
    } else if (now - storm->calm_since_ms >= quiet_ms) {
        char quiet[32], within[32];
        stanch_duration_text(quiet_ms, quiet);
        stanch_duration_text(setting(flow, "within_ms", 60000), within);
        storm->on = !append_news(
            flow, "storm.ended",
            json_pack("{s:I, s:s, s:s}", "leave", (json_int_t)leave_below(flow), "within", within, "quiet", quiet));
    }
}

bool stanch_flow__storm_start(struct stanch_flow *flow)
{
    int64_t limit = setting(flow, "enter", 60);
    forget_old(flow);
    flow->storm.starts[flow->storm.slot % STANCH_STORM_SLOTS]++;
    int64_t now_rate = rate(flow);
    if (!flow->storm.on && now_rate > limit && !stanch_is_sabotaged("storm-ignored"))
        enter(flow, now_rate);
    return flow->storm.on;
}

/* ---- the grouped question ---- */

static bool is_of(const struct stanch_waiting *waiting, const char *runbook)
{
    return waiting->asking && strcmp(stanch_json_str(waiting->doc, "runbook", ""), runbook) == 0;
}

static bool is_asked(const struct stanch_flow *flow, const char *runbook)
{
    for (const struct stanch_waiting *waiting = flow->waiting; waiting; waiting = waiting->next)
        if (waiting->asked && is_of(waiting, runbook))
            return true;
    return false;
}

/* {"targets":[run],"runs":[{"run","incident","params","because"}],"impact"}: what a yes allows, and nothing else. ret_chain:
 * the incident of all of them, or none. */
static json_t *list_runs(const struct stanch_flow *flow, const char *runbook, char ret_chain[64])
{
    json_t *runs = json_array(), *targets = json_array();
    ret_chain[0] = 0;
    for (const struct stanch_waiting *waiting = flow->waiting; waiting && json_array_size(runs) < ON_ONE_CARD;
         waiting = waiting->next) {
        if (!is_of(waiting, runbook))
            continue;
        const char *incident = stanch_json_str(waiting->doc, "incident", STANCH_CHAIN_NONE);
        bool other = ret_chain[0] && strcmp(ret_chain, incident) != 0;
        (void)snprintf(ret_chain, 64, "%s", other ? STANCH_CHAIN_NONE : incident);
        json_array_append(targets, json_object_get(waiting->doc, "run"));
        json_array_append_new(runs, json_pack("{s:O, s:s, s:O?, s:O?}", "run", json_object_get(waiting->doc, "run"),
                                              "incident", incident, "params", json_object_get(waiting->doc, "params"),
                                              "because", json_object_get(waiting->doc, "because")));
    }
    STANCH_AUTO_FREE char *impact =
        stanch_asprintf("starts %zu run%s of %s; each still asks for what the policy does not allow by itself",
                        json_array_size(runs), json_array_size(runs) == 1 ? "" : "s", runbook);
    return json_pack("{s:o, s:o, s:s}", "targets", targets, "runs", runs, "impact", impact);
}

static void mark(struct stanch_flow *flow, const json_t *plan, bool asked)
{
    const json_t *runs = json_object_get(plan, "runs");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        struct stanch_waiting *waiting =
            stanch_flow__waiting(flow, stanch_json_str(json_array_get(runs, i), "run", ""));
        if (waiting)
            waiting->asked = asked;
    }
}

static bool ask(struct stanch_flow *flow, const char *runbook)
{
    char chain[64], digest[65], id[32];
    struct stanch_err err;
    STANCH_AUTO_JSON json_t *plan = list_runs(flow, runbook, chain);
    if (stanch_json_digest("stanch.storm", 1, plan, digest, &err) < 0)
        return false;
    STANCH_AUTO_FREE char *because = stanch_asprintf("%zu runs of %s want to start, in a storm of alerts. Start these?",
                                                     json_array_size(json_object_get(plan, "runs")), runbook);
    STANCH_AUTO_JSON json_t *card = json_pack("{s:s, s:O, s:s, s:s}", "runbook", runbook, "plan", plan, "because",
                                              because, "why", "more runs want to start than limits.storm allows");
    struct stanch_batch *batch = stanch_batch_new();
    stanch_engine_ask(flow->engine, chain, card, digest, batch, id);
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &err) < 0) {
        stanch_log(STANCH_LOG_WARN, "flow", "a question could not be recorded, asked again later: %s", err.text);
        return false;
    }
    mark(flow, plan, true);
    return true;
}

static void ask_all(struct stanch_flow *flow)
{
    for (const struct stanch_waiting *waiting = flow->waiting; waiting; waiting = waiting->next) {
        const char *runbook = stanch_json_str(waiting->doc, "runbook", "");
        if (waiting->asking && !waiting->asked && !is_asked(flow, runbook) && !ask(flow, runbook))
            return;
    }
}

/* ---- the answer ---- */

static void let_start(struct stanch_flow *flow, struct stanch_waiting *waiting, const char *by)
{
    const char *run = stanch_json_str(waiting->doc, "run", "");
    STANCH_AUTO_FREE char *why = stanch_asprintf("%s let it start", by);
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    stanch_batch_add(batch, stanch_json_str(waiting->doc, "incident", STANCH_CHAIN_NONE), "run.queued", by, run,
                     json_pack("{s:s, s:s, s:s, s:n}", "run", run, "runbook",
                               stanch_json_str(waiting->doc, "runbook", ""), "why", why, "start_before_ms"));
    waiting->asked = false;
    if (stanch_journal_append(flow->journal, batch, NULL, NULL, &err) < 0) {
        stanch_log(STANCH_LOG_WARN, "flow", "%s is asked about again: %s", run, err.text);
        return;
    }
    waiting->asking = false; /* a person has looked: the age of its alert does not count any more */
    json_object_del(waiting->doc, "start_before_ms");
}

void stanch_flow__storm_decided(void *ctx, const json_t *question, bool approved, const char *by)
{
    struct stanch_flow *flow = ctx;
    const json_t *runs = json_object_get(json_object_get(question, "plan"), "runs");
    STANCH_AUTO_FREE char *no = stanch_asprintf("%s said no", by);
    for (size_t i = 0; i < json_array_size(runs); i++) {
        struct stanch_waiting *waiting =
            stanch_flow__waiting(flow, stanch_json_str(json_array_get(runs, i), "run", ""));
        if (!waiting || !waiting->asking)
            continue; /* it was cancelled meanwhile, or its alert has resolved */
        if (approved)
            let_start(flow, waiting, by);
        else if (stanch_flow__leave_queue(flow, waiting, "run.held", by, no) < 0)
            waiting->asked = false;
    }
    stanch_flow__give_turns(flow);
}

/* ---- life ---- */

void stanch_flow__storm_tick(struct stanch_flow *flow)
{
    leave_when_calm(flow);
    ask_all(flow);
}

void stanch_flow__storm_recall(struct stanch_flow *flow)
{
    STANCH_AUTO_JSON json_t *storm = stanch_journal_get(flow->journal, STANCH_VIEW_APPENDED, "storm", "storm");
    struct stanch_noun_query query = {.noun = "approval", .open = 1, .limit = 1000};
    STANCH_AUTO_JSON json_t *questions = NULL;
    struct stanch_err err;
    flow->storm.on = strcmp(stanch_json_str(storm, "state", ""), "on") == 0;
    flow->storm.slot = this_slot(flow);
    if (!stanch_flow__is_asking(flow))
        return;
    if (stanch_journal_list(flow->journal, &query, &questions, &err) < 0) {
        stanch_log(STANCH_LOG_ERROR, "flow", "the open questions could not be read: %s", err.text);
        return;
    }
    for (size_t i = 0; i < json_array_size(questions); i++) {
        const json_t *question = json_array_get(questions, i);
        if (strcmp(stanch_json_str(question, "about", ""), STANCH_ABOUT_STORM) == 0)
            mark(flow, json_object_get(question, "plan"), true);
    }
}

json_t *stanch_flow__storm_status(struct stanch_flow *flow)
{
    return json_pack("{s:b, s:I, s:I, s:I}", "on", flow->storm.on, "starts", (json_int_t)rate(flow), "enter",
                     (json_int_t)setting(flow, "enter", 60), "leave", (json_int_t)leave_below(flow));
}
