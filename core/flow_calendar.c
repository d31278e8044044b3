/* flow_calendar.c: what calendars say, as far as it is needed: who is on call, and whether a change freeze is on. An `ical`
 * instance reads them, in its own host; core asks now and then, keeps the last good copy in the journal, and decides on that:
 * a calendar that is away delays nothing, and is said.
 *
 *   every 5 minutes --windows--> ical host --> [last good copy] --> on_call (a role, an instant) | now (what is under way)
 */
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow_parts.h"
#include "rule/policy.h"
#include <string.h>

#define EVERY_MS    300000
#define SOON_MS     5000 /* after a failure, while there is no copy yet */
#define BACK_MS     86400000LL
#define AHEAD_MS    (8 * 86400000LL)
#define MAX_WINDOWS 500
#define DEADLINE_MS 10000

/* One calendar; doc is its document: {"windows","from_ms","to_ms","read_ms"}. */
struct stanch_calendar {
    struct stanch_calendar *next;
    struct stanch_flow *flow;
    char name[65];
    json_t *doc;   /* NULL: never read */
    char why[300]; /* it could not be read lately; "": it could */
    int64_t due_mono_ms;
    int64_t to_ms; /* of the call that is out */
    bool is_out, is_wanted;
};

static struct stanch_calendar *find(const struct stanch_flow *flow, const char *name)
{
    struct stanch_calendar *calendar = flow->calendars;
    while (calendar && strcmp(calendar->name, name) != 0)
        calendar = calendar->next;
    return calendar;
}

/* ---- which there are ---- */

static void want(struct stanch_flow *flow, const char *name)
{
    struct stanch_calendar *calendar = find(flow, name);
    if (!calendar) {
        calendar = STANCH_NEW(struct stanch_calendar);
        calendar->flow = flow;
        (void)snprintf(calendar->name, sizeof calendar->name, "%s", name);
        calendar->doc = stanch_journal_see(flow->journal, "calendar", calendar->name);
        calendar->due_mono_ms = stanch_loop_mono_ms(flow->loop);
        calendar->next = flow->calendars;
        flow->calendars = calendar;
    }
    calendar->is_wanted = true;
}

/* The people file and the policy name them, and both can be read again. */
static void want_all(struct stanch_flow *flow)
{
    STANCH_AUTO_JSON json_t *names = stanch_policy_calendars(flow->policy);
    size_t i;
    json_t *name;
    for (struct stanch_calendar *c = flow->calendars; c; c = c->next)
        c->is_wanted = false;
    if (flow->people)
        stanch_people_calendars(flow->people, names);
    json_array_foreach(names, i, name) want(flow, json_string_value(name));
}

/* ---- reading ---- */

static void append(struct stanch_calendar *calendar, const char *kind, json_t *data)
{
    struct stanch_batch *batch = stanch_batch_new();
    struct stanch_err err;
    stanch_batch_add(batch, STANCH_CHAIN_NONE, kind, STANCH_BY_STANCH, NULL, data);
    if (stanch_journal_append(calendar->flow->journal, batch, NULL, NULL, &err) < 0)
        stanch_log(STANCH_LOG_ERROR, "flow", "%s could not be recorded: %s", kind, err.text);
}

/* An entry when it is another than before, not at each look. */
static void take_copy(struct stanch_calendar *calendar, const json_t *value)
{
    json_t *windows = json_object_get(value, "windows");
    bool is_new = !json_equal(windows, json_object_get(calendar->doc, "windows")) || calendar->why[0];
    json_t *doc = json_pack("{s:s, s:O, s:I, s:I}", "calendar", calendar->name, "windows", windows, "to_ms",
                            (json_int_t)calendar->to_ms, "read_ms", (json_int_t)stanch_flow__now(calendar->flow));
    json_decref(calendar->doc);
    calendar->doc = doc;
    calendar->why[0] = 0;
    if (!is_new)
        return;
    json_t *data = json_deep_copy(doc);
    json_object_set_new(data, "count", json_integer((json_int_t)json_array_size(windows)));
    json_object_set_new(data, "why", json_null());
    append(calendar, "calendar.read", data);
}

static void say_away(struct stanch_calendar *calendar, const char *why)
{
    bool is_said = calendar->why[0];
    (void)snprintf(calendar->why, sizeof calendar->why, "%s", *why ? why : "no reason was given");
    if (!is_said)
        append(calendar, "calendar.away", json_pack("{s:s, s:s}", "calendar", calendar->name, "why", calendar->why));
}

static void on_windows(void *ctx, const struct stanch_plugin_answer *answer)
{
    struct stanch_calendar *calendar = ctx;
    struct stanch_flow *flow = calendar->flow;
    calendar->is_out = false;
    if (flow->draining)
        return;
    bool is_good = answer->outcome == STANCH_OUTCOME_DONE && json_is_array(json_object_get(answer->value, "windows"));
    if (is_good)
        take_copy(calendar, answer->value);
    else
        say_away(calendar, answer->err.text[0] ? answer->err.text : "its answer has no windows");
    calendar->due_mono_ms = stanch_loop_mono_ms(flow->loop) + (is_good || calendar->doc ? EVERY_MS : SOON_MS);
}

