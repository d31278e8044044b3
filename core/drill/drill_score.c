/* drill_score.c: what happened, out of the journal of a rehearsal: times of each incident, what waited on whom, decisions that
 * were wrong or late, steps that failed. Times are since the scenario began. */
#include "base/json.h"
#include "base/mem.h"
#include "drill/drill.h"
#include "report/report.h"
#include "timeline/journal.h"
#include <string.h>

#define PAGE 500

struct score {
    const json_t *scenario;
    struct stanch_journal *journal;
    int64_t began_ms, now_ms;
    json_t *incidents, *waits, *decisions, *failed, *runs;
    json_t *asked, *acted; /* incident -> somebody was asked or paged; something was to be done, or a run failed */
    int pages;
    int64_t last_seq;
    int read;
};

static json_t *all_of(const struct score *score, const char *noun)
{
    struct stanch_noun_query query = {.noun = noun, .open = -1, .limit = 1000};
    json_t *list = NULL, *turned = json_array();
    if (stanch_journal_list(score->journal, &query, &list, NULL) < 0)
        return turned;
    for (size_t i = json_array_size(list); i > 0; i--)
        json_array_append(turned, json_array_get(list, i - 1));
    json_decref(list);
    return turned;
}

static json_t *since(const struct score *score, int64_t at_ms)
{
    return json_integer(at_ms - score->began_ms);
}

static const char *name_of(const char *by)
{
    const char *colon = strchr(by, ':');
    return colon && colon[1] ? colon + 1 : by;
}

/* ---- decisions ---- */

static const json_t *person_of(const struct score *score, const char *name)
{
    const json_t *people = json_object_get(score->scenario, "people");
    for (size_t i = 0; i < json_array_size(people); i++)
        if (strcmp(stanch_json_str(json_array_get(people, i), "name", ""), name) == 0)
            return json_array_get(people, i);
    return NULL;
}

static bool has_choice(const json_t *question, const char *decision)
{
    const json_t *choices = json_object_get(question, "choices");
    for (size_t i = 0; i < json_array_size(choices); i++)
        if (strcmp(json_string_value(json_array_get(choices, i)), decision) == 0)
            return true;
    return !json_is_array(choices);
}

/* What would have been right: by the question, else by the person, if it is one of the choices; NULL: the scenario does not say. */
static const char *right_of(const struct score *score, const json_t *question, const char *name)
{
    const json_t *right = json_object_get(score->scenario, "right");
    STANCH_AUTO_FREE char *what =
        stanch_asprintf("%s.%s", stanch_json_str(question, "instance", ""), stanch_json_str(question, "action", ""));
    const char *by_person = stanch_json_str(person_of(score, name), "right", NULL);
    const char *by_about = stanch_json_str(right, stanch_json_str(question, "about", ""), by_person);
    const char *decision = stanch_json_str(right, what, by_about);
    return decision && has_choice(question, decision) ? decision : NULL;
}

static void add_decision(struct score *score, const struct stanch_entry *entry, const char *decision,
                         const char *verdict, const char *why)
{
    json_array_append_new(score->decisions,
                          json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o}", "approval",
                                    stanch_json_str(entry->data, "approval", ""), "incident", entry->chain, "who",
                                    name_of(entry->by), "decision", decision, "verdict", verdict, "why", why, "at_ms",
                                    since(score, entry->at_ms)));
}

