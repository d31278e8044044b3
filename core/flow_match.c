/* flow_match.c: event -> incident -> match -> run. Which runbooks does an event start? The decision, the
 * incident and its runs are one batch; a run is unique per (event key, runbook path), whatever commit is
 * loaded meanwhile. */
#include "base/digest.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow_parts.h"
#include "run/stop.h"
#include <string.h>

json_t *stanch_flow__list_instances(const struct stanch_flow *flow)
{
    return flow->halted ? json_array() : flow->world->list(flow->world->ctx);
}

json_t *stanch_flow__describe(const json_t *list)
{
    json_t *instances = json_object();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *described = json_array_get(list, i);
        json_t *one = json_pack("{s:s, s:s}", "plugin", stanch_json_str(described, "plugin", ""), "environment",
                                stanch_json_str(described, "environment", ""));
        json_t *actions = json_object_get(described, "actions");
        json_object_set_new(one, "actions", actions ? json_deep_copy(actions) : json_object());
        json_object_set_new(instances, stanch_json_str(described, "name", ""), one);
    }
    return instances;
}

void stanch_flow_plugins_changed(struct stanch_flow *flow)
{
    json_decref(flow->instances);
    flow->instances = NULL;
}

json_t *stanch_flow__instances(struct stanch_flow *flow)
{
    struct stanch_buf text = {0};
    if (!flow->instances) {
        STANCH_AUTO_JSON json_t *list = stanch_flow__list_instances(flow);
        flow->instances = stanch_flow__describe(list);
        if (stanch_json_canonical(flow->instances, &text, NULL) < 0)
            stanch_log(STANCH_LOG_ERROR, "flow", "what the plugins declare has no canonical form");
        free(flow->instances_text);
        stanch_digest_hex(stanch_buf_str(&text), text.len, flow->instances_hex);
        flow->instances_text = stanch_buf_take(&text);
    }
    return json_incref(flow->instances);
}

/* ---- a run ---- */

static json_t *run_data(struct stanch_flow *flow, const struct stanch_runbook *runbook, const json_t *event,
                        json_t *params, const char *incident, const char *by, const char *id)
{
    const json_t *declared = runbook->declared;
    struct stanch_err unread;
    if (stanch_flow__recall_starts(flow, declared, &unread) < 0) /* before this one is among them */
        stanch_log(STANCH_LOG_ERROR, "flow", "earlier runs could not be read: %s", unread.text);
    char seed[33];
    unsigned char noise[16];
    stanch_random_bytes(noise, sizeof noise);
    stanch_hex(noise, sizeof noise, seed);
    json_t *data =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "run", id, "runbook", stanch_json_str(declared, "name", ""),
                  "path", stanch_json_str(declared, "path", ""), "commit", flow->catalogue->commit, "world",
                  flow->world->name, "seed", seed, "params", params);
    static const char *const copied[] = {"uses", "symptom", "on_resolved", "fresh_for_ms", "risk", "owner", "digest"};
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
        json_t *member = json_object_get(declared, copied[i]);
        if (member && !json_is_null(member))
            json_object_set(data, copied[i], member);
    }
    json_object_set_new(data, "firing", json_integer(1));
    json_object_set_new(data, "language", json_integer(STANCH_LANGUAGE));
    stanch_json_set_str(data, "holds", stanch_json_str(json_object_get(declared, "limits"), "holds", NULL));
    if (!event && strncmp(by, "person:", 7) == 0)
        json_object_set_new(data, "requester", json_string(by));
    if (event) {
        json_object_set(data, "event", (json_t *)(uintptr_t)event);
        stanch_json_set_str(data, "event_key", stanch_json_str(event, "key", NULL));
    }
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(flow->journal, "incident", incident);
    json_object_set_new(data, "incident_as_of",
                        json_pack("{s:s, s:s, s:s}", "id", incident, "title",
                                  stanch_json_str(doc, "title", stanch_json_str(event, "name", "")), "severity",
                                  stanch_json_str(doc, "severity", stanch_json_str(event, "severity", "sev3"))));
    json_decref(stanch_flow__instances(flow));
    json_object_set_new(data, "instances", json_string(flow->instances_hex));
    STANCH_AUTO_FREE char *because = event ? stanch_asprintf("%s is %s", stanch_json_str(event, "name", "an event"),
                                                             stanch_json_str(event, "state", ""))
                                           : stanch_asprintf("started by %s", by);
    json_object_set_new(data, "because", json_string(because));
    return data;
}

