/* story.c: the sentences that facts alone can make: what was seen, what was done, how it ended, and what is worth a look.
 * Nothing is judged: a sentence says what is recorded, and what to look at. */
#include "report/room.h"
#include "base/times.h"
#include <stdarg.h>
#include <stdio.h>

#define NAMED_MAX 5 /* names in one sentence */
#define UNSAID    "no reason was recorded"
/* A text for "%.*s", cut between characters. */
#define CUT(text, max) (int)stanch_text_cut(text, max), text

char *stanch_report__duration(int64_t ms)
{
    char text[32];
    stanch_duration_text(ms >= 1000 ? ms - ms % 1000 : ms > 0 ? ms : 0, text);
    return stanch_strdup(text);
}

__attribute__((format(printf, 2, 3))) static void say(json_t *list, const char *fmt, ...)
{
    char *out = NULL;
    va_list args;
    va_start(args, fmt);
    if (vasprintf(&out, fmt, args) >= 0)
        json_array_append_new(list, json_string(out));
    va_end(args);
    free(out);
}

static char *after_start(const struct stanch_report *report, int64_t at_ms)
{
    return stanch_report__duration(at_ms - report->times.declared_ms);
}

static const char *plural(int64_t count)
{
    return count == 1 ? "" : "s";
}

static const char *was(int64_t count)
{
    return count == 1 ? "was" : "were";
}

/* "a, b and 3 more" */
static void add_name(struct stanch_buf *names, const char *name, size_t nth, size_t count)
{
    if (nth < NAMED_MAX)
        stanch_buf_printf(names, "%s%.*s", nth ? ", " : "", CUT(name, 100));
    else if (nth == NAMED_MAX)
        stanch_buf_printf(names, " and %zu more", count - NAMED_MAX);
}

/* ---- how it began ---- */

static void say_began(const struct stanch_report *report, json_t *list)
{
    const struct stanch_report_times *times = &report->times;
    char at[32];
    const char *event_summary = stanch_json_str(report->event, "summary", "");
    const char *name = stanch_json_str(report->event, "name", "An alert");
    const char *source = stanch_json_str(report->event, "source", "its source");
    if (!report->event || !times->declared_ms) {
        stanch_time_text(times->declared_ms ? times->declared_ms : report->first_ms, at);
        say(list, "%s was declared by %s at %.10s %.8s UTC.", report->incident,
            stanch_json_str(report->declared, "who", "stanch"), at, at + 11);
        return;
    }
    stanch_time_text(times->began_ms, at);
    STANCH_AUTO_FREE char *took = stanch_report__duration(times->declared_ms - times->began_ms);
    say(list, "%.*s fired at %.10s %.8s UTC, as %.*s says%s%.*s; %s was declared %s after that.", CUT(name, 100), at,
        at + 11, CUT(source, 100), *event_summary ? ": " : "", CUT(event_summary, 200), report->incident, took);
}

static void say_alerts(const struct stanch_report *report, json_t *list)
{
    STANCH_AUTO_BUF struct stanch_buf names = {0};
    int64_t count = 0;
    size_t nth = 0;
    const char *name;
    json_t *value;
    json_object_foreach(report->alerts, name, value)
    {
        add_name(&names, name, nth++, json_object_size(report->alerts));
        count += json_integer_value(value);
    }
    if (count > 1)
        say(list, "%lld alerts belong to it: %s.", (long long)count, stanch_buf_str(&names));
}

/* ---- what was done ---- */

/* "2 succeeded, 1 failed" over a member of all facts. returns how many there are */
static int64_t count_by(const json_t *facts, const char *member, struct stanch_buf *ret)
{
    STANCH_AUTO_JSON json_t *counts = json_object();
    const char *id, *word;
    json_t *one, *count;
    json_object_foreach((json_t *)(uintptr_t)facts, id, one)
    {
        word = stanch_json_str(one, member, "unknown");
        json_object_set_new(counts, word, json_integer(stanch_json_int(counts, word, 0) + 1));
    }
    json_object_foreach(counts, word, count)
        stanch_buf_printf(ret, "%s%lld %s", ret->len ? ", " : "", (long long)json_integer_value(count), word);
    return (int64_t)json_object_size(facts);
}

