/* markdown.c: the report as a page that people edit: what is known is written down, what is not has a heading and a hint. */
#include "report/room.h"
#include "base/times.h"

/* ---- pieces ---- */

static void put(struct stanch_buf *out, const char *text)
{
    stanch_report__escape(text, out);
}

/* Any value on one line: texts as they are, "-" for nothing, else JSON. */
static void put_value(struct stanch_buf *out, const json_t *value)
{
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    if (!value || json_is_null(value)) {
        stanch_buf_text(out, "-");
    } else if (json_is_string(value)) {
        put(out, *json_string_value(value) ? json_string_value(value) : "-");
    } else if (json_is_real(value)) {
        stanch_buf_printf(out, "%.6g", json_real_value(value));
    } else {
        stanch_json_write_short(value, &text);
        put(out, stanch_buf_str(&text));
    }
}

static void put_time(struct stanch_buf *out, const json_t *at_ms)
{
    char text[32];
    if (!json_is_integer(at_ms)) {
        stanch_buf_text(out, "-");
        return;
    }
    stanch_time_text(json_integer_value(at_ms), text);
    stanch_buf_printf(out, "%.10s %.8s", text, text + 11);
}

static void put_duration(struct stanch_buf *out, const json_t *ms)
{
    if (!json_is_integer(ms)) {
        stanch_buf_text(out, "-");
        return;
    }
    STANCH_AUTO_FREE char *text = stanch_report__duration(json_integer_value(ms));
    stanch_buf_text(out, text);
}

/* "a, b"; nothing: "-" */
static void put_list(struct stanch_buf *out, const json_t *list)
{
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, i, item)
    {
        if (i)
            stanch_buf_text(out, ", ");
        put_value(out, item);
    }
    if (json_array_size(list) == 0)
        stanch_buf_text(out, "-");
}

static const json_t *member(const json_t *of, const char *name)
{
    return json_object_get(of, name);
}

static void put_heading(struct stanch_buf *out, const char *heading)
{
    stanch_buf_printf(out, "\n## %s\n\n", heading);
}

/* ---- head ---- */

static void put_head(struct stanch_buf *out, const json_t *report)
{
    size_t i;
    json_t *sentence;
    stanch_buf_text(out, "# ");
    put_value(out, member(report, "incident"));
    stanch_buf_text(out, ": ");
    put_value(out, member(report, "title"));
    stanch_buf_text(out, "\n\n");
    put_value(out, member(report, "severity"));
    stanch_buf_text(out, ", ");
    put_value(out, member(report, "state"));
    stanch_buf_text(out, ", ");
    put_duration(out, member(report, "duration_ms"));
    stanch_buf_text(out, " (");
    put_time(out, member(report, "started_ms"));
    stanch_buf_text(out, " to ");
    put_time(out, member(report, "ended_ms"));
    stanch_buf_text(out, ", UTC)\n\n*A draft made from the timeline: it tells what is recorded. What stands in italics "
                         "is for people to fill in.*\n");
    put_heading(out, "Summary");
    json_array_foreach(member(report, "summary"), i, sentence)
    {
        stanch_buf_text(out, i ? " " : "");
        put_value(out, sentence);
    }
    stanch_buf_char(out, '\n');
}

static void put_impact(struct stanch_buf *out, const json_t *report)
{
    size_t i;
    json_t *field;
    put_heading(out, "Impact");
    json_array_foreach(member(report, "impact"), i, field)
    {
        stanch_buf_text(out, i ? "\n### " : "### ");
        put_value(out, member(field, "what"));
        stanch_buf_text(out, "\n\n*");
        put_value(out, member(field, "hint"));
        stanch_buf_text(out, "*\n");
    }
}

/* ---- who, when ---- */

