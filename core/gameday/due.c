/* due.c: a drill that is announced: reminded of, begun, or missed.
 *
 *   announced --a reminder is due--> drill.reminded (of several that are due: once)
 *             --its time, and no more than `late` after it--> port.begin
 *             --later, not in the schedule any more, refused--> drill.missed
 */
#include "gameday/room.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/times.h"
#include "timeline/journal.h"
#include <stdio.h>
#include <string.h>

#define AGAIN_MS 5000 /* what cannot begin yet is tried again */

/* ---- announcing ---- */

json_t *stanch_schedule__drill(const struct stanch_schedule__plan *plan, const char *id, int64_t at_ms)
{
    char at[STANCH_CALENDAR_TEXT];
    stanch_calendar_text(plan->plan, at_ms, at);
    json_t *data =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:I}", "drill", id, "name", stanch_json_str(plan->plan, "drill", ""),
                  "kind", stanch_json_str(plan->plan, "kind", "virtual"), "plan", plan->name, "at_ms",
                  (json_int_t)at_ms, "at", at, "lasts_ms", (json_int_t)stanch_json_int(plan->plan, "lasts_ms", 0));
    int64_t speed = stanch_json_int(plan->plan, "speed", 1);
    json_object_set_new(data, "speed", speed > 1 ? json_integer(speed) : json_null());
    return data;
}

static bool has(const json_t *list, const json_t *value)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_equal(json_array_get(list, i), value))
            return true;
    return false;
}

/* Reminders of that plan that are due now and not among `said`, which may be NULL. new, or NULL: none is */
static json_t *due_reminders(const struct stanch_schedule__plan *plan, const json_t *said, int64_t at_ms,
                             int64_t now_ms)
{
    const json_t *all = json_object_get(plan->plan, "remind_ms");
    json_t *due = NULL;
    for (size_t i = 0; i < json_array_size(all); i++) {
        json_t *one = json_array_get(all, i);
        if (at_ms - json_integer_value(one) > now_ms || has(said, one))
            continue;
        due = due ? due : json_array();
        json_array_append(due, one);
    }
    return due;
}

bool stanch_schedule__announce(struct stanch_schedule *schedule, struct stanch_schedule__plan *plan, int64_t at_ms)
{
    char id[32];
    stanch_journal_next_id(schedule->journal, "D", id);
    json_t *data = stanch_schedule__drill(plan, id, at_ms);
    json_t *passed = due_reminders(plan, NULL, at_ms, stanch_loop_wall_ms(schedule->loop));
    if (passed) /* the announcement is later than these would have been */
        json_object_set_new(data, "reminded", passed);
    if (!stanch_schedule__say(schedule, "drill.announced", data))
        return false;
    STANCH_AUTO_FREE char *key = stanch_asprintf("%s/%lld", plan->name, (long long)at_ms);
    json_object_set_new(schedule->known, key, json_string(id));
    json_object_set_new(schedule->waiting, id, json_true());
    return true;
}

void stanch_schedule__renew(struct stanch_schedule *schedule, const json_t *doc)
{
    static const char *const members[] = {"name", "kind", "at", "lasts_ms", "speed", NULL};
    const struct stanch_schedule__plan *plan = stanch_schedule__find(schedule, stanch_json_str(doc, "plan", ""));
    json_t *data = stanch_schedule__drill(plan, stanch_json_str(doc, "id", ""), stanch_json_int(doc, "at_ms", 0));
    bool is_same = true;
    for (size_t i = 0; members[i]; i++) {
        json_t *now = json_object_get(data, members[i]), *before = json_object_get(doc, members[i]);
        is_same = is_same && (json_is_null(now) ? !before : json_equal(now, before));
    }
    if (is_same) {
        json_decref(data);
        return;
    }
    json_object_set_new(data, "told", json_null()); /* people heard of another one: they are told anew */
    json_object_set_new(data, "in", json_null());
    (void)stanch_schedule__say(schedule, "drill.announced", data);
}

/* ---- what becomes of it ---- */

static void miss(struct stanch_schedule *schedule, const json_t *doc, const char *why)
{
    const char *id = stanch_json_str(doc, "id", "");
    json_t *data = json_pack("{s:s, s:O, s:O, s:O, s:s}", "drill", id, "name", json_object_get(doc, "name"), "kind",
                             json_object_get(doc, "kind"), "at", json_object_get(doc, "at"), "why", why);
    if (stanch_schedule__say(schedule, "drill.missed", data))
        json_object_del(schedule->waiting, id);
}

