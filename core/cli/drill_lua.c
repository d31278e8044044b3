/* drill_lua.c: an incident that happened, as a drill in Lua: its alerts and changes, who started and answered what and how fast, and as
 * targets what was measured then. Nothing of it stands in the text but as quoted data. */
#include "cli/room.h"
#include "cli/record.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include <string.h>

#define HOUR_MS   3600000
#define BEFORE_MS (12LL * HOUR_MS) /* a change that was longer ago comes so long before: all that time is played */

static void add_text(const char *text, struct stanch_buf *out)
{
    stanch_cli__lua_text(text, strlen(text), out);
}

static void write_duration(int64_t ms, struct stanch_buf *out)
{
    char text[32];
    stanch_duration_text(ms > 0 ? ms : 0, text);
    stanch_buf_printf(out, "\"%s\"", text);
}

static void write_at(const char *name, int64_t ms, struct stanch_buf *out)
{
    stanch_buf_printf(out, "%s = ", name);
    write_duration(ms, out);
}

/* "person:ann" is ann */
static const char *name_of(const char *by)
{
    const char *colon = strchr(by, ':');
    return colon && colon[1] ? colon + 1 : by;
}

static bool is_person(const char *by)
{
    return strchr(by, ':') && strncmp(by, "run:", 4) != 0;
}

/* ---- when it began ---- */

struct telling {
    const json_t *told, *entries, *events, *report;
    json_t *changes; /* id -> what runs were told of it */
    int64_t began_ms, declared_ms, resolved_ms, last_ms;
    bool has_alert;
};

static bool fires(const json_t *event)
{
    return strcmp(stanch_json_str(event, "state", ""), "resolved") != 0;
}

static void find_changes(struct telling *t)
{
    const json_t *runs = json_object_get(t->told, "runs");
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const json_t *steps = json_object_get(json_array_get(runs, i), "steps");
        for (size_t k = 0; k < json_array_size(steps); k++) {
            const json_t *step = json_array_get(steps, k),
                         *list = json_object_get(json_object_get(step, "answer"), "ok");
            bool is_of_changes = strcmp(stanch_json_str(step, "op", ""), "recent_changes") == 0;
            for (size_t n = 0; is_of_changes && n < json_array_size(list); n++) {
                json_t *change = json_array_get(list, n);
                if (json_object_get(change, "source")) /* what stanch did itself it does again */
                    json_object_set(t->changes, stanch_json_str(change, "id", ""), change);
            }
        }
    }
}

static void be_early(int64_t *began_ms, int64_t at_ms)
{
    if (at_ms > 0 && at_ms < *began_ms)
        *began_ms = at_ms;
}

static void find_times(struct telling *t)
{
    const json_t *incident = json_object_get(t->told, "incident");
    const char *id;
    json_t *change;
    t->began_ms = t->declared_ms = stanch_json_int(incident, "created_ms", 0);
    t->resolved_ms = stanch_json_int(incident, "resolved_ms", 0);
    for (size_t i = 0; i < json_array_size(t->events); i++) {
        be_early(&t->began_ms, stanch_json_int(json_array_get(t->events, i), "received_ms", 0));
        t->has_alert = t->has_alert || fires(json_array_get(t->events, i));
    }
    int64_t first_ms = t->began_ms - BEFORE_MS;
    json_object_foreach(t->changes, id, change)
    {
        int64_t at_ms = stanch_json_int(change, "at_ms", 0);
        be_early(&t->began_ms, at_ms > first_ms ? at_ms : first_ms);
    }
    size_t count = json_array_size(t->entries);
    t->last_ms = count ? stanch_json_int(json_array_get(t->entries, count - 1), "at_ms", t->began_ms) : t->began_ms;
}

/* ---- head ---- */