static void put_roles(struct stanch_buf *out, const json_t *report)
{
    size_t i;
    json_t *term;
    put_heading(out, "People and roles");
    if (json_array_size(member(report, "roles")) == 0) {
        stanch_buf_text(out, "Nobody held a role.\n");
        return;
    }
    stanch_buf_text(out, "| Role | Who | From (UTC) | To (UTC) | Why |\n| --- | --- | --- | --- | --- |\n");
    json_array_foreach(member(report, "roles"), i, term)
    {
        stanch_buf_text(out, "| ");
        put(out, stanch_report__role_word(stanch_json_str(term, "role", "")));
        if (member(term, "incident")) {
            stanch_buf_text(out, " of ");
            put_value(out, member(term, "incident"));
        }
        stanch_buf_text(out, " | ");
        put_value(out, member(term, "who"));
        stanch_buf_text(out, " | ");
        put_time(out, member(term, "from_ms"));
        stanch_buf_text(out, " | ");
        if (json_is_integer(member(term, "until_ms")))
            put_time(out, member(term, "until_ms"));
        else
            stanch_buf_text(out, "the end");
        stanch_buf_text(out, " | ");
        put_value(out, member(term, "why"));
        stanch_buf_text(out, " |\n");
    }
}

static void put_times(struct stanch_buf *out, const json_t *report)
{
    size_t i;
    json_t *measure;
    put_heading(out, "Times");
    stanch_buf_text(out, "Detect is measured from what the first alert says of its beginning, the others from the "
                         "declaration.\n\n| Time to | At (UTC) | Took |\n| --- | --- | --- |\n");
    json_array_foreach(member(report, "times"), i, measure)
    {
        stanch_buf_text(out, "| ");
        put_value(out, member(measure, "what"));
        stanch_buf_text(out, " | ");
        put_time(out, member(measure, "at_ms"));
        stanch_buf_text(out, " | ");
        put_duration(out, member(measure, "took_ms"));
        stanch_buf_text(out, " |\n");
    }
}

static void put_row(struct stanch_buf *out, const json_t *row)
{
    stanch_buf_text(out, "| ");
    put_time(out, member(row, "at_ms"));
    stanch_buf_text(out, " | +");
    put_duration(out, member(row, "since_ms"));
    stanch_buf_text(out, " | ");
    put_value(out, member(row, "who"));
    stanch_buf_text(out, " | ");
    if (member(row, "incident")) {
        put_value(out, member(row, "incident"));
        stanch_buf_text(out, ": ");
    }
    put_value(out, member(row, "text"));
    stanch_buf_text(out, " |\n");
}

static void put_timeline(struct stanch_buf *out, const json_t *report)
{
    const json_t *rows = member(report, "timeline");
    int64_t left_out = stanch_json_int(report, "timeline_left_out", 0);
    put_heading(out, "Timeline");
    stanch_buf_text(out, "| At (UTC) | After | Who | What |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (left_out > 0 && i == STANCH_REPORT__ROWS / 2)
            stanch_buf_printf(out, "| ... | ... | ... | %lld entries are left out here |\n", (long long)left_out);
        put_row(out, json_array_get(rows, i));
    }
}