/* Put the first entry of a run into the batch. data: taken. */
static void put_run(struct stanch_flow *flow, const char *kind, const char *incident, const char *by, json_t *data,
                    struct stanch_batch *batch, json_t *began)
{
    if (!stanch_json_bool(data, "observe", false)) /* what only says what it would do is no start */
        stanch_flow__note_start(flow, stanch_json_str(data, "runbook", ""));
    stanch_batch_add(batch, incident, kind, by, stanch_json_str(data, "run", ""), json_incref(data));
    stanch_batch_blob(batch, flow->instances_hex, flow->instances_text, strlen(flow->instances_text));
    stanch_flow__began(flow, began, kind, incident, data);
    json_decref(data);
}

/* The data of a run that a person asks for; NULL: its parameters are refused */
static json_t *data_by_hand(struct stanch_flow *flow, const struct stanch_runbook *runbook, const json_t *given,
                            const char *incident, const char *by, struct stanch_err *err)
{
    json_t *params = NULL;
    char id[32];
    if (stanch_params_resolve(json_object_get(runbook->declared, "params"), NULL, given, &params, err) < 0)
        return NULL;
    stanch_journal_next_id(flow->journal, "R", id);
    return run_data(flow, runbook, NULL, params, incident, by, id);
}

const json_t *stanch_flow__start_run(struct stanch_flow *flow, const struct stanch_runbook *runbook,
                                     const json_t *given, const char *incident, const char *by,
                                     struct stanch_batch *batch, json_t *began, struct stanch_err *err)
{
    json_t *data = data_by_hand(flow, runbook, given, incident, by, err);
    if (!data)
        return NULL;
    put_run(flow, "run.started", incident, by, data, batch, began);
    return data; /* began holds it */
}

/* Why an alert would not start it now, and how much of its own it may do: a person who reads the plan wants to know. */
static void note_as_it_is(struct stanch_flow *flow, const struct stanch_runbook *runbook, json_t *data)
{
    char why[200];
    const char *name = stanch_json_str(runbook->declared, "name", "");
    STANCH_AUTO_FREE char *stopped = stanch_flow__stopped(flow, name);
    if (stopped)
        stanch_json_set_str(data, "would_not_start", stopped);
    else if (stanch_flow__is_over_limit(flow, runbook->declared, why))
        stanch_json_set_str(data, "would_not_start", why);
    STANCH_AUTO_JSON json_t *autonomy =
        stanch_engine_autonomy(flow->engine, name, stanch_json_str(runbook->declared, "digest", ""));
    if (strcmp(stanch_json_str(autonomy, "mode", "auto"), "auto") != 0 || stanch_json_bool(autonomy, "asks", false))
        stanch_json_set_str(data, "autonomy", stanch_json_str(autonomy, "why", NULL));
}

const json_t *stanch_flow__start_plan(struct stanch_flow *flow, const struct stanch_runbook *runbook,
                                      const json_t *given, const char *incident, const char *by,
                                      struct stanch_batch *batch, json_t *began, struct stanch_err *err)
{
    json_t *data = data_by_hand(flow, runbook, given, *incident ? incident : STANCH_CHAIN_NONE, by, err);
    if (!data)
        return NULL;
    STANCH_AUTO_FREE char *because = stanch_asprintf("a plan for %s: it only says what it would do", by);
    stanch_json_set_str(data, "because", because);
    json_object_set_new(data, "observe", json_true());
    json_t *holds = json_object_get(data, "holds");
    if (holds) { /* it holds nothing, but is told who does */
        json_object_set(data, "would_hold", holds);
        json_object_del(data, "holds");
    }
    note_as_it_is(flow, runbook, data);
    put_run(flow, "run.started", STANCH_CHAIN_NONE, by, data, batch, began);
    return data; /* began holds it */
}

