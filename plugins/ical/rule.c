/* rule.c: recurrence rules by libical, bounded.
 *
 * libical goes on until the year 20000, and inside of one step: a rule that never comes true (the 30th of February) costs
 * half a second when it is daily or rarer, fifteen when it is hourly, and hours when it is by the second. One step can't be
 * stopped from outside. So rules by the hour and below are refused, and the others are counted, each step and the time that
 * all of them took.
 */
#include "ical.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static int64_t mono_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct ical_budget ical_budget(uint32_t left_ms)
{
    int64_t ms = left_ms / 2 < ICAL_MAX_WALK_MS ? left_ms / 2 : ICAL_MAX_WALK_MS;
    return (struct ical_budget){ICAL_MAX_STEPS, mono_ms() + ms};
}

static bool take_until(struct ical_rule *rule, const char *text, struct ical_why *why)
{
    const struct icaltimetype until = rule->libical.until;
    rule->libical.until = icaltime_null_time(); /* its zone is not libical's to know: occur.c heeds it */
    rule->has_until = !icaltime_is_null_time(until);
    rule->until_is_date = until.is_date != 0;
    rule->until_is_utc = !until.is_date && icaltime_is_utc(until);
    if (rule->has_until && !ical_time_ok(until, &rule->until))
        return ical_wrong(why, "protocol", "RRULE %.200s: there is no such time as its UNTIL", text);
    return true;
}

bool ical_rule_read(const char *text, struct ical_rule *ret, struct ical_why *why)
{
    memset(ret, 0, sizeof *ret);
    if (strlen(text) > ICAL_MAX_TEXT)
        return ical_wrong(why, "protocol", "RRULE %.60s...: over %d bytes", text, ICAL_MAX_TEXT);
    if (strcasestr(text, "RSCALE"))
        return ical_wrong(why, "protocol", "RRULE %.200s: other calendars than the Gregorian (RSCALE) are not read",
                          text);
    ret->libical = icalrecurrencetype_from_string(text);
    if (ret->libical.freq == ICAL_NO_RECURRENCE)
        return ical_wrong(why, "protocol", "RRULE %.200s: this is no rule of RFC 5545", text);
    if (ret->libical.freq < ICAL_DAILY_RECURRENCE)
        return ical_wrong(why, "protocol",
                          "RRULE %.200s: rules by the hour, minute or second are not read; write DAILY with BYHOUR",
                          text);
    return take_until(ret, text, why);
}

static bool spend(struct ical_budget *budget, struct ical_why *why)
{
    if (budget->steps > 0)
        budget->steps--;
    if (budget->steps == 0)
        return ical_wrong(why, "too-large", "its rule, and those before it, take too many steps to get there");
    if (budget->steps % 64 == 0 && mono_ms() > budget->until_mono_ms)
        return ical_wrong(why, "too-large", "its rule, and those before it, take too long");
    return true;
}

bool ical_rule_walk(const struct ical_rule *rule, int64_t start, bool is_date, int64_t until, int64_t end,
                    struct ical_budget *budget, bool (*fn)(void *ctx, int64_t civil), void *ctx, struct ical_why *why)
{
    int64_t civil = 0, last = INT64_MIN;
    bool ok = true;
    if (mono_ms() > budget->until_mono_ms)
        return ical_wrong(why, "too-large", "its rule, and those before it, take too long");
    icalrecur_iterator *iterator = icalrecur_iterator_new(rule->libical, ical_time_of(start, is_date));
    if (!iterator)
        return ical_wrong(why, "protocol", "its RRULE never comes true, or its parts do not go together");
    while ((ok = spend(budget, why))) {
        struct icaltimetype time = icalrecur_iterator_next(iterator);
        if (icaltime_is_null_time(time) || !ical_time_ok(time, &civil) || civil > until || civil >= end)
            break;
        if (civil > last && !fn(ctx, civil))
            break;
        last = civil > last ? civil : last; /* a rule that goes round in circles costs steps */
    }
    icalrecur_iterator_free(iterator);
    return ok;
}
