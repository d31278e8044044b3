/* drill_html.c: the report of a drill as one page: for a browser, a phone, paper and a screen reader. It holds no script and asks
 * for nothing (its own policy forbids both), so that it can be mailed, kept, and opened years later.
 *
 * On a narrow screen a row of a table becomes a card, each cell with the name of its column. What is laid out as a block is no
 * table to a screen reader, so the roles are said. */
#include "base/json.h"
#include "drill/drill.h"
#include "drill/drill_told.h"
#include "report/report.h"
#include <string.h>

#define BAR_HEIGHT 44 /* a line of text, and the bar below */

static const char style[] =
    ":root{--back:#fff;--text:#1b1f24;--quiet:#57606a;--line:#d0d7de;--card:#f6f8fa;--good:#1a7135;--bad:#b3261e;"
    "--bar:#6e7781;--own:#0b5cad;--sign:#fff3cd;--on-sign:#4d3800}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1rem;max-width:80rem;background:var(--back);color:var(--text);"
    "font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\n"
    ".drill{margin:0;padding:.75rem 1rem;background:var(--sign);color:var(--on-sign);border-radius:.5rem}\n"
    ".drill strong:first-child{letter-spacing:.1em}\n"
    "h1{margin:1.5rem 0 .5rem;font-size:1.75rem;line-height:1.2}\n"
    "h2{margin:2.5rem 0 .75rem;font-size:1.25rem;line-height:1.2;text-align:left}\n"
    ".verdict{margin:1rem 0;padding:.5rem 1rem;border-left:.375rem solid;font-size:1.25rem;font-weight:600}\n"
    ".good{color:var(--good)}\n.bad{color:var(--bad)}\n"
    "dl{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:1rem 0}\n"
    "section ul{columns:20rem}\n"
    "dt{font-size:.875rem;color:var(--quiet)}\ndd{margin:0}\n"
    "table{width:100%;border-collapse:collapse;font-size:.9375rem}\n"
    "th,td{padding:.375rem .75rem .375rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}\n"
    "thead th{font-size:.8125rem;font-weight:600;color:var(--quiet);overflow-wrap:normal;vertical-align:bottom}\n"
    "tbody th{font-weight:600}\n"
    ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1.5rem 2.5rem}\n"
    "figure{margin:0}\nfigcaption{font-weight:600}\nsvg{display:block;overflow:visible}\n"
    "text{fill:var(--text);font-size:.875rem}\n.value{text-anchor:end}\n"
    ".track{fill:var(--card);stroke:var(--line)}\n.bar{fill:var(--bar)}\n.own{fill:var(--own)}\n"
    "@media screen and (prefers-color-scheme:dark){:root{--back:#14171a;--text:#e6e8ea;--quiet:#a0a8b0;--line:#3a4149;"
    "--card:#1d2126;--good:#5cc47a;--bad:#ff8a80;--bar:#8b949e;--own:#6cb2ff;--sign:#3a2f0b;--on-sign:#ffe08a}}\n"
    "@media screen and (max-width:60rem){table,caption,tr,th,td{display:block}\n"
    "tbody{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20rem),1fr));gap:.75rem}\n"
    "thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}\n"
    "tr{padding:.5rem .75rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}\n"
    "tbody th,td{display:grid;grid-template-columns:8rem 1fr;gap:.5rem;padding:.1875rem 0;border:0}\n"
    "[data-head]::before{content:attr(data-head);font-weight:400;color:var(--quiet)}\ntd:empty{display:none}}\n"
    "@media print{html{font-size:9pt}body{max-width:none;padding:0}.drill{border:1pt solid}h2{margin-top:1.5rem}"
    "tr,figure{break-inside:avoid}h2,caption{break-after:avoid}}\n";

/* ---- pieces ---- */

static void put(struct stanch_buf *out, const char *text)
{
    stanch_report_escape_html(text ? text : "-", out);
}

/* "<p>text</p>"; nothing of a member that is not there */
static void put_member(struct stanch_buf *out, const char *open, const json_t *of, const char *name, const char *close)
{
    if (!json_object_get(of, name))
        return;
    stanch_buf_text(out, open);
    put(out, stanch_json_str(of, name, "-"));
    stanch_buf_text(out, close);
}