/* A runbook that matched: what `event.matched` tells of it, which stands in the batch already. */
struct match {
    const struct stanch_runbook *runbook;
    json_t *considered; /* its row, borrowed */
};

/* What became of a match, and why. why: may be NULL */
static void note_outcome(const struct match *match, const char *outcome, const char *run, const char *why)
{
    stanch_json_set_str(match->considered, "outcome", outcome);
    stanch_json_set_str(match->considered, "run", run);
    stanch_json_set_str(match->considered, "why", why ? why : "");
}

/* A run that may do less than all of its own says so from the beginning. */
static void note_autonomy(struct stanch_flow *flow, const struct match *match)
{
    const json_t *declared = match->runbook->declared;
    STANCH_AUTO_JSON json_t *autonomy = stanch_engine_autonomy(flow->engine, stanch_json_str(declared, "name", ""),
                                                               stanch_json_str(declared, "digest", ""));
    if (strcmp(stanch_json_str(autonomy, "mode", "auto"), "auto") != 0 || stanch_json_bool(autonomy, "asks", false))
        stanch_json_set_str(match->considered, "autonomy", stanch_json_str(autonomy, "why", NULL));
}

static void hold_run(struct stanch_flow *flow, const struct match *match, const json_t *event, const char *incident,
                     const char *why, struct stanch_batch *batch)
{
    char id[32];
    const struct stanch_runbook *runbook = match->runbook;
    stanch_journal_next_id(flow->journal, "R", id);
    note_outcome(match, "held", id, why);
    stanch_flow__count(flow, "runs_held");
    stanch_batch_add(batch, incident, "run.held", STANCH_BY_STANCH, id,
                     json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "run", id, "runbook",
                               stanch_json_str(runbook->declared, "name", ""), "path",
                               stanch_json_str(runbook->declared, "path", ""), "event",
                               stanch_json_str(event, "id", ""), "event_key", stanch_json_str(event, "key", ""), "why",
                               why));
}

/* ---- match ---- */

void stanch_flow__new_batch(struct stanch_flow *flow)
{
    json_object_clear(flow->draft);
    stanch_incidents_new_batch(flow->incidents);
}

static bool ran_already(struct stanch_flow *flow, const char *event_key, const char *path)
{
    STANCH_AUTO_FREE char *id = stanch_asprintf("run:%s:%s", event_key, path);
    STANCH_AUTO_JSON json_t *key = stanch_journal_see(flow->journal, "key", id);
    return key != NULL;
}

/* An alert's run: it joins another one, starts, waits, or is held back. */
static void start_or_hold(struct stanch_flow *flow, const struct match *match, const json_t *event,
                          const char *incident, struct stanch_batch *batch, json_t *ret_runs, json_t *began)
{
    const struct stanch_runbook *runbook = match->runbook;
    char why[200] = "", group[65], id[32];
    struct stanch_err err;
    STANCH_AUTO_JSON json_t *params = NULL;
    STANCH_AUTO_FREE char *stopped = stanch_flow__stopped(flow, stanch_json_str(runbook->declared, "name", ""));
    if (stopped) {
        STANCH_AUTO_FREE char *held = stanch_asprintf("%s; it does not start by itself at resume", stopped);
        hold_run(flow, match, event, incident, held, batch);
        return;
    }
    if (stanch_params_resolve(json_object_get(runbook->declared, "params"), event, NULL, &params, &err) < 0) {
        hold_run(flow, match, event, incident, err.text, batch);
        return;
    }
    note_autonomy(flow, match);
    if (stanch_flow__join(flow, runbook, event, params, incident, batch, ret_runs, began, group)) {
        note_outcome(match, "joined", json_string_value(json_array_get(ret_runs, json_array_size(ret_runs) - 1)), NULL);
        return;
    }
    if (stanch_flow__is_over_limit(flow, runbook->declared, why)) {
        hold_run(flow, match, event, incident, why, batch);
        return;
    }
    stanch_journal_next_id(flow->journal, "R", id);
    json_t *data = run_data(flow, runbook, event, json_incref(params), incident, STANCH_BY_STANCH, id);
    json_object_set_new(data, "group", json_string(group));
    const char *kind = stanch_flow__turn(flow, runbook, event, incident, began, data, why);
    if (!kind) {
        json_decref(data);
        hold_run(flow, match, event, incident, why, batch);
        return;
    }
    note_outcome(match, kind + strlen("run."), id, why);
    put_run(flow, kind, incident, STANCH_BY_STANCH, data, batch, began);
    json_array_append_new(ret_runs, json_string(id));
}