static const char *decision_of(const struct stanch_entry *entry)
{
    static const struct {
        const char *kind, *decision;
    } known[] = {{"approval.granted", "approve"},
                 {"approval.supported", "approve"},
                 {"approval.forced", "approve"},
                 {"approval.denied", "deny"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(entry->kind, known[i].kind) == 0)
            return known[i].decision;
    return strcmp(entry->kind, "approval.answered") == 0 ? stanch_json_str(entry->data, "decision", "") : NULL;
}

static void judge_decision(struct score *score, const struct stanch_entry *entry)
{
    const char *decision = decision_of(entry), *id = stanch_json_str(entry->data, "approval", "");
    bool was_refused = strcmp(entry->kind, "approval.refused") == 0;
    if (!decision && !was_refused)
        return;
    STANCH_AUTO_JSON json_t *question = stanch_journal_get(score->journal, STANCH_VIEW_COMMITTED, "approval", id);
    if (was_refused) {
        if (strcmp(stanch_json_str(question, "state", ""), "expired") == 0)
            add_decision(score, entry, stanch_json_str(entry->data, "decision", ""), "late",
                         "the question had expired");
        return;
    }
    const char *right = right_of(score, question, name_of(entry->by));
    STANCH_AUTO_FREE char *why = stanch_asprintf("%s was right", right ? right : "");
    if (right && strcmp(right, decision) != 0)
        add_decision(score, entry, decision, "wrong", why);
}

/* ---- steps ---- */

static void add_failed(struct score *score, const struct stanch_entry *entry, const char *id, const char *why)
{
    STANCH_AUTO_JSON json_t *step = stanch_journal_get(score->journal, STANCH_VIEW_COMMITTED, "step", id);
    const json_t *args = json_object_get(step, "args");
    const char *instance = stanch_json_str(args, "instance", stanch_json_str(entry->data, "instance", NULL));
    STANCH_AUTO_FREE char *what =
        instance ? stanch_asprintf("%s.%s", instance,
                                   stanch_json_str(args, "action", stanch_json_str(entry->data, "action", "")))
                 : stanch_strdup(stanch_json_str(step, "op", "?"));
    json_array_append_new(score->failed,
                          json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "step", id, "incident", entry->chain, "what",
                                    what, "how", entry->kind, "why", why, "at_ms", since(score, entry->at_ms)));
}

/* A denied step did what it should: its decision is looked at, not the step. */
static void judge_step(struct score *score, const struct stanch_entry *entry)
{
    const json_t *data = entry->data, *error = json_object_get(json_object_get(data, "answer"), "error");
    const char *why = stanch_json_str(data, "why", "");
    if (strcmp(entry->kind, "step.answered") == 0 && error && strcmp(stanch_json_str(error, "kind", ""), "denied") != 0)
        add_failed(score, entry, stanch_json_str(data, "step", ""), stanch_json_str(error, "text", ""));
    else if (strcmp(entry->kind, "step.unknown") == 0)
        add_failed(score, entry, stanch_json_str(data, "step", ""), why);
    else if (strcmp(entry->kind, "mitigation.undo-failed") == 0 || strcmp(entry->kind, "mitigation.undo-unknown") == 0)
        add_failed(score, entry, stanch_json_str(data, "mitigation", ""), why);
}

/* ---- entries ---- */

static int take_entry(void *ctx, const struct stanch_entry *entry)
{
    struct score *score = ctx;
    score->last_seq = entry->seq;
    score->read++;
    judge_decision(score, entry);
    judge_step(score, entry);
    bool was_paged = strcmp(entry->kind, "page.requested") == 0;
    score->pages += was_paged;
    if (was_paged || strcmp(entry->kind, "approval.requested") == 0)
        json_object_set_new(score->asked, entry->chain, json_true());
    if (strcmp(entry->kind, "step.planned") == 0 || strcmp(entry->kind, "action.sent") == 0 ||
        strcmp(entry->kind, "run.failed") == 0)
        json_object_set_new(score->acted, entry->chain, json_true());
    return 0;
}

static void read_entries(struct score *score)
{
    do {
        const struct stanch_entry_query query = {.after_seq = score->last_seq, .limit = PAGE};
        score->read = 0;
        if (stanch_journal_entries(score->journal, &query, take_entry, score, NULL) < 0)
            return;
    } while (score->read == PAGE);
}

/* ---- incidents ---- */