static void say_runs(const struct stanch_report *report, json_t *list)
{
    STANCH_AUTO_BUF struct stanch_buf states = {0};
    int64_t count = count_by(report->runs, "state", &states);
    if (count > 0)
        say(list, "%lld run%s of runbooks belong%s to it: %s.", (long long)count, plural(count), count == 1 ? "s" : "",
            stanch_buf_str(&states));
}

static void say_mitigations(const struct stanch_report *report, json_t *list)
{
    STANCH_AUTO_BUF struct stanch_buf names = {0};
    size_t count = 0, nth = 0;
    const char *step;
    json_t *act;
    json_object_foreach(report->acts, step, act) count += json_object_get(act, "applied_ms") != NULL;
    json_object_foreach(report->acts, step, act)
    {
        if (!json_object_get(act, "applied_ms"))
            continue;
        STANCH_AUTO_FREE char *name =
            stanch_asprintf("%s.%s", stanch_json_str(act, "instance", ""), stanch_json_str(act, "action", ""));
        add_name(&names, name, nth++, count);
    }
    if (count == 0)
        say(list, "No mitigation was applied.");
    else
        say(list, "%zu mitigation%s %s applied: %s.", count, plural((int64_t)count), was((int64_t)count),
            stanch_buf_str(&names));
}

static void say_waits(const struct stanch_report *report, json_t *list)
{
    STANCH_AUTO_BUF struct stanch_buf outcomes = {0};
    int64_t count = count_by(report->waits, "outcome", &outcomes);
    if (count > 0)
        say(list, "%lld question%s %s put to people: %s.", (long long)count, plural(count), was(count),
            stanch_buf_str(&outcomes));
}

/* ---- how it ended ---- */

static void say_end(const struct stanch_report *report, json_t *list, int64_t now_ms)
{
    const struct stanch_report_times *times = &report->times;
    STANCH_AUTO_FREE char *resolved = after_start(report, times->resolved_ms);
    STANCH_AUTO_FREE char *merged = after_start(report, report->merged_ms);
    STANCH_AUTO_FREE char *so_far = after_start(report, now_ms);
    const char *reason = stanch_json_str(report->resolved, "reason", "");
    if (times->resolved_ms)
        say(list, "%s resolved it %s after the start%s%.*s.", stanch_json_str(report->resolved, "who", ""), resolved,
            *reason ? ": " : "", CUT(reason, 300));
    else if (report->merged_ms)
        say(list, "It was merged into %s %s after the start, and goes on there.",
            stanch_json_str(report->doc, "into", "another incident"), merged);
    else
        say(list, "It is still open (%s), %s after the start.", stanch_json_str(report->doc, "state", ""), so_far);
}

static void say_mitigated(const struct stanch_report *report, json_t *list)
{
    struct stanch_report_times times;
    stanch_report_times(report, &times);
    if (!times.mitigated_ms)
        return;
    STANCH_AUTO_FREE char *took = after_start(report, times.mitigated_ms);
    if (report->times.mitigated_ms)
        say(list, "The symptom was good %s after the start.", took);
    else
        say(list, "It was set to monitoring %s after the start.", took);
}

static void say_left(const struct stanch_report *report, json_t *list)
{
    const char *step;
    json_t *act;
    int64_t count = 0;
    json_object_foreach(report->acts, step, act) count += strcmp(stanch_json_str(act, "state", ""), "in-force") == 0;
    if (count > 0)
        say(list, "%lld mitigation%s %s still in force.", (long long)count, plural(count), count == 1 ? "is" : "are");
}

json_t *stanch_report__summary(const struct stanch_report *report, int64_t now_ms)
{
    json_t *list = json_array();
    say_began(report, list);
    say_alerts(report, list);
    say_runs(report, list);
    say_mitigations(report, list);
    say_waits(report, list);
    say_mitigated(report, list);
    say_end(report, list, now_ms);
    say_left(report, list);
    return list;
}

/* ---- what is worth a look ---- */

