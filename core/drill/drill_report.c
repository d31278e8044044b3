/* drill_report.c: the report of a drill as Markdown (CommonMark, tables as GitHub has them). Whatever the scenario, alerts and
 * people say is escaped: it makes no heading, link, HTML, mention or column. */
#include "base/json.h"
#include "base/mem.h"
#include "base/times.h"
#include "drill/drill.h"
#include "report/report.h"
#include <stdio.h>
#include <string.h>

#define BAR 20 /* characters */

/* ---- pieces ---- */

static void put(struct stanch_buf *out, const char *text)
{
    if (!*text || strcmp(text, "-") == 0)
        stanch_buf_char(out, '-'); /* nothing is there: no text, and no markup in a cell */
    else
        stanch_report_escape(text, out);
}

static void put_member(struct stanch_buf *out, const json_t *of, const char *name)
{
    put(out, stanch_json_str(of, name, "-"));
}

static void duration_of(const json_t *ms, char ret[32])
{
    if (json_is_integer(ms))
        stanch_duration_text(json_integer_value(ms), ret);
    else
        memcpy(ret, "-", 2);
}

static void put_duration(struct stanch_buf *out, const json_t *ms)
{
    char text[32];
    duration_of(ms, text);
    stanch_buf_text(out, text);
}

/* "a, b" */
static void put_list(struct stanch_buf *out, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        stanch_buf_text(out, i ? ", " : "");
        put(out, text ? text : "-"); /* a kept file may hold anything */
    }
    if (json_array_size(list) == 0)
        stanch_buf_char(out, '-');
}

/* heads: "a | b"; nothing is written of an empty list. returns whether there is something */
static bool begin_table(struct stanch_buf *out, const char *heading, const char *heads, const json_t *rows)
{
    if (json_array_size(rows) == 0)
        return false;
    stanch_buf_printf(out, "\n## %s\n\n| %s |\n|", heading, heads);
    for (const char *at = heads; at; at = strchr(at + 1, '|'))
        stanch_buf_text(out, " --- |");
    stanch_buf_char(out, '\n');
    return true;
}

/* ---- head ---- */

static void put_head(struct stanch_buf *out, const json_t *report)
{
    const json_t *objectives = json_object_get(report, "objectives");
    stanch_buf_text(out, "# Drill: ");
    put_member(out, report, "drill");
    stanch_buf_text(out, "\n\n");
    if (json_object_get(report, "summary")) {
        put_member(out, report, "summary");
        stanch_buf_text(out, "\n\n");
    }
    stanch_buf_text(out, "Kind ");
    put_member(out, report, "kind");
    stanch_buf_text(out,
                    ": a simulated world and simulated people, in virtual time; nothing real was touched. It lasted ");
    put_duration(out, json_object_get(report, "lasted_ms"));
    if (json_object_get(report, "owner")) {
        stanch_buf_text(out, ". Owner: ");
        put_member(out, report, "owner");
    }
    if (json_object_get(report, "result")) {
        stanch_buf_text(out, ". Kept as ");
        put_member(out, report, "result");
    }
    stanch_buf_printf(out, ".\n\n**%lld of %lld promises were met.**\n", (long long)stanch_json_int(report, "met", 0),
                      (long long)stanch_json_int(report, "of", 0));
    if (json_object_get(report, "broken")) {
        stanch_buf_text(out, "\n**The scenario broke off:** ");
        put_member(out, report, "broken");
        stanch_buf_char(out, '\n');
    }
    for (size_t i = 0; i < json_array_size(objectives); i++) {
        stanch_buf_text(out, i ? "- " : "\nObjectives:\n\n- ");
        put(out,
            json_is_string(json_array_get(objectives, i)) ? json_string_value(json_array_get(objectives, i)) : "-");
        stanch_buf_char(out, '\n');
    }
}

/* ---- tables ---- */

