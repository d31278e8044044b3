/* calendar.c: the times of a plan. libical makes the times of its rule as a clock on the wall shows them; what moment that
 * is in the plan's zone is the SDK's to say (stanch/zone.h): libical's own zones are an hour off in places.
 *
 *   plan --open--> rule, beginning, clock --walk--> civil times, ascending --until?--> moments, ascending
 *
 * One step of libical's goes on until the year 20000 and can't be stopped: half a second to a second for a rule by the day or
 * rarer that never comes true, hours for one by the second. So what is by the hour or finer is refused, a rule that never comes
 * true is refused when it is checked, and steps are counted.
 */
#include "gameday/ical.h"
#include "gameday/room.h"
#include "base/json.h"
#include "base/mem.h"
#include "stanch/zone.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define MAX_RULE   500
#define A_DAY      4
#define MAX_STEPS  300000 /* so many a day, from 2000 to 2199 */
#define FIRST_YEAR 2000
#define LAST_YEAR  2199 /* the SDK's clocks end there */
#define DAY_S      86400

struct stanch_calendar__walk {
    const struct stanch_ical *ical;
    struct icalrecurrencetype rule;
    icalrecur_iterator *iterator; /* NULL: the plan has no rule */
    struct sdk_clock clock;
    int64_t from; /* civil */
    bool has_until, is_until_utc;
    int64_t until; /* civil, or utc; itself not over */
    int64_t last;  /* utc, of the one before */
    int steps;
    bool is_over;
};

/* ---- civil times ---- */

static struct tm tm_of(int64_t civil)
{
    const time_t seconds = civil;
    struct tm tm = {0};
    (void)gmtime_r(&seconds, &tm);
    return tm;
}

static bool is_time(const struct stanch_ical *ical, const struct icaltimetype *time)
{
    return time->year >= FIRST_YEAR && time->year <= LAST_YEAR && time->month >= 1 && time->month <= 12 &&
           time->day >= 1 && time->day <= ical->icaltime_days_in_month(time->month, time->year) &&
           (time->is_date || (time->hour >= 0 && time->hour <= 23 && time->minute >= 0 && time->minute <= 59 &&
                              time->second >= 0 && time->second <= 60));
}

static int64_t civil_of(const struct icaltimetype *time)
{
    return time->is_date ? sdk_civil(time->year, time->month, time->day, 0, 0, 0)
                         : sdk_civil(time->year, time->month, time->day, time->hour, time->minute, time->second);
}

/* "2026-01-06T10:00", or with seconds. */
static bool read_from(const struct stanch_ical *ical, const char *text, struct icaltimetype *ret)
{
    static const char form[] = "0000-00-00T00:00:00";
    size_t len = strlen(text);
    *ret = ical->icaltime_null_time();
    ret->is_date = 0;
    if (len != sizeof form - 1 && len != sizeof form - 4)
        return false;
    for (size_t i = 0; i < len; i++)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    return sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &ret->year, &ret->month, &ret->day, &ret->hour, &ret->minute,
                  &ret->second) >= 5 &&
           is_time(ical, ret);
}

/* ---- a plan ---- */

static int read_zone(struct stanch_calendar__walk *walk, const json_t *plan, struct stanch_err *err)
{
    const char *zone = stanch_json_str(plan, "zone", "UTC");
    if (strcmp(zone, "UTC") == 0 || sdk_clock_of_system(zone, &walk->clock))
        return 0;
    return stanch_err_set(
        err, STANCH_E_INVALID,
        "zone: \"%.64s\" is no time zone of this machine; one is called Europe/Berlin (package tzdata)", zone);
}

/* libical compares an UNTIL with times of another zone: it is kept here. */
static int take_until(struct stanch_calendar__walk *walk, struct stanch_err *err)
{
    const struct icaltimetype until = walk->rule.until;
    walk->rule.until = walk->ical->icaltime_null_time();
    walk->has_until = !walk->ical->icaltime_is_null_time(until);
    if (!walk->has_until)
        return 0;
    if (!is_time(walk->ical, &until))
        return stanch_err_set(err, STANCH_E_INVALID, "rule: UNTIL is no time from %d to %d", FIRST_YEAR, LAST_YEAR);
    walk->is_until_utc = !until.is_date && walk->ical->icaltime_is_utc(until);
    walk->until = civil_of(&until) + (until.is_date ? DAY_S - 1 : 0); /* of a day all of it */
    return 0;
}

static int read_rule(struct stanch_calendar__walk *walk, const char *text, struct icaltimetype from,
                     struct stanch_err *err)
{
    if (strlen(text) > MAX_RULE)
        return stanch_err_set(err, STANCH_E_INVALID, "rule: over %d bytes", MAX_RULE);
    if (strcasestr(text, "RSCALE"))
        return stanch_err_set(err, STANCH_E_INVALID, "rule: other calendars than the Gregorian (RSCALE) are not read");
    if (strcasestr(text, "BYWEEKNO")) /* 3.0.16 takes 2031-12-29 for a day of week 53, and leaves out days of week 52 */
        return stanch_err_set(err, STANCH_E_INVALID,
                              "rule: BYWEEKNO is not read, libical is wrong about the turn of the year; write BYMONTH "
                              "and BYDAY");
    walk->rule = walk->ical->icalrecurrencetype_from_string(text);
    if (walk->rule.freq == ICAL_NO_RECURRENCE)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "rule: \"%.200s\" is no rule of RFC 5545; write it like "
                              "FREQ=MONTHLY;INTERVAL=3;BYDAY=1TU",
                              text);
    if (walk->rule.freq < ICAL_DAILY_RECURRENCE)
        return stanch_err_set(err, STANCH_E_INVALID,
                              "rule: \"%.200s\" is by the hour or finer; the finest is FREQ=DAILY, with BYHOUR", text);
    int rc = take_until(walk, err);
    if (rc < 0)
        return rc;
    walk->iterator = walk->ical->icalrecur_iterator_new(walk->rule, from);
    if (walk->iterator)
        return 0;
    return stanch_err_set(err, STANCH_E_INVALID, "rule: \"%.200s\" never comes true, or its parts do not go together",
                          text);
}

