/* occur.c: when events happen: the start, what its rule and its RDATEs add, without its EXDATEs, with the occurrences that
 * another VEVENT of the same UID (RECURRENCE-ID) stands instead of.
 *
 *   event -> [start, rule, added] -> not left out, nobody stands instead -> clock -> overlaps? -> rows
 */
#include "ical.h"
#include <stdlib.h>
#include <string.h>

#define MAX_LEFT_OUT 20 /* that are said; all are counted */

struct walk {
    const struct ical_calendar *calendar;
    const struct ical_event *event;
    const struct ical_zone *zone; /* of its start */
    int64_t from, to;
    int64_t max_rows;
    struct ical_occurrences *out;
    struct ical_length *lengths; /* of RDATEs: while one of them is added */
    bool is_over;                /* there are too many rows */
    struct ical_why *why;
    bool ok;
};

/* ---- how long ---- */

/* The end of an occurrence that begins at `civil`. An end on the clock stays one: a shift that ends at six ends at six, also
 * in the night when the clocks change. */
static bool end_of(const struct ical_calendar *calendar, const struct ical_event *event, const struct ical_zone *zone,
                   int64_t civil, int64_t *ret_utc, struct ical_why *why)
{
    const struct ical_zone *end_zone = NULL;
    const int64_t start = ical_zone_utc(zone, civil);
    if (event->has_end) {
        if (!ical_calendar_clock(calendar, event, &event->end, &end_zone, why))
            return false;
        int64_t first = ical_zone_utc(zone, event->start.civil), last = ical_zone_utc(end_zone, event->end.civil);
        if (last < first || last - first > ICAL_MAX_LENGTH)
            return ical_wrong(why, "protocol", "DTEND is %s DTSTART", last < first ? "before" : "over 10 years after");
        *ret_utc = end_zone == zone ? ical_zone_utc(zone, civil + event->end.civil - event->start.civil)
                                    : start + (last - first);
    } else if (event->has_length) {
        *ret_utc = ical_zone_utc(zone, civil + event->length.days * ICAL_DAY) + event->length.seconds;
    } else
        *ret_utc = event->start.is_date ? ical_zone_utc(zone, civil + ICAL_DAY) : start;
    if (*ret_utc < start) /* the hour that comes twice */
        *ret_utc = start;
    return true;
}

static void add_row(struct walk *walk, const struct ical_event *event, int64_t from, int64_t to)
{
    bool is_in = from < walk->to && (to > walk->from || (from == to && from >= walk->from));
    if (!is_in || walk->is_over)
        return;
    if ((int64_t)walk->out->count >= walk->max_rows) {
        walk->is_over = true;
        return;
    }
    *(struct ical_occurrence *)ical_add(&walk->out->rows, &walk->out->count, sizeof(struct ical_occurrence)) =
        (struct ical_occurrence){from, to, event, event->start.is_date};
}

/* ---- left out, and instead ---- */

