/* seen.c: what happened, out of the journal and out of the world: what the expectations of a test are held against. */
#include "base/json.h"
#include "base/mem.h"
#include "drill/rehearsal_parts.h"
#include <string.h>

/* Documents of a noun, the oldest first. new */
static json_t *all_of(struct stanch_rehearsal *r, const char *noun, int open)
{
    struct stanch_noun_query query = {.noun = noun, .open = open, .limit = 1000};
    json_t *list = NULL, *turned = json_array();
    struct stanch_err err;
    if (!r->journal || stanch_journal_list(r->journal, &query, &list, &err) < 0)
        return turned;
    for (size_t i = json_array_size(list); i > 0; i--)
        json_array_append(turned, json_array_get(list, i - 1));
    json_decref(list);
    return turned;
}

static void copy_members(json_t *to, const json_t *from, const char *const *names)
{
    for (; *names; names++)
        if (json_object_get(from, *names))
            json_object_set(to, *names, json_object_get(from, *names));
}

static json_t *with_members(const json_t *list, const char *const *names)
{
    json_t *made = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_object();
        copy_members(one, json_array_get(list, i), names);
        json_array_append_new(made, one);
    }
    return made;
}

/* ---- quiet ---- */

static bool waits_for_nobody(const json_t *run)
{
    return strcmp(stanch_json_str(run, "state", ""), "parked") == 0 ||
           strcmp(stanch_json_str(run, "state", ""), "asking") == 0;
}

bool stanch_seen_is_quiet(struct stanch_rehearsal *r)
{
    if (r->cues_left > 0 || r->out > 0)
        return false;
    if (r->looked_at == r->entries) /* nothing was recorded since */
        return r->was_quiet;
    STANCH_AUTO_JSON json_t *runs = all_of(r, "run", 1);
    r->looked_at = r->entries;
    r->was_quiet = true;
    for (size_t i = 0; r->was_quiet && i < json_array_size(runs); i++)
        r->was_quiet = waits_for_nobody(json_array_get(runs, i));
    return r->was_quiet;
}

/* ---- what was said ---- */

struct said {
    json_t *notes, *pages, *checks;
};

static int keep_said(void *ctx, const struct stanch_entry *entry)
{
    struct said *said = ctx;
    bool notes = strcmp(entry->kind, "step.noted") == 0 || strcmp(entry->kind, "step.decided") == 0;
    const char *text = stanch_json_str(entry->data, "text", "");
    if (notes)
        json_array_append_new(said->notes, json_string(text));
    if (strcmp(entry->kind, "step.checked") == 0 || strcmp(entry->kind, "step.verified") == 0) {
        static const char *const names[] = {"result", "value", "verdict", NULL};
        json_t *check = json_pack("{s:s?}", "run", entry->run);
        copy_members(check, entry->data, names);
        json_array_append_new(said->checks, check);
    }
    if (strcmp(entry->kind, "page.requested") == 0)
        json_array_append_new(said->pages, json_sprintf("%s: %s", stanch_json_str(entry->data, "role", ""), text));
    return 0;
}

static void read_said(struct stanch_rehearsal *r, struct said *said)
{
    struct stanch_entry_query query = {.limit = 1000};
    struct stanch_err err;
    STANCH_AUTO_JSON json_t *heads = stanch_journal_heads(r->journal);
    int64_t last = 0;
    for (size_t i = 0; i < json_array_size(heads); i++)
        if (strcmp(stanch_json_str(json_array_get(heads, i), "chain", ""), "*") == 0)
            last = stanch_json_int(json_array_get(heads, i), "n", 0);
    for (; query.after_seq < last; query.after_seq += query.limit)
        if (stanch_journal_entries(r->journal, &query, keep_said, said, &err) < 0)
            return;
}

bool stanch_seen_is_settled(struct stanch_rehearsal *r)
{
    return r->cues_left == 0 && r->out == 0 && r->journal && stanch_journal_count(r->journal, "run") == 0 &&
           stanch_journal_count(r->journal, "approval") == 0 && stanch_journal_count(r->journal, "incident") == 0;
}

/* ---- all of it ---- */

static const char *outcome_of(const json_t *runs)
{
    const json_t *last = NULL;
    for (size_t i = 0; i < json_array_size(runs); i++)
        if (strcmp(stanch_json_str(json_array_get(runs, i), "state", ""), "held") != 0)
            last = json_array_get(runs, i);
    if (!last)
        return json_array_size(runs) ? "held" : "none";
    return stanch_json_str(last, "state", "none");
}

static json_t *asks_of(const json_t *approvals)
{
    static const char *const names[] = {"id",  "about", "role",       "instance", "action", "args", "because",
                                        "why", "risk",  "decided_by", "note",     "again",  NULL};
    json_t *asks = with_members(approvals, names);
    for (size_t i = 0; i < json_array_size(asks); i++) {
        const json_t *doc = json_array_get(approvals, i);
        json_t *ask = json_array_get(asks, i);
        const char *state = stanch_json_str(doc, "state", "");
        bool was_granted = strcmp(state, "consumed") == 0 || strcmp(state, "granted") == 0;
        json_object_set_new(ask, "outcome", json_string(was_granted ? "approved" : state));
        json_object_set_new(ask, "waited_ms",
                            json_integer(stanch_json_int(doc, "updated_ms", 0) - stanch_json_int(doc, "at_ms", 0)));
    }
    return asks;
}

json_t *stanch_seen(struct stanch_rehearsal *r)
{
    static const char *const run_names[] = {"id", "runbook", "state", "why", "incident", "params", NULL};
    static const char *const force_names[] = {"id", "instance", "action", "args", "state", NULL};
    static const char *const incident_names[] = {"id", "title", "severity", "state", NULL};
    STANCH_AUTO_JSON json_t *runs = all_of(r, "run", -1);
    STANCH_AUTO_JSON json_t *approvals = all_of(r, "approval", -1);
    STANCH_AUTO_JSON json_t *in_force = all_of(r, "mitigation", 1);
    static const char *const event_names[] = {"id", "name", "state", "labels", "considered", "incident", "runs", NULL};
    STANCH_AUTO_JSON json_t *incidents = all_of(r, "incident", -1);
    STANCH_AUTO_JSON json_t *events = all_of(r, "event", -1);
    struct said said = {json_array(), json_array(), json_array()};
    if (r->journal)
        read_said(r, &said);
    return json_pack("{s:s, s:o, s:O, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:I}", "outcome", outcome_of(runs),
                     "runs", with_members(runs, run_names), "actions", r->effects, "asks", asks_of(approvals), "notes",
                     said.notes, "checks", said.checks, "pages", said.pages, "in_force",
                     with_members(in_force, force_names), "incidents", with_members(incidents, incident_names),
                     "events", with_members(events, event_names), "severity",
                     stanch_json_str(json_array_get(incidents, 0), "severity", ""), "took_ms",
                     (json_int_t)stanch_rehearsal__elapsed_ms(r));
}
