/* flow_why.c: why an event started what it started, and nothing else. The past is told from what was recorded when it was
 * decided (`event.matched`): a commit that was in use then need not load any more, and limits, stops and storms of that
 * moment are gone. Only when other runbooks are in use now are their triggers asked too, and that is said. */
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "flow_parts.h"
#include <string.h>

static int64_t accepted_ms(const struct stanch_flow *flow, const char *commit)
{
    STANCH_AUTO_JSON json_t *revision = NULL;
    if (!commit || stanch_journal_find(flow->journal, "revision", commit, &revision, NULL) < 0)
        return 0;
    return stanch_json_int(revision, "updated_ms", 0);
}

/* ---- what was decided ---- */

static const char *outcome_of(const json_t *row)
{
    return stanch_json_str(row, "outcome", stanch_json_bool(row, "match", false) ? "matched" : "no match");
}

static json_t *told_of(const struct stanch_flow *flow, const json_t *row)
{
    const char *why = stanch_json_str(row, "why", ""), *run = stanch_json_str(row, "run", NULL);
    json_t *told = json_pack("{s:s, s:s}", "runbook", stanch_json_str(row, "runbook", ""), "outcome", outcome_of(row));
    STANCH_AUTO_JSON json_t *doc = NULL;
    stanch_json_set_str(told, "why", *why ? why : NULL);
    stanch_json_set_str(told, "autonomy", stanch_json_str(row, "autonomy", NULL));
    stanch_json_set_str(told, "run", run);
    if (run && stanch_journal_find(flow->journal, "run", run, &doc, NULL) == 0)
        stanch_json_set_str(told, "run_state", stanch_json_str(doc, "state", NULL));
    return told;
}

static json_t *considered_of(const struct stanch_flow *flow, const json_t *event)
{
    const json_t *rows = json_object_get(event, "considered");
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(rows); i++)
        json_array_append_new(list, told_of(flow, json_array_get(rows, i)));
    return list;
}

/* ---- what would be decided now ---- */

static json_t *ask_now(const struct stanch_runbook *runbook, const json_t *event, int64_t at_ms)
{
    char why[256];
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *params = NULL;
    const char *outcome = "would match", *because = NULL;
    if (stanch_flow__triggers(runbook, event, at_ms, why) != STANCH_MATCH) {
        outcome = "no match";
        because = why;
    } else if (stanch_params_resolve(json_object_get(runbook->declared, "params"), event, NULL, &params, &err) < 0) {
        outcome = "refused";
        because = err.text;
    }
    json_t *told =
        json_pack("{s:s, s:s}", "runbook", stanch_json_str(runbook->declared, "name", ""), "outcome", outcome);
    stanch_json_set_str(told, "why", because);
    return told;
}

static json_t *now_of(const struct stanch_flow *flow, const json_t *event)
{
    json_t *list = json_array();
    int64_t at_ms = stanch_json_int(event, "received_ms", 0), since_ms = accepted_ms(flow, flow->catalogue->commit);
    for (int i = 0; i < flow->catalogue->count; i++)
        json_array_append_new(list, ask_now(&flow->catalogue->runbooks[i], event, at_ms));
    json_t *now = json_pack("{s:s, s:o}", "commit", flow->catalogue->commit, "considered", list);
    if (since_ms)
        json_object_set_new(now, "accepted_ms", json_integer(since_ms));
    return now;
}

/* ---- the sentence ---- */

static char *says(const struct stanch_flow *flow, const json_t *event, bool in_use)
{
    const char *commit = stanch_json_str(event, "commit", NULL);
    int64_t since_ms = accepted_ms(flow, commit);
    char since[32];
    if (!stanch_json_bool(event, "matched", false))
        return stanch_strdup("No commit of the runbooks was accepted when it came: it waits for the first one.");
    if (!commit)
        return stanch_strdup(
            "Which commit of the runbooks was in use when it came was not recorded: it is of an earlier "
            "release. The reasons are those of that moment.");
    stanch_time_text(since_ms, since);
    return stanch_asprintf("By the runbooks of commit %.12s%s%s, which were in use when it came%s.", commit,
                           since_ms ? ", accepted " : "", since_ms ? since : "",
                           in_use            ? " and are now"
                           : flow->catalogue ? "; others are now"
                                             : "");
}

int stanch_flow_why(struct stanch_flow *flow, const char *event, json_t **ret, struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *doc = NULL, *change = NULL;
    int rc = stanch_journal_find(flow->journal, "event", event, &doc, err);
    if (rc == STANCH_E_NOT_FOUND && stanch_journal_find(flow->journal, "change", event, &change, NULL) == 0)
        return stanch_err_set(err, rc, "%.60s is a change: changes start no runbook, they are told to those that ask",
                              event);
    if (rc == STANCH_E_NOT_FOUND)
        return stanch_err_set(err, rc, "no event %.60s: `stanch event list` has them", event);
    if (rc < 0)
        return rc;
    const char *commit = stanch_json_str(doc, "commit", NULL);
    bool in_use = commit && flow->catalogue && strcmp(commit, flow->catalogue->commit) == 0;
    int64_t since_ms = accepted_ms(flow, commit);
    STANCH_AUTO_FREE char *sentence = says(flow, doc, in_use);
    json_t *told = json_pack("{s:s, s:s, s:b, s:o}", "event", stanch_json_str(doc, "id", event), "says", sentence,
                             "in_use", in_use, "considered", considered_of(flow, doc));
    static const char *const copied[] = {"name", "state", "source", "received_ms", "incident", "count", "commit"};
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        if (json_object_get(doc, copied[i]))
            json_object_set(told, copied[i], json_object_get(doc, copied[i]));
    if (since_ms)
        json_object_set_new(told, "accepted_ms", json_integer(since_ms));
    if (!in_use && flow->catalogue)
        json_object_set_new(told, "now", now_of(flow, doc));
    *ret = told;
    return 0;
}