static void put_promises(struct stanch_buf *out, const json_t *report)
{
    const json_t *rows = json_object_get(report, "promises");
    if (!begin_table(out, "Promises", "promise | target | measured | | why", rows))
        return;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        stanch_buf_text(out, "| ");
        put_member(out, row, "promise");
        stanch_buf_text(out, " | ");
        put_member(out, row, "target");
        stanch_buf_text(out, " | ");
        put_member(out, row, "measured");
        stanch_buf_printf(out, " | %s | ", stanch_json_bool(row, "met", false) ? "met" : "**missed**");
        stanch_report_escape(stanch_json_str(row, "why", ""), out);
        stanch_buf_text(out, " |\n");
    }
}

static void put_times(struct stanch_buf *out, const json_t *report)
{
    const json_t *rows = json_object_get(report, "times");
    if (!begin_table(out, "Times over all incidents", "time to | incidents | median | longest | in | never in", rows))
        return;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        stanch_buf_text(out, "| ");
        put_member(out, row, "what");
        stanch_buf_printf(out, " | %lld | ", (long long)stanch_json_int(row, "count", 0));
        put_duration(out, json_object_get(row, "median_ms"));
        stanch_buf_text(out, " | ");
        put_duration(out, json_object_get(row, "worst_ms"));
        stanch_buf_text(out, " | ");
        put_member(out, row, "worst_in");
        stanch_buf_text(out, " | ");
        put_list(out, json_object_get(row, "missing"));
        stanch_buf_text(out, " |\n");
    }
}

static void put_incidents(struct stanch_buf *out, const json_t *report)
{
    static const char *const whats[] = {"detect", "acknowledge", "first mitigation", "mitigate", "resolve"};
    static const char *const members[] = {"incident", "title", "severity", "state"};
    const json_t *rows = json_object_get(report, "incidents");
    if (!begin_table(out, "Incidents",
                     "incident | title | severity | state | at | runbooks | detect | acknowledge | first mitigation | "
                     "mitigate | resolve",
                     rows))
        return;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        for (size_t k = 0; k < sizeof members / sizeof *members; k++) {
            stanch_buf_text(out, "| ");
            put_member(out, row, members[k]);
            stanch_buf_char(out, ' ');
        }
        stanch_buf_text(out, "| ");
        put_duration(out, json_object_get(row, "at_ms"));
        stanch_buf_text(out, " | ");
        put_list(out, json_object_get(row, "runbooks"));
        for (size_t k = 0; k < sizeof whats / sizeof *whats; k++) {
            stanch_buf_text(out, " | ");
            put_duration(out, json_object_get(json_object_get(row, "times"), whats[k]));
        }
        stanch_buf_text(out, " |\n");
    }
}

static void put_waits(struct stanch_buf *out, const json_t *report)
{
    const json_t *rows = json_object_get(report, "waits");
    if (!begin_table(out, "What waited on whom", "question | incident | what | role | asked at | waited | outcome | by",
                     rows))
        return;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        static const char *const members[] = {"approval", "incident", "what", "role"};
        for (size_t k = 0; k < sizeof members / sizeof *members; k++) {
            stanch_buf_text(out, "| ");
            put_member(out, row, members[k]);
            stanch_buf_char(out, ' ');
        }
        stanch_buf_text(out, "| ");
        put_duration(out, json_object_get(row, "asked_ms"));
        stanch_buf_text(out, " | ");
        put_duration(out, json_object_get(row, "waited_ms"));
        stanch_buf_text(out, " | ");
        put_member(out, row, "outcome");
        if (json_object_get(row, "answer")) {
            stanch_buf_text(out, ": ");
            put_member(out, row, "answer");
        }
        stanch_buf_text(out, " | ");
        put_list(out, json_object_get(row, "by"));
        stanch_buf_text(out, " |\n");
    }
}

/* Rows of texts, with a time in the first column. */
static void put_rows(struct stanch_buf *out, const json_t *rows, const char *const *members)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        stanch_buf_text(out, "| ");
        put_duration(out, json_object_get(row, "at_ms"));
        for (const char *const *member = members; *member; member++) {
            stanch_buf_text(out, " | ");
            put_member(out, row, *member);
        }
        stanch_buf_text(out, " |\n");
    }
}