enum stanch_match stanch_flow__triggers(const struct stanch_runbook *runbook, const json_t *event, int64_t now_ms,
                                        char why[256])
{
    (void)snprintf(why, 256, "it has no trigger: only a person starts it");
    return runbook->triggers ? stanch_triggers_match(runbook->triggers, event, now_ms, why) : STANCH_MATCH_NOT;
}

/* Which of them match; the others with the first condition that did not hold. */
static int find_matches(struct stanch_flow *flow, const json_t *event, struct match *ret, json_t *considered)
{
    int count = 0;
    for (int i = 0; flow->catalogue && i < flow->catalogue->count; i++) {
        const struct stanch_runbook *runbook = &flow->catalogue->runbooks[i];
        const char *name = stanch_json_str(runbook->declared, "name", "");
        const char *path = stanch_json_str(runbook->declared, "path", "");
        char why[256];
        bool match = stanch_flow__triggers(runbook, event, stanch_flow__now(flow), why) == STANCH_MATCH;
        if (match && ran_already(flow, stanch_json_str(event, "key", ""), path)) {
            match = false;
            (void)snprintf(why, sizeof why, "it ran for this event already");
        }
        json_t *row = json_pack("{s:s, s:b, s:s}", "runbook", name, "match", match, "why", match ? "" : why);
        if (match)
            ret[count++] = (struct match){runbook, row};
        json_array_append_new(considered, row);
    }
    return count;
}

/* Every reason is kept with the event, and by which runbooks: what they say later is another matter (flow_why.c). What is
 * still open when it goes into the batch, the runs and what became of each match, is filled in before that is appended. */
static json_t *matched_data(const struct stanch_flow *flow, const json_t *event, json_t *considered, json_t *runs)
{
    json_t *data =
        json_pack("{s:s, s:O, s:b, s:s, s:O}", "event", stanch_json_str(event, "id", ""), "considered", considered,
                  "matched", flow->catalogue != NULL, "name", stanch_json_str(event, "name", ""), "runs", runs);
    if (flow->catalogue)
        json_object_set_new(data, "commit", json_string(flow->catalogue->commit));
    return data;
}

void stanch_flow__take(struct stanch_flow *flow, json_t *event, struct stanch_batch *batch, json_t *began, json_t *told)
{
    const char *id = stanch_json_str(event, "id", "");
    STANCH_AUTO_JSON json_t *considered = json_array();
    int known = flow->catalogue ? flow->catalogue->count : 0;
    STANCH_AUTO_FREE struct match *matches = stanch_alloc((size_t)(known + 1) * sizeof *matches);
    int count = find_matches(flow, event, matches, considered);
    char incident[64];
    stanch_batch_add(batch, STANCH_CHAIN_NONE, "event.received", STANCH_BY_STANCH, NULL, json_incref(event));
    stanch_incident_for_event(flow->incidents, event, stanch_flow__now(flow), count > 0, batch, incident);
    const char *chain = *incident ? incident : STANCH_CHAIN_NONE;
    json_t *runs = json_array();
    json_t *matched = matched_data(flow, event, considered, runs); /* who hears of it when the alert resolves */
    if (*incident)
        json_object_set_new(matched, "incident", json_string(incident));
    stanch_batch_add(batch, chain, "event.matched", STANCH_BY_STANCH, NULL, matched);
    for (int i = 0; i < count; i++)
        start_or_hold(flow, &matches[i], event, chain, batch, runs, began);
    json_array_append_new(told,
                          json_pack("{s:s, s:O, s:b, s:s?, s:o}", "id", id, "state", json_object_get(event, "state"),
                                    "repeat", 0, "incident", *incident ? incident : NULL, "runs", runs));
    json_decref(event);
}