static void write_head(const struct telling *t, struct stanch_buf *out)
{
    char begins[32];
    const json_t *incident = json_object_get(t->told, "incident");
    STANCH_AUTO_FREE char *name = stanch_asprintf("from %s", stanch_json_str(incident, "id", ""));
    stanch_time_text(t->began_ms, begins);
    stanch_buf_text(out, "drill ");
    add_text(name, out);
    stanch_buf_text(out, " {\n  summary = ");
    add_text(stanch_json_str(incident, "title", ""), out);
    stanch_buf_text(out, ",\n  objectives = { \"as good as then, or better\" },\n  ");
    stanch_buf_printf(out, "begins = \"%s\", ", begins);
    write_at("within", t->last_ms - t->began_ms + HOUR_MS, out);
    stanch_buf_text(out, ",\n");
}

/* ---- alerts, changes ---- */

/* When it was over: its own end; else the incident's, for it has to be over some time. 0: never */
static int64_t end_of(const struct telling *t, const json_t *alert)
{
    for (size_t i = 0; i < json_array_size(t->events); i++) {
        const json_t *event = json_array_get(t->events, i);
        bool is_same = json_equal(json_object_get(event, "fingerprint"), json_object_get(alert, "fingerprint")) &&
                       json_equal(json_object_get(event, "starts_at_ms"), json_object_get(alert, "starts_at_ms"));
        if (is_same && !fires(event))
            return stanch_json_int(event, "received_ms", 0);
    }
    return t->resolved_ms;
}

static void write_alert(const struct telling *t, const json_t *alert, struct stanch_buf *out)
{
    int64_t heard_ms = stanch_json_int(alert, "received_ms", t->began_ms), ended_ms = end_of(t, alert);
    int64_t age_ms = heard_ms - stanch_json_int(alert, "starts_at_ms", heard_ms);
    stanch_buf_text(out, "    { ");
    write_at("at", heard_ms - t->began_ms, out);
    if (ended_ms > heard_ms) {
        stanch_buf_text(out, ", ");
        write_at("lasts", ended_ms - heard_ms, out);
    }
    if (age_ms > 0) {
        stanch_buf_text(out, ", ");
        write_at("age", age_ms, out);
    }
    stanch_buf_text(out, ", source = ");
    add_text(stanch_json_str(alert, "source", "alerts"), out);
    stanch_buf_text(out, ",\n      labels = ");
    stanch_cli__lua_value(json_object_get(alert, "labels"), out);
    stanch_buf_text(out, ",\n      annotations = ");
    stanch_cli__lua_value(json_object_get(alert, "annotations"), out);
    stanch_buf_text(out, " },\n");
}

static void write_alerts(const struct telling *t, struct stanch_buf *out)
{
    stanch_buf_text(out, "  alerts = {\n");
    for (size_t i = 0; i < json_array_size(t->events); i++) {
        const json_t *event = json_array_get(t->events, i);
        bool is_alert = json_is_string(json_object_get(json_object_get(event, "labels"), "alertname"));
        if (fires(event) && is_alert)
            write_alert(t, event, out);
    }
    stanch_buf_text(out, "  },\n");
}

static void write_changes(const struct telling *t, struct stanch_buf *out)
{
    static const char *const members[] = {"kind",   "service",  "name",        "text", "by",
                                          "commit", "previous", "environment", "link", "state"};
    const char *id;
    json_t *change;
    if (json_object_size(t->changes) == 0)
        return;
    stanch_buf_text(out, "  changes = {\n");
    json_object_foreach(t->changes, id, change)
    {
        stanch_buf_text(out, "    { ");
        write_at("at", stanch_json_int(change, "at_ms", t->began_ms) - t->began_ms, out);
        for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
            if (!json_is_string(json_object_get(change, members[i])))
                continue;
            stanch_buf_printf(out, ", %s = ", members[i]);
            add_text(stanch_json_str(change, members[i], ""), out);
        }
        stanch_buf_text(out, " },\n");
    }
    stanch_buf_text(out, "  },\n");
}

