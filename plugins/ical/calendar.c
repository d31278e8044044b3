/* calendar.c: the whole of a feed, when all of it is read: its zones, and which event stands instead of an occurrence of
 * another one. All that is looked for later, once for each occurrence, is sorted here.
 */
#include "ical.h"
#include <stdlib.h>
#include <string.h>

void ical_calendar_free(struct ical_calendar *calendar)
{
    if (!calendar)
        return;
    for (size_t i = 0; i < calendar->zone_count; i++)
        ical_zone_done(&calendar->zones[i]);
    for (size_t i = 0; i < calendar->event_count; i++)
        ical_event_done(&calendar->events[i]);
    free(calendar->zones);
    free(calendar->events);
    free(calendar->insteads);
    free(calendar->defaults);
    free(calendar);
}

/* ---- zones ---- */

int ical_calendar_zone(struct ical_calendar *calendar, const char *name, struct ical_why *why)
{
    for (size_t i = 0; i < calendar->zone_count; i++)
        if (calendar->zones[i].calendar == calendar->calendar_count && strcmp(calendar->zones[i].id, name) == 0)
            return (int)i;
    if (calendar->zone_count >= ICAL_MAX_ZONES) {
        (void)ical_wrong(why, "too-large", "over %d time zones", ICAL_MAX_ZONES);
        return -1;
    }
    struct ical_zone *zone = ical_add(&calendar->zones, &calendar->zone_count, sizeof *zone);
    zone->id = ical_copy(name, strlen(name));
    zone->calendar = calendar->calendar_count;
    return (int)calendar->zone_count - 1;
}

bool ical_calendar_clock(const struct ical_calendar *calendar, const struct ical_event *event,
                         const struct ical_moment *moment, const struct ical_zone **ret, struct ical_why *why)
{
    int index = moment->zone;
    *ret = NULL;
    if (index == ICAL_FLOATING && calendar->floating) {
        *ret = calendar->floating;
        return true;
    }
    if (index == ICAL_FLOATING)
        index = calendar->defaults[event->calendar - 1];
    if (index < 0)
        return true;
    const struct ical_zone *zone = &calendar->zones[index];
    if (zone->why)
        return ical_wrong(why, "protocol", "its time zone \"%.100s\" can't be used: %.300s", zone->id, zone->why);
    *ret = zone;
    return true;
}

/* ---- what is left out ---- */

static int compare_times(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static bool sort_left_out(const struct ical_calendar *calendar, struct ical_event *event, struct ical_why *why)
{
    for (size_t i = 0; i < event->left_out_count; i++) {
        const struct ical_moment *one = &event->left_out[i];
        const struct ical_zone *zone = NULL;
        if (one->is_date) {
            *(int64_t *)ical_add(&event->left_out_days, &event->left_out_day_count, sizeof(int64_t)) = one->civil;
            continue;
        }
        if (!ical_calendar_clock(calendar, event, one, &zone, why))
            return false;
        *(int64_t *)ical_add(&event->left_out_utc, &event->left_out_utc_count, sizeof(int64_t)) =
            ical_zone_utc(zone, one->civil);
    }
    if (event->left_out_utc_count)
        qsort(event->left_out_utc, event->left_out_utc_count, sizeof(int64_t), compare_times);
    if (event->left_out_day_count)
        qsort(event->left_out_days, event->left_out_day_count, sizeof(int64_t), compare_times);
    return true;
}

/* ---- what stands instead ---- */

static const char *uid_of(const struct ical_event *event)
{
    return event->uid ? event->uid : "";
}

static int compare_series(const struct ical_event *x, const struct ical_event *y)
{
    if (x->calendar != y->calendar)
        return x->calendar < y->calendar ? -1 : 1;
    return strcmp(uid_of(x), uid_of(y));
}

static int compare_insteads(const void *a, const void *b)
{
    const struct ical_event *x = *(struct ical_event *const *)a, *y = *(struct ical_event *const *)b;
    const int by_series = compare_series(x, y);
    if (by_series != 0)
        return by_series;
    if (x->instead_utc != y->instead_utc)
        return x->instead_utc < y->instead_utc ? -1 : 1;
    if (x->sequence != y->sequence)
        return x->sequence > y->sequence ? -1 : 1;
    return x->line > y->line ? -1 : x->line < y->line; /* one behind the other: the second one is newer */
}

/* Of two versions the older one says nothing; and each knows the last one that is for later ones, too. */
static void link_insteads(struct ical_calendar *calendar)
{
    const struct ical_event *before = NULL;
    for (size_t i = 0; i < calendar->instead_count; i++) {
        struct ical_event *event = calendar->insteads[i];
        const bool is_same = before && event->uid && compare_series(before, event) == 0;
        event->is_superseded = is_same && before->instead_utc == event->instead_utc;
        event->last_later = event->is_for_later_too && !event->is_superseded ? event
                            : is_same                                        ? before->last_later
                                                                             : NULL;
        before = event;
    }
}

const struct ical_event *ical_calendar_instead(const struct ical_calendar *calendar, const struct ical_event *event,
                                               int64_t utc)
{
    size_t low = 0,
           high = event->uid ? calendar->instead_count : 0; /* without a UID it has nothing to do with others */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct ical_event *one = calendar->insteads[middle];
        const int by_series = compare_series(one, event);
        if (by_series < 0 || (by_series == 0 && one->instead_utc <= utc))
            low = middle + 1;
        else
            high = middle;
    }
    const struct ical_event *found = low ? calendar->insteads[low - 1] : NULL;
    return found && compare_series(found, event) == 0 ? found : NULL;
}

void ical_calendar_finish(struct ical_calendar *calendar)
{
    struct ical_why why;
    struct ical_budget budget = ical_budget(ICAL_MAX_WALK_MS);
    for (size_t i = 0; i < calendar->zone_count; i++)
        ical_zone_finish(&calendar->zones[i], &budget);
    for (size_t i = 0; i < calendar->event_count; i++) {
        struct ical_event *event = &calendar->events[i];
        const struct ical_zone *zone = NULL;
        bool ok = event->why ||
                  (sort_left_out(calendar, event, &why) &&
                   (!event->is_instead || ical_calendar_clock(calendar, event, &event->instead_of, &zone, &why)));
        if (!ok)
            event->why = ical_copy(why.text, strlen(why.text));
        if (!event->is_instead || event->why)
            continue;
        event->instead_utc = ical_zone_utc(zone, event->instead_of.civil);
        *(struct ical_event **)ical_add(&calendar->insteads, &calendar->instead_count, sizeof event) = event;
    }
    if (calendar->instead_count)
        qsort(calendar->insteads, calendar->instead_count, sizeof *calendar->insteads, compare_insteads);
    link_insteads(calendar);
}
