/* zone.c: what a clock on the wall shows, from the feed's VTIMEZONE, or the system's zone of that name (the SDK's
 * zone.h). Both become a sorted list of the moments when the clock is moved.
 *
 * libical has zones of its own, and they are not used: they are global, know no bounds, and say nothing when a zone makes
 * no sense.
 */
#include "ical.h"
#include <stdlib.h>
#include <string.h>

#define MAX_OBSERVANCES 1000
#define MAX_DATES       1000
#define MAX_OFFSET      (24 * 3600)

static void done_observances(struct ical_zone *zone)
{
    for (size_t i = 0; i < zone->observance_count; i++) {
        free(zone->observances[i].rule);
        free(zone->observances[i].dates);
    }
    free(zone->observances);
    zone->observances = NULL;
    zone->observance_count = 0;
}

void ical_zone_done(struct ical_zone *zone)
{
    done_observances(zone);
    free(zone->id);
    sdk_clock_done(&zone->clock);
    free(zone->why);
}

/* ---- reading ---- */

static bool take_start(struct ical_observance *observance, const struct ical_line *line, icalproperty *property,
                       struct ical_why *why)
{
    observance->has_start = ical_time_ok(icalproperty_get_dtstart(property), &observance->start);
    return observance->has_start ||
           ical_wrong(why, "protocol", "line %zu: DTSTART: there is no such time", line->number);
}

static bool take_dates(struct ical_observance *observance, const struct ical_line *line, icalcomponent *read,
                       struct ical_why *why)
{
    for (icalproperty *one = icalcomponent_get_first_property(read, ICAL_RDATE_PROPERTY); one;
         one = icalcomponent_get_next_property(read, ICAL_RDATE_PROPERTY)) {
        int64_t civil = 0;
        if (!ical_time_ok(icalproperty_get_rdate(one).time, &civil))
            return ical_wrong(why, "protocol", "line %zu: RDATE: there is no such time", line->number);
        if (observance->date_count >= MAX_DATES)
            return ical_wrong(why, "too-large", "line %zu: RDATE: over %d of them", line->number, MAX_DATES);
        *(int64_t *)ical_add(&observance->dates, &observance->date_count, sizeof civil) = civil;
    }
    return true;
}

/* libical makes an offset of anything. */
static bool take_offset(const struct ical_line *line, int seconds, int64_t *ret, bool *ret_has, struct ical_why *why)
{
    const char *digits = line->value + (*line->value == '+' || *line->value == '-');
    const size_t len = strspn(digits, "0123456789");
    if (digits[len] != '\0' || (len != 4 && len != 6) || seconds <= -MAX_OFFSET || seconds >= MAX_OFFSET)
        return ical_wrong(why, "protocol", "line %zu: %s: +HHMM was expected", line->number, line->name);
    *ret = seconds;
    *ret_has = true;
    return true;
}

bool ical_zone_take(struct ical_observance *observance, const struct ical_line *line, struct ical_why *why)
{
    if (strcmp(line->name, "RRULE") == 0) {
        if (observance->rule)
            return ical_wrong(why, "protocol", "line %zu: a second RRULE", line->number);
        observance->rule = ical_copy(line->value, strlen(line->value));
        return true;
    }
    icalcomponent *read = ical_read_line(line, why);
    icalproperty *property = read ? icalcomponent_get_first_property(read, ICAL_ANY_PROPERTY) : NULL;
    bool ok = property != NULL;
    if (ok && icalproperty_isa(property) == ICAL_DTSTART_PROPERTY)
        ok = take_start(observance, line, property, why);
    else if (ok && icalproperty_isa(property) == ICAL_RDATE_PROPERTY)
        ok = take_dates(observance, line, read, why);
    else if (ok && icalproperty_isa(property) == ICAL_TZOFFSETFROM_PROPERTY)
        ok = take_offset(line, icalproperty_get_tzoffsetfrom(property), &observance->before_s, &observance->has_before,
                         why);
    else if (ok && icalproperty_isa(property) == ICAL_TZOFFSETTO_PROPERTY)
        ok =
            take_offset(line, icalproperty_get_tzoffsetto(property), &observance->after_s, &observance->has_after, why);
    if (read)
        icalcomponent_free(read);
    return ok;
}

/* ---- changes ---- */

struct adding {
    struct ical_zone *zone;
    const struct ical_observance *observance;
};