/* Of stanch as a whole; no heading when there was nothing. */
static void put_around(struct stanch_buf *out, const json_t *report)
{
    const json_t *rows = member(report, "around");
    if (json_array_size(rows) == 0)
        return;
    put_heading(out, "Meanwhile, of stanch itself");
    stanch_buf_text(out, "| At (UTC) | After | Who | What |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < json_array_size(rows); i++)
        put_row(out, json_array_get(rows, i));
}

/* ---- what was done ---- */

/* "- Because: text"; nothing when there is none */
static void put_item(struct stanch_buf *out, const char *label, const json_t *value)
{
    if (!value || json_is_null(value))
        return;
    stanch_buf_printf(out, "- %s: ", label);
    if (json_is_array(value))
        put_list(out, value);
    else
        put_value(out, value);
    stanch_buf_char(out, '\n');
}

static void put_change(struct stanch_buf *out, const json_t *act)
{
    put_item(out, "Target", member(act, "targets"));
    if (member(act, "from") || member(act, "to")) {
        stanch_buf_text(out, "- Changed: from ");
        put_value(out, member(act, "from"));
        stanch_buf_text(out, " to ");
        put_value(out, member(act, "to"));
        stanch_buf_char(out, '\n');
    }
    put_item(out, "Impact", member(act, "impact"));
    put_item(out, "Because", member(act, "because"));
}

static void put_approved(struct stanch_buf *out, const json_t *act)
{
    const json_t *approved = member(act, "approved");
    if (!approved) {
        stanch_buf_text(out, "- Approved by: nobody was asked, the policy allows it\n");
        return;
    }
    stanch_buf_text(out, "- Approved by: ");
    put_list(out, member(approved, "by"));
    stanch_buf_text(out, " (");
    put_value(out, member(approved, "approval"));
    stanch_buf_text(out, strcmp(stanch_json_str(approved, "outcome", ""), "forced") == 0 ? ", breaking the glass)\n"
                                                                                         : ")\n");
}

static void put_symptom(struct stanch_buf *out, const json_t *seen)
{
    if (!seen) {
        stanch_buf_text(out, "not asked");
        return;
    }
    put_value(out, member(seen, "result"));
    stanch_buf_text(out, " (");
    put_value(out, member(seen, "value"));
    stanch_buf_text(out, ")");
}

static void put_effect(struct stanch_buf *out, const json_t *act)
{
    const json_t *verified = member(act, "verified");
    stanch_buf_text(out, "- Symptom before: ");
    put_symptom(out, member(act, "before"));
    stanch_buf_text(out, ", after: ");
    put_symptom(out, member(act, "after"));
    stanch_buf_printf(out, "\n- Read back: %s\n",
                      json_is_true(verified)    ? "it holds"
                      : json_is_false(verified) ? "its effect was not seen"
                                                : "not asked");
}

static void put_ending(struct stanch_buf *out, const json_t *act)
{
    stanch_buf_text(out, "- State: ");
    put_value(out, member(act, "state"));
    if (member(act, "ended_ms")) {
        stanch_buf_text(out, " at ");
        put_time(out, member(act, "ended_ms"));
        stanch_buf_text(out, ", by ");
        put_value(out, member(act, "ended_by"));
    }
    if (member(act, "ended_why")) {
        stanch_buf_text(out, ": ");
        put_value(out, member(act, "ended_why"));
    } else if (member(act, "why")) {
        stanch_buf_text(out, ": ");
        put_value(out, member(act, "why"));
    }
    stanch_buf_char(out, '\n');
    if (member(act, "lease_ends_ms")) {
        stanch_buf_text(out, "- Lease until: ");
        put_time(out, member(act, "lease_ends_ms"));
        stanch_buf_char(out, '\n');
    }
    put_item(out, "The lease ended and it stayed", member(act, "overdue"));
    if (strcmp(stanch_json_str(act, "state", ""), "in-force") == 0)
        put_item(out, "By hand back", member(act, "undo_by_hand"));
}

static void put_mitigations(struct stanch_buf *out, const json_t *report)
{
    size_t i;
    json_t *act;
    put_heading(out, "Mitigations");
    if (json_array_size(member(report, "mitigations")) == 0)
        stanch_buf_text(out, "None was sent.\n");
    json_array_foreach(member(report, "mitigations"), i, act)
    {
        stanch_buf_text(out, i ? "\n### " : "### ");
        put(out, stanch_json_str(act, "mitigation", stanch_json_str(act, "step", "")));
        stanch_buf_text(out, ": ");
        put_value(out, member(act, "instance"));
        stanch_buf_char(out, '.');
        put_value(out, member(act, "action"));
        stanch_buf_text(out, "\n\n- Applied: ");
        put_time(out, member(act, "applied_ms"));
        if (member(act, "run")) {
            stanch_buf_text(out, ", by run ");
            put_value(out, member(act, "run"));
            stanch_buf_text(out, " of ");
            put_value(out, member(act, "runbook"));
        }
        stanch_buf_char(out, '\n');
        put_change(out, act);
        put_approved(out, act);
        put_effect(out, act);
        put_ending(out, act);
    }
}

/* ---- who waited ---- */

static void put_outcome(struct stanch_buf *out, const json_t *wait)
{
    const char *outcome = stanch_json_str(wait, "outcome", "");
    if (member(wait, "answer")) {
        stanch_buf_text(out, "answered: ");
        put_value(out, member(wait, "answer"));
    } else {
        put(out, strcmp(outcome, "forced") == 0 ? "approved, breaking the glass" : outcome);
    }
    const char *const more[] = {"note", "why"};
    for (size_t i = 0; i < 2; i++) {
        if (!member(wait, more[i]))
            continue;
        stanch_buf_text(out, i ? "; " : ": ");
        put_value(out, member(wait, more[i]));
    }
}

static void put_waits(struct stanch_buf *out, const json_t *report)
{
    size_t i;
    json_t *wait;
    put_heading(out, "What waited on whom");
    if (json_array_size(member(report, "waits")) == 0) {
        stanch_buf_text(out, "Nothing waited for a person.\n");
        return;
    }
    stanch_buf_text(out, "| Question | About | Asked (UTC) | Of | Waited | Outcome | By |\n"
                         "| --- | --- | --- | --- | --- | --- | --- |\n");
    json_array_foreach(member(report, "waits"), i, wait)
    {
        stanch_buf_text(out, "| ");
        put_value(out, member(wait, "approval"));
        stanch_buf_text(out, " | ");
        put_value(out, member(wait, "what"));
        stanch_buf_text(out, " | ");
        put_time(out, member(wait, "asked_ms"));
        stanch_buf_text(out, " | ");
        put(out, stanch_report__role_word(stanch_json_str(wait, "role", "-")));
        stanch_buf_text(out, " | ");
        put_duration(out, member(wait, "waited_ms"));
        stanch_buf_text(out, " | ");
        put_outcome(out, wait);
        stanch_buf_text(out, " | ");
        put_list(out, member(wait, "by"));
        stanch_buf_text(out, " |\n");
    }
}

static bool is_troubled(const json_t *run)
{
    static const char *const states[] = {"failed", "cancelled", "held", "parked"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i], stanch_json_str(run, "state", "")) == 0)
            return true;
    return member(run, "parked") != NULL;
}