static void take_runs(struct score *score)
{
    STANCH_AUTO_JSON json_t *runs = all_of(score, "run");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *run = json_array_get(runs, i);
        json_array_append_new(score->runs,
                              json_pack("{s:s, s:s, s:s, s:s, s:s}", "run", stanch_json_str(run, "id", ""), "runbook",
                                        stanch_json_str(run, "runbook", ""), "incident",
                                        stanch_json_str(run, "incident", ""), "state",
                                        stanch_json_str(run, "state", ""), "why", stanch_json_str(run, "why", "")));
    }
}

static json_t *runbooks_of(const struct score *score, const char *incident)
{
    json_t *names = json_array();
    for (size_t i = 0; i < json_array_size(score->runs); i++) {
        const json_t *run = json_array_get(score->runs, i);
        json_t *name = json_object_get(run, "runbook");
        bool is_new = strcmp(stanch_json_str(run, "incident", ""), incident) == 0;
        for (size_t k = 0; k < json_array_size(names); k++)
            is_new = is_new && !json_equal(json_array_get(names, k), name);
        if (is_new)
            json_array_append(names, name);
    }
    return names;
}

static void take_waits(struct score *score, const char *incident, const json_t *report)
{
    static const char *const copied[] = {"approval", "what", "role", "waited_ms", "outcome", "by", "note", "answer"};
    const json_t *waits = json_object_get(report, "waits");
    for (size_t i = 0; i < json_array_size(waits); i++) {
        const json_t *wait = json_array_get(waits, i);
        json_t *one = json_pack("{s:s, s:o}", "incident", incident, "asked_ms",
                                since(score, stanch_json_int(wait, "asked_ms", 0)));
        for (size_t k = 0; k < sizeof copied / sizeof *copied; k++)
            if (json_object_get(wait, copied[k]))
                json_object_set(one, copied[k], json_object_get(wait, copied[k]));
        json_array_append_new(score->waits, one);
    }
}

/* Questions of no incident: a storm's. */
static void take_other_waits(struct score *score)
{
    STANCH_AUTO_JSON json_t *approvals = all_of(score, "approval");
    for (size_t i = 0; i < json_array_size(approvals); i++) {
        const json_t *doc = json_array_get(approvals, i);
        const char *state = stanch_json_str(doc, "state", ""), *who = stanch_json_str(doc, "decided_by", NULL);
        int64_t asked_ms = stanch_json_int(doc, "created_ms", 0);
        bool is_open = strcmp(state, "pending") == 0;
        bool is_granted = strcmp(state, "consumed") == 0 || strcmp(state, "granted") == 0;
        if (*stanch_json_str(doc, "incident", ""))
            continue;
        json_t *one =
            json_pack("{s:s, s:o, s:s, s:s, s:s, s:I, s:s, s:[]}", "incident", "", "asked_ms", since(score, asked_ms),
                      "approval", stanch_json_str(doc, "id", ""), "what", stanch_json_str(doc, "about", ""), "role",
                      stanch_json_str(doc, "role", ""), "waited_ms",
                      (json_int_t)((is_open ? score->now_ms : stanch_json_int(doc, "updated_ms", asked_ms)) - asked_ms),
                      "outcome", is_granted ? "approved" : state, "by");
        if (who && !is_open)
            json_array_append_new(json_object_get(one, "by"), json_string(name_of(who)));
        json_array_append_new(score->waits, one);
    }
}

/* A time is looked for where it can be there: a detection where an alert began it, an answer of people where they were asked, a
 * mitigation where a runbook meant to act (one that only looks and tells mitigates nothing). */
static json_t *times_of(const json_t *report, bool was_asked, bool has_acted)
{
    const json_t *measured = json_object_get(report, "times");
    json_t *times = json_object();
    for (size_t i = 0; i < json_array_size(measured); i++) {
        const json_t *one = json_array_get(measured, i);
        const char *what = stanch_json_str(one, "what", "");
        json_t *took_ms = json_object_get(one, "took_ms");
        bool is_of_runs = strcmp(what, "first mitigation") == 0 || strcmp(what, "mitigate") == 0;
        bool counts = strcmp(what, "acknowledge") == 0 ? was_asked
                      : is_of_runs                     ? has_acted
                                                       : strcmp(what, "detect") != 0;
        if (counts || json_is_integer(took_ms))
            json_object_set(times, what, took_ms);
    }
    return times;
}