static bool add_change(void *ctx, int64_t civil)
{
    struct adding *adding = ctx;
    if (adding->zone->clock.count > ICAL_MAX_CHANGES)
        return false;
    sdk_clock_add(&adding->zone->clock, civil - adding->observance->before_s, adding->observance->before_s,
                  adding->observance->after_s);
    return true;
}

static bool add_observance(struct ical_zone *zone, const struct ical_observance *observance, struct ical_budget *budget,
                           struct ical_why *why)
{
    struct adding adding = {zone, observance};
    struct ical_rule rule;
    if (!observance->has_start || !observance->has_before || !observance->has_after)
        return ical_wrong(why, "protocol", "line %zu: it must have DTSTART, TZOFFSETFROM and TZOFFSETTO",
                          observance->line);
    (void)add_change(&adding, observance->start);
    for (size_t i = 0; i < observance->date_count; i++)
        (void)add_change(&adding, observance->dates[i]);
    if (!observance->rule)
        return true;
    if (!ical_rule_read(observance->rule, &rule, why))
        return false;
    if (rule.libical.freq != ICAL_YEARLY_RECURRENCE)
        return ical_wrong(why, "protocol", "RRULE %.200s: a clock is moved by a rule that is YEARLY", observance->rule);
    int64_t until = !rule.has_until ? INT64_MAX : rule.until_is_utc ? rule.until + observance->before_s : rule.until;
    return ical_rule_walk(&rule, observance->start, false, until, ICAL_LAST, budget, add_change, &adding, why);
}

static bool make_changes(struct ical_zone *zone, struct ical_budget *all, struct ical_why *why)
{
    const uint32_t enough = 2 * ICAL_MAX_CHANGES;
    struct ical_budget budget = {all->steps < enough ? all->steps : enough, all->until_mono_ms};
    const uint32_t before = budget.steps;
    if (zone->observance_count == 0)
        return ical_wrong(why, "protocol", "it has neither STANDARD nor DAYLIGHT");
    if (zone->observance_count > MAX_OBSERVANCES)
        return ical_wrong(why, "too-large", "over %d STANDARD and DAYLIGHT", MAX_OBSERVANCES);
    bool ok = true;
    for (size_t i = 0; i < zone->observance_count && ok; i++)
        ok = add_observance(zone, &zone->observances[i], &budget, why);
    all->steps -= before - budget.steps;
    if (zone->clock.count > ICAL_MAX_CHANGES)
        return ical_wrong(why, "too-large", "its clock is moved over %d times", ICAL_MAX_CHANGES);
    if (ok)
        sdk_clock_sort(&zone->clock);
    return ok;
}

/* ---- all ---- */

static bool find(struct ical_zone *zone, struct ical_why *why)
{
    /* feeds put a place of their own before a name, too: "/freeassociation.sourceforge.net/Europe/Berlin" */
    for (const char *at = zone->id, *slash = NULL; at; at = slash ? slash + 1 : NULL) {
        if (sdk_clock_of_system(at, &zone->clock))
            return true;
        slash = *zone->id == '/' ? strchr(at, '/') : NULL;
    }
    return ical_wrong(why, "protocol", "\"%.100s\" is no time zone of this system (one is called Europe/Berlin)",
                      zone->id);
}

struct ical_zone *ical_zone_of_system(const char *name, struct ical_why *why)
{
    struct ical_zone *zone = ical_room(sizeof *zone);
    zone->id = ical_copy(name, strlen(name));
    if (find(zone, why))
        return zone;
    ical_zone_done(zone);
    free(zone);
    return NULL;
}

void ical_zone_finish(struct ical_zone *zone, struct ical_budget *budget)
{
    struct ical_why why = {.text = ""};
    bool ok = zone->why || (zone->line ? make_changes(zone, budget, &why) : find(zone, &why));
    done_observances(zone);
    if (!ok)
        zone->why = ical_copy(why.text, strlen(why.text));
}

/* ---- its clock ---- */

int64_t ical_zone_utc(const struct ical_zone *zone, int64_t civil)
{
    return zone ? sdk_clock_utc(&zone->clock, civil) : civil;
}

int64_t ical_zone_civil(const struct ical_zone *zone, int64_t utc)
{
    return zone ? sdk_clock_civil(&zone->clock, utc) : utc;
}