static void suggest_about_waits(const json_t *waits, json_t *list)
{
    size_t i;
    json_t *wait;
    json_array_foreach((json_t *)(uintptr_t)waits, i, wait)
    {
        const char *id = stanch_json_str(wait, "approval", ""), *outcome = stanch_json_str(wait, "outcome", "");
        const char *role = stanch_report__role_word(stanch_json_str(wait, "role", "ic"));
        const char *of_role = stanch_json_str(wait, "of_role", NULL), *why = stanch_json_str(wait, "why", UNSAID);
        STANCH_AUTO_FREE char *waited = stanch_report__duration(stanch_json_int(wait, "waited_ms", 0));
        if (strcmp(outcome, "expired") == 0)
            say(list, "%s expired after %s without an answer: how was the %s reached?", id, waited, role);
        else if (strcmp(outcome, "forced") == 0)
            say(list, "%s was approved by breaking the glass: review it, and who can answer for the %s.", id, role);
        else if (strcmp(outcome, "voided") == 0)
            say(list, "%s was voided: %.*s.", id, CUT(why, 300));
        else if (strcmp(outcome, "pending") == 0)
            say(list, "%s still waits for an answer of the %s, since %s.", id, role, waited);
        if (of_role && strcmp(stanch_json_str(wait, "role", ""), of_role) != 0)
            say(list, "%s was for the %s and went to the %s: who should hold that role?", id,
                stanch_report__role_word(of_role), role);
    }
}

static void suggest_about_act(const char *name, const json_t *act, json_t *list)
{
    const char *state = stanch_json_str(act, "state", ""), *why = stanch_json_str(act, "why", UNSAID);
    const char *ended_why = stanch_json_str(act, "ended_why", why), *overdue = stanch_json_str(act, "overdue", "");
    STANCH_AUTO_FREE char *what =
        stanch_asprintf("%s (%s.%s)", name, stanch_json_str(act, "instance", ""), stanch_json_str(act, "action", ""));
    if (strcmp(state, "in-force") == 0)
        say(list, "%s is still in force: take it back, or make it permanent where it belongs.", what);
    if (strcmp(state, "unknown") == 0 && json_object_get(act, "mitigation"))
        say(list, "It is not known whether %s was taken back: look at it by hand.", what);
    else if (strcmp(state, "unknown") == 0)
        say(list, "It is not known whether %s happened: look at it by hand.", what);
    if (strcmp(state, "failed") == 0)
        say(list, "%s failed: %.*s.", what, CUT(why, 300));
    if (json_object_get(act, "not_undone"))
        say(list, "%s was once not taken back when that was ordered: %.*s.", what, CUT(ended_why, 300));
    if (json_is_false(json_object_get(act, "verified")))
        say(list, "%s: reading it back did not show its effect.", what);
    if (json_object_get(act, "overdue"))
        say(list, "The lease of %s ended and it stayed in force: %.*s.", what, CUT(overdue, 300));
}

static void suggest_about_runs(const struct stanch_report *report, json_t *list)
{
    const char *id;
    json_t *run, *parked;
    size_t i;
    json_object_foreach(report->runs, id, run)
    {
        const char *state = stanch_json_str(run, "state", ""), *runbook = stanch_json_str(run, "runbook", "a runbook");
        const char *why = stanch_json_str(run, "why", UNSAID);
        if (strcmp(state, "failed") == 0)
            say(list, "Run %s of %.*s failed: %.*s.", id, CUT(runbook, 100), CUT(why, 400));
        if (strcmp(state, "held") == 0)
            say(list, "%.*s matched and did not start: %.*s.", CUT(runbook, 100), CUT(why, 400));
        json_array_foreach(json_object_get(run, "parked"), i, parked)
        {
            const char *parked_why = stanch_json_str(parked, "why", UNSAID);
            say(list, "Run %s of %.*s was parked: %.*s.", id, CUT(runbook, 100), CUT(parked_why, 400));
        }
    }
}

json_t *stanch_report__suggestions(const struct stanch_report *report, const json_t *waits)
{
    json_t *list = json_array(), *act;
    const char *step;
    suggest_about_waits(waits, list);
    json_object_foreach(report->acts, step, act) suggest_about_act(stanch_json_str(act, "mitigation", step), act, list);
    suggest_about_runs(report, list);
    return list;
}
