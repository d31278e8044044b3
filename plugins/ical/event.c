/* event.c: what a VEVENT says: when, who, what. Values are read by libical; its own look-ups of zones
 * (icalcomponent_get_dtstart and the like) are not used, see zone.c. */
#include "ical.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void done_person(struct ical_person *person)
{
    free(person->mail);
    free(person->name);
}

void ical_event_done(struct ical_event *event)
{
    free(event->uid);
    free(event->summary);
    free(event->rule);
    free(event->status);
    for (size_t i = 0; i < event->people_count; i++)
        done_person(&event->people[i]);
    done_person(&event->organizer);
    free(event->people);
    free(event->left_out);
    free(event->left_out_utc);
    free(event->left_out_days);
    free(event->added);
    free(event->why);
}

/* ---- times ---- */

/* A time of this property, with the zone that its TZID names. */
static bool take_time(struct ical_calendar *calendar, const struct ical_line *line, icalproperty *property,
                      struct icaltimetype time, struct ical_moment *ret, struct ical_why *why)
{
    icalparameter *parameter = icalproperty_get_first_parameter(property, ICAL_TZID_PARAMETER);
    const char *id = parameter ? icalparameter_get_tzid(parameter) : NULL;
    if (!ical_time_ok(time, &ret->civil))
        return ical_wrong(why, "protocol", "line %zu: %s: there is no such time", line->number, line->name);
    ret->is_date = time.is_date != 0;
    ret->zone = ICAL_FLOATING;
    if (time.is_date)
        return true;
    if (icaltime_is_utc(time)) {
        ret->zone = ICAL_UTC;
        return true;
    }
    if (id && *id && (ret->zone = ical_calendar_zone(calendar, id, why)) < 0)
        return false;
    return true;
}

static bool take_left_out(struct ical_calendar *calendar, struct ical_event *event, const struct ical_line *line,
                          icalproperty *property, struct ical_why *why)
{
    struct ical_moment moment = {0};
    if (!take_time(calendar, line, property, icalproperty_get_exdate(property), &moment, why))
        return false;
    *(struct ical_moment *)ical_add(&event->left_out, &event->left_out_count, sizeof moment) = moment;
    return true;
}

static bool take_added(struct ical_calendar *calendar, struct ical_event *event, const struct ical_line *line,
                       icalproperty *property, struct ical_why *why)
{
    struct icaldatetimeperiodtype value = icalproperty_get_rdate(property);
    const bool is_period = icaltime_is_null_time(value.time);
    struct icaltimetype start = is_period ? value.period.start : value.time;
    struct ical_added added = {0};
    int64_t end = 0;
    bool ok = take_time(calendar, line, property, start, &added.start, why);
    if (!ok)
        return false;
    added.has_length = is_period;
    if (is_period && icaltime_is_null_time(value.period.end)) {
        ok = ical_length_ok(value.period.duration, &added.length);
    } else if (is_period) {
        ok = ical_time_ok(value.period.end, &end) && end >= added.start.civil &&
             end - added.start.civil <= ICAL_MAX_LENGTH;
        added.length = (struct ical_length){0, end - added.start.civil};
    }
    if (!ok)
        return ical_wrong(why, "protocol", "line %zu: RDATE: a period that makes no sense", line->number);
    *(struct ical_added *)ical_add(&event->added, &event->added_count, sizeof added) = added;
    return true;
}

static bool take_instead(struct ical_calendar *calendar, struct ical_event *event, const struct ical_line *line,
                         icalproperty *property, struct ical_why *why)
{
    icalparameter *range = icalproperty_get_first_parameter(property, ICAL_RANGE_PARAMETER);
    event->is_instead = true;
    event->is_for_later_too = range && icalparameter_get_range(range) == ICAL_RANGE_THISANDFUTURE;
    return take_time(calendar, line, property, icalproperty_get_recurrenceid(property), &event->instead_of, why);
}

/* ---- people ---- */

/* new; NULL: none */
static char *take_text(const char *text, size_t skip)
{
    size_t len = text && strlen(text) > skip ? strlen(text + skip) : 0;
    return len > 0 && len <= ICAL_MAX_TEXT ? ical_copy(text + skip, len) : NULL;
}

static void take_person(struct ical_person *person, const char *address, icalproperty *property)
{
    icalparameter *name = icalproperty_get_first_parameter(property, ICAL_CN_PARAMETER);
    bool has_scheme = address && strncasecmp(address, "mailto:", 7) == 0;
    bool is_none = !address || strncasecmp(address, "invalid:", 8) == 0;
    done_person(person);
    person->mail = is_none ? NULL : take_text(address, has_scheme ? 7 : 0);
    person->name = name ? take_text(icalparameter_get_cn(name), 0) : NULL;
}

/* Rooms do not answer a page, and who has declined won't either. */
static bool is_coming(icalproperty *property)
{
    icalparameter *kind = icalproperty_get_first_parameter(property, ICAL_CUTYPE_PARAMETER);
    icalparameter *answer = icalproperty_get_first_parameter(property, ICAL_PARTSTAT_PARAMETER);
    icalparameter_cutype what = kind ? icalparameter_get_cutype(kind) : ICAL_CUTYPE_INDIVIDUAL;
    return what != ICAL_CUTYPE_ROOM && what != ICAL_CUTYPE_RESOURCE &&
           (!answer || icalparameter_get_partstat(answer) != ICAL_PARTSTAT_DECLINED);
}

