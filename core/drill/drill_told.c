/* drill_told.c: the sections of a drill's report, as a table of columns each. */
#include "drill/drill_told.h"
#include "base/json.h"
#include "base/times.h"
#include "drill/drill.h"
#include <string.h>

#define MAX_BAR ((int64_t)1 << 48) /* a kept file may say any number: this one can still be multiplied */

/* ---- cells ---- */

struct column {
    const char *head, *member;
    json_t *(*cell)(const json_t *row, const char *member);
};

static json_t *text_cell(const json_t *row, const char *member)
{
    const char *text = stanch_json_str(row, member, "");
    return json_string(*text ? text : "-");
}

static json_t *why_cell(const json_t *row, const char *member)
{
    return json_string(stanch_json_str(row, member, ""));
}

static json_t *number_cell(const json_t *row, const char *member)
{
    return json_sprintf("%lld", (long long)stanch_json_int(row, member, 0));
}

static json_t *duration_of(const json_t *ms)
{
    char text[32] = "-";
    if (json_is_integer(ms))
        stanch_duration_text(json_integer_value(ms), text);
    return json_string(text);
}

static json_t *duration_cell(const json_t *row, const char *member)
{
    return duration_of(json_object_get(row, member));
}

static json_t *time_cell(const json_t *row, const char *member)
{
    return duration_of(json_object_get(json_object_get(row, "times"), member));
}

static json_t *list_cell(const json_t *row, const char *member)
{
    const json_t *list = json_object_get(row, member);
    json_t *texts = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        json_array_append_new(texts, json_string(text && *text ? text : "-"));
    }
    if (json_array_size(texts) == 0)
        json_array_append_new(texts, json_string("-"));
    return texts;
}

static json_t *judged(bool good, const char *if_good, const char *if_not)
{
    return json_pack("{s:s, s:b}", "text", good ? if_good : if_not, "good", good);
}

static json_t *met_cell(const json_t *row, const char *member)
{
    return judged(stanch_json_bool(row, member, false), "met", "missed");
}

static json_t *done_cell(const json_t *row, const char *member)
{
    return judged(stanch_json_bool(row, member, false), "done", "open");
}

/* "answered: keep" */
static json_t *outcome_cell(const json_t *row, const char *member)
{
    if (!json_object_get(row, "answer"))
        return text_cell(row, member);
    json_t *outcome = text_cell(row, member), *answer = text_cell(row, "answer");
    json_t *both = json_sprintf("%s: %s", json_string_value(outcome), json_string_value(answer));
    json_decref(outcome);
    json_decref(answer);
    return both;
}

/* ---- tables ---- */

static const struct column promise_columns[] = {
    {"promise", "promise", text_cell}, {"target", "target", text_cell}, {"measured", "measured", text_cell},
    {"verdict", "met", met_cell},      {"why", "why", why_cell},        {0}};
static const struct column time_columns[] = {{"time to", "what", text_cell},
                                             {"incidents", "count", number_cell},
                                             {"median", "median_ms", duration_cell},
                                             {"longest", "worst_ms", duration_cell},
                                             {"in", "worst_in", text_cell},
                                             {"never in", "missing", list_cell},
                                             {0}};
static const struct column incident_columns[] = {{"incident", "incident", text_cell},
                                                 {"title", "title", text_cell},
                                                 {"severity", "severity", text_cell},
                                                 {"state", "state", text_cell},
                                                 {"at", "at_ms", duration_cell},
                                                 {"runbooks", "runbooks", list_cell},
                                                 {"detect", "detect", time_cell},
                                                 {"acknowledge", "acknowledge", time_cell},
                                                 {"first mitigation", "first mitigation", time_cell},
                                                 {"mitigate", "mitigate", time_cell},
                                                 {"resolve", "resolve", time_cell},
                                                 {0}};
static const struct column wait_columns[] = {{"question", "approval", text_cell},
                                             {"incident", "incident", text_cell},
                                             {"what", "what", text_cell},
                                             {"role", "role", text_cell},
                                             {"asked at", "asked_ms", duration_cell},
                                             {"waited", "waited_ms", duration_cell},
                                             {"outcome", "outcome", outcome_cell},
                                             {"by", "by", list_cell},
                                             {0}};
static const struct column run_columns[] = {{"run", "run", text_cell},           {"runbook", "runbook", text_cell},
                                            {"incident", "incident", text_cell}, {"state", "state", text_cell},
                                            {"why", "why", text_cell},           {0}};
