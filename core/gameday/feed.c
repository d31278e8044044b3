/* feed.c: the calendar that people subscribe to: what comes, what was, what was cancelled. Written by libical, in UTC. */
#include "gameday/ical.h"
#include "gameday/room.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdio.h>
#include <string.h>

#define AHEAD_MS    (366 * STANCH_GAMEDAY__DAY_MS)
#define BACK_MS     (366 * STANCH_GAMEDAY__DAY_MS)
#define MAX_A_PLAN  50
#define HOUR_MS     3600000
#define LAST_MS     7258118400000LL /* 2200: libical's times are calendar dates, and these are sound until there */
#define MAX_SUMMARY 500

struct feed {
    const struct stanch_ical *ical;
    icalcomponent *calendar;
    int64_t now_ms;
    json_t *there; /* UIDs that it has */
};

/* What an event of the feed is made of. */
struct event {
    const char *uid, *drill, *kind, *plan, *state, *why, *id;
    int64_t at_ms, lasts_ms, changed_ms;
};

static struct icaltimetype time_of(const struct stanch_ical *ical, int64_t ms)
{
    int64_t bounded = ms < 0 ? 0 : ms < LAST_MS ? ms : LAST_MS;
    return ical->icaltime_from_timet_with_zone((time_t)(bounded / 1000), 0, ical->icaltimezone_get_utc_timezone());
}

/* One line of text, cut where a character begins; libical escapes and folds. */
static char *clean(const char *text)
{
    char *line = stanch_strndup(text, stanch_text_cut(text, MAX_SUMMARY));
    for (char *c = line; *c; c++)
        *c = (unsigned char)*c < 0x20 || *c == 0x7f ? ' ' : *c;
    return line;
}

static bool is(const struct event *event, const char *state)
{
    return strcmp(event->state, state) == 0;
}

static void add_texts(const struct stanch_ical *ical, icalcomponent *to, const struct event *event)
{
    STANCH_AUTO_FREE char *drill = clean(event->drill), *why = clean(event->why);
    STANCH_AUTO_FREE char *summary = stanch_asprintf("DRILL: %s (%s)", drill, event->kind);
    STANCH_AUTO_BUF struct stanch_buf text = {0};
    stanch_buf_printf(&text, "This is a drill of kind %s.", event->kind);
    if (*event->plan)
        stanch_buf_printf(&text, "\nPlan: %s", event->plan);
    if (*event->id)
        stanch_buf_printf(&text, "\nDrill: %s, %s", event->id, event->state);
    if (is(event, "missed") && *why)
        stanch_buf_printf(&text, "\nIt did not take place: %s", why);
    ical->icalcomponent_add_property(to, ical->icalproperty_new_summary(summary));
    ical->icalcomponent_add_property(to, ical->icalproperty_new_description(stanch_buf_str(&text)));
    ical->icalcomponent_add_property(to, ical->icalproperty_new_categories("DRILL"));
}

static void add_event(struct feed *feed, const struct event *event)
{
    const struct stanch_ical *ical = feed->ical;
    if (json_object_get(feed->there, event->uid))
        return;
    json_object_set_new(feed->there, event->uid, json_true());
    icalcomponent *one = ical->icalcomponent_new_vevent();
    ical->icalcomponent_add_property(one, ical->icalproperty_new_uid(event->uid));
    ical->icalcomponent_add_property(one, ical->icalproperty_new_dtstamp(time_of(ical, event->changed_ms)));
    ical->icalcomponent_add_property(one, ical->icalproperty_new_dtstart(time_of(ical, event->at_ms)));
    ical->icalcomponent_add_property(one, ical->icalproperty_new_dtend(time_of(ical, event->at_ms + event->lasts_ms)));
    add_texts(ical, one, event);
    ical->icalcomponent_add_property(
        one, ical->icalproperty_new_status(is(event, "missed") ? ICAL_STATUS_CANCELLED : ICAL_STATUS_CONFIRMED));
    ical->icalcomponent_add_property(one, ical->icalproperty_new_sequence(is(event, "missed") ? 1 : 0));
    ical->icalcomponent_add_component(feed->calendar, one);
}