static bool take_attendee(struct ical_event *event, const struct ical_line *line, icalproperty *property,
                          struct ical_why *why)
{
    if (!is_coming(property))
        return true;
    if (event->people_count >= ICAL_MAX_PEOPLE)
        return ical_wrong(why, "too-large", "line %zu: ATTENDEE: over %d of them", line->number, ICAL_MAX_PEOPLE);
    struct ical_person *person = ical_add(&event->people, &event->people_count, sizeof *person);
    take_person(person, icalproperty_get_attendee(property), property);
    return true;
}

/* ---- lines ---- */

static void replace(char **text, char *by)
{
    free(*text);
    *text = by;
}

static bool take_rule(struct ical_event *event, const struct ical_line *line, struct ical_why *why)
{
    if (event->rule)
        return ical_wrong(why, "protocol", "line %zu: a second RRULE", line->number);
    event->rule = ical_copy(line->value, strlen(line->value));
    return true;
}

/* Those that are taken as they stand. returns false: it is another one */
static bool take_word(struct ical_event *event, const struct ical_line *line)
{
    const char *value = line->value;
    if (strcmp(line->name, "UID") == 0)
        replace(&event->uid, ical_read_text(line));
    else if (strcmp(line->name, "SUMMARY") == 0)
        replace(&event->summary, ical_read_text(line));
    else if (strcmp(line->name, "TRANSP") == 0)
        event->is_transparent = strcasecmp(value, "TRANSPARENT") == 0;
    else if (strcmp(line->name, "SEQUENCE") == 0)
        event->sequence = strtol(value, NULL, 10);
    else if (strcmp(line->name, "STATUS") == 0) {
        replace(&event->status, ical_copy(value, strnlen(value, 20)));
        event->is_cancelled = strcasecmp(value, "CANCELLED") == 0;
    } else
        return false;
    return true;
}

static bool take_property(struct ical_calendar *calendar, struct ical_event *event, const struct ical_line *line,
                          icalproperty *property, struct ical_why *why)
{
    switch ((int)icalproperty_isa(property)) {
    case ICAL_DTSTART_PROPERTY:
        event->has_start = true;
        return take_time(calendar, line, property, icalproperty_get_dtstart(property), &event->start, why);
    case ICAL_DTEND_PROPERTY:
        event->has_end = true;
        return take_time(calendar, line, property, icalproperty_get_dtend(property), &event->end, why);
    case ICAL_DURATION_PROPERTY:
        event->has_length = true;
        return ical_length_ok(icalproperty_get_duration(property), &event->length) ||
               ical_wrong(why, "protocol", "line %zu: DURATION: 0 to 10 years were expected", line->number);
    case ICAL_RECURRENCEID_PROPERTY:
        return take_instead(calendar, event, line, property, why);
    case ICAL_EXDATE_PROPERTY:
        return take_left_out(calendar, event, line, property, why);
    case ICAL_RDATE_PROPERTY:
        return take_added(calendar, event, line, property, why);
    case ICAL_ATTENDEE_PROPERTY:
        return take_attendee(event, line, property, why);
    case ICAL_ORGANIZER_PROPERTY:
        take_person(&event->organizer, icalproperty_get_organizer(property), property);
        return true;
    default:
        return true;
    }
}

bool ical_event_take(struct ical_calendar *calendar, struct ical_event *event, const struct ical_line *line,
                     struct ical_why *why)
{
    bool ok = true, is_person = strcmp(line->name, "ATTENDEE") == 0 || strcmp(line->name, "ORGANIZER") == 0;
    if (take_word(event, line) || (is_person && *line->value == '\0'))
        return true;
    if (strcmp(line->name, "RRULE") == 0)
        return take_rule(event, line, why);
    if (strcmp(line->name, "EXRULE") == 0) /* of RFC 2445; without it there would be too many occurrences */
        return ical_wrong(why, "protocol", "line %zu: EXRULE is not read; write EXDATE", line->number);
    icalcomponent *read = ical_read_line(line, why);
    icalproperty *one = read ? icalcomponent_get_first_property(read, ICAL_ANY_PROPERTY) : NULL;
    for (; one && ok; one = icalcomponent_get_next_property(read, ICAL_ANY_PROPERTY))
        ok = take_property(calendar, event, line, one, why);
    if (read)
        icalcomponent_free(read);
    return read && ok;
}

bool ical_event_finish(struct ical_event *event, struct ical_why *why)
{
    struct ical_rule rule;
    if (!event->has_start && event->is_instead && event->is_cancelled) {
        event->start = event->instead_of; /* nothing is left to be said of when */
        return true;
    }
    if (!event->has_start)
        return ical_wrong(why, "protocol", "DTSTART is missing");
    if (event->has_end && event->end.is_date != event->start.is_date)
        return ical_wrong(why, "protocol", "one of DTSTART and DTEND is a day, the other one has a time");
    if (event->rule && event->is_instead)
        return ical_wrong(why, "protocol", "it has RECURRENCE-ID, and a rule of its own");
    return !event->rule || ical_rule_read(event->rule, &rule, why);
}