static void put_runs(struct stanch_buf *out, const json_t *report)
{
    static const char *const members[] = {"run", "runbook", "incident", "state", "why"};
    const json_t *runs = json_object_get(report, "runs");
    STANCH_AUTO_JSON json_t *rows = json_array();
    for (size_t i = 0; i < json_array_size(runs); i++)
        if (strcmp(stanch_json_str(json_array_get(runs, i), "state", ""), "succeeded") != 0)
            json_array_append(rows, json_array_get(runs, i));
    if (!begin_table(out, "Runs that did not go through", "run | runbook | incident | state | why", rows))
        return;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        for (size_t k = 0; k < sizeof members / sizeof *members; k++) {
            stanch_buf_text(out, "| ");
            put_member(out, json_array_get(rows, i), members[k]);
            stanch_buf_char(out, ' ');
        }
        stanch_buf_text(out, "|\n");
    }
}

static void put_what_went_wrong(struct stanch_buf *out, const json_t *report)
{
    static const char *const of_decision[] = {"approval", "incident", "who", "decision", "verdict", "why", NULL};
    static const char *const of_step[] = {"step", "incident", "what", "why", NULL};
    const json_t *decisions = json_object_get(report, "decisions"), *steps = json_object_get(report, "failed_steps");
    const json_t *in_force = json_object_get(report, "in_force");
    if (begin_table(out, "Decisions that were wrong or late", "at | question | incident | who | decision | | why",
                    decisions))
        put_rows(out, decisions, of_decision);
    if (begin_table(out, "Steps that failed", "at | step | incident | what | why", steps))
        put_rows(out, steps, of_step);
    for (size_t i = 0; i < json_array_size(in_force); i++) {
        const json_t *one = json_array_get(in_force, i);
        stanch_buf_text(out, i ? "- " : "\n## Still in force at the end\n\n- ");
        put_member(out, one, "id");
        stanch_buf_text(out, ": ");
        put_member(out, one, "instance");
        stanch_buf_char(out, '.');
        put_member(out, one, "action");
        stanch_buf_char(out, '\n');
    }
}

/* ---- the last ones ---- */

static void put_bar(struct stanch_buf *out, const char *name, const char *value, int64_t is, int64_t of)
{
    int64_t filled = of > 0 ? (is * BAR + of - 1) / of : 0;
    stanch_buf_printf(out, "  %-32.32s %-12s ", name, value);
    for (int64_t i = 0; i < filled && i < BAR; i++)
        stanch_buf_char(out, '#');
    stanch_buf_char(out, '\n');
}

static void chart_met(struct stanch_buf *out, const json_t *row, const char *name)
{
    char value[48];
    int64_t met = stanch_json_int(row, "met", 0), of = stanch_json_int(row, "of", 0);
    (void)snprintf(value, sizeof value, "%lld of %lld", (long long)met, (long long)of);
    put_bar(out, name, value, met, of);
}

static const json_t *own_worst(const json_t *report, const char *what)
{
    const json_t *times = json_object_get(report, "times");
    for (size_t i = 0; i < json_array_size(times); i++)
        if (strcmp(stanch_json_str(json_array_get(times, i), "what", ""), what) == 0)
            return json_object_get(json_array_get(times, i), "worst_ms");
    return NULL;
}

static void chart_time(struct stanch_buf *out, const json_t *report, const json_t *past, const char *what)
{
    const json_t *own = own_worst(report, what);
    int64_t most_ms = json_integer_value(own);
    char text[32];
    for (size_t i = 0; i < json_array_size(past); i++) {
        int64_t ms = stanch_json_int(json_object_get(json_array_get(past, i), "worst_ms"), what, 0);
        most_ms = ms > most_ms ? ms : most_ms;
    }
    if (most_ms == 0)
        return;
    stanch_buf_printf(out, "longest time to %s\n", what);
    for (size_t i = 0; i < json_array_size(past); i++) {
        const json_t *row = json_array_get(past, i), *ms = json_object_get(json_object_get(row, "worst_ms"), what);
        duration_of(ms, text);
        put_bar(out, stanch_json_str(row, "result", ""), text, json_integer_value(ms), most_ms);
    }
    duration_of(own, text);
    put_bar(out, "this one", text, json_integer_value(own), most_ms);
}

