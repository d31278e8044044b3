/* draft.c: the facts as one JSON value, with what people have to fill in as empty places. */
#include "report/room.h"

void stanch_report_times(const struct stanch_report *report, struct stanch_report_times *ret)
{
    *ret = report->times;
    if (!ret->mitigated_ms)
        ret->mitigated_ms = report->monitoring_ms;
}

static void add_measure(json_t *list, const char *what, int64_t at_ms, int64_t from_ms)
{
    bool is_known = at_ms && from_ms && at_ms >= from_ms;
    json_array_append_new(list,
                          json_pack("{s:s, s:o, s:o}", "what", what, "at_ms", at_ms ? json_integer(at_ms) : json_null(),
                                    "took_ms", is_known ? json_integer(at_ms - from_ms) : json_null()));
}

json_t *stanch_report_measured(const struct stanch_report *report)
{
    struct stanch_report_times times;
    json_t *list = json_array();
    stanch_report_times(report, &times);
    add_measure(list, "detect", times.began_ms ? times.declared_ms : 0, times.began_ms);
    add_measure(list, "acknowledge", times.acknowledged_ms, times.declared_ms);
    add_measure(list, "first mitigation", times.applied_ms, times.declared_ms);
    add_measure(list, "mitigate", times.mitigated_ms, times.declared_ms);
    add_measure(list, "resolve", times.resolved_ms, times.declared_ms);
    return list;
}

static json_t *impact(void)
{
    static const struct {
        const char *what, *hint;
    } fields[] = {
        {"Users affected", "How many, which ones, and what did they see?"},
        {"Requests failed", "How many, out of how many, of which services?"},
        {"Money", "Revenue, refunds, credits: what did it cost, and how is that known?"},
        {"SLO burn", "Which objectives, how much of their error budget?"},
        {"Data", "Was anything lost, wrong or shown to the wrong people?"},
    };
    json_t *list = json_array();
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:s}", "what", fields[i].what, "hint", fields[i].hint, "text", ""));
    return list;
}

/* The members of an object, without those that only the folding needs. */
static json_t *values_of(const json_t *facts, const char *without)
{
    json_t *list = json_array(), *one;
    const char *id;
    json_object_foreach((json_t *)(uintptr_t)facts, id, one)
    {
        json_t *copy = json_copy(one);
        json_object_del(copy, without);
        json_array_append_new(list, copy);
    }
    return list;
}

static json_t *absorbed(const struct stanch_report *report)
{
    json_t *list = json_array();
    for (int i = 1; i < report->source_count; i++)
        json_array_append_new(list, json_string(report->sources[i].chain));
    return list;
}

static void add_end(const struct stanch_report *report, json_t *out, int64_t now_ms)
{
    int64_t ended_ms = report->times.resolved_ms ? report->times.resolved_ms : report->merged_ms;
    int64_t until_ms = ended_ms ? ended_ms : now_ms;
    json_object_set_new(out, "ended_ms", ended_ms ? json_integer(ended_ms) : json_null());
    stanch_report__at(out, "duration_ms", until_ms > report->first_ms ? until_ms - report->first_ms : 0);
}

json_t *stanch_report_json(const struct stanch_report *report, int64_t now_ms)
{
    json_t *waits = stanch_report_waits(report, now_ms);
    json_t *out =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I}", "incident", report->incident, "title",
                  stanch_json_str(report->doc, "title", ""), "severity", stanch_json_str(report->doc, "severity", ""),
                  "state", stanch_json_str(report->doc, "state", ""), "made_ms", (json_int_t)now_ms, "as_of_seq",
                  (json_int_t)report->last_seq, "started_ms", (json_int_t)report->first_ms);
    add_end(report, out, now_ms);
    stanch_json_set_str(out, "merged_into", stanch_json_str(report->doc, "into", NULL));
    json_object_set_new(out, "absorbed", absorbed(report));
    json_object_set_new(out, "summary", stanch_report__summary(report, now_ms));
    json_object_set_new(out, "impact", impact());
    json_object_set(out, "roles", report->terms);
    json_object_set_new(out, "times", stanch_report_measured(report));
    json_object_set(out, "timeline", report->rows);
    stanch_report__at(out, "timeline_left_out", report->rows_left_out);
    json_object_set(out, "around", report->around);
    json_object_set_new(out, "mitigations", values_of(report->acts, ""));
    json_object_set_new(out, "runs", values_of(report->runs, "last_step"));
    json_object_set_new(out, "suggestions", stanch_report__suggestions(report, waits));
    json_object_set_new(out, "waits", waits);
    json_object_set_new(out, "contributing_factors", json_array());
    json_object_set_new(out, "action_items", json_array());
    stanch_report__at(out, "left_out", report->left_out);
    return out;
}
