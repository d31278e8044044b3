/* answer.c: the actions: which windows overlap a stretch of time, or are open at a moment. */
#include "ical.h"
#include <string.h>

#define MAX_SPAN_MS   (1830LL * ICAL_DAY * 1000) /* five years */
#define DEFAULT_LIMIT 200
#define MAX_BYTES     (2u << 20) /* of an answer: what goes to core is bounded */
#define MAX_SHOWN     10         /* rows of a check */

/* ---- arguments ---- */

/* Milliseconds since 1970, or RFC 3339. returns false: it is none; the call was answered */
static bool time_arg(struct sdk_call *call, const char *name, int64_t *ret_ms)
{
    const json_t *value = json_object_get(sdk_args(call), name);
    bool ok = json_is_integer(value) || json_is_string(value);
    if (json_is_integer(value))
        *ret_ms = json_integer_value(value);
    else if (ok)
        ok = sdk_time_parse(json_string_value(value), ret_ms);
    ok = ok && *ret_ms >= 0 && *ret_ms < ICAL_LAST * 1000;
    if (!ok)
        sdk_fail(call, "invalid",
                 "%s: a time from 1970 to 2199 was expected: milliseconds since 1970, or RFC 3339 "
                 "(\"2026-11-21T07:46:05Z\")",
                 name);
    return ok;
}

/* ---- windows ---- */

static void add_text(json_t *texts, const char *text)
{
    json_t *one = text ? json_string(text) : NULL;
    if (one)
        json_array_append_new(texts, one);
}

/* Each as address, then name; who invites last. */
static json_t *people_of(const struct ical_event *event)
{
    json_t *people = json_array();
    for (size_t i = 0; i < event->people_count; i++) {
        add_text(people, event->people[i].mail);
        add_text(people, event->people[i].name);
    }
    add_text(people, event->organizer.mail);
    add_text(people, event->organizer.name);
    return people;
}

static json_t *window_of(const struct ical_occurrence *row)
{
    const struct ical_event *event = row->event;
    json_t *window = json_pack("{s:I, s:I, s:s, s:s, s:o, s:b, s:b}", "from_ms", (json_int_t)(row->from * 1000),
                               "to_ms", (json_int_t)(row->to * 1000), "summary", event->summary ? event->summary : "",
                               "uid", event->uid ? event->uid : "", "people", people_of(event), "all_day",
                               row->is_all_day, "transparent", event->is_transparent);
    const char *organizer = event->organizer.mail ? event->organizer.mail : event->organizer.name;
    if (organizer)
        json_object_set_new(window, "organizer", json_string(organizer));
    if (event->status && *event->status)
        json_object_set_new(window, "status", json_string(event->status));
    return window;
}

static size_t bytes_of(const json_t *window)
{
    return json_dumpb(window, NULL, 0, JSON_COMPACT);
}

/* All that fits. */
static json_t *windows_of(const struct ical_occurrences *all, size_t limit, bool skips_moments, bool *ret_truncated)
{
    json_t *windows = json_array();
    size_t bytes = 0;
    *ret_truncated = false;
    for (size_t i = 0; i < all->count && !*ret_truncated; i++) {
        if (skips_moments && all->rows[i].from == all->rows[i].to)
            continue;
        json_t *window = window_of(&all->rows[i]);
        bytes += bytes_of(window);
        *ret_truncated = json_array_size(windows) >= limit || bytes > MAX_BYTES;
        if (!*ret_truncated)
            json_array_append(windows, window);
        json_decref(window);
    }
    return windows;
}

/* returns false: the call was answered; free ret in both cases */
static bool occur(struct sdk_call *call, int64_t from_ms, int64_t to_ms, struct ical_occurrences *ret,
                  struct ical_why *why)
{
    const struct ical_state *state = sdk_state(call);
    struct ical_budget budget = ical_budget(sdk_left_ms(call));
    return ical_occur(state->calendar, from_ms / 1000, (to_ms + 999) / 1000, &state->limits, state->skips, &budget, ret,
                      why);
}