static void put_run(struct stanch_buf *out, const json_t *run)
{
    size_t i;
    json_t *parked;
    stanch_buf_text(out, "- ");
    put_value(out, member(run, "run"));
    stanch_buf_text(out, " of ");
    put_value(out, member(run, "runbook"));
    stanch_buf_text(out, ": ");
    put_value(out, member(run, "state"));
    if (member(run, "ended_ms")) {
        stanch_buf_text(out, " at ");
        put_time(out, member(run, "ended_ms"));
    }
    if (member(run, "why")) {
        stanch_buf_text(out, ": ");
        put_value(out, member(run, "why"));
    }
    stanch_buf_char(out, '\n');
    json_array_foreach(member(run, "parked"), i, parked)
    {
        stanch_buf_text(out, "  - parked at ");
        put_time(out, member(parked, "at_ms"));
        stanch_buf_text(out, ": ");
        put_value(out, member(parked, "why"));
        stanch_buf_char(out, '\n');
    }
}

static void put_runs(struct stanch_buf *out, const json_t *report)
{
    size_t i;
    json_t *run;
    int count = 0;
    put_heading(out, "Runs that did not go through");
    json_array_foreach(member(report, "runs"), i, run)
    {
        if (is_troubled(run)) {
            put_run(out, run);
            count++;
        }
    }
    if (count == 0)
        stanch_buf_text(out, "None.\n");
}

/* ---- for people ---- */

static void put_rest(struct stanch_buf *out, const json_t *report)
{
    size_t i;
    json_t *text;
    put_heading(out, "Contributing factors");
    stanch_buf_text(out, "*What made it possible, what made it worse, what made it last? What helped?*\n");
    put_heading(out, "Action items");
    stanch_buf_text(out, "| What | Owner | Date |\n| --- | --- | --- |\n| | | |\n");
    if (json_array_size(member(report, "suggestions")) > 0)
        stanch_buf_text(out, "\nWorth a look, from what is recorded:\n\n");
    json_array_foreach(member(report, "suggestions"), i, text)
    {
        stanch_buf_text(out, "- ");
        put_value(out, text);
        stanch_buf_char(out, '\n');
    }
    if (stanch_json_int(report, "left_out", 0) > 0)
        stanch_buf_printf(out, "\n%lld facts were over the bounds of a report; the timeline has them.\n",
                          (long long)stanch_json_int(report, "left_out", 0));
}

void stanch_report_markdown(const json_t *report, struct stanch_buf *out)
{
    put_head(out, report);
    put_impact(out, report);
    put_roles(out, report);
    put_times(out, report);
    put_timeline(out, report);
    put_around(out, report);
    put_mitigations(out, report);
    put_waits(out, report);
    put_runs(out, report);
    put_rest(out, report);
}