static void take_incident(struct score *score, const json_t *doc)
{
    const char *id = stanch_json_str(doc, "id", "");
    STANCH_AUTO_JSON json_t *report = NULL;
    if (strcmp(stanch_json_str(doc, "state", ""), "merged") == 0 ||
        stanch_report_make(score->journal, id, score->now_ms, &report, NULL) < 0)
        return; /* what was merged is told with that into which it was */
    json_array_append_new(score->incidents,
                          json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o}", "incident", id, "title",
                                    stanch_json_str(doc, "title", ""), "severity", stanch_json_str(doc, "severity", ""),
                                    "state", stanch_json_str(doc, "state", ""), "at_ms",
                                    since(score, stanch_json_int(report, "started_ms", score->began_ms)), "runbooks",
                                    runbooks_of(score, id), "times",
                                    times_of(report, json_object_get(score->asked, id) != NULL,
                                             json_object_get(score->acted, id) != NULL)));
    take_waits(score, id, report);
}

/* ---- the worst of all, and the middle ---- */

static int compare_ints(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static json_t *sum_up(const json_t *incidents, const char *what)
{
    STANCH_AUTO_FREE int64_t *took = stanch_alloc((json_array_size(incidents) + 1) * sizeof *took);
    json_t *missing = json_array();
    const char *worst_in = "";
    size_t count = 0;
    int64_t worst_ms = -1;
    for (size_t i = 0; i < json_array_size(incidents); i++) {
        const json_t *incident = json_array_get(incidents, i);
        const json_t *one = json_object_get(json_object_get(incident, "times"), what);
        if (json_is_null(one))
            json_array_append(missing, json_object_get(incident, "incident"));
        if (!json_is_integer(one))
            continue;
        took[count++] = json_integer_value(one);
        if (json_integer_value(one) > worst_ms) {
            worst_ms = json_integer_value(one);
            worst_in = stanch_json_str(incident, "incident", "");
        }
    }
    qsort(took, count, sizeof *took, compare_ints);
    return json_pack("{s:s, s:I, s:o, s:o, s:s, s:o}", "what", what, "count", (json_int_t)count, "median_ms",
                     count ? json_integer(took[(count - 1) / 2]) : json_null(), "worst_ms",
                     count ? json_integer(worst_ms) : json_null(), "worst_in", worst_in, "missing", missing);
}

json_t *stanch_drill_score(const json_t *scenario, struct stanch_journal *journal, int64_t began_ms, int64_t now_ms)
{
    static const char *const whats[] = {"detect", "acknowledge", "first mitigation", "mitigate", "resolve"};
    struct score score = {.scenario = scenario, .journal = journal, .began_ms = began_ms, .now_ms = now_ms};
    json_t **const lists[] = {&score.incidents, &score.waits, &score.decisions, &score.failed, &score.runs};
    json_t *times = json_array();
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        *lists[i] = json_array();
    score.asked = json_object();
    score.acted = json_object();
    read_entries(&score);
    take_runs(&score);
    STANCH_AUTO_JSON json_t *incidents = all_of(&score, "incident");
    for (size_t i = 0; i < json_array_size(incidents); i++)
        take_incident(&score, json_array_get(incidents, i));
    take_other_waits(&score);
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++)
        json_array_append_new(times, sum_up(score.incidents, whats[i]));
    json_decref(score.asked);
    json_decref(score.acted);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:i}", "times", times, "incidents", score.incidents, "runs",
                     score.runs, "waits", score.waits, "decisions", score.decisions, "failed_steps", score.failed,
                     "pages", score.pages);
}
