/* drill_report.c: the report of a drill as Markdown (CommonMark, tables as GitHub has them). Whatever the scenario, alerts and
 * people say is escaped: it makes no heading, link, HTML, mention or column. */
#include "base/json.h"
#include "drill/drill.h"
#include "drill/drill_told.h"
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

/* ---- head ---- */

static void put_head(struct stanch_buf *out, const json_t *told)
{
    static const struct {
        const char *before, *member;
    } of_it[] = {{"Kind ", "kind"},
                 {": ", "means"},
                 {". It lasted ", "lasted"},
                 {". Owner: ", "owner"},
                 {". Kept as ", "result"}};
    const json_t *objectives = json_object_get(told, "objectives"), *warnings = json_object_get(told, "warnings");
    stanch_buf_text(out, "# Drill: ");
    put_member(out, told, "drill");
    stanch_buf_text(out, "\n\n");
    if (json_object_get(told, "summary")) {
        put_member(out, told, "summary");
        stanch_buf_text(out, "\n\n");
    }
    for (size_t i = 0; i < sizeof of_it / sizeof *of_it; i++) {
        if (!json_object_get(told, of_it[i].member))
            continue;
        stanch_buf_text(out, of_it[i].before);
        put_member(out, told, of_it[i].member);
    }
    stanch_buf_printf(out, ".\n\n**%s.**\n", stanch_json_str(told, "verdict", ""));
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        const json_t *warning = json_array_get(warnings, i);
        stanch_buf_printf(out, "\n**%s:** ", stanch_json_str(warning, "label", ""));
        put_member(out, warning, "text");
        stanch_buf_char(out, '\n');
    }
    for (size_t i = 0; i < json_array_size(objectives); i++) {
        stanch_buf_text(out, i ? "- " : "\nObjectives:\n\n- ");
        put(out, json_string_value(json_array_get(objectives, i)));
        stanch_buf_char(out, '\n');
    }
}

/* ---- sections ---- */

static void put_cell(struct stanch_buf *out, const json_t *cell)
{
    const char *text = json_string_value(cell);
    if (text && *text)
        put(out, text);
    for (size_t i = 0; i < json_array_size(cell); i++) {
        stanch_buf_text(out, i ? ", " : "");
        put(out, json_string_value(json_array_get(cell, i)));
    }
    if (json_is_object(cell)) {
        const char *mark = stanch_json_bool(cell, "good", false) ? "" : "**";
        stanch_buf_printf(out, "%s%s%s", mark, stanch_json_str(cell, "text", ""), mark);
    }
}

static void put_table(struct stanch_buf *out, const json_t *section)
{
    const json_t *heads = json_object_get(section, "heads"), *rows = json_object_get(section, "rows");
    stanch_buf_char(out, '|');
    for (size_t i = 0; i < json_array_size(heads); i++)
        stanch_buf_printf(out, " %s |", json_string_value(json_array_get(heads, i)));
    stanch_buf_text(out, "\n|");
    for (size_t i = 0; i < json_array_size(heads); i++)
        stanch_buf_text(out, " --- |");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        stanch_buf_text(out, "\n|");
        for (size_t k = 0; k < json_array_size(row); k++) {
            stanch_buf_char(out, ' ');
            put_cell(out, json_array_get(row, k));
            stanch_buf_text(out, " |");
        }
    }
    stanch_buf_char(out, '\n');
}

static void put_items(struct stanch_buf *out, const json_t *section)
{
    const json_t *items = json_object_get(section, "items");
    for (size_t i = 0; i < json_array_size(items); i++) {
        stanch_buf_text(out, "- ");
        put(out, json_string_value(json_array_get(items, i)));
        stanch_buf_char(out, '\n');
    }
}

static void put_bar(struct stanch_buf *out, const json_t *bar)
{
    int64_t is = stanch_json_int(bar, "is", 0), of = stanch_json_int(bar, "of", 1);
    stanch_buf_printf(out, "  %-32.32s %-12s ", stanch_json_str(bar, "name", ""), stanch_json_str(bar, "value", ""));
    for (int64_t i = 0; i < (is * BAR + of - 1) / of; i++)
        stanch_buf_char(out, '#');
    stanch_buf_char(out, '\n');
}

/* Names of results and numbers only: nothing that could end the block. */
static void put_charts(struct stanch_buf *out, const json_t *section)
{
    const json_t *charts = json_object_get(section, "charts");
    stanch_buf_text(out, "```text\n");
    for (size_t i = 0; i < json_array_size(charts); i++) {
        const json_t *chart = json_array_get(charts, i), *bars = json_object_get(chart, "bars");
        stanch_buf_printf(out, "%s\n", stanch_json_str(chart, "what", ""));
        for (size_t k = 0; k < json_array_size(bars); k++)
            put_bar(out, json_array_get(bars, k));
    }
    stanch_buf_text(out, "```\n");
}

void stanch_drill_markdown(const json_t *report, struct stanch_buf *out)
{
    STANCH_AUTO_JSON json_t *told = stanch_drill__told(report);
    const json_t *sections = json_object_get(told, "sections");
    put_head(out, told);
    for (size_t i = 0; i < json_array_size(sections); i++) {
        const json_t *section = json_array_get(sections, i);
        stanch_buf_printf(out, "\n## %s\n\n", stanch_json_str(section, "heading", ""));
        if (json_object_get(section, "rows"))
            put_table(out, section);
        else if (json_object_get(section, "items"))
            put_items(out, section);
        else
            put_charts(out, section);
    }
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