/* Names of results and numbers only: nothing that could end the block. */
static void put_chart(struct stanch_buf *out, const json_t *report)
{
    static const char *const whats[] = {"detect", "acknowledge", "first mitigation", "mitigate", "resolve"};
    const json_t *past = json_object_get(report, "past");
    if (json_array_size(past) == 0)
        return;
    stanch_buf_text(out, "\n## Beside the last ones\n\n```text\npromises met\n");
    for (size_t i = 0; i < json_array_size(past); i++)
        chart_met(out, json_array_get(past, i), stanch_json_str(json_array_get(past, i), "result", ""));
    chart_met(out, report, "this one");
    for (size_t i = 0; i < sizeof whats / sizeof *whats; i++)
        chart_time(out, report, past, whats[i]);
    stanch_buf_text(out, "```\n");
}

static void put_findings(struct stanch_buf *out, const json_t *report)
{
    const json_t *rows = json_object_get(report, "findings");
    if (!begin_table(out, "Action items", "of | n | what | owner | due | state", rows))
        return;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        stanch_buf_text(out, "| ");
        put_member(out, row, "result");
        stanch_buf_printf(out, " | %lld | ", (long long)stanch_json_int(row, "n", 0));
        put_member(out, row, "text");
        stanch_buf_text(out, " | ");
        put_member(out, row, "owner");
        stanch_buf_text(out, " | ");
        put_member(out, row, "due");
        stanch_buf_printf(out, " | %s |\n", stanch_json_bool(row, "done", false) ? "done" : "**open**");
    }
}

void stanch_drill_markdown(const json_t *report, struct stanch_buf *out)
{
    put_head(out, report);
    put_promises(out, report);
    put_times(out, report);
    put_incidents(out, report);
    put_waits(out, report);
    put_runs(out, report);
    put_what_went_wrong(out, report);
    put_chart(out, report);
    put_findings(out, report);
}

/* ---- side by side ---- */

void stanch_drill_compare_markdown(const json_t *compared, struct stanch_buf *out)
{
    const json_t *results = json_object_get(compared, "results"), *rows = json_object_get(compared, "rows");
    stanch_buf_text(out, "# Drills: ");
    put_member(out, compared, "drill");
    stanch_buf_text(out, "\n\n| |");
    for (size_t i = 0; i < json_array_size(results); i++) {
        stanch_buf_char(out, ' ');
        put_member(out, json_array_get(results, i), "result");
        stanch_buf_text(out, " |");
    }
    stanch_buf_text(out, "\n| --- |");
    for (size_t i = 0; i < json_array_size(results); i++)
        stanch_buf_text(out, " --- |");
    stanch_buf_text(out, "\n| promises met |");
    for (size_t i = 0; i < json_array_size(results); i++)
        stanch_buf_printf(out, " %lld of %lld |", (long long)stanch_json_int(json_array_get(results, i), "met", 0),
                          (long long)stanch_json_int(json_array_get(results, i), "of", 0));
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i), *values = json_object_get(row, "values");
        stanch_buf_text(out, "\n| ");
        put_member(out, row, "what");
        for (size_t k = 0; k < json_array_size(values); k++) {
            stanch_buf_text(out, " | ");
            put(out, json_string_value(json_array_get(values, k)));
        }
        stanch_buf_text(out, " |");
    }
    static const char *const files[] = {"scenario", "runbooks"};
    for (size_t f = 0; f < 2; f++) {
        stanch_buf_printf(out, "\n| %s |", files[f]);
        for (size_t i = 0; i < json_array_size(results); i++) {
            char begins[9];
            (void)snprintf(begins, sizeof begins, "%s", stanch_json_str(json_array_get(results, i), files[f], "-"));
            stanch_buf_char(out, ' ');
            put(out, begins);
            stanch_buf_text(out, " |");
        }
    }
    stanch_buf_char(out, '\n');
}