static void write_starts(const struct telling *t, struct stanch_buf *out)
{
    const json_t *runs = json_object_get(t->told, "runs");
    bool any = false;
    for (size_t i = json_array_size(runs); i > 0; i--) { /* they come with the newest first */
        const json_t *run = json_array_get(runs, i - 1);
        const char *by = stanch_json_str(run, "requester", NULL);
        if (!by)
            continue;
        stanch_buf_text(out, any ? "    { " : "  starts = {\n    { ");
        write_at("at", stanch_json_int(run, "created_ms", t->began_ms) - t->began_ms, out);
        stanch_buf_text(out, ", runbook = ");
        add_text(stanch_json_str(run, "runbook", ""), out);
        stanch_buf_text(out, ", by = ");
        add_text(name_of(by), out);
        if (t->has_alert || any)
            stanch_buf_text(out, ", incident = \"INC-1\"");
        stanch_buf_text(out, ", params = ");
        stanch_cli__lua_value(json_object_get(run, "params"), out);
        stanch_buf_text(out, " },\n");
        any = true;
    }
    if (any)
        stanch_buf_text(out, "  },\n");
}

/* ---- people ---- */

static const json_t *entry_of(const struct telling *t, const char *kind, const char *approval)
{
    for (size_t i = 0; i < json_array_size(t->entries); i++) {
        const json_t *entry = json_array_get(t->entries, i);
        if (strcmp(stanch_json_str(entry, "kind", ""), kind) == 0 &&
            strcmp(stanch_json_str(json_object_get(entry, "data"), "approval", ""), approval) == 0)
            return entry;
    }
    return NULL;
}

/* The word of a person about a question, or NULL. */
static const json_t *answer_of(const struct telling *t, const char *approval, const char *who,
                               const char **ret_decision)
{
    static const char *const kinds[][2] = {{"approval.supported", "approve"},
                                           {"approval.granted", "approve"},
                                           {"approval.forced", "approve"},
                                           {"approval.denied", "deny"},
                                           {"approval.answered", NULL}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        const json_t *entry = entry_of(t, kinds[i][0], approval);
        if (!entry || strcmp(name_of(stanch_json_str(entry, "by", "")), who) != 0)
            continue;
        *ret_decision = kinds[i][1] ? kinds[i][1] : stanch_json_str(json_object_get(entry, "data"), "decision", "");
        return entry;
    }
    return NULL;
}

/* By what a question is known again: the same words are in the text of the scenario. new */
static char *question_key(const json_t *data)
{
    const char *instance = stanch_json_str(data, "instance", NULL);
    return instance ? stanch_asprintf("%s.%s", instance, stanch_json_str(data, "action", ""))
                    : stanch_strdup(stanch_json_str(data, "about", ""));
}

/* {key: [approval]}, in the order in which they were asked; new */
static json_t *questions_of(const struct telling *t)
{
    json_t *all = json_object();
    for (size_t i = 0; i < json_array_size(t->entries); i++) {
        const json_t *entry = json_array_get(t->entries, i), *data = json_object_get(entry, "data");
        if (strcmp(stanch_json_str(entry, "kind", ""), "approval.requested") != 0)
            continue;
        STANCH_AUTO_FREE char *key = question_key(data);
        if (!json_object_get(all, key))
            json_object_set_new(all, key, json_array());
        json_array_append(json_object_get(all, key), json_object_get(data, "approval"));
    }
    return all;
}

static void write_answers(const struct telling *t, const char *who, const json_t *approvals, struct stanch_buf *out)
{
    for (size_t i = 0; i < json_array_size(approvals); i++) {
        const char *approval = json_string_value(json_array_get(approvals, i)), *decision = NULL;
        const json_t *asked = entry_of(t, "approval.requested", approval);
        const json_t *answer = answer_of(t, approval, who, &decision);
        const char *note = stanch_json_str(json_object_get(answer, "data"), "note", NULL);
        stanch_buf_text(out, i ? ", " : " ");
        if (!answer) {
            stanch_buf_text(out, "false");
            continue;
        }
        stanch_buf_text(out, "{ ");
        add_text(decision, out);
        stanch_buf_text(out, ", ");
        write_duration(stanch_json_int(answer, "at_ms", 0) - stanch_json_int(asked, "at_ms", 0), out);
        if (note) {
            stanch_buf_text(out, ", ");
            add_text(note, out);
        }
        stanch_buf_text(out, " }");
    }
}