/* The last one of a sorted list that is not after `time`; INT64_MIN: none. */
static int64_t last_of(const int64_t *times, size_t count, int64_t time)
{
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (times[middle] <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? times[low - 1] : INT64_MIN;
}

static bool is_left_out(const struct ical_event *event, int64_t civil, int64_t utc)
{
    if (last_of(event->left_out_utc, event->left_out_utc_count, utc) == utc)
        return true;
    /* a day, of something that has times: all of it, as many programs write it */
    const int64_t day = last_of(event->left_out_days, event->left_out_day_count, civil);
    return day != INT64_MIN && civil < day + ICAL_DAY;
}

/* An occurrence of the event as one of its later ones has changed it ("this and future"). */
static bool add_changed(struct walk *walk, const struct ical_event *changed, int64_t utc)
{
    const struct ical_zone *zone = NULL;
    int64_t end = 0;
    if (changed->is_cancelled)
        return true;
    if (!ical_calendar_clock(walk->calendar, changed, &changed->start, &zone, walk->why))
        return false;
    int64_t civil = ical_zone_civil(zone, utc) + changed->start.civil - ical_zone_civil(zone, changed->instead_utc);
    if (!end_of(walk->calendar, changed, zone, civil, &end, walk->why))
        return false;
    add_row(walk, changed, ical_zone_utc(zone, civil), end);
    return true;
}

/* Whether another event stands there: it says itself when it is. */
static bool is_replaced(struct walk *walk, int64_t utc)
{
    const struct ical_event *one = ical_calendar_instead(walk->calendar, walk->event, utc);
    if (one && one->instead_utc == utc)
        return true;
    if (!one || !one->last_later)
        return false;
    walk->ok = add_changed(walk, one->last_later, utc);
    return true;
}

/* ---- one event ---- */

/* returns whether more of them are wanted */
static bool on_time(void *ctx, int64_t civil)
{
    struct walk *walk = ctx;
    const int64_t utc = ical_zone_utc(walk->zone, civil);
    int64_t end = 0;
    if (is_left_out(walk->event, civil, utc) || is_replaced(walk, utc))
        return walk->ok && !walk->is_over;
    if (walk->lengths)
        end = ical_zone_utc(walk->zone, civil + walk->lengths->days * ICAL_DAY) + walk->lengths->seconds;
    else
        walk->ok = end_of(walk->calendar, walk->event, walk->zone, civil, &end, walk->why);
    if (walk->ok)
        add_row(walk, walk->event, utc, end);
    return walk->ok && !walk->is_over;
}

/* The start was one already, whatever the rule says. */
static bool on_rule_time(void *ctx, int64_t civil)
{
    const struct walk *walk = ctx;
    return civil == walk->event->start.civil || on_time(ctx, civil);
}

static bool walk_rule(struct walk *walk, struct ical_budget *budget)
{
    const struct ical_event *event = walk->event;
    struct ical_rule rule;
    if (!ical_rule_read(event->rule, &rule, walk->why))
        return false;
    int64_t until = INT64_MAX;
    if (rule.has_until && rule.until_is_utc)
        until = ical_zone_civil(walk->zone, rule.until);
    else if (rule.has_until) /* a day, of something that has times: all of it */
        until = rule.until + (rule.until_is_date && !event->start.is_date ? ICAL_DAY - 1 : 0);
    /* a day more: where the clock goes back, what it shows is no order */
    return ical_rule_walk(&rule, event->start.civil, event->start.is_date, until,
                          ical_zone_civil(walk->zone, walk->to) + ICAL_DAY, budget, on_rule_time, walk, walk->why);
}

static bool walk_added(struct walk *walk)
{
    bool goes_on = true;
    for (size_t i = 0; i < walk->event->added_count && goes_on; i++) {
        const struct ical_added *one = &walk->event->added[i];
        struct ical_length length = one->length;
        const struct ical_zone *own = walk->zone;
        if (!ical_calendar_clock(walk->calendar, walk->event, &one->start, &walk->zone, walk->why))
            return false;
        /* a day, of something that has times: that day, at its time */
        int64_t time_of_day = one->start.is_date && !walk->event->start.is_date
                                  ? walk->event->start.civil - walk->event->start.civil / ICAL_DAY * ICAL_DAY
                                  : 0;
        if (one->start.is_date)
            walk->zone = own;
        const int64_t civil = ical_zone_civil(own, ical_zone_utc(walk->zone, one->start.civil + time_of_day));
        walk->zone = own;
        walk->lengths = one->has_length ? &length : NULL;
        goes_on = on_time(walk, civil);
        walk->lengths = NULL;
    }
    return walk->ok;
}

static bool walk_event(struct walk *walk, struct ical_budget *budget)
{
    const struct ical_event *event = walk->event;
    int64_t end = 0;
    if (event->why)
        return ical_wrong(walk->why, "protocol", "%s", event->why);
    if (event->is_cancelled)
        return true;
    if (!ical_calendar_clock(walk->calendar, event, &event->start, &walk->zone, walk->why) ||
        !end_of(walk->calendar, event, walk->zone, event->start.civil, &end, walk->why))
        return false;
    if (event->is_instead) {
        add_row(walk, event, ical_zone_utc(walk->zone, event->start.civil), end);
        return true;
    }
    bool goes_on = on_time(walk, event->start.civil);
    if (goes_on && event->rule && ical_zone_utc(walk->zone, event->start.civil) < walk->to && !walk_rule(walk, budget))
        return false;
    return walk->ok && (walk->is_over || walk_added(walk));
}

/* ---- all ---- */

static int compare_rows(const void *a, const void *b)
{
    const struct ical_occurrence *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    return x->event < y->event ? -1 : x->event > y->event;
}

/* RDATEs may say again what a rule says. */
static void drop_repeats(struct ical_occurrences *out)
{
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++)
        if (kept == 0 || compare_rows(&out->rows[kept - 1], &out->rows[i]) != 0)
            out->rows[kept++] = out->rows[i];
    out->count = kept;
}

/* A text that says where it is: line and UID. */
static void place_why(const struct ical_event *event, struct ical_why *why)
{
    struct ical_why placed;
    (void)ical_wrong(&placed, why->kind, "VEVENT of line %zu (UID %.120s): %s", event->line,
                     event->uid ? event->uid : "is missing", why->text);
    *why = placed;
}

bool ical_occur(const struct ical_calendar *calendar, int64_t from, int64_t to, const struct ical_limits *limits,
                bool skips, struct ical_budget *budget, struct ical_occurrences *ret, struct ical_why *why)
{
    *ret = (struct ical_occurrences){.left_out = json_array()};
    for (size_t i = 0; i < calendar->event_count; i++) {
        const struct ical_event *event = &calendar->events[i];
        struct walk walk = {.calendar = calendar,
                            .event = event,
                            .from = from,
                            .to = to,
                            .max_rows = limits->max_occurrences,
                            .out = ret,
                            .why = why,
                            .ok = true};
        const size_t before = ret->count;
        if (event->is_superseded)
            continue;
        bool ok = walk_event(&walk, budget);
        if (walk.is_over)
            ok = ical_wrong(why, "too-large", "over %lld occurrences in that time (the setting max_occurrences)",
                            (long long)limits->max_occurrences);
        if (ok)
            continue;
        place_why(event, why);
        if (!skips || strcmp(why->kind, "too-large") == 0)
            return false;
        ret->count = before; /* half of an event is none */
        ret->left_out_count++;
        if (json_array_size(ret->left_out) < MAX_LEFT_OUT)
            json_array_append_new(ret->left_out, json_string(why->text));
    }
    if (ret->count)
        qsort(ret->rows, ret->count, sizeof *ret->rows, compare_rows);
    drop_repeats(ret);
    return true;
}

void ical_occurrences_done(struct ical_occurrences *occurrences)
{
    free(occurrences->rows);
    json_decref(occurrences->left_out);
}