static void put_list(struct stanch_buf *out, const json_t *items)
{
    stanch_buf_text(out, "<ul>\n");
    for (size_t i = 0; i < json_array_size(items); i++) {
        stanch_buf_text(out, "<li>");
        put(out, json_string_value(json_array_get(items, i)));
        stanch_buf_text(out, "</li>\n");
    }
    stanch_buf_text(out, "</ul>\n");
}

/* ---- head ---- */

static void put_head(struct stanch_buf *out, const json_t *told)
{
    static const char policy[] = "default-src 'none'; style-src 'unsafe-inline'";
    stanch_buf_text(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    stanch_buf_printf(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"%s\">\n", policy);
    stanch_buf_text(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                         "<meta name=\"color-scheme\" content=\"light dark\">\n");
    put_member(out, "<title>Drill: ", told, "drill", "</title>\n");
    stanch_buf_printf(out, "<style>\n%s</style>\n</head>\n<body>\n", style);
}

static void put_summary(struct stanch_buf *out, const json_t *told)
{
    const json_t *objectives = json_object_get(told, "objectives"), *warnings = json_object_get(told, "warnings");
    stanch_buf_text(out, "<header>\n");
    put_member(out, "<p class=\"drill\"><strong>DRILL</strong> of kind <strong>", told, "kind", "</strong>: ");
    put_member(out, "", told, "means", ".</p>\n");
    put_member(out, "<h1>Drill: ", told, "drill", "</h1>\n");
    put_member(out, "<p>", told, "summary", "</p>\n");
    stanch_buf_printf(out, "<p class=\"verdict %s\">", stanch_json_bool(told, "good", false) ? "good" : "bad");
    put_member(out, "", told, "verdict", ".</p>\n");
    for (size_t i = 0; i < json_array_size(warnings); i++) {
        put_member(out, "<p class=\"bad\"><strong>", json_array_get(warnings, i), "label", ":</strong> ");
        put_member(out, "", json_array_get(warnings, i), "text", "</p>\n");
    }
    stanch_buf_text(out, "<dl>\n");
    put_member(out, "<div><dt>lasted</dt><dd>", told, "lasted", "</dd></div>\n");
    put_member(out, "<div><dt>owner</dt><dd>", told, "owner", "</dd></div>\n");
    put_member(out, "<div><dt>kept as</dt><dd>", told, "result", "</dd></div>\n");
    stanch_buf_text(out, "</dl>\n");
    if (objectives) {
        stanch_buf_text(out, "<h2>Objectives</h2>\n");
        put_list(out, objectives);
    }
    stanch_buf_text(out, "</header>\n<main>\n");
}

/* ---- tables ---- */

static void put_content(struct stanch_buf *out, const json_t *cell)
{
    if (json_is_string(cell))
        put(out, json_string_value(cell));
    else if (json_is_object(cell) && stanch_json_bool(cell, "good", false))
        put_member(out, "<span class=\"good\">", cell, "text", "</span>");
    else if (json_is_object(cell))
        put_member(out, "<strong class=\"bad\">", cell, "text", "</strong>");
    else if (json_array_size(cell) > 0) {
        stanch_buf_text(out, "<span>"); /* one thing beside its label, however many there are */
        for (size_t i = 0; i < json_array_size(cell); i++) {
            stanch_buf_text(out, i ? ", " : "");
            put(out, json_string_value(json_array_get(cell, i)));
        }
        stanch_buf_text(out, "</span>");
    }
}

static void put_row(struct stanch_buf *out, const json_t *heads, const json_t *row, size_t name)
{
    stanch_buf_text(out, "<tr role=\"row\">");
    for (size_t i = 0; i < json_array_size(row); i++) {
        const char *open = i == name ? "<th scope=\"row\" role=\"rowheader\"" : "<td role=\"cell\"";
        stanch_buf_printf(out, "%s data-head=\"", open);
        put(out, json_string_value(json_array_get(heads, i)));
        stanch_buf_text(out, "\">");
        put_content(out, json_array_get(row, i));
        stanch_buf_text(out, i == name ? "</th>" : "</td>");
    }
    stanch_buf_text(out, "</tr>\n");
}

/* The heading is the table's caption. */
static void put_table(struct stanch_buf *out, const json_t *section)
{
    const json_t *heads = json_object_get(section, "heads"), *rows = json_object_get(section, "rows");
    put_member(out, "<table role=\"table\">\n<caption><h2>", section, "heading",
               "</h2></caption>\n<thead role=\"rowgroup\"><tr role=\"row\">");
    for (size_t i = 0; i < json_array_size(heads); i++) {
        stanch_buf_text(out, "<th scope=\"col\" role=\"columnheader\">");
        put(out, json_string_value(json_array_get(heads, i)));
        stanch_buf_text(out, "</th>");
    }
    stanch_buf_text(out, "</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for (size_t i = 0; i < json_array_size(rows); i++)
        put_row(out, heads, json_array_get(rows, i), (size_t)stanch_json_int(section, "name", 0));
    stanch_buf_text(out, "</tbody>\n</table>\n");
}

/* ---- charts ---- */

/* A text is set at its own size whatever the width is, so only the bars are in shares of it. */
static void put_bar(struct stanch_buf *out, const json_t *bar, int top, bool is_own)
{
    int64_t is = stanch_json_int(bar, "is", 0), of = stanch_json_int(bar, "of", 1), permille = is * 1000 / of;
    stanch_buf_printf(out, "<text y=\"%d\">", top + 16);
    put_member(out, "", bar, "name", "</text>");
    stanch_buf_printf(out, "<text class=\"value\" x=\"100%%\" y=\"%d\">", top + 16);
    put_member(out, "", bar, "value", "</text>");
    stanch_buf_printf(out, "<rect class=\"track\" y=\"%d\" width=\"100%%\" height=\"12\"/>", top + 22);
    stanch_buf_printf(out, "<rect class=\"bar%s\" y=\"%d\" width=\"%lld.%lld%%\" height=\"12\"/>\n",
                      is_own ? " own" : "", top + 22, (long long)(permille / 10), (long long)(permille % 10));
}

static void put_chart(struct stanch_buf *out, const json_t *chart, size_t n)
{
    const json_t *bars = json_object_get(chart, "bars");
    size_t count = json_array_size(bars);
    stanch_buf_printf(out, "<figure>\n<figcaption id=\"chart-%zu\">", n);
    put_member(out, "", chart, "what", "</figcaption>\n");
    stanch_buf_printf(out,
                      "<svg role=\"img\" aria-labelledby=\"chart-%zu chart-%zu-values\" width=\"100%%\" "
                      "height=\"%zu\">\n<desc id=\"chart-%zu-values\">",
                      n, n, count * BAR_HEIGHT, n);
    for (size_t i = 0; i < count; i++) {
        put_member(out, i ? "; " : "", json_array_get(bars, i), "name", ": ");
        put_member(out, "", json_array_get(bars, i), "value", "");
    }
    stanch_buf_text(out, "</desc>\n");
    for (size_t i = 0; i < count; i++)
        put_bar(out, json_array_get(bars, i), (int)i * BAR_HEIGHT, i + 1 == count);
    stanch_buf_text(out, "</svg>\n</figure>\n");
}

static void put_charts(struct stanch_buf *out, const json_t *charts)
{
    stanch_buf_text(out, "<div class=\"charts\">\n");
    for (size_t i = 0; i < json_array_size(charts); i++)
        put_chart(out, json_array_get(charts, i), i + 1);
    stanch_buf_text(out, "</div>\n");
}

/* ---- all of it ---- */

void stanch_drill_html(const json_t *report, struct stanch_buf *out)
{
    STANCH_AUTO_JSON json_t *told = stanch_drill__told(report);
    const json_t *sections = json_object_get(told, "sections");
    put_head(out, told);
    put_summary(out, told);
    for (size_t i = 0; i < json_array_size(sections); i++) {
        const json_t *section = json_array_get(sections, i);
        stanch_buf_text(out, "<section>\n");
        if (json_object_get(section, "rows"))
            put_table(out, section);
        else
            put_member(out, "<h2>", section, "heading", "</h2>\n");
        if (json_object_get(section, "items"))
            put_list(out, json_object_get(section, "items"));
        if (json_object_get(section, "charts"))
            put_charts(out, json_object_get(section, "charts"));
        stanch_buf_text(out, "</section>\n");
    }
    stanch_buf_text(out, "</main>\n</body>\n</html>\n");
}