/* When somebody did something by themselves before they were asked: a note, a role, a decision. -1: not this one */
static int64_t acknowledged_ms(const struct telling *t, const char *who)
{
    for (size_t i = 0; i < json_array_size(t->entries); i++) {
        const json_t *entry = json_array_get(t->entries, i);
        const char *by = stanch_json_str(entry, "by", ""), *kind = stanch_json_str(entry, "kind", "");
        if (strncmp(by, "person:", 7) != 0)
            continue;
        bool is_own = strncmp(kind, "incident.", 9) == 0 && strcmp(kind, "incident.declared") != 0;
        return is_own && strcmp(name_of(by), who) == 0 ? stanch_json_int(entry, "at_ms", 0) - t->declared_ms : -1;
    }
    return -1;
}

static bool resolved_it(const struct telling *t, const char *who)
{
    for (size_t i = json_array_size(t->entries); i > 0; i--) {
        const json_t *entry = json_array_get(t->entries, i - 1);
        if (strcmp(stanch_json_str(entry, "kind", ""), "incident.resolved") == 0)
            return strcmp(name_of(stanch_json_str(entry, "by", "")), who) == 0;
    }
    return false;
}

static int64_t last_end(const struct telling *t)
{
    int64_t last_ms = 0;
    for (size_t i = 0; i < json_array_size(t->events); i++) {
        int64_t end_ms = fires(json_array_get(t->events, i)) ? end_of(t, json_array_get(t->events, i)) : 0;
        last_ms = end_ms > last_ms ? end_ms : last_ms;
    }
    return last_ms;
}

static void write_person(const struct telling *t, const char *who, const json_t *questions, struct stanch_buf *out)
{
    const char *key;
    json_t *approvals;
    int64_t first_ms = acknowledged_ms(t, who), end_ms = last_end(t);
    stanch_buf_text(out, "    [");
    add_text(who, out);
    stanch_buf_text(out, "] = { ");
    if (first_ms >= 0) {
        write_at("acknowledges", first_ms, out);
        stanch_buf_text(out, ", ");
    }
    if (t->resolved_ms && resolved_it(t, who)) {
        write_at("resolves", end_ms && end_ms < t->resolved_ms ? t->resolved_ms - end_ms : 0, out);
        stanch_buf_text(out, ", ");
    }
    stanch_buf_text(out, "answers = as_then {\n");
    json_object_foreach((json_t *)(uintptr_t)questions, key, approvals)
    {
        stanch_buf_text(out, "      [");
        add_text(key, out);
        stanch_buf_text(out, "] = {");
        write_answers(t, who, approvals, out);
        stanch_buf_text(out, " },\n");
    }
    stanch_buf_text(out, "    } },\n");
}

static void write_people(const struct telling *t, struct stanch_buf *out)
{
    STANCH_AUTO_JSON json_t *questions = questions_of(t), *known = json_object();
    stanch_buf_text(out, "  people = {\n");
    for (size_t i = 0; i < json_array_size(t->entries); i++) {
        const char *by = stanch_json_str(json_array_get(t->entries, i), "by", "");
        if (!is_person(by) || json_object_get(known, name_of(by)))
            continue;
        json_object_set_new(known, name_of(by), json_true());
        write_person(t, name_of(by), questions, out);
    }
    stanch_buf_text(out, "  },\n");
}

/* ---- what good looks like: as it was ---- */

static void write_times(const struct telling *t, struct stanch_buf *out)
{
    static const char *const names[][2] = {{"detect", "detect"},
                                           {"acknowledge", "acknowledge"},
                                           {"first mitigation", "first_mitigation"},
                                           {"mitigate", "mitigate"},
                                           {"resolve", "resolve"}};
    const json_t *times = json_object_get(t->report, "times");
    for (size_t i = 0; i < json_array_size(times); i++) {
        const json_t *one = json_array_get(times, i), *took_ms = json_object_get(one, "took_ms");
        for (size_t k = 0; json_is_integer(took_ms) && k < sizeof names / sizeof *names; k++) {
            if (strcmp(stanch_json_str(one, "what", ""), names[k][0]) != 0)
                continue;
            stanch_buf_text(out, "    ");
            write_at(names[k][1], (json_integer_value(took_ms) + 1999) / 1000 * 1000, out);
            stanch_buf_text(out, ",\n");
        }
    }
}