static void answer(struct sdk_call *call, int64_t from_ms, int64_t to_ms, bool is_now)
{
    const struct ical_state *state = sdk_state(call);
    struct ical_occurrences all;
    struct ical_why why;
    bool is_truncated = false;
    if (!occur(call, from_ms, to_ms, &all, &why)) {
        sdk_fail(call, why.kind, "%s", why.text);
    } else {
        const size_t limit = (size_t)sdk_arg_int(call, "limit", DEFAULT_LIMIT);
        json_t *windows = windows_of(&all, limit, is_now, &is_truncated);
        json_t *value =
            json_pack("{s:o, s:b, s:I, s:I, s:O, s:I}", "windows", windows, "truncated", is_truncated, "fetched_at_ms",
                      (json_int_t)state->fetched_at_ms, "age_ms", (json_int_t)(sdk_now_ms(call) - state->fetched_at_ms),
                      "left_out", all.left_out, "left_out_count", (json_int_t)all.left_out_count);
        if (is_now)
            json_object_set_new(value, "at_ms", json_integer(from_ms));
        sdk_done(call, value);
    }
    ical_occurrences_done(&all);
}

/* ---- windows, now ---- */

static void on_feed_for_windows(struct sdk_call *call)
{
    int64_t from_ms = 0, to_ms = 0;
    if (time_arg(call, "from", &from_ms) && time_arg(call, "to", &to_ms))
        answer(call, from_ms, to_ms, false);
}

void ical_windows(struct sdk_call *call)
{
    int64_t from_ms = 0, to_ms = 0;
    if (!time_arg(call, "from", &from_ms) || !time_arg(call, "to", &to_ms))
        return;
    if (to_ms <= from_ms || to_ms - from_ms > MAX_SPAN_MS)
        sdk_fail(call, "invalid", "to: a time after from, five years at most, was expected");
    else
        ical_feed(call, on_feed_for_windows);
}

/* Without `at`: when the feed is there. */
static bool at_arg(struct sdk_call *call, int64_t *ret_ms)
{
    *ret_ms = sdk_now_ms(call);
    return !json_object_get(sdk_args(call), "at") || time_arg(call, "at", ret_ms);
}

static void on_feed_for_now(struct sdk_call *call)
{
    int64_t at_ms = 0;
    if (at_arg(call, &at_ms))
        answer(call, at_ms, at_ms + 1, true);
}

void ical_now(struct sdk_call *call)
{
    int64_t at_ms = 0;
    if (at_arg(call, &at_ms))
        ical_feed(call, on_feed_for_now);
}

/* ---- check ---- */

static const char *who(struct sdk_call *call, const struct ical_event *event)
{
    const struct ical_person *first = event->people_count ? &event->people[0] : &event->organizer;
    const char *person = first->mail ? first->mail : first->name;
    const char *summary = event->summary ? event->summary : "(no summary)";
    return person ? sdk_text(call, "%s (%s)", summary, person) : summary;
}

static void check_now(struct sdk_call *call, const struct ical_occurrences *all)
{
    const char *text = NULL, *left_out = NULL;
    size_t open = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (all->rows[i].from == all->rows[i].to || ++open > MAX_SHOWN)
            continue;
        const char *until = sdk_time_text(call, all->rows[i].to * 1000);
        text =
            sdk_text(call, "%s%s%s until %s", text ? text : "", text ? "; " : "", who(call, all->rows[i].event), until);
    }
    sdk_check(call, "now", true, "%zu under way%s%s", open, text ? ": " : "", text ? text : "");
    left_out = json_string_value(json_array_get(all->left_out, 0));
    if (left_out)
        sdk_check(call, "left out", false, "%zu can't be read; the first: %s", all->left_out_count, left_out);
}

static void on_feed_for_check(struct sdk_call *call)
{
    const struct ical_state *state = sdk_state(call);
    const struct ical_calendar *calendar = state->calendar;
    const int64_t now = sdk_now_ms(call);
    struct ical_occurrences all = {0};
    struct ical_why why = {.text = "this machine's clock is out of range"};
    sdk_check(call, "feed", true, "%zu events, %zu of them recurring, %zu cancelled", calendar->event_count,
              calendar->recurring_count, calendar->cancelled_count);
    if (now >= 0 && now < ICAL_LAST * 1000 && occur(call, now, now + 1, &all, &why))
        check_now(call, &all);
    else
        sdk_check(call, "now", false, "%s", why.text);
    ical_occurrences_done(&all);
    sdk_checked(call);
}

void ical_check(struct sdk_call *call)
{
    ical_feed(call, on_feed_for_check);
}