static void remind(struct stanch_schedule *schedule, const struct stanch_schedule__plan *plan, const json_t *doc,
                   int64_t now_ms)
{
    const json_t *said = json_object_get(doc, "reminded");
    int64_t at_ms = stanch_json_int(doc, "at_ms", 0);
    char in[32];
    STANCH_AUTO_JSON json_t *due = due_reminders(plan, said, at_ms, now_ms);
    if (!due)
        return;
    stanch_duration_text((at_ms - now_ms + 59999) / 60000 * 60000, in);
    json_t *all = json_is_array(said) ? json_copy((json_t *)(uintptr_t)said) : json_array();
    json_array_extend(all, due);
    (void)stanch_schedule__say(schedule, "drill.reminded",
                               json_pack("{s:O, s:O, s:O, s:s, s:o}", "drill", json_object_get(doc, "id"), "name",
                                         json_object_get(doc, "name"), "kind", json_object_get(doc, "kind"), "in", in,
                                         "reminded", all));
}

/* Only what is announced durably begins: what has begun must never be unknown to the next life. */
static void begin(struct stanch_schedule *schedule, const char *id)
{
    struct stanch_err err = {0};
    STANCH_AUTO_JSON json_t *doc = stanch_journal_get(schedule->journal, STANCH_VIEW_COMMITTED, "drill", id);
    if (strcmp(stanch_json_str(doc, "state", ""), "announced") != 0)
        return; /* looked at again when it is committed */
    json_object_set_new(schedule->begun, id, json_true());
    int rc = schedule->port.begin(schedule->port.ctx, doc, &err);
    if (rc == 0)
        return;
    json_object_del(schedule->begun, id);
    if (rc == STANCH_E_UNAVAILABLE)
        stanch_json_set_str(schedule->held, id, err.text);
    else
        miss(schedule, doc, err.text[0] ? err.text : "it could not begin");
}

static void miss_late(struct stanch_schedule *schedule, const json_t *doc, int64_t at_ms, int64_t now_ms)
{
    char late[32], why[160];
    stanch_duration_text((now_ms - at_ms) / 1000 * 1000, late);
    (void)snprintf(why, sizeof why, "it was %s late: the machine slept, or its clock was set", late);
    const char *held = stanch_json_str(schedule->held, stanch_json_str(doc, "id", ""), NULL);
    miss(schedule, doc, held ? held : at_ms <= schedule->born_ms ? "stanch was not running then" : why);
}

static void see_to(struct stanch_schedule *schedule, const char *id, bool is_scheduled, int64_t now_ms)
{
    STANCH_AUTO_JSON json_t *doc = stanch_journal_see(schedule->journal, "drill", id);
    const struct stanch_schedule__plan *plan = stanch_schedule__find(schedule, stanch_json_str(doc, "plan", ""));
    int64_t at_ms = stanch_json_int(doc, "at_ms", 0);
    if (strcmp(stanch_json_str(doc, "state", ""), "announced") != 0)
        json_object_del(schedule->waiting, id);
    else if (json_object_get(schedule->begun, id))
        return;
    else if (!is_scheduled || !plan)
        miss(schedule, doc, "it is no longer in the schedule");
    else if (at_ms > now_ms)
        remind(schedule, plan, doc, now_ms);
    else if (now_ms - at_ms <= stanch_json_int(plan->plan, "late_ms", 0))
        begin(schedule, id);
    else
        miss_late(schedule, doc, at_ms, now_ms);
}

void stanch_schedule__see_to_waiting(struct stanch_schedule *schedule, int64_t now_ms)
{
    STANCH_AUTO_JSON json_t *waiting = json_copy(schedule->waiting);
    const char *id;
    json_t *is_scheduled;
    json_object_foreach(waiting, id, is_scheduled) see_to(schedule, id, json_is_true(is_scheduled), now_ms);
}

/* ---- when to look again ---- */

static void sooner(int64_t at_ms, int64_t looked_ms, int64_t *due_ms)
{
    if (at_ms > looked_ms && at_ms < *due_ms)
        *due_ms = at_ms;
}

int64_t stanch_schedule__next_due(const struct stanch_schedule *schedule, int64_t looked_ms)
{
    int64_t due_ms = INT64_MAX;
    const char *id;
    json_t *value;
    json_object_foreach(schedule->waiting, id, value)
    {
        STANCH_AUTO_JSON json_t *doc = stanch_journal_see(schedule->journal, "drill", id);
        const struct stanch_schedule__plan *plan = stanch_schedule__find(schedule, stanch_json_str(doc, "plan", ""));
        const json_t *remind = plan ? json_object_get(plan->plan, "remind_ms") : NULL;
        int64_t at_ms = stanch_json_int(doc, "at_ms", 0);
        sooner(at_ms, looked_ms, &due_ms);
        if (json_object_get(schedule->held, id))
            sooner(looked_ms + AGAIN_MS, looked_ms, &due_ms);
        for (size_t i = 0; i < json_array_size(remind); i++)
            sooner(at_ms - json_integer_value(json_array_get(remind, i)), looked_ms, &due_ms);
    }
    return due_ms;
}