static char *uid_of(const char *plan, int64_t at_ms)
{
    return stanch_asprintf("%s-%lld@drills.stanch", plan, (long long)at_ms);
}

/* One that a person starts has no plan and no time of its own: it began when it is first told of. */
static void add_drill(struct feed *feed, const json_t *doc)
{
    const char *plan = stanch_json_str(doc, "plan", NULL), *id = stanch_json_str(doc, "id", "");
    int64_t at_ms = stanch_json_int(doc, "at_ms", stanch_json_int(doc, "created_ms", 0));
    if (at_ms < feed->now_ms - BACK_MS)
        return;
    STANCH_AUTO_FREE char *uid = plan ? uid_of(plan, at_ms) : stanch_asprintf("%s@drills.stanch", id);
    const struct event event = {.uid = uid,
                                .drill = stanch_json_str(doc, "name", ""),
                                .kind = stanch_json_str(doc, "kind", ""),
                                .plan = plan ? plan : "",
                                .state = stanch_json_str(doc, "state", ""),
                                .why = stanch_json_str(doc, "why", ""),
                                .id = id,
                                .at_ms = at_ms,
                                .lasts_ms = stanch_json_int(doc, "lasts_ms", HOUR_MS),
                                .changed_ms = stanch_json_int(doc, "updated_ms", feed->now_ms)};
    add_event(feed, &event);
}

static int add_plan(struct feed *feed, const json_t *plan, struct stanch_err *err)
{
    const char *name = stanch_json_str(plan, "name", "");
    struct stanch_calendar__walk *walk = NULL;
    int64_t at_ms = 0;
    int count = 0, rc = stanch_calendar__walk_new(plan, &walk, err);
    while (rc == 0 && count < MAX_A_PLAN) {
        rc = stanch_calendar__walk_next(walk, &at_ms, err);
        if (rc < 0 || at_ms > feed->now_ms + AHEAD_MS)
            break;
        if (at_ms <= feed->now_ms)
            continue;
        STANCH_AUTO_FREE char *uid = uid_of(name, at_ms);
        const struct event event = {.uid = uid,
                                    .drill = stanch_json_str(plan, "drill", ""),
                                    .kind = stanch_json_str(plan, "kind", ""),
                                    .plan = name,
                                    .state = "",
                                    .why = "",
                                    .id = "",
                                    .at_ms = at_ms,
                                    .lasts_ms = stanch_json_int(plan, "lasts_ms", HOUR_MS),
                                    .changed_ms = feed->now_ms};
        add_event(feed, &event);
        count++;
    }
    stanch_calendar__walk_free(walk);
    return rc == STANCH_E_NOT_FOUND ? 0 : rc < 0 ? stanch_err_wrap(err, "plan \"%.64s\"", name) : 0;
}

int stanch_calendar_feed(const json_t *plans, const json_t *drills, int64_t now_ms, struct stanch_buf *out,
                         struct stanch_err *err)
{
    STANCH_AUTO_JSON json_t *there = json_object();
    const struct stanch_ical *ical = stanch_ical(err);
    if (!ical)
        return STANCH_E_SYSTEM;
    struct feed feed = {ical, ical->icalcomponent_new_vcalendar(), now_ms, there};
    int rc = 0;
    ical->icalcomponent_add_property(feed.calendar, ical->icalproperty_new_version("2.0"));
    ical->icalcomponent_add_property(feed.calendar, ical->icalproperty_new_prodid("-//Stanch//Drills//EN"));
    for (size_t i = 0; i < json_array_size(drills);
         i++) /* first: what was said of a time stands, not what is planned */
        add_drill(&feed, json_array_get(drills, i));
    for (size_t i = 0; rc == 0 && i < json_array_size(plans); i++)
        rc = add_plan(&feed, json_array_get(plans, i), err);
    char *text = rc == 0 ? ical->icalcomponent_as_ical_string_r(feed.calendar) : NULL;
    if (text)
        stanch_buf_text(out, text);
    else if (rc == 0)
        rc = stanch_err_set(err, STANCH_E_INVALID, "the calendar could not be written");
    ical->icalmemory_free_buffer(text);
    ical->icalcomponent_free(feed.calendar);
    ical->icalmemory_free_ring();
    return rc;
}