int stanch_calendar__walk_new(const json_t *plan, struct stanch_calendar__walk **ret, struct stanch_err *err)
{
    const char *from = stanch_json_str(plan, "from", ""), *rule = stanch_json_str(plan, "rule", NULL);
    struct icaltimetype begins;
    const struct stanch_ical *ical = stanch_ical(err);
    if (!ical)
        return STANCH_E_SYSTEM;
    if (!read_from(ical, from, &begins))
        return stanch_err_set(err, STANCH_E_INVALID,
                              "from: \"%.40s\" is no date and time from %d to %d; write it like 2026-01-06T10:00", from,
                              FIRST_YEAR, LAST_YEAR);
    struct stanch_calendar__walk *walk = STANCH_NEW(struct stanch_calendar__walk);
    walk->ical = ical;
    walk->from = civil_of(&begins);
    walk->last = INT64_MIN;
    int rc = read_zone(walk, plan, err);
    if (rc == 0 && rule)
        rc = read_rule(walk, rule, begins, err);
    if (rc < 0)
        stanch_calendar__walk_free(walk);
    else
        *ret = walk;
    return rc;
}

void stanch_calendar__walk_free(struct stanch_calendar__walk *walk)
{
    if (!walk)
        return;
    if (walk->iterator)
        walk->ical->icalrecur_iterator_free(walk->iterator);
    sdk_clock_done(&walk->clock);
    free(walk);
}

/* ---- its times ---- */

static bool next_civil(struct stanch_calendar__walk *walk, int64_t *ret)
{
    if (!walk->iterator) {
        *ret = walk->from;
        return walk->steps == 1;
    }
    struct icaltimetype time = walk->ical->icalrecur_iterator_next(walk->iterator);
    if (walk->ical->icaltime_is_null_time(time) || !is_time(walk->ical, &time))
        return false;
    *ret = civil_of(&time);
    return true;
}

int stanch_calendar__walk_next(struct stanch_calendar__walk *walk, int64_t *ret_ms, struct stanch_err *err)
{
    int64_t civil = 0;
    while (!walk->is_over) {
        if (++walk->steps > MAX_STEPS)
            return stanch_err_set(err, STANCH_E_INVALID, "rule: it is due over %d times", MAX_STEPS);
        walk->is_over = !next_civil(walk, &civil);
        int64_t utc = sdk_clock_utc(&walk->clock, civil);
        if (walk->has_until && (walk->is_until_utc ? utc : civil) > walk->until)
            walk->is_over = true;
        if (walk->is_over || utc <= walk->last) /* what the clock skips can be another one's time, too */
            continue;
        walk->last = utc;
        *ret_ms = utc * 1000;
        return 0;
    }
    return stanch_err_set(err, STANCH_E_NOT_FOUND, "there is none any more");
}

int stanch_calendar_next(const json_t *plan, int64_t after_ms, int64_t *ret_ms, struct stanch_err *err)
{
    struct stanch_calendar__walk *walk = NULL;
    int64_t at_ms = INT64_MIN;
    int rc = stanch_calendar__walk_new(plan, &walk, err);
    while (rc == 0 && at_ms <= after_ms)
        rc = stanch_calendar__walk_next(walk, &at_ms, err);
    stanch_calendar__walk_free(walk);
    if (rc == 0)
        *ret_ms = at_ms;
    return rc;
}

int stanch_calendar_check(const json_t *plan, struct stanch_err *err)
{
    struct stanch_calendar__walk *walk = NULL;
    int64_t times[A_DAY + 1] = {0};
    int count = 0, rc = stanch_calendar__walk_new(plan, &walk, err);
    while (rc == 0 && count <= A_DAY)
        rc = stanch_calendar__walk_next(walk, &times[count++], err);
    stanch_calendar__walk_free(walk);
    const char *rule = stanch_json_str(plan, "rule", "");
    if (rc == 0 && times[A_DAY] - times[0] < STANCH_GAMEDAY__DAY_MS)
        return stanch_err_set(err, STANCH_E_INVALID, "rule: \"%.200s\" is due more than %d times a day", rule, A_DAY);
    if (rc == STANCH_E_NOT_FOUND && count == 1)
        return stanch_err_set(err, STANCH_E_INVALID, "rule: \"%.200s\" never comes true from %.40s on", rule,
                              stanch_json_str(plan, "from", ""));
    return rc == STANCH_E_NOT_FOUND ? 0 : rc;
}

void stanch_calendar_text(const json_t *plan, int64_t at_ms, char ret[STANCH_CALENDAR_TEXT])
{
    struct sdk_clock clock = {0};
    const char *zone = stanch_json_str(plan, "zone", "UTC");
    int64_t utc = at_ms / 1000;
    bool is_known = sdk_clock_of_system(zone, &clock);
    struct tm tm = tm_of(sdk_clock_civil(&clock, utc));
    (void)snprintf(ret, STANCH_CALENDAR_TEXT, "%04d-%02d-%02d %02d:%02d %.64s", tm.tm_year + 1900, tm.tm_mon + 1,
                   tm.tm_mday, tm.tm_hour, tm.tm_min, is_known ? zone : "UTC");
    sdk_clock_done(&clock);
}