static const struct column decision_columns[] = {
    {"at", "at_ms", duration_cell},      {"question", "approval", text_cell},
    {"incident", "incident", text_cell}, {"who", "who", text_cell},
    {"decision", "decision", text_cell}, {"verdict", "verdict", text_cell},
    {"why", "why", text_cell},           {0}};
static const struct column step_columns[] = {{"at", "at_ms", duration_cell},      {"step", "step", text_cell},
                                             {"incident", "incident", text_cell}, {"what", "what", text_cell},
                                             {"why", "why", text_cell},           {0}};
static const struct column finding_columns[] = {{"of", "result", text_cell},
                                                {"n", "n", number_cell},
                                                {"what", "text", text_cell},
                                                {"owner", "owner", text_cell},
                                                {"due", "due", text_cell},
                                                {"state", "done", done_cell},
                                                {0}};

static bool did_not_go_through(const json_t *run)
{
    return strcmp(stanch_json_str(run, "state", ""), "succeeded") != 0;
}

static const struct table {
    const char *heading, *member;
    const struct column *columns;
    int name;                           /* the column that says which row it is */
    bool (*is_told)(const json_t *row); /* NULL: all are */
} tables[] = {
    {"Promises", "promises", promise_columns, 0, NULL},
    {"Times over all incidents", "times", time_columns, 0, NULL},
    {"Incidents", "incidents", incident_columns, 0, NULL},
    {"What waited on whom", "waits", wait_columns, 0, NULL},
    {"Runs that did not go through", "runs", run_columns, 0, did_not_go_through},
    {"Decisions that were wrong or late", "decisions", decision_columns, 1, NULL},
    {"Steps that failed", "failed_steps", step_columns, 1, NULL},
};
static const struct table findings = {"Action items", "findings", finding_columns, 2, NULL};

/* Nothing is told of an empty one. */
static void tell_table(json_t *sections, const struct table *table, const json_t *report)
{
    const json_t *of = json_object_get(report, table->member);
    json_t *heads = json_array(), *rows = json_array();
    for (const struct column *column = table->columns; column->head; column++)
        json_array_append_new(heads, json_string(column->head));
    for (size_t i = 0; i < json_array_size(of); i++) {
        const json_t *row = json_array_get(of, i);
        if (table->is_told && !table->is_told(row))
            continue;
        json_t *cells = json_array();
        for (const struct column *column = table->columns; column->head; column++)
            json_array_append_new(cells, column->cell(row, column->member));
        json_array_append_new(rows, cells);
    }
    json_t *section =
        json_pack("{s:s, s:o, s:i, s:o}", "heading", table->heading, "heads", heads, "name", table->name, "rows", rows);
    if (json_array_size(rows) > 0)
        json_array_append(sections, section);
    json_decref(section);
}

static void tell_in_force(json_t *sections, const json_t *report)
{
    const json_t *in_force = json_object_get(report, "in_force");
    json_t *items = json_array();
    for (size_t i = 0; i < json_array_size(in_force); i++) {
        const json_t *one = json_array_get(in_force, i);
        json_array_append_new(items,
                              json_sprintf("%s: %s.%s", stanch_json_str(one, "id", "-"),
                                           stanch_json_str(one, "instance", "-"), stanch_json_str(one, "action", "-")));
    }
    json_t *section = json_pack("{s:s, s:o}", "heading", "Still in force at the end", "items", items);
    if (json_array_size(items) > 0)
        json_array_append(sections, section);
    json_decref(section);
}

/* ---- beside the last ones ---- */

static int64_t within(int64_t value, int64_t most)
{
    return value < 0 ? 0 : value > most ? most : value;
}

static void add_bar(json_t *bars, const char *name, json_t *value, int64_t is, int64_t of)
{
    of = of < 1 ? 1 : within(of, MAX_BAR);
    json_array_append_new(bars, json_pack("{s:s, s:o, s:I, s:I}", "name", name, "value", value, "is",
                                          (json_int_t)within(is, of), "of", (json_int_t)of));
}

static void add_met(json_t *bars, const json_t *row, const char *name)
{
    int64_t met = stanch_json_int(row, "met", 0), of = stanch_json_int(row, "of", 0);
    add_bar(bars, name, json_sprintf("%lld of %lld", (long long)met, (long long)of), met, of);
}

static json_t *chart_met(const json_t *report, const json_t *past)
{
    json_t *bars = json_array();
    for (size_t i = 0; i < json_array_size(past); i++)
        add_met(bars, json_array_get(past, i), stanch_json_str(json_array_get(past, i), "result", "-"));
    add_met(bars, report, "this one");
    return json_pack("{s:s, s:o}", "what", "promises met", "bars", bars);
}

