/* calendar.h: when drills are due: a recurrence of RFC 5545 in a time zone, and the feed of those that come.
 * Source: RFC 5545 (3.3.10 RECUR, 3.6.1 VEVENT, 3.6.5 VTIMEZONE is not needed: the feed is in UTC), read and written by libical.
 * A plan is one row of the configuration's `drills.schedule`:
 *   {"name","drill","kind":"virtual"|"exercise"|"staging","rule":"FREQ=MONTHLY;INTERVAL=3;BYDAY=1TU"|null,
 *    "from":"2026-01-06T10:00","zone":"Europe/Berlin","lasts_ms":n,"announce_ms":n,"remind_ms":[n],"late_ms":n,"speed":n}
 * Years 2000 to 2199.
 * Thread: any; no clock of its own, no I/O but the machine's time zones.
 */
#ifndef STANCH_GAMEDAY_CALENDAR_H
#define STANCH_GAMEDAY_CALENDAR_H
#include "base/buf.h"
#include "base/err.h"
#include <jansson.h>
#include <stdint.h>

/** Can this plan's rule, beginning and zone be read, and does it happen at all, and at most four times a day? Takes about a second
 *  when it never does. returns 0 | STANCH_E_INVALID the text says which and why */
int stanch_calendar_check(const json_t *plan, struct stanch_err *err);
/** The rule alone says when it is due: `from` is where it begins and at what time of day, and no time of its own unless the rule makes it
 *  one (RFC 5545 leaves that open). Without a rule it is due once, at `from`.
 *  The first time after `after_ms` (wall clock) that a plan is due. A local time that a change of clocks leaves out or repeats is
 *  taken as RFC 5545 3.3.5 says. ret_ms: set. returns 0 | STANCH_E_NOT_FOUND there is none any more | STANCH_E_INVALID */
int stanch_calendar_next(const json_t *plan, int64_t after_ms, int64_t *ret_ms, struct stanch_err *err);
#define STANCH_CALENDAR_TEXT 100
/** "2026-01-06 10:00 Europe/Berlin", on the plan's own clock; in UTC when the machine does not know its zone. */
void stanch_calendar_text(const json_t *plan, int64_t at_ms, char ret[STANCH_CALENDAR_TEXT]);
/** Append a calendar (text/calendar) of what comes within a year after now, 50 of each plan at most, and of the drills that are or were: the
 *  same UID for the same plan and time, CANCELLED for what was missed. drills: documents of the journal. returns 0 | STANCH_E_INVALID */
int stanch_calendar_feed(const json_t *plans, const json_t *drills, int64_t now_ms, struct stanch_buf *out,
                         struct stanch_err *err);

#endif