/* How the runs ended, when all of them ended the same way. */
static const char *outcome_of(const json_t *runs)
{
    const char *outcome = NULL;
    for (size_t i = 0; i < json_array_size(runs); i++) {
        const char *state = stanch_json_str(json_array_get(runs, i), "state", "");
        if (strcmp(state, "held") == 0)
            continue;
        if (outcome && strcmp(outcome, state) != 0)
            return NULL;
        outcome = state;
    }
    return outcome;
}

/* Still there, or taken back by a person's own hand: nobody of the drill does that. */
static bool stays(const struct telling *t, const json_t *mitigation)
{
    const char *id = stanch_json_str(mitigation, "mitigation", "-");
    if (strcmp(stanch_json_str(mitigation, "state", ""), "in-force") == 0)
        return true;
    for (size_t i = 0; i < json_array_size(t->entries); i++) {
        const json_t *entry = json_array_get(t->entries, i);
        if (strcmp(stanch_json_str(entry, "kind", ""), "mitigation.undone") == 0 &&
            strcmp(stanch_json_str(json_object_get(entry, "data"), "mitigation", ""), id) == 0)
            return is_person(stanch_json_str(entry, "by", ""));
    }
    return false;
}

static void write_good(const struct telling *t, struct stanch_buf *out)
{
    const json_t *mitigations = json_object_get(t->report, "mitigations");
    const char *outcome = outcome_of(json_object_get(t->told, "runs"));
    bool any = false;
    stanch_buf_text(
        out, "  -- what was measured then, in whole seconds, and one more for the simulated calls\n  good = {\n");
    write_times(t, out);
    if (outcome) {
        stanch_buf_text(out, "    outcome = ");
        add_text(outcome, out);
        stanch_buf_text(out, ",\n");
    }
    stanch_buf_text(out, "    late_decisions = 0,\n    in_force = {");
    for (size_t i = 0; i < json_array_size(mitigations); i++) {
        const json_t *one = json_array_get(mitigations, i);
        STANCH_AUTO_FREE char *name =
            stanch_asprintf("%s.%s", stanch_json_str(one, "instance", ""), stanch_json_str(one, "action", ""));
        if (!stays(t, one))
            continue;
        stanch_buf_text(out, any ? ", " : " ");
        add_text(name, out);
        any = true;
    }
    stanch_buf_text(out, any ? " },\n  },\n" : "},\n  },\n");
}

void stanch_cli__write_drill(const json_t *told, struct stanch_buf *out)
{
    static const char before[] =
        "-- Made by `stanch drill from` out of an incident that happened: what came, who answered what and how fast, "
        "and what\n"
        "-- the world said after each thing that was done. Change it freely: what if nobody had answered?\n\n"
        "-- What a person said then, question by question; what nobody said then is left alone.\n"
        "local function as_then(given)\n"
        "  local asked = {}\n"
        "  return function(question)\n"
        "    local what = question.instance and question.instance .. \".\" .. question.action or question.about\n"
        "    local answers = given[what] or {}\n"
        "    asked[what] = (asked[what] or 0) + 1\n"
        "    local answer = answers[asked[what]]\n"
        "    if answer == nil then answer = answers[#answers] end\n"
        "    if not answer then return \"nothing\" end\n"
        "    return answer[1], answer[2], answer[3]\n"
        "  end\n"
        "end\n\n";
    struct telling t = {.told = told,
                        .entries = json_object_get(told, "entries"),
                        .events = json_object_get(told, "events"),
                        .report = json_object_get(told, "report"),
                        .changes = json_object()};
    find_changes(&t);
    find_times(&t);
    stanch_buf_text(out, before);
    stanch_cli__write_world(told, out);
    write_head(&t, out);
    write_alerts(&t, out);
    write_changes(&t, out);
    write_starts(&t, out);
    write_people(&t, out);
    stanch_buf_text(out, "  world = world,\n");
    write_good(&t, out);
    stanch_buf_text(out, "}\n");
    json_decref(t.changes);
}