static const json_t *own_worst(const json_t *report, const char *what)
{
    const json_t *times = json_object_get(report, "times");
    for (size_t i = 0; i < json_array_size(times); i++)
        if (strcmp(stanch_json_str(json_array_get(times, i), "what", ""), what) == 0)
            return json_object_get(json_array_get(times, i), "worst_ms");
    return NULL;
}

/* NULL: nothing was measured */
static json_t *chart_time(const json_t *report, const json_t *past, const char *what)
{
    const json_t *own = own_worst(report, what);
    int64_t most_ms = json_integer_value(own);
    for (size_t i = 0; i < json_array_size(past); i++) {
        int64_t ms = stanch_json_int(json_object_get(json_array_get(past, i), "worst_ms"), what, 0);
        most_ms = ms > most_ms ? ms : most_ms;
    }
    if (most_ms <= 0)
        return NULL;
    json_t *bars = json_array();
    for (size_t i = 0; i < json_array_size(past); i++) {
        const json_t *row = json_array_get(past, i), *ms = json_object_get(json_object_get(row, "worst_ms"), what);
        add_bar(bars, stanch_json_str(row, "result", "-"), duration_of(ms), json_integer_value(ms), most_ms);
    }
    add_bar(bars, "this one", duration_of(own), json_integer_value(own), most_ms);
    return json_pack("{s:o, s:o}", "what", json_sprintf("longest time to %s", what), "bars", bars);
}

static void tell_charts(json_t *sections, const json_t *report)
{
    static const char *const whats[] = {"detect", "acknowledge", "first mitigation", "mitigate", "resolve"};
    const json_t *past = json_object_get(report, "past");
    if (json_array_size(past) == 0)
        return;
    json_t *charts = json_array();
    json_array_append_new(charts, chart_met(report, past));
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++) {
        json_t *chart = chart_time(report, past, whats[i]);
        if (chart)
            json_array_append_new(charts, chart);
    }
    json_array_append_new(sections, json_pack("{s:s, s:o}", "heading", "Beside the last ones", "charts", charts));
}

/* ---- head ---- */

/* Members that need not be there. */
static void tell_what_is_said(json_t *told, const json_t *report)
{
    static const char *const members[] = {"summary", "owner", "result"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (json_object_get(report, members[i]))
            json_object_set_new(told, members[i], text_cell(report, members[i]));
    if (json_array_size(json_object_get(report, "objectives")) > 0)
        json_object_set_new(told, "objectives", list_cell(report, "objectives"));
}

static const char *meaning_of(const char *kind)
{
    static const struct {
        const char *kind, *means;
    } kinds[] = {
        {"virtual", "a simulated world and simulated people, in virtual time; nothing real was touched"},
        {"exercise", "a simulated world and real people, by the clock; nothing real was touched"},
        {"staging", "real people, by the clock, and some real instances, of an environment that is there for it"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i].kind) == 0)
            return kinds[i].means;
    return "this release does not know what was real in it";
}

/* What is said before all else. */
static json_t *warnings_of(const json_t *report)
{
    static const struct {
        const char *member, *label;
    } kinds[] = {{"broken", "The scenario broke off"},
                 {"ended", "It was ended before its time"},
                 {"not_judged", "Not looked at"},
                 {"left", "Not taken back in real instances"}};
    json_t *warnings = json_array();
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (json_object_get(report, kinds[i].member))
            json_array_append_new(
                warnings, json_pack("{s:s, s:o}", "label", kinds[i].label, "text", text_cell(report, kinds[i].member)));
    return warnings;
}

json_t *stanch_drill__told(const json_t *report)
{
    json_t *sections = json_array();
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        tell_table(sections, &tables[i], report);
    tell_in_force(sections, report);
    tell_charts(sections, report);
    tell_table(sections, &findings, report);
    json_t *told =
        json_pack("{s:o, s:o, s:s, s:o, s:b, s:o, s:o, s:o}", "drill", text_cell(report, "drill"), "kind",
                  text_cell(report, "kind"), "means", meaning_of(stanch_json_str(report, "kind", "")), "lasted",
                  duration_cell(report, "lasted_ms"), "good", stanch_drill_is_good(report), "verdict",
                  json_sprintf("%lld of %lld promises were met", (long long)stanch_json_int(report, "met", 0),
                               (long long)stanch_json_int(report, "of", 0)),
                  "warnings", warnings_of(report), "sections", sections);
    tell_what_is_said(told, report);
    return told;
}