static void ask(struct stanch_calendar *calendar)
{
    struct stanch_flow *flow = calendar->flow;
    int64_t now = stanch_flow__now(flow);
    struct stanch_err err = {0};
    calendar->to_ms = now + AHEAD_MS;
    STANCH_AUTO_JSON json_t *input = json_pack("{s:{s:I, s:I, s:i}}", "args", "from", (json_int_t)(now - BACK_MS), "to",
                                               (json_int_t)calendar->to_ms, "limit", MAX_WINDOWS);
    struct stanch_plugin_request request = {
        .instance = calendar->name, .op = "read", .action = "windows", .input = input, .deadline_ms = DEADLINE_MS};
    calendar->is_out = true;
    if (flow->world->call(flow->world->ctx, &request, on_windows, calendar, NULL, &err) == 0)
        return;
    calendar->is_out = false;
    bool is_coming = err.code == STANCH_E_UNAVAILABLE; /* its host is: the next look asks again */
    calendar->due_mono_ms = stanch_loop_mono_ms(flow->loop) + (is_coming ? 0 : SOON_MS);
    if (!is_coming)
        say_away(calendar, err.text);
}

void stanch_flow__look_at_calendars(struct stanch_flow *flow)
{
    want_all(flow);
    for (struct stanch_calendar *c = flow->calendars; c; c = c->next)
        if (c->is_wanted && !c->is_out && stanch_loop_mono_ms(flow->loop) >= c->due_mono_ms)
            ask(c);
}

void stanch_flow__calendars_free(struct stanch_flow *flow)
{
    while (flow->calendars) {
        struct stanch_calendar *calendar = flow->calendars;
        flow->calendars = calendar->next;
        json_decref(calendar->doc);
        free(calendar);
    }
}

/* ---- what they say ---- */

static bool is_under_way(const json_t *window, int64_t at_ms)
{
    return stanch_json_int(window, "from_ms", 0) <= at_ms && at_ms < stanch_json_int(window, "to_ms", 0);
}

/* Grafana OnCall names the person in the summary alone: "Rotation L1: jane@example.org". */
static void person_in(const struct stanch_flow *flow, const json_t *window, char ret[160])
{
    const json_t *people = json_object_get(window, "people");
    for (size_t i = 0; !*ret && i < json_array_size(people); i++)
        stanch_people_called(flow->people, json_string_value(json_array_get(people, i)), ret);
    const char *summary = stanch_json_str(window, "summary", ""), *colon = strrchr(summary, ':');
    if (!*ret && colon)
        stanch_people_called(flow->people, colon + 1 + strspn(colon + 1, " "), ret);
    if (!*ret)
        stanch_people_called(flow->people, summary, ret);
}

void stanch_flow__on_call(void *ctx, const char *role, int64_t at_ms, char ret[160])
{
    const struct stanch_flow *flow = ctx;
    ret[0] = 0;
    if (!flow->people)
        return;
    const char *name = stanch_people_calendar(flow->people, role);
    const struct stanch_calendar *calendar = name ? find(flow, name) : NULL;
    const json_t *windows = calendar ? json_object_get(calendar->doc, "windows") : NULL;
    for (size_t i = 0; !*ret && i < json_array_size(windows); i++)
        if (is_under_way(json_array_get(windows, i), at_ms))
            person_in(flow, json_array_get(windows, i), ret);
    if (!*ret)
        stanch_people_on_call(flow->people, role, at_ms, ret);
}

json_t *stanch_flow__calendars_now(void *ctx)
{
    const struct stanch_flow *flow = ctx;
    int64_t now = stanch_flow__now((struct stanch_flow *)(uintptr_t)flow);
    json_t *all = json_object();
    for (const struct stanch_calendar *c = flow->calendars; c; c = c->next) {
        bool is_known = c->doc && now < stanch_json_int(c->doc, "to_ms", 0);
        json_t *on = is_known ? json_array() : json_null();
        const json_t *windows = json_object_get(c->doc, "windows");
        for (size_t i = 0; is_known && i < json_array_size(windows); i++)
            if (is_under_way(json_array_get(windows, i), now))
                json_array_append_new(on, json_string(stanch_json_str(json_array_get(windows, i), "summary", "")));
        json_object_set_new(all, c->name, on);
    }
    return all;
}

json_t *stanch_flow__calendars_status(const struct stanch_flow *flow)
{
    STANCH_AUTO_JSON json_t *now = stanch_flow__calendars_now((void *)(uintptr_t)flow);
    json_t *list = json_array();
    for (const struct stanch_calendar *c = flow->calendars; c; c = c->next) {
        json_t *one = json_pack("{s:s, s:s, s:O}", "name", c->name, "state",
                                c->why[0] ? "away"
                                : c->doc  ? "read"
                                          : "none",
                                "now", json_object_get(now, c->name));
        json_t *read_ms = json_object_get(c->doc, "read_ms");
        if (read_ms)
            json_object_set(one, "read_ms", read_ms);
        stanch_json_set_str(one, "why", c->why[0] ? c->why : NULL);
        if (c->is_wanted)
            json_array_append(list, one);
        json_decref(one);
    }
    return list;
}