/* ---- events that came before there was a commit wait for the first one; `max_age` still holds ---- */

/* Newest first, page by page, until a page has none. returns 0 | STANCH_E_STORE */
static int list_unmatched(struct stanch_flow *flow, json_t *ret, struct stanch_err *err)
{
    int64_t before = 0;
    for (size_t had = 1, count = 1; had > 0 && count > 0;) {
        struct stanch_noun_query query = {.noun = "event", .open = -1, .before_seq = before, .limit = 1000};
        STANCH_AUTO_JSON json_t *page = NULL;
        int rc = stanch_journal_list(flow->journal, &query, &page, err);
        if (rc < 0)
            return rc;
        had = 0;
        count = json_array_size(page);
        for (size_t i = 0; i < count; i++) {
            json_t *event = json_array_get(page, i);
            before = stanch_json_int(event, "seq", 0);
            if (stanch_json_bool(event, "matched", true))
                continue;
            STANCH_AUTO_JSON json_t *now = stanch_journal_see(flow->journal, "event", stanch_json_str(event, "id", ""));
            had++;
            if (!stanch_json_bool(now, "matched", true)) /* else it is, and that is not committed yet */
                json_array_append(ret, now);
        }
    }
    return 0;
}

static int match_late(struct stanch_flow *flow, json_t *event, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *considered = json_array();
    STANCH_AUTO_JSON json_t *began = json_array();
    STANCH_AUTO_JSON json_t *runs = json_array();
    STANCH_AUTO_FREE struct match *matches = stanch_alloc((size_t)(flow->catalogue->count + 1) * sizeof *matches);
    int count = find_matches(flow, event, matches, considered);
    struct stanch_batch *batch = stanch_batch_new();
    char incident[64];
    stanch_flow__new_batch(flow);
    (void)snprintf(incident, sizeof incident, "%s", stanch_json_str(event, "incident", ""));
    if (!*incident && count > 0)
        stanch_incident_for_event(flow->incidents, event, stanch_flow__now(flow), true, batch, incident);
    const char *chain = *incident ? incident : STANCH_CHAIN_NONE;
    stanch_batch_add(batch, chain, "event.matched", STANCH_BY_STANCH, NULL,
                     matched_data(flow, event, considered, runs));
    for (int m = 0; m < count; m++)
        start_or_hold(flow, &matches[m], event, chain, batch, runs, began);
    int rc = stanch_journal_append(flow->journal, batch, NULL, NULL, err);
    if (rc == 0)
        stanch_flow__begin_all(flow, began);
    return rc;
}

void stanch_flow__match_waiting(struct stanch_flow *flow)
{
    STANCH_AUTO_JSON json_t *events = json_array();
    struct stanch_err err;
    flow->has_unmatched = false;
    int rc = list_unmatched(flow, events, &err);
    for (size_t i = json_array_size(events); i > 0 && rc == 0; i--)
        rc = match_late(flow, json_array_get(events, i - 1), &err);
    if (rc == 0)
        return;
    flow->has_unmatched = true; /* tried again at the next tick */
    stanch_log(STANCH_LOG_WARN, "flow", "events that wait for the runbooks could not be matched yet: %s", err.text);
}

struct stanch_late_match {
    struct stanch_flow *flow; /* NULL: it has gone */
};

static void on_all_committed(void *ctx)
{
    struct stanch_late_match *late = ctx;
    struct stanch_flow *flow = late->flow;
    free(late);
    if (!flow)
        return;
    flow->late = NULL;
    if (!flow->draining)
        stanch_flow__match_waiting(flow);
}

void stanch_flow__match_waiting_soon(struct stanch_flow *flow)
{
    flow->late = STANCH_NEW(struct stanch_late_match);
    flow->late->flow = flow;
    stanch_journal_barrier(flow->journal, on_all_committed, flow->late);
}

void stanch_flow__forget_late(struct stanch_flow *flow)
{
    if (flow->late)
        flow->late->flow = NULL;
    flow->late = NULL;
}
